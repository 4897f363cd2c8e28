/* waybill doctor [DOMAIN] -- does DNS say what this server does? */
#include "app/daemon.h"
#include "app/doctor_subject.h"
#include "app/doctor_text.h"

#define OUTPUT_MAX ((size_t)16 << 20)
#define MEMORY_MAX ((size_t)64 << 20)

int cmd_doctor(int argc, char **argv);

struct command {
    bool json;
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
        CLI_DNS(&c.dns)};
    int operands = cli_parse(&usage, options, COUNT(options), argc, argv);

    if (operands > 1)
        cli_die("give one domain");
    o->domain = operands == 1 ? argv[0] : NULL;
    c.arena = arena_create(MEMORY_MAX);
    c.conf = daemon_conf(c.config, NULL);
    buf_init(&c.out, OUTPUT_MAX);
    bool good = ask_now(&c);
    cli_write(&c.out);
    buf_finish(&c.out);
    conf_destroy(&c.conf);
    arena_destroy(&c.arena);
    return good ? CLI_GOOD : CLI_BAD_ANSWER;
}
