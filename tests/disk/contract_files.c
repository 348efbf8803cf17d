/* SPDX-License-Identifier: MIT */
/* The contract of open files. */
#include "contract.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "lib/prng.h"

enum { CREATE = FIRN_OPEN_WRITE | FIRN_OPEN_CREATE };

static const uint64_t GIB = 1024 * 1024 * 1024;

/* ---- open ------------------------------------------------------------------------------------ */

static void open_creates_only_when_asked(struct contract_world *w)
{
    struct firn_file *file = NULL;
    const char *path = contract_path(w, "f");
    FAILS(w, FIRN_ENOENT, disk_open(w->disk, path, FIRN_OPEN_WRITE, &file, &w->err));
    FAILS(w, FIRN_ENOENT, disk_open(w->disk, path, FIRN_OPEN_READ, &file, &w->err));
    assert_null(file);
    assert_non_null(strstr(w->err.message, "f"));
    disk_close(contract_open(w, "f", CREATE));
    contract_expect_file(w, "f", "");
    FAILS(w, FIRN_EEXIST, disk_open(w->disk, path, CREATE | FIRN_OPEN_EXCLUSIVE, &file, &w->err));
    assert_null(file);
    disk_close(contract_open(w, "f", CREATE));
    disk_close(contract_open(w, "g", FIRN_OPEN_READ | FIRN_OPEN_CREATE));
    disk_close(contract_open(w, "h", CREATE | FIRN_OPEN_EXCLUSIVE));
}

static void open_keeps_what_is_there(struct contract_world *w)
{
    contract_make(w, "f", "content");
    disk_close(contract_open(w, "f", CREATE));
    disk_close(contract_open(w, "f", FIRN_OPEN_READ));
    contract_expect_file(w, "f", "content");
}

static void open_refuses_flags_without_sense(struct contract_world *w)
{
    static const unsigned flags[] = {
        0,
        FIRN_OPEN_CREATE,
        FIRN_OPEN_WRITE | FIRN_OPEN_EXCLUSIVE,
        FIRN_OPEN_READ | 1U << 20,
    };
    struct firn_file *file = NULL;
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
        FAILS(w, FIRN_EINVAL, disk_open(w->disk, contract_path(w, "f"), flags[i], &file, &w->err));
    assert_null(file);
    assert_false(contract_exists(w, "f"));
}

static void open_refuses_what_is_no_file(struct contract_world *w)
{
    struct firn_file *file = NULL;
    contract_make(w, "f", "");
    OK(w, disk_make_dir(w->disk, contract_path(w, "d"), &w->err));
    FAILS(w, FIRN_EINVAL,
          disk_open(w->disk, contract_path(w, "d"), FIRN_OPEN_READ, &file, &w->err));
    FAILS(w, FIRN_EINVAL,
          disk_open(w->disk, contract_path(w, "d"), FIRN_OPEN_WRITE, &file, &w->err));
    FAILS(w, FIRN_EINVAL, disk_open(w->disk, contract_path(w, "d"), CREATE, &file, &w->err));
    FAILS(w, FIRN_ENOTDIR, disk_open(w->disk, contract_path(w, "f/g"), CREATE, &file, &w->err));
    FAILS(w, FIRN_ENOENT, disk_open(w->disk, contract_path(w, "e/g"), CREATE, &file, &w->err));
    assert_null(file);
}

static void names_that_are_too_long_are_refused(struct contract_world *w)
{
    char name[300];
    struct firn_file *file = NULL;
    memset(name, 'n', sizeof name);
    name[sizeof name - 1] = '\0';
    FAILS(w, FIRN_ETOOBIG, disk_open(w->disk, contract_path(w, name), CREATE, &file, &w->err));
    assert_null(file);
    assert_non_null(strstr(w->err.message, "nnn"));
}

/* ---- read and write -------------------------------------------------------------------------- */

static void what_is_written_is_read_by_every_handle(struct contract_world *w)
{
    struct firn_file *file = contract_open(w, "f", CREATE);
    struct firn_file *other = contract_open(w, "f", FIRN_OPEN_READ);
    contract_write(w, file, "0123456789", 0);
    contract_expect(w, file, "0123456789", 0);
    contract_expect(w, other, "0123456789", 0);
    contract_write(w, file, "abc", 3);
    contract_expect(w, other, "012abc6789", 0);
    contract_expect_size(w, other, 10);
    disk_close(other);
    disk_close(file);
    contract_expect_file(w, "f", "012abc6789");
}

static void durable_writes_write(struct contract_world *w)
{
    struct firn_file *file = contract_open(w, "f", CREATE);
    OK(w, disk_reserve(file, 0, 8192, &w->err));
    OK(w, disk_write_full(file, "abc", 3, 10, FIRN_WRITE_DURABLE, &w->err));
    OK(w, disk_write_full(file, "def", 3, 9000, FIRN_WRITE_DURABLE, &w->err));
    contract_expect(w, file, "abc", 10);
    contract_expect(w, file, "def", 9000);
    contract_expect_zeros(w, file, 13, 8987);
    contract_expect_size(w, file, 9003);
    OK(w, disk_sync(file, &w->err));
    disk_close(file);
}

static void reads_stop_at_the_end(struct contract_world *w)
{
    char got[16];
    size_t done = 77;
    struct firn_file *file = contract_open(w, "f", CREATE);
    struct iovec iov = {.iov_base = got, .iov_len = sizeof got};
    OK(w, disk_readv(file, &iov, 1, 0, &done, &w->err));
    assert_int_equal(done, 0);
    contract_write(w, file, "0123456789", 0);
    OK(w, disk_read_full(file, got, sizeof got, 7, &done, &w->err));
    assert_int_equal(done, 3);
    assert_memory_equal(got, "789", 3);
    static const uint64_t behind[] = {10, 11, 4096, INT64_MAX - 8, INT64_MAX, UINT64_MAX};
    for (size_t i = 0; i < sizeof behind / sizeof behind[0]; i++) {
        OK(w, disk_readv(file, &iov, 1, behind[i], &done, &w->err));
        assert_int_equal(done, 0);
    }
    disk_close(file);
}

static void nothing_to_do_is_fine(struct contract_world *w)
{
    char byte = 'x';
    size_t done = 77;
    struct iovec iov = {.iov_base = &byte, .iov_len = 0};
    struct firn_file *file = contract_open(w, "f", CREATE);
    OK(w, disk_writev(file, &iov, 1, 5, FIRN_WRITE_DURABLE, &done, &w->err));
    assert_int_equal(done, 0);
    done = 77;
    OK(w, disk_writev(file, &iov, 0, 5, 0, &done, &w->err));
    assert_int_equal(done, 0);
    done = 77;
    OK(w, disk_readv(file, &iov, 1, 0, &done, &w->err));
    assert_int_equal(done, 0);
    OK(w, disk_reserve(file, 100, 0, &w->err));
    OK(w, disk_writeback_start(file, 0, 0, &w->err));
    OK(w, disk_writeback_await(file, 0, 0, &w->err));
    contract_expect_size(w, file, 0);
    disk_close(file);
}

/* Fills `iov` with `count` entries over `buf`, some empty; returns their bytes. */
static size_t cut_up(struct prng *prng, struct iovec *iov, int count, unsigned char *buf)
{
    size_t sum = 0;
    for (int i = 0; i < count; i++) {
        iov[i].iov_base = buf + sum;
        iov[i].iov_len = (size_t)prng_below(prng, 60);
        sum += iov[i].iov_len;
    }
    return sum;
}

static void many_ranges_go_in_one_call(struct contract_world *w)
{
    enum { COUNT = 3000, BYTES = COUNT * 60 };
    struct prng prng = prng_new(1);
    struct iovec *iov = calloc(COUNT, sizeof *iov);
    unsigned char *out = malloc(BYTES);
    unsigned char *in = calloc(1, BYTES);
    size_t done = 0;
    assert_true(iov != NULL && out != NULL && in != NULL);
    prng_fill(&prng, out, BYTES);
    struct firn_file *file = contract_open(w, "f", CREATE);
    size_t len = cut_up(&prng, iov, COUNT, out);
    OK(w, disk_writev(file, iov, COUNT, 100, 0, &done, &w->err));
    assert_in_range(done, 1, len);
    OK(w, disk_writev_full(file, iov, COUNT, 100, 0, &w->err));
    contract_expect_size(w, file, 100 + len);
    assert_true(cut_up(&prng, iov, COUNT, in) > len / 2);
    OK(w, disk_readv_full(file, iov, COUNT, 100, &done, &w->err));
    assert_in_range(done, len / 2, len);
    assert_memory_equal(in, out, done);
    disk_close(file);
    free(in);
    free(out);
    free(iov);
}

static void holes_read_as_zeros(struct contract_world *w)
{
    struct firn_file *file = contract_open(w, "f", CREATE);
    contract_write(w, file, "end", 100000);
    contract_expect_zeros(w, file, 0, 100000);
    contract_expect(w, file, "end", 100000);
    contract_write(w, file, "middle", 50000);
    contract_expect_zeros(w, file, 40000, 10000);
    contract_expect_zeros(w, file, 50006, 49994);
    contract_expect_size(w, file, 100003);
    disk_close(file);
}

static void offsets_beyond_4_gib_are_exact(struct contract_world *w)
{
    struct firn_entry entry;
    struct firn_file *file = contract_open(w, "f", CREATE);
    contract_write(w, file, "five", 5 * GIB);
    contract_write(w, file, "one", GIB); /* the same in 32 bits */
    contract_expect(w, file, "five", 5 * GIB);
    contract_expect(w, file, "one", GIB);
    contract_expect_zeros(w, file, 4 * GIB, 4096);
    contract_expect_size(w, file, 5 * GIB + 4);
    OK(w, disk_stat(w->disk, contract_path(w, "f"), &entry, &w->err));
    assert_int_equal(entry.size, 5 * GIB + 4);
    assert_true(entry.allocated < GIB);
    OK(w, disk_truncate(file, 4 * GIB + 1, &w->err));
    contract_expect_size(w, file, 4 * GIB + 1);
    disk_close(file);
}

static void offsets_beyond_all_files_are_refused(struct contract_world *w)
{
    struct firn_file *file = contract_open(w, "f", CREATE);
    static const uint64_t beyond[] = {INT64_MAX, (uint64_t)INT64_MAX + 1, UINT64_MAX - 1,
                                      UINT64_MAX};
    for (size_t i = 0; i < sizeof beyond / sizeof beyond[0]; i++) {
        FAILS(w, FIRN_ETOOBIG, disk_write_full(file, "abc", 3, beyond[i], 0, &w->err));
        FAILS(w, FIRN_ETOOBIG, disk_reserve(file, beyond[i], 3, &w->err));
        FAILS(w, FIRN_ETOOBIG, disk_reserve(file, 3, beyond[i], &w->err));
    }
    FAILS(w, FIRN_ETOOBIG, disk_truncate(file, (uint64_t)INT64_MAX + 1, &w->err));
    contract_expect_size(w, file, 0);
    disk_close(file);
}

static void read_only_files_are_not_changed(struct contract_world *w)
{
    contract_make(w, "f", "content");
    struct firn_file *file = contract_open(w, "f", FIRN_OPEN_READ);
    size_t done = 77;
    char text[] = "new";
    struct iovec iov = {.iov_base = text, .iov_len = 3};
    FAILS(w, FIRN_EREADONLY, disk_writev(file, &iov, 1, 0, 0, &done, &w->err));
    assert_int_equal(done, 0);
    FAILS(w, FIRN_EREADONLY, disk_writev(file, &iov, 1, 0, FIRN_WRITE_DURABLE, &done, &w->err));
    FAILS(w, FIRN_EREADONLY, disk_reserve(file, 0, 100, &w->err));
    FAILS(w, FIRN_EREADONLY, disk_truncate(file, 0, &w->err));
    OK(w, disk_sync(file, &w->err));
    disk_close(file);
    contract_expect_file(w, "f", "content");
}

/* ---- size and space -------------------------------------------------------------------------- */

static void truncation_cuts_and_grows_with_zeros(struct contract_world *w)
{
    struct firn_file *file = contract_open(w, "f", CREATE);
    contract_write(w, file, "0123456789", 4090);
    OK(w, disk_truncate(file, 4093, &w->err));
    contract_expect_size(w, file, 4093);
    OK(w, disk_truncate(file, 20000, &w->err));
    contract_expect_size(w, file, 20000);
    contract_expect(w, file, "012", 4090);
    contract_expect_zeros(w, file, 4093, 15907);
    contract_write(w, file, "x", 19999);
    OK(w, disk_truncate(file, 0, &w->err));
    contract_write(w, file, "y", 10000);
    contract_expect_zeros(w, file, 0, 10000);
    OK(w, disk_sync(file, &w->err));
    contract_expect_size(w, file, 10001);
    disk_close(file);
}

static void reserving_keeps_content_and_grows_with_zeros(struct contract_world *w)
{
    struct firn_file *file = contract_open(w, "f", CREATE);
    contract_write(w, file, "content", 4093);
    OK(w, disk_reserve(file, 0, 65536, &w->err));
    contract_expect_size(w, file, 65536);
    contract_expect(w, file, "content", 4093);
    contract_expect_zeros(w, file, 0, 4093);
    contract_expect_zeros(w, file, 4100, 61436);
    OK(w, disk_reserve(file, 4094, 100, &w->err)); /* inside: nothing changes */
    OK(w, disk_reserve(file, 65530, 7, &w->err));
    contract_expect(w, file, "content", 4093);
    contract_expect_size(w, file, 65537);
    OK(w, disk_reserve(file, 100000, 1, &w->err)); /* behind a gap */
    contract_expect_size(w, file, 100001);
    contract_expect_zeros(w, file, 65536, 34465);
    disk_close(file);
}

static void reserved_space_is_allocated(struct contract_world *w)
{
    struct firn_entry entry;
    struct firn_file *file = contract_open(w, "f", CREATE);
    OK(w, disk_truncate(file, 1 << 20, &w->err));
    OK(w, disk_reserve(file, 1 << 20, 1 << 20, &w->err));
    OK(w, disk_stat(w->disk, contract_path(w, "f"), &entry, &w->err));
    assert_int_equal(entry.size, 2 << 20);
    assert_true(entry.allocated >= 1 << 20);
    disk_close(file);
}

static void a_failed_reservation_leaves_no_trace(struct contract_world *w)
{
    struct firn_file *file = contract_open(w, "f", CREATE);
    contract_write(w, file, "content", 0);
    uint64_t size = 0;
    contract_begin(w);
    int rc = disk_reserve(file, 3, UINT64_C(1) << 50, &w->err);
    assert_true(rc == FIRN_ENOSPC || rc == FIRN_ETOOBIG); /* ext4 has no files as long as that */
    assert_int_equal(w->err.code, rc);
    OK(w, disk_size_of(file, &size, &w->err));
    assert_int_equal(size, 7);
    contract_expect(w, file, "content", 0);
    OK(w, disk_reserve(file, 0, 8192, &w->err));
    disk_close(file);
}

static void writeback_and_advice_change_nothing(struct contract_world *w)
{
    struct firn_file *file = contract_open(w, "f", CREATE);
    contract_write(w, file, "content", 100000);
    OK(w, disk_writeback_start(file, 0, 50000, &w->err));
    OK(w, disk_writeback_start(file, 90000, 1 << 20, &w->err));
    OK(w, disk_writeback_await(file, 0, 1 << 20, &w->err));
    for (int advice = FIRN_ADVICE_SEQUENTIAL; advice <= FIRN_ADVICE_DONT_NEED; advice++) {
        disk_advise(file, 0, 1 << 20, (enum firn_advice)advice);
        disk_advise(file, UINT64_MAX, UINT64_MAX, (enum firn_advice)advice);
    }
    contract_expect(w, file, "content", 100000);
    contract_expect_size(w, file, 100007);
    disk_close(file);
}

/* ---- names and threads ----------------------------------------------------------------------- */

static void open_files_outlive_their_names(struct contract_world *w)
{
    contract_make(w, "f", "first");
    contract_make(w, "g", "second");
    struct firn_file *first = contract_open(w, "f", FIRN_OPEN_WRITE);
    struct firn_file *second = contract_open(w, "g", FIRN_OPEN_WRITE);
    OK(w, disk_rename(w->disk, contract_path(w, "g"), contract_path(w, "f"), &w->err));
    contract_expect(w, first, "first", 0);
    OK(w, disk_remove(w->disk, contract_path(w, "f"), &w->err));
    contract_write(w, first, "F", 0);
    contract_write(w, second, "S", 0);
    contract_make(w, "f", "third");
    contract_expect(w, first, "First", 0);
    contract_expect(w, second, "Second", 0);
    disk_close(second);
    disk_close(first);
    contract_expect_file(w, "f", "third");
}

enum { THREADS = 4, ROUNDS = 200, STRIPE = 777 };

struct stripe {
    struct firn_file *file;
    unsigned number;
    int failures;
};

/* Writes its own stripe of the file again and again, and reads it back. */
static void *write_stripe(void *arg)
{
    struct stripe *stripe = arg;
    char out[STRIPE];
    char in[STRIPE];
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t offset = (uint64_t)stripe->number * STRIPE;
        size_t done = 0;
        memset(out, 'a' + i % 26, sizeof out);
        if (disk_write_full(stripe->file, out, STRIPE, offset, 0, NULL) != 0 ||
            disk_read_full(stripe->file, in, STRIPE, offset, &done, NULL) != 0 || done != STRIPE ||
            memcmp(in, out, STRIPE) != 0)
            stripe->failures++;
    }
    return NULL;
}

static void threads_share_a_file(struct contract_world *w)
{
    pthread_t threads[THREADS];
    struct stripe stripes[THREADS];
    struct firn_file *file = contract_open(w, "f", CREATE);
    for (unsigned i = 0; i < THREADS; i++) {
        stripes[i] = (struct stripe){.file = file, .number = i};
        assert_int_equal(pthread_create(&threads[i], NULL, write_stripe, &stripes[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(stripes[i].failures, 0);
    }
    contract_expect_size(w, file, (uint64_t)THREADS * STRIPE);
    disk_close(file);
}

/* ---- against a model ------------------------------------------------------------------------- */

enum { MODEL_MOST = 40000 };

struct model {
    unsigned char bytes[MODEL_MOST];
    uint64_t size;
};

static void model_grow(struct model *model, uint64_t size)
{
    if (size > model->size)
        model->size = size; /* what is behind the size is zero */
}

static void step(struct contract_world *w, struct firn_file *file, struct model *model,
                 struct prng *prng)
{
    unsigned char bytes[5000];
    uint64_t offset = prng_below(prng, MODEL_MOST - sizeof bytes);
    size_t len = (size_t)prng_below(prng, sizeof bytes);
    switch (prng_below(prng, 4)) {
    case 0:
        prng_fill(prng, bytes, len);
        OK(w, disk_write_full(file, bytes, len, offset, 0, &w->err));
        memcpy(model->bytes + offset, bytes, len);
        if (len > 0)
            model_grow(model, offset + len);
        break;
    case 1:
        OK(w, disk_truncate(file, offset, &w->err));
        if (offset < model->size)
            memset(model->bytes + offset, 0, model->size - offset);
        model->size = offset;
        break;
    case 2:
        OK(w, disk_reserve(file, offset, len, &w->err));
        if (len > 0)
            model_grow(model, offset + len);
        break;
    default:
        OK(w, disk_write_zeros(file, offset, len, 0, &w->err));
        memset(model->bytes + offset, 0, len);
        if (len > 0)
            model_grow(model, offset + len);
        break;
    }
}

static void random_changes_match_a_model(struct contract_world *w)
{
    struct prng prng = prng_new(7);
    static struct model model;
    static unsigned char got[MODEL_MOST];
    memset(&model, 0, sizeof model);
    struct firn_file *file = contract_open(w, "f", CREATE);
    for (int i = 0; i < 500; i++) {
        size_t len = 0;
        step(w, file, &model, &prng);
        OK(w, disk_read_full(file, got, MODEL_MOST, 0, &len, &w->err));
        assert_int_equal(len, model.size);
        if (memcmp(got, model.bytes, len) != 0)
            fail_msg("seed 7: differs after step %d", i);
    }
    disk_close(file);
}

const struct contract_case contract_files[] = {
    {"open creates only when asked", open_creates_only_when_asked, 0},
    {"open keeps what is there", open_keeps_what_is_there, 0},
    {"open refuses flags without sense", open_refuses_flags_without_sense, 0},
    {"open refuses what is no file", open_refuses_what_is_no_file, 0},
    {"names that are too long are refused", names_that_are_too_long_are_refused, 0},
    {"what is written is read by every handle", what_is_written_is_read_by_every_handle, 0},
    {"durable writes write", durable_writes_write, 0},
    {"reads stop at the end", reads_stop_at_the_end, 0},
    {"nothing to do is fine", nothing_to_do_is_fine, 0},
    {"many ranges go in one call", many_ranges_go_in_one_call, 0},
    {"holes read as zeros", holes_read_as_zeros, 0},
    {"offsets beyond 4 GiB are exact", offsets_beyond_4_gib_are_exact, 0},
    {"offsets beyond all files are refused", offsets_beyond_all_files_are_refused, 0},
    {"read-only files are not changed", read_only_files_are_not_changed, 0},
    {"truncation cuts and grows with zeros", truncation_cuts_and_grows_with_zeros, 0},
    {"reserving keeps content and grows with zeros", reserving_keeps_content_and_grows_with_zeros,
     0},
    {"reserved space is allocated", reserved_space_is_allocated, 0},
    {"a failed reservation leaves no trace", a_failed_reservation_leaves_no_trace, CONTRACT_FINITE},
    {"writeback and advice change nothing", writeback_and_advice_change_nothing, 0},
    {"open files outlive their names", open_files_outlive_their_names, 0},
    {"threads share a file", threads_share_a_file, 0},
    {"random changes match a model", random_changes_match_a_model, 0},
    {NULL, NULL, 0},
};
