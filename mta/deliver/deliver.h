/* mta/deliver/deliver.h -- hands messages to one site: its hosts, its connections, its jobs.
 *
 *     deliver_add(job) --> waiting jobs --+--> session: connect, STARTTLS, many transactions -->
 * report resolve -----------> hosts ---------+       (lib/smtp's client engine inside)
 *
 * A *destination* is one site: the hosts that take its mail, and a number of *sessions* to them. A
 * session goes from host to host until one talks to it, then takes one job after the other. Before
 * a final dot leaves, want_dot() asks that it be written down (RFC 1047). The world is reached only
 * through the ports: no socket, no clock, no store. Ports never call back inside themselves. */
#ifndef MTA_DELIVER_DELIVER_H
#define MTA_DELIVER_DELIVER_H

#include "base/base.h"
#include "base/list.h"
#include "lib/smtp/client.h"
#include "mta/route/hosts.h"

struct destination; /* opaque: one site */
struct session;     /* opaque: one connection */

/* One attempt. Lives inside the caller's struct, which stays until report(). */
struct deliver_job {
    struct list link;
    struct smtp_envelope envelope; /* owned by the caller */
    struct session *session;       /* who sends it now; NULL while it waits */
    bool requeued; /* it met a connection that had died while idle; that may happen once */
};

struct deliver_report {
    const char *state; /* where it ended: "sending the final dot: ..." */
    struct slice host; /* name and address of the server; empty if there was none */
    char ip[IP_TEXT_MAX];
    bool site_down;                 /* no host could be reached at all */
    const struct smtp_client *talk; /* ask it for the verdict on recipient i; NULL: all alike */
    struct smtp_verdict all;        /* the one verdict when `talk` is NULL */
    struct session *session;        /* NULL when there was none; for the port's own look-ups */
};
struct smtp_verdict deliver_verdict(const struct deliver_report *r, size_t recipient);

struct deliver_ports {
    void *ctx;
    /* Look up where this site's mail goes; ends with destination_resolved(). */
    void (*resolve)(void *ctx, struct destination *d);
    /* May one more connection be opened now? NULL: always. A site without any may have one. */
    bool (*may_connect)(void *ctx);
    /* Open a connection; ends with session_connected() or session_lost(). Returns the port's own
     * handle, to be found again with session_handle(). */
    void *(*connect)(void *ctx, struct session *s, const struct host_address *to);
    void (*close)(void *ctx, struct session *s, void *handle);
    void (*start_tls)(void *ctx, struct session *s, void *handle);
    /* Hand bytes to the connection. Returns how many bytes it still holds back. */
    size_t (*write)(void *ctx, void *handle, struct slice bytes);
    /* The next bytes of the job's message into `room`; 0 at the end, -1 when it cannot be read. */
    ssize_t (*read_body)(void *ctx, struct deliver_job *job, char *room, size_t cap);
    void (*want_dot)(void *ctx, struct deliver_job *job); /* ends with deliver_dot() */
    void (*report)(void *ctx, struct deliver_job *job, const struct deliver_report *report);
    void (*set_patience)(void *ctx, void *handle, unsigned seconds); /* 0: none */
};

struct deliver_settings {
    struct smtp_client_settings client;
    unsigned connections_max; /* of this site at once */
    unsigned messages_max;    /* over one connection */
    unsigned idle_s;          /* how long an idle connection is kept */
};

/* `settings` is copied, its strings and the ports are borrowed. */
struct destination *destination_create(const struct deliver_settings *settings,
                                       const struct deliver_ports *ports, void *owner);
/* Sessions are closed; jobs that are left are the caller's. */
void destination_destroy(struct destination **d);
void *destination_owner(const struct destination *d);
bool destination_is_idle(const struct destination *d); /* no jobs and no sessions */
size_t destination_sessions(const struct destination *d);

/* Where mail goes; copied. Needed once before anything is sent, and again after `ttl`, when the
 * caller calls destination_forget_hosts(). A verdict other than FOUND ends all jobs. */
void destination_resolved(struct destination *d, const struct hosts *found);
void destination_forget_hosts(struct destination *d);

void deliver_add(struct destination *d, struct deliver_job *job);
/* The answer to want_dot(). Not granted: the connection is given up, the job deferred. */
void deliver_dot(struct deliver_job *job, bool granted);
/* Stop: idle sessions quit, others finish their job; nothing new begins. Waiting jobs are reported
 * as deferred with `why`. */
void destination_stop(struct destination *d, const char *why);

void session_connected(struct session *s);
void session_tls_started(struct session *s);
size_t session_data(struct session *s, struct slice in); /* returns how many were used: all */
void session_drained(struct session *s);                 /* nothing is held back any more */
void session_timed_out(struct session *s);
/* The connection is gone, for the reason given; `in_tls`: the handshake failed. */
void session_lost(struct session *s, const char *why, bool in_tls);

const char *session_state(const struct session *s); /* for logs and `show` */
void *session_handle(const struct session *s);
struct destination *session_destination(const struct session *s);
const struct host_address *session_host(const struct session *s);
/* How many messages it was given, the one at hand too. */
unsigned session_messages(const struct session *s);

#endif
