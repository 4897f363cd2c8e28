/* role/outbound_in.h -- the outbound role's insides: destinations and their sessions on real
 * sockets and DNS; jobs from the queue.
 *
 *     outbound.c          the bus, life and death
 *     outbound_job.c      deliver --> job; dot_wanted <--, dot_granted -->, outcome <--
 *     outbound_target.c   a site: its destination (mta/deliver), and where its mail goes
 *     outbound_wire.c     a session's connection
 *
 * mta/deliver sees all of it through its ports, each of which one of these files fills in. */
#ifndef ROLE_OUTBOUND_IN_H
#define ROLE_OUTBOUND_IN_H

#include "base/arena.h"
#include "base/map.h"
#include "mta/deliver/deliver.h"
#include "role/messages.h"
#include "role/outbound_doctor.h"
#include "role/outbound_reports.h"
#include "role/role.h"
#include "rt/dns/dns.h"
#include "rt/stream/stream.h"

struct outbound;
struct segment_file;

/* One site: the destination and what the role needs to serve its ports. */
struct target {
    struct outbound *outbound;
    struct destination *destination;
    struct hosts *search; /* while looking up where mail goes */
    struct dns_ask *question;
    struct loop_timer forget_hosts;
    struct buf domain, next_hops, name;
    unsigned tls;     /* CONF_HOP_TLS_* */
    struct buf login; /* "name\0password\0"; empty: none */
};

struct outbound {
    struct role_env env;
    const struct conf *conf;
    char hostname[256];
    struct bus *queue;
    struct streams *streams;
    struct dns_resolver *dns;
    struct rua_checks *checks;
    struct outbound_doctor *doctor;
    struct tls_context *tls;
    struct tls_cache *tls_cache;
    struct map *targets, *jobs;
    struct segment_file *segments[ROLE_SEGMENTS_HELD]; /* newest overwrites */
    unsigned segment_next;
    struct arena *arena;
    struct deliver_ports ports;
    unsigned connections;
    bool stopping;
};

/* --- outbound_job.c --- */

/* A file of the spool, from which jobs will read. Takes `fd`. */
void job_take_segment(struct outbound *o, struct slice payload, int fd);
void job_take(struct outbound *o, struct slice payload);
void job_take_grant(struct outbound *o, struct slice payload); /* its final dot may leave */
/* The queue is gone, and the targets are: without a report. */
void jobs_forget(struct outbound *o);
void job_fill_ports(struct deliver_ports *ports);

/* --- outbound_target.c --- */

struct target *target_find(struct outbound *o, const struct msg_deliver *m); /* or make it */
void targets_stop(struct outbound *o, const char *why);
void targets_forget(struct outbound *o); /* ends every session */
void target_fill_ports(struct deliver_ports *ports);

/* --- outbound_wire.c --- */

/* The local address of the session's connection; empty without one. `room` holds the text. */
struct slice wire_source(const struct session *s, char room[IP_TEXT_MAX]);
void wire_fill_ports(struct deliver_ports *ports);

#endif
