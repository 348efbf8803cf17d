/* SPDX-License-Identifier: MIT */
/*
 * Locks of the storage `posix`.
 *
 * No single lock of the system will do. flock and OFD locks belong to an open file description,
 * which a forked child inherits: the lock would outlive its holder for as long as a child does. A
 * record lock (fcntl F_SETLK) belongs to the process and is not inherited, but two handles of one
 * process don't exclude each other, and it is lost as soon as the process closes any descriptor of
 * that file - one that it had opened only to look. So there are two files:
 *
 * `path` is the guard and the claim. The guard is a flock that is held only for the few system
 * calls of a lock or an unlock, and released explicitly (so it does not matter who inherited the
 * description). The claim is text in the file: "<process id> <descriptor>", the holder's and its
 * open descriptor of the second file. The claim is never believed: it says where to look.
 *
 * `path`.pid is there while the lock is held, or after a crash. The holder keeps a descriptor of it
 * open, with a record lock on it.
 *
 * To lock, under the guard:
 * 1. If the claim names a process in which that descriptor is, right now, one of `path`.pid, it
 *    holds the lock. For our own process fstat tells: here two handles exclude each other, and
 *    `path`.pid is not opened, so nothing is lost. For another process /proc tells, where there is
 *    one and we may look: so a holder that lost its record lock (because the program copied all
 *    files of the directory, say) still holds the lock.
 * 2. Else open `path`.pid and set the record lock. If another process has it, it holds the lock,
 *    also where its id means nothing to us (another pid namespace, another machine on NFS).
 * 3. Else the lock is ours: all that could still hold it is gone. Write the claim.
 *
 * All that open, close or remove `path`.pid do so under the guard. So no close by this process can
 * fall between another thread's F_SETLK and its claim, or between a look at a claim and the close
 * of what it names. Should a holder remove `path` (a log is destroyed), others have a guard of
 * their own: hence the look, after each step, whether the name still means the open file.
 *
 * A forked child has the holder's descriptors but not its id: for it the claim is a stranger's.
 * When the holder dies, its record lock ends, and the claim points nowhere: a descriptor of the
 * child holds nothing. In the child, unlock only closes.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "base/sanitizers.h"
#include "disk/platform.h"
#include "disk/posix_private.h"

#if defined(SANITIZED_THREAD)
#include <sanitizer/tsan_interface.h>
#endif

enum {
    CLAIM_SIZE = 64,    /* always that long, so that a full disk can't refuse the next one */
    GUARD_TRIES = 1000, /* a millisecond apart */
    INODE_TRIES = 100,  /* each one means that somebody else removed the file just now */
};

struct claim {
    int64_t process;
    int fd;
};

struct firn_lock {
    int guard_fd;
    int hold_fd;
    pid_t owner;
    char *hold_path;
    char path[];
};

/* ---- the guard ------------------------------------------------------------------------------- */

/* ThreadSanitizer does not know that a flock orders the threads of this process, too. */
static void tell_sanitizer(bool entered)
{
#if defined(SANITIZED_THREAD)
    static char guards;
    if (entered)
        __tsan_acquire(&guards);
    else
        __tsan_release(&guards);
#else
    (void)entered;
#endif
}

static void guard_leave(int fd)
{
    tell_sanitizer(false);
    (void)flock(fd, LOCK_UN);
}

/* 0 or an errno; EWOULDBLOCK: somebody else does not leave it. */
static int guard_enter(int fd)
{
    for (int i = 0; i < GUARD_TRIES; i++) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
            tell_sanitizer(true);
            return 0;
        }
        if (errno != EWOULDBLOCK && errno != EINTR)
            return errno;
        (void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    return EWOULDBLOCK;
}

/* Whether `path` is the file that is open as `fd`. */
static bool names(const char *path, int fd)
{
    struct stat by_name;
    struct stat by_fd;
    return stat(path, &by_name) == 0 && fstat(fd, &by_fd) == 0 &&
           posix_same_inode(&by_name, &by_fd);
}

static void guard_close(int fd)
{
    guard_leave(fd);
    (void)close(fd);
}

/* Opens `path` and enters its guard; the descriptor, or a negative FIRN_E.... */
static int guard_open(const char *path, struct firn_error *err)
{
    for (int i = 0; i < INODE_TRIES; i++) {
        int fd = posix_open_fd(path, O_RDWR | O_CREAT, err);
        if (fd < 0)
            return fd;
        int os_error = guard_enter(fd);
        if (os_error != 0) {
            (void)close(fd);
            return os_error == EWOULDBLOCK
                       ? posix_refuse(err, FIRN_ELOCKED, path,
                                      "locked: another process is about to lock or unlock it, and "
                                      "does not come to an end")
                       : posix_fail(err, os_error, path, "lock");
        }
        if (names(path, fd))
            return fd;
        guard_close(fd);
    }
    return posix_refuse(err, FIRN_EBUSY, path, "lock: the file is being removed all the time");
}

/* ---- the claim ------------------------------------------------------------------------------- */

/* One that can't be read claims nothing: then the record lock decides. */
static struct claim claim_read(int fd)
{
    char text[CLAIM_SIZE + 1];
    struct claim claim = {.process = 0, .fd = -1};
    ssize_t n = pread(fd, text, CLAIM_SIZE, 0);
    if (n <= 0)
        return claim;
    text[n] = '\0';
    char *end = NULL;
    long long process = strtoll(text, &end, 10);
    long held = strtol(end, &end, 10);
    if (process > 0 && held >= 0 && held <= INT32_MAX) {
        claim.process = process;
        claim.fd = (int)held;
    }
    return claim;
}

/* 0 or a FIRN_E.... */
static int claim_write(int fd, const char *path, struct claim claim, struct firn_error *err)
{
    char text[CLAIM_SIZE + 1];
    int rc = posix_check_end(path, "write", 0, CLAIM_SIZE, err);
    if (rc != 0)
        return rc;
    int len = snprintf(text, sizeof text, "%lld %d", (long long)claim.process, claim.fd);
    memset(text + len, ' ', CLAIM_SIZE - (size_t)len);
    text[CLAIM_SIZE - 1] = '\n';
    ssize_t n = pwrite(fd, text, CLAIM_SIZE, 0);
    if (n == CLAIM_SIZE)
        return 0;
    return posix_fail(err, n < 0 ? errno : ENOSPC, path, "write of %d bytes at 0", CLAIM_SIZE);
}

/* Whether the claim's process has, right now, `hold_path` open as the claim's descriptor. */
static bool claim_is_true(struct claim claim, const char *hold_path)
{
    struct stat by_name;
    struct stat by_fd;
    if (claim.process == 0 || stat(hold_path, &by_name) != 0)
        return false;
    if (claim.process == getpid())
        return fstat(claim.fd, &by_fd) == 0 && posix_same_inode(&by_name, &by_fd);
#if DISK_LINUX
    char proc[64];
    (void)snprintf(proc, sizeof proc, "/proc/%lld/fd/%d", (long long)claim.process, claim.fd);
    return stat(proc, &by_fd) == 0 && posix_same_inode(&by_name, &by_fd);
#else
    return false;
#endif
}

/* ---- the record lock ------------------------------------------------------------------------- */

static int locked(const char *path, int64_t process, int64_t *holder, struct firn_error *err)
{
    if (holder != NULL)
        *holder = process;
    if (process == getpid())
        return posix_refuse(err, FIRN_ELOCKED, path,
                            "locked by another handle of this process (%lld)", (long long)process);
    if (process == 0)
        return posix_refuse(err, FIRN_ELOCKED, path, "locked by another process");
    return posix_refuse(err, FIRN_ELOCKED, path, "locked by process %lld", (long long)process);
}

/* The process that has the record lock; 0 where that can't be told. */
static int64_t record_holder(int fd)
{
    struct flock record = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(fd, F_GETLK, &record) != 0 || record.l_type == F_UNLCK || record.l_pid < 0)
        return 0;
    return record.l_pid;
}

static int record_set(int fd)
{
    struct flock record = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int rc = 0;
    do
        rc = fcntl(fd, F_SETLK, &record);
    while (rc != 0 && errno == EINTR);
    return rc != 0 ? errno : 0;
}

/* The record lock on `hold_path`, under the guard: its descriptor, or a negative FIRN_E.... */
static int hold_open(const char *path, const char *hold_path, int64_t *holder,
                     struct firn_error *err)
{
    for (int i = 0; i < INODE_TRIES; i++) {
        int fd = posix_open_fd(hold_path, O_RDWR | O_CREAT, err);
        if (fd < 0)
            return fd;
        int rc = 0;
        int os_error = record_set(fd);
        if (os_error == 0 && names(hold_path, fd))
            return fd;
        if (os_error == EACCES || os_error == EAGAIN)
            rc = locked(path, record_holder(fd), holder, err);
        else if (os_error != 0)
            rc = posix_fail(err, os_error, hold_path, "lock");
        (void)close(fd);
        if (rc != 0)
            return rc;
    }
    return posix_refuse(err, FIRN_EBUSY, hold_path, "lock: the file is being removed all the time");
}

/* ---- lock and unlock ------------------------------------------------------------------------- */

static struct firn_lock *lock_new(const char *path)
{
    size_t len = strlen(path);
    size_t hold_size = len + sizeof ".pid";
    struct firn_lock *lock = malloc(sizeof *lock + len + 1 + hold_size);
    if (lock == NULL)
        return NULL;
    lock->owner = getpid();
    lock->hold_path = lock->path + len + 1;
    memcpy(lock->path, path, len + 1);
    (void)snprintf(lock->hold_path, hold_size, "%s.pid", path);
    return lock;
}

/* Under the guard. */
static int hold(struct firn_lock *lock, int64_t *holder, struct firn_error *err)
{
    struct claim claim = claim_read(lock->guard_fd);
    if (claim_is_true(claim, lock->hold_path))
        return locked(lock->path, claim.process, holder, err);
    lock->hold_fd = hold_open(lock->path, lock->hold_path, holder, err);
    if (lock->hold_fd < 0)
        return lock->hold_fd;
    claim = (struct claim){.process = lock->owner, .fd = lock->hold_fd};
    int rc = claim_write(lock->guard_fd, lock->path, claim, err);
    if (rc != 0)
        (void)close(lock->hold_fd);
    return rc;
}

int posix_lock(struct firn_disk *disk, const char *path, struct firn_lock **lock, int64_t *holder,
               struct firn_error *err)
{
    (void)disk;
    int64_t who = 0;
    struct firn_lock *new = lock_new(path);
    if (new == NULL)
        return posix_refuse(err, FIRN_ENOMEM, path, "lock: out of memory");
    new->guard_fd = guard_open(path, err);
    int rc = new->guard_fd < 0 ? new->guard_fd : hold(new, &who, err);
    if (rc == 0) {
        guard_leave(new->guard_fd);
        *lock = new;
        return 0;
    }
    if (new->guard_fd >= 0)
        guard_close(new->guard_fd);
    free(new);
    if (rc == FIRN_ELOCKED && holder != NULL)
        *holder = who;
    return rc;
}

/* The path may mean another file by now (a change of the working directory): that one stays. */
static void withdraw(const struct firn_lock *lock)
{
    struct claim nobody = {.process = 0, .fd = -1};
    (void)guard_enter(lock->guard_fd);
    (void)claim_write(lock->guard_fd, lock->path, nobody, NULL);
    if (names(lock->hold_path, lock->hold_fd))
        (void)unlink(lock->hold_path);
}

void posix_unlock(struct firn_lock *lock)
{
    bool ours = false;
    if (lock == NULL)
        return;
    ours = lock->owner == getpid();
    if (ours)
        withdraw(lock);
    (void)close(lock->hold_fd);
    if (ours)
        guard_leave(lock->guard_fd);
    (void)close(lock->guard_fd);
    free(lock);
}

/* ---- a file that others lock too ------------------------------------------------------------- */

/* A flock: the lock that other programs take is the only one that keeps them out. */
int posix_lock_file(struct firn_file *base, struct firn_error *err)
{
    struct posix_file *file = posix_file_of(base);
    int rc = 0;
    do
        rc = flock(file->fd, LOCK_EX | LOCK_NB);
    while (rc != 0 && errno == EINTR);
    if (rc == 0) {
        file->locker = getpid();
        return 0;
    }
    if (errno == EWOULDBLOCK)
        return posix_refuse(err, FIRN_ELOCKED, file->path, "locked by another program");
    return posix_fail(err, errno, file->path, "lock");
}

/* Said, since a forked child may have the file open for longer; not by the child, though. */
void posix_unlock_file(const struct posix_file *file)
{
    if (file->locker != 0 && file->locker == getpid())
        (void)flock(file->fd, LOCK_UN);
}
