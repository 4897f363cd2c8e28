/* Messages in, messages out, and what happens when the disk does not want to. */
#include <fcntl.h>
#include <unistd.h>

#include "base/test.h"
#include "store/spool/crc32c.h"
#include "store/spool/spool.h"
#include "store/spool/temp_test.h"

static const struct id first_id = {1, 101}, second_id = {2, 102};

static struct spool *open_spool(const char *dir)
{
    struct spool_settings settings = {.dir = dir, .segment_bytes = 65536, .buffer_bytes = 4096};
    struct spool *spool = NULL;
    struct err e;

    if (spool_open(&settings, &spool, NULL, &e) != 0)
        fail_msg("%s", e.text);
    return spool;
}

static struct spool_place put(struct spool *spool, struct id id, const char *body, size_t n,
                              const char *head)
{
    struct spool_writer *w = spool_stage_begin(spool, id, 0);
    struct spool_place place;
    struct err e;

    for (size_t at = 0; at < n; at += 1000) /* in pieces, as it comes from the network */
        assert_int_equal(spool_writer_append(w, slice_sub((struct slice){body, n}, at, 1000), &e),
                         0);
    assert_int_equal(spool_writer_finish(&w, slice_of(head), &place, &e), 0);
    assert_null(w);
    return place;
}

static void expect(const char *dir, struct id id, const struct spool_place *place, const char *body,
                   size_t n, const char *head)
{
    struct buf out;
    struct err e;
    int fd;

    buf_init(&out, 1 << 20);
    assert_int_equal(spool_open_read(dir, place->segment, &fd, &e), 0);
    assert_int_equal(spool_read_head(fd, id, place, &out, &e), 0);
    assert_true(slice_eq(buf_slice(&out), slice_of(head)));
    buf_clear(&out);
    if (spool_read_body(fd, id, place, &out, &e) != 0)
        fail_msg("%s", e.text);
    assert_true(slice_eq(buf_slice(&out), (struct slice){body, n}));
    close(fd);
    buf_finish(&out);
}

static char long_body[40000];

static void checksums_agree(void **state)
{
    (void)state;
    assert_int_equal(crc32c(0, SLICE("123456789")), 0xe3069283);
    assert_int_equal(crc32c(crc32c(0, SLICE("1234")), SLICE("56789")), 0xe3069283);
    for (size_t n = 0; n < 100; n++)
        assert_int_equal(crc32c(7, (struct slice){long_body + n, n}),
                         crc32c_by_table(7, (struct slice){long_body + n, n}));
}

static void comes_back(void **state)
{
    const char *dir = temp_dir();
    struct spool *spool = open_spool(dir);
    struct err e;

    (void)state;
    struct spool_place a = put(spool, first_id, "Hello\r\n", 7, "Received: x\r\n");
    struct spool_place b = put(spool, second_id, long_body, sizeof long_body, "Received: y\r\n");
    struct spool_place c = put(spool, first_id, "", 0, "");
    assert_int_not_equal(a.segment, b.segment); /* the large one has its own */
    assert_int_equal(a.segment, c.segment);
    assert_int_equal(c.offset, spool_place_bytes(&a));
    assert_int_equal(spool_commit(spool, &e), 0);
    expect(dir, first_id, &a, "Hello\r\n", 7, "Received: x\r\n");
    expect(dir, second_id, &b, long_body, sizeof long_body, "Received: y\r\n");
    expect(dir, first_id, &c, "", 0, "");
    assert_int_equal(spool_counters(spool).syncs, 3); /* shared, large, directory */
    put(spool, first_id, "more", 4, "");
    assert_int_equal(spool_commit(spool, &e), 0);
    assert_int_equal(spool_counters(spool).syncs, 4); /* one in the usual case */
    spool_close(&spool);
    temp_dir_remove(dir);
}

static void read_in_pieces(void **state)
{
    const char *dir = temp_dir();
    struct spool *spool = open_spool(dir);
    struct spool_reader reader;
    struct buf all;
    struct err e;
    char piece[5];
    size_t n;
    int fd;

    (void)state;
    buf_init(&all, 1000);
    struct spool_place a = put(spool, first_id, "0123456789", 10, "abcdefg");
    assert_int_equal(spool_commit(spool, &e), 0);
    assert_int_equal(spool_open_read(dir, a.segment, &fd, &e), 0);
    assert_int_equal(spool_reader_init(&reader, fd, first_id, &a, &e), 0);
    do {
        assert_int_equal(spool_reader_read(&reader, piece, sizeof piece, &n, &e), 0);
        buf_append(&all, (struct slice){piece, n});
    } while (n > 0);
    assert_true(slice_eq(buf_slice(&all), SLICE("abcdefg0123456789")));
    assert_int_equal(spool_reader_init(&reader, fd, second_id, &a, &e), -1); /* another's mail */
    close(fd);
    buf_finish(&all);
    spool_close(&spool);
    temp_dir_remove(dir);
}

static void damage_shows(void **state)
{
    const char *dir = temp_dir();
    struct spool *spool = open_spool(dir);
    struct buf out;
    struct err e;
    char path[300];
    int fd;

    (void)state;
    struct spool_place a = put(spool, first_id, "0123456789", 10, "abc");
    assert_int_equal(spool_commit(spool, &e), 0);
    spool_close(&spool);
    snprintf(path, sizeof path, "%s/%010d.seg", dir, (int)a.segment);
    for (off_t at = 0; at < (off_t)spool_place_bytes(&a); at++) {
        char old, flipped;
        fd = open(path, O_RDWR);
        assert_int_equal(pread(fd, &old, 1, at), 1);
        flipped = old ^ 4;
        assert_int_equal(pwrite(fd, &flipped, 1, at), 1);
        buf_init(&out, 100);
        assert_true(spool_read_head(fd, first_id, &a, &out, &e) != 0 ||
                    spool_read_body(fd, first_id, &a, &out, &e) != 0);
        assert_int_equal(e.code, ERR_SYNTAX);
        buf_finish(&out);
        assert_int_equal(pwrite(fd, &old, 1, at), 1);
        close(fd);
    }
    temp_dir_remove(dir);
}

static bool knows_first_only(void *ctx, uint64_t segment)
{
    (void)ctx;
    return segment == 1;
}

static void opening_again(void **state)
{
    const char *dir = temp_dir();
    struct spool *spool = open_spool(dir), *other = NULL;
    struct spool_settings settings = {
        .dir = dir, .segment_bytes = 65536, .buffer_bytes = 4096, .is_known = knows_first_only};
    struct spool_recovery recovery;
    struct err e;

    (void)state;
    assert_int_equal(spool_open(&settings, &other, NULL, &e), -1);
    assert_int_equal(e.code, ERR_TEMP); /* somebody has it */
    struct spool_place a = put(spool, first_id, "kept", 4, "");
    put(spool, second_id, long_body, sizeof long_body, ""); /* unknown to the ledger */
    assert_int_equal(spool_commit(spool, &e), 0);
    spool_close(&spool);

    /* half a record, as a crash leaves it */
    char path[300];
    snprintf(path, sizeof path, "%s/%010d.seg", dir, (int)a.segment);
    int fd = open(path, O_RDWR);
    assert_int_equal(pwrite(fd, "WBR1torn", 8, (off_t)spool_place_bytes(&a)), 8);
    close(fd);
    assert_int_equal(spool_open(&settings, &spool, &recovery, &e), 0);
    assert_int_equal(recovery.scanned_records, 1);
    assert_int_equal(recovery.removed_segments, 1);
    assert_int_equal(recovery.segments, 1);
    assert_true(recovery.cut_bytes > 0);
    struct spool_place b = put(spool, second_id, "next", 4, "");
    assert_int_equal(b.segment, a.segment);
    assert_int_equal(b.offset, spool_place_bytes(&a));
    assert_int_equal(spool_commit(spool, &e), 0);
    expect(dir, first_id, &a, "kept", 4, "");
    expect(dir, second_id, &b, "next", 4, "");
    spool_close(&spool);
    temp_dir_remove(dir);
}

static void segments_roll_and_are_used_again(void **state)
{
    const char *dir = temp_dir();
    struct spool *spool = open_spool(dir);
    struct spool_place places[60];
    struct err e;
    bool more;

    (void)state;
    for (size_t i = 0; i < COUNT(places); i++) {
        places[i] = put(spool, (struct id){i + 1, 5}, long_body + i, 3000, "h");
        assert_int_equal(spool_commit(spool, &e), 0);
    }
    assert_int_equal(places[59].segment, 3);
    assert_int_equal(spool_remove_segment(spool, 3, &e), -1); /* it is being written */
    assert_int_equal(e.code, ERR_TEMP);
    assert_int_equal(spool_remove_segment(spool, 1, &e), 0);
    assert_int_equal(spool_remove_segment(spool, 1, &e), 0); /* gone is fine */
    do
        assert_int_equal(spool_prepare_step(spool, &more, &e), 0);
    while (more);
    for (size_t i = 0; i < COUNT(places); i++) {
        struct spool_place p = put(spool, (struct id){i + 100, 5}, long_body + i, 2900, "h");
        assert_int_equal(spool_commit(spool, &e), 0);
        if (i == 59)
            assert_true(p.segment > 4);
    }
    spool_close(&spool);
    spool = open_spool(dir); /* what an earlier life left in the file is not taken for ours */
    struct spool_place last = put(spool, first_id, "x", 1, "");
    assert_int_equal(spool_commit(spool, &e), 0);
    expect(dir, first_id, &last, "x", 1, "");
    expect(dir, (struct id){60, 5}, &places[59], long_body + 59, 3000, "h");
    spool_close(&spool);
    temp_dir_remove(dir);
}

static void copying_forward(void **state)
{
    const char *dir = temp_dir();
    struct spool *spool = open_spool(dir);
    struct spool_place to;
    struct err e;

    (void)state;
    struct spool_place a = put(spool, first_id, long_body, 40000, "head");
    struct spool_place b = put(spool, second_id, "small", 5, "head");
    assert_int_equal(spool_commit(spool, &e), 0);
    assert_int_equal(spool_stage_copy(spool, first_id, &a, &to, &e), 0);
    assert_int_equal(spool_commit(spool, &e), 0);
    expect(dir, first_id, &to, long_body, 40000, "head");
    assert_int_equal(spool_stage_copy(spool, second_id, &b, &to, &e), 0);
    assert_int_equal(spool_commit(spool, &e), 0);
    expect(dir, second_id, &to, "small", 5, "head");
    assert_int_equal(spool_stage_copy(spool, first_id, &b, &to, &e), -1);
    spool_close(&spool);
    temp_dir_remove(dir);
}

static void an_aborted_message_leaves_nothing(void **state)
{
    const char *dir = temp_dir();
    struct spool *spool = open_spool(dir);
    struct spool_writer *w = spool_stage_begin(spool, first_id, 0);
    struct err e;
    int fd;

    (void)state;
    assert_int_equal(spool_writer_append(w, (struct slice){long_body, sizeof long_body}, &e), 0);
    spool_writer_abort(&w);
    assert_null(w);
    assert_int_equal(spool_open_read(dir, 1, &fd, &e), -1);
    assert_int_equal(e.code, ERR_FOUND);
    assert_int_equal(spool_commit(spool, &e), 0); /* nothing to do */
    spool_close(&spool);
    temp_dir_remove(dir);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        {"the checksum is CRC-32C, however it is computed", checksums_agree, NULL, NULL, NULL},
        {"what went in comes out", comes_back, NULL, NULL, NULL},
        {"a message is read in pieces, head first", read_in_pieces, NULL, NULL, NULL},
        {"a flipped bit anywhere shows", damage_shows, NULL, NULL, NULL},
        {"opening cuts a torn tail and removes the unknown", opening_again, NULL, NULL, NULL},
        {"segments roll over and files are used again", segments_roll_and_are_used_again, NULL,
         NULL, NULL},
        {"survivors are copied forward", copying_forward, NULL, NULL, NULL},
        {"an aborted message leaves nothing", an_aborted_message_leaves_nothing, NULL, NULL, NULL},
    };

    for (size_t i = 0; i < sizeof long_body; i++)
        long_body[i] = (char)('a' + i * 7 % 26);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
