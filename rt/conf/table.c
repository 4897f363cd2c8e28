#include "rt/conf/conf_in.h"

/* How each kind names its member, and each group its struct. */
#define MEMBER_TEXT(name) name
#define MEMBER_FILE(name) name
#define MEMBER_CHOICE(name) name
#define MEMBER_NUMBER(name) name
#define MEMBER_SIZE(name) name
#define MEMBER_TIME(name) name##_ms
#define MEMBER_BOOL(name) name
#define MEMBER_TEXTS(name) name
#define MEMBER_TIMES(name) name
#define MEMBER_NETWORKS(name) name

#define STRUCT_GLOBAL struct conf
#define STRUCT_LISTENER struct conf_listener
#define STRUCT_STREAM struct conf_stream
#define STRUCT_KEY struct conf_key
#define STRUCT_ROUTE struct conf_route

#define GROUP_GLOBAL ""
#define GROUP_LISTENER "listener"
#define GROUP_STREAM "stream"
#define GROUP_KEY "key"
#define GROUP_ROUTE "route"

#define KIND_TEXT TEXT
#define KIND_FILE FILE_PATH
#define KIND_CHOICE CHOICE
#define KIND_NUMBER NUMBER
#define KIND_SIZE SIZE
#define KIND_TIME TIME
#define KIND_BOOL BOOL
#define KIND_TEXTS TEXTS
#define KIND_TIMES TIMES
#define KIND_NETWORKS NETWORKS

#define CHANGE_RELOAD false
#define CHANGE_RESTART true

const struct conf_row conf_rows[] = {
#define SETTING(group_, name_, kind_, default_, least_, most_, change_, sentence_)                 \
    {{GROUP_##group_, #name_, #kind_, default_, least_, most_, sentence_, CHANGE_##change_},       \
     group_,                                                                                       \
     KIND_##kind_,                                                                                 \
     offsetof(STRUCT_##group_, MEMBER_##kind_(name_))},
#include "rt/conf/conf.def"
};
const size_t conf_row_count = COUNT(conf_rows);

#define SECTION(name_, type, items, count)                                                         \
    {                                                                                              \
        name_, sizeof(struct type), offsetof(struct conf, items), offsetof(struct conf, count)     \
    }
const struct conf_section conf_sections[CONF_GROUPS] = {
    [LISTENER] = SECTION("listener", conf_listener, listeners, listener_count),
    [STREAM] = SECTION("stream", conf_stream, streams, stream_count),
    [KEY] = SECTION("key", conf_key, keys, key_count),
    [ROUTE] = SECTION("route", conf_route, routes, route_count),
};

const struct conf_setting *conf_table(size_t i)
{
    return i < conf_row_count ? &conf_rows[i].setting : NULL;
}

const void *conf_section_items(const struct conf *c, enum conf_group g, size_t *count_out)
{
    const char *base = (const char *)c;
    const void *items;

    memcpy(&items, base + conf_sections[g].items_offset, sizeof items);
    memcpy(count_out, base + conf_sections[g].count_offset, sizeof *count_out);
    return items;
}

const void *conf_section_item(const struct conf *c, enum conf_group g, size_t i)
{
    size_t count;
    const char *items = conf_section_items(c, g, &count);

    return items + i * conf_sections[g].size;
}

const char *conf_item_title(const void *item)
{
    const char *title;

    memcpy(&title, item, sizeof title);
    return title;
}
