/* waybill classify -- SMTP replies, one a line: what each means for the list. */
#include "app/cli.h"
#include "app/rules.h"
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

struct classify_run {
    struct bounce_rules *rules;
    struct buf out, scratch;
    bool json, test;
    size_t asked, missed; /* of a test */
};

static bool is_one_of(struct slice name, struct slice wanted)
{
    while (wanted.n > 0)
        if (slice_eq(slice_trim(slice_cut(&wanted, '|')), name))
            return true;
    return false;
}

/* "HOST<TAB>reply<TAB>category[|category]", and what else stands in the line is a note. */
static void test_line(struct classify_run *run, struct slice line, const char *file,
                      unsigned number)
{
    struct slice rest = line, host = slice_cut(&rest, '\t'), text = slice_cut(&rest, '\t');
    struct slice wanted = slice_cut(&rest, '\t'), one = wanted;
    const struct bounce_reply reply = {.text = text, .host = slice_trim(host)};
    struct bounce_verdict verdict;
    enum bounce_category category;

    if (line.n == 0 || line.p[0] == '#')
        return;
    if (!bounce_category_find(slice_trim(slice_cut(&one, '|')), &category))
        cli_die("%s:%u: a line is HOST<TAB>reply<TAB>category, with a category that there is", file,
                number);
    bounce_classify(run->rules, &reply, &run->scratch, &verdict);
    const char *name = bounce_meaning(verdict.category)->name;
    run->asked++;
    if (is_one_of(slice_of(name), wanted))
        return;
    run->missed++;
    buf_printf(&run->out, "%s:%u: %s (rule %s), wanted %.*s: ", file, number, name, verdict.rule,
               SLICE_ARG(wanted));
    cli_append_safe(&run->out, slice_sub(text, 0, 300));
    buf_append_text(&run->out, "\n");
}

static void classify_line(struct classify_run *run, struct slice line)
{
    const struct bounce_reply reply = read_reply(line);
    struct bounce_verdict verdict;

    bounce_classify(run->rules, &reply, &run->scratch, &verdict);
    if (run->json)
        print_json(&verdict, &run->out);
    else
        print_text(line, &verdict, &run->out);
}

int cmd_classify(int argc, char **argv);
int cmd_classify(int argc, char **argv)
{
    struct classify_run run = {0};
    const char *rules_dir = NULL;
    const struct cli_option options[] = {
        CLI_JSON(&run.json),
        APP_RULES_OPTION(&rules_dir),
        CLI_FLAG("test", &run.test, "lines are HOST<TAB>reply<TAB>category; print what differs"),
    };
    static const struct cli_usage usage = {
        "[FILE]", "says what SMTP replies mean: one reply a line, HOST<TAB> before it if known",
        NULL};
    int operands = cli_parse(&usage, options, COUNT(options), argc, argv);

    if (operands > 1)
        cli_die("one file at most");
    const char *name = operands == 1 ? argv[0] : "-";
    struct cli_file file = cli_file_need(name, CLI_FILE_MAX);
    struct slice rest = file.data;
    unsigned number = 0;

    run.rules = app_rules_load(rules_dir);
    buf_init(&run.out, SIZE_MAX);
    buf_init(&run.scratch, 2 * BOUNCE_TEXT_MAX);
    while (rest.n > 0) {
        struct slice line = slice_line(&rest);
        number++;
        if (run.test)
            test_line(&run, line, name, number);
        else
            classify_line(&run, slice_trim(line));
        if (run.out.n > OUTPUT_STEP)
            cli_write(&run.out);
    }
    if (run.test)
        buf_printf(&run.out, "%zu of %zu as expected\n", run.asked - run.missed, run.asked);
    cli_write(&run.out);
    buf_finish(&run.scratch);
    buf_finish(&run.out);
    bounce_rules_destroy(&run.rules);
    cli_file_close(&file);
    return run.missed > 0 ? CLI_BAD_ANSWER : CLI_GOOD;
}
