/* SPDX-License-Identifier: MIT */
/* The helpers above all storages, over one that does as little as it may, or lies. */
#include "contract.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/prng.h"

enum { BYTES = 5000, NO_LIMIT = INT32_MAX };

/* A file in an array. Each call moves at most `most` bytes; call number `fail_at` fails. */
struct fake {
    struct firn_file file;
    unsigned char bytes[BYTES];
    size_t size;
    struct prng prng;
    size_t most;        /* 0: calls make no progress */
    size_t claims_more; /* than was done */
    int calls;
    int fail_at;
    unsigned flags_of_all;
    unsigned flags_of_any;
};

/* Copies between the ranges and `bytes`, at most `most`. */
static size_t copy(const struct iovec *iov, int count, unsigned char *bytes, size_t most, bool in)
{
    size_t sum = 0;
    for (int i = 0; i < count && sum < most; i++) {
        size_t len = iov[i].iov_len < most - sum ? iov[i].iov_len : most - sum;
        if (len > 0 && in)
            memcpy(iov[i].iov_base, bytes + sum, len);
        else if (len > 0)
            memcpy(bytes + sum, iov[i].iov_base, len);
        sum += len;
    }
    return sum;
}

static size_t some(struct fake *fake)
{
    return fake->most == 0 || fake->most == NO_LIMIT
               ? fake->most
               : 1 + (size_t)prng_below(&fake->prng, fake->most);
}

static int fake_readv(struct firn_file *file, const struct iovec *iov, int count, uint64_t offset,
                      size_t *done, struct firn_error *err)
{
    struct fake *fake = (struct fake *)file;
    *done = 0;
    if (++fake->calls == fake->fail_at)
        return firn_error_set(err, FIRN_EIO, 5, "planned");
    size_t left = offset < fake->size ? fake->size - (size_t)offset : 0;
    size_t most = some(fake);
    *done = copy(iov, count, fake->bytes + offset, left < most ? left : most, true);
    *done += fake->claims_more;
    return 0;
}

static int fake_writev(struct firn_file *file, const struct iovec *iov, int count, uint64_t offset,
                       unsigned flags, size_t *done, struct firn_error *err)
{
    struct fake *fake = (struct fake *)file;
    *done = 0;
    fake->flags_of_all &= flags;
    fake->flags_of_any |= flags;
    if (++fake->calls == fake->fail_at)
        return firn_error_set(err, FIRN_ENOSPC, 28, "planned");
    size_t most = some(fake);
    if (most > BYTES - offset)
        most = BYTES - (size_t)offset;
    size_t n = copy(iov, count, fake->bytes + offset, most, false);
    if (offset + n > fake->size)
        fake->size = (size_t)offset + n;
    *done = n + fake->claims_more;
    return 0;
}

static const struct firn_file_ops fake_ops = {
    .size = sizeof fake_ops,
    .readv = fake_readv,
    .writev = fake_writev,
};

static struct fake fake_new(size_t most)
{
    return (struct fake){
        .file = {.ops = &fake_ops},
        .prng = prng_new(3),
        .most = most,
        .flags_of_all = ~0U,
    };
}

/* ---- reads and writes ------------------------------------------------------------------------ */

static void short_operations_are_continued(void **state)
{
    static const size_t mosts[] = {1, 2, 7, 100, 1000, NO_LIMIT};
    struct firn_error err = {0};
    unsigned char out[4000];
    unsigned char in[BYTES];
    struct prng prng = prng_new(1);
    (void)state;
    prng_fill(&prng, out, sizeof out);
    for (size_t i = 0; i < sizeof mosts / sizeof mosts[0]; i++) {
        struct fake fake = fake_new(mosts[i]);
        size_t got = 0;
        memset(in, 0, sizeof in);
        assert_int_equal(disk_write_full(&fake.file, out, sizeof out, 10, 0, &err), 0);
        assert_int_equal(fake.size, 4010);
        assert_memory_equal(fake.bytes + 10, out, sizeof out);
        assert_int_equal(disk_read_full(&fake.file, in, sizeof in, 10, &got, &err), 0);
        assert_int_equal(got, sizeof out);
        assert_memory_equal(in, out, sizeof out);
        assert_int_equal(disk_read_full(&fake.file, in, 100, 20, &got, &err), 0);
        assert_int_equal(got, 100);
        assert_memory_equal(in, out + 10, 100);
    }
}

static void short_operations_are_continued_across_ranges(void **state)
{
    enum { RANGES = 40 };
    struct firn_error err = {0};
    struct prng prng = prng_new(5);
    unsigned char out[RANGES * 100];
    unsigned char in[RANGES * 100] = {0};
    struct iovec iov[RANGES];
    (void)state;
    prng_fill(&prng, out, sizeof out);
    for (size_t most = 1; most < 300; most += 13) {
        struct fake fake = fake_new(most);
        size_t sum = 0;
        size_t got = 0;
        for (int i = 0; i < RANGES; i++) {
            iov[i].iov_base = out + sum;
            iov[i].iov_len = i % 5 == 0 ? 0 : (size_t)prng_below(&prng, 100);
            sum += iov[i].iov_len;
        }
        assert_int_equal(disk_writev_full(&fake.file, iov, RANGES, 3, 0, &err), 0);
        assert_int_equal(fake.size, 3 + sum);
        assert_memory_equal(fake.bytes + 3, out, sum);
        for (int i = 0; i < RANGES; i++)
            iov[i] = (struct iovec){.iov_base = in + 100 * i, .iov_len = 100};
        assert_int_equal(disk_readv_full(&fake.file, iov, RANGES, 3, &got, &err), 0);
        assert_int_equal(got, sum);
        assert_memory_equal(in, out, sum);
    }
}

static void nothing_to_do_is_no_call(void **state)
{
    struct fake fake = fake_new(NO_LIMIT);
    struct iovec iov[2] = {{.iov_base = &fake, .iov_len = 0}, {.iov_base = NULL, .iov_len = 0}};
    size_t got = 77;
    (void)state;
    assert_int_equal(disk_writev_full(&fake.file, iov, 2, 0, 0, NULL), 0);
    assert_int_equal(disk_write_full(&fake.file, NULL, 0, 0, 0, NULL), 0);
    assert_int_equal(disk_write_zeros(&fake.file, 0, 0, 0, NULL), 0);
    assert_int_equal(disk_readv_full(&fake.file, iov, 2, 0, &got, NULL), 0);
    assert_int_equal(got, 0);
    assert_int_equal(fake.calls, 0);
}

static void every_part_of_a_durable_write_is_durable(void **state)
{
    struct fake fake = fake_new(100);
    unsigned char out[2000] = {1};
    (void)state;
    assert_int_equal(disk_write_full(&fake.file, out, 2000, 0, FIRN_WRITE_DURABLE, NULL), 0);
    assert_true(fake.calls >= 20);
    assert_int_equal(fake.flags_of_all, FIRN_WRITE_DURABLE);
    fake = fake_new(100);
    assert_int_equal(disk_write_zeros(&fake.file, 0, 2000, FIRN_WRITE_DURABLE, NULL), 0);
    assert_int_equal(fake.flags_of_all, FIRN_WRITE_DURABLE);
    fake = fake_new(100);
    assert_int_equal(disk_write_full(&fake.file, out, 2000, 0, 0, NULL), 0);
    assert_int_equal(fake.flags_of_any, 0);
}

static void errors_end_the_loop(void **state)
{
    struct firn_error err = {0};
    unsigned char bytes[2000] = {1};
    size_t got = 77;
    (void)state;
    for (int fail_at = 1; fail_at < 10; fail_at++) {
        struct fake fake = fake_new(100);
        fake.fail_at = fail_at;
        assert_int_equal(disk_write_full(&fake.file, bytes, 2000, 0, 0, &err), FIRN_ENOSPC);
        assert_int_equal(err.code, FIRN_ENOSPC);
        assert_int_equal(fake.calls, fail_at);
        fake = fake_new(100);
        fake.size = BYTES;
        fake.fail_at = fail_at;
        assert_int_equal(disk_read_full(&fake.file, bytes, 2000, 0, &got, &err), FIRN_EIO);
        assert_int_equal(err.code, FIRN_EIO);
        assert_int_equal(got, 77);
    }
}

static void storages_that_break_their_word_are_found_out(void **state)
{
    struct firn_error err = {0};
    unsigned char bytes[100] = {1};
    size_t got = 77;
    struct fake fake = fake_new(0);
    (void)state;
    assert_int_equal(disk_write_full(&fake.file, bytes, 100, 5, 0, &err), FIRN_EIO);
    assert_non_null(strstr(err.message, "5"));
    assert_int_equal(fake.calls, 1);
    fake = fake_new(NO_LIMIT);
    fake.claims_more = 1;
    assert_int_equal(disk_write_full(&fake.file, bytes, 100, 0, 0, &err), FIRN_EIO);
    assert_int_equal(disk_read_full(&fake.file, bytes, 100, 0, &got, &err), FIRN_EIO);
    assert_int_equal(got, 77);
}

static void zeros_are_written_where_asked_and_nowhere_else(void **state)
{
    (void)state;
    for (size_t most = 1; most < 2000; most += 333) {
        struct fake fake = fake_new(most);
        fake.size = BYTES;
        memset(fake.bytes, 'x', BYTES);
        assert_int_equal(disk_write_zeros(&fake.file, 100, 4000, 0, NULL), 0);
        for (size_t i = 0; i < BYTES; i++)
            assert_int_equal(fake.bytes[i], i < 100 || i >= 4100 ? 'x' : 0);
    }
}

static void long_runs_of_zeros_are_written_whole(void **state)
{
    struct firn_disk *disk = NULL;
    struct firn_file *file = NULL;
    uint64_t size = 0;
    const uint64_t lengths[] = {16383, 16384, 1 << 20, (1 << 20) + 1, (3 << 20) + 5};
    (void)state;
    assert_int_equal(firn_disk_memory_new(&disk, NULL), 0);
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        assert_int_equal(disk_open(disk, "f", FIRN_OPEN_WRITE | FIRN_OPEN_CREATE, &file, NULL), 0);
        assert_int_equal(disk_write_zeros(file, 7, lengths[i], 0, NULL), 0);
        assert_int_equal(disk_size_of(file, &size, NULL), 0);
        assert_int_equal(size, 7 + lengths[i]);
        disk_close(file);
        assert_int_equal(disk_remove(disk, "f", NULL), 0);
    }
    firn_disk_free(disk);
}

/* ---- paths ----------------------------------------------------------------------------------- */

static void paths_are_joined(void **state)
{
    static const char *const cases[][3] = {
        {"a", "b", "a/b"}, {"a/", "b", "a/b"}, {"", "b", "b"}, {"/", "b", "/b"}, {".", "b", "./b"},
    };
    char out[8] = "same";
    struct firn_error err = {0};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(disk_path_join(out, sizeof out, cases[i][0], cases[i][1], &err), 0);
        assert_string_equal(out, cases[i][2]);
    }
    assert_int_equal(disk_path_join(out, sizeof out, "abc", "def", &err), 0);
    assert_int_equal(disk_path_join(out, sizeof out, "abc", "defg", &err), FIRN_ETOOBIG);
    assert_string_equal(out, "abc/def");
    assert_int_equal(err.code, FIRN_ETOOBIG);
}

static void parents_are_found(void **state)
{
    static const char *const cases[][2] = {
        {"a/b", "a"}, {"a", "."},    {"/a", "/"},    {"/", "/"},         {"a/b/", "a"},
        {"a/", "."},  {"a//b", "a"}, {"//a", "/"},   {"/a/b/c", "/a/b"}, {"", "."},
        {"./a", "."}, {"a/.", "a"},  {"../a", ".."},
    };
    char out[8] = "";
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(disk_path_parent(out, sizeof out, cases[i][0], NULL), 0);
        assert_string_equal(out, cases[i][1]);
    }
    assert_int_equal(disk_path_parent(out, 4, "abcd/e", NULL), FIRN_ETOOBIG);
}

static void long_paths_are_refused(void **state)
{
    char path[DISK_PATH_SIZE + 1];
    struct firn_disk *disk = NULL;
    struct firn_error err = {0};
    (void)state;
    assert_int_equal(firn_disk_memory_new(&disk, NULL), 0);
    memset(path, '/', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    assert_int_equal(disk_make_dirs(disk, path, &err), FIRN_ETOOBIG);
    assert_int_equal(disk_replace_file(disk, path, "f", "", 0, &err), FIRN_ETOOBIG);
    path[DISK_PATH_SIZE - 4] = '\0'; /* room for the name, not for that of the temporary file */
    assert_int_equal(disk_replace_file(disk, path, "f", "", 0, &err), FIRN_ETOOBIG);
    firn_disk_free(disk);
}

/* ---- a disk that writes down what is asked of it --------------------------------------------- */

struct scribe {
    struct firn_disk disk;
    struct firn_disk_ops ops;
    struct firn_disk *inner;
    char text[1024];
    int fail_at; /* among the calls that are written down */
    int calls;
};

static int note(struct scribe *scribe, const char *what, const char *path, struct firn_error *err)
{
    size_t len = strlen(scribe->text);
    (void)snprintf(scribe->text + len, sizeof scribe->text - len, "%s %s;", what, path);
    return ++scribe->calls == scribe->fail_at ? firn_error_set(err, FIRN_EIO, 5, "planned") : 0;
}

static struct scribe *scribe_of(struct firn_disk *disk)
{
    return (struct scribe *)disk;
}

static int scribe_make_dir(struct firn_disk *disk, const char *path, struct firn_error *err)
{
    int rc = note(scribe_of(disk), "make", path, err);
    return rc != 0 ? rc : disk_make_dir(scribe_of(disk)->inner, path, err);
}

static int scribe_sync_dir(struct firn_disk *disk, const char *path, struct firn_error *err)
{
    int rc = note(scribe_of(disk), "sync", path, err);
    return rc != 0 ? rc : disk_sync_dir(scribe_of(disk)->inner, path, err);
}

static int scribe_stat(struct firn_disk *disk, const char *path, struct firn_entry *entry,
                       struct firn_error *err)
{
    return disk_stat(scribe_of(disk)->inner, path, entry, err);
}

static int scribe_open(struct firn_disk *disk, const char *path, unsigned flags,
                       struct firn_file **file, struct firn_error *err)
{
    int rc = note(scribe_of(disk), "open", path, err);
    return rc != 0 ? rc : disk_open(scribe_of(disk)->inner, path, flags, file, err);
}

static int scribe_rename(struct firn_disk *disk, const char *from, const char *to,
                         struct firn_error *err)
{
    int rc = note(scribe_of(disk), "rename to", to, err);
    return rc != 0 ? rc : disk_rename(scribe_of(disk)->inner, from, to, err);
}

static int scribe_remove(struct firn_disk *disk, const char *path, struct firn_error *err)
{
    int rc = note(scribe_of(disk), "remove", path, err);
    return rc != 0 ? rc : disk_remove(scribe_of(disk)->inner, path, err);
}

static int open_scribe(void **state)
{
    struct scribe *scribe = calloc(1, sizeof *scribe);
    assert_non_null(scribe);
    assert_int_equal(firn_disk_memory_new(&scribe->inner, NULL), 0);
    scribe->ops = *scribe->inner->ops;
    scribe->ops.make_dir = scribe_make_dir;
    scribe->ops.sync_dir = scribe_sync_dir;
    scribe->ops.stat = scribe_stat;
    scribe->ops.open = scribe_open;
    scribe->ops.rename = scribe_rename;
    scribe->ops.remove = scribe_remove;
    scribe->disk.ops = &scribe->ops;
    *state = scribe;
    return 0;
}

static int close_scribe(void **state)
{
    struct scribe *scribe = *state;
    firn_disk_free(scribe->inner);
    free(scribe);
    return 0;
}

static void directories_are_synced_before_those_below_are_made(void **state)
{
    struct scribe *scribe = *state;
    struct firn_error err = {.code = 4711};
    assert_int_equal(disk_make_dirs(&scribe->disk, "a/b//c/", &err), 0);
    assert_string_equal(scribe->text, "make a;sync .;make a/b;sync a;make a/b//c;sync a/b;");
    scribe->text[0] = '\0';
    assert_int_equal(disk_make_dirs(&scribe->disk, "a/b/c/d", &err), 0);
    assert_string_equal(scribe->text, "sync a/b;make a/b/c/d;sync a/b/c;");
    scribe->text[0] = '\0';
    assert_int_equal(disk_make_dirs(&scribe->disk, "/a/b", &err), 0);
    assert_string_equal(scribe->text, "sync /a;");
    assert_int_equal(err.code, 4711);
}

static void make_dirs_fails_where_a_step_fails(void **state)
{
    struct scribe *scribe = *state;
    for (int fail_at = 1; fail_at <= 4; fail_at++) {
        struct firn_error err = {0};
        scribe->calls = 0;
        scribe->fail_at = fail_at;
        char path[] = "0/x";
        path[0] = (char)('0' + fail_at);
        assert_int_equal(disk_make_dirs(&scribe->disk, path, &err), FIRN_EIO);
        assert_int_equal(err.code, FIRN_EIO);
        assert_int_equal(scribe->calls, fail_at);
        scribe->fail_at = 0;
        assert_int_equal(disk_make_dirs(&scribe->disk, path, &err), 0);
    }
}

static int refuse_sync(struct firn_disk *disk, const char *path, struct firn_error *err)
{
    (void)disk;
    return firn_error_set(err, FIRN_EACCES, 13, "%s: may not be read", path);
}

static void parents_that_may_not_be_read_were_not_made_here(void **state)
{
    struct scribe *scribe = *state;
    struct firn_error err = {.code = 4711};
    assert_int_equal(disk_make_dirs(&scribe->disk, "a", &err), 0);
    scribe->ops.sync_dir = refuse_sync;
    assert_int_equal(disk_make_dirs(&scribe->disk, "a", &err), 0);
    assert_int_equal(err.code, 4711);
    assert_int_equal(disk_make_dirs(&scribe->disk, "a/b", &err), FIRN_EACCES);
}

static void replacing_leaves_the_old_file_or_the_new_one(void **state)
{
    struct scribe *scribe = *state;
    char got[8];
    size_t len = 0;
    assert_int_equal(disk_replace_file(&scribe->disk, "", "f", "old", 3, NULL), 0);
    assert_string_equal(scribe->text, "open f.tmp;rename to f;sync .;");
    for (int fail_at = 1; fail_at <= 3; fail_at++) {
        struct firn_error err = {0};
        struct firn_file *file = NULL;
        bool left_over = true;
        scribe->calls = 0;
        scribe->fail_at = fail_at;
        assert_int_equal(disk_replace_file(&scribe->disk, "", "f", "new", 3, &err), FIRN_EIO);
        assert_int_equal(err.code, FIRN_EIO);
        scribe->fail_at = 0;
        assert_int_equal(disk_open(scribe->inner, "f", FIRN_OPEN_READ, &file, NULL), 0);
        assert_int_equal(disk_read_full(file, got, sizeof got, 0, &len, NULL), 0);
        assert_int_equal(len, 3);
        assert_memory_equal(got, fail_at < 3 ? "old" : "new", 3);
        disk_close(file);
        assert_int_equal(disk_exists(scribe->inner, "f.tmp", &left_over, NULL), 0);
        assert_false(left_over);
    }
}

static void short_tables_are_refused(void **state)
{
    struct scribe *scribe = *state;
    struct firn_disk none = {.ops = NULL};
    struct firn_error err = {0};
    assert_int_equal(disk_check(&scribe->disk, &err), 0);
    scribe->ops.size--;
    assert_int_equal(disk_check(&scribe->disk, &err), FIRN_EINVAL);
    assert_int_equal(disk_check(&none, &err), FIRN_EINVAL);
    assert_int_equal(disk_check(NULL, &err), FIRN_EINVAL);
    firn_disk_free(NULL);
    firn_disk_free(firn_disk_posix());
}

#define WITH_SCRIBE(test) cmocka_unit_test_setup_teardown(test, open_scribe, close_scribe)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(short_operations_are_continued),
        cmocka_unit_test(short_operations_are_continued_across_ranges),
        cmocka_unit_test(nothing_to_do_is_no_call),
        cmocka_unit_test(every_part_of_a_durable_write_is_durable),
        cmocka_unit_test(errors_end_the_loop),
        cmocka_unit_test(storages_that_break_their_word_are_found_out),
        cmocka_unit_test(zeros_are_written_where_asked_and_nowhere_else),
        cmocka_unit_test(long_runs_of_zeros_are_written_whole),
        cmocka_unit_test(paths_are_joined),
        cmocka_unit_test(parents_are_found),
        cmocka_unit_test(long_paths_are_refused),
        WITH_SCRIBE(directories_are_synced_before_those_below_are_made),
        WITH_SCRIBE(make_dirs_fails_where_a_step_fails),
        WITH_SCRIBE(parents_that_may_not_be_read_were_not_made_here),
        WITH_SCRIBE(replacing_leaves_the_old_file_or_the_new_one),
        WITH_SCRIBE(short_tables_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
