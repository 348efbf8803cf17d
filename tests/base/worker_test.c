/* SPDX-License-Identifier: MIT */
#include "base_test.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/lock.h"
#include "base/wait.h"
#include "base/worker.h"
#include "lib/prng.h"
#include "threads.h"

#define MS UINT64_C(1000000)

/* ---- manual workers: order ---- */

enum { MOST = 30 }; /* names from 'a' on */

struct journal {
    char text[100]; /* the names of the tasks that ran */
};

struct step {
    struct worker_task task;
    struct worker *worker;
    struct journal *journal;
    char name;
    struct step *posts; /* when it runs */
    uint64_t posts_at;  /* 0: at once */
    unsigned again;     /* how often it posts itself */
    size_t nested;
};

static void run_step(void *arg)
{
    struct step *step = arg;
    char name[2] = {step->name, '\0'};
    assert_true(strlen(step->journal->text) < sizeof step->journal->text - 1);
    strcat(step->journal->text, name);
    if (step->posts != NULL && step->posts_at > 0)
        worker_post_at(step->worker, &step->posts->task, step->posts_at);
    else if (step->posts != NULL)
        worker_post(step->worker, &step->posts->task);
    if (step->again > 0) {
        step->again--;
        worker_post(step->worker, &step->task);
    }
    step->nested = worker_run_all(step->worker);
}

struct stage {
    struct worker *worker;
    struct journal journal;
    struct step steps[MOST];
};

/* Steps a, b, c ... ; capitals are urgent. */
static void stage_init(struct stage *stage, const char *names)
{
    memset(stage, 0, sizeof *stage);
    assert_int_equal(worker_new(true, &stage->worker), 0);
    for (size_t i = 0; names[i] != '\0'; i++) {
        struct step *step = &stage->steps[i];
        step->worker = stage->worker;
        step->journal = &stage->journal;
        step->name = names[i];
        enum worker_priority priority = names[i] < 'a' ? WORKER_URGENT : WORKER_NORMAL;
        assert_int_equal(worker_task_init(stage->worker, &step->task, run_step, step, priority), 0);
    }
}

static void stage_done(struct stage *stage)
{
    for (size_t i = 0; i < MOST; i++)
        worker_task_done(&stage->steps[i].task); /* those that were never used are zeroed */
    worker_free(stage->worker);
}

static void post(struct stage *stage, size_t step)
{
    worker_post(stage->worker, &stage->steps[step].task);
}

static void post_at(struct stage *stage, size_t step, uint64_t due_ns)
{
    worker_post_at(stage->worker, &stage->steps[step].task, due_ns);
}

static void expect_run(struct stage *stage, const char *names)
{
    stage->journal.text[0] = '\0';
    assert_int_equal(worker_run_all(stage->worker), strlen(names));
    assert_string_equal(stage->journal.text, names);
}

static void order_is_that_of_posting(void **state)
{
    (void)state;
    struct stage stage;
    stage_init(&stage, "abc");
    expect_run(&stage, "");
    post(&stage, 1);
    post(&stage, 0);
    post(&stage, 2);
    post(&stage, 1); /* waits already */
    expect_run(&stage, "bac");
    expect_run(&stage, "");
    assert_int_equal(worker_tasks_run(stage.worker), 3);
    stage_done(&stage);
}

static void urgent_ones_come_first(void **state)
{
    (void)state;
    struct stage stage;
    stage_init(&stage, "aBcD");
    for (size_t i = 0; i < 4; i++)
        post(&stage, i);
    expect_run(&stage, "BDac");
    stage_done(&stage);
}

static void normal_ones_do_not_starve(void **state)
{
    (void)state;
    struct stage stage;
    stage_init(&stage, "aB");
    stage.steps[1].again = 2 * WORKER_URGENT_ROW;
    post(&stage, 0);
    post(&stage, 1);
    stage.journal.text[0] = '\0';
    assert_int_equal(worker_run_all(stage.worker), 2 * WORKER_URGENT_ROW + 2);
    assert_int_equal(strcspn(stage.journal.text, "a"), WORKER_URGENT_ROW);
    stage_done(&stage);
}

static void timers_come_in_due_order(void **state)
{
    (void)state;
    struct stage stage;
    stage_init(&stage, "abcdeF");
    uint64_t later = wait_deadline(3600 * 1000 * MS);
    post_at(&stage, 0, later + 2);
    post_at(&stage, 1, later + 1);
    post_at(&stage, 2, later + 2);
    post_at(&stage, 3, 0);
    post(&stage, 4);
    post_at(&stage, 5, later + 3);
    expect_run(&stage, "Fedbac");
    expect_run(&stage, "");
    stage_done(&stage);
}

static void what_comes_first_counts(void **state)
{
    (void)state;
    struct stage stage;
    stage_init(&stage, "abc");
    post_at(&stage, 0, 30);
    post_at(&stage, 1, 20);
    post_at(&stage, 0, 10); /* sooner */
    post_at(&stage, 1, 40); /* later: no effect */
    expect_run(&stage, "ab");
    post_at(&stage, 0, 10);
    post_at(&stage, 1, 20);
    post_at(&stage, 2, 5);
    post(&stage, 1);       /* now */
    post_at(&stage, 1, 1); /* is ready already */
    expect_run(&stage, "bca");
    stage_done(&stage);
}

static void tasks_post_tasks(void **state)
{
    (void)state;
    struct stage stage;
    stage_init(&stage, "abcd");
    stage.steps[0].posts = &stage.steps[1];
    stage.steps[1].again = 2;
    stage.steps[2].posts = &stage.steps[3]; /* a timer: for the next call */
    stage.steps[2].posts_at = 1;
    post(&stage, 0);
    post(&stage, 2);
    expect_run(&stage, "acbbb");
    assert_int_equal(stage.steps[0].nested, 0);
    expect_run(&stage, "d");
    stage_done(&stage);
}

static void cancelled_tasks_do_not_run(void **state)
{
    (void)state;
    struct stage stage;
    stage_init(&stage, "abcdef");
    for (size_t i = 0; i < 3; i++)
        post(&stage, i);
    for (size_t i = 3; i < 6; i++)
        post_at(&stage, i, i);
    static const size_t cancelled[] = {1, 0, 3};
    for (size_t i = 0; i < 3; i++)
        worker_cancel(stage.worker, &stage.steps[cancelled[i]].task);
    worker_cancel(stage.worker, &stage.steps[1].task); /* not queued: fine */
    expect_run(&stage, "cef");
    post(&stage, 0); /* can be used again */
    expect_run(&stage, "a");
    post(&stage, 1);
    post_at(&stage, 4, 1);
    stage_done(&stage); /* cancels */
}

/* Random operations against a model that is sorted anew each time. */
static void many_timers_are_sorted(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct prng prng = prng_new(seed);
        struct stage stage;
        char names[MOST + 1] = {0}, want[MOST + 1] = {0};
        uint64_t due[MOST] = {0};
        for (int i = 0; i < MOST; i++)
            names[i] = (char)('a' + i);
        stage_init(&stage, names);
        for (int i = 0; i < 300; i++) {
            size_t at = prng_below(&prng, MOST);
            if (prng_below(&prng, 3) == 0) {
                worker_cancel(stage.worker, &stage.steps[at].task);
                due[at] = 0;
                continue;
            }
            uint64_t when = 1000 * (1 + prng_below(&prng, 1000)) + (uint64_t)at; /* no ties */
            post_at(&stage, at, when);
            if (due[at] == 0 || when < due[at])
                due[at] = when;
        }
        for (size_t n = 0;; n++) {
            size_t least = MOST;
            for (size_t i = 0; i < MOST; i++) {
                if (due[i] > 0 && (least == MOST || due[i] < due[least]))
                    least = i;
            }
            if (least == MOST)
                break;
            want[n] = names[least];
            due[least] = 0;
        }
        stage.journal.text[0] = '\0';
        worker_run_all(stage.worker);
        if (strcmp(stage.journal.text, want) != 0)
            fail_msg("seed %d: %s, not %s", (int)seed, stage.journal.text, want);
        stage_done(&stage);
    }
}

static void free_itself(void *arg)
{
    struct worker_task *task = arg;
    worker_cancel(task->worker, task);
    worker_post(task->worker, task);
    worker_task_done(task);
    free(task);
}

static void a_task_may_free_itself(void **state)
{
    (void)state;
    for (int manual = 0; manual < 2; manual++) {
        struct worker *worker;
        assert_int_equal(worker_new(manual == 1, &worker), 0);
        for (int i = 0; i < 100; i++) {
            struct worker_task *task = malloc(sizeof *task);
            assert_non_null(task);
            assert_int_equal(worker_task_init(worker, task, free_itself, task, WORKER_NORMAL), 0);
            worker_post(worker, task);
        }
        while (worker_tasks_run(worker) < 100)
            (void)worker_run_all(worker);
        worker_free(worker);
    }
}

/* ---- the thread ---- */

struct counter {
    struct worker_task task;
    struct wait_word ran;
    uint64_t not_before;
    unsigned early;
};

static void run_counter(void *arg)
{
    struct counter *counter = arg;
    if (wait_now_ns() < counter->not_before)
        counter->early++;
    wait_bump_and_wake_all(&counter->ran);
}

static void counter_init(struct counter *counter, struct worker *worker)
{
    *counter = (struct counter){0};
    wait_word_init(&counter->ran);
    assert_int_equal(worker_task_init(worker, &counter->task, run_counter, counter, WORKER_NORMAL),
                     0);
}

static void counter_done(struct counter *counter)
{
    worker_task_done(&counter->task);
    wait_word_done(&counter->ran);
}

static void wait_for_runs(struct counter *counter, uint32_t runs)
{
    uint32_t seen;
    while ((seen = wait_load(&counter->ran)) < runs)
        (void)wait_until_changed(&counter->ran, seen, WAIT_FOREVER);
}

static void the_thread_runs_what_is_posted(void **state)
{
    (void)state;
    struct worker *worker;
    struct counter counter;
    assert_int_equal(worker_new(false, &worker), 0);
    counter_init(&counter, worker);
    for (uint32_t i = 0; i < 1000; i++) {
        worker_post(worker, &counter.task);
        wait_for_runs(&counter, i + 1);
    }
    assert_int_equal(worker_run_all(worker), 0); /* not its way */
    counter_done(&counter);
    worker_free(worker);
    worker_free(NULL);
}

/* A far timer first, so that the thread sleeps for long when the near one comes. */
static void timers_wake_the_thread(void **state)
{
    (void)state;
    struct worker *worker;
    struct counter far, near;
    assert_int_equal(worker_new(false, &worker), 0);
    counter_init(&far, worker);
    counter_init(&near, worker);
    worker_post_at(worker, &far.task, wait_deadline(3600 * 1000 * MS));
    near.not_before = wait_deadline(5 * MS);
    worker_post_at(worker, &near.task, near.not_before);
    wait_for_runs(&near, 1);
    worker_post_at(worker, &near.task, 1);
    wait_for_runs(&near, 2);
    assert_int_equal(near.early, 0);
    assert_int_equal(wait_load(&far.ran), 0);
    worker_post_at(worker, &far.task, wait_now_ns());
    wait_for_runs(&far, 1);
    counter_done(&far);
    counter_done(&near);
    worker_free(worker);
}

struct mask {
    struct worker_task task;
    sigset_t blocked;
};

static void note_mask(void *arg)
{
    struct mask *mask = arg;
    pthread_sigmask(SIG_SETMASK, NULL, &mask->blocked);
}

static void signals_are_not_for_the_thread(void **state)
{
    (void)state;
    struct worker *worker;
    struct mask mask;
    sigset_t before, after;
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    assert_int_equal(worker_new(false, &worker), 0);
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    assert_int_equal(worker_task_init(worker, &mask.task, note_mask, &mask, WORKER_URGENT), 0);
    worker_post(worker, &mask.task);
    while (worker_tasks_run(worker) == 0)
        continue;
    worker_task_done(&mask.task); /* waits until it has run */
    worker_free(worker);
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGALRM, SIGCHLD, SIGPIPE};
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        assert_int_equal(sigismember(&mask.blocked, signals[i]), 1);
        assert_int_equal(sigismember(&after, signals[i]), sigismember(&before, signals[i]));
    }
}

/* Posts itself many times; who cancels it meanwhile finds it gone for good. */
struct stubborn {
    struct worker_task task;
    struct worker *worker;
    struct wait_word runs;
};

static void insist(void *arg)
{
    struct stubborn *stubborn = arg;
    wait_bump_and_wake_all(&stubborn->runs);
    for (int i = 0; i < 100; i++) {
        worker_post(stubborn->worker, &stubborn->task);
        sched_yield();
    }
}

static void cancelling_outlasts_a_task_that_posts_itself(void **state)
{
    (void)state;
    struct worker *worker;
    struct stubborn stubborn = {0};
    struct counter counter;
    assert_int_equal(worker_new(false, &worker), 0);
    stubborn.worker = worker;
    wait_word_init(&stubborn.runs);
    assert_int_equal(worker_task_init(worker, &stubborn.task, insist, &stubborn, WORKER_URGENT), 0);
    counter_init(&counter, worker);
    uint32_t runs = 0;
    for (uint32_t round = 0; round < 100; round++) {
        worker_post(worker, &stubborn.task);
        while (wait_load(&stubborn.runs) == runs)
            (void)wait_until_changed(&stubborn.runs, runs, WAIT_FOREVER);
        worker_cancel(worker, &stubborn.task);
        runs = wait_load(&stubborn.runs);
        worker_post(worker, &counter.task); /* of less haste: would come after it */
        wait_for_runs(&counter, round + 1);
        assert_int_equal(wait_load(&stubborn.runs), runs);
    }
    counter_done(&counter);
    worker_task_done(&stubborn.task);
    wait_word_done(&stubborn.runs);
    worker_free(worker);
}

/* ---- stress ---- */

/*
 * Threads post, set timers and cancel, each its own tasks and those of others; the tasks post
 * themselves now and then. A task never runs twice at a time, and not after it was cancelled.
 */
enum { THREADS = 4, TASKS = 8, TURNS = 3000 };

struct busy {
    struct worker_task task;
    struct worker *worker;
    unsigned runs; /* plain: only the one who runs tasks changes it */
    _Atomic int inside;
    struct lock alive_lock; /* guards being cancelled against being posted */
    _Atomic bool cancelled;
};

struct bustle {
    struct worker *worker;
    _Atomic unsigned cancels;
    struct busy tasks[TASKS];
};

static void run_busy(void *arg)
{
    struct busy *busy = arg;
    THREAD_CHECK(atomic_fetch_add(&busy->inside, 1) == 0);
    THREAD_CHECK(!atomic_load(&busy->cancelled));
    busy->runs++;
    if (busy->runs % 7 == 0)
        worker_post(busy->worker, &busy->task);
    else if (busy->runs % 11 == 0)
        worker_post_at(busy->worker, &busy->task, wait_now_ns() + 1000);
    atomic_fetch_sub(&busy->inside, 1);
}

static void cancel_and_look(struct busy *busy)
{
    worker_cancel(busy->worker, &busy->task);
    atomic_store(&busy->cancelled, true);
    THREAD_CHECK(atomic_load(&busy->inside) == 0);
    busy->runs++; /* nobody else touches it now: the thread sanitizer's business */
    atomic_store(&busy->cancelled, false);
}

static void make_bustle(void *shared, unsigned number)
{
    struct bustle *bustle = shared;
    struct prng prng = prng_new(number);
    for (int i = 0; i < TURNS; i++) {
        struct busy *busy = &bustle->tasks[prng_below(&prng, TASKS)];
        lock_take(&busy->alive_lock);
        switch (prng_below(&prng, 8)) {
        case 0:
            cancel_and_look(busy);
            atomic_fetch_add(&bustle->cancels, 1);
            break;
        case 1:
        case 2:
            worker_post_at(bustle->worker, &busy->task, wait_now_ns() + prng_below(&prng, 20000));
            break;
        default:
            worker_post(bustle->worker, &busy->task);
        }
        lock_release(&busy->alive_lock);
        if (number == 0)
            (void)worker_run_all(bustle->worker);
    }
}

static void bustle_on(bool manual)
{
    struct bustle bustle = {0};
    assert_int_equal(worker_new(manual, &bustle.worker), 0);
    for (size_t i = 0; i < TASKS; i++) {
        struct busy *busy = &bustle.tasks[i];
        busy->worker = bustle.worker;
        lock_init(&busy->alive_lock);
        assert_int_equal(worker_task_init(bustle.worker, &busy->task, run_busy, busy,
                                          i % 2 ? WORKER_URGENT : WORKER_NORMAL),
                         0);
    }
    threads_run(THREADS, make_bustle, &bustle);
    unsigned runs = 0;
    for (size_t i = 0; i < TASKS; i++) {
        worker_task_done(&bustle.tasks[i].task);
        lock_done(&bustle.tasks[i].alive_lock);
        runs += bustle.tasks[i].runs;
    }
    assert_int_equal(runs, worker_tasks_run(bustle.worker) + bustle.cancels);
    worker_free(bustle.worker);
}

static void stress_with_a_thread(void **state)
{
    (void)state;
    bustle_on(false);
}

static void stress_without_a_thread(void **state)
{
    (void)state;
    bustle_on(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order_is_that_of_posting),
        cmocka_unit_test(urgent_ones_come_first),
        cmocka_unit_test(normal_ones_do_not_starve),
        cmocka_unit_test(timers_come_in_due_order),
        cmocka_unit_test(what_comes_first_counts),
        cmocka_unit_test(tasks_post_tasks),
        cmocka_unit_test(cancelled_tasks_do_not_run),
        cmocka_unit_test(many_timers_are_sorted),
        cmocka_unit_test(a_task_may_free_itself),
        cmocka_unit_test(the_thread_runs_what_is_posted),
        cmocka_unit_test(timers_wake_the_thread),
        cmocka_unit_test(signals_are_not_for_the_thread),
        cmocka_unit_test(cancelling_outlasts_a_task_that_posts_itself),
        cmocka_unit_test(stress_with_a_thread),
        cmocka_unit_test(stress_without_a_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
