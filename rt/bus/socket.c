#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rt/bus/bus_in.h"

#define READ_BYTES (256u * 1024u)
#define SOCKET_BYTES (4 * 1024 * 1024) /* asked for; without privileges the kernel gives less */

int bus_pair_create(int fds_out[2], struct err *e)
{
    int bytes = SOCKET_BYTES;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds_out) != 0)
        return err_system(e, errno, "cannot make a socket pair");
    for (size_t i = 0; i < 2; i++)
        if (setsockopt(fds_out[i], SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes) != 0)
            setsockopt(fds_out[i], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    return 0;
}

/* A descriptor leaves with or before the first byte of its frame, never after it: so a sendmsg that
 * has no room for one more descriptor ends before that one's frame. */
static size_t attach(struct bus *b, struct msghdr *m, char *control, size_t room)
{
    struct bus_fds *q = &b->output_fds;
    size_t count = q->count < BUS_FDS_AT_ONCE ? q->count : BUS_FDS_AT_ONCE;
    int fds[BUS_FDS_AT_ONCE];

    if (count < q->count) {
        size_t end = q->items[q->first + count].at;

        m->msg_iov->iov_len = end - b->sent;
    }
    if (count == 0)
        return 0;
    for (size_t i = 0; i < count; i++)
        fds[i] = q->items[q->first + i].fd;
    m->msg_control = control;
    m->msg_controllen = CMSG_SPACE(count * sizeof(int));
    memset(control, 0, room);
    struct cmsghdr *c = CMSG_FIRSTHDR(m);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(count * sizeof(int));
    memcpy(CMSG_DATA(c), fds, count * sizeof(int));
    return count;
}

void bus_socket_send(struct bus *b)
{
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(BUS_FDS_AT_ONCE * sizeof(int))];

    while (b->sent < b->output.n && !b->ended) {
        struct iovec part = {b->output.p + b->sent, b->output.n - b->sent};
        struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1};
        size_t fds = attach(b, &m, control, sizeof control);
        ssize_t n = sendmsg(b->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == ENOBUFS || errno == ETOOMANYREFS)) {
            b->blocked = true;
            break;
        }
        if (n < 0) { /* the peer is gone; its last words may still be there, so reading goes on */
            buf_clear(&b->output);
            bus_fds_finish(&b->output_fds);
            b->sent = 0;
            break;
        }
        for (size_t i = 0; i < fds; i++)
            close(bus_fds_take(&b->output_fds));
        b->sent += (size_t)n;
    }
    bus_trim_output(b);
    if (b->watch != NULL)
        loop_watch_want(b->watch, (b->paused ? 0 : LOOP_READ) | (b->blocked ? LOOP_WRITE : 0));
}

static bool keep_fds(struct bus *b, struct msghdr *m)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int fd;

            memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof fd);
            bus_fds_put(&b->input_fds, fd, 0);
        }
    }
    return !(m->msg_flags & MSG_CTRUNC);
}

/* One big read. The bytes of an unfinished frame are at the start of the buffer. */
static bool receive(struct bus *b)
{
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(BUS_FDS_AT_ONCE * sizeof(int))];
    size_t room = b->input.cap - b->input.n;

    if (room < READ_BYTES / 2 || b->input.cap < READ_BYTES)
        room = READ_BYTES;
    struct iovec part = {buf_room(&b->input, room), room};
    struct msghdr m = {.msg_iov = &part,
                       .msg_iovlen = 1,
                       .msg_control = control,
                       .msg_controllen = sizeof control};
    ssize_t n = recvmsg(b->fd, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return true;
    if (n < 0) {
        err_system(&b->why, errno, "the bus broke");
        return bus_end_of(b);
    }
    if (n == 0) {
        if (b->input.n > 0)
            err_set(&b->why, ERR_SYNTAX, "the bus ended inside a frame");
        return bus_end_of(b);
    }
    buf_claim(&b->input, (size_t)n);
    if (!keep_fds(b, &m)) {
        err_set(&b->why, ERR_LIMIT, "descriptors were lost on the bus");
        return bus_end_of(b);
    }
    return bus_dispatch(b);
}

void bus_socket_ready(void *ctx, unsigned events)
{
    struct bus *b = ctx;

    if (b->ended) {
        loop_watch_want(b->watch, 0);
        return;
    }
    if (events & LOOP_WRITE) {
        b->blocked = false;
        bus_socket_send(b);
        (void)bus_tell_drained(b);
    } else {
        (void)receive(b);
    }
}
