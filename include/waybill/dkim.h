/* waybill/dkim.h -- signs messages with DKIM, RSA and Ed25519. See waybill_signer(3).
 *
 *     signer_create(), signer_add_key() ...          once
 *     begin(header), body() ..., finish() --> the DKIM-Signature fields, to go on top */
#ifndef WAYBILL_DKIM_H
#define WAYBILL_DKIM_H

#include <waybill/waybill.h>

#ifdef __cplusplus
extern "C" {
#endif

#define WAYBILL_SIGNER_KEYS_MAX 8

struct waybill_signer; /* opaque */

WAYBILL_CHECK struct waybill_signer *waybill_signer_create(void);
WAYBILL_API void waybill_signer_destroy(struct waybill_signer **s); /* writes NULL back */

/* Adds a private key: PEM (PKCS#8 or RSA PRIVATE KEY), RSA or Ed25519. Every message gets one
 * signature of each key. -1: it cannot be read, or there are too many. */
WAYBILL_CHECK int waybill_signer_add_key(struct waybill_signer *s, const char *domain,
                                         const char *selector, const char *pem, size_t size,
                                         struct waybill_error *error);

/* Starts a message; `header` as waybill_verifier_begin() has it, not needed after the call.
 * `unix_time` goes into t=. -1: no key, no From field, a bad domain or selector, too large. */
WAYBILL_CHECK int waybill_signer_begin(struct waybill_signer *s, const char *header, size_t size,
                                       int64_t unix_time, struct waybill_error *error);
WAYBILL_API void waybill_signer_body(struct waybill_signer *s, const char *bytes, size_t size);
/* The fields with their CR LF, good until the next begin. -1: a key refused. */
WAYBILL_CHECK int waybill_signer_finish(struct waybill_signer *s, struct waybill_text *fields_out,
                                        struct waybill_error *error);

#ifdef __cplusplus
}
#endif

#endif
