/* waybill dmarc send: the reports that others asked for, sent now, or only shown. */
#include <time.h>

#include "app/cmd_dmarc_in.h"
#include "app/daemon.h"
#include "lib/message/date.h"
#include "role/control.h"
#include "role/report_making.h"

#define OUTPUT_MAX ((size_t)256 << 20)
#define LIST_MEMORY ((size_t)256 << 20)
#define DAY_S 86400
#define POLL_MS 100
#define PATIENCE_S 300

struct sending {
    const struct conf *conf;
    struct ledger_reader *reader;
    struct arena *arena;
    int64_t first_day, last_day;
    int64_t newest;     /* period before we asked; what is above came with the asking */
    size_t open_n, cap; /* periods that were open then: */
    int64_t *room;
    struct buf out;
    size_t shown, unsent;
};

/* "2026-11-24" to days since 1970. */
static int64_t parse_day(const char *text)
{
    struct slice rest = slice_of(text);
    struct slice year = slice_cut(&rest, '-'), month = slice_cut(&rest, '-');
    uint64_t y, m, d;

    if (!slice_to_u64(year, &y) || !slice_to_u64(month, &m) || !slice_to_u64(rest, &d) ||
        y < 1970 || y > 9999 || m < 1 || m > 12 || d < 1 || d > 31)
        cli_die("--day: %s is no date; say it as 2026-11-24", text);
    return date_from_civil((int64_t)y, (unsigned)m, (unsigned)d, 0, 0, 0) / DAY_S;
}

static void append_day(struct buf *out, int64_t day)
{
    struct date_civil c = date_to_civil(day * DAY_S);

    buf_printf(out, "%04lld-%02u-%02u", (long long)c.year, c.month, c.day);
}

static void each_period(struct sending *s,
                        bool (*period)(void *ctx, const struct ledger_dmarc_period *p))
{
    struct err e;

    if (ledger_each_dmarc_period(s->reader, s->first_day, s->last_day, s->arena, period, s, &e) < 0)
        cli_die("%s", e.text);
}

/* --- a dry run --- */

static bool show_xml(void *ctx, const struct ledger_dmarc_period *p)
{
    struct sending *s = ctx;
    struct arena *arena = arena_create(REPORT_MAKING_BYTES + (1u << 20));
    struct report_making making;
    struct err e;

    if (p->state == LEDGER_DMARC_OPEN) {
        report_making_begin(&making, s->conf, p, report_making_end_of(p, (int64_t)time(NULL)),
                            arena);
        if (ledger_each_dmarc_row(s->reader, p->id, report_making_row, &making, &e) < 0)
            cli_die("%s", e.text);
        report_making_end(&making);
        dmarc_report_write(&making.report, &s->out);
        cli_write(&s->out);
        s->shown++;
    }
    arena_destroy(&arena);
    return true;
}

/* --- sending --- */

static bool note_open(void *ctx, const struct ledger_dmarc_period *p)
{
    struct sending *s = ctx;

    if (p->id > s->newest)
        s->newest = p->id;
    if (p->state != LEDGER_DMARC_OPEN)
        return true;
    if (s->open_n == s->cap) {
        s->cap = s->cap == 0 ? 64 : 2 * s->cap;
        s->room = mem_resize(s->room, s->cap * sizeof *s->room);
    }
    s->room[s->open_n++] = p->id;
    return true;
}

static bool show_period(void *ctx, const struct ledger_dmarc_period *p)
{
    struct sending *s = ctx;
    bool is_ours = p->id > s->newest;

    for (size_t i = 0; i < s->open_n && !is_ours; i++)
        is_ours = s->room[i] == p->id;
    if (!is_ours)
        return true;
    s->shown++;
    s->unsent += p->state != LEDGER_DMARC_SENT;
    append_day(&s->out, p->day);
    buf_append_text(&s->out, "  ");
    cli_append_safe(&s->out, p->domain);
    buf_printf(&s->out, "  %llu message%s in %llu row%s: ", (unsigned long long)p->messages,
               p->messages == 1 ? "" : "s", (unsigned long long)p->rows, p->rows == 1 ? "" : "s");
    buf_append_text(&s->out, p->state == LEDGER_DMARC_OPEN
                                 ? "not yet: DNS did not answer; it is tried again"
                             : p->state == LEDGER_DMARC_SENT ? "sent: "
                                                             : "not sent: ");
    cli_append_safe(&s->out, p->note);
    buf_append_char(&s->out, '\n');
    return true;
}

static struct control_reply ask(const char *socket, const char *verb, const char *argument)
{
    struct control_reply reply;
    struct err e;

    if (control_ask(socket, verb, argument, &reply, &e) < 0)
        cli_die("%s", e.text);
    if (!reply.ok)
        cli_die("%s", reply.text);
    return reply;
}

static void send_all(struct sending *s, const char *day)
{
    const struct timespec pause = {.tv_nsec = POLL_MS * 1000000L};
    char socket[256], number[32] = "";

    if (day != NULL)
        (void)snprintf(number, sizeof number, "%lld", (long long)s->first_day);
    each_period(s, note_open);
    (void)ask(conf_control_socket(s->conf, socket), "dmarc-send", number);
    for (int i = 0; ask(socket, "dmarc-running", "").count > 0; i++) {
        if (i == PATIENCE_S * 1000 / POLL_MS)
            cli_die("it takes long: `waybill dmarc send` again shows what is left");
        (void)nanosleep(&pause, NULL);
    }
    each_period(s, show_period);
    if (s->shown == 0)
        buf_append_text(&s->out, "There is nothing to report.\n");
    cli_write(&s->out);
}

int dmarc_send_run(const char *config, const char *day, bool dry_run)
{
    struct conf *conf = daemon_conf(config, NULL);
    struct sending s = {.conf = conf, .last_day = (int64_t)time(NULL) / DAY_S - 1};

    conf_name_host(conf);
    if (day != NULL)
        s.first_day = s.last_day = parse_day(day);
    s.reader = daemon_ledger(conf);
    s.arena = arena_create(LIST_MEMORY);
    buf_init(&s.out, OUTPUT_MAX);
    if (dry_run)
        each_period(&s, show_xml);
    else
        send_all(&s, day);
    if (dry_run && s.shown == 0)
        cli_warn("there is nothing to report");
    buf_finish(&s.out);
    free(s.room);
    arena_destroy(&s.arena);
    ledger_reader_close(&s.reader);
    conf_destroy(&conf);
    return s.unsent > 0 ? CLI_BAD_ANSWER : CLI_GOOD;
}
