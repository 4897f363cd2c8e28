/* app/cmd_msgid.c -- `waybill msgid check|make`. */
#include <errno.h>
#include <sys/random.h>
#include <unistd.h>

#include "app/cli.h"
#include "app/trace_text.h"
#include "base/arena.h"
#include "base/json.h"
#include "lib/addr/domain.h"
#include "lib/message/header.h"
#include "lib/message/msgid.h"

int cmd_msgid(int argc, char **argv);

static const struct cli_usage usage = {
    "check ID|FILE... | make DOMAIN", "checks Message-IDs, or makes one",
    "check   each ID in angle brackets, or the Message-ID of each FILE (- is standard input)\n"
    "make    one new id whose right side is DOMAIN, a domain that you own"};

static const char *verdict_name(enum msgid_verdict v)
{
    switch (v) {
    case MSGID_GOOD:
        return "good";
    case MSGID_ODD:
        return "odd";
    case MSGID_BAD:
        return "bad";
    }
    return "";
}

static void show(struct slice id, struct msgid_check check, bool as_json, struct buf *out)
{
    struct json j;

    if (as_json) {
        json_begin(&j, out);
        json_object(&j);
        json_member_or_null(&j, "message_id", id);
        json_member_string(&j, "verdict", verdict_name(check.verdict));
        json_member_string(&j, "reason", check.reason);
        json_end(&j);
        buf_append_char(out, '\n');
        return;
    }
    enum cli_style style = check.verdict == MSGID_GOOD  ? CLI_GREEN
                           : check.verdict == MSGID_ODD ? CLI_YELLOW
                                                        : CLI_RED;
    buf_printf(out, "%s%-5s%s ", cli_style(style), verdict_name(check.verdict),
               cli_style(CLI_PLAIN));
    cli_append_safe(out, id.n > 0 ? id : SLICE("(none)"));
    buf_printf(out, "%s%s\n", check.reason != NULL ? "\n      " : "",
               check.reason != NULL ? check.reason : "");
}

/* An id on the command line, or the field of a file. */
static enum msgid_verdict check_one(const char *arg, bool as_json, struct buf *out)
{
    struct slice value = slice_of(arg);

    if (value.n > 0 && (value.p[0] == '<' || slice_find(value, '@') != SLICE_NONE) &&
        access(arg, R_OK) != 0) {
        struct msgid_check check = msgid_check(value);
        show(value, check, as_json, out);
        return check.verdict;
    }
    struct cli_file file = cli_file_need(arg, CLI_FILE_MAX);
    struct arena *a = arena_create((size_t)64 << 20);
    struct header h;
    struct err e = {0};
    if (header_parse(file.data, NULL, a, &h, &e) != 0)
        cli_warn("%s: %s", arg, e.text);
    const struct field *f = header_first(&h, "Message-ID");
    struct msgid_check check = {MSGID_BAD, "There is no Message-ID field."};
    if (f != NULL)
        check = msgid_check(f->value);
    show(f != NULL ? header_unfolded(f->value, a) : (struct slice){NULL, 0}, check, as_json, out);
    arena_destroy(&a);
    cli_file_close(&file);
    return check.verdict;
}

static void make_one(struct slice domain, struct buf *out)
{
    char random[16];

    if (!domain_is_qualified(domain, false))
        cli_die("\"%.*s\" is no full domain name; use one that you own", SLICE_ARG(domain));
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
        cli_die("no random numbers: %s", strerror(errno));
    msgid_make((struct slice){random, sizeof random}, domain, out);
    buf_append_char(out, '\n');
}

int cmd_msgid(int argc, char **argv)
{
    bool as_json = false;
    const struct cli_option options[] = {CLI_JSON(&as_json)};
    int count = cli_parse(&usage, options, COUNT(options), argc, argv);
    enum msgid_verdict worst = MSGID_GOOD;
    struct buf out;

    if (count < 2)
        cli_die("say `msgid check ID` or `msgid make DOMAIN`");
    buf_init(&out, (size_t)16 << 20);
    if (slice_eq(slice_of(argv[0]), SLICE("check"))) {
        for (int i = 1; i < count; i++) {
            enum msgid_verdict v = check_one(argv[i], as_json, &out);
            worst = v > worst ? v : worst;
        }
    } else if (slice_eq(slice_of(argv[0]), SLICE("make")) && count == 2) {
        make_one(slice_of(argv[1]), &out);
    } else {
        cli_die("say `msgid check ID` or `msgid make DOMAIN`");
    }
    cli_write(&out);
    buf_finish(&out);
    return worst == MSGID_BAD ? CLI_BAD_ANSWER : CLI_GOOD;
}
