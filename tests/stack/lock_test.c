/* SPDX-License-Identifier: MIT */
/* One handle at a time, and no other program beside it. */
#include "fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- handles ---- */

static void has_one_handle(void **state)
{
    struct fixture *f = *state;
    struct firn_stack *other = NULL;
    for (int ways = 0; ways < 8; ways++) {
        struct firn_stack_options options = f->options;
        f->options.no_journal = ways & 1;
        options.no_journal = ways & 2;
        options.read_only = ways & 4;
        fixture_open(f);
        OK(firn_stack_push(f->stack, "x", 1, NULL, &f->err));
        FAILS(firn_stack_open(f->path, &options, &other, &f->err), FIRN_ELOCKED);
        assert_non_null(strstr(f->err.message, f->path));
        assert_null(other);
        fixture_close(f);
    }
    fixture_open(f);
    expect(f, "xxxxxxxx", 8);
}

/* By any of its names. */
static void is_one_stack_by_a_link(void **state)
{
    struct fixture *f = *state;
    struct firn_stack *other = NULL;
    char link[96];
    snprintf(link, sizeof link, "%s.link", f->path);
    assert_int_equal(symlink("stack", link), 0);
    FAILS(firn_stack_open(link, &f->options, &other, &f->err), FIRN_ELOCKED);
    OK(firn_stack_push(f->stack, "abc", 3, NULL, &f->err));
    fixture_close(f);
    OK(firn_stack_open(link, &f->options, &other, &f->err));
    OK(firn_stack_push(other, "def", 3, NULL, &f->err));
    FAILS(fixture_try_open(f), FIRN_ELOCKED);
    OK(firn_stack_close(other, &f->err));
    fixture_open(f);
    expect(f, "abcdef", 6);
}

/* ---- another program ---- */

static int lock_otherwise(const struct fixture *f)
{
    int fd = open(f->path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        return fd;
    assert_int_equal(errno, EWOULDBLOCK);
    close(fd);
    return -1;
}

static void keeps_other_programs_out(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(lock_otherwise(f), -1);
    OK(firn_stack_push(f->stack, "abc", 3, NULL, &f->err));
    assert_int_equal(lock_otherwise(f), -1);
    fixture_close(f);
    int fd = lock_otherwise(f);
    assert_true(fd >= 0);
    for (int ways = 0; ways < 4; ways++) {
        f->options.no_journal = ways & 1;
        f->options.read_only = ways & 2;
        FAILS(fixture_try_open(f), FIRN_ELOCKED);
        assert_non_null(strstr(f->err.message, "another program"));
    }
    close(fd);
    f->options.no_journal = f->options.read_only = false;
    fixture_open(f);
    expect(f, "abc", 3);
}

/* A process that was forked, and lives on, does not keep it. */
static void a_child_keeps_nothing(void **state)
{
    struct fixture *f = *state;
    int ends[2];
    char byte = 0;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        close(ends[1]);
        _exit(read(ends[0], &byte, 1) == 0 ? 0 : 1);
    }
    assert_true(child > 0);
    fixture_reopen(f);
    fixture_close(f);
    close(ends[0]);
    close(ends[1]);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

#define BOTH(test) TEST_IN(test, on_files), TEST_IN(test, single_files)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLOSED_IN(has_one_handle, in_memory),
        CLOSED_IN(has_one_handle, on_files),
        CLOSED_IN(has_one_handle, in_simulator),
        TEST_IN(is_one_stack_by_a_link, on_files),
        TEST_IN(is_one_stack_by_a_link, single_files),
        BOTH(keeps_other_programs_out),
        BOTH(a_child_keeps_nothing),
    };
    return cmocka_run_group_tests_name("stack/lock", tests, NULL, NULL);
}
