/* The queue role delivers into Maildirs itself: it is the one that may write files, and the bodies
 * are here.
 *
 *     route "local.example" { via = { "maildir:/var/mail/%d/%u" } local = yes }
 *
 * A message is written to tmp/, synced, and moved to new/ under a name made of its id, so that an
 * attempt repeated after a crash replaces its own file instead of adding a copy. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/ascii.h"
#include "lib/addr/domain.h"
#include "mta/event/outcome.h"
#include "role/queue_in.h"
#include "role/recipients.h"

#define ARENA_MAX (64u << 20)
#define PATH_MAX_BYTES 4096
#define PART_MAX_BYTES 200 /* of a local part or a domain, as the name of a folder */
#define PIECE_BYTES 65536

static const char *template_of(const struct queue *q, const struct job *job)
{
    const struct conf_route *route =
        conf_route_of_site(q->conf, (struct slice){job->site, job->site_n});

    return route == NULL ? NULL : conf_route_maildir(route);
}

/* --- one file --- */

/* What an address puts into a path names one folder and nothing else. */
static bool put_part(struct slice part, struct buf *out)
{
    if (part.n == 0 || part.n > PART_MAX_BYTES || part.p[0] == '.')
        return false;
    for (size_t i = 0; i < part.n; i++) {
        if (part.p[i] == '/' || (unsigned char)part.p[i] <= ' ' || part.p[i] == 0x7f)
            return false;
        buf_append_char(out, ascii_lower(part.p[i]));
    }
    return true;
}

/* Appends the folder's path, with its NUL. False: no folder can have that name. */
static bool expand(const char *text, struct slice address, struct buf *out)
{
    size_t at = slice_find_last(address, '@');
    struct slice local = slice_sub(address, 0, at), domain = slice_from(address, at + 1);

    for (; *text != '\0'; text++) {
        if (*text != '%' || text[1] == '\0') {
            buf_append_char(out, *text);
            continue;
        }
        text++;
        if (*text == 'u' ? !put_part(local, out) : *text == 'd' ? !put_part(domain, out) : false)
            return false;
        if (*text != 'u' && *text != 'd')
            buf_append_char(out, *text);
    }
    buf_append_char(out, '\0');
    return !out->full;
}

static bool is_folder(const char *path)
{
    struct stat s;

    if (stat(path, &s) < 0)
        return errno != ENOENT && errno != ENOTDIR; /* that will be said when it is written to */
    return S_ISDIR(s.st_mode);
}

/* The Maildir of an address, or of the address without its tag. Nobody but the operator makes one:
 * that it is there is what says that the user exists. */
static bool find_folder(const struct queue *q, const char *template, struct slice address,
                        struct buf *out)
{
    char room[PART_MAX_BYTES * 2 + 2];
    struct buf other = {.p = room, .cap = sizeof room, .max = sizeof room};

    if (expand(template, address, out) && is_folder(out->p))
        return true;
    address = recipient_untagged(address, q->conf->recipient_delimiter, &other);
    buf_clear(out);
    return address.n > 0 && expand(template, address, out) && is_folder(out->p);
}

bool queue_maildir_lacks(const struct queue *q, struct slice address)
{
    const struct conf_route *route = conf_find_route(q->conf, domain_of_address(address));
    const char *template = route == NULL || !route->local ? NULL : conf_route_maildir(route);
    struct buf folder;
    bool found;

    if (template == NULL)
        return false;
    buf_init(&folder, PATH_MAX_BYTES);
    found = find_folder(q, template, address, &folder);
    buf_finish(&folder);
    return !found;
}

static bool write_all(int fd, struct slice bytes)
{
    while (bytes.n > 0) {
        ssize_t n = write(fd, bytes.p, bytes.n);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        bytes = slice_from(bytes, (size_t)n); /* positive */
    }
    return true;
}

/* Maildirs hold lines that end in LF. The room is that of the piece: CR LF only shrinks. */
static struct slice without_cr(char *room, size_t n, bool *held_cr)
{
    size_t to = 0;

    for (size_t i = 0; i < n; i++) {
        if (room[i] == '\r' && i + 1 < n && room[i + 1] == '\n')
            continue;
        if (room[i] == '\r' && i + 1 == n) {
            *held_cr = true; /* a LF may begin the next piece; no bare CR is ever stored */
            break;
        }
        room[to++] = room[i];
    }
    return (struct slice){room, to};
}

static int copy_message(int fd, struct spool_reader *reader, struct err *e)
{
    char room[PIECE_BYTES];
    bool held_cr = false;
    size_t n;

    do {
        if (spool_reader_read(reader, room, sizeof room, &n, e) < 0)
            return -1;
        if (held_cr && (n == 0 || room[0] != '\n') && !write_all(fd, SLICE("\r")))
            return err_system(e, errno, "writing");
        held_cr = false;
        if (!write_all(fd, without_cr(room, n, &held_cr)))
            return err_system(e, errno, "writing");
    } while (n > 0);
    return 0;
}

static int write_file(const struct queue *q, const struct msg_deliver *m,
                      const struct msg_envelope_recipient *to, const char *path, struct err *e)
{
    const struct spool_place place = {
        .segment = m->segment, .offset = m->offset, .head_n = m->head_n, .body_n = m->body_n};
    struct spool_reader reader;
    struct buf top;
    int spool_fd = -1, fd = -1, result = -1;

    buf_init(&top, PIECE_BYTES);
    buf_printf(&top, "Return-Path: <%.*s>\nDelivered-To: %.*s\n", SLICE_ARG(m->sender),
               SLICE_ARG(to->address));
    if (spool_open_read(q->spool_dir, m->segment, &spool_fd, e) < 0 ||
        spool_reader_init(&reader, spool_fd, m->id, &place, e) < 0)
        goto out;
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 || !write_all(fd, buf_slice(&top)))
        (void)err_system(e, errno, "%s", path);
    else if (copy_message(fd, &reader, e) == 0)
        result = fsync(fd) < 0 ? err_system(e, errno, "syncing %s", path) : 0;
    if (result < 0)
        (void)unlink(path);
out:
    if (spool_fd >= 0)
        close(spool_fd);
    if (fd >= 0)
        close(fd);
    buf_finish(&top);
    return result;
}

static int sync_folder(const char *path, struct err *e)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int result = fd < 0 || fsync(fd) < 0 ? err_system(e, errno, "syncing %s", path) : 0;

    if (fd >= 0)
        close(fd);
    return result;
}

static int make_folders(const char *folder, struct err *e)
{
    static const char *const names[] = {"tmp", "new", "cur"};
    char path[PATH_MAX_BYTES + 8];

    for (size_t i = 0; i < COUNT(names); i++) {
        (void)snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        if (mkdir(path, 0700) < 0 && errno != EEXIST)
            return err_system(e, errno, "%s", path);
    }
    return 0;
}

static int deliver_into(const struct queue *q, const struct msg_deliver *m,
                        const struct msg_envelope_recipient *to, const char *folder, struct err *e)
{
    char id[ID_TEXT_N + 1], from[PATH_MAX_BYTES + 320], into[PATH_MAX_BYTES + 320];

    id_encode(m->id, id);
    (void)snprintf(from, sizeof from, "%s/tmp/%s_%u.%.200s", folder, id, to->n, q->conf->hostname);
    (void)snprintf(into, sizeof into, "%s/new/%s_%u.%.200s", folder, id, to->n, q->conf->hostname);
    if (make_folders(folder, e) < 0 || write_file(q, m, to, from, e) < 0)
        return -1;
    if (rename(from, into) < 0)
        return err_system(e, errno, "%s", into);
    (void)snprintf(into, sizeof into, "%s/new", folder);
    return sync_folder(into, e);
}

/* --- one job --- */

static struct msg_outcome_group deliver_to(struct queue *q, const char *template,
                                           const struct msg_deliver *m,
                                           const struct msg_envelope_recipient *to)
{
    struct arena *a = q->maildir.arena;
    struct msg_outcome_group g = {.recipients = arena_printf(a, "%u", to->n)};
    struct buf folder;
    struct err e;

    buf_init(&folder, PATH_MAX_BYTES);
    if (!find_folder(q, template, to->address, &folder)) {
        g.outcome = OUTCOME_BOUNCED;
        g.code = 550;
        g.enhanced = SLICE("5.1.1");
        g.text = SLICE("There is no such mailbox here");
    } else if (deliver_into(q, m, to, folder.p, &e) == 0) {
        g.outcome = OUTCOME_DELIVERED;
        g.code = 250;
        g.enhanced = SLICE("2.0.0");
        g.text = SLICE("Delivered to its Maildir");
    } else {
        g.outcome = OUTCOME_DEFERRED;
        g.code = 451;
        g.enhanced = SLICE("4.3.0");
        g.text = arena_copy(a, slice_of(e.text));
    }
    buf_finish(&folder);
    return g;
}

static void deliver(struct queue *q, const struct job *job)
{
    const char *template = template_of(q, job);
    struct msg_outcome out = {.attempt = job->attempt,
                              .host = SLICE("maildir"),
                              .state = SLICE("maildir"),
                              .start_unix_ms = loop_unix_ms(q->env.loop)};
    struct msg_outcome_group *groups;
    struct msg_deliver m;
    struct buf fact;

    arena_reset(q->maildir.arena);
    if (template == NULL || !msg_deliver_decode(job->frame, q->maildir.arena, &m))
        return; /* the settings changed under it: at the next start it is due again */
    groups = mem_alloc((m.recipients_n + 1) * sizeof *groups);
    for (size_t i = 0; i < m.recipients_n; i++)
        groups[i] = deliver_to(q, template, &m, &m.recipients[i]);
    out.groups = groups;
    out.groups_n = m.recipients_n;
    buf_init(&fact, BUS_FRAME_MAX);
    msg_outcome_encode(&out, &fact);
    queue_take_outcome(q, buf_slice(&fact));
    buf_finish(&fact);
    free(groups);
}

static void deliver_all(void *ctx)
{
    struct queue *q = ctx;
    struct list *link;

    while ((link = list_take_first(&q->maildir.jobs)) != NULL) {
        struct job *job = CONTAINER_OF(link, struct job, maildir);

        list_init(&job->maildir);
        deliver(q, job);
    }
}

bool queue_maildir_take(struct queue *q, struct job *job)
{
    if (template_of(q, job) == NULL)
        return false;
    job->is_maildir = true;
    list_append(&q->maildir.jobs, &job->maildir);
    loop_defer(q->env.loop, &q->maildir.later);
    return true;
}

void queue_maildir_create(struct queue *q)
{
    list_init(&q->maildir.jobs);
    loop_deferred_init(&q->maildir.later, deliver_all, q);
    q->maildir.arena = arena_create(ARENA_MAX);
}

void queue_maildir_destroy(struct queue *q)
{
    struct list *link;

    if (q->maildir.arena == NULL)
        return;
    loop_deferred_cancel(&q->maildir.later);
    while ((link = list_take_first(&q->maildir.jobs)) != NULL) {
        struct job *job = CONTAINER_OF(link, struct job, maildir);

        (void)map_remove(q->attempts, map_key_u64(&job->attempt));
        queue_free_job(&job);
    }
    arena_destroy(&q->maildir.arena);
}
