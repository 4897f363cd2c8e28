#include "lib/doctor/doctor.h"

#include "base/ascii.h"
#include "lib/dnsmsg/name.h"
#include "lib/dnsmsg/zone_write.h"
#include "lib/doctor/doctor_in.h"

#define FACTS_MAX ((size_t)16 << 20)
#define WORDS_MAX ((size_t)8 << 20)
#define RECORD_MAX 65536

const char *doctor_severity_name(enum doctor_severity s)
{
    switch (s) {
    case DOCTOR_GOOD:
        return "good";
    case DOCTOR_HINT:
        return "hint";
    case DOCTOR_WARNING:
        return "warning";
    case DOCTOR_ERROR:
        return "error";
    }
    return "";
}

struct doctor *doctor_create(const struct doctor_subject *subject)
{
    struct doctor *d = mem_alloc(sizeof *d);

    d->subject = subject;
    d->facts = arena_create(FACTS_MAX);
    d->words = arena_create(WORDS_MAX);
    d->index = map_create(0); /* at most DOCTOR_QUESTIONS_MAX keys: no collision hurts */
    return d;
}

void doctor_destroy(struct doctor **d)
{
    if (!*d)
        return;
    spf_survey_destroy(&(*d)->return_path.survey);
    spf_survey_destroy(&(*d)->author.survey);
    dmarc_destroy(&(*d)->dmarc);
    map_destroy(&(*d)->index);
    arena_destroy(&(*d)->facts);
    arena_destroy(&(*d)->words);
    free(*d);
    *d = NULL;
}

/* --- what the examinations call --- */

void doctor_begin(struct doctor *d, const char *what, struct slice name)
{
    d->area = arena_printf(d->words, "%s %.*s", what, SLICE_ARG(name));
}

static struct slice key_of(char room[DNS_NAME_MAX + 2], struct slice name, enum dns_type type)
{
    size_t n = 0;

    room[n++] = (char)(type & 0xff); /* the types asked for fit one byte */
    for (size_t i = 0; i < name.n && i < DNS_NAME_MAX; i++)
        room[n++] = ascii_lower(name.p[i]);
    return (struct slice){room, n};
}

const struct dns_answer *doctor_ask(struct doctor *d, struct slice name, enum dns_type type)
{
    static const struct dns_answer no_answer = {.status = DNS_SERVFAIL};
    static const struct dns_answer no_name = {.status = DNS_NXDOMAIN};
    char room[DNS_NAME_MAX + 2];
    struct known *k;

    name = dns_name_trim(name);
    if (!dns_name_is_valid(name))
        return &no_name;
    struct slice key = key_of(room, name, type);
    k = map_get(d->index, key);
    if (k)
        return k->answered ? &k->answer : NULL;
    if (d->gave_up || d->count == DOCTOR_QUESTIONS_MAX || !(k = arena_alloc(d->facts, sizeof *k)) ||
        !(k->question.name = arena_copy(d->facts, name)).p) {
        d->gave_up = true;
        return &no_answer;
    }
    k->question.type = type;
    (void)map_put(d->index, key, k);
    d->table[d->count++] = k;
    return NULL;
}

struct doctor_finding *doctor_find(struct doctor *d, enum doctor_severity severity,
                                   const char *rule, struct slice name, struct slice text)
{
    struct doctor_finding *f = arena_alloc(d->words, sizeof *f);

    if (!f) {
        d->gave_up = true;
        d->spare = (struct doctor_finding){0};
        return &d->spare;
    }
    *f = (struct doctor_finding){.severity = severity,
                                 .area = d->area,
                                 .rule = rule,
                                 .name = arena_copy(d->words, name),
                                 .text = arena_copy(d->words, text)};
    *d->last = f;
    d->last = &f->next;
    return f;
}

void doctor_find_silence(struct doctor *d, struct slice name, struct slice text)
{
    doctor_find(d, DOCTOR_WARNING, "dns", name, text)->temporary = true;
}

bool doctor_is_silent(struct doctor *d, const struct dns_answer *answer, struct slice name)
{
    if (!dns_status_is_failure(answer->status))
        return false;
    doctor_find_silence(d, name,
                        arena_printf(d->words, "DNS does not answer (%s): ask again later",
                                     dns_status_text(answer->status)));
    return true;
}

int doctor_has_address(struct doctor *d, struct slice name)
{
    const struct dns_answer *a4 = doctor_ask(d, name, DNS_A);
    const struct dns_answer *a6 = doctor_ask(d, name, DNS_AAAA);

    if ((a4 && a4->status == DNS_OK) || (a6 && a6->status == DNS_OK))
        return 1;
    if (!a4 || !a6)
        return -1;
    return dns_status_is_failure(a4->status) || dns_status_is_failure(a6->status) ? -2 : 0;
}

struct slice doctor_publish_txt(struct doctor *d, struct slice name, struct slice text)
{
    struct buf line;

    buf_init(&line, RECORD_MAX);
    dns_zone_write_txt(name, text, &line);
    struct slice kept = arena_copy(d->words, slice_trim(buf_slice(&line)));
    buf_finish(&line);
    return kept;
}

/* --- rounds --- */

static void examine(struct doctor *d)
{
    const struct doctor_subject *s = d->subject;
    bool author = (s->parts & DOCTOR_PART_AUTHOR) != 0;

    if (s->parts & DOCTOR_PART_RETURN_PATH)
        doctor_examine_spf(d, &d->return_path, s->return_path);
    if (author &&
        ((s->parts & DOCTOR_PART_RETURN_PATH) == 0 || !dns_name_equal(s->domain, s->return_path)))
        doctor_examine_spf(d, &d->author, s->domain);
    if (author) {
        doctor_examine_dkim(d);
        doctor_examine_dmarc(d);
    }
    if (s->parts & DOCTOR_PART_RETURN_PATH)
        doctor_examine_mx(d, s->return_path);
    if (s->parts & DOCTOR_PART_HOST)
        doctor_examine_addresses(d);
    for (size_t i = 0; i < s->receiver_count; i++)
        doctor_examine_transport(d, s->receivers[i]);
    bool says_policy = author;
    for (size_t i = 0; i < s->receiver_count; i++)
        says_policy = says_policy && !dns_name_equal(s->receivers[i], s->domain);
    if (says_policy) /* its mail goes elsewhere, but what it says must be right */
        doctor_examine_transport(d, s->domain);
}

enum step doctor_step(struct doctor *d)
{
    if (d->answered < d->count)
        return STEP_WAIT;
    if (d->rounds++ == DOCTOR_ROUNDS_MAX)
        d->gave_up = true;
    arena_reset(d->words);
    d->first = NULL;
    d->last = &d->first;
    examine(d);
    if (d->answered < d->count)
        return STEP_WAIT;
    if (d->gave_up) {
        doctor_begin(d, "limit", d->subject->domain);
        doctor_find(d, DOCTOR_WARNING, "doctor-limit", d->subject->domain,
                    arena_printf(d->words,
                                 "the records lead to more than %d questions, so not all was "
                                 "looked at: they need far too many look-ups",
                                 DOCTOR_QUESTIONS_MAX));
    }
    return STEP_DONE;
}

bool doctor_question(struct doctor *d, struct dns_question *question_out, size_t *number_out)
{
    if (d->taken == d->count)
        return false;
    *number_out = d->taken++;
    *question_out = d->table[*number_out]->question;
    return true;
}

void doctor_answer(struct doctor *d, size_t number, const struct dns_answer *answer)
{
    if (number >= d->taken || d->table[number]->answered)
        return;
    dns_answer_copy(d->facts, answer, &d->table[number]->answer);
    d->table[number]->answered = true;
    d->answered++;
}

const struct doctor_finding *doctor_findings(const struct doctor *d)
{
    return d->first;
}
