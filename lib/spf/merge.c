#include "lib/spf/merge.h"

struct parts {
    struct slice terms[SPF_MERGE_TERMS_MAX];
    size_t term_count;
    struct spf_term redirects[SPF_MERGE_RECORDS_MAX];
    size_t redirect_count, readable;
    struct slice exp;
    bool has_all;
    enum spf_result all; /* the strictest */
};

static bool has_term(const struct parts *p, struct slice term)
{
    for (size_t i = 0; i < p->term_count; i++)
        if (slice_eq_nocase(p->terms[i], term))
            return true;
    return false;
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
        else if (term.kind != SPF_REDIRECT && term.kind != SPF_EXP &&
                 p->term_count < SPF_MERGE_TERMS_MAX && !has_term(p, term.text))
            p->terms[p->term_count++] = term.text;
    }
    if (r.has_redirect && !r.has_all)
        p->redirects[p->redirect_count++] = r.redirect;
    if (r.has_exp && p->exp.n == 0)
        p->exp = r.exp.text;
}

void spf_merge_records(const struct slice *records, size_t count, struct buf *out)
{
    static const char *const ends[] = {"+all", "?all", "~all", "-all"};
    struct parts p = {0};
    size_t first;

    for (size_t i = 0; i < count && i < SPF_MERGE_RECORDS_MAX; i++)
        take_record(&p, records[i]);
    if (p.readable == 0)
        return;
    first = p.has_all || p.redirect_count == 0 ? 0 : 1; /* that one stays a redirect */
    buf_append_text(out, "v=spf1");
    for (size_t i = 0; i < p.term_count; i++) {
        buf_append_char(out, ' ');
        buf_append(out, p.terms[i]);
    }
    for (size_t i = first; i < p.redirect_count; i++)
        buf_printf(out, " include:%.*s", SLICE_ARG(p.redirects[i].domain));
    if (first > 0)
        buf_printf(out, " %.*s", SLICE_ARG(p.redirects[0].text));
    else if (p.has_all)
        buf_printf(out, " %s", ends[strictness(p.all)]);
    if (p.exp.n > 0)
        buf_printf(out, " %.*s", SLICE_ARG(p.exp));
}
