#include "role/secret.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/test.h"

static char directory[] = "/tmp/waybill-secret-XXXXXX";
static char path[64];

static int enter(void **state)
{
    (void)state;
    if (mkdtemp(directory) == NULL)
        return -1;
    (void)snprintf(path, sizeof path, "%s/key", directory);
    return 0;
}

static int leave(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(directory);
}

static void is_made_once(void **state)
{
    char room[16];
    struct stat st;
    struct err e;
    size_t n = 0;
    (void)state;

    assert_int_equal(secret_file(directory, "key", SLICE("first"), room, sizeof room, &n, &e), 0);
    assert_int_equal(n, 5);
    assert_memory_equal(room, "first", 5);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(secret_file(directory, "key", SLICE("other"), room, sizeof room, &n, &e), 0);
    assert_memory_equal(room, "first", 5);
}

static void has_a_ceiling(void **state)
{
    char room[5];
    struct err e;
    size_t n = 0;
    (void)state;

    assert_int_equal(secret_file(directory, "key", SLICE("x"), room, sizeof room, &n, &e), -1);
    assert_int_equal(e.code, ERR_LIMIT);
}

static void says_where_it_could_not_be_made(void **state)
{
    char room[16];
    struct err e;
    size_t n = 0;
    (void)state;

    assert_int_equal(secret_file("/nonexistent", "key", SLICE("x"), room, sizeof room, &n, &e), -1);
    assert_non_null(strstr(e.text, "/nonexistent/key"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(is_made_once),
                                       cmocka_unit_test(has_a_ceiling),
                                       cmocka_unit_test(says_where_it_could_not_be_made)};

    return cmocka_run_group_tests(tests, enter, leave);
}
