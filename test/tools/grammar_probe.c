/* grammar_probe -- shows what the readers of single fields and records make of a text, for
 * test/conformance. Standard input has one text a line, "KIND<TAB>TEXT", in which \n, \r, \t and \\
 * stand for those octets; each line is answered by one JSON object.
 *
 *     authres   the value of an Authentication-Results field (lib/authres)
 *     key       a DKIM key record (lib/dkim) */
#include <stdio.h>

#include "base/json.h"
#include "lib/authres/authres.h"
#include "lib/dkim/record.h"

#define LINE_MAX_BYTES 65536
#define ARENA_MAX (1u << 20)

static struct slice unescape(struct slice text, struct arena *arena)
{
    char *out = arena_alloc(arena, text.n + 1);
    size_t n = 0;

    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];

        if (c == '\\' && i + 1 < text.n) {
            c = text.p[++i];
            c = c == 'n' ? '\n' : c == 'r' ? '\r' : c == 't' ? '\t' : c;
        }
        out[n++] = c;
    }
    return (struct slice){out, n};
}

static void show_authres(const struct authres *a, struct json *j)
{
    json_member_text(j, "authserv_id", a->authserv_id);
    json_key(j, "results");
    json_array(j);
    for (const struct authres_result *r = a->results; r != NULL; r = r->next) {
        json_object(j);
        json_member_text(j, "method", r->method);
        json_member_text(j, "result", r->result);
        json_member_text(j, "reason", r->reason);
        json_key(j, "properties");
        json_array(j);
        for (const struct authres_property *p = r->properties; p != NULL; p = p->next) {
            json_array(j);
            json_text(j, p->type);
            json_text(j, p->name);
            json_text(j, p->value);
            json_end(j);
        }
        json_end(j);
        json_end(j);
    }
    json_end(j);
}

static void probe(struct slice kind, struct slice text, struct arena *arena, struct json *j)
{
    struct authres results;
    struct dkim_record record;
    struct crypt_key *key = NULL;
    struct err e = {0};

    json_object(j);
    if (slice_eq(kind, SLICE("authres"))) {
        if (authres_parse(text, arena, &results, &e) == 0)
            show_authres(&results, j);
    } else if (dkim_record_read(text, &record, &key, &e) == 0) {
        json_member_bool(j, "revoked", record.revoked);
        json_member_bool(j, "testing", record.testing);
        crypt_key_destroy(&key);
    }
    json_member_string(j, "error", e.code == ERR_NONE ? "" : e.text);
    json_end(j);
}

int main(void)
{
    static char line[LINE_MAX_BYTES];
    struct arena *arena = arena_create(ARENA_MAX);
    struct buf out;

    buf_init(&out, ARENA_MAX);
    while (fgets(line, sizeof line, stdin) != NULL) {
        struct slice text = slice_of(line);
        struct json j;

        if (text.n > 0 && text.p[text.n - 1] == '\n')
            text.n--;
        struct slice kind = slice_cut(&text, '\t');
        arena_reset(arena);
        buf_clear(&out);
        json_begin(&j, &out);
        probe(kind, unescape(text, arena), arena, &j);
        buf_append_char(&out, '\n');
        (void)fwrite(out.p, 1, out.n, stdout);
    }
    buf_finish(&out);
    arena_destroy(&arena);
    return 0;
}
