/* SPDX-License-Identifier: MIT */
/* Commits of positions that come while one is under way are stored together. */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <firn/firn.h>

#include "log/log_private.h"

enum { THREADS = 8 };

struct committer {
    pthread_t thread;
    struct firn_log *log;
    char name[16];
    int rc;
};

/* The last one removes what is not there: its own error, and nobody else's. */
static void *commit(void *arg)
{
    struct committer *committer = arg;
    const struct firn_position position = {.name = committer->name};
    if (strcmp(committer->name, "none") == 0)
        committer->rc = firn_log_remove_position(committer->log, "none", NULL);
    else
        committer->rc = firn_log_commit_positions(committer->log, &position, 1, NULL);
    return NULL;
}

static size_t count_waiting(struct named *named)
{
    size_t count = 0;
    pthread_mutex_lock(&named->lock);
    for (struct named_request *request = named->first; request; request = request->next)
        count++;
    pthread_mutex_unlock(&named->lock);
    return count;
}

static int count(void *arg, const struct firn_position *position)
{
    (void)position;
    ++*(int *)arg;
    return 0;
}

static void who_waits_is_stored_together(void **state)
{
    (void)state;
    struct firn_log_options options = {0};
    struct firn_log *log;
    struct firn_log_stats stats;
    struct firn_lock *lock;
    struct committer committers[THREADS];
    int listed = 0;
    assert_int_equal(firn_disk_memory_new(&options.disk, NULL), 0);
    assert_int_equal(firn_log_open("log", &options, &log, NULL), 0);
    assert_int_equal(disk_lock(options.disk, "log/" NAMED_LOCK, &lock, NULL, NULL), 0);
    for (int i = 0; i < THREADS; i++) {
        struct committer *committer = &committers[i];
        *committer = (struct committer){.log = log};
        if (i < THREADS - 1)
            snprintf(committer->name, sizeof committer->name, "n%d", i);
        else
            strcpy(committer->name, "none");
        assert_int_equal(pthread_create(&committer->thread, NULL, commit, committer), 0);
    }
    while (count_waiting(&log->named) < THREADS - 1) /* the first one waits for the lock */
        sched_yield();
    disk_unlock(options.disk, lock);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(committers[i].thread, NULL);
        assert_int_equal(committers[i].rc, i < THREADS - 1 ? 0 : FIRN_ENOENT);
    }
    firn_log_get_stats(log, &stats);
    assert_int_equal(stats.position_commits, THREADS - 1);
    assert_in_range(stats.position_stores, 1, 2);
    assert_int_equal(firn_log_list_positions(log, count, &listed, NULL), 0);
    assert_int_equal(listed, THREADS - 1);
    assert_int_equal(firn_log_close(log, NULL), 0);
    firn_disk_free(options.disk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(who_waits_is_stored_together)};
    alarm(100); /* a wait that nobody ends is a failure */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
