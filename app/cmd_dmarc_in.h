/* app/cmd_dmarc_in.h -- the parts of `waybill dmarc`. */
#ifndef APP_CMD_DMARC_IN_H
#define APP_CMD_DMARC_IN_H

#include <stdbool.h>

/* waybill dmarc report FILE...: returns the exit status. */
int dmarc_report_run(int files, char **paths, bool json);

#endif
