/* The fields of a delivery status notification (RFC 3464 2.2, 2.3; RFC 6533), in a part of their
 * own or in the middle of other text, with or without the empty lines between the groups. */
#include "base/ascii.h"
#include "lib/bounce/report_in.h"

#define FIELD_VALUE_MAX 4000

static struct slice field_name(struct slice line)
{
    size_t n = 0;

    while (n < line.n && (ascii_is_alnum(line.p[n]) || line.p[n] == '-'))
        n++;
    size_t colon = n;
    while (colon < line.n && ascii_is_wsp(line.p[colon]))
        colon++;
    if (n == 0 || colon >= line.n || line.p[colon] != ':')
        return (struct slice){NULL, 0};
    return slice_sub(line, 0, n);
}

bool field_next(struct bounce_reader *r, struct slice *rest, struct slice *name_out,
                struct slice *value_out, bool *is_blank_out)
{
    while (rest->n > 0) {
        struct slice line = slice_cut(rest, '\n');
        *is_blank_out = slice_trim(line).n == 0;
        *name_out = field_name(line);
        if (*is_blank_out)
            return true;
        if (name_out->n == 0)
            continue;
        struct slice value = slice_trim(slice_from(line, slice_find(line, ':') + 1));
        buf_clear(&r->scratch);
        buf_append(&r->scratch, slice_sub(value, 0, FIELD_VALUE_MAX));
        bool folded = false;
        while (rest->n > 0 && ascii_is_wsp(rest->p[0]) && r->scratch.n < FIELD_VALUE_MAX) {
            struct slice more = slice_trim(slice_cut(rest, '\n'));
            if (more.n == 0)
                break;
            folded = true;
            buf_append_char(&r->scratch, ' ');
            buf_append(&r->scratch, slice_sub(more, 0, FIELD_VALUE_MAX));
        }
        *value_out = folded ? arena_copy(r->arena, buf_slice(&r->scratch)) : value;
        return true;
    }
    return false;
}

/* "rfc822; <a@b>" -> "a@b". */
static struct slice after_type(struct slice value)
{
    size_t semicolon = slice_find(value, ';');
    struct slice rest = semicolon == SLICE_NONE ? value : slice_from(value, semicolon + 1);

    return slice_trim(rest);
}

/* \x{HEX} of a utf-8-addr-xtext and utf-8-addr-unitext (RFC 6533 3) to UTF-8. */
static struct slice decode_unicode(struct bounce_reader *r, struct slice s)
{
    if (slice_search(s, SLICE("\\x{")) == SLICE_NONE)
        return s;
    buf_clear(&r->scratch);
    for (size_t i = 0; i < s.n; i++) {
        uint32_t code = 0;
        size_t n = i + 3;
        if (slice_starts(slice_from(s, i), SLICE("\\x{")))
            for (; n < s.n && n < i + 9 && ascii_hex_value(s.p[n]) >= 0; n++)
                code = code * 16 + (uint32_t)ascii_hex_value(s.p[n]);
        if (code < 0x20 || code > 0x10ffff || n >= s.n || s.p[n] != '}') {
            buf_append_char(&r->scratch, s.p[i]);
            continue;
        }
        char out[4];
        size_t len = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
        for (size_t k = len; k > 1; k--, code >>= 6)
            out[k - 1] = (char)(0x80 | (code & 0x3f));
        static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
        out[0] = (char)(lead[len] | code);
        buf_append(&r->scratch, (struct slice){out, len});
        i = n;
    }
    return arena_copy(r->arena, buf_slice(&r->scratch));
}

static struct slice read_address(struct bounce_reader *r, struct slice value)
{
    struct slice rest = after_type(value);
    struct found_address found;

    if (rest.n > 1 && rest.p[0] == '<') {
        size_t close = slice_find_last(rest, '>');
        if (close != SLICE_NONE)
            rest = slice_sub(rest, 1, close - 1);
    }
    rest = decode_unicode(r, slice_trim(rest));
    if (slice_find(rest, '@') == SLICE_NONE)
        return rest;
    if (rest.p[0] != '"' && slice_search(rest, SLICE("...")) != SLICE_NONE)
        return (struct slice){NULL, 0}; /* cut by somebody */
    return address_find(rest, 0, &found) ? found.address : rest;
}

/* One group of per-recipient fields while it is gathered. */
struct group {
    struct slice final, original, actual, action, status, remote, diagnostic;
};

static enum bounce_event event_of(struct slice action, struct slice status)
{
    static const struct {
        const char *word;
        enum bounce_event event;
    } actions[] = {
        {"delayed", BOUNCE_DELAYED},     {"deferred", BOUNCE_DELAYED},
        {"delivered", BOUNCE_DELIVERED}, {"relayed", BOUNCE_RELAYED},
        {"expanded", BOUNCE_EXPANDED},   {"deliverable", BOUNCE_DELIVERED},
    };

    for (size_t i = 0; i < COUNT(actions); i++)
        if (slice_starts_nocase(action, slice_of(actions[i].word)))
            return actions[i].event;
    if (action.n == 0 && status.n > 0 && status.p[0] == '2')
        return BOUNCE_DELIVERED;
    return BOUNCE_FAILED;
}

/* "(expanded ...)" and other comments behind a status go. */
static struct slice clean_status(struct slice value)
{
    struct slice found = bounce_find_status(value);

    return found;
}

/* "@host", "@relay:user@host" or "user@server": where it went inside a house, not whom it was for.
 */
static bool is_no_public_address(struct slice address)
{
    size_t at = slice_find_last(address, '@');

    if (at == SLICE_NONE)
        return false;
    struct slice domain = slice_from(address, at + 1);
    return address.p[0] == '@' ||
           (slice_find(domain, '.') == SLICE_NONE && slice_find(domain, '[') == SLICE_NONE);
}

static bool group_finish(struct bounce_reader *r, struct group *g)
{
    struct slice address = g->final.n > 0 ? g->final : g->actual;

    if (slice_find(address, '@') == SLICE_NONE) {
        if (slice_find(g->actual, '@') != SLICE_NONE)
            address = g->actual;
        else if (slice_find(g->original, '@') != SLICE_NONE)
            address = g->original;
        else
            address = (struct slice){NULL, 0}; /* a local name: the words may tell more */
    }
    if (is_no_public_address(address) && slice_find(g->original, '@') != SLICE_NONE)
        address = g->original;
    if (address.n > 0 && address.p[0] == '@')
        address = (struct slice){NULL, 0}; /* a host without a mailbox */
    struct group done = *g;
    *g = (struct group){0};
    if (address.n == 0) {
        r->has_nameless = r->has_nameless || (slice_starts_nocase(done.action, SLICE("failed")) &&
                                              slice_find(done.final, '@') == SLICE_NONE);
        return false;
    }
    struct bounce_recipient *item = report_get(r, address);
    enum bounce_event event = event_of(done.action, done.status);
    if (item != NULL && item->event == event && item->diagnostic.n == 0)
        item->diagnostic = done.diagnostic; /* said twice; once with a reason */
    if (item != NULL && item->event == BOUNCE_FAILED)
        return true;
    if (item == NULL)
        item = report_add(r, address);
    if (item == NULL)
        return true;
    *item = (struct bounce_recipient){
        .recipient = address,
        .event = event,
        .original_recipient = done.original,
        .action = done.action,
        .status = clean_status(done.status),
        .diagnostic = done.diagnostic,
        .remote_mta = done.remote,
    };
    return true;
}

static void group_take(struct bounce_reader *r, struct group *g, struct slice name,
                       struct slice value, bool *any)
{
    if (slice_eq_nocase(name, SLICE("Final-Recipient"))) {
        if (g->final.n > 0)
            *any = group_finish(r, g) || *any;
        g->final = read_address(r, value);
    } else if (slice_eq_nocase(name, SLICE("Original-Recipient"))) {
        if (g->original.n > 0)
            *any = group_finish(r, g) || *any;
        g->original = read_address(r, value);
    } else if (slice_eq_nocase(name, SLICE("X-Actual-Recipient"))) {
        g->actual = read_address(r, value);
    } else if (slice_eq_nocase(name, SLICE("Action"))) {
        g->action = slice_sub(value, 0, slice_find(value, ' '));
    } else if (slice_eq_nocase(name, SLICE("Status"))) {
        g->status = value;
    } else if (slice_eq_nocase(name, SLICE("Remote-MTA"))) {
        g->remote = after_type(value);
    } else if (slice_eq_nocase(name, SLICE("X-Original-Message-ID")) ||
               slice_eq_nocase(name, SLICE("Original-Message-ID"))) {
        r->original_id = value;
    } else if (slice_eq_nocase(name, SLICE("Diagnostic-Code"))) {
        size_t semicolon = slice_find(slice_sub(value, 0, 16), ';');
        g->diagnostic = semicolon == SLICE_NONE ? value : after_type(value);
    }
}

bool fields_read(struct bounce_reader *r, struct slice text)
{
    struct slice rest = text, name, value = {NULL, 0};
    struct group g = {0};
    bool any = false, is_blank;

    while (field_next(r, &rest, &name, &value, &is_blank)) {
        if (!is_blank)
            group_take(r, &g, name, value, &any);
        else if (g.final.n > 0 && (g.status.n > 0 || g.action.n > 0))
            any = group_finish(r, &g) || any;
    }
    if (g.final.n > 0 || (g.original.n > 0 && (g.status.n > 0 || g.action.n > 0)))
        any = group_finish(r, &g) || any;
    return any;
}
