#include "lib/dnsmsg/zone.h"

#include "base/arena.h"
#include "base/ascii.h"
#include "base/map.h"
#include "lib/dnsmsg/message.h"
#include "lib/dnsmsg/name.h"
#include "lib/dnsmsg/zone_in.h"

#define NEGATIVE_TTL_S 60
#define ORIGIN_SEED 0x6e6f5a656c69466bu /* the file is the user's own: no secret is needed */

/* The records of one type at one name. While the file is read they hang in a list. */
struct rrset {
    struct rrset *next;
    enum dns_type type;
    struct link {
        struct link *next;
        struct dns_record record;
    } * first, **last;
    struct dns_record *records; /* the same in a row, once the file is read */
    size_t count;
    uint32_t ttl_s;
};

/* A `;!timeout` or `;!servfail` line. */
struct failure {
    struct failure *next;
    enum dns_type type; /* DNS_NO_TYPE: all but the types held */
    enum dns_status status;
};

struct node {
    struct slice name;
    struct rrset *sets;
    struct failure *failures;
};

struct dns_zone {
    struct arena *arena;
    struct map *nodes; /* by lower-case name; parents of names are there too */
    size_t records;
};

static struct node *find_node(const struct dns_zone *z, struct slice name)
{
    char lower[DNS_NAME_MAX];

    name = dns_name_trim(name);
    if (name.n > sizeof lower)
        return NULL;
    for (size_t i = 0; i < name.n; i++)
        lower[i] = ascii_lower(name.p[i]);
    return map_get(z->nodes, (struct slice){lower, name.n});
}

/* The node of a lower-case name, made if need be together with all the names above it. NULL when
 * the arena is full. */
static struct node *make_node(struct dns_zone *z, struct slice name)
{
    struct node *made = NULL;

    for (;;) {
        struct node *n = map_get(z->nodes, name);

        if (n)
            return made ? made : n;
        n = arena_alloc(z->arena, sizeof *n);
        if (!n)
            return NULL;
        n->name = arena_copy(z->arena, name);
        if (!n->name.p)
            return NULL;
        map_put(z->nodes, n->name, n);
        made = made ? made : n;
        if (name.n == 0)
            return made;
        name = dns_name_parent(name);
    }
}

static struct rrset *find_set(const struct node *n, enum dns_type type)
{
    for (struct rrset *s = n->sets; s; s = s->next)
        if (s->type == type)
            return s;
    return NULL;
}

static int full(struct err *e)
{
    return err_set(e, ERR_LIMIT, "the zone file says more than %zu MB", DNS_ZONE_BYTES_MAX >> 20);
}

int dns_zone_add(struct dns_zone *z, struct slice name, const struct dns_record *record,
                 struct err *e)
{
    struct node *n = make_node(z, name);
    struct link *link = arena_alloc(z->arena, sizeof *link);

    if (!n || !link)
        return full(e);
    if (++z->records > DNS_ZONE_RECORDS_MAX)
        return err_set(e, ERR_LIMIT, "more than %d records", DNS_ZONE_RECORDS_MAX);
    struct rrset *set = find_set(n, record->type);
    if (!set) {
        set = arena_alloc(z->arena, sizeof *set);
        if (!set)
            return full(e);
        *set = (struct rrset){.next = n->sets, .type = record->type, .ttl_s = record->ttl_s};
        set->last = &set->first;
        n->sets = set;
    }
    link->record = *record;
    *set->last = link;
    set->last = &link->next;
    set->count++;
    if (record->ttl_s < set->ttl_s)
        set->ttl_s = record->ttl_s;
    return 0;
}

int dns_zone_add_failure(struct dns_zone *z, struct slice name, enum dns_type type,
                         enum dns_status status, struct err *e)
{
    struct node *n = make_node(z, name);
    struct failure *f = arena_alloc(z->arena, sizeof *f);

    if (!n || !f)
        return full(e);
    *f = (struct failure){n->failures, type, status};
    n->failures = f;
    return 0;
}

/* Puts the records of each set in a row. */
static int settle(struct dns_zone *z, struct err *e)
{
    struct slice key;
    void *value;

    for (size_t cursor = 0; map_next(z->nodes, &cursor, &key, &value);) {
        const struct node *n = value;

        for (struct rrset *s = n->sets; s; s = s->next) {
            size_t i = 0;

            s->records = arena_array(z->arena, s->count, sizeof *s->records);
            if (!s->records)
                return full(e);
            for (const struct link *l = s->first; l; l = l->next)
                s->records[i++] = l->record;
        }
    }
    return 0;
}

struct dns_zone *dns_zone_create(struct slice text, struct err *e)
{
    struct dns_zone *z = mem_alloc(sizeof *z);

    z->arena = arena_create(DNS_ZONE_BYTES_MAX);
    z->nodes = map_create(ORIGIN_SEED);
    if (dns_zone_read(z, z->arena, text, e) || settle(z, e))
        dns_zone_destroy(&z);
    return z;
}

void dns_zone_destroy(struct dns_zone **z)
{
    if (!*z)
        return;
    map_destroy(&(*z)->nodes);
    arena_destroy(&(*z)->arena);
    free(*z);
    *z = NULL;
}

/* The failure that was ordered for this question, or NULL. */
static const struct failure *find_failure(const struct node *n, enum dns_type type)
{
    const struct failure *general = NULL;

    for (const struct failure *f = n->failures; f; f = f->next) {
        if (f->type == type)
            return f;
        if (f->type == DNS_NO_TYPE)
            general = f;
    }
    return general && !find_set(n, type) ? general : NULL;
}

void dns_zone_answer(const struct dns_zone *z, struct dns_question q, struct dns_answer *answer_out)
{
    struct dns_answer *a = answer_out;
    struct slice name = dns_name_trim(q.name);

    *a = (struct dns_answer){.canonical = name, .ttl_s = INT32_MAX};
    for (unsigned hops = 0; hops <= DNS_CNAMES_MAX; hops++) {
        const struct node *n = find_node(z, name);
        const struct failure *f = n ? find_failure(n, q.type) : NULL;
        const struct rrset *set = n ? find_set(n, q.type) : NULL;
        const struct rrset *alias = n && !set ? find_set(n, DNS_CNAME) : NULL;

        a->canonical = n ? n->name : name;
        if (!alias || f) {
            a->status = f ? f->status : set ? DNS_OK : n ? DNS_NODATA : DNS_NXDOMAIN;
            uint32_t ttl_s = f ? 0 : set ? set->ttl_s : NEGATIVE_TTL_S;
            a->ttl_s = ttl_s < a->ttl_s ? ttl_s : a->ttl_s;
            a->records = set && !f ? set->records : NULL;
            a->count = a->records ? set->count : 0;
            return;
        }
        if (alias->ttl_s < a->ttl_s)
            a->ttl_s = alias->ttl_s;
        name = alias->records[0].name;
    }
    *a = (struct dns_answer){.status = DNS_SERVFAIL, .canonical = name};
}
