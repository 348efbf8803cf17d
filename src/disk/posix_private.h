/* SPDX-License-Identifier: MIT */
/*
 * What the files of the storage `posix` know of each other. The functions without a comment are
 * entries of its table: their contract stands in <firn/disk.h>. Events, clocks and processes are
 * used by the storage `memory` too.
 */
#ifndef FIRN_DISK_POSIX_PRIVATE_H
#define FIRN_DISK_POSIX_PRIVATE_H

#include <stdatomic.h>
#include <sys/stat.h>

#include <firn/disk.h>

/* ---- errors (posix_error.c) ------------------------------------------------------------------ */

/* The FIRN_E... for an errno. */
int posix_code(int os_error);

/* Says "<path>: <format> failed: <reason>" in `err`; returns the code. A long path is shortened. */
int posix_fail(struct firn_error *err, int os_error, const char *path, const char *format, ...)
    FIRN_PRINTF(4, 5);

/* The same where it isn't the system that refuses: "<path>: <format>", with that code. */
int posix_refuse(struct firn_error *err, int code, const char *path, const char *format, ...)
    FIRN_PRINTF(4, 5);

/* ---- files (posix_file.c, posix_space.c) ----------------------------------------------------- */

struct posix_file {
    struct firn_file base;
    int fd;
    bool writable;
    pid_t locker;         /* the process that locked it; 0: none */
    atomic_bool no_dsync; /* the file system refuses RWF_DSYNC */
    char path[];          /* as given to open; for messages */
};

static inline struct posix_file *posix_file_of(struct firn_file *file)
{
    return (struct posix_file *)file;
}

int posix_open(struct firn_disk *disk, const char *path, unsigned flags, struct firn_file **file,
               struct firn_error *err);

/* open(2) of a regular file with O_CLOEXEC and O_NONBLOCK (else a FIFO blocks); the descriptor, or
 * a negative FIRN_E.... */
int posix_open_fd(const char *path, int flags, struct firn_error *err);

/* FIRN_ETOOBIG if a file must not grow up to `end` (an offset too large, or RLIMIT_FSIZE, which
 * would also raise a signal). */
int posix_check_end(const char *path, const char *verb, uint64_t offset, uint64_t length,
                    struct firn_error *err);

int posix_size_of(struct firn_file *base, uint64_t *bytes, struct firn_error *err);
int posix_reserve(struct firn_file *base, uint64_t offset, uint64_t length, struct firn_error *err);
int posix_truncate(struct firn_file *base, uint64_t size, struct firn_error *err);
int posix_writeback_start(struct firn_file *base, uint64_t offset, uint64_t length,
                          struct firn_error *err);
int posix_writeback_await(struct firn_file *base, uint64_t offset, uint64_t length,
                          struct firn_error *err);
void posix_advise(struct firn_file *base, uint64_t offset, uint64_t length,
                  enum firn_advice advice);

/* What posix_reserve does, on a descriptor. */
int posix_reserve_fd(int fd, const char *path, uint64_t offset, uint64_t length,
                     struct firn_error *err);

/* ---- names (posix_names.c) ------------------------------------------------------------------- */

int posix_stat(struct firn_disk *disk, const char *path, struct firn_entry *entry,
               struct firn_error *err);
int posix_make_dir(struct firn_disk *disk, const char *path, struct firn_error *err);
int posix_remove(struct firn_disk *disk, const char *path, struct firn_error *err);
int posix_remove_dir(struct firn_disk *disk, const char *path, struct firn_error *err);
int posix_rename(struct firn_disk *disk, const char *from, const char *to, struct firn_error *err);
int posix_list(struct firn_disk *disk, const char *path, firn_list_fn *each, void *arg,
               struct firn_error *err);
int posix_sync_dir(struct firn_disk *disk, const char *path, struct firn_error *err);
int posix_make_link(struct firn_disk *disk, const char *target, const char *path,
                    struct firn_error *err);
int posix_read_link(struct firn_disk *disk, const char *path, char *target, size_t size,
                    struct firn_error *err);
int posix_free_space(struct firn_disk *disk, const char *path, uint64_t *bytes,
                     struct firn_error *err);

static inline bool posix_same_inode(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* ---- locks, shares, events (posix_lock.c, posix_share.c, posix_event.c) ---------------------- */

int posix_lock(struct firn_disk *disk, const char *path, struct firn_lock **lock, int64_t *holder,
               struct firn_error *err);
void posix_unlock(struct firn_lock *lock);
int posix_lock_file(struct firn_file *base, struct firn_error *err);
/* Before it is closed. */
void posix_unlock_file(const struct posix_file *file);
int posix_share(struct firn_disk *disk, const char *path, size_t bytes, bool create,
                struct firn_share **share, void **memory, struct firn_error *err);
void posix_unshare(struct firn_share *share);

int posix_event_new(struct firn_disk *disk, struct firn_event **event, int *fd,
                    struct firn_error *err);
void posix_event_signal(struct firn_event *event);
void posix_event_clear(struct firn_event *event);
void posix_event_free(struct firn_event *event);

/* ---- processes and clocks (posix_system.c) --------------------------------------------------- */

int64_t posix_process_id(struct firn_disk *disk);
bool posix_process_alive(struct firn_disk *disk, int64_t process_id);
void posix_boot_id(struct firn_disk *disk, uint8_t id[16]);
uint64_t posix_clock(struct firn_disk *disk, enum firn_clock clock);
void posix_sleep(struct firn_disk *disk, uint64_t nanoseconds);

#endif
