/* app/doctor.h -- compares what a domain publishes with what its server really does.
 *
 *     struct doctor_subject (what is true here) + DNS --> doctor_examine() --> findings
 *
 * A finding says what is wrong, why it matters, and the record to publish. */
#ifndef APP_DOCTOR_H
#define APP_DOCTOR_H

#include "app/resolver.h"
#include "base/arena.h"
#include "lib/crypt/key.h"

#define DOCTOR_SIGNERS_MAX 64
#define DOCTOR_ADDRESSES_MAX 64

enum doctor_severity { DOCTOR_GOOD, DOCTOR_WARNING, DOCTOR_ERROR };

struct doctor_signer {
    struct slice domain, selector;
    struct crypt_key *key;
};

struct doctor_subject {
    struct slice domain;      /* of From */
    struct slice return_path; /* domain of the envelope sender; may be the same */
    struct slice hostname;    /* in EHLO, and what the return path's MX leads to; may be empty */
    struct ip_address addresses[DOCTOR_ADDRESSES_MAX]; /* that mail really leaves from */
    size_t address_count;
    struct doctor_signer signers[DOCTOR_SIGNERS_MAX];
    size_t signer_count;
};

struct doctor_finding {
    struct doctor_finding *next;
    enum doctor_severity severity;
    const char *rule;     /* a word for programs: "spf-missing-address", "dkim-wrong-key", ... */
    struct slice name;    /* the name in DNS that it is about */
    struct slice text;    /* a sentence */
    struct slice publish; /* the record, as a line of a zone file; empty if none helps */
};

/* Asks what is to be asked; the findings are owned by `arena`, in the order SPF, DKIM, DMARC, MX,
 * PTR, transport. `subject` is borrowed for the call. */
const struct doctor_finding *doctor_examine(const struct doctor_subject *subject,
                                            struct resolver *dns, struct arena *arena);

#endif
