/* waybill bounce -- what a bounce, complaint or auto-reply says, and what to do about it. */
#include "app/cli.h"
#include "app/mailbox_reader.h"
#include "app/rules.h"
#include "base/ascii.h"
#include "base/json.h"
#include "lib/bounce/report.h"

#include <sys/stat.h>

#define OUTPUT_STEP 65536 /* written out whenever this much has gathered */
#define SHOWN_MAX 300     /* bytes of a foreign text in the answer for people */

static void member(struct json *j, const char *key, struct slice value)
{
    if (value.n > 0)
        json_member_text(j, key, value);
    else
        json_member_string(j, key, NULL);
}

static void recipient_json(struct json *j, const struct bounce_recipient *item)
{
    const struct bounce_verdict *v = &item->verdict;

    json_object(j);
    json_member_text(j, "recipient", item->recipient);
    json_member_string(j, "event", bounce_event_name(item->event));
    member(j, "original_recipient", item->original_recipient);
    member(j, "action", item->action);
    member(j, "status", item->status);
    json_key(j, "reply_code");
    if (item->reply_code > 0)
        json_int(j, item->reply_code);
    else
        json_null(j);
    member(j, "diagnostic", item->diagnostic);
    member(j, "remote_mta", item->remote_mta);
    json_member_string(j, "category",
                       v->category == BOUNCE_CATEGORY_NONE ? bounce_event_name(item->event)
                                                           : bounce_meaning(v->category)->name);
    json_member_bool(j, "hard", v->hard);
    json_member_string(j, "retry", bounce_retry_name(v->retry));
    json_member_string(j, "suppress", v->suppress.text);
    json_member_string(j, "who", v->who);
    json_member_string(j, "rule", v->rule);
    json_end(j);
}

static void print_json(const char *file, const struct bounce_report *report, struct buf *out)
{
    struct json j;

    json_begin(&j, out);
    json_object(&j);
    json_member_string(&j, "file", file);
    json_member_string(&j, "event", bounce_event_name(report->event));
    json_key(&j, "recipients");
    json_array(&j);
    for (size_t i = 0; i < report->count; i++)
        recipient_json(&j, &report->recipients[i]);
    json_end(&j);
    json_key(&j, "original");
    json_object(&j);
    member(&j, "message_id", report->message_id);
    member(&j, "from", report->from);
    member(&j, "subject", report->subject);
    json_end(&j);
    if (report->feedback_type.n > 0)
        member(&j, "feedback_type", report->feedback_type);
    json_end(&j);
    buf_append_char(out, '\n');
}

static void print_recipient(const struct bounce_recipient *item, struct buf *out)
{
    const struct bounce_meaning *m = bounce_meaning(item->verdict.category);
    bool failure = item->event == BOUNCE_FAILED || item->event == BOUNCE_DELAYED;
    enum cli_style style = item->verdict.hard                ? CLI_RED
                           : item->event == BOUNCE_DELIVERED ? CLI_GREEN
                                                             : CLI_YELLOW;

    buf_printf(out, "  %s%s%s  ", cli_style(style), bounce_event_name(item->event),
               cli_style(CLI_PLAIN));
    cli_append_safe(out, item->recipient.n > 0 ? item->recipient : SLICE("(address hidden)"));
    if (item->verdict.category == BOUNCE_CATEGORY_NONE) {
        buf_append_text(out, "\n");
        return;
    }
    buf_printf(out, ": %s%s. %s\n", m->means, item->verdict.hard ? " (hard)" : "",
               item->event == BOUNCE_DELAYED ? "It will be tried again: wait." : m->advice);
    if (!failure)
        return;
    buf_printf(out, "    %s%s, rule %s, retry: %s, suppress: %s%s\n", cli_style(CLI_DIM), m->name,
               item->verdict.rule, bounce_retry_name(item->verdict.retry),
               item->verdict.suppress.text, cli_style(CLI_PLAIN));
    if (item->diagnostic.n > 0) {
        buf_append_text(out, "    ");
        cli_append_safe(out, slice_sub(item->diagnostic, 0, SHOWN_MAX));
        buf_append_text(out, "\n");
    }
}

/* What a file is, when no recipient's line says it. */
static const char *sentence_of(enum bounce_event event)
{
    switch (event) {
    case BOUNCE_AUTO_REPLY:
        return "An automatic reply: the message arrived. Do nothing.";
    case BOUNCE_CHALLENGE:
        return "A challenge: somebody must answer it before the message is shown.";
    case BOUNCE_NOT_A_BOUNCE:
        return "Not a bounce: read it as a normal message.";
    case BOUNCE_AUTH_FAILURE_REPORT:
        return "An authentication failure report: check SPF, DKIM and DMARC with `waybill doctor`.";
    case BOUNCE_NOT_SPAM:
        return "Somebody said that this is not spam. Do nothing.";
    case BOUNCE_COMPLAINT:
        return "A complaint: stop this stream of mail to this person now.";
    case BOUNCE_UNSUBSCRIBE:
        return "A request to leave the list: take the address off it.";
    case BOUNCE_DELIVERED:
    case BOUNCE_RELAYED:
    case BOUNCE_EXPANDED:
        return "A receipt: the message arrived. Do nothing.";
    case BOUNCE_DELAYED:
        return "A delay notice: delivery is still being tried. Wait.";
    case BOUNCE_FAILED:
        return "A bounce: the message was not delivered.";
    }
    return "";
}

static void print_text(const char *file, const struct bounce_report *report, struct buf *out)
{
    buf_printf(out, "%s%s%s: %s\n", cli_style(CLI_BOLD), file, cli_style(CLI_PLAIN),
               sentence_of(report->event));
    for (size_t i = 0; i < report->count; i++)
        print_recipient(&report->recipients[i], out);
    if (report->message_id.n > 0 || report->subject.n > 0) {
        buf_printf(out, "    %sabout ", cli_style(CLI_DIM));
        cli_append_safe(out, slice_sub(report->message_id, 0, SHOWN_MAX));
        buf_append_text(out, " \"");
        cli_append_safe(out, slice_sub(report->subject, 0, SHOWN_MAX));
        buf_printf(out, "\"%s\n", cli_style(CLI_PLAIN));
    }
}

/* "From a@b.example Mon Nov 23 10:00:05 2026", also with a zone before or behind the year. */
static bool is_from_line(struct slice line)
{
    for (size_t i = 5; i + 8 <= line.n; i++) {
        if (line.p[i] == ':' && line.p[i + 3] == ':' && ascii_is_digit(line.p[i - 1]) &&
            ascii_is_digit(line.p[i + 1]) && ascii_is_digit(line.p[i + 4]))
            return ascii_is_digit(line.p[line.n - 1]);
    }
    return false;
}

/* The next message of an mbox file: up to an empty line before a "From " line with a date, behind
 * which a header field stands. Returned messages often begin so too, but without the date. */
static struct slice cut_message(struct slice *rest)
{
    struct slice all = *rest;
    size_t at = 1;

    while (slice_starts(all, SLICE("From "))) {
        size_t found = slice_search(slice_from(all, at), SLICE("\nFrom "));
        if (found == SLICE_NONE)
            break;
        at += found + 1;
        struct slice after = slice_from(all, at), line = slice_line(&after);
        bool blank_before = at >= 2 && (all.p[at - 2] == '\n' || all.p[at - 2] == '\r');
        size_t colon = slice_find(slice_line(&after), ':');
        if (!blank_before || !is_from_line(line) || colon == SLICE_NONE)
            continue;
        *rest = slice_from(all, at);
        return slice_sub(all, 0, at);
    }
    *rest = slice_from(all, all.n);
    return all;
}

struct bounce_run {
    struct bounce_reader *reader;
    struct buf out;
    bool json;
    bool failed; /* some report tells of a failure */
    bool unread; /* some file could not be read: that is said, and the others go on */
};

static int read_message(struct bounce_run *run, const char *name, struct slice message,
                        struct err *e)
{
    struct bounce_report report;

    if (bounce_read(run->reader, message, &report, e) < 0)
        return -1;
    run->failed = run->failed || report.event == BOUNCE_FAILED;
    if (run->json)
        print_json(name, &report, &run->out);
    else
        print_text(name, &report, &run->out);
    if (run->out.n > OUTPUT_STEP)
        cli_write(&run->out);
    return 0;
}

static void read_file(struct bounce_run *run, const char *path)
{
    struct cli_file file;
    struct slice rest;
    struct err e;

    if (cli_file_open(path, CLI_FILE_MAX, &file, &e) != 0) {
        cli_warn("%s", e.text);
        run->unread = true;
        return;
    }
    rest = file.data;
    do {
        if (read_message(run, path, cut_message(&rest), &e) < 0) {
            cli_warn("%s: %s", path, e.text);
            run->unread = true;
        }
    } while (rest.n > 0);
    cli_file_close(&file);
}

static int take_message(void *ctx, struct slice name, struct slice message, struct err *e)
{
    struct bounce_run *run = ctx;
    char path[4096];

    snprintf(path, sizeof path, "%.*s", SLICE_ARG(name));
    return read_message(run, path, message, e);
}

/* A folder (a Maildir, too); else a file. */
static void read_path(struct bounce_run *run, const char *path)
{
    const struct mailbox_sink sink = {run, take_message, NULL, NULL};
    struct stat info;
    struct err e;

    if (stat(path, &info) != 0 || !S_ISDIR(info.st_mode))
        read_file(run, path);
    else if (mailbox_read(path, &sink, &e) < 0) {
        cli_warn("%s", e.text);
        run->unread = true;
    }
}

int cmd_bounce(int argc, char **argv);
int cmd_bounce(int argc, char **argv)
{
    bool json = false;
    const char *rules_dir = NULL;
    const struct cli_option options[] = {
        CLI_JSON(&json),
        APP_RULES_OPTION(&rules_dir),
    };
    static const struct cli_usage usage = {
        "FILE...", "says what bounces, complaints and auto-replies mean, and what to do", NULL};
    int files = cli_parse(&usage, options, COUNT(options), argc, argv);

    if (files == 0)
        cli_die("name a file, a Maildir, or - for standard input");
    struct bounce_rules *rules = app_rules_load(rules_dir);
    struct bounce_run run = {.reader = bounce_reader_create(rules), .json = json};
    buf_init(&run.out, SIZE_MAX);
    for (int i = 0; i < files; i++)
        read_path(&run, argv[i]);
    cli_write(&run.out);
    buf_finish(&run.out);
    bounce_reader_destroy(&run.reader);
    bounce_rules_destroy(&rules);
    return run.unread ? CLI_USAGE : run.failed ? CLI_BAD_ANSWER : CLI_GOOD;
}
