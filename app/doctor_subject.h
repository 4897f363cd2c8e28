/* app/doctor_subject.h -- what is true here, gathered for `waybill doctor`: options before the
 * ledger, the ledger before the settings. */
#ifndef APP_DOCTOR_SUBJECT_H
#define APP_DOCTOR_SUBJECT_H

#include "app/cli.h"
#include "app/resolver.h"
#include "base/arena.h"
#include "lib/doctor/doctor.h"
#include "rt/conf/conf.h"

struct doctor_options {
    const char *domain, *hostname, *return_path; /* NULL: not given */
    struct cli_list ips, keys;
};

/* Fills in `subject_out`; its slices live in `arena`, `conf` and the options. Dies with a clear
 * word when something given makes no sense. */
void doctor_subject_gather(const struct doctor_options *options, const struct conf *conf,
                           struct resolver *dns, struct arena *arena,
                           struct doctor_subject *subject_out);

#endif
