#include "lib/text/psl.h"

#include <libpsl.h>

#include "base/ascii.h"

#define NAME_MAX_BYTES 253

/* `domain` as a C string; false if it cannot be a name. */
static bool to_text(struct slice domain, char *text_out)
{
    if (domain.n == 0 || domain.n > NAME_MAX_BYTES || domain.p[0] == '.' ||
        domain.p[domain.n - 1] == '.' || memchr(domain.p, '\0', domain.n) != NULL)
        return false;
    for (size_t i = 0; i < domain.n; i++)
        text_out[i] = ascii_lower(domain.p[i]);
    text_out[domain.n] = '\0';
    return true;
}

struct slice psl_organizational_domain(struct slice domain)
{
    char text[NAME_MAX_BYTES + 1];

    if (!to_text(domain, text))
        return (struct slice){NULL, 0};
    const char *found = psl_registrable_domain(psl_builtin(), text);
    if (found == NULL)
        return (struct slice){NULL, 0};
    return slice_from(domain, (size_t)(found - text));
}

bool psl_is_suffix(struct slice domain)
{
    char text[NAME_MAX_BYTES + 1];

    return to_text(domain, text) && psl_is_public_suffix2(psl_builtin(), text, PSL_TYPE_ANY) != 0;
}

bool psl_same_organization(struct slice a, struct slice b)
{
    struct slice org_a = psl_organizational_domain(a), org_b = psl_organizational_domain(b);

    if (org_a.n == 0 || org_b.n == 0)
        return a.n > 0 && slice_eq_nocase(a, b);
    return slice_eq_nocase(org_a, org_b);
}
