/* What a value may look like: each line is one setting in a file. */
#include "base/test.h"
#include "rt/conf/conf.h"

static const struct line {
    const char *name, *text, *setting;
    const char *shown; /* as conf_get() writes it; NULL: refused */
    const char *words; /* of the error */
} lines[] = {
    {"a number", "retry_jitter = 5", "retry_jitter", "5", NULL},
    {"a number too large", "retry_jitter = 101", "retry_jitter", NULL, "at most 100"},
    {"a number too small", "inbound_processes = 0", "inbound_processes", NULL, "at least 1"},
    {"no number", "inbound_processes = many", "inbound_processes", NULL, "must be a number"},
    {"a size with its unit", "message_size_max = 10MiB", "message_size_max", "10MiB", NULL},
    {"a size in bytes", "message_size_max = 2048", "message_size_max", "2KiB", NULL},
    {"a size with half a unit", "message_size_max = 10M", "message_size_max", NULL,
     "such as 50MiB"},
    {"a size beyond 64 bits", "message_size_max = 99999999999999TiB", "message_size_max", NULL,
     "such as 50MiB"},
    {"a time", "expire = 90s", "expire", "90s", NULL},
    {"a time of two parts", "expire = 1h30m", "expire", "90m", NULL},
    {"a time without unit", "expire = 5", "expire", NULL, "such as 30s"},
    {"zero time", "idempotency_window = 0s", "idempotency_window", "0s", NULL},
    {"yes", "sandbox = yes", "sandbox", "yes", NULL},
    {"off", "sandbox = off", "sandbox", "no", NULL},
    {"maybe", "sandbox = maybe", "sandbox", NULL, "yes or no"},
    {"a choice", "log_level = debug", "log_level", "debug", NULL},
    {"no choice", "log_level = loud", "log_level", NULL, "debug|info|warn|error"},
    {"text with blanks", "source_address = \"a b\"", "source_address", "\"a b\"", NULL},
    {"text with quotes", "source_address = \"a\\\"\\\\\\$b\"", "source_address",
     "\"a\\\"\\\\\\$b\"", NULL},
    {"text with a line end", "source_address = \"a\\nb\"", "source_address", NULL,
     "control character"},
    {"a list of times", "retry = {1m, 90s}", "retry", "{1m, 90s}", NULL},
    {"an empty list where one is needed", "retry = {}", "retry", NULL, "at least one"},
    {"an empty list", "relay_networks = {}", "relay_networks", "{}", NULL},
    {"networks", "relay_networks = {10.0.0.0/8, \"2001:db8::/32\", 192.0.2.1}", "relay_networks",
     "{\"10.0.0.0/8\", \"2001:db8::/32\", \"192.0.2.1/32\"}", NULL},
    {"a network with bits behind its prefix", "relay_networks = {10.0.0.1/8}", "relay_networks",
     NULL, "10.0.0.1/8"},
};

static void reads(void **state)
{
    const struct line *l = *state;
    struct buf shown;
    struct err e;
    struct conf *c = conf_parse("test.conf", slice_of(l->text), &e);

    if (l->shown == NULL) {
        assert_null(c);
        assert_non_null(strstr(e.text, l->words));
        assert_memory_equal(e.text, "test.conf:", 10);
        return;
    }
    if (c == NULL)
        fail_msg("%s", e.text);
    buf_init(&shown, 1000);
    assert_true(conf_get(c, l->setting, &shown));
    buf_append_char(&shown, '\0');
    assert_string_equal(shown.p, l->shown);
    buf_finish(&shown);
    conf_destroy(&c);
}

int main(void)
{
    RUN_TABLE(lines, reads);
}
