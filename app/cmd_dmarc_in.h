/* app/cmd_dmarc_in.h -- the parts of `waybill dmarc`. Each returns the exit status. */
#ifndef APP_CMD_DMARC_IN_H
#define APP_CMD_DMARC_IN_H

#include <stdbool.h>
#include <stdint.h>

/* waybill dmarc report FILE...; `store_config`: the reports go into the ledger of the daemon with
 * these settings too (if `store`). */
int dmarc_report_run(int files, char **paths, bool json, bool store, const char *store_config);

/* waybill dmarc report, without files: what the ledger holds of the last `days`. */
int dmarc_ledger_run(const char *config, int64_t days, bool json);

/* waybill dmarc send; `day`: "2026-11-24", or NULL: all days that are over. */
int dmarc_send_run(const char *config, const char *day, bool dry_run);

#endif
