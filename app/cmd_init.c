/* waybill init DOMAIN -- settings, keys, and every record to publish. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/cli.h"
#include "app/keyfile.h"
#include "base/arena.h"
#include "base/ip.h"
#include "lib/dkim/record.h"
#include "lib/dnsmsg/name.h"
#include "lib/dnsmsg/zone_write.h"
#include "rt/conf/conf.h"

#define OUTPUT_MAX ((size_t)4 << 20)
#define MEMORY_MAX ((size_t)16 << 20)
#define RSA_BITS 2048

int cmd_init(int argc, char **argv);

struct init {
    bool force;
    const char *folder, *hostname, *return_path, *selector;
    struct cli_list ips;
    struct slice domain;
    struct arena *arena;
    struct buf zone, conf;
};

static void check_name(const char *name)
{
    if (!dns_name_is_host(slice_of(name)))
        cli_die("\"%s\" is no domain name", name);
}

static const char *in_folder(struct init *o, const char *name)
{
    return arena_string(o->arena, arena_printf(o->arena, "%s/%s", o->folder, name));
}

/* The settings name the keys, and are read from wherever the daemon starts: the path is absolute.
 * Only the last folder of it is made. */
static void open_folder(struct init *o)
{
    char *path;

    if (mkdir(o->folder, 0755) != 0 && errno != EEXIST)
        cli_die("%s: %s", o->folder, strerror(errno));
    path = realpath(o->folder, NULL);
    if (!path)
        cli_die("%s: %s", o->folder, strerror(errno));
    o->folder = arena_string(o->arena, slice_of(path));
    free(path);
}

/* Said before a key is made: half of a set-up is worse than none. */
static void refuse_to_replace(struct init *o)
{
    const char *conf = in_folder(o, "waybill.conf");
    const char *zone = in_folder(
        o, arena_string(o->arena, arena_printf(o->arena, "%.*s.zone", SLICE_ARG(o->domain))));

    if (!o->force && access(conf, F_OK) == 0)
        cli_die("%s is there already (--force replaces it; for one more domain, take another "
                "--folder and copy its key sections)",
                conf);
    if (!o->force && access(zone, F_OK) == 0)
        cli_die("%s is there already (--force replaces it)", zone);
}

static void write_file(const char *path, struct slice text, bool force)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | (force ? O_TRUNC : O_EXCL), 0644);

    if (fd < 0 && errno == EEXIST)
        cli_die("%s is there already (--force replaces it)", path);
    if (fd < 0)
        cli_die("%s: %s", path, strerror(errno));
    while (text.n > 0) {
        ssize_t n = write(fd, text.p, text.n);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            cli_die("%s: %s", path, strerror(errno));
        text = slice_from(text, (size_t)n); /* positive */
    }
    if (fsync(fd) != 0 || close(fd) != 0)
        cli_die("%s: %s", path, strerror(errno));
}

/* --- records --- */

static void txt(struct init *o, struct slice name, struct slice text)
{
    dns_zone_write_txt(name, text, &o->zone);
}

static void add_host(struct init *o, struct slice spf_terms)
{
    buf_append_text(&o->zone,
                    "; The host, its addresses, and its own SPF record (for EHLO). Whoever "
                    "gave you the\n; addresses must also set their PTR records to it.\n");
    for (size_t i = 0; i < o->ips.count; i++) {
        struct ip_address a;
        char reverse[IP_REVERSE_MAX];

        if (!ip_address_parse(slice_of(o->ips.items[i]), &a))
            cli_die("\"%s\" is no IP address", o->ips.items[i]);
        (void)ip_address_reverse(&a, reverse);
        buf_printf(&o->zone, "%s. 3600 IN %s %s\n", o->hostname, a.family == IP_V4 ? "A" : "AAAA",
                   o->ips.items[i]);
        buf_printf(&o->zone, "%s. 3600 IN PTR %s.\n", reverse, o->hostname);
    }
    if (o->ips.count == 0)
        buf_printf(&o->zone,
                   "; No address was given (--ip). SPF, the MX and MTA-STS below need it: put it "
                   "in here.\n;%s. 3600 IN A ADDRESS\n",
                   o->hostname);
    txt(o, slice_of(o->hostname), SLICE("v=spf1 a -all"));
    buf_append_text(&o->zone,
                    "; Who may send for the domain, and for the return path of its mail.\n");
    txt(o, o->domain, arena_printf(o->arena, "v=spf1%.*s ~all", SLICE_ARG(spf_terms)));
    txt(o, slice_of(o->return_path),
        arena_printf(o->arena, "v=spf1%.*s -all", SLICE_ARG(spf_terms)));
    buf_printf(&o->zone, "; Bounces come back here.\n%s. 3600 IN MX 10 %s.\n", o->return_path,
               o->hostname);
}

static struct slice spf_terms(struct init *o)
{
    struct buf terms;
    struct slice kept;
    struct ip_address a;

    buf_init(&terms, 65536);
    for (size_t i = 0; i < o->ips.count; i++) {
        if (!ip_address_parse(slice_of(o->ips.items[i]), &a))
            cli_die("\"%s\" is no IP address", o->ips.items[i]);
        buf_printf(&terms, " %s:%s", a.family == IP_V4 ? "ip4" : "ip6", o->ips.items[i]);
    }
    if (o->ips.count == 0)
        buf_printf(&terms, " a:%s", o->hostname);
    kept = arena_copy(o->arena, buf_slice(&terms));
    buf_finish(&terms);
    return kept;
}

static void add_key(struct init *o, enum crypt_key_type type, const char *kind, const char *suffix)
{
    struct slice selector = arena_printf(o->arena, "%s%s", o->selector, suffix);
    const char *path = in_folder(
        o, arena_string(o->arena, arena_printf(o->arena, "%.*s.%.*s.pem", SLICE_ARG(o->domain),
                                               SLICE_ARG(selector))));
    struct crypt_key *key;
    struct buf record;
    struct err e;

    if (crypt_key_generate(type, RSA_BITS, &key, &e))
        cli_die("%s", e.text);
    buf_init(&record, DKIM_RECORD_MAX_BYTES);
    if (dkim_record_write(key, &record, &e))
        cli_die("%s", e.text);
    keyfile_write(path, key, o->force);
    txt(o,
        arena_printf(o->arena, "%.*s._domainkey.%.*s", SLICE_ARG(selector), SLICE_ARG(o->domain)),
        buf_slice(&record));
    buf_printf(&o->conf,
               "key %s {\n    domain = \"%.*s\"\n    selector = \"%.*s\"\n    file = \"%s\"\n}\n",
               kind, SLICE_ARG(o->domain), SLICE_ARG(selector), path);
    crypt_key_destroy(&key);
    buf_finish(&record);
}

static void add_policies(struct init *o)
{
    struct slice d = o->domain;

    buf_append_text(&o->zone,
                    "; What receivers do with mail that proves nothing. Begin with none, read "
                    "the reports\n; (waybill dmarc report), then go to quarantine and reject.\n");
    txt(o, arena_printf(o->arena, "_dmarc.%.*s", SLICE_ARG(d)),
        arena_printf(o->arena, "v=DMARC1; p=none; rua=mailto:dmarc-reports@%s", o->return_path));
    buf_printf(&o->zone,
               "; Senders are to use TLS (RFC 8461). Serve the policy below at\n"
               "; https://mta-sts.%.*s/.well-known/mta-sts.txt first, and change the id when it "
               "changes:\n"
               ";   version: STSv1\n;   mode: testing\n;   mx: %s\n;   max_age: 86400\n",
               SLICE_ARG(d), o->hostname);
    buf_printf(&o->zone, "mta-sts.%.*s. 3600 IN CNAME %s.\n", SLICE_ARG(d), o->hostname);
    txt(o, arena_printf(o->arena, "_mta-sts.%.*s", SLICE_ARG(d)),
        arena_printf(o->arena, "v=STSv1; id=%lld", (long long)cli_now(-1)));
    buf_append_text(&o->zone, "; Reports about TLS (RFC 8460).\n");
    txt(o, arena_printf(o->arena, "_smtp._tls.%.*s", SLICE_ARG(d)),
        arena_printf(o->arena, "v=TLSRPTv1; rua=mailto:tls-reports@%.*s", SLICE_ARG(d)));
}

/* --- settings --- */

/* Whether this machine has the address. Behind NAT, as in most clouds, it has another one, and mail
 * that is to leave from the world's view of it would not leave at all. */
static bool is_on_this_machine(const char *text)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    bool is_v4 = inet_pton(AF_INET, text, &v4.sin_addr) == 1;
    int fd = socket(is_v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool is_here = fd >= 0 && (is_v4 || inet_pton(AF_INET6, text, &v6.sin6_addr) == 1) &&
                   (is_v4 ? bind(fd, (struct sockaddr *)&v4, sizeof v4)
                          : bind(fd, (struct sockaddr *)&v6, sizeof v6)) == 0;

    if (fd >= 0)
        (void)close(fd);
    return is_here;
}

static void add_addresses(struct init *o)
{
    if (o->ips.count == 1 && is_on_this_machine(o->ips.items[0])) {
        buf_printf(&o->conf,
                   "# Mail leaves from this address; SPF allows it.\nsource_address = \"%s\"\n",
                   o->ips.items[0]);
        return;
    }
    buf_append_text(
        &o->conf,
        "\n# What the world sees mail come from, for waybill doctor: behind NAT it is not "
        "our own.\n");
    if (o->ips.count == 0) {
        buf_append_text(&o->conf, "# public_addresses = {\"192.0.2.1\"}\n");
        return;
    }
    buf_append_text(&o->conf, "public_addresses = {");
    for (size_t i = 0; i < o->ips.count; i++)
        buf_printf(&o->conf, "%s\"%s\"", i > 0 ? ", " : "", o->ips.items[i]);
    buf_append_text(&o->conf, "}\n");
}

static void begin_conf(struct init *o)
{
    buf_printf(&o->conf,
               "# Settings of Waybill for %.*s; waybill.conf(5) explains each of them.\n\n"
               "# Our name: in greetings and EHLO. Its address must lead here, and back (PTR).\n"
               "hostname = \"%s\"\n",
               SLICE_ARG(o->domain), o->hostname);
    add_addresses(o);
    buf_append_text(&o->conf,
                    "\n# Who may send to any address without a login.\n"
                    "relay_networks = {\"127.0.0.0/8\", \"::1/128\"}\n"
                    "# Logins for everybody else: lines of NAME:HASH, as mkpasswd -m yescrypt "
                    "writes them.\n"
                    "# logins_file = \"/etc/waybill/logins\"\n"
                    "# tls_certificate = \"/etc/waybill/certificate.pem\"\n"
                    "# tls_key = \"/etc/waybill/certificate-key.pem\"\n\n"
                    "listener smtp {\n    port = 25\n    auth = none\n}\n"
                    "listener submission {\n    port = 587\n    auth = required\n}\n\n"
                    "# Every message from the domain is signed with both keys.\n");
}

static void add_return_path(struct init *o)
{
    struct conf *defaults = conf_default();
    struct buf value;

    buf_init(&value, 4096);
    if (conf_get(defaults, "return_path_domain", &value))
        buf_printf(&o->conf,
                   "\n# Bounces come back to signed addresses in this domain.\n"
                   "return_path_domain = \"%s\"\n"
                   "\n# Reports of others about our domains come here, and are read.\n"
                   "dmarc_reports_address = { \"dmarc-reports@%s\" }\n"
                   "# Daily reports to others about mail in their name that came to local domains:"
                   "\n# dmarc_reports = yes\n",
                   o->return_path, o->return_path);
    buf_finish(&value);
    conf_destroy(&defaults);
}

static void check_conf(struct init *o)
{
    struct err e;
    struct conf *conf = conf_parse("waybill.conf", buf_slice(&o->conf), &e);

    if (!conf)
        cli_die("%s", e.text);
    conf_destroy(&conf);
}

static void make_all(struct init *o)
{
    struct buf out;

    buf_printf(&o->zone, "; Records to publish for %.*s\n", SLICE_ARG(o->domain));
    add_host(o, spf_terms(o));
    begin_conf(o);
    buf_append_text(&o->zone, "; The keys that mail is signed with.\n");
    add_key(o, CRYPT_RSA, "rsa", "");
    add_key(o, CRYPT_ED25519, "ed25519", "-ed");
    add_return_path(o);
    add_policies(o);
    check_conf(o);
    const char *conf = in_folder(o, "waybill.conf");
    const char *zone = in_folder(
        o, arena_string(o->arena, arena_printf(o->arena, "%.*s.zone", SLICE_ARG(o->domain))));
    write_file(conf, buf_slice(&o->conf), o->force);
    write_file(zone, buf_slice(&o->zone), o->force);
    buf_init(&out, OUTPUT_MAX);
    buf_append(&out, buf_slice(&o->zone));
    buf_printf(&out,
               "\n; Written: %s, the keys beside it, and the records above in %s.\n"
               "; Publish the records, then run `waybill doctor --config %s %.*s`.\n",
               conf, zone, conf, SLICE_ARG(o->domain));
    cli_write(&out);
    buf_finish(&out);
}

int cmd_init(int argc, char **argv)
{
    static const struct cli_usage usage = {
        "DOMAIN", "writes settings, makes keys, prints the records to publish",
        "Files go into --folder: waybill.conf, DOMAIN.zone, and two private keys. What is printed "
        "is\n"
        "a zone file, explained by comments."};
    struct init o = {.folder = "."};
    const struct cli_option options[] = {
        CLI_TEXT("folder", &o.folder, "FOLDER", "where the files go (here)"),
        CLI_TEXT("hostname", &o.hostname, "NAME", "this server's name (mail.DOMAIN)"),
        CLI_LIST("ip", &o.ips, "ADDRESS", "an address that mail leaves from"),
        CLI_TEXT("return-path", &o.return_path, "DOMAIN", "where bounces go (bounces.DOMAIN)"),
        CLI_TEXT("selector", &o.selector, "NAME", "the keys' selector (waybill1)"),
        CLI_FLAG("force", &o.force, "replace files that are there")};

    if (cli_parse(&usage, options, COUNT(options), argc, argv) != 1)
        cli_die("give one domain, such as `waybill init example.com --ip 192.0.2.1`");
    o.arena = arena_create(MEMORY_MAX);
    o.domain = dns_name_trim(slice_of(argv[0]));
    check_name(argv[0]);
    if (!o.hostname)
        o.hostname = arena_string(o.arena, arena_printf(o.arena, "mail.%.*s", SLICE_ARG(o.domain)));
    if (!o.return_path)
        o.return_path =
            arena_string(o.arena, arena_printf(o.arena, "bounces.%.*s", SLICE_ARG(o.domain)));
    if (!o.selector)
        o.selector = "waybill1";
    check_name(o.hostname);
    check_name(o.return_path);
    open_folder(&o);
    refuse_to_replace(&o);
    buf_init(&o.zone, OUTPUT_MAX);
    buf_init(&o.conf, OUTPUT_MAX);
    make_all(&o);
    buf_finish(&o.zone);
    buf_finish(&o.conf);
    arena_destroy(&o.arena);
    return CLI_GOOD;
}
