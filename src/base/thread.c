/* SPDX-License-Identifier: MIT */
#include "base/thread.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stddef.h>

#include <firn/error.h>

#include "base/sanitizers.h"

/* A small one, since a program may have many; sanitizers need more. */
static size_t stack_size(void)
{
#if defined(SANITIZED_ADDRESS) || defined(SANITIZED_THREAD)
    size_t size = 1024 * 1024;
#else
    size_t size = 256 * 1024;
#endif
    size_t least = (size_t)PTHREAD_STACK_MIN;
    return size > least ? size : least;
}

static int create(pthread_t *thread, void *(*run)(void *), void *arg)
{
    pthread_attr_t attributes;
    if (pthread_attr_init(&attributes) != 0)
        return ENOMEM;
    int error = pthread_attr_setstacksize(&attributes, stack_size());
    if (error == 0)
        error = pthread_create(thread, &attributes, run, arg);
    if (error == EINVAL) /* the program's thread-local variables don't fit */
        error = pthread_create(thread, NULL, run, arg);
    pthread_attr_destroy(&attributes);
    return error;
}

/* All signals are for the program's own threads. */
int thread_start(pthread_t *thread, void *(*run)(void *), void *arg)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = create(thread, run, arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error == 0)
        return 0;
    return error == ENOMEM ? FIRN_ENOMEM : FIRN_EAGAIN;
}
