#include "rt/watch/log.h"

#include <time.h>
#include <unistd.h>

#include "base/json.h"

#define LINE_MAX_BYTES 8192u
#define BUFFER_MAX_BYTES (256u * 1024u)
#define ROLE_MAX 32
#define BURST_SLOTS 64 /* event names that are counted at the same time */

/* How often an event was written in the second that runs. */
struct burst {
    const char *event; /* a literal: the pointer is the name */
    int64_t second;
    unsigned count, left_out;
};

struct log {
    int fd;
    enum log_level least;
    bool for_people;
    char role[ROLE_MAX];
    struct loop *loop;
    struct loop_hook hook;
    struct buf out;
    struct burst bursts[BURST_SLOTS];
};

static const struct {
    const char *name, *shown;
} levels[] = {
    [LOG_DEBUG] = {"debug", "\033[2mdebug\033[0m"},
    [LOG_INFO] = {"info", "\033[32minfo \033[0m"},
    [LOG_WARN] = {"warn", "\033[33mwarn \033[0m"},
    [LOG_ERROR] = {"error", "\033[31merror\033[0m"},
};

bool log_level_parse(struct slice name, enum log_level *level_out)
{
    for (unsigned i = 0; i < COUNT(levels); i++) {
        if (slice_eq(name, slice_of(levels[i].name))) {
            *level_out = (enum log_level)i;
            return true;
        }
    }
    return false;
}

struct log *log_create(int fd, const char *role, enum log_level least)
{
    struct log *log = mem_alloc(sizeof *log);

    buf_init(&log->out, BUFFER_MAX_BYTES);
    log->least = least;
    log_set_fd(log, fd);
    log_set_role(log, role);
    return log;
}

void log_destroy(struct log **log)
{
    if (*log == NULL)
        return;
    log_flush(*log);
    loop_hook_remove(&(*log)->hook);
    buf_finish(&(*log)->out);
    free(*log);
    *log = NULL;
}

void log_set_role(struct log *log, const char *role)
{
    if (log != NULL)
        snprintf(log->role, sizeof log->role, "%s", role);
}

void log_set_level(struct log *log, enum log_level least)
{
    if (log != NULL)
        log->least = least;
}

void log_set_fd(struct log *log, int fd)
{
    if (log == NULL)
        return;
    log_flush(log);
    log->fd = fd;
    log->for_people = isatty(fd) == 1;
}

/* A log that cannot be written is no reason to stop the mail: what does not go out is lost. */
void log_flush(struct log *log)
{
    size_t done = 0;

    if (log == NULL)
        return;
    while (done < log->out.n) {
        ssize_t n = write(log->fd, log->out.p + done, log->out.n - done);

        if (n <= 0)
            break;
        done += (size_t)n;
    }
    buf_clear(&log->out);
}

static void on_turn_end(void *ctx)
{
    struct log *log = ctx;

    if (log->out.n > 0)
        log_flush(log);
}

void log_attach(struct log *log, struct loop *l)
{
    if (log == NULL)
        return;
    loop_hook_remove(&log->hook);
    log->loop = l;
    if (l != NULL)
        loop_on_turn_end(l, &log->hook, LOOP_FLUSH, on_turn_end, log);
}

bool log_wants(const struct log *log, enum log_level level)
{
    return log != NULL && level >= log->least;
}

/* --- one line --- */

static size_t stamp(char *out, size_t size, bool with_date)
{
    struct timespec now;
    struct tm tm;
    char text[32];

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
    return (size_t)snprintf(out, size, "%s.%03ldZ",
                            text + (with_date ? 0 : sizeof "2026-01-01T" - 1),
                            now.tv_nsec / 1000000);
}

static void write_json(struct log *log, enum log_level level, const char *event,
                       const struct log_field *fields, size_t count)
{
    char time_text[48];
    struct json j;

    stamp(time_text, sizeof time_text, true);
    json_begin(&j, &log->out);
    json_object(&j);
    json_member_string(&j, "time", time_text);
    json_member_string(&j, "level", levels[level].name);
    json_member_string(&j, "role", log->role);
    json_member_string(&j, "event", event);
    for (size_t i = 0; i < count; i++) {
        const struct log_field *f = &fields[i];

        if (f->kind == LOG_IS_TEXT && f->text.p != NULL)
            json_member_text(&j, f->key, slice_sub(f->text, 0, LINE_MAX_BYTES));
        else if (f->kind == LOG_IS_INT)
            json_member_int(&j, f->key, f->number);
        else if (f->kind == LOG_IS_BOOL)
            json_member_bool(&j, f->key, f->number != 0);
    }
    json_end(&j);
    buf_append_char(&log->out, '\n');
}

/* A text as a word: quoted if it has blanks, and never a control character on a terminal. */
static void write_word(struct buf *out, struct slice text)
{
    bool quote = text.n == 0 || slice_find(text, ' ') != SLICE_NONE;

    if (quote)
        buf_append_char(out, '"');
    for (size_t i = 0; i < text.n && i < LINE_MAX_BYTES; i++) {
        unsigned char c = (unsigned char)text.p[i];

        if (c < 0x20 || c == 0x7f || (c >= 0x80 && c < 0xa0))
            buf_append_char(out, '?');
        else
            buf_append_char(out, text.p[i]);
    }
    if (quote)
        buf_append_char(out, '"');
}

static void write_for_people(struct log *log, enum log_level level, const char *event,
                             const struct log_field *fields, size_t count)
{
    char time_text[48];

    stamp(time_text, sizeof time_text, false);
    buf_printf(&log->out, "\033[2m%s\033[0m %s %-10s \033[1m%s\033[0m", time_text,
               levels[level].shown, log->role, event);
    for (size_t i = 0; i < count; i++) {
        const struct log_field *f = &fields[i];

        if (f->kind == LOG_IS_NOTHING || (f->kind == LOG_IS_TEXT && f->text.p == NULL))
            continue;
        buf_printf(&log->out, " \033[2m%s=\033[0m", f->key);
        if (f->kind == LOG_IS_TEXT)
            write_word(&log->out, f->text);
        else if (f->kind == LOG_IS_INT)
            buf_printf(&log->out, "%lld", (long long)f->number);
        else
            buf_append_text(&log->out, f->number != 0 ? "yes" : "no");
    }
    buf_append_char(&log->out, '\n');
}

static void write_line(struct log *log, enum log_level level, const char *event,
                       const struct log_field *fields, size_t count)
{
    size_t start = log->out.n;

    for (unsigned try = 0; try < 2; try++) {
        if (log->for_people)
            write_for_people(log, level, event, fields, count);
        else
            write_json(log, level, event, fields, count);
        if (!log->out.full)
            break;
        log->out.n = start; /* no half lines: empty the buffer, and once more */
        log_flush(log);
        start = 0;
    }
    if (log->out.full)
        buf_clear(&log->out);
    if (log->loop == NULL || level >= LOG_WARN)
        log_flush(log);
}

/* --- the rate limit --- */

static struct burst *find_burst(struct log *log, const char *event)
{
    size_t at = ((uintptr_t)event >> 3) % BURST_SLOTS;

    return &log->bursts[at];
}

/* May this one be written? Two events that share a slot only lose their count. */
static bool count_burst(struct log *log, const char *event)
{
    struct burst *b = find_burst(log, event);
    int64_t second = loop_clock_us() / 1000000;

    if (b->event != event || b->second != second) {
        const char *late = b->left_out > 0 ? b->event : NULL;
        unsigned left_out = b->left_out;

        *b = (struct burst){.event = event, .second = second};
        if (late != NULL)
            write_line(
                log, LOG_WARN, "log.left_out",
                (const struct log_field[]){LOG_STRING("of", late), LOG_INT("lines", left_out)}, 2);
    }
    if (b->count >= LOG_BURST) {
        b->left_out++;
        return false;
    }
    b->count++;
    return true;
}

void log_write(struct log *log, enum log_level level, const char *event,
               const struct log_field *fields, size_t count)
{
    if (log_wants(log, level) && count_burst(log, event))
        write_line(log, level, event, fields, count);
}
