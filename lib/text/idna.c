#include "lib/text/idna.h"

#include <idn2.h>

#include "base/ascii.h"
#include "base/utf8.h"

#define NAME_MAX_BYTES 253 /* RFC 1035 3.1 without the root */
#define LABEL_MAX_BYTES 63
#define UNICODE_MAX_BYTES 1024 /* of a name in U-labels: four bytes a character at most */

static int check_lengths(struct slice name, struct err *e)
{
    struct slice rest = name;

    if (name.n > NAME_MAX_BYTES)
        return err_set(e, ERR_LIMIT, "domain name of %zu octets: at most %d", name.n,
                       NAME_MAX_BYTES);
    if (name.n == 0 || name.p[name.n - 1] == '.')
        return err_set(e, ERR_SYNTAX, "domain name \"%.*s\" has an empty label", SLICE_ARG(name));
    while (rest.n > 0) {
        struct slice label = slice_cut(&rest, '.');
        if (label.n == 0)
            return err_set(e, ERR_SYNTAX, "domain name \"%.*s\" has an empty label",
                           SLICE_ARG(name));
        if (label.n > LABEL_MAX_BYTES)
            return err_set(e, ERR_LIMIT, "domain label \"%.*s\" has %zu octets: at most %d",
                           SLICE_ARG(label), label.n, LABEL_MAX_BYTES);
    }
    return 0;
}

int idna_to_ascii(struct slice domain, struct buf *out, struct err *e)
{
    char text[UNICODE_MAX_BYTES + 1];
    uint8_t *converted = NULL;
    struct slice name = domain;
    int result = -1;

    if (name.n > 0 && name.p[name.n - 1] == '.')
        name.n--;
    if (name.n > UNICODE_MAX_BYTES)
        return err_set(e, ERR_LIMIT, "domain name of %zu octets", name.n);
    if (memchr(name.n > 0 ? name.p : "", '\0', name.n) != NULL)
        return err_set(e, ERR_SYNTAX, "domain name holds a NUL");
    for (size_t i = 0; i < name.n; i++)
        text[i] = ascii_lower(name.p[i]);
    text[name.n] = '\0';
    struct slice ascii = {text, name.n};
    if (!utf8_is_ascii(name)) {
        if (!utf8_valid(name))
            return err_set(e, ERR_SYNTAX, "domain name is not UTF-8");
        int code = idn2_lookup_u8((const uint8_t *)text, &converted,
                                  IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
        if (code != IDN2_OK) {
            enum err_code kind =
                code == IDN2_TOO_BIG_DOMAIN || code == IDN2_TOO_BIG_LABEL ? ERR_LIMIT : ERR_SYNTAX;
            err_set(e, kind, "domain name \"%.*s\": %s", SLICE_ARG(name), idn2_strerror(code));
            goto out;
        }
        ascii = slice_of((const char *)converted);
    }
    if (check_lengths(ascii, e) != 0)
        goto out;
    buf_append(out, ascii);
    if (out->full) {
        err_set(e, ERR_LIMIT, "no room for a domain name of %zu octets", ascii.n);
        goto out;
    }
    result = 0;
out:
    idn2_free(converted);
    return result;
}

void idna_to_unicode(struct slice domain, struct buf *out)
{
    bool first = true;

    while (domain.n > 0 || first) {
        struct slice label = slice_cut(&domain, '.');
        char text[LABEL_MAX_BYTES + 1], *shown = NULL;
        if (!first)
            buf_append_char(out, '.');
        first = false;
        if (slice_starts_nocase(label, SLICE("xn--")) && label.n < sizeof text &&
            memchr(label.p, '\0', label.n) == NULL) {
            memcpy(text, label.p, label.n);
            text[label.n] = '\0';
            if (idn2_to_unicode_8z8z(text, &shown, 0) != IDN2_OK)
                shown = NULL;
        }
        buf_append(out, shown != NULL ? slice_of(shown) : label);
        idn2_free(shown);
    }
}
