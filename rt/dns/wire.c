/* The questions on the wire: c-ares does servers, tries, UDP and TCP; lib/dnsmsg reads. */
#include <ares.h>
#include <arpa/inet.h>
#include <sys/random.h>
#include <sys/time.h>

#include "lib/dnsmsg/message.h"
#include "lib/dnsmsg/name.h"
#include "rt/dns/dns_in.h"

#define TIMEOUT_MS 2500
#define TRIES 3
#define EDNS_BYTES 1232 /* what passes everywhere without fragments */
#define HEADER_AD 0x20  /* in the fourth octet: "tell me whether it is validated" (RFC 6840 5.7) */
#define CLASS_IN 1
#define SOCKETS_MAX 256

/* A socket of c-ares that the loop watches. */
struct watched {
    struct wire *wire;
    struct loop_watch *watch;
    int fd;
};

struct wire {
    struct loop *loop;
    struct dns_resolver *resolver;
    ares_channel channel;
    struct loop_timer timer;
    struct watched watched[SOCKETS_MAX];
    bool secure_path; /* all servers are on loopback */
    bool closing;
};

/* --- the loop and c-ares --- */

static void arm(struct wire *w)
{
    struct timeval wait, *next = ares_timeout(w->channel, NULL, &wait);

    if (next == NULL)
        loop_timer_stop(&w->timer);
    else
        loop_timer_set(&w->timer, next->tv_sec * 1000 + next->tv_usec / 1000 + 1);
}

static void on_timer(void *ctx)
{
    struct wire *w = ctx;

    ares_process_fd(w->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    arm(w);
}

static void on_ready(void *ctx, unsigned events)
{
    const struct watched *it = ctx;
    struct wire *w = it->wire;
    int fd = it->fd;

    ares_process_fd(w->channel, events & LOOP_READ ? fd : ARES_SOCKET_BAD,
                    events & LOOP_WRITE ? fd : ARES_SOCKET_BAD);
    arm(w);
}

static void on_socket(void *ctx, ares_socket_t fd, int readable, int writable)
{
    struct wire *w = ctx;
    struct watched *it = NULL;

    for (size_t i = 0; i < SOCKETS_MAX; i++) {
        struct watched *one = &w->watched[i];

        if (one->watch != NULL && one->fd == fd)
            it = one;
        else if (one->watch == NULL && it == NULL && (readable || writable))
            it = one;
        if (it != NULL && it->watch != NULL)
            break;
    }
    if (it == NULL)
        return; /* too many at once, or never seen: the question times out */
    if (!readable && !writable) {
        loop_watch_destroy(&it->watch);
        return;
    }
    if (it->watch == NULL) {
        it->wire = w;
        it->fd = fd;
        it->watch = loop_watch_create(w->loop, fd, on_ready, it);
    }
    loop_watch_want(it->watch, (readable ? LOOP_READ : 0) | (writable ? LOOP_WRITE : 0));
}

/* --- life --- */

static bool all_on_loopback(ares_channel channel)
{
    struct ares_addr_port_node *servers, *s;
    bool all = true;

    if (ares_get_servers_ports(channel, &servers) != ARES_SUCCESS)
        return false;
    for (s = servers; s != NULL; s = s->next) {
        struct ip_address ip = {.family = s->family == AF_INET ? IP_V4 : IP_V6};

        if (ip.family == IP_V4)
            memcpy(ip.bytes, &s->addr.addr4, sizeof s->addr.addr4);
        else
            memcpy(ip.bytes, &s->addr.addr6, sizeof s->addr.addr6);
        all = all && ip_address_is_loopback(&ip);
    }
    all = all && servers != NULL;
    ares_free_data(servers);
    return all;
}

struct wire *wire_create(struct dns_resolver *r, struct loop *l, const struct dns_options *options,
                         struct err *e)
{
    struct wire *w = mem_alloc(sizeof *w);
    int64_t timeout_ms = options->timeout_ms > 0 ? options->timeout_ms : TIMEOUT_MS;
    struct ares_options o = {
        .flags = ARES_FLAG_EDNS | ARES_FLAG_NOSEARCH | ARES_FLAG_STAYOPEN,
        .timeout = (int)(timeout_ms > 60000 ? 60000 : timeout_ms), /* fits: capped */
        .tries = options->tries > 0 && options->tries < 10 ? (int)options->tries : TRIES,
        .ednspsz = EDNS_BYTES,
        .sock_state_cb = on_socket,
        .sock_state_cb_data = w,
    };
    bool system = options->servers == NULL || strcmp(options->servers, "system") == 0;
    int status;

    w->loop = l;
    w->resolver = r;
    loop_timer_init(&w->timer, l, on_timer, w);
    status = ares_init_options(&w->channel, &o,
                               ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES |
                                   ARES_OPT_EDNSPSZ | ARES_OPT_SOCK_STATE_CB);
    if (status != ARES_SUCCESS) {
        (void)err_set(e, ERR_SYSTEM, "no DNS: %s", ares_strerror(status));
        free(w);
        return NULL;
    }
    if (!system && ares_set_servers_ports_csv(w->channel, options->servers) != ARES_SUCCESS) {
        (void)err_set(e, ERR_SYNTAX, "'%s' is no DNS server: ADDRESS or ADDRESS:PORT",
                      options->servers);
        wire_destroy(&w);
        return NULL;
    }
    w->secure_path = all_on_loopback(w->channel);
    return w;
}

void wire_destroy(struct wire **w)
{
    struct wire *it = *w;

    if (it == NULL)
        return;
    it->closing = true;
    ares_destroy(it->channel);
    for (size_t i = 0; i < SOCKETS_MAX; i++)
        loop_watch_destroy(&it->watched[i].watch);
    loop_timer_finish(&it->timer);
    free(it);
    *w = NULL;
}

/* --- a question and its answer --- */

struct asked {
    struct wire *wire;
    struct lookup *lookup;
    struct slice name; /* in the lookup's arena */
};

static void fail(struct lookup *k, enum dns_status status)
{
    k->answer = (struct dns_answer){.status = status, .canonical = k->question.name};
    lookup_done(k);
}

static void read_answer(struct wire *w, struct lookup *k, struct slice name, struct slice bytes)
{
    struct dns_question question = {name, k->question.type};
    bool unfinished = false;
    struct err e;

    if (dns_message_read(bytes, question, k->arena, &k->answer, &unfinished, &e) != 0) {
        fail(k, DNS_SERVFAIL); /* broken, or too large */
        return;
    }
    k->insecure = k->insecure || !k->answer.secure || !w->secure_path;
    if (unfinished) {
        if (++k->follows >= DNS_FOLLOWS_MAX)
            fail(k, DNS_SERVFAIL);
        else
            wire_ask(w, k, k->answer.canonical);
        return;
    }
    k->answer.secure = !k->insecure;
    lookup_done(k);
}

static void on_answer(void *ctx, int status, int timeouts, unsigned char *bytes, int length)
{
    struct asked *asked = ctx;
    struct wire *w = asked->wire;
    struct lookup *k = asked->lookup;
    struct slice name = asked->name;

    (void)timeouts;
    free(asked);
    if (w->closing)
        return;
    if (status == ARES_SUCCESS && bytes != NULL && length > 0)
        read_answer(w, k, name, (struct slice){(const char *)bytes, (size_t)length});
    else if (status == ARES_ETIMEOUT)
        fail(k, DNS_TIMEOUT);
    else /* ARES_ECONNREFUSED too: that is what c-ares says when all servers answered SERVFAIL */
        fail(k, DNS_SERVFAIL);
}

void wire_ask(struct wire *w, struct lookup *k, struct slice name)
{
    struct asked *asked;
    struct buf escaped;
    unsigned char *query = NULL;
    int length = 0, status;
    uint16_t id;

    buf_init(&escaped, 4 * DNS_NAME_MAX + 2);
    dns_name_escape(name, &escaped);
    buf_append_char(&escaped, '\0');
    if (getrandom(&id, sizeof id, 0) != sizeof id)
        abort(); /* it cannot fail for two octets */
    status = dns_name_is_valid(name) ? ares_create_query(escaped.p, CLASS_IN, (int)k->question.type,
                                                         id, 1, &query, &length, EDNS_BYTES)
                                     : ARES_EBADNAME;
    buf_finish(&escaped);
    if (status != ARES_SUCCESS || length < 12) {
        ares_free_string(query);
        fail(k, DNS_NXDOMAIN); /* a name that DNS cannot hold does not exist */
        return;
    }
    query[3] |= HEADER_AD;
    asked = mem_alloc(sizeof *asked);
    *asked = (struct asked){w, k, name};
    ares_send(w->channel, query, length, on_answer, asked);
    ares_free_string(query);
    arm(w);
}
