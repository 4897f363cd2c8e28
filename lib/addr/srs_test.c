/* The addresses were made by Mail::SRS 0.31, with the same secrets. */
#include "lib/addr/srs.h"

#include "base/test.h"

#define DAY_S 86400
#define NOW 1700000000

static const struct slice ours = SLICE_INIT("ours.example");

static struct srs scheme(unsigned hash_length)
{
    return (struct srs){.secrets = {SLICE_INIT("secret"), SLICE_INIT("old")},
                        .secret_count = 2,
                        .hash_length = hash_length,
                        .hash_least = SRS_HASH_LEAST,
                        .days = 30};
}

static const struct there {
    const char *name, *sender, *forwarder, *address; /* address NULL: refused */
} forward[] = {
    {"a sender", "a@x.example", "ours.example", "SRS0=8m9P=G3=x.example=a@ours.example"},
    {"case stays, and does not count", "Ann.Other+tag=1@X.Example", "ours.example",
     "SRS0=2rbY=G3=X.Example=Ann.Other+tag=1@ours.example"},
    {"a forwarder before us", "SRS0=8m9P=G3=x.example=a@ours.example", "second.example",
     "SRS1=Zgri=ours.example==8m9P=G3=x.example=a@second.example"},
    {"two of them: the second one goes",
     "SRS1=4lQuEAj7=ours.example==8m9P=G3=x.example=a@second.example", "third.example",
     "SRS1=Zgri=ours.example==8m9P=G3=x.example=a@third.example"},
    {"another separator", "SRS0+8m9P=G3=x.example=a@plus.example", "ours.example",
     "SRS1=08LB=plus.example=+8m9P=G3=x.example=a@ours.example"},
    {"our own again", "SRS0=8m9P=G3=x.example=a@Ours.Example", "ours.example",
     "SRS0=8m9P=G3=x.example=a@Ours.Example"},
    {"a name that only begins so", "SRS0rry@x.example", "ours.example",
     "SRS0=Vprs=G3=x.example=SRS0rry@ours.example"},
    {"SRS1 that is cut short is a name", "SRS1=abcd=x@x.example", "ours.example",
     "SRS0=8Xpr=G3=x.example=SRS1=abcd=x@ours.example"},
    {"64 octets in all", "12345678901234567890123456789012345678901@x.example", "ours.example",
     "SRS0=bHII=G3=x.example=12345678901234567890123456789012345678901@ours.example"},
    {"65 are too many", "123456789012345678901234567890123456789012@x.example", "ours.example",
     NULL},
    {"quotes", "\"a b\"@x.example", "ours.example", NULL},
    {"an address literal", "a@[192.0.2.1]", "ours.example", NULL},
    {"no domain", "a", "ours.example", NULL},
};

static void encode(void **state)
{
    const struct there *c = *state;
    struct srs s = scheme(4);
    struct buf out;
    struct err e;

    buf_init(&out, 512);
    int result = srs_encode(&s, slice_of(c->sender), slice_of(c->forwarder), NOW, &out, &e);
    assert_int_equal(result, c->address == NULL ? -1 : 0);
    if (c->address == NULL)
        assert_int_equal(out.n, 0);
    else if (!slice_eq(buf_slice(&out), slice_of(c->address)))
        fail_msg("%.*s", SLICE_ARG(buf_slice(&out)));
    buf_finish(&out);
}

static const struct back {
    const char *name, *address;
    int64_t days; /* after NOW */
    enum srs_verdict verdict;
    const char *sender;
} backward[] = {
    {"our own", "SRS0=8m9P=G3=x.example=a@ours.example", 0, SRS_GOOD, "a@x.example"},
    {"in lower case", "srs0=8m9p=g3=x.example=a@ours.example", 0, SRS_GOOD, "a@x.example"},
    {"in upper case", "SRS0=8M9P=G3=X.EXAMPLE=A@OURS.EXAMPLE", 0, SRS_GOOD, "A@X.EXAMPLE"},
    {"with another separator", "SRS0-8m9P=G3=x.example=a@ours.example", 0, SRS_GOOD, "a@x.example"},
    {"of the old secret, with a longer hash", "SRS0=3K5LU425=G3=x.example=a@ours.example", 0,
     SRS_GOOD, "a@x.example"},
    {"an equals sign in the local part", "SRS0=2rbY=G3=X.Example=Ann.Other+tag=1@ours.example", 0,
     SRS_GOOD, "Ann.Other+tag=1@X.Example"},
    {"on its last day", "SRS0=8m9P=G3=x.example=a@ours.example", 30, SRS_GOOD, "a@x.example"},
    {"on the day after", "SRS0=8m9P=G3=x.example=a@ours.example", 31, SRS_EXPIRED, ""},
    {"from the future", "SRS0=8m9P=G3=x.example=a@ours.example", -1, SRS_EXPIRED, ""},
    {"of the same day in the next cycle", "SRS0=8m9P=G3=x.example=a@ours.example", 1024, SRS_GOOD,
     "a@x.example"},
    {"back to the first forwarder", "SRS1=08LB=plus.example=+8m9P=G3=x.example=a@ours.example", 0,
     SRS_GOOD, "SRS0+8m9P=G3=x.example=a@plus.example"},
    {"and at any time", "srs1=08lb=plus.example=+8m9P=G3=x.example=a@ours.example", 500, SRS_GOOD,
     "SRS0+8m9P=G3=x.example=a@plus.example"},
    {"another hash", "SRS0=8m9Q=G3=x.example=a@ours.example", 0, SRS_FORGED, ""},
    {"a hash that is too short", "SRS0=8m9=G3=x.example=a@ours.example", 0, SRS_FORGED, ""},
    {"no hash", "SRS0==G3=x.example=a@ours.example", 0, SRS_FORGED, ""},
    {"a hash that is too long", "SRS0=8m9P8m9P8m9P8m9P8m9P8m9P8m9P=G3=x.example=a@ours.example", 0,
     SRS_FORGED, ""},
    {"another sender", "SRS0=8m9P=G3=x.example=b@ours.example", 0, SRS_FORGED, ""},
    {"another day", "SRS0=8m9P=G4=x.example=a@ours.example", 0, SRS_FORGED, ""},
    {"another first forwarder", "SRS1=08LB=evil.example=+8m9P=G3=x.example=a@ours.example", 0,
     SRS_FORGED, ""},
    {"a day that is none", "SRS0=8m9P=G1=x.example=a@ours.example", 0, SRS_NOT_ONE, ""},
    {"no local part", "SRS0=8m9P=G3=x.example=@ours.example", 0, SRS_NOT_ONE, ""},
    {"cut short", "SRS0=8m9P=G3@ours.example", 0, SRS_NOT_ONE, ""},
    {"SRS1 without the rest", "SRS1=08LB=plus.example=@ours.example", 0, SRS_NOT_ONE, ""},
    {"another domain", "SRS0=8m9P=G3=x.example=a@other.example", 0, SRS_NOT_ONE, ""},
    {"another address", "sales@ours.example", 0, SRS_NOT_ONE, ""},
    {"nothing", "", 0, SRS_NOT_ONE, ""},
};

static void decode(void **state)
{
    const struct back *c = *state;
    struct srs s = scheme(4);
    struct buf out;

    buf_init(&out, 512);
    enum srs_verdict verdict =
        srs_decode(&s, slice_of(c->address), ours, NOW + c->days * DAY_S, &out);
    assert_string_equal(srs_verdict_name(verdict), srs_verdict_name(c->verdict));
    assert_true(slice_eq(buf_slice(&out), slice_of(c->sender)));
    buf_finish(&out);
}

/* The least that is taken may be more than Mail::SRS has. */
static void longer(void **state)
{
    struct srs s = scheme(SRS_HASH_MOST);
    struct buf out, back;
    struct err e;
    (void)state;

    s.hash_least = 8;
    buf_init(&out, 512);
    buf_init(&back, 512);
    assert_int_equal(srs_encode(&s, SLICE("a@x.example"), ours, NOW, &out, &e), 0);
    assert_int_equal(slice_find(buf_slice(&out), '@'), 5 + SRS_HASH_MOST + 4 + 9 + 2);
    assert_int_equal(srs_decode(&s, buf_slice(&out), ours, NOW, &back), SRS_GOOD);
    assert_true(slice_eq(buf_slice(&back), SLICE("a@x.example")));
    assert_int_equal(
        srs_decode(&s, SLICE("SRS0=8m9P=G3=x.example=a@ours.example"), ours, NOW, &back),
        SRS_FORGED);
    buf_finish(&out);
    buf_init(&out, 20); /* no room */
    assert_int_equal(srs_encode(&s, SLICE("a@x.example"), ours, NOW, &out, &e), -1);
    assert_int_equal(out.n, 0);
    buf_finish(&out);
    buf_finish(&back);
}

int main(void)
{
    struct CMUnitTest tests[COUNT(forward) + COUNT(backward) + 1];
    size_t n = 0;

    for (size_t i = 0; i < COUNT(forward); i++)
        tests[n++] = (struct CMUnitTest){forward[i].name, encode, NULL, NULL,
                                         (void *)(uintptr_t)&forward[i]};
    for (size_t i = 0; i < COUNT(backward); i++)
        tests[n++] = (struct CMUnitTest){backward[i].name, decode, NULL, NULL,
                                         (void *)(uintptr_t)&backward[i]};
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(longer);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
