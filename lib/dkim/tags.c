#include "lib/dkim/tags_in.h"

#include "base/ascii.h"

#define LABEL_MAX 63
#define DOMAIN_MAX 253

struct slice dkim_trim(struct slice s)
{
    while (s.n > 0 && ascii_is_space(s.p[0]))
        s = slice_from(s, 1);
    while (s.n > 0 && ascii_is_space(s.p[s.n - 1]))
        s.n--;
    return s;
}

static bool is_tag_name(struct slice name)
{
    if (name.n == 0 || !ascii_is_alpha(name.p[0]))
        return false;
    for (size_t i = 1; i < name.n; i++) {
        if (!ascii_is_alnum(name.p[i]) && name.p[i] != '_')
            return false;
    }
    return true;
}

/* tval: VALCHARs with white space between them; octets of UTF-8 are taken (RFC 8616). */
static bool is_tag_value(struct slice value)
{
    for (size_t i = 0; i < value.n; i++) {
        if (ascii_is_control(value.p[i]) && !ascii_is_space(value.p[i]))
            return false;
    }
    return true;
}

static int read_tag(struct slice spec, struct dkim_tags *tags, struct err *err)
{
    size_t equals = slice_find(spec, '=');
    struct dkim_tag tag;

    if (equals == SLICE_NONE)
        return err_set(err, ERR_SYNTAX, "\"%.*s\" is no tag=value",
                       SLICE_ARG(slice_sub(spec, 0, 60)));
    tag.name = dkim_trim(slice_sub(spec, 0, equals));
    tag.span = slice_from(spec, equals + 1);
    tag.value = dkim_trim(tag.span);
    if (!is_tag_name(tag.name))
        return err_set(err, ERR_SYNTAX, "\"%.*s\" is no tag name",
                       SLICE_ARG(slice_sub(tag.name, 0, 60)));
    if (!is_tag_value(tag.value))
        return err_set(err, ERR_SYNTAX, "a control character in the tag %.*s=",
                       SLICE_ARG(slice_sub(tag.name, 0, 60)));
    for (size_t i = 0; i < tags->count; i++) {
        if (slice_eq(tags->list[i].name, tag.name))
            return err_set(err, ERR_SYNTAX, "the tag %.*s= is there twice",
                           SLICE_ARG(slice_sub(tag.name, 0, 60)));
    }
    if (tags->count == DKIM_TAGS_MAX)
        return err_set(err, ERR_LIMIT, "more than %d tags", DKIM_TAGS_MAX);
    tags->list[tags->count++] = tag;
    return 0;
}

int dkim_tags_read(struct slice text, struct dkim_tags *tags_out, struct err *err)
{
    struct slice rest = text;

    tags_out->count = 0;
    if (dkim_trim(text).n == 0)
        return err_set(err, ERR_SYNTAX, "there are no tags");
    while (rest.n > 0) {
        struct slice spec = slice_cut(&rest, ';');

        if (read_tag(spec, tags_out, err) != 0) {
            dkim_clean(err);
            return -1;
        }
        if (dkim_trim(rest).n == 0)
            break; /* the ';' after the last tag may be there */
    }
    return 0;
}

const struct dkim_tag *dkim_tags_find(const struct dkim_tags *tags, const char *name)
{
    struct slice wanted = slice_of(name);

    for (size_t i = 0; i < tags->count; i++) {
        if (slice_eq(tags->list[i].name, wanted))
            return &tags->list[i];
    }
    return NULL;
}

/* A digit of base64, padding, white space, or 0 for what may not be there. */
enum { NEITHER, DIGIT, PADDING, SPACE };
#define DIGITS_4(a) [(a)] = DIGIT, [(a) + 1] = DIGIT, [(a) + 2] = DIGIT, [(a) + 3] = DIGIT
#define DIGITS_24(a)                                                                               \
    DIGITS_4(a), DIGITS_4((a) + 4), DIGITS_4((a) + 8), DIGITS_4((a) + 12), DIGITS_4((a) + 16),     \
        DIGITS_4((a) + 20)
static const unsigned char base64_kinds[256] = {
    DIGITS_24('A'),  ['Y'] = DIGIT, ['Z'] = DIGIT,  DIGITS_24('a'), ['y'] = DIGIT,  ['z'] = DIGIT,
    DIGITS_4('0'),   DIGITS_4('4'), ['8'] = DIGIT,  ['9'] = DIGIT,  ['+'] = DIGIT,  ['/'] = DIGIT,
    ['='] = PADDING, [' '] = SPACE, ['\t'] = SPACE, ['\r'] = SPACE, ['\n'] = SPACE,
};

static unsigned digit_value(char c)
{
    if (ascii_is_upper(c))
        return (unsigned)(c - 'A'); /* each difference is positive */
    if (ascii_is_lower(c))
        return (unsigned)(c - 'a') + 26;
    if (ascii_is_digit(c))
        return (unsigned)(c - '0') + 52;
    return c == '+' ? 62 : 63;
}

/* `text` was judged before; octets that are not whole are left out. */
static size_t decode(struct slice text, char *to)
{
    uint32_t bits = 0;
    unsigned held = 0;
    size_t n = 0;

    for (size_t i = 0; i < text.n; i++) {
        if (base64_kinds[(unsigned char)text.p[i]] != DIGIT)
            continue;
        bits = bits << 6 | digit_value(text.p[i]);
        held += 6;
        if (held >= 8) {
            held -= 8;
            to[n++] = (char)(bits >> held & 0xff);
        }
    }
    return n;
}

int dkim_base64_read(struct slice text, const char *what, struct buf *out, struct err *err)
{
    size_t digits = 0, padding = 0;
    char *to;

    for (size_t i = 0; i < text.n; i++) {
        unsigned kind = base64_kinds[(unsigned char)text.p[i]];

        if (kind == DIGIT && padding == 0)
            digits++;
        else if (kind == PADDING)
            padding++;
        else if (kind != SPACE)
            return err_set(err, ERR_SYNTAX, "%s is not base64", what);
    }
    if (digits == 0)
        return err_set(err, ERR_SYNTAX, "%s is empty", what);
    if (digits % 4 == 1 || padding > 2 || (padding > 0 && (digits + padding) % 4 != 0))
        return err_set(err, ERR_SYNTAX, "%s is base64 that was cut", what);
    if (out == NULL)
        return 0;
    to = buf_room(out, digits * 3 / 4);
    if (to == NULL) {
        out->full = false;
        return err_set(err, ERR_LIMIT, "%s is too long", what);
    }
    buf_claim(out, decode(text, to));
    return 0;
}

bool dkim_list_has(struct slice list, struct slice word)
{
    while (list.n > 0) {
        if (slice_eq(dkim_trim(slice_cut(&list, ':')), word))
            return true;
    }
    return false;
}

bool dkim_number_read(struct slice text, uint64_t *value_out)
{
    if (text.n == 0)
        return false;
    for (size_t i = 0; i < text.n; i++) {
        if (!ascii_is_digit(text.p[i]))
            return false;
    }
    if (!slice_to_u64(text, value_out))
        *value_out = UINT64_MAX;
    return true;
}

static bool is_label(struct slice label)
{
    if (label.n == 0 || label.n > LABEL_MAX || label.p[0] == '-' || label.p[label.n - 1] == '-')
        return false;
    for (size_t i = 0; i < label.n; i++) {
        char c = label.p[i];

        if (!ascii_is_alnum(c) && c != '-' && c != '_' && (unsigned char)c < 0x80)
            return false;
    }
    return true;
}

bool dkim_is_domain(struct slice name, unsigned labels)
{
    unsigned count = 0;

    if (name.n == 0 || name.n > DOMAIN_MAX || name.p[name.n - 1] == '.')
        return false;
    while (name.n > 0) {
        if (!is_label(slice_cut(&name, '.')))
            return false;
        count++;
    }
    return count >= labels;
}

bool dkim_is_within(struct slice name, struct slice parent)
{
    if (name.n == parent.n)
        return slice_eq_nocase(name, parent);
    return name.n > parent.n && name.p[name.n - parent.n - 1] == '.' &&
           slice_ends_nocase(name, parent);
}

void dkim_clean(struct err *err)
{
    for (char *c = err->text; *c != '\0'; c++) {
        if (ascii_is_control(*c))
            *c = ascii_is_space(*c) ? ' ' : '?';
    }
}
