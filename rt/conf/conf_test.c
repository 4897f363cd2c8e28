#include "rt/conf/conf.h"

#include "base/test.h"

static const char full[] = "# a full one\n"
                           "hostname = mx.example\n"
                           "default_stream = transactional\n"
                           "tls_certificate = /etc/c.pem\n"
                           "tls_key = /etc/k.pem\n"
                           "listener smtp { }\n"
                           "listener submission {\n"
                           "    port = 587\n"
                           "    auth = required\n"
                           "    stream = news\n"
                           "}\n"
                           "stream news { unknown = hold  dkim = {example-rsa} }\n"
                           "key example-rsa {\n"
                           "    domain = example.com\n"
                           "    selector = s1\n"
                           "    file = /etc/rsa.pem\n"
                           "}\n"
                           "route example.net { via = {\"[::1]:2525\", mx} tls = none }\n"
                           "route \"*\" { via = {smart.example} }\n";

static struct conf *parse(const char *text)
{
    struct err e;
    struct conf *c = conf_parse("test.conf", slice_of(text), &e);

    if (c == NULL)
        fail_msg("%s", e.text);
    return c;
}

static void defaults(void **state)
{
    struct conf *c = conf_default();
    struct ip_address ip;

    (void)state;
    assert_int_equal(c->message_size_max, 50 << 20);
    assert_int_equal(c->expire_ms, 5LL * 86400 * 1000);
    assert_int_equal(c->retry.count, 7);
    assert_int_equal(c->retry.items_ms[1], 300000);
    assert_int_equal(c->listener_count, 1);
    assert_int_equal(c->listeners[0].port, 25);
    assert_int_equal(c->stream_count, 1);
    assert_string_equal(conf_find_stream(c, SLICE(""))->title, "default");
    assert_int_equal(conf_find_stream(c, SLICE("DEFAULT"))->unknown, CONF_UNKNOWN_RETRY);
    assert_null(conf_find_route(c, SLICE("example.com")));
    assert_string_equal(conf_smart_host(c), "");
    assert_int_equal(c->outbound_tls, CONF_HOP_TLS_MAY);
    assert_true(ip_address_parse(SLICE("127.8.0.1"), &ip));
    assert_true(conf_networks_hold(&c->relay_networks, &ip));
    assert_true(ip_address_parse(SLICE("128.0.0.1"), &ip));
    assert_false(conf_networks_hold(&c->relay_networks, &ip)); /* no open relay */
    conf_destroy(&c);
}

static void which_route_ends_in_maildirs(void **state)
{
    struct conf *c =
        parse("route \"a.example\" { via = { \"maildir:/var/mail/%u\" } local = yes }\n"
              "route \"b.example\" { via = { \"mx.b.example\" } }\n");

    (void)state;
    assert_string_equal(conf_route_maildir(conf_find_route(c, SLICE("a.example"))), "/var/mail/%u");
    assert_null(conf_route_maildir(conf_find_route(c, SLICE("b.example"))));
    conf_destroy(&c);
}

static void sections(void **state)
{
    struct conf *c = parse(full);
    char path[256];

    (void)state;
    assert_string_equal(c->hostname, "mx.example");
    assert_int_equal(c->listener_count, 2);
    assert_string_equal(c->listeners[1].title, "submission");
    assert_int_equal(c->listeners[1].auth, CONF_AUTH_REQUIRED);
    assert_int_equal(c->stream_count, 2);
    assert_string_equal(conf_find_stream(c, SLICE(""))->title, "transactional");
    assert_int_equal(conf_find_stream(c, SLICE("news"))->unknown, CONF_UNKNOWN_HOLD);
    assert_string_equal(conf_find_key(c, SLICE("example-rsa"))->selector, "s1");
    assert_string_equal(conf_find_route(c, SLICE("Example.NET"))->via.items[0], "[::1]:2525");
    assert_string_equal(conf_find_route(c, SLICE("other.org"))->via.items[0], "smart.example");
    assert_string_equal(conf_smart_host(c), "smart.example");
    assert_string_equal(conf_control_socket(c, path), "/run/waybill/control.sock");
    conf_destroy(&c);
}

static void prints_and_reads_back(void **state)
{
    struct conf *c = parse(full), *again;
    struct buf text;

    (void)state;
    for (int all = 0; all < 2; all++) {
        buf_init(&text, 1 << 20);
        conf_print(c, all, &text);
        buf_append_char(&text, '\0');
        again = parse(text.p);
        assert_int_equal(conf_diff(c, again, NULL, NULL), 0);
        conf_destroy(&again);
        buf_finish(&text);
    }
    conf_destroy(&c);
}

static char reported[1000];
static void report(void *ctx, const char *setting, struct slice old_value, struct slice new_value,
                   bool restart)
{
    size_t n = strlen(reported);

    (void)ctx;
    snprintf(reported + n, sizeof reported - n, "%s: %.*s -> %.*s%s\n", setting,
             SLICE_ARG(old_value), SLICE_ARG(new_value), restart ? " (restart)" : "");
}

static void diff(void **state)
{
    struct conf *a = parse("expire = 5d\nstream gone { }\nlistener smtp { port = 25 }");
    struct conf *b =
        parse("expire = 4d\nuser = mail\nroute \"*\" { }\nlistener smtp { port = 2525 }");

    (void)state;
    reported[0] = '\0';
    assert_int_equal(conf_diff(a, b, report, NULL), 2);
    assert_string_equal(reported, "user: \"\" -> \"mail\" (restart)\n"
                                  "expire: 5d -> 4d\n"
                                  "listener smtp: port: 25 -> 2525 (restart)\n"
                                  "stream gone: a section -> \n"
                                  "route *:  -> a section\n");
    conf_destroy(&a);
    conf_destroy(&b);
}

static void errors(void **state)
{
    static const struct {
        const char *text, *words;
    } cases[] = {
        {"hostname = a\n\nnonsense = 1\n", "test.conf:3: no such option 'nonsense'"},
        {"listener a {\n  port = 70000\n}", "test.conf:2: port is '70000', but must be at most"},
        {"listener a {\n  colour = red\n}", "test.conf:2: no such option 'colour'"},
        {"retry = {1m,\n 5m,\n soon}", "test.conf:3: retry is 'soon'"},
        {"listener a { }\nlistener a { }", "test.conf:2:"},
        {"listener a {\n port = 5\n", "test.conf:4: a section is not closed with }"},
        {"hostname = \"a\nb = c", "test.conf"},
        {"hostname = a\n/* never ends", "test.conf"},
        {"stream s { dkim = {nokey} }", "there is no key 'nokey'"},
        {"listener l { stream = nostream }", "there is no stream 'nostream'"},
        {"listener l { tls = implicit }", "needs tls_certificate"},
        {"tls_certificate = x", "need each other"},
        {"key k { domain = d }", "selector is missing"},
        {"dmarc_report_from = \"x\"", "dmarc_report_from: 'x' is no address"},
        {"dmarc_report_from = \"a@b>\"", "is no address"},
        {"dmarc_reports_address = { \"a@b.example\", \"@b\" }", "'@b' is no address"},
        {"stream \"a b\" { }", "'a b'"},
        {"route \"\" { }", "the name ''"},
    };
    struct err e;

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        if (conf_parse("test.conf", slice_of(cases[i].text), &e) != NULL)
            fail_msg("taken: %s", cases[i].text);
        if (strstr(e.text, cases[i].words) == NULL)
            fail_msg("'%s' does not say '%s'", e.text, cases[i].words);
    }
    assert_null(conf_parse("test.conf", SLICE("a\0b"), &e));
    assert_null(conf_load("/nonexistent/waybill.conf", &e));
    assert_non_null(strstr(e.text, "/nonexistent/waybill.conf"));
}

/* doc/man/waybill.conf.5 is what the table says. */
static void manual(void **state)
{
    const char *source = getenv("WAYBILL_SOURCE");
    static char path[1024], text[1 << 20];
    struct buf wanted;

    (void)state;
    buf_init(&wanted, sizeof text);
    conf_manual(&wanted);
    for (size_t i = 0; conf_table(i) != NULL; i++) {
        assert_true(slice_search(buf_slice(&wanted), slice_of(conf_table(i)->name)) != SLICE_NONE);
        assert_true(strlen(conf_table(i)->sentence) > 10);
    }
    snprintf(path, sizeof path, "%s/doc/man/waybill.conf.5", source != NULL ? source : ".");
    if (getenv("WAYBILL_REGENERATE") != NULL) {
        FILE *f = fopen(path, "we");
        assert_non_null(f);
        assert_int_equal(fwrite(wanted.p, 1, wanted.n, f), wanted.n);
        assert_int_equal(fclose(f), 0);
    }
    FILE *f = fopen(path, "re");
    size_t n = f != NULL ? fread(text, 1, sizeof text, f) : 0;
    if (f != NULL)
        fclose(f);
    if (!slice_eq((struct slice){text, n}, buf_slice(&wanted)))
        fail_msg("doc/man/waybill.conf.5 is not what conf.def says; run "
                 "WAYBILL_REGENERATE=1 build/rt_conf_conf_test");
    buf_finish(&wanted);
}

static void an_empty_hostname_is_the_machines(void **state)
{
    struct conf *c = conf_default();
    struct err e;

    (void)state;
    conf_name_host(c);
    assert_string_not_equal(c->hostname, "");
    conf_destroy(&c);
    c = conf_parse("test", SLICE("hostname = mx.example\n"), &e);
    conf_name_host(c);
    assert_string_equal(c->hostname, "mx.example");
    conf_destroy(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        {"without a file everything has its default", defaults, NULL, NULL, NULL},
        {"sections, their names and lookups", sections, NULL, NULL, NULL},
        {"which route ends in Maildirs", which_route_ends_in_maildirs, NULL, NULL, NULL},
        {"what is printed reads back equal", prints_and_reads_back, NULL, NULL, NULL},
        {"a reload says what changed, and what needs a restart", diff, NULL, NULL, NULL},
        {"errors name file, line and value", errors, NULL, NULL, NULL},
        {"an empty hostname is the machine's", an_empty_hostname_is_the_machines, NULL, NULL, NULL},
        {"the manual page is made from the table", manual, NULL, NULL, NULL},
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
