/* app/daemon.h -- what the run-time commands share: settings, the ledger for reading, times. */
#ifndef APP_DAEMON_H
#define APP_DAEMON_H

#include "app/cli.h"
#include "rt/conf/conf.h"
#include "store/ledger/reader.h"

#define DAEMON_CONFIG "/etc/waybill/waybill.conf"
#define CLI_CONFIG(target)                                                                         \
    CLI_TEXT("config", target, "FILE", "the settings [/etc/waybill/waybill.conf]")

/* The settings of `path`, or of the default file if there is one, or all defaults. Dies with a
 * clear word when a file cannot be read. `path_out` (may be NULL): the file used, or NULL. */
struct conf *daemon_conf(const char *path, const char **path_out);
/* The ledger under the settings' data_dir; dies when there is none. */
struct ledger_reader *daemon_ledger(const struct conf *conf);

/* "2026-11-23 22:34:00.123" in UTC. */
void daemon_append_time(struct buf *out, int64_t unix_ms);
/* "430 ms", "12.3 s", "4 min 10 s", "2 h 5 min", "3 d 4 h". */
void daemon_append_span(struct buf *out, int64_t ms);
/* "90s", "15m", "24h", "7d" to milliseconds. */
MUST_USE bool daemon_parse_span(struct slice text, int64_t *ms_out);

#endif
