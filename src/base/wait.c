/* SPDX-License-Identifier: MIT */
#include "base/wait.h"

#include <errno.h>
#include <limits.h>
#include <time.h>

#define SECOND_NS UINT64_C(1000000000)

uint64_t wait_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * SECOND_NS + (uint64_t)now.tv_nsec;
}

uint64_t wait_deadline(uint64_t ns)
{
    uint64_t now = wait_now_ns();
    return ns < WAIT_FOREVER - now ? now + ns : WAIT_FOREVER;
}

static struct timespec to_timespec(uint64_t ns)
{
    return (struct timespec){.tv_sec = (time_t)(ns / SECOND_NS), .tv_nsec = (long)(ns % SECOND_NS)};
}

void wait_bump_and_wake(struct wait_word *word, unsigned n)
{
    atomic_fetch_add_explicit(&word->value, 1, memory_order_release);
    wait_wake(word, n);
}

void wait_bump_and_wake_all(struct wait_word *word)
{
    wait_bump_and_wake(word, INT_MAX);
}

void wait_wake_all(struct wait_word *word)
{
    wait_wake(word, INT_MAX);
}

/* The end of a wait: what counts is the word, not why the wait ended. */
static int outcome(const _Atomic uint32_t *value, uint32_t seen, int error)
{
    if (error != ETIMEDOUT || atomic_load_explicit(value, memory_order_acquire) != seen)
        return 0;
    return FIRN_ETIMEDOUT;
}

#ifdef WAIT_BY_FUTEX

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

static int futex_wait(const _Atomic uint32_t *value, uint32_t seen, uint64_t deadline_ns, int flags)
{
    if (atomic_load_explicit(value, memory_order_acquire) != seen)
        return 0;
    int saved = errno;
    struct timespec deadline = to_timespec(deadline_ns);
    int error = 0;
    if (syscall(SYS_futex, value, FUTEX_WAIT_BITSET | flags, seen,
                deadline_ns == WAIT_FOREVER ? NULL : &deadline, NULL, FUTEX_BITSET_MATCH_ANY) != 0)
        error = errno;
    errno = saved;
    return outcome(value, seen, error);
}

static void futex_wake(_Atomic uint32_t *value, unsigned n, int flags)
{
    int saved = errno;
    syscall(SYS_futex, value, FUTEX_WAKE | flags, n > INT_MAX ? INT_MAX : n, NULL, NULL, 0);
    errno = saved;
}

void wait_word_init(struct wait_word *word)
{
    atomic_init(&word->value, 0);
}

void wait_word_done(struct wait_word *word)
{
    (void)word;
}

int wait_until_changed(struct wait_word *word, uint32_t seen, uint64_t deadline_ns)
{
    return futex_wait(&word->value, seen, deadline_ns, FUTEX_PRIVATE_FLAG);
}

void wait_wake(struct wait_word *word, unsigned n)
{
    futex_wake(&word->value, n, FUTEX_PRIVATE_FLAG);
}

int wait_shared_until_changed(const _Atomic uint32_t *word, uint32_t seen, uint64_t deadline_ns)
{
    return futex_wait(word, seen, deadline_ns, 0);
}

void wait_shared_wake_all(_Atomic uint32_t *word)
{
    futex_wake(word, INT_MAX, 0);
}

#else

void wait_word_init(struct wait_word *word)
{
    atomic_init(&word->value, 0);
    pthread_mutex_init(&word->mutex, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&word->changed, &attributes);
    pthread_condattr_destroy(&attributes);
}

void wait_word_done(struct wait_word *word)
{
    pthread_cond_destroy(&word->changed);
    pthread_mutex_destroy(&word->mutex);
}

int wait_until_changed(struct wait_word *word, uint32_t seen, uint64_t deadline_ns)
{
    if (wait_load(word) != seen)
        return 0;
    struct timespec deadline = to_timespec(deadline_ns);
    int error = 0;
    pthread_mutex_lock(&word->mutex);
    if (wait_load(word) == seen)
        error = deadline_ns == WAIT_FOREVER
                    ? pthread_cond_wait(&word->changed, &word->mutex)
                    : pthread_cond_timedwait(&word->changed, &word->mutex, &deadline);
    pthread_mutex_unlock(&word->mutex);
    return outcome(&word->value, seen, error);
}

void wait_wake(struct wait_word *word, unsigned n)
{
    /* A waiter that read the old value is either in its wait or has the mutex. */
    pthread_mutex_lock(&word->mutex);
    if (n == 1)
        pthread_cond_signal(&word->changed);
    else if (n > 1)
        pthread_cond_broadcast(&word->changed);
    pthread_mutex_unlock(&word->mutex);
}

int wait_shared_until_changed(const _Atomic uint32_t *word, uint32_t seen, uint64_t deadline_ns)
{
    int saved = errno;
    uint64_t pause = 20000;
    uint64_t now = wait_now_ns();
    while (atomic_load_explicit(word, memory_order_acquire) == seen && now < deadline_ns) {
        uint64_t left = deadline_ns - now;
        struct timespec time = to_timespec(left < pause ? left : pause);
        nanosleep(&time, NULL);
        pause = pause * 2 < WAIT_POLL_NS ? pause * 2 : WAIT_POLL_NS;
        now = wait_now_ns();
    }
    errno = saved;
    return outcome(word, seen, ETIMEDOUT);
}

void wait_shared_wake_all(_Atomic uint32_t *word)
{
    (void)word;
}

#endif
