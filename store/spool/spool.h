/* store/spool/spool.h -- message bodies on stable storage: append-only segment files.
 *
 *     spool/0000000042.seg   many records, 64 MiB or so      (small messages, group commit)
 *     spool/0000000043.big   one record                      (a message over buffer_bytes)
 *     record = header (64 bytes: magic, segment, id, lengths, CRC-32C of each part) body head
 *
 * The head comes after the body on disk, because signatures are known last; readers hand it out
 * first. One process writes (the queue role), in groups:
 *
 *     stage_begin, writer_append..., writer_finish (the place is known now) -- many messages
 *     spool_commit: one pwritev for all small ones, one fdatasync; then the ledger commits
 *
 * A message up to `buffer_bytes` waits in memory until the commit. A larger one gets its own .big
 * file and is written as it streams in, so nothing interleaves; its file is synced by the commit.
 *
 * When a commit fails, no message of the group may be promised. The spool cuts the tail, or, after
 * a failed sync, never writes to that segment again. When the *ledger's* commit fails after a good
 * spool_commit(), nothing needs to be done here: the records stay as dead weight, unclaimed, until
 * their segment goes (the ledger's transaction might yet surface after a crash, so its bodies must
 * not be overwritten).
 *
 * Opening removes segments that the ledger does not know, cuts the torn tail of the newest .seg
 * (found by checksum) and starts a new segment; it reads no other file. */
#ifndef STORE_SPOOL_SPOOL_H
#define STORE_SPOOL_SPOOL_H

#include "store/spool/disk.h"
#include "store/spool/place.h"

struct spool;        /* opaque */
struct spool_writer; /* opaque: one message that is streaming in */

struct spool_settings {
    const char *dir;         /* exists, or is made (its parent must exist) */
    uint64_t segment_bytes;  /* 0: 64 MiB. A segment ends after the group that reaches this */
    size_t buffer_bytes;     /* 0: 256 KiB. Larger messages get their own file */
    unsigned spare_segments; /* 0: 2. Files of removed segments that are kept to be used again */
    const struct disk *disk; /* NULL: disk_system */
    uint64_t last_segment;   /* numbers up to this one are not given out again */
    /* Whether anything refers to the segment; a segment for which this says false is removed at
     * open. NULL keeps all. */
    bool (*is_known)(void *ctx, uint64_t segment);
    void *is_known_ctx;
};

/* What opening found and did. */
struct spool_recovery {
    uint64_t segments;         /* that stay */
    uint64_t removed_segments; /* that nothing referred to */
    uint64_t cut_segment;      /* the newest .seg; 0: there was none */
    uint64_t cut_bytes;        /* of torn tail and unused preallocation, cut from it */
    uint64_t scanned_records;
};

/* Locks the directory (a second opener gets ERR_TEMP). `recovery_out` may be NULL. */
MUST_USE int spool_open(const struct spool_settings *settings, struct spool **spool_out,
                        struct spool_recovery *recovery_out, struct err *e);
/* Drops what was not committed, cuts unused preallocation. NULL is fine; writes NULL back. */
void spool_close(struct spool **spool);

/* --- writing (the queue role only) --- */

/* Begins a message. `size_hint` is the expected body size or 0. Never fails: the first trouble
 * shows in append or finish. */
struct spool_writer *spool_stage_begin(struct spool *spool, struct id id, uint64_t size_hint);
/* Adds bytes to the body. -1 (ERR_SYSTEM) when a large message's file cannot be written: abort. */
MUST_USE int spool_writer_append(struct spool_writer *w, struct slice bytes, struct err *e);
/* Ends the body, adds the head (copied), and puts the message into the next commit. After 0 the
 * writer belongs to the spool and `*w` is NULL; after -1 it must be aborted. */
MUST_USE int spool_writer_finish(struct spool_writer **w, struct slice head,
                                 struct spool_place *place_out, struct err *e);
/* Forgets an unfinished message and its file. NULL is fine; writes NULL back. */
void spool_writer_abort(struct spool_writer **w);

/* Writes and syncs everything finished since the last commit. On -1 none of these messages is
 * stored and their places are void: answer 452 (`spool_is_full()`: disk full) or 451. */
MUST_USE int spool_commit(struct spool *spool, struct err *e);
/* Forgets what was finished since the last commit (the group failed elsewhere). */
void spool_rollback(struct spool *spool);
bool spool_is_full(const struct spool *spool); /* the last failure was ENOSPC or EDQUOT */
bool spool_has_staged(const struct spool *spool);

/* Stages a verified copy of a stored record, under the same id (copy-forward). */
MUST_USE int spool_stage_copy(struct spool *spool, struct id id, const struct spool_place *from,
                              struct spool_place *place_out, struct err *e);
/* Removes a segment in which nothing is needed any more, or keeps its file as a spare: writing over
 * blocks that exist costs a third of the sync of a growing file. Removing one that is gone is fine.
 * The segment now written to, or staged for, is ERR_TEMP. */
MUST_USE int spool_remove_segment(struct spool *spool, uint64_t segment, struct err *e);
uint64_t spool_current_segment(const struct spool *spool); /* of small records; 0: none yet */

/* When idle: fills one more MiB of a spare segment, until there are `spare_segments` of them. Then
 * *more_out is false. A full disk ends it quietly. */
MUST_USE int spool_prepare_step(struct spool *spool, bool *more_out, struct err *e);

struct spool_counters {
    uint64_t commits, syncs, records, bytes, failures;
};
struct spool_counters spool_counters(const struct spool *spool);

/* --- reading (any process that has the directory or a descriptor) --- */

/* A read-only descriptor of a segment, for the outbound role; the caller closes it. -1: ERR_FOUND
 * when there is no such segment. */
MUST_USE int spool_open_read(const char *dir, uint64_t segment, int *fd_out, struct err *e);

/* Hands out head, then body, in pieces, without keeping them. */
struct spool_reader {
    int fd; /* borrowed */
    struct id id;
    struct spool_place place;
    uint32_t head_crc, body_crc, crc;
    uint64_t at;
};
/* Reads and checks the record's header. -1: ERR_SYNTAX when it is not this message's record. */
MUST_USE int spool_reader_init(struct spool_reader *r, int fd, struct id id,
                               const struct spool_place *place, struct err *e);
/* Reads up to `cap` bytes into `room`. *n_out == 0: everything was read and every checksum fits.
 * -1: ERR_SYNTAX, a checksum does not fit (the last piece of head or body is then withheld: do not
 * send the final dot), or ERR_SYSTEM. */
MUST_USE int spool_reader_read(struct spool_reader *r, char *room, size_t cap, size_t *n_out,
                               struct err *e);
/* The whole head, or the whole body, appended to `out`; ERR_LIMIT when it does not fit there. */
MUST_USE int spool_read_head(int fd, struct id id, const struct spool_place *place, struct buf *out,
                             struct err *e);
MUST_USE int spool_read_body(int fd, struct id id, const struct spool_place *place, struct buf *out,
                             struct err *e);

/* --- looking through the files (fsck) --- */

/* Calls `found` for each segment file, in order of number. Stops early when it returns false. */
MUST_USE int spool_each_segment(const char *dir,
                                bool (*found)(void *ctx, uint64_t segment, uint64_t bytes),
                                void *ctx, struct err *e);
/* Walks the records of a segment from the start as long as their checksums fit. `end_out` is where
 * the good part ends. */
MUST_USE int spool_each_record(const char *dir, uint64_t segment,
                               bool (*found)(void *ctx, struct id id,
                                             const struct spool_place *place),
                               void *ctx, uint64_t *end_out, struct err *e);
/* How many bytes from `end` on belong to a record that is not whole: to the end of the file, or 0
 * when nothing follows but unused room. */
uint64_t spool_torn_bytes(const char *dir, uint64_t segment, uint64_t end);

#endif
