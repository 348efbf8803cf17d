/* SPDX-License-Identifier: MIT */
/* Threads that start together and are joined. */
#ifndef TESTS_BASE_THREADS_H
#define TESTS_BASE_THREADS_H

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { THREADS_MOST = 16 };

struct thread_arg {
    void (*body)(void *shared, unsigned number);
    void *shared;
    unsigned number;
    _Atomic unsigned *missing; /* of those that start together */
};

static inline void *thread_main(void *arg)
{
    struct thread_arg *self = arg;
    atomic_fetch_sub(self->missing, 1);
    while (atomic_load(self->missing) > 0)
        sched_yield();
    self->body(self->shared, self->number);
    return NULL;
}

/* Runs body(shared, 0) to body(shared, count - 1), each in a thread. */
static inline void threads_run(unsigned count, void (*body)(void *, unsigned), void *shared)
{
    pthread_t threads[THREADS_MOST];
    struct thread_arg args[THREADS_MOST];
    _Atomic unsigned missing = count;
    assert_in_range(count, 1, THREADS_MOST);
    for (unsigned i = 0; i < count; i++) {
        args[i] = (struct thread_arg){body, shared, i, &missing};
        assert_int_equal(pthread_create(&threads[i], NULL, thread_main, &args[i]), 0);
    }
    for (unsigned i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
}

/* For bodies: cmocka's assertions are for the main thread only. */
#define THREAD_CHECK(condition)                                                                    \
    ((condition) ? (void)0 : thread_check_failed(#condition, __FILE__, __LINE__))

static inline void thread_check_failed(const char *what, const char *file, int line)
{
    print_error("%s:%d: %s\n", file, line, what);
    abort();
}

#endif
