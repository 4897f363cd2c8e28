/* rt/conf/conf_in.h -- the settings from inside: the table with offsets, and values as text.
 *
 *     table.c   conf.def as rows           value.c   text <-> member, ranges
 *     file.c    libconfuse --> members     print.c   members --> text
 *     conf.c    life, lookups              diff.c, manual.c   as their names say */
#ifndef CONF_CONF_IN_H
#define CONF_CONF_IN_H

#include "base/arena.h"
#include "rt/conf/conf.h"

enum conf_group { GLOBAL, LISTENER, STREAM, KEY, ROUTE, CONF_GROUPS };
enum conf_kind { TEXT, FILE_PATH, CHOICE, NUMBER, SIZE, TIME, BOOL, TEXTS, TIMES, NETWORKS };

struct conf_row {
    struct conf_setting setting; /* what the world sees */
    enum conf_group group;
    enum conf_kind kind;
    size_t offset; /* in the group's struct */
};
extern const struct conf_row conf_rows[];
extern const size_t conf_row_count;

/* The sections: how they are called, and how large an element is. */
struct conf_section {
    const char *name;
    size_t size;
    size_t items_offset, count_offset; /* in struct conf */
};
extern const struct conf_section conf_sections[CONF_GROUPS]; /* GLOBAL: zeroed */

/* The elements of a section. */
const void *conf_section_items(const struct conf *c, enum conf_group g, size_t *count_out);
const void *conf_section_item(const struct conf *c, enum conf_group g, size_t i);
const char *conf_item_title(const void *item); /* the first member of each of their structs */

/* What a conf owns: the struct is inside, its texts are in the arena. */
struct conf_box {
    struct conf conf;
    struct arena *arena;
};

bool conf_is_list(enum conf_kind kind);
/* Is `text` a legal value (of a list: an element)? The error names the value and what is allowed.
 */
MUST_USE int conf_value_check(const struct conf_row *row, struct slice text, struct err *e);
/* Writes the value, which was checked, to the row's place in `group_struct`. */
void conf_value_set(const struct conf_row *row, const struct slice *texts, size_t count,
                    void *group_struct, struct arena *arena);
/* The default: its text cut into elements at ", ". */
void conf_value_set_default(const struct conf_row *row, void *group_struct, struct arena *arena);
/* The value as the file writes it, with quotes or braces where needed. */
void conf_value_print(const struct conf_row *row, const void *group_struct, struct buf *out);
void conf_value_print_default(const struct conf_row *row, struct buf *out);

#define CONF_ARENA_MAX ((size_t)64 << 20)
#define CONF_LIST_MAX 10000 /* elements of one list */

#endif
