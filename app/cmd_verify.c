/* waybill verify FILE -- SPF, DKIM, ARC and DMARC of one message, and what to change. */
#include "app/cmd_verify_in.h"
#include "lib/message/received.h"

#define OUTPUT_MAX ((size_t)16 << 20)
#define MEMORY_MAX ((size_t)64 << 20)

int cmd_verify(int argc, char **argv);

/* --- who sent it --- */

/* From the top, the first hop that came from outside: private addresses are our own relays. */
static void client_from_received(struct verify *v)
{
    int64_t n = 0;

    for (const struct field *f = NULL; (f = header_next(&v->header, "Received", f)) != NULL;) {
        struct received r;

        n++;
        received_parse(f->value, v->arena, &r);
        if (n == 1)
            v->our_name = received_host(&r);
        if (r.ip.family == IP_NONE || (v->hop > 0 ? n != v->hop : ip_address_is_private(&r.ip)))
            continue;
        v->request.client = r.ip;
        v->client_source = arena_printf(v->arena, "Received field %lld from the top", (long long)n);
        v->our_name = received_host(&r);
        if (!v->helo)
            v->request.helo = r.helo;
        if (!v->mail_from && v->request.mail_from.n == 0)
            v->request.mail_from = r.envelope_from;
        return;
    }
}

static struct slice without_brackets(struct slice s)
{
    s = slice_trim(s);
    if (s.n >= 2 && s.p[0] == '<' && s.p[s.n - 1] == '>')
        s = slice_sub(s, 1, s.n - 2);
    return s;
}

static void find_sender(struct verify *v)
{
    v->request.helo = slice_of(v->helo);
    v->request.mail_from = v->mail_from ? without_brackets(slice_of(v->mail_from))
                                        : without_brackets(header_value(&v->header, "Return-Path"));
    if (v->ip) {
        if (!ip_address_parse(slice_of(v->ip), &v->request.client))
            cli_die("\"%s\" is no IP address", v->ip);
        v->client_source = SLICE("--ip");
    } else {
        client_from_received(v);
    }
    if (v->authserv_id)
        v->our_name = slice_of(v->authserv_id);
    if (v->our_name.n == 0)
        v->our_name = SLICE("localhost");
    v->request.receiver = v->our_name;
    v->request.unix_s = cli_now(v->now);
}

/* --- the judgement --- */

static void judge(struct verify *v)
{
    struct dns_question question;
    struct err e;
    uint64_t id;

    v->verdict = verdict_create(NULL);
    if (verdict_begin(v->verdict, &v->request, v->eml.header, &e))
        cli_die("%s", e.text);
    verdict_body(v->verdict, v->eml.body);
    verdict_finish(v->verdict);
    while (verdict_question(v->verdict, &id, &question)) {
        struct dns_answer answer;

        resolver_ask(v->resolver, question, &answer);
        verdict_answer(v->verdict, id, &answer);
    }
    if (verdict_step(v->verdict) != STEP_DONE)
        cli_die("a question to DNS stayed without an answer");
    buf_init(&v->results, OUTPUT_MAX);
    verdict_results_field(v->verdict, v->our_name, &v->results);
}

/* DMARC decides; where there is no policy, any proof of who sent it is good. */
static bool is_good(const struct verify *v)
{
    enum dmarc_result result = verdict_dmarc(v->verdict)->result;

    if (result != DMARC_NONE)
        return result == DMARC_PASS;
    for (size_t i = 0; i < verdict_dkim_count(v->verdict); i++)
        if (verdict_dkim(v->verdict, i)->result == DKIM_PASS)
            return true;
    return verdict_spf(v->verdict)->result == SPF_PASS;
}

static void finish(struct verify *v)
{
    verdict_destroy(&v->verdict);
    buf_finish(&v->results);
    resolver_close(&v->resolver);
    eml_close(&v->eml);
    arena_destroy(&v->arena);
}

int cmd_verify(int argc, char **argv)
{
    static const struct cli_usage usage = {
        "FILE", "checks SPF, DKIM, ARC and DMARC of a message",
        "Without --ip the client is taken from the topmost Received field that names a public\n"
        "address, and the envelope sender from Return-Path. Everything below that field may be\n"
        "forged."};
    struct verify v = {.now = -1};
    const struct cli_option options[] = {
        CLI_JSON(&v.json),
        CLI_TEXT("ip", &v.ip, "ADDRESS", "the host that delivered the message"),
        CLI_TEXT("helo", &v.helo, "NAME", "what it called itself"),
        CLI_TEXT("mail-from", &v.mail_from, "ADDRESS", "the envelope sender; empty for bounces"),
        CLI_NUMBER("hop", &v.hop, "N", "take the client from the Nth Received field from the top"),
        CLI_TEXT("authserv-id", &v.authserv_id, "NAME", "our name in Authentication-Results"),
        CLI_DNS(&v.dns),
        CLI_NOW(&v.now)};
    struct err e;
    struct buf out;

    if (cli_parse(&usage, options, COUNT(options), argc, argv) != 1)
        cli_die("give one message");
    v.arena = arena_create(MEMORY_MAX);
    v.resolver = resolver_open(v.dns);
    eml_open(argv[0], &v.eml);
    if (header_parse(v.eml.header, NULL, v.arena, &v.header, &e))
        cli_die("%s: %s", argv[0], e.text);
    find_sender(&v);
    judge(&v);
    buf_init(&out, OUTPUT_MAX);
    if (v.json)
        verify_json(&v, &out);
    else
        verify_text(&v, &out);
    cli_write(&out);
    buf_finish(&out);
    bool good = is_good(&v);
    finish(&v);
    return good ? CLI_GOOD : CLI_BAD_ANSWER;
}
