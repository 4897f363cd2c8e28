#include <assert.h>
#include <confuse.h>
#include <errno.h>
#include <stdarg.h>

#include "base/ascii.h"
#include "rt/conf/conf_in.h"

/* libconfuse hands no context to its callbacks, so the parse that runs stands here (an exception to
 * STYLE rule 9); conf.h says that there is one at a time. */
static struct {
    const char *name; /* of the file */
    struct err *e;
} parse;

/* Put behind the file's text: libconfuse takes a file that ends inside a section or a string, and
 * such a file was cut. Then this option is refused, or never seen. */
#define LAST "end_of_file_"

PRINTF_LIKE(2, 0) static void on_error(cfg_t *cfg, const char *fmt, va_list args)
{
    char text[sizeof parse.e->text];

    if (parse.e->code != ERR_NONE)
        return; /* the first one is the cause */
    vsnprintf(text, sizeof text, fmt, args);
    if (strstr(text, "'" LAST "'") != NULL)
        snprintf(text, sizeof text, "a section is not closed with }");
    (void)err_set(parse.e, ERR_SYNTAX, "%s:%d: %s", parse.name, cfg->line, text);
}

static const struct conf_row *find_row(const char *group, const char *name)
{
    for (size_t i = 0; i < conf_row_count; i++)
        if (strcmp(conf_rows[i].setting.group, group) == 0 &&
            strcmp(conf_rows[i].setting.name, name) == 0)
            return &conf_rows[i];
    return NULL;
}

static const char *group_of(const cfg_t *cfg)
{
    for (unsigned g = LISTENER; g < CONF_GROUPS; g++)
        if (strcmp(conf_sections[g].name, cfg->name) == 0)
            return conf_sections[g].name;
    return "";
}

/* Called after each value, while the parser still knows the line. */
static int on_value(cfg_t *cfg, cfg_opt_t *opt)
{
    const struct conf_row *row = find_row(group_of(cfg), opt->name);
    unsigned count = cfg_opt_size(opt);
    struct err e;

    assert(row != NULL && count > 0);
    if (count > CONF_LIST_MAX) {
        cfg_error(cfg, "%s has more than %u elements", opt->name, CONF_LIST_MAX);
        return -1;
    }
    const char *text = cfg_opt_getnstr(opt, count - 1);
    if (conf_value_check(row, slice_of(text), &e) != 0) {
        cfg_error(cfg, "%s", e.text);
        return -1;
    }
    return 0;
}

/* --- the grammar, made from the table --- */

#define OPTIONS_MAX 128

struct grammar {
    cfg_opt_t sections[CONF_GROUPS][OPTIONS_MAX];
    cfg_opt_t top[OPTIONS_MAX];
};

static size_t add_group(enum conf_group g, cfg_opt_t *options)
{
    static const cfg_opt_t end = CFG_END();
    size_t n = 0;

    for (size_t i = 0; i < conf_row_count; i++) {
        const struct conf_row *row = &conf_rows[i];
        cfg_opt_t one = CFG_STR(row->setting.name, NULL, CFGF_NODEFAULT);
        cfg_opt_t list = CFG_STR_LIST(row->setting.name, NULL, CFGF_NODEFAULT);

        if (row->group != g)
            continue;
        assert(n + CONF_GROUPS + 2 < OPTIONS_MAX);
        options[n] = conf_is_list(row->kind) ? list : one;
        options[n++].validcb = on_value;
    }
    options[n] = end;
    return n;
}

static struct grammar *grammar_create(void)
{
    static const cfg_opt_t end = CFG_END();
    struct grammar *g = mem_alloc(sizeof *g);
    size_t n = add_group(GLOBAL, g->top);

    for (unsigned i = LISTENER; i < CONF_GROUPS; i++) {
        add_group((enum conf_group)i, g->sections[i]);
        cfg_opt_t section = CFG_SEC(conf_sections[i].name, g->sections[i],
                                    CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES);
        g->top[n++] = section;
    }
    cfg_opt_t last = CFG_STR(LAST, NULL, CFGF_NODEFAULT);
    g->top[n++] = last;
    g->top[n] = end;
    return g;
}

/* --- from the parser's values to our structs --- */

static void take_group(cfg_t *cfg, enum conf_group g, void *group_struct, struct arena *arena)
{
    struct slice *texts = mem_alloc(CONF_LIST_MAX * sizeof *texts);

    for (size_t i = 0; i < conf_row_count; i++) {
        const struct conf_row *row = &conf_rows[i];

        if (row->group != g)
            continue;
        cfg_opt_t *opt = cfg != NULL ? cfg_getopt(cfg, row->setting.name) : NULL;
        unsigned count = opt != NULL ? cfg_opt_size(opt) : 0;
        bool given = count > 0 || (opt != NULL && conf_is_list(row->kind) &&
                                   (opt->flags & CFGF_MODIFIED)); /* an empty list is a value */
        for (unsigned k = 0; k < count; k++) {
            const char *text = cfg_opt_getnstr(opt, k);

            texts[k] = slice_of(text);
            given = given && text != NULL;
        }
        if (given)
            conf_value_set(row, texts, count, group_struct, arena);
        else
            conf_value_set_default(row, group_struct, arena);
    }
    free(texts);
}

static bool title_is_good(enum conf_group g, const char *title)
{
    size_t n = strlen(title);

    if (n == 0 || n > 253)
        return false;
    if (g == ROUTE && strcmp(title, "*") == 0)
        return true;
    for (size_t i = 0; i < n; i++)
        if (!ascii_is_alnum(title[i]) && strchr("-_.", title[i]) == NULL &&
            !(title[i] & 0x80)) /* a route may be an internationalised domain */
            return false;
    return true;
}

static int take_sections(cfg_t *cfg, enum conf_group g, struct conf_box *box, struct err *e)
{
    const struct conf_section *section = &conf_sections[g];
    size_t count = cfg != NULL ? cfg_size(cfg, section->name) : 0;
    char *items, *base = (char *)&box->conf;

    if (count > CONF_SECTIONS_MAX)
        return err_set(e, ERR_LIMIT, "%s: more than %u sections '%s'", parse.name,
                       CONF_SECTIONS_MAX, section->name);
    /* One more than the file has: finish() may add the section that is always there. */
    items = arena_array(box->arena, count + 1, section->size);
    assert(items != NULL);
    for (size_t i = 0; i < count; i++) {
        cfg_t *one = cfg_getnsec(cfg, section->name, (unsigned)i);
        const char *title = arena_string(box->arena, slice_of(cfg_title(one)));

        if (title == NULL || !title_is_good(g, title))
            return err_set(e, ERR_SYNTAX,
                           "%s: the name '%s' of a %s is not made of letters, "
                           "digits, '-', '_' and '.'",
                           parse.name, title, section->name);
        memcpy(items + i * section->size, &title, sizeof title);
        take_group(one, g, items + i * section->size, box->arena);
    }
    memcpy(base + section->items_offset, &items, sizeof items);
    memcpy(base + section->count_offset, &count, sizeof count);
    return 0;
}

/* The sections that are there without being written: a listener, and the default stream. */
static void finish(struct conf_box *box)
{
    struct conf *c = &box->conf;

    if (c->listener_count == 0) {
        struct conf_listener *first = (struct conf_listener *)(uintptr_t)c->listeners;

        take_group(NULL, LISTENER, first, box->arena);
        first->title = "smtp";
        c->listener_count = 1;
    }
    if (conf_find_stream(c, slice_of(c->default_stream)) == NULL) {
        struct conf_stream *last =
            (struct conf_stream *)(uintptr_t)(c->streams + c->stream_count); /* room was left */

        take_group(NULL, STREAM, last, box->arena);
        last->title = c->default_stream;
        c->stream_count++;
    }
}

/* --- what one setting says about another --- */

static int check_listener(const struct conf *c, const struct conf_listener *l, struct err *e)
{
    if (l->stream[0] != '\0' && conf_find_stream(c, slice_of(l->stream)) == NULL)
        return err_set(e, ERR_SYNTAX, "%s: listener %s: there is no stream '%s'", parse.name,
                       l->title, l->stream);
    if (l->tls == CONF_TLS_IMPLICIT && c->tls_certificate[0] == '\0')
        return err_set(e, ERR_SYNTAX, "%s: listener %s: tls = implicit needs tls_certificate",
                       parse.name, l->title);
    return 0;
}

static int check_stream(const struct conf *c, const struct conf_stream *s, struct err *e)
{
    for (size_t i = 0; i < s->dkim.count; i++)
        if (conf_find_key(c, slice_of(s->dkim.items[i])) == NULL)
            return err_set(e, ERR_SYNTAX, "%s: stream %s: there is no key '%s'", parse.name,
                           s->title, s->dkim.items[i]);
    return 0;
}

static int check_key(const struct conf_key *k, struct err *e)
{
    const char *missing = k->domain[0] == '\0'     ? "domain"
                          : k->selector[0] == '\0' ? "selector"
                          : k->file[0] == '\0'     ? "file"
                                                   : NULL;

    if (missing != NULL)
        return err_set(e, ERR_SYNTAX, "%s: key %s: %s is missing", parse.name, k->title, missing);
    return 0;
}

/* It goes into header fields as it is. */
static bool is_address(const char *text)
{
    struct slice domain = slice_of(text), local = slice_cut(&domain, '@');

    for (const char *p = text; *p != '\0'; p++)
        if (*p <= ' ' || *p >= 0x7f || strchr("<>()[],;:\\\"", *p) != NULL)
            return false;
    return local.n > 0 && domain.n > 0 && slice_find(domain, '@') == SLICE_NONE;
}

static int check_addresses(const struct conf *c, struct err *e)
{
    if (c->dmarc_report_from[0] != '\0' && !is_address(c->dmarc_report_from))
        return err_set(e, ERR_SYNTAX, "%s: dmarc_report_from: '%s' is no address", parse.name,
                       c->dmarc_report_from);
    for (size_t i = 0; i < c->dmarc_reports_address.count; i++)
        if (!is_address(c->dmarc_reports_address.items[i]))
            return err_set(e, ERR_SYNTAX, "%s: dmarc_reports_address: '%s' is no address",
                           parse.name, c->dmarc_reports_address.items[i]);
    return 0;
}

static int check_all(const struct conf *c, struct err *e)
{
    if ((c->tls_certificate[0] == '\0') != (c->tls_key[0] == '\0'))
        return err_set(e, ERR_SYNTAX, "%s: tls_certificate and tls_key need each other",
                       parse.name);
    if (c->retry.count == 0)
        return err_set(e, ERR_SYNTAX, "%s: retry needs at least one wait", parse.name);
    if (check_addresses(c, e) != 0)
        return -1;
    for (size_t i = 0; i < c->listener_count; i++)
        if (check_listener(c, &c->listeners[i], e) != 0)
            return -1;
    for (size_t i = 0; i < c->stream_count; i++)
        if (check_stream(c, &c->streams[i], e) != 0)
            return -1;
    for (size_t i = 0; i < c->key_count; i++)
        if (check_key(&c->keys[i], e) != 0)
            return -1;
    return 0;
}

static int take_all(cfg_t *cfg, struct conf_box *box, struct err *e)
{
    take_group(cfg, GLOBAL, &box->conf, box->arena);
    for (unsigned g = LISTENER; g < CONF_GROUPS; g++)
        if (take_sections(cfg, (enum conf_group)g, box, e) != 0)
            return -1;
    finish(box);
    return check_all(&box->conf, e);
}

struct conf *conf_parse(const char *name, struct slice text, struct err *e)
{
    struct grammar *grammar = grammar_create();
    struct conf_box *box = mem_alloc(sizeof *box);
    struct conf *result = NULL;
    cfg_t *cfg = cfg_init(grammar->top, CFGF_NONE);
    struct buf terminated;

    *e = (struct err){.code = ERR_NONE};
    parse.name = name;
    parse.e = e;
    box->arena = arena_create(CONF_ARENA_MAX);
    buf_init(&terminated, CONF_FILE_MAX + 64);
    cfg_set_error_function(cfg, on_error);
    if (text.n > CONF_FILE_MAX) {
        (void)err_set(e, ERR_LIMIT, "%s is larger than %u bytes", name, CONF_FILE_MAX);
        goto out;
    }
    if (slice_find(text, '\0') != SLICE_NONE) {
        (void)err_set(e, ERR_SYNTAX, "%s holds a NUL", name);
        goto out;
    }
    buf_append(&terminated, text);
    buf_append(&terminated, SLICE("\n" LAST " = yes\n\0"));
    if (cfg_parse_buf(cfg, terminated.p) != CFG_SUCCESS || cfg_getstr(cfg, LAST) == NULL) {
        if (e->code == ERR_NONE)
            (void)err_set(e, ERR_SYNTAX, "%s ends inside a value or a comment", name);
        goto out;
    }
    if (take_all(cfg, box, e) == 0)
        result = &box->conf;
out:
    cfg_free(cfg);
    free(grammar);
    buf_finish(&terminated);
    if (result == NULL)
        conf_destroy(&(struct conf *){&box->conf});
    return result;
}

struct conf *conf_load(const char *path, struct err *e)
{
    FILE *f = fopen(path, "re");
    struct conf *c = NULL;
    struct buf text;
    size_t n;

    if (f == NULL) {
        (void)err_system(e, errno, "cannot read %s", path);
        return NULL;
    }
    buf_init(&text, CONF_FILE_MAX + 4096);
    do {
        char *room = buf_room(&text, 4096);

        n = room != NULL ? fread(room, 1, 4096, f) : 0;
        if (n > 0)
            buf_claim(&text, n);
    } while (n > 0);
    if (ferror(f))
        (void)err_set(e, ERR_SYSTEM, "cannot read %s", path);
    else
        c = conf_parse(path, buf_slice(&text), e);
    fclose(f);
    buf_finish(&text);
    return c;
}

struct conf *conf_default(void)
{
    struct err e;
    struct conf *c = conf_parse("defaults", (struct slice){"", 0}, &e);

    assert(c != NULL); /* a default that is illegal is a bug in conf.def */
    return c;
}
