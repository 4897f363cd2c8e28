/* The nouns: slices, bufs, arenas, lists, maps, JSON. */
#include "base/test.h"

#include "base/arena.h"
#include "base/json.h"
#include "base/list.h"
#include "base/map.h"

static void lines_end_in_crlf_lf_or_cr(void **state)
{
    struct slice rest = SLICE("a\r\nb\nc\rd");
    (void)state;

    assert_true(slice_eq(slice_line(&rest), SLICE("a")));
    assert_true(slice_eq(slice_line(&rest), SLICE("b")));
    assert_true(slice_eq(slice_line(&rest), SLICE("c")));
    assert_true(slice_eq(slice_line(&rest), SLICE("d")));
    assert_int_equal(rest.n, 0);
}

static void slices_are_found_and_cut(void **state)
{
    struct slice rest = SLICE("key=value=more");
    uint64_t value;
    (void)state;

    assert_true(slice_eq(slice_cut(&rest, '='), SLICE("key")));
    assert_true(slice_eq(rest, SLICE("value=more")));
    assert_int_equal(slice_search(rest, SLICE("more")), 6);
    assert_int_equal(slice_search(rest, SLICE("moreover")), SLICE_NONE);
    assert_int_equal(slice_search_nocase(rest, SLICE("E=M")), 4);
    assert_int_equal(slice_find_last(SLICE("a.b.c"), '.'), 3);
    assert_true(slice_eq(slice_trim(SLICE(" \r\n\tx y\r\n ")), SLICE("x y")));
    assert_true(slice_ends_nocase(SLICE("mail.EXAMPLE"), SLICE(".example")));
    assert_true(slice_to_u64(SLICE("18446744073709551615"), &value));
    assert_true(value == UINT64_MAX);
    assert_false(slice_to_u64(SLICE("18446744073709551616"), &value));
    assert_false(slice_to_u64(SLICE("-1"), &value));
    assert_false(slice_to_u64(SLICE(""), &value));
}

static void a_refused_append_changes_nothing(void **state)
{
    struct buf b;
    (void)state;

    buf_init(&b, 8);
    buf_append(&b, SLICE("12345"));
    buf_append(&b, SLICE("6789"));
    assert_true(b.full);
    assert_true(slice_eq(buf_slice(&b), SLICE("12345")));
    buf_append(&b, SLICE("678"));
    assert_true(slice_eq(buf_slice(&b), SLICE("12345678")));
    buf_drop(&b, 6);
    assert_true(slice_eq(buf_slice(&b), SLICE("78")));
    buf_clear(&b);
    buf_append_u64(&b, 0);
    buf_append_u64(&b, 1204);
    assert_true(slice_eq(buf_slice(&b), SLICE("01204")));
    buf_finish(&b);
}

static void an_arena_stops_at_its_ceiling(void **state)
{
    struct arena *a = arena_create(4096);
    (void)state;

    assert_null(arena_alloc(a, 5000));
    assert_null(arena_array(a, SIZE_MAX / 2, 4));
    assert_non_null(arena_alloc(a, 4000));
    assert_null(arena_alloc(a, 200));
    arena_reset(a);
    assert_string_equal(arena_string(a, SLICE("abc")), "abc");
    assert_true(slice_eq(arena_printf(a, "%d-%s", 7, "x"), SLICE("7-x")));
    arena_destroy(&a);
    assert_null(a);
}

static void a_list_survives_removal_while_walking(void **state)
{
    struct item {
        struct list link;
        int n;
    } items[3] = {{.n = 1}, {.n = 2}, {.n = 3}};
    struct list head;
    int sum = 0;
    (void)state;

    list_init(&head);
    for (size_t i = 0; i < COUNT(items); i++)
        list_append(&head, &items[i].link);
    LIST_EACH(&head, link)
    {
        struct item *item = CONTAINER_OF(link, struct item, link);

        if (item->n == 2)
            list_remove(link);
        else
            sum += item->n;
    }
    assert_int_equal(sum, 4);
    assert_ptr_equal(list_take_first(&head), &items[0].link);
    assert_ptr_equal(list_take_first(&head), &items[2].link);
    assert_null(list_take_first(&head));
}

static void a_map_keeps_what_was_put(void **state)
{
    struct map *m = map_create(42);
    static int values[5000];
    size_t cursor = 0, seen = 0;
    struct slice key;
    void *value;
    (void)state;

    for (uint64_t i = 0; i < COUNT(values); i++)
        assert_null(map_put(m, map_key_u64(&i), &values[i]));
    for (uint64_t i = 0; i < COUNT(values); i += 2)
        assert_ptr_equal(map_remove(m, map_key_u64(&i)), &values[i]);
    for (uint64_t i = 0; i < COUNT(values); i++)
        assert_ptr_equal(map_get(m, map_key_u64(&i)), i % 2 ? &values[i] : NULL);
    while (map_next(m, &cursor, &key, &value))
        seen++;
    assert_int_equal(seen, COUNT(values) / 2);
    assert_int_equal(map_count(m), COUNT(values) / 2);
    map_destroy(&m);
}

static void json_is_legal_whatever_the_bytes(void **state)
{
    struct buf out;
    struct json j;
    (void)state;

    buf_init(&out, 1000);
    json_begin(&j, &out);
    json_object(&j);
    json_member_text(&j, "a", SLICE("q\" \\ \n \x01 \xc3\xa9 \xff"));
    json_key(&j, "b");
    json_array(&j);
    json_int(&j, -5);
    json_bool(&j, true);
    json_null(&j);
    json_double(&j, 1.5, 2);
    json_end(&j);
    json_member_string(&j, "c", NULL);
    json_end(&j);
    assert_true(
        slice_eq(buf_slice(&out), SLICE("{\"a\":\"q\\\" \\\\ \\n \\u0001 \xc3\xa9 \xef\xbf\xbd\","
                                        "\"b\":[-5,true,null,1.50],\"c\":null}")));
    buf_finish(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_end_in_crlf_lf_or_cr),
        cmocka_unit_test(slices_are_found_and_cut),
        cmocka_unit_test(a_refused_append_changes_nothing),
        cmocka_unit_test(an_arena_stops_at_its_ceiling),
        cmocka_unit_test(a_list_survives_removal_while_walking),
        cmocka_unit_test(a_map_keeps_what_was_put),
        cmocka_unit_test(json_is_legal_whatever_the_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
