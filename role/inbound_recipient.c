/* Recipients: who exists here, and who takes the place of an address of ours. */
#include "lib/addr/domain.h"
#include "mta/event/options.h"
#include "role/inbound_in.h"
#include "role/recipients.h"

#define ADDRESS_ROOM 512

/* --- those who exist --- */

/* RFC 5321 4.5.1 wants somebody to read what postmaster gets; it is only taken where that is so. */
static void warn_of_postmaster(struct inbound *in, const struct conf_route *route)
{
    char room[ADDRESS_ROOM];
    struct buf address = {.p = room, .cap = sizeof room, .max = sizeof room};

    buf_printf(&address, "postmaster@%s", route->title);
    if (recipient_find(in, buf_slice(&address)) == RECIPIENT_UNKNOWN)
        log_warn(in->env.log, "inbound.no_postmaster", LOG_TEXT("address", buf_slice(&address)),
                 LOG_STRING("why", "neither recipients_file nor forwards_file has it"));
}

int recipient_open(struct inbound *in, struct err *e)
{
    in->recipients = mem_alloc((in->conf->route_count + 1) * sizeof *in->recipients);
    for (size_t i = 0; i < in->conf->route_count; i++) {
        const struct conf_route *route = &in->conf->routes[i];
        struct listed *l = &in->recipients[in->recipients_n];

        if (!route->local || route->recipients_file[0] == '\0')
            continue;
        l->list = recipients_load(route->recipients_file, e);
        if (l->list == NULL)
            return -1;
        l->domain = mem_string(route->title);
        in->recipients_n++;
        warn_of_postmaster(in, route);
    }
    return 0;
}

void recipient_close(struct inbound *in)
{
    for (size_t i = 0; i < in->recipients_n; i++) {
        recipients_destroy(&in->recipients[i].list);
        free(in->recipients[i].domain);
    }
    free(in->recipients);
    in->recipients = NULL;
    in->recipients_n = 0;
}

void recipient_reload(struct inbound *in)
{
    struct listed *old = in->recipients, *read;
    size_t old_n = in->recipients_n, read_n;
    struct err e;
    bool good;

    in->recipients_n = 0;
    good = recipient_open(in, &e) == 0;
    read = in->recipients;
    read_n = in->recipients_n;
    in->recipients = good ? old : read; /* what is given up */
    in->recipients_n = good ? old_n : read_n;
    recipient_close(in);
    in->recipients = good ? read : old;
    in->recipients_n = good ? read_n : old_n;
    if (!good)
        log_error(in->env.log, "inbound.recipients", LOG_ERR(&e)); /* the old ones stay */
}

static const struct recipients *list_of(const struct inbound *in, const struct conf_route *route)
{
    for (size_t i = 0; i < in->recipients_n; i++)
        if (slice_eq_nocase(slice_of(in->recipients[i].domain), slice_of(route->title)))
            return in->recipients[i].list;
    return NULL;
}

enum recipient_place recipient_find(const struct inbound *in, struct slice address)
{
    const struct conf_route *route = proof_local_route(in, address);
    const struct recipients *list;
    char room[ADDRESS_ROOM];
    struct buf out = {.p = room, .cap = sizeof room, .max = sizeof room};
    struct slice untagged;

    if (route == NULL)
        return RECIPIENT_HERE;
    untagged = recipient_untagged(address, in->conf->recipient_delimiter, &out);
    if (forwards_find(in->forwards, address, untagged).n > 0)
        return RECIPIENT_HERE;
    if (conf_route_maildir(route) != NULL)
        return RECIPIENT_ASK;
    list = list_of(in, route);
    if (list == NULL || recipients_have(list, address) ||
        (untagged.n > 0 && recipients_have(list, untagged)))
        return RECIPIENT_HERE;
    return RECIPIENT_UNKNOWN;
}

/* A recipient that is refused because it does not exist. Who tries many is looking for addresses.
 */
struct smtp_reply recipient_unknown(struct client *c)
{
    if (!c->may_relay && ++c->unknown_recipients > (uint64_t)c->inbound->conf->bad_commands_max)
        return (struct smtp_reply){421, "4.7.0", "Too many unknown recipients, closing"};
    return (struct smtp_reply){550, "5.1.1", "There is no such mailbox here"};
}

/* --- the envelope --- */

/* "postmaster" without a domain (RFC 5321 4.5.1) is that of the first local domain. */
struct slice recipient_address(struct client *c, const struct smtp_recipient *r)
{
    const struct conf *conf = c->inbound->conf;

    if (slice_find_last(r->path, '@') != SLICE_NONE)
        return r->path;
    for (size_t i = 0; i < conf->route_count; i++)
        if (conf->routes[i].local && strcmp(conf->routes[i].title, "*") != 0)
            return arena_printf(c->envelope, "postmaster@%s", conf->routes[i].title);
    return SLICE("");
}

static bool add(struct client *c, struct slice address, struct slice options)
{
    struct msg_envelope_recipient *to;

    c->envelope_bytes += address.n + options.n + 16;
    if (c->envelope_bytes > ENVELOPE_MAX_BYTES)
        return false;
    if (c->recipient_n == c->recipient_cap) {
        c->recipient_cap = c->recipient_cap == 0 ? 4 : c->recipient_cap * 2;
        c->recipients = mem_resize(c->recipients, c->recipient_cap * sizeof *c->recipients);
    }
    to = &c->recipients[c->recipient_n++];
    *to = (struct msg_envelope_recipient){.n = (uint32_t)c->recipient_n};
    to->address = arena_copy(c->envelope, address);
    to->options = arena_copy(c->envelope, options);
    return true;
}

/* ORCPT of what is forwarded, if the client said none: reports name the address that was written
 * to, and so does the ledger (RFC 3461 4.2). Not for other than ASCII, which RFC 6533 writes
 * otherwise. */
static struct slice original_of(struct client *c, struct slice address)
{
    char room[SMTP_ORCPT_MAX];
    struct buf out = {.p = room, .cap = sizeof room, .max = sizeof room};

    buf_append_text(&out, "rfc822;");
    for (size_t i = 0; i < address.n; i++) {
        char b = address.p[i];

        if (b <= ' ' || b >= 0x7f)
            return SLICE("");
        if (b == '+' || b == '=')
            buf_printf(&out, "+%02X", (unsigned)b); /* positive */
        else
            buf_append_char(&out, b);
    }
    return out.full ? SLICE("") : arena_copy(c->envelope, buf_slice(&out));
}

/* One of those that take the place of an address of ours. */
static bool add_target(struct client *c, struct slice address, struct slice target,
                       struct buf *options)
{
    size_t before = options->n;
    bool added;

    if (proof_is_local(c->inbound, target))
        return add(c, target, buf_slice(options));
    options_write_forwarded(options);
    added = add(c, target, buf_slice(options));
    options->n = before;
    if (added && c->forward_domain.n == 0)
        c->forward_domain = arena_copy(c->envelope, domain_of_address(address));
    return added;
}

struct smtp_reply recipient_take(struct client *c, const struct smtp_recipient *r,
                                 struct slice other)
{
    char options_room[1024], room[ADDRESS_ROOM];
    struct buf options = {
        .p = options_room, .cap = sizeof options_room, .max = sizeof options_room};
    struct buf out = {.p = room, .cap = sizeof room, .max = sizeof room};
    struct slice address = recipient_address(c, r), targets = other;
    struct smtp_recipient said = *r;
    size_t before = c->recipient_n;
    bool all = true;

    if (other.n > 0) { /* SRS, with its hash for a proof: a bounce need not have any other */
        c->is_single = true;
        c->unproven = CONF_UNPROVEN_ACCEPT;
    }
    proof_note_recipient(c, address);
    if (other.n == 0 && proof_is_local(c->inbound, address))
        targets =
            forwards_find(c->inbound->forwards, address,
                          recipient_untagged(address, c->inbound->conf->recipient_delimiter, &out));
    if (targets.n > 0 && other.n == 0 && said.origin.n == 0)
        said.origin = original_of(c, address);
    options_write_recipient(&said, &options);
    if (targets.n == 0) {
        all = add(c, address, buf_slice(&options));
        c->is_return = return_is_one(c, address);
        c->is_report = reports_is_one(c->inbound, address);
    }
    while (all && targets.n > 0)
        all = add_target(c, address, slice_cut(&targets, ' '), &options);
    if (all) {
        c->only_address = c->address_n++ == 0 ? arena_copy(c->envelope, address) : SLICE("");
        return (struct smtp_reply){250, "2.1.5", "Ok"};
    }
    c->recipient_n = before; /* all of them or none */
    return (struct smtp_reply){452, "4.5.3", "Too many recipients for one message"};
}
