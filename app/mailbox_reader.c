#include "app/mailbox_reader.h"

#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "app/cli.h"
#include "base/ascii.h"
#include "lib/message/header.h"

#define CHUNK_BYTES 262144
#define RELEASE_BYTES ((uint64_t)64 << 20) /* pages of a mapped file are given back this often */
#define NAME_MAX_BYTES 8192

struct reader {
    const struct mailbox_sink *sink;
    struct err *e;
    void *mapped; /* the file's mapping, or NULL */
    size_t mapped_bytes;
    uint64_t released; /* how far the file was read when pages were given back last */
    size_t taken;
};

__attribute__((format(printf, 2, 3))) static void note(struct reader *r, const char *fmt, ...)
{
    char text[512];
    va_list args;

    if (r->sink->note == NULL)
        return;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    r->sink->note(r->sink->ctx, text);
}

/* Tells how far we are; gives back the pages of a large file, so that memory stays flat. */
static void progress(struct reader *r, uint64_t done, uint64_t total)
{
    if (r->sink->progress != NULL)
        r->sink->progress(r->sink->ctx, done, total);
    if (r->mapped == NULL || done < r->released + RELEASE_BYTES)
        return;
    r->released = done;
    (void)madvise(r->mapped, r->mapped_bytes, MADV_DONTNEED);
}

/* --- one message, one mbox --- */

static bool is_mail(struct slice s)
{
    return message_split(slice_sub(s, 0, 65536)).header.n > 0;
}

static bool is_outlook(struct slice s)
{
    return slice_starts(s, SLICE("\xd0\xcf\x11\xe0"));
}

static bool is_archive(struct slice s)
{
    return slice_starts(s, SLICE("PK\x03\x04")) || slice_starts(s, SLICE("PK\x05\x06")) ||
           slice_starts(s, SLICE("\x1f\x8b")) ||
           (s.n > 262 && slice_eq(slice_sub(s, 257, 5), SLICE("ustar")));
}

static int take(struct reader *r, struct slice name, struct slice message)
{
    if (message.n == 0)
        return 0;
    if (is_outlook(message)) {
        note(r,
             "%.*s is an Outlook .msg file: save it as .eml (or drag it into another mail program)",
             SLICE_ARG(name));
        return 0;
    }
    if (!is_mail(message)) {
        note(r, "%.*s is no mail, and was passed over", SLICE_ARG(name));
        return 0;
    }
    r->taken++;
    return r->sink->take(r->sink->ctx, name, message, r->e);
}

/* "From a@b.example Mon Nov 23 22:34:00 2026": the time tells it from text that begins so. */
static bool is_separator(struct slice s)
{
    if (!slice_starts(s, SLICE("From ")))
        return false;
    struct slice rest = slice_sub(s, 0, 300), line = slice_line(&rest);
    for (size_t i = 5; i + 4 < line.n; i++)
        if (ascii_is_digit(line.p[i]) && ascii_is_digit(line.p[i + 1]) && line.p[i + 2] == ':' &&
            ascii_is_digit(line.p[i + 3]))
            return true;
    return false;
}

/* The offset of the next "From " line behind an empty line, looked for from `from` on. */
static size_t next_separator(struct slice s, size_t from)
{
    while (from < s.n) {
        const char *found = memchr(s.p + from, '\n', s.n - from);
        if (found == NULL)
            return SLICE_NONE;
        size_t at = (size_t)(found - s.p) + 1;
        if (at >= s.n || s.p[at] != 'F') {
            from = at;
            continue;
        }
        bool empty_before =
            at < 2 || s.p[at - 2] == '\n' || (at > 2 && s.p[at - 2] == '\r' && s.p[at - 3] == '\n');
        if (empty_before && is_separator(slice_from(s, at)))
            return at;
        from = at;
    }
    return SLICE_NONE;
}

/* Messages of an mbox, or one plain message. The first keeps the file's name alone if it is the
 * only one. */
struct splitter {
    struct slice name;
    size_t number;
    bool is_mbox;
};

static int take_split(struct reader *r, struct splitter *s, struct slice message, bool only)
{
    char name[NAME_MAX_BYTES];

    s->number++;
    if (only && s->number == 1)
        return take(r, s->name, message);
    int n =
        snprintf(name, sizeof name, "%.*s:%zu", SLICE_ARG(slice_sub(s->name, 0, 4000)), s->number);
    return take(r, (struct slice){name, n > 0 ? (size_t)n : 0}, message);
}

static int read_mbox(struct reader *r, struct slice name, struct slice data)
{
    struct splitter s = {.name = name};
    size_t start = 0, at;

    while (start < data.n) {
        at = next_separator(data, start + 1);
        size_t end = at == SLICE_NONE ? data.n : at;
        if (take_split(r, &s, slice_sub(data, start, end - start), at == SLICE_NONE) != 0)
            return -1;
        progress(r, end, data.n);
        start = end;
    }
    return 0;
}

/* --- archives --- */

static bool is_dangerous_name(struct slice name)
{
    if (name.n == 0 || name.p[0] == '/' || name.p[0] == '\\' || (name.n > 1 && name.p[1] == ':'))
        return true;
    while (name.n > 0) {
        size_t n = 0;
        while (n < name.n && name.p[n] != '/' && name.p[n] != '\\')
            n++;
        if (slice_eq(slice_sub(name, 0, n), SLICE("..")))
            return true;
        name = slice_from(name, n + 1);
    }
    return false;
}

/* What programs leave behind in archives. */
static bool is_litter(struct slice name)
{
    size_t slash = slice_find_last(name, '/');
    struct slice base = slash == SLICE_NONE ? name : slice_from(name, slash + 1);

    return slice_search(name, SLICE("__MACOSX/")) != SLICE_NONE ||
           slice_starts(base, SLICE("._")) || slice_eq(base, SLICE(".DS_Store")) ||
           slice_eq_nocase(base, SLICE("thumbs.db")) || slice_ends(base, SLICE(".msf")) ||
           slice_starts(base, SLICE("dovecot"));
}

struct unpack {
    struct reader *r;
    struct archive *archive;
    struct slice path; /* the archive's name, for sentences */
    struct slice data;
    struct buf pending;
    uint64_t total;
};

static int broken(struct unpack *u)
{
    const char *why = archive_error_string(u->archive);

    return err_set(u->r->e, ERR_SYNTAX, "%.*s: the archive is broken or not supported: %s",
                   SLICE_ARG(u->path), why != NULL ? why : "unknown reason");
}

static int check_size(struct unpack *u, struct slice name, uint64_t entry)
{
    if (u->total > MAILBOX_TOTAL_MAX)
        return err_set(u->r->e, ERR_LIMIT, "%.*s: holds more than %llu bytes: refused",
                       SLICE_ARG(u->path), (unsigned long long)MAILBOX_TOTAL_MAX);
    if (entry > MAILBOX_BOMB_BYTES && u->total / MAILBOX_BOMB_RATIO > u->data.n)
        return err_set(u->r->e, ERR_LIMIT,
                       "%.*s: %.*s grows more than %d times when unpacked: refused as a zip bomb",
                       SLICE_ARG(u->path), SLICE_ARG(slice_sub(name, 0, 100)), MAILBOX_BOMB_RATIO);
    if (u->pending.n > MAILBOX_MESSAGE_MAX)
        return err_set(u->r->e, ERR_LIMIT, "%.*s: %.*s is larger than %zu bytes: refused",
                       SLICE_ARG(u->path), SLICE_ARG(slice_sub(name, 0, 100)), MAILBOX_MESSAGE_MAX);
    return 0;
}

/* Hands on the whole messages of an mbox that have arrived; the last one waits for its end. */
static int drain(struct unpack *u, struct splitter *s, size_t *scanned)
{
    struct slice all = buf_slice(&u->pending);
    size_t start = 0, at;

    if (!s->is_mbox)
        return 0;
    while ((at = next_separator(all, *scanned > start ? *scanned : start + 1)) != SLICE_NONE) {
        if (all.n - at < 300 && all.n > 0) /* the separator itself may be cut */
            break;
        if (take_split(u->r, s, slice_sub(all, start, at - start), false) != 0)
            return -1;
        start = at;
        *scanned = at + 1;
    }
    buf_drop(&u->pending, start);
    *scanned = u->pending.n > 300 ? u->pending.n - 300 : 1;
    return 0;
}

static int read_entry(struct unpack *u, struct slice name)
{
    struct splitter s = {.name = name};
    uint64_t entry = 0;
    size_t scanned = 1;
    bool first = true;

    buf_clear(&u->pending);
    for (;;) {
        char *room = buf_room(&u->pending, CHUNK_BYTES);
        if (room == NULL)
            return check_size(u, name, entry) != 0 ? -1 : err_set(u->r->e, ERR_LIMIT, "no room");
        la_ssize_t got = archive_read_data(u->archive, room, CHUNK_BYTES);
        if (got < 0)
            return broken(u);
        if (got == 0)
            break;
        buf_claim(&u->pending, (size_t)got);
        entry += (uint64_t)got;
        u->total += (uint64_t)got;
        if (first) {
            s.is_mbox = is_separator(buf_slice(&u->pending));
            if (is_archive(buf_slice(&u->pending))) {
                note(u->r, "%.*s is an archive inside an archive: unpack it first",
                     SLICE_ARG(name));
                return 0;
            }
        }
        first = false;
        if (drain(u, &s, &scanned) != 0 || check_size(u, name, entry) != 0)
            return -1;
    }
    struct slice rest = buf_slice(&u->pending);
    if (s.is_mbox && next_separator(rest, 1) != SLICE_NONE) {
        size_t at, start = 0;
        while ((at = next_separator(rest, start + 1)) != SLICE_NONE) {
            if (take_split(u->r, &s, slice_sub(rest, start, at - start), false) != 0)
                return -1;
            start = at;
        }
        rest = slice_from(rest, start);
    }
    return take_split(u->r, &s, rest, true);
}

static int read_entries(struct unpack *u)
{
    struct archive_entry *entry;
    char full[NAME_MAX_BYTES];
    int code;

    for (size_t i = 0; (code = archive_read_next_header(u->archive, &entry)) != ARCHIVE_EOF; i++) {
        if (code < ARCHIVE_WARN)
            return broken(u);
        if (i == MAILBOX_ENTRIES_MAX)
            return err_set(u->r->e, ERR_LIMIT, "%.*s: more than %d files: refused",
                           SLICE_ARG(u->path), MAILBOX_ENTRIES_MAX);
        const char *raw = archive_entry_pathname(entry);
        struct slice name = slice_of(raw);
        bool is_raw = archive_format(u->archive) == ARCHIVE_FORMAT_RAW;
        if (!is_raw && is_dangerous_name(name))
            return err_set(u->r->e, ERR_SYNTAX,
                           "%.*s: the name \"%.*s\" points outside of the archive: refused",
                           SLICE_ARG(u->path), SLICE_ARG(slice_sub(name, 0, 100)));
        if (archive_entry_is_encrypted(entry) == 1)
            return err_set(u->r->e, ERR_SYNTAX,
                           "%.*s: is encrypted; unpack it with its password first",
                           SLICE_ARG(u->path));
        if ((!is_raw && archive_entry_filetype(entry) != AE_IFREG) || is_litter(name))
            continue;
        int n = is_raw ? snprintf(full, sizeof full, "%.*s", SLICE_ARG(slice_sub(u->path, 0, 4000)))
                       : snprintf(full, sizeof full, "%.*s/%.*s",
                                  SLICE_ARG(slice_sub(u->path, 0, 4000)),
                                  SLICE_ARG(slice_sub(name, 0, 4000)));
        if (read_entry(u, (struct slice){full, n > 0 ? (size_t)n : 0}) != 0)
            return -1;
        la_int64_t done = archive_filter_bytes(u->archive, -1);
        progress(u->r, done > 0 ? (uint64_t)done : 0, u->data.n);
    }
    return 0;
}

static int read_archive(struct reader *r, struct slice name, struct slice data)
{
    struct unpack u = {.r = r, .path = name, .data = data, .archive = archive_read_new()};
    int result = -1;

    if (u.archive == NULL)
        abort(); /* out of memory, rule 23 */
    buf_init(&u.pending, MAILBOX_MESSAGE_MAX + (size_t)2 * CHUNK_BYTES);
    archive_read_support_format_zip(u.archive);
    archive_read_support_format_tar(u.archive);
    archive_read_support_format_raw(u.archive);
    archive_read_support_filter_gzip(u.archive);
    if (archive_read_open_memory(u.archive, data.p, data.n) != ARCHIVE_OK)
        (void)broken(&u);
    else
        result = read_entries(&u);
    archive_read_free(u.archive);
    buf_finish(&u.pending);
    return result;
}

/* --- files and folders --- */

static int read_bytes(struct reader *r, struct slice name, struct slice data)
{
    size_t before = r->taken;

    if (is_archive(data)) {
        if (read_archive(r, name, data) != 0)
            return -1;
    } else if (is_separator(data)) {
        if (read_mbox(r, name, data) != 0)
            return -1;
    } else if (is_outlook(data)) {
        return err_set(r->e, ERR_SYNTAX,
                       "%.*s: an Outlook .msg file: save it as .eml, or drag it into another mail "
                       "program and save it there",
                       SLICE_ARG(name));
    } else if (is_mail(data)) {
        if (take(r, name, data) != 0)
            return -1;
    }
    if (r->taken == before)
        return err_set(r->e, ERR_SYNTAX, "%.*s: no mail in it", SLICE_ARG(name));
    return 0;
}

int mailbox_read_bytes(struct slice name, struct slice data, const struct mailbox_sink *sink,
                       struct err *e)
{
    struct reader r = {.sink = sink, .e = e};

    return read_bytes(&r, name, data);
}

static int read_file(struct reader *r, const char *path)
{
    struct cli_file file;

    if (cli_file_open(path, CLI_FILE_MAX, &file, r->e) != 0)
        return -1;
    r->mapped = file.mapped;
    r->mapped_bytes = file.data.n;
    r->released = 0;
    int result = read_bytes(r, slice_of(path), file.data);
    r->mapped = NULL;
    cli_file_close(&file);
    return result;
}

static int keep_entry(const struct dirent *d)
{
    return d->d_name[0] != '.';
}

static int read_folder(struct reader *r, const char *path, unsigned depth)
{
    struct dirent **entries = NULL;
    char inner[NAME_MAX_BYTES];
    struct stat st;
    int result = -1, count;

    if (depth == MAILBOX_DEPTH_MAX) {
        note(r, "%s: folders deeper than %d are not read", path, MAILBOX_DEPTH_MAX);
        return 0;
    }
    count = scandir(path, &entries, keep_entry, alphasort);
    if (count < 0)
        return err_system(r->e, errno, "%s", path);
    for (int i = 0; i < count; i++) {
        int n = snprintf(inner, sizeof inner, "%s/%s", path, entries[i]->d_name);
        bool is_tmp = depth == 0 && slice_eq(slice_of(entries[i]->d_name), SLICE("tmp"));
        if (n < 0 || (size_t)n >= sizeof inner || lstat(inner, &st) != 0 || is_tmp ||
            is_litter(slice_of(inner)))
            continue;
        if (S_ISDIR(st.st_mode) && read_folder(r, inner, depth + 1) != 0)
            goto out;
        if (!S_ISREG(st.st_mode) || st.st_size == 0)
            continue;
        struct err why = *r->e;
        if (read_file(r, inner) != 0) {
            if (r->e->code != ERR_SYNTAX)
                goto out;
            note(r, "%s", r->e->text); /* one bad file does not hide the others */
            *r->e = why;
        }
    }
    result = 0;
out:
    for (int i = 0; i < count; i++)
        free(entries[i]);
    free(entries);
    return result;
}

int mailbox_read(const char *path, const struct mailbox_sink *sink, struct err *e)
{
    struct reader r = {.sink = sink, .e = e};
    struct stat st;

    if (slice_eq(slice_of(path), SLICE("-")) || stat(path, &st) != 0 || !S_ISDIR(st.st_mode))
        return read_file(&r, path);
    if (read_folder(&r, path, 0) != 0)
        return -1;
    if (r.taken == 0)
        return err_set(e, ERR_SYNTAX, "%s: no mail in this folder", path);
    return 0;
}
