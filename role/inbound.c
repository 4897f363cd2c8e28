/* The inbound role: listeners and their clients, the bus to the queue and to the keys. */
#include <unistd.h>

#include "role/inbound_in.h"

#define STOP_PATIENCE_MS 10000 /* for messages that are coming in */
#define ARENA_MAX (16u << 20)

static void on_accept(void *ctx, const struct accepted *accepted)
{
    client_accept(ctx, accepted);
}

static void open_door(struct inbound *in, struct door *door, const struct conf_listener *conf,
                      int fd)
{
    bool logins = logins_count(in->logins) > 0 && conf->auth != CONF_AUTH_NONE;

    door->inbound = in;
    door->conf = conf;
    door->settings = (struct smtp_server_settings){
        .hostname = in->hostname,
        .message_max_bytes = (uint64_t)in->conf->message_size_max,
        .recipients_max = (unsigned)in->conf->recipients_max,
        .errors_max = (unsigned)in->conf->bad_commands_max,
        .bare_line_end =
            in->conf->bare_newline == CONF_NEWLINE_ACCEPT ? SMTP_BARE_NORMALISE : SMTP_BARE_REFUSE,
        .offer_starttls = conf->tls == CONF_TLS_STARTTLS && in->tls != NULL,
        .offer_auth = logins,
        .offer_auth_in_clear = conf->auth_plaintext,
        .require_auth = conf->auth == CONF_AUTH_REQUIRED,
    };
    door->listener = listener_create(in->env.loop, fd, on_accept, door);
}

/* --- the buses --- */

static struct message *waiting_message(struct inbound *in, uint64_t txn)
{
    return map_get(in->waiting, map_key_u64(&txn));
}

static void from_queue(void *ctx, uint16_t type, struct slice payload, int fd)
{
    struct inbound *in = ctx;
    struct msg_suppressed_hint hint;
    struct msg_accepted m;
    struct msg_checked checked;
    struct message *message;
    struct client *client;

    if (fd >= 0)
        close(fd);
    arena_reset(in->arena);
    if (type == MSG_ACCEPTED && msg_accepted_decode(payload, in->arena, &m)) {
        message = waiting_message(in, m.txn);
        if (message != NULL)
            message_accepted(message, &m);
    } else if (type == MSG_CHECKED && msg_checked_decode(payload, in->arena, &checked)) {
        client = return_checked(in, &checked);
        if (client != NULL)
            client_checked(client, &checked);
    } else if (type == MSG_SUPPRESSED_HINT &&
               msg_suppressed_hint_decode(payload, in->arena, &hint)) {
        inbound_return_hints(in, &hint);
    }
}

/* Calls `fn` for every message, also while they go. */
static void each_message(struct inbound *in, void (*fn)(struct message *m))
{
    size_t n = map_count(in->waiting), cursor = 0, i = 0;
    struct message **all = mem_alloc((n + 1) * sizeof *all);
    struct slice key;
    void *value;

    while (map_next(in->waiting, &cursor, &key, &value))
        all[i++] = value;
    for (i = 0; i < n; i++)
        fn(all[i]);
    free(all);
}

static void queue_gone(void *ctx, const struct err *why)
{
    struct inbound *in = ctx;

    log_warn(in->env.log, "inbound.queue_gone", LOG_ERR(why));
    bus_close(&in->queue);
    each_message(in, message_queue_gone);
    LIST_EACH(&in->clients, link)
    {
        struct client *c = CONTAINER_OF(link, struct client, link);

        if (c->check != 0) {
            return_forget(c);
            client_checked(c, NULL);
        } else {
            client_resume(c);
        }
    }
}

static void queue_drained(void *ctx)
{
    struct inbound *in = ctx;

    LIST_EACH(&in->clients, link)
    client_resume(CONTAINER_OF(link, struct client, link));
}

/* Clients are let in when there is somebody to give their mail to, and it is known who signs. */
static void open_when_ready(struct inbound *in)
{
    if (in->stopping || in->queue == NULL || !in->keys_are_known)
        return;
    for (size_t i = 0; i < in->door_n; i++)
        listener_resume(in->doors[i].listener);
}

static void learn_keys(struct inbound *in, struct slice payload)
{
    struct msg_keys_known m;

    if (!msg_keys_known_decode(payload, in->arena, &m))
        return;
    known_keys_learn(&in->known, &m);
    in->keys_are_known = true;
    open_when_ready(in);
}

static void from_keys(void *ctx, uint16_t type, struct slice payload, int fd)
{
    struct inbound *in = ctx;
    struct msg_signatures m;
    struct message *message;

    if (fd >= 0)
        close(fd);
    arena_reset(in->arena);
    if (type == MSG_KEYS_KNOWN) {
        learn_keys(in, payload);
        return;
    }
    if (type != MSG_SIGNATURES || !msg_signatures_decode(payload, in->arena, &m))
        return;
    message = waiting_message(in, m.txn);
    if (message != NULL)
        message_signatures(message, &m);
}

static void keys_gone(void *ctx, const struct err *why)
{
    struct inbound *in = ctx;

    log_warn(in->env.log, "inbound.keys_gone", LOG_ERR(why));
    bus_close(&in->keys);
    each_message(in, message_keys_gone);
}

static const struct bus_handlers queue_handlers = {from_queue, queue_drained, queue_gone};
static const struct bus_handlers keys_handlers = {from_keys, NULL, keys_gone};

static void inbound_attach(void *role, enum role_kind peer, unsigned index, struct bus *bus)
{
    struct inbound *in = role;
    bool is_queue = peer == ROLE_QUEUE;
    struct bus **place = is_queue ? &in->queue : &in->keys;
    (void)index;

    if (*place != NULL)
        (is_queue ? queue_gone : keys_gone)(in, &(struct err){.text = "replaced"});
    *place = bus;
    bus_set_handlers(bus, is_queue ? &queue_handlers : &keys_handlers, in);
    open_when_ready(in);
}

/* --- life --- */

static void inbound_destroy(void *role)
{
    struct inbound *in = role;
    struct list *link;

    for (size_t i = 0; i < in->door_n; i++)
        listener_destroy(&in->doors[i].listener);
    LIST_EACH(&in->clients, each)
    client_destroy(CONTAINER_OF(each, struct client, link));
    each_message(in, message_destroy);
    inbound_return_destroy(in);
    proof_close(in);
    recipient_close(in);
    seal_close(in);
    bus_close(&in->queue);
    bus_close(&in->keys);
    while ((link = list_take_first(&in->idle_signers)) != NULL) {
        struct signer_link *s = CONTAINER_OF(link, struct signer_link, link);

        dkim_signer_destroy(&s->signer);
        free(s);
    }
    known_keys_forget(&in->known);
    loop_timer_finish(&in->stop_timer);
    streams_destroy(&in->streams);
    tls_context_destroy(&in->tls);
    logins_destroy(&in->logins);
    forwards_destroy(&in->forwards);
    map_destroy(&in->per_address);
    map_destroy(&in->waiting);
    arena_destroy(&in->arena);
    free(in->doors);
    free(in);
}

static void say_stopped(struct inbound *in)
{
    if (in->stopped)
        return;
    in->stopped = true;
    if (in->env.stopped != NULL)
        in->env.stopped(in->env.stopped_ctx);
}

/* Every so often while stopping: is the last message answered? */
static void check_stopped(void *ctx)
{
    struct inbound *in = ctx;
    bool patient = loop_now_ms(in->env.loop) < in->stop_ms + STOP_PATIENCE_MS;

    LIST_EACH(&in->clients, link)
    client_shut(CONTAINER_OF(link, struct client, link), patient);
    if (in->client_n == 0)
        say_stopped(in);
    else
        loop_timer_set(&in->stop_timer, 20);
}

static void *inbound_create(const struct role_env *env, struct err *e)
{
    struct inbound *in = mem_alloc(sizeof *in);

    in->env = *env;
    in->conf = env->conf;
    list_init(&in->clients);
    list_init(&in->idle_signers);
    list_init(&in->idle_proofs);
    list_init(&in->idle_seals);
    in->per_address = map_create((uintptr_t)in); /* peers choose the keys */
    in->waiting = map_create(6);
    in->arena = arena_create(ARENA_MAX);
    in->next_txn = 1;
    in->ids.lane = env->index;
    in->streams = streams_create(env->loop);
    loop_timer_init(&in->stop_timer, env->loop, check_stopped, in);
    (void)snprintf(in->hostname, sizeof in->hostname, "%s", env->conf->hostname);
    in->logins = logins_load(env->conf->logins_file, e);
    if (in->logins != NULL)
        in->forwards = forwards_load(env->conf->forwards_file, e);
    if (in->forwards == NULL || inbound_return_create(in, e) < 0 || proof_open(in, e) < 0 ||
        recipient_open(in, e) < 0) {
        inbound_destroy(in);
        return NULL;
    }
    if (env->conf->tls_certificate[0] != '\0') {
        in->tls = tls_server_create(env->conf->tls_certificate, env->conf->tls_key, e);
        if (in->tls == NULL) {
            inbound_destroy(in);
            return NULL;
        }
    }
    in->doors = mem_alloc(env->conf->listener_count * sizeof *in->doors);
    for (size_t i = 0; i < env->conf->listener_count; i++) {
        open_door(in, &in->doors[in->door_n++], &env->conf->listeners[i], env->listeners[i]);
        listener_pause(in->doors[i].listener); /* until we know which keys there are */
    }
    return in;
}

static void inbound_stop(void *role)
{
    struct inbound *in = role;

    in->stopping = true;
    in->stop_ms = loop_now_ms(in->env.loop);
    for (size_t i = 0; i < in->door_n; i++)
        listener_pause(in->doors[i].listener);
    loop_timer_set(&in->stop_timer, 0);
}

/* In a process of its own an inbound role is replaced instead. The super has read these files once,
 * so they are good; if one is not by now, the old one stays. */
static void reload_files(struct inbound *in)
{
    struct err e;
    struct logins *logins = logins_load(in->conf->logins_file, &e);
    struct forwards *forwards = logins == NULL ? NULL : forwards_load(in->conf->forwards_file, &e);

    if (forwards == NULL) {
        log_error(in->env.log, "inbound.reload", LOG_ERR(&e));
        logins_destroy(&logins);
        return;
    }
    logins_destroy(&in->logins);
    forwards_destroy(&in->forwards);
    in->logins = logins;
    in->forwards = forwards;
}

static void inbound_settings(void *role, const struct conf *conf)
{
    struct inbound *in = role;

    in->conf = conf; /* with as many listeners as before: the super sees to that */
    for (size_t i = 0; i < in->door_n; i++)
        in->doors[i].conf = &conf->listeners[i];
    reload_files(in);
    inbound_return_reload(in);
    recipient_reload(in);
}

const struct role_ops inbound_role = {
    .name = "inbound",
    .jail = PROC_JAIL_INBOUND,
    .needs_privileges = true,
    .create = inbound_create,
    .attach = inbound_attach,
    .stop = inbound_stop,
    .settings = inbound_settings,
    .destroy = inbound_destroy,
    .sees = {[ROLE_QUEUE] = true, [ROLE_KEYS] = true},
};
