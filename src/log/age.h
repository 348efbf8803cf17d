/* SPDX-License-Identifier: MIT */
/*
 * When records were appended, by this machine's clock: marks, at most one a second. A mark (index,
 * time) says that all records below the index were appended at or before that time: the time of the
 * last write before the one that made the mark. Timestamps of
 * records can't say that: their users set them, also to times in the future.
 */
#ifndef LOG_AGE_H
#define LOG_AGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <firn/error.h>

struct firn_log;
struct segment;

struct age_mark {
    int64_t time;      /* ms since 1970 */
    uint32_t relative; /* index, less the segment's base */
};

/* Both fields ascend, the times not strictly. */
struct age_marks {
    size_t count, capacity;
    bool changed; /* since they were stored */
    struct age_mark *at;
};

enum { AGE_STEP_MS = 1000 };

/* The committer writes record `index` to the segment now. A comparison, most of the time. */
void age_note(struct firn_log *log, struct segment *segment, uint64_t index, int64_t now);
/* At close: all below `index`, the segment's end, was appended by the time of the last write. */
void age_note_end(struct firn_log *log, struct segment *segment, uint64_t index);
/*
 * Writes <base>.appendtime and syncs it, not the directory, if there is anything new. Those of a
 * finished segment then leave memory.
 */
int age_store(struct firn_log *log, struct segment *segment, bool finished, struct firn_error *err);
/* FIRN_EDAMAGED: the file is there and not whole; FIRN_EIO, FIRN_ENOMEM. */
int age_check(struct firn_log *log, uint64_t base);
/*
 * Loads the marks of the segment that will grow, up to `end`. With `anew`, or where they can't be
 * had, all up to there counts as appended now, and that is stored. FIRN_ENOMEM, FIRN_EIO.
 */
int age_resume(struct firn_log *log, struct segment *segment, uint64_t end, bool anew,
               struct firn_error *err);
/* The marks of `old` below `end` are those of the segment that replaces it. */
int age_inherit(struct firn_log *log, struct segment *old, struct segment *segment, uint64_t end);
/* Removes the file: before the records that it speaks of are replaced by others. */
int age_discard(struct firn_log *log, uint64_t base, struct firn_error *err);
/* The highest index known such that all records below it were appended at or before `time`. */
uint64_t age_index_at(struct firn_log *log, int64_t time);
void age_marks_free(struct age_marks *marks);

#endif
