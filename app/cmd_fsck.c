#include "app/cli.h"
#include "base/json.h"
#include "store/ledger/fsck.h"

int cmd_fsck(int argc, char **argv);

#define SENTENCES_MAX ((size_t)16 << 20)

/* What is wrong, as text lines or as JSON objects. */
struct sentences {
    bool as_json;
    struct buf text;
    struct json json;
};

static void note_fault(void *ctx, enum fsck_fault fault, const char *sentence)
{
    struct sentences *s = ctx;

    if (s->as_json) {
        json_object(&s->json);
        json_member_string(&s->json, "fault", fsck_fault_name(fault));
        json_member_string(&s->json, "text", sentence);
        json_end(&s->json);
    } else {
        buf_printf(&s->text, "%s%s%s: %s\n", cli_style(CLI_RED), fsck_fault_name(fault),
                   cli_style(CLI_PLAIN), sentence);
    }
}

static void add_number(struct json *j, const char *key, uint64_t value)
{
    json_member_int(j, key, (int64_t)value); /* counts of things on one machine */
}

static void finish_json(struct sentences *s, const struct fsck_report *r, bool good)
{
    struct json *j = &s->json;

    json_end(j); /* faults */
    json_member_bool(j, "good", good);
    add_number(j, "messages", r->messages);
    add_number(j, "unfinished", r->unfinished);
    add_number(j, "segments", r->segments);
    add_number(j, "records", r->records);
    add_number(j, "body_bytes", r->body_bytes);
    add_number(j, "unclaimed", r->unclaimed);
    add_number(j, "torn_bytes", r->torn_bytes);
    add_number(j, "fault_count", r->fault_count);
    add_number(j, "repaired", r->repaired);
    json_end(j);
    buf_append_char(&s->text, '\n');
}

static void finish_text(struct buf *out, const struct fsck_report *r, bool repair)
{
    buf_printf(out,
               "%llu messages, %llu unfinished; %llu records in %llu segments; %llu bytes read\n",
               (unsigned long long)r->messages, (unsigned long long)r->unfinished,
               (unsigned long long)r->records, (unsigned long long)r->segments,
               (unsigned long long)r->body_bytes);
    if (r->unclaimed > 0)
        buf_printf(out,
                   "%llu records were never promised to anyone (written just before a crash)\n",
                   (unsigned long long)r->unclaimed);
    if (r->torn_bytes > 0)
        buf_printf(out, "%llu bytes of torn tail; the next start cuts them\n",
                   (unsigned long long)r->torn_bytes);
    if (r->fault_count == 0)
        buf_append_text(out, "Spool and ledger agree. Nothing needs to be done.\n");
    else if (repair)
        buf_printf(out, "%llu faults found, %llu repaired. Run waybill fsck again to see.\n",
                   (unsigned long long)r->fault_count, (unsigned long long)r->repaired);
    else
        buf_printf(out, "%llu faults. Stop the daemon and run waybill fsck --repair.\n",
                   (unsigned long long)r->fault_count);
}

int cmd_fsck(int argc, char **argv)
{
    static const struct cli_usage usage = {
        "[DIR]", "proves that ledger and spool agree",
        "DIR is the daemon's data directory (/var/lib/waybill); it holds ledger.sqlite and spool/. "
        "Every\n"
        "unfinished message must have a whole body; all of them are read. Works beside a running "
        "daemon; --repair needs\n"
        "it stopped. Exit status: 0 they agree, 1 they do not, 2 they cannot be read."};
    bool as_json = false, repair = false;
    const struct cli_option options[] = {
        CLI_JSON(&as_json),
        CLI_FLAG("repair", &repair, "put right what can be; a message without a body is dropped")};
    struct sentences s = {0};
    struct fsck_report report;
    char ledger[4096], spool[4096];
    struct err e;

    int operands = cli_parse(&usage, options, COUNT(options), argc, argv);
    if (operands > 1)
        cli_die("give one data directory");
    const char *dir = operands == 1 ? argv[0] : "/var/lib/waybill";
    s.as_json = as_json;
    snprintf(ledger, sizeof ledger, "%s/ledger.sqlite", dir);
    snprintf(spool, sizeof spool, "%s/spool", dir);
    buf_init(&s.text, SENTENCES_MAX);
    if (as_json) {
        json_begin(&s.json, &s.text);
        json_object(&s.json);
        json_key(&s.json, "faults");
        json_array(&s.json);
    }
    struct fsck_settings settings = {.ledger_path = ledger,
                                     .spool_dir = spool,
                                     .repair = repair,
                                     .now_ms = cli_now(-1) * 1000,
                                     .found = note_fault,
                                     .ctx = &s};
    if (fsck_run(&settings, &report, &e) != 0)
        cli_die("%s", e.text);
    bool good = report.fault_count == 0;
    if (as_json)
        finish_json(&s, &report, good);
    else
        finish_text(&s.text, &report, repair);
    cli_write(&s.text);
    buf_finish(&s.text);
    return good ? CLI_GOOD : CLI_BAD_ANSWER;
}
