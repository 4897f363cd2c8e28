/* Reports as they come, and what pretends to be one. */
#include "lib/dmarc/unpack.h"

#include "base/test.h"
#include "lib/pack/pack.h"
#include "lib/text/base64.h"

#define CEILING 50000
#define XML "<feedback/>"

enum wrap { PLAIN, GZIP, GZIP_TWICE, GZIP_FOUR_TIMES, BOMB, CUT };

struct package {
    const char *name;
    const char *before; /* of mail; then the content comes in base64 */
    enum wrap wrap;
    size_t found;
    enum err_code error;
};
#define MAIL "From: a@b.example\r\nMIME-Version: 1.0\r\nContent-Transfer-Encoding: base64\r\n"

static const struct package packages[] = {
    {"XML alone", NULL, PLAIN, 1, ERR_NONE},
    {"XML in gzip", NULL, GZIP, 1, ERR_NONE},
    {"gzip in gzip", NULL, GZIP_TWICE, 1, ERR_NONE},
    {"packed too deeply", NULL, GZIP_FOUR_TIMES, 0, ERR_LIMIT},
    {"a bomb", NULL, BOMB, 0, ERR_LIMIT},
    {"gzip as mail", MAIL "Content-Type: application/gzip\r\n\r\n", GZIP, 1, ERR_NONE},
    {"the media type is not believed", MAIL "Content-Type: image/png\r\n\r\n", GZIP, 1, ERR_NONE},
    {"a bomb as mail", MAIL "Content-Type: application/gzip\r\n\r\n", BOMB, 0, ERR_LIMIT},
    {"broken gzip as mail", MAIL "Content-Type: application/gzip\r\n\r\n", CUT, 0, ERR_SYNTAX},
    {"mail without a report", MAIL "Content-Type: text/plain\r\n\r\n", PLAIN, 0, ERR_FOUND},
};

static void count_xml(void *ctx, struct slice xml)
{
    assert_true(slice_eq(xml, SLICE(XML)));
    ++*(size_t *)ctx;
}

static void wrap(struct buf *content, enum wrap how)
{
    unsigned times = how == PLAIN ? 0 : how == GZIP_TWICE ? 2 : how == GZIP_FOUR_TIMES ? 4 : 1;
    struct err e;

    if (how == BOMB)
        for (size_t i = 0; i < (size_t)CEILING; i++)
            buf_append_text(content, XML);
    else
        buf_append_text(content, XML);
    for (unsigned i = 0; i < times; i++) {
        struct buf packed;

        buf_init(&packed, 1 << 20);
        assert_int_equal(pack_gzip(buf_slice(content), &packed, &e), 0);
        buf_finish(content);
        *content = packed;
    }
    if (how == CUT)
        content->n -= 4;
}

static void run_package(void **state)
{
    const struct package *c = *state;
    struct arena *arena = arena_create(1 << 20);
    struct buf content, all;
    struct err e = {ERR_NONE, ""};
    size_t found = 0;

    buf_init(&content, 1 << 20);
    buf_init(&all, 1 << 20);
    wrap(&content, c->wrap);
    if (c->before != NULL) {
        buf_append_text(&all, c->before);
        base64_encode_lines(buf_slice(&content), 76, &all);
    } else {
        buf_append(&all, buf_slice(&content));
    }
    int result = dmarc_unpack(buf_slice(&all), CEILING, arena, count_xml, &found, &e);
    assert_int_equal(result, c->error == ERR_NONE ? 0 : -1);
    assert_int_equal(e.code, c->error);
    assert_int_equal(found, c->found);
    buf_finish(&content);
    buf_finish(&all);
    arena_destroy(&arena);
}

int main(void)
{
    struct CMUnitTest tests[COUNT(packages)];

    for (size_t i = 0; i < COUNT(packages); i++)
        tests[i] = (struct CMUnitTest){packages[i].name, run_package, NULL, NULL,
                                       (void *)(uintptr_t)&packages[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
