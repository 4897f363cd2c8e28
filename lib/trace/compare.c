#include "lib/trace/compare.h"

#include <assert.h>

#include "base/map.h"
#include "lib/trace/cause.h"
#include "lib/trace/own.h"
#include "lib/trace/summary.h"

#define WORK_MAX ((size_t)96 << 20) /* for the parse of one message */
#define RESEND_S 3600               /* content sent again later than this is another message */
#define CHANGES_MAX 4000
#define NONE SIZE_MAX

struct compare {
    struct arena *keep, *work;
    struct mail_copy **copies; /* malloc'd array of pointers into `keep` */
    size_t count, capacity;
    struct compare_group *groups; /* in `keep`; NULL before compare_finish() */
    size_t group_count;
};

struct compare *compare_create(size_t max)
{
    struct compare *c = mem_alloc(sizeof *c);

    c->keep = arena_create(max);
    c->work = arena_create(WORK_MAX);
    return c;
}

void compare_destroy(struct compare **c)
{
    if (*c == NULL)
        return;
    arena_destroy(&(*c)->keep);
    arena_destroy(&(*c)->work);
    free((*c)->copies);
    free(*c);
    *c = NULL;
}

size_t compare_count(const struct compare *c)
{
    return c->count;
}

/* --- taking messages --- */

static int add_one(struct compare *c, struct slice name, struct slice message,
                   struct mime_part **root_out, struct err *e)
{
    struct mail_copy *m = summary_make(name, message, c->keep, c->work, root_out);

    if (m == NULL)
        return err_set(e, ERR_LIMIT, "too many messages to compare: %zu are too much for memory",
                       c->count);
    if (c->count == c->capacity) {
        c->capacity = c->capacity == 0 ? 64 : 2 * c->capacity;
        c->copies = mem_resize(c->copies, c->capacity * sizeof(struct mail_copy *));
    }
    c->copies[c->count++] = m;
    return 0;
}

/* A message that a bounce returns is no copy that somebody received. */
static bool is_in_report(const struct mime_part *p)
{
    for (; p != NULL; p = p->parent)
        if (mime_is(p, "multipart/report"))
            return true;
    return false;
}

int compare_add(struct compare *c, struct slice name, struct slice message, struct err *e)
{
    struct mime_part *root = NULL, *inner_root;
    struct buf inner_name;
    unsigned number = 0;
    int result = -1;

    arena_reset(c->work);
    buf_init(&inner_name, 8192);
    if (add_one(c, name, message, &root, e) != 0)
        goto out;
    for (const struct mime_part *p = root; p != NULL; p = mime_next(root, p)) {
        bool is_message = p->parent != NULL && p->header.count > 0 &&
                          mime_is(p->parent, "message/rfc822") &&
                          p->depth <= 2 * COMPARE_NESTED_MAX;
        if (!is_message || is_in_report(p))
            continue;
        buf_clear(&inner_name);
        buf_append(&inner_name, name);
        buf_printf(&inner_name, "#%u", ++number);
        if (add_one(c, buf_slice(&inner_name), p->raw, &inner_root, e) != 0)
            goto out;
    }
    result = 0;
out:
    buf_finish(&inner_name);
    return result;
}

/* --- grouping --- */

struct grouping {
    struct compare *c;
    struct map *by_id, *by_content;
    size_t *first, *last, *next; /* of each group: its copies as a chain of indices */
    size_t groups;
    bool *is_collision; /* of each group */
};

/* Indices go into maps as pointers, one up, because NULL means absent. */
static void *to_pointer(size_t i)
{
    return (void *)(uintptr_t)(i + 1);
}
static size_t to_index(const void *p)
{
    return (size_t)(uintptr_t)p - 1;
}

/* Different mails with one id: nothing of them is alike. */
static bool is_same_mail(const struct mail_copy *a, const struct mail_copy *b)
{
    return a->from_hash == b->from_hash || a->subject_hash == b->subject_hash ||
           (a->body_hash == b->body_hash && a->body_hash != 0);
}

static bool is_close(const struct mail_copy *a, const struct mail_copy *b)
{
    int64_t gap = a->date - b->date;

    return a->date == 0 || b->date == 0 || (gap < RESEND_S && gap > -RESEND_S);
}

static void join_group(struct grouping *g, size_t copy, size_t group)
{
    g->c->copies[copy]->group = group;
    g->next[copy] = NONE;
    if (g->first[group] == NONE)
        g->first[group] = copy;
    else
        g->next[g->last[group]] = copy;
    g->last[group] = copy;
}

static size_t new_group(struct grouping *g)
{
    g->first[g->groups] = g->last[g->groups] = NONE;
    return g->groups++;
}

static uint64_t content_key(const struct mail_copy *m)
{
    uint64_t parts[4] = {m->from_hash, m->to_hash, m->subject_hash, m->body_hash};

    return hash_bytes(1, (struct slice){(const char *)parts, sizeof parts});
}

/* Without an id on one side, the same From, Subject and Date are enough: a footer may be new. */
static uint64_t date_key(const struct mail_copy *m)
{
    uint64_t parts[3] = {m->from_hash, m->subject_hash, (uint64_t)m->date};

    return hash_bytes(2, (struct slice){(const char *)parts, sizeof parts});
}

static size_t find_by_content(struct grouping *g, const struct mail_copy *m, size_t copy)
{
    uint64_t content = content_key(m), dated = date_key(m);
    const struct mail_copy *other;
    void *found;

    if (m->body_hash != 0) {
        found = map_get(g->by_content, map_key_u64(&content));
        if (found != NULL && (other = g->c->copies[to_index(found)], is_close(m, other)))
            return other->group;
        map_put(g->by_content, map_key_u64(&content), to_pointer(copy));
    }
    if (m->date != 0) {
        found = map_get(g->by_content, map_key_u64(&dated));
        if (found != NULL && (other = g->c->copies[to_index(found)],
                              m->message_id.n == 0 || other->message_id.n == 0))
            return other->group;
        map_put(g->by_content, map_key_u64(&dated), to_pointer(copy));
    }
    return NONE;
}

static void place(struct grouping *g, size_t copy)
{
    struct mail_copy *m = g->c->copies[copy];
    void *found = m->message_id.n > 0 ? map_get(g->by_id, m->message_id) : NULL;
    bool collision = false;

    if (found != NULL) {
        const struct mail_copy *other = g->c->copies[to_index(found)];
        if (is_same_mail(m, other)) {
            join_group(g, copy, other->group);
            return;
        }
        collision = true;
        g->is_collision[other->group] = true;
    }
    size_t group = find_by_content(g, m, copy);
    if (group == NONE)
        group = new_group(g);
    g->is_collision[group] = g->is_collision[group] || collision;
    join_group(g, copy, group);
    if (m->message_id.n > 0 && !collision)
        map_put(g->by_id, m->message_id, to_pointer(copy));
}

/* --- aligning --- */

static int align(struct compare *c, struct compare_group *g, struct err *e)
{
    size_t common = NONE;

    for (size_t i = 0; i < g->count; i++) {
        struct aligned_copy *x = &g->copies[i];
        struct received *hops = arena_array(c->keep, x->copy->received_count, sizeof *hops);
        if (hops == NULL)
            return err_set(e, ERR_LIMIT, "no memory to align %zu copies", g->count);
        for (size_t k = 0; k < x->copy->received_count; k++)
            received_parse(x->copy->received[k], c->keep, &hops[k]);
        x->hops = hops;
        x->count = x->copy->received_count;
        if (x->count == 0) /* the sender's own copy: it has no path to align */
            continue;
        const struct aligned_copy *with = NULL;
        for (size_t k = 0; k < i && with == NULL; k++)
            with = g->copies[k].count > 0 ? &g->copies[k] : NULL;
        size_t n = 0, most = x->count;
        while (with != NULL && n < most && n < with->count &&
               hop_equal(&x->hops[n], &with->hops[n]))
            n++;
        n = with != NULL ? n : most;
        common = n < common ? n : common;
    }
    g->common_hops = common == NONE ? 0 : common;
    for (size_t i = 0; i < g->count; i++) {
        struct aligned_copy *x = &g->copies[i];
        x->diverge = x->count > g->common_hops ? &x->hops[g->common_hops] : NULL;
        if (g->common_hops > 0 && x->count > 0 && g->last_common == NULL)
            g->last_common = &x->hops[g->common_hops - 1];
    }
    return 0;
}

static void tell_changes(struct compare *c, struct compare_group *g)
{
    struct buf out;

    buf_init(&out, CHANGES_MAX);
    for (size_t i = 1; i < g->count; i++) {
        buf_clear(&out);
        summary_diff(g->copies[0].copy, g->copies[i].copy, &out);
        g->copies[i].changes = arena_copy(c->keep, slice_trim(buf_slice(&out)));
    }
    buf_finish(&out);
}

static int make_group(struct grouping *s, size_t number, struct compare_group *g, struct err *e)
{
    struct compare *c = s->c;
    size_t count = 0;

    for (size_t i = s->first[number]; i != NONE; i = s->next[i])
        count++;
    g->copies = arena_array(c->keep, count, sizeof *g->copies);
    if (g->copies == NULL)
        return err_set(e, ERR_LIMIT, "no memory for a group of %zu copies", count);
    for (size_t i = s->first[number]; i != NONE; i = s->next[i]) {
        const struct mail_copy *m = c->copies[i];
        g->copies[g->count++].copy = m;
        g->is_by_content =
            g->is_by_content || !slice_eq(m->message_id, g->copies[0].copy->message_id);
    }
    g->message_id = g->copies[0].copy->message_id;
    g->is_collision = s->is_collision[number];
    if (g->count < 2)
        return 0;
    if (align(c, g, e) != 0)
        return -1;
    cause_explain(g, c->keep);
    tell_changes(c, g);
    return 0;
}

int compare_finish(struct compare *c, const struct compare_group **groups_out, size_t *count_out,
                   struct err *e)
{
    struct grouping g = {.c = c, .by_id = map_create(1), .by_content = map_create(2)};
    struct compare_group *groups = NULL;
    size_t made = 0;
    int result = -1;

    g.first = mem_alloc((c->count + 1) * sizeof *g.first);
    g.last = mem_alloc((c->count + 1) * sizeof *g.last);
    g.next = mem_alloc((c->count + 1) * sizeof *g.next);
    g.is_collision = mem_alloc((c->count + 1) * sizeof *g.is_collision);
    for (size_t i = 0; i < c->count; i++)
        place(&g, i);
    groups = arena_array(c->keep, g.groups, sizeof *groups);
    if (groups == NULL) {
        err_set(e, ERR_LIMIT, "no memory for %zu groups", g.groups);
        goto out;
    }
    for (int singles = 0; singles < 2; singles++)
        for (size_t i = 0; i < g.groups; i++)
            if ((g.first[i] == g.last[i]) == (singles != 0) &&
                make_group(&g, i, &groups[made++], e) != 0)
                goto out;
    c->groups = groups;
    c->group_count = made;
    *groups_out = groups;
    *count_out = made;
    result = 0;
out:
    map_destroy(&g.by_id);
    map_destroy(&g.by_content);
    free(g.first);
    free(g.last);
    free(g.next);
    free(g.is_collision);
    return result;
}

/* --- what our ledger adds --- */

int compare_join(struct compare *c, size_t group, const struct own_event *events, size_t count,
                 struct err *e)
{
    struct own_event *own = arena_array(c->keep, count, sizeof *own);
    struct compare_group *g = &c->groups[group];

    assert(group < c->group_count);
    if (own == NULL)
        return err_set(e, ERR_LIMIT, "no memory for %zu events of the ledger", count);
    for (size_t i = 0; i < count; i++) {
        own[i] = events[i];
        own[i].id = arena_copy(c->keep, events[i].id);
        own[i].name = arena_copy(c->keep, events[i].name);
        own[i].recipients = arena_copy(c->keep, events[i].recipients);
        own[i].host = arena_copy(c->keep, events[i].host);
        own[i].ip = arena_copy(c->keep, events[i].ip);
        own[i].text = arena_copy(c->keep, events[i].text);
    }
    g->own = own;
    g->own_count = count;
    if (g->count > 1)
        own_explain(g, c->keep);
    return 0;
}
