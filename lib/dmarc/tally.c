#include "lib/dmarc/tally.h"

#include "base/ascii.h"
#include "base/utf8.h"

/* A field is one letter and its text; fields are joined by TAB. */
#define INTO(type, member, letter)                                                                 \
    {                                                                                              \
        (letter), offsetof(struct type, member)                                                    \
    }
struct field {
    char letter;
    size_t offset;
};
static const struct field row_fields[] = {
    INTO(dmarc_row, source_ip, 'i'),   INTO(dmarc_row, disposition, 'd'),
    INTO(dmarc_row, dkim, 'k'),        INTO(dmarc_row, spf, 's'),
    INTO(dmarc_row, header_from, 'h'), INTO(dmarc_row, envelope_from, 'e'),
    INTO(dmarc_row, envelope_to, 't'),
};
static const struct field reason_fields[] = {
    INTO(dmarc_reason, type, 'R'),
    INTO(dmarc_reason, comment, 'c'),
};
/* D and S begin a result. */
static const struct field auth_fields[] = {
    INTO(dmarc_auth, domain, 'D'),
    INTO(dmarc_auth, selector, 'l'),
    INTO(dmarc_auth, scope, 'o'),
    INTO(dmarc_auth, result, 'u'),
};
static const struct field policy_fields[] = {
    INTO(dmarc_report, domain, 'D'), INTO(dmarc_report, p, 'p'),
    INTO(dmarc_report, sp, 's'),     INTO(dmarc_report, np, 'n'),
    INTO(dmarc_report, adkim, 'k'),  INTO(dmarc_report, aspf, 'a'),
    INTO(dmarc_report, fo, 'f'),     INTO(dmarc_report, testing, 't'),
    INTO(dmarc_report, pct, 'c'),    INTO(dmarc_report, discovery_method, 'm'),
};
static const struct field source_fields[] = {
    INTO(dmarc_report, org_name, 'O'),
    INTO(dmarc_report, email, 'E'),
    INTO(dmarc_report, report_id, 'I'),
};

/* --- writing --- */

/* At most DMARC_TALLY_TEXT_MAX bytes, whole characters. */
static struct slice cut(struct slice text)
{
    size_t n = text.n < DMARC_TALLY_TEXT_MAX ? text.n : DMARC_TALLY_TEXT_MAX;

    while (n < text.n && n > 0 && ((unsigned char)text.p[n] & 0xc0) == 0x80)
        n--;
    return slice_sub(text, 0, n);
}

/* U+FFFE and U+FFFF are UTF-8, but XML cannot hold them. */
static bool is_no_character(struct slice text, size_t at)
{
    for (size_t back = 0; back < 3 && back <= at; back++) {
        struct slice here = slice_from(text, at - back);

        if (slice_starts(here, SLICE("\xef\xbf\xbe")) || slice_starts(here, SLICE("\xef\xbf\xbf")))
            return true;
    }
    return false;
}

static void append_field(struct buf *out, char letter, struct slice text)
{
    char room[DMARC_TALLY_TEXT_MAX * 3 + 8];
    struct buf clean = {.p = room, .cap = sizeof room, .max = sizeof room};

    if (text.n == 0)
        return;
    utf8_append_clean(&clean, cut(text));
    text = slice_trim(cut(buf_slice(&clean)));
    if (text.n == 0)
        return;
    buf_append_char(out, letter);
    for (size_t i = 0; i < text.n; i++)
        buf_append_char(out,
                        ascii_is_control(text.p[i]) || is_no_character(text, i) ? '?' : text.p[i]);
    buf_append_char(out, '\t');
}

static void append_fields(struct buf *out, const struct field *fields, size_t count,
                          const void *owner)
{
    for (size_t i = 0; i < count; i++)
        append_field(out, fields[i].letter,
                     *(const struct slice *)(const void *)((const char *)owner + fields[i].offset));
}

static void append_mark(struct buf *out, char letter, struct slice text)
{
    size_t before = out->n;

    append_field(out, letter, text);
    if (out->n > before)
        return;
    buf_append_char(out, letter); /* it stands there even if it is empty: it begins something */
    buf_append_char(out, '\t');
}

void dmarc_tally_write_row(const struct dmarc_row *row, struct buf *out)
{
    unsigned reasons = 0, auths = 0;

    append_fields(out, row_fields, COUNT(row_fields), row);
    for (const struct dmarc_reason *x = row->reasons; x && reasons < DMARC_TALLY_REASONS_MAX;
         x = x->next, reasons++) {
        append_mark(out, 'R', x->type);
        append_field(out, 'c', x->comment);
    }
    for (const struct dmarc_auth *a = row->auths; a && auths < DMARC_TALLY_AUTHS_MAX;
         a = a->next, auths++) {
        append_mark(out, a->is_dkim ? 'D' : 'S', a->domain);
        append_field(out, a->is_dkim ? 'l' : 'o', a->is_dkim ? a->selector : a->scope);
        append_field(out, 'u', a->result);
    }
}

void dmarc_tally_write_policy(const struct dmarc_report *r, struct buf *out)
{
    append_fields(out, policy_fields, COUNT(policy_fields), r);
}

/* --- reading --- */

static bool keep(const struct field *fields, size_t count, void *owner, struct slice field)
{
    for (size_t i = 0; owner != NULL && i < count; i++)
        if (fields[i].letter == field.p[0]) {
            *(struct slice *)(void *)((char *)owner + fields[i].offset) = slice_from(field, 1);
            return true;
        }
    return false;
}

struct row_reader {
    struct arena *arena;
    struct dmarc_row *row;
    struct dmarc_reason *reason, **last_reason;
    struct dmarc_auth *auth, **last_auth;
    unsigned reasons, auths;
};

static bool begin_reason(struct row_reader *r)
{
    if (r->reasons++ == DMARC_TALLY_REASONS_MAX)
        return false;
    r->reason = arena_alloc(r->arena, sizeof *r->reason);
    if (!r->reason)
        return false;
    *r->last_reason = r->reason;
    r->last_reason = &r->reason->next;
    return true;
}

static bool begin_auth(struct row_reader *r, bool is_dkim)
{
    if (r->auths++ == DMARC_TALLY_AUTHS_MAX)
        return false;
    r->auth = arena_alloc(r->arena, sizeof *r->auth);
    if (!r->auth)
        return false;
    r->auth->is_dkim = is_dkim;
    *r->last_auth = r->auth;
    r->last_auth = &r->auth->next;
    return true;
}

static bool read_row_field(struct row_reader *r, struct slice field)
{
    char letter = field.p[0];

    if (letter == 'R' && !begin_reason(r))
        return false;
    if ((letter == 'D' || letter == 'S') && !begin_auth(r, letter == 'D'))
        return false;
    if (letter == 'S') {
        r->auth->domain = slice_from(field, 1);
        return true;
    }
    return keep(row_fields, COUNT(row_fields), r->row, field) ||
           keep(reason_fields, COUNT(reason_fields), r->reason, field) ||
           keep(auth_fields, COUNT(auth_fields), r->auth, field);
}

bool dmarc_tally_read_row(struct slice line, struct arena *arena, struct dmarc_row *row_out)
{
    struct row_reader r = {.arena = arena,
                           .row = row_out,
                           .last_reason = &row_out->reasons,
                           .last_auth = &row_out->auths};

    *row_out = (struct dmarc_row){0};
    if (line.n == 0 || line.n > DMARC_TALLY_LINE_MAX)
        return false;
    while (line.n > 0) {
        struct slice field = slice_cut(&line, '\t');

        if (field.n > 0 && !read_row_field(&r, field))
            return false;
    }
    return true;
}

bool dmarc_tally_read_policy(struct slice line, struct dmarc_report *report_out)
{
    while (line.n > 0) {
        struct slice field = slice_cut(&line, '\t');

        if (field.n > 0 && !keep(policy_fields, COUNT(policy_fields), report_out, field))
            return false;
    }
    return true;
}

/* --- pieces --- */

/* Line 1: FIRST SP LAST SP BEGIN SP END; 2: the source; 3: the policy; then COUNT SP row. */
static void append_head(const struct dmarc_report *r, uint64_t first, bool is_last, struct buf *out)
{
    buf_printf(out, "%llu %d %llu %llu\n", (unsigned long long)first, is_last,
               (unsigned long long)r->begin_unix_s, (unsigned long long)r->end_unix_s);
    append_fields(out, source_fields, COUNT(source_fields), r);
    buf_append_char(out, '\n');
    dmarc_tally_write_policy(r, out);
    buf_append_char(out, '\n');
}

const struct dmarc_row *dmarc_tally_write_piece(const struct dmarc_report *r,
                                                const struct dmarc_row *row, uint64_t first,
                                                size_t bytes_max, struct buf *out,
                                                uint64_t *count_out)
{
    struct buf rows;

    *count_out = 0;
    buf_init(&rows, bytes_max + DMARC_TALLY_LINE_MAX + 64);
    for (; row; row = row->next) {
        size_t before = rows.n;

        buf_printf(&rows, "%llu ", (unsigned long long)row->count);
        dmarc_tally_write_row(row, &rows);
        buf_append_char(&rows, '\n');
        if (rows.n > bytes_max && *count_out > 0) {
            rows.n = before;
            break;
        }
        ++*count_out;
    }
    append_head(r, first, row == NULL, out);
    buf_append(out, buf_slice(&rows));
    buf_finish(&rows);
    return row;
}

static bool next_number(struct slice *line, uint64_t *value_out)
{
    return slice_to_u64(slice_cut(line, ' '), value_out);
}

bool dmarc_tally_read_piece(struct slice text, struct dmarc_piece *piece_out,
                            struct slice *rows_out)
{
    struct slice head = slice_cut(&text, '\n'), source = slice_cut(&text, '\n');
    struct slice policy = slice_cut(&text, '\n');
    uint64_t last, begin, end;

    *piece_out = (struct dmarc_piece){0};
    if (!next_number(&head, &piece_out->first) || !next_number(&head, &last) || last > 1 ||
        !next_number(&head, &begin) || !next_number(&head, &end) || begin > INT64_MAX ||
        end > INT64_MAX || !dmarc_tally_read_policy(policy, &piece_out->report))
        return false;
    while (source.n > 0) {
        struct slice field = slice_cut(&source, '\t');

        if (field.n > 0 && !keep(source_fields, COUNT(source_fields), &piece_out->report, field))
            return false;
    }
    piece_out->is_last = last == 1;
    piece_out->report.begin_unix_s = (int64_t)begin;
    piece_out->report.end_unix_s = (int64_t)end;
    *rows_out = text;
    return true;
}

bool dmarc_tally_next_row(struct slice *rows, struct slice *line_out, uint64_t *count_out)
{
    if (rows->n == 0)
        return false;
    *line_out = slice_cut(rows, '\n');
    return next_number(line_out, count_out) && line_out->n <= DMARC_TALLY_LINE_MAX;
}
