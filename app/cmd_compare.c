/* app/cmd_compare.c -- `waybill compare FILE...`: which messages are copies, where their paths
 * part, and why. */
#include <unistd.h>

#include "app/cli.h"
#include "app/compare_ledger.h"
#include "app/compare_text.h"
#include "app/mailbox_reader.h"

#define SUMMARIES_MAX ((size_t)2 << 30)
#define OUTPUT_MAX ((size_t)256 << 20)
#define NOTES_SHOWN 10

int cmd_compare(int argc, char **argv);

struct job {
    struct compare *compare;
    bool on_terminal;
    int percent; /* shown last; -1: none yet */
    size_t notes;
    const char *file;
};

static int take(void *ctx, struct slice name, struct slice message, struct err *e)
{
    struct job *job = ctx;

    return compare_add(job->compare, name, message, e);
}

static void note(void *ctx, const char *sentence)
{
    struct job *job = ctx;

    if (job->notes++ < NOTES_SHOWN)
        cli_warn("%s", sentence);
}

static void progress(void *ctx, uint64_t done, uint64_t total)
{
    struct job *job = ctx;
    int percent = total > 0 ? (int)(done > total ? 100 : done * 100 / total) : 100; /* 0 to 100 */

    if (!job->on_terminal || percent == job->percent || total < (4u << 20))
        return;
    job->percent = percent;
    (void)fprintf(stderr, "\r[%-40.*s] %3d %%  %zu messages", percent * 40 / 100,
                  "########################################", percent, compare_count(job->compare));
    (void)fflush(stderr);
}

static void flush(struct buf *out)
{
    cli_write(out);
}

static bool any_copies(const struct compare_report *r)
{
    for (size_t i = 0; i < r->count; i++)
        if (r->groups[i].count > 1 || r->groups[i].is_collision)
            return true;
    return false;
}

/* Whether the ledger was there is no matter for the answer unless it was asked for. */
static void join_ledger(struct job *job, const struct compare_report *report, const char *path,
                        const char *config)
{
    struct ledger_reader *reader = compare_ledger_open(path, config);
    struct err e = {0};

    if (reader == NULL)
        return;
    if (compare_ledger_join(job->compare, report->groups, report->count, reader, &e) != 0)
        cli_die("%s", e.text);
    ledger_reader_close(&reader);
}

static const struct cli_usage usage = {
    "FILE...", "which messages are copies of one, where their paths part, who copied and why",
    "FILE is an .eml file, an mbox, a Maildir or any folder, a .zip, .tar or .gz of these, or - .\n"
    "Messages attached to a message are compared too. Nothing is written to disk.\n\n"
    "A mail that was forwarded inline has lost its path. To export the original: Gmail \"Download\n"
    "message\"; Outlook \"Save as\" .eml or forward as attachment; Apple Mail \"Save As\", Raw\n"
    "Message Source; Thunderbird \"Save As\" .eml.\n\n"
    "On the server that sent the mail, its ledger joins in: the attempt whose reply was lost.\n\n"
    "Exit status: 0 no copies, 1 copies found, 2 unreadable input."};

int cmd_compare(int argc, char **argv)
{
    bool as_json = false, as_html = false;
    const char *ledger = NULL, *config = NULL;
    const struct cli_option options[] = {
        CLI_JSON(&as_json),
        CLI_FLAG("html", &as_html, "print a web page that stands alone, to mail to a colleague"),
        CLI_TEXT("ledger", &ledger, "PATH", "our own ledger (a file, or the data directory)"),
        CLI_TEXT("config", &config, "FILE", "the settings that tell where the ledger is"),
    };
    int files = cli_parse(&usage, options, COUNT(options), argc, argv);
    struct job job = {.compare = compare_create(SUMMARIES_MAX),
                      .on_terminal = isatty(STDERR_FILENO) != 0};
    const struct mailbox_sink sink = {&job, take, note, progress};
    struct compare_report report = {0};
    struct err e = {0};
    struct buf out;

    if (files == 0)
        cli_die("which files? At least two messages are needed, or one mailbox");
    for (int i = 0; i < files; i++) {
        job.percent = -1;
        int result = mailbox_read(argv[i], &sink, &e);
        if (job.percent >= 0)
            (void)fprintf(stderr, "\r%60s\r", "");
        if (result != 0)
            cli_die("%s", e.text);
    }
    if (job.notes > NOTES_SHOWN)
        cli_warn("%zu more files were passed over", job.notes - NOTES_SHOWN);
    report.messages = compare_count(job.compare);
    if (compare_finish(job.compare, &report.groups, &report.count, &e) != 0)
        cli_die("%s", e.text);
    join_ledger(&job, &report, ledger, config);
    buf_init(&out, OUTPUT_MAX);
    const struct compare_output to = {&out, flush};
    if (as_json)
        compare_json(&report, to);
    else if (as_html)
        compare_html(&report, to);
    else
        compare_text(&report, to);
    bool bad = any_copies(&report);
    buf_finish(&out);
    compare_destroy(&job.compare);
    return bad ? CLI_BAD_ANSWER : CLI_GOOD;
}
