#include "lib/dnsmsg/message.h"

#include "base/ascii.h"
#include "lib/dnsmsg/name.h"

#define HEADER_BYTES 12
#define CLASS_IN 1
#define CNAMES_MAX 16
#define POINTERS_MAX 128 /* of compression in one name; each must point backwards anyway */

#define FLAG_RESPONSE 0x8000u
#define FLAG_SECURE 0x0020u
#define RCODE_MASK 0x000fu
#define RCODE_NXDOMAIN 3u

static unsigned get16(struct slice s, size_t at)
{
    return (unsigned)(uint8_t)s.p[at] << 8 | (uint8_t)s.p[at + 1];
}

static uint32_t get32(struct slice s, size_t at)
{
    return (uint32_t)get16(s, at) << 16 | get16(s, at + 2);
}

/* Reads the possibly compressed name at `*at` as text, and moves `*at` behind it. A label with a
 * dot in it cannot be told as text, so it makes the name unreadable. */
static bool read_name(struct slice m, size_t *at, char out[DNS_NAME_MAX + 1], size_t *n_out)
{
    size_t i = *at, n = 0, end = 0;

    for (unsigned jumps = 0; jumps <= POINTERS_MAX;) {
        if (i >= m.n)
            return false;
        unsigned length = (uint8_t)m.p[i];
        if (length >= 0xc0) {
            if (i + 1 >= m.n)
                return false;
            size_t target = get16(m, i) & 0x3fffu;
            end = end ? end : i + 2;
            if (target >= i)
                return false;
            i = target;
            jumps++;
            continue;
        }
        if (length == 0) {
            *at = end ? end : i + 1;
            *n_out = n;
            return true;
        }
        if (length > DNS_LABEL_MAX || i + 1 + length > m.n || n + length + 1 > DNS_NAME_MAX + 1)
            return false;
        if (memchr(m.p + i + 1, '.', length))
            return false;
        if (n > 0)
            out[n++] = '.';
        if (n + length > DNS_NAME_MAX)
            return false;
        for (unsigned k = 0; k < length; k++)
            out[n++] = ascii_lower(m.p[i + 1 + k]);
        i += 1 + length;
    }
    return false;
}

/* Reads a name into the arena. */
static bool keep_name(struct slice m, size_t *at, struct arena *arena, struct slice *name_out)
{
    char text[DNS_NAME_MAX + 1];
    size_t n;

    if (!read_name(m, at, text, &n))
        return false;
    *name_out = arena_copy(arena, (struct slice){text, n});
    return name_out->p != NULL;
}

static bool read_txt(struct slice rdata, struct arena *arena, struct dns_record *r)
{
    size_t count = 0, n = 0;

    for (size_t i = 0; i < rdata.n; i += 1 + (size_t)(uint8_t)rdata.p[i])
        count++;
    struct slice *strings = arena_array(arena, count, sizeof *strings);
    char *text = arena_alloc(arena, rdata.n + 1);
    if (count == 0 || !strings || !text)
        return false;
    for (size_t i = 0, k = 0; i < rdata.n; k++) {
        size_t length = (uint8_t)rdata.p[i];

        if (i + 1 + length > rdata.n)
            return false;
        memcpy(text + n, rdata.p + i + 1, length);
        strings[k] = (struct slice){text + n, length};
        n += length;
        i += 1 + length;
    }
    r->text = (struct slice){text, n};
    r->strings = strings;
    r->string_count = count;
    return true;
}

bool dns_rdata_read(struct slice message, size_t at, size_t length, enum dns_type type,
                    struct arena *arena, struct dns_record *record_out)
{
    struct dns_record *r = record_out;
    struct slice rdata = slice_sub(message, at, length);
    struct slice upto = slice_sub(message, 0, at + length); /* names may not run over */
    size_t end = at + length;

    *r = (struct dns_record){.type = type};
    if (rdata.n != length || at > message.n)
        return false;
    if (type == DNS_A || type == DNS_AAAA) {
        r->address.family = type == DNS_A ? IP_V4 : IP_V6;
        if (length != (type == DNS_A ? 4u : 16u))
            return false;
        memcpy(r->address.bytes, rdata.p, length);
        return true;
    }
    if (type == DNS_TXT)
        return read_txt(rdata, arena, r);
    if (type == DNS_NS || type == DNS_CNAME || type == DNS_PTR)
        return keep_name(upto, &at, arena, &r->name) && at == end;
    if (type == DNS_MX) {
        if (length < 3)
            return false;
        r->preference = (uint16_t)get16(rdata, 0);
        at += 2;
        return keep_name(upto, &at, arena, &r->name) && at == end;
    }
    if (type == DNS_TLSA) {
        if (length < 3)
            return false;
        r->usage = (uint8_t)rdata.p[0];
        r->selector = (uint8_t)rdata.p[1];
        r->matching = (uint8_t)rdata.p[2];
        rdata = slice_from(rdata, 3);
    }
    if (type == DNS_SOA)
        return keep_name(upto, &at, arena, &r->name);
    r->data = arena_copy(arena, rdata);
    return r->data.p != NULL;
}

/* One resource record's place in the message. */
struct entry {
    struct slice owner;
    enum dns_type type;
    unsigned class;
    uint32_t ttl_s;
    size_t rdata, length;
};

static bool read_entry(struct slice m, size_t *at, char owner[DNS_NAME_MAX + 1], struct entry *x)
{
    size_t n;

    if (!read_name(m, at, owner, &n) || m.n - *at < 10)
        return false;
    x->owner = (struct slice){owner, n};
    x->type = (enum dns_type)get16(m, *at);
    x->class = get16(m, *at + 2);
    x->ttl_s = get32(m, *at + 4);
    if (x->ttl_s > INT32_MAX) /* RFC 2181 8 */
        x->ttl_s = 0;
    x->length = get16(m, *at + 8);
    x->rdata = *at + 10;
    if (x->length > m.n - x->rdata)
        return false;
    *at = x->rdata + x->length;
    return true;
}

/* What is gathered while the sections are walked. */
struct reading {
    struct slice message;
    struct dns_question question;
    struct arena *arena;
    struct dns_answer *answer;
    struct dns_record *records;
    size_t answers_at;
    unsigned answers, authorities;
    size_t authorities_at;
};

static bool find_cname(struct reading *r, bool *found_out)
{
    char owner[DNS_NAME_MAX + 1];
    size_t at = r->answers_at;
    struct entry x;

    *found_out = false;
    for (unsigned i = 0; i < r->answers; i++) {
        if (!read_entry(r->message, &at, owner, &x))
            return false;
        if (x.type != DNS_CNAME || x.class != CLASS_IN ||
            !slice_eq_nocase(x.owner, r->answer->canonical))
            continue;
        size_t target = x.rdata;
        if (!keep_name(r->message, &target, r->arena, &r->answer->canonical))
            return false;
        if (x.ttl_s < r->answer->ttl_s)
            r->answer->ttl_s = x.ttl_s;
        *found_out = true;
        return true;
    }
    return true;
}

/* Follows the CNAMEs inside the answer section. */
static bool follow(struct reading *r, bool *circle_out)
{
    bool found = r->question.type != DNS_CNAME;

    *circle_out = false;
    for (unsigned i = 0; found; i++) {
        if (i > CNAMES_MAX) {
            *circle_out = true;
            return true;
        }
        if (!find_cname(r, &found))
            return false;
    }
    return true;
}

static bool take_records(struct reading *r)
{
    char owner[DNS_NAME_MAX + 1];
    size_t at = r->answers_at;
    struct entry x;

    for (unsigned i = 0; i < r->answers; i++) {
        if (!read_entry(r->message, &at, owner, &x))
            return false;
        if (x.type != r->question.type || x.class != CLASS_IN ||
            !slice_eq_nocase(x.owner, r->answer->canonical))
            continue;
        struct dns_record *record = &r->records[r->answer->count];
        if (!dns_rdata_read(r->message, x.rdata, x.length, x.type, r->arena, record))
            return false;
        record->ttl_s = x.ttl_s;
        if (x.ttl_s < r->answer->ttl_s)
            r->answer->ttl_s = x.ttl_s;
        r->answer->count++;
    }
    r->authorities_at = at;
    return true;
}

/* RFC 2308 5: the lesser of the SOA's TTL and its last field; none: do not keep it. */
static uint32_t negative_ttl(const struct reading *r)
{
    char owner[DNS_NAME_MAX + 1];
    size_t at = r->authorities_at;
    struct entry x;

    for (unsigned i = 0; i < r->authorities; i++) {
        if (!read_entry(r->message, &at, owner, &x))
            return 0;
        if (x.type != DNS_SOA || x.length < 22)
            continue;
        uint32_t minimum = get32(r->message, x.rdata + x.length - 4);
        return minimum < x.ttl_s ? minimum : x.ttl_s;
    }
    return 0;
}

/* The header and the echoed question. */
static int read_start(struct reading *r, unsigned *flags_out, struct err *e)
{
    struct slice m = r->message;
    char owner[DNS_NAME_MAX + 1];
    size_t at = HEADER_BYTES, n;

    if (m.n < HEADER_BYTES)
        return err_set(e, ERR_SYNTAX, "DNS response of %zu bytes is too short", m.n);
    *flags_out = get16(m, 2);
    if (!(*flags_out & FLAG_RESPONSE) || get16(m, 4) != 1)
        return err_set(e, ERR_SYNTAX, "not a DNS response to one question");
    if (!read_name(m, &at, owner, &n) || m.n - at < 4)
        return err_set(e, ERR_SYNTAX, "DNS response is cut inside its question");
    if (!dns_name_equal((struct slice){owner, n}, r->question.name) ||
        get16(m, at) != (unsigned)r->question.type)
        return err_set(e, ERR_SYNTAX, "DNS response answers another question: %.*s", (int)n, owner);
    r->answers_at = at + 4;
    r->answers = get16(m, 6);
    r->authorities = get16(m, 8);
    if (r->answers > DNS_RECORDS_MAX)
        return err_set(e, ERR_LIMIT, "DNS response with %u records", r->answers);
    return 0;
}

int dns_message_read(struct slice wire, struct dns_question question, struct arena *arena,
                     struct dns_answer *answer_out, bool *unfinished_out, struct err *e)
{
    struct reading r = {wire, question, arena, answer_out, NULL, 0, 0, 0, 0};
    unsigned flags = 0;
    bool circle;

    *answer_out = (struct dns_answer){.status = DNS_SERVFAIL, .ttl_s = INT32_MAX};
    *unfinished_out = false;
    if (read_start(&r, &flags, e))
        return -1;
    answer_out->secure = flags & FLAG_SECURE;
    answer_out->canonical = arena_copy(arena, dns_name_trim(question.name));
    r.records = arena_array(arena, r.answers + 1, sizeof *r.records);
    if (!answer_out->canonical.p || !r.records)
        return err_set(e, ERR_LIMIT, "no room for a DNS response of %zu bytes", wire.n);
    unsigned rcode = flags & RCODE_MASK;
    if (rcode != 0 && rcode != RCODE_NXDOMAIN) {
        answer_out->ttl_s = 0;
        return 0;
    }
    if (!follow(&r, &circle) || (!circle && !take_records(&r)))
        return err_set(e, ERR_SYNTAX, "DNS response about %.*s is broken",
                       SLICE_ARG(question.name));
    if (circle) {
        answer_out->ttl_s = 0;
        return 0;
    }
    answer_out->records = r.records;
    answer_out->status = rcode == RCODE_NXDOMAIN ? DNS_NXDOMAIN : DNS_NODATA;
    if (answer_out->count > 0) {
        answer_out->status = DNS_OK;
        return 0;
    }
    uint32_t negative = negative_ttl(&r);
    *unfinished_out = rcode == 0 && negative == 0 && question.type != DNS_CNAME &&
                      !dns_name_equal(answer_out->canonical, question.name);
    if (negative < answer_out->ttl_s)
        answer_out->ttl_s = negative;
    return 0;
}
