#include "lib/trace/summary.h"

#include "base/ascii.h"
#include "base/map.h"
#include "lib/message/header.h"
#include "lib/text/encoded_word.h"
#include "lib/trace/path.h"

#define STRUCTURE_MAX 200
#define SHOWN_MAX 300 /* bytes of a field that are kept for people */
#define RECEIVED_MAX 2000
#define NAMES_MAX 12 /* field names in one line of a diff */

/* A hash of the text without folding, white space and case of ASCII letters. */
static uint64_t hash_text(struct slice s)
{
    char window[512];
    size_t n = 0;
    uint64_t h = 0;

    for (size_t i = 0; i < s.n; i++) {
        if (ascii_is_space(s.p[i]))
            continue;
        window[n++] = ascii_lower(s.p[i]);
        if (n == sizeof window) {
            h = hash_bytes(h + 1, (struct slice){window, n});
            n = 0;
        }
    }
    return n > 0 || h == 0 ? hash_bytes(h + 1, (struct slice){window, n}) : h;
}

/* A hash of the body that does not depend on line ends, white space at their ends and empty lines
 * at its end. Zero for an empty body. */
static uint64_t hash_body(struct slice body)
{
    bool has_lf = slice_find(slice_sub(body, 0, 4096), '\n') != SLICE_NONE;
    uint64_t h = 0;
    size_t empty = 0;

    while (body.n > 0) {
        /* Files of CR lines are rare; for all others a search for LF is several times faster. */
        struct slice line = has_lf ? slice_cut(&body, '\n') : slice_line(&body);
        while (line.n > 0 && ascii_is_space(line.p[line.n - 1]))
            line.n--;
        if (line.n == 0) {
            empty++;
            continue;
        }
        h = hash_bytes(h + 1 + empty, line);
        empty = 0;
    }
    return h;
}

struct slice subject_core(struct slice subject)
{
    static const char *const prefixes[] = {"re:", "fw:", "fwd:", "aw:", "wg:", "antw:", "sv:"};
    bool again = true;

    while (again) {
        again = false;
        subject = slice_trim(subject);
        for (size_t i = 0; i < COUNT(prefixes) && !again; i++) {
            again = slice_starts_nocase(subject, slice_of(prefixes[i]));
            if (again)
                subject = slice_from(subject, strlen(prefixes[i]));
        }
        size_t close = slice_find(subject, ']');
        if (subject.n > 0 && subject.p[0] == '[' && close != SLICE_NONE && close < 40) {
            subject = slice_from(subject, close + 1);
            again = true;
        }
    }
    return subject;
}

static struct slice decoded(struct slice value, struct arena *keep)
{
    struct buf out;

    buf_init(&out, 4 * SHOWN_MAX);
    encoded_word_decode(slice_sub(value, 0, SHOWN_MAX), &out);
    struct slice s = arena_copy(keep, buf_slice(&out));
    buf_finish(&out);
    return s;
}

static void keep_received(struct mail_copy *m, const struct header *h, struct arena *keep,
                          struct arena *work)
{
    size_t count = header_count(h, "Received"), i = 0;
    const struct field *f = NULL;

    count = count > COMPARE_HOPS_MAX ? COMPARE_HOPS_MAX : count;
    struct slice *received = arena_array(keep, count, sizeof *received);
    if (received == NULL)
        return;
    while (i < count && (f = header_next(h, "Received", f)) != NULL) {
        struct received one;
        received_parse(slice_sub(f->value, 0, RECEIVED_MAX), work, &one);
        received[count - ++i] = arena_copy(keep, one.value);
    }
    m->received = received;
    m->received_count = count;
}

static void keep_fields(struct mail_copy *m, const struct header *h, struct arena *keep)
{
    size_t count = h->count > COMPARE_FIELDS_MAX ? COMPARE_FIELDS_MAX : h->count;
    struct field_mark *fields = arena_array(keep, count, sizeof *fields);

    if (fields == NULL)
        return;
    for (size_t i = 0; i < count; i++)
        fields[i] = (struct field_mark){arena_copy(keep, slice_sub(h->fields[i].name, 0, 60)),
                                        hash_text(h->fields[i].value)};
    m->fields = fields;
    m->field_count = count;
}

/* "multipart/mixed(text/plain,multipart/related(...))" */
static void append_structure(const struct mime_part *root, struct buf *out)
{
    for (const struct mime_part *p = root; p != NULL;) {
        buf_append(out, p->type.text);
        if (p->children != NULL) {
            buf_append_char(out, '(');
            p = p->children;
            continue;
        }
        while (p != root && p->next == NULL) {
            buf_append_char(out, ')');
            p = p->parent;
        }
        if (p == root)
            break;
        buf_append_char(out, ',');
        p = p->next;
    }
}

static void keep_header(struct mail_copy *m, const struct header *h, struct arena *keep)
{
    static const char *const list_signs[] = {"List-Id",        "List-Post",   "Mailing-List",
                                             "X-Mailing-List", "X-BeenThere", "List-Unsubscribe"};
    const struct field *id = header_first(h, "Message-ID");
    struct mail_date date;
    struct err e;

    if (id != NULL)
        m->message_id = arena_copy(keep, slice_sub(msgid_find(id->value), 0, 998));
    struct slice from = header_value(h, "From"), subject = header_value(h, "Subject");
    m->from = decoded(from, keep);
    m->subject = decoded(subject, keep);
    if (date_parse(header_value(h, "Date"), &date, &e) == 0)
        m->date = date.unix_s;
    m->from_hash = hash_text(from);
    m->to_hash = hash_text(header_value(h, "To")) ^ (hash_text(header_value(h, "Cc")) << 1);
    m->subject_hash = hash_text(subject_core(m->subject));
    for (size_t i = 0; i < COUNT(list_signs); i++)
        m->is_from_list = m->is_from_list || header_first(h, list_signs[i]) != NULL;
}

struct mail_copy *summary_make(struct slice name, struct slice message, struct arena *keep,
                               struct arena *work, struct mime_part **root_out)
{
    struct mail_copy *m = arena_alloc(keep, sizeof *m);
    struct header h;
    struct err e;

    *root_out = NULL;
    if (m == NULL)
        return NULL;
    m->name = arena_copy(keep, name);
    m->size = message.n;
    (void)!header_parse(message, NULL, work, &h, &e); /* what lies beyond a limit is left out */
    keep_header(m, &h, keep);
    keep_received(m, &h, keep, work);
    keep_fields(m, &h, keep);
    struct slice body = message_split(message).body;
    m->body_size = body.n;
    m->body_hash = hash_body(body);
    m->is_forwarded_inline = m->received_count == 0 && is_forwarded_inline(body);
    const struct field *type = header_first(&h, "Content-Type");
    if (type == NULL) {
        m->structure = SLICE("text/plain");
    } else if (mime_parse(message, NULL, work, root_out, &e) == 0) {
        struct buf out;
        buf_init(&out, STRUCTURE_MAX);
        append_structure(*root_out, &out);
        m->structure = arena_copy(keep, buf_slice(&out));
        buf_finish(&out);
    }
    return m;
}

/* --- what differs --- */

static const struct field_mark *find_mark(const struct mail_copy *m, struct slice name)
{
    for (size_t i = 0; i < m->field_count; i++)
        if (slice_eq_nocase(m->fields[i].name, name))
            return &m->fields[i];
    return NULL;
}

enum difference { ONLY_HERE, CHANGED };

/* Appends the names of the fields of `a` that `b` has not, or has otherwise. */
static size_t append_names(const struct mail_copy *a, const struct mail_copy *b,
                           enum difference kind, const char *label, struct buf *out)
{
    size_t found = 0;

    for (size_t i = 0; i < a->field_count; i++) {
        struct slice name = a->fields[i].name;
        const struct field_mark *other = find_mark(b, name);
        bool is_second = find_mark(a, name) != &a->fields[i];
        bool differs =
            kind == ONLY_HERE ? other == NULL : other != NULL && other->hash != a->fields[i].hash;
        if (!differs || is_second || slice_eq_nocase(name, SLICE("Received")))
            continue;
        if (found < NAMES_MAX)
            buf_printf(out, "%s%.*s", found == 0 ? label : ", ", SLICE_ARG(name));
        found++;
    }
    if (found > NAMES_MAX)
        buf_printf(out, " and %zu more", found - NAMES_MAX);
    if (found > 0)
        buf_append_char(out, '\n');
    return found;
}

void summary_diff(const struct mail_copy *a, const struct mail_copy *b, struct buf *out)
{
    append_names(a, b, ONLY_HERE, "fields gone: ", out);
    append_names(b, a, ONLY_HERE, "fields added: ", out);
    append_names(a, b, CHANGED, "fields changed: ", out);
    if (a->body_hash != b->body_hash)
        buf_printf(out, "body changed: %zu bytes, now %zu\n", a->body_size, b->body_size);
    if (!slice_eq(a->structure, b->structure))
        buf_printf(out, "parts changed: %.*s, now %.*s\n", SLICE_ARG(a->structure),
                   SLICE_ARG(b->structure));
}
