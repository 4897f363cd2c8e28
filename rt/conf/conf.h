/* rt/conf/conf.h -- the settings: one table (conf.def), one struct, one file.
 *
 *     defaults <-- conf.def          file --libconfuse--> conf_load() --> struct conf
 *     conf_diff(old, new): what a reload changes             conf_print(): back to a file
 *
 * The file is waybill.conf(5): `name = value` lines and sections (`listener smtp { port = 25 }`).
 * A struct conf is complete without any file and never changes; a reload makes a new one. A role in
 * another process gets it as the text that conf_print() writes. */
#ifndef CONF_CONF_H
#define CONF_CONF_H

#include "base/base.h"
#include "base/ip.h"

struct conf_texts {
    const char *const *items;
    size_t count;
};
struct conf_times {
    const int64_t *items_ms;
    size_t count;
};
struct conf_networks {
    const struct ip_network *items;
    size_t count;
};

/* The members, made from the table: C strings (never NULL), int64_t (NUMBER; SIZE in bytes; TIME in
 * ms), bool, unsigned (CHOICE: the place in its list of choices; enums below). */
#define CONF_MEMBER_TEXT(name) const char *name;
#define CONF_MEMBER_FILE(name) const char *name;
#define CONF_MEMBER_CHOICE(name) unsigned name;
#define CONF_MEMBER_NUMBER(name) int64_t name;
#define CONF_MEMBER_SIZE(name) int64_t name;
#define CONF_MEMBER_TIME(name) int64_t name##_ms;
#define CONF_MEMBER_BOOL(name) bool name;
#define CONF_MEMBER_TEXTS(name) struct conf_texts name;
#define CONF_MEMBER_TIMES(name) struct conf_times name;
#define CONF_MEMBER_NETWORKS(name) struct conf_networks name;
enum { CONF_TLS_NONE, CONF_TLS_STARTTLS, CONF_TLS_IMPLICIT };        /* listener tls */
enum { CONF_AUTH_NONE, CONF_AUTH_OPTIONAL, CONF_AUTH_REQUIRED };     /* listener auth */
enum { CONF_UNKNOWN_RETRY, CONF_UNKNOWN_HOLD, CONF_UNKNOWN_ASSUME }; /* stream unknown */
enum { CONF_HOP_TLS_NONE, CONF_HOP_TLS_MAY, CONF_HOP_TLS_REQUIRE, CONF_HOP_TLS_VERIFY };
enum { CONF_ROUTE_TLS_DEFAULT, CONF_ROUTE_TLS_NONE /* then CONF_HOP_TLS_* + 1 */ };
enum { CONF_UNPROVEN_OBEY, CONF_UNPROVEN_TAG, CONF_UNPROVEN_ACCEPT }; /* route unproven */
enum { CONF_PROTOCOL_SMTP, CONF_PROTOCOL_LMTP };
enum { CONF_RECEIVED_FULL, CONF_RECEIVED_HIDDEN };
enum { CONF_NEWLINE_REFUSE, CONF_NEWLINE_ACCEPT };
enum { CONF_RETURN_PATH_SIGNED, CONF_RETURN_PATH_ORIGINAL };
enum { CONF_FORWARD_SIGNED, CONF_FORWARD_SRS, CONF_FORWARD_ORIGINAL };
enum { CONF_FAILURES_ASKED, CONF_FAILURES_MAIL, CONF_FAILURES_EVENTS };
enum { CONF_SUPPRESSED_REFUSE, CONF_SUPPRESSED_ACCEPT };

/* One struct for each group of the table. `title` is the word after the section's name. */
#define SETTING(group, name, kind, ...) CONF_TAKE_##group(name, kind)
#define CONF_TAKE_GLOBAL(name, kind)
#define CONF_TAKE_LISTENER(name, kind) CONF_MEMBER_##kind(name)
#define CONF_TAKE_STREAM(name, kind)
#define CONF_TAKE_KEY(name, kind)
#define CONF_TAKE_ROUTE(name, kind)
struct conf_listener {
    const char *title; /* the listener's name */
#include "rt/conf/conf.def"
};
#undef CONF_TAKE_LISTENER
#undef CONF_TAKE_STREAM
#define CONF_TAKE_LISTENER(name, kind)
#define CONF_TAKE_STREAM(name, kind) CONF_MEMBER_##kind(name)
#define SETTING(group, name, kind, ...) CONF_TAKE_##group(name, kind)
struct conf_stream {
    const char *title; /* the stream's name */
#include "rt/conf/conf.def"
};
#undef CONF_TAKE_STREAM
#undef CONF_TAKE_KEY
#define CONF_TAKE_STREAM(name, kind)
#define CONF_TAKE_KEY(name, kind) CONF_MEMBER_##kind(name)
#define SETTING(group, name, kind, ...) CONF_TAKE_##group(name, kind)
struct conf_key {
    const char *title; /* the key's name */
#include "rt/conf/conf.def"
};
#undef CONF_TAKE_KEY
#undef CONF_TAKE_ROUTE
#define CONF_TAKE_KEY(name, kind)
#define CONF_TAKE_ROUTE(name, kind) CONF_MEMBER_##kind(name)
#define SETTING(group, name, kind, ...) CONF_TAKE_##group(name, kind)
struct conf_route {
    const char *title; /* the domain, or "*" for all that have no route of their own */
#include "rt/conf/conf.def"
};
#undef CONF_TAKE_ROUTE
#undef CONF_TAKE_GLOBAL
#define CONF_TAKE_ROUTE(name, kind)
#define CONF_TAKE_GLOBAL(name, kind) CONF_MEMBER_##kind(name)
#define SETTING(group, name, kind, ...) CONF_TAKE_##group(name, kind)
struct conf {
#include "rt/conf/conf.def"
    const struct conf_listener *listeners; /* without any in the file: one "smtp", port 25 */
    size_t listener_count;
    const struct conf_stream *streams; /* the default stream is always among them */
    size_t stream_count;
    const struct conf_key *keys;
    size_t key_count;
    const struct conf_route *routes;
    size_t route_count;
};
#undef CONF_TAKE_GLOBAL
#undef CONF_TAKE_LISTENER
#undef CONF_TAKE_STREAM
#undef CONF_TAKE_KEY
#undef CONF_TAKE_ROUTE

#define CONF_SECTIONS_MAX 10000   /* of each kind */
#define CONF_FILE_MAX (16u << 20) /* bytes of the file */

/* Reads a file. NULL on error; the text names file, line, setting and the offending value. What a
 * file refers to (keys, logins) is not read here. The parser keeps state of its own while it runs:
 * one at a time. */
MUST_USE struct conf *conf_load(const char *path, struct err *e);
/* The same from text; `name` stands for the file in errors. */
MUST_USE struct conf *conf_parse(const char *name, struct slice text, struct err *e);
struct conf *conf_default(void); /* as if the file were empty */
void conf_destroy(struct conf **c);
/* An empty hostname becomes the machine's own name. For whoever speaks in that name; whoever shows
 * or compares settings leaves them as they were written. */
void conf_name_host(struct conf *c);

/* NULL when there is none. Names compare without case; the default stream is found by "" too. */
const struct conf_stream *conf_find_stream(const struct conf *c, struct slice name);
const struct conf_key *conf_find_key(const struct conf *c, struct slice name);
/* The route of a domain: its own, else "*", else NULL (then: MX). */
/* What follows "maildir:" when the route is delivered into Maildirs; NULL: it is not. */
const char *conf_route_maildir(const struct conf_route *route);
const struct conf_route *conf_find_route(const struct conf *c, struct slice domain);
/* The route of a site, as the queue names them: CONF_ROUTE_SITE and its title where it has fixed
 * next hops, else the domain. */
#define CONF_ROUTE_SITE "route:"
const struct conf_route *conf_route_of_site(const struct conf *c, struct slice site);
bool conf_networks_hold(const struct conf_networks *networks, const struct ip_address *ip);
/* The route of a domain whose mail is taken from anybody; NULL: there is none. "*" is never one,
 * for that would be an open relay. */
const struct conf_route *conf_local_route(const struct conf *c, struct slice domain);
/* The next hop of the default route, if all mail leaves this house through it; else "". */
const char *conf_smart_host(const struct conf *c);
/* control_socket with its default filled in; `out` must hold 256 bytes. */
const char *conf_control_socket(const struct conf *c, char *out);

/* Calls `report` for each setting whose value differs ("expire", "listener smtp: port"), and for
 * sections that came or went. Returns how many of them need a restart. `report` may be NULL. */
size_t conf_diff(const struct conf *old_conf, const struct conf *new_conf,
                 void (*report)(void *ctx, const char *setting, struct slice old_value,
                                struct slice new_value, bool restart),
                 void *ctx);

/* Writes a file that reads back equal. `all`: defaults too; otherwise what differs from them. */
void conf_print(const struct conf *c, bool all, struct buf *out);
/* waybill.conf(5) in mdoc, made from the table. */
void conf_manual(struct buf *out);

/* The table itself, for `config show --json`, the dashboard and tests. */
struct conf_setting {
    const char *group; /* "" for the top level, else "listener", "stream", "key", "route" */
    const char *name, *kind, *default_text, *least, *most, *sentence;
    bool restart;
};
const struct conf_setting *conf_table(size_t i); /* NULL behind the last one */
/* The value of a top-level setting as the file writes it; false: no such setting. */
bool conf_get(const struct conf *c, const char *name, struct buf *out);

#endif
