#include "app/resolver.h"

#include "app/cli.h"
#include "lib/dnsmsg/zone.h"

#define ZONE_FILE_MAX ((size_t)64 << 20)

struct resolver {
    struct dns_zone *zone;
};

struct resolver *resolver_open(const char *zone_path)
{
    struct resolver *r = mem_alloc(sizeof *r);
    struct err e;

    if (!zone_path)
        cli_die("give a zone file with --dns");
    struct cli_file file = cli_file_need(zone_path, ZONE_FILE_MAX);
    r->zone = dns_zone_create(file.data, &e);
    if (!r->zone)
        cli_die("%s: %s", zone_path, e.text);
    cli_file_close(&file);
    return r;
}

void resolver_close(struct resolver **r)
{
    if (!*r)
        return;
    dns_zone_destroy(&(*r)->zone);
    free(*r);
    *r = NULL;
}

void resolver_ask(struct resolver *r, struct dns_question q, struct dns_answer *answer_out)
{
    dns_zone_answer(r->zone, q, answer_out);
}
