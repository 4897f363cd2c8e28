/* Any bytes: no address is good that we did not write; what we write is read back equal, in any
 * case, and by the forwarder after us too; with another character in it, it is not. */
#include <assert.h>

#include "base/ascii.h"
#include "lib/addr/srs.h"

static const struct slice first = SLICE_INIT("first.example"), second = SLICE_INIT("s.example");

static bool is_srs_of(struct slice sender, struct slice domain)
{
    size_t at = slice_find_last(sender, '@');

    return srs_is_one(sender) && slice_eq_nocase(slice_from(sender, at + 1), domain);
}

static void round_trip(const struct srs *s, struct slice sender, struct slice forwarder)
{
    struct buf out, back;
    struct err e;

    buf_init(&out, 1024);
    buf_init(&back, 1024);
    if (!is_srs_of(sender, forwarder) &&
        srs_encode(s, sender, forwarder, 1700000000, &out, &e) == 0) {
        assert(slice_find_last(buf_slice(&out), '@') <= SRS_LOCAL_MAX);
        assert(srs_decode(s, buf_slice(&out), forwarder, 1700000000, &back) == SRS_GOOD);
        /* SRS1 loses how "SRS0" was written, and whom it went through */
        if (slice_starts(buf_slice(&out), SLICE("SRS0=")))
            assert(slice_eq(buf_slice(&back), sender));
        else
            assert(slice_starts(buf_slice(&back), SLICE("SRS0")));
        for (size_t i = 0; i < out.n; i++)
            out.p[i] = ascii_lower(out.p[i]);
        buf_clear(&back);
        assert(srs_decode(s, buf_slice(&out), forwarder, 1700000000, &back) == SRS_GOOD);
        if (forwarder.p == first.p)
            round_trip(s, buf_slice(&out), second);
    }
    buf_finish(&out);
    buf_finish(&back);
}

/* Only case and the separator behind "SRS0" may change; past the hash that would be 60 bits of
 * luck. */
static void change_one(const struct srs *s, struct slice sender, size_t at, char to)
{
    struct buf out, back;
    struct err e;

    buf_init(&out, 1024);
    buf_init(&back, 1024);
    if (!is_srs_of(sender, first) && srs_encode(s, sender, first, 1700000000, &out, &e) == 0) {
        at %= out.n;
        bool matters = at != 4 && ascii_lower(out.p[at]) != ascii_lower(to);
        out.p[at] = to;
        enum srs_verdict verdict = srs_decode(s, buf_slice(&out), first, 1700000000, &back);
        assert(!matters || verdict != SRS_GOOD);
        assert(verdict == SRS_GOOD || back.n == 0);
    }
    buf_finish(&out);
    buf_finish(&back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = {(const char *)data, size};
    const struct srs s = {.secrets = {SLICE_INIT("k")},
                          .secret_count = 1,
                          .hash_length = 12,
                          .hash_least = 12,
                          .days = 30};
    struct buf out;

    buf_init(&out, 1024);
    enum srs_verdict verdict = srs_decode(&s, in, first, 1700000000, &out);
    assert(verdict == SRS_NOT_ONE || verdict == SRS_FORGED); /* or 60 bits were found */
    assert(out.n == 0);
    buf_finish(&out);
    round_trip(&s, in, first);
    if (size > 2)
        change_one(&s, slice_from(in, 2), data[0], in.p[1]);
    return 0;
}
