/* SPDX-License-Identifier: MIT */
/*
 * A follower of writers that are killed, as processes are, and come back: it gets every record once
 * and in order, and nothing that the log does not hold in the end. Now and then it begins anew,
 * where its named cursor stands.
 *
 * Arguments: none: 200,000 records and 20 kills, fewer where sanitizers slow it down; or RECORDS
 * KILLS SEED.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <firn/firn.h>

#include "lib/prng.h"

enum { GROUP_MOST = 200, SEGMENT = 256 * 1024, WAIT_US = 60 * 1000000, STEPS = 8 };

static uint64_t records = 200000, kills = 20, seed = 1;

/* What a record holds. */
struct body {
    uint64_t index, life, check;
};

struct run {
    char dir[64];
    struct prng prng;
    struct firn_log *log;
    struct firn_cursor *cursor;
    struct firn_error err;
    uint64_t next;   /* the follower's */
    uint64_t digest; /* of all that it got */
    uint64_t reopened, waits;
};

#define OK(call)                                                                                   \
    do {                                                                                           \
        int ok_rc = (call);                                                                        \
        if (ok_rc < 0)                                                                             \
            fail_msg("%s: %s (at %llu, seed %llu)", #call, run->err.message,                       \
                     (unsigned long long)run->next, (unsigned long long)seed);                     \
    } while (0)

static uint64_t mix(uint64_t a, uint64_t b)
{
    uint64_t hash = (a + 1) * UINT64_C(0x9e3779b97f4a7c15) ^ b;
    return hash ^ hash >> 29;
}

/* ---- a writer ------------------------------------------------------------------------------- */

/* Appends groups up to record `end`. How it makes them durable depends on the life. */
static int append_all(struct firn_log *log, struct prng *prng, uint64_t life, uint64_t end)
{
    static struct body bodies[GROUP_MOST];
    static struct firn_record group[GROUP_MOST];
    const struct firn_append_options options = {.no_wait = life % 3 == 1};
    struct firn_log_info info = {0};
    firn_log_get_info(log, &info, NULL);
    for (uint64_t next = info.next_index; next < end;) {
        size_t count = 1 + (size_t)prng_below(prng, GROUP_MOST);
        if (count > end - next)
            count = (size_t)(end - next);
        for (size_t i = 0; i < count; i++) {
            bodies[i] = (struct body){next + i, life, mix(next + i, life)};
            group[i] = (struct firn_record){.value = {&bodies[i], sizeof bodies[i]}};
        }
        int rc = firn_log_append(log, group, count, &options, NULL, NULL);
        if (rc < 0)
            return rc;
        next += count;
    }
    return firn_log_flush(log, NULL);
}

/* Never returns: ends by itself only in the last life. */
static void write_life(const struct run *run, uint64_t life)
{
    struct prng prng = prng_new(seed * 1000 + life);
    struct firn_log_options options = {
        .segment_bytes = SEGMENT,
        .durability = life % 3 == 2 ? FIRN_DURABILITY_GROUP : FIRN_DURABILITY_EACH,
        .group_delay_us = 1000,
    };
    struct firn_log *log;
    struct firn_error err;
    int rc = firn_log_open(run->dir, &options, &log, &err);
    if (rc < 0) {
        fprintf(stderr, "opening: %s\n", err.message);
        _exit(2);
    }
    rc = append_all(log, &prng, life, records * (life + 1) / (kills + 1));
    while (rc == 0 && life < kills)
        pause();
    if (rc == 0)
        rc = firn_log_close(log, NULL);
    _exit(rc == 0 ? 0 : 1);
}

static pid_t start_life(const struct run *run, uint64_t life)
{
    fflush(NULL);
    pid_t child = fork();
    if (child == 0)
        write_life(run, life);
    assert_true(child > 0);
    return child;
}

/* ---- the follower --------------------------------------------------------------------------- */

static void open_follower(struct run *run)
{
    const struct firn_log_options options = {.read_only = true};
    struct firn_position position = {0};
    OK(firn_log_open(run->dir, &options, &run->log, &run->err));
    if (run->next)
        OK(firn_log_get_position(run->log, "follower", &position, &run->err));
    assert_false(position.clamped);
    assert_int_equal(position.index, run->next);
    const struct firn_cursor_options from = {.from = position.index};
    OK(firn_cursor_open(run->log, &from, &run->cursor, &run->err));
}

static void close_follower(struct run *run)
{
    firn_cursor_close(run->cursor);
    firn_log_close(run->log, NULL);
}

static void commit_position(struct run *run)
{
    const struct firn_position position = {
        .name = "follower",
        .index = run->next,
        .generation = firn_cursor_generation(run->cursor),
    };
    OK(firn_log_commit_positions(run->log, &position, 1, &run->err));
}

static void take(struct run *run, const struct firn_record *record)
{
    struct body body = {0};
    if (record->value.size == sizeof body)
        memcpy(&body, record->value.data, sizeof body);
    if (record->index != run->next || body.index != run->next ||
        body.check != mix(body.index, body.life))
        fail_msg("record %llu, life %llu, is given as %llu, where %llu is next (seed %llu)",
                 (unsigned long long)body.index, (unsigned long long)body.life,
                 (unsigned long long)record->index, (unsigned long long)run->next,
                 (unsigned long long)seed);
    run->digest = mix(run->digest, body.check);
    run->next++;
}

static void follow_to(struct run *run, uint64_t end)
{
    const struct firn_record *record;
    while (run->next < end) {
        int rc = firn_cursor_next(run->cursor, &record, &run->err);
        if (rc == FIRN_EEND) {
            run->waits++;
            OK(firn_log_wait(run->log, run->next, WAIT_US, &run->err));
            continue;
        }
        OK(rc);
        take(run, record);
    }
}

/* To somewhere in the life's part of the records, committing on the way. */
static void follow_life(struct run *run, uint64_t life)
{
    uint64_t start = records * life / (kills + 1), end = records * (life + 1) / (kills + 1);
    uint64_t last = life == kills ? end : start + 1 + prng_below(&run->prng, end - start);
    for (uint64_t step = 1; step <= STEPS; step++) {
        uint64_t part = start + (last - start) * step / STEPS;
        if (part <= run->next)
            continue;
        follow_to(run, part);
        commit_position(run);
    }
    if (run->next && prng_below(&run->prng, 4) == 0) {
        commit_position(run);
        close_follower(run);
        open_follower(run);
        run->reopened++;
    }
}

/* ---- the whole ------------------------------------------------------------------------------ */

static void make_log(struct run *run)
{
    struct firn_log *log;
    OK(firn_log_open(run->dir, NULL, &log, &run->err));
    OK(firn_log_close(log, &run->err));
}

/* What was followed is what the log holds. */
static void check_log(struct run *run)
{
    struct run again = {.prng = run->prng};
    struct firn_log_info info;
    memcpy(again.dir, run->dir, sizeof again.dir);
    const struct firn_log_options options = {.must_exist = true};
    OK(firn_log_open(run->dir, &options, &again.log, &run->err));
    OK(firn_log_get_info(again.log, &info, &run->err));
    assert_int_equal(info.next_index, records);
    OK(firn_cursor_open(again.log, NULL, &again.cursor, &run->err));
    follow_to(&again, records);
    assert_int_equal(again.digest, run->digest);
    firn_cursor_close(again.cursor);
    OK(firn_log_destroy(again.log, &run->err));
}

static void every_record_once(void **state)
{
    (void)state;
    struct run made = {.prng = prng_new(seed)}, *run = &made;
    const char *tmp = getenv("TMPDIR");
    int status;
    snprintf(run->dir, sizeof run->dir, "%s/firn-killed-XXXXXX", tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(run->dir));
    make_log(run);
    open_follower(run);
    for (uint64_t life = 0; life <= kills; life++) {
        pid_t child = start_life(run, life);
        follow_life(run, life);
        if (life < kills)
            kill(child, SIGKILL);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(life < kills ? WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL
                                 : WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    assert_int_equal(run->next, records);
    close_follower(run);
    check_log(run);
    printf("note: %llu records followed through %llu kills, without gap or duplicate; %llu waits, "
           "%llu times begun anew at the cursor\n",
           (unsigned long long)records, (unsigned long long)kills, (unsigned long long)run->waits,
           (unsigned long long)run->reopened);
}

int main(int argc, char **argv)
{
    const char *effort = getenv("FIRN_TEST_EFFORT");
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_record_once)};
    if (effort && strcmp(effort, "less") == 0)
        records = 50000;
    if (argc == 4) {
        records = strtoull(argv[1], NULL, 10);
        kills = strtoull(argv[2], NULL, 10);
        seed = strtoull(argv[3], NULL, 10);
    }
    alarm(110); /* a wait that nobody ends is a failure */
    return cmocka_run_group_tests_name("follow", tests, NULL, NULL);
}
