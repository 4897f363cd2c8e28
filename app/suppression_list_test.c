#include "app/suppression_list.h"

#include "base/test.h"

struct list_case {
    const char *name, *file, *answer; /* "address scope reason|..." */
    size_t skipped;
};

static const struct list_case cases[] = {
    {"a bare list of addresses", "a@b.example\r\nc@d.example\n\n",
     "a@b.example  manual|c@d.example  manual|", 0},
    {"our own CSV",
     "address,scope,reason,source,since,until,evidence\n"
     "a@b.example,,invalid_recipient,bounce,2026-11-23 00:00:00,,\"550 \"\"no\"\", really\"\n"
     "c@d.example,news,complaint,complaint,,,\n"
     "e@f.example,,mailbox_full,bounce,,2026-11-23 22:34:01.250,full\n"
     "g@h.example,,manual,manual,,2026-13-23 22:34:01,\n",
     "a@b.example  invalid_recipient|c@d.example news complaint|"
     "e@f.example  mailbox_full until 1795473241250|g@h.example  manual|",
     0},
    {"SendGrid's CSV",
     "status,reason,email,created\n5.1.1,\"550 5.1.1 no, none\",a@b.example,160\n",
     "a@b.example  invalid_recipient|", 0},
    {"SendGrid's JSON",
     "[{\"created\":160,\"email\":\"a@b.example\",\"reason\":\"550 no\",\"status\":\"5.1.1\"}]",
     "a@b.example  invalid_recipient|", 0},
    {"Postmark's suppression dump",
     "{\"Suppressions\":[{\"EmailAddress\":\"a@b.example\",\"SuppressionReason\":\"HardBounce\","
     "\"Origin\":\"Recipient\",\"CreatedAt\":\"2026\"},{\"EmailAddress\":\"c@d.example\","
     "\"SuppressionReason\":\"SpamComplaint\"}]}",
     "a@b.example  invalid_recipient|c@d.example  complaint|", 0},
    {"SES's list",
     "{\"SuppressedDestinationSummaries\":[{\"EmailAddress\":\"a@b.example\",\"Reason\":\"BOUNCE\","
     "\"LastUpdateTime\":1.5},{\"EmailAddress\":\"c@d.example\",\"Reason\":\"COMPLAINT\"}]}",
     "a@b.example  invalid_recipient|c@d.example  complaint|", 0},
    {"what is no address is skipped, and counted", "email\nnobody\na b@c.example\n", "", 2},
    {"an unclosed quote ends with the file", "email\n\"a@b.example", "a@b.example  manual|", 0},
};

static void collect(void *ctx, const struct suppression_entry *entry)
{
    buf_printf(ctx, "%.*s %.*s %s", SLICE_ARG(entry->address), SLICE_ARG(entry->scope),
               entry->reason);
    if (entry->until_ms > 0)
        buf_printf(ctx, " until %lld", (long long)entry->until_ms);
    buf_append_text(ctx, "|");
}

static void check(void **state)
{
    const struct list_case *c = *state;
    struct arena *arena = arena_create(1u << 20);
    size_t skipped;
    struct buf out;

    buf_init(&out, 4096);
    suppression_list_read(slice_of(c->file), arena, collect, &out, &skipped);
    buf_append_char(&out, '\0');
    assert_string_equal(out.p, c->answer);
    assert_int_equal(skipped, c->skipped);
    buf_finish(&out);
    arena_destroy(&arena);
}

int main(void)
{
    RUN_TABLE(cases, check);
}
