/* lib/smtp/client.h -- the client's side of one SMTP or LMTP connection (RFC 5321, 2033), with no
 * I/O in it. One connection carries many transactions, one after the other.
 *
 *     bytes in --> smtp_client_recv()            --> client --> smtp_client_output() --> bytes out
 *     deeds    --> begin, body, body_end, dot --->     |    --> smtp_client_want()   --> wishes
 *
 *     WANT_BYTES                    greeting, EHLO
 *     WANT_TLS                      handshake, smtp_client_tls_started()         (EHLO again, AUTH)
 *     WANT_TRANSACTION              smtp_client_begin(): MAIL, RCPT..., DATA in one write
 *     WANT_BYTES                    their replies
 *     WANT_BODY                     smtp_client_body()..., smtp_client_body_end()
 *     WANT_DOT                      write down that the dot leaves now, smtp_client_send_dot()
 *     WANT_BYTES                    the final reply
 *     WANT_RESULT_TAKEN             smtp_client_verdict() for each recipient, smtp_client_done()
 *     WANT_TRANSACTION              again, or smtp_client_quit()
 *     WANT_CLOSE                    nothing more can be done: smtp_client_failure() says why
 */
#ifndef LIB_SMTP_CLIENT_H
#define LIB_SMTP_CLIENT_H

#include "base/base.h"
#include "lib/smtp/envelope.h"
#include "lib/smtp/reply.h"

enum smtp_tls_use {
    SMTP_TLS_NEVER,
    SMTP_TLS_IF_OFFERED,
    SMTP_TLS_REQUIRED, /* not offered, or refused: the session fails */
};

/* Filled in by the caller; strings live as long as the client. */
struct smtp_client_settings {
    const char *helo_name; /* never NULL */
    bool lmtp;             /* LHLO, and one final reply for each accepted recipient */
    bool no_pipelining;    /* one command at a time even when PIPELINING is offered */
    bool use_chunking;     /* BDAT when offered; else DATA */
    enum smtp_tls_use tls;
    bool tls_from_start;  /* port 465: the connection is under TLS already */
    const char *user;     /* log in when not NULL; never in clear unless auth_in_clear */
    const char *password; /* never NULL when user is not */
    bool auth_in_clear;
};

enum smtp_want {
    SMTP_WANT_BYTES,        /* from the server; the time limit is smtp_client_patience_s() */
    SMTP_WANT_TLS,          /* send all output, do the handshake, then tls_started() */
    SMTP_WANT_TRANSACTION,  /* ready: begin(), quit(), or keep it for later */
    SMTP_WANT_BODY,         /* body() and body_end() */
    SMTP_WANT_DOT,          /* all bytes are given: send_dot() */
    SMTP_WANT_RESULT_TAKEN, /* verdicts are there: done() */
    SMTP_WANT_CLOSE,        /* send what is in the output if you can, then close the connection */
};

/* Where the conversation stood; smtp_phase_name() says what a failure there means. */
enum smtp_phase {
    SMTP_PHASE_CONNECT, /* before the greeting */
    SMTP_PHASE_EHLO,
    SMTP_PHASE_STARTTLS,
    SMTP_PHASE_AUTH,
    SMTP_PHASE_READY, /* between transactions */
    SMTP_PHASE_MAIL,
    SMTP_PHASE_RCPT,
    SMTP_PHASE_DATA, /* DATA was sent, or is about to be */
    SMTP_PHASE_BODY, /* the message is on its way */
    SMTP_PHASE_DOT,  /* the final dot was sent: the message may have been delivered */
    SMTP_PHASE_RESET,
    SMTP_PHASE_QUIT,
};
/* "sending the message body", "sending the final dot: the message may be delivered more than once"
 */
const char *smtp_phase_name(enum smtp_phase phase);

enum smtp_outcome {
    SMTP_DELIVERED, /* 2xx after the dot */
    SMTP_DEFERRED,  /* 4xx, or the connection was lost before the dot left */
    SMTP_REFUSED,   /* 5xx */
    SMTP_UNKNOWN,   /* the dot was sent and no reply came (RFC 1047) */
};
struct smtp_verdict {
    enum smtp_outcome outcome;
    enum smtp_phase phase;         /* which step decided */
    struct smtp_response response; /* code 0: no reply, then `text` says what happened instead */
    bool dot_sent;
};

/* What EHLO said. */
struct smtp_capabilities {
    bool extended; /* EHLO was accepted */
    bool pipelining, size, eightbit, utf8, enhanced_codes, chunking, starttls, dsn;
    bool auth_plain, auth_login;
    uint64_t size_max_bytes; /* 0: no limit said */
};

struct smtp_client; /* opaque */

struct smtp_client *smtp_client_create(const struct smtp_client_settings *settings); /* copied */
void smtp_client_destroy(struct smtp_client **c); /* NULL is fine; writes NULL back */

enum smtp_want smtp_client_want(const struct smtp_client *c);

/* Takes bytes from the server, all of them, in every state: a 421 may come at any time, so keep
 * reading while the body is being sent. What came in clear behind the reply to STARTTLS is dropped.
 */
void smtp_client_recv(struct smtp_client *c, struct slice in);

/* Bytes for the server, valid until the next call on `c`; confirm them with sent(). */
struct slice smtp_client_output(const struct smtp_client *c);
void smtp_client_sent(struct smtp_client *c, size_t n);

void smtp_client_tls_started(struct smtp_client *c);

/* Begins a transaction; want() is TRANSACTION. The envelope is copied. A message that this server
 * cannot take (SMTPUTF8 needed and not offered: 5.6.7, larger than its SIZE: 5.3.4) has its
 * verdicts at once, and nothing is sent. 8-bit text is sent to servers without 8BITMIME as it is.
 * Returns -1 with ERR_SYNTAX, and nothing has begun, if an address holds CR, LF, NUL or other bytes
 * that cannot stand in a command, if there is no recipient, or with ERR_LIMIT above
 * SMTP_CLIENT_RECIPIENTS_MAX. */
MUST_USE int smtp_client_begin(struct smtp_client *c, const struct smtp_envelope *envelope,
                               struct err *e);
#define SMTP_CLIENT_RECIPIENTS_MAX 10000

/* Bytes of the message, in any cuts; want() is BODY. Dots are added, bare CR and bare LF leave as
 * CR LF. Returns how many bytes were used: fewer than given when SMTP_CLIENT_OUTPUT_MAX bytes wait
 * to be sent; give the rest after sent(). */
MUST_USE size_t smtp_client_body(struct smtp_client *c, struct slice bytes);
#define SMTP_CLIENT_OUTPUT_MAX (256 * 1024)
/* No more bytes. Ends the last line if that is open, and does not send the dot: want() is DOT. */
void smtp_client_body_end(struct smtp_client *c);
/* Appends the final dot (or BDAT 0 LAST) to the output. From here on, no reply means `unknown`. */
void smtp_client_send_dot(struct smtp_client *c);
/* Gives the transaction up instead of going on with body, body_end or send_dot: the connection is
 * of no more use then, and the verdicts are DEFERRED with `why`. */
void smtp_client_abort(struct smtp_client *c, const char *why);

/* For recipient `i` of the envelope; want() is RESULT_TAKEN; valid until done(). */
struct smtp_verdict smtp_client_verdict(const struct smtp_client *c, size_t i);
/* Ends the transaction; a failed one is followed by RSET where the server needs it. */
void smtp_client_done(struct smtp_client *c);

void smtp_client_quit(struct smtp_client *c); /* want() is TRANSACTION; QUIT is sent, then CLOSE */

/* The connection broke, or patience ended: `why` is a sentence. A transaction that is open gets its
 * verdicts (UNKNOWN where the dot was sent), then want() is CLOSE. */
void smtp_client_lost(struct smtp_client *c, const char *why);

/* want() is CLOSE: why, if it was not our QUIT. */
struct smtp_failure {
    enum smtp_phase phase;
    struct smtp_response response; /* code 0: no reply; `text` says what happened instead */
};
struct smtp_failure smtp_client_failure(const struct smtp_client *c);

const struct smtp_capabilities *smtp_client_capabilities(const struct smtp_client *c);
bool smtp_client_is_tls(const struct smtp_client *c);
enum smtp_phase smtp_client_phase(const struct smtp_client *c);
const char *smtp_client_state_name(const struct smtp_client *c); /* smtp_phase_name() of it */
bool smtp_client_dot_sent(const struct smtp_client *c); /* of the transaction that is open */
/* How long the reply that is awaited may take, in seconds (RFC 5321 4.5.3.2): 300, 600 after the
 * dot. */
unsigned smtp_client_patience_s(const struct smtp_client *c);

#endif
