/* rt/watch/log.h -- the structured log: one event, one line.
 *
 *     log_info(log, "smtp.session", LOG_TEXT("client", ip), LOG_INT("messages", 3));
 *
 * To a file or a pipe it is JSON ({"time":...,"level":...,"role":...,"event":...,fields}), to a
 * terminal a line for people. Event names are literals, "noun.what", and never made at run time:
 * values belong into fields. A level that is off costs one comparison. One event name may write
 * LOG_BURST lines a second; then a line tells how many were left out. */
#ifndef WATCH_LOG_H
#define WATCH_LOG_H

#include "base/base.h"
#include "rt/loop/loop.h"

#define LOG_BURST 200

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
/* "debug", "info", "warn", "error"; false when it is none of them. */
MUST_USE bool log_level_parse(struct slice name, enum log_level *level_out);

struct log_field {
    const char *key;
    enum { LOG_IS_NOTHING, LOG_IS_TEXT, LOG_IS_INT, LOG_IS_BOOL } kind;
    struct slice text;
    int64_t number;
};
/* A key that is written only once: `slice`, C string (NULL leaves it out), number, yes or no. */
#define LOG_TEXT(k, slice_) ((struct log_field){.key = (k), .kind = LOG_IS_TEXT, .text = (slice_)})
#define LOG_STRING(k, c_string)                                                                    \
    ((struct log_field){.key = (k), .kind = LOG_IS_TEXT, .text = slice_of(c_string)})
#define LOG_INT(k, n) ((struct log_field){.key = (k), .kind = LOG_IS_INT, .number = (int64_t)(n)})
#define LOG_BOOL(k, yes) ((struct log_field){.key = (k), .kind = LOG_IS_BOOL, .number = (yes)})
#define LOG_ERR(err_pointer) LOG_STRING("error", (err_pointer)->text)

struct log; /* opaque */

/* Writes to `fd`, which stays the caller's; for people if it is a terminal. `role` is copied. A
 * NULL log is fine everywhere and writes nothing. */
struct log *log_create(int fd, const char *role, enum log_level least);
void log_destroy(struct log **log);
void log_set_role(struct log *log, const char *role); /* after fork() */
void log_set_level(struct log *log, enum log_level least);
void log_set_fd(struct log *log, int fd); /* the file was rotated */
/* From now on lines are collected and written once a turn; warnings and errors at once. Without it
 * every line is a write. */
void log_attach(struct log *log, struct loop *l);
void log_flush(struct log *log);

bool log_wants(const struct log *log, enum log_level level);
void log_write(struct log *log, enum log_level level, const char *event,
               const struct log_field *fields, size_t count);

#define LOG_AT(log, level, event, ...)                                                             \
    do {                                                                                           \
        if (log_wants((log), (level))) {                                                           \
            const struct log_field fields_[] = {{.key = NULL}, ##__VA_ARGS__};                     \
            log_write((log), (level), (event), fields_ + 1, COUNT(fields_) - 1);                   \
        }                                                                                          \
    } while (0)
#define log_debug(log, ...) LOG_AT(log, LOG_DEBUG, __VA_ARGS__)
#define log_info(log, ...) LOG_AT(log, LOG_INFO, __VA_ARGS__)
#define log_warn(log, ...) LOG_AT(log, LOG_WARN, __VA_ARGS__)
#define log_error(log, ...) LOG_AT(log, LOG_ERROR, __VA_ARGS__)

#endif
