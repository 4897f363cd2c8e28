/* Reports as they come, and what pretends to be one. */
#include "lib/dmarc/unpack.h"

#include "base/test.h"
#include "lib/pack/pack.h"
#include "lib/text/base64.h"

#define CEILING 50000
#define XML "<feedback/>"

enum wrap { PLAIN, GZIP, GZIP_TWICE, GZIP_FOUR_TIMES, BOMB, CUT, ZIP_BOMB };

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
    {"a bomb behind what used up the room", NULL, ZIP_BOMB, 1, ERR_LIMIT},
    {"mail without a report", MAIL "Content-Type: text/plain\r\n\r\n", PLAIN, 0, ERR_FOUND},
};

static void count_xml(void *ctx, struct slice xml)
{
    assert_true(slice_eq(slice_trim(xml), SLICE(XML)));
    ++*(size_t *)ctx;
}

static void pack(struct buf *content)
{
    struct buf packed;
    struct err e;

    buf_init(&packed, 1 << 20);
    assert_int_equal(pack_gzip(buf_slice(content), &packed, &e), 0);
    buf_finish(content);
    *content = packed;
}

static void append_u32(struct buf *out, size_t value)
{
    for (unsigned shift = 0; shift < 32; shift += 8)
        buf_append_char(out, (char)(value >> shift & 0xff)); /* an octet */
}

#define ENTRY_MAX 65536
#define GZIP_HEAD 10
#define GZIP_TAIL 8 /* its checksum and length are those that zip wants */

/* One member of a zip file: its local header and data, and its entry in the directory. */
static void add_member(struct buf *zip, struct buf *directory, struct buf *content)
{
    struct slice tail, data;
    size_t offset = zip->n, bytes = content->n;

    pack(content);
    tail = slice_from(buf_slice(content), content->n - GZIP_TAIL);
    data =
        slice_sub(slice_from(buf_slice(content), GZIP_HEAD), 0, content->n - GZIP_HEAD - GZIP_TAIL);
    for (unsigned i = 0; i < 2; i++) {
        struct buf *out = i == 0 ? zip : directory;

        buf_append(out, i == 0 ? SLICE("PK\x03\x04\x14\0") : SLICE("PK\x01\x02\x14\0\x14\0"));
        buf_append(out, SLICE("\0\0\x08\0\0\0\0\0")); /* flags, deflated, time */
        buf_append(out, slice_sub(tail, 0, 4));
        append_u32(out, data.n);
        append_u32(out, bytes);
        append_u32(out, 0); /* no name */
    }
    buf_append(zip, data);
    append_u32(directory, 0); /* comment, disk */
    buf_append(directory, SLICE("\0\0\0\0\0\0"));
    append_u32(directory, offset);
    buf_clear(content);
}

/* A report in gzip that takes nearly all the room, then a small file that takes a bit more than is
 * left, then a bomb: none of it may be counted below zero. */
static void make_zip_bomb(struct buf *out)
{
    struct buf directory, member;

    buf_init(&directory, ENTRY_MAX);
    buf_init(&member, 1 << 20);
    buf_append_text(&member, XML);
    for (size_t i = 0; i < CEILING - 2000; i++)
        buf_append_char(&member, ' ');
    pack(&member);
    add_member(out, &directory, &member);
    for (size_t i = 0; i < 3000; i++)
        buf_append_char(&member, 'x');
    add_member(out, &directory, &member);
    buf_append_text(&member, XML);
    for (size_t i = 0; i < (size_t)CEILING * 4; i++)
        buf_append_char(&member, ' ');
    pack(&member);
    add_member(out, &directory, &member);
    size_t start = out->n;
    buf_append(out, buf_slice(&directory));
    buf_append(out, SLICE("PK\x05\x06\0\0\0\0\x03\0\x03\0"));
    append_u32(out, directory.n);
    append_u32(out, start);
    buf_append(out, SLICE("\0\0"));
    buf_finish(&directory);
    buf_finish(&member);
}

static void wrap(struct buf *content, enum wrap how)
{
    unsigned times = how == PLAIN ? 0 : how == GZIP_TWICE ? 2 : how == GZIP_FOUR_TIMES ? 4 : 1;

    if (how == ZIP_BOMB) {
        make_zip_bomb(content);
        return;
    }
    if (how == BOMB)
        for (size_t i = 0; i < (size_t)CEILING; i++)
            buf_append_text(content, XML);
    else
        buf_append_text(content, XML);
    for (unsigned i = 0; i < times; i++)
        pack(content);
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
