/* What a domain that receives mail says about TLS: MTA-STS and TLS-RPT. */
#include "base/ascii.h"
#include "lib/dnsmsg/name.h"
#include "lib/doctor/doctor_in.h"
#include "lib/doctor/transport_in.h"

#define STS_VERSION SLICE("v=STSv1")
#define TLSRPT_VERSION SLICE("v=TLSRPTv1")
#define ID_MAX 32

/* --- the grammar: fields behind a version, with ';' between them --- */

/* RFC 8461 3.1, sts-ext-name and sts-ext-value; RFC 8460 3 has the same. */
static bool is_extension(struct slice name, struct slice value)
{
    bool good = name.n >= 1 && name.n <= 32 && ascii_is_alnum(name.p[0]) && value.n > 0;

    for (size_t i = 0; good && i < name.n; i++)
        good =
            ascii_is_alnum(name.p[i]) || name.p[i] == '_' || name.p[i] == '-' || name.p[i] == '.';
    for (size_t i = 0; good && i < value.n; i++)
        good = value.p[i] > 0x20 && value.p[i] < 0x7f && value.p[i] != '=' && value.p[i] != ';';
    return good;
}

static struct slice trim_blanks(struct slice s)
{
    while (s.n > 0 && ascii_is_wsp(s.p[0]))
        s = slice_from(s, 1);
    while (s.n > 0 && ascii_is_wsp(s.p[s.n - 1]))
        s.n--;
    return s;
}

/* The one field `wanted` of a record; others must be extensions. -1: the grammar is broken. */
static int read_fields(struct slice text, struct slice version, struct slice wanted,
                       struct slice *value_out, struct err *e)
{
    struct slice rest = text;

    *value_out = (struct slice){0};
    if (!slice_eq(trim_blanks(slice_cut(&rest, ';')), version))
        return err_set(e, ERR_SYNTAX, "it does not begin with \"%.*s;\"", SLICE_ARG(version));
    while (trim_blanks(rest).n > 0) { /* one ';' may end the record */
        struct slice value = trim_blanks(slice_cut(&rest, ';')), field = value;
        struct slice name = slice_cut(&value, '=');
        if (slice_eq(wanted, SLICE("rua"))) { /* RFC 8460 3: WSP is allowed around "=" here */
            name = trim_blanks(name);
            value = trim_blanks(value);
        }
        if (slice_eq(name, wanted) && value_out->n == 0 && value.n > 0)
            *value_out = value;
        else if (slice_eq(name, wanted) || !is_extension(name, value))
            return err_set(e, ERR_SYNTAX, "\"%.*s\" breaks the record's grammar",
                           SLICE_ARG(slice_sub(field, 0, 60)));
    }
    if (value_out->n == 0)
        return err_set(e, ERR_SYNTAX, "there is no %.*s=", SLICE_ARG(wanted));
    return 0;
}

int sts_record_read(struct slice text, struct slice *id_out, struct err *e)
{
    if (read_fields(text, STS_VERSION, SLICE("id"), id_out, e) < 0)
        return -1;
    for (size_t i = 0; i < id_out->n; i++)
        if (!ascii_is_alnum(id_out->p[i]) || i >= ID_MAX)
            return err_set(e, ERR_SYNTAX, "id= is 1 to 32 letters and digits, not \"%.*s\"",
                           SLICE_ARG(slice_sub(*id_out, 0, 60)));
    return 0;
}

int tlsrpt_record_read(struct slice text, struct slice *rua_out, struct err *e)
{
    if (read_fields(text, TLSRPT_VERSION, SLICE("rua"), rua_out, e) < 0)
        return -1;
    for (struct slice rest = *rua_out; rest.n > 0;) {
        struct slice uri = trim_blanks(slice_cut(&rest, ','));
        bool is_mail =
            slice_starts_nocase(uri, SLICE("mailto:")) && slice_find(uri, '@') != SLICE_NONE;

        /* RFC 8460 3: "!" in a URI must be encoded; there are two schemes. */
        if ((!is_mail && !(slice_starts_nocase(uri, SLICE("https://")) && uri.n > 8)) ||
            slice_find(uri, '!') != SLICE_NONE || slice_find(uri, ' ') != SLICE_NONE)
            return err_set(e, ERR_SYNTAX, "rua= holds mailto: or https: addresses, not \"%.*s\"",
                           SLICE_ARG(slice_sub(uri, 0, 60)));
    }
    return 0;
}

/* --- the examination --- */

struct policy {
    const char *what, *title; /* "mta-sts", for rules; "MTA-STS", for people */
    struct slice prefix, version;
    int (*read)(struct slice text, struct slice *value_out, struct err *e);
    const char *missing;
};
static const struct policy sts = {
    "mta-sts",
    "MTA-STS",
    SLICE_INIT("_mta-sts."),
    SLICE_INIT("v=STSv1"),
    sts_record_read,
    "there is no MTA-STS policy: senders cannot know that they may insist on TLS (RFC 8461)"};
static const struct policy tlsrpt = {
    "tls-rpt",
    "TLS-RPT",
    SLICE_INIT("_smtp._tls."),
    SLICE_INIT("v=TLSRPTv1"),
    tlsrpt_record_read,
    "there is no TLS-RPT record: nobody tells you when TLS to this domain fails (RFC 8460)"};

static void find_broken(struct doctor *d, const struct policy *p, const char *suffix,
                        struct slice name, struct slice text)
{
    const char *rule = arena_string(d->words, arena_printf(d->words, "%s-%s", p->what, suffix));

    doctor_find(d, DOCTOR_WARNING, rule ? rule : p->what, name, text);
}

/* The record's value; empty when there is none that senders would use. */
static struct slice examine_record(struct doctor *d, const struct policy *p, struct slice name,
                                   const struct dns_answer *answer, bool receives)
{
    struct slice value = {0}, candidate = {0};
    size_t count = 0;
    struct err e;

    for (size_t i = 0; answer->status == DNS_OK && i < answer->count; i++) {
        struct slice text = answer->records[i].text;
        bool counts = slice_starts(text, p->version);

        /* Other text is no business of ours (a wildcard may answer), unless it was meant so. */
        if (counts ||
            (count == 0 && slice_search_nocase(text, slice_from(p->version, 2)) != SLICE_NONE))
            candidate = text;
        count += counts;
    }
    if (count > 1) {
        find_broken(d, p, "two-records", name,
                    arena_printf(d->words,
                                 "there are %zu %s records: senders use none of them. Leave one",
                                 count, p->title));
        return value;
    }
    if (candidate.n > 0 && p->read(candidate, &value, &e) < 0) {
        find_broken(
            d, p, "broken", name,
            arena_printf(d->words, "senders do not use this %s record: %s", p->title, e.text));
        return (struct slice){0};
    }
    if (value.n == 0 && receives)
        doctor_find(d, DOCTOR_HINT, p == &sts ? "mta-sts-missing" : "tls-rpt-missing", name,
                    slice_of(p->missing));
    return value;
}

static void examine_sts_host(struct doctor *d, struct slice domain, struct slice name,
                             struct slice id)
{
    struct slice host = arena_printf(d->words, "mta-sts.%.*s", SLICE_ARG(domain));
    int has = doctor_has_address(d, host);

    if (has == -2)
        doctor_find_silence(d, host, SLICE("DNS does not answer for the host of the policy"));
    else if (has == 0)
        doctor_find(d, DOCTOR_WARNING, "mta-sts-host", host,
                    SLICE("it has no address, and the MTA-STS policy is to be fetched from it: "
                          "senders find a policy announced and none there"));
    else if (has == 1)
        doctor_find(d, DOCTOR_GOOD, "mta-sts", name,
                    arena_printf(d->words,
                                 "MTA-STS is announced with id %.*s; the policy itself, "
                                 "https://%.*s/.well-known/mta-sts.txt, was not fetched",
                                 SLICE_ARG(id), SLICE_ARG(host)));
}

void doctor_examine_transport(struct doctor *d, struct slice domain)
{
    static const struct policy *const policies[] = {&sts, &tlsrpt};
    bool receives = false;

    for (size_t i = 0; i < d->subject->receiver_count; i++)
        receives = receives || dns_name_equal(d->subject->receivers[i], domain);
    for (size_t i = 0; i < COUNT(policies); i++) {
        const struct policy *p = policies[i];
        struct slice name =
            arena_printf(d->words, "%.*s%.*s", SLICE_ARG(p->prefix), SLICE_ARG(domain));
        const struct dns_answer *answer = doctor_ask(d, name, DNS_TXT);

        if (!answer)
            continue;
        doctor_begin(d, p->what, domain);
        if (doctor_is_silent(d, answer, name))
            continue;
        struct slice value = examine_record(d, p, name, answer, receives);
        if (value.n > 0 && p == &sts)
            examine_sts_host(d, domain, name, value);
        else if (value.n > 0)
            doctor_find(d, DOCTOR_GOOD, "tls-rpt", name,
                        arena_printf(d->words, "reports about TLS go to %.*s",
                                     SLICE_ARG(slice_sub(value, 0, 200))));
    }
}
