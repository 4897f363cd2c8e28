#include "lib/dmarc/report.h"

#include "base/test.h"

static const char sample[] =
    "<?xml version=\"1.0\"?>\n<feedback xmlns=\"urn:ietf:params:xml:ns:dmarc-2.0\">"
    "<version>1.0</version><report_metadata><org_name>A &amp; "
    "B</org_name><email>r@a.example</email>"
    "<report_id>7</report_id><date_range><begin>100</begin><end>200</end></date_range>"
    "</report_metadata><policy_published><domain>example.com</domain><p>reject</p>"
    "<np>none</np><testing>n</testing></policy_published>"
    "<record><row><source_ip>192.0.2.1</source_ip><count>3</count><policy_evaluated>"
    "<disposition>none</disposition><dkim>pass</dkim><spf>fail</spf><reason><type>other</type>"
    "<comment>arc</comment></reason></policy_evaluated></row><identifiers>"
    "<header_from>example.com</header_from></identifiers><auth_results><dkim>"
    "<domain>example.com</domain><selector>s1</selector><result>pass</result></dkim><spf>"
    "<domain>b.example</domain><result>pass</result></spf></auth_results></record>"
    "<record><row><source_ip>2001:db8::1</source_ip><count>4</count></row></record></feedback>";

static void a_report_is_read_and_written(void **state)
{
    struct arena *arena = arena_create(1 << 20);
    struct dmarc_report r, again;
    struct err e = {.text = ""};
    struct buf out;

    (void)state;
    buf_init(&out, 1 << 20);
    if (dmarc_report_read(SLICE(sample), arena, &r, &e))
        fail_msg("%s", e.text);
    for (int pass = 0; pass < 2; pass++) {
        assert_true(r.is_rfc9990);
        assert_true(slice_eq(r.org_name, SLICE("A & B")));
        assert_int_equal(r.row_count, 2);
        assert_int_equal(r.messages, 7);
        assert_int_equal(r.end_unix_s, 200);
        assert_true(slice_eq(r.rows->reasons->comment, SLICE("arc")));
        assert_true(r.rows->auths->is_dkim);
        assert_true(slice_eq(r.rows->auths->selector, SLICE("s1")));
        assert_true(slice_eq(r.rows->auths->next->domain, SLICE("b.example")));
        assert_true(slice_eq(r.rows->next->source_ip, SLICE("2001:db8::1")));
        dmarc_report_write(&r, &out);
        assert_int_equal(dmarc_report_read(buf_slice(&out), arena, &again, &e), 0);
        r = again;
        buf_clear(&out);
    }
    buf_finish(&out);
    arena_destroy(&arena);
}

static const struct refused {
    const char *name, *xml;
    enum err_code code;
} refused[] = {
    {"no XML", "hello", ERR_SYNTAX},
    {"nothing", "", ERR_SYNTAX},
    {"another document", "<a><b/></a>", ERR_SYNTAX},
    {"a cut document", "<feedback><record>", ERR_SYNTAX},
    {"entities", "<!DOCTYPE feedback [<!ENTITY a \"b\">]><feedback>&a;</feedback>", ERR_SYNTAX},
    {"deep nesting",
     "<feedback><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a></a></a></a></a></a></a></a>",
     ERR_LIMIT},
};

static void run_refused(void **state)
{
    const struct refused *c = *state;
    struct arena *arena = arena_create(1 << 20);
    struct dmarc_report r;
    struct err e = {.text = ""};

    assert_int_equal(dmarc_report_read(slice_of(c->xml), arena, &r, &e), -1);
    assert_int_equal(e.code, c->code);
    assert_true(e.text[0] != '\0');
    arena_destroy(&arena);
}

static void a_count_said_twice_counts_once(void **state)
{
    struct arena *arena = arena_create(1 << 20);
    struct dmarc_report r;
    struct err e;
    (void)state;

    assert_int_equal(
        dmarc_report_read(SLICE("<feedback><record><row><source_ip>192.0.2.1</source_ip>"
                                "<count>5</count><count>2</count></row></record></feedback>"),
                          arena, &r, &e),
        0);
    assert_int_equal(r.messages, 2);
    arena_destroy(&arena);
}

int main(void)
{
    struct CMUnitTest tests[COUNT(refused) + 2] = {
        cmocka_unit_test(a_report_is_read_and_written),
        cmocka_unit_test(a_count_said_twice_counts_once)};

    for (size_t i = 0; i < COUNT(refused); i++)
        tests[i + 2] = (struct CMUnitTest){refused[i].name, run_refused, NULL, NULL,
                                           (void *)(uintptr_t)&refused[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
