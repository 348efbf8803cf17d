/* SPDX-License-Identifier: MIT */
/*
 * Every allocation of the simulator made to fail once: the call says so, made again it works, and
 * the end is the same. (That nothing leaks is for the sanitizers to say.)
 */
#include "lib/alloc.h"
#include "support.h"

/* ---- the calls ------------------------------------------------------------------------------ */

/* What the calls leave for the next ones. */
struct things {
    struct firn_faulty *sim;
    struct firn_disk *disk;
    struct firn_faulty *copy;
    struct firn_file *file;
    struct firn_lock *lock;
    struct firn_share *share;
    void *memory;
};

static uint8_t data[9000];

static int put(struct firn_file *file, uint64_t offset, unsigned flags)
{
    struct iovec iov = {.iov_base = data, .iov_len = sizeof(data)};
    size_t done = 0;
    int rc = file->ops->writev(file, &iov, 1, offset, flags, &done, NULL);
    assert_true(rc != 0 || done == sizeof(data));
    return rc;
}

static int new_sim(struct things *t)
{
    int rc = firn_faulty_new(NULL, &t->sim, NULL);
    t->disk = rc == 0 ? firn_faulty_disk(t->sim) : NULL;
    return rc;
}

static int make_dir(struct things *t)
{
    return t->disk->ops->make_dir(t->disk, "d", NULL);
}

static int open_file(struct things *t)
{
    return t->disk->ops->open(t->disk, "d/f", FIRN_OPEN_WRITE | FIRN_OPEN_CREATE, &t->file, NULL);
}

static int reserve(struct things *t)
{
    return t->file->ops->reserve(t->file, 0, 300000, NULL);
}

static int write_plain(struct things *t)
{
    memset(data, 1, sizeof(data));
    return put(t->file, 100, 0);
}

static int write_durable(struct things *t)
{
    memset(data, 2, sizeof(data));
    return put(t->file, 5000, FIRN_WRITE_DURABLE);
}

static int shrink(struct things *t)
{
    return t->file->ops->truncate(t->file, 12345, NULL);
}

static int sync_file(struct things *t)
{
    return t->file->ops->sync(t->file, NULL);
}

static int write_again(struct things *t)
{
    memset(data, 3, sizeof(data));
    return put(t->file, 2000, 0);
}

static int lose(struct things *t)
{
    return firn_faulty_lose(t->sim, "d/f", 0, NULL);
}

static int rename_file(struct things *t)
{
    return t->disk->ops->rename(t->disk, "d/f", "d/g", NULL);
}

static int make_link(struct things *t)
{
    return t->disk->ops->make_link(t->disk, "target", "d/l", NULL);
}

static int remove_link(struct things *t)
{
    return t->disk->ops->remove(t->disk, "d/l", NULL);
}

static int sync_dir(struct things *t)
{
    return t->disk->ops->sync_dir(t->disk, "", NULL);
}

static int take_lock(struct things *t)
{
    return t->disk->ops->lock(t->disk, "d/lock", &t->lock, NULL, NULL);
}

static int share(struct things *t)
{
    int rc = t->disk->ops->share(t->disk, "d/share", 5000, true, &t->share, &t->memory, NULL);
    if (rc == 0) {
        memset(t->memory, 7, 5000);
    }
    return rc;
}

static int add_fault(struct things *t)
{
    struct firn_faulty_fault fault = {
        .what = FIRN_FAULTY_MISDIRECT, .path = "no", .to_path = "where"};
    return firn_faulty_fail(t->sim, &fault, NULL, NULL);
}

static int put_file(struct things *t)
{
    return firn_faulty_put(t->sim, "d/p", data, sizeof(data), NULL);
}

static int flip_bit(struct things *t)
{
    return firn_faulty_flip_bit(t->sim, "d/p", 1, 1, NULL);
}

static int clone_sim(struct things *t)
{
    return firn_faulty_clone(t->sim, &t->copy, NULL);
}

static int count(struct things *t)
{
    return firn_faulty_outcomes(t->sim) == 0 ? FIRN_ENOMEM : 0;
}

static int restart_torn(struct things *t)
{
    return firn_faulty_restart_torn(t->copy, 3, 2, NULL);
}

static int restart_random(struct things *t)
{
    return firn_faulty_restart_random(t->sim, 4, NULL);
}

static const struct call {
    const char *name;
    int (*run)(struct things *t);
} calls[] = {
    {"new", new_sim},
    {"make_dir", make_dir},
    {"open", open_file},
    {"reserve", reserve},
    {"write", write_plain},
    {"write durable", write_durable},
    {"truncate", shrink},
    {"sync", sync_file},
    {"write again", write_again},
    {"lose", lose},
    {"write plain again", write_plain},
    {"rename", rename_file},
    {"make_link", make_link},
    {"remove", remove_link},
    {"sync_dir", sync_dir},
    {"lock", take_lock},
    {"share", share},
    {"fault", add_fault},
    {"put", put_file},
    {"clone", clone_sim},
    {"flip", flip_bit},
    {"outcomes", count},
    {"restart torn", restart_torn},
    {"restart random", restart_random},
};

enum { CALLS = sizeof(calls) / sizeof(calls[0]) };

static void done(struct things *t)
{
    if (t->file != NULL) {
        t->file->ops->close(t->file);
    }
    if (t->sim != NULL) {
        t->disk->ops->unlock(t->lock);
        t->disk->ops->unshare(t->share);
    }
    firn_faulty_free(t->copy);
    firn_faulty_free(t->sim);
}

/* A number for all that is current: names, sizes, contents. */
static uint64_t hash_current(struct firn_faulty *sim)
{
    struct firn_faulty *copy = sim_clone(sim);
    OK(firn_faulty_settle(copy, NULL));
    uint64_t hash = firn_faulty_hash(copy);
    firn_faulty_free(copy);
    return hash;
}

/* All calls; in call number `at` allocation number `nth` fails. False if it has not so many. */
static bool run(size_t at, int nth, uint64_t *hash)
{
    struct things t = {.sim = NULL};
    bool failed = false;
    for (size_t i = 0; i < CALLS; i++) {
        if (calls[i].run == restart_torn) {
            *hash = hash_current(t.sim);
        }
        alloc_fail_in = i == at ? nth : 0;
        int rc = calls[i].run(&t);
        if (i == at) {
            failed = alloc_fail_in == 0 && nth != 0;
            alloc_fail_in = 0;
        }
        if (rc != 0 && (i != at || rc != FIRN_ENOMEM || !failed)) {
            fail_msg("%s: %s, with allocation %d of %s failing", calls[i].name, firn_error_name(rc),
                     nth, calls[at].name);
        }
        if (rc != 0) {
            OK(calls[i].run(&t));
        }
    }
    done(&t);
    return failed;
}

static void test_every_allocation_fails_once(void **state)
{
    (void)state;
    uint64_t good = 0;
    size_t failures = 0;
    (void)run(0, 0, &good);
    for (size_t at = 0; at < CALLS; at++) {
        uint64_t hash = 0;
        for (int nth = 1; run(at, nth, &hash); nth++) {
            if (hash != good) {
                fail_msg("another end, with allocation %d of %s failing", nth, calls[at].name);
            }
            failures++;
        }
    }
    assert_in_range(failures, 100, 2000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_allocation_fails_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
