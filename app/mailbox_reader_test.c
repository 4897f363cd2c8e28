/* Messages out of files of every kind, and the archives that are refused. */
#include "base/test.h"

#include <archive.h>
#include <archive_entry.h>

#include "app/mailbox_reader.h"

#define MAIL(n) "Message-ID: <" n "@a.example>\n\nhi\n"
#define FROM "From a@b.example Mon Nov 23 22:00:00 2026\n"

struct heard {
    struct buf names; /* one a line */
    size_t notes;
};

static int take(void *ctx, struct slice name, struct slice message, struct err *e)
{
    struct heard *h = ctx;

    (void)message, (void)e;
    buf_append(&h->names, name);
    buf_append_char(&h->names, '\n');
    return 0;
}

static void note(void *ctx, const char *sentence)
{
    struct heard *h = ctx;

    (void)sentence;
    h->notes++;
}

/* A zip or tar of the files, in memory. */
static size_t pack(int tar, const char *const names[], const char *const contents[], size_t repeat,
                   char *out, size_t size)
{
    struct archive *a = archive_write_new();
    size_t used = 0;

    if (tar)
        archive_write_set_format_ustar(a);
    else
        archive_write_set_format_zip(a);
    archive_write_open_memory(a, out, size, &used);
    for (size_t i = 0; names[i] != NULL; i++) {
        struct archive_entry *entry = archive_entry_new();
        archive_entry_set_pathname(entry, names[i]);
        archive_entry_set_filetype(entry, AE_IFREG);
        archive_entry_set_perm(entry, 0644);
        archive_entry_set_size(entry, (la_int64_t)(strlen(contents[i]) * repeat));
        archive_write_header(a, entry);
        for (size_t k = 0; k < repeat; k++)
            archive_write_data(a, contents[i], strlen(contents[i]));
        archive_entry_free(entry);
    }
    archive_write_close(a);
    archive_write_free(a);
    return used;
}

static char packed[1 << 20];

struct reader_case {
    const char *name;
    const char *files[5], *contents[5]; /* no name: the content alone, no archive */
    const char *heard;                  /* names a line; NULL: refused */
    size_t notes;
    enum err_code code;
};
static const struct reader_case cases[] = {
    {"one mail", {NULL}, {MAIL("1")}, "f\n", 0, 0},
    {"an mbox", {NULL}, {FROM MAIL("1") "\n" FROM MAIL("2")}, "f:1\nf:2\n", 0, 0},
    {"an mbox of one", {NULL}, {FROM MAIL("1")}, "f\n", 0, 0},
    {"a line that begins with From is text",
     {NULL},
     {FROM MAIL("1") "\nFrom here on\n\nFrom 10 to 12\nmore\n"},
     "f\n",
     0,
     0},
    {"mails in folders of a zip",
     {"a/1.eml", "a/b/2.eml", "__MACOSX/._1.eml", "pic.png"},
     {MAIL("1"), MAIL("2"), "junk", "\x89PNG \x01\x02"},
     "f/a/1.eml\nf/a/b/2.eml\n",
     1,
     0},
    {"an mbox in a zip",
     {"m.mbox"},
     {FROM MAIL("1") "\n" FROM MAIL("2")},
     "f/m.mbox:1\nf/m.mbox:2\n",
     0,
     0},
    {"a name that climbs out", {"../x.eml"}, {MAIL("1")}, NULL, 0, ERR_SYNTAX},
    {"a name that climbs out in the middle", {"a/../../x.eml"}, {MAIL("1")}, NULL, 0, ERR_SYNTAX},
    {"an absolute name", {"/etc/x.eml"}, {MAIL("1")}, NULL, 0, ERR_SYNTAX},
    {"a drive of Windows", {"C:\\x.eml"}, {MAIL("1")}, NULL, 0, ERR_SYNTAX},
    {"an archive in an archive", {"a.zip"}, {"PK\x03\x04xxxx"}, NULL, 1, ERR_SYNTAX},
    {"an Outlook file", {NULL}, {"\xd0\xcf\x11\xe0xxxx"}, NULL, 0, ERR_SYNTAX},
    {"nothing that is mail", {NULL}, {"\x01\x02\x03"}, NULL, 0, ERR_SYNTAX},
    {"nothing", {NULL}, {""}, NULL, 0, ERR_SYNTAX},
    {"a broken archive", {NULL}, {"PK\x03\x04 and so on"}, NULL, 0, ERR_SYNTAX},
};

static void run(void **state)
{
    const struct reader_case *c = *state;
    struct heard h = {0};
    struct err e = {0};

    buf_init(&h.names, 10000);
    const struct mailbox_sink sink = {&h, take, note, NULL};
    for (int tar = 0; tar < 2; tar++) {
        struct slice data = slice_of(c->contents[0]);
        if (c->files[0] != NULL)
            data =
                (struct slice){packed, pack(tar, c->files, c->contents, 1, packed, sizeof packed)};
        h.notes = 0;
        buf_clear(&h.names);
        int result = mailbox_read_bytes(SLICE("f"), data, &sink, &e);
        assert_int_equal(result == 0, c->heard != NULL);
        assert_int_equal(h.notes, c->notes);
        if (result == 0)
            assert_true(slice_eq(buf_slice(&h.names), slice_of(c->heard)));
        else
            assert_int_equal(e.code, c->code);
    }
    buf_finish(&h.names);
}

static void a_bomb_is_refused(void **state)
{
    static char zeros[65536];
    static const char *const names[] = {"bomb.eml", NULL};
    const char *contents[] = {zeros, NULL};
    struct heard h = {0};
    struct err e = {0};
    (void)state;

    memset(zeros, '0', sizeof zeros - 1);
    memcpy(zeros, "A: 1\n\n", 6);
    buf_init(&h.names, 10000);
    const struct mailbox_sink sink = {&h, take, note, NULL};
    struct slice data = {packed, pack(0, names, contents, 1600, packed, sizeof packed)};
    assert_int_equal(mailbox_read_bytes(SLICE("f"), data, &sink, &e), -1);
    assert_int_equal(e.code, ERR_LIMIT);
    assert_int_equal(h.names.n, 0);
    buf_finish(&h.names);
}

static void a_cut_archive_is_an_error(void **state)
{
    static const char *const names[] = {"1.eml", "2.eml", NULL};
    static const char *const contents[] = {MAIL("1"), MAIL("2"), NULL};
    struct heard h = {0};
    (void)state;

    buf_init(&h.names, 10000);
    const struct mailbox_sink sink = {&h, take, note, NULL};
    size_t n = pack(0, names, contents, 1, packed, sizeof packed);
    for (size_t cut = 4; cut + 22 < n; cut += 3) {
        struct err e = {0};
        if (mailbox_read_bytes(SLICE("f"), (struct slice){packed, cut}, &sink, &e) != 0)
            assert_int_equal(e.code, ERR_SYNTAX);
        buf_clear(&h.names);
    }
    buf_finish(&h.names);
}

int main(void)
{
    struct CMUnitTest tests[COUNT(cases) + 2] = {
        cmocka_unit_test(a_bomb_is_refused),
        cmocka_unit_test(a_cut_archive_is_an_error),
    };

    for (size_t i = 0; i < COUNT(cases); i++)
        tests[i + 2] =
            (struct CMUnitTest){cases[i].name, run, NULL, NULL, (void *)(uintptr_t)&cases[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
