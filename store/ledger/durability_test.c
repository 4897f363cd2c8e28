/* Whatever stops the queue role, and at whichever of its calls to the disk: what it had promised is
 * there, bit for bit, and nothing is half there.
 *
 * A child process runs the same little story (accept, dot, delivery, over several groups) on a disk
 * that fails, kills or loses its memory at the n-th call; after each commit it notes in shared
 * memory what it would have promised. The parent opens what is left and compares. By default some
 * of the calls are tried; WAYBILL_LONG=1 tries each. */
#include <sys/mman.h>
#include <sys/wait.h>

#include "base/test.h"
#include "store/ledger/fsck.h"
#include "store/ledger/reader.h"
#include "store/ledger/vfs_test.h"
#include "store/spool/spool.h"
#include "store/spool/temp_test.h"

#define T0 INT64_C(1795000000000)
#define GROUPS 5
#define PER_GROUP 3
#define MESSAGES (GROUPS * PER_GROUP)
#define RUNS 6 /* of each ending, unless WAYBILL_LONG is set */

struct promise {
    struct id id;
    struct spool_place place;
    bool accepted, dot_sent, delivered;
};
static struct board {
    struct promise promises[MESSAGES];
    uint64_t calls;
    bool finished;
    char trouble[300];
} * board;

static char dir[300], ledger_path[400], spool_dir[400];
static struct ledger *l;
static struct spool *spool;
static struct err e;

static bool knows(void *ctx, uint64_t segment)
{
    return ledger_knows_segment(ctx, segment);
}

static int open_both(void)
{
    struct ledger_settings ls = {
        .path = ledger_path, .now_ms = T0, .checkpoint_kib = 48, .vfs = TEST_VFS};

    if (ledger_open(&ls, &l, &e) != 0)
        return -1;
    struct spool_settings ss = {.dir = spool_dir,
                                .segment_bytes = 16384,
                                .buffer_bytes = 4096,
                                .disk = &test_disk_calls,
                                .last_segment = ledger_last_segment(l),
                                .is_known = knows,
                                .is_known_ctx = l};
    return spool_open(&ss, &spool, NULL, &e);
}

static void close_both(void)
{
    spool_close(&spool);
    ledger_close(&l);
}

/* The body of message i: its size and bytes follow from i. One in seven is large. */
static struct slice body_of(int i)
{
    static char bytes[20000];
    size_t n = i % 7 == 3 ? 9000 + (size_t)i : 300 + (size_t)i * 97;

    for (size_t k = 0; k < n; k++)
        bytes[k] = (char)('A' + (k * 31 + (size_t)i) % 53);
    return (struct slice){bytes, n};
}

/* --- the child --- */

static int accept_one(int i, struct promise *draft)
{
    struct ledger_recipient recipient = {.address = SLICE("a@example.net")};
    struct ledger_message m = {.id = {((uint64_t)(T0 + i) << 16) + 1, (uint64_t)i},
                               .received_ms = T0 + i,
                               .stream = SLICE("s"),
                               .sender = SLICE("b@example.com")};
    struct ledger_units units;
    struct spool_writer *w = spool_stage_begin(spool, m.id, 0);

    if (spool_writer_append(w, body_of(i), &e) != 0 ||
        spool_writer_finish(&w, SLICE("Received: here\r\n"), &m.place, &e) != 0) {
        spool_writer_abort(&w);
        return -1;
    }
    draft->id = m.id;
    draft->place = m.place;
    if (ledger_site(l, SLICE("example.net"), &recipient.site, &e) != 0)
        return -1;
    return ledger_add_message(l, &m, &recipient, 1, T0, true, &units, &e);
}

static int send_dot(const struct promise *p)
{
    const struct ledger_unit *unit = ledger_find_unit(l, p->id, 1);

    return ledger_dot_sent(l, unit, unit->recipients, SLICE("mx"), SLICE("::1"), T0 + 50, &e);
}

static int deliver(const struct promise *p)
{
    const struct ledger_unit *unit = ledger_find_unit(l, p->id, 1);
    struct ledger_result r = {.kind = LEDGER_EV_DELIVERED,
                              .state = LEDGER_DELIVERED,
                              .recipients = unit->recipients,
                              .reply_code = 250};

    return ledger_outcome(l, unit, &r, 1, 0, T0 + 60, &e);
}

/* One turn: new mail, dots for what was accepted before, outcomes for what was sent before. */
static bool turn(int group)
{
    struct promise drafts[MESSAGES];
    bool good = ledger_begin(l, &e) == 0;

    if (!good)
        return false;
    memcpy(drafts, board->promises, sizeof drafts);
    for (int i = 0; i < MESSAGES && good; i++) {
        struct promise *p = &drafts[i];
        if (p->dot_sent && !p->delivered) {
            good = deliver(p) == 0;
            p->delivered = true;
        } else if (p->accepted && !p->dot_sent) {
            good = send_dot(p) == 0;
            p->dot_sent = true;
        }
    }
    for (int i = group * PER_GROUP; i < (group + 1) * PER_GROUP && good && group < GROUPS; i++) {
        good = accept_one(i, &drafts[i]) == 0;
        drafts[i].accepted = true;
    }
    good = good && spool_commit(spool, &e) == 0;
    if (!good) {
        spool_rollback(spool);
        ledger_rollback(l);
        return false;
    }
    if (ledger_commit(l, &e) != 0)
        return false;
    memcpy(board->promises, drafts, sizeof drafts); /* the replies */
    return true;
}

static void sweep_spool(void)
{
    struct ledger_segment idle[4];
    size_t n = ledger_idle_segments(l, INT64_MAX, idle, 4);

    if (ledger_begin(l, &e) != 0)
        return;
    for (size_t i = 0; i < n; i++) {
        if (spool_remove_segment(spool, idle[i].segment, &e) != 0)
            continue;
        /* Promises about bodies end here: the message is finished, its retention is over. */
        for (int k = 0; k < MESSAGES; k++)
            if (board->promises[k].place.segment == idle[i].segment)
                board->promises[k].place.segment = 0;
        if (ledger_forget_segment(l, idle[i].segment, &e) != 0)
            break;
    }
    (void)!ledger_commit(l, &e);
}

static void run_child(struct disk_fault fault)
{
    int failures = 0, in_row = 0;

    if (open_both() != 0) {
        snprintf(board->trouble, sizeof board->trouble, "open: %.200s", e.text);
        _exit(1);
    }
    test_disk.fault = fault;
    test_disk.count = 0;
    for (int group = 0; group < GROUPS + 3 && in_row < 20; group++) {
        bool good = turn(group);
        failures += !good;
        in_row = good ? 0 : in_row + 1;
        (void)!ledger_checkpoint_if_due(l, &e);
        if (group == GROUPS + 1)
            sweep_spool();
        if (!good && group >= GROUPS)
            group--; /* outcomes are repeated until they are stored */
    }
    board->calls = test_disk.count;
    if (in_row >= 20 || failures > 12)
        snprintf(board->trouble, sizeof board->trouble, "it never recovered: %.200s", e.text);
    test_disk.fault.at = 0;
    close_both();
    board->finished = true;
    _exit(0);
}

/* --- the parent --- */

static struct ledger_verdict retry(void *ctx, const struct ledger_dangling *d)
{
    (void)ctx, (void)d;
    return (struct ledger_verdict){LEDGER_QUEUED, T0};
}

static void note_fault(void *ctx, enum fsck_fault fault, const char *sentence)
{
    (void)ctx;
    print_error("%s: %s\n", fsck_fault_name(fault), sentence);
}

static void check_promise(struct ledger_reader *reader, int i, const struct promise *p)
{
    struct arena *arena = arena_create(100000);
    struct ledger_story story;
    struct buf body;
    int fd;

    if (!p->accepted) {
        arena_destroy(&arena);
        return;
    }
    if (ledger_show(reader, p->id, arena, &story, &e) != 0)
        fail_msg("message %d was promised: %s", i, e.text);
    enum ledger_state state = story.recipients[0].state;
    assert_true(state == LEDGER_DELIVERED || state == LEDGER_QUEUED);
    if (p->delivered)
        assert_int_equal(state, LEDGER_DELIVERED);
    else if (p->dot_sent && state == LEDGER_QUEUED)
        assert_int_equal(story.events[story.event_count - 1].kind, LEDGER_EV_UNKNOWN);
    buf_init(&body, 1 << 20);
    if (state == LEDGER_QUEUED || (p->place.segment != 0 && board->finished)) {
        struct spool_place place = story.message.place;
        if (spool_open_read(spool_dir, place.segment, &fd, &e) != 0 ||
            spool_read_body(fd, p->id, &place, &body, &e) != 0)
            fail_msg("message %d: %s", i, e.text);
        close(fd);
        assert_true(slice_eq(buf_slice(&body), body_of(i)));
    }
    buf_finish(&body);
    arena_destroy(&arena);
}

static void check_all(void)
{
    struct ledger_reader *reader = NULL;
    struct fsck_report report;
    struct fsck_settings fs = {
        .ledger_path = ledger_path, .spool_dir = spool_dir, .now_ms = T0, .found = note_fault};

    test_disk.fault.at = 0;
    if (open_both() != 0 || ledger_recover(l, retry, NULL, T0 + 99, NULL, &e) != 0 ||
        ledger_reader_open(ledger_path, &reader, &e) != 0)
        fail_msg("%s", e.text);
    for (int i = 0; i < MESSAGES; i++)
        check_promise(reader, i, &board->promises[i]);
    /* and the next mail is taken */
    struct promise next;
    if (ledger_begin(l, &e) != 0 || accept_one(MESSAGES, &next) != 0 ||
        spool_commit(spool, &e) != 0 || ledger_commit(l, &e) != 0)
        fail_msg("afterwards: %s", e.text);
    ledger_reader_close(&reader);
    close_both();
    if (fsck_run(&fs, &report, &e) != 0)
        fail_msg("%s", e.text);
    assert_int_equal(report.fault_count, 0);
}

static void forget_tracking(void)
{
    for (size_t i = 0; i < test_disk.file_n; i++)
        test_disk_synced(test_disk.files[i].path);
    memset(&test_disk, 0, sizeof test_disk);
}

static void run_once(struct disk_fault fault)
{
    char path[500];
    const char *name = temp_dir();
    int status;

    snprintf(dir, sizeof dir, "%s", name);
    snprintf(ledger_path, sizeof ledger_path, "%s/ledger.db", dir);
    snprintf(spool_dir, sizeof spool_dir, "%s/spool", dir);
    memset(board, 0, sizeof *board);
    forget_tracking();
    if (open_both() != 0) /* the files are there, and durable, before the story begins */
        fail_msg("%s", e.text);
    close_both();
    forget_tracking();
    pid_t child = fork();
    if (child == 0)
        run_child(fault);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_true(WEXITSTATUS(status) == 9 || WEXITSTATUS(status) == 0);
    if (board->trouble[0] != '\0')
        fail_msg("call %llu: %s", (unsigned long long)fault.at, board->trouble);
    if (WEXITSTATUS(status) == 9 && fault.ending >= DISK_LOSES_ALL) {
        snprintf(path, sizeof path, "%s-shm", ledger_path); /* shared memory does not survive */
        unlink(path);
    }
    if (board->finished)
        for (int i = 0; i < MESSAGES; i++)
            if (fault.at == 0)
                assert_true(board->promises[i].delivered);
    check_all();
    temp_dir_remove(name);
}

struct ending_case {
    const char *name;
    struct disk_fault fault;
};
static const struct ending_case endings[] = {
    {"a disk that is full for one call", {0, DISK_FAILS, ENOSPC}},
    {"a disk that is full for ten calls", {0, DISK_STAYS_BAD, ENOSPC}},
    {"one I/O error", {0, DISK_FAILS, EIO}},
    {"kill -9 before a call", {0, DISK_KILLS, EIO}},
    {"kill -9 in the middle of a write", {0, DISK_KILLS_LATE, EIO}},
    {"a power cut that loses all that was not synced", {0, DISK_LOSES_ALL, EIO}},
    {"a power cut that loses some sectors and names", {0, DISK_LOSES_SOME, EIO}},
};

static uint64_t calls_of_story(void)
{
    static uint64_t calls;

    if (calls == 0) {
        run_once((struct disk_fault){0});
        calls = board->calls;
        assert_true(calls > 50);
    }
    return calls;
}

static void run_ending(void **state)
{
    const struct ending_case *c = *state;
    struct disk_fault fault = c->fault;
    uint64_t calls = calls_of_story();
    uint64_t stride = getenv("WAYBILL_LONG") != NULL ? 1 : calls / RUNS;
    uint64_t start = stride > 1 ? 1 + (uint64_t)(c - endings) * 3 % stride : 1;

    for (fault.at = start; fault.at <= calls; fault.at += stride)
        run_once(fault);
}

int main(void)
{
    board = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    test_vfs_register();
    RUN_TABLE(endings, run_ending);
}
