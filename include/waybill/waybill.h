/* waybill/waybill.h -- libwaybill: what every face of it shares. See libwaybill(3).
 *
 * Bytes and DNS answers go in, results come out: no sockets, no clock, no threads, no global
 * state. Objects are independent of each other; each is used by one thread at a time. */
#ifndef WAYBILL_WAYBILL_H
#define WAYBILL_WAYBILL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WAYBILL_VERSION_MAJOR 0
#define WAYBILL_VERSION_MINOR 1
#define WAYBILL_VERSION_PATCH 0

#if defined(__GNUC__)
#define WAYBILL_API __attribute__((visibility("default")))
#define WAYBILL_CHECK __attribute__((visibility("default"), warn_unused_result))
#else
#define WAYBILL_API
#define WAYBILL_CHECK
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Borrowed bytes, not ended by NUL. Print them with "%.*s", (int)t.size, t.bytes. */
struct waybill_text {
    const char *bytes;
    size_t size;
};

/* Why something could not be done: a sentence for people. Functions that can fail take one last
 * (NULL is fine) and return -1 or NULL. */
struct waybill_error {
    char text[256];
};

/* "0.1.0": of the library that runs, not of the header. */
WAYBILL_API const char *waybill_version(void);

#ifdef __cplusplus
}
#endif

#endif
