#include "store/ledger/notice.h"

#include "store/ledger/ledger_in.h"

#define KNOWN_MAX ((size_t)16 << 20) /* bytes of the findings of one domain */

const char *ledger_severity_name(enum ledger_severity s)
{
    switch (s) {
    case LEDGER_GOOD:
        return "good";
    case LEDGER_HINT:
        return "hint";
    case LEDGER_WARNING:
        return "warning";
    case LEDGER_ERROR:
        return "error";
    }
    return "";
}

static const char *const kinds[] = {
    [LEDGER_NOTICE_DRIFT] = "drift", [LEDGER_NOTICE_MENDED] = "mended"};

const char *ledger_notice_name(enum ledger_notice_kind kind)
{
    return kinds[kind];
}

bool ledger_notice_find(struct slice name, enum ledger_notice_kind *kind_out)
{
    for (size_t i = 0; i < COUNT(kinds); i++)
        if (slice_eq(name, slice_of(kinds[i]))) {
            *kind_out = (enum ledger_notice_kind)i; /* the index is the kind */
            return true;
        }
    return false;
}

/* One comparison: what was known, what is found now. */
struct comparison {
    struct ledger *l;
    struct slice domain;
    const struct ledger_finding *found;
    size_t found_n;
    struct ledger_finding *known; /* in the arena */
    size_t known_n;
    struct arena *arena;
    int64_t now_ms;
    int64_t row; /* number of the next row to be written */
    void (*notice)(void *ctx, const struct ledger_notice *notice);
    void *ctx;
};

static bool is_news(const struct ledger_finding *f)
{
    return f->severity >= LEDGER_WARNING && !f->temporary;
}

static bool is_same(const struct ledger_finding *a, const struct ledger_finding *b)
{
    return a->temporary == b->temporary && slice_eq(a->area, b->area) &&
           slice_eq(a->rule, b->rule) && slice_eq_nocase(a->name, b->name) &&
           slice_eq(a->detail, b->detail);
}

static const struct ledger_finding *find_same(const struct ledger_finding *list, size_t n,
                                              const struct ledger_finding *like)
{
    for (size_t i = 0; i < n; i++)
        if (is_same(&list[i], like))
            return &list[i];
    return NULL;
}

static bool is_silent(const struct comparison *c, struct slice area)
{
    for (size_t i = 0; i < c->found_n; i++)
        if (c->found[i].temporary && slice_eq(c->found[i].area, area))
            return true;
    return false;
}

struct ledger_finding finding_of_row(const struct db *db, int statement)
{
    return (struct ledger_finding){
        .severity = (enum ledger_severity)db_int(db, statement, 0), /* stored as one */
        .temporary = db_int(db, statement, 1) != 0,
        .area = db_text(db, statement, 2),
        .rule = db_text(db, statement, 3),
        .name = db_text(db, statement, 4),
        .detail = db_text(db, statement, 5),
        .text = db_text(db, statement, 6),
        .publish = db_text(db, statement, 7),
        .since_ms = db_int(db, statement, 8),
    };
}

static int load_known(struct comparison *c, struct err *e)
{
    struct db *db = &c->l->db;
    enum db_answer answer;

    c->known = arena_array(c->arena, LEDGER_FINDINGS_MAX, sizeof *c->known);
    if (c->known == NULL)
        return err_set(e, ERR_LIMIT, "no room for findings");
    db_bind(db, SQL_FINDINGS_OF, "t", c->domain);
    while ((answer = db_step(db, SQL_FINDINGS_OF, e)) == DB_ROW) {
        struct ledger_finding f = finding_of_row(db, SQL_FINDINGS_OF);
        struct slice *texts[] = {&f.area, &f.rule, &f.name, &f.detail, &f.text, &f.publish};

        for (size_t i = 0; i < COUNT(texts); i++)
            *texts[i] = arena_copy(c->arena, *texts[i]);
        if (c->known_n < LEDGER_FINDINGS_MAX)
            c->known[c->known_n++] = f;
    }
    return answer == DB_DONE ? 0 : -1;
}

static int write_row(struct comparison *c, const struct ledger_finding *f, int64_t since_ms,
                     struct err *e)
{
    struct db *db = &c->l->db;

    if (c->row == LEDGER_FINDINGS_MAX)
        return 0;
    db_bind(db, SQL_ADD_FINDING, "tiiitttttti", c->domain, c->row++, (int64_t)f->severity,
            (int64_t)f->temporary, f->area, f->rule, f->name, f->detail, f->text, f->publish,
            since_ms);
    return db_run(db, SQL_ADD_FINDING, e);
}

static int write_notice(struct comparison *c, enum ledger_notice_kind kind,
                        const struct ledger_finding *f, struct err *e)
{
    struct db *db = &c->l->db;
    const struct ledger_notice n = {.seq = (uint64_t)c->l->now.next_seq,
                                    .time_ms = c->now_ms,
                                    .kind = kind,
                                    .severity = f->severity,
                                    .domain = c->domain,
                                    .rule = f->rule,
                                    .name = f->name,
                                    .text = f->text,
                                    .publish = f->publish};

    db_bind(db, SQL_ADD_NOTICE, "iiiittttt", c->l->now.next_seq++, n.time_ms, (int64_t)n.kind,
            (int64_t)n.severity, n.domain, n.rule, n.name, n.text, n.publish);
    if (db_run(db, SQL_ADD_NOTICE, e) != 0)
        return -1;
    if (c->notice != NULL)
        c->notice(c->ctx, &n);
    return 0;
}

static int compare(struct comparison *c, struct err *e)
{
    for (size_t i = 0; i < c->found_n; i++) {
        const struct ledger_finding *f = &c->found[i];
        const struct ledger_finding *before = find_same(c->known, c->known_n, f);

        if (find_same(c->found, i, f) != NULL)
            continue; /* said twice */
        if (is_news(f) && (before == NULL || !is_news(before)) &&
            write_notice(c, LEDGER_NOTICE_DRIFT, f, e) != 0)
            return -1;
        if (write_row(c, f, before != NULL ? before->since_ms : c->now_ms, e) != 0)
            return -1;
    }
    for (size_t i = 0; i < c->known_n; i++) {
        const struct ledger_finding *before = &c->known[i];
        const struct ledger_finding *f = find_same(c->found, c->found_n, before);

        if (!is_news(before) || (f != NULL && is_news(f)))
            continue;
        if (is_silent(c, before->area) ? write_row(c, before, before->since_ms, e) != 0
                                       : write_notice(c, LEDGER_NOTICE_MENDED, before, e) != 0)
            return -1;
    }
    return 0;
}

int ledger_compare_findings(struct ledger *l, struct slice domain,
                            const struct ledger_finding *findings, size_t n, int64_t now_ms,
                            void (*notice)(void *ctx, const struct ledger_notice *notice),
                            void *ctx, struct err *e)
{
    struct comparison c = {.l = l,
                           .domain = domain,
                           .found = findings,
                           .found_n = n < LEDGER_FINDINGS_MAX ? n : LEDGER_FINDINGS_MAX,
                           .now_ms = now_ms,
                           .notice = notice,
                           .ctx = ctx};
    int result = -1;

    if (ledger_expect_group(l, e) != 0)
        return -1;
    c.arena = arena_create(KNOWN_MAX);
    if (load_known(&c, e) != 0)
        goto out;
    db_bind(&l->db, SQL_REMOVE_FINDINGS, "t", domain);
    if (db_run(&l->db, SQL_REMOVE_FINDINGS, e) != 0)
        goto out;
    db_bind(&l->db, SQL_SET_DOCTOR_RUN, "ti", domain, now_ms);
    if (db_run(&l->db, SQL_SET_DOCTOR_RUN, e) != 0)
        goto out;
    result = compare(&c, e);
out:
    arena_destroy(&c.arena);
    return result;
}

static bool is_among(struct slice domain, const struct slice *domains, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (slice_eq(domain, domains[i]))
            return true;
    return false;
}

int ledger_keep_findings(struct ledger *l, const struct slice *domains, size_t n, struct err *e)
{
    struct db *db = &l->db;
    struct arena *arena;
    struct slice gone[64]; /* the rest goes the next time */
    size_t gone_n = 0;
    enum db_answer answer;
    int result = -1;

    if (ledger_expect_group(l, e) != 0)
        return -1;
    arena = arena_create(KNOWN_MAX);
    while ((answer = db_step(db, SQL_DOCTOR_DOMAINS, e)) == DB_ROW) {
        struct slice domain = db_text(db, SQL_DOCTOR_DOMAINS, 0);

        if (!is_among(domain, domains, n) && gone_n < COUNT(gone))
            gone[gone_n++] = arena_copy(arena, domain);
    }
    if (answer == DB_FAILED)
        goto out;
    for (size_t i = 0; i < gone_n; i++) {
        db_bind(db, SQL_REMOVE_FINDINGS, "t", gone[i]);
        if (db_run(db, SQL_REMOVE_FINDINGS, e) != 0)
            goto out;
        db_bind(db, SQL_REMOVE_DOCTOR_RUN, "t", gone[i]);
        if (db_run(db, SQL_REMOVE_DOCTOR_RUN, e) != 0)
            goto out;
    }
    result = 0;
out:
    arena_destroy(&arena);
    return result;
}

int ledger_count_findings(struct ledger *l, uint64_t counts_out[LEDGER_ERROR + 1], struct err *e)
{
    struct db *db = &l->db;
    enum db_answer answer;

    for (int i = 0; i <= LEDGER_ERROR; i++)
        counts_out[i] = 0;
    while ((answer = db_step(db, SQL_COUNT_FINDINGS, e)) == DB_ROW) {
        int64_t severity = db_int(db, SQL_COUNT_FINDINGS, 0);

        if (severity >= 0 && severity <= LEDGER_ERROR)
            counts_out[severity] = (uint64_t)db_int(db, SQL_COUNT_FINDINGS, 1); /* a count */
    }
    return answer == DB_DONE ? 0 : -1;
}
