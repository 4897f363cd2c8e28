/* A small DNS server in the same loop plays the world: UDP and TCP on one port of loopback. */
#include "rt/dns/dns.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/test.h"

#define SOA                                                                                        \
    "\xc0\x0c\0\x06\0\x01\0\0\0\x1e\0\x16\0\0\0\0\0\x01\0\0\0\x02\0\0\0\x03\0\0\0\x04\0\0\0\x1e"

struct world {
    struct loop *loop;
    struct dns_resolver *resolver;
    int udp, tcp, connection;
    struct loop_watch *udp_watch, *tcp_watch, *connection_watch;
    unsigned udp_queries, tcp_queries;
    char servers[64], zone[64];
    /* the last answer */
    unsigned answers;
    struct dns_answer answer;
    struct ip_address ip;
    char text[600], canonical[300];
};

/* What each name is answered with: flags, and the records behind the question. */
static const struct played {
    const char *name; /* on the wire */
    unsigned rcode;
    bool cut, silent, secure;
    unsigned answers, authorities;
    struct slice records;
} played[] = {
    {"\1a\4test", 0, .secure = true, .answers = 1,
     .records = SLICE_INIT("\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\xc0\0\2\1")},
    {"\5plain\4test", 0, .answers = 1,
     .records = SLICE_INIT("\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\xc0\0\2\2")},
    {"\4zero\4test", 0, .answers = 1,
     .records = SLICE_INIT("\xc0\x0c\0\1\0\1\0\0\0\0\0\4\xc0\0\2\3")},
    {"\3big\4test", 0, .cut = true, .answers = 1,
     .records = SLICE_INIT("\xc0\x0c\0\x10\0\1\0\0\0\x3c\0\5\4big!")},
    {"\2nx\4test", 3, .authorities = 1, .records = SLICE_INIT(SOA)},
    {"\4bare\4test", 0, .authorities = 1, .records = SLICE_INIT(SOA)},
    {"\4fail\4test", 2, .cut = false},
    {"\6silent\4test", 0, .silent = true},
    {"\5cname\4test", 0, .secure = true, .answers = 1,
     .records = SLICE_INIT("\xc0\x0c\0\5\0\1\0\0\0\x3c\0\x08\5plain\xc0\x12")},
    {"\5loop1\4test", 0, .answers = 1,
     .records = SLICE_INIT("\xc0\x0c\0\5\0\1\0\0\0\x3c\0\x08\5loop2\xc0\x12")},
    {"\5loop2\4test", 0, .answers = 1,
     .records = SLICE_INIT("\xc0\x0c\0\5\0\1\0\0\0\x3c\0\x08\5loop1\xc0\x12")},
};

/* Writes the response to `query`; 0: none. */
static size_t respond(struct slice query, bool is_udp, char *out)
{
    const struct played *p = NULL;
    struct slice name = slice_from(query, 12);
    size_t question;

    for (size_t i = 0; i < COUNT(played) && p == NULL; i++)
        if (slice_starts_nocase(name, slice_of(played[i].name)) &&
            name.p[strlen(played[i].name)] == '\0')
            p = &played[i];
    if (p == NULL || p->silent)
        return 0;
    bool cut = p->cut && is_udp, asks_ad = query.p[3] & 0x20;
    question = strlen(p->name) + 5;
    memcpy(out, query.p, 12 + question);
    out[2] = (char)(0x81 | (cut ? 2 : 0));
    out[3] = (char)(0x80 | p->rcode | (p->secure && asks_ad ? 0x20 : 0));
    memset(out + 6, 0, 6);
    if (cut)
        return 12 + question;
    out[7] = (char)p->answers;
    out[9] = (char)p->authorities;
    if (p->records.n > 0)
        memcpy(out + 12 + question, p->records.p, p->records.n);
    return 12 + question + p->records.n;
}

static void on_udp(void *ctx, unsigned events)
{
    struct world *w = ctx;
    struct sockaddr_in from;
    socklen_t from_n = sizeof from;
    char query[2000], out[2000];
    ssize_t n = recvfrom(w->udp, query, sizeof query, 0, (struct sockaddr *)&from, &from_n);

    (void)events;
    assert_true(n > 12);
    w->udp_queries++;
    size_t size = respond((struct slice){query, (size_t)n}, true, out);
    if (size > 0)
        assert_int_equal(sendto(w->udp, out, size, 0, (struct sockaddr *)&from, from_n), size);
}

static void on_tcp_query(void *ctx, unsigned events)
{
    struct world *w = ctx;
    char query[2000], out[2000];
    ssize_t n = recv(w->connection, query, sizeof query, 0);

    (void)events;
    assert_true(n > 14);
    w->tcp_queries++;
    size_t size = respond((struct slice){query + 2, (size_t)n - 2}, false, out + 2);
    out[0] = (char)(size >> 8);
    out[1] = (char)size;
    assert_int_equal(send(w->connection, out, size + 2, 0), size + 2);
    loop_watch_destroy(&w->connection_watch);
    close(w->connection);
}

static void on_tcp(void *ctx, unsigned events)
{
    struct world *w = ctx;

    (void)events;
    w->connection = accept(w->tcp, NULL, NULL);
    w->connection_watch = loop_watch_create(w->loop, w->connection, on_tcp_query, w);
    loop_watch_want(w->connection_watch, LOOP_READ);
}

static void on_done(void *ctx, const struct dns_answer *answer)
{
    struct world *w = ctx;

    w->answers++;
    w->answer = *answer;
    snprintf(w->canonical, sizeof w->canonical, "%.*s", SLICE_ARG(answer->canonical));
    w->text[0] = '\0';
    if (answer->count > 0) {
        w->ip = answer->records[0].address;
        snprintf(w->text, sizeof w->text, "%.*s", SLICE_ARG(answer->records[0].text));
    }
}

static struct dns_ask *ask(struct world *w, const char *name, enum dns_type type)
{
    struct dns_question q = {slice_of(name), type};
    unsigned before = w->answers;
    struct dns_ask *it = dns_ask(w->resolver, &q, on_done, w);

    assert_int_equal(w->answers, before); /* never inside the call */
    return it;
}

static void wait_answers(struct world *w, unsigned count)
{
    for (unsigned i = 0; i < 2000 && w->answers < count; i++)
        loop_turn(w->loop, 10);
    assert_int_equal(w->answers, count);
}

static void open_resolver(struct world *w, const char *servers, size_t cache_max)
{
    struct dns_options o = {
        .servers = servers, .timeout_ms = 60, .tries = 2, .cache_max = cache_max};
    struct err e;

    dns_destroy(&w->resolver);
    w->resolver = dns_create(w->loop, &o, &e);
    if (w->resolver == NULL)
        fail_msg("%s", e.text);
}

static void assert_ip(struct world *w, const char *text)
{
    char shown[IP_TEXT_MAX];

    ip_address_format(&w->ip, shown);
    assert_string_equal(shown, text);
}

static void address_and_cache(struct world *w)
{
    ask(w, "a.test", DNS_A);
    wait_answers(w, 1);
    assert_int_equal(w->answer.status, DNS_OK);
    assert_ip(w, "192.0.2.1");
    assert_true(w->answer.secure); /* the AD bit, from loopback */
    ask(w, "A.Test.", DNS_A);
    wait_answers(w, 2);
    assert_int_equal(w->udp_queries, 1);
    assert_in_range(w->answer.ttl_s, 58, 60);
    assert_int_equal(dns_counts(w->resolver).from_cache, 1);
}

static void not_validated(struct world *w)
{
    ask(w, "plain.test", DNS_A);
    wait_answers(w, 1);
    assert_int_equal(w->answer.status, DNS_OK);
    assert_false(w->answer.secure);
}

static void shared_query(struct world *w)
{
    struct dns_ask *second;

    ask(w, "a.test", DNS_A);
    second = ask(w, "a.test", DNS_A);
    ask(w, "a.test", DNS_A);
    dns_cancel(&second);
    assert_null(second);
    wait_answers(w, 2);
    loop_turn(w->loop, 20);
    assert_int_equal(w->answers, 2);
    assert_int_equal(w->udp_queries, 1);
}

static void no_ttl_no_cache(struct world *w)
{
    ask(w, "zero.test", DNS_A);
    wait_answers(w, 1);
    ask(w, "zero.test", DNS_A);
    wait_answers(w, 2);
    assert_int_equal(w->udp_queries, 2);
}

static void truncated(struct world *w)
{
    ask(w, "big.test", DNS_TXT);
    wait_answers(w, 1);
    assert_int_equal(w->answer.status, DNS_OK);
    assert_string_equal(w->text, "big!");
    assert_int_equal(w->tcp_queries, 1);
}

static void negative(struct world *w)
{
    ask(w, "nx.test", DNS_A);
    wait_answers(w, 1);
    assert_int_equal(w->answer.status, DNS_NXDOMAIN);
    ask(w, "bare.test", DNS_A);
    wait_answers(w, 2);
    assert_int_equal(w->answer.status, DNS_NODATA);
    unsigned queries = w->udp_queries;
    ask(w, "nx.test", DNS_A);
    wait_answers(w, 3);
    assert_int_equal(w->answer.status, DNS_NXDOMAIN);
    assert_int_equal(w->udp_queries, queries);
}

static void server_failure(struct world *w)
{
    ask(w, "fail.test", DNS_A);
    wait_answers(w, 1);
    assert_int_equal(w->answer.status, DNS_SERVFAIL);
    unsigned queries = w->udp_queries;
    ask(w, "fail.test", DNS_A); /* is not kept: it may be better now */
    wait_answers(w, 2);
    assert_true(w->udp_queries > queries);
}

static void silence(struct world *w)
{
    int64_t start = loop_clock_us();

    ask(w, "silent.test", DNS_A);
    wait_answers(w, 1);
    assert_int_equal(w->answer.status, DNS_TIMEOUT);
    assert_int_equal(w->udp_queries, 2); /* the tries */
    assert_in_range(loop_clock_us() - start, 60 * 1000, 5000 * 1000);
}

static void follows_cname(struct world *w)
{
    ask(w, "cname.test", DNS_A);
    wait_answers(w, 1);
    assert_int_equal(w->answer.status, DNS_OK);
    assert_ip(w, "192.0.2.2");
    assert_string_equal(w->canonical, "plain.test");
    assert_false(w->answer.secure); /* the second half was not */
}

static void cname_loop(struct world *w)
{
    ask(w, "loop1.test", DNS_A);
    wait_answers(w, 1);
    assert_int_equal(w->answer.status, DNS_SERVFAIL);
    assert_in_range(w->udp_queries, 2, 10);
}

static void bad_names(struct world *w)
{
    ask(w, "", DNS_A);
    ask(w, "a..test", DNS_A);
    ask(w, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.test",
        DNS_A);
    wait_answers(w, 3);
    assert_int_equal(w->answer.status, DNS_NXDOMAIN);
    assert_int_equal(w->udp_queries, 0);
}

static void cache_ceiling(struct world *w)
{
    open_resolver(w, w->servers, 2);
    ask(w, "a.test", DNS_A);
    ask(w, "plain.test", DNS_A);
    wait_answers(w, 2);
    ask(w, "nx.test", DNS_A);
    wait_answers(w, 3);
    assert_int_equal(dns_counts(w->resolver).cached, 2);
}

static void dropped(struct world *w)
{
    ask(w, "silent.test", DNS_A);
    ask(w, "a.test", DNS_A);
    loop_turn(w->loop, 0);
    dns_destroy(&w->resolver);
    for (unsigned i = 0; i < 10; i++)
        loop_turn(w->loop, 1);
    assert_true(w->answers <= 1);
}

static void nobody_there(struct world *w)
{
    open_resolver(w, "127.0.0.1:1", 0);
    ask(w, "a.test", DNS_A);
    wait_answers(w, 1);
    assert_true(dns_status_is_failure(w->answer.status));
}

static void zone_file(struct world *w)
{
    char path[] = "/tmp/waybill-dns-test-XXXXXX", servers[64];
    static const char text[] = "a.example. 60 IN A 192.0.2.7\n"
                               "b.example. CNAME a.example.\n"
                               ";!timeout slow.example\n";
    int fd = mkstemp(path);

    assert_int_equal(write(fd, text, sizeof text - 1), sizeof text - 1);
    close(fd);
    snprintf(servers, sizeof servers, "zone:%s", path);
    open_resolver(w, servers, 0);
    unlink(path);
    ask(w, "b.example", DNS_A);
    wait_answers(w, 1);
    assert_ip(w, "192.0.2.7");
    ask(w, "slow.example", DNS_A);
    wait_answers(w, 2);
    assert_int_equal(w->answer.status, DNS_TIMEOUT);
    ask(w, "none.example", DNS_MX);
    ask(w, "none.example", DNS_MX);
    wait_answers(w, 4);
    assert_int_equal(w->answer.status, DNS_NXDOMAIN);
    assert_int_equal(w->udp_queries, 0);
}

static void bad_options(struct world *w)
{
    struct dns_options o = {.servers = "not an address"};
    struct err e;

    (void)w;
    assert_null(dns_create(w->loop, &o, &e));
    assert_non_null(strstr(e.text, "not an address"));
    o.servers = "zone:/nonexistent.zone";
    assert_null(dns_create(w->loop, &o, &e));
    assert_non_null(strstr(e.text, "/nonexistent.zone"));
}

static const struct story {
    const char *name;
    void (*run)(struct world *w);
} stories[] = {
    {"an address, validated, then from the cache", address_and_cache},
    {"without the AD bit nothing is secure", not_validated},
    {"equal questions share one query, a cancelled one hears nothing", shared_query},
    {"an answer without TTL is not kept", no_ttl_no_cache},
    {"a cut answer comes again over TCP", truncated},
    {"no such name, no such type: kept for their negative TTL", negative},
    {"a server's failure is told, and not kept", server_failure},
    {"silence is a time-out after all tries", silence},
    {"a CNAME is followed, and is only as secure as both halves", follows_cname},
    {"a circle of CNAMEs is a failure", cname_loop},
    {"names that DNS cannot hold do not exist", bad_names},
    {"the cache has a ceiling", cache_ceiling},
    {"open questions are dropped with the resolver", dropped},
    {"no server at all is a failure", nobody_there},
    {"a zone file plays the world", zone_file},
    {"unusable options are named", bad_options},
};

static void run(void **state)
{
    const struct story *s = *state;
    struct world w = {.loop = loop_create()};
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t a_n = sizeof a;

    w.udp = socket(AF_INET, SOCK_DGRAM, 0);
    w.tcp = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(w.tcp, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(getsockname(w.tcp, (struct sockaddr *)&a, &a_n), 0);
    assert_int_equal(bind(w.udp, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(w.tcp, 5), 0);
    snprintf(w.servers, sizeof w.servers, "127.0.0.1:%u", ntohs(a.sin_port));
    w.udp_watch = loop_watch_create(w.loop, w.udp, on_udp, &w);
    w.tcp_watch = loop_watch_create(w.loop, w.tcp, on_tcp, &w);
    loop_watch_want(w.udp_watch, LOOP_READ);
    loop_watch_want(w.tcp_watch, LOOP_READ);
    open_resolver(&w, w.servers, 0);
    s->run(&w);
    dns_destroy(&w.resolver);
    loop_watch_destroy(&w.udp_watch);
    loop_watch_destroy(&w.tcp_watch);
    close(w.udp);
    close(w.tcp);
    loop_destroy(&w.loop);
}

int main(void)
{
    RUN_TABLE(stories, run);
}
