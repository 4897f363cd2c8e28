#include "role/control.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/arena.h"
#include "role/messages.h"
#include "rt/bus/wire.h"

#define FRAME_HEADER 8 /* u32 length, u16 type, u16 flags */
#define ANSWER_MAX 65536
#define PATIENCE_S 30

static int connect_to(const char *path, struct err *e)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    const struct timeval patience = {.tv_sec = PATIENCE_S};
    int fd;

    if (strlen(path) >= sizeof to.sun_path)
        return err_set(e, ERR_LIMIT, "the path of the control socket is too long: %s", path);
    memcpy(to.sun_path, path, strlen(path) + 1);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return err_system(e, errno, "socket");
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (connect(fd, (struct sockaddr *)&to, sizeof to) < 0) {
        int why = errno;

        close(fd);
        if (why == ENOENT || why == ECONNREFUSED)
            return err_set(e, ERR_FOUND, "no daemon listens at %s; is `waybill serve` running?",
                           path);
        return err_system(e, why, "control socket %s", path);
    }
    return fd;
}

static bool read_all(int fd, char *room, size_t n)
{
    while (n > 0) {
        ssize_t got = read(fd, room, n);

        if (got <= 0)
            return false;
        room += got;
        n -= (size_t)got;
    }
    return true;
}

static int read_answer(int fd, struct control_reply *reply_out, struct err *e)
{
    char header[FRAME_HEADER], body[ANSWER_MAX];
    struct wire_reader r = wire_read((struct slice){header, sizeof header});
    struct arena *a = arena_create(65536);
    struct msg_control_answer m;
    bool good = false;
    uint32_t n;

    if (read_all(fd, header, sizeof header)) {
        n = wire_get_u32(&r);
        good = n <= sizeof body && wire_get_u16(&r) == MSG_CONTROL_ANSWER &&
               read_all(fd, body, n) && msg_control_answer_decode((struct slice){body, n}, a, &m);
    }
    if (good) {
        reply_out->ok = m.ok != 0;
        reply_out->count = m.count;
        (void)snprintf(reply_out->text, sizeof reply_out->text, "%.*s",
                       SLICE_ARG(slice_sub(m.text, 0, sizeof reply_out->text - 1)));
    }
    arena_destroy(&a);
    return good ? 0 : err_set(e, ERR_TEMP, "the daemon did not answer");
}

int control_ask(const char *socket_path, const char *verb, const char *argument,
                struct control_reply *reply_out, struct err *e)
{
    const struct msg_control_request m = {
        .request = 1, .verb = slice_of(verb), .argument = slice_of(argument)};
    struct buf body, frame;
    int fd = connect_to(socket_path, e), result = -1;

    *reply_out = (struct control_reply){0};
    if (fd < 0)
        return -1;
    buf_init(&body, ANSWER_MAX);
    buf_init(&frame, 2 * ANSWER_MAX);
    msg_control_request_encode(&m, &body);
    wire_put_u32(&frame, (uint32_t)body.n);
    wire_put_u16(&frame, MSG_CONTROL_REQUEST);
    wire_put_u16(&frame, 0);
    buf_append(&frame, buf_slice(&body));
    if (write(fd, frame.p, frame.n) != (ssize_t)frame.n)
        (void)err_system(e, errno, "control socket %s", socket_path);
    else
        result = read_answer(fd, reply_out, e);
    buf_finish(&body);
    buf_finish(&frame);
    close(fd);
    return result;
}
