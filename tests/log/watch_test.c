/* SPDX-License-Identifier: MIT */
/* Watches: descriptors that say that there is more, in the writer's handle and in others. */
#include <poll.h>
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

enum { SEGMENT = 600, MANY = 2000, AT_MOST_MS = 60000 };

struct fixture {
    struct firn_log *writer, *reader;
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
    const struct firn_log_options options = {.segment_bytes = SEGMENT, .read_only = read_only};
    struct firn_log *log;
    OK(firn_log_open(f->dir, &options, &log, &f->err));
    return log;
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    const char *tmp = getenv("TMPDIR");
    *state = f;
    snprintf(f->dir, sizeof f->dir, "%s/firn-watch-XXXXXX", tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(f->dir));
    f->writer = open_log(f, false);
    f->reader = open_log(f, true);
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    firn_log_close(f->reader, NULL);
    if (!f->writer)
        f->writer = open_log(f, false);
    OK(firn_log_destroy(f->writer, &f->err));
    free(f);
    return 0;
}

static int append_to(struct firn_log *log, uint64_t number, struct firn_error *err)
{
    struct firn_record record = {.timestamp = 1000, .value = {&number, sizeof number}};
    return firn_log_append(log, &record, 1, NULL, NULL, err);
}

static bool is_readable(int fd, int timeout_ms)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    return poll(&poll_fd, 1, timeout_ms) == 1;
}

static void tells_when_there_is_more(void **state)
{
    struct fixture *f = *state;
    struct firn_log *both[] = {f->writer, f->reader};
    struct firn_watch *watches[2];
    int fds[2];
    uint64_t next = 0;
    for (int i = 0; i < 2; i++) {
        OK(firn_watch_open(both[i], next, &watches[i], &fds[i], &f->err));
        assert_false(is_readable(fds[i], 0));
    }
    for (; next < 50; next++) {
        OK(append_to(f->writer, next, &f->err));
        for (int i = 0; i < 2; i++) {
            assert_true(is_readable(fds[i], AT_MOST_MS));
            firn_watch_set(watches[i], next);
            assert_true(is_readable(fds[i], 0));
            firn_watch_set(watches[i], next + 2);
            assert_false(is_readable(fds[i], 0));
            firn_watch_set(watches[i], next + 1);
            assert_false(is_readable(fds[i], 0));
        }
    }
    OK(firn_log_truncate(f->writer, 20, &f->err));
    for (int i = 0; i < 2; i++) {
        firn_watch_set(watches[i], 20);
        assert_false(is_readable(fds[i], 1));
    }
    OK(append_to(f->writer, 20, &f->err));
    for (int i = 0; i < 2; i++) {
        assert_true(is_readable(fds[i], AT_MOST_MS));
        firn_watch_close(watches[i]);
    }
    firn_watch_close(NULL);
}

/* A record that is there already; several watches on one handle; a handle that is interrupted. */
static void begins_and_ends(void **state)
{
    struct fixture *f = *state;
    struct firn_watch *watches[4];
    int fds[4];
    OK(append_to(f->writer, 0, &f->err));
    for (unsigned i = 0; i < 4; i++) {
        OK(firn_watch_open(f->reader, i, &watches[i], &fds[i], &f->err));
        assert_int_equal(is_readable(fds[i], 0), i == 0);
    }
    OK(append_to(f->writer, 1, &f->err));
    assert_true(is_readable(fds[1], AT_MOST_MS));
    assert_false(is_readable(fds[2], 0));
    firn_log_interrupt(f->reader);
    for (unsigned i = 2; i < 4; i++)
        assert_true(is_readable(fds[i], AT_MOST_MS));
    assert_int_equal(firn_log_wait(f->reader, 2, 0, &f->err), FIRN_ECLOSED);
    for (unsigned i = 0; i < 4; i++)
        firn_watch_close(watches[i]);
}

static int no_descriptor(struct firn_disk *disk, struct firn_event **event, int *fd,
                         struct firn_error *err)
{
    (void)disk;
    (void)err;
    *event = NULL;
    *fd = -1;
    return 0;
}

static void a_storage_may_have_no_descriptors(void **state)
{
    struct fixture *f = *state;
    struct firn_disk_ops ops = *firn_disk_posix()->ops;
    struct firn_disk disk = {.ops = &ops};
    const struct firn_log_options options = {.disk = &disk, .read_only = true};
    struct firn_log *log;
    struct firn_watch *watch;
    int fd;
    ops.event_new = no_descriptor;
    OK(firn_log_open(f->dir, &options, &log, &f->err));
    assert_int_equal(firn_watch_open(log, 0, &watch, &fd, &f->err), FIRN_ENOTSUP);
    OK(firn_log_close(log, &f->err));
}

/* ---- event loops ---------------------------------------------------------------------------- */

/* Reads MANY records as an event loop does. 0, or the line that was wrong. */
static int follow(struct firn_log *log)
{
    struct firn_cursor *cursor;
    struct firn_watch *watch;
    const struct firn_record *record;
    int fd, rc;
    uint64_t index = 0, number;
    if (firn_cursor_open(log, NULL, &cursor, NULL) < 0 ||
        firn_watch_open(log, 0, &watch, &fd, NULL) < 0)
        return __LINE__;
    while (index < MANY) {
        if (!is_readable(fd, AT_MOST_MS))
            return __LINE__;
        while ((rc = firn_cursor_next(cursor, &record, NULL)) == 0) {
            memcpy(&number, record->value.data, sizeof number);
            if (number != index || record->index != index)
                return __LINE__;
            index++;
        }
        if (rc != FIRN_EEND)
            return __LINE__;
        firn_watch_set(watch, index);
    }
    firn_watch_close(watch);
    firn_cursor_close(cursor);
    return index == MANY ? 0 : __LINE__;
}

static void *follow_in_thread(void *arg)
{
    return (void *)(intptr_t)follow(arg);
}

static void nothing_is_missed(void **state)
{
    struct fixture *f = *state;
    struct firn_log *both[] = {f->writer, f->reader};
    pthread_t threads[2];
    void *result;
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, follow_in_thread, both[i]), 0);
    for (uint64_t index = 0; index < MANY; index++)
        OK(append_to(f->writer, index, &f->err));
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], &result);
        assert_int_equal((intptr_t)result, 0);
    }
}

enum { LIVES = 4 };

/* Appends its part of MANY; ends without closing, every other time. */
static int live(struct fixture *f, uint64_t life)
{
    const struct firn_log_options options = {.segment_bytes = SEGMENT};
    struct firn_log *log;
    int rc = firn_log_open(f->dir, &options, &log, NULL);
    for (uint64_t i = 0; rc == 0 && i < MANY / LIVES; i++)
        rc = append_to(log, life * (MANY / LIVES) + i, NULL);
    if (rc == 0 && life % 2 == 0)
        rc = firn_log_close(log, NULL);
    return rc;
}

static bool succeeds(pid_t child)
{
    int status;
    return waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* Processes, one after another, when a byte comes. (A child that makes threads must be forked by a
 * process without any: the sanitizer wants it so.) */
static pid_t start_lives(struct fixture *f, int start)
{
    pid_t parent = fork();
    if (parent != 0)
        return parent;
    char byte;
    bool good = read(start, &byte, 1) == 1;
    for (uint64_t i = 0; good && i < LIVES; i++) {
        pid_t child = fork();
        if (child == 0)
            _exit(live(f, i) == 0 ? 0 : 1);
        good = child > 0 && succeeds(child);
    }
    _exit(good ? 0 : 1);
}

/* The writer is another process, which comes and goes. */
static void another_process_writes(void **state)
{
    struct fixture *f = *state;
    pthread_t thread;
    void *result;
    int start[2];
    OK(firn_log_close(f->writer, &f->err));
    f->writer = NULL;
    assert_int_equal(pipe(start), 0);
    pid_t parent = start_lives(f, start[0]);
    assert_true(parent > 0);
    assert_int_equal(pthread_create(&thread, NULL, follow_in_thread, f->reader), 0);
    assert_int_equal(write(start[1], "", 1), 1);
    assert_true(succeeds(parent));
    pthread_join(thread, &result);
    assert_int_equal((intptr_t)result, 0);
    close(start[0]);
    close(start[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(another_process_writes, setup, teardown),
        cmocka_unit_test_setup_teardown(tells_when_there_is_more, setup, teardown),
        cmocka_unit_test_setup_teardown(begins_and_ends, setup, teardown),
        cmocka_unit_test_setup_teardown(a_storage_may_have_no_descriptors, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_is_missed, setup, teardown),
    };
    alarm(100); /* a wait that nobody ends is a failure */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
