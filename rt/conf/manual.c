#include "rt/conf/conf_in.h"

static const char head[] = ".\\\" Made from rt/conf/conf.def; change that instead.\n"
                           ".Dd November 23, 2026\n"
                           ".Dt WAYBILL.CONF 5\n"
                           ".Os\n"
                           ".Sh NAME\n"
                           ".Nm waybill.conf\n"
                           ".Nd settings of the waybill mail server\n"
                           ".Sh DESCRIPTION\n"
                           "The file holds lines of\n"
                           ".Ar name No = Ar value\n"
                           "and sections of such lines in braces.\n"
                           "Text needs quotes when it holds blanks or any of\n"
                           ".Ql { } ( ) = + , # \\(aq \\(dq .\n"
                           "Lists stand in braces, with commas between their elements.\n"
                           "Sizes are numbers of bytes, or numbers with KiB, MiB, GiB or TiB.\n"
                           "Times are numbers with ms, s, m, h or d, such as 30s or 1h30m.\n"
                           "Comments begin with\n"
                           ".Ql # .\n"
                           "Every setting has a default, so an empty file is a legal one.\n"
                           ".Pp\n"
                           "Settings marked\n"
                           ".Em restart\n"
                           "are read at the start only; the others also when the program gets\n"
                           ".Dv SIGHUP .\n";

static const struct {
    const char *title, *words;
} sections[CONF_GROUPS] = {
    [GLOBAL] = {"SETTINGS", "At the top level:\n"},
    [LISTENER] = {"LISTENERS",
                  "A section\n.Ic listener Ar name No { ... }\nopens a port for clients.\n"
                  "Without any, there is one on port 25.\n"},
    [STREAM] = {"STREAMS",
                "A section\n.Ic stream Ar name No { ... }\nsays how the mail of one kind is "
                "treated.\n"},
    [KEY] = {"KEYS",
             "A section\n.Ic key Ar name No { ... }\nnames a private key that signs mail.\n"},
    [ROUTE] = {"ROUTES",
               "A section\n.Ic route Ar domain No { ... }\nsays where the mail for a domain goes; "
               "the domain\n.Ql *\nstands for all that have no route of their own.\n"},
};

static const char local_mail[] =
    ".Sh LOCAL MAIL AND FORWARDING\n"
    "Mail for the domain of a route with\n"
    ".Ic local No = Ar yes\n"
    "is taken from anybody, for addresses that exist: those of\n"
    ".Ic forwards_file ,\n"
    "whose targets take their place; those whose Maildir is there, which is never made by a "
    "delivery;\n"
    "those of the route's\n"
    ".Ic recipients_file ;\n"
    "and without that file all, for whatever the next hop makes of them.\n"
    "Others are refused.\n"
    "The address\n"
    ".Ql postmaster\n"
    "should be among them (RFC 5321).\n"
    "A Maildir must be writable for\n"
    ".Ic user ,\n"
    "and so must be the way to it.\n"
    ".Pp\n"
    "Delivered mail begins with Return-Path, Delivered-To, Received, Authentication-Results "
    "(RFC 8601)\n"
    "and Received-SPF; fields that somebody else wrote in our name are taken out.\n"
    "Mail that fails DMARC, and is not refused, carries\n"
    ".Ql X-Waybill-Quarantine: dmarc=fail policy=POLICY\n"
    "for a filter (Sieve) to sort by.\n"
    ".Pp\n"
    "A target of another domain gets the mail with our return path if\n"
    ".Ic return_path_domain\n"
    "is set, as\n"
    ".Ic forward_return_path\n"
    "says, and with an ARC set (RFC 8617) if there is a key of the domain that was written to, or "
    "of\n"
    "one above it.\n"
    "The secrets of SRS are lines of\n"
    ".Pa srs.secret\n"
    "in\n"
    ".Ic data_dir :\n"
    "the first one signs, all are good.\n"
    "The file is made at the first start; one of postsrsd does as well, with\n"
    ".Ic srs_hash_length No = Ar 4 .\n"
    "It is read at the start.\n"
    "Mail to an SRS address is taken with the null sender only.\n";

/* A word of mdoc: a leading dot or quote, and backslashes, are not ours to interpret. */
static void put_escaped(struct slice text, struct buf *out)
{
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '\\')
            buf_append_text(out, "\\e");
        else
            buf_append_char(out, text.p[i]);
    }
}

static const char *kind_word(enum conf_kind kind)
{
    static const char *const words[] = {[TEXT] = "text",
                                        [FILE_PATH] = "path",
                                        [CHOICE] = "",
                                        [NUMBER] = "number",
                                        [SIZE] = "size",
                                        [TIME] = "time",
                                        [BOOL] = "yes|no",
                                        [TEXTS] = "list",
                                        [TIMES] = "list of times",
                                        [NETWORKS] = "list of networks"};

    return words[kind];
}

static void put_setting(const struct conf_row *row, struct buf *out)
{
    const struct conf_setting *s = &row->setting;
    struct buf preset;

    buf_init(&preset, 65536);
    conf_value_print_default(row, &preset);
    buf_printf(out, ".It Ic %s No = Ar %s\n", s->name,
               row->kind == CHOICE ? s->least : kind_word(row->kind));
    put_escaped(slice_of(s->sentence), out);
    buf_append_text(out, ".\n");
    if (row->kind != CHOICE && s->least[0] != '\0')
        buf_printf(out, "From %s to %s.\n", s->least, s->most[0] != '\0' ? s->most : "any");
    if (slice_eq(buf_slice(&preset), SLICE("\"\"")) || slice_eq(buf_slice(&preset), SLICE("{}"))) {
        buf_append_text(out, "Default: empty.\n");
    } else {
        buf_append_text(out, "Default: ");
        put_escaped(buf_slice(&preset), out);
        buf_append_text(out, ".\n");
    }
    if (s->restart)
        buf_append_text(out, ".Em Restart .\n");
    buf_finish(&preset);
}

void conf_manual(struct buf *out)
{
    buf_append_text(out, head);
    for (unsigned g = GLOBAL; g < CONF_GROUPS; g++) {
        buf_printf(out, ".Sh %s\n%s.Bl -tag -width Ds\n", sections[g].title, sections[g].words);
        for (size_t i = 0; i < conf_row_count; i++)
            if (conf_rows[i].group == (enum conf_group)g)
                put_setting(&conf_rows[i], out);
        buf_append_text(out, ".El\n");
    }
    buf_append_text(out, local_mail);
    buf_append_text(out, ".Sh EXAMPLES\n"
                         ".Bd -literal -offset indent\n"
                         "hostname = \"mx.example.com\"\n"
                         "listener submission {\n"
                         "    port = 587\n"
                         "    auth = required\n"
                         "    stream = news\n"
                         "}\n"
                         "stream news {\n"
                         "    unknown = hold\n"
                         "}\n"
                         "route \"example.com\" {\n"
                         "    via = {\"unix:/run/dovecot/lmtp\"}\n"
                         "    protocol = lmtp\n"
                         "    local = yes\n"
                         "    recipients_file = \"/etc/waybill/recipients\"\n"
                         "}\n"
                         "route \"*\" {\n"
                         "    via = {\"smarthost.example.com:587\"}\n"
                         "}\n"
                         ".Ed\n"
                         ".Sh SEE ALSO\n"
                         ".Xr waybill 1\n");
}
