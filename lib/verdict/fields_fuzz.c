/* Property: whatever the sender says, Authentication-Results and Received-SPF hold as many results
 * as were judged, in short lines of UTF-8, and a sender that a field can hold reads as it was. The
 * input is sender, HELO name and header block, with a NUL between. */
#include <assert.h>

#include "base/ascii.h"
#include "base/utf8.h"
#include "lib/authres/authres.h"
#include "lib/verdict/verdict.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void answer_all(struct verdict *v, bool fail)
{
    struct dns_answer a = {.status = fail ? DNS_TIMEOUT : DNS_NXDOMAIN};
    struct dns_question question;
    uint64_t id;

    while (verdict_question(v, &id, &question))
        verdict_answer(v, id, &a);
}

static void check_lines(struct slice fields)
{
    size_t names = 0;

    assert(utf8_valid(fields));
    while (fields.n > 0) {
        size_t end = slice_search(fields, SLICE("\r\n"));
        assert(end != SLICE_NONE);
        struct slice line = slice_sub(fields, 0, end);
        fields = slice_from(fields, end + 2);
        assert(line.n > 0 && line.n <= 998);
        for (size_t i = 0; i < line.n; i++)
            assert(!ascii_is_control(line.p[i]));
        names += line.p[0] != ' ';
    }
    assert(names == 2);
}

/* Whether a quoted string holds it as it is. */
static bool is_holdable(struct slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if (ascii_is_control(s.p[i]))
            return false;
    return s.n > 0 && s.n <= AUTHRES_VALUE_MAX && utf8_valid(s);
}

static void check_results(struct verdict *v, struct slice field, struct slice sender)
{
    struct arena *arena = arena_create((size_t)16 << 20);
    size_t wanted = 2 + (verdict_dkim_count(v) > 0 ? verdict_dkim_count(v) : 1) +
                    (verdict_arc(v)->instances > 0),
           got = 0;
    struct authres a;
    struct err e;

    slice_cut(&field, ':');
    assert(authres_parse(field, arena, &a, &e) == 0);
    assert(slice_eq(a.authserv_id, SLICE("mx.example.net")));
    for (const struct authres_result *r = a.results; r; r = r->next)
        got++;
    assert(got == wanted);
    if (is_holdable(sender))
        assert(slice_eq(authres_property(a.results, "smtp", "mailfrom"), sender));
    arena_destroy(&arena);
}

/* The value of "envelope-from=", unquoted, is the sender. */
static void check_received(struct slice field, struct slice sender)
{
    size_t at = slice_search(field, SLICE("\r\n    envelope-from="));
    struct buf read;

    if (!is_holdable(sender))
        return;
    assert(at != SLICE_NONE);
    field = slice_from(field, at + strlen("\r\n    envelope-from="));
    buf_init(&read, 4096);
    bool quoted = field.p[0] == '"';
    for (size_t i = quoted;
         field.p[i] != '"' && (quoted || (field.p[i] != ';' && field.p[i] != '\r')); i++) {
        i += quoted && field.p[i] == '\\';
        buf_append_char(&read, field.p[i]);
    }
    assert(slice_eq(buf_slice(&read), sender));
    buf_finish(&read);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct verdict *v; /* a static for speed: it is begun anew for each input */
    struct slice header = {(const char *)data, size};
    struct verdict_request request = {.client = {IP_V4, {192, 0, 2, 1}},
                                      .receiver = SLICE("mx.example.net"),
                                      .unix_s = 1700000000};
    struct buf fields;
    struct err e;

    if (!v)
        v = verdict_create(NULL);
    request.mail_from = slice_cut(&header, '\0');
    request.helo = slice_cut(&header, '\0');
    if (verdict_begin(v, &request, header, &e))
        return 0;
    verdict_finish(v);
    answer_all(v, size % 2);
    assert(verdict_step(v) == STEP_DONE);
    buf_init(&fields, (size_t)1 << 20);
    verdict_results_field(v, request.receiver, &fields);
    check_results(v, buf_slice(&fields), request.mail_from);
    size_t n = fields.n;
    verdict_received_spf(v, &fields);
    check_received(slice_from(buf_slice(&fields), n), request.mail_from);
    assert(!fields.full);
    check_lines(buf_slice(&fields));
    buf_finish(&fields);
    return 0;
}
