#include "rt/watch/metrics.h"

#include <sys/wait.h>
#include <unistd.h>

#include "base/test.h"

static bool shows(struct metrics *m, const char *line)
{
    struct buf out;

    buf_init(&out, 1 << 20);
    metrics_render(m, &out);
    bool found = slice_search(buf_slice(&out), slice_of(line)) != SLICE_NONE;
    assert_false(out.full);
    buf_finish(&out);
    return found;
}

static void across_fork(struct metrics *m)
{
    int status;

    for (unsigned i = 1; i <= 2; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            metrics_use(m, i, i == 1 ? "inbound-1" : "queue");
            metric_add(m, METRIC_messages_accepted_total, 10 * i);
            _exit(0);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
    }
    assert_int_equal(metric_total(m, METRIC_messages_accepted_total), 30);
    assert_true(shows(m, "\nwaybill_messages_accepted_total{role=\"inbound-1\"} 10\n"
                         "waybill_messages_accepted_total{role=\"queue\"} 20\n"));
}

static void restarted_role(struct metrics *m)
{
    metrics_use(m, 0, "queue");
    metric_add(m, METRIC_fsyncs_total, 5);
    metric_set(m, METRIC_queue_messages, 7);
    metric_change(m, METRIC_queue_messages, -2);
    assert_int_equal(metric_total(m, METRIC_queue_messages), 5);
    metrics_use(m, 0, "queue");
    metric_add(m, METRIC_fsyncs_total, 1);
    assert_int_equal(metric_total(m, METRIC_fsyncs_total), 6);
    assert_int_equal(metric_total(m, METRIC_queue_messages), 0);
}

static void histogram(struct metrics *m)
{
    metrics_use(m, 0, "queue");
    metric_observe(m, METRIC_ack_seconds, 0);
    metric_observe(m, METRIC_ack_seconds, 64);
    metric_observe(m, METRIC_ack_seconds, 65);
    metric_observe(m, METRIC_ack_seconds, UINT64_MAX / 2);
    metric_observe(m, METRIC_group_size, 20);
    assert_true(shows(m, "waybill_ack_seconds_bucket{role=\"queue\",le=\"6.4e-05\"} 2\n"));
    assert_true(shows(m, "waybill_ack_seconds_bucket{role=\"queue\",le=\"0.000128\"} 3\n"));
    assert_true(shows(m, "waybill_ack_seconds_bucket{role=\"queue\",le=\"+Inf\"} 4\n"));
    assert_true(shows(m, "waybill_ack_seconds_count{role=\"queue\"} 4\n"));
    assert_true(shows(m, "waybill_group_size_bucket{role=\"queue\",le=\"16\"} 0\n"));
    assert_true(shows(m, "waybill_group_size_bucket{role=\"queue\",le=\"32\"} 1\n"));
    assert_true(shows(m, "waybill_group_size_sum{role=\"queue\"} 20\n"));
    assert_true(shows(m, "# TYPE waybill_ack_seconds histogram\n"));
}

static void views(struct metrics *m)
{
    struct metrics *a = metrics_view(m, 0, "inbound-1"), *b = metrics_view(m, 1, "queue");

    metric_add(a, METRIC_delivered_total, 1);
    metric_add(b, METRIC_delivered_total, 2);
    assert_true(shows(m, "waybill_delivered_total{role=\"queue\"} 2\n"));
    assert_int_equal(metric_total(b, METRIC_delivered_total), 3);
    metrics_destroy(&a);
    metrics_destroy(&b);
}

static void nowhere(struct metrics *m)
{
    metric_add(m, METRIC_delivered_total, 1); /* before metrics_use() */
    metric_add(NULL, METRIC_delivered_total, 1);
    metric_observe(NULL, METRIC_ack_seconds, 1);
    metrics_use(m, 99, "no such slot");
    assert_int_equal(metric_total(m, METRIC_delivered_total), 0);
    assert_true(shows(m, "\nwaybill_delivered_total 0\n"));
}

static const struct story {
    const char *name;
    void (*run)(struct metrics *m);
} stories[] = {
    {"children count, the parent sees the sum", across_fork},
    {"a restarted role goes on counting, its gauges begin anew", restarted_role},
    {"histograms are cumulative and never lose a value", histogram},
    {"several roles in one process", views},
    {"without a slot nothing happens", nowhere},
};

static void run(void **state)
{
    const struct story *s = *state;
    struct err e;
    struct metrics *m = metrics_create(3, &e);

    assert_non_null(m);
    s->run(m);
    metrics_destroy(&m);
}

int main(void)
{
    RUN_TABLE(stories, run);
}
