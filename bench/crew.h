/* SPDX-License-Identifier: MIT */
/* Threads that all do one thing, again and again. */
#ifndef BENCH_CREW_H
#define BENCH_CREW_H

#include <firn/error.h>
#include <firn/stats.h>

struct bench;

enum { CREW_MOST = 64 };

/* What thread `number` does: counts as one. A negative result ends it, and the measurement. */
typedef int crew_step(void *arg, unsigned number, struct firn_error *err);

/* Steps per second of `count` threads together; negative after bench_fail. */
double crew_rate(struct bench *bench, unsigned count, crew_step *step, void *arg);

/* A line about how many of `what` shared a sync. */
void crew_note_groups(struct bench *bench, unsigned count, const char *what,
                      const struct firn_commit_stats *stats);

#endif
