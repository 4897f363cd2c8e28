/* DMARC reports at the door: what each message to a local domain is told about to the queue, and
 * what others report about our domains. The latter come from anybody, packed: everything has a
 * ceiling. */
#include "lib/addr/domain.h"
#include "lib/dmarc/tally.h"
#include "lib/dmarc/unpack.h"
#include "lib/dnsmsg/name.h"
#include "lib/verdict/verdict.h"
#include "role/inbound_in.h"

#define OPEN_MAX 8                      /* reports that come in at once */
#define MAIL_MAX ((size_t)12 << 20)     /* 8 MiB in base64, and what is around it */
#define UNPACKED_MAX ((size_t)16 << 20) /* of one mail */
#define MEMORY_MAX ((size_t)64 << 20)   /* to read one mail's reports */
#define PIECE_BYTES ((size_t)192 << 10)
#define REPORTS_A_MAIL_MAX 10
#define SEEN_AUTHS_MAX DMARC_TALLY_AUTHS_MAX

/* --- what we see --- */

static void describe_policy(const struct dmarc_outcome *d, struct buf *out)
{
    const struct dmarc_record *r = &d->record;
    const struct dmarc_report policy = {
        .p = slice_of(dmarc_policy_text(r->p.policy)),
        .sp =
            r->sp.state == DMARC_TAG_VALID ? slice_of(dmarc_policy_text(r->sp.policy)) : SLICE(""),
        .np =
            r->np.state == DMARC_TAG_VALID ? slice_of(dmarc_policy_text(r->np.policy)) : SLICE(""),
        .adkim = r->adkim_strict ? SLICE("s") : SLICE("r"),
        .aspf = r->aspf_strict ? SLICE("s") : SLICE("r"),
        .fo = r->fo,
        .testing = r->testing ? SLICE("y") : SLICE("n"),
        .discovery_method = SLICE("treewalk"),
    };

    dmarc_tally_write_policy(&policy, out);
}

/* DKIM's results, those that passed first (RFC 9990 3.1.3), then SPF's; linked. */
static size_t list_results(struct verdict *v, struct dmarc_auth list[SEEN_AUTHS_MAX])
{
    const struct spf_outcome *spf = verdict_spf(v);
    size_t n = 0;

    for (int passed = 1; passed >= 0; passed--)
        for (size_t i = 0; i < verdict_dkim_count(v) && n + 1 < SEEN_AUTHS_MAX; i++) {
            const struct dkim_verdict *d = verdict_dkim(v, i);

            if ((d->result == DKIM_PASS) != (passed == 1) || !dns_name_is_valid(d->domain) ||
                !dns_name_is_valid(d->selector)) /* both are required; this names nobody */
                continue;
            list[n++] = (struct dmarc_auth){.is_dkim = true,
                                            .domain = d->domain,
                                            .selector = d->selector,
                                            .result = slice_of(dkim_result_name(d->result))};
        }
    if (spf->domain.n > 0)
        list[n++] = (struct dmarc_auth){.domain = spf->domain,
                                        .scope = SLICE("mfrom"),
                                        .result = slice_of(spf_result_text(spf->result))};
    for (size_t i = 0; i + 1 < n; i++)
        list[i].next = &list[i + 1];
    return n;
}

/* Why the policy as published was not applied; NULL: it was. */
static struct dmarc_reason *find_reason(const struct dmarc_outcome *d, enum dmarc_policy applied,
                                        struct dmarc_reason *room)
{
    *room = (struct dmarc_reason){0};
    if (d->result == DMARC_TEMPERROR)
        *room = (struct dmarc_reason){.type = SLICE("other"),
                                      .comment = SLICE("DNS gave no answer about the alignment")};
    else if (d->result == DMARC_FAIL && applied != d->disposition)
        *room = (struct dmarc_reason){.type = SLICE("local_policy"),
                                      .comment = applied == DMARC_POLICY_NONE
                                                     ? SLICE("mail to this domain is only checked")
                                                     : SLICE("mail to this domain is only marked")};
    else if (d->result == DMARC_FAIL && d->record.testing)
        room->type = SLICE("policy_test_mode");
    return room->type.n > 0 ? room : NULL;
}

void reports_seen(struct message *m, struct verdict *v, enum dmarc_policy applied)
{
    const struct dmarc_outcome *d = verdict_dmarc(v);
    struct inbound *in = m->inbound;
    struct dmarc_auth auths[SEEN_AUTHS_MAX];
    struct dmarc_reason reason;
    struct slice rua = d->record.rua, uri;
    struct buf policy, row;

    if (!in->conf->dmarc_reports || in->queue == NULL || d->policy_domain.n == 0 ||
        (d->result != DMARC_PASS && d->result != DMARC_FAIL && d->result != DMARC_TEMPERROR) ||
        !dmarc_uri_next(&rua, &uri))
        return;
    struct dmarc_row seen = {
        .source_ip = slice_of(m->client->ip),
        .disposition =
            d->result == DMARC_PASS ? SLICE("pass") : slice_of(dmarc_policy_text(applied)),
        .dkim = d->dkim_aligned ? SLICE("pass") : SLICE("fail"),
        .spf = d->spf_aligned ? SLICE("pass") : SLICE("fail"),
        .header_from = d->author_domain,
        .envelope_from = domain_of_address(m->client->sender_path),
        .reasons = find_reason(d, applied, &reason),
    };
    if (list_results(v, auths) > 0)
        seen.auths = auths;
    buf_init(&policy, DMARC_TALLY_POLICY_MAX);
    buf_init(&row, DMARC_TALLY_LINE_MAX);
    describe_policy(d, &policy);
    dmarc_tally_write_row(&seen, &row);
    const struct msg_dmarc_seen out = {.domain = d->policy_domain,
                                       .policy = buf_slice(&policy),
                                       .rua = d->record.rua,
                                       .row = buf_slice(&row)};
    msg_dmarc_seen_encode(&out, bus_begin(in->queue, MSG_DMARC_SEEN));
    bus_end(in->queue);
    buf_finish(&policy);
    buf_finish(&row);
}

/* --- what others see --- */

bool reports_are_on(const struct inbound *in)
{
    return in->conf->dmarc_reports_address.count > 0;
}

bool reports_is_one(const struct inbound *in, struct slice address)
{
    const struct conf_texts *list = &in->conf->dmarc_reports_address;

    for (size_t i = 0; i < list->count; i++)
        if (slice_eq_nocase(slice_of(list->items[i]), address))
            return true;
    return false;
}

bool reports_begin(struct message *m)
{
    if (m->inbound->reports_open >= OPEN_MAX)
        return false;
    m->is_report = true;
    m->inbound->reports_open++;
    m->body.max = MAIL_MAX;
    return true;
}

void reports_body(struct message *m, struct slice bytes)
{
    buf_append(&m->body, bytes); /* `full` is looked at when it is read */
}

struct reading {
    struct message *message;
    struct arena *arena;
    struct dmarc_report reports[REPORTS_A_MAIL_MAX];
    size_t n;
    struct err trouble;
};

static void trouble(struct reading *r, enum err_code code, const char *text)
{
    if (r->trouble.code == ERR_NONE)
        (void)err_set(&r->trouble, code, "%s", text);
}

static void read_xml(void *ctx, struct slice xml)
{
    struct reading *r = ctx;
    struct dmarc_report *report = &r->reports[r->n];
    struct err e;

    if (r->n == REPORTS_A_MAIL_MAX)
        trouble(r, ERR_LIMIT, "it holds too many reports");
    else if (dmarc_report_read(xml, r->arena, report, &e) < 0)
        trouble(r, e.code, e.text);
    else if (report->org_name.n == 0 || report->report_id.n == 0 || report->domain.n == 0)
        trouble(r, ERR_SYNTAX, "the report does not say who made it, its id, or about whom it is");
    else
        r->n++;
}

static void send_report(struct message *m, const struct dmarc_report *report, bool is_last)
{
    struct inbound *in = m->inbound;
    const struct dmarc_row *row = report->rows;
    uint64_t first = 0, count;
    struct buf piece;

    buf_init(&piece, BUS_FRAME_MAX);
    do {
        buf_clear(&piece);
        row = dmarc_tally_write_piece(report, row, first, PIECE_BYTES, &piece, &count);
        const struct msg_dmarc_piece out = {.txn = m->txn,
                                            .id = m->id,
                                            .answers = row == NULL && is_last,
                                            .piece = buf_slice(&piece)};
        msg_dmarc_piece_encode(&out, bus_begin(in->queue, MSG_DMARC_PIECE));
        bus_end(in->queue);
        first += count;
    } while (row != NULL);
    buf_finish(&piece);
    log_info(in->env.log, "inbound.dmarc_report", LOG_TEXT("by", report->org_name),
             LOG_TEXT("report_id", report->report_id), LOG_TEXT("domain", report->domain),
             LOG_INT("rows", report->row_count), LOG_INT("messages", report->messages));
}

/* Rows that nobody will keep do not travel. */
static void cut_rows(struct dmarc_report *report)
{
    struct dmarc_row *row = report->rows;

    for (size_t i = 1; row != NULL && i < DMARC_TALLY_REPORT_ROWS; i++)
        row = row->next;
    if (row != NULL)
        row->next = NULL;
}

bool reports_end(struct message *m, unsigned *code_out, struct err *e)
{
    struct inbound *in = m->inbound;
    struct reading r = {.message = m, .arena = arena_create(MEMORY_MAX)};
    bool is_whole = !m->body.full;

    if (!is_whole)
        (void)err_set(e, ERR_LIMIT, "the mail is larger than %zu bytes", MAIL_MAX);
    else if (dmarc_unpack(buf_slice(&m->body), UNPACKED_MAX, r.arena, read_xml, &r, e) == 0)
        *e = r.trouble;
    else if (r.trouble.code != ERR_NONE)
        *e = r.trouble;
    bool taken = is_whole && r.n > 0; /* what was good counts, whatever else there was */
    if (taken) {
        m->state = MESSAGE_STORING;
        for (size_t i = 0; i < r.n; i++) {
            cut_rows(&r.reports[i]);
            send_report(m, &r.reports[i], i + 1 == r.n);
        }
        buf_clear(&m->body);
    } else {
        char why[sizeof e->text];

        (void)snprintf(why, sizeof why, "%s", e->text);
        *code_out = e->code == ERR_LIMIT ? 552 : 550;
        (void)err_set(e, e->code, "No DMARC report can be read here: %.150s", why);
        log_warn(in->env.log, "inbound.dmarc_refused", LOG_STRING("client", m->client->ip),
                 LOG_TEXT("sender", m->client->sender_path), LOG_STRING("why", why));
        metric_add(in->env.metrics, METRIC_dmarc_refused_total, 1);
        return_count_refused(in, m->client); /* 15 KiB can be work for half a second */
    }
    arena_destroy(&r.arena);
    return taken;
}
