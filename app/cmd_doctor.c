/* waybill doctor [DOMAIN] -- does DNS say what this server does? */
#include "app/daemon.h"
#include "app/doctor_subject.h"
#include "app/doctor_text.h"

#define OUTPUT_MAX ((size_t)16 << 20)
#define MEMORY_MAX ((size_t)64 << 20)
#define RECALLS_MAX 1000 /* domains */

int cmd_doctor(int argc, char **argv);

struct command {
    bool json, last;
    const char *config, *dns;
    struct doctor_options options;
    struct conf *conf;
    struct arena *arena;
    struct buf out;
};

struct round {
    struct dns_question questions[DOCTOR_QUESTIONS_MAX];
    struct dns_answer answers[DOCTOR_QUESTIONS_MAX];
    size_t numbers[DOCTOR_QUESTIONS_MAX];
};

/* Each round's questions are asked together. */
static void examine(struct doctor *d, struct resolver *dns)
{
    struct round *r = mem_alloc(sizeof *r);

    while (doctor_step(d) == STEP_WAIT) {
        size_t n = 0;

        while (n < COUNT(r->numbers) && doctor_question(d, &r->questions[n], &r->numbers[n]))
            n++;
        resolver_ask_all(dns, r->questions, n, r->answers);
        for (size_t i = 0; i < n; i++)
            doctor_answer(d, r->numbers[i], &r->answers[i]);
    }
    free(r);
}

/* Asks DNS now. */
static bool ask_now(struct command *c)
{
    struct resolver *dns = resolver_open(c->dns);
    struct doctor_subject *subject = arena_alloc(c->arena, sizeof *subject);
    struct json j;

    if (!subject)
        cli_die("out of memory");
    doctor_subject_gather(&c->options, c->conf, dns, c->arena, subject);
    struct doctor *d = doctor_create(subject);
    examine(d, dns);
    const struct doctor_finding *first = doctor_findings(d);
    bool good = doctor_text_is_well(first);
    if (c->json) {
        json_begin(&j, &c->out);
        json_object(&j);
        json_member_text(&j, "domain", subject->domain);
        doctor_text_json(&j, subject, first);
        json_end(&j);
        buf_append_char(&c->out, '\n');
    } else {
        doctor_text_append(subject, first, &c->out);
    }
    doctor_destroy(&d);
    resolver_close(&dns);
    return good;
}

/* --- --last: what the daemon found --- */

struct recall {
    struct arena *arena;
    struct doctor_recall list[RECALLS_MAX];
    size_t n;
    struct doctor_finding **end;
};

static bool take_checkup(void *ctx, const struct ledger_checkup *c)
{
    struct recall *r = ctx;

    if (r->n == COUNT(r->list))
        return false;
    r->list[r->n] =
        (struct doctor_recall){.domain = arena_copy(r->arena, c->domain), .time_ms = c->time_ms};
    r->end = &r->list[r->n++].first;
    return true;
}

static bool take_finding(void *ctx, const struct ledger_finding *from)
{
    struct recall *r = ctx;
    struct doctor_finding *f = arena_alloc(r->arena, sizeof *f);

    if (f == NULL)
        cli_die("too many findings");
    *f = (struct doctor_finding){
        .severity = (enum doctor_severity)from->severity, /* both count from good up */
        .temporary = from->temporary,
        .rule = arena_string(r->arena, from->rule),
        .name = arena_copy(r->arena, from->name),
        .text = arena_copy(r->arena, from->text),
        .publish = arena_copy(r->arena, from->publish),
        .domain = r->list[r->n - 1].domain,
        .since_ms = from->since_ms,
    };
    *r->end = f;
    r->end = &f->next;
    return true;
}

static bool recall(struct command *c)
{
    struct ledger_reader *reader = daemon_ledger(c->conf);
    struct recall *r = mem_alloc(sizeof *r);
    struct err e;
    bool good = true;

    r->arena = c->arena;
    if (ledger_each_checkup(reader, slice_of(c->options.domain), take_checkup, take_finding, r,
                            &e) < 0)
        cli_die("%s", e.text);
    if (r->n == 0)
        cli_die("the daemon has not looked at %s yet (doctor_interval in the settings)",
                c->options.domain ? c->options.domain : "any domain");
    for (size_t i = 0; i < r->n; i++)
        good = good && doctor_text_is_well(r->list[i].first);
    if (c->json)
        doctor_text_json_recalled(r->list, r->n, &c->out);
    else
        doctor_text_append_recalled(r->list, r->n, &c->out);
    ledger_reader_close(&reader);
    free(r);
    return good;
}

int cmd_doctor(int argc, char **argv)
{
    static const struct cli_usage usage = {
        "[DOMAIN]", "compares what DNS says with what this server really does",
        "Looks at SPF against the addresses in use, DKIM keys against the private ones, DMARC, "
        "the\n"
        "MX of the return path, the names of the addresses, MTA-STS and TLS-RPT. What is not\n"
        "given comes from the ledger and the settings."};
    struct command c = {0};
    struct doctor_options *o = &c.options;
    const struct cli_option options[] = {
        CLI_CONFIG(&c.config),
        CLI_JSON(&c.json),
        CLI_LIST("ip", &o->ips, "ADDRESS", "an address that mail really leaves from"),
        CLI_TEXT("hostname", &o->hostname, "NAME", "what this server says in EHLO"),
        CLI_TEXT("return-path", &o->return_path, "DOMAIN", "the domain of the envelope sender"),
        CLI_LIST("key", &o->keys, "FILE:SELECTOR:DOMAIN", "a key that signs here"),
        CLI_FLAG("last", &c.last, "what the daemon found last; DNS is not asked"),
        CLI_DNS(&c.dns)};
    int operands = cli_parse(&usage, options, COUNT(options), argc, argv);

    if (operands > 1)
        cli_die("give one domain");
    if (c.last && (c.dns || o->ips.count > 0 || o->keys.count > 0 || o->hostname || o->return_path))
        cli_die("--last shows what was found before; other options mean nothing to it");
    o->domain = operands == 1 ? argv[0] : NULL;
    c.arena = arena_create(MEMORY_MAX);
    c.conf = daemon_conf(c.config, NULL);
    buf_init(&c.out, OUTPUT_MAX);
    bool good = c.last ? recall(&c) : ask_now(&c);
    cli_write(&c.out);
    buf_finish(&c.out);
    conf_destroy(&c.conf);
    arena_destroy(&c.arena);
    return good ? CLI_GOOD : CLI_BAD_ANSWER;
}
