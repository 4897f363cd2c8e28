/* lib/smtp/server_in.h -- the inside of a server session: its state, and what the files of the
 * engine say to each other. Read them in this order: server_commands.c (the table of the
 * protocol), server_envelope.c (MAIL, RCPT), server_data.c (DATA, BDAT), server_auth.c. */
#ifndef LIB_SMTP_SERVER_IN_H
#define LIB_SMTP_SERVER_IN_H

#include "lib/smtp/server.h"

enum smtp_server_state {
    SERVER_HELLO,     /* nobody has said HELO yet */
    SERVER_READY,     /* no transaction */
    SERVER_MAIL,      /* a sender, no recipient */
    SERVER_RCPT,      /* at least one recipient */
    SERVER_DATA,      /* bytes of the message up to CR LF . CR LF */
    SERVER_CHUNK,     /* chunk_left bytes of BDAT */
    SERVER_BDAT_NEXT, /* between two chunks of a message */
    SERVER_AUTH,      /* a line of AUTH comes */
    SERVER_TLS,       /* the handshake is on */
    SERVER_CLOSED,
};
#define IN(state) (1u << (state))

/* Where in a line the bytes of the message stand. */
enum smtp_line_place {
    LINE_START, /* behind a CR LF: a dot is special here */
    LINE_INSIDE,
    LINE_START_BARE, /* behind a bare CR or LF that was normalised: a dot is a plain dot here */
    LINE_CR,         /* a CR was taken and not handed out */
    LINE_DOT,        /* a dot at the start was taken and not handed out */
    LINE_DOT_CR,     /* a dot at the start and a CR */
};

/* Why a message is refused whose bytes are still to come. The least one is said, so that the reply
 * does not depend on how the bytes were cut. */
enum smtp_refusal {
    REFUSAL_ORDER, /* no bytes should have come, or the caller refused them */
    REFUSAL_SIZE,
    REFUSAL_BARE,
    REFUSAL_LINE,
    REFUSAL_NUL,
};

enum smtp_auth_step {
    AUTH_PLAIN,
    AUTH_LOGIN_USER,
    AUTH_LOGIN_PASSWORD,
};

struct smtp_server {
    const struct smtp_server_settings *settings;
    enum smtp_server_state state;
    struct smtp_ask ask;

    struct buf line;   /* the command that is being received or asked about */
    struct buf output; /* replies */
    struct buf helo;
    struct buf user; /* logged in as */
    char last_byte;  /* of an oversized line */
    bool skips_line; /* ... whose rest is thrown away */

    bool is_tls, is_extended, greeting_sent;
    unsigned lines, commands, idle_commands, errors;

    bool in_transaction;
    struct smtp_sender sender;
    struct smtp_recipient recipient;
    unsigned recipients, refused_recipients;

    enum smtp_line_place place;
    bool discards; /* the caller wants no more of this message */
    bool refuses;  /* we refuse this message: `held` is said when its bytes are through */
    enum smtp_refusal refusal;
    struct buf held;
    uint64_t message_bytes, line_bytes;
    uint64_t chunk_left, chunk_bytes;
    bool chunk_is_last;
    enum smtp_server_state after_chunk; /* where a refused chunk leads */

    enum smtp_auth_step auth_step;
    struct buf secret; /* what AUTH decoded; wiped */
    size_t user_bytes; /* AUTH LOGIN: the user at the start of `secret` */
    struct smtp_login login;
};

/* server.c */
void smtp_server_say(struct smtp_server *s, struct smtp_reply reply);
/* Says a refusal, counts it, and closes when there were too many. */
void smtp_server_refuse(struct smtp_server *s, unsigned code, const char *enhanced,
                        const char *text);
void smtp_server_end_transaction(struct smtp_server *s); /* to READY */
size_t smtp_server_take_line(struct smtp_server *s, struct slice in);

/* server_commands.c: one line without its end. DONE: it is answered. WAIT: a question stands. */
enum step smtp_server_run_command(struct smtp_server *s, struct slice line);
void smtp_server_greet_back(struct smtp_server *s); /* HELO was accepted */

/* server_envelope.c */
enum step smtp_server_run_mail(struct smtp_server *s, struct slice args);
enum step smtp_server_run_rcpt(struct smtp_server *s, struct slice args);

/* server_data.c */
enum step smtp_server_run_data(struct smtp_server *s, struct slice args);
enum step smtp_server_run_bdat(struct smtp_server *s, struct slice args);
void smtp_server_begin_message(struct smtp_server *s, struct smtp_reply reply); /* DATA answered */
size_t smtp_server_take_data(struct smtp_server *s, struct slice in);
size_t smtp_server_take_chunk(struct smtp_server *s, struct slice in);
void smtp_server_finish_chunk(struct smtp_server *s);

/* server_auth.c */
enum step smtp_server_run_auth(struct smtp_server *s, struct slice args);
enum step smtp_server_run_auth_line(struct smtp_server *s, struct slice line);
void smtp_server_end_auth(struct smtp_server *s, bool accepted); /* wipes */
void smtp_server_wipe(struct buf *b);                            /* and frees it */
bool smtp_server_offers_auth(const struct smtp_server *s);

#endif
