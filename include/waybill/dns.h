/* waybill/dns.h -- questions that the library asks, answers that the caller finds.
 *
 * The caller resolves in any way it likes: blocking, with its event loop, from a table. The
 * structures of this file are made by callers, too: they never grow. */
#ifndef WAYBILL_DNS_H
#define WAYBILL_DNS_H

#include <waybill/waybill.h>

#ifdef __cplusplus
extern "C" {
#endif

enum waybill_dns_type { /* as in DNS messages */
                        WAYBILL_DNS_A = 1,
                        WAYBILL_DNS_CNAME = 5,
                        WAYBILL_DNS_PTR = 12,
                        WAYBILL_DNS_MX = 15,
                        WAYBILL_DNS_TXT = 16,
                        WAYBILL_DNS_AAAA = 28,
};

enum waybill_dns_status {
    WAYBILL_DNS_OK,       /* there are records */
    WAYBILL_DNS_NODATA,   /* the name exists, without this type */
    WAYBILL_DNS_NXDOMAIN, /* the name does not exist */
    WAYBILL_DNS_SERVFAIL, /* a failure: later there may be an answer */
    WAYBILL_DNS_TIMEOUT,  /* no answer at all */
};

struct waybill_dns_question {
    uint64_t id;                /* hand it back with the answer */
    const char *name;           /* master-file form without the last dot; good until the answer */
    enum waybill_dns_type type; /* what is asked */
};

struct waybill_dns_record {
    unsigned preference; /* MX */
    const char *data;    /* TXT: all its strings joined; A: 4 bytes, AAAA: 16 bytes in network
                            order; PTR, MX: the name as text, with or without the last dot */
    size_t size;         /* of `data`, in bytes */
};

/* About the type that was asked; CNAMEs have been followed. */
struct waybill_dns_answer {
    enum waybill_dns_status status;
    const struct waybill_dns_record *records; /* `count` of them, for WAYBILL_DNS_OK */
    size_t count;
};

#ifdef __cplusplus
}
#endif

#endif
