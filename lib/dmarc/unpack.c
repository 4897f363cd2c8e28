#include "lib/dmarc/unpack.h"

#include "lib/message/mime.h"
#include "lib/pack/pack.h"

#define DEPTH_MAX 3 /* mail > zip > gz */

struct unpack {
    size_t bytes_left, found;
    struct arena *arena;
    void (*each)(void *ctx, struct slice xml);
    void *ctx;
    unsigned depth;
    struct err trouble;
};

static void note(struct unpack *u, const struct err *e)
{
    if (u->trouble.code == ERR_NONE)
        u->trouble = *e;
}

static void take(struct unpack *u, struct slice data);

static bool take_member(void *ctx, struct slice file)
{
    struct unpack *u = ctx;
    struct err e;

    if (file.n > u->bytes_left) { /* what was packed inside an earlier member has used it up */
        (void)err_set(&e, ERR_LIMIT, "unpacked, all of it is too large");
        note(u, &e);
        return false;
    }
    u->bytes_left -= file.n;
    take(u, file);
    return true;
}

/* Every leaf that could be a report. */
static void take_mail(struct unpack *u, struct slice data)
{
    struct mime_part *root;
    struct err e;

    if (mime_parse(data, NULL, u->arena, &root, &e)) {
        note(u, &e);
        return;
    }
    for (const struct mime_part *p = root; p; p = mime_next(root, p)) {
        struct buf content;

        if (p->children || mime_is(p, "text/plain") || mime_is(p, "text/html"))
            continue;
        buf_init(&content, u->bytes_left);
        mime_decode(p, &content);
        u->bytes_left -= content.n;
        if (content.full) {
            (void)err_set(&e, ERR_LIMIT, "an attachment is too large");
            note(u, &e);
        } else if (content.n > 0) {
            take(u, buf_slice(&content));
        }
        buf_finish(&content);
    }
}

static void take(struct unpack *u, struct slice data)
{
    struct slice start = slice_trim_start(data);
    struct err e;

    if (slice_starts(start, SLICE("\xef\xbb\xbf")))
        start = slice_from(start, 3);
    if (start.n > 0 && start.p[0] == '<') {
        u->found++;
        u->each(u->ctx, data);
        return;
    }
    u->depth++;
    if (u->depth > DEPTH_MAX) {
        (void)err_set(&e, ERR_LIMIT, "it is packed too deeply");
        note(u, &e);
    } else if (pack_is_one(data)) {
        if (pack_each(data, u->bytes_left, take_member, u, &e) < 0)
            note(u, &e);
    } else if (u->depth == 1) { /* below, it is a picture or a signature: no report */
        take_mail(u, data);
    }
    u->depth--;
}

int dmarc_unpack(struct slice data, size_t bytes_max, struct arena *arena,
                 void (*each)(void *ctx, struct slice xml), void *ctx, struct err *e)
{
    struct unpack u = {.bytes_left = bytes_max, .arena = arena, .each = each, .ctx = ctx};

    take(&u, data);
    if (u.found == 0 && u.trouble.code == ERR_NONE)
        return err_set(e, ERR_FOUND, "there is no report inside");
    if (u.trouble.code == ERR_NONE)
        return 0;
    *e = u.trouble;
    return -1;
}
