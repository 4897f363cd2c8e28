#include "base/test.h"
#include "rt/stream/stream.h"

static const struct written {
    const char *name, *text, *shown; /* shown NULL: refused */
} written[] = {
    {"an IPv4 address takes the default port", "192.0.2.1", "192.0.2.1:25"},
    {"an IPv4 address with a port", "192.0.2.1:2525", "192.0.2.1:2525"},
    {"a bare IPv6 address", "2001:db8::1", "[2001:db8::1]:25"},
    {"an IPv6 address with a port", "[::1]:587", "[::1]:587"},
    {"brackets without a port", "[::1]", "[::1]:25"},
    {"all addresses", "*", "[::]:25"},
    {"all addresses with a port", "*:465", "[::]:465"},
    {"a unix socket", "unix:/run/x.sock", "unix:/run/x.sock"},
    {"a unix socket without a path", "unix:", NULL},
    {"a host name", "mail.example", NULL},
    {"a port above 65535", "192.0.2.1:65536", NULL},
    {"a bracket left open", "[::1", NULL},
    {"rubbish behind the bracket", "[::1]25", NULL},
    {"nothing", "", NULL},
};

static void reads(void **state)
{
    const struct written *c = *state;
    char text[ENDPOINT_TEXT_MAX];
    struct endpoint ep;
    struct err e;
    int result = endpoint_parse(c->text, 25, &ep, &e);

    assert_int_equal(result, c->shown != NULL ? 0 : -1);
    if (result != 0) {
        assert_true(e.code == ERR_SYNTAX);
        return;
    }
    endpoint_text(&ep, text);
    assert_string_equal(text, c->shown);
}

int main(void)
{
    RUN_TABLE(written, reads);
}
