/* SPDX-License-Identifier: MIT */
/* What only the storage posix has: errors of the system, limits, descriptors, odd files. */
#include "posix_world.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "disk/platform.h"
#include "disk/posix_private.h"

enum { CREATE = FIRN_OPEN_WRITE | FIRN_OPEN_CREATE };

/* ---- in a process of its own ----------------------------------------------------------------- */

/* In the child, where cmocka's assertions do not end the test. */
static void check(bool holds, const char *what, int line)
{
    if (!holds) {
        print_error("%s:%d: %s\n", __FILE__, line, what);
        _exit(1);
    }
}

#define CHECK(condition) check(condition, #condition, __LINE__)

/* Runs `body` in a child, which must end well. */
static void in_child(struct contract_world *w, void (*body)(struct contract_world *w))
{
    int status = -1;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        body(w);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void limit_files(rlim_t bytes)
{
    struct rlimit limit;
    CHECK(getrlimit(RLIMIT_FSIZE, &limit) == 0);
    limit.rlim_cur = bytes;
    CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
}

static void limit_descriptors(int count)
{
    struct rlimit limit;
    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    limit.rlim_cur = (rlim_t)count;
    CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
}

/* ---- errors ---------------------------------------------------------------------------------- */

static void every_errno_has_a_code(struct contract_world *w)
{
    (void)w;
    assert_int_equal(posix_code(ENOSPC), FIRN_ENOSPC);
    assert_int_equal(posix_code(EDQUOT), FIRN_ENOSPC);
    assert_int_equal(posix_code(EROFS), FIRN_EREADONLY);
    assert_int_equal(posix_code(ENFILE), FIRN_EMFILE);
    assert_int_equal(posix_code(EPERM), FIRN_EACCES);
    assert_int_equal(posix_code(ENOTEMPTY), FIRN_EBUSY);
    assert_int_equal(posix_code(EIO), FIRN_EIO);
    for (int os_error = 1; os_error < 200; os_error++)
        assert_string_not_equal(firn_error_name(posix_code(os_error)), "FIRN_E?");
}

static void messages_name_path_place_and_reason(struct contract_world *w)
{
    char want[600];
    struct firn_file *file = NULL;
    const char *path = contract_path(w, "e/f");
    FAILS(w, FIRN_ENOENT, disk_open(w->disk, path, FIRN_OPEN_READ, &file, &w->err));
    (void)snprintf(want, sizeof want, "%s: open failed: No such file or directory", path);
    assert_string_equal(w->err.message, want);
    assert_int_equal(w->err.os_error, ENOENT);
    file = contract_open(w, "f", CREATE);
    struct posix_file *posix = posix_file_of(file);
    int fd = posix->fd;
    posix->fd = open("/dev/full", O_RDWR | O_CLOEXEC);
    if (posix->fd >= 0) {
        FAILS(w, FIRN_ENOSPC, disk_write_full(file, want, 100, 8192, 0, &w->err));
        (void)snprintf(want, sizeof want,
                       "%s/f: write of 100 bytes at 8192 failed: No space left on device", w->root);
        assert_string_equal(w->err.message, want);
        (void)close(posix->fd);
    }
    posix->fd = fd;
    disk_close(file);
}

static void long_paths_leave_room_for_the_reason(struct contract_world *w)
{
    char name[391];
    struct firn_file *file = NULL;
    for (size_t i = 0; i < sizeof name; i++)
        name[i] = i % 50 == 49 ? '/' : 'n';
    name[sizeof name - 1] = '\0';
    FAILS(w, FIRN_ENOENT,
          disk_open(w->disk, contract_path(w, name), FIRN_OPEN_READ, &file, &w->err));
    assert_int_equal(strncmp(w->err.message, "...", 3), 0);
    assert_non_null(strstr(w->err.message, "nnn: open failed: No such file or directory"));
}

/* ---- odd files and rights -------------------------------------------------------------------- */

static void a_fifo_is_no_file(struct contract_world *w)
{
    struct firn_file *file = NULL;
    struct firn_lock *lock = NULL;
    struct firn_entry entry;
    const char *path = contract_path(w, "fifo");
    assert_int_equal(mkfifo(path, 0600), 0);
    FAILS(w, FIRN_EINVAL, disk_open(w->disk, path, FIRN_OPEN_READ, &file, &w->err));
    FAILS(w, FIRN_EINVAL, disk_open(w->disk, path, FIRN_OPEN_WRITE, &file, &w->err));
    FAILS(w, FIRN_EINVAL, disk_lock(w->disk, path, &lock, NULL, &w->err));
    OK(w, disk_stat(w->disk, path, &entry, &w->err));
    assert_int_equal(entry.kind, FIRN_ENTRY_OTHER);
}

/* As somebody who is not root. */
static void look_as_stranger(struct contract_world *w)
{
    struct firn_file *file = NULL;
    struct firn_lock *lock = NULL;
    struct firn_share *share = NULL;
    void *memory = NULL;
    if (getuid() == 0)
        CHECK(setuid(65534) == 0);
    CHECK(disk_open(w->disk, contract_path(w, "closed"), FIRN_OPEN_READ, &file, &w->err) ==
          FIRN_EACCES);
    CHECK(disk_open(w->disk, contract_path(w, "open"), FIRN_OPEN_WRITE, &file, &w->err) ==
          FIRN_EACCES);
    CHECK(disk_lock(w->disk, contract_path(w, "open"), &lock, NULL, &w->err) == FIRN_EACCES);
    CHECK(disk_share(w->disk, contract_path(w, "open"), 7, true, &share, &memory, &w->err) ==
          FIRN_EACCES);
    CHECK(disk_share(w->disk, contract_path(w, "open"), 8, false, &share, &memory, &w->err) ==
          FIRN_ERANGE);
    CHECK(disk_share(w->disk, contract_path(w, "open"), 7, false, &share, &memory, &w->err) == 0);
    CHECK(memcmp(memory, "content", 7) == 0);
    CHECK(disk_open(w->disk, contract_path(w, "open"), FIRN_OPEN_READ, &file, &w->err) == 0);
    CHECK(disk_make_dir(w->disk, contract_path(w, "d"), &w->err) == FIRN_EACCES);
    CHECK(disk_process_alive(w->disk, 1)); /* though we may not signal it */
    disk_close(file);
    disk_unshare(w->disk, share);
}

static void rights_are_respected(struct contract_world *w)
{
    contract_make(w, "open", "content");
    contract_make(w, "closed", "content");
    assert_int_equal(chmod(contract_path(w, "open"), 0444), 0);
    assert_int_equal(chmod(contract_path(w, "closed"), 0), 0);
    assert_int_equal(chmod(w->root, 0555), 0);
    in_child(w, look_as_stranger);
    assert_int_equal(chmod(w->root, 0755), 0);
}

/* ---- limits ---------------------------------------------------------------------------------- */

/* Beyond the limit the system would end the process with SIGXFSZ. */
static void write_beyond_the_limit(struct contract_world *w)
{
    char bytes[100] = {0};
    struct firn_file *file = NULL;
    struct firn_share *share = NULL;
    struct firn_lock *lock = NULL;
    void *memory = NULL;
    uint64_t size = 0;
    CHECK(signal(SIGXFSZ, SIG_DFL) != SIG_ERR);
    CHECK(disk_open(w->disk, contract_path(w, "f"), CREATE, &file, NULL) == 0);
    limit_files(8192);
    CHECK(disk_write_full(file, bytes, 100, 8092, 0, NULL) == 0);
    CHECK(disk_write_full(file, bytes, 100, 8093, 0, &w->err) == FIRN_ETOOBIG);
    CHECK(strstr(w->err.message, "f: write of 100 bytes at 8093") != NULL);
    CHECK(strstr(w->err.message, "ulimit -f") != NULL);
    CHECK(disk_write_full(file, bytes, 1, 8192, FIRN_WRITE_DURABLE, &w->err) == FIRN_ETOOBIG);
    CHECK(disk_reserve(file, 8000, 193, &w->err) == FIRN_ETOOBIG);
    CHECK(disk_reserve(file, 8000, 192, &w->err) == 0);
    CHECK(disk_truncate(file, 8193, &w->err) == FIRN_ETOOBIG);
    CHECK(disk_share(w->disk, contract_path(w, "s"), 8193, true, &share, &memory, &w->err) ==
          FIRN_ETOOBIG);
    CHECK(disk_size_of(file, &size, NULL) == 0 && size == 8192);
    CHECK(disk_truncate(file, 0, NULL) == 0);
    limit_files(10);
    CHECK(disk_lock(w->disk, contract_path(w, "L"), &lock, NULL, &w->err) == FIRN_ETOOBIG);
    limit_files(100);
    CHECK(disk_lock(w->disk, contract_path(w, "L"), &lock, NULL, &w->err) == 0);
    disk_unlock(w->disk, lock);
    disk_close(file);
}

static void the_limit_for_files_is_an_error(struct contract_world *w)
{
    in_child(w, write_beyond_the_limit);
}

static int ignore_entry(void *arg, const char *name, const struct firn_entry *entry)
{
    (void)arg, (void)name, (void)entry;
    return 0;
}

static void run_out_of_descriptors(struct contract_world *w)
{
    struct firn_file *file = NULL;
    struct firn_lock *lock = NULL;
    struct firn_share *share = NULL;
    struct firn_event *event = NULL;
    void *memory = NULL;
    int fd = -1;
    int room = dup(0); /* all below it are in use */
    CHECK(room >= 0 && close(room) == 0);
    limit_descriptors(room);
    CHECK(disk_open(w->disk, contract_path(w, "f"), CREATE, &file, &w->err) == FIRN_EMFILE);
    CHECK(disk_lock(w->disk, contract_path(w, "L"), &lock, NULL, &w->err) == FIRN_EMFILE);
    CHECK(disk_share(w->disk, contract_path(w, "s"), 8, true, &share, &memory, &w->err) ==
          FIRN_EMFILE);
    CHECK(disk_event_new(w->disk, &event, &fd, &w->err) == FIRN_EMFILE);
    CHECK(disk_list(w->disk, w->root, ignore_entry, NULL, &w->err) == FIRN_EMFILE);
    CHECK(disk_sync_dir(w->disk, w->root, &w->err) == FIRN_EMFILE);
    limit_descriptors(room + 1); /* one of the two that a lock needs */
    CHECK(disk_lock(w->disk, contract_path(w, "L"), &lock, NULL, &w->err) == FIRN_EMFILE);
    limit_descriptors(room + 2);
    CHECK(disk_lock(w->disk, contract_path(w, "L"), &lock, NULL, &w->err) == 0);
    disk_unlock(w->disk, lock);
    CHECK(disk_open(w->disk, contract_path(w, "f"), CREATE, &file, &w->err) == 0);
    disk_close(file);
}

static void too_many_open_files_is_an_error(struct contract_world *w)
{
    in_child(w, run_out_of_descriptors);
}

/* ---- descriptors ----------------------------------------------------------------------------- */

enum { DESCRIPTORS_MOST = 256 };

struct descriptors {
    bool open[DESCRIPTORS_MOST];
};

static struct descriptors look_at_descriptors(void)
{
    struct descriptors now;
    for (int fd = 0; fd < DESCRIPTORS_MOST; fd++)
        now.open[fd] = fcntl(fd, F_GETFD) >= 0;
    return now;
}

/* All descriptors that are new are closed on exec; returns how many there are. */
static int count_new(const struct descriptors *before)
{
    int count = 0;
    for (int fd = 0; fd < DESCRIPTORS_MOST; fd++) {
        int flags = fcntl(fd, F_GETFD);
        if (flags < 0 || before->open[fd])
            continue;
        assert_true((flags & FD_CLOEXEC) != 0);
        count++;
    }
    return count;
}

static int count_while_listing(void *arg, const char *name, const struct firn_entry *entry)
{
    (void)name, (void)entry;
    return count_new(arg);
}

static void descriptors_do_not_survive_exec(struct contract_world *w)
{
    struct firn_lock *lock = NULL;
    struct firn_event *event = NULL;
    int event_fd = -1;
    struct descriptors before = look_at_descriptors();
    struct firn_file *file = contract_open(w, "f", CREATE);
    OK(w, disk_lock(w->disk, contract_path(w, "L"), &lock, NULL, &w->err));
    OK(w, disk_event_new(w->disk, &event, &event_fd, &w->err));
    assert_int_equal(count_new(&before), DISK_LINUX ? 4 : 5);
    assert_int_equal(disk_list(w->disk, w->root, count_while_listing, &before, NULL),
                     DISK_LINUX ? 5 : 6);
    disk_event_free(w->disk, event);
    disk_unlock(w->disk, lock);
    disk_close(file);
}

/* ---- what a file system may refuse ----------------------------------------------------------- */

static void durable_writes_do_without_rwf_dsync(struct contract_world *w)
{
    struct firn_file *file = contract_open(w, "f", CREATE);
    atomic_store(&posix_file_of(file)->no_dsync, true);
    OK(w, disk_write_full(file, "durable", 7, 100, FIRN_WRITE_DURABLE, &w->err));
    contract_expect(w, file, "durable", 100);
    disk_close(file);
}

/* ---- processes ------------------------------------------------------------------------------- */

static void *outlive_the_first_thread(void *arg)
{
    int *fds = arg;
    char byte = 0;
    if (write(fds[1], "x", 1) != 1 || read(fds[2], &byte, 1) != 0)
        _exit(1);
    _exit(0);
}

/* To the system it looks like a zombie, and is none. */
static void a_process_without_its_first_thread_is_alive(struct contract_world *w)
{
    int to_us[2];
    int to_child[2];
    char byte = 0;
    assert_int_equal(pipe(to_us), 0);
    assert_int_equal(pipe(to_child), 0);
    pid_t child = fork();
    if (child == 0) {
        pthread_t thread;
        static int fds[3];
        fds[1] = to_us[1];
        fds[2] = to_child[0];
        (void)close(to_child[1]);
        if (pthread_create(&thread, NULL, outlive_the_first_thread, fds) != 0)
            _exit(1);
        pthread_exit(NULL);
    }
    assert_int_equal(read(to_us[0], &byte, 1), 1);
    for (int i = 0; i < 100; i++) {
        assert_true(disk_process_alive(w->disk, child));
        disk_sleep(w->disk, 100000); /* its first thread may still be about to end */
    }
    (void)close(to_child[1]);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_false(disk_process_alive(w->disk, child));
    (void)close(to_child[0]);
    (void)close(to_us[0]);
    (void)close(to_us[1]);
}

static void the_boot_has_an_id(struct contract_world *w)
{
    static const uint8_t unknown[16];
    uint8_t id[16];
    disk_boot_id(w->disk, id);
    assert_int_equal(memcmp(id, unknown, sizeof id) != 0, DISK_LINUX);
}

static void interrupt(int number)
{
    (void)number;
}

static void sleep_is_not_cut_short_by_signals(struct contract_world *w)
{
    struct sigaction action = {.sa_handler = interrupt};
    struct sigaction before;
    assert_int_equal(sigaction(SIGALRM, &action, &before), 0);
    pid_t child = fork();
    if (child == 0) {
        for (int i = 0; i < 20; i++) {
            (void)kill(getppid(), SIGALRM);
            disk_sleep(w->disk, 500000);
        }
        _exit(0);
    }
    uint64_t start = disk_clock(w->disk, FIRN_CLOCK_MONOTONIC);
    disk_sleep(w->disk, 20000000);
    assert_true(disk_clock(w->disk, FIRN_CLOCK_MONOTONIC) - start >= 20000000);
    while (waitpid(child, NULL, 0) < 0)
        assert_int_equal(errno, EINTR);
    assert_int_equal(sigaction(SIGALRM, &before, NULL), 0);
}

static const struct contract_case cases[] = {
    {"every errno has a code", every_errno_has_a_code, 0},
    {"messages name path, place and reason", messages_name_path_place_and_reason, 0},
    {"long paths leave room for the reason", long_paths_leave_room_for_the_reason, 0},
    {"a FIFO is no file", a_fifo_is_no_file, 0},
    {"rights are respected", rights_are_respected, 0},
    {"the limit for files is an error", the_limit_for_files_is_an_error, 0},
    {"too many open files is an error", too_many_open_files_is_an_error, 0},
    {"descriptors do not survive exec", descriptors_do_not_survive_exec, 0},
    {"durable writes do without RWF_DSYNC", durable_writes_do_without_rwf_dsync, 0},
    {"a process without its first thread is alive", a_process_without_its_first_thread_is_alive, 0},
    {"the boot has an id", the_boot_has_an_id, 0},
    {"sleep is not cut short by signals", sleep_is_not_cut_short_by_signals, 0},
    {NULL, NULL, 0},
};

int main(void)
{
    return contract_run_cases(&posix_world, cases);
}
