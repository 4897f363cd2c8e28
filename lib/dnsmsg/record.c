#include "lib/dnsmsg/record.h"

#include "base/arena.h"

static const struct {
    enum dns_type type;
    const char *text;
} types[] = {
    {DNS_A, "A"},   {DNS_NS, "NS"},   {DNS_CNAME, "CNAME"}, {DNS_SOA, "SOA"},   {DNS_PTR, "PTR"},
    {DNS_MX, "MX"}, {DNS_TXT, "TXT"}, {DNS_AAAA, "AAAA"},   {DNS_TLSA, "TLSA"},
};

const char *dns_status_text(enum dns_status s)
{
    switch (s) {
    case DNS_OK:
        return "ok";
    case DNS_NODATA:
        return "no data";
    case DNS_NXDOMAIN:
        return "no such name";
    case DNS_SERVFAIL:
        return "server failure";
    case DNS_TIMEOUT:
        return "time-out";
    }
    return "unknown";
}

const char *dns_type_format(enum dns_type t, char out[DNS_TYPE_TEXT_MAX])
{
    for (size_t i = 0; i < COUNT(types); i++)
        if (types[i].type == t) {
            snprintf(out, DNS_TYPE_TEXT_MAX, "%s", types[i].text);
            return out;
        }
    snprintf(out, DNS_TYPE_TEXT_MAX, "TYPE%u", (unsigned)t & 0xffffu);
    return out;
}

enum dns_type dns_type_parse(struct slice text)
{
    uint64_t number;

    for (size_t i = 0; i < COUNT(types); i++)
        if (slice_eq_nocase(text, slice_of(types[i].text)))
            return types[i].type;
    if (!slice_starts_nocase(text, SLICE("TYPE")) || !slice_to_u64(slice_from(text, 4), &number) ||
        number > 0xffff)
        return DNS_NO_TYPE;
    return (enum dns_type)number;
}

static bool copy_record(struct arena *a, const struct dns_record *from, struct dns_record *to)
{
    struct slice *strings = NULL;
    size_t at = 0;

    *to = *from;
    to->name = arena_copy(a, from->name);
    to->text = arena_copy(a, from->text);
    to->data = arena_copy(a, from->data);
    if (from->string_count > 0)
        strings = arena_array(a, from->string_count, sizeof *strings);
    for (size_t i = 0; strings && i < from->string_count; i++) {
        strings[i] = slice_sub(to->text, at, from->strings[i].n);
        at += from->strings[i].n;
    }
    to->strings = strings;
    to->string_count = strings ? from->string_count : 0;
    return to->name.n == from->name.n && to->text.n == from->text.n && to->data.n == from->data.n &&
           to->string_count == from->string_count;
}

void dns_answer_copy(struct arena *arena, const struct dns_answer *answer,
                     struct dns_answer *copy_out)
{
    struct dns_record *records = NULL;
    bool whole = true;

    *copy_out = *answer;
    copy_out->canonical = arena_copy(arena, answer->canonical);
    if (answer->count > 0)
        records = arena_array(arena, answer->count, sizeof *records);
    whole = answer->count == 0 || records;
    for (size_t i = 0; whole && i < answer->count; i++)
        whole = copy_record(arena, &answer->records[i], &records[i]);
    copy_out->records = records;
    if (!whole)
        *copy_out = (struct dns_answer){.status = DNS_SERVFAIL};
}
