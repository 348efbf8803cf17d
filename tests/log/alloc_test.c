/* SPDX-License-Identifier: MIT */
/*
 * Every allocation of a workload made to fail once. The call says FIRN_ENOMEM, or does without; the
 * log stays usable, save where memory was wanted for a write in progress, which poisons it and is
 * said to; nothing acknowledged is lost. (That nothing leaks is for the sanitizers to say.)
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <firn/follow.h>

#include "base/codec.h"
#include "crash/machine.h"
#include "lib/alloc.h"
#include "log/log_private.h"

enum { SEGMENT = 640 };

static uint64_t failing; /* for messages */

/* ---- the workload ---------------------------------------------------------------------------- */

enum { RECORDS = 14 };

struct work {
    struct firn_disk *disk;
    struct firn_env *env;
    struct firn_log *log;
    struct firn_error err;
    struct model model;
    uint64_t denied; /* calls that said FIRN_ENOMEM */
    bool poisoned;
};

static struct made_record made[3];
static struct firn_record records[3];

static int start(struct work *work)
{
    struct firn_env_options env_options = {.manual = true};
    alloc_paused = false;
    int rc = firn_env_new(&env_options, &work->env, &work->err);
    struct firn_log_options options = {
        .disk = work->disk,
        .env = work->env,
        .segment_bytes = SEGMENT,
        .compression = codec_can_pack(FIRN_COMPRESSION_ZSTD) ? FIRN_COMPRESSION_ZSTD
                                                             : FIRN_COMPRESSION_NONE,
    };
    if (rc == 0)
        rc = firn_log_open("log", &options, &work->log, &work->err);
    alloc_paused = true;
    if (rc < 0 && work->env)
        firn_env_free(work->env);
    if (rc < 0)
        work->env = NULL;
    return rc;
}

static int finish(struct work *work)
{
    alloc_paused = false;
    int rc = firn_log_close(work->log, &work->err);
    alloc_paused = true;
    work->log = NULL;
    assert_int_equal(firn_env_free(work->env), 0);
    work->env = NULL;
    return rc;
}

/* The storage in RAM says that it is full where it gets no page. */
static bool is_denied(int rc)
{
    return rc == FIRN_ENOMEM || rc == FIRN_ENOSPC;
}

static void count_result(struct work *work, int rc)
{
    if (is_denied(rc))
        work->denied++;
    else if (rc == FIRN_EPOISONED)
        work->poisoned = true;
    else if (rc < 0)
        fail_msg("allocation %llu: %s: %s", (unsigned long long)failing, firn_error_name(rc),
                 work->err.message);
}

static int stream(struct work *work, struct firn_appended *appended)
{
    struct firn_spool *spool;
    const struct firn_slice *value = &records->value;
    int rc = firn_spool_open(work->log, records, 0, &spool, &work->err);
    if (rc < 0)
        return rc;
    rc = firn_spool_write(spool, value->data, value->size, &work->err);
    if (rc == 0)
        rc = spool_spill(spool, &work->err);
    if (rc == 0)
        return firn_spool_finish(spool, NULL, appended, &work->err);
    firn_spool_abandon(spool);
    return rc;
}

/* `count` 0: streams one. */
static int append(struct work *work, size_t count)
{
    struct firn_appended appended = {0};
    struct model_state *state = model_push(&work->model);
    for (size_t i = 0; i < (count ? count : 1); i++) {
        uint64_t stamp = model_stamp(&work->model, count == 3 ? MODEL_COMPRESSIBLE : 90);
        model_make(stamp, &made[i]);
        records[i] = made[i].record;
        model_append(&work->model, state, stamp);
    }
    alloc_paused = false;
    int rc = count ? firn_log_append(work->log, records, count, NULL, &appended, &work->err)
                   : stream(work, &appended);
    firn_env_run(work->env);
    alloc_paused = true;
    if (rc == 0)
        model_collapse(&work->model, work->model.count - 1);
    else if (!appended.epoch && (count || rc != FIRN_EPOISONED))
        model_pop(&work->model); /* a stream that poisons may be there */
    count_result(work, rc);
    return rc;
}

static int print_finding(void *arg, const struct firn_finding *finding)
{
    (void)arg;
    printf("%s at %llu: %s\n", finding->file, (unsigned long long)finding->offset, finding->text);
    return 0;
}

/* Reads all; a call that wants memory is made again. */
static void read_all(struct work *work)
{
    struct firn_cursor *cursor = NULL;
    struct firn_cursor_options options = {.staged = true};
    const struct firn_record *record;
    const struct model_state *last = model_last(&work->model);
    alloc_paused = false;
    int rc = firn_cursor_open(work->log, &options, &cursor, &work->err);
    if (rc == FIRN_ENOMEM)
        rc = firn_cursor_open(work->log, &options, &cursor, &work->err);
    alloc_paused = true;
    assert_int_equal(rc, 0);
    uint64_t index = work->model.lowest;
    for (bool again = true;;) {
        alloc_paused = false;
        rc = firn_cursor_next(cursor, &record, &work->err);
        alloc_paused = true;
        if (rc == FIRN_ENOMEM && again) {
            again = false;
            continue;
        }
        if (rc != 0)
            break;
        while (index < record->index && index < last->next &&
               (last->stamps[index - work->model.first] & (MODEL_GONE | MODEL_MAYBE_GONE)))
            index++;
        assert_true(index < last->next && index == record->index);
        assert_true(model_equals(last->stamps[index - work->model.first], record));
        index++;
    }
    if (rc != FIRN_EEND)
        fail_msg("reading: %s", work->err.message);
    firn_cursor_close(cursor);
    assert_int_equal(index, last->next);
    alloc_paused = false;
    count_result(work, firn_log_verify(work->log, print_finding, NULL, NULL, &work->err));
    alloc_paused = true;
}

static void truncate_log(struct work *work)
{
    struct model_state *state = model_push(&work->model);
    state->next -= 2;
    alloc_paused = false;
    int rc = firn_log_truncate(work->log, state->next, &work->err);
    if (rc < 0) {
        alloc_paused = true;
        work->poisoned |= firn_log_flush(work->log, NULL) == FIRN_EPOISONED;
    }
    alloc_paused = true;
    if (rc == 0)
        model_collapse(&work->model, work->model.count - 1);
    else if (!work->poisoned)
        model_pop(&work->model);
    count_result(work, rc);
}

static void remove_start(struct work *work)
{
    uint64_t index = work->model.lowest + 4;
    alloc_paused = false;
    int rc = firn_log_remove_before(work->log, index, &work->err);
    alloc_paused = true;
    struct firn_log_info info = {0};
    firn_log_get_info(work->log, &info, NULL); /* it may have failed when only files were left */
    if (rc == 0 || info.lowest_index == index)
        work->model.lowest = work->model.lowest_acknowledged = index;
    count_result(work, rc);
}

/* The repair finds nothing, but has to look. */
static void compact_log(struct work *work)
{
    alloc_paused = false;
    int rc = firn_log_compact(work->log, NULL, NULL, &work->err);
    count_result(work, rc);
    if (rc != FIRN_EPOISONED)
        count_result(work, firn_log_repair(work->log, NULL, NULL, NULL, &work->err));
    alloc_paused = true;
    model_compact(&work->model, UINT64_MAX, false);
}

static int note_position(void *arg, const struct firn_position *position)
{
    uint64_t *sum = arg;
    *sum += position->index;
    return 0;
}

/* A call that wants memory is made again, and then does what it says. */
static void commit_positions(struct work *work, uint64_t index)
{
    const struct firn_position both[] = {{.name = "a", .index = index}, {.name = "b", .index = 1}};
    const struct firn_retention keep = {.max_records = 1, .keep_unread = true};
    struct firn_position position;
    uint64_t sum = 0;
    int rc = FIRN_ENOMEM;
    alloc_paused = false;
    for (int i = 0; i < 2 && is_denied(rc); i++)
        count_result(work, rc = firn_log_commit_positions(work->log, both, 2, &work->err));
    for (int i = 0; i < 2 && (i == 0 || is_denied(rc)); i++)
        count_result(work, rc = firn_log_get_position(work->log, "a", &position, &work->err));
    for (int i = 0; i < 2 && (i == 0 || is_denied(rc)); i++) {
        sum = 0;
        count_result(work,
                     rc = firn_log_list_positions(work->log, note_position, &sum, &work->err));
    }
    for (int i = 0; i < 2 && (i == 0 || is_denied(rc)); i++)
        count_result(work, rc = firn_log_trim(work->log, &keep, true, NULL, &work->err));
    for (int i = 0; i < 2 && (i == 0 || is_denied(rc)); i++)
        count_result(work, rc = firn_log_remove_position(work->log, "b", &work->err));
    alloc_paused = true;
    assert_int_equal(rc, 0);
    assert_int_equal(position.index, index);
    assert_int_equal(sum, index + 1);
}

static void run(struct work *work)
{
    int rc = start(work);
    if (is_denied(rc)) {
        work->denied++;
        rc = start(work);
    }
    if (rc < 0)
        fail_msg("opening: %s", work->err.message);
    for (int i = 0; i < RECORDS && !work->poisoned; i++)
        append(work, i % 3 == 2 ? 3 : i % 5 == 4 ? 0 : 1);
    if (!work->poisoned)
        commit_positions(work, 5);
    if (!work->poisoned)
        truncate_log(work);
    if (!work->poisoned)
        commit_positions(work, 6);
    if (!work->poisoned)
        read_all(work);
    if (!work->poisoned)
        remove_start(work);
    if (!work->poisoned)
        append(work, 1);
    if (!work->poisoned)
        compact_log(work);
    if (!work->poisoned)
        read_all(work);
    count_result(work, finish(work));
}

static void check(struct work *work, uint64_t at)
{
    struct firn_log_info info;
    alloc_fail_in = 0;
    assert_int_equal(start(work), 0);
    assert_int_equal(firn_log_get_info(work->log, &info, &work->err), 0);
    bool found = false;
    for (size_t i = work->model.count; i-- > 0 && !found;)
        if (work->model.chain[i].next == info.next_index) {
            model_collapse(&work->model, i);
            found = true;
        }
    if (!found)
        fail_msg("allocation %llu: next index is %llu, should be %llu", (unsigned long long)at,
                 (unsigned long long)info.next_index,
                 (unsigned long long)model_last(&work->model)->next);
    work->model.lowest = info.lowest_index;
    work->poisoned = false;
    read_all(work);
    assert_int_equal(append(work, 3), 0);
    read_all(work);
    assert_int_equal(finish(work), 0);
}

static void every_allocation_fails(void **state)
{
    (void)state;
    uint64_t at = 0, denied = 0, poisoned = 0;
    alloc_paused = true;
    for (bool failed = true; failed;) {
        failing = at + 1;
        struct work work = {0};
        assert_int_equal(firn_disk_memory_new(&work.disk, NULL), 0);
        model_init(&work.model, 0);
        alloc_fail_in = (int)++at;
        run(&work);
        failed = alloc_fail_in == 0;
        denied += work.denied;
        poisoned += work.poisoned;
        check(&work, at);
        model_done(&work.model);
        firn_disk_free(work.disk);
    }
    printf("note: %llu allocations failed: %llu calls said so, %llu poisoned the log\n",
           (unsigned long long)at - 1, (unsigned long long)denied, (unsigned long long)poisoned);
    assert_true(denied > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_allocation_fails)};
    return cmocka_run_group_tests_name("alloc", tests, NULL, NULL);
}
