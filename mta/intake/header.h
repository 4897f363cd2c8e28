/* mta/intake/header.h -- what Waybill does to the header of a mail that it takes in (RFC 6409 8).
 *
 *     as received --intake_header_edit()--> Received + what was kept + what was missing
 *                                           and what the ledger wants to know
 *
 * Added: a Received field (RFC 5321 4.4), Message-ID and Date where missing. Taken out: our own
 * X-Waybill-* and X-PM-* fields after reading them, and Bcc, Return-Path and Content-Length, which
 * must not travel. All else stays as it is, byte for byte. */
#ifndef MTA_INTAKE_HEADER_H
#define MTA_INTAKE_HEADER_H

#include "base/arena.h"
#include "base/base.h"

#define INTAKE_HOPS_MAX 100 /* Received fields; more is a loop (RFC 5321 6.3 asks for >= 100) */
#define INTAKE_PASSES_MAX 3 /* of mail that is forwarded, through this host; more is a loop */

/* How the mail came in; all slices borrowed. */
struct intake_origin {
    struct slice hostname;  /* ours */
    struct slice helo;      /* what the client called itself */
    struct slice client_ip; /* "192.0.2.1" or "IPv6:2001:db8::1" */
    struct slice protocol;  /* "ESMTPSA", RFC 3848 */
    struct slice tls;       /* "TLSv1.3 TLS_AES_256_GCM_SHA384", or empty */
    struct slice id;        /* our id as text */
    struct slice recipient; /* the only recipient, or empty: several are not told to each other */
    bool hide_client;       /* leave HELO and address of a logged-in client out */
    bool is_forwarded;      /* it goes on to somebody else, in the place of an address of ours */
    bool is_stranger;       /* what the header says to us is only said by our own clients */
    int64_t unix_s;
};

/* What was found; slices point into the header that was given, or into the arena. */
struct intake_header {
    struct slice message_id;    /* with brackets; the client's, or the one made */
    struct slice from, subject; /* unfolded, at most INTAKE_SUMMARY_BYTES */
    struct slice stream, tag;   /* of X-Waybill-Stream / X-PM-Message-Stream, ...; or empty */
    struct slice idempotency_key;
    const char *message_id_problem; /* a plain sentence, or NULL */
    bool has_unsubscribe;           /* a List-Unsubscribe field of the client's own */
    size_t hops;                    /* Received fields on board before ours */
    bool is_loop;                   /* why it was refused */
    size_t received_bytes;          /* how much of the output is our Received field */
};
#define INTAKE_SUMMARY_BYTES 200

/* Appends the edited header to `out`, its fields ending in CR LF, without the empty line. `header`
 * is the block as received, without the empty line. ERR_LIMIT: too many fields or hops (the text is
 * fit for the client). */
MUST_USE int intake_header_edit(struct slice header, const struct intake_origin *origin,
                                struct arena *a, struct buf *out, struct intake_header *found_out,
                                struct err *e);

/* Appends List-Unsubscribe and List-Unsubscribe-Post (RFC 8058), to be signed like the rest; every
 * "{id}" in the URL becomes the message's id. ERR_SYNTAX: no https URL; nothing is added then. */
MUST_USE int intake_add_unsubscribe(struct slice url, struct slice id, struct buf *out,
                                    struct err *e);

#endif
