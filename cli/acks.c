/* SPDX-License-Identifier: MIT */
#include "acks.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <unistd.h>

#include "signals.h"

enum { PATIENCE_MS = 1000 }; /* with who reads, after a signal */

/* False: a signal came, and nobody reads what we have to say. */
static bool await_reader(void)
{
    enum signals_wait ready = SIGNALS_TIMED_OUT;
    while (ready == SIGNALS_TIMED_OUT)
        ready = signals_wait(STDOUT_FILENO, POLLOUT, SIGNALS_FOREVER);
    struct pollfd output = {.fd = STDOUT_FILENO, .events = POLLOUT};
    return ready == SIGNALS_READY || poll(&output, 1, PATIENCE_MS) > 0;
}

int acks_write(const char *text, size_t size)
{
    while (size > 0) {
        if (!await_reader())
            return EINTR;
        ssize_t written = write(STDOUT_FILENO, text, size);
        if (written < 0 && errno != EINTR && errno != EAGAIN)
            return errno;
        if (written > 0) {
            text += written;
            size -= (size_t)written;
        }
    }
    return 0;
}
