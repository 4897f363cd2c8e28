#include <assert.h>

#include "base/ascii.h"
#include "rt/conf/conf_in.h"

static const struct unit {
    const char *name;
    int64_t factor;
} sizes[] = {{"TiB", (int64_t)1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}},
  times[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};

bool conf_is_list(enum conf_kind kind)
{
    return kind == TEXTS || kind == TIMES || kind == NETWORKS;
}

/* --- reading --- */

static bool find_unit(struct slice name, const struct unit *units, size_t count, int64_t *factor)
{
    for (size_t i = 0; i < count; i++) {
        if (slice_eq(name, slice_of(units[i].name))) {
            *factor = units[i].factor;
            return true;
        }
    }
    return false;
}

/* Digits and a unit, once or more: "50MiB", "1h30m". A lone number of bytes needs no unit. */
static bool read_quantity(struct slice text, const struct unit *units, size_t unit_count, bool bare,
                          int64_t *value_out)
{
    int64_t total = 0, factor, part;
    uint64_t number;

    if (bare && slice_to_u64(text, &number) && number <= INT64_MAX) {
        *value_out = (int64_t)number;
        return true;
    }
    if (text.n == 0)
        return false;
    while (text.n > 0) {
        size_t digits = 0, end;

        while (digits < text.n && ascii_is_digit(text.p[digits]))
            digits++;
        for (end = digits; end < text.n && !ascii_is_digit(text.p[end]);)
            end++;
        if (!slice_to_u64(slice_sub(text, 0, digits), &number) || number > INT64_MAX ||
            !find_unit(slice_sub(text, digits, end - digits), units, unit_count, &factor) ||
            __builtin_mul_overflow((int64_t)number, factor, &part) ||
            __builtin_add_overflow(total, part, &total))
            return false;
        text = slice_from(text, end);
    }
    *value_out = total;
    return true;
}

static bool read_time(struct slice text, int64_t *ms_out)
{
    return read_quantity(text, times, COUNT(times), false, ms_out);
}

static bool read_size(struct slice text, int64_t *bytes_out)
{
    return read_quantity(text, sizes, COUNT(sizes), true, bytes_out);
}

static bool read_number(struct slice text, int64_t *value_out)
{
    uint64_t value;

    if (!slice_to_u64(text, &value) || value > INT64_MAX)
        return false;
    *value_out = (int64_t)value; /* checked above */
    return true;
}

static bool read_bool(struct slice text, bool *yes_out)
{
    static const char *const words[] = {"no", "yes", "off", "on", "false", "true"};

    for (unsigned i = 0; i < COUNT(words); i++) {
        if (slice_eq(text, slice_of(words[i]))) {
            *yes_out = i % 2 == 1;
            return true;
        }
    }
    return false;
}

static bool read_choice(const char *choices, struct slice text, unsigned *place_out)
{
    struct slice rest = slice_of(choices);

    for (unsigned i = 0; rest.n > 0; i++) {
        if (slice_eq(slice_cut(&rest, '|'), text)) {
            *place_out = i;
            return true;
        }
    }
    return false;
}

static bool read_integer(enum conf_kind kind, struct slice text, int64_t *value_out)
{
    if (kind == NUMBER)
        return read_number(text, value_out);
    return kind == SIZE ? read_size(text, value_out) : read_time(text, value_out);
}

/* --- checking --- */

static int check_range(const struct conf_row *row, enum conf_kind kind, struct slice text,
                       struct err *e)
{
    const struct conf_setting *s = &row->setting;
    static const char *const wanted[] = {[NUMBER] = "a number",
                                         [SIZE] = "a size such as 50MiB",
                                         [TIME] = "a time such as 30s or 1h30m"};
    int64_t value, least, most;

    if (!read_integer(kind, text, &value))
        return err_set(e, ERR_SYNTAX, "%s is '%.*s', but must be %s", s->name, SLICE_ARG(text),
                       wanted[kind]);
    if (s->least[0] != '\0' && read_integer(kind, slice_of(s->least), &least) && value < least)
        return err_set(e, ERR_LIMIT, "%s is '%.*s', but must be at least %s", s->name,
                       SLICE_ARG(text), s->least);
    if (s->most[0] != '\0' && read_integer(kind, slice_of(s->most), &most) && value > most)
        return err_set(e, ERR_LIMIT, "%s is '%.*s', but must be at most %s", s->name,
                       SLICE_ARG(text), s->most);
    return 0;
}

static int check_text(const struct conf_row *row, struct slice text, struct err *e)
{
    for (size_t i = 0; i < text.n; i++)
        if (ascii_is_control(text.p[i]))
            return err_set(e, ERR_SYNTAX, "%s holds a control character", row->setting.name);
    if (row->kind == TEXTS && text.n == 0)
        return err_set(e, ERR_SYNTAX, "%s has an empty element", row->setting.name);
    return 0;
}

int conf_value_check(const struct conf_row *row, struct slice text, struct err *e)
{
    const struct conf_setting *s = &row->setting;
    struct ip_network network;
    unsigned place;
    bool yes;

    switch (row->kind) {
    case TEXT:
    case FILE_PATH:
    case TEXTS:
        return check_text(row, text, e);
    case CHOICE:
        if (!read_choice(s->least, text, &place))
            return err_set(e, ERR_SYNTAX, "%s is '%.*s', but must be one of %s", s->name,
                           SLICE_ARG(text), s->least);
        return 0;
    case NUMBER:
    case SIZE:
    case TIME:
        return check_range(row, row->kind, text, e);
    case TIMES:
        return check_range(row, TIME, text, e);
    case BOOL:
        if (!read_bool(text, &yes))
            return err_set(e, ERR_SYNTAX, "%s is '%.*s', but must be yes or no", s->name,
                           SLICE_ARG(text));
        return 0;
    case NETWORKS:
        if (!ip_network_parse(text, &network))
            return err_set(e, ERR_SYNTAX,
                           "%s has '%.*s', but a network is ADDRESS or ADDRESS/BITS with no bits "
                           "set behind the prefix",
                           s->name, SLICE_ARG(text));
        return 0;
    }
    return 0;
}

/* --- setting: texts are checked, and the arena is large enough for every file that is read --- */

static void *items_of(size_t count, size_t size, struct arena *arena)
{
    void *items = arena_array(arena, count > 0 ? count : 1, size);

    assert(items != NULL);
    return items;
}

static struct conf_texts texts_of(const struct slice *texts, size_t count, struct arena *arena)
{
    const char **items = items_of(count, sizeof *items, arena);

    for (size_t i = 0; i < count; i++)
        items[i] = arena_string(arena, texts[i]);
    return (struct conf_texts){items, count};
}

static struct conf_times times_of(const struct slice *texts, size_t count, struct arena *arena)
{
    int64_t *items = items_of(count, sizeof *items, arena);

    for (size_t i = 0; i < count; i++)
        (void)!read_time(texts[i], &items[i]);
    return (struct conf_times){items, count};
}

static struct conf_networks networks_of(const struct slice *texts, size_t count,
                                        struct arena *arena)
{
    struct ip_network *items = items_of(count, sizeof *items, arena);

    for (size_t i = 0; i < count; i++)
        (void)!ip_network_parse(texts[i], &items[i]);
    return (struct conf_networks){items, count};
}

void conf_value_set(const struct conf_row *row, const struct slice *texts, size_t count,
                    void *group_struct, struct arena *arena)
{
    void *at = (char *)group_struct + row->offset;

    switch (row->kind) {
    case TEXT:
    case FILE_PATH:
        *(const char **)at = arena_string(arena, texts[0]);
        break;
    case CHOICE:
        (void)!read_choice(row->setting.least, texts[0], at);
        break;
    case NUMBER:
    case SIZE:
    case TIME:
        (void)!read_integer(row->kind, texts[0], at);
        break;
    case BOOL:
        (void)!read_bool(texts[0], at);
        break;
    case TEXTS:
        *(struct conf_texts *)at = texts_of(texts, count, arena);
        break;
    case TIMES:
        *(struct conf_times *)at = times_of(texts, count, arena);
        break;
    case NETWORKS:
        *(struct conf_networks *)at = networks_of(texts, count, arena);
        break;
    }
}

#define DEFAULT_ELEMENTS_MAX 32

static size_t default_elements(const struct conf_row *row,
                               struct slice elements_out[DEFAULT_ELEMENTS_MAX])
{
    struct slice rest = slice_of(row->setting.default_text);
    size_t count = 0;

    if (!conf_is_list(row->kind)) {
        elements_out[0] = rest;
        return 1;
    }
    while (rest.n > 0) {
        assert(count < DEFAULT_ELEMENTS_MAX);
        elements_out[count++] = slice_trim(slice_cut(&rest, ','));
    }
    return count;
}

void conf_value_set_default(const struct conf_row *row, void *group_struct, struct arena *arena)
{
    struct slice elements[DEFAULT_ELEMENTS_MAX];
    size_t count = default_elements(row, elements);

    conf_value_set(row, elements, count, group_struct, arena);
}

/* --- writing --- */

static void print_quoted(struct slice text, struct buf *out)
{
    buf_append_char(out, '"');
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '"' || text.p[i] == '\\' || text.p[i] == '$')
            buf_append_char(out, '\\');
        buf_append_char(out, text.p[i]);
    }
    buf_append_char(out, '"');
}

/* In the largest unit that divides it: 90 s is 90s, 2 h is 2h. */
static void print_quantity(int64_t value, const struct unit *units, size_t count, const char *zero,
                           struct buf *out)
{
    for (size_t i = 0; i < count && value != 0; i++) {
        if (value % units[i].factor == 0) {
            buf_printf(out, "%lld%s", (long long)(value / units[i].factor), units[i].name);
            return;
        }
    }
    if (value == 0)
        buf_append_text(out, zero);
    else
        buf_printf(out, "%lld", (long long)value);
}

static void print_time(int64_t ms, struct buf *out)
{
    print_quantity(ms, times, COUNT(times), "0s", out);
}

static void print_choice(const char *choices, unsigned place, struct buf *out)
{
    struct slice rest = slice_of(choices), word = {NULL, 0};

    for (unsigned i = 0; i <= place; i++)
        word = slice_cut(&rest, '|');
    buf_append(out, word);
}

static void print_network(const struct ip_network *network, struct buf *out)
{
    char text[IP_TEXT_MAX];

    ip_address_format(&network->address, text);
    buf_printf(out, "\"%s/%u\"", text, network->bits);
}

static void print_list(const struct conf_row *row, const void *at, struct buf *out)
{
    const struct conf_texts *texts = at;
    const struct conf_times *waits = at;
    const struct conf_networks *networks = at;
    size_t count = row->kind == TEXTS   ? texts->count
                   : row->kind == TIMES ? waits->count
                                        : networks->count;

    buf_append_char(out, '{');
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            buf_append_text(out, ", ");
        if (row->kind == TEXTS)
            print_quoted(slice_of(texts->items[i]), out);
        else if (row->kind == TIMES)
            print_time(waits->items_ms[i], out);
        else
            print_network(&networks->items[i], out);
    }
    buf_append_char(out, '}');
}

void conf_value_print(const struct conf_row *row, const void *group_struct, struct buf *out)
{
    const void *at = (const char *)group_struct + row->offset;

    switch (row->kind) {
    case TEXT:
    case FILE_PATH:
        print_quoted(slice_of(*(const char *const *)at), out);
        break;
    case CHOICE:
        print_choice(row->setting.least, *(const unsigned *)at, out);
        break;
    case NUMBER:
        buf_printf(out, "%lld", (long long)*(const int64_t *)at);
        break;
    case SIZE:
        print_quantity(*(const int64_t *)at, sizes, COUNT(sizes), "0", out);
        break;
    case TIME:
        print_time(*(const int64_t *)at, out);
        break;
    case BOOL:
        buf_append_text(out, *(const bool *)at ? "yes" : "no");
        break;
    case TEXTS:
    case TIMES:
    case NETWORKS:
        print_list(row, at, out);
        break;
    }
}

void conf_value_print_default(const struct conf_row *row, struct buf *out)
{
    union {
        struct conf conf;
        struct conf_listener listener;
        struct conf_stream stream;
        struct conf_key key;
        struct conf_route route;
    } any = {.conf = {0}};
    struct arena *arena = arena_create(CONF_ARENA_MAX);

    conf_value_set_default(row, &any, arena);
    conf_value_print(row, &any, out);
    arena_destroy(&arena);
}
