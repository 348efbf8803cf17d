/* SPDX-License-Identifier: MIT */
/*
 * A disk that is really full: a small tmpfs, mounted in a namespace of this process alone. Skipped
 * where that is not permitted. With FIRN_TEST_FULL_DIR set to a directory on another file system
 * with little space, runs there instead (and fills it).
 */
#include "posix_world.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if defined(__linux__)
#include <sched.h>
#include <sys/mount.h>
#endif

enum { CREATE = FIRN_OPEN_WRITE | FIRN_OPEN_CREATE, SKIPPED = 77 };

static const uint64_t MUCH = UINT64_C(1) << 40;

static uint64_t free_space(struct contract_world *w)
{
    uint64_t bytes = 0;
    OK(w, disk_free_space(w->disk, w->root, &bytes, &w->err));
    return bytes;
}

/* Leaves no space for anything but what is reserved already. */
static void fill(struct contract_world *w)
{
    char bytes[4096];
    uint64_t offset = 0;
    struct firn_file *file = contract_open(w, "filler", CREATE);
    memset(bytes, 'x', sizeof bytes);
    while (disk_write_full(file, bytes, sizeof bytes, offset, 0, &w->err) == 0)
        offset += sizeof bytes;
    assert_int_equal(w->err.code, FIRN_ENOSPC);
    disk_close(file);
}

static void a_failed_reservation_changes_nothing(struct contract_world *w)
{
    struct firn_file *file = contract_open(w, "f", CREATE);
    contract_write(w, file, "content", 5000);
    OK(w, disk_truncate(file, 100000, &w->err));
    contract_write(w, file, "end", 99997);
    OK(w, disk_sync(file, &w->err));
    uint64_t before = free_space(w);
    for (int i = 0; i < 3; i++) {
        FAILS(w, FIRN_ENOSPC, disk_reserve(file, 50000, MUCH, &w->err));
        assert_non_null(strstr(w->err.message, "f: reserve of "));
        assert_non_null(strstr(w->err.message, "No space left on device"));
        FAILS(w, FIRN_ENOSPC, disk_reserve(file, 200000, MUCH, &w->err));
        contract_expect_size(w, file, 100000);
        contract_expect(w, file, "content", 5000);
        contract_expect(w, file, "end", 99997);
        contract_expect_zeros(w, file, 5007, 94990);
    }
    /* What lies below the end may stay allocated, what lies behind it may not. */
    assert_in_range(free_space(w), before - 100000, before);
    OK(w, disk_reserve(file, 0, 200000, &w->err));
    contract_expect_size(w, file, 200000);
    contract_expect(w, file, "content", 5000);
    disk_close(file);
}

static void reserved_space_can_be_written_when_all_else_is_full(struct contract_world *w)
{
    struct firn_file *file = contract_open(w, "f", CREATE);
    OK(w, disk_reserve(file, 0, 65536, &w->err));
    OK(w, disk_sync(file, &w->err));
    fill(w);
    for (uint64_t offset = 0; offset < 65536; offset += 4096)
        OK(w, disk_write_full(file, "reserved", 8, offset, FIRN_WRITE_DURABLE, &w->err));
    OK(w, disk_sync(file, &w->err));
    FAILS(w, FIRN_ENOSPC, disk_reserve(file, 65536, 65536, &w->err));
    contract_expect_size(w, file, 65536);
    OK(w, disk_remove(w->disk, contract_path(w, "filler"), &w->err));
    OK(w, disk_reserve(file, 65536, 65536, &w->err)); /* space that comes back */
    disk_close(file);
}

static void a_full_disk_is_an_error_for_shared_memory(struct contract_world *w)
{
    struct firn_share *share = NULL;
    struct firn_share *none = NULL;
    void *memory = NULL;
    void *nothing = NULL;
    const size_t bytes = (size_t)64 * 1024;
    const char *path = contract_path(w, "s");
    OK(w, disk_share(w->disk, path, bytes, true, &share, &memory, &w->err));
    fill(w);
    FAILS(w, FIRN_ENOSPC,
          disk_share(w->disk, contract_path(w, "t"), bytes, true, &none, &nothing, &w->err));
    assert_null(none);
    memset(memory, 'x', bytes); /* would be SIGBUS */
    disk_unshare(w->disk, share);
}

static void a_lock_that_exists_can_be_taken_on_a_full_disk(struct contract_world *w)
{
    struct firn_lock *lock = NULL;
    const char *path = contract_path(w, "LOCK");
    OK(w, disk_lock(w->disk, path, &lock, NULL, &w->err));
    disk_unlock(w->disk, lock);
    fill(w);
    OK(w, disk_lock(w->disk, path, &lock, NULL, &w->err));
    disk_unlock(w->disk, lock);
}

static void a_file_is_not_replaced_by_half_of_one(struct contract_world *w)
{
    const size_t len = (size_t)1 << 20;
    char *bytes = calloc(1, len);
    assert_non_null(bytes);
    OK(w, disk_replace_file(w->disk, w->root, "f", "old", 3, &w->err));
    fill(w);
    FAILS(w, FIRN_ENOSPC, disk_replace_file(w->disk, w->root, "f", bytes, len, &w->err));
    contract_expect_file(w, "f", "old");
    assert_false(contract_exists(w, "f.tmp"));
    free(bytes);
}

static const struct contract_case cases[] = {
    {"a failed reservation changes nothing", a_failed_reservation_changes_nothing, 0},
    {"reserved space can be written when all else is full",
     reserved_space_can_be_written_when_all_else_is_full, 0},
    {"a full disk is an error for shared memory", a_full_disk_is_an_error_for_shared_memory, 0},
    {"a lock that exists can be taken on a full disk",
     a_lock_that_exists_can_be_taken_on_a_full_disk, 0},
    {"a file is not replaced by half of one", a_file_is_not_replaced_by_half_of_one, 0},
    {NULL, NULL, 0},
};

#if defined(__linux__)

static bool put(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool done = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    (void)close(fd);
    return done;
}

/* A namespace of mounts; where we are not root, in one of users in which we are. */
static bool enter_namespace(void)
{
    char users[64];
    char groups[64];
    (void)snprintf(users, sizeof users, "0 %u 1", (unsigned)getuid());
    (void)snprintf(groups, sizeof groups, "0 %u 1", (unsigned)getgid());
    if (unshare(CLONE_NEWNS) == 0)
        return true;
    return unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 && put("/proc/self/setgroups", "deny") &&
           put("/proc/self/uid_map", users) && put("/proc/self/gid_map", groups);
}

/* Mounts 4 MiB at `dir`, for this process only. */
static bool mount_small(const char *dir)
{
    if (!enter_namespace())
        return false;
    return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("tmpfs", dir, "tmpfs", 0, "size=4m") == 0;
}

static void unmount_small(const char *dir)
{
    (void)umount2(dir, MNT_DETACH);
}

#else

static bool mount_small(const char *dir)
{
    (void)dir;
    return false;
}

static void unmount_small(const char *dir)
{
    (void)dir;
}

#endif

int main(void)
{
    char dir[256];
    const char *given = getenv("FIRN_TEST_FULL_DIR");
    if (given != NULL) {
        (void)setenv("TMPDIR", given, 1);
        return contract_run_cases(&posix_world, cases);
    }
    const char *tmp = getenv("TMPDIR");
    (void)snprintf(dir, sizeof dir, "%s/firn-full-XXXXXX",
                   tmp != NULL && tmp[0] != '\0' ? tmp : "/tmp");
    if (mkdtemp(dir) == NULL)
        return 1;
    int result = SKIPPED;
    if (mount_small(dir)) {
        (void)setenv("TMPDIR", dir, 1);
        result = contract_run_cases(&posix_world, cases);
        unmount_small(dir);
    } else {
        print_message("skipped: may not mount a small file system\n");
    }
    (void)rmdir(dir);
    return result;
}
