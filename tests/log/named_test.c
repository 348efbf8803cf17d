/* SPDX-License-Identifier: MIT */
/* Named cursors, on a memory disk and on files; from other threads and another process. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <firn/firn.h>

#include "base/bytes.h"
#include "base/crc.h"
#include "disk/disk.h"
#include "log/named.h"

enum { SEGMENT = 600 };

struct fixture {
    struct firn_disk *disk; /* NULL: files */
    struct firn_log *log;
    struct firn_error err;
    char dir[64];
};

#define OK(call)                                                                                   \
    do {                                                                                           \
        int ok_rc = (call);                                                                        \
        if (ok_rc != 0)                                                                            \
            fail_msg("%s: %d %s", #call, ok_rc, f->err.message);                                   \
    } while (0)

static struct firn_log *open_log(struct fixture *f, bool read_only)
{
    const struct firn_log_options options = {
        .disk = f->disk, .segment_bytes = SEGMENT, .read_only = read_only};
    struct firn_log *log;
    OK(firn_log_open(f->dir, &options, &log, &f->err));
    return log;
}

static int setup(void **state, bool files)
{
    struct fixture *f = calloc(1, sizeof *f);
    const char *tmp = getenv("TMPDIR");
    *state = f;
    snprintf(f->dir, sizeof f->dir, "%s/firn-named-XXXXXX", tmp ? tmp : "/tmp");
    if (files)
        assert_non_null(mkdtemp(f->dir));
    else
        OK(firn_disk_memory_new(&f->disk, &f->err));
    f->log = open_log(f, false);
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

static struct firn_disk *disk_of(const struct fixture *f)
{
    return f->disk ? f->disk : firn_disk_posix();
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    struct firn_entry entry;
    OK(firn_log_destroy(f->log, &f->err));
    assert_int_equal(disk_stat(disk_of(f), f->dir, &entry, NULL), FIRN_ENOENT);
    firn_disk_free(f->disk);
    free(f);
    return 0;
}

static void append(struct fixture *f, int count)
{
    struct firn_record record = {.timestamp = 1000, .value = {"some value or other", 19}};
    for (int i = 0; i < count; i++)
        OK(firn_log_append(f->log, &record, 1, NULL, NULL, &f->err));
}

static void reopen(struct fixture *f)
{
    OK(firn_log_close(f->log, &f->err));
    f->log = open_log(f, false);
}

static int commit(struct fixture *f, struct firn_log *log, const char *name, uint64_t index)
{
    const struct firn_position position = {.name = name, .index = index};
    return firn_log_commit_positions(log, &position, 1, &f->err);
}

static void assert_position(struct fixture *f, struct firn_log *log, const char *name,
                            uint64_t index, bool clamped)
{
    struct firn_position position;
    OK(firn_log_get_position(log, name, &position, &f->err));
    assert_ptr_equal(position.name, name);
    assert_int_equal(position.index, index);
    assert_int_equal(position.clamped, clamped);
}

/* ---- storing -------------------------------------------------------------------------------- */

static void positions_are_kept(void **state)
{
    struct fixture *f = *state;
    const struct firn_position both[] = {{.name = "b", .index = 3}, {.name = "a", .index = 10}};
    struct firn_position position;
    append(f, 10);
    assert_int_equal(firn_log_get_position(f->log, "a", &position, &f->err), FIRN_ENOENT);
    OK(firn_log_commit_positions(f->log, both, 2, &f->err));
    OK(commit(f, f->log, "c", 0));
    for (int life = 0; life < 2; life++) {
        assert_position(f, f->log, "a", 10, false);
        assert_position(f, f->log, "b", 3, false);
        assert_position(f, f->log, "c", 0, false);
        reopen(f);
    }
    OK(commit(f, f->log, "b", 4));
    OK(commit(f, f->log, "a", 2));
    OK(firn_log_remove_position(f->log, "c", &f->err));
    assert_int_equal(firn_log_remove_position(f->log, "c", &f->err), FIRN_ENOENT);
    reopen(f);
    assert_position(f, f->log, "a", 2, false);
    assert_position(f, f->log, "b", 4, false);
    assert_int_equal(firn_log_get_position(f->log, "c", &position, &f->err), FIRN_ENOENT);
    OK(firn_log_verify(f->log, NULL, NULL, NULL, &f->err));
}

static void what_is_wrong_is_refused(void **state)
{
    struct fixture *f = *state;
    char name[FIRN_CURSOR_NAME_MAX + 2];
    static const char *const wrong[] = {"", ".", ".a", "a/b", "a b", "\xc3\xa4", "a\n", NULL};
    const struct firn_position some[] = {{.name = "a"}, {.name = "b", .index = 2}};
    struct firn_position position;
    append(f, 1);
    for (const char *const *each = wrong; *each; each++)
        assert_int_equal(commit(f, f->log, *each, 0), FIRN_EINVAL);
    assert_int_equal(commit(f, f->log, NULL, 0), FIRN_EINVAL);
    memset(name, 'n', sizeof name);
    name[sizeof name - 1] = '\0';
    assert_int_equal(commit(f, f->log, name, 0), FIRN_EINVAL);
    assert_int_equal(firn_log_get_position(f->log, name, &position, &f->err), FIRN_EINVAL);
    assert_int_equal(firn_log_remove_position(f->log, name, &f->err), FIRN_EINVAL);
    name[sizeof name - 2] = '\0';
    OK(commit(f, f->log, name, 1));
    assert_position(f, f->log, name, 1, false);
    OK(commit(f, f->log, "A-z_0.9", 1));
    assert_int_equal(firn_log_commit_positions(f->log, some, 2, &f->err), FIRN_ERANGE);
    assert_int_equal(firn_log_get_position(f->log, "a", &position, &f->err), FIRN_ENOENT);
    OK(firn_log_commit_positions(f->log, NULL, 0, &f->err));
}

struct listed {
    size_t count;
    char last[FIRN_CURSOR_NAME_MAX + 1];
    uint64_t sum;
    size_t stop_at;
};

static int note(void *arg, const struct firn_position *position)
{
    struct listed *listed = arg;
    assert_true(strcmp(listed->last, position->name) < 0);
    strcpy(listed->last, position->name);
    listed->sum += position->index;
    return ++listed->count == listed->stop_at ? 7 : 0;
}

static void many_are_listed_in_order(void **state)
{
    struct fixture *f = *state;
    enum { MANY = NAMED_MOST };
    static char names[MANY][24];
    static struct firn_position positions[MANY];
    struct listed listed = {0};
    append(f, 100);
    OK(firn_log_list_positions(f->log, note, &listed, &f->err));
    assert_int_equal(listed.count, 0);
    uint64_t sum = 0;
    for (size_t i = 0; i < MANY; i++) {
        snprintf(names[i], sizeof names[i], "n%zu", i * 7919 % MANY);
        positions[i] = (struct firn_position){.name = names[i], .index = i % 101};
        sum += i % 101;
    }
    OK(firn_log_commit_positions(f->log, positions, MANY, &f->err));
    OK(firn_log_commit_positions(f->log, positions, MANY, &f->err));
    OK(firn_log_list_positions(f->log, note, &listed, &f->err));
    assert_int_equal(listed.count, MANY);
    assert_int_equal(listed.sum, sum);
    listed = (struct listed){.stop_at = 3};
    assert_int_equal(firn_log_list_positions(f->log, note, &listed, &f->err), 7);
    assert_int_equal(commit(f, f->log, "one-more", 0), FIRN_ETOOBIG);
    OK(firn_log_remove_position(f->log, "n77", &f->err));
    OK(commit(f, f->log, "one-more", 0));
}

/* ---- truncation ----------------------------------------------------------------------------- */

static void a_truncation_takes_them_back(void **state)
{
    struct fixture *f = *state;
    append(f, 50);
    OK(commit(f, f->log, "low", 5));
    OK(commit(f, f->log, "at", 20));
    OK(commit(f, f->log, "high", 41));
    struct firn_log *reader = open_log(f, true);
    struct firn_log *both[] = {f->log, reader};
    for (int grown = 0; grown < 3; grown++) {
        if (grown == 0)
            OK(firn_log_truncate(f->log, 20, &f->err));
        append(f, grown == 1 ? 1 : 60);
        for (int i = 0; i < 2; i++) {
            assert_position(f, both[i], "low", 5, false);
            assert_position(f, both[i], "at", 20, false);
            assert_position(f, both[i], "high", 20, true);
        }
    }
    OK(firn_log_truncate(f->log, 10, &f->err));
    append(f, 100);
    assert_position(f, reader, "high", 10, true);
    OK(commit(f, reader, "high", 60));
    firn_log_close(reader, NULL);
    reopen(f);
    append(f, 10); /* a new life, too, has a higher generation */
    assert_position(f, f->log, "high", 60, false);
    assert_position(f, f->log, "at", 10, true);
    OK(firn_log_remove_before(f->log, 30, &f->err));
    assert_position(f, f->log, "at", 20, false); /* what it has not read is gone: 30 is next */
    assert_position(f, f->log, "low", 5, false);
}

/* Read before a truncation, committed after the log had grown again. */
static void a_late_commit_is_taken_back(void **state)
{
    struct fixture *f = *state;
    struct firn_cursor *cursor;
    const struct firn_record *record;
    append(f, 10);
    OK(firn_cursor_open(f->log, NULL, &cursor, &f->err));
    assert_int_equal(firn_cursor_generation(cursor), 0);
    for (int i = 0; i < 10; i++)
        OK(firn_cursor_next(cursor, &record, &f->err));
    struct firn_position position = {
        .name = "a", .index = 10, .generation = firn_cursor_generation(cursor)};
    assert_true(position.generation > 0);
    OK(firn_log_truncate(f->log, 4, &f->err));
    append(f, 10);
    OK(firn_log_commit_positions(f->log, &position, 1, &f->err));
    assert_position(f, f->log, "a", 4, true);
    firn_cursor_close(cursor);
}

/* ---- retention ------------------------------------------------------------------------------ */

static void what_is_unread_stays(void **state)
{
    struct fixture *f = *state;
    const struct firn_retention keep = {.max_records = 10, .keep_unread = true};
    struct firn_trimmed trimmed;
    struct firn_log_info info;
    append(f, 100);
    struct firn_log *reader = open_log(f, true);
    OK(commit(f, reader, "slow", 0));
    OK(commit(f, reader, "fast", 95));
    OK(firn_log_trim(f->log, &keep, false, &trimmed, &f->err));
    assert_int_equal(trimmed.next_index, 0);
    assert_int_equal(trimmed.segments, 0);
    assert_non_null(strstr(trimmed.text, "'slow' has not read on from 0"));
    OK(commit(f, reader, "slow", 60));
    for (int dry_run = 1; dry_run >= 0; dry_run--) {
        struct firn_log *log = dry_run ? reader : f->log;
        OK(firn_log_trim(log, &keep, dry_run, &trimmed, &f->err));
        assert_int_equal(trimmed.next_index, 60);
        assert_non_null(strstr(trimmed.text, "60 records, 0 to 59, go"));
        assert_non_null(strstr(trimmed.text, "'slow' has not read the rest"));
    }
    OK(firn_log_remove_position(reader, "slow", &f->err));
    OK(firn_log_trim(f->log, &keep, false, &trimmed, &f->err));
    assert_int_equal(trimmed.next_index, 90);
    assert_null(strstr(trimmed.text, "cursor"));
    OK(commit(f, f->log, "fast", 100));
    const struct firn_retention nothing = {.before_index = 100, .keep_unread = true};
    OK(firn_log_trim(f->log, &nothing, false, &trimmed, &f->err));
    firn_log_get_info(f->log, &info, NULL);
    assert_int_equal(info.lowest_index, 100);
    OK(commit(f, f->log, "late", 7)); /* below the lowest: protects what there is */
    append(f, 20);
    OK(firn_log_trim(f->log, &keep, false, &trimmed, &f->err));
    assert_int_equal(trimmed.next_index, 100);
    firn_log_close(reader, NULL);
}

/* Somebody keeps the lock of the file: the background does not wait for long, and tries again. */
static void the_background_is_not_held_up(void **state)
{
    struct fixture *f = *state;
    const struct firn_retention keep = {.max_records = 10, .keep_unread = true};
    struct firn_env_options manual = {.manual = true};
    struct firn_log_info info;
    struct firn_lock *lock;
    struct firn_env *env;
    char path[128];
    append(f, 30);
    OK(commit(f, f->log, "a", 15));
    OK(firn_log_close(f->log, &f->err));
    OK(firn_env_new(&manual, &env, &f->err));
    const struct firn_log_options options = {.disk = f->disk, .env = env};
    OK(firn_log_open(f->dir, &options, &f->log, &f->err));
    snprintf(path, sizeof path, "%s/" NAMED_LOCK, f->dir);
    OK(disk_lock(disk_of(f), path, &lock, NULL, &f->err));
    for (int locked = 1; locked >= 0; locked--) {
        OK(firn_log_set_retention(f->log, &keep, 0, &f->err));
        firn_env_run(env);
        firn_log_get_info(f->log, &info, NULL);
        assert_int_equal(info.lowest_index, locked ? 0 : 15);
        if (locked)
            disk_unlock(disk_of(f), lock);
    }
    OK(firn_log_close(f->log, &f->err));
    firn_env_free(env);
    f->log = open_log(f, false);
}

/* ---- damage --------------------------------------------------------------------------------- */

static void flip(struct fixture *f, uint64_t at)
{
    char path[128];
    struct firn_file *file;
    uint8_t byte;
    size_t got;
    snprintf(path, sizeof path, "%s/" NAMED_FILE, f->dir);
    OK(disk_open(disk_of(f), path, FIRN_OPEN_WRITE, &file, &f->err));
    OK(disk_read_full(file, &byte, 1, at, &got, &f->err));
    byte ^= (uint8_t)(1u << at % 8);
    OK(disk_write_full(file, &byte, 1, at, 0, &f->err));
    disk_close(file);
}

static int count_findings(void *arg, const struct firn_finding *finding)
{
    assert_string_equal(finding->file, NAMED_FILE);
    assert_int_equal(finding->code, FIRN_EDAMAGED);
    ++*(int *)arg;
    return 0;
}

static void one_damaged_copy_costs_nothing(void **state)
{
    struct fixture *f = *state;
    append(f, 20);
    OK(commit(f, f->log, "a", 17));
    for (uint64_t at = 0; at < 2 * NAMED_PAGE; at += at % NAMED_PAGE < 64 ? 1 : 97) {
        int findings = 0;
        flip(f, at);
        assert_position(f, f->log, "a", 17, false);
        assert_int_equal(firn_log_verify(f->log, count_findings, &findings, NULL, &f->err),
                         FIRN_EDAMAGED);
        assert_int_equal(findings, 1);
        flip(f, at);
    }
    flip(f, 30);
    OK(commit(f, f->log, "b", 3)); /* writes both anew */
    OK(firn_log_verify(f->log, NULL, NULL, NULL, &f->err));
    assert_position(f, f->log, "a", 17, false);
}

static void two_damaged_copies_are_an_error(void **state)
{
    struct fixture *f = *state;
    const struct firn_retention keep = {.max_records = 1, .keep_unread = true};
    struct firn_position position;
    struct firn_log_info info;
    char path[128];
    int findings = 0;
    append(f, 20);
    OK(commit(f, f->log, "a", 17));
    flip(f, 40);
    flip(f, NAMED_PAGE + 2000);
    assert_int_equal(firn_log_get_position(f->log, "a", &position, &f->err), FIRN_EDAMAGED);
    assert_int_equal(firn_log_get_position(f->log, "b", &position, &f->err), FIRN_EDAMAGED);
    assert_int_equal(commit(f, f->log, "a", 18), FIRN_EDAMAGED);
    assert_int_equal(firn_log_remove_position(f->log, "a", &f->err), FIRN_EDAMAGED);
    assert_int_equal(firn_log_list_positions(f->log, NULL, NULL, &f->err), FIRN_EDAMAGED);
    assert_int_equal(firn_log_trim(f->log, &keep, false, NULL, &f->err), FIRN_EDAMAGED);
    assert_int_equal(firn_log_verify(f->log, count_findings, &findings, NULL, &f->err),
                     FIRN_EDAMAGED);
    assert_int_equal(findings, 1);
    firn_log_get_info(f->log, &info, NULL);
    assert_int_equal(info.lowest_index, 0);
    snprintf(path, sizeof path, "%s/" NAMED_FILE, f->dir);
    OK(disk_remove(disk_of(f), path, &f->err));
    OK(commit(f, f->log, "a", 18));
    assert_position(f, f->log, "a", 18, false);
}

static void a_later_version_is_refused(void **state)
{
    struct fixture *f = *state;
    struct firn_position position;
    uint8_t page[NAMED_PAGE];
    char path[128];
    struct firn_file *file;
    struct named_table table = {.sequence = 5};
    named_encode(&table, page);
    page[11] = 2;
    store_be_u32(page + NAMED_PAGE - 4, crc32c(0, page, NAMED_PAGE - 4));
    append(f, 1);
    OK(commit(f, f->log, "a", 1));
    snprintf(path, sizeof path, "%s/" NAMED_FILE, f->dir);
    for (uint64_t copy = 0; copy < 2; copy++) {
        OK(disk_open(disk_of(f), path, FIRN_OPEN_WRITE, &file, &f->err));
        OK(disk_write_full(file, page, sizeof page, copy * sizeof page, 0, &f->err));
        disk_close(file);
        assert_int_equal(firn_log_get_position(f->log, "a", &position, &f->err), FIRN_EFORMAT);
        assert_int_equal(commit(f, f->log, "a", 0), FIRN_EFORMAT);
        flip(f, copy * NAMED_PAGE + 100);
    }
}

/* ---- ends ----------------------------------------------------------------------------------- */

static void a_destroyed_log_has_none(void **state)
{
    struct fixture *f = *state;
    struct firn_position position;
    struct firn_file *file;
    char path[128];
    snprintf(path, sizeof path, "%s/theirs", f->dir);
    append(f, 5);
    OK(commit(f, f->log, "a", 5));
    struct firn_log *reader = open_log(f, true);
    OK(disk_open(disk_of(f), path, FIRN_OPEN_WRITE | FIRN_OPEN_CREATE, &file, &f->err));
    disk_close(file);
    OK(firn_log_destroy(f->log, &f->err)); /* the directory stays, with their file */
    assert_int_equal(commit(f, reader, "a", 4), FIRN_ENOENT);
    firn_log_close(reader, NULL);
    OK(disk_remove(disk_of(f), path, &f->err));
    f->log = open_log(f, false);
    append(f, 20);
    assert_int_equal(firn_log_get_position(f->log, "a", &position, &f->err), FIRN_ENOENT);
}

/* A file without its log: nobody's positions. */
static void a_new_log_has_none(void **state)
{
    struct fixture *f = *state;
    struct firn_position position;
    struct firn_file *file;
    char path[128];
    OK(firn_log_destroy(f->log, &f->err));
    OK(disk_make_dirs(disk_of(f), f->dir, &f->err));
    snprintf(path, sizeof path, "%s/" NAMED_FILE, f->dir);
    OK(disk_open(disk_of(f), path, FIRN_OPEN_WRITE | FIRN_OPEN_CREATE, &file, &f->err));
    disk_close(file);
    f->log = open_log(f, false);
    assert_int_equal(firn_log_get_position(f->log, "a", &position, &f->err), FIRN_ENOENT);
    OK(firn_log_list_positions(f->log, NULL, NULL, &f->err));
}

/* ---- at the same time ----------------------------------------------------------------------- */

enum { THREADS = 6, COMMITS = 60 };

struct committer {
    pthread_t thread;
    struct fixture *f;
    struct firn_log *log;
    char name[16], other[16];
    int rc;
};

/* Its position only rises, and it always finds the one that it has stored. */
static void *commit_many(void *arg)
{
    struct committer *committer = arg;
    for (uint64_t i = 1; i <= COMMITS && committer->rc == 0; i++) {
        const struct firn_position both[] = {{.name = committer->name, .index = i},
                                             {.name = committer->other, .index = COMMITS - i}};
        struct firn_position found;
        committer->rc = firn_log_commit_positions(committer->log, both, 2, NULL);
        if (committer->rc == 0)
            committer->rc = firn_log_get_position(committer->log, committer->name, &found, NULL);
        if (committer->rc == 0 && found.index != i)
            committer->rc = FIRN_EDAMAGED;
        if (committer->rc == 0 && i % 8 == 0)
            committer->rc = firn_log_remove_position(committer->log, committer->other, NULL);
    }
    return NULL;
}

/* Three of them share a handle; the writer trims meanwhile. */
static void threads_commit(void **state)
{
    struct fixture *f = *state;
    const struct firn_retention keep = {.max_records = 10, .keep_unread = true};
    struct committer committers[THREADS];
    struct firn_trimmed trimmed;
    uint64_t lowest = 0;
    append(f, COMMITS);
    struct firn_log *reader = open_log(f, true);
    for (int i = 0; i < THREADS; i++) {
        struct committer *committer = &committers[i];
        *committer = (struct committer){.f = f, .log = i % 2 ? reader : f->log};
        snprintf(committer->name, sizeof committer->name, "up%d", i);
        snprintf(committer->other, sizeof committer->other, "down%d", i);
        OK(commit(f, f->log, committer->name, 0));
        assert_int_equal(pthread_create(&committer->thread, NULL, commit_many, committer), 0);
    }
    for (int i = 0; i < 20; i++) {
        OK(firn_log_trim(f->log, &keep, false, &trimmed, &f->err));
        assert_true(trimmed.next_index >= lowest);
        lowest = trimmed.next_index;
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(committers[i].thread, NULL);
        assert_int_equal(committers[i].rc, 0);
        assert_position(f, f->log, committers[i].name, COMMITS, false);
    }
    firn_log_close(reader, NULL);
}

/* Another process follows, and commits what it read. */
static void another_process_commits(void **state)
{
    struct fixture *f = *state;
    const struct firn_retention keep = {.max_records = 1, .keep_unread = true};
    struct firn_trimmed trimmed;
    int status;
    append(f, COMMITS);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct committer committer = {.f = f, .name = "up", .other = "down"};
        const struct firn_log_options options = {.read_only = true};
        if (firn_log_open(f->dir, &options, &committer.log, &f->err) < 0)
            _exit(2);
        commit_many(&committer);
        firn_log_close(committer.log, NULL);
        _exit(committer.rc == 0 ? 0 : 1);
    }
    struct committer own = {.f = f, .log = f->log, .name = "own", .other = "other"};
    commit_many(&own);
    assert_int_equal(own.rc, 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_position(f, f->log, "up", COMMITS, false);
    assert_position(f, f->log, "own", COMMITS, false);
    assert_position(f, f->log, "down", 0, false);
    OK(firn_log_trim(f->log, &keep, false, &trimmed, &f->err));
    assert_int_equal(trimmed.next_index, 0);
}

#define BOTH(test)                                                                                 \
    {#test ", in memory", test, setup_memory, teardown, NULL},                                     \
    {                                                                                              \
#test ", on files", test, setup_files, teardown, NULL                                      \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(positions_are_kept),
        BOTH(what_is_wrong_is_refused),
        BOTH(many_are_listed_in_order),
        BOTH(a_truncation_takes_them_back),
        BOTH(a_late_commit_is_taken_back),
        BOTH(what_is_unread_stays),
        BOTH(the_background_is_not_held_up),
        BOTH(one_damaged_copy_costs_nothing),
        BOTH(two_damaged_copies_are_an_error),
        BOTH(a_later_version_is_refused),
        BOTH(a_destroyed_log_has_none),
        BOTH(a_new_log_has_none),
        BOTH(threads_commit),
        {"another_process_commits", another_process_commits, setup_files, teardown, NULL},
    };
    alarm(100); /* a wait that nobody ends is a failure */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
