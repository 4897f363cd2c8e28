/* lib/smtp/server.h -- the server's side of one SMTP session (RFC 5321), with no I/O in it.
 *
 *     bytes in  --> smtp_server_recv()   --> session --> smtp_server_output() --> bytes out
 *     decisions --> smtp_server_answer() -->    |    --> smtp_server_ask()    --> questions
 *
 * The caller owns the socket, the timers and every decision. The session owns the grammar: which
 * command is legal when, pipelining, limits and the replies. While a question stands, recv()
 * consumes nothing, so the caller stops reading and TCP pushes back for us.
 *
 *     while (in.n > 0 && !smtp_server_is_closed(s)) {
 *         in = slice_from(in, smtp_server_recv(s, in));
 *         while ((ask = smtp_server_ask(s)).kind != SMTP_ASK_NOTHING) { answer it, or come back
 * later }
 *     }
 *
 * Extensions: PIPELINING, SIZE, 8BITMIME, SMTPUTF8, ENHANCEDSTATUSCODES, CHUNKING (RFC 3030),
 * STARTTLS (3207), AUTH PLAIN and LOGIN (4954), DSN (3461). Only CR LF . CR LF ends DATA. */
#ifndef LIB_SMTP_SERVER_H
#define LIB_SMTP_SERVER_H

#include "base/base.h"
#include "lib/smtp/envelope.h"
#include "lib/smtp/reply.h"

/* What to do with an LF without CR, or a CR without LF, in commands and in messages. */
enum smtp_bare_line_end {
    SMTP_BARE_REFUSE,    /* 550 5.6.11 (500 5.5.2 for a command), and the session is closed */
    SMTP_BARE_NORMALISE, /* taken as a line end and written as CR LF, but never ends DATA */
};

/* Filled in by the caller; lives longer than every session that uses it. Zero means the default in
 * brackets. */
struct smtp_server_settings {
    const char *hostname; /* for the greeting and EHLO; never NULL */
    const char *banner;   /* what follows the name in the greeting ["ESMTP"] */

    size_t command_max_bytes;        /* a command line with its end [2048]; AUTH lines: [12288] */
    size_t body_line_max_bytes;      /* a line of a message without its end [unlimited] */
    uint64_t message_max_bytes;      /* announced as SIZE [unlimited] */
    unsigned recipients_max;         /* of one message; beyond: 452 4.5.3 [1000] */
    unsigned commands_max;           /* of a session; beyond: 421 [unlimited] */
    unsigned idle_commands_max;      /* without an accepted MAIL in between; beyond: 421 [100] */
    unsigned errors_max;             /* 5xx to commands of a session, RCPTs refused by the caller
                                         not counted; beyond: 421 [10] */
    unsigned refused_recipients_max; /* of one message; beyond: 421 [recipients_max] */

    enum smtp_bare_line_end bare_line_end;
    bool offer_starttls;
    bool require_tls;                                             /* MAIL before TLS: 530 5.7.0 */
    bool offer_auth;                                              /* under TLS only ... */
    bool offer_auth_in_clear;                                     /* ... unless this is set too */
    bool require_auth;                                            /* MAIL before AUTH: 530 5.7.0 */
    bool hide_smtputf8, hide_chunking, hide_dsn, hide_pipelining; /* do not offer these */
};

enum smtp_ask_kind {
    SMTP_ASK_NOTHING, /* give more bytes to recv() */
    SMTP_ASK_HELO,    /* `value` is the name. 250 accepts (the session writes its own reply then:
                         the EHLO lines), everything else is said as it is */
    SMTP_ASK_TLS,     /* 220 stands in the output: send it all, do the handshake, then call
                         smtp_server_tls_started(); if it failed, drop the connection */
    SMTP_ASK_AUTH,    /* `login` is valid; 235 accepts, 535 refuses, 454 cannot tell now */
    SMTP_ASK_SENDER,  /* `sender`: may a message begin? 250 or not. Whatever an earlier, unfinished
                         transaction collected is void now */
    SMTP_ASK_RECIPIENT, /* `recipient`: 250 or not */
    SMTP_ASK_DATA, /* all recipients are named; 354 lets the message come. Anything else refuses
                      it: said at once for DATA; for BDAT its bytes are thrown away first */
    SMTP_ASK_BODY, /* `value`: bytes of the message, dots removed. They lie in what was given to
                      recv(), so leave that in place until smtp_server_body_taken() */
    SMTP_ASK_END,  /* the message is complete: `size_bytes`. Answer when it is safe on disk:
                      250 with an id, or 4xx, 5xx */
};
struct smtp_login {
    struct slice mechanism; /* "PLAIN", "LOGIN" */
    struct slice identity;  /* whom to act for; empty: the user */
    struct slice user, password;
};
/* Everything in it is owned by the session, and valid until the question is answered (a login is
 * wiped then). */
struct smtp_ask {
    enum smtp_ask_kind kind;
    struct slice value;
    bool is_extended; /* HELO: it was EHLO */
    uint64_t size_bytes;
    const struct smtp_login *login;
    const struct smtp_sender *sender;
    const struct smtp_recipient *recipient;
};

struct smtp_server; /* opaque; under 1 KiB while idle */

/* The greeting stands in the output. For TLS from the first byte, call smtp_server_tls_started()
 * before recv(). */
struct smtp_server *smtp_server_create(const struct smtp_server_settings *settings);
void smtp_server_destroy(struct smtp_server **s); /* NULL is fine; writes NULL back */

/* Takes bytes from the peer. Returns how many were used; give the rest again when the question that
 * stands is answered. What came in clear behind STARTTLS counts as used, and is dropped. */
MUST_USE size_t smtp_server_recv(struct smtp_server *s, struct slice in);

/* Bytes waiting for the peer, valid until the next call on `s`; confirm them with sent(). While a
 * pipelining peer has more to say, hold them back and send all replies in one write. */
struct slice smtp_server_output(const struct smtp_server *s);
void smtp_server_sent(struct smtp_server *s, size_t n);

struct smtp_ask smtp_server_ask(const struct smtp_server *s);
/* Answers every question but TLS and BODY. The reply is copied. A 421 closes the session. An answer
 * may raise the next question at once (behind BDAT: BODY, END), so look at ask() again before
 * waiting for bytes. The same holds for smtp_server_body_taken(). */
void smtp_server_answer(struct smtp_server *s, struct smtp_reply reply);
void smtp_server_body_taken(struct smtp_server *s); /* answers BODY */
void smtp_server_tls_started(
    struct smtp_server *s); /* answers TLS; resets the session (RFC 3207) */

/* Throws away the rest of the message: no more BODY questions, END still comes and takes the
 * refusal. To be called while DATA or BODY stands, or between them. */
void smtp_server_discard(struct smtp_server *s);

/* An accepted MAIL is open and neither finished nor forgotten. When this turns false without an END
 * question (RSET, EHLO, too large, bare LF, closed), the caller drops what it has collected. */
bool smtp_server_in_transaction(const struct smtp_server *s);
bool smtp_server_is_tls(const struct smtp_server *s);
bool smtp_server_is_extended(const struct smtp_server *s);  /* EHLO, so "ESMTP" in Received */
bool smtp_server_is_utf8(const struct smtp_server *s);      /* this transaction said SMTPUTF8 */
struct slice smtp_server_helo(const struct smtp_server *s); /* empty before HELO */
struct slice smtp_server_user(const struct smtp_server *s); /* logged in as; empty: not */

/* How many lines of commands have come. The time that a peer has for a command starts anew when
 * this changes, not with every byte. */
unsigned smtp_server_lines(const struct smtp_server *s);

/* Say `reply` (421 4.4.2, 421 4.3.2) and close; a question that stands is void. Before the greeting
 * has been sent, the reply takes its place (554 is legal then, too). */
void smtp_server_close(struct smtp_server *s, struct smtp_reply reply);
void smtp_server_timeout(struct smtp_server *s);  /* the peer was silent for too long */
void smtp_server_shutdown(struct smtp_server *s); /* we stop serving */

/* No more is read: send what stands in the output, then close the connection. */
bool smtp_server_is_closed(const struct smtp_server *s);
/* "waiting for RCPT or DATA", ...: for logs, `show` and the dashboard. */
const char *smtp_server_state_name(const struct smtp_server *s);

#endif
