/* lib/doctor/subject.h -- what is true about a domain here: the other side of the comparison.
 *
 *     settings, options --doctor_add_address()--+
 *     ledger            --doctor_add_use()------+--> struct doctor_subject --> doctor_create() */
#ifndef LIB_DOCTOR_SUBJECT_H
#define LIB_DOCTOR_SUBJECT_H

#include "base/ip.h"

#define DOCTOR_SIGNERS_MAX 64
#define DOCTOR_ADDRESSES_MAX 64
#define DOCTOR_RECEIVERS_MAX 64

/* Where a fact comes from. */
enum doctor_origin {
    DOCTOR_FROM_OPTION,  /* said on the command line */
    DOCTOR_FROM_PUBLIC,  /* public_addresses: what the world sees */
    DOCTOR_FROM_SETTING, /* source_address */
    DOCTOR_FROM_HOST,    /* where the host's name leads: a guess */
    DOCTOR_FROM_LEDGER,  /* a connection that mail really left over */
};
const char *doctor_origin_name(enum doctor_origin o); /* "option", "public_addresses", ... */

enum doctor_class { DOCTOR_IS_PUBLIC, DOCTOR_IS_PRIVATE, DOCTOR_IS_LOOPBACK };
const char *doctor_class_name(enum doctor_class c); /* "public", "private", "loopback" */

struct doctor_address {
    struct ip_address ip;
    enum doctor_origin origin;
    /* of the envelope senders; empty: unknown, so any; "*": others than the subject's */
    struct slice domain;
    struct slice via;          /* the smart host it was handed to; empty: straight to receivers */
    int64_t first_ms, last_ms; /* of the ledger; 0: unknown */
    uint64_t messages;
};

struct doctor_signer {
    struct slice domain, selector;
    struct slice record; /* of our public key, as it should stand in DNS: "v=DKIM1; k=rsa; p=..." */
};

/* What is looked at. */
#define DOCTOR_PART_AUTHOR 1u      /* the domain of From: its SPF, DKIM and DMARC */
#define DOCTOR_PART_RETURN_PATH 2u /* its SPF and MX */
#define DOCTOR_PART_HOST 4u        /* the addresses: PTR and back */
#define DOCTOR_PART_ALL 7u

struct doctor_subject {
    unsigned parts;           /* DOCTOR_PART_* */
    struct slice domain;      /* of From */
    struct slice return_path; /* domain of the envelope sender; may be the same */
    struct slice hostname;    /* in EHLO, and what the return path's MX leads to; may be empty */
    struct doctor_address addresses[DOCTOR_ADDRESSES_MAX]; /* that mail leaves from */
    size_t address_count;
    struct slice
        smart_host; /* the settings hand all mail to it; empty: no. The ledger knows better */
    struct doctor_signer signers[DOCTOR_SIGNERS_MAX];
    size_t signer_count;
    struct slice receivers[DOCTOR_RECEIVERS_MAX]; /* domains that receive mail here */
    size_t receiver_count;
};

enum doctor_class doctor_class_of(const struct ip_address *ip);
/* Whether the world can see it: it is public, or somebody said so. */
bool doctor_address_is_seen(const struct doctor_address *a);

/* An address that is there already (same domain and via) is joined with it. False: no room. */
MUST_USE bool doctor_add_address(struct doctor_subject *s, const struct doctor_address *a);
/* What the ledger knows of one address, if it is about this subject; others are left out. False:
 * no room. */
MUST_USE bool doctor_add_use(struct doctor_subject *s, const struct doctor_address *use);
/* Whether any address comes from the ledger. */
bool doctor_knows_uses(const struct doctor_subject *s);
/* False: no room. Twice is once. */
MUST_USE bool doctor_add_receiver(struct doctor_subject *s, struct slice domain);

/* Whether this address counts for the SPF record of `domain`: mail of that domain left from it, or,
 * when no such mail is known, any mail of the subject. */
bool doctor_address_counts(const struct doctor_subject *s, const struct doctor_address *a,
                           struct slice domain);
/* The smart host that all mail of `domain` leaves through; empty: it leaves from here. */
struct slice doctor_smart_host(const struct doctor_subject *s, struct slice domain);
/* Whether any mail of `domain` leaves through a smart host. */
bool doctor_uses_smart_host(const struct doctor_subject *s, struct slice domain);

#endif
