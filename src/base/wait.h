/* SPDX-License-Identifier: MIT */
/*
 * Waiting for a 32-bit word to change, and waking who waits: futexes on Linux, condition variables
 * elsewhere.
 *
 * A waiter reads the word, looks whether it must wait, and waits until the word is no longer what
 * it read. Who changes what the waiter looks at changes the word after that, and then wakes: no
 * change is missed in between. Waking costs a system call even if nobody waits, so owners with a
 * busy word count their waiters.
 *
 * Deadlines are in nanoseconds of wait_now_ns (the monotonic clock); WAIT_FOREVER is none. All
 * functions may be called from any thread, but init and done.
 */
#ifndef BASE_WAIT_H
#define BASE_WAIT_H

#include <stdatomic.h>
#include <stdint.h>

#include <firn/error.h>

#if defined(__linux__) && !defined(FIRN_POSIX_ONLY)
#define WAIT_BY_FUTEX 1
#else
#include <pthread.h>
#endif

#define WAIT_FOREVER UINT64_MAX

struct wait_word {
    _Atomic uint32_t value;
#ifndef WAIT_BY_FUTEX
    pthread_mutex_t mutex;
    pthread_cond_t changed;
#endif
};

uint64_t wait_now_ns(void);

/* Now plus `ns`; WAIT_FOREVER where that is beyond the end of time. */
uint64_t wait_deadline(uint64_t ns);

/* WAIT_FOREVER where it is more than can be counted. */
static inline uint64_t wait_ns_of_us(uint64_t microseconds)
{
    return microseconds > WAIT_FOREVER / 1000 ? WAIT_FOREVER : microseconds * 1000;
}

/* The word begins at 0. */
void wait_word_init(struct wait_word *word);
/* Nobody waits, wakes or is about to any more. */
void wait_word_done(struct wait_word *word);

static inline uint32_t wait_load(const struct wait_word *word)
{
    return atomic_load_explicit(&word->value, memory_order_acquire);
}

/*
 * Until the word is not `seen`. 0: it is not, or perhaps it still is (a signal, a wake-up without a
 * change): look again. FIRN_ETIMEDOUT: it still was when the deadline had passed.
 */
int wait_until_changed(struct wait_word *word, uint32_t seen, uint64_t deadline_ns);

/* Wakes at least `n` of those that wait, or all where fewer do. */
void wait_wake(struct wait_word *word, unsigned n);
void wait_wake_all(struct wait_word *word);

/* Adds one to the word, then wakes. What was done before is seen by who is woken. */
void wait_bump_and_wake(struct wait_word *word, unsigned n);
void wait_bump_and_wake_all(struct wait_word *word);

/*
 * The same for a bare word in memory that processes share. A waiter needs only to read it. Where
 * there is no futex, the waiter looks every now and then (at most WAIT_POLL_NS late), and waking
 * does nothing.
 */
enum { WAIT_POLL_NS = 2000000 };
int wait_shared_until_changed(const _Atomic uint32_t *word, uint32_t seen, uint64_t deadline_ns);
void wait_shared_wake_all(_Atomic uint32_t *word);

#endif
