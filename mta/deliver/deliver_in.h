/* mta/deliver/deliver_in.h -- what destination.c and session.c know of each other. */
#ifndef MTA_DELIVER_DELIVER_IN_H
#define MTA_DELIVER_DELIVER_IN_H

#include "mta/deliver/deliver.h"

enum session_state {
    SESSION_CONNECT, /* a connection is being made */
    SESSION_TLS,     /* the handshake runs */
    SESSION_TALK,    /* the client engine decides */
    SESSION_DRAIN,   /* the body waits until the connection takes more */
    SESSION_DOT,     /* the ledger writes down that the dot leaves */
    SESSION_IDLE,    /* no job; kept for the next one */
    SESSION_OVER,    /* closed, to be swept */
};

struct session {
    struct list link; /* in destination.sessions */
    struct destination *destination;
    enum session_state state;
    struct smtp_client *client;
    struct deliver_job *job;
    void *handle;
    size_t host;       /* which of the destination's hosts */
    unsigned messages; /* sent over this connection */
    bool was_ready;    /* it got as far as a transaction */
    bool no_tls;       /* the handshake failed with this host: once more in clear */
    bool body_done;
};

struct destination {
    struct deliver_settings settings;
    const struct deliver_ports *ports;
    void *owner;
    struct list jobs; /* waiting */
    struct list sessions;
    size_t job_n, session_n, idle_n, opening_n;
    struct host_address hosts[HOSTS_ADDRESSES_MAX];
    size_t host_n;
    size_t good_host; /* the one that answered last: new sessions begin there */
    bool resolving, stopping, running;
    char trouble[400]; /* why the last session could not be opened */
};

struct session *session_open(struct destination *d);
void session_take_job(struct session *s, struct deliver_job *job);
void session_quit(struct session *s);
void session_destroy(struct session **s);

/* From sessions: */
struct deliver_job *destination_next_job(struct destination *d);
void destination_put_back(struct destination *d, struct deliver_job *job);
void destination_session_ready(struct destination *d, struct session *s);
/* The session found no host that talks; `why` is a sentence. */
void destination_session_failed(struct destination *d, struct session *s, const char *why);
void destination_session_over(struct destination *d, struct session *s);
void destination_end_job(struct destination *d, struct session *s, struct deliver_job *job,
                         const struct deliver_report *report);
void destination_run(struct destination *d);

#endif
