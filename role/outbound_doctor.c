#include "role/outbound_doctor.h"

#include "base/arena.h"
#include "lib/doctor/doctor.h"
#include "role/messages.h"

#define ARENA_MAX (4u << 20)
#define FINDINGS_SENT_MAX 500
#define FINDINGS_BYTES_MAX (BUS_FRAME_MAX / 2) /* of one frame */
#define TEXT_MAX 500
#define PUBLISH_MAX 1000

struct asked {
    struct outbound_doctor *owner;
    size_t number;
    struct dns_ask *ask;
};

struct outbound_doctor {
    struct dns_resolver *dns;
    struct bus *bus;
    struct arena *arena; /* the subject's texts */
    struct buf frame;    /* the check: the arena's lists point into it */
    struct doctor_subject subject;
    struct doctor *doctor; /* NULL: nothing is examined now */
    uint64_t run;
    struct asked asked[DOCTOR_QUESTIONS_MAX];
};

struct outbound_doctor *outbound_doctor_create(struct dns_resolver *dns)
{
    struct outbound_doctor *d = mem_alloc(sizeof *d);

    d->dns = dns;
    d->arena = arena_create(ARENA_MAX);
    buf_init(&d->frame, BUS_FRAME_MAX);
    return d;
}

void outbound_doctor_stop(struct outbound_doctor *d)
{
    for (size_t i = 0; d != NULL && i < COUNT(d->asked); i++)
        dns_cancel(&d->asked[i].ask);
    if (d != NULL)
        doctor_destroy(&d->doctor);
}

void outbound_doctor_destroy(struct outbound_doctor **d)
{
    if (*d == NULL)
        return;
    outbound_doctor_stop(*d);
    arena_destroy(&(*d)->arena);
    buf_finish(&(*d)->frame);
    free(*d);
    *d = NULL;
}

/* --- out --- */

static size_t bytes_of(const struct msg_doctor_finding *f)
{
    return f->area.n + f->rule.n + f->name.n + f->detail.n + f->text.n + f->publish.n;
}

static void send_findings(struct outbound_doctor *d)
{
    struct msg_doctor_finding *list = mem_alloc(FINDINGS_SENT_MAX * sizeof *list);
    struct msg_doctor_found m = {.run = d->run, .findings = list};
    size_t bytes = 0;

    for (const struct doctor_finding *f = doctor_findings(d->doctor);
         f != NULL && m.findings_n < FINDINGS_SENT_MAX && bytes < FINDINGS_BYTES_MAX; f = f->next) {
        list[m.findings_n] = (struct msg_doctor_finding){
            .severity = (uint8_t)f->severity,
            .temporary = f->temporary,
            .area = slice_sub(f->area, 0, TEXT_MAX),
            .rule = slice_of(f->rule),
            .name = slice_sub(f->name, 0, TEXT_MAX),
            .detail = slice_sub(f->detail, 0, TEXT_MAX),
            .text = slice_sub(f->text, 0, TEXT_MAX),
            /* Half a record is worse than none: `waybill doctor` shows the whole. */
            .publish = f->publish.n <= PUBLISH_MAX ? f->publish : (struct slice){0},
        };
        bytes += bytes_of(&list[m.findings_n]);
        m.findings_n++;
    }
    msg_doctor_found_encode(&m, bus_begin(d->bus, MSG_DOCTOR_FOUND));
    bus_end(d->bus);
    free(list);
}

/* --- DNS --- */

static void go_on(struct outbound_doctor *d);

static void on_answer(void *ctx, const struct dns_answer *answer)
{
    struct asked *a = ctx;

    a->ask = NULL;
    doctor_answer(a->owner->doctor, a->number, answer);
    go_on(a->owner);
}

static void go_on(struct outbound_doctor *d)
{
    struct dns_question q;
    size_t n;

    if (doctor_step(d->doctor) == STEP_DONE) {
        send_findings(d);
        doctor_destroy(&d->doctor);
        return;
    }
    while (doctor_question(d->doctor, &q, &n)) {
        d->asked[n] = (struct asked){.owner = d, .number = n};
        d->asked[n].ask = dns_ask(d->dns, &q, on_answer, &d->asked[n]);
    }
}

/* --- in --- */

static bool read_subject(struct outbound_doctor *d, const struct msg_doctor_check *m)
{
    struct doctor_subject *s = &d->subject;
    bool fits = true;

    *s = (struct doctor_subject){.parts = m->parts,
                                 .domain = m->domain,
                                 .return_path = m->return_path,
                                 .hostname = m->hostname,
                                 .smart_host = m->smart_host};
    for (size_t i = 0; i < m->addresses_n; i++) {
        const struct msg_doctor_source *from = &m->addresses[i];
        struct doctor_address a = {.origin = (enum doctor_origin)from->origin, /* sent as one */
                                   .domain = from->domain,
                                   .via = from->via,
                                   .first_ms = from->first_ms,
                                   .last_ms = from->last_ms,
                                   .messages = from->messages};

        fits = fits && ip_address_parse(from->address, &a.ip) && doctor_add_address(s, &a);
    }
    for (size_t i = 0; i < m->signers_n && i < DOCTOR_SIGNERS_MAX; i++)
        s->signers[s->signer_count++] = (struct doctor_signer){
            m->signers[i].domain, m->signers[i].selector, m->signers[i].record};
    for (size_t i = 0; i < m->receivers_n; i++)
        fits = fits && doctor_add_receiver(s, m->receivers[i].name);
    return fits;
}

void outbound_doctor_check(struct outbound_doctor *d, struct slice payload, struct bus *bus)
{
    struct msg_doctor_check m;

    outbound_doctor_stop(d);
    arena_reset(d->arena);
    buf_clear(&d->frame);
    buf_append(&d->frame, payload);
    if (!msg_doctor_check_decode(buf_slice(&d->frame), d->arena, &m) || !read_subject(d, &m))
        return; /* the queue's patience ends */
    d->bus = bus;
    d->run = m.run;
    d->doctor = doctor_create(&d->subject);
    go_on(d);
}
