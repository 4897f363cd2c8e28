#include "role/report_making.h"

#include "lib/crypt/hash.h"
#include "lib/dmarc/tally.h"

#define DAY_S 86400
#define ID_BYTES 16

struct slice report_making_from(const struct conf *conf, struct arena *arena)
{
    if (conf->dmarc_report_from[0] != '\0')
        return slice_of(conf->dmarc_report_from);
    return arena_printf(arena, "dmarc-reports@%s",
                        conf->return_path_domain[0] != '\0' ? conf->return_path_domain
                                                            : conf->hostname);
}

int64_t report_making_end_of(const struct ledger_dmarc_period *period, int64_t now_s)
{
    int64_t day_end_s = (period->day + 1) * DAY_S - 1;

    return now_s < day_end_s ? now_s : day_end_s;
}

/* The same period has the same id whenever it is made: a receiver sees a repetition (RFC 9990
 * 3.5.1). Letters and digits only, so it also is the unique-id of the file name. */
static struct slice make_id(const struct conf *conf, const struct ledger_dmarc_period *p,
                            struct arena *arena)
{
    uint8_t digest[CRYPT_SHA256_BYTES];
    struct buf hex;

    crypt_sha256(arena_printf(arena, "%s\n%.*s\n%lld\n%u", conf->hostname, SLICE_ARG(p->domain),
                              (long long)p->day, p->part),
                 digest);
    buf_init(&hex, sizeof digest * 2);
    for (size_t i = 0; i < ID_BYTES; i++)
        buf_printf(&hex, "%02x", digest[i]);
    struct slice id = arena_copy(arena, buf_slice(&hex));
    buf_finish(&hex);
    return id;
}

void report_making_begin(struct report_making *m, const struct conf *conf,
                         const struct ledger_dmarc_period *period, int64_t end_s,
                         struct arena *arena)
{
    *m = (struct report_making){.arena = arena};
    m->last = &m->report.rows;
    m->left_out = period->left_out;
    m->report = (struct dmarc_report){
        .version = SLICE("1.0"),
        .org_name =
            slice_of(conf->dmarc_org_name[0] != '\0' ? conf->dmarc_org_name : conf->hostname),
        .email = report_making_from(conf, arena),
        .report_id = make_id(conf, period, arena),
        .generator = SLICE("Waybill " WAYBILL_VERSION),
        .begin_unix_s = period->begin_s,
        .end_unix_s = end_s,
    };
    if (!dmarc_tally_read_policy(period->policy, &m->report))
        m->report.error = SLICE("the policy on record could not be read");
    m->report.domain = period->domain;
}

bool report_making_row(void *making, struct slice line, uint64_t count)
{
    struct report_making *m = making;
    struct dmarc_row *row = arena_alloc(m->arena, sizeof *row);
    struct slice kept = arena_copy(m->arena, line);

    if (row == NULL || kept.p == NULL || !dmarc_tally_read_row(kept, m->arena, row)) {
        m->left_out += count;
        return true;
    }
    row->count = count;
    *m->last = row;
    m->last = &row->next;
    m->report.row_count++;
    m->report.messages += count;
    return true;
}

void report_making_end(struct report_making *m)
{
    if (m->left_out == 0)
        return;
    (void)snprintf(m->words, sizeof m->words,
                   "%llu messages are left out: there were too many different rows",
                   (unsigned long long)m->left_out);
    m->report.error = slice_of(m->words);
}
