/* store/ledger/fsck.h -- proves that ledger and spool agree, or says where they do not.
 *
 *   - every unfinished message has a whole record in the spool (all of it is read and summed up),
 *   - every unfinished recipient is in a unit, every unit has recipients,
 *   - the live bytes of each segment are what its unfinished messages come to,
 *   - the spool holds no segment that the ledger does not know; after the last whole record of the
 *     newest one there may be a torn tail, which the next start cuts.
 *
 * Records that the ledger never heard of were written just before a crash or a failed group, and
 * nobody was told 250; they are counted as unclaimed, and are no fault. Works beside a running
 * daemon: what looks wrong is looked at again in a fresh snapshot. Repairing needs it stopped. */
#ifndef STORE_LEDGER_FSCK_H
#define STORE_LEDGER_FSCK_H

#include "base/id.h"

enum fsck_fault {
    FSCK_DATABASE,        /* the database file is damaged in itself */
    FSCK_BODY,            /* an unfinished message without a whole record */
    FSCK_LOST_RECIPIENTS, /* unfinished, but nobody would try again */
    FSCK_STRAY_UNITS,
    FSCK_COUNTERS,        /* a segment's live bytes are wrong */
    FSCK_UNKNOWN_SEGMENT, /* a file that the ledger does not know */
};
#define FSCK_FAULT_COUNT 6
const char *fsck_fault_name(enum fsck_fault fault); /* "body", "lost-recipients", ... */

struct fsck_settings {
    const char *ledger_path, *spool_dir;
    bool repair;
    int64_t now_ms; /* for the events that repairs leave */
    void (*found)(void *ctx, enum fsck_fault fault, const char *sentence); /* may be NULL */
    void *ctx;
};
struct fsck_report {
    uint64_t messages, unfinished, segments, records;
    uint64_t body_bytes; /* that were read and fit their checksums */
    uint64_t unclaimed;  /* records nobody was told about */
    uint64_t torn_bytes; /* after the last whole record of the newest segment */
    uint64_t faults[FSCK_FAULT_COUNT];
    uint64_t fault_count;
    uint64_t repaired;
};

/* 0 whether or not there are faults; -1 when ledger or spool cannot be read at all. With `repair`,
 * the report tells what was found before; messages without a body are dropped (their event says
 * why), everything else is put right. ERR_TEMP: the daemon is running. */
MUST_USE int fsck_run(const struct fsck_settings *settings, struct fsck_report *report_out,
                      struct err *e);

#endif
