/* What is wrong with a record, in sentences: the judgement of survey.h. */
#include "lib/spf/eval.h"
#include "lib/spf/survey_in.h"

#define UDP_COMFORT_BYTES 450 /* RFC 7208 3.4 */
#define WIDE_BITS4 16
#define WIDE_BITS6 32

static bool is_private(const struct ip_address *a)
{
    const uint8_t *b = a->bytes;

    if (a->family == IP_V4)
        return b[0] == 10 || b[0] == 127 || (b[0] == 172 && (b[1] & 0xf0) == 16) ||
               (b[0] == 192 && b[1] == 168) || (b[0] == 169 && b[1] == 254);
    return (b[0] & 0xfe) == 0xfc || (b[0] == 0xfe && (b[1] & 0xc0) == 0x80);
}

static void judge_term(struct spf_survey *s, struct slice domain, const struct spf_term *t,
                       bool after_all)
{
    struct arena *a = spf_survey_arena(s);
    bool is_ip = t->kind == SPF_IP4 || t->kind == SPF_IP6;
    unsigned bits = t->kind == SPF_IP4 ? t->bits4 : t->bits6;
    unsigned wide = t->kind == SPF_IP4 ? WIDE_BITS4 : WIDE_BITS6;

    if (after_all && t->kind != SPF_EXP && t->kind != SPF_OTHER)
        spf_survey_find(s, SPF_WARNING, "after-all", domain,
                        arena_printf(a, "\"%.*s\" has no effect: it stands behind \"all\"",
                                     SLICE_ARG(t->text)));
    if (t->kind == SPF_PTR)
        spf_survey_find(s, SPF_WARNING, "ptr", domain,
                        arena_printf(a,
                                     "\"%.*s\" is slow, unreliable, and advised against (RFC 7208 "
                                     "5.5): name the addresses",
                                     SLICE_ARG(t->text)));
    if (t->kind == SPF_ALL && t->qualifier == SPF_PASS)
        spf_survey_find(s, SPF_ERROR, "plus-all", domain,
                        SLICE("\"+all\" lets anyone in the world send as this domain: use \"~all\" "
                              "or \"-all\""));
    if (t->kind == SPF_ALL && t->qualifier == SPF_NEUTRAL)
        spf_survey_find(
            s, SPF_WARNING, "neutral-all", domain,
            SLICE("\"?all\" says nothing about other senders: use \"~all\" or \"-all\""));
    if (is_ip && bits < wide)
        spf_survey_find(s, bits == 0 ? SPF_ERROR : SPF_WARNING, "wide", domain,
                        arena_printf(a, "\"%.*s\" is a very large network: are all of it yours?",
                                     SLICE_ARG(t->text)));
    if (is_ip && is_private(&t->network))
        spf_survey_find(s, SPF_HINT, "private", domain,
                        arena_printf(a, "\"%.*s\" is never seen on the Internet: remove it",
                                     SLICE_ARG(t->text)));
    if (t->kind == SPF_OTHER)
        spf_survey_find(
            s, SPF_HINT, "modifier", domain,
            arena_printf(a, "\"%.*s\" is a modifier that no receiver knows", SLICE_ARG(t->text)));
}

static void judge_repeats(struct spf_survey *s, struct slice domain,
                          const struct spf_record *record)
{
    struct spf_term one, other;
    size_t looked_at = 0;

    for (struct slice rest = record->terms; looked_at < 200 && spf_record_next(&rest, &one);
         looked_at++)
        for (struct slice more = rest; spf_record_next(&more, &other);)
            if (slice_eq_nocase(one.text, other.text)) {
                spf_survey_find(s, SPF_HINT, "repeated", domain,
                                arena_printf(spf_survey_arena(s), "\"%.*s\" stands there twice",
                                             SLICE_ARG(one.text)));
                break;
            }
}

void spf_survey_judge_record(struct spf_survey *s, struct slice domain, struct slice text,
                             const struct spf_record *record, unsigned depth)
{
    struct spf_term t;
    bool after_all = false;

    if (depth > 0)
        return; /* another owner's record: only its errors are our business */
    for (struct slice rest = record->terms; spf_record_next(&rest, &t);) {
        judge_term(s, domain, &t, after_all);
        after_all = after_all || t.kind == SPF_ALL;
    }
    judge_repeats(s, domain, record);
    if (!record->has_all && !record->has_redirect)
        spf_survey_find(s, SPF_WARNING, "no-all", domain,
                        SLICE("there is no \"all\": mail from anywhere else is neutral. End the "
                              "record with \"~all\" or \"-all\""));
    if (record->has_all && record->has_redirect)
        spf_survey_find(s, SPF_WARNING, "dead-redirect", domain,
                        SLICE("\"redirect\" has no effect beside \"all\" (RFC 7208 6.1)"));
    if (text.n > UDP_COMFORT_BYTES)
        spf_survey_find(s, SPF_HINT, "long", domain,
                        arena_printf(spf_survey_arena(s),
                                     "the record has %zu bytes; over %d an answer may not fit one "
                                     "UDP packet",
                                     text.n, UDP_COMFORT_BYTES));
}

void spf_survey_judge(struct spf_survey *s, const struct spf_tree *tree)
{
    struct arena *a = spf_survey_arena(s);

    if (tree->lookups > SPF_LOOKUPS_MAX)
        spf_survey_find(
            s, SPF_ERROR, "lookups", tree->domain,
            arena_printf(a,
                         "the record needs %u lookups and only %d are allowed: receivers "
                         "say permerror. Remove includes, or list addresses instead",
                         tree->lookups, SPF_LOOKUPS_MAX));
    else if (tree->lookups >= SPF_LOOKUPS_MAX - 1)
        spf_survey_find(
            s, SPF_WARNING, "lookups", tree->domain,
            arena_printf(a,
                         "the record needs %u of %d lookups: one more include by anyone "
                         "below breaks it",
                         tree->lookups, SPF_LOOKUPS_MAX));
    if (tree->void_lookups > SPF_VOIDS_MAX)
        spf_survey_find(s, SPF_ERROR, "voids", tree->domain,
                        arena_printf(a,
                                     "%u lookups find no record and only %d may: receivers say "
                                     "permerror. Remove the names that went away",
                                     tree->void_lookups, SPF_VOIDS_MAX));
}
