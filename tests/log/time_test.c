/* SPDX-License-Identifier: MIT */
/* From times to indexes, against a list: times in order and in none, groups, cuts, lost indexes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <firn/firn.h>

#include "prng.h"

enum { RECORDS = 3000, GROUP_MOST = 9, VALUE_MOST = 300, SPAN = 5000 };

struct fixture {
    struct firn_disk *disk;
    struct firn_env *env;
    struct firn_log *log;
    struct firn_log_options options;
    struct firn_error err;
    struct prng prng;
    int64_t times[RECORDS];
    uint64_t lowest, next;
    bool in_order;
};

#define OK(call)                                                                                   \
    do {                                                                                           \
        int ok_rc = (call);                                                                        \
        if (ok_rc != 0)                                                                            \
            fail_msg("%s: %d %s", #call, ok_rc, f->err.message);                                   \
    } while (0)

static void reopen(struct fixture *f)
{
    OK(firn_log_close(f->log, &f->err));
    f->log = NULL;
    OK(firn_log_open("log", &f->options, &f->log, &f->err));
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    const struct firn_env_options manual = {.manual = true};
    *state = f;
    OK(firn_disk_memory_new(&f->disk, &f->err));
    OK(firn_env_new(&manual, &f->env, &f->err));
    f->options = (struct firn_log_options){
        .disk = f->disk, .env = f->env, .segment_bytes = 40000, .durability = FIRN_DURABILITY_OS};
    OK(firn_log_open("log", &f->options, &f->log, &f->err));
    f->prng = prng_new(7);
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    firn_log_close(f->log, NULL);
    assert_int_equal(firn_env_free(f->env), 0);
    firn_disk_free(f->disk);
    free(f);
    return 0;
}

static int64_t pick_time(struct fixture *f)
{
    int64_t any = 1 + (int64_t)(prng_next(&f->prng) % SPAN);
    return f->in_order ? (int64_t)(f->next * SPAN / RECORDS) + 1 : any;
}

static void append_until(struct fixture *f, uint64_t end)
{
    static const char value[VALUE_MOST];
    while (f->next < end) {
        struct firn_record records[GROUP_MOST];
        size_t count = 1 + prng_next(&f->prng) % GROUP_MOST;
        for (size_t i = 0; i < count && f->next < end; i++, f->next++) {
            records[i] = (struct firn_record){
                .timestamp = f->times[f->next] = pick_time(f),
                .value = {value, prng_next(&f->prng) % VALUE_MOST},
            };
            if (i + 1 == count || f->next + 1 == end)
                OK(firn_log_append(f->log, records, i + 1, NULL, NULL, &f->err));
        }
    }
    OK(firn_log_flush(f->log, &f->err));
    firn_env_run(f->env);
}

static uint64_t expected(const struct fixture *f, int64_t time)
{
    uint64_t index = f->lowest;
    while (index < f->next && f->times[index] < time)
        index++;
    return index;
}

static void check_all(struct fixture *f)
{
    for (int64_t time = -1; time <= SPAN + 2; time += 1 + (int64_t)(prng_next(&f->prng) % 50)) {
        uint64_t index;
        OK(firn_log_find_time(f->log, time, &index, &f->err));
        if (index != expected(f, time))
            fail_msg("time %lld: %llu, not %llu", (long long)time, (unsigned long long)index,
                     (unsigned long long)expected(f, time));
    }
}

/* Indexes in memory or not, all of them on storage or not, the ends cut, the log grown again. */
static void check_life(struct fixture *f)
{
    check_all(f);
    append_until(f, RECORDS);
    check_all(f);
    reopen(f);
    check_all(f);
    f->options.cached_indexes = FIRN_INDEXES_NONE;
    reopen(f);
    check_all(f);
    OK(firn_log_truncate(f->log, f->next = RECORDS / 2, &f->err));
    OK(firn_log_remove_before(f->log, f->lowest = RECORDS / 5, &f->err));
    check_all(f);
    append_until(f, RECORDS * 4 / 5);
    check_all(f);
    f->options.read_only = true;
    reopen(f);
    check_all(f);
}

static void times_in_order(void **state)
{
    struct fixture *f = *state;
    f->in_order = true;
    check_life(f);
}

static void times_in_no_order(void **state)
{
    check_life(*state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(times_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(times_in_no_order, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
