/* Any text of a key record: refused with a reason, revoked, or a key whose own record is read back
 * as the same key. Quoted for a zone file, no string is longer than 255 octets. */
#include <assert.h>

#include "lib/dkim/record.h"

static void check_written(const struct crypt_key *key)
{
    struct dkim_record record;
    struct crypt_key *again;
    struct buf text;
    struct err err;

    buf_init(&text, DKIM_RECORD_MAX_BYTES);
    if (dkim_record_write(key, &text, &err) == 0) {
        assert(dkim_record_read(buf_slice(&text), &record, &again, &err) == 0);
        assert(record.type == crypt_key_type(key) && record.email && record.sha256);
        assert(crypt_key_bits(again) == crypt_key_bits(key));
        crypt_key_destroy(&again);
    }
    buf_finish(&text);
}

static void check_quoted(struct slice in)
{
    struct buf out;
    size_t octets = 0, length = 0;
    bool inside = false;

    buf_init(&out, 8 * in.n + 64);
    dkim_record_quote(in, &out);
    assert(!out.full);
    for (size_t i = 0; i < out.n; i++) {
        if (out.p[i] == '"') {
            inside = !inside;
            assert(length <= 255);
            length = 0;
        } else if (inside) {
            i += out.p[i] == '\\' ? 3 : 0;
            length++;
            octets++;
        }
    }
    assert(!inside && octets == in.n);
    buf_finish(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = {(const char *)data, size};
    struct dkim_record record;
    struct crypt_key *key;
    struct err err = {0};

    if (dkim_record_read(in, &record, &key, &err) != 0) {
        assert(key == NULL && err.text[0] != '\0');
    } else {
        assert((key == NULL) == record.revoked);
        if (key != NULL) {
            assert(crypt_key_type(key) == record.type && !crypt_key_is_private(key));
            check_written(key);
        }
    }
    crypt_key_destroy(&key);
    check_quoted(in);
    return 0;
}
