#include "lib/spf/suggest.h"

#define TERMS_MAX 500 /* of all records together; nobody can evaluate that many */

/* The records of the domain, taken apart: where there are several, they are merged. */
struct parts {
    const struct spf_tree *tree;
    struct slice terms[TERMS_MAX];
    size_t term_count;
    struct slice redirect, exp;
    bool has_all;
    enum spf_result all; /* the strictest */
};

/* An include whose target has no record makes receivers say permerror. */
static bool is_gone(const struct spf_tree *t, struct slice term)
{
    for (const struct spf_node *n = t->nodes; n; n = n->next)
        if (n->depth == 0 && !n->is_record && n->kind == SPF_INCLUDE && n->problem.n > 0 &&
            slice_eq(n->text, term))
            return n->lookups <= 1 && !t->failed;
    return false;
}

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

    if (spf_record_parse(text, &r, &ignored) != 0)
        return;
    for (struct slice rest = r.terms; spf_record_next(&rest, &term);) {
        if (term.kind == SPF_ALL)
            take_all(p, term.qualifier);
        else if (term.kind != SPF_REDIRECT && term.kind != SPF_EXP && p->term_count < TERMS_MAX &&
                 !has_term(p, term.text) && !is_gone(p->tree, term.text))
            p->terms[p->term_count++] = term.text;
    }
    if (r.has_redirect && !r.has_all && p->redirect.n == 0)
        p->redirect = r.redirect.text;
    if (r.has_exp && p->exp.n == 0)
        p->exp = r.exp.text;
}

void spf_suggest_record(const struct spf_tree *t, const struct ip_address *missing, size_t count,
                        struct buf *out)
{
    struct parts p = {.tree = t};
    char text[IP_TEXT_MAX];

    if (t->record_count == 0 && t->record.n > 0)
        take_record(&p, t->record); /* one that is being tried */
    for (size_t i = 0; i < t->record_count; i++)
        take_record(&p, t->records[i]);
    buf_append_text(out, "v=spf1");
    for (size_t i = 0; i < p.term_count; i++) {
        buf_append_char(out, ' ');
        buf_append(out, p.terms[i]);
    }
    for (size_t i = 0; i < count; i++) {
        buf_append_text(out, missing[i].family == IP_V4 ? " ip4:" : " ip6:");
        buf_append(out, (struct slice){text, ip_address_format(&missing[i], text)});
    }
    if (p.redirect.n > 0 && !p.has_all)
        buf_printf(out, " %.*s", SLICE_ARG(p.redirect));
    else
        buf_append_text(out,
                        (t->record_count > 1 ? p.all : t->all) == SPF_FAIL ? " -all" : " ~all");
    if (p.exp.n > 0)
        buf_printf(out, " %.*s", SLICE_ARG(p.exp));
}
