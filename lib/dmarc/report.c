#include "lib/dmarc/report.h"

#include <expat.h>

#include "base/ascii.h"

#define DEPTH_MAX 16
#define PATH_MAX_BYTES 256
#define CHUNK_BYTES ((size_t)1 << 20)
#define NAMESPACE_9990 "urn:ietf:params:xml:ns:dmarc-2.0"

/* Where the text of an element goes. */
enum owner { REPORT, ROW, REASON, AUTH };
#define INTO(owner, type, member) (owner), offsetof(struct type, member)
static const struct target {
    const char *path;
    enum owner owner;
    size_t offset;
} targets[] = {
    {"version", INTO(REPORT, dmarc_report, version)},
    {"report_metadata/org_name", INTO(REPORT, dmarc_report, org_name)},
    {"report_metadata/email", INTO(REPORT, dmarc_report, email)},
    {"report_metadata/extra_contact_info", INTO(REPORT, dmarc_report, extra_contact)},
    {"report_metadata/report_id", INTO(REPORT, dmarc_report, report_id)},
    {"report_metadata/error", INTO(REPORT, dmarc_report, error)},
    {"report_metadata/generator", INTO(REPORT, dmarc_report, generator)},
    {"policy_published/domain", INTO(REPORT, dmarc_report, domain)},
    {"policy_published/adkim", INTO(REPORT, dmarc_report, adkim)},
    {"policy_published/aspf", INTO(REPORT, dmarc_report, aspf)},
    {"policy_published/p", INTO(REPORT, dmarc_report, p)},
    {"policy_published/sp", INTO(REPORT, dmarc_report, sp)},
    {"policy_published/np", INTO(REPORT, dmarc_report, np)},
    {"policy_published/pct", INTO(REPORT, dmarc_report, pct)},
    {"policy_published/fo", INTO(REPORT, dmarc_report, fo)},
    {"policy_published/testing", INTO(REPORT, dmarc_report, testing)},
    {"policy_published/discovery_method", INTO(REPORT, dmarc_report, discovery_method)},
    {"record/row/source_ip", INTO(ROW, dmarc_row, source_ip)},
    {"record/row/policy_evaluated/disposition", INTO(ROW, dmarc_row, disposition)},
    {"record/row/policy_evaluated/dkim", INTO(ROW, dmarc_row, dkim)},
    {"record/row/policy_evaluated/spf", INTO(ROW, dmarc_row, spf)},
    {"record/row/policy_evaluated/reason/type", INTO(REASON, dmarc_reason, type)},
    {"record/row/policy_evaluated/reason/comment", INTO(REASON, dmarc_reason, comment)},
    {"record/identifiers/header_from", INTO(ROW, dmarc_row, header_from)},
    {"record/identifiers/envelope_from", INTO(ROW, dmarc_row, envelope_from)},
    {"record/identifiers/envelope_to", INTO(ROW, dmarc_row, envelope_to)},
    {"record/identities/header_from", INTO(ROW, dmarc_row, header_from)}, /* old drafts */
    {"record/identities/envelope_to", INTO(ROW, dmarc_row, envelope_to)},
    {"record/auth_results/dkim/domain", INTO(AUTH, dmarc_auth, domain)},
    {"record/auth_results/dkim/selector", INTO(AUTH, dmarc_auth, selector)},
    {"record/auth_results/dkim/result", INTO(AUTH, dmarc_auth, result)},
    {"record/auth_results/dkim/human_result", INTO(AUTH, dmarc_auth, human_result)},
    {"record/auth_results/spf/domain", INTO(AUTH, dmarc_auth, domain)},
    {"record/auth_results/spf/scope", INTO(AUTH, dmarc_auth, scope)},
    {"record/auth_results/spf/result", INTO(AUTH, dmarc_auth, result)},
    {"record/auth_results/spf/human_result", INTO(AUTH, dmarc_auth, human_result)},
};

struct reader {
    XML_Parser parser;
    struct arena *arena;
    struct dmarc_report *report;
    struct dmarc_row *row, **last_row;
    struct dmarc_reason *reason, **last_reason;
    struct dmarc_auth *auth, **last_auth;
    char path[PATH_MAX_BYTES]; /* below <feedback>, elements joined with '/' */
    size_t path_n, marks[DEPTH_MAX];
    unsigned depth;
    bool is_feedback, refused, full;
    struct buf text;
};

static void stop(struct reader *r, bool *why)
{
    *why = true;
    (void)XML_StopParser(r->parser, XML_FALSE);
}

/* Begins a struct when its element opens. */
static void open_element(struct reader *r, struct slice path)
{
    if (slice_eq(path, SLICE("record"))) {
        r->row = arena_alloc(r->arena, sizeof *r->row);
        if (!r->row || r->report->row_count == DMARC_REPORT_ROWS_MAX) {
            r->row = NULL;
            stop(r, &r->full);
            return;
        }
        *r->last_row = r->row;
        r->last_row = &r->row->next;
        r->report->row_count++;
        r->last_reason = &r->row->reasons;
        r->last_auth = &r->row->auths;
        r->reason = NULL;
        r->auth = NULL;
    } else if (r->row && slice_eq(path, SLICE("record/row/policy_evaluated/reason"))) {
        r->reason = arena_alloc(r->arena, sizeof *r->reason);
        if (!r->reason) {
            stop(r, &r->full);
            return;
        }
        *r->last_reason = r->reason;
        r->last_reason = &r->reason->next;
    } else if (r->row && (slice_eq(path, SLICE("record/auth_results/dkim")) ||
                          slice_eq(path, SLICE("record/auth_results/spf")))) {
        r->auth = arena_alloc(r->arena, sizeof *r->auth);
        if (!r->auth) {
            stop(r, &r->full);
            return;
        }
        r->auth->is_dkim = slice_ends(path, SLICE("dkim"));
        *r->last_auth = r->auth;
        r->last_auth = &r->auth->next;
    }
}

static void XMLCALL on_start(void *ctx, const XML_Char *name, const XML_Char **attributes)
{
    struct reader *r = ctx;
    const char *colon = strrchr(name, ':');
    struct slice local = slice_of(colon ? colon + 1 : name);

    if (r->depth == 0) {
        r->is_feedback = slice_eq(local, SLICE("feedback"));
        for (size_t i = 0; attributes[i]; i += 2)
            if (strcmp(attributes[i + 1], NAMESPACE_9990) == 0)
                r->report->is_rfc9990 = true;
    }
    if (r->depth++ == 0)
        return;
    if (r->depth >= DEPTH_MAX || r->path_n + local.n + 1 >= PATH_MAX_BYTES) {
        stop(r, &r->full);
        return;
    }
    r->marks[r->depth] = r->path_n;
    if (r->path_n > 0)
        r->path[r->path_n++] = '/';
    memcpy(r->path + r->path_n, local.p, local.n);
    r->path_n += local.n;
    buf_clear(&r->text);
    open_element(r, (struct slice){r->path, r->path_n});
}

static void keep_text(struct reader *r, const struct target *t, struct slice text)
{
    char *owner = t->owner == REPORT   ? (char *)r->report
                  : t->owner == ROW    ? (char *)r->row
                  : t->owner == REASON ? (char *)r->reason
                                       : (char *)r->auth;

    if (!owner || text.n == 0)
        return;
    struct slice *place = (struct slice *)(void *)(owner + t->offset);
    *place = arena_copy(r->arena, text);
    if (!place->p)
        stop(r, &r->full);
}

static int64_t seconds(struct slice text)
{
    uint64_t value;

    /* Some write a fraction. */
    return slice_to_u64(slice_cut(&text, '.'), &value) && value < INT64_MAX ? (int64_t)value : 0;
}

static void XMLCALL on_end(void *ctx, const XML_Char *name)
{
    struct reader *r = ctx;
    struct slice path = {r->path, r->path_n}, text = slice_trim(buf_slice(&r->text));
    uint64_t count, sum;

    (void)name;
    if (--r->depth == 0)
        return;
    for (size_t i = 0; i < COUNT(targets); i++)
        if (slice_eq(path, slice_of(targets[i].path)))
            keep_text(r, &targets[i], text);
    if (slice_eq(path, SLICE("report_metadata/date_range/begin")))
        r->report->begin_unix_s = seconds(text);
    else if (slice_eq(path, SLICE("report_metadata/date_range/end")))
        r->report->end_unix_s = seconds(text);
    else if (r->row && slice_eq(path, SLICE("record/row/count")) && slice_to_u64(text, &count) &&
             !__builtin_add_overflow(r->report->messages - r->row->count, count, &sum)) {
        r->report->messages = sum; /* of a count that is said twice the last one holds */
        r->row->count = count;
    } else if (slice_eq(path, SLICE("record")))
        r->row = NULL;
    r->path_n = r->marks[r->depth + 1];
    buf_clear(&r->text);
}

static void XMLCALL on_text(void *ctx, const XML_Char *text, int n)
{
    struct reader *r = ctx;

    buf_append(&r->text, (struct slice){text, (size_t)n});
}

static void XMLCALL on_doctype(void *ctx, const XML_Char *name, const XML_Char *system,
                               const XML_Char *public, int has_subset)
{
    struct reader *r = ctx;

    (void)name, (void)system, (void)public, (void)has_subset;
    stop(r, &r->refused);
}

static int parse(struct reader *r, struct slice xml, struct err *e)
{
    for (struct slice rest = xml;;) {
        struct slice chunk = slice_sub(rest, 0, CHUNK_BYTES);

        rest = slice_from(rest, chunk.n);
        if (XML_Parse(r->parser, chunk.n ? chunk.p : "", (int)chunk.n, rest.n == 0) !=
            XML_STATUS_OK)
            break;
        if (rest.n == 0) {
            if (r->is_feedback)
                return 0;
            return err_set(e, ERR_SYNTAX, "the XML is no DMARC aggregate report");
        }
    }
    if (r->refused)
        return err_set(e, ERR_SYNTAX, "a document type in the XML is refused");
    if (r->full)
        return err_set(e, ERR_LIMIT, "the report is too large, or nested too deeply");
    return err_set(e, ERR_SYNTAX, "line %lu of the XML: %s",
                   (unsigned long)XML_GetCurrentLineNumber(r->parser),
                   XML_ErrorString(XML_GetErrorCode(r->parser)));
}

int dmarc_report_read(struct slice xml, struct arena *arena, struct dmarc_report *report_out,
                      struct err *e)
{
    struct reader r = {.arena = arena, .report = report_out, .last_row = &report_out->rows};

    *report_out = (struct dmarc_report){0};
    xml = slice_trim(xml); /* some put empty lines in front */
    if (xml.n > DMARC_REPORT_BYTES_MAX)
        return err_set(e, ERR_LIMIT, "a report of %zu bytes is too large", xml.n);
    r.parser = XML_ParserCreate(NULL);
    if (!r.parser)
        return err_set(e, ERR_LIMIT, "no memory for the XML parser");
    buf_init(&r.text, DMARC_REPORT_TEXT_MAX);
    XML_SetUserData(r.parser, &r);
    XML_SetElementHandler(r.parser, on_start, on_end);
    XML_SetCharacterDataHandler(r.parser, on_text);
    XML_SetStartDoctypeDeclHandler(r.parser, on_doctype);
    int result = parse(&r, xml, e);
    buf_finish(&r.text);
    XML_ParserFree(r.parser);
    return result;
}

/* --- writing --- */

static void element(struct buf *out, unsigned indent, const char *name, struct slice text)
{
    if (text.n == 0)
        return;
    buf_printf(out, "%*s<%s>", (int)indent * 2, "", name);
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];

        if (c == '&')
            buf_append_text(out, "&amp;");
        else if (c == '<')
            buf_append_text(out, "&lt;");
        else if (c == '>')
            buf_append_text(out, "&gt;");
        else if (ascii_is_control(c) && !ascii_is_space(c))
            buf_append_char(out, '?'); /* XML 1.0 cannot hold it */
        else
            buf_append_char(out, c);
    }
    buf_printf(out, "</%s>\n", name);
}

static void write_metadata(const struct dmarc_report *r, struct buf *out)
{
    buf_append_text(out, "  <report_metadata>\n");
    element(out, 2, "org_name", r->org_name);
    element(out, 2, "email", r->email);
    element(out, 2, "extra_contact_info", r->extra_contact);
    element(out, 2, "report_id", r->report_id);
    buf_printf(out,
               "    <date_range>\n      <begin>%lld</begin>\n      <end>%lld</end>\n"
               "    </date_range>\n",
               (long long)r->begin_unix_s, (long long)r->end_unix_s);
    element(out, 2, "error", r->error);
    element(out, 2, "generator", r->generator);
    buf_append_text(out, "  </report_metadata>\n  <policy_published>\n");
    element(out, 2, "domain", r->domain);
    element(out, 2, "discovery_method", r->discovery_method);
    element(out, 2, "p", r->p);
    element(out, 2, "sp", r->sp);
    element(out, 2, "np", r->np);
    element(out, 2, "fo", r->fo);
    element(out, 2, "adkim", r->adkim);
    element(out, 2, "aspf", r->aspf);
    element(out, 2, "testing", r->testing);
    buf_append_text(out, "  </policy_published>\n");
}

static void write_row(const struct dmarc_row *row, struct buf *out)
{
    buf_append_text(out, "  <record>\n    <row>\n");
    element(out, 3, "source_ip", row->source_ip);
    buf_printf(out, "      <count>%llu</count>\n      <policy_evaluated>\n",
               (unsigned long long)row->count);
    element(out, 4, "disposition", row->disposition);
    element(out, 4, "dkim", row->dkim);
    element(out, 4, "spf", row->spf);
    for (const struct dmarc_reason *x = row->reasons; x; x = x->next) {
        buf_append_text(out, "        <reason>\n");
        element(out, 5, "type", x->type);
        element(out, 5, "comment", x->comment);
        buf_append_text(out, "        </reason>\n");
    }
    buf_append_text(out, "      </policy_evaluated>\n    </row>\n    <identifiers>\n");
    element(out, 3, "header_from", row->header_from);
    element(out, 3, "envelope_from", row->envelope_from);
    element(out, 3, "envelope_to", row->envelope_to);
    buf_append_text(out, "    </identifiers>\n    <auth_results>\n");
    for (const struct dmarc_auth *a = row->auths; a; a = a->next) {
        buf_printf(out, "      <%s>\n", a->is_dkim ? "dkim" : "spf");
        element(out, 4, "domain", a->domain);
        element(out, 4, "selector", a->selector);
        element(out, 4, "scope", a->scope);
        element(out, 4, "result", a->result);
        element(out, 4, "human_result", a->human_result);
        buf_printf(out, "      </%s>\n", a->is_dkim ? "dkim" : "spf");
    }
    buf_append_text(out, "    </auth_results>\n  </record>\n");
}

void dmarc_report_write(const struct dmarc_report *r, struct buf *out)
{
    buf_append_text(out,
                    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<feedback xmlns=\"" NAMESPACE_9990
                    "\">\n  <version>1.0</version>\n");
    write_metadata(r, out);
    for (const struct dmarc_row *row = r->rows; row; row = row->next)
        write_row(row, out);
    buf_append_text(out, "</feedback>\n");
}
