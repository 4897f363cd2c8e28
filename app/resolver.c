#include "app/resolver.h"

#include "app/cli.h"
#include "base/arena.h"
#include "lib/dnsmsg/zone.h"
#include "rt/dns/dns.h"

#define ZONE_FILE_MAX ((size_t)64 << 20)
#define ANSWERS_MAX ((size_t)256 << 20) /* all answers of one command */

struct resolver {
    struct dns_zone *zone; /* or: */
    struct loop *loop;
    struct dns_resolver *dns;
    struct arena *answers;
    size_t open; /* questions under way */
};

static void open_zone(struct resolver *r, const char *path)
{
    struct cli_file file = cli_file_need(path, ZONE_FILE_MAX);
    struct err e;

    r->zone = dns_zone_create(file.data, &e);
    if (!r->zone)
        cli_die("%s: %s", path, e.text);
    cli_file_close(&file);
}

struct resolver *resolver_open(const char *dns)
{
    struct resolver *r = mem_alloc(sizeof *r);
    struct dns_options options = {.servers = "system"};
    struct slice text = slice_of(dns);
    struct err e;

    if (slice_starts(text, SLICE("zone:"))) {
        open_zone(r, dns + 5);
        return r;
    }
    if (dns && dns[0] != '@') {
        open_zone(r, dns);
        return r;
    }
    if (dns)
        options.servers = dns + 1;
    r->loop = loop_create();
    r->answers = arena_create(ANSWERS_MAX);
    r->dns = dns_create(r->loop, &options, &e);
    if (!r->dns)
        cli_die("%s", e.text);
    return r;
}

void resolver_close(struct resolver **r)
{
    if (!*r)
        return;
    dns_zone_destroy(&(*r)->zone);
    dns_destroy(&(*r)->dns);
    loop_destroy(&(*r)->loop);
    arena_destroy(&(*r)->answers);
    free(*r);
    *r = NULL;
}

struct waiting {
    struct resolver *resolver;
    struct dns_answer *answer_out;
};

/* rt/dns lends its answers for one call only. */
static void take_answer(void *ctx, const struct dns_answer *answer)
{
    struct waiting *w = ctx;

    dns_answer_copy(w->resolver->answers, answer, w->answer_out);
    w->resolver->open--;
}

void resolver_ask_all(struct resolver *r, const struct dns_question *questions, size_t n,
                      struct dns_answer *answers_out)
{
    struct waiting *waiting = mem_alloc(n * sizeof *waiting);

    for (size_t i = 0; i < n; i++) {
        if (r->zone) {
            dns_zone_answer(r->zone, questions[i], &answers_out[i]);
            continue;
        }
        waiting[i] = (struct waiting){r, &answers_out[i]};
        r->open++;
        (void)dns_ask(r->dns, &questions[i], take_answer, &waiting[i]);
    }
    while (r->open > 0)
        loop_turn(r->loop, -1);
    free(waiting);
}

void resolver_ask(struct resolver *r, struct dns_question q, struct dns_answer *answer_out)
{
    resolver_ask_all(r, &q, 1, answer_out);
}
