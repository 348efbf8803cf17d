/* SPDX-License-Identifier: MIT */
/*
 * Three scenarios that a segmented log has to stand, in memory and on files: reading, appending and
 * truncating agree; all that expires goes; the right indexes are in memory. A segment holds exactly
 * 20 batches of one record of 129 bytes each, by bytes and by records; the first index is 42.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <firn/keep.h>

#include "log/log_private.h"

enum { FIRST = 42, PER_SEGMENT = 20, SEGMENTS = 10, VALUE = 129, CACHED = 5 };

struct fixture {
    struct firn_disk *memory;   /* NULL: files */
    struct firn_disk disk_here; /* for files */
    struct firn_disk *disk;
    struct firn_disk_ops ops; /* those of the storage, but for the clock */
    struct firn_env *env;
    struct firn_log *log;
    struct firn_log_options options;
    struct firn_error err;
    char dir[64];
};

#define OK(call)                                                                                   \
    do {                                                                                           \
        int ok_rc = (call);                                                                        \
        if (ok_rc != 0)                                                                            \
            fail_msg("%s: %d %s", #call, ok_rc, f->err.message);                                   \
    } while (0)

static uint64_t now_ms;

static uint64_t own_clock(struct firn_disk *disk, enum firn_clock clock)
{
    (void)disk;
    (void)clock;
    return now_ms * 1000000;
}

static void background(struct fixture *f)
{
    for (int i = 0; i < 4; i++)
        firn_env_run(f->env);
}

static void reopen(struct fixture *f)
{
    OK(firn_log_close(f->log, &f->err));
    f->log = NULL;
    OK(firn_log_open(f->dir, &f->options, &f->log, &f->err));
}

/* The record with this index, wherever it stands. */
static struct firn_record make(uint64_t index, char value[VALUE])
{
    memset(value, 'a' + (int)(index % 26), VALUE);
    snprintf(value, VALUE, "%llu", (unsigned long long)index);
    return (struct firn_record){.timestamp = (int64_t)(1000 + index), .value = {value, VALUE}};
}

static void append(struct fixture *f, unsigned count)
{
    struct firn_log_info info;
    OK(firn_log_get_info(f->log, &info, &f->err));
    for (uint64_t index = info.next_index; count > 0; index++, count--) {
        char value[VALUE];
        struct firn_record record = make(index, value);
        struct firn_appended where;
        OK(firn_log_append(f->log, &record, 1, NULL, &where, &f->err));
        assert_int_equal(where.index, index);
    }
    background(f);
}

static uint64_t batch_bytes(void)
{
    char value[VALUE];
    struct firn_record record = make(0, value);
    return BATCH_HEADER + record_bytes(record_body_bytes(&record, 0, 0));
}

static int setup(void **state, bool files)
{
    struct fixture *f = calloc(1, sizeof *f);
    const struct firn_env_options manual = {.manual = true};
    const char *tmp = getenv("TMPDIR");
    *state = f;
    snprintf(f->dir, sizeof f->dir, "%s/firn-scenarios-XXXXXX", tmp ? tmp : "/tmp");
    if (files)
        assert_non_null(mkdtemp(f->dir));
    else
        OK(firn_disk_memory_new(&f->memory, &f->err));
    f->disk = files ? &f->disk_here : f->memory;
    f->ops = files ? *firn_disk_posix()->ops : *f->memory->ops;
    f->ops.clock = own_clock;
    f->disk->ops = &f->ops;
    now_ms = 1600000000000;
    OK(firn_env_new(&manual, &f->env, &f->err));
    f->options = (struct firn_log_options){
        .disk = f->disk,
        .env = f->env,
        .segment_bytes = PER_SEGMENT * batch_bytes(),
        .segment_records = PER_SEGMENT,
        .first_index = FIRST,
        .cached_indexes = FIRN_INDEXES_ALL,
    };
    OK(firn_log_open(f->dir, &f->options, &f->log, &f->err));
    return 0;
}

static int setup_memory(void **state)
{
    return setup(state, false);
}

static int setup_files(void **state)
{
    return setup(state, true);
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    OK(firn_log_destroy(f->log, &f->err));
    assert_int_equal(firn_env_free(f->env), 0);
    firn_disk_free(f->memory);
    free(f);
    return 0;
}

static uint64_t segments(struct fixture *f)
{
    return list_count(f->log, NULL);
}

/* Whether the index of the i-th segment is in memory. */
static bool is_cached(struct fixture *f, size_t i)
{
    struct segment *segment = list_first(f->log);
    for (; i > 0; i--) {
        struct segment *next = list_after(f->log, segment->base);
        segment_unref(segment);
        segment = next;
    }
    assert_non_null(segment);
    bool cached = atomic_load(&segment->index) != NULL;
    segment_unref(segment);
    return cached;
}

/* One letter a segment: 'x' where its index is in memory. */
static void assert_cached(struct fixture *f, const char *expected)
{
    char is[64] = "";
    assert_int_equal(segments(f), strlen(expected));
    for (size_t i = 0; i < strlen(expected); i++)
        is[i] = is_cached(f, i) ? 'x' : '.';
    assert_string_equal(is, expected);
}

static void assert_record(const struct firn_record *record, uint64_t index)
{
    char value[VALUE];
    make(index, value);
    assert_int_equal(record->index, index);
    assert_int_equal(record->value.size, VALUE);
    assert_memory_equal(record->value.data, value, VALUE);
}

static void assert_reads(struct fixture *f, uint64_t from, uint64_t to)
{
    struct firn_cursor *cursor;
    const struct firn_record *record;
    struct firn_record *one;
    OK(firn_cursor_open(f->log, NULL, &cursor, &f->err));
    for (uint64_t index = from; index < to; index++) {
        OK(firn_cursor_next(cursor, &record, &f->err));
        assert_record(record, index);
        OK(firn_log_read(f->log, index, &one, &f->err));
        assert_record(one, index);
        firn_record_free(one);
    }
    assert_int_equal(firn_cursor_next(cursor, &record, &f->err), FIRN_EEND);
    firn_cursor_close(cursor);
    assert_int_equal(firn_log_read(f->log, to, &one, &f->err), FIRN_ERANGE);
    assert_int_equal(firn_log_read(f->log, from - 1, &one, &f->err), FIRN_ERANGE);
}

static uint64_t length(struct fixture *f)
{
    struct firn_log_info info;
    OK(firn_log_get_info(f->log, &info, &f->err));
    return info.next_index - info.lowest_index;
}

/* ---- consistency ---------------------------------------------------------------------------- */

static void reading_appending_and_truncating_agree(void **state)
{
    struct fixture *f = *state;
    append(f, SEGMENTS * PER_SEGMENT);
    assert_int_equal(segments(f), SEGMENTS);
    reopen(f);
    assert_int_equal(segments(f), SEGMENTS);
    assert_reads(f, FIRST, FIRST + SEGMENTS * PER_SEGMENT);

    uint64_t cut = FIRST + SEGMENTS / 2 * PER_SEGMENT + PER_SEGMENT / 2;
    OK(firn_log_truncate(f->log, cut, &f->err));
    assert_int_equal(length(f), cut - FIRST);
    assert_int_equal(segments(f), SEGMENTS / 2 + 1);
    append(f, 1);

    static char large[2 * PER_SEGMENT * VALUE];
    struct firn_record record = {.value = {large, sizeof large}};
    assert_int_equal(firn_log_append(f->log, &record, 1, NULL, NULL, &f->err), FIRN_ETOOBIG);
    assert_int_equal(length(f), cut + 1 - FIRST);

    OK(firn_log_truncate(f->log, cut, &f->err));
    assert_reads(f, FIRST, cut);
    reopen(f);
    assert_reads(f, FIRST, cut);
    append(f, PER_SEGMENT);
    assert_int_equal(segments(f), SEGMENTS / 2 + 2);
    assert_reads(f, FIRST, cut + PER_SEGMENT);

    OK(firn_log_destroy(f->log, &f->err));
    if (!f->memory)
        assert_int_not_equal(access(f->dir, F_OK), 0);
    OK(firn_log_open(f->dir, &f->options, &f->log, &f->err));
    assert_int_equal(length(f), 0);
}

/* ---- expiry --------------------------------------------------------------------------------- */

static struct firn_trimmed trim(struct fixture *f, struct firn_retention keep, bool dry_run)
{
    struct firn_trimmed trimmed;
    OK(firn_log_trim(f->log, &keep, dry_run, &trimmed, &f->err));
    assert_true(trimmed.text[0] != '\0');
    return trimmed;
}

static struct firn_log_info look(struct fixture *f)
{
    struct firn_log_info info;
    OK(firn_log_get_info(f->log, &info, &f->err));
    return info;
}

static void all_that_expires_goes(void **state)
{
    struct fixture *f = *state;
    const struct firn_retention keep = {.max_age_ms = 10};
    append(f, SEGMENTS / 2 * PER_SEGMENT);
    uint64_t before = look(f).next_index;
    now_ms += 1000;
    append(f, SEGMENTS / 2 * PER_SEGMENT);
    assert_int_equal(trim(f, keep, true).next_index, before);
    assert_int_equal(look(f).lowest_index, FIRST);
    assert_int_equal(trim(f, keep, false).segments, SEGMENTS / 2);
    assert_int_equal(look(f).lowest_index, before);
    assert_int_equal(segments(f), SEGMENTS / 2);
    assert_reads(f, before, before + SEGMENTS / 2 * PER_SEGMENT);

    now_ms += 10;
    struct firn_trimmed all = trim(f, keep, false);
    assert_int_equal(all.segments, SEGMENTS / 2);
    assert_int_equal(all.next_index, FIRST + SEGMENTS * PER_SEGMENT);
    assert_int_equal(length(f), 0);
    assert_int_equal(segments(f), 0);
    assert_int_equal(trim(f, keep, false).segments, 0);
    append(f, 1);
    reopen(f);
    assert_reads(f, all.next_index, all.next_index + 1);
}

/* In the middle of the segment that grows, too; and a clock that goes back makes nothing older. */
static void ages_survive(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 5; i++, now_ms += 2000)
        append(f, 3);
    now_ms -= 2000;
    reopen(f);
    for (uint64_t i = 0; i < 4; i++) {
        const struct firn_retention keep = {.max_age_ms = 8000 - i * 2000};
        assert_int_equal(trim(f, keep, true).next_index, FIRST + 3 * (i + 1));
    }
    now_ms -= 1000000;
    append(f, 3);
    now_ms += 1000001;
    const struct firn_retention young = {.max_age_ms = 2};
    assert_int_equal(trim(f, young, true).next_index, FIRST + 12);
    /* What a truncation leaves keeps its age. */
    OK(firn_log_truncate(f->log, FIRST + 14, &f->err));
    now_ms += 5000;
    const struct firn_retention old = {.max_age_ms = 5000};
    assert_int_equal(trim(f, old, true).next_index, FIRST + 14);
    append(f, 4);
    assert_int_equal(trim(f, old, true).next_index, FIRST + 14);
}

static void each_limit_keeps_what_it_says(void **state)
{
    struct fixture *f = *state;
    uint64_t next = FIRST + SEGMENTS * PER_SEGMENT, batch = batch_bytes();
    append(f, SEGMENTS * PER_SEGMENT);
    struct firn_retention keep = {.max_records = 55};
    assert_int_equal(trim(f, keep, true).next_index, next - 55);
    assert_int_equal(trim(f, keep, true).segments, 7);
    keep = (struct firn_retention){.max_bytes = 30 * batch};
    assert_int_equal(trim(f, keep, true).next_index, next - 30);
    keep.max_bytes = 30 * batch - 1;
    assert_int_equal(trim(f, keep, true).next_index, next - 29);
    keep.max_bytes = 1000 * batch;
    assert_int_equal(trim(f, keep, true).next_index, FIRST);
    keep = (struct firn_retention){.before_index = next + 7};
    assert_int_equal(trim(f, keep, true).next_index, next);
    keep = (struct firn_retention){.before_index = FIRST + 5, .max_records = 70};
    assert_int_equal(trim(f, keep, false).next_index, next - 70);
    assert_reads(f, next - 70, next);
    keep = (struct firn_retention){0};
    assert_int_equal(trim(f, keep, false).next_index, next - 70);
    assert_int_equal(segments(f), 4);
}

static void the_background_keeps_to_it(void **state)
{
    struct fixture *f = *state;
    const struct firn_retention keep = {.max_records = 25};
    append(f, 100);
    OK(firn_log_set_retention(f->log, &keep, 1, &f->err));
    background(f);
    assert_int_equal(length(f), 25);
    append(f, 100);
    assert_int_equal(length(f), 25);
    OK(firn_log_set_retention(f->log, NULL, 0, &f->err));
    append(f, 100);
    assert_int_equal(length(f), 125);
}

/* ---- which limit ends a segment ------------------------------------------------------------- */

static void the_limit_that_is_reached_first_ends_a_segment(void **state)
{
    struct fixture *f = *state;
    f->options.segment_records = PER_SEGMENT / 2;
    reopen(f);
    append(f, PER_SEGMENT + 1);
    assert_int_equal(segments(f), 3);
    f->options.segment_records = 0;
    reopen(f);
    append(f, PER_SEGMENT);
    assert_int_equal(segments(f), 4);
    struct firn_record many[PER_SEGMENT + 1] = {0};
    f->options.segment_records = PER_SEGMENT;
    reopen(f);
    assert_int_equal(firn_log_append(f->log, many, PER_SEGMENT + 1, NULL, NULL, &f->err),
                     FIRN_ETOOBIG);
}

static void one_append_may_go_beyond_by_the_overflow(void **state)
{
    struct fixture *f = *state;
    uint64_t limit = f->options.segment_bytes;
    static char large[2 * PER_SEGMENT * VALUE];
    struct firn_record record = {.value = {large, sizeof large}};
    f->options.segment_overflow_bytes = limit;
    f->options.segment_records = 0;
    reopen(f);
    append(f, 1);
    OK(firn_log_append(f->log, &record, 1, NULL, NULL, &f->err));
    assert_int_equal(segments(f), 1);
    struct firn_log_info info;
    OK(firn_log_get_info(f->log, &info, &f->err));
    assert_true(info.bytes > limit && info.bytes <= 2 * limit);
    append(f, 1);
    assert_int_equal(segments(f), 2);
    f->options.segment_overflow_bytes = INT32_MAX;
    OK(firn_log_close(f->log, &f->err));
    f->log = NULL;
    assert_int_equal(firn_log_open(f->dir, &f->options, &f->log, &f->err), FIRN_EINVAL);
    f->options.segment_overflow_bytes = 0;
    OK(firn_log_open(f->dir, &f->options, &f->log, &f->err));
}

/* ---- indexes in memory ---------------------------------------------------------------------- */

static void exclusive_read(struct fixture *f, uint64_t index)
{
    struct firn_cursor *cursor;
    const struct firn_record *record;
    OK(firn_cursor_open(f->log, NULL, &cursor, &f->err));
    OK(firn_cursor_seek(cursor, index, &f->err));
    OK(firn_cursor_next(cursor, &record, &f->err));
    assert_record(record, index);
    firn_cursor_close(cursor);
}

static void plain_reads(struct fixture *f, uint64_t from, uint64_t to)
{
    for (uint64_t index = from; index < to; index += PER_SEGMENT / 2) {
        struct firn_record *record;
        OK(firn_log_read(f->log, index, &record, &f->err));
        assert_record(record, index);
        firn_record_free(record);
    }
}

/* Fills seven segments with a capacity of five, and reads from the first. */
static void fill_cache(struct fixture *f)
{
    f->options.cached_indexes = CACHED;
    reopen(f);
    append(f, 1);
    assert_cached(f, "x");
    append(f, PER_SEGMENT);
    assert_cached(f, "xx");
    append(f, CACHED * PER_SEGMENT);
    assert_cached(f, ".xxxxxx");
    exclusive_read(f, FIRST);
    exclusive_read(f, FIRST);
    assert_cached(f, "x.xxxxx");
    plain_reads(f, FIRST, FIRST + (CACHED + 1) * PER_SEGMENT);
    assert_cached(f, "x.xxxxx");
}

/* All of it in sequence: the segment at hand is in memory, the one five before is not. */
static void read_in_sequence(struct fixture *f, size_t count)
{
    struct firn_cursor *cursor;
    const struct firn_record *record;
    OK(firn_cursor_open(f->log, NULL, &cursor, &f->err));
    for (uint64_t index = FIRST; firn_cursor_next(cursor, &record, &f->err) == 0; index++) {
        size_t at = (index - FIRST) / PER_SEGMENT;
        assert_record(record, index);
        assert_true(is_cached(f, at));
        assert_true(at < CACHED || at == count - 1 || !is_cached(f, at - CACHED));
    }
    firn_cursor_close(cursor);
}

static void truncate_and_grow(struct fixture *f)
{
    assert_cached(f, "..xxxxxx");
    OK(firn_log_truncate(f->log, FIRST + CACHED * PER_SEGMENT + PER_SEGMENT / 2, &f->err));
    assert_cached(f, "..xxxx");
    append(f, 3 * PER_SEGMENT);
    assert_cached(f, "...xxxxxx");
}

static void the_least_recently_used_index_goes_first(void **state)
{
    struct fixture *f = *state;
    fill_cache(f);
    exclusive_read(f, FIRST);
    append(f, PER_SEGMENT);
    assert_cached(f, "x..xxxxx");
    reopen(f);
    assert_cached(f, ".......x");
    read_in_sequence(f, CACHED + 3);
    truncate_and_grow(f);
}

static void a_capacity_of_none_keeps_the_writers_only(void **state)
{
    struct fixture *f = *state;
    fill_cache(f);
    f->options.cached_indexes = FIRN_INDEXES_NONE;
    reopen(f);
    assert_cached(f, "......x");
    exclusive_read(f, FIRST);
    plain_reads(f, FIRST, FIRST + (CACHED + 1) * PER_SEGMENT);
    append(f, PER_SEGMENT);
    assert_cached(f, ".......x");
    f->options.cached_indexes = CACHED;
    reopen(f);
    assert_cached(f, ".......x");
    read_in_sequence(f, CACHED + 3);
    truncate_and_grow(f);
}

static void without_a_limit_all_that_were_read_stay(void **state)
{
    struct fixture *f = *state;
    append(f, SEGMENTS * PER_SEGMENT);
    assert_cached(f, "xxxxxxxxxx");
    reopen(f);
    assert_cached(f, ".........x");
    plain_reads(f, FIRST, FIRST + SEGMENTS * PER_SEGMENT);
    assert_cached(f, "xxxxxxxxxx");
}

/* An index file that is missing or wrong costs time and nothing else, whatever stays in memory. */
static void indexes_that_are_missing_or_wrong_are_made_anew(void **state)
{
    struct fixture *f = *state;
    append(f, SEGMENTS * PER_SEGMENT);
    f->options.cached_indexes = FIRN_INDEXES_NONE;
    reopen(f);
    for (uint64_t base = FIRST; base < FIRST + 4 * PER_SEGMENT; base += PER_SEGMENT) {
        char path[DISK_PATH_SIZE], name[LOG_NAME_SIZE];
        struct firn_file *file;
        segment_name(base, "index", name);
        OK(disk_path_join(path, sizeof path, f->dir, name, &f->err));
        OK(disk_open(f->log->disk, path, FIRN_OPEN_WRITE, &file, &f->err));
        if (base % (2 * PER_SEGMENT) == FIRST % (2 * PER_SEGMENT))
            OK(disk_write_full(file, "\0\0\0\0\0\0\0\7", 8, 0, 0, &f->err));
        else
            OK(disk_truncate(file, 3, &f->err));
        disk_close(file);
    }
    assert_reads(f, FIRST, FIRST + SEGMENTS * PER_SEGMENT);
}

#define BOTH(test)                                                                                 \
    {#test ", in memory", test, setup_memory, teardown, NULL},                                     \
    {                                                                                              \
#test ", on files", test, setup_files, teardown, NULL                                      \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(reading_appending_and_truncating_agree),
        BOTH(all_that_expires_goes),
        BOTH(ages_survive),
        BOTH(each_limit_keeps_what_it_says),
        BOTH(the_background_keeps_to_it),
        BOTH(the_limit_that_is_reached_first_ends_a_segment),
        BOTH(one_append_may_go_beyond_by_the_overflow),
        BOTH(the_least_recently_used_index_goes_first),
        BOTH(a_capacity_of_none_keeps_the_writers_only),
        BOTH(without_a_limit_all_that_were_read_stay),
        BOTH(indexes_that_are_missing_or_wrong_are_made_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
