/* The matching of a compiled set; rules_read.c makes the set from files. */
#include "lib/bounce/rules.h"
#include "lib/bounce/rules_in.h"
#include "lib/bounce/shipped_in.h"

#define RULES_ARENA_MAX (64u << 20)

struct bounce_rules *bounce_rules_create(void)
{
    struct bounce_rules *rules = mem_alloc(sizeof *rules);

    rules->arena = arena_create(RULES_ARENA_MAX);
    return rules;
}

void bounce_rules_destroy(struct bounce_rules **rules)
{
    struct bounce_rules *r = *rules;

    if (r == NULL)
        return;
    hs_free_scratch(r->scratch);
    for (size_t i = 0; i < RULE_STAGES; i++) {
        hs_free_database(r->shipped[i].database);
        hs_free_database(r->own[i].database);
    }
    free(r->rules);
    free(r->patterns);
    free(r->owners);
    free(r->wordless);
    free(r->hit);
    free(r->vetoed);
    free(r->seen);
    arena_destroy(&r->arena);
    free(r);
    *rules = NULL;
}

size_t bounce_rules_count(const struct bounce_rules *rules)
{
    return rules->count;
}

static int compare_rules(const void *a, const void *b)
{
    const struct rule *x = a, *y = b;

    if (x->face.tier != y->face.tier)
        return x->face.tier < y->face.tier ? -1 : 1;
    return x->order < y->order ? -1 : 1;
}

struct hs_database *bounce_unpack(struct slice packed)
{
    hs_database_t *database = NULL;
    hs_scratch_t *scratch = NULL;

    if (packed.n == 0 || hs_deserialize_database(packed.p, packed.n, &database) != HS_SUCCESS)
        return NULL;
    if (hs_alloc_scratch(database, &scratch) != HS_SUCCESS) { /* made for another processor */
        hs_free_database(database);
        return NULL;
    }
    hs_free_scratch(scratch);
    return database;
}

struct hs_database *bounce_compile(const char *const *texts, const unsigned *flags,
                                   const unsigned *ids, size_t count, struct err *e)
{
    hs_platform_info_t here = {0};
    hs_database_t *database = NULL;
    hs_compile_error_t *why = NULL;

    /* AVX2 makes the matching a quarter faster, and machines without it have become rare. */
    if (hs_populate_platform(&here) == HS_SUCCESS)
        here = (hs_platform_info_t){.cpu_features = here.cpu_features & HS_CPU_FEATURES_AVX2};
    if (hs_compile_multi(texts, flags, ids, (unsigned)count, HS_MODE_BLOCK, &here, &database,
                         &why) == HS_SUCCESS)
        return database;
    err_set(e, ERR_SYNTAX, "pattern \"%.120s\": %.100s",
            why->expression >= 0 ? texts[why->expression] : "(all)", why->message);
    hs_free_compile_error(why);
    return NULL;
}

/* The database of those patterns of a stage that were shipped, or of the others. */
static int compile_patterns(struct bounce_rules *rules, size_t stage, bool shipped, struct err *e)
{
    struct patterns *out = shipped ? &rules->shipped[stage] : &rules->own[stage];
    const char **texts = mem_alloc((rules->pattern_count + 1) * sizeof *texts);
    unsigned *flags = mem_alloc((rules->pattern_count + 1) * sizeof *flags);
    unsigned *ids = mem_alloc((rules->pattern_count + 1) * sizeof *ids);
    size_t n = 0;
    int result = 0;

    out->base = shipped ? rules->shipped_first : 0;
    for (size_t i = 0; i < rules->pattern_count; i++) {
        size_t rule = rules->owners[i].rule;
        if (rule < rules->first_rule[stage] || rule >= rules->first_rule[stage + 1] ||
            (i >= rules->shipped_first && i < rules->shipped_end) != shipped)
            continue;
        texts[n] = rules->patterns[i].text;
        flags[n] = BOUNCE_PATTERN_FLAGS;
        ids[n++] = (unsigned)(i - out->base); /* at most BOUNCE_PATTERNS_MAX */
    }
    if (n > 0 && shipped)
        out->database = bounce_unpack(bounce_packed_rules[stage]);
    if (n > 0 && out->database == NULL)
        out->database = bounce_compile(texts, flags, ids, n, e);
    if (n > 0 && out->database == NULL)
        result = -1;
    else if (n > 0 && hs_alloc_scratch(out->database, &rules->scratch) != HS_SUCCESS)
        result = err_set(e, ERR_SYSTEM, "no memory to match rules with");
    free(texts);
    free(flags);
    free(ids);
    return result;
}

/* Which rule a pattern belongs to, and which rules are asked even when no pattern is found. */
static void index_rules(struct bounce_rules *rules)
{
    rules->set_words = rules->count / 64 + 1;
    rules->wordless = mem_alloc(rules->set_words * sizeof *rules->wordless);
    rules->hit = mem_alloc(rules->set_words * sizeof *rules->hit);
    rules->vetoed = mem_alloc(rules->set_words * sizeof *rules->vetoed);
    rules->owners = mem_alloc((rules->pattern_count + 1) * sizeof *rules->owners);
    for (size_t i = 0; i < rules->count; i++) {
        struct rule *rule = &rules->rules[i];
        bool has_match = false;
        for (size_t p = rule->first; p < rule->first + rule->patterns; p++) {
            enum pattern_kind kind = rules->patterns[p].kind;
            rules->owners[p] = (struct owner){(uint16_t)i, (uint8_t)kind}; /* both are small */
            has_match = has_match || kind == PATTERN_MATCH;
            rule->has_need = rule->has_need || kind == PATTERN_NEED;
        }
        if (!has_match)
            rules->wordless[i / 64] |= UINT64_C(1) << i % 64;
        if (rule->face.tier < BOUNCE_TIER_TEXT)
            rules->first_rule[1] = i + 1; /* they are sorted by tier */
    }
    rules->first_rule[RULE_STAGES] = rules->count;
}

int bounce_rules_compile(struct bounce_rules *rules, struct err *e)
{
    if (rules->count > 0)
        qsort(rules->rules, rules->count, sizeof *rules->rules, compare_rules);
    rules->seen = mem_alloc((rules->pattern_count + 1) * sizeof *rules->seen);
    index_rules(rules);
    for (size_t stage = 0; stage < RULE_STAGES; stage++)
        if (compile_patterns(rules, stage, true, e) < 0 ||
            compile_patterns(rules, stage, false, e) < 0)
            return -1;
    return 0;
}

/* Who is told of matches: the set, and where the database's patterns begin in it. */
struct hearer {
    struct bounce_rules *rules;
    size_t base;
};

static int note_match(unsigned id, unsigned long long from, unsigned long long to, unsigned flags,
                      void *ctx)
{
    const struct hearer *hearer = ctx;
    struct bounce_rules *rules = hearer->rules;
    size_t pattern = hearer->base + id;
    struct owner owner = rules->owners[pattern];

    (void)from, (void)to, (void)flags;
    if (owner.kind == PATTERN_MATCH)
        rules->hit[owner.rule / 64] |= UINT64_C(1) << owner.rule % 64;
    else if (owner.kind == PATTERN_NOT)
        rules->vetoed[owner.rule / 64] |= UINT64_C(1) << owner.rule % 64;
    else
        rules->seen[pattern] = rules->round;
    return 0;
}

static void find_patterns(struct bounce_rules *rules, const struct patterns *patterns,
                          struct slice text)
{
    struct hearer hearer = {rules, patterns->base};

    if (patterns->database != NULL && text.n > 0)
        (void)hs_scan(patterns->database, text.p, (unsigned)text.n /* BOUNCE_TEXT_MAX */, 0,
                      rules->scratch, note_match, &hearer);
}

static bool host_fits(struct slice host, const struct words *hosts)
{
    for (size_t i = 0; i < hosts->count; i++) {
        struct slice name = hosts->items[i];
        if (!slice_ends_nocase(host, name))
            continue;
        if (host.n == name.n || host.p[host.n - name.n - 1] == '.')
            return true;
    }
    return false;
}

/* "5.1.1" fits "5.1.1", "5.1.*", "*.1.1" and "5.*.*"; "550" fits "550" and "5**". */
static bool code_fits(struct slice code, struct slice model)
{
    size_t c = 0;

    for (size_t m = 0; m < model.n; m++) {
        if (c >= code.n)
            return false;
        if (model.p[m] != '*') {
            if (code.p[c] != model.p[m])
                return false;
            c++;
            continue;
        }
        c++;
        while (m + 1 < model.n && model.p[m + 1] == '.' && c < code.n && code.p[c] != '.')
            c++;
        if (m + 1 == model.n && slice_find(model, '.') != SLICE_NONE)
            c = code.n; /* the last number of a status */
    }
    return c == code.n;
}

static bool any_code_fits(struct slice code, const struct words *models)
{
    for (size_t i = 0; i < models->count; i++)
        if (code_fits(code, models->items[i]))
            return true;
    return false;
}

static bool needs_fit(const struct bounce_rules *rules, const struct rule *rule)
{
    for (size_t i = rule->first; rule->has_need && i < rule->first + rule->patterns; i++)
        if (rules->owners[i].kind == PATTERN_NEED && rules->seen[i] != rules->round)
            return false;
    return true;
}

static void begin_question(struct bounce_rules *rules)
{
    if (++rules->round == 0) { /* wrapped: every old mark would look new */
        memset(rules->seen, 0, rules->pattern_count * sizeof *rules->seen);
        rules->round = 1;
    }
    memcpy(rules->hit, rules->wordless, rules->set_words * sizeof *rules->hit);
    memset(rules->vetoed, 0, rules->set_words * sizeof *rules->vetoed);
}

/* What is asked, with the reply code as digits. */
struct asked {
    const struct bounce_question *question;
    struct slice code;
};

static bool rule_fits(const struct bounce_rules *rules, const struct rule *rule,
                      const struct asked *asked)
{
    const struct bounce_question *q = asked->question;

    return (rule->hosts.count == 0 || host_fits(q->host, &rule->hosts)) &&
           (rule->codes.count == 0 || any_code_fits(asked->code, &rule->codes)) &&
           (rule->statuses.count == 0 || any_code_fits(q->status, &rule->statuses)) &&
           (rule->phases == 0 || (rule->phases & q->phase) != 0) && needs_fit(rules, rule);
}

/* The first rule of a stage that fits, of those whose words were found. */
static const struct rule *decide(const struct bounce_rules *rules, size_t stage,
                                 const struct asked *asked)
{
    size_t first = rules->first_rule[stage], end = rules->first_rule[stage + 1];

    for (size_t w = first / 64; w < rules->set_words && w * 64 < end; w++) {
        uint64_t left = rules->hit[w] & ~rules->vetoed[w];
        if (w == first / 64)
            left &= UINT64_MAX << first % 64;
        for (; left != 0; left &= left - 1) {
            size_t i = w * 64 + (size_t)__builtin_ctzll(left); /* 0 to 63 */
            if (i >= end)
                return NULL;
            if (rule_fits(rules, &rules->rules[i], asked))
                return &rules->rules[i];
        }
    }
    return NULL;
}

const struct bounce_rule *bounce_rules_match(struct bounce_rules *rules,
                                             const struct bounce_question *question)
{
    struct slice text = slice_sub(question->text, 0, BOUNCE_TEXT_MAX);
    unsigned code = question->code;
    char digits[3] = {(char)('0' + code / 100 % 10), (char)('0' + code / 10 % 10),
                      (char)('0' + code % 10)};
    struct asked asked = {question, {digits, code > 0 ? sizeof digits : 0}};

    begin_question(rules);
    for (size_t stage = 0; stage < RULE_STAGES; stage++) {
        find_patterns(rules, &rules->own[stage], text);
        find_patterns(rules, &rules->shipped[stage], text);
        const struct rule *rule = decide(rules, stage, &asked);
        if (rule != NULL)
            return &rule->face;
    }
    return NULL;
}
