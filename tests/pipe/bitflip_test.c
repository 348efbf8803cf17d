/* SPDX-License-Identifier: MIT */
/*
 * Every bit of the journal of a small pipe that was in use, of its header, and of the mark is
 * flipped, one at a time. Opening then is an error that changes nothing, or shows exactly what was
 * there; save that a flip in the last group takes that away, from the flipped record on: nothing
 * written later claims that it was durable, so it can't be told from a torn end. (What is in the
 * file itself has no checksum.)
 *
 * Arguments: --full: the larger journal, whose ring has turned, is flipped bit by bit too.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "crash/pipe_machine.h"
#include "disk/slots.h"

struct victim {
    struct pipe_machine machine; /* dead, with changes pending */
    struct pipe_model before;    /* the states that the last group went through */
    uint8_t *journal;
    size_t journal_size;
    uint8_t *file;
    size_t file_size;
    uint64_t group;          /* where the last group's first record stands */
    uint64_t last, last_end; /* where its last one does */
};

/* After opening: refused; as it was; as it was before the last group, or before its last change. */
enum result { REFUSED, WHOLE, BEFORE_GROUP, BEFORE_LAST, RESULTS };

struct flip {
    const char *path;
    uint64_t byte;
    unsigned bit;
};

static struct firn_error err;

static void fail_flip(const struct flip *flip, const char *what, const char *detail)
{
    fail_msg("%s, byte %llu, bit %u: %s: %s", flip->path, (unsigned long long)flip->byte, flip->bit,
             what, detail);
}

static uint8_t *load(const struct pipe_machine *machine, const char *path, size_t *size)
{
    void *bytes = NULL;
    assert_int_equal(
        firn_faulty_get(machine->faulty, path, FIRN_FAULTY_CURRENT, &bytes, size, &err), 0);
    return bytes;
}

/* ---- the victim ---- */

static uint64_t number_at(const uint8_t *bytes, int size)
{
    uint64_t number = 0;
    for (int i = 0; i < size; i++)
        number = number << 8 | bytes[i];
    return number;
}

/* Where the record with this sequence number stands; with 0, the one with the highest. */
static uint64_t find_record(const struct victim *victim, uint64_t wanted)
{
    uint64_t highest = 0, found = 0;
    for (uint64_t at = SLOTS_BYTES; at + 48 <= victim->journal_size; at++) {
        const uint8_t *record = victim->journal + at;
        if (memcmp(record + 4, "FJNR", 4) != 0)
            continue;
        uint64_t sequence = number_at(record + 8, 8);
        if (sequence == wanted || (!wanted && sequence >= highest)) {
            highest = sequence;
            found = at;
        }
    }
    assert_true(found > 0);
    return found;
}

/* A record says where its group begins: all before that was durable when it was written. */
static void find_group(struct victim *victim)
{
    victim->last = find_record(victim, 0);
    victim->last_end = victim->last + number_at(victim->journal + victim->last + 24, 4);
    victim->group = find_record(victim, number_at(victim->journal + victim->last + 32, 8));
}

/* The last group consists of what `last` does. */
static void make_victim(struct victim *victim, const struct pipe_shape *shape, const char *script,
                        char last)
{
    struct pipe_machine *machine = &victim->machine;
    pipe_machine_init(machine, shape);
    assert_int_equal(pipe_machine_open(machine), 0);
    for (; *script; script++)
        assert_int_equal(pipe_machine_do(machine, *script), 0);
    assert_int_equal(pipe_machine_do(machine, 'f'), 0);
    assert_int_equal(pipe_machine_do(machine, last), 0);
    pipe_model_copy(&machine->model, &victim->before);
    assert_int_equal(pipe_machine_do(machine, 'f'), 0);
    firn_faulty_kill(machine->faulty);
    (void)pipe_machine_close(machine);
    assert_int_equal(firn_faulty_settle(machine->faulty, &err), 0);
    assert_int_equal(machine->model.count, 1);
    victim->journal = load(machine, PIPE_MACHINE_JOURNAL, &victim->journal_size);
    victim->file = load(machine, PIPE_MACHINE_PATH, &victim->file_size);
    find_group(victim);
}

static void free_victim(struct victim *victim)
{
    pipe_machine_done(&victim->machine);
    pipe_model_done(&victim->before);
    free(victim->journal);
    free(victim->file);
}

/* ---- one flip ---- */

/* Both files are what they were, but for the bit. */
static void check_unchanged(const struct victim *victim, const struct pipe_machine *machine,
                            const struct flip *flip)
{
    size_t size;
    uint8_t mask = (uint8_t)(1u << flip->bit);
    bool in_journal = strcmp(flip->path, PIPE_MACHINE_JOURNAL) == 0;
    uint8_t *journal = load(machine, PIPE_MACHINE_JOURNAL, &size);
    if (in_journal)
        journal[flip->byte] ^= mask;
    if (size != victim->journal_size || memcmp(journal, victim->journal, size) != 0)
        fail_flip(flip, "refused", "and the journal was changed");
    free(journal);
    uint8_t *file = load(machine, PIPE_MACHINE_PATH, &size);
    if (!in_journal)
        file[flip->byte] ^= mask;
    if (size != victim->file_size || memcmp(file, victim->file, size) != 0)
        fail_flip(flip, "refused", "and the file was changed");
    free(file);
}

static enum result check_content(const struct victim *victim, struct pipe_machine *machine,
                                 const struct flip *flip)
{
    uint64_t count = firn_pipe_count(machine->pipe);
    uint8_t *chunks = malloc((size_t)(count * machine->shape.chunk_bytes));
    assert_non_null(chunks);
    if (firn_pipe_read(machine->pipe, 0, count, chunks, 0, &machine->err) < 0)
        fail_flip(flip, "reading", machine->err.message);
    size_t found = pipe_model_find(&victim->before, count, chunks);
    free(chunks);
    if (found == SIZE_MAX)
        fail_flip(flip, "opened", "with what was never there");
    if (found == victim->before.count - 1)
        return WHOLE;
    return found == 0 ? BEFORE_GROUP : BEFORE_LAST;
}

static enum result try_flip(const struct victim *victim, const struct flip *flip)
{
    struct pipe_machine machine;
    enum result result = REFUSED;
    pipe_machine_copy(&victim->machine, &machine);
    assert_int_equal(firn_faulty_flip_bit(machine.faulty, flip->path, flip->byte, flip->bit, &err),
                     0);
    int rc = pipe_machine_open(&machine);
    if (rc == 0)
        result = check_content(victim, &machine, flip);
    else if (rc != FIRN_EDAMAGED && rc != FIRN_EFORMAT && rc != FIRN_EMISMATCH)
        fail_flip(flip, firn_error_name(rc), machine.err.message);
    else
        check_unchanged(victim, &machine, flip);
    if (rc == 0 && pipe_machine_close(&machine) < 0)
        fail_flip(flip, "closing", machine.err.message);
    pipe_machine_done(&machine);
    return result;
}

/* ---- all of them ---- */

static void flip_range(const struct victim *victim, const char *path, uint64_t from, uint64_t to,
                       uint64_t bit_step, uint64_t results[RESULTS])
{
    for (uint64_t bit = from * 8; bit < to * 8; bit += bit_step) {
        const struct flip flip = {path, bit / 8, (unsigned)(bit % 8)};
        enum result result = try_flip(victim, &flip);
        bool in_group = strcmp(path, PIPE_MACHINE_JOURNAL) == 0 && flip.byte >= victim->group &&
                        flip.byte < victim->last_end;
        if (result >= BEFORE_GROUP && !in_group)
            fail_flip(&flip, "opened", "without the last group, which is whole");
        results[result]++;
    }
}

static void print_results(const char *what, const uint64_t results[RESULTS])
{
    uint64_t part = results[BEFORE_GROUP] + results[BEFORE_LAST];
    printf("note: %s: %llu refused, %llu without effect, %llu without the last group or part of "
           "it\n",
           what, (unsigned long long)results[REFUSED], (unsigned long long)results[WHOLE],
           (unsigned long long)part);
}

static void assert_all(const uint64_t results[RESULTS], enum result result)
{
    assert_true(results[result] > 0);
    for (int i = 0; i < RESULTS; i++)
        assert_true(i == (int)result || results[i] == 0);
}

static uint64_t step = 1;
static bool full;

static const struct pipe_shape small = {16, 12, 0, false};
static const char some[] = "WtTgWw";

/* One slot suffices. */
static void slots(void **state)
{
    (void)state;
    struct victim victim = {0};
    uint64_t results[RESULTS] = {0};
    make_victim(&victim, &small, some, 't');
    flip_range(&victim, PIPE_MACHINE_JOURNAL, 0, SLOTS_BYTES, step, results);
    print_results("header", results);
    assert_all(results, WHOLE);
    free_victim(&victim);
}

/* All that a later group claims is refused; of the last group there is what comes before. */
static void records(void **state)
{
    (void)state;
    struct victim victim = {0};
    uint64_t claimed[RESULTS] = {0}, first[RESULTS] = {0}, last[RESULTS] = {0};
    uint64_t behind[RESULTS] = {0};
    make_victim(&victim, &small, some, 'd');
    assert_true(victim.group < victim.last);
    flip_range(&victim, PIPE_MACHINE_JOURNAL, SLOTS_BYTES, victim.group, step, claimed);
    flip_range(&victim, PIPE_MACHINE_JOURNAL, victim.group, victim.last, step, first);
    flip_range(&victim, PIPE_MACHINE_JOURNAL, victim.last, victim.last_end, step, last);
    flip_range(&victim, PIPE_MACHINE_JOURNAL, victim.last_end, victim.journal_size, 83 * step,
               behind);
    print_results("groups before the last", claimed);
    print_results("first record of the last group", first);
    print_results("last record", last);
    print_results("space behind it", behind);
    assert_all(claimed, REFUSED);
    assert_all(first, BEFORE_GROUP);
    assert_all(last, BEFORE_LAST);
    assert_all(behind, WHOLE);
    free_victim(&victim);
}

/* The mark is right, or it is not there: with changes pending that is refused. */
static void mark(void **state)
{
    (void)state;
    struct victim victim = {0};
    uint64_t results[RESULTS] = {0}, around[RESULTS] = {0};
    make_victim(&victim, &small, some, 't');
    uint64_t place = victim.file_size / 4096 * 4096;
    flip_range(&victim, PIPE_MACHINE_PATH, place, place + 64, step, results);
    flip_range(&victim, PIPE_MACHINE_PATH, place + 64, victim.file_size, step, around);
    flip_range(&victim, PIPE_MACHINE_PATH, 14 * 16, place, 17 * step, around);
    print_results("mark", results);
    assert_all(results, REFUSED);
    assert_all(around, WHOLE);
    free_victim(&victim);
}

/* The ring has turned: what was applied lies beside what is pending. */
static void turned_ring(void **state)
{
    (void)state;
    struct victim victim = {0};
    uint64_t results[RESULTS] = {0};
    make_victim(&victim, &(struct pipe_shape){600, 40, 0, false}, "LLLLTwfLW", 't');
    flip_range(&victim, PIPE_MACHINE_JOURNAL, 0, victim.journal_size, full ? 1 : 31 * step,
               results);
    print_results("a ring that turned", results);
    assert_true(results[REFUSED] > 0);
    assert_true(results[WHOLE] > 0);
    assert_true(results[BEFORE_GROUP] > 0);
    free_victim(&victim);
}

/* Closed, the journal is its header. */
static void clean_header(void **state)
{
    (void)state;
    struct victim victim = {0};
    struct pipe_machine *machine = &victim.machine;
    uint64_t results[RESULTS] = {0};
    pipe_machine_init(machine, &small);
    assert_int_equal(pipe_machine_open(machine), 0);
    assert_int_equal(pipe_machine_do(machine, 'T'), 0);
    assert_int_equal(pipe_machine_close(machine), 0);
    assert_int_equal(firn_faulty_settle(machine->faulty, &err), 0);
    pipe_model_copy(&machine->model, &victim.before);
    victim.journal = load(machine, PIPE_MACHINE_JOURNAL, &victim.journal_size);
    victim.file = load(machine, PIPE_MACHINE_PATH, &victim.file_size);
    assert_int_equal(victim.journal_size, SLOTS_BYTES);
    flip_range(&victim, PIPE_MACHINE_JOURNAL, 0, SLOTS_BYTES, step, results);
    print_results("a clean header", results);
    assert_all(results, WHOLE);
    free_victim(&victim);
}

int main(int argc, char **argv)
{
    const char *effort = getenv("FIRN_TEST_EFFORT");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slots),       cmocka_unit_test(records),      cmocka_unit_test(mark),
        cmocka_unit_test(turned_ring), cmocka_unit_test(clean_header),
    };
    full = argc > 1 && strcmp(argv[1], "--full") == 0;
    if (!full && effort && strcmp(effort, "less") == 0)
        step = 11;
    return cmocka_run_group_tests_name("bitflip", tests, NULL, NULL);
}
