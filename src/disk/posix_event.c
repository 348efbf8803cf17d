/* SPDX-License-Identifier: MIT */
/* Wake-ups that are descriptors: an eventfd on Linux, a pipe elsewhere. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "disk/platform.h"
#include "disk/posix_private.h"

#if DISK_LINUX
#include <sys/eventfd.h>
#endif

struct firn_event {
    int read_fd;
    int write_fd; /* the same one, for an eventfd */
};

#if DISK_LINUX

static int open_event(struct firn_event *event)
{
    event->read_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    event->write_fd = event->read_fd;
    return event->read_fd < 0 ? -1 : 0;
}

#else

static int open_event(struct firn_event *event)
{
    int fds[2];
    if (pipe(fds) != 0)
        return -1;
    event->read_fd = fds[0];
    event->write_fd = fds[1];
    for (int i = 0; i < 2; i++) {
        if (fcntl(fds[i], F_SETFD, FD_CLOEXEC) != 0 || fcntl(fds[i], F_SETFL, O_NONBLOCK) != 0) {
            int saved = errno;
            (void)close(fds[0]);
            (void)close(fds[1]);
            errno = saved;
            return -1;
        }
    }
    return 0;
}

#endif

int posix_event_new(struct firn_disk *disk, struct firn_event **event, int *fd,
                    struct firn_error *err)
{
    (void)disk;
    struct firn_event *new = malloc(sizeof *new);
    if (new == NULL)
        return firn_error_set(err, FIRN_ENOMEM, 0, "wake-up: out of memory");
    if (open_event(new) != 0) {
        int rc = posix_fail(err, errno, "wake-up", "open");
        free(new);
        return rc;
    }
    *event = new;
    *fd = new->read_fd;
    return 0;
}

void posix_event_signal(struct firn_event *event)
{
    static const uint64_t one = 1;
    int saved = errno;
    /* Where it would block it is readable already. */
    while (write(event->write_fd, &one, sizeof one) < 0 && errno == EINTR)
        continue;
    errno = saved;
}

void posix_event_clear(struct firn_event *event)
{
    uint64_t bytes[64];
    int saved = errno;
    ssize_t n = 0;
    do
        n = read(event->read_fd, bytes, sizeof bytes);
    while (n == (ssize_t)sizeof bytes || (n < 0 && errno == EINTR));
    errno = saved;
}

void posix_event_free(struct firn_event *event)
{
    if (event == NULL)
        return;
    (void)close(event->read_fd);
    if (event->write_fd != event->read_fd)
        (void)close(event->write_fd);
    free(event);
}
