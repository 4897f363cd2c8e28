#include "base/test.h"

#include "lib/message/received.h"

struct received_case {
    const char *name, *value;
    /* helo|rdns|ip|by|with|id|for|tls|envelope from */
    const char *shown;
    int64_t date;
};
static const struct received_case cases[] = {
    {"Postfix with TLS",
     "from mx.a.example (rdns.a.example [IPv6:2001:DB8::1])\r\n\t(using TLSv1.3 with cipher "
     "TLS_AES_256_GCM_SHA384 (256/256 bits))\r\n\tby mx.b.example (Postfix) with ESMTPS id "
     "4ABC1\r\n\tfor <u@b.example>; Mon, 23 Nov 2026 22:34:00 +0100 (CET)",
     "mx.a.example|rdns.a.example|2001:db8::1|mx.b.example|ESMTPS|4ABC1|u@b.example|TLSv1.3 "
     "TLS_AES_256_GCM_SHA384|",
     1795469640},
    {"Exim names the HELO when it differs",
     "from rdns.a.example ([192.0.2.1]:4711 helo=mx.a.example) by mx.b.example with esmtps "
     "(TLS1.2:ECDHE_RSA_AES_256_GCM_SHA384:256) (Exim 4.89) (envelope-from <s@a.example>) id "
     "1ga30m-00059C-Kv for u@b.example; Mon, 23 Nov 2026 22:34:00 +0100",
     "mx.a.example|rdns.a.example|192.0.2.1|mx.b.example|esmtps|1ga30m-00059C-Kv|u@b.example|"
     "TLSv1.2 ECDHE_RSA_AES_256_GCM_SHA384|s@a.example",
     1795469640},
    {"Exim without a HELO: both are the same",
     "from mx.a.example ([192.0.2.1]) by mx.b.example with esmtp (Exim 4.96) id "
     "1ga30m-00059C-Kv; Mon, 23 Nov 2026 22:34:00 +0100",
     "mx.a.example|mx.a.example|192.0.2.1|mx.b.example|esmtp|1ga30m-00059C-Kv|||", 1795469640},
    {"Sendmail",
     "from mx.a.example (IDENT:joe@rdns.a.example [192.0.2.1] (may be forged)) by mx.b.example "
     "(8.14.4/8.14.4) with ESMTP id oAIFWTpo021016 (version=TLSv1/SSLv3 cipher=AES256-SHA bits=256 "
     "verify=NO); Mon, 23 Nov 2026 21:34:00 GMT",
     "mx.a.example|rdns.a.example|192.0.2.1|mx.b.example|ESMTP|oAIFWTpo021016||TLSv1 AES256-SHA|",
     1795469640},
    {"qmail with HELO",
     "from unknown (HELO mx.a.example) (joe@192.0.2.1) by mx.b.example with SMTP; 23 "
     "Nov 2026 21:34:00 -0000",
     "mx.a.example||192.0.2.1|mx.b.example|SMTP||||", 1795469640},
    {"qmail where both are the same",
     "from mx.a.example (192.0.2.1) by mx.b.example with SMTP; 23 Nov 2026 21:34:00 -0000",
     "mx.a.example|mx.a.example|192.0.2.1|mx.b.example|SMTP||||", 1795469640},
    {"qmail inside", "(qmail 1000 invoked from network); 23 Nov 2026 21:34:00 -0000", "||||||||",
     1795469640},
    {"Gmail",
     "from mail-x.a.example (mail-x.a.example. [192.0.2.1]) by mx.google.com with ESMTPS id "
     "f23si81.231 for <u@b.example> (version=TLS1_2 cipher=ECDHE-RSA-AES128-GCM-SHA256 "
     "bits=128/128); Mon, 23 Nov 2026 13:34:00 -0800 (PST)",
     "mail-x.a.example|mail-x.a.example|192.0.2.1|mx.google.com|ESMTPS|f23si81.231|u@b.example|"
     "TLSv1.2 ECDHE-RSA-AES128-GCM-SHA256|",
     1795469640},
    {"Gmail inside",
     "by 2002:a17:90a:1234:0:0:0:1 with SMTP id x1csp1; Mon, 23 Nov 2026 13:34:00 -0800 (PST)",
     "|||2002:a17:90a:1234:0:0:0:1|SMTP|x1csp1|||", 1795469640},
    {"Microsoft 365",
     "from A.prod.outlook.com (2603:10a6:10:1::1) by B.prod.outlook.com (2603:10a6:10:2::2) with "
     "Microsoft SMTP Server (version=TLS1_2, cipher=TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384) id "
     "15.20.1.1; Mon, 23 Nov 2026 21:34:00 +0000",
     "A.prod.outlook.com||2603:10a6:10:1::1|B.prod.outlook.com|Microsoft SMTP Server|15.20.1.1||"
     "TLSv1.2 TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384|",
     1795469640},
    {"XMail",
     "from a.example (192.0.2.1:23198) by b.example with [XMail 1.20 ESMTP Server] id <S72E> "
     "for <u@b.example> from <s@a.example>; Mon, 23 Nov 2026 15:34:00 -0600",
     "a.example||192.0.2.1|b.example|[XMail 1.20 ESMTP Server]|S72E|u@b.example||s@a.example",
     1795469640},
    {"ecelerity",
     "from ([192.0.2.1:4961] helo=a.example) by b.example (ecelerity 2.1 r(11)) with ESMTP "
     "id 52/92-02454; Mon, 23 Nov 2026 21:34:00 +0000",
     "a.example||192.0.2.1|b.example|ESMTP|52/92-02454|||", 1795469640},
    {"a list server: the recipient in ORCPT",
     "(owner@v.example) by v.example via listexpand id S1 (ORCPT <rfc822;u@b.example>); Mon, 23 "
     "Nov "
     "2026 21:34:00 +0000",
     "|||v.example||S1|u@b.example||", 1795469640},
    {"fetchmail",
     "from pop.a.example [192.0.2.1] by localhost with POP3 (fetchmail-6.3.24) for "
     "<u@localhost> (single-drop); Mon, 23 Nov 2026 21:34:00 +0000",
     "pop.a.example||192.0.2.1|localhost|POP3||u@localhost||", 1795469640},
    {"submission by a local user",
     "(from www@localhost) by a.example (8.14.4/Submit) id oAI; Mon, 23 Nov "
     "2026 21:34:00 +0000",
     "www@localhost|||a.example||oAI|||", 1795469640},
    {"no semicolon before the date",
     "from a.example ([192.0.2.1]) by b.example (x) id J1 Mon, 23 Nov 2026 21:34:00 +0000",
     "a.example||192.0.2.1|b.example||J1|||", 1795469640},
    {"a comment that never ends",
     "from a.example ([192.0.2.1] by b.example with SMTP id 1; Mon, 23 Nov 2026 21:34:00 +0000",
     "a.example||192.0.2.1|b.example|SMTP|1|||", 1795469640},
    {"nothing that is known", "hello world", "||||||||", 0},
    {"white space at the end", "by b.example with SMTP; x \r\n ", "|||b.example|SMTP||||", 0},
    {"nothing", "", "||||||||", 0},
};

static void run(void **state)
{
    const struct received_case *c = *state;
    struct arena *a = arena_create(1 << 20);
    struct received r;
    struct buf shown;
    char ip[IP_TEXT_MAX];

    received_parse(slice_of(c->value), a, &r);
    ip_address_format(&r.ip, ip);
    buf_init(&shown, 2000);
    buf_printf(&shown, "%.*s|%.*s|%s|%.*s|%.*s|%.*s|%.*s|%.*s%s%.*s|%.*s", SLICE_ARG(r.helo),
               SLICE_ARG(r.rdns), ip, SLICE_ARG(r.by), SLICE_ARG(r.with), SLICE_ARG(r.id),
               SLICE_ARG(r.for_address), SLICE_ARG(r.tls_version), r.tls_cipher.n > 0 ? " " : "",
               SLICE_ARG(r.tls_cipher), SLICE_ARG(r.envelope_from));
    if (!slice_eq(buf_slice(&shown), slice_of(c->shown)))
        fail_msg("got %.*s", SLICE_ARG(buf_slice(&shown)));
    assert_int_equal(r.has_date, c->date != 0);
    assert_int_equal(r.date.unix_s, c->date);
    buf_finish(&shown);
    arena_destroy(&a);
}

static void a_long_field_is_read_in_part(void **state)
{
    struct arena *a = arena_create(1 << 20);
    struct received r;
    struct buf b;
    (void)state;

    buf_init(&b, 1 << 20);
    buf_append_text(&b, "by mx.example with SMTP id 1 (");
    for (unsigned i = 0; i < 100000; i++)
        buf_append_text(&b, "((((");
    received_parse(buf_slice(&b), a, &r);
    assert_true(slice_eq(r.by, SLICE("mx.example")));
    assert_true(r.value.n <= RECEIVED_SIZE_MAX);
    buf_finish(&b);
    arena_destroy(&a);
}

int main(void)
{
    struct CMUnitTest tests[COUNT(cases) + 1] = {cmocka_unit_test(a_long_field_is_read_in_part)};

    for (size_t i = 0; i < COUNT(cases); i++)
        tests[i + 1] =
            (struct CMUnitTest){cases[i].name, run, NULL, NULL, (void *)(uintptr_t)&cases[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
