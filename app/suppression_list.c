#include "app/suppression_list.h"

#include "base/ascii.h"
#include "lib/bounce/taxonomy.h"
#include "lib/message/date.h"

#define COLUMNS_MAX 64

enum column {
    COLUMN_OTHER,
    COLUMN_ADDRESS,
    COLUMN_REASON,
    COLUMN_SCOPE,
    COLUMN_UNTIL,
    COLUMN_EVIDENCE
};

static enum column column_of(struct slice name)
{
    static const struct {
        const char *name;
        enum column column;
    } known[] = {
        {"email", COLUMN_ADDRESS},         {"address", COLUMN_ADDRESS},
        {"recipient", COLUMN_ADDRESS},     {"emailaddress", COLUMN_ADDRESS},
        {"email address", COLUMN_ADDRESS}, {"email_address", COLUMN_ADDRESS},
        {"reason", COLUMN_REASON},         {"suppressionreason", COLUMN_REASON},
        {"type", COLUMN_REASON},           {"scope", COLUMN_SCOPE},
        {"stream", COLUMN_SCOPE},          {"until", COLUMN_UNTIL},
        {"evidence", COLUMN_EVIDENCE},
    };

    name = slice_trim(name);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (slice_eq_nocase(name, slice_of(known[i].name)))
            return known[i].column;
    return COLUMN_OTHER;
}

/* What the service calls it, in our words. */
static const char *reason_of(struct slice text)
{
    static const struct {
        const char *starts, *reason;
    } known[] = {
        {"hardbounce", "invalid_recipient"},
        {"hard", "invalid_recipient"},
        {"bounce", "invalid_recipient"},
        {"invalid", "invalid_recipient"},
        {"550", "invalid_recipient"},
        {"spamcomplaint", "complaint"},
        {"complain", "complaint"},
        {"spam", "complaint"},
        {"abuse", "complaint"},
        {"unsub", "unsubscribe"},
        {"manual", "manual"},
    };
    enum bounce_category category;

    if (bounce_category_find(text, &category))
        return bounce_meaning(category)->name;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (slice_starts_nocase(text, slice_of(known[i].starts)))
            return known[i].reason;
    return "manual";
}

struct reading {
    struct arena *arena;
    void (*entry)(void *ctx, const struct suppression_entry *entry);
    void *ctx;
    size_t skipped;
    struct suppression_entry now;
    struct slice reason;
};

/* "2026-11-23 22:34:00.123", as export writes it; 0: none, or something else. */
static int64_t time_of(struct slice text)
{
    static const struct {
        char end;
        uint64_t min, max;
    } parts[] = {{'-', 1970, 9999}, {'-', 1, 12}, {' ', 1, 31},
                 {':', 0, 23},      {':', 0, 59}, {'.', 0, 60}};
    uint64_t n[COUNT(parts)], ms = 0;

    for (size_t i = 0; i < COUNT(parts); i++)
        if (!slice_to_u64(slice_cut(&text, parts[i].end), &n[i]) || n[i] < parts[i].min ||
            n[i] > parts[i].max)
            return 0;
    if (text.n > 0 && (text.n != 3 || !slice_to_u64(text, &ms)))
        return 0;
    return date_from_civil((int64_t)n[0], (unsigned)n[1], (unsigned)n[2], (unsigned)n[3],
                           (unsigned)n[4], (unsigned)n[5]) *
               1000 +
           (int64_t)ms; /* all in range, see above */
}

static void set(struct reading *r, enum column column, struct slice value)
{
    value = slice_trim(value);
    switch (column) {
    case COLUMN_ADDRESS:
        r->now.address = value;
        break;
    case COLUMN_REASON:
        r->reason = value;
        break;
    case COLUMN_SCOPE:
        r->now.scope = value;
        break;
    case COLUMN_UNTIL:
        r->now.until_ms = time_of(value);
        break;
    case COLUMN_EVIDENCE:
        r->now.detail = value;
        break;
    case COLUMN_OTHER:
        break;
    }
}

static bool is_address(struct slice s)
{
    size_t at = slice_find_last(s, '@');

    if (at == SLICE_NONE || at == 0 || at + 1 == s.n || s.n > 320)
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (ascii_is_control(s.p[i]) || s.p[i] == ' ')
            return false;
    return true;
}

static void forget_entry(struct reading *r)
{
    r->now = (struct suppression_entry){0};
    r->reason = (struct slice){0};
}

static void end_entry(struct reading *r)
{
    if (is_address(r->now.address)) {
        r->now.reason = reason_of(r->reason);
        if (r->now.detail.n == 0)
            r->now.detail = r->reason;
        r->entry(r->ctx, &r->now);
    } else {
        r->skipped++;
    }
    forget_entry(r);
}

/* --- CSV (RFC 4180) --- */

/* The next field of a row; *last_out: the row ends behind it. */
static struct slice csv_field(struct slice *rest, struct arena *arena, bool *last_out)
{
    size_t n = 0, i = 0;
    char *text;

    *last_out = true;
    if (rest->n == 0 || rest->p[0] != '"') {
        while (i < rest->n && rest->p[i] != ',' && rest->p[i] != '\n')
            i++;
        struct slice field = slice_sub(*rest, 0, i);
        *last_out = i >= rest->n || rest->p[i] == '\n';
        *rest = slice_from(*rest, i + 1);
        return field;
    }
    text = arena_array(arena, rest->n, 1);
    for (i = 1; text != NULL && i < rest->n; i++) {
        if (rest->p[i] == '"' && i + 1 < rest->n && rest->p[i + 1] == '"')
            i++;
        else if (rest->p[i] == '"')
            break;
        text[n++] = rest->p[i];
    }
    while (i < rest->n && rest->p[i] != ',' && rest->p[i] != '\n')
        i++;
    *last_out = i >= rest->n || rest->p[i] == '\n';
    *rest = slice_from(*rest, i + 1);
    return (struct slice){text, n};
}

static void read_csv(struct reading *r, struct slice rest)
{
    enum column columns[COLUMNS_MAX] = {COLUMN_ADDRESS, COLUMN_REASON}; /* without a header row */
    bool last, first = true;

    while (rest.n > 0) {
        enum column found[COLUMNS_MAX] = {0};
        bool is_header = false, any = false;
        size_t n = 0;
        do {
            struct slice line = slice_sub(rest, 0, 65536);
            size_t before = line.n;
            struct slice field = csv_field(&line, r->arena, &last);
            rest = slice_from(rest, before - line.n);
            if (n == COLUMNS_MAX)
                continue;
            any = any || slice_trim(field).n > 0;
            found[n] = column_of(field);
            is_header = is_header || (first && found[n] == COLUMN_ADDRESS);
            set(r, columns[n], field);
            n++;
        } while (!last && rest.n > 0);
        if (is_header) {
            memcpy(columns, found, sizeof columns);
            forget_entry(r);
        } else if (any) {
            end_entry(r);
        } else {
            forget_entry(r);
        }
        first = false;
    }
}

/* --- JSON: strings behind known names, whatever stands around them --- */

static struct slice json_text(struct slice *rest, struct arena *arena)
{
    size_t n = 0, i = 1, max = rest->n < 65536 ? rest->n : 65536;
    char *text = arena_array(arena, max, 1);

    for (; text != NULL && i < max && rest->p[i] != '"'; i++) {
        if (rest->p[i] == '\\' && i + 1 < max)
            i++;
        text[n++] = rest->p[i];
    }
    *rest = slice_from(*rest, i + 1);
    return (struct slice){text, n};
}

static void read_json(struct reading *r, struct slice rest)
{
    enum column column = COLUMN_OTHER;
    bool any = false;

    while (rest.n > 0) {
        char c = rest.p[0];
        if (c == '"') {
            struct slice text = json_text(&rest, r->arena);
            struct slice after = slice_trim_start(rest);
            if (after.n > 0 && after.p[0] == ':') {
                column = column_of(text);
                rest = slice_from(after, 1);
            } else {
                any = any || column == COLUMN_ADDRESS;
                set(r, column, text);
                column = COLUMN_OTHER;
            }
            continue;
        }
        if (c == '}' && any) {
            end_entry(r);
            any = false;
        }
        rest = slice_from(rest, 1);
    }
}

void suppression_list_read(struct slice file, struct arena *arena,
                           void (*entry)(void *ctx, const struct suppression_entry *entry),
                           void *ctx, size_t *skipped_out)
{
    struct reading r = {.arena = arena, .entry = entry, .ctx = ctx};
    struct slice start;

    if (slice_starts(file, SLICE("\xef\xbb\xbf")))
        file = slice_from(file, 3);
    start = slice_trim_start(file);
    if (start.n > 0 && (start.p[0] == '{' || start.p[0] == '['))
        read_json(&r, start);
    else
        read_csv(&r, start);
    *skipped_out = r.skipped;
}
