/* SPDX-License-Identifier: MIT */
/* The processor's counter, where reading it costs less than asking the system for the time. */
#ifndef BASE_TICKS_H
#define BASE_TICKS_H

#include <stdbool.h>
#include <stdint.h>

#if defined(__x86_64__) && !defined(FIRN_POSIX_ONLY)

enum { TICKS_CHEAP = 1 };

static inline uint64_t ticks_now(void)
{
    return __builtin_ia32_rdtsc();
}

/* Whether at most 0.1 ms have passed since: no such counter runs at less than 330 MHz. */
static inline bool ticks_just_now(uint64_t since)
{
    return ticks_now() - since < 32768;
}

#else

enum { TICKS_CHEAP = 0 };

static inline uint64_t ticks_now(void)
{
    return 0;
}

static inline bool ticks_just_now(uint64_t since)
{
    (void)since;
    return false;
}

#endif

#endif
