/* SPDX-License-Identifier: MIT */
/*
 * Every bit of every file of a small, cleanly closed log is flipped, one at a time. Never a wrong
 * record, never a crash, never the loss of a record that no reported hole covers; and verify names
 * the file, or the byte is one of these:
 * - the lock file and its pid: not part of what the log holds;
 * - partitionLeaderEpoch of a batch (bytes 12 to 15), outside the batch's checksum, as Kafka has
 *   it: it is no part of a record.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "crash/machine.h"

enum { READ_WRITE_EVERY = 5 };

struct flip {
    struct machine machine;
    const struct machine *whole;
    const char *file; /* in the directory */
    uint64_t byte;
    unsigned bit;
    bool reported, in_place;
    uint64_t lost; /* records that findings cover */
    char why[800];
};

struct file {
    char name[64];
    uint64_t size;
};

struct files {
    struct file at[32];
    size_t count;
};

static int note_file(void *arg, const char *path, const struct firn_entry *entry)
{
    struct files *files = arg;
    const char *name = strrchr(path, '/');
    if (entry->kind != FIRN_ENTRY_FILE || !name || files->count == 32)
        return 0;
    struct file *file = &files->at[files->count++];
    snprintf(file->name, sizeof file->name, "%s", name + 1);
    file->size = entry->size;
    return 0;
}

/* A log that was closed, and nothing of it in the page cache only. */
static void make_whole(struct machine *whole)
{
    machine_init(whole, FIRN_DURABILITY_EACH, MACHINE_SEGMENT);
    assert_int_equal(machine_open(whole), 0);
    for (const char *operation = "aagagaag"; *operation; operation++)
        assert_int_equal(machine_do(whole, *operation), 0);
    assert_int_equal(machine_close(whole), 0);
    assert_int_equal(firn_faulty_settle(whole->faulty, NULL), 0);
}

static bool wrong(struct flip *flip, const char *what, const char *detail)
{
    snprintf(flip->why, sizeof flip->why, "%s: %s", what, detail);
    return false;
}

static uint64_t stamp_of(const struct flip *flip, uint64_t index)
{
    const struct model *model = &flip->whole->model;
    return model_last(model)->stamps[index - model->first];
}

/* Reads all, stepping over holes: what is read is right, and what is not is in a hole. */
static bool read_all(struct flip *flip, bool backwards)
{
    struct machine *machine = &flip->machine;
    const struct model *model = &flip->whole->model;
    struct firn_cursor_options options = {.at_end = backwards};
    struct firn_cursor *cursor;
    const struct firn_record *record;
    uint64_t seen = 0, lost = 0, should = model_last(model)->next - model->lowest;
    int rc = firn_cursor_open(machine->log, &options, &cursor, &machine->err);
    if (rc < 0)
        return wrong(flip, "cursor", machine->err.message);
    bool good = true;
    for (uint64_t steps = 0; good && steps < 1000; steps++) {
        rc = backwards ? firn_cursor_prev(cursor, &record, &machine->err)
                       : firn_cursor_next(cursor, &record, &machine->err);
        struct firn_hole hole;
        if (rc == 0) {
            seen++;
            if (record->index < model->lowest || record->index >= model_last(model)->next ||
                !model_equals(stamp_of(flip, record->index), record))
                good = wrong(flip, "a wrong record", backwards ? "backwards" : "forwards");
        } else if (rc == FIRN_EDAMAGED && firn_cursor_hole(cursor, &hole) == 0) {
            lost += hole.next_index - hole.first_index;
            flip->reported = true;
            if (firn_cursor_skip(cursor) < 0)
                good = wrong(flip, "skip", "refused");
        } else {
            break;
        }
    }
    if (good && rc != FIRN_EEND)
        good = wrong(flip, "reading ended", machine->err.message);
    firn_cursor_close(cursor);
    if (good && seen + lost < should)
        return wrong(flip, "a record is lost that no hole covers",
                     backwards ? "backwards" : "forwards");
    return good;
}

/* The two indexes of a segment are one: what is wrong in either is reported as the first. */
static bool names_file(const char *found, const char *file)
{
    return strcmp(found, file) == 0 ||
           (strstr(file, ".timeindex") && strncmp(found, file, 20) == 0 && strstr(found, ".index"));
}

static int note_finding(void *arg, const struct firn_finding *finding)
{
    struct flip *flip = arg;
    flip->reported = true;
    flip->lost += finding->next_index - finding->first_index;
    flip->in_place |= names_file(finding->file, flip->file) &&
                      (finding->length == 0 || (finding->offset <= flip->byte &&
                                                flip->byte < finding->offset + finding->length));
    return 0;
}

static int open_log(struct machine *machine, bool read_only)
{
    struct firn_env_options env_options = {.manual = true};
    struct firn_log_options options = {
        .disk = firn_faulty_disk(machine->faulty),
        .read_only = read_only,
        .segment_bytes = MACHINE_SEGMENT,
    };
    if (firn_env_new(&env_options, &machine->env, NULL) < 0)
        abort();
    options.env = machine->env;
    int rc = firn_log_open(MACHINE_DIR, &options, &machine->log, &machine->err);
    if (rc < 0) {
        firn_env_free(machine->env);
        machine->env = NULL;
    }
    return rc;
}

static bool is_harmless(const struct flip *flip)
{
    if (strcmp(flip->file, "lock") == 0 || strcmp(flip->file, "position") == 0 ||
        strcmp(flip->file, "reserve") == 0)
        return true; /* nothing that outlives the processes */
    if (!strstr(flip->file, ".log"))
        return false;
    void *bytes;
    size_t size;
    char path[96];
    snprintf(path, sizeof path, MACHINE_DIR "/%s", flip->file);
    if (firn_faulty_get(flip->whole->faulty, path, FIRN_FAULTY_CURRENT, &bytes, &size, NULL) < 0)
        abort();
    const unsigned char *b = bytes;
    uint64_t at = 0;
    bool harmless = false;
    while (at + 61 <= size && at <= flip->byte) {
        uint64_t length = 12 + ((uint64_t)b[at + 8] << 24 | (uint64_t)b[at + 9] << 16 |
                                (uint64_t)b[at + 10] << 8 | b[at + 11]);
        harmless |= flip->byte >= at + 12 && flip->byte < at + 16;
        at += length;
    }
    free(bytes);
    return harmless;
}

static int note_left(void *arg, const struct firn_finding *finding)
{
    (void)wrong(arg, "found after the repair", finding->text);
    return 0;
}

/* All that is there is right; and how much that is. */
static bool count_right(struct flip *flip, uint64_t *count)
{
    struct firn_cursor *cursor;
    const struct firn_record *record;
    bool good = true;
    int rc = firn_cursor_open(flip->machine.log, NULL, &cursor, &flip->machine.err);
    if (rc < 0)
        return wrong(flip, "cursor", flip->machine.err.message);
    *count = 0;
    while (good && (rc = firn_cursor_next(cursor, &record, &flip->machine.err)) == 0) {
        ++*count;
        good = model_equals(stamp_of(flip, record->index), record) ||
               wrong(flip, "a wrong record", "after the repair");
    }
    firn_cursor_close(cursor);
    return good && (rc == FIRN_EEND || wrong(flip, "after the repair", flip->machine.err.message));
}

static bool is_whole(struct flip *flip, uint64_t least)
{
    uint64_t count;
    if (firn_log_verify(flip->machine.log, note_left, flip, NULL, NULL) != 0)
        return false;
    return count_right(flip, &count) &&
           (count >= least || wrong(flip, "the repair lost", "a record that was there"));
}

/* What verify found nothing wrong with is there afterwards, and then it finds nothing at all. */
static bool check_repair(struct flip *flip)
{
    struct machine *machine = &flip->machine;
    uint64_t should = model_last(&flip->whole->model)->next - flip->whole->model.lowest;
    uint64_t least = should > flip->lost ? should - flip->lost : 0;
    struct firn_recovery recovery;
    if (firn_log_repair(machine->log, NULL, NULL, NULL, &machine->err) != 0)
        return wrong(flip, "repair", machine->err.message);
    if (!is_whole(flip, least))
        return false;
    if (firn_log_close(machine->log, &machine->err) != 0)
        return wrong(flip, "closing after the repair", machine->err.message);
    machine->log = NULL;
    firn_env_free(machine->env);
    machine->env = NULL;
    if (open_log(machine, false) < 0)
        return wrong(flip, "opening after the repair", machine->err.message);
    firn_log_get_recovery(machine->log, &recovery);
    return (recovery.clean || wrong(flip, "not clean after the repair", recovery.text)) &&
           is_whole(flip, least);
}

/* The power goes at the `point`th change of a repair: it can be done again. False: it was over. */
static bool interrupt_repair(struct flip *flip, uint64_t point, uint64_t seed, bool *good)
{
    struct machine *machine = &flip->machine;
    struct firn_faulty_counts counts;
    char path[96];
    snprintf(path, sizeof path, MACHINE_DIR "/%s", flip->file);
    machine_copy(flip->whole, machine);
    assert_int_equal(firn_faulty_flip_bit(machine->faulty, path, flip->byte, flip->bit, NULL), 0);
    assert_int_equal(open_log(machine, false), 0);
    flip->lost = 0;
    (void)firn_log_verify(machine->log, note_finding, flip, NULL, NULL);
    firn_faulty_get_counts(machine->faulty, &counts);
    firn_faulty_crash_at(machine->faulty, counts.mutations + point);
    int rc = firn_log_repair(machine->log, NULL, NULL, NULL, &machine->err);
    bool off = firn_faulty_is_off(machine->faulty);
    *good = rc == 0 || off || wrong(flip, "repair", machine->err.message);
    firn_log_close(machine->log, NULL);
    machine->log = NULL;
    firn_env_free(machine->env);
    machine->env = NULL;
    if (off) {
        firn_faulty_restart_random(machine->faulty, seed, NULL);
        *good = *good && (open_log(machine, false) == 0 ||
                          wrong(flip, "opening after a crash", machine->err.message));
        *good = *good && check_repair(flip);
        machine_close(machine);
    }
    machine_done(machine);
    return off;
}

/* One call of a repair fails; what it has begun is done when it is tried again. */
static bool fail_repair(struct flip *flip, int code, int at, bool *good)
{
    struct machine *machine = &flip->machine;
    struct firn_faulty_fault fault = {
        .what = FIRN_FAULTY_FAIL,
        .ops = code == FIRN_ENOSPC ? FIRN_FAULTY_CREATE | FIRN_FAULTY_WRITE | FIRN_FAULTY_RESERVE |
                                         FIRN_FAULTY_WRITE_DURABLE | FIRN_FAULTY_RENAME
                                   : FIRN_FAULTY_ANY,
        .code = code,
        .at = (uint64_t)at,
        .times = 1};
    int id;
    char path[96];
    snprintf(path, sizeof path, MACHINE_DIR "/%s", flip->file);
    machine_copy(flip->whole, machine);
    assert_int_equal(firn_faulty_flip_bit(machine->faulty, path, flip->byte, flip->bit, NULL), 0);
    assert_int_equal(open_log(machine, false), 0);
    flip->lost = 0;
    (void)firn_log_verify(machine->log, note_finding, flip, NULL, NULL);
    assert_int_equal(firn_faulty_fail(machine->faulty, &fault, &id, NULL), 0);
    int rc = firn_log_repair(machine->log, NULL, NULL, NULL, &machine->err);
    bool hit = firn_faulty_hits(machine->faulty, id) > 0;
    firn_faulty_clear(machine->faulty, 0);
    *good = rc == 0 || (machine->err.code == rc && machine->err.message[0]) ||
            wrong(flip, "an error without message", firn_error_name(rc));
    firn_log_close(machine->log, NULL);
    machine->log = NULL;
    firn_env_free(machine->env);
    machine->env = NULL;
    *good = *good && (open_log(machine, false) == 0 ||
                      wrong(flip, "opening after an error", machine->err.message));
    *good = *good && check_repair(flip);
    machine_close(machine);
    machine_done(machine);
    return hit;
}

static void calls_fail_in_repair(void **state)
{
    (void)state;
    static const int codes[] = {FIRN_EIO, FIRN_ENOSPC};
    struct machine whole;
    uint64_t calls = 0, failures = 0;
    make_whole(&whole);
    for (unsigned byte = 30; byte < 300; byte += 83) {
        for (int i = 0; i < 2; i++) {
            bool hit = true;
            for (int at = 1; hit; at++) {
                struct flip flip = {
                    .whole = &whole, .file = "00000000000000000000.log", .byte = byte, .bit = 3};
                bool good;
                hit = fail_repair(&flip, codes[i], at, &good);
                calls += hit;
                if (!good && failures++ < 5)
                    printf("failed: byte %u, %s at call %d: %s\n", byte, firn_error_name(codes[i]),
                           at, flip.why);
            }
        }
    }
    machine_done(&whole);
    printf("note: %llu calls failed in repairs\n", (unsigned long long)calls);
    assert_int_equal(failures, 0);
    assert_true(calls > 100);
}

static void power_lost_in_repair(void **state)
{
    (void)state;
    struct machine whole;
    struct files files = {0};
    uint64_t crashes = 0, failures = 0;
    make_whole(&whole);
    firn_faulty_walk(whole.faulty, FIRN_FAULTY_DURABLE, note_file, &files);
    for (size_t i = 0; i < files.count; i++) {
        if (!strstr(files.at[i].name, ".log"))
            continue;
        for (uint64_t byte = 5; byte < files.at[i].size; byte += 83) {
            bool more = true;
            for (uint64_t point = 1; more; point++) {
                for (uint64_t seed = 1; more && seed <= 3; seed++) {
                    struct flip flip = {.whole = &whole, .file = files.at[i].name, .byte = byte};
                    bool good;
                    more = interrupt_repair(&flip, point, seed, &good);
                    crashes += more;
                    failures += !good;
                    if (!good && failures < 20)
                        printf("failed: %s byte %llu point %llu seed %llu: %s\n", flip.file,
                               (unsigned long long)byte, (unsigned long long)point,
                               (unsigned long long)seed, flip.why);
                }
            }
        }
    }
    printf("note: %llu losses of power in repairs, %llu failed\n", (unsigned long long)crashes,
           (unsigned long long)failures);
    machine_done(&whole);
    assert_int_equal(failures, 0);
}

/* A log that can't be opened says why; that is a report too, but only of the checkpoint's kind. */
static bool check_flip(struct flip *flip, bool read_only)
{
    struct machine *machine = &flip->machine;
    int rc = open_log(machine, read_only);
    if (rc < 0)
        return wrong(flip, "it does not open", machine->err.message);
    struct firn_recovery recovery;
    firn_log_get_recovery(machine->log, &recovery);
    /* Opened for writing, some of it is written anew, and the report says so. */
    if (strcmp(flip->file, "checkpoint") == 0 && strstr(recovery.text, "slot"))
        flip->reported = flip->in_place = true;
    if (strstr(flip->file, ".appendtime") && strstr(recovery.text, "append times"))
        flip->reported = flip->in_place = true;
    bool good = read_all(flip, false) && read_all(flip, true);
    rc = firn_log_verify(machine->log, note_finding, flip, NULL, &machine->err);
    if (good && rc != 0 && rc != FIRN_EDAMAGED)
        good = wrong(flip, "verify", machine->err.message);
    if (good && !flip->reported && !is_harmless(flip))
        good = wrong(flip, "nothing is reported", "and the byte is not known as harmless");
    if (good && flip->reported && !flip->in_place)
        good = wrong(flip, "what is reported is not where the bit is", machine->err.message);
    if (good && !read_only)
        good = check_repair(flip);
    firn_log_close(machine->log, NULL);
    machine->log = NULL;
    if (machine->env)
        firn_env_free(machine->env);
    machine->env = NULL;
    return good && (machine_check_leaks(machine) || wrong(flip, "left open", machine->why));
}

static bool try_flip(struct flip *flip, bool read_only)
{
    char path[96];
    snprintf(path, sizeof path, MACHINE_DIR "/%s", flip->file);
    machine_copy(flip->whole, &flip->machine);
    assert_int_equal(firn_faulty_flip_bit(flip->machine.faulty, path, flip->byte, flip->bit, NULL),
                     0);
    bool good = check_flip(flip, read_only);
    machine_done(&flip->machine);
    return good;
}

static void each_bit(void **state)
{
    (void)state;
    const char *effort = getenv("FIRN_TEST_EFFORT");
    uint64_t step = effort && strcmp(effort, "less") == 0 ? 7 : 1;
    struct machine whole;
    struct files files = {0};
    uint64_t flips = 0, failures = 0, silent = 0;
    make_whole(&whole);
    firn_faulty_walk(whole.faulty, FIRN_FAULTY_DURABLE, note_file, &files);
    for (size_t i = 0; i < files.count; i++) {
        bool filler = strcmp(files.at[i].name, "reserve") == 0; /* its bytes are never read */
        for (uint64_t bit = 0; bit < files.at[i].size * 8; bit += filler ? 9973 : step) {
            for (int write = 0; write < 1 + (bit % READ_WRITE_EVERY == 0); write++) {
                struct flip flip = {.whole = &whole,
                                    .file = files.at[i].name,
                                    .byte = bit / 8,
                                    .bit = (unsigned)(bit % 8)};
                bool good = try_flip(&flip, !write);
                flips++;
                failures += !good;
                silent += !flip.reported;
                if (!good && failures < 20)
                    printf("failed: %s byte %llu bit %u%s: %s\n", flip.file,
                           (unsigned long long)flip.byte, flip.bit, write ? ", to write" : "",
                           flip.why);
            }
        }
    }
    printf("note: %llu bits flipped in %zu files, %llu of them harmless and silent, %llu failed\n",
           (unsigned long long)flips, files.count, (unsigned long long)silent,
           (unsigned long long)failures);
    machine_done(&whole);
    assert_int_equal(failures, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_bit),
        cmocka_unit_test(calls_fail_in_repair),
        cmocka_unit_test(power_lost_in_repair),
    };
    return cmocka_run_group_tests_name("bitflip", tests, NULL, NULL);
}
