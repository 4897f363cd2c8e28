#include <errno.h>
#include <sys/uio.h>

#include "rt/stream/stream_in.h"

#define PARTS_MAX 16
#define CLOSE_SEND_MS 10000 /* to send what is left */
#define CLOSE_READ_MS 2000  /* to read what the peer has under way */
#define KEEP_BYTES 16384u   /* an empty output buffer above this is freed */

void stream_set_output_max(struct stream *s, size_t bytes)
{
    s->output.max = bytes;
}

size_t stream_pending(const struct stream *s)
{
    return s->output.n - s->sent;
}

static void keep(struct stream *s, struct slice bytes)
{
    if (s->sent > 0 && s->output.n + bytes.n > s->output.max) {
        buf_drop(&s->output, s->sent);
        s->sent = 0;
    }
    buf_append(&s->output, bytes);
    if (s->output.full)
        stream_fail(s, STREAM_END_OVERRUN, ERR_LIMIT,
                    "the peer does not read: %zu bytes are waiting for it", stream_pending(s));
}

/* --- writing at once --- */

/* As send(); -1 with *again_out: the kernel is full; -1 without: the stream failed. */
static ssize_t send_some(struct stream *s, struct slice bytes, bool *again_out)
{
    ssize_t n;

    *again_out = false;
    if (s->tls_on)
        return tls_write(s, bytes, again_out);
    n = send(s->fd, bytes.p, bytes.n, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0) {
        *again_out = errno == EAGAIN || errno == EINTR;
        if (!*again_out)
            stream_fail_system(s, STREAM_END_RESET, errno, "lost the connection with");
    }
    return n;
}

/* Sends until the kernel is full; returns what it took. */
static size_t send_all(struct stream *s, struct slice bytes)
{
    size_t done = 0;
    bool again;

    while (done < bytes.n) {
        ssize_t n = send_some(s, slice_from(bytes, done), &again);

        if (n <= 0)
            break;
        done += (size_t)n;
        s->last_ms = loop_now_ms(s->all->loop);
        if (!s->tls_on && done < bytes.n)
            break; /* less than asked for: the kernel is full */
    }
    return done;
}

/* One sendmsg for plain streams; returns how many bytes the kernel took. */
static size_t send_parts(struct stream *s, const struct slice *parts, size_t count)
{
    struct iovec iov[PARTS_MAX];
    struct msghdr m = {.msg_iov = iov, .msg_iovlen = count};

    for (size_t i = 0; i < count; i++) /* sendmsg does not write to it */
        iov[i] = (struct iovec){(void *)(uintptr_t)parts[i].p, parts[i].n};
    ssize_t n = sendmsg(s->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno != EAGAIN && errno != EINTR)
        stream_fail_system(s, STREAM_END_RESET, errno, "lost the connection with");
    if (n > 0)
        s->last_ms = loop_now_ms(s->all->loop);
    return n > 0 ? (size_t)n : 0;
}

/* Small pieces become one TLS record, large ones go one after the other. */
static size_t send_tls_parts(struct stream *s, const struct slice *parts, size_t count)
{
    size_t total = 0, done = 0, n = 0;

    for (size_t i = 0; i < count; i++)
        total += parts[i].n;
    if (total <= STREAM_RECORD_BYTES) {
        for (size_t i = 0; i < count; i++) {
            if (parts[i].n > 0)
                memcpy(s->all->record + n, parts[i].p, parts[i].n);
            n += parts[i].n;
        }
        return send_all(s, (struct slice){s->all->record, n});
    }
    for (size_t i = 0; i < count; i++) {
        n = send_all(s, parts[i]);
        done += n;
        if (n < parts[i].n)
            break;
    }
    return done;
}

static void write_parts(struct stream *s, const struct slice *parts, size_t count)
{
    size_t done = 0;

    if (s->state == STREAM_OPEN && s->output.n == s->sent && !s->open_due)
        done = s->tls_on ? send_tls_parts(s, parts, count) : send_parts(s, parts, count);
    for (size_t i = 0; i < count && s->state != STREAM_DEAD; i++) {
        size_t skip = done < parts[i].n ? done : parts[i].n;

        done -= skip;
        if (skip < parts[i].n)
            keep(s, slice_from(parts[i], skip));
    }
    if (s->output.n > s->sent) {
        s->above = true;
        stream_interest(s);
    }
}

void stream_write_parts(struct stream *s, const struct slice *parts, size_t count)
{
    while (count > 0 && s->state != STREAM_DEAD && !s->shut_due) {
        size_t n = count < PARTS_MAX ? count : PARTS_MAX;

        write_parts(s, parts, n);
        parts += n;
        count -= n;
    }
}

void stream_write(struct stream *s, struct slice bytes)
{
    if (bytes.n > 0)
        stream_write_parts(s, &bytes, 1);
}

/* --- writing later --- */

void stream_send_output(struct stream *s)
{
    s->sent += send_all(s, slice_from(buf_slice(&s->output), s->sent));
    if (s->sent == s->output.n) {
        if (s->output.cap > KEEP_BYTES)
            buf_finish(&s->output);
        buf_clear(&s->output);
        s->sent = 0;
    }
}

static void shut(struct stream *s)
{
    s->is_shut = true;
    if (s->tls_on)
        tls_shut(s);
    shutdown(s->fd, SHUT_WR);
}

bool stream_output_done(struct stream *s)
{
    if (s->state == STREAM_DEAD)
        return true; /* on_turn() tells */
    if (s->output.n > s->sent) {
        stream_interest(s);
        return true;
    }
    if (s->state == STREAM_TLS_AHEAD) {
        tls_begin(s);
        return true;
    }
    if (s->state == STREAM_OPEN && s->shut_due && !s->is_shut)
        shut(s);
    if (s->detached && s->is_shut) {
        if (s->eof) {
            stream_release(s);
            return false;
        }
        s->paused = false;
        buf_finish(&s->kept);
        s->phase_ms = loop_now_ms(s->all->loop) + CLOSE_READ_MS;
        stream_arm(s);
    } else if (s->above && s->state == STREAM_OPEN) {
        s->above = false;
        if (s->handlers->on_drained != NULL && !STREAM_TELL(s, s->handlers->on_drained(s->ctx)))
            return false;
    }
    stream_interest(s);
    return true;
}

void stream_shut_write(struct stream *s)
{
    s->shut_due = true;
    stream_turn(s);
}

void stream_close(struct stream **s)
{
    struct stream *it = *s;

    if (it == NULL)
        return;
    if (!stream_is_open(it)) {
        stream_destroy(s);
        return;
    }
    *s = NULL;
    it->detached = true;
    it->dropped_input = true;
    it->shut_due = true;
    it->phase_ms = loop_now_ms(it->all->loop) + CLOSE_SEND_MS;
    stream_arm(it);
    stream_turn(it);
}
