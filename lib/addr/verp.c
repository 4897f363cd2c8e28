#include "lib/addr/verp.h"

#include <assert.h>

#include "base/ascii.h"
#include "lib/crypt/hash.h"

#define DAY_DIGITS 4
#define MAC_DIGITS 16 /* 80 bits */
#define TAG_N (DAY_DIGITS + MAC_DIGITS)
#define DAY_MAX ((1 << (5 * DAY_DIGITS)) - 1)
#define DAY_S 86400

static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
static const struct slice prefix = SLICE_INIT("bounces+");

static int digit_value(char c)
{
    for (int i = 0; i < 32; i++)
        if (digits[i] == c)
            return i;
    return -1;
}

/* The first 80 bits of the HMAC, as text. */
static void sign(const struct verp *v, struct slice key, struct slice domain,
                 char mac_out[MAC_DIGITS])
{
    char id[ID_TEXT_N + 1], room[512];
    struct buf text = {.p = room, .cap = sizeof room, .max = sizeof room};
    uint8_t digest[CRYPT_SHA256_BYTES];
    uint64_t bits = 0;
    unsigned have = 0;
    size_t at = 0;

    id_encode(v->id, id);
    buf_printf(&text, "waybill verp 1\n%s.%u=%lld@", id, v->n, (long long)v->expires_day);
    for (size_t i = 0; i < domain.n; i++)
        buf_append_char(&text, ascii_lower(domain.p[i]));
    crypt_hmac_sha256(key, buf_slice(&text), digest);
    for (size_t i = 0; i < MAC_DIGITS; i++) {
        while (have < 5) {
            bits = bits << 8 | digest[at++];
            have += 8;
        }
        have -= 5;
        mac_out[i] = digits[bits >> have & 31];
    }
}

void verp_write(const struct verp *v, struct slice key, struct slice domain, struct buf *out)
{
    char id[ID_TEXT_N + 1], mac[MAC_DIGITS];

    assert(v->n > 0 && v->n <= VERP_RECIPIENT_MAX);
    assert(v->expires_day >= 0 && v->expires_day <= DAY_MAX);
    id_encode(v->id, id);
    sign(v, key, domain, mac);
    buf_append(out, prefix);
    buf_append_text(out, id);
    buf_printf(out, ".%u=", v->n);
    for (int i = DAY_DIGITS; i-- > 0;)
        buf_append_char(out, digits[v->expires_day >> (5 * i) & 31]);
    buf_append(out, (struct slice){mac, sizeof mac});
    buf_append_char(out, '@');
    buf_append(out, domain);
}

/* "ID.N=TAG"; false when it has another form. */
static bool split(struct slice local, struct verp *v, struct slice *mac_out)
{
    size_t equals = slice_find_last(local, '=');
    uint64_t n;

    if (local.n < ID_TEXT_N + 3 || !id_decode(slice_sub(local, 0, ID_TEXT_N), &v->id) ||
        local.p[ID_TEXT_N] != '.' || equals == SLICE_NONE || local.n - equals - 1 != TAG_N ||
        equals <= ID_TEXT_N)
        return false;
    struct slice number = slice_sub(local, ID_TEXT_N + 1, equals - ID_TEXT_N - 1);
    if (number.n > 7 || (number.n > 0 && number.p[0] == '0') || !slice_to_u64(number, &n))
        return false;
    v->n = (uint32_t)n; /* 7 digits */
    v->expires_day = 0;
    for (size_t i = 0; i < DAY_DIGITS; i++) {
        int value = digit_value(local.p[equals + 1 + i]);
        if (value < 0)
            return false;
        v->expires_day = v->expires_day << 5 | value;
    }
    *mac_out = slice_from(local, equals + 1 + DAY_DIGITS);
    return true;
}

enum verp_verdict verp_read(struct slice address, struct slice key, struct slice domain,
                            int64_t unix_s, struct verp *verp_out)
{
    size_t at = slice_find_last(address, '@');
    char upper[VERP_LOCAL_MAX], mac[MAC_DIGITS];
    struct slice local, found;

    *verp_out = (struct verp){0};
    if (at == SLICE_NONE || at > VERP_LOCAL_MAX ||
        !slice_eq_nocase(slice_from(address, at + 1), domain) ||
        !slice_starts_nocase(address, prefix))
        return VERP_NOT_ONE;
    local = slice_sub(address, prefix.n, at - prefix.n);
    for (size_t i = 0; i < local.n; i++) {
        char c = local.p[i];
        upper[i] = c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
    }
    if (!split((struct slice){upper, local.n}, verp_out, &found))
        return VERP_NOT_ONE;
    sign(verp_out, key, domain, mac);
    if (!crypt_equal(found, (struct slice){mac, sizeof mac}))
        return VERP_FORGED;
    return unix_s / DAY_S > verp_out->expires_day ? VERP_EXPIRED : VERP_GOOD;
}

const char *verp_verdict_name(enum verp_verdict verdict)
{
    static const char *const names[] = {
        [VERP_GOOD] = "good",
        [VERP_EXPIRED] = "expired",
        [VERP_FORGED] = "forged",
        [VERP_NOT_ONE] = "not a return path",
    };

    return names[verdict];
}
