/* lib/dnsmsg/record.h -- DNS questions and answers, the nouns that every evaluator shares.
 *
 *     evaluator (spf, dkim, dmarc, tlspolicy) --> struct dns_question --> rt/dns, or a zone file
 *     evaluator <-- const struct dns_answer * <--
 *
 * An answer is about one type: CNAMEs have been followed by whoever answers. Its records are all of
 * the asked type. The answerer owns it; evaluators copy what they keep, so an answer need only live
 * as long as the call that hands it over. */
#ifndef LIB_DNSMSG_RECORD_H
#define LIB_DNSMSG_RECORD_H

#include "base/ip.h"

enum dns_type { /* RFC 1035 3.2.2, 3596, 6698; any other number may stand here too */
                DNS_NO_TYPE = 0,
                DNS_A = 1,
                DNS_NS = 2,
                DNS_CNAME = 5,
                DNS_SOA = 6,
                DNS_PTR = 12,
                DNS_MX = 15,
                DNS_TXT = 16,
                DNS_AAAA = 28,
                DNS_TLSA = 52,
};

enum dns_status {
    DNS_OK,       /* there is at least one record */
    DNS_NODATA,   /* the name exists, without this type */
    DNS_NXDOMAIN, /* the name does not exist, and nothing below it */
    DNS_SERVFAIL, /* a broken answer, or a refusal; try later */
    DNS_TIMEOUT,  /* no answer at all; try later */
};

struct dns_question {
    struct slice name; /* as lib/dnsmsg/name.h has it; owned by the asker */
    enum dns_type type;
};

struct dns_record {
    enum dns_type type;
    uint32_t ttl_s;
    /* A, AAAA: the address. */
    struct ip_address address;
    /* CNAME, NS, PTR, MX (the exchange; empty for the null MX of RFC 7505), SOA (the primary). */
    struct slice name;
    uint16_t preference; /* MX */
    /* TXT: all strings joined. `strings` keeps their borders (at least one string). */
    struct slice text;
    const struct slice *strings; /* they point into `text` */
    size_t string_count;
    /* TLSA: usage, selector, matching type; `data` is what follows them. */
    uint8_t usage, selector, matching;
    /* TLSA: the association data. Unknown types: the RDATA as on the wire. */
    struct slice data;
};

struct dns_answer {
    enum dns_status status;
    bool secure;                      /* validated (DNSSEC), over a path that we trust */
    uint32_t ttl_s;                   /* how long it holds: the least TTL on the way; for NODATA and
                                         NXDOMAIN the negative TTL (RFC 2308); 0 for failures */
    struct slice canonical;           /* the name at the end of the CNAMEs; the asked one without */
    const struct dns_record *records; /* `count` of them, only when DNS_OK */
    size_t count;
};

/* SERVFAIL and TIMEOUT: the question may have another answer later. */
static inline bool dns_status_is_failure(enum dns_status s)
{
    return s == DNS_SERVFAIL || s == DNS_TIMEOUT;
}

/* "ok", "no data", "no such name", "server failure", "time-out". */
const char *dns_status_text(enum dns_status s);

struct arena;
/* A copy that lives as long as the arena. At its ceiling the copy says SERVFAIL: what could not be
 * kept is not known. */
void dns_answer_copy(struct arena *arena, const struct dns_answer *answer,
                     struct dns_answer *copy_out);

#define DNS_TYPE_TEXT_MAX 16
/* "A", "MX", ...; "TYPE65534" for what has no name here (RFC 3597). Returns `out`. */
const char *dns_type_format(enum dns_type t, char out[DNS_TYPE_TEXT_MAX]);
/* Reads a type's name in any case, or TYPEnnn. DNS_NO_TYPE when it is neither. */
enum dns_type dns_type_parse(struct slice text);

#endif
