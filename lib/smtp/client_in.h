/* lib/smtp/client_in.h -- the inside of a client connection. Read the files in this order: client.c
 * (the table of phases, bytes in and out), client_session.c (greeting, EHLO, STARTTLS, AUTH),
 * client_transaction.c (MAIL to the final reply), client_body.c (the message). */
#ifndef LIB_SMTP_CLIENT_IN_H
#define LIB_SMTP_CLIENT_IN_H

#include "base/arena.h"
#include "lib/smtp/client.h"

/* What was asked of AUTH last. */
enum smtp_client_auth {
    CLIENT_AUTH_PLAIN,
    CLIENT_AUTH_LOGIN,
    CLIENT_AUTH_USER,
    CLIENT_AUTH_PASSWORD,
};

struct smtp_client {
    struct smtp_client_settings settings;
    struct smtp_capabilities capabilities;
    enum smtp_phase phase;
    enum smtp_want want;
    struct buf output;
    struct smtp_response_parser parser;
    enum smtp_client_auth auth_step;
    bool is_tls;
    bool says_helo;  /* EHLO was refused */
    bool is_closing; /* of no more use once the verdicts are taken */
    struct smtp_failure failure;
    struct buf failure_text; /* enhanced code and text of `failure` */

    /* One transaction. The script is all its commands; they leave together, or line by line. */
    struct buf script;
    size_t script_at;            /* what has left */
    size_t replies, replies_due; /* to the script */
    struct arena *texts;
    struct smtp_verdict *verdicts;
    bool *settled;
    size_t recipients, unsettled;
    size_t lmtp_next; /* whose final reply comes next */
    bool in_transaction, mail_accepted, data_accepted, dot_sent;
    bool pipelines, chunks;
    bool cancels;         /* an empty message was sent, for nobody */
    size_t chunk_replies; /* to BDAT without LAST, still to come */

    /* The message. */
    bool at_line_start, after_cr;
    struct buf chunk; /* one BDAT, before its size is known */
};

/* client.c */
void smtp_client_enter(struct smtp_client *c, enum smtp_phase phase, enum smtp_want want);
/* The connection is of no more use. Says QUIT when the server still listens. */
void smtp_client_fail(struct smtp_client *c, struct smtp_response response, bool say_quit);
void smtp_client_fail_text(struct smtp_client *c, const char *text);
void smtp_client_note_failure(struct smtp_client *c, struct smtp_response response);

/* client_session.c: what a reply means in a phase */
void smtp_client_take_greeting(struct smtp_client *c, struct smtp_response r);
void smtp_client_take_ehlo(struct smtp_client *c, struct smtp_response r);
void smtp_client_take_starttls(struct smtp_client *c, struct smtp_response r);
void smtp_client_take_auth(struct smtp_client *c, struct smtp_response r);
void smtp_client_say_ehlo(struct smtp_client *c);

/* client_transaction.c */
void smtp_client_take_mail(struct smtp_client *c, struct smtp_response r);
void smtp_client_take_rcpt(struct smtp_client *c, struct smtp_response r);
void smtp_client_take_data(struct smtp_client *c, struct smtp_response r);
void smtp_client_take_early(struct smtp_client *c, struct smtp_response r);
void smtp_client_take_final(struct smtp_client *c, struct smtp_response r);
void smtp_client_take_reset(struct smtp_client *c, struct smtp_response r);
/* Gives every recipient without a verdict this one, and the result stands. */
void smtp_client_settle_rest(struct smtp_client *c, enum smtp_outcome outcome,
                             struct smtp_response response);

#endif
