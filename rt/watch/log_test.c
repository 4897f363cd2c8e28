#include "rt/watch/log.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/test.h"

struct page {
    struct log *log;
    struct loop *loop;
    int pipe[2];
};

/* Everything that was written so far, without the time. */
static const char *written(struct page *p)
{
    static char text[256 * 1024];
    ssize_t n = read(p->pipe[0], text, sizeof text - 1);

    text[n > 0 ? n : 0] = '\0';
    return text;
}

static void assert_line(struct page *p, const char *after_time)
{
    const char *text = written(p);

    assert_memory_equal(text, "{\"time\":\"2", 10);
    assert_non_null(strchr(text, ','));
    assert_string_equal(strchr(text, ','), after_time);
}

static void fields(struct page *p)
{
    struct err e;

    (void)err_set(&e, ERR_TEMP, "no route");
    log_info(p->log, "smtp.session", LOG_TEXT("client", SLICE("a \"b\"\n\xff")), LOG_INT("n", -3),
             LOG_BOOL("tls", true), LOG_STRING("none", NULL), LOG_ERR(&e));
    assert_line(p, ",\"level\":\"info\",\"role\":\"queue\",\"event\":\"smtp.session\","
                   "\"client\":\"a \\\"b\\\"\\n\xef\xbf\xbd\",\"n\":-3,\"tls\":true,"
                   "\"error\":\"no route\"}\n");
}

static void no_fields(struct page *p)
{
    log_warn(p->log, "disk.full");
    assert_line(p, ",\"level\":\"warn\",\"role\":\"queue\",\"event\":\"disk.full\"}\n");
}

static int evaluated;
static int evaluate(void)
{
    return ++evaluated;
}

static void level_off(struct page *p)
{
    log_debug(p->log, "x", LOG_INT("n", evaluate()));
    assert_string_equal(written(p), "");
    assert_int_equal(evaluated, 0);
    log_set_level(p->log, LOG_DEBUG);
    log_debug(p->log, "x", LOG_INT("n", evaluate()));
    assert_int_equal(evaluated, 1);
    log_info(NULL, "x", LOG_INT("n", evaluate()));
    assert_int_equal(evaluated, 1);
}

static void once_a_turn(struct page *p)
{
    log_attach(p->log, p->loop);
    log_info(p->log, "one");
    log_info(p->log, "two");
    assert_string_equal(written(p), "");
    loop_turn(p->loop, 0);
    assert_non_null(strstr(written(p), "two"));
    log_info(p->log, "three");
    log_error(p->log, "four"); /* at once, and what came before it first */
    const char *text = written(p);
    assert_true(strstr(text, "three") < strstr(text, "four"));
}

static void burst(struct page *p)
{
    unsigned lines = 0;

    for (unsigned i = 0; i < 10 * LOG_BURST; i++) {
        log_info(p->log, "flood", LOG_INT("i", i));
        for (const char *text = written(p); *text != '\0'; text++)
            lines += *text == '\n';
    }
    assert_in_range(lines, LOG_BURST, 2 * LOG_BURST + 1); /* the second may turn meanwhile */
    usleep(1000 * 1000);
    log_info(p->log, "flood");
    assert_non_null(strstr(written(p), "\"event\":\"log.left_out\",\"of\":\"flood\",\"lines\":1"));
}

static void huge_field(struct page *p)
{
    char *text = mem_alloc(1 << 20);

    memset(text, 'x', 1 << 20);
    log_info(p->log, "huge", LOG_TEXT("body", ((struct slice){text, 1 << 20})));
    assert_in_range(strlen(written(p)), 1000, 10000);
    free(text);
}

static void level_names(struct page *p)
{
    enum log_level level;

    (void)p;
    assert_true(log_level_parse(SLICE("warn"), &level));
    assert_int_equal(level, LOG_WARN);
    assert_false(log_level_parse(SLICE("loud"), &level));
}

static const struct story {
    const char *name;
    void (*run)(struct page *p);
} stories[] = {
    {"fields of every kind, and what JSON must escape", fields},
    {"an event without fields", no_fields},
    {"a level that is off evaluates nothing", level_off},
    {"attached to a loop: one write a turn, warnings at once", once_a_turn},
    {"a flood of one event is cut, and said", burst},
    {"a huge field is cut", huge_field},
    {"names of levels", level_names},
};

static void run(void **state)
{
    const struct story *s = *state;
    struct page p = {.loop = loop_create()};

    assert_int_equal(pipe2(p.pipe, O_NONBLOCK), 0);
    p.log = log_create(p.pipe[1], "queue", LOG_INFO);
    s->run(&p);
    log_destroy(&p.log);
    loop_destroy(&p.loop);
    close(p.pipe[0]);
    close(p.pipe[1]);
}

int main(void)
{
    RUN_TABLE(stories, run);
}
