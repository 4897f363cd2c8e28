/* app/mailbox_reader.h -- messages out of whatever people have: .eml, mbox, Maildir, folders, zip,
 * tar, gzip. The one file that sees libarchive. Nothing is ever written to disk.
 *
 *     path --mailbox_read()--> sink.take(name, message) for each message */
#ifndef APP_MAILBOX_READER_H
#define APP_MAILBOX_READER_H

#include "base/base.h"

#define MAILBOX_MESSAGE_MAX ((size_t)128 << 20) /* one message out of an archive */
#define MAILBOX_TOTAL_MAX ((uint64_t)4 << 30)   /* everything out of one archive */
#define MAILBOX_ENTRIES_MAX 1000000
#define MAILBOX_DEPTH_MAX 8            /* folders in folders */
#define MAILBOX_BOMB_RATIO 200         /* an archive that grows by more ... */
#define MAILBOX_BOMB_BYTES (32u << 20) /* ... in one entry of more than this is refused */

struct mailbox_sink {
    void *ctx;
    /* The slices are borrowed for the call. Not 0 stops the reading with `e`. */
    int (*take)(void *ctx, struct slice name, struct slice message, struct err *e);
    /* A file that is no mail was passed over: a sentence. May be NULL. */
    void (*note)(void *ctx, const char *sentence);
    /* Bytes read of bytes in this file. May be NULL. */
    void (*progress)(void *ctx, uint64_t done, uint64_t total);
};

/* A file, a folder (a Maildir, or anything with mail in it), or "-". Fails on what cannot be
 * opened, is no mail at all, or is a broken, encrypted or hostile archive (names that point
 * outside, bombs). */
MUST_USE int mailbox_read(const char *path, const struct mailbox_sink *sink, struct err *e);

/* The same for bytes in memory. */
MUST_USE int mailbox_read_bytes(struct slice name, struct slice data,
                                const struct mailbox_sink *sink, struct err *e);

#endif
