#include "base/test.h"

#include "app/cli.h"

static void options_stand_anywhere_among_operands(void **state)
{
    char *argv[] = {(char[]){"trace"},
                    (char[]){"a.eml"},
                    (char[]){"--json"},
                    (char[]){"--now=7"},
                    (char[]){"--tag"},
                    (char[]){"x"},
                    (char[]){"--tag=y"},
                    (char[]){"-"},
                    (char[]){"--"},
                    (char[]){"--b.eml"},
                    NULL};
    bool json = false;
    int64_t now = -1;
    struct cli_list tags = {0};
    const struct cli_usage usage = {"FILE...", "", NULL};
    const struct cli_option options[] = {CLI_JSON(&json), CLI_NOW(&now),
                                         CLI_LIST("tag", &tags, "TAG", "")};
    (void)state;

    assert_int_equal(cli_parse(&usage, options, COUNT(options), 10, argv), 3);
    assert_string_equal(argv[0], "a.eml");
    assert_string_equal(argv[1], "-");
    assert_string_equal(argv[2], "--b.eml");
    assert_true(json);
    assert_int_equal(now, 7);
    assert_int_equal(tags.count, 2);
    assert_string_equal(tags.items[1], "y");
}

static void text_from_outside_cannot_move_the_cursor(void **state)
{
    struct buf out;
    (void)state;

    buf_init(&out, 100);
    cli_append_safe(&out, SLICE("a\x1b[2Jb\xc2\x9b"
                                "c\td\xff"));
    assert_true(slice_eq(buf_slice(&out), SLICE("a?[2Jb?c d\xef\xbf\xbd")));
    buf_finish(&out);
}

static void a_missing_file_is_an_error(void **state)
{
    struct cli_file file;
    struct err e = {0};
    (void)state;

    assert_int_equal(cli_file_open("/nonexistent/x.eml", 100, &file, &e), -1);
    assert_int_equal(e.code, ERR_SYSTEM);
    assert_int_equal(cli_file_open("/", 100, &file, &e), -1);
    assert_int_equal(e.code, ERR_FOUND);
    assert_int_equal(cli_file_open("/dev/zero", 100000, &file, &e), -1);
    assert_int_equal(e.code, ERR_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_stand_anywhere_among_operands),
        cmocka_unit_test(text_from_outside_cannot_move_the_cursor),
        cmocka_unit_test(a_missing_file_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
