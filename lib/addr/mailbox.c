#include "lib/addr/mailbox.h"

#include "base/ascii.h"
#include "lib/addr/path.h"
#include "lib/text/encoded_word.h"

/* A run of a mailbox under construction: the words before '<', or the address itself. The text is
 * kept in pieces as written, comments aside, so that nothing is decoded before its place is known.
 */
struct draft {
    struct buf words;   /* phrase or bare address: atoms, quoted strings as written, one space */
    struct buf angle;   /* what stood between < and > */
    struct buf comment; /* the last comment, without its brackets */
    bool has_angle, broken, has_any, has_at; /* `has_at`: an '@' outside quotes is in `words` */
};
struct parse {
    struct slice rest;
    struct arena *a;
    struct mailbox *items;
    size_t count, max, capacity;
    size_t groups, broken;
    struct slice group;
    bool in_group, over;
    struct draft draft;
};

#define ELEMENT_MAX 16384 /* bytes of one mailbox; longer ones are broken */

static void draft_clear(struct draft *d)
{
    buf_clear(&d->words);
    buf_clear(&d->angle);
    buf_clear(&d->comment);
    d->has_angle = d->broken = d->has_any = d->has_at = false;
}

/* Takes a comment off *s (which begins with '('), nested ones with it; text goes to `out`. */
static void take_comment(struct slice *s, struct buf *out)
{
    size_t i = 0;
    unsigned depth = 0;

    buf_clear(out);
    for (; i < s->n; i++) {
        char c = s->p[i];
        if (c == '\\' && i + 1 < s->n) {
            buf_append_char(out, s->p[++i]);
            continue;
        }
        if (c == ')' && --depth == 0) {
            i++;
            break;
        }
        if (depth > 0)
            buf_append_char(out, c);
        depth += c == '(';
    }
    *s = slice_from(*s, i);
}

/* Copies a quoted string, quotes and all; one that never ends takes the rest and gets its quote. */
static void take_quoted(struct slice *s, struct buf *out)
{
    size_t i = 1;

    buf_append_char(out, '"');
    for (; i < s->n && s->p[i] != '"'; i++) {
        if (ascii_is_space(s->p[i]) && (s->p[i] == '\r' || s->p[i] == '\n'))
            continue;
        if (s->p[i] == '\\' && i + 1 < s->n)
            buf_append_char(out, s->p[i++]);
        buf_append_char(out, s->p[i]);
    }
    buf_append_char(out, '"');
    *s = slice_from(*s, i + (i < s->n));
}

/* Copies "[...]". */
static void take_literal(struct slice *s, struct buf *out)
{
    size_t end = slice_find(*s, ']');
    size_t n = end == SLICE_NONE ? s->n : end + 1;

    for (size_t i = 0; i < n; i++)
        if (!ascii_is_space(s->p[i]))
            buf_append_char(out, s->p[i]);
    *s = slice_from(*s, n);
}

static void unquote_words(struct slice words, struct buf *out)
{
    for (size_t i = 0; i < words.n; i++) {
        if (words.p[i] == '"')
            continue;
        if (words.p[i] == '\\' && i + 1 < words.n)
            i++;
        buf_append_char(out, words.p[i]);
    }
}

/* The display text of words or of a comment, as UTF-8 in the arena. */
static struct slice display(struct parse *p, struct slice text)
{
    struct buf plain, shown;

    buf_init(&plain, ELEMENT_MAX);
    buf_init(&shown, (size_t)4 * ELEMENT_MAX);
    unquote_words(text, &plain);
    encoded_word_decode(buf_slice(&plain), &shown);
    struct slice result = arena_copy(p->a, slice_trim(buf_slice(&shown)));
    p->over = p->over || (shown.n > 0 && result.p == NULL);
    buf_finish(&plain);
    buf_finish(&shown);
    return result;
}

/* Removes white space outside quotes; drops a source route "@a,@b:". */
static struct slice squeeze(struct buf *b)
{
    size_t n = 0;
    bool quoted = false;

    for (size_t i = 0; i < b->n; i++) {
        if (b->p[i] == '\\' && quoted && i + 1 < b->n) {
            b->p[n++] = b->p[i++];
            b->p[n++] = b->p[i];
            continue;
        }
        quoted ^= b->p[i] == '"';
        if (quoted || !ascii_is_space(b->p[i]))
            b->p[n++] = b->p[i];
    }
    struct slice s = {b->p, n};
    size_t colon = slice_find(s, ':');
    if (n > 0 && s.p[0] == '@' && colon != SLICE_NONE)
        s = slice_from(s, colon + 1);
    return s;
}

/* The last '@' outside quotes. */
static size_t at_sign(struct slice s)
{
    size_t found = SLICE_NONE;
    bool quoted = false;

    for (size_t i = 0; i < s.n; i++) {
        if (quoted && s.p[i] == '\\')
            i++;
        else if (s.p[i] == '"')
            quoted = !quoted;
        else if (s.p[i] == '@' && !quoted)
            found = i;
    }
    return found;
}

static bool add_item(struct parse *p, struct mailbox m)
{
    if (p->count == p->max) {
        p->over = true;
        return false;
    }
    if (p->count == p->capacity) {
        size_t capacity = p->capacity == 0 ? 4 : 2 * p->capacity;
        struct mailbox *items = arena_array(p->a, capacity, sizeof *items);
        if (items == NULL) {
            p->over = true;
            return false;
        }
        if (p->count > 0)
            memcpy(items, p->items, p->count * sizeof *items);
        p->items = items;
        p->capacity = capacity;
    }
    p->items[p->count++] = m;
    return true;
}

/* No character that belongs to the syntax of lists; a literal has both its brackets. */
static bool is_domain_text(struct slice s)
{
    if (s.n > 0 && s.p[0] == '[')
        return s.n > 2 && slice_find(s, ']') == s.n - 1;
    for (size_t i = 0; i < s.n; i++)
        if (ascii_is_control(s.p[i]) || strchr("()<>[]:;@\\,\"", s.p[i]) != NULL)
            return false;
    return true;
}

/* Only letters and dots, though maybe dots in the wrong places ("a..b"): it stays as its owner has
 * it. */
static bool is_plain_local(struct slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= ' ' || s.p[i] == 0x7f || strchr("()<>[]:;@\\,\"", s.p[i]) != NULL)
            return false;
    return true;
}

/* Ends the element that was being read. */
static void finish_element(struct parse *p)
{
    struct draft *d = &p->draft;
    struct mailbox m = {.group = p->group};
    struct buf local;

    if (!d->has_any)
        return;
    bool bare_words = !d->has_angle;
    struct slice address = squeeze(bare_words ? &d->words : &d->angle);
    size_t at = at_sign(address);
    struct slice raw_local = at == SLICE_NONE ? address : slice_sub(address, 0, at);
    m.domain = at == SLICE_NONE ? (struct slice){NULL, 0} : slice_from(address, at + 1);
    bool spaced = bare_words && at == SLICE_NONE && d->words.n != address.n;
    if (d->broken || d->words.full || d->angle.full || raw_local.n == 0 || spaced ||
        (at != SLICE_NONE && m.domain.n == 0) || !is_domain_text(m.domain)) {
        p->broken++;
        draft_clear(d);
        return;
    }
    buf_init(&local, ELEMENT_MAX);
    unquote_words(raw_local, &local);
    m.local = arena_copy(p->a, buf_slice(&local));
    buf_clear(&local);
    if (is_plain_local(m.local))
        buf_append(&local, m.local);
    else
        path_local_quoted(m.local, &local);
    if (at != SLICE_NONE)
        buf_append_char(&local, '@');
    buf_append(&local, m.domain);
    m.address = arena_copy(p->a, buf_slice(&local));
    m.domain = slice_from(m.address, m.address.n - m.domain.n);
    buf_finish(&local);
    p->over = p->over || m.address.p == NULL || m.local.p == NULL;
    m.name =
        display(p, d->has_angle && d->words.n > 0 ? buf_slice(&d->words) : buf_slice(&d->comment));
    if (m.local.n == 0)
        p->broken++;
    else if (!p->over)
        (void)add_item(p, m);
    draft_clear(d);
}

/* "<...>": an address in brackets; the closing one may be missing. */
static void take_angle(struct parse *p)
{
    struct draft *d = &p->draft;
    struct buf ignored;

    buf_init(&ignored, ELEMENT_MAX);
    d->broken = d->broken || d->has_angle;
    d->has_angle = true;
    p->rest = slice_from(p->rest, 1);
    while (p->rest.n > 0 && p->rest.p[0] != '>') {
        if (p->rest.p[0] == '(') {
            take_comment(&p->rest, &ignored);
        } else if (p->rest.p[0] == '"') {
            take_quoted(&p->rest, &d->angle);
        } else if (p->rest.p[0] == '[') {
            take_literal(&p->rest, &d->angle);
        } else {
            buf_append_char(&d->angle, p->rest.p[0]);
            p->rest = slice_from(p->rest, 1);
        }
    }
    p->rest = slice_from(p->rest, 1);
    buf_finish(&ignored);
}

static void open_group(struct parse *p)
{
    p->group = display(p, slice_trim(buf_slice(&p->draft.words)));
    p->in_group = true;
    p->groups++;
    draft_clear(&p->draft);
}

/* One separator or word at the start of the rest. */
static void step(struct parse *p)
{
    struct draft *d = &p->draft;
    char c = p->rest.p[0];

    if (c == ',' || (c == ';' && !p->in_group)) { /* some write ';' between addresses */
        finish_element(p);
    } else if (c == ';') {
        finish_element(p);
        p->in_group = false;
        p->group = (struct slice){NULL, 0};
    } else if (c == ':' && !p->in_group && !d->has_angle && !d->has_at && d->words.n > 0) {
        open_group(p);
    } else if (c == '<') {
        d->has_any = true;
        take_angle(p);
        return;
    } else if (c == '(') {
        take_comment(&p->rest, &d->comment);
        return;
    } else if (c == '"') {
        d->has_any = true;
        take_quoted(&p->rest, &d->words);
        return;
    } else if (c == '[') {
        d->has_any = true;
        take_literal(&p->rest, &d->words);
        return;
    } else if (ascii_is_space(c)) {
        if (d->words.n > 0 && d->words.p[d->words.n - 1] != ' ')
            buf_append_char(&d->words, ' ');
    } else {
        d->has_any = true;
        d->has_at = d->has_at || c == '@';
        buf_append_char(&d->words, c);
    }
    p->rest = slice_from(p->rest, 1);
}

int mailbox_list_parse(struct slice value, size_t max, struct arena *a,
                       struct mailbox_list *list_out, struct err *e)
{
    struct parse p = {.rest = value, .a = a, .max = max};

    buf_init(&p.draft.words, ELEMENT_MAX);
    buf_init(&p.draft.angle, ELEMENT_MAX);
    buf_init(&p.draft.comment, ELEMENT_MAX);
    while (p.rest.n > 0 && !p.over)
        step(&p);
    if (!p.over)
        finish_element(&p);
    buf_finish(&p.draft.words);
    buf_finish(&p.draft.angle);
    buf_finish(&p.draft.comment);
    *list_out = (struct mailbox_list){p.items, p.count, p.groups, p.broken};
    if (p.over)
        return err_set(e, ERR_LIMIT, "more than %zu addresses, or no room for them", p.count);
    return 0;
}

static bool is_phrase_char(char c)
{
    return ascii_is_alnum(c) || c == ' ' || (c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL);
}

void mailbox_format(const struct mailbox *m, struct buf *out)
{
    bool plain = true, ascii = true;

    if (m->name.n == 0) {
        buf_append(out, m->address);
        return;
    }
    for (size_t i = 0; i < m->name.n; i++) {
        plain = plain && is_phrase_char(m->name.p[i]);
        ascii = ascii && m->name.p[i] >= ' ' && m->name.p[i] < 0x7f;
    }
    if (!ascii || slice_search(m->name, SLICE("=?")) != SLICE_NONE)
        encoded_word_encode(m->name, out);
    else if (plain)
        buf_append(out, m->name);
    else {
        buf_append_char(out, '"');
        for (size_t i = 0; i < m->name.n; i++) {
            if (m->name.p[i] == '"' || m->name.p[i] == '\\')
                buf_append_char(out, '\\');
            buf_append_char(out, m->name.p[i]);
        }
        buf_append_char(out, '"');
    }
    buf_append_text(out, " <");
    buf_append(out, m->address);
    buf_append_char(out, '>');
}
