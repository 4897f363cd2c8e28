#include "lib/verdict/verdict.h"

#include <stdlib.h>
#include <string.h>

#include "lib/addr/mailbox.h"
#include "lib/authres/authres.h"
#ifdef WAYBILL_ARC
#include "lib/dkim/arc.h"
#endif
#include "lib/text/idna.h"

#define ARENA_MAX_BYTES ((size_t)16 << 20)
#define AUTHOR_MAX_BYTES 1024 /* of a name while it is converted */
#define AUTHORS_MAX 100

enum source { SOURCE_SPF, SOURCE_DKIM, SOURCE_ARC, SOURCE_DMARC };
#define SOURCE_SHIFT 32

enum dmarc_state { DMARC_NOT_YET, DMARC_ASKING, DMARC_FINISHED };

struct verdict {
    struct arena *arena;
    struct spf_request client;
    struct spf *spf;
    enum step spf_step;
    bool spf_asked; /* its question was handed out */
    struct dkim_verifier *dkim;
#ifdef WAYBILL_ARC
    struct arc_verifier *arc_verifier;
#endif
    struct verdict_arc arc;
    struct dmarc *dmarc;
    enum dmarc_state dmarc_state;
    bool dmarc_asked;
    struct slice author;
    const char *no_author; /* why it is empty */
};

struct verdict *verdict_create(const struct verdict_options *options)
{
    struct verdict *v = mem_alloc(sizeof *v);
    struct dkim_verify_options dkim = {0};

    if (options)
        dkim = (struct dkim_verify_options){.allow_sha1 = options->allow_sha1,
                                            .min_rsa_bits = options->min_rsa_bits,
                                            .keys = options->keys};
    v->arena = arena_create(ARENA_MAX_BYTES);
    v->spf = spf_create();
    v->dkim = dkim_verifier_create(&dkim);
    v->dmarc = dmarc_create();
#ifdef WAYBILL_ARC
    v->arc_verifier = arc_verifier_create(&dkim);
#endif
    return v;
}

void verdict_destroy(struct verdict **v)
{
    if (!*v)
        return;
    spf_destroy(&(*v)->spf);
    dkim_verifier_destroy(&(*v)->dkim);
    dmarc_destroy(&(*v)->dmarc);
#ifdef WAYBILL_ARC
    arc_verifier_destroy(&(*v)->arc_verifier);
#endif
    arena_destroy(&(*v)->arena);
    free(*v);
    *v = NULL;
}

/* --- the beginning --- */

static struct slice keep(struct verdict *v, struct slice s)
{
    return arena_copy(v->arena, slice_sub(s, 0, VERDICT_NAME_MAX_BYTES + 1));
}

/* In A-labels; empty for what is no domain name. */
static struct slice to_ascii(struct verdict *v, struct slice domain)
{
    struct slice result = {0};
    struct buf ascii;
    struct err e;

    buf_init(&ascii, AUTHOR_MAX_BYTES);
    if (idna_to_ascii(domain, &ascii, &e) == 0)
        result = arena_copy(v->arena, buf_slice(&ascii));
    buf_finish(&ascii);
    return result;
}

/* A From field that only some readers see: behind a line that is no field, where we end the header
 * and others go on. */
static bool has_hidden_from(struct slice rest)
{
    while (rest.n > 0) {
        struct slice line = slice_line(&rest);

        if (slice_starts_nocase(line, SLICE("From")) &&
            slice_starts(slice_trim_start(slice_from(line, 4)), SLICE(":")))
            return true;
    }
    return false;
}

/* The one domain in a From field; empty, and why, if it is not one. */
static struct slice one_domain(struct verdict *v, struct slice value)
{
    struct mailbox_list list;
    struct slice author = {0};
    struct err e;

    v->no_author = "the From field cannot be read";
    if (mailbox_list_parse(value, AUTHORS_MAX, v->arena, &list, &e) || list.broken > 0)
        return author;
    v->no_author = "the From field holds no address";
    for (size_t i = 0; i < list.count; i++) {
        struct slice domain = to_ascii(v, list.items[i].domain);

        v->no_author = "the author's address has no domain name";
        if (domain.n == 0)
            return domain;
        v->no_author = "the authors are of different domains (RFC 9989 5.3.1)";
        if (i > 0 && !slice_eq(domain, author))
            return (struct slice){0};
        author = domain;
    }
    return author;
}

/* RFC 9989 5.3.1: one From field, and one domain in it, or there is nothing to check. */
static void find_author(struct verdict *v, const struct header *header, struct slice block)
{
    size_t count = header_count(header, "From");
    size_t parsed = (size_t)(header->block.p - block.p) + header->block.n; /* inside `block` */

    v->author = (struct slice){0};
    if (count == 0)
        v->no_author = "there is no From field";
    else if (count > 1 || has_hidden_from(slice_from(block, parsed)))
        v->no_author = "there is more than one From field";
    else
        v->author = one_domain(v, header_first(header, "From")->value);
}

static void begin_spf(struct verdict *v)
{
    /* An evaluator that is started without a client answers "none", and asks nothing. */
    struct spf_request request = v->client;

    v->spf_asked = false;
    if (request.client.family == IP_NONE || (request.helo.n == 0 && request.mail_from.n == 0))
        request = (struct spf_request){.unix_s = request.unix_s};
    v->spf_step = spf_start(v->spf, &request);
}

int verdict_begin(struct verdict *v, const struct verdict_request *request, struct slice header,
                  struct err *e)
{
    struct header fields;

    arena_reset(v->arena);
    v->dmarc_state = DMARC_NOT_YET;
    v->dmarc_asked = false;
    v->arc = (struct verdict_arc){.result = "none", .reason = "ARC is not built in"};
    v->client = (struct spf_request){.client = request->client,
                                     .helo = keep(v, request->helo),
                                     .mail_from = keep(v, request->mail_from),
                                     .receiver = keep(v, request->receiver),
                                     .unix_s = request->unix_s};
    if (header_parse(header, NULL, v->arena, &fields, e))
        return -1;
    find_author(v, &fields, header);
    dkim_verifier_set_now(v->dkim, request->unix_s);
    if (dkim_verifier_begin(v->dkim, header, e))
        return -1;
#ifdef WAYBILL_ARC
    arc_verifier_set_now(v->arc_verifier, request->unix_s);
    if (arc_verifier_begin(v->arc_verifier, header, e))
        return -1;
#endif
    begin_spf(v);
    return 0;
}

void verdict_body(struct verdict *v, struct slice bytes)
{
    dkim_verifier_body(v->dkim, bytes);
#ifdef WAYBILL_ARC
    arc_verifier_body(v->arc_verifier, bytes);
#endif
}

void verdict_finish(struct verdict *v)
{
    dkim_verifier_finish(v->dkim);
#ifdef WAYBILL_ARC
    arc_verifier_finish(v->arc_verifier);
#endif
}

/* --- DNS --- */

static uint64_t make_id(enum source source, size_t inner)
{
    return (uint64_t)source << SOURCE_SHIFT | (uint32_t)inner;
}

bool verdict_question(struct verdict *v, uint64_t *id_out, struct dns_question *question_out)
{
    size_t inner;

    if (v->spf_step == STEP_WAIT && !v->spf_asked) {
        v->spf_asked = true;
        *question_out = spf_question(v->spf);
        *id_out = make_id(SOURCE_SPF, 0);
        return true;
    }
    if (dkim_verifier_question(v->dkim, &inner, question_out)) {
        *id_out = make_id(SOURCE_DKIM, inner);
        return true;
    }
#ifdef WAYBILL_ARC
    if (arc_verifier_question(v->arc_verifier, &inner, question_out)) {
        *id_out = make_id(SOURCE_ARC, inner);
        return true;
    }
#endif
    if (verdict_step(v) == STEP_WAIT && v->dmarc_state == DMARC_ASKING && !v->dmarc_asked) {
        v->dmarc_asked = true;
        *question_out = dmarc_question(v->dmarc);
        *id_out = make_id(SOURCE_DMARC, 0);
        return true;
    }
    return false;
}

void verdict_answer(struct verdict *v, uint64_t id, const struct dns_answer *answer)
{
    size_t inner = (uint32_t)id;

    switch ((enum source)(id >> SOURCE_SHIFT)) {
    case SOURCE_SPF:
        v->spf_asked = false;
        v->spf_step = spf_answer(v->spf, answer);
        return;
    case SOURCE_DKIM:
        dkim_verifier_answer(v->dkim, inner, answer);
        return;
    case SOURCE_ARC:
#ifdef WAYBILL_ARC
        arc_verifier_answer(v->arc_verifier, inner, answer);
#endif
        return;
    case SOURCE_DMARC:
        v->dmarc_asked = false;
        if (dmarc_answer(v->dmarc, answer) == STEP_DONE)
            v->dmarc_state = DMARC_FINISHED;
        return;
    }
}

/* --- DMARC, when the others are done --- */

static enum step begin_dmarc(struct verdict *v)
{
    const struct spf_outcome *spf = spf_outcome(v->spf);
    struct slice passed[DKIM_SIGNATURES_MAX], open[DKIM_SIGNATURES_MAX];
    struct dmarc_request request = {.author_domain = v->author,
                                    .dkim = passed,
                                    .spf = &spf->domain,
                                    .spf_count = spf->result == SPF_PASS,
                                    .dkim_open = open,
                                    .spf_open = &spf->domain,
                                    .spf_open_count = spf->result == SPF_TEMPERROR,
                                    .no_author = v->no_author};

    for (size_t i = 0; i < verdict_dkim_count(v) && i < DKIM_SIGNATURES_MAX; i++) {
        const struct dkim_verdict *d = verdict_dkim(v, i);
        struct slice domain = to_ascii(v, d->domain); /* RFC 8616 6 */

        if (d->result == DKIM_PASS)
            passed[request.dkim_count++] = domain;
        else if (d->result == DKIM_TEMPERROR)
            open[request.dkim_open_count++] = domain;
    }
    return dmarc_start(v->dmarc, &request);
}

static enum step finish_arc(struct verdict *v)
{
#ifdef WAYBILL_ARC
    if (arc_verifier_step(v->arc_verifier) != STEP_DONE)
        return STEP_WAIT;
    const struct arc_verdict *d = arc_verifier_verdict(v->arc_verifier);
    v->arc = (struct verdict_arc){.result = arc_result_name(d->result),
                                  .reason = d->reason,
                                  .instances = d->instances,
                                  .closed = d->broken_before,
                                  .temporary = d->temporary,
                                  .sealer = d->sealer};
#else
    (void)v;
#endif
    return STEP_DONE;
}

enum step verdict_step(struct verdict *v)
{
    enum step arc = finish_arc(v);

    if (v->spf_step != STEP_DONE || dkim_verifier_step(v->dkim) != STEP_DONE)
        return STEP_WAIT;
    if (v->dmarc_state == DMARC_NOT_YET)
        v->dmarc_state = begin_dmarc(v) == STEP_DONE ? DMARC_FINISHED : DMARC_ASKING;
    return arc == STEP_DONE && v->dmarc_state == DMARC_FINISHED ? STEP_DONE : STEP_WAIT;
}

const struct spf_outcome *verdict_spf(const struct verdict *v)
{
    return spf_outcome(v->spf);
}
size_t verdict_dkim_count(const struct verdict *v)
{
    return dkim_verifier_count(v->dkim);
}
const struct dkim_verdict *verdict_dkim(const struct verdict *v, size_t i)
{
    return dkim_verifier_verdict(v->dkim, i);
}
const struct verdict_arc *verdict_arc(const struct verdict *v)
{
    return &v->arc;
}
const struct dmarc_outcome *verdict_dmarc(const struct verdict *v)
{
    return dmarc_outcome(v->dmarc);
}
struct slice verdict_author(const struct verdict *v)
{
    return v->author;
}

/* --- the fields that a receiver writes --- */

struct results {
    struct arena *arena;
    struct authres field;
    struct authres_result **last;
};

/* NULL at the arena's ceiling; the result is then left out. */
static struct authres_result *add_result(struct results *r, const char *method, const char *result,
                                         const char *comment)
{
    struct authres_result *one = arena_alloc(r->arena, sizeof *one);

    if (!one)
        return NULL;
    *one = (struct authres_result){.method = slice_of(method),
                                   .version = 1,
                                   .result = slice_of(result),
                                   .comment = slice_of(comment)};
    *r->last = one;
    r->last = &one->next;
    return one;
}

static void add_property(struct results *r, struct authres_result *result, const char *type,
                         const char *name, struct slice value)
{
    if (!result || value.n == 0)
        return;
    struct authres_property **last = &result->properties, *p = arena_alloc(r->arena, sizeof *p);
    while (*last)
        last = &(*last)->next;
    if (!p)
        return;
    *p = (struct authres_property){NULL, slice_of(type), slice_of(name), value};
    *last = p;
}

static void add_spf(const struct verdict *v, struct results *r)
{
    const struct spf_outcome *spf = spf_outcome(v->spf);
    bool is_helo = v->client.mail_from.n == 0;
    struct authres_result *one = add_result(r, "spf", spf_result_text(spf->result), NULL);

    add_property(r, one, "smtp", is_helo ? "helo" : "mailfrom",
                 is_helo ? v->client.helo : v->client.mail_from);
}

static void add_dkim(const struct verdict *v, struct results *r)
{
    for (size_t i = 0; i < verdict_dkim_count(v); i++) {
        const struct dkim_verdict *d = verdict_dkim(v, i);
        const char *comment = d->result == DKIM_PASS ? NULL : d->reason;
        struct authres_result *one = add_result(r, "dkim", dkim_result_name(d->result), comment);

        add_property(r, one, "header", "d", d->domain);
        add_property(r, one, "header", "s", d->selector);
        add_property(r, one, "header", "a", d->algorithm);
    }
    if (verdict_dkim_count(v) == 0)
        (void)add_result(r, "dkim", "none", NULL);
}

static void add_dmarc(const struct verdict *v, struct results *r)
{
    const struct dmarc_outcome *d = dmarc_outcome(v->dmarc);
    struct authres_result *one = add_result(r, "dmarc", dmarc_result_text(d->result), NULL);

    add_property(r, one, "header", "from", v->author);
    if (d->policy_domain.n > 0)
        add_property(r, one, "policy", "dmarc", slice_of(dmarc_policy_text(d->policy)));
}

void verdict_results_field(struct verdict *v, struct slice authserv_id, struct buf *out)
{
    struct results r = {.arena = v->arena, .field = {.authserv_id = authserv_id, .version = 1}};

    r.last = &r.field.results;
    add_spf(v, &r);
    add_dkim(v, &r);
    add_dmarc(v, &r);
    if (v->arc.instances > 0)
        (void)add_result(&r, "arc", v->arc.result, NULL);
    authres_write(&r.field, "Authentication-Results", 0, out);
}

void verdict_received_spf(const struct verdict *v, struct buf *out)
{
    if (v->client.client.family != IP_NONE)
        spf_received_field(spf_outcome(v->spf), &v->client, out);
}
