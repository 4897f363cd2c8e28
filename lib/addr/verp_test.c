#include "lib/addr/verp.h"

#include "base/test.h"

#define DAY_S 86400

static const struct slice key = SLICE_INIT("0123456789abcdef0123456789abcdef");
static const struct slice domain = SLICE_INIT("return.example.com");
static const struct verp ours = {{0x0190000000000001, 7}, 12, 20500};

struct verp_case {
    const char *name;
    int64_t day;
    const char *key, *domain; /* NULL: ours */
    size_t change;            /* this character of the address becomes another; SIZE_MAX: none */
    bool lower;
    enum verp_verdict verdict;
};

static const struct verp_case cases[] = {
    {"our own address is good", 20400, NULL, NULL, SIZE_MAX, false, VERP_GOOD},
    {"it is good on its last day", 20500, NULL, NULL, SIZE_MAX, false, VERP_GOOD},
    {"and expired on the day after", 20501, NULL, NULL, SIZE_MAX, false, VERP_EXPIRED},
    {"a relay may write it in lower case", 20400, NULL, NULL, SIZE_MAX, true, VERP_GOOD},
    {"another key's address is forged", 20400, "another key of thirty-two bytes!", NULL, SIZE_MAX,
     false, VERP_FORGED},
    {"another message's number is forged", 20400, NULL, NULL, 33, false, VERP_FORGED},
    {"another recipient's number is forged", 20400, NULL, NULL, 35, false, VERP_FORGED},
    {"a later day is forged", 20400, NULL, NULL, 41, false, VERP_FORGED},
    {"another signature is forged", 20400, NULL, NULL, 57, false, VERP_FORGED},
    {"another domain is none", 20400, NULL, "other.example.com", SIZE_MAX, false, VERP_NOT_ONE},
    {"another prefix is none", 20400, NULL, NULL, 0, false, VERP_NOT_ONE},
};

static void check(void **state)
{
    const struct verp_case *c = *state;
    struct buf out;
    struct verp got;

    buf_init(&out, 1024);
    verp_write(&ours, key, domain, &out);
    assert_true(slice_find(buf_slice(&out), '@') <= VERP_LOCAL_MAX);
    if (c->change != SIZE_MAX)
        out.p[c->change] = out.p[c->change] == '3' ? '5' : '3';
    for (size_t i = 0; c->lower && i < out.n; i++)
        if (out.p[i] >= 'A' && out.p[i] <= 'Z')
            out.p[i] = (char)(out.p[i] - 'A' + 'a');
    enum verp_verdict verdict =
        verp_read(buf_slice(&out), c->key != NULL ? slice_of(c->key) : key,
                  c->domain != NULL ? slice_of(c->domain) : domain, c->day * DAY_S + 1, &got);
    assert_string_equal(verp_verdict_name(verdict), verp_verdict_name(c->verdict));
    if (verdict == VERP_GOOD) {
        assert_true(id_eq(got.id, ours.id));
        assert_int_equal(got.n, ours.n);
        assert_int_equal(got.expires_day, ours.expires_day);
    }
    buf_finish(&out);
}

int main(void)
{
    RUN_TABLE(cases, check);
}
