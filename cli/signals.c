/* SPDX-License-Identifier: MIT */
/*
 * The handler writes into a pipe that every wait watches too: so a signal that comes just before
 * the wait ends it as well. Calls of the library are never cut short (SA_RESTART).
 */
#include "signals.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

static volatile sig_atomic_t caught;
static int wake[2] = {-1, -1};

static void note(int signo)
{
    int saved = errno;
    if (!caught) {
        caught = signo;
        ssize_t written = write(wake[1], "", 1);
        (void)written; /* the pipe is never full: this is its only byte */
    }
    errno = saved;
}

static void watch(int signo)
{
    struct sigaction action;
    if (sigaction(signo, NULL, &action) != 0 || action.sa_handler == SIG_IGN)
        return;
    memset(&action, 0, sizeof action);
    action.sa_handler = note;
    action.sa_flags = (int)(SA_RESTART | SA_RESETHAND);
    sigemptyset(&action.sa_mask);
    sigaction(signo, &action, NULL);
}

int signals_catch(void)
{
    if (pipe(wake) != 0)
        return errno;
    for (int i = 0; i < 2; i++)
        fcntl(wake[i], F_SETFD, FD_CLOEXEC);
    watch(SIGINT);
    watch(SIGTERM);
    watch(SIGHUP);
    return 0;
}

int signals_caught(void)
{
    return caught;
}

enum signals_wait signals_wait(int fd, short events, int timeout_ms)
{
    struct pollfd polled[] = {
        {.fd = fd, .events = events},
        {.fd = wake[0], .events = POLLIN},
    };
    int ready = poll(polled, 2, timeout_ms);
    if (ready > 0 && polled[0].revents)
        return SIGNALS_READY;
    if (caught)
        return SIGNALS_INTERRUPTED;
    return SIGNALS_TIMED_OUT;
}

void signals_end(void)
{
    signal(caught, SIG_DFL);
    raise(caught);
}
