/* lib/spf/macro.h -- macros of SPF (RFC 7208 7). */
#ifndef LIB_SPF_MACRO_H
#define LIB_SPF_MACRO_H

#include "base/ip.h"

struct spf_macro_values {
    struct slice local, sender_domain; /* %{l}, %{o}, and both for %{s} */
    struct slice domain;               /* %{d} */
    struct slice helo;                 /* %{h} */
    struct slice validated;            /* %{p}; empty: "unknown" */
    struct slice receiver;             /* %{r}; empty: "unknown" */
    struct ip_address client;          /* %{i}, %{c}, %{v} */
    int64_t unix_s;                    /* %{t} */
};

/* Checks the syntax of a macro-string. `explanation`: spaces and the letters c, r, t are allowed.
 * On success `*tail_out` is what follows the last macro, `*ends_in_macro_out` whether nothing does.
 */
MUST_USE bool spf_macro_check(struct slice text, bool explanation, struct slice *tail_out,
                              bool *ends_in_macro_out);

/* Whether expanding needs %{p}, which costs DNS. */
bool spf_macro_needs_ptr(struct slice text);
/* Whether there is a macro whose value depends on the message, that is, any but %{d}, %% and such.
 */
bool spf_macro_is_personal(struct slice text);

/* Whether the sender's local part goes into it: %{l}, %{s}. */
bool spf_macro_needs_local(struct slice text);

/* Expands a macro-string whose syntax was checked, at the end of `out`. */
void spf_macro_expand(struct slice text, const struct spf_macro_values *v, struct buf *out);

/* Cuts labels off the left until the name fits DNS (RFC 7208 7.3), and one root dot at the end. */
struct slice spf_macro_fit_name(struct slice name);

#endif
