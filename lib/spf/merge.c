#include "lib/spf/merge.h"

struct parts {
    struct part {
        struct slice text; /* of a redirect: its domain */
        bool is_redirect;
    } terms[SPF_MERGE_TERMS_MAX];
    size_t term_count, readable;
    struct slice exp;
    bool has_all;
    enum spf_result all; /* the strictest */
};

static bool has_term(const struct parts *p, struct slice term)
{
    for (size_t i = 0; i < p->term_count; i++)
        if (slice_eq_nocase(p->terms[i].text, term))
            return true;
    return false;
}

static void add_part(struct parts *p, struct slice text, bool is_redirect)
{
    if (p->term_count < SPF_MERGE_TERMS_MAX && !has_term(p, text))
        p->terms[p->term_count++] = (struct part){text, is_redirect};
}

static unsigned strictness(enum spf_result all)
{
    return all == SPF_FAIL ? 3 : all == SPF_SOFTFAIL ? 2 : all == SPF_NEUTRAL ? 1 : 0;
}

static void take_all(struct parts *p, enum spf_result all)
{
    if (!p->has_all || strictness(all) > strictness(p->all))
        p->all = all;
    p->has_all = true;
}

static void take_record(struct parts *p, struct slice text)
{
    struct spf_record r = {0};
    struct spf_term term;
    struct err ignored;

    if (!spf_record_is(text) || spf_record_parse(text, &r, &ignored) != 0)
        return;
    p->readable++;
    for (struct slice rest = r.terms; spf_record_next(&rest, &term);) {
        if (term.kind == SPF_ALL)
            take_all(p, term.qualifier);
        else if (term.kind != SPF_REDIRECT && term.kind != SPF_EXP)
            add_part(p, term.text, false);
    }
    if (r.has_redirect && !r.has_all)
        add_part(p, r.redirect.domain, true);
    if (r.has_exp && p->exp.n == 0)
        p->exp = r.exp.text;
}

void spf_merge_records(const struct slice *records, size_t count, struct buf *out)
{
    static const char *const ends[] = {"+all", "?all", "~all", "-all"};
    struct slice redirect = {0};
    struct parts p = {0};

    for (size_t i = 0; i < count && i < SPF_MERGE_RECORDS_MAX; i++)
        take_record(&p, records[i]);
    if (p.readable == 0)
        return;
    buf_append_text(out, "v=spf1");
    for (size_t i = 0; i < p.term_count; i++) {
        if (p.terms[i].is_redirect && !p.has_all && redirect.n == 0) {
            redirect = p.terms[i].text;
            continue;
        }
        buf_append_text(out, p.terms[i].is_redirect ? " include:" : " ");
        buf_append(out, p.terms[i].text);
    }
    if (redirect.n > 0)
        buf_printf(out, " redirect=%.*s", SLICE_ARG(redirect));
    else if (p.has_all)
        buf_printf(out, " %s", ends[strictness(p.all)]);
    if (p.exp.n > 0)
        buf_printf(out, " %.*s", SLICE_ARG(p.exp));
}
