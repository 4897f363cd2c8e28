/* libwaybill's face of lib/verdict. */
#include <waybill/verify.h>

#include "base/arena.h"
#include "lib/dnsmsg/message.h"
#include "lib/dnsmsg/name.h"
#include "lib/verdict/verdict.h"
#include "lib/waybill/share_in.h"

#define ANSWERS_MAX_BYTES ((size_t)4 << 20) /* of one answer */
#define FIELDS_MAX_BYTES ((size_t)1 << 20)
#define NAME_MAX_BYTES 2048

/* A question that was handed out; its name is kept until the answer. */
struct asked {
    struct asked *next;
    uint64_t id;
    struct dns_question question;
    char *name; /* in master-file form */
};

struct waybill_verifier {
    struct verdict *verdict;
    struct asked *asked;
    struct arena *answers; /* one answer at a time */
    char *receiver_text;
    bool is_begun, is_finished; /* a message was begun; its body ended */
    bool is_ready;              /* `result` is filled in */
    struct waybill_verify_result result;
    struct waybill_spf_result spf;
    struct waybill_dkim_result *dkim;
    const struct waybill_dkim_result **dkim_pointers;
    struct buf results_field, received_spf_field;
};

const char *waybill_version(void)
{
    return WAYBILL_VERSION;
}

const char *waybill_result_name(enum waybill_result result)
{
    switch (result) {
    case WAYBILL_NONE:
        return "none";
    case WAYBILL_PASS:
        return "pass";
    case WAYBILL_FAIL:
        return "fail";
    case WAYBILL_SOFTFAIL:
        return "softfail";
    case WAYBILL_NEUTRAL:
        return "neutral";
    case WAYBILL_TEMPERROR:
        return "temperror";
    case WAYBILL_PERMERROR:
        return "permerror";
    }
    return "none";
}

struct waybill_verifier *waybill_verifier_create(void)
{
    struct waybill_verifier *v = mem_alloc(sizeof *v);

    v->verdict = verdict_create(NULL);
    v->answers = arena_create(ANSWERS_MAX_BYTES);
    buf_init(&v->results_field, FIELDS_MAX_BYTES);
    buf_init(&v->received_spf_field, FIELDS_MAX_BYTES);
    return v;
}

static void forget_questions(struct waybill_verifier *v)
{
    while (v->asked) {
        struct asked *a = v->asked;

        v->asked = a->next;
        free(a->name);
        free(a);
    }
}

void waybill_verifier_destroy(struct waybill_verifier **v)
{
    if (!v || !*v)
        return;
    forget_questions(*v);
    verdict_destroy(&(*v)->verdict);
    arena_destroy(&(*v)->answers);
    free((*v)->receiver_text);
    free((*v)->dkim);
    free((*v)->dkim_pointers);
    buf_finish(&(*v)->results_field);
    buf_finish(&(*v)->received_spf_field);
    free(*v);
    *v = NULL;
}

/* A caller that was compiled with an older header has a shorter request. */
static struct waybill_verify_request whole_request(const struct waybill_verify_request *request)
{
    struct waybill_verify_request whole = {0};
    size_t size = request->struct_size;

    memcpy(&whole, request, size > 0 && size < sizeof whole ? size : sizeof whole);
    return whole;
}

int waybill_verifier_begin(struct waybill_verifier *v, const struct waybill_verify_request *given,
                           const char *header, size_t size, struct waybill_error *error)
{
    const struct waybill_verify_request whole = whole_request(given), *request = &whole;
    struct verdict_request r = {.helo = slice_of(request->helo),
                                .mail_from = slice_of(request->mail_from),
                                .receiver = slice_of(request->receiver),
                                .unix_s = request->unix_time};
    struct err e;

    forget_questions(v);
    v->is_ready = v->is_begun = v->is_finished = false;
    if (request->client_ip && request->client_ip[0] &&
        !ip_address_parse(slice_of(request->client_ip), &r.client))
        return waybill_fail(error, "the client's address is neither IPv4 nor IPv6");
    free(v->receiver_text);
    v->receiver_text = mem_string(request->receiver ? request->receiver : "");
    if (verdict_begin(v->verdict, &r, (struct slice){header, size}, &e))
        return waybill_fail(error, e.text);
    v->is_begun = true;
    return 0;
}

void waybill_verifier_body(struct waybill_verifier *v, const char *bytes, size_t size)
{
    if (v->is_begun && !v->is_finished)
        verdict_body(v->verdict, (struct slice){bytes, size});
}

void waybill_verifier_finish(struct waybill_verifier *v)
{
    if (v->is_begun && !v->is_finished)
        verdict_finish(v->verdict);
    v->is_finished = true;
}

/* --- questions and answers --- */

bool waybill_verifier_question(struct waybill_verifier *v,
                               struct waybill_dns_question *question_out)
{
    struct dns_question q;
    struct buf name;
    uint64_t id;

    if (!v->is_begun || !verdict_question(v->verdict, &id, &q))
        return false;
    struct asked *a = mem_alloc(sizeof *a);
    buf_init(&name, NAME_MAX_BYTES);
    dns_name_escape(q.name, &name);
    buf_append_char(&name, '\0');
    *a = (struct asked){v->asked, id, q, mem_string(name.full ? "" : name.p)};
    buf_finish(&name);
    v->asked = a;
    /* Both enums have DNS's own numbers. */
    *question_out = (struct waybill_dns_question){id, a->name, (enum waybill_dns_type)q.type};
    return true;
}

/* Takes the question off the list; NULL for an id that was never handed out, or twice. */
static struct asked *take_asked(struct waybill_verifier *v, uint64_t id)
{
    for (struct asked **at = &v->asked; *at; at = &(*at)->next)
        if ((*at)->id == id) {
            struct asked *a = *at;

            *at = a->next;
            return a;
        }
    return NULL;
}

static void give(struct waybill_verifier *v, struct asked *a, const struct dns_answer *answer)
{
    verdict_answer(v->verdict, a->id, answer);
    free(a->name);
    free(a);
    arena_reset(v->answers);
}

static bool read_record(const struct waybill_dns_record *r, enum dns_type type,
                        struct dns_record *out)
{
    struct slice data = {r->data, r->size};

    *out = (struct dns_record){.type = type, .preference = (uint16_t)r->preference};
    switch ((int)type) {
    case DNS_A:
    case DNS_AAAA:
        out->address.family = type == DNS_A ? IP_V4 : IP_V6;
        if (data.n != (type == DNS_A ? 4 : 16))
            return false;
        memcpy(out->address.bytes, data.p, data.n);
        return true;
    case DNS_TXT:
        out->text = data;
        out->strings = &out->text;
        out->string_count = 1;
        return true;
    case DNS_PTR:
    case DNS_MX:
        out->name = dns_name_trim(data);
        return true;
    default:
        out->data = data;
        return true;
    }
}

static enum dns_status status_of(enum waybill_dns_status status)
{
    switch (status) {
    case WAYBILL_DNS_OK:
        return DNS_OK;
    case WAYBILL_DNS_NODATA:
        return DNS_NODATA;
    case WAYBILL_DNS_NXDOMAIN:
        return DNS_NXDOMAIN;
    case WAYBILL_DNS_SERVFAIL:
        return DNS_SERVFAIL;
    case WAYBILL_DNS_TIMEOUT:
        return DNS_TIMEOUT;
    }
    return DNS_SERVFAIL;
}

void waybill_verifier_answer(struct waybill_verifier *v, uint64_t id,
                             const struct waybill_dns_answer *answer)
{
    struct dns_answer a = {.status = status_of(answer->status)};
    struct dns_record *records;
    struct asked *asked = take_asked(v, id);

    if (!asked)
        return;
    a.canonical = asked->question.name;
    if (a.status == DNS_OK) {
        records = arena_array(v->answers, answer->count, sizeof *records);
        for (size_t i = 0; records && i < answer->count; i++)
            if (read_record(&answer->records[i], asked->question.type, &records[a.count]))
                a.count++;
        a.records = records;
        if (!records)
            a.status = DNS_SERVFAIL; /* more than anybody needs */
        else if (a.count == 0)
            a.status = DNS_NODATA;
    }
    give(v, asked, &a);
}

int waybill_verifier_answer_wire(struct waybill_verifier *v, uint64_t id, const void *response,
                                 size_t size, struct waybill_error *error)
{
    struct asked *asked = take_asked(v, id);
    struct dns_answer answer;
    struct err e;
    bool unfinished = false;
    int result = 0;

    if (!asked)
        return waybill_fail(error, "there is no such question");
    if (dns_message_read((struct slice){response, size}, asked->question, v->answers, &answer,
                         &unfinished, &e)) {
        answer = (struct dns_answer){.status = DNS_SERVFAIL};
        result = waybill_fail(error, e.text);
    }
    give(v, asked, &answer);
    return result;
}

/* --- the result --- */

static enum waybill_result spf_result(enum spf_result r)
{
    switch (r) {
    case SPF_NONE:
        return WAYBILL_NONE;
    case SPF_NEUTRAL:
        return WAYBILL_NEUTRAL;
    case SPF_PASS:
        return WAYBILL_PASS;
    case SPF_FAIL:
        return WAYBILL_FAIL;
    case SPF_SOFTFAIL:
        return WAYBILL_SOFTFAIL;
    case SPF_TEMPERROR:
        return WAYBILL_TEMPERROR;
    case SPF_PERMERROR:
        return WAYBILL_PERMERROR;
    }
    return WAYBILL_NONE;
}

static enum waybill_result dkim_result(enum dkim_result r)
{
    switch (r) {
    case DKIM_PASS:
        return WAYBILL_PASS;
    case DKIM_FAIL:
        return WAYBILL_FAIL;
    case DKIM_TEMPERROR:
        return WAYBILL_TEMPERROR;
    case DKIM_PERMERROR:
        return WAYBILL_PERMERROR;
    }
    return WAYBILL_NONE;
}

static enum waybill_result dmarc_result(enum dmarc_result r)
{
    switch (r) {
    case DMARC_NONE:
        return WAYBILL_NONE;
    case DMARC_PASS:
        return WAYBILL_PASS;
    case DMARC_FAIL:
        return WAYBILL_FAIL;
    case DMARC_TEMPERROR:
        return WAYBILL_TEMPERROR;
    case DMARC_PERMERROR:
        return WAYBILL_PERMERROR;
    }
    return WAYBILL_NONE;
}

static enum waybill_result arc_result(const char *name)
{
    return strcmp(name, "pass") == 0   ? WAYBILL_PASS
           : strcmp(name, "fail") == 0 ? WAYBILL_FAIL
                                       : WAYBILL_NONE;
}

static enum waybill_disposition disposition(enum dmarc_policy p)
{
    switch (p) {
    case DMARC_POLICY_NONE:
        return WAYBILL_ACCEPT;
    case DMARC_POLICY_QUARANTINE:
        return WAYBILL_QUARANTINE;
    case DMARC_POLICY_REJECT:
        return WAYBILL_REJECT;
    }
    return WAYBILL_ACCEPT;
}

static void fill_dkim(struct waybill_verifier *v)
{
    size_t count = verdict_dkim_count(v->verdict);

    free(v->dkim);
    free(v->dkim_pointers);
    v->dkim = mem_alloc((count + 1) * sizeof *v->dkim); /* few: DKIM_SIGNATURES_MAX */
    v->dkim_pointers = mem_alloc((count + 1) * sizeof *v->dkim_pointers);
    for (size_t i = 0; i < count; i++) {
        const struct dkim_verdict *d = verdict_dkim(v->verdict, i);

        v->dkim[i] = (struct waybill_dkim_result){.result = dkim_result(d->result),
                                                  .domain = waybill_text_of(d->domain),
                                                  .selector = waybill_text_of(d->selector),
                                                  .algorithm = waybill_text_of(d->algorithm),
                                                  .reason = waybill_text_of(slice_of(d->reason)),
                                                  .identity = waybill_text_of(d->identity),
                                                  .key_bits = d->key_bits,
                                                  .is_testing = d->testing,
                                                  .is_body_partly = d->has_limit};
        v->dkim_pointers[i] = &v->dkim[i];
    }
    v->result.dkim = v->dkim_pointers;
    v->result.dkim_count = count;
}

static void fill_result(struct waybill_verifier *v)
{
    const struct spf_outcome *spf = verdict_spf(v->verdict);
    const struct verdict_arc *arc = verdict_arc(v->verdict);
    const struct dmarc_outcome *dmarc = verdict_dmarc(v->verdict);

    v->spf = (struct waybill_spf_result){.result = spf_result(spf->result),
                                         .domain = waybill_text_of(spf->domain),
                                         .mechanism = waybill_text_of(spf->mechanism),
                                         .reason = waybill_text_of(spf->reason),
                                         .explanation = waybill_text_of(spf->explanation),
                                         .lookups = spf->lookups,
                                         .void_lookups = spf->void_lookups,
                                         .is_helo = strcmp(spf->identity, "helo") == 0};
    v->result = (struct waybill_verify_result){
        .spf = &v->spf,
        .arc = arc_result(arc->result),
        .arc_instances = arc->instances,
        .dmarc = dmarc_result(dmarc->result),
        .author = waybill_text_of(verdict_author(v->verdict)),
        .organization = waybill_text_of(dmarc->organizational_domain),
        .dmarc_reason = waybill_text_of(dmarc->reason),
        .policy = disposition(dmarc->policy),
        .disposition = disposition(dmarc->disposition),
        .policy_domain = waybill_text_of(dmarc->policy_domain),
        .spf_aligned = dmarc->spf_aligned,
        .dkim_aligned = dmarc->dkim_aligned,
        .arc_reason = waybill_text_of(slice_of(arc->reason)),
        .arc_sealer = waybill_text_of(arc->sealer),
    };
    fill_dkim(v);
    buf_clear(&v->results_field);
    buf_clear(&v->received_spf_field);
    verdict_results_field(v->verdict,
                          v->receiver_text[0] ? slice_of(v->receiver_text) : SLICE("localhost"),
                          &v->results_field);
    verdict_received_spf(v->verdict, &v->received_spf_field);
    v->result.results_field = waybill_text_of(buf_slice(&v->results_field));
    v->result.received_spf_field = waybill_text_of(buf_slice(&v->received_spf_field));
}

const struct waybill_verify_result *waybill_verifier_result(struct waybill_verifier *v)
{
    if (!v->is_begun || verdict_step(v->verdict) != STEP_DONE)
        return NULL;
    if (!v->is_ready)
        fill_result(v);
    v->is_ready = true;
    return &v->result;
}
