#include "rt/conf/conf_in.h"

#define NAME_MAX_BYTES 512

struct diff {
    void (*report)(void *ctx, const char *setting, struct slice old_value, struct slice new_value,
                   bool restart);
    void *ctx;
    size_t restarts;
    struct buf old_value, new_value;
};

static void tell(struct diff *d, const char *setting, bool restart)
{
    d->restarts += restart;
    if (d->report != NULL)
        d->report(d->ctx, setting, buf_slice(&d->old_value), buf_slice(&d->new_value), restart);
}

static void compare_group(struct diff *d, enum conf_group g, const void *a, const void *b,
                          const char *prefix)
{
    char name[NAME_MAX_BYTES];

    for (size_t i = 0; i < conf_row_count; i++) {
        const struct conf_row *row = &conf_rows[i];

        if (row->group != g)
            continue;
        buf_clear(&d->old_value);
        buf_clear(&d->new_value);
        conf_value_print(row, a, &d->old_value);
        conf_value_print(row, b, &d->new_value);
        if (slice_eq(buf_slice(&d->old_value), buf_slice(&d->new_value)))
            continue;
        snprintf(name, sizeof name, "%s%s", prefix, row->setting.name);
        tell(d, name, row->setting.restart);
    }
}

static const void *find(const struct conf *c, enum conf_group g, const char *title)
{
    size_t count;

    (void)conf_section_items(c, g, &count);
    for (size_t i = 0; i < count; i++) {
        const void *item = conf_section_item(c, g, i);

        if (strcmp(conf_item_title(item), title) == 0)
            return item;
    }
    return NULL;
}

/* Sockets are opened once, so a listener that comes or goes needs a restart. */
static void tell_section(struct diff *d, enum conf_group g, const char *title, bool is_new)
{
    char name[NAME_MAX_BYTES];

    buf_clear(&d->old_value);
    buf_clear(&d->new_value);
    buf_append_text(is_new ? &d->new_value : &d->old_value, "a section");
    snprintf(name, sizeof name, "%s %s", conf_sections[g].name, title);
    tell(d, name, g == LISTENER);
}

static void compare_sections(struct diff *d, enum conf_group g, const struct conf *a,
                             const struct conf *b)
{
    char prefix[NAME_MAX_BYTES];
    size_t count;

    (void)conf_section_items(a, g, &count);
    for (size_t i = 0; i < count; i++) {
        const void *item = conf_section_item(a, g, i);
        const void *other = find(b, g, conf_item_title(item));

        snprintf(prefix, sizeof prefix, "%s %s: ", conf_sections[g].name, conf_item_title(item));
        if (other == NULL)
            tell_section(d, g, conf_item_title(item), false);
        else
            compare_group(d, g, item, other, prefix);
    }
    (void)conf_section_items(b, g, &count);
    for (size_t i = 0; i < count; i++) {
        const char *title = conf_item_title(conf_section_item(b, g, i));

        if (find(a, g, title) == NULL)
            tell_section(d, g, title, true);
    }
}

size_t conf_diff(const struct conf *old_conf, const struct conf *new_conf,
                 void (*report)(void *ctx, const char *setting, struct slice old_value,
                                struct slice new_value, bool restart),
                 void *ctx)
{
    struct diff d = {.report = report, .ctx = ctx};

    buf_init(&d.old_value, CONF_FILE_MAX);
    buf_init(&d.new_value, CONF_FILE_MAX);
    compare_group(&d, GLOBAL, old_conf, new_conf, "");
    for (unsigned g = LISTENER; g < CONF_GROUPS; g++)
        compare_sections(&d, (enum conf_group)g, old_conf, new_conf);
    buf_finish(&d.old_value);
    buf_finish(&d.new_value);
    return d.restarts;
}
