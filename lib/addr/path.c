#include "lib/addr/path.h"

#include "base/ascii.h"
#include "base/utf8.h"
#include "lib/addr/domain.h"
#include "lib/text/idna.h"

/* RFC 5321 4.1.2 Atom, RFC 6531 3.3 with UTF-8 */
static bool is_atext(char c, bool utf8)
{
    return ascii_is_alnum(c) || (c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL) ||
           (utf8 && (unsigned char)c >= 0x80);
}

/* The length of the dot-string or quoted string at the start of `s`; 0 if there is none. */
static size_t local_length(struct slice s, bool utf8, bool *quoted_out)
{
    size_t i = 0;

    *quoted_out = s.n > 0 && s.p[0] == '"';
    if (*quoted_out) {
        for (i = 1; i < s.n && s.p[i] != '"'; i++) {
            if (s.p[i] == '\\')
                i++;
            if (i >= s.n || ascii_is_control(s.p[i]) || (!utf8 && (unsigned char)s.p[i] >= 0x80))
                return 0;
        }
        return i < s.n ? i + 1 : 0;
    }
    while (i < s.n && (is_atext(s.p[i], utf8) || (s.p[i] == '.' && i > 0 && s.p[i - 1] != '.')))
        i++;
    return i > 0 && s.p[i - 1] == '.' ? 0 : i;
}

/* Steps over "@a.example,@b.example:" (RFC 5321 C: accepted, ignored). */
static int skip_route(struct slice *s, bool utf8, struct err *e)
{
    size_t colon = slice_find(*s, ':'), bracket = slice_find(*s, '>');

    if (s->n == 0 || s->p[0] != '@')
        return 0;
    if (colon == SLICE_NONE || bracket < colon)
        return err_set(e, ERR_SYNTAX, "source route without a ':'");
    struct slice route = slice_sub(*s, 0, colon);
    while (route.n > 0) {
        struct slice hop = slice_cut(&route, ',');
        if (hop.n < 2 || hop.p[0] != '@' || !domain_is_name(slice_from(hop, 1), utf8))
            return err_set(e, ERR_SYNTAX, "source route: \"%.*s\" is no @domain", SLICE_ARG(hop));
    }
    *s = slice_from(*s, colon + 1);
    return 0;
}

static int check_domain(struct path *path, bool utf8, struct err *e)
{
    struct ip_address ip;

    path->is_literal = path->domain.n > 0 && path->domain.p[0] == '[';
    if (path->domain.n > DOMAIN_MAX)
        return err_set(e, ERR_LIMIT, "domain of %zu octets: at most %d", path->domain.n,
                       DOMAIN_MAX);
    if (path->domain.n == 0)
        return err_set(e, ERR_SYNTAX, "nothing stands after the '@'");
    if (path->is_literal && !domain_literal_parse(path->domain, &ip))
        return err_set(e, ERR_SYNTAX, "\"%.*s\" is no address literal", SLICE_ARG(path->domain));
    if (!path->is_literal && !domain_is_name(path->domain, utf8))
        return err_set(e, ERR_SYNTAX, "\"%.*s\" is no domain name", SLICE_ARG(path->domain));
    return 0;
}

/* Parses local@domain up to the end of `s` or, in brackets, up to '>'. */
static int parse_mailbox(struct slice s, unsigned flags, char end, struct path *path, struct err *e)
{
    bool utf8 = (flags & PATH_UTF8) != 0;
    size_t n = local_length(s, utf8, &path->is_quoted);

    if (n == 0)
        return err_set(e, ERR_SYNTAX, "\"%.*s\": the part before the '@' is malformed",
                       SLICE_ARG(slice_sub(s, 0, 80)));
    path->local = slice_sub(s, 0, n);
    struct slice rest = slice_from(s, n);
    if (rest.n > 0 && rest.p[0] == '@') {
        rest = slice_from(rest, 1);
        size_t length = end == '\0' ? rest.n : slice_find(rest, end);
        if (length == SLICE_NONE)
            return err_set(e, ERR_SYNTAX, "the path has no closing '>'");
        path->domain = slice_sub(rest, 0, length);
        rest = slice_from(rest, length);
        if (check_domain(path, utf8, e) != 0)
            return -1;
    } else if ((flags & PATH_POSTMASTER) == 0 ||
               !slice_eq_nocase(path->local, SLICE("postmaster"))) {
        return err_set(e, ERR_SYNTAX, "\"%.*s\" has no '@' and domain",
                       SLICE_ARG(slice_sub(s, 0, 80)));
    }
    if (end != '\0' ? rest.n == 0 || rest.p[0] != end : rest.n != 0)
        return err_set(e, ERR_SYNTAX, "unexpected \"%.*s\" in the path",
                       SLICE_ARG(slice_sub(rest, 0, 80)));
    path->address = (struct slice){s.p, (size_t)(rest.p - s.p)};
    path->is_utf8 = !utf8_is_ascii(path->address);
    if (path->is_utf8 && !utf8_valid(path->address))
        return err_set(e, ERR_SYNTAX, "the path is not UTF-8");
    if (path->local.n > PATH_LOCAL_MAX)
        return err_set(e, ERR_LIMIT, "local part of %zu octets: at most %d", path->local.n,
                       PATH_LOCAL_MAX);
    if (path->address.n > PATH_MAX_BYTES)
        return err_set(e, ERR_LIMIT, "address of %zu octets: at most %d", path->address.n,
                       PATH_MAX_BYTES);
    return 0;
}

int path_parse(struct slice text, unsigned flags, struct path *path_out, struct err *e)
{
    struct slice rest = slice_from(text, 1);

    *path_out = (struct path){0};
    if (text.n == 0 || text.p[0] != '<')
        return err_set(e, ERR_SYNTAX, "the path does not begin with '<'");
    if (rest.n > 0 && rest.p[0] == '>') {
        path_out->is_null = true;
        path_out->used = 2;
        if ((flags & PATH_NULL) == 0)
            return err_set(e, ERR_SYNTAX, "the empty path <> cannot stand here");
        return 0;
    }
    if (skip_route(&rest, (flags & PATH_UTF8) != 0, e) != 0)
        return -1;
    if (parse_mailbox(rest, flags, '>', path_out, e) != 0)
        return -1;
    path_out->used = (size_t)(path_out->address.p + path_out->address.n + 1 - text.p);
    return 0;
}

int path_parse_address(struct slice text, unsigned flags, struct path *path_out, struct err *e)
{
    *path_out = (struct path){0};
    if (parse_mailbox(text, flags, '\0', path_out, e) != 0)
        return -1;
    path_out->used = text.n;
    return 0;
}

void path_local_unquoted(struct slice local, struct buf *out)
{
    if (local.n < 2 || local.p[0] != '"') {
        buf_append(out, local);
        return;
    }
    for (size_t i = 1; i + 1 < local.n; i++) {
        if (local.p[i] == '\\' && i + 2 < local.n)
            i++;
        buf_append_char(out, local.p[i]);
    }
}

void path_local_quoted(struct slice local, struct buf *out)
{
    bool quoted;

    if (local.n > 0 && local.p[0] != '"' && local_length(local, true, &quoted) == local.n) {
        buf_append(out, local);
        return;
    }
    buf_append_char(out, '"');
    for (size_t i = 0; i < local.n; i++) {
        if (local.p[i] == '"' || local.p[i] == '\\')
            buf_append_char(out, '\\');
        buf_append_char(out, local.p[i]);
    }
    buf_append_char(out, '"');
}

void path_normalize(const struct path *path, struct buf *out)
{
    struct buf local;
    struct err e;

    if (path->address.n == 0)
        return;
    buf_init(&local, PATH_MAX_BYTES);
    path_local_unquoted(path->local, &local);
    path_local_quoted(buf_slice(&local), out);
    buf_finish(&local);
    if (path->domain.n == 0)
        return;
    buf_append_char(out, '@');
    if (!path->is_literal && idna_to_ascii(path->domain, out, &e) == 0)
        return;
    for (size_t i = 0; i < path->domain.n; i++)
        buf_append_char(out, ascii_lower(path->domain.p[i]));
}
