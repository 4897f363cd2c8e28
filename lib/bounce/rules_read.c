/* Reads rule files into a set. One statement a line; what a rule needs stands under it. */
#include "lib/bounce/rules.h"

#include "base/ascii.h"
#include "lib/bounce/rules_in.h"
#include "lib/bounce/shipped_in.h"

#define WORDS_MAX 64 /* on one line */

/* Where we are in a file. */
struct reading {
    struct bounce_rules *rules;
    const char *file;
    unsigned line;
    enum bounce_tier tier;
    struct slice provider;
    struct words hosts;
    struct rule *rule; /* the one that is being filled; NULL before the first */
    bool is_shipped;   /* built with the program, so the patterns are known to be possible */
};

static struct slice cut_word(struct slice *rest)
{
    struct slice s = slice_trim_start(*rest);
    size_t n = 0;

    while (n < s.n && !ascii_is_space(s.p[n]))
        n++;
    *rest = slice_trim_start(slice_from(s, n));
    return slice_sub(s, 0, n);
}

static int complain(const struct reading *r, enum err_code code, const char *what,
                    struct slice value, struct err *e)
{
    return err_set(e, code, "%.80s:%u: %s: \"%.*s\"", r->file, r->line, what,
                   (int)(value.n < 80 ? value.n : 80), value.n > 0 ? value.p : "");
}

static int read_words(struct reading *r, struct slice rest, struct words *words_out, struct err *e)
{
    struct slice items[WORDS_MAX];
    size_t n = 0;

    for (; rest.n > 0 && n < WORDS_MAX; n++)
        items[n] = arena_copy(r->rules->arena, cut_word(&rest));
    if (rest.n > 0)
        return complain(r, ERR_LIMIT, "too many words", rest, e);
    struct slice *kept = arena_array(r->rules->arena, n + 1, sizeof *kept);
    if (kept == NULL)
        return complain(r, ERR_LIMIT, "too many rules in all", rest, e);
    memcpy(kept, items, n * sizeof *kept);
    *words_out = (struct words){kept, n};
    return 0;
}

static int read_tier(struct reading *r, struct slice rest, struct err *e)
{
    static const char *const names[] = {
        [BOUNCE_TIER_PROVIDER] = "provider",
        [BOUNCE_TIER_CODE] = "code",
        [BOUNCE_TIER_TEXT] = "text",
        [BOUNCE_TIER_GUESS] = "guess",
    };

    for (size_t i = 0; i < COUNT(names); i++) {
        if (slice_eq(rest, slice_of(names[i]))) {
            r->tier = (enum bounce_tier)i; /* the table's index is the enum */
            return 0;
        }
    }
    return complain(r, ERR_SYNTAX, "no such tier (provider, code, text, guess)", rest, e);
}

static int read_provider(struct reading *r, struct slice rest, struct err *e)
{
    if (rest.n == 0)
        return complain(r, ERR_SYNTAX, "a provider needs a name", rest, e);
    r->provider = arena_copy(r->rules->arena, rest);
    r->hosts = (struct words){NULL, 0};
    r->rule = NULL;
    return 0;
}

static int read_rule(struct reading *r, struct slice rest, struct err *e)
{
    struct bounce_rules *rules = r->rules;
    struct slice name = cut_word(&rest);
    enum bounce_category category;

    if (name.n == 0)
        return complain(r, ERR_SYNTAX, "a rule needs a name and a category", rest, e);
    if (!bounce_category_find(rest, &category))
        return complain(r, ERR_SYNTAX, "no such category", rest, e);
    if (rules->count >= BOUNCE_RULES_MAX)
        return complain(r, ERR_LIMIT, "too many rules in all", name, e);
    if (rules->count == rules->rules_room) {
        rules->rules_room = rules->rules_room == 0 ? 64 : rules->rules_room * 2;
        rules->rules = mem_resize(rules->rules, rules->rules_room * sizeof *rules->rules);
    }
    struct slice full =
        arena_printf(rules->arena, "%.*s/%.*s", SLICE_ARG(r->provider), SLICE_ARG(name));
    if (full.p == NULL)
        return complain(r, ERR_LIMIT, "too many rules in all", name, e);
    r->rule = &rules->rules[rules->count];
    *r->rule = (struct rule){
        .face = {full.p, category, r->tier},
        .first = rules->pattern_count,
        .hosts = r->hosts,
        .order = rules->count,
    };
    rules->count++;
    return 0;
}

/* Here, because the compiler of all patterns no longer knows in which line one stands. */
static int check_pattern(const struct reading *r, const char *text, struct err *e)
{
    hs_compile_error_t *why = NULL;
    hs_expr_info_t *info = NULL;

    if (hs_expression_info(text, BOUNCE_PATTERN_FLAGS, &info, &why) == HS_SUCCESS) {
        free(info);
        return 0;
    }
    char what[160];
    snprintf(what, sizeof what, "this pattern is not possible (%.120s)", why->message);
    hs_free_compile_error(why);
    return complain(r, ERR_SYNTAX, what, slice_of(text), e);
}

static int read_pattern(struct reading *r, enum pattern_kind kind, struct slice rest, struct err *e)
{
    struct bounce_rules *rules = r->rules;

    if (rest.n == 0)
        return complain(r, ERR_SYNTAX, "a pattern is missing", rest, e);
    if (rest.n > BOUNCE_PATTERN_BYTES)
        return complain(r, ERR_LIMIT, "a pattern is too long", rest, e);
    if (slice_find(rest, '\0') != SLICE_NONE)
        return complain(r, ERR_SYNTAX, "a pattern holds a NUL", rest, e);
    if (rules->pattern_count >= BOUNCE_PATTERNS_MAX)
        return complain(r, ERR_LIMIT, "too many patterns in all", rest, e);
    if (rules->pattern_count == rules->patterns_room) {
        rules->patterns_room = rules->patterns_room == 0 ? 256 : rules->patterns_room * 2;
        rules->patterns =
            mem_resize(rules->patterns, rules->patterns_room * sizeof *rules->patterns);
    }
    const char *text = arena_string(rules->arena, rest);
    if (text == NULL)
        return complain(r, ERR_LIMIT, "too many rules in all", rest, e);
    rules->patterns[rules->pattern_count++] = (struct pattern){text, kind};
    r->rule->patterns++;
    return r->is_shipped ? 0 : check_pattern(r, text, e);
}

static int read_phases(struct reading *r, struct slice rest, struct err *e)
{
    static const struct {
        const char *name;
        enum bounce_phase phase;
    } phases[] = {
        {"connect", BOUNCE_PHASE_CONNECT}, {"helo", BOUNCE_PHASE_HELO},
        {"mail", BOUNCE_PHASE_MAIL},       {"rcpt", BOUNCE_PHASE_RCPT},
        {"data", BOUNCE_PHASE_DATA},       {"unknown", BOUNCE_PHASE_UNKNOWN},
    };

    while (rest.n > 0) {
        struct slice word = cut_word(&rest);
        size_t i = 0;
        while (i < COUNT(phases) && !slice_eq(word, slice_of(phases[i].name)))
            i++;
        if (i == COUNT(phases))
            return complain(r, ERR_SYNTAX, "no such phase", word, e);
        r->rule->phases |= (unsigned)phases[i].phase;
    }
    return 0;
}

/* The statements that belong to a rule. */
static int read_condition(struct reading *r, struct slice word, struct slice rest, struct err *e)
{
    if (r->rule == NULL)
        return complain(r, ERR_SYNTAX, "this stands before any rule, or is no statement", word, e);
    if (slice_eq(word, SLICE("match")))
        return read_pattern(r, PATTERN_MATCH, rest, e);
    if (slice_eq(word, SLICE("need")))
        return read_pattern(r, PATTERN_NEED, rest, e);
    if (slice_eq(word, SLICE("not")))
        return read_pattern(r, PATTERN_NOT, rest, e);
    if (slice_eq(word, SLICE("code")))
        return read_words(r, rest, &r->rule->codes, e);
    if (slice_eq(word, SLICE("status")))
        return read_words(r, rest, &r->rule->statuses, e);
    if (slice_eq(word, SLICE("phase")))
        return read_phases(r, rest, e);
    return complain(r, ERR_SYNTAX, "no such statement", word, e);
}

static int read_statement(struct reading *r, struct slice line, struct err *e)
{
    struct slice rest = line, word = cut_word(&rest);

    if (slice_eq(word, SLICE("tier")))
        return read_tier(r, rest, e);
    if (slice_eq(word, SLICE("provider")))
        return read_provider(r, rest, e);
    if (slice_eq(word, SLICE("host")))
        return read_words(r, rest, &r->hosts, e);
    if (slice_eq(word, SLICE("rule")))
        return read_rule(r, rest, e);
    return read_condition(r, word, rest, e);
}

static int add_file(struct bounce_rules *rules, const char *name, struct slice bytes,
                    bool is_shipped, struct err *e)
{
    struct reading r = {
        .rules = rules,
        .file = name,
        .tier = BOUNCE_TIER_TEXT,
        .provider = SLICE("local"),
        .is_shipped = is_shipped,
    };

    if (bytes.n > BOUNCE_RULE_FILE_MAX)
        return complain(&r, ERR_LIMIT, "the file is too large", SLICE(""), e);
    while (bytes.n > 0) {
        struct slice line = slice_trim(slice_line(&bytes));
        r.line++;
        if (line.n == 0 || line.p[0] == '#')
            continue;
        if (read_statement(&r, line, e) < 0)
            return -1;
    }
    return 0;
}

int bounce_rules_add(struct bounce_rules *rules, const char *name, struct slice bytes,
                     struct err *e)
{
    return add_file(rules, name, bytes, false, e);
}

int bounce_rules_add_shipped(struct bounce_rules *rules, struct err *e)
{
    rules->shipped_first = rules->pattern_count;
    for (size_t i = 0; i < bounce_shipped_count; i++)
        if (add_file(rules, bounce_shipped[i].name, bounce_shipped[i].bytes, true, e) < 0)
            return -1;
    rules->shipped_end = rules->pattern_count;
    return 0;
}
