/* waybill classify -- SMTP replies, one a line: what each means for the list. */
#include "app/cli.h"
#include "app/rules.h"
#include "base/ascii.h"
#include "base/json.h"
#include "lib/bounce/classify.h"

#define OUTPUT_STEP 65536 /* written out whenever this much has gathered */

static void print_json(const struct bounce_verdict *v, struct buf *out)
{
    struct json j;

    json_begin(&j, out);
    json_object(&j);
    json_member_string(&j, "category", bounce_meaning(v->category)->name);
    json_member_bool(&j, "hard", v->hard);
    json_member_string(&j, "retry", bounce_retry_name(v->retry));
    json_member_string(&j, "suppress", v->suppress.text);
    json_member_string(&j, "who", v->who);
    json_member_string(&j, "rule", v->rule);
    json_end(&j);
    buf_append_char(out, '\n');
}

static void print_text(struct slice line, const struct bounce_verdict *v, struct buf *out)
{
    const struct bounce_meaning *m = bounce_meaning(v->category);

    buf_printf(out, "%s%-21s%s %s%s. %s\n", cli_style(v->hard ? CLI_RED : CLI_YELLOW), m->name,
               cli_style(CLI_PLAIN), v->hard ? "hard: " : "", m->means, m->advice);
    buf_printf(out, "%*s %sretry: %s, suppress: %s, rule: %s%s\n", 21, "", cli_style(CLI_DIM),
               bounce_retry_name(v->retry), v->suppress.text, v->rule, cli_style(CLI_PLAIN));
    buf_printf(out, "%*s ", 21, "");
    cli_append_safe(out, slice_sub(line, 0, 300));
    buf_append_text(out, "\n");
}

/* "HOST<TAB>reply", or the reply alone. */
static struct bounce_reply read_reply(struct slice line)
{
    struct slice rest = line, host = slice_cut(&rest, '\t');

    if (rest.p == NULL || host.n == line.n)
        return (struct bounce_reply){.text = line};
    if (slice_find(host, ' ') != SLICE_NONE)
        return (struct bounce_reply){.text = line};
    return (struct bounce_reply){.text = rest, .host = host};
}

int cmd_classify(int argc, char **argv);
int cmd_classify(int argc, char **argv)
{
    bool json = false;
    const char *rules_dir = NULL;
    const struct cli_option options[] = {
        CLI_JSON(&json),
        APP_RULES_OPTION(&rules_dir),
    };
    static const struct cli_usage usage = {
        "[FILE]", "says what SMTP replies mean: one reply a line, HOST<TAB> before it if known",
        NULL};
    int operands = cli_parse(&usage, options, COUNT(options), argc, argv);

    if (operands > 1)
        cli_die("one file at most");
    struct cli_file file = cli_file_need(operands == 1 ? argv[0] : "-", CLI_FILE_MAX);
    struct bounce_rules *rules = app_rules_load(rules_dir);
    struct buf out, scratch;
    struct slice rest = file.data;

    buf_init(&out, SIZE_MAX);
    buf_init(&scratch, 2 * BOUNCE_TEXT_MAX);
    while (rest.n > 0) {
        struct slice line = slice_cut(&rest, '\n');
        struct bounce_reply reply = read_reply(slice_trim(line));
        struct bounce_verdict verdict;
        bounce_classify(rules, &reply, &scratch, &verdict);
        if (json)
            print_json(&verdict, &out);
        else
            print_text(slice_trim(line), &verdict, &out);
        if (out.n > OUTPUT_STEP)
            cli_write(&out);
    }
    cli_write(&out);
    buf_finish(&scratch);
    buf_finish(&out);
    bounce_rules_destroy(&rules);
    cli_file_close(&file);
    return CLI_GOOD;
}
