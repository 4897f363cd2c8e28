#include "lib/dkim/write_in.h"

#include "lib/crypt/key.h"
#include "lib/dkim/tags_in.h"
#include "lib/text/base64.h"

#define LINE_COLUMNS 76

void dkim_write_name(struct buf *names, struct slice name, size_t *column)
{
    if (names->n > 0) {
        buf_append_char(names, ':');
        ++*column;
    }
    if (*column + name.n + 1 > LINE_COLUMNS) {
        buf_append(names, SLICE("\r\n\t "));
        *column = 9; /* a tab and a space */
    }
    buf_append(names, name);
    *column += name.n;
}

void dkim_write_signature(struct buf *out, struct slice signature)
{
    struct buf encoded;
    struct slice rest;

    buf_init(&encoded, 2 * CRYPT_SIGNATURE_MAX_BYTES);
    base64_encode(signature, &encoded);
    rest = buf_slice(&encoded);
    for (size_t columns = LINE_COLUMNS - 10; rest.n > 0; columns = LINE_COLUMNS - 9) {
        buf_append(out, slice_sub(rest, 0, columns));
        rest = slice_from(rest, columns);
        buf_append(out, rest.n > 0 ? SLICE("\r\n\t ") : SLICE("\r\n"));
    }
    buf_finish(&encoded);
}

int dkim_write_check(struct slice domain, struct slice selector, enum dkim_algorithm algorithm,
                     struct err *err)
{
    if (!dkim_is_domain(domain, 2))
        return err_set(err, ERR_SYNTAX, "\"%.*s\" cannot be the domain of a signature (d=)",
                       SLICE_ARG(domain));
    if (!dkim_is_domain(selector, 1))
        return err_set(err, ERR_SYNTAX, "\"%.*s\" cannot be a selector (s=)", SLICE_ARG(selector));
    if (algorithm == DKIM_RSA_SHA1)
        return err_set(err, ERR_SYNTAX, "nothing is signed with rsa-sha1 (RFC 8301 3.1)");
    return 0;
}
