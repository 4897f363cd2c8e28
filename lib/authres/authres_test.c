#include "lib/authres/authres.h"

#include "base/test.h"

static const struct field_case {
    const char *name, *value, *written; /* NULL: refused */
} cases[] = {
    {"nothing was tested", " example.com 1; none", "example.com; none"},
    {"one result", " example.com; spf=pass smtp.mailfrom=example.net",
     "example.com;\r\n    spf=pass\r\n    smtp.mailfrom=example.net"},
    {"comments anywhere, nested",
     "(a) example.com (b (c)) ; (d) dkim (e) = (f) pass (g;h) header (i) . (j) d (k) = (l) x.y (m)",
     "example.com;\r\n    dkim=pass\r\n    header.d=x.y"},
    {"a quoted semicolon", " example.com; dkim=fail reason=\"bad; sad\"",
     "example.com;\r\n    dkim=fail reason=\"bad; sad\""},
    {"a value that should be quoted",
     " e.x; dkim=pass header.b=ab/c+d=", "e.x;\r\n    dkim=pass\r\n    header.b=\"ab/c+d=\""},
    {"an address with a quoted local part", " e.x; auth=pass smtp.auth=\"a b\"@c.d",
     "e.x;\r\n    auth=pass\r\n    smtp.auth=\"\\\"a b\\\"@c.d\""},
    {"a method's version", " e.x; dkim/1 = pass; spf/2=fail",
     "e.x;\r\n    dkim=pass;\r\n    spf/2=fail"},
    {"a semicolon at the end", " e.x; spf=pass;", "e.x;\r\n    spf=pass"},
    {"folded lines", " e.x;\r\n\tspf=pass\r\n\tsmtp.helo=h",
     "e.x;\r\n    spf=pass\r\n    smtp.helo=h"},
    {"an escaped backslash ends no quotes", " e.x; auth=pass smtp.auth=\"a\\\\\"@c.d; spf=fail",
     "e.x;\r\n    auth=pass\r\n    smtp.auth=\"\\\"a\\\\\\\\\\\"@c.d\";\r\n    spf=fail"},
    {"addresses that are none are quoted",
     "e.x; spf=pass smtp.mailfrom=.a@b.c smtp.helo=a@b..c smtp.x=a.b@c.d smtp.y=@c.d smtp.z=a@b@c",
     "e.x;\r\n    spf=pass\r\n    smtp.mailfrom=\".a@b.c\"\r\n    smtp.helo=\"a@b..c\"\r\n"
     "    smtp.x=a.b@c.d\r\n    smtp.y=@c.d\r\n    smtp.z=\"a@b@c\""},
    {"a reason is no address", "e.x; spf=pass reason=\"a@b\"",
     "e.x;\r\n    spf=pass reason=\"a@b\""},
    {"a version of tomorrow", " e.x 2; spf=pass", NULL},
    {"none beside a result", " e.x; none; spf=pass", NULL},
    {"no name", " ; spf=pass", NULL},
    {"no result", " e.x; spf", NULL},
    {"only a name", " e.x", NULL},
    {"an open quote", " e.x; spf=pass reason=\"x", NULL},
};

static void run_case(void **state)
{
    const struct field_case *c = *state;
    struct arena *arena = arena_create(1 << 16);
    struct authres a;
    struct err e = {.text = ""};
    struct buf out;
    int result = authres_parse(slice_of(c->value), arena, &a, &e);

    buf_init(&out, 4096);
    if (result == 0) {
        assert_non_null(c->written);
        authres_write(&a, "A", 0, &out);
        struct slice written = slice_sub(buf_slice(&out), 3, out.n - 5);
        if (!slice_eq(written, slice_of(c->written)))
            fail_msg("%.*s", SLICE_ARG(written));
    } else {
        if (c->written)
            fail_msg("%s", e.text);
        assert_true(e.text[0] != '\0');
    }
    buf_finish(&out);
    arena_destroy(&arena);
}

static void names_are_claimed_in_many_ways(void **state)
{
    static const struct {
        struct slice value;
        bool claims;
    } values[] = {
        {SLICE_INIT(" mx.b\xc3\xbc"
                    "cher.example; none"),
         true},
        {SLICE_INIT(" MX.XN--BCHER-KVA.EXAMPLE.; none"), true},
        {SLICE_INIT("\v mx.xn--bcher-kva.example; none"), true},
        {SLICE_INIT(" mx.xn--bcher-kva.example\f; none"), true},
        {SLICE_INIT(" mx.xn--bcher-kva.example\0; none"), true},
        {SLICE_INIT(" other.example; none"), false},
        {SLICE_INIT(" amx.xn--bcher-kva.example; none"), false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(values); i++)
        if (authres_claims(values[i].value, SLICE("mx.xn--bcher-kva.example")) != values[i].claims)
            fail_msg("%.*s", SLICE_ARG(values[i].value));
}

static void long_values_are_cut(void **state)
{
    char text[3000];
    struct authres_property property = {NULL, SLICE("smtp"), SLICE("helo"), {text, sizeof text}};
    struct authres_result result = {.method = SLICE("spf"),
                                    .version = 1,
                                    .result = SLICE("none"),
                                    .reason = {text, sizeof text},
                                    .comment = {text, sizeof text},
                                    .properties = &property};
    struct authres a = {SLICE("e.x"), 1, &result};
    struct buf out;

    (void)state;
    memset(text, 'a', sizeof text);
    buf_init(&out, 65536);
    authres_write(&a, "A", 0, &out);
    assert_in_range(out.n, 3 * AUTHRES_VALUE_MAX, 3 * AUTHRES_VALUE_MAX + 100);
    buf_finish(&out);
}

static void forged_fields_go_from_last_to_first(void **state)
{
    static const char message[] = "Authentication-Results: mx.example.com; spf=pass\r\n"
                                  "Subject: x\r\n"
                                  "Authentication-Results: other.example; spf=pass\r\n"
                                  "AUTHENTICATION-RESULTS: (c) \"MX.example.com\" 1; dkim=pass\r\n"
                                  "Authentication-Results: ; dkim=pass\r\n"
                                  "To: y\r\n\r\nbody";
    struct arena *arena = arena_create(1 << 16);
    struct header h;
    struct err e;
    struct buf out;
    size_t indexes[10];

    (void)state;
    buf_init(&out, 4096);
    assert_int_equal(header_parse(SLICE(message), NULL, arena, &h, &e), 0);
    assert_int_equal(authres_forged(&h, SLICE("mx.example.com"), indexes, 10), 3);
    assert_int_equal(indexes[0], 4);
    assert_int_equal(indexes[1], 3);
    assert_int_equal(indexes[2], 0);
    assert_int_equal(authres_strip(&h, SLICE("mx.example.com"), &out), 3);
    assert_true(slice_eq(buf_slice(&out),
                         SLICE("Subject: x\r\n"
                               "Authentication-Results: other.example; spf=pass\r\nTo: y\r\n")));
    buf_finish(&out);
    arena_destroy(&arena);
}

int main(void)
{
    struct CMUnitTest tests[COUNT(cases) + 3] = {
        cmocka_unit_test(forged_fields_go_from_last_to_first),
        cmocka_unit_test(names_are_claimed_in_many_ways), cmocka_unit_test(long_values_are_cut)};

    for (size_t i = 0; i < COUNT(cases); i++)
        tests[i + 3] =
            (struct CMUnitTest){cases[i].name, run_case, NULL, NULL, (void *)(uintptr_t)&cases[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
