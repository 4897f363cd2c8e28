#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/spool/crc32c.h"
#include "store/spool/spool_in.h"

int spool_open_read(const char *dir, uint64_t segment, int *fd_out, struct err *e)
{
    static const enum segment_kind kinds[] = {SEGMENT_SHARED, SEGMENT_BIG};

    for (size_t i = 0; i < COUNT(kinds); i++) {
        char *path = segment_path(dir, segment, kinds[i]);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        int errnum = errno;
        free(path);
        if (fd >= 0) {
            *fd_out = fd;
            return 0;
        }
        if (errnum != ENOENT)
            return err_system(e, errnum, "cannot open segment %llu in %s",
                              (unsigned long long)segment, dir);
    }
    return err_set(e, ERR_FOUND, "there is no segment %llu in %s", (unsigned long long)segment,
                   dir);
}

/* Reads exactly n bytes; false at the end of the file. */
static bool read_exactly(int fd, char *room, size_t n, uint64_t at, int *errnum_out)
{
    *errnum_out = 0;
    while (n > 0) {
        ssize_t done = pread(fd, room, n, (off_t)at);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0) {
            *errnum_out = done < 0 ? errno : 0;
            return false;
        }
        room += done;
        at += (uint64_t)done;
        n -= (size_t)done;
    }
    return true;
}

static int damaged(const struct spool_reader *r, const char *part, struct err *e)
{
    char text[ID_TEXT_N + 1];

    id_encode(r->id, text);
    return err_set(e, ERR_SYNTAX, "message %s: the %s in segment %llu at %llu is damaged", text,
                   part, (unsigned long long)r->place.segment, (unsigned long long)r->place.offset);
}

int spool_reader_init(struct spool_reader *r, int fd, struct id id, const struct spool_place *place,
                      struct err *e)
{
    unsigned char header[SPOOL_RECORD_HEADER_BYTES];
    struct record record;
    int errnum;

    *r = (struct spool_reader){.fd = fd, .id = id, .place = *place};
    if (!read_exactly(fd, (char *)header, sizeof header, place->offset, &errnum)) {
        if (errnum != 0)
            return err_system(e, errnum, "cannot read segment %llu",
                              (unsigned long long)place->segment);
        return damaged(r, "record", e);
    }
    if (!record_decode(header, &record) || !id_eq(record.id, id) ||
        record.segment != place->segment || record.body_n != place->body_n ||
        record.head_n != place->head_n)
        return damaged(r, "record", e);
    r->head_crc = record.head_crc;
    r->body_crc = record.body_crc;
    return 0;
}

int spool_reader_read(struct spool_reader *r, char *room, size_t cap, size_t *n_out, struct err *e)
{
    bool in_head = r->at < r->place.head_n;
    uint64_t part_n = in_head ? r->place.head_n : r->place.body_n;
    uint64_t part_at = in_head ? r->at : r->at - r->place.head_n;
    uint64_t start = r->place.offset + SPOOL_RECORD_HEADER_BYTES + (in_head ? r->place.body_n : 0);
    uint64_t left = part_n - part_at;
    size_t n = left < cap ? (size_t)left : cap;
    int errnum;

    *n_out = 0;
    if (n == 0)
        return r->place.body_n == 0 && r->body_crc != 0 ? damaged(r, "body", e) : 0;
    if (!read_exactly(r->fd, room, n, start + part_at, &errnum)) {
        if (errnum != 0)
            return err_system(e, errnum, "cannot read segment %llu",
                              (unsigned long long)r->place.segment);
        return damaged(r, in_head ? "head" : "body", e);
    }
    r->crc = crc32c(r->crc, (struct slice){room, n});
    if (part_at + n == part_n) {
        if (r->crc != (in_head ? r->head_crc : r->body_crc))
            return damaged(r, in_head ? "head" : "body", e);
        r->crc = 0;
    }
    r->at += n;
    *n_out = n;
    return 0;
}

static int read_part(int fd, struct id id, const struct spool_place *place, bool head,
                     struct buf *out, struct err *e)
{
    struct spool_reader r;
    uint64_t n = head ? place->head_n : place->body_n;

    if (spool_reader_init(&r, fd, id, place, e) != 0)
        return -1;
    if (n == 0)
        return 0;
    char *room = n <= out->max ? buf_room(out, (size_t)n) : NULL;
    if (room == NULL)
        return err_set(e, ERR_LIMIT, "%llu bytes do not fit into %zu", (unsigned long long)n,
                       out->max);
    r.at = head ? 0 : place->head_n;
    size_t done;
    if (spool_reader_read(&r, room, (size_t)n, &done, e) != 0)
        return -1;
    buf_claim(out, done);
    return 0;
}

int spool_read_head(int fd, struct id id, const struct spool_place *place, struct buf *out,
                    struct err *e)
{
    return read_part(fd, id, place, true, out, e);
}

int spool_read_body(int fd, struct id id, const struct spool_place *place, struct buf *out,
                    struct err *e)
{
    return read_part(fd, id, place, false, out, e);
}

/* --- looking through the files --- */

struct found_segment {
    uint64_t number, bytes;
};

static int compare_segments(const void *a, const void *b)
{
    const struct found_segment *x = a, *y = b;

    return x->number < y->number ? -1 : x->number > y->number;
}

int spool_each_segment(const char *dir, bool (*found)(void *ctx, uint64_t segment, uint64_t bytes),
                       void *ctx, struct err *e)
{
    struct found_segment *all = NULL;
    size_t n = 0, cap = 0;
    DIR *d = opendir(dir);

    if (d == NULL)
        return err_system(e, errno, "cannot open %s", dir);
    for (struct dirent *entry = readdir(d); entry != NULL; entry = readdir(d)) {
        struct found_segment segment;
        enum segment_kind kind;
        struct stat st;
        if (!segment_name_read(entry->d_name, &segment.number, &kind) || kind == SEGMENT_SPARE ||
            fstatat(dirfd(d), entry->d_name, &st, 0) != 0)
            continue;
        segment.bytes = (uint64_t)st.st_size; /* never negative */
        if (n == cap) {
            cap = cap == 0 ? 64 : 2 * cap;
            all = mem_resize(all, cap * sizeof *all);
        }
        all[n++] = segment;
    }
    closedir(d);
    if (n > 0)
        qsort(all, n, sizeof *all, compare_segments);
    for (size_t i = 0; i < n && found(ctx, all[i].number, all[i].bytes); i++)
        ;
    free(all);
    return 0;
}

/* Whether the record is whole; reads all of it. */
static bool is_whole(int fd, const struct record *record, const struct spool_place *place)
{
    struct spool_reader r;
    struct err ignored;
    char piece[16384];
    size_t n;

    if (spool_reader_init(&r, fd, record->id, place, &ignored) != 0)
        return false;
    do {
        if (spool_reader_read(&r, piece, sizeof piece, &n, &ignored) != 0)
            return false;
    } while (n > 0);
    return true;
}

int spool_each_record(const char *dir, uint64_t segment,
                      bool (*found)(void *ctx, struct id id, const struct spool_place *place),
                      void *ctx, uint64_t *end_out, struct err *e)
{
    unsigned char header[SPOOL_RECORD_HEADER_BYTES];
    struct record record;
    struct stat st;
    uint64_t at = 0;
    int fd, errnum;

    if (spool_open_read(dir, segment, &fd, e) != 0)
        return -1;
    if (fstat(fd, &st) != 0)
        st.st_size = 0;
    while (read_exactly(fd, (char *)header, sizeof header, at, &errnum) &&
           record_decode(header, &record) && record.segment == segment) {
        struct spool_place place = {segment, at, record.body_n, record.head_n};
        if (record.body_n > (uint64_t)st.st_size || !is_whole(fd, &record, &place))
            break;
        at += spool_place_bytes(&place);
        if (found != NULL && !found(ctx, record.id, &place))
            break;
    }
    close(fd);
    *end_out = at;
    return 0;
}
