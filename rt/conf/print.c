#include "rt/conf/conf_in.h"

static bool differs(const struct conf_row *row, const void *group_struct, struct buf *value,
                    struct buf *preset)
{
    buf_clear(value);
    buf_clear(preset);
    conf_value_print(row, group_struct, value);
    conf_value_print_default(row, preset);
    return !slice_eq(buf_slice(value), buf_slice(preset));
}

static void print_group(enum conf_group g, const void *group_struct, bool all, const char *indent,
                        struct buf *out)
{
    struct buf value, preset;

    buf_init(&value, CONF_FILE_MAX);
    buf_init(&preset, CONF_FILE_MAX);
    for (size_t i = 0; i < conf_row_count; i++) {
        const struct conf_row *row = &conf_rows[i];

        if (row->group != g || (!differs(row, group_struct, &value, &preset) && !all))
            continue;
        buf_printf(out, "%s%s = ", indent, row->setting.name);
        buf_append(out, buf_slice(&value));
        buf_append_char(out, '\n');
    }
    buf_finish(&value);
    buf_finish(&preset);
}

/* The streams come with their default, which is there without being written. */
void conf_print(const struct conf *c, bool all, struct buf *out)
{
    print_group(GLOBAL, c, all, "", out);
    for (unsigned g = LISTENER; g < CONF_GROUPS; g++) {
        size_t count;

        (void)conf_section_items(c, (enum conf_group)g, &count);
        for (size_t i = 0; i < count; i++) {
            const void *item = conf_section_item(c, (enum conf_group)g, i);

            buf_printf(out, "%s \"%s\" {\n", conf_sections[g].name, conf_item_title(item));
            print_group((enum conf_group)g, item, all, "    ", out);
            buf_append_text(out, "}\n");
        }
    }
}

bool conf_get(const struct conf *c, const char *name, struct buf *out)
{
    for (size_t i = 0; i < conf_row_count; i++) {
        if (conf_rows[i].group == GLOBAL && strcmp(conf_rows[i].setting.name, name) == 0) {
            conf_value_print(&conf_rows[i], c, out);
            return true;
        }
    }
    return false;
}
