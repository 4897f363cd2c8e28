#include "lib/spf/eval.h"

#include <assert.h>

#include "base/arena.h"
#include "base/ascii.h"
#include "base/utf8.h"
#include "lib/dnsmsg/name.h"
#include "lib/spf/macro.h"
#include "lib/text/idna.h"
#include "lib/text/quoted_string.h"

#define MEMORY_MAX ((size_t)8 << 20) /* of one evaluation */
#define FRAMES_MAX (SPF_LOOKUPS_MAX + 2)
#define EXPANDED_MAX 65536
#define EXPLANATION_MAX 2048
#define RECEIVED_VALUE_MAX 512 /* octets of a value; a line has 998 at most */

enum state {
    RECORD,      /* waits for the TXT records of a domain */
    TERM,        /* takes the next term */
    TARGET,      /* the term's name is expanded, then looked up */
    ADDRESS,     /* waits for the addresses of a */
    MX,          /* waits for the hosts of mx */
    MX_ADDRESS,  /* waits for the addresses of one of them */
    EXISTS,      /* waits for the A records of exists */
    PTR,         /* waits for the names of the client */
    PTR_ADDRESS, /* waits for the addresses of one of them */
    EXPLAIN,     /* a fail: is there an explanation? */
    EXPLANATION, /* waits for the TXT record of exp */
    EXPLAIN_END, /* its text is expanded */
    DONE,
};

/* One record under evaluation; an include puts another one on top. */
struct frame {
    struct slice domain;
    struct spf_record record;
    struct slice rest;    /* terms that are still to come */
    struct spf_term term; /* the one of now; of a frame below: the include */
};

struct spf {
    struct arena *arena;
    enum state state;
    struct frame frames[FRAMES_MAX];
    unsigned depth; /* index of the frame of now */
    struct spf_macro_values values;
    bool trace;
    struct dns_question question;
    const struct dns_answer *answer; /* only inside spf_answer() */
    struct buf expanded;             /* the target, or the explanation */
    struct slice target;

    struct slice names[SPF_NAMES_MAX]; /* hosts of an mx; names of the client */
    size_t name_count, name_at;
    struct slice validated[SPF_NAMES_MAX]; /* names of the client that lead back to it */
    size_t validated_count;
    bool ptr_known, ptr_is_void; /* the client has no names at all */
    enum state after_ptr;        /* TARGET or EXPLAIN or EXPLAIN_END */
    struct slice explanation;

    struct spf_visit *visits, **last_visit;
    struct spf_visit *newest[FRAMES_MAX]; /* term looked at, by depth */
    struct spf_outcome outcome;
};

typedef enum step state_function(struct spf *s);

struct spf *spf_create(void)
{
    struct spf *s = mem_alloc(sizeof *s);

    s->arena = arena_create(MEMORY_MAX);
    buf_init(&s->expanded, EXPANDED_MAX);
    s->state = DONE;
    return s;
}

void spf_destroy(struct spf **s)
{
    if (!*s)
        return;
    arena_destroy(&(*s)->arena);
    buf_finish(&(*s)->expanded);
    free(*s);
    *s = NULL;
}

/* --- small things --- */

static struct frame *top(struct spf *s)
{
    return &s->frames[s->depth];
}

static enum step ask(struct spf *s, struct slice name, enum dns_type type, enum state state)
{
    s->question = (struct dns_question){name, type};
    s->state = state;
    return STEP_WAIT;
}

static enum dns_type address_type(const struct spf *s)
{
    return s->values.client.family == IP_V4 ? DNS_A : DNS_AAAA;
}

static void visit(struct spf *s, bool is_record, struct slice term)
{
    struct spf_visit *v = s->trace ? arena_alloc(s->arena, sizeof *v) : NULL;

    if (!v)
        return;
    *v = (struct spf_visit){
        .depth = s->depth, .domain = top(s)->domain, .term = term, .is_record = is_record};
    *s->last_visit = v;
    s->last_visit = &v->next;
    if (!is_record)
        s->newest[s->depth] = v;
}

/* Says what came of the newest term at this depth, if that is not said yet. */
static void remark(struct spf *s, const char *text)
{
    struct spf_visit *newest = s->newest[s->depth];

    if (newest && newest->note.n == 0)
        newest->note = slice_of(text);
}

static enum step finish(struct spf *s, enum spf_result result)
{
    s->outcome.result = result;
    s->outcome.explanation = s->explanation;
    s->state = DONE;
    return STEP_DONE;
}

/* Ends everything, whatever frames there are: temperror and permerror go through includes. */
static enum step fail_with(struct spf *s, enum spf_result result, struct slice reason)
{
    s->outcome.reason = reason;
    s->outcome.mechanism = s->frames[0].term.text;
    return finish(s, result);
}

static enum step temperror(struct spf *s)
{
    char type[DNS_TYPE_TEXT_MAX];

    remark(s, "no answer");
    return fail_with(s, SPF_TEMPERROR,
                     arena_printf(s->arena, "no answer for %s of %.*s (%s)",
                                  dns_type_format(s->question.type, type),
                                  SLICE_ARG(s->question.name), dns_status_text(s->answer->status)));
}

/* --- results of a record --- */

/* The record at the top has a result: the whole one, or an include's. */
static enum step end_record(struct spf *s, enum spf_result result, struct slice mechanism)
{
    if (s->depth == 0) {
        s->outcome.mechanism = mechanism;
        s->outcome.result = result;
        if (result != SPF_FAIL)
            return finish(s, result);
        s->state = EXPLAIN;
        return STEP_NEXT;
    }
    s->depth--;
    /* RFC 7208 5.2: only a pass matches. */
    if (result == SPF_PASS) {
        remark(s, "the included record says pass: match");
        return end_record(s, top(s)->term.qualifier, top(s)->term.text);
    }
    remark(s, "the included record does not say pass: no match");
    s->state = TERM;
    return STEP_NEXT;
}

/* A domain without a record, where one was needed (RFC 7208 4.3, 5.2, 6.1). */
static enum step no_record(struct spf *s, const char *why)
{
    struct slice reason =
        arena_printf(s->arena, "%.*s %s", SLICE_ARG(slice_sub(top(s)->domain, 0, 300)), why);
    bool is_first = s->depth == 0 && top(s)->record.terms.p == NULL;

    return fail_with(s, is_first ? SPF_NONE : SPF_PERMERROR, reason);
}

/* Asks for the record of a domain, which the frame at the top is to evaluate. */
static enum step begin_record(struct spf *s, struct slice domain)
{
    top(s)->domain = domain;
    if (!dns_name_is_valid(domain) || dns_name_labels(domain) < 2 || domain.p[0] == '[' ||
        !utf8_is_ascii(domain))
        return no_record(s, "is not a domain name that can have a record");
    return ask(s, domain, DNS_TXT, RECORD);
}

static enum step match(struct spf *s)
{
    remark(s, "match");
    return end_record(s, top(s)->term.qualifier, top(s)->term.text);
}

static enum step no_match(struct spf *s, const char *note)
{
    remark(s, note);
    s->state = TERM;
    return STEP_NEXT;
}

/* --- records --- */

static enum step run_record(struct spf *s)
{
    const struct dns_answer *a = s->answer;
    struct frame *f = top(s);
    struct slice found = {0};
    struct err e;
    size_t count = 0;

    if (dns_status_is_failure(a->status))
        return temperror(s);
    for (size_t i = 0; i < a->count; i++)
        if (spf_record_is(a->records[i].text)) {
            found = a->records[i].text;
            count++;
        }
    if (count == 0)
        return no_record(s, a->status == DNS_NXDOMAIN ? "does not exist" : "has no SPF record");
    if (count > 1)
        return fail_with(s, SPF_PERMERROR,
                         arena_printf(s->arena, "%.*s has %zu SPF records; only one may be there",
                                      SLICE_ARG(f->domain), count));
    found = arena_copy(s->arena, found);
    if (!found.p)
        return fail_with(s, SPF_PERMERROR, SLICE("the records are too large"));
    visit(s, true, found);
    f->term = (struct spf_term){0};
    if (spf_record_parse(found, &f->record, &e))
        return fail_with(s, SPF_PERMERROR,
                         arena_printf(s->arena, "%.*s: %s", SLICE_ARG(f->domain), e.text));
    f->rest = f->record.terms;
    s->state = TERM;
    return STEP_NEXT;
}

static bool count_lookup(struct spf *s)
{
    return ++s->outcome.lookups <= SPF_LOOKUPS_MAX;
}

static enum step too_many_lookups(struct spf *s)
{
    remark(s, "one lookup too many");
    return fail_with(s, SPF_PERMERROR, SLICE("more than 10 terms that need DNS (RFC 7208 4.6.4)"));
}

static enum step run_term(struct spf *s)
{
    struct frame *f = top(s);

    do {
        if (!spf_record_next(&f->rest, &f->term)) {
            if (!f->record.has_redirect || f->record.has_all)
                return end_record(s, SPF_NEUTRAL, SLICE("default"));
            f->term = f->record.redirect;
        } else if (f->term.kind == SPF_REDIRECT) {
            continue;
        }
        visit(s, false, f->term.text);
        break;
    } while (true);
    switch (f->term.kind) {
    case SPF_ALL:
        return match(s);
    case SPF_IP4:
    case SPF_IP6:
        if (ip_address_in(&s->values.client, &f->term.network,
                          f->term.kind == SPF_IP4 ? f->term.bits4 : f->term.bits6))
            return match(s);
        return no_match(s, "no match");
    case SPF_EXP:
    case SPF_OTHER:
        return no_match(s, "a modifier");
    case SPF_INCLUDE:
    case SPF_A:
    case SPF_MX:
    case SPF_PTR:
    case SPF_EXISTS:
    case SPF_REDIRECT:
        break;
    }
    if (!count_lookup(s))
        return too_many_lookups(s);
    s->state = TARGET;
    return STEP_NEXT;
}

/* --- the client's own names --- */

static enum step ask_ptr(struct spf *s, enum state after)
{
    char name[IP_REVERSE_MAX];
    size_t n = ip_address_reverse(&s->values.client, name);

    s->after_ptr = after;
    return ask(s, arena_copy(s->arena, (struct slice){name, n}), DNS_PTR, PTR);
}

/* RFC 7208 7.3: the domain itself, else a name below it, else any. */
static void choose_validated(struct spf *s)
{
    struct slice domain = top(s)->domain;
    struct slice *chosen = &s->values.validated;
    bool below = false;

    *chosen = (struct slice){0};
    for (size_t i = 0; i < s->validated_count; i++) {
        struct slice name = s->validated[i];

        if (dns_name_equal(name, domain)) {
            *chosen = name;
            return;
        }
        if (chosen->n == 0 || (!below && dns_name_is_within(name, domain))) {
            *chosen = name;
            below = dns_name_is_within(name, domain);
        }
    }
}

static bool answer_is_void(const struct dns_answer *a)
{
    return a->status == DNS_NXDOMAIN || a->status == DNS_NODATA;
}

static bool count_void(struct spf *s)
{
    return ++s->outcome.void_lookups <= SPF_VOIDS_MAX;
}

static bool void_lookup(struct spf *s)
{
    return !answer_is_void(s->answer) || count_void(s);
}

static enum step too_many_voids(struct spf *s)
{
    remark(s, "one void lookup too many");
    return fail_with(s, SPF_PERMERROR,
                     SLICE("more than 2 lookups found no record (RFC 7208 4.6.4)"));
}

static enum step next_ptr_name(struct spf *s)
{
    if (s->name_at < s->name_count)
        return ask(s, s->names[s->name_at], address_type(s), PTR_ADDRESS);
    s->ptr_known = true;
    s->state = s->after_ptr;
    return STEP_NEXT;
}

static enum step run_ptr(struct spf *s)
{
    s->name_count = s->name_at = 0;
    s->ptr_is_void = answer_is_void(s->answer);
    for (size_t i = 0; i < s->answer->count && s->name_count < SPF_NAMES_MAX; i++) {
        struct slice name = arena_copy(s->arena, s->answer->records[i].name);

        if (dns_name_is_valid(name))
            s->names[s->name_count++] = name;
    }
    return next_ptr_name(s);
}

static bool answer_has_client(const struct spf *s, unsigned bits)
{
    for (size_t i = 0; i < s->answer->count; i++)
        if (ip_address_in(&s->values.client, &s->answer->records[i].address, bits))
            return true;
    return false;
}

static enum step run_ptr_address(struct spf *s)
{
    if (answer_has_client(s, 128))
        s->validated[s->validated_count++] = s->names[s->name_at];
    s->name_at++;
    return next_ptr_name(s);
}

static enum step match_ptr(struct spf *s)
{
    /* Each ptr counts, though DNS is asked once; %{p} is no term (RFC 7208 4.6.4). */
    if (s->ptr_is_void && !count_void(s))
        return too_many_voids(s);
    for (size_t i = 0; i < s->validated_count; i++)
        if (dns_name_is_within(s->validated[i], s->target))
            return match(s);
    return no_match(s, "no validated name of the client lies there");
}

/* --- terms that ask --- */

/* Expands a domain-spec into `s->target`; false if it is no name that can be asked for. */
static bool expand_target(struct spf *s, struct slice spec)
{
    if (spec.n == 0) {
        s->target = top(s)->domain;
        return true;
    }
    buf_clear(&s->expanded);
    choose_validated(s);
    s->values.domain = top(s)->domain;
    spf_macro_expand(spec, &s->values, &s->expanded);
    if (s->expanded.full)
        return false;
    s->target = arena_copy(s->arena, spf_macro_fit_name(buf_slice(&s->expanded)));
    return dns_name_is_valid(s->target);
}

/* Goes on with another record: in the same frame (redirect), or in a new one (include). */
static enum step enter_record(struct spf *s)
{
    if (top(s)->term.kind == SPF_INCLUDE) {
        assert(s->depth + 1 < FRAMES_MAX); /* each one costs a lookup */
        s->depth++;
        *top(s) = (struct frame){0};
    } else {
        remark(s, "goes on there");
    }
    return begin_record(s, s->target);
}

static enum step run_target(struct spf *s)
{
    const struct spf_term *t = &top(s)->term;

    if (!s->ptr_known && (t->kind == SPF_PTR || spf_macro_needs_ptr(t->domain)))
        return ask_ptr(s, TARGET);
    /* RFC 8616 4: a local part in UTF-8 is no label, so nothing matches. */
    if (t->kind != SPF_REDIRECT && !utf8_is_ascii(s->values.local) &&
        spf_macro_needs_local(t->domain))
        return no_match(s, "the sender's local part is not ASCII: no match (RFC 8616 4)");
    bool is_name = expand_target(s, t->domain);
    if (t->kind == SPF_INCLUDE || t->kind == SPF_REDIRECT)
        return enter_record(s);
    if (!is_name) /* RFC 7208 4.8: it matches nothing */
        return no_match(s, "its name is none that DNS can hold: no match");
    if (t->kind == SPF_PTR)
        return match_ptr(s);
    if (t->kind == SPF_MX)
        return ask(s, s->target, DNS_MX, MX);
    if (t->kind == SPF_EXISTS)
        return ask(s, s->target, DNS_A, EXISTS);
    return ask(s, s->target, address_type(s), ADDRESS);
}

/* The addresses of one host came. True when the step is decided. */
static bool take_addresses(struct spf *s, enum step *step_out)
{
    const struct spf_term *t = &top(s)->term;

    if (dns_status_is_failure(s->answer->status))
        *step_out = temperror(s);
    else if (!void_lookup(s))
        *step_out = too_many_voids(s);
    else if (answer_has_client(s, s->values.client.family == IP_V4 ? t->bits4 : t->bits6))
        *step_out = match(s);
    else
        return false;
    return true;
}

static enum step run_address(struct spf *s)
{
    enum step step;

    return take_addresses(s, &step) ? step : no_match(s, "no match");
}

static enum step next_mx(struct spf *s)
{
    if (s->name_at == s->name_count)
        return no_match(s, "no match");
    return ask(s, s->names[s->name_at], address_type(s), MX_ADDRESS);
}

static enum step run_mx(struct spf *s)
{
    const struct dns_answer *a = s->answer;

    if (dns_status_is_failure(a->status))
        return temperror(s);
    if (!void_lookup(s))
        return too_many_voids(s);
    if (a->count > SPF_NAMES_MAX)
        return fail_with(s, SPF_PERMERROR, SLICE("an mx with more than 10 hosts (RFC 7208 4.6.4)"));
    s->name_count = s->name_at = 0;
    for (size_t i = 0; i < a->count; i++) {
        struct slice name = arena_copy(s->arena, a->records[i].name);

        if (dns_name_is_valid(name)) /* the null MX is none (RFC 7505) */
            s->names[s->name_count++] = name;
    }
    return next_mx(s);
}

static enum step run_mx_address(struct spf *s)
{
    enum step step;

    if (take_addresses(s, &step))
        return step;
    s->name_at++;
    return next_mx(s);
}

static enum step run_exists(struct spf *s)
{
    if (dns_status_is_failure(s->answer->status))
        return temperror(s);
    if (!void_lookup(s))
        return too_many_voids(s);
    return s->answer->status == DNS_OK ? match(s) : no_match(s, "no match");
}

/* --- the explanation (RFC 7208 6.2): whatever goes wrong, there is none --- */

static enum step run_explain(struct spf *s)
{
    const struct spf_record *r = &top(s)->record;

    if (!r->has_exp)
        return finish(s, SPF_FAIL);
    if (!s->ptr_known && spf_macro_needs_ptr(r->exp.domain))
        return ask_ptr(s, EXPLAIN);
    if (!expand_target(s, r->exp.domain))
        return finish(s, SPF_FAIL);
    return ask(s, s->target, DNS_TXT, EXPLANATION);
}

static enum step run_explanation(struct spf *s)
{
    struct slice tail;
    bool ends_in_macro;

    if (s->answer->count != 1)
        return finish(s, SPF_FAIL);
    struct slice text = s->answer->records[0].text;
    if (!spf_macro_check(text, true, &tail, &ends_in_macro))
        return finish(s, SPF_FAIL);
    s->target = arena_copy(s->arena, text);
    if (!s->ptr_known && spf_macro_needs_ptr(text))
        return ask_ptr(s, EXPLAIN_END);
    s->state = EXPLAIN_END;
    return STEP_NEXT;
}

static enum step run_explain_end(struct spf *s)
{
    buf_clear(&s->expanded);
    choose_validated(s);
    s->values.domain = top(s)->domain;
    spf_macro_expand(s->target, &s->values, &s->expanded);
    struct slice text = buf_slice(&s->expanded);
    if (s->expanded.full || text.n > EXPLANATION_MAX)
        return finish(s, SPF_FAIL);
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] < 0x20 || text.p[i] > 0x7e)
            return finish(s, SPF_FAIL);
    s->explanation = arena_copy(s->arena, text);
    return finish(s, SPF_FAIL);
}

/* --- the driver --- */

static state_function *const functions[] = {
    [RECORD] = run_record,
    [TERM] = run_term,
    [TARGET] = run_target,
    [ADDRESS] = run_address,
    [MX] = run_mx,
    [MX_ADDRESS] = run_mx_address,
    [EXISTS] = run_exists,
    [PTR] = run_ptr,
    [PTR_ADDRESS] = run_ptr_address,
    [EXPLAIN] = run_explain,
    [EXPLANATION] = run_explanation,
    [EXPLAIN_END] = run_explain_end,
};

static enum step run(struct spf *s, enum step step)
{
    while (step == STEP_NEXT)
        step = functions[s->state](s);
    return step;
}

/* Labels in UTF-8 become A-labels (RFC 8616 4); a name that IDNA refuses stays as it is. */
static struct slice to_ascii(struct spf *s, struct slice name)
{
    struct err ignored;

    if (utf8_is_ascii(name))
        return name;
    buf_clear(&s->expanded);
    if (idna_to_ascii(name, &s->expanded, &ignored))
        return name;
    return arena_copy(s->arena, buf_slice(&s->expanded));
}

/* What is too long to be a name is cut, so that it still is. */
static struct slice keep_identity(struct spf *s, struct slice text)
{
    return arena_copy(s->arena, slice_sub(text, 0, SPF_IDENTITY_MAX + 1));
}

enum step spf_start(struct spf *s, const struct spf_request *request)
{
    struct spf_macro_values *v = &s->values;
    bool is_helo = request->mail_from.n == 0;

    arena_reset(s->arena);
    struct slice helo = to_ascii(s, dns_name_trim(keep_identity(s, request->helo)));
    struct slice from = keep_identity(s, request->mail_from);
    size_t at = slice_find_last(from, '@');
    *v = (struct spf_macro_values){.client = ip_address_unmap(request->client),
                                   .helo = helo,
                                   .receiver = keep_identity(s, request->receiver),
                                   .unix_s = request->unix_s};
    if (is_helo) {
        v->sender_domain = helo;
    } else if (at == SLICE_NONE) {
        v->sender_domain = from;
    } else {
        v->local = slice_sub(from, 0, at);
        v->sender_domain = slice_from(from, at + 1);
    }
    v->sender_domain = to_ascii(s, v->sender_domain);
    if (v->local.n == 0) /* RFC 7208 4.3 */
        v->local = SLICE("postmaster");
    s->depth = 0;
    s->frames[0] = (struct frame){0};
    s->trace = request->trace;
    s->validated_count = 0;
    s->ptr_known = s->ptr_is_void = false;
    s->explanation = (struct slice){0};
    s->visits = NULL;
    s->last_visit = &s->visits;
    memset(s->newest, 0, sizeof s->newest);
    s->outcome = (struct spf_outcome){.identity = is_helo ? "helo" : "mailfrom",
                                      .domain = dns_name_trim(v->sender_domain)};
    if (from.n > SPF_IDENTITY_MAX || helo.n > SPF_IDENTITY_MAX)
        return fail_with(s, SPF_NONE, SLICE("the sender or the HELO name is too long to be one"));
    return run(s, begin_record(s, s->outcome.domain));
}

struct dns_question spf_question(const struct spf *s)
{
    return s->question;
}

enum step spf_answer(struct spf *s, const struct dns_answer *answer)
{
    assert(s->state != DONE);
    s->answer = answer;
    enum step step = run(s, STEP_NEXT);
    s->answer = NULL;
    return step;
}

const struct spf_outcome *spf_outcome(const struct spf *s)
{
    return &s->outcome;
}

const struct spf_visit *spf_visits(const struct spf *s)
{
    return s->visits;
}

/* A value of Received-SPF: a dot-atom, or else a quoted string. */
static void append_value(struct buf *out, struct slice value)
{
    bool plain = value.n > 0 && value.n <= RECEIVED_VALUE_MAX && value.p[0] != '.' &&
                 value.p[value.n - 1] != '.';

    for (size_t i = 0; i < value.n && plain; i++) {
        char c = value.p[i];

        plain = ascii_is_alnum(c) || c == '-' || c == '_' || (c == '.' && value.p[i + 1] != '.');
    }
    if (plain)
        buf_append(out, value);
    else
        quoted_string_append(value, RECEIVED_VALUE_MAX, out);
}

static void append_pair(struct buf *out, const char *key, struct slice value)
{
    if (value.n == 0)
        return;
    buf_printf(out, ";\r\n    %s=", key);
    append_value(out, value);
}

void spf_received_field(const struct spf_outcome *o, const struct spf_request *request,
                        struct buf *out)
{
    char ip[IP_TEXT_MAX];
    struct slice client = {ip, ip_address_format(&request->client, ip)};

    buf_printf(out, "Received-SPF: %s client-ip=", spf_result_text(o->result));
    append_value(out, client);
    append_pair(out, "envelope-from", request->mail_from);
    append_pair(out, "helo", request->helo);
    append_pair(out, "identity", slice_of(o->identity));
    append_pair(out, "mechanism", o->mechanism);
    append_pair(out, "problem", o->reason);
    append_pair(out, "receiver", request->receiver);
    buf_append_text(out, "\r\n");
}
