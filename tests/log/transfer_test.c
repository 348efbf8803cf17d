/* SPDX-License-Identifier: MIT */
/* Copies, export and import: what comes out, resuming, damage, crashes at every point. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <firn/faulty.h>
#include <firn/firn.h>

#include "crash/machine.h"

enum { SEGMENT = 1500 };

struct fixture {
    struct machine machine; /* the source, open */
    struct firn_env *env;
    struct firn_error err;
};

#define OK(call)                                                                                   \
    do {                                                                                           \
        int ok_rc = (call);                                                                        \
        if (ok_rc != 0)                                                                            \
            fail_msg("%s: %d %s", #call, ok_rc, f->err.message);                                   \
    } while (0)

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    *state = f;
    machine_init(&f->machine, FIRN_DURABILITY_EACH, SEGMENT);
    assert_int_equal(machine_open(&f->machine), 0);
    const struct firn_env_options manual = {.manual = true};
    OK(firn_env_new(&manual, &f->env, &f->err));
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    machine_done(&f->machine);
    assert_int_equal(firn_env_free(f->env), 0);
    free(f);
    return 0;
}

static void fill(struct fixture *f, const char *operations)
{
    for (; *operations; operations++)
        assert_int_equal(machine_do(&f->machine, *operations), 0);
}

static struct firn_log *open_log(struct fixture *f, const char *dir, bool read_only)
{
    struct firn_log *log;
    const struct firn_log_options options = {
        .disk = firn_faulty_disk(f->machine.faulty), .env = f->env, .read_only = read_only};
    OK(firn_log_open(dir, &options, &log, &f->err));
    return log;
}

static bool same_slice(struct firn_slice a, struct firn_slice b)
{
    return a.size == b.size && !a.data == !b.data &&
           (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

/* Both hold the same records, from `from` on. */
static void check_same(struct fixture *f, struct firn_log *a, struct firn_log *b, uint64_t from)
{
    const struct firn_cursor_options options = {.from = from};
    struct firn_cursor *x, *y;
    const struct firn_record *r, *s;
    OK(firn_cursor_open(a, &options, &x, &f->err));
    OK(firn_cursor_open(b, &options, &y, &f->err));
    int rc;
    while ((rc = firn_cursor_next(x, &r, &f->err)) == 0) {
        OK(firn_cursor_next(y, &s, &f->err));
        assert_int_equal(r->index, s->index);
        assert_int_equal(r->timestamp, s->timestamp);
        assert_true(same_slice(r->key, s->key) && same_slice(r->value, s->value));
        assert_int_equal(r->header_count, s->header_count);
        for (size_t i = 0; i < r->header_count; i++)
            assert_true(same_slice(r->headers[i].value, s->headers[i].value));
    }
    assert_int_equal(rc, FIRN_EEND);
    assert_int_equal(firn_cursor_next(y, &s, &f->err), FIRN_EEND);
    firn_cursor_close(x);
    firn_cursor_close(y);
}

static int print_finding(void *arg, const struct firn_finding *finding)
{
    (void)arg;
    printf("%s at %llu: %s\n", finding->file, (unsigned long long)finding->offset, finding->text);
    return 0;
}

static void check_copy(struct fixture *f, const char *dir)
{
    struct firn_log_info here, there;
    struct firn_log *copy = open_log(f, dir, false);
    OK(firn_log_get_info(f->machine.log, &here, &f->err));
    OK(firn_log_get_info(copy, &there, &f->err));
    assert_int_equal(here.lowest_index, there.lowest_index);
    assert_int_equal(here.next_index, there.next_index);
    check_same(f, f->machine.log, copy, 0);
    OK(firn_log_verify(copy, print_finding, NULL, NULL, &f->err));
    OK(firn_log_close(copy, &f->err));
}

/* ---- copies ---- */

static void a_copy_holds_the_same(void **state)
{
    struct fixture *f = *state;
    struct firn_transferred done;
    fill(f, "aagzkragskagzb");
    OK(firn_log_copy(f->machine.log, "copy", NULL, NULL, &done, &f->err));
    assert_int_equal(done.next_index, model_last(&f->machine.model)->next);
    assert_int_equal(done.end_index, done.next_index);
    assert_int_equal(done.ranges_lost, 0);
    assert_true(done.records > 0 && done.bytes > 0);
    check_copy(f, "copy");
    fill(f, "agzskb");
    OK(firn_log_copy(f->machine.log, "copy", NULL, NULL, &done, &f->err));
    check_copy(f, "copy");
    OK(firn_log_copy(f->machine.log, "copy", NULL, NULL, &done, &f->err));
    assert_int_equal(done.records, 0);
    check_copy(f, "copy");
}

static void an_empty_log_is_copied(void **state)
{
    struct fixture *f = *state;
    OK(firn_log_copy(f->machine.log, "copy", NULL, NULL, NULL, &f->err));
    check_copy(f, "copy");
    fill(f, "aagx");
    OK(firn_log_copy(f->machine.log, "other", NULL, NULL, NULL, &f->err));
    check_copy(f, "other");
    fill(f, "aag");
    OK(firn_log_copy(f->machine.log, "other", NULL, NULL, NULL, &f->err));
    check_copy(f, "other");
}

static int end_at_once(void *arg, const struct firn_transferred *so_far)
{
    (void)so_far;
    return ++*(int *)arg >= 1 ? -1000 : 0;
}

static void progress_can_end_it(void **state)
{
    struct fixture *f = *state;
    int calls = 0;
    fill(f, "aagzk");
    assert_int_equal(firn_log_copy(f->machine.log, "copy", end_at_once, &calls, NULL, &f->err),
                     -1000);
    assert_int_equal(calls, 1);
    OK(firn_log_copy(f->machine.log, "copy", NULL, NULL, NULL, &f->err));
    check_copy(f, "copy");
}

static void other_directories_are_refused(void **state)
{
    struct fixture *f = *state;
    const struct firn_record record = {.value = {"other", 5}};
    fill(f, "aag");
    struct firn_log *other = open_log(f, "other", false);
    OK(firn_log_append(other, &record, 1, NULL, NULL, &f->err));
    OK(firn_log_close(other, &f->err));
    assert_int_equal(firn_log_copy(f->machine.log, "other", NULL, NULL, NULL, &f->err),
                     FIRN_EMISMATCH);
    assert_int_equal(firn_log_copy(f->machine.log, MACHINE_DIR, NULL, NULL, NULL, &f->err),
                     FIRN_ELOCKED);
    OK(firn_log_copy(f->machine.log, "copy", NULL, NULL, NULL, &f->err));
    fill(f, "u");
    assert_int_equal(firn_log_copy(f->machine.log, "copy", NULL, NULL, NULL, &f->err),
                     FIRN_EMISMATCH);
    fill(f, "aa");
    assert_int_equal(firn_log_copy(f->machine.log, "copy", NULL, NULL, NULL, &f->err),
                     FIRN_EMISMATCH);
}

/* Damage is passed over, and counted; the rest keeps its place. */
static void damage_becomes_a_gap(void **state)
{
    struct fixture *f = *state;
    struct firn_transferred done;
    struct firn_file *file;
    fill(f, "agaagaag");
    struct firn_disk *disk = firn_faulty_disk(f->machine.faulty);
    char bad[] = "\xff\xff\xff\xff";
    const struct iovec iov = {bad, 4};
    size_t written;
    OK(disk->ops->open(disk, MACHINE_DIR "/00000000000000000000.log", FIRN_OPEN_WRITE, &file,
                       &f->err));
    OK(file->ops->writev(file, &iov, 1, 300, 0, &written, &f->err));
    file->ops->close(file);
    OK(firn_log_copy(f->machine.log, "copy", NULL, NULL, &done, &f->err));
    assert_int_equal(done.ranges_lost, 1);
    struct firn_log *copy = open_log(f, "copy", false);
    OK(firn_log_verify(copy, print_finding, NULL, NULL, &f->err));
    check_same(f, f->machine.log, copy, 6);
    firn_log_close(copy, NULL);
}

/* ---- crashes ---- */

/* The power goes at each point of a copy; what was begun is gone on with. */
static void copies_survive_crashes(void **state)
{
    struct fixture *f = *state;
    uint64_t points = 0;
    fill(f, "aagzkragskagb");
    machine_close(&f->machine);
    for (bool off = true; off;) {
        struct fixture trial = {.env = f->env};
        struct firn_faulty_counts counts;
        machine_copy(&f->machine, &trial.machine);
        assert_int_equal(machine_open(&trial.machine), 0);
        firn_faulty_get_counts(trial.machine.faulty, &counts);
        firn_faulty_crash_at(trial.machine.faulty, counts.mutations + ++points);
        (void)firn_log_copy(trial.machine.log, "copy", NULL, NULL, NULL, &trial.err);
        off = firn_faulty_is_off(trial.machine.faulty);
        firn_faulty_crash_at(trial.machine.faulty, 0);
        if (!off)
            firn_faulty_power_off(trial.machine.faulty);
        machine_close(&trial.machine);
        firn_faulty_restart_random(trial.machine.faulty, points, NULL);
        assert_int_equal(machine_open(&trial.machine), 0);
        int rc = firn_log_copy(trial.machine.log, "copy", NULL, NULL, NULL, &trial.err);
        if (rc < 0)
            fail_msg("point %llu: %s", (unsigned long long)points, trial.err.message);
        check_copy(&trial, "copy");
        machine_done(&trial.machine);
    }
    assert_true(points > 30);
    print_message("note: %llu crash points\n", (unsigned long long)points);
}

/* Every I/O call of a copy fails, one at a time: it says so, and is gone on with. */
static void copies_survive_errors_of(struct fixture *f, int code, unsigned ops)
{
    uint64_t at = 0, told = 0;
    for (bool hit = true; hit;) {
        struct fixture trial = {.env = f->env};
        int id;
        at++;
        struct firn_faulty_fault fault = {
            .what = FIRN_FAULTY_FAIL, .ops = ops, .code = code, .at = at, .times = 1};
        machine_copy(&f->machine, &trial.machine);
        assert_int_equal(machine_open(&trial.machine), 0);
        assert_int_equal(firn_faulty_fail(trial.machine.faulty, &fault, &id, NULL), 0);
        int rc = firn_log_copy(trial.machine.log, "copy", NULL, NULL, NULL, &trial.err);
        hit = firn_faulty_hits(trial.machine.faulty, id) > 0;
        firn_faulty_clear(trial.machine.faulty, 0);
        told += rc < 0;
        if (rc < 0 && (trial.err.code != rc || !trial.err.message[0]))
            fail_msg("call %llu: an error without message", (unsigned long long)at);
        rc = firn_log_copy(trial.machine.log, "copy", NULL, NULL, NULL, &trial.err);
        if (rc < 0)
            fail_msg("call %llu, copied again: %s", (unsigned long long)at, trial.err.message);
        check_copy(&trial, "copy");
        machine_done(&trial.machine);
    }
    assert_true(at > 20 && told > 10);
    print_message("note: %s at %llu calls, %llu of them told\n", firn_error_name(code),
                  (unsigned long long)at, (unsigned long long)told);
}

static void copies_survive_errors(void **state)
{
    struct fixture *f = *state;
    fill(f, "aagzkragskagb");
    machine_close(&f->machine);
    copies_survive_errors_of(f, FIRN_EIO, FIRN_FAULTY_ANY);
    copies_survive_errors_of(f, FIRN_ENOSPC,
                             FIRN_FAULTY_CREATE | FIRN_FAULTY_WRITE | FIRN_FAULTY_WRITE_DURABLE |
                                 FIRN_FAULTY_RESERVE | FIRN_FAULTY_RENAME | FIRN_FAULTY_MAKE_DIR);
}

/* ---- export and import ---- */

static int check_name(void *arg, const char *name, const struct firn_entry *entry)
{
    const char *dot = strrchr(name, '.');
    (void)entry;
    if (!dot ||
        (strcmp(dot, ".log") != 0 && strcmp(dot, ".index") != 0 && strcmp(dot, ".timeindex") != 0))
        fail_msg("%s is exported too", name);
    ++*(int *)arg;
    return 0;
}

static void what_was_exported_is_imported(void **state)
{
    struct fixture *f = *state;
    struct firn_disk *disk = firn_faulty_disk(f->machine.faulty);
    struct firn_transferred done;
    struct firn_log *log;
    int files = 0;
    fill(f, "aagzkragskagzb");
    OK(firn_log_export(f->machine.log, "kafka", 0, NULL, NULL, &done, &f->err));
    assert_int_equal(done.next_index, model_last(&f->machine.model)->next);
    assert_int_equal(firn_log_export(f->machine.log, "kafka", 0, NULL, NULL, NULL, &f->err),
                     FIRN_EEXIST);
    OK(disk->ops->list(disk, "kafka", check_name, &files, &f->err));
    assert_true(files >= 6);
    log = open_log(f, "imported", false);
    OK(firn_log_import(log, "kafka", NULL, NULL, &done, &f->err));
    check_same(f, f->machine.log, log, f->machine.model.lowest);
    OK(firn_log_verify(log, print_finding, NULL, NULL, &f->err));
    assert_int_equal(firn_log_import(log, "kafka", NULL, NULL, NULL, &f->err), FIRN_EMISMATCH);
    OK(firn_log_close(log, &f->err));
    /* Part of it, onto what is there already. */
    uint64_t middle = f->machine.model.lowest + 5;
    OK(firn_log_export(f->machine.log, "rest", middle, NULL, NULL, NULL, &f->err));
    log = open_log(f, "second", false);
    OK(firn_log_import(log, "rest", NULL, NULL, &done, &f->err));
    check_same(f, f->machine.log, log, middle);
    OK(firn_log_close(log, &f->err));
    assert_int_equal(firn_log_export(f->machine.log, "none", 1000, NULL, NULL, NULL, &f->err),
                     FIRN_ERANGE);
}

/* What an interrupted import leaves is a beginning; into an empty log it can be done again. */
static void check_beginning(struct fixture *f)
{
    struct firn_log_info info;
    struct firn_log *log = open_log(f, "imported", false);
    OK(firn_log_get_info(log, &info, &f->err));
    OK(firn_log_verify(log, print_finding, NULL, NULL, &f->err));
    for (uint64_t i = info.lowest_index; i < info.next_index; i++) {
        struct firn_record *here, *there;
        int rc = firn_log_read(f->machine.log, i, &there, &f->err);
        if (rc == FIRN_ERANGE)
            continue; /* the first batch began before it */
        assert_int_equal(rc, 0);
        OK(firn_log_read(log, i, &here, &f->err));
        assert_true(same_slice(here->value, there->value));
        firn_record_free(here);
        firn_record_free(there);
    }
    if (info.lowest_index == info.next_index) {
        OK(firn_log_import(log, "kafka", NULL, NULL, NULL, &f->err));
        check_same(f, f->machine.log, log, f->machine.model.lowest);
    }
    OK(firn_log_close(log, &f->err));
}

static void imports_survive_crashes(void **state)
{
    struct fixture *f = *state;
    uint64_t points = 0;
    fill(f, "aagzkragskagb");
    OK(firn_log_export(f->machine.log, "kafka", 0, NULL, NULL, NULL, &f->err));
    machine_close(&f->machine);
    for (bool off = true; off;) {
        struct fixture trial = {.env = f->env};
        struct firn_faulty_counts counts;
        struct firn_log *log;
        machine_copy(&f->machine, &trial.machine);
        assert_int_equal(machine_open(&trial.machine), 0);
        firn_faulty_get_counts(trial.machine.faulty, &counts);
        firn_faulty_crash_at(trial.machine.faulty, counts.mutations + ++points);
        const struct firn_log_options options = {.disk = firn_faulty_disk(trial.machine.faulty),
                                                 .env = f->env,
                                                 .segment_bytes = SEGMENT};
        if (firn_log_open("imported", &options, &log, NULL) == 0) {
            (void)firn_log_import(log, "kafka", NULL, NULL, NULL, NULL);
            (void)firn_log_close(log, NULL);
        }
        off = firn_faulty_is_off(trial.machine.faulty);
        firn_faulty_crash_at(trial.machine.faulty, 0);
        if (!off)
            firn_faulty_power_off(trial.machine.faulty);
        machine_close(&trial.machine);
        firn_faulty_restart_random(trial.machine.faulty, points, NULL);
        assert_int_equal(machine_open(&trial.machine), 0);
        check_beginning(&trial);
        machine_done(&trial.machine);
    }
    assert_true(points > 20);
    print_message("note: %llu crash points\n", (unsigned long long)points);
}

static void imports_survive_errors(void **state)
{
    struct fixture *f = *state;
    uint64_t at = 0, told = 0;
    fill(f, "aagzkragskagb");
    OK(firn_log_export(f->machine.log, "kafka", 0, NULL, NULL, NULL, &f->err));
    machine_close(&f->machine);
    for (bool hit = true; hit;) {
        struct fixture trial = {.env = f->env};
        struct firn_log *log;
        int id;
        at++;
        struct firn_faulty_fault fault = {.what = FIRN_FAULTY_FAIL,
                                          .ops = FIRN_FAULTY_ANY,
                                          .code = FIRN_EIO,
                                          .at = at,
                                          .times = 1};
        machine_copy(&f->machine, &trial.machine);
        assert_int_equal(machine_open(&trial.machine), 0);
        const struct firn_log_options options = {.disk = firn_faulty_disk(trial.machine.faulty),
                                                 .env = f->env,
                                                 .segment_bytes = SEGMENT};
        assert_int_equal(firn_log_open("imported", &options, &log, NULL), 0);
        assert_int_equal(firn_faulty_fail(trial.machine.faulty, &fault, &id, NULL), 0);
        int rc = firn_log_import(log, "kafka", NULL, NULL, NULL, &trial.err);
        hit = firn_faulty_hits(trial.machine.faulty, id) > 0;
        firn_faulty_clear(trial.machine.faulty, 0);
        told += rc < 0;
        assert_true(rc == 0 || (trial.err.code == rc && trial.err.message[0]));
        (void)firn_log_close(log, NULL);
        check_beginning(&trial);
        machine_done(&trial.machine);
    }
    assert_true(at > 20 && told > 10);
    print_message("note: %llu calls, %llu of them told\n", (unsigned long long)at,
                  (unsigned long long)told);
}

static void bad_segments_are_refused(void **state)
{
    struct fixture *f = *state;
    struct firn_disk *disk = firn_faulty_disk(f->machine.faulty);
    struct firn_log *log = open_log(f, "imported", false);
    struct firn_file *file;
    size_t written;
    assert_int_equal(firn_log_import(log, "nowhere", NULL, NULL, NULL, &f->err), FIRN_ENOENT);
    fill(f, "agaag");
    OK(firn_log_export(f->machine.log, "kafka", 0, NULL, NULL, NULL, &f->err));
    assert_int_equal(firn_log_import(log, MACHINE_DIR "/..", NULL, NULL, NULL, &f->err),
                     FIRN_ENOENT);
    char bad[] = "\xff\xff", one[] = "\x01";
    const struct iovec flip = {bad, 2}, old = {one, 1};
    OK(disk->ops->open(disk, "kafka/00000000000000000000.log", FIRN_OPEN_WRITE, &file, &f->err));
    OK(file->ops->writev(file, &flip, 1, 200, 0, &written, &f->err));
    assert_int_equal(firn_log_import(log, "kafka", NULL, NULL, NULL, &f->err), FIRN_EDAMAGED);
    assert_non_null(strstr(f->err.message, "kafka/00000000000000000000.log: damaged at byte"));
    struct firn_log_info info;
    OK(firn_log_get_info(log, &info, &f->err));
    assert_int_equal(info.next_index, 1); /* what came before it */
    OK(file->ops->writev(file, &old, 1, 16, 0, &written, &f->err));
    file->ops->close(file);
    OK(firn_log_truncate(log, 0, &f->err));
    assert_int_equal(firn_log_import(log, "kafka", NULL, NULL, NULL, &f->err), FIRN_ENOTSUP);
    firn_log_close(log, NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_copy_holds_the_same),         TEST(an_empty_log_is_copied),
        TEST(progress_can_end_it),           TEST(other_directories_are_refused),
        TEST(damage_becomes_a_gap),          TEST(copies_survive_crashes),
        TEST(what_was_exported_is_imported), TEST(bad_segments_are_refused),
        TEST(imports_survive_crashes),       TEST(copies_survive_errors),
        TEST(imports_survive_errors),
    };
    return cmocka_run_group_tests_name("transfer", tests, NULL, NULL);
}
