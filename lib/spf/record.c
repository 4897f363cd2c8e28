#include "lib/spf/record.h"

#include "base/ascii.h"
#include "lib/spf/macro.h"

static const char *const result_texts[] = {
    [SPF_NONE] = "none",           [SPF_NEUTRAL] = "neutral",   [SPF_PASS] = "pass",
    [SPF_FAIL] = "fail",           [SPF_SOFTFAIL] = "softfail", [SPF_TEMPERROR] = "temperror",
    [SPF_PERMERROR] = "permerror",
};

/* What may follow a mechanism's name. */
enum arguments {
    ARGS_NONE,     /* all */
    ARGS_DOMAIN,   /* ":" domain-spec, needed */
    ARGS_OPTIONAL, /* the same, may be left out */
    ARGS_CIDR,     /* may be left out, as may the prefix lengths behind it */
    ARGS_IP,       /* ":" address and prefix length */
};

static const struct mechanism {
    struct slice name;
    enum spf_kind kind;
    enum arguments arguments;
} mechanisms[] = {
    {SLICE_INIT("all"), SPF_ALL, ARGS_NONE},     {SLICE_INIT("include"), SPF_INCLUDE, ARGS_DOMAIN},
    {SLICE_INIT("a"), SPF_A, ARGS_CIDR},         {SLICE_INIT("mx"), SPF_MX, ARGS_CIDR},
    {SLICE_INIT("ptr"), SPF_PTR, ARGS_OPTIONAL}, {SLICE_INIT("ip4"), SPF_IP4, ARGS_IP},
    {SLICE_INIT("ip6"), SPF_IP6, ARGS_IP},       {SLICE_INIT("exists"), SPF_EXISTS, ARGS_DOMAIN},
};

const char *spf_result_text(enum spf_result r)
{
    return result_texts[r];
}

bool spf_term_is_lookup(const struct spf_term *t)
{
    switch (t->kind) {
    case SPF_INCLUDE:
    case SPF_A:
    case SPF_MX:
    case SPF_PTR:
    case SPF_EXISTS:
    case SPF_REDIRECT:
        return true;
    case SPF_ALL:
    case SPF_IP4:
    case SPF_IP6:
    case SPF_EXP:
    case SPF_OTHER:
        return false;
    }
    return false;
}

static int broken(const struct spf_term *t, const char *what, struct err *e)
{
    struct slice text = slice_sub(t->text, 0, 100);

    return err_set(e, ERR_SYNTAX, "\"%.*s\": %s", SLICE_ARG(text), what);
}

/* RFC 7208 7.1: toplabel is alphanumeric with inner hyphens, and not all digits. */
static bool is_toplabel(struct slice s)
{
    bool all_digits = true;

    if (s.n == 0 || s.p[0] == '-' || s.p[s.n - 1] == '-')
        return false;
    for (size_t i = 0; i < s.n; i++) {
        if (!ascii_is_alnum(s.p[i]) && s.p[i] != '-')
            return false;
        all_digits = all_digits && ascii_is_digit(s.p[i]);
    }
    return !all_digits;
}

/* domain-spec = macro-string ( "." toplabel ["."] / macro-expand ) */
static int parse_domain(struct slice text, struct spf_term *t, struct err *e)
{
    struct slice tail;
    bool ends_in_macro;
    struct ip_address ignored;

    t->domain = text;
    if (text.n == 0)
        return broken(t, "the domain is missing", e);
    if (!spf_macro_check(text, false, &tail, &ends_in_macro))
        return broken(t, "a macro or a character that may not stand here", e);
    if (ends_in_macro)
        return 0;
    if (tail.p[tail.n - 1] == '.')
        tail.n--;
    size_t dot = slice_find_last(tail, '.');
    if (dot != SLICE_NONE && is_toplabel(slice_from(tail, dot + 1)))
        return 0;
    if (ip_address_parse(text, &ignored))
        return broken(t, "an address must be written as ip4: or ip6:", e);
    return broken(t, "the domain does not end in a top-level label such as \".com\"", e);
}

/* Takes "/digits" off the end of `*text`. `*bits_out` keeps its value when there is none. */
static bool take_prefix(struct slice *text, const char *slashes, unsigned max, unsigned *bits_out)
{
    size_t digits = 0, width = strlen(slashes);
    uint64_t value;

    while (digits < text->n && ascii_is_digit(text->p[text->n - 1 - digits]))
        digits++;
    struct slice head = slice_sub(*text, 0, text->n - digits);
    struct slice number = slice_from(*text, text->n - digits);
    if (!slice_ends(head, slice_of(slashes)))
        return true;
    if (digits == 0 || digits > 3 || (digits > 1 && number.p[0] == '0') ||
        !slice_to_u64(number, &value) || value > max)
        return false;
    *bits_out = (unsigned)value;
    text->n -= digits + width;
    return true;
}

/* [ "/" bits4 ] [ "//" bits6 ] at the end of `*text` (RFC 7208 5.3). */
static bool take_dual_prefix(struct slice *text, struct spf_term *t)
{
    return take_prefix(text, "//", 128, &t->bits6) && take_prefix(text, "/", 32, &t->bits4);
}

static int parse_network(struct slice text, struct spf_term *t, struct err *e)
{
    bool is_v4 = t->kind == SPF_IP4;

    if (!take_prefix(&text, "/", is_v4 ? 32 : 128, is_v4 ? &t->bits4 : &t->bits6))
        return broken(t, "the prefix length is not right", e);
    if (!ip_address_parse(text, &t->network) || (t->network.family == IP_V4) != is_v4)
        return broken(t, is_v4 ? "this is no IPv4 address" : "this is no IPv6 address", e);
    return 0;
}

static int parse_arguments(enum arguments kind, struct slice rest, struct spf_term *t,
                           struct err *e)
{
    bool colon = rest.n > 0 && rest.p[0] == ':';

    switch (kind) {
    case ARGS_NONE:
        return rest.n == 0 ? 0 : broken(t, "nothing may follow this mechanism", e);
    case ARGS_DOMAIN:
        if (!colon)
            return broken(t, "this mechanism needs a domain", e);
        return parse_domain(slice_from(rest, 1), t, e);
    case ARGS_OPTIONAL:
        if (rest.n == 0)
            return 0;
        return colon ? parse_domain(slice_from(rest, 1), t, e)
                     : broken(t, "only a domain may follow", e);
    case ARGS_CIDR:
        if (!take_dual_prefix(&rest, t))
            return broken(t, "the prefix length is not right", e);
        if (rest.n == 0)
            return 0;
        return colon ? parse_domain(slice_from(rest, 1), t, e)
                     : broken(t, "only a domain or a prefix length may follow", e);
    case ARGS_IP:
        if (!colon)
            return broken(t, "this mechanism needs an address", e);
        return parse_network(slice_from(rest, 1), t, e);
    }
    return -1;
}

static int parse_modifier(size_t equals, struct spf_term *t, struct err *e)
{
    struct slice name = slice_sub(t->text, 0, equals), value = slice_from(t->text, equals + 1);
    struct slice tail;
    bool ends_in_macro;

    if (name.n == 0 || !ascii_is_alpha(name.p[0]))
        return broken(t, "the name of a modifier begins with a letter", e);
    for (size_t i = 1; i < name.n; i++)
        if (!ascii_is_alnum(name.p[i]) && (name.p[i] == '\0' || !strchr("-_.", name.p[i])))
            return broken(t, "a character that may not stand in a modifier's name", e);
    t->kind = SPF_OTHER;
    if (slice_eq_nocase(name, SLICE("redirect")))
        t->kind = SPF_REDIRECT;
    else if (slice_eq_nocase(name, SLICE("exp")))
        t->kind = SPF_EXP;
    if (t->kind != SPF_OTHER)
        return parse_domain(value, t, e);
    if (!spf_macro_check(value, false, &tail, &ends_in_macro))
        return broken(t, "a macro or a character that may not stand here", e);
    return 0;
}

static bool take_qualifier(struct slice *text, enum spf_result *qualifier_out)
{
    static const char signs[] = "+-~?";
    static const enum spf_result results[] = {SPF_PASS, SPF_FAIL, SPF_SOFTFAIL, SPF_NEUTRAL};
    const char *sign = text->n > 0 && text->p[0] ? strchr(signs, text->p[0]) : NULL;

    *qualifier_out = sign ? results[sign - signs] : SPF_PASS;
    if (sign)
        *text = slice_from(*text, 1);
    return sign != NULL;
}

int spf_term_parse(struct slice text, struct spf_term *term_out, struct err *e)
{
    struct spf_term *t = term_out;
    size_t end = 0;

    *t = (struct spf_term){.text = text, .bits4 = 32, .bits6 = 128};
    while (end < text.n && text.p[end] != ':' && text.p[end] != '/' && text.p[end] != '=')
        end++;
    if (end < text.n && text.p[end] == '=')
        return parse_modifier(end, t, e);
    struct slice name = slice_sub(text, 0, end);
    (void)take_qualifier(&name, &t->qualifier);
    for (size_t i = 0; i < COUNT(mechanisms); i++)
        if (slice_eq_nocase(name, mechanisms[i].name)) {
            t->kind = mechanisms[i].kind;
            return parse_arguments(mechanisms[i].arguments, slice_from(text, end), t, e);
        }
    return broken(t, "no such mechanism", e);
}

bool spf_record_is(struct slice txt)
{
    return slice_starts_nocase(txt, SLICE("v=spf1")) && (txt.n == 6 || txt.p[6] == ' ');
}

static struct slice take_word(struct slice *rest)
{
    while (rest->n > 0 && rest->p[0] == ' ')
        *rest = slice_from(*rest, 1);
    return slice_cut(rest, ' ');
}

int spf_record_parse(struct slice text, struct spf_record *record_out, struct err *e)
{
    struct spf_record *r = record_out;
    struct spf_term t;

    *r = (struct spf_record){.terms = slice_from(text, 6)};
    for (struct slice rest = r->terms, word; (word = take_word(&rest)).n > 0; r->count++) {
        if (spf_term_parse(word, &t, e))
            return -1;
        if (t.kind == SPF_REDIRECT) {
            if (r->has_redirect)
                return broken(&t, "a second redirect", e);
            r->has_redirect = true;
            r->redirect = t;
        } else if (t.kind == SPF_EXP) {
            if (r->has_exp)
                return broken(&t, "a second exp", e);
            r->has_exp = true;
            r->exp = t;
        }
        r->has_all = r->has_all || t.kind == SPF_ALL;
    }
    return 0;
}

bool spf_record_next(struct slice *rest, struct spf_term *term_out)
{
    struct slice word = take_word(rest);
    struct err ignored;

    return word.n > 0 && spf_term_parse(word, term_out, &ignored) == 0;
}
