#include "app/compare_ledger.h"

#include <sys/stat.h>
#include <unistd.h>

#include "app/daemon.h"
#include "lib/trace/own.h"

#define STORIES_MAX 16          /* messages of ours in one group */
#define EVENTS_MAX 256          /* of one group */
#define STORY_BYTES (64u << 20) /* for the stories of one group */
#define SEARCH_GROUPS 20        /* a search by Message-ID reads much of the ledger */
#define SEARCH_MESSAGES 100000  /* how far back it goes */

struct ledger_reader *compare_ledger_open(const char *path, const char *config)
{
    struct ledger_reader *reader = NULL;
    char file[4200];
    struct stat st;
    struct err e;

    if (path == NULL) {
        bool asked = config != NULL;
        if (!asked && access(DAEMON_CONFIG, R_OK) != 0)
            return NULL;
        struct conf *conf = daemon_conf(config, NULL);
        (void)snprintf(file, sizeof file, "%s/ledger.sqlite", conf->data_dir);
        conf_destroy(&conf);
        if (ledger_reader_open(file, &reader, &e) != 0 && asked)
            cli_die("%s", e.text);
        return reader;
    }
    bool is_folder = stat(path, &st) == 0 && S_ISDIR(st.st_mode);
    int n = snprintf(file, sizeof file, "%s%s", path, is_folder ? "/ledger.sqlite" : "");
    if (n < 0 || (size_t)n >= sizeof file)
        cli_die("%s: the name is too long", path);
    if (ledger_reader_open(file, &reader, &e) != 0)
        cli_die("%s", e.text);
    return reader;
}

/* --- which messages of ours belong to a group --- */

struct search {
    struct id ids[STORIES_MAX];
    size_t count;
};

static void add_id(struct search *s, struct id id)
{
    for (size_t i = 0; i < s->count; i++)
        if (id_eq(s->ids[i], id))
            return;
    if (s->count < STORIES_MAX)
        s->ids[s->count++] = id;
}

static void find_in_paths(struct search *s, const struct compare_group *g)
{
    struct id id;

    for (size_t i = 0; i < g->count; i++)
        for (size_t k = 0; k < g->copies[i].count; k++)
            if (id_decode(g->copies[i].hops[k].id, &id))
                add_id(s, id);
}

static int find_by_message_id(struct search *s, const struct compare_group *g,
                              struct ledger_reader *reader, struct err *e)
{
    struct id found[STORIES_MAX];
    size_t n;

    for (size_t i = 0; i < g->count; i++) {
        struct slice id = g->copies[i].copy->message_id;
        bool is_done = id.n == 0 || (i > 0 && slice_eq(id, g->copies[i - 1].copy->message_id));
        if (is_done)
            continue;
        if (ledger_find_message_id(reader, id, SEARCH_MESSAGES, found, COUNT(found), &n, e) != 0)
            return -1;
        for (size_t k = 0; k < n; k++)
            add_id(s, found[k]);
    }
    return 0;
}

/* --- from the ledger's words to those of lib/trace --- */

static enum own_kind kind_of(enum ledger_kind kind)
{
    switch (kind) {
    case LEDGER_EV_ACCEPTED:
        return OWN_ACCEPTED;
    case LEDGER_EV_DUPLICATE:
        return OWN_REPEATED;
    case LEDGER_EV_UNKNOWN:
        return OWN_LOST;
    case LEDGER_EV_DELIVERED:
        return OWN_DELIVERED;
    case LEDGER_EV_DEFERRED:
    case LEDGER_EV_BOUNCED:
    case LEDGER_EV_EXPIRED:
        return OWN_FAILED;
    case LEDGER_EV_SIGNED:
    case LEDGER_EV_HELD:
    case LEDGER_EV_RELEASED:
    case LEDGER_EV_DROPPED:
    case LEDGER_EV_RETRY:
    case LEDGER_EV_SUPPRESSED:
    case LEDGER_EV_SETTLED:
    case LEDGER_EV_NOTE:
    case LEDGER_EV_REPORTED:
    case LEDGER_EV_COMPLAINT:
        break;
    }
    return OWN_OTHER;
}

static struct own_event own_event(const struct ledger_story *s, const struct ledger_event *ev,
                                  struct slice id)
{
    bool is_accepted = ev->kind == LEDGER_EV_ACCEPTED;

    return (struct own_event){
        .id = id,
        .name = slice_of(ledger_kind_name(ev->kind)),
        .time_ms = ev->time_ms,
        .dot_ms = ev->dot_ms,
        .kind = kind_of(ev->kind),
        .recipients = ev->recipients,
        .host = is_accepted ? s->message.login : ev->host,
        .ip = is_accepted ? s->message.client_ip : ev->ip,
        .text = ev->text,
        .reply_code = ev->reply_code,
    };
}

/* By time; events of one moment stay in the ledger's order. */
static void insert_event(struct own_event *events, size_t count, struct own_event ev)
{
    size_t at = count;

    while (at > 0 && events[at - 1].time_ms > ev.time_ms) {
        events[at] = events[at - 1];
        at--;
    }
    events[at] = ev;
}

static int join_group(struct compare *c, size_t group, const struct search *found,
                      struct ledger_reader *reader, struct arena *a, struct err *e)
{
    struct own_event events[EVENTS_MAX];
    size_t n = 0;

    for (size_t i = 0; i < found->count; i++) {
        struct ledger_story story;
        char text[ID_TEXT_N + 1];

        if (ledger_show(reader, found->ids[i], a, &story, e) != 0) {
            if (e->code == ERR_FOUND) /* an id that only looks like one of ours */
                continue;
            return -1;
        }
        id_encode(found->ids[i], text);
        struct slice id = arena_copy(a, slice_of(text));
        for (size_t k = 0; k < story.event_count && n < EVENTS_MAX; k++)
            insert_event(events, n++, own_event(&story, &story.events[k], id));
    }
    if (n == 0)
        return 0;
    return compare_join(c, group, events, n, e);
}

int compare_ledger_join(struct compare *c, const struct compare_group *groups, size_t count,
                        struct ledger_reader *reader, struct err *e)
{
    struct arena *a = arena_create(STORY_BYTES);
    int result = 0;

    for (size_t i = 0; i < count && result == 0; i++) {
        struct search found = {.count = 0};

        if (groups[i].count < 2) /* groups of copies come first */
            break;
        arena_reset(a);
        find_in_paths(&found, &groups[i]);
        if (i < SEARCH_GROUPS)
            result = find_by_message_id(&found, &groups[i], reader, e);
        if (result == 0)
            result = join_group(c, i, &found, reader, a, e);
    }
    arena_destroy(&a);
    return result;
}
