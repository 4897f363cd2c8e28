/* The grammar of master files (RFC 1035 5.1, RFC 3597 5): a line becomes words, words a record. */
#include "base/ascii.h"
#include "lib/dnsmsg/message.h"
#include "lib/dnsmsg/name.h"
#include "lib/dnsmsg/zone_in.h"

#define WORDS_MAX 600 /* a TXT of 65,535 bytes has 256 strings */
#define STRING_MAX 255
#define RDATA_MAX 65535
#define TTL_DEFAULT_S 3600

struct reader {
    struct dns_zone *zone;
    struct arena *arena;
    struct slice rest;
    size_t line;                   /* for errors: where the words of now began */
    size_t next_line;              /* the number of the line at `rest` */
    struct slice words[WORDS_MAX]; /* escapes unresolved; without quotes */
    size_t count;
    bool blank_owner; /* the line begins with white space: the owner is the last one */
    char origin[DNS_NAME_MAX + 1], owner[DNS_NAME_MAX + 1];
    size_t origin_n, owner_n;
    uint32_t ttl_s;
    struct buf scratch;
    struct err *e;
};

static int broken(struct reader *r, const char *what, struct slice word)
{
    if (word.n > 80)
        word.n = 80;
    return err_set(r->e, ERR_SYNTAX, "line %zu: %s: %.*s", r->line, what, SLICE_ARG(word));
}

/* --- words --- */

static int take_quoted(struct reader *r, struct slice *word_out)
{
    struct slice s = slice_from(r->rest, 1);

    for (size_t i = 0; i < s.n && s.p[i] != '\n'; i++) {
        if (s.p[i] == '\\') {
            i++;
        } else if (s.p[i] == '"') {
            *word_out = slice_sub(s, 0, i);
            r->rest = slice_from(s, i + 1);
            return 0;
        }
    }
    return broken(r, "a quoted string does not end on its line", slice_sub(s, 0, 40));
}

static struct slice take_bare(struct slice *rest)
{
    struct slice s = *rest;
    size_t i = 0;

    while (i < s.n && !ascii_is_space(s.p[i]) && s.p[i] != '\0' && !strchr("();\"", s.p[i]))
        i += s.p[i] == '\\' && i + 1 < s.n && s.p[i + 1] != '\n' ? 2 : 1;
    *rest = slice_from(s, i);
    return slice_sub(s, 0, i);
}

static int keep_word(struct reader *r, struct slice word)
{
    if (r->count == WORDS_MAX)
        return err_set(r->e, ERR_LIMIT, "line %zu: more than %d words", r->line, WORDS_MAX);
    r->words[r->count++] = word;
    return 0;
}

/* Gathers the words of the next line; parentheses may stretch it over several. */
static int take_line(struct reader *r)
{
    unsigned depth = 0;

    r->count = 0;
    r->line = r->next_line;
    r->blank_owner = r->rest.n > 0 && ascii_is_wsp(r->rest.p[0]);
    while (r->rest.n > 0) {
        struct slice word;
        char c = r->rest.p[0];

        if (c == '\n') {
            r->next_line++;
            r->rest = slice_from(r->rest, 1);
            if (depth == 0)
                return 0;
        } else if (c == '\0') {
            return broken(r, "a NUL byte", slice_sub(r->rest, 1, 20));
        } else if (ascii_is_space(c)) {
            r->rest = slice_from(r->rest, 1);
        } else if (c == ';') {
            size_t end = slice_find(r->rest, '\n');
            r->rest = slice_from(r->rest, end == SLICE_NONE ? r->rest.n : end);
        } else if (c == '(' || c == ')') {
            if (c == ')' && depth == 0)
                return broken(r, "a parenthesis closes that was never opened", r->rest);
            depth = c == '(' ? depth + 1 : depth - 1;
            r->rest = slice_from(r->rest, 1);
        } else if (c == '"') {
            if (take_quoted(r, &word) || keep_word(r, word))
                return -1;
        } else {
            if (keep_word(r, take_bare(&r->rest)))
                return -1;
        }
    }
    return depth > 0 ? broken(r, "a parenthesis does not close", r->words[0]) : 0;
}

/* --- values --- */

/* Resolves \DDD and \X. */
static bool unescape(struct slice s, struct buf *out)
{
    for (size_t i = 0; i < s.n; i++) {
        uint64_t value;

        if (s.p[i] != '\\') {
            buf_append_char(out, s.p[i]);
        } else if (i + 1 >= s.n) {
            return false;
        } else if (!ascii_is_digit(s.p[i + 1])) {
            buf_append_char(out, s.p[++i]);
        } else {
            if (i + 3 >= s.n || !slice_to_u64(slice_sub(s, i + 1, 3), &value) || value > 255)
                return false;
            buf_append_char(out, (char)(unsigned char)value);
            i += 3;
        }
    }
    return !out->full;
}

/* Reads a name, completed with $ORIGIN, into `r->scratch`. */
static int read_name(struct reader *r, struct slice word)
{
    bool absolute =
        word.n > 0 && word.p[word.n - 1] == '.' && (word.n < 2 || word.p[word.n - 2] != '\\');

    buf_clear(&r->scratch);
    if (slice_eq(word, SLICE("@"))) {
        buf_append(&r->scratch, (struct slice){r->origin, r->origin_n});
        return 0;
    }
    if (!dns_name_unescape(word, &r->scratch))
        return broken(r, "this is no domain name that DNS can hold", word);
    if (!absolute && r->origin_n > 0) {
        buf_append_char(&r->scratch, '.');
        buf_append(&r->scratch, (struct slice){r->origin, r->origin_n});
    }
    if (r->scratch.full || r->scratch.n > DNS_NAME_MAX)
        return broken(r, "the name is longer than 253 octets", word);
    return 0;
}

static int keep_name(struct reader *r, struct slice word, struct slice *name_out)
{
    if (read_name(r, word))
        return -1;
    *name_out = arena_copy(r->arena, buf_slice(&r->scratch));
    return name_out->p ? 0 : err_set(r->e, ERR_LIMIT, "line %zu: the zone is too large", r->line);
}

static int read_number(struct reader *r, struct slice word, uint64_t max, uint64_t *value_out)
{
    if (!slice_to_u64(word, value_out) || *value_out > max)
        return broken(r, "a number is expected, not", word);
    return 0;
}

/* Hexadecimal digits of all words from `at` on, as bytes in `r->scratch`. */
static int read_hex(struct reader *r, size_t at)
{
    int high = -1;

    buf_clear(&r->scratch);
    for (; at < r->count; at++)
        for (size_t i = 0; i < r->words[at].n; i++) {
            int digit = ascii_hex_value(r->words[at].p[i]);

            if (digit < 0)
                return broken(r, "this is not hexadecimal", r->words[at]);
            if (high >= 0)
                buf_append_char(&r->scratch, (char)(unsigned char)(high << 4 | digit));
            high = high >= 0 ? -1 : digit;
        }
    if (high >= 0 || r->scratch.full)
        return broken(r, "an odd or too large number of hexadecimal digits", r->words[0]);
    return 0;
}

/* --- record data; `at` is the first word of it --- */

static int read_txt(struct reader *r, size_t at, struct dns_record *record)
{
    size_t sizes[WORDS_MAX] = {0}, n = r->count - at, offset = 0;
    /* No string at all is taken as an empty one. */
    struct slice *strings = arena_array(r->arena, n + 1, sizeof *strings);

    buf_clear(&r->scratch);
    for (size_t i = 0; i < n; i++) {
        size_t before = r->scratch.n;

        if (!unescape(r->words[at + i], &r->scratch))
            return broken(r, "a broken escape, or too much text", r->words[at + i]);
        sizes[i] = r->scratch.n - before;
        if (sizes[i] > STRING_MAX)
            return broken(r, "a string of over 255 bytes must be cut into several", r->words[at]);
    }
    record->text = arena_copy(r->arena, buf_slice(&r->scratch));
    if (!strings || !record->text.p)
        return err_set(r->e, ERR_LIMIT, "line %zu: the zone is too large", r->line);
    for (size_t i = 0; i < n; offset += sizes[i++])
        strings[i] = slice_sub(record->text, offset, sizes[i]);
    record->strings = strings;
    record->string_count = n > 0 ? n : 1;
    return 0;
}

static int read_mx(struct reader *r, size_t at, struct dns_record *record)
{
    uint64_t preference;

    if (r->count != at + 2)
        return broken(r, "MX needs a preference and a host", r->words[0]);
    if (read_number(r, r->words[at], UINT16_MAX, &preference))
        return -1;
    record->preference = (uint16_t)preference;
    return keep_name(r, r->words[at + 1], &record->name);
}

static int read_tlsa(struct reader *r, size_t at, struct dns_record *record)
{
    uint64_t values[3];

    if (r->count < at + 4)
        return broken(r, "TLSA needs three numbers and hexadecimal data", r->words[0]);
    for (size_t i = 0; i < 3; i++)
        if (read_number(r, r->words[at + i], UINT8_MAX, &values[i]))
            return -1;
    record->usage = (uint8_t)values[0];
    record->selector = (uint8_t)values[1];
    record->matching = (uint8_t)values[2];
    if (read_hex(r, at + 3))
        return -1;
    record->data = arena_copy(r->arena, buf_slice(&r->scratch));
    return record->data.p ? 0 : err_set(r->e, ERR_LIMIT, "line %zu: too large", r->line);
}

static int read_address(struct reader *r, size_t at, struct dns_record *record)
{
    enum ip_family want = record->type == DNS_A ? IP_V4 : IP_V6;

    if (r->count != at + 1 || !ip_address_parse(r->words[at], &record->address) ||
        record->address.family != want)
        return broken(r, want == IP_V4 ? "A needs an IPv4 address" : "AAAA needs an IPv6 address",
                      r->count > at ? r->words[at] : r->words[0]);
    return 0;
}

static int read_soa(struct reader *r, size_t at, struct dns_record *record)
{
    uint64_t number;

    if (r->count != at + 7)
        return broken(r, "SOA needs two names and five numbers", r->words[0]);
    for (size_t i = at + 2; i < at + 7; i++)
        if (read_number(r, r->words[i], UINT32_MAX, &number))
            return -1;
    return keep_name(r, r->words[at], &record->name);
}

/* RFC 3597 5: \# LENGTH HEX */
static int read_generic(struct reader *r, size_t at, struct dns_record *record)
{
    uint64_t length;
    enum dns_type type = record->type;
    uint32_t ttl_s = record->ttl_s;

    if (r->count < at + 2 || !slice_eq(r->words[at], SLICE("\\#")))
        return broken(r, "a type without a grammar here needs \\# LENGTH HEX", r->words[0]);
    if (read_number(r, r->words[at + 1], RDATA_MAX, &length) || read_hex(r, at + 2))
        return -1;
    if (r->scratch.n != length)
        return broken(r, "the length is not the number of bytes", r->words[at + 1]);
    struct slice data = buf_slice(&r->scratch);
    if (!dns_rdata_read(data, 0, data.n, type, r->arena, record))
        return broken(r, "the bytes do not fit the type", r->words[0]);
    record->ttl_s = ttl_s;
    return 0;
}

static int read_rdata(struct reader *r, size_t at, struct dns_record *record)
{
    if (r->count > at && slice_eq(r->words[at], SLICE("\\#")))
        return read_generic(r, at, record);
    switch ((unsigned)record->type) {
    case DNS_A:
    case DNS_AAAA:
        return read_address(r, at, record);
    case DNS_NS:
    case DNS_CNAME:
    case DNS_PTR:
        if (r->count != at + 1)
            return broken(r, "this type needs one name", r->words[0]);
        return keep_name(r, r->words[at], &record->name);
    case DNS_MX:
        return read_mx(r, at, record);
    case DNS_TXT:
        return read_txt(r, at, record);
    case DNS_TLSA:
        return read_tlsa(r, at, record);
    case DNS_SOA:
        return read_soa(r, at, record);
    }
    return read_generic(r, at, record);
}

/* --- lines --- */

static int read_record(struct reader *r)
{
    struct dns_record record = {.ttl_s = r->ttl_s};
    size_t at = 0;
    uint64_t ttl_s;

    if (!r->blank_owner) {
        if (read_name(r, r->words[at++]))
            return -1;
        memcpy(r->owner, r->scratch.p ? r->scratch.p : "", r->scratch.n);
        r->owner_n = r->scratch.n;
    }
    for (; at < r->count; at++) {
        if (slice_to_u64(r->words[at], &ttl_s) && ttl_s <= INT32_MAX)
            record.ttl_s = (uint32_t)ttl_s;
        else if (!slice_eq_nocase(r->words[at], SLICE("IN")))
            break;
    }
    if (at == r->count)
        return broken(r, "a type is missing", r->words[0]);
    record.type = dns_type_parse(r->words[at]);
    if (record.type == DNS_NO_TYPE)
        return broken(r, "unknown record type", r->words[at]);
    if (read_rdata(r, at + 1, &record))
        return -1;
    return dns_zone_add(r->zone, (struct slice){r->owner, r->owner_n}, &record, r->e);
}

static int read_directive(struct reader *r)
{
    uint64_t ttl_s;

    if (r->count != 2)
        return broken(r, "this directive needs one value", r->words[0]);
    if (slice_eq_nocase(r->words[0], SLICE("$TTL"))) {
        if (read_number(r, r->words[1], INT32_MAX, &ttl_s))
            return -1;
        r->ttl_s = (uint32_t)ttl_s;
        return 0;
    }
    if (!slice_eq_nocase(r->words[0], SLICE("$ORIGIN")))
        return broken(r, "only $ORIGIN and $TTL are known here", r->words[0]);
    if (read_name(r, r->words[1]))
        return -1;
    memcpy(r->origin, r->scratch.p ? r->scratch.p : "", r->scratch.n);
    r->origin_n = r->scratch.n;
    return 0;
}

/* `;!timeout NAME [TYPE]`: a comment to everybody else. */
static int read_failure(struct reader *r, struct slice line)
{
    struct slice words[4] = {{0}};
    size_t count = 0;

    line = slice_trim(line);
    while (line.n > 0 && count < COUNT(words)) {
        words[count] = take_bare(&line);
        if (words[count++].n == 0)
            return broken(r, "this order cannot be read", line);
        line = slice_trim_start(line);
    }
    bool is_timeout = slice_eq_nocase(words[0], SLICE("timeout"));
    if (!is_timeout && !slice_eq_nocase(words[0], SLICE("servfail")))
        return broken(r, "only ;!timeout and ;!servfail are known", words[0]);
    if (count < 2 || count > 3)
        return broken(r, "this order needs a name and perhaps a type", words[0]);
    enum dns_type type = count == 3 ? dns_type_parse(words[2]) : DNS_NO_TYPE;
    if (count == 3 && type == DNS_NO_TYPE)
        return broken(r, "unknown record type", words[2]);
    if (read_name(r, words[1]))
        return -1;
    return dns_zone_add_failure(r->zone, buf_slice(&r->scratch), type,
                                is_timeout ? DNS_TIMEOUT : DNS_SERVFAIL, r->e);
}

static int read_lines(struct reader *r)
{
    while (r->rest.n > 0) {
        if (slice_starts(r->rest, SLICE(";!"))) {
            size_t end = slice_find(r->rest, '\n');
            struct slice line = slice_sub(r->rest, 0, end == SLICE_NONE ? r->rest.n : end);

            r->line = r->next_line;
            r->rest = slice_from(r->rest, line.n);
            if (read_failure(r, slice_from(line, 2)))
                return -1;
        }
        if (take_line(r))
            return -1;
        if (r->count == 0)
            continue;
        bool is_directive = !r->blank_owner && r->words[0].n > 0 && r->words[0].p[0] == '$';
        if (is_directive ? read_directive(r) : read_record(r))
            return -1;
    }
    return 0;
}

int dns_zone_read(struct dns_zone *z, struct arena *arena, struct slice text, struct err *e)
{
    struct reader *r = mem_alloc(sizeof *r);

    *r = (struct reader){
        .zone = z, .arena = arena, .rest = text, .next_line = 1, .ttl_s = TTL_DEFAULT_S, .e = e};
    buf_init(&r->scratch, RDATA_MAX);
    int result = read_lines(r);
    buf_finish(&r->scratch);
    free(r);
    return result;
}
