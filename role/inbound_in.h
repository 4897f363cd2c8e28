/* role/inbound_in.h -- the inbound role's insides: clients on one side, queue and keys on the
 * other.
 *
 *     stream --> inbound_client.c (SMTP session, policy) --> inbound_message.c (header, digest,
 *                                                            signing, hand-over to the queue)
 *     inbound.c: listeners, buses, who waits for which answer */
#ifndef ROLE_INBOUND_IN_H
#define ROLE_INBOUND_IN_H

#include "base/arena.h"
#include "base/map.h"
#include "lib/crypt/hash.h"
#include "lib/dkim/sign.h"
#include "lib/dmarc/record.h"
#include "lib/smtp/server.h"
#include "mta/event/options.h"
#include "mta/intake/header.h"
#include "role/forwards.h"
#include "role/known_keys.h"
#include "role/logins.h"
#include "role/messages.h"
#include "role/recipients.h"
#include "role/role.h"
#include "rt/stream/stream.h"

#define SIGNERS_MAX DKIM_SIGNER_SIGNATURES_MAX
#define ENVELOPE_MAX_BYTES (512u * 1024u) /* of all recipients of one message */

struct client;
struct inbound_return;
struct message;
struct proof;
struct seal;
struct verdict;

/* The recipients_file of a local domain. */
struct listed {
    char *domain;
    struct recipients *list;
};

/* A listening socket and the settings of its section. */
struct door {
    struct inbound *inbound;
    const struct conf_listener *conf;
    struct listener *listener;
    struct smtp_server_settings settings;
};

struct inbound {
    struct role_env env;
    const struct conf *conf;
    char hostname[256];
    struct bus *queue, *keys;
    struct streams *streams;
    struct tls_context *tls;
    struct logins *logins;
    struct forwards *forwards;
    struct listed *recipients;
    size_t recipients_n;
    struct door *doors;
    size_t door_n;
    struct list clients;
    size_t client_n;
    struct map *per_address; /* network -> count */
    struct map *waiting;     /* txn -> message that waits for keys or queue */
    struct known_keys known;
    bool keys_are_known;
    struct list idle_signers; /* of signer_link */
    struct inbound_return *returns;
    unsigned reports_open; /* DMARC reports that are coming in now */
    struct list idle_proofs, idle_seals;
    struct dns_resolver *dns; /* NULL: no local domain */
    struct crypt_hash *hash;  /* for one-shot digests */
    struct arena *arena;
    struct id_maker ids;
    uint64_t next_txn;
    struct loop_timer stop_timer;
    int64_t stop_ms; /* when we were told to stop */
    bool stopping, stopped;
    bool told_no_seal; /* once is enough */
};

/* A signer that is used by one message after the other. */
struct signer_link {
    struct list link;
    struct dkim_signer *signer;
};

/* --- inbound_client.c: one connection --- */

struct client {
    struct list link;
    struct inbound *inbound;
    struct door *door;
    struct stream *stream;
    struct smtp_server *server;
    struct message *message;     /* of the transaction that is open; NULL before the first RCPT */
    struct slice sender_path;    /* of MAIL, in `envelope` */
    struct slice forward_domain; /* that was written to, of mail that goes on to somebody else */
    struct slice only_address;   /* of RCPT, when there was one */
    struct arena *envelope;      /* lives as long as the transaction */
    struct smtp_sender sender;
    struct msg_envelope_recipient *recipients;
    size_t recipient_n, recipient_cap, envelope_bytes;
    size_t address_n; /* RCPTs that were taken; each is one recipient or more */
    char ip[IP_TEXT_MAX];
    char network[IP_TEXT_MAX];   /* that limits count; empty: not known yet */
    int64_t line_ms;             /* when its newest command line came */
    unsigned lines;              /* of commands, until then */
    uint64_t check;              /* the queue is asked about the recipient; 0: not */
    bool is_return;              /* the recipient is a bounce address, or is_report */
    bool is_report;              /* ... is one of dmarc_reports_address */
    bool is_single;              /* it stood for another address: nobody else is taken beside it */
    unsigned unproven;           /* CONF_UNPROVEN_*: the mildest of the recipients' domains */
    uint64_t unknown_recipients; /* that it asked for */
    bool may_relay, waits_for_queue, in_on_bytes;
    bool peer_ended; /* it shut its side, and waits for the answer to the final dot */
};
void client_accept(struct door *door, const struct accepted *accepted);
void client_destroy(struct client *c);
/* The answer to the final dot. */
void client_answer_end(struct client *c, unsigned code, const char *enhanced, const char *text);
void client_resume(struct client *c); /* the queue takes body bytes again */
/* We stop: 421, unless a message is on its way and there is patience to let it end. One that is
 * complete is always answered. */
void client_shut(struct client *c, bool patient);

/* --- inbound_recipient.c: who exists, and who takes whose place --- */

MUST_USE int recipient_open(struct inbound *in, struct err *e); /* after proof_open() */
void recipient_close(struct inbound *in);
void recipient_reload(struct inbound *in); /* there are new settings */
enum recipient_place {
    RECIPIENT_HERE, /* or elsewhere: nothing is known against it */
    RECIPIENT_UNKNOWN,
    RECIPIENT_ASK, /* the queue sees the Maildirs */
};
enum recipient_place recipient_find(const struct inbound *in, struct slice address);
struct smtp_reply recipient_unknown(struct client *c); /* what such a one is answered */
/* What RCPT means, with a domain; empty: nothing here. */
struct slice recipient_address(struct client *c, const struct smtp_recipient *r);
/* Adds it to the envelope, or whoever takes its place: `other` if not empty. */
struct smtp_reply recipient_take(struct client *c, const struct smtp_recipient *r,
                                 struct slice other);

/* --- inbound_message.c: one message --- */

enum message_state {
    MESSAGE_HEADER,  /* collecting the header */
    MESSAGE_BODY,    /* the header is edited, the body streams through */
    MESSAGE_REFUSED, /* `refusal` is the answer to the final dot */
    MESSAGE_PROVING, /* DNS is asked about the sender */
    MESSAGE_SIGNING, /* the keys role has the digests */
    MESSAGE_SEALING, /* the same, of an ARC set */
    MESSAGE_STORING, /* the queue role has it */
    MESSAGE_RETURN,  /* it came to a bounce address: collected, then read */
};

struct message {
    struct client *client; /* NULL: it went away */
    struct inbound *inbound;
    enum message_state state;
    uint64_t txn;
    struct id id;
    struct buf header; /* as received, until it is complete */
    struct buf head;   /* as it will be sent */
    struct buf body;   /* not handed to the queue yet */
    bool pieces_sent;
    bool is_report; /* counted in reports_open */
    struct arena *arena;
    struct intake_header found;
    struct slice stream;
    struct crypt_hash *digest;
    struct signer_link *signer;
    enum options_origin origin;
    struct proof *proof; /* NULL: the client may relay, so it is believed */
    struct seal *seal;   /* NULL: it gets no ARC set */
    struct dkim_sign_spec specs[SIGNERS_MAX];
    size_t spec_n;
    struct smtp_reply refusal;
    char refusal_text[256];
    int64_t received_us;
    struct loop_timer budget;
};
struct message *message_begin(struct client *c);
void message_destroy(struct message *m);
void message_body(struct message *m, struct slice bytes);
/* The final dot was read. Ends in client_answer_end(), maybe at once. */
void message_end(struct message *m);
void message_signatures(struct message *m, const struct msg_signatures *answer);
void message_accepted(struct message *m, const struct msg_accepted *answer);
/* The client went away, or RSET. */
void message_abandon(struct message *m);
void message_keys_gone(struct message *m);
void message_queue_gone(struct message *m);
/* The proofs are there. `fields` are to stand below our Received. */
void message_proven(struct message *m, struct verdict *v, struct slice fields);
/* `set` is to stand on top; empty: there is none after all. */
void message_sealed(struct message *m, struct slice set, struct slice fields);
void message_refused(struct message *m, unsigned code, const char *enhanced, const char *text);

/* --- inbound_proof.c: is mail for local domains what it says? --- */

MUST_USE int proof_open(struct inbound *in, struct err *e);
void proof_close(struct inbound *in);
bool proof_is_on(const struct inbound *in); /* there is a local domain */
bool proof_is_local(const struct inbound *in, struct slice address);
const struct conf_route *proof_local_route(const struct inbound *in, struct slice address);
void proof_note_recipient(struct client *c, struct slice address);
/* The header is there, as received; borrowed while the message lives. Changes `*header` to one
 * without the Authentication-Results fields that claim to be ours, of the same life. */
MUST_USE int proof_begin(struct message *m, struct slice *header, struct err *e);
void proof_body(struct message *m, struct slice bytes);
/* The body is there. Ends in message_proven() or message_refused(), maybe at once. */
void proof_end(struct message *m);
void proof_give_back(struct message *m); /* without a proof: nothing */

/* --- inbound_seal.c: ARC sets on what is forwarded (none if the build leaves ARC out) --- */

void seal_close(struct inbound *in);
void seal_begin(struct message *m); /* the header is in `head` */
void seal_body(struct message *m, struct slice bytes);
/* False: it gets no set. Else the message waits for the keys, and message_sealed() comes. */
bool seal_end(struct message *m, struct verdict *v, struct slice fields);
void seal_signature(struct message *m, struct slice signature); /* empty: the keys could not */
void seal_name(const struct message *m, struct buf *out);       /* "ARC domain/selector (...)" */
void seal_give_back(struct message *m);                         /* without a seal: nothing */

/* --- inbound_return.c: bounce addresses, suppressed recipients --- */

MUST_USE int inbound_return_create(struct inbound *in, struct err *e);
void inbound_return_destroy(struct inbound *in);
void inbound_return_reload(struct inbound *in); /* the rules; if they are bad, the old ones stay */
void inbound_return_hints(struct inbound *in, const struct msg_suppressed_hint *m);
bool inbound_return_is_on(const struct inbound *in); /* there is a return path domain */
enum return_answer {
    RETURN_TAKE,  /* nothing speaks against this recipient */
    RETURN_WAIT,  /* the queue is asked; return_checked() brings the client back */
    RETURN_REPLY, /* *reply_out */
};
enum return_answer return_check(struct client *c, struct slice address,
                                struct smtp_reply *reply_out);
struct client *return_checked(struct inbound *in, const struct msg_checked *m); /* NULL: gone */
void return_forget(struct client *c);
bool return_is_one(const struct client *c, struct slice address);
/* What it brought is none of what it was brought as; forged_bounces_max of them, and it waits. */
void return_count_refused(struct inbound *in, const struct client *c);
void return_body(struct message *m, struct slice bytes);
/* The queue is there. Why it is refused, or NULL: the queue has it. */
const char *return_end(struct message *m);
/* A mail whose address the queue did not know counts as forged. */
void return_answered(struct message *m, const struct msg_accepted *a);

/* --- inbound_reports.c: DMARC reports, ours and about us --- */

struct verdict;
/* A message to a local domain was judged; `applied` is what we do with it. */
void reports_seen(struct message *m, struct verdict *v, enum dmarc_policy applied);
bool reports_are_on(const struct inbound *in); /* there is an address for reports about us */
bool reports_is_one(const struct inbound *in, struct slice address);
/* A mail to such an address begins; false: there are too many at once. */
bool reports_begin(struct message *m);
void reports_body(struct message *m, struct slice bytes);
/* The queue is there. True: it has the report. False: refused, with the code and a sentence. */
bool reports_end(struct message *m, unsigned *code_out, struct err *e);

/* The queue's answer about the recipient, or its absence (NULL: 451). */
void client_checked(struct client *c, const struct msg_checked *m);

#endif
