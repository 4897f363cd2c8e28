#include "lib/addr/srs.h"

#include <assert.h>

#include "base/ascii.h"
#include "lib/crypt/hash.h"
#include "lib/text/base64.h"

#define DAY_S 86400
#define DAY_CYCLE 1024 /* two base32 digits */
#define HASH_ROOM 32   /* base64 of 20 octets, padded */
#define ADDRESS_MAX 512

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

static bool is_separator(char c)
{
    return c == '=' || c == '+' || c == '-';
}

static bool starts_like(struct slice local, const char *prefix)
{
    return local.n > 5 && slice_starts_nocase(local, slice_of(prefix)) && is_separator(local.p[4]);
}

bool srs_is_one(struct slice address)
{
    return starts_like(address, "SRS0") || starts_like(address, "SRS1");
}

/* --- hashes --- */

static void append_lower(struct buf *out, struct slice s)
{
    for (size_t i = 0; i < s.n; i++)
        buf_append_char(out, ascii_lower(s.p[i]));
}

/* The hash over the parts, one behind the other. */
static void make_hash(struct slice secret, const struct slice *parts, size_t n,
                      char text_out[HASH_ROOM])
{
    char room[ADDRESS_MAX];
    struct buf all = {.p = room, .cap = sizeof room, .max = sizeof room};
    struct buf text = {.p = text_out, .cap = HASH_ROOM, .max = HASH_ROOM};
    uint8_t digest[CRYPT_SHA1_BYTES];

    for (size_t i = 0; i < n; i++)
        append_lower(&all, parts[i]);
    crypt_hmac_sha1(secret, buf_slice(&all), digest);
    base64_encode((struct slice){(const char *)digest, sizeof digest}, &text);
}

static void append_hash(const struct srs *s, const struct slice *parts, size_t n, struct buf *out)
{
    char text[HASH_ROOM];

    make_hash(s->secrets[0], parts, n, text);
    buf_append(out, (struct slice){text, s->hash_length});
}

static bool hash_fits(const struct srs *s, struct slice hash, const struct slice *parts, size_t n)
{
    char text[HASH_ROOM], given[HASH_ROOM];
    bool fits = false;

    if (hash.n < s->hash_least || hash.n > SRS_HASH_MOST)
        return false;
    for (size_t i = 0; i < hash.n; i++)
        given[i] = ascii_lower(hash.p[i]);
    for (size_t k = 0; k < s->secret_count; k++) {
        make_hash(s->secrets[k], parts, n, text);
        for (size_t i = 0; i < hash.n; i++)
            text[i] = ascii_lower(text[i]);
        fits |= crypt_equal((struct slice){given, hash.n}, (struct slice){text, hash.n});
    }
    return fits;
}

/* --- days --- */

static void write_day(int64_t unix_s, char out[2])
{
    unsigned day = (unsigned)(unix_s / DAY_S % DAY_CYCLE); /* not negative */

    out[0] = digits[day >> 5];
    out[1] = digits[day & 31];
}

static int digit_value(char c)
{
    for (int i = 0; i < 32; i++)
        if (digits[i] == c || digits[i] == ascii_upper(c))
            return i;
    return -1;
}

/* How many days ago; -1: no day. One in the future is one of the last cycle. */
static int days_since(struct slice day, int64_t unix_s)
{
    int high, low;

    if (day.n != 2 || (high = digit_value(day.p[0])) < 0 || (low = digit_value(day.p[1])) < 0)
        return -1;
    return (int)((unix_s / DAY_S - (high * 32 + low)) % DAY_CYCLE + DAY_CYCLE) % DAY_CYCLE;
}

/* --- there --- */

/* What may stand in a local part without quotes (RFC 5321 4.1.2 Atom, RFC 6531), and dots. */
static bool needs_quotes(struct slice s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];

        if (c < 0x80 && !ascii_is_alnum(s.p[i]) &&
            (c == '\0' || strchr("!#$%&'*+-/=?^_`{|}~.", s.p[i]) == NULL))
            return true;
    }
    return s.n == 0;
}

/* A name and no literal; what is cut at "=" may hold none. */
static bool is_host_name(struct slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < 0x80 && !ascii_is_alnum(s.p[i]) && s.p[i] != '-' &&
            s.p[i] != '.' && s.p[i] != '_')
            return false;
    return s.n > 0;
}

static void append_first(const struct srs *s, struct slice local, struct slice domain,
                         int64_t unix_s, struct buf *out)
{
    char day[2];

    write_day(unix_s, day);
    const struct slice parts[] = {{day, sizeof day}, domain, local};
    buf_append_text(out, "SRS0=");
    append_hash(s, parts, COUNT(parts), out);
    for (size_t i = 0; i < COUNT(parts); i++) {
        buf_append_char(out, '=');
        buf_append(out, parts[i]);
    }
}

/* `rest` is what the first forwarder, `host`, wrote behind "SRS0", with its separator. */
static void append_next(const struct srs *s, struct slice host, struct slice rest, struct buf *out)
{
    const struct slice parts[] = {host, rest};

    buf_append_text(out, "SRS1=");
    append_hash(s, parts, COUNT(parts), out);
    for (size_t i = 0; i < COUNT(parts); i++) {
        buf_append_char(out, '=');
        buf_append(out, parts[i]);
    }
}

/* "HASH=HOST=REST" behind "SRS1="; REST begins with a separator. */
static bool split_next(struct slice text, struct slice *hash_out, struct slice *host_out,
                       struct slice *rest_out)
{
    *hash_out = slice_cut(&text, '=');
    *host_out = slice_cut(&text, '=');
    *rest_out = text;
    return host_out->n > 0 && text.n > 1 && is_separator(text.p[0]);
}

int srs_encode(const struct srs *s, struct slice sender, struct slice forwarder, int64_t unix_s,
               struct buf *out, struct err *e)
{
    size_t at = slice_find_last(sender, '@');
    char room[ADDRESS_MAX];
    struct buf made = {.p = room, .cap = sizeof room, .max = sizeof room};
    struct slice local, domain, hash, host, rest;

    assert(s->secret_count > 0 && s->hash_length >= SRS_HASH_LEAST &&
           s->hash_length <= SRS_HASH_MOST);
    if (at == SLICE_NONE || needs_quotes(slice_sub(sender, 0, at)) ||
        !is_host_name(slice_from(sender, at + 1)))
        return err_set(e, ERR_SYNTAX, "<%.*s> cannot be written as SRS",
                       SLICE_ARG(slice_sub(sender, 0, 100)));
    local = slice_sub(sender, 0, at);
    domain = slice_from(sender, at + 1);
    if (srs_is_one(sender) && slice_eq_nocase(domain, forwarder)) {
        buf_append(out, sender);
        return out->full ? err_set(e, ERR_LIMIT, "no room for an address") : 0;
    }
    if (starts_like(local, "SRS0"))
        append_next(s, domain, slice_from(local, 4), &made);
    else if (starts_like(local, "SRS1") && split_next(slice_from(local, 5), &hash, &host, &rest))
        append_next(s, host, rest, &made);
    else
        append_first(s, local, domain, unix_s, &made);
    if (made.full || made.n > SRS_LOCAL_MAX)
        return err_set(e, ERR_LIMIT, "<%.*s> is too long to be written as SRS",
                       SLICE_ARG(slice_sub(sender, 0, 100)));
    buf_append_char(&made, '@');
    buf_append(&made, forwarder);
    if (made.full || made.n > out->max - out->n)
        return err_set(e, ERR_LIMIT, "no room for an address");
    buf_append(out, buf_slice(&made));
    return 0;
}

/* --- and back --- */

static enum srs_verdict decode_first(const struct srs *s, struct slice text, int64_t unix_s,
                                     struct buf *out)
{
    struct slice hash = slice_cut(&text, '=');
    struct slice day = slice_cut(&text, '='), domain = slice_cut(&text, '='), local = text;
    const struct slice parts[] = {day, domain, local};
    int age = days_since(day, unix_s);

    if (age < 0 || domain.n == 0 || local.n == 0)
        return SRS_NOT_ONE;
    if (!hash_fits(s, hash, parts, COUNT(parts)))
        return SRS_FORGED;
    if ((unsigned)age > s->days) /* not negative */
        return SRS_EXPIRED;
    buf_append(out, local);
    buf_append_char(out, '@');
    buf_append(out, domain);
    return SRS_GOOD;
}

static enum srs_verdict decode_next(const struct srs *s, struct slice text, struct buf *out)
{
    struct slice hash, host, rest;

    if (!split_next(text, &hash, &host, &rest))
        return SRS_NOT_ONE;
    const struct slice parts[] = {host, rest};
    if (!hash_fits(s, hash, parts, COUNT(parts)))
        return SRS_FORGED;
    buf_append_text(out, "SRS0"); /* when it expires is for that host to say */
    buf_append(out, rest);
    buf_append_char(out, '@');
    buf_append(out, host);
    return SRS_GOOD;
}

enum srs_verdict srs_decode(const struct srs *s, struct slice address, struct slice forwarder,
                            int64_t unix_s, struct buf *out)
{
    size_t at = slice_find_last(address, '@');
    struct slice local;

    if (at == SLICE_NONE || address.n > ADDRESS_MAX ||
        !slice_eq_nocase(slice_from(address, at + 1), forwarder) || !srs_is_one(address))
        return SRS_NOT_ONE;
    local = slice_sub(address, 0, at);
    if (starts_like(local, "SRS0"))
        return decode_first(s, slice_from(local, 5), unix_s, out);
    return starts_like(local, "SRS1") ? decode_next(s, slice_from(local, 5), out) : SRS_NOT_ONE;
}

const char *srs_verdict_name(enum srs_verdict verdict)
{
    static const char *const names[] = {
        [SRS_GOOD] = "good",
        [SRS_EXPIRED] = "expired",
        [SRS_FORGED] = "forged",
        [SRS_NOT_ONE] = "not SRS",
    };

    return names[verdict];
}
