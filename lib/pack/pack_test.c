/* Archives as others write them (test/corpus/lib_pack_pack), and as they should not be. */
#include "lib/pack/pack.h"

#include "base/test.h"

#include <fcntl.h>
#include <unistd.h>

#define CEILING 100000

struct archive {
    const char *name, *file;
    const char *holds; /* its files, each ended by '|' */
    enum err_code error;
};

static const struct archive archives[] = {
    {"a gzip file", "gzip", "<feedback/>|", ERR_NONE},
    {"gzip members are one file", "gzip_two_members", "<feedback/>more|", ERR_NONE},
    {"zeros behind a gzip file", "gzip_padding", "<feedback/>|", ERR_NONE},
    {"a cut gzip file", "gzip_cut", "", ERR_SYNTAX},
    {"a gzip bomb ends at the ceiling", "gzip_bomb", "", ERR_LIMIT},
    {"a stored zip member", "zip_stored", "<feedback/>|", ERR_NONE},
    {"a deflated zip member", "zip_deflated", "<feedback/>|", ERR_NONE},
    {"a zip whose sizes stand behind the data", "zip_streamed", "<feedback/>|", ERR_NONE},
    {"two files in a zip", "zip_two", "<feedback/>|second|", ERR_NONE},
    {"a method that is not read", "zip_bzip2", "", ERR_SYNTAX},
    {"an encrypted zip", "zip_encrypted", "", ERR_SYNTAX},
    {"a damaged zip member", "zip_damaged", "", ERR_SYNTAX},
    {"a cut zip", "zip_cut", "", ERR_SYNTAX},
    {"a zip bomb ends at the ceiling", "zip_bomb", "", ERR_LIMIT},
    {"a zip bomb that lies about its size", "zip_lying_bomb", "", ERR_LIMIT},
};

static bool take_file(void *ctx, struct slice file)
{
    buf_append(ctx, file);
    buf_append_char(ctx, '|');
    return true;
}

static size_t load(const char *name, char *room, size_t size)
{
    char path[512];

    snprintf(path, sizeof path, "%s/test/corpus/lib_pack_pack/%s", getenv("WAYBILL_SOURCE"), name);
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    ssize_t n = read(fd, room, size);
    close(fd);
    assert_true(n > 0);
    return (size_t)n;
}

static void run_archive(void **state)
{
    const struct archive *a = *state;
    char room[4096];
    struct slice data = {room, load(a->file, room, sizeof room)};
    struct buf found;
    struct err e = {ERR_NONE, ""};

    buf_init(&found, 1 << 20);
    assert_true(pack_is_one(data));
    assert_int_equal(pack_each(data, CEILING, take_file, &found, &e),
                     a->error == ERR_NONE ? 0 : -1);
    assert_int_equal(e.code, a->error);
    assert_true(slice_eq(buf_slice(&found), slice_of(a->holds)));
    buf_finish(&found);
}

static void what_is_packed_is_unpacked(void **state)
{
    struct buf in, packed, out;
    struct err e;

    (void)state;
    buf_init(&in, 1 << 20);
    buf_init(&packed, 1 << 20);
    buf_init(&out, 1 << 20);
    for (unsigned i = 0; i < 20000; i++)
        buf_printf(&in, "%u ", i * 2654435761u);
    assert_int_equal(pack_gzip(buf_slice(&in), &packed, &e), 0);
    assert_true(packed.n < in.n);
    assert_int_equal(pack_each(buf_slice(&packed), in.n + 1, take_file, &out, &e), 0);
    assert_true(slice_eq(slice_sub(buf_slice(&out), 0, in.n), buf_slice(&in)));
    struct buf small;
    buf_init(&small, 70000);
    assert_int_equal(pack_gzip(buf_slice(&in), &small, &e), -1);
    assert_int_equal(e.code, ERR_LIMIT);
    buf_finish(&small);
    buf_clear(&packed);
    assert_int_equal(pack_gzip(SLICE(""), &packed, &e), 0); /* an empty file is one too */
    buf_clear(&out);
    assert_int_equal(pack_each(buf_slice(&packed), 10, take_file, &out, &e), 0);
    assert_int_equal(out.n, 0);
    buf_finish(&in);
    buf_finish(&packed);
    buf_finish(&out);
}

static void something_else_is_no_archive(void **state)
{
    struct err e;

    (void)state;
    assert_false(pack_is_one(SLICE("<feedback/>")));
    assert_int_equal(pack_each(SLICE("<feedback/>"), 10, take_file, NULL, &e), -1);
    assert_int_equal(e.code, ERR_SYNTAX);
}

int main(void)
{
    struct CMUnitTest tests[COUNT(archives) + 2];

    for (size_t i = 0; i < COUNT(archives); i++)
        tests[i] = (struct CMUnitTest){archives[i].name, run_archive, NULL, NULL,
                                       (void *)(uintptr_t)&archives[i]};
    tests[COUNT(archives)] = (struct CMUnitTest){"what is packed is unpacked",
                                                 what_is_packed_is_unpacked, NULL, NULL, NULL};
    tests[COUNT(archives) + 1] = (struct CMUnitTest){
        "something else is no archive", something_else_is_no_archive, NULL, NULL, NULL};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
