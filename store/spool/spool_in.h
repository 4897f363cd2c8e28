/* store/spool/spool_in.h -- the spool's insides, shared by segment.c, writer.c and spool.c. */
#ifndef STORE_SPOOL_SPOOL_IN_H
#define STORE_SPOOL_SPOOL_IN_H

#include "base/list.h"
#include "store/spool/record_in.h"
#include "store/spool/spool.h"

#define SEGMENT_BYTES_DEFAULT (UINT64_C(64) << 20)
#define BUFFER_BYTES_DEFAULT ((size_t)256 << 10)
#define SPARE_SEGMENTS_DEFAULT 2
#define NAME_MAX_BYTES 40

struct spool {
    char *dir;
    const struct disk *disk;
    uint64_t segment_bytes;
    size_t buffer_bytes;
    int lock_fd;
    uint64_t next_segment; /* the next number to give out */

    /* The segment that small records go to. */
    int fd; /* -1: none is open */
    uint64_t segment;
    uint64_t end;        /* of what is committed */
    uint64_t staged_end; /* of what the next commit will write */

    bool dir_changed; /* a name was made that is not durable yet */
    bool full;
    struct list streaming; /* writers between begin and finish */
    struct list finished;  /* writers that the next commit stores */
    struct spool_counters counters;

    unsigned spares_wanted, spares;
    uint64_t *spare_numbers; /* [spares], names of files that can be used again */
    int filling_fd;          /* the spare that spool_prepare_step() is filling, or -1 */
    uint64_t filling_number, filled_bytes;
};

/* One message on its way in. Small: buffer = room for the header, body, head. Large: the buffer
 * holds what was not written yet. */
struct spool_writer {
    struct list link;
    struct spool *spool;
    struct id id;
    char *buffer;
    size_t n, cap;
    struct record record;
    int fd;          /* of its own file; -1: small */
    uint64_t offset; /* small: in the shared segment. large: where the buffer goes */
};

void writer_destroy(struct spool_writer *w); /* closes and removes its own file */
/* Writes all pieces at `at`, which are consumed; -1 with errno in *errnum_out. */
MUST_USE int write_all(const struct disk *disk, int fd, struct iovec *pieces, int count,
                       uint64_t at, int *errnum_out);
/* Remembers why, for spool_is_full(), and makes the error. -1 */
int spool_fail(struct spool *spool, int errnum, const char *doing, struct err *e);

/* segment.c */
enum segment_kind { SEGMENT_SHARED, SEGMENT_BIG, SEGMENT_SPARE };
void segment_name(char name_out[NAME_MAX_BYTES], uint64_t number, enum segment_kind kind);
bool segment_name_read(const char *name, uint64_t *number_out, enum segment_kind *kind_out);
char *segment_path(const char *dir, uint64_t number, enum segment_kind kind); /* free() it */
MUST_USE int segment_create(struct spool *spool, uint64_t number, enum segment_kind kind,
                            int *fd_out, struct err *e);
/* Makes spool->fd a segment that small records can be put into. */
MUST_USE int segment_ensure(struct spool *spool, struct err *e);
/* Turns a file into a spare, or removes it when there are enough. */
MUST_USE int segment_retire(struct spool *spool, uint64_t number, enum segment_kind kind,
                            struct err *e);

/* recover.c */
MUST_USE int spool_recover(struct spool *spool, const struct spool_settings *settings,
                           struct spool_recovery *recovery, struct err *e);

#endif
