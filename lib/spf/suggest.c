#include "lib/spf/suggest.h"

/* An include whose target has no record makes receivers say permerror, and so do three terms that
 * find no address. */
static bool is_gone(const struct spf_tree *t, struct slice term)
{
    for (const struct spf_node *n = t->nodes; n && !t->failed; n = n->next) {
        bool is_dead =
            n->kind == SPF_INCLUDE ? n->problem.n > 0 && n->lookups <= 1 : n->finds_nothing;

        if (n->depth == 0 && !n->is_record && slice_eq(n->text, term))
            return is_dead;
    }
    return false;
}

void spf_suggest_record(const struct spf_tree *t, const struct ip_address *missing, size_t count,
                        struct buf *out)
{
    struct spf_record r = {0};
    struct spf_term term;
    struct err ignored;
    char text[IP_TEXT_MAX];
    bool usable = t->record.n > 0 && spf_record_parse(t->record, &r, &ignored) == 0;

    buf_append_text(out, "v=spf1");
    if (usable)
        for (struct slice rest = r.terms; spf_record_next(&rest, &term);)
            if (term.kind != SPF_ALL && term.kind != SPF_REDIRECT && term.kind != SPF_EXP &&
                !is_gone(t, term.text)) {
                buf_append_char(out, ' ');
                buf_append(out, term.text);
            }
    for (size_t i = 0; i < count; i++) {
        buf_append_text(out, missing[i].family == IP_V4 ? " ip4:" : " ip6:");
        buf_append(out, (struct slice){text, ip_address_format(&missing[i], text)});
    }
    if (usable && r.has_redirect && !r.has_all)
        buf_printf(out, " %.*s", SLICE_ARG(r.redirect.text));
    else
        buf_append_text(out, t->all == SPF_FAIL ? " -all" : " ~all");
    if (usable && r.has_exp)
        buf_printf(out, " %.*s", SLICE_ARG(r.exp.text));
}
