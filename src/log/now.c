/* SPDX-License-Identifier: MIT */
/*
 * The time of records that bring none. To ask the system for it takes as long as to stage a small
 * record; so the last answer serves again while its millisecond can't be over: at most 0.1 ms have
 * passed since, and more than that was left of it. Simulated clocks do as they like, and are asked.
 *
 * One thread at a time notes an answer, `now_ms` first and then the ticks that it was not there
 * before; readers go the other way, so what they get is never older than those ticks.
 */
#include "base/ticks.h"
#include "log/log_private.h"

enum { NS_PER_MS = 1000000, LEAST_LEFT_NS = 100000 };

static uint64_t ask(struct firn_log *log)
{
    return disk_clock(log->disk, FIRN_CLOCK_REAL);
}

static int64_t ask_and_note(struct firn_log *log)
{
    uint64_t ticks = ticks_now(), ns = ask(log);
    int64_t ms = (int64_t)(ns / NS_PER_MS);
    if (ns % NS_PER_MS < NS_PER_MS - LEAST_LEFT_NS) {
        atomic_store_explicit(&log->now_ms, ms, memory_order_relaxed);
        atomic_store_explicit(&log->now_ticks, ticks, memory_order_release);
    }
    return ms;
}

int64_t log_now(struct firn_log *log)
{
    uint64_t last = atomic_load_explicit(&log->now_ticks, memory_order_acquire);
    if (last != 0 && ticks_just_now(last))
        return atomic_load_explicit(&log->now_ms, memory_order_relaxed);
    bool serves = TICKS_CHEAP && log->disk == firn_disk_posix();
    if (!serves || atomic_flag_test_and_set_explicit(&log->now_noting, memory_order_acquire))
        return (int64_t)(ask(log) / NS_PER_MS);
    int64_t ms = ask_and_note(log);
    atomic_flag_clear_explicit(&log->now_noting, memory_order_release);
    return ms;
}
