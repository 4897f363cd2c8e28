#include "lib/dmarc/record.h"

#include "base/ascii.h"

static const struct {
    struct slice text;
    enum dmarc_policy policy;
} policies[] = {
    {SLICE_INIT("none"), DMARC_POLICY_NONE},
    {SLICE_INIT("quarantine"), DMARC_POLICY_QUARANTINE},
    {SLICE_INIT("reject"), DMARC_POLICY_REJECT},
};

const char *dmarc_policy_text(enum dmarc_policy p)
{
    return policies[p].text.p;
}

/* Cuts "name = value" off the front. False at the end of the record. */
static bool next_tag(struct slice *rest, struct slice *name_out, struct slice *value_out)
{
    if (rest->n == 0)
        return false;
    struct slice value = slice_cut(rest, ';');
    struct slice name = slice_cut(&value, '=');
    *name_out = slice_trim(name);
    *value_out = slice_trim(value);
    return true;
}

bool dmarc_record_is(struct slice txt)
{
    struct slice name, value, rest = txt;

    return txt.n > 0 && !ascii_is_wsp(txt.p[0]) && next_tag(&rest, &name, &value) &&
           slice_eq_nocase(name, SLICE("v")) && slice_eq(value, SLICE("DMARC1"));
}

static bool read_policy(struct slice value, struct dmarc_request_tag *tag)
{
    for (size_t i = 0; i < COUNT(policies); i++)
        if (slice_eq_nocase(value, policies[i].text)) {
            *tag = (struct dmarc_request_tag){DMARC_TAG_VALID, policies[i].policy};
            return true;
        }
    tag->state = DMARC_TAG_BROKEN;
    return false;
}

/* One letter out of a set, in any case; 0 if it is none of them. */
static char read_letter(struct slice value, const char *letters)
{
    char c = value.n == 1 ? ascii_lower(value.p[0]) : '\0';

    return c != '\0' && strchr(letters, c) ? c : '\0';
}

static bool read_strict(struct slice value, bool *strict)
{
    char c = read_letter(value, "rs");

    *strict = c == 's';
    return c != '\0';
}

static bool is_fo(struct slice value)
{
    while (value.n > 0)
        if (!read_letter(slice_trim(slice_cut(&value, ':')), "01ds"))
            return false;
    return true;
}

enum tag { TAG_P, TAG_SP, TAG_NP, TAG_ADKIM, TAG_ASPF, TAG_T, TAG_PSD, TAG_RUA, TAG_RUF, TAG_FO };
static const char *const tag_names[] = {"p", "sp",  "np",  "adkim", "aspf",
                                        "t", "psd", "rua", "ruf",   "fo"};

/* False when the value breaks its grammar. */
static bool read_tag(struct dmarc_record *r, enum tag tag, struct slice value)
{
    struct slice list = value, uri;
    char letter;

    switch (tag) {
    case TAG_P:
        return read_policy(value, &r->p);
    case TAG_SP:
        return read_policy(value, &r->sp);
    case TAG_NP:
        return read_policy(value, &r->np);
    case TAG_ADKIM:
        return read_strict(value, &r->adkim_strict);
    case TAG_ASPF:
        return read_strict(value, &r->aspf_strict);
    case TAG_T:
        letter = read_letter(value, "yn");
        r->testing = letter == 'y';
        return letter != '\0';
    case TAG_PSD:
        letter = read_letter(value, "ynu");
        r->psd = letter != '\0' ? letter : 'u';
        return letter != '\0';
    case TAG_RUA:
        r->rua = value;
        return dmarc_uri_next(&list, &uri);
    case TAG_RUF:
        r->ruf = value;
        return dmarc_uri_next(&list, &uri);
    case TAG_FO:
        r->fo = value;
        return is_fo(value);
    }
    return false;
}

static bool is_old(struct slice name)
{
    return slice_eq_nocase(name, SLICE("pct")) || slice_eq_nocase(name, SLICE("rf")) ||
           slice_eq_nocase(name, SLICE("ri"));
}

struct dmarc_record dmarc_record_parse(struct slice txt)
{
    struct dmarc_record r = {.text = txt, .psd = 'u'};
    struct slice name, value, rest = txt;
    bool seen[COUNT(tag_names)] = {false};

    slice_cut(&rest, ';'); /* the version */
    while (next_tag(&rest, &name, &value)) {
        size_t i = 0;

        while (i < COUNT(tag_names) && !slice_eq_nocase(name, slice_of(tag_names[i])))
            i++;
        if (i == COUNT(tag_names)) {
            r.old_tags += is_old(name);
            r.unknown_tags += !is_old(name) && (name.n > 0 || value.n > 0);
        } else if (seen[i]) {
            r.bad_tags++; /* the first one counts */
        } else {
            seen[i] = true;
            r.bad_tags += !read_tag(&r, (enum tag)i, value);
        }
    }
    return r;
}

/* scheme ":" and at least one character behind it; a mailto: needs an address. */
static bool is_uri(struct slice s)
{
    size_t colon = slice_find(s, ':');

    if (colon == SLICE_NONE || colon == 0 || colon + 1 == s.n || !ascii_is_alpha(s.p[0]))
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= ' ' || s.p[i] > '~' || strchr("<>\"\\^`{|}", s.p[i]) ||
            (i < colon && !ascii_is_alnum(s.p[i]) && !strchr("+-.", s.p[i])))
            return false;
    if (!slice_starts_nocase(s, SLICE("mailto:")))
        return true;
    size_t at = slice_find_last(s, '@');
    return at != SLICE_NONE && at > strlen("mailto:") && at + 1 < s.n;
}

/* "!" 1*DIGIT [ "k" / "m" / "g" / "t" ] */
static struct slice without_size(struct slice uri)
{
    size_t mark = slice_find_last(uri, '!'), end = uri.n;

    if (mark == SLICE_NONE || mark + 1 >= end)
        return uri;
    if (end - mark > 2 && uri.p[end - 1] && strchr("kmgt", ascii_lower(uri.p[end - 1])))
        end--;
    for (size_t i = mark + 1; i < end; i++)
        if (!ascii_is_digit(uri.p[i]))
            return uri;
    return slice_sub(uri, 0, mark);
}

bool dmarc_uri_next(struct slice *list, struct slice *uri_out)
{
    while (list->n > 0) {
        *uri_out = without_size(slice_trim(slice_cut(list, ',')));
        if (is_uri(*uri_out))
            return true;
    }
    return false;
}

bool dmarc_record_settle(struct dmarc_record *r)
{
    struct slice list = r->rua, uri;

    if (r->p.state == DMARC_TAG_VALID && r->sp.state != DMARC_TAG_BROKEN &&
        r->np.state != DMARC_TAG_BROKEN)
        return true;
    if (!dmarc_uri_next(&list, &uri))
        return false;
    r->p = (struct dmarc_request_tag){DMARC_TAG_VALID, DMARC_POLICY_NONE};
    r->sp = r->np = (struct dmarc_request_tag){DMARC_TAG_ABSENT, DMARC_POLICY_NONE};
    return true;
}
