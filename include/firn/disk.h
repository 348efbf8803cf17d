/* SPDX-License-Identifier: MIT */
/**
 * Storage: the one way by which firn reaches files, locks and clocks.
 *
 * A `struct firn_disk` is a table of functions. firn brings three: `firn_disk_posix` (this
 * machine's file systems), `firn_disk_memory_new` (RAM) and, in libfirn-faulty, a simulator of what
 * real disks do wrong. A program can bring its own: embed `struct firn_disk` (and `struct
 * firn_file`, `struct firn_lock`) as the first member of its own type, and fill the table.
 *
 * What every implementation promises, and what firn relies on:
 * - Functions return 0 or a negative FIRN_E..., and fill `err` where it is not NULL. Outputs are
 *   written only on success, except `done` of readv/writev.
 * - Any function may be called from any thread; one file may be used from many at once.
 * - What was written is readable at once by everybody. It is on stable storage only once a write
 *   with FIRN_WRITE_DURABLE that covers it, or a sync that began after it, has returned 0.
 * - A failed sync or durable write says that data may be gone, even if it can still be read, and
 *   even if a later sync succeeds. The error is reported once per open file.
 * - A name that was created, renamed or removed is on stable storage once sync_dir of its
 *   directory has returned 0.
 * - readv and writev may do less than asked (at least one byte, unless at the end of the file):
 *   firn's own calls go on where they stopped.
 */
#ifndef FIRN_DISK_H
#define FIRN_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include <firn/error.h>

#ifdef __cplusplus
extern "C" {
#endif

struct firn_disk;
struct firn_file;
struct firn_lock;
struct firn_share;
struct firn_event;

/** Flags of open. FIRN_OPEN_READ or FIRN_OPEN_WRITE (which can read too) is needed: FIRN_EINVAL. */
enum firn_open_flags {
    FIRN_OPEN_READ = 1,
    FIRN_OPEN_WRITE = 2,
    FIRN_OPEN_CREATE = 4,    /**< create the file if it is missing */
    FIRN_OPEN_EXCLUSIVE = 8, /**< with CREATE: FIRN_EEXIST if it is there */
};

/** Flags of writev. */
enum firn_write_flags {
    FIRN_WRITE_DURABLE = 1, /**< on stable storage (this range only) when it returns 0 */
};

/** Advice about a range of the page cache; may do nothing. */
enum firn_advice {
    FIRN_ADVICE_SEQUENTIAL,
    FIRN_ADVICE_RANDOM,
    FIRN_ADVICE_WILL_NEED,
    FIRN_ADVICE_DONT_NEED,
};

enum firn_clock {
    FIRN_CLOCK_REAL,      /**< ns since 1970-01-01 UTC; may jump */
    FIRN_CLOCK_MONOTONIC, /**< ns since some start; never goes back */
};

enum firn_entry_kind { FIRN_ENTRY_FILE, FIRN_ENTRY_DIR, FIRN_ENTRY_SYMLINK, FIRN_ENTRY_OTHER };

/** What stat and list tell. */
struct firn_entry {
    enum firn_entry_kind kind;
    uint64_t size;      /**< bytes, for a file; stat only (0 in list) */
    uint64_t allocated; /**< bytes that the file takes on the device; stat only */
};

/** Called by list for each entry but "." and ".."; a non-zero result ends the list and is returned.
 */
typedef int firn_list_fn(void *arg, const char *name, const struct firn_entry *entry);

/** Functions of an open file. Lengths and offsets are bytes. */
struct firn_file_ops {
    size_t size; /**< sizeof(struct firn_file_ops) when compiled */

    /** Releases the file, whatever happens. Makes nothing durable. */
    void (*close)(struct firn_file *file);
    int (*size_of)(struct firn_file *file, uint64_t *bytes, struct firn_error *err);
    /** Reads at `offset`. `*done` is 0 only at or behind the end of the file. */
    int (*readv)(struct firn_file *file, const struct iovec *iov, int count, uint64_t offset,
                 size_t *done, struct firn_error *err);
    /** Writes at `offset`, extending the file where needed (a gap reads as zero). `*done` is valid
     * after an error too. FIRN_EREADONLY for a file that is open for reading only (as for reserve
     * and truncate), FIRN_ETOOBIG beyond what a file may have (on posix, RLIMIT_FSIZE too). */
    int (*writev)(struct firn_file *file, const struct iovec *iov, int count, uint64_t offset,
                  unsigned flags, size_t *done, struct firn_error *err);
    /** All writes and size changes that returned before this call are on stable storage. */
    int (*sync)(struct firn_file *file, struct firn_error *err);
    /**
     * Space for the range is set aside; where the file grows by it, the new bytes read as zero, and
     * bytes that were there keep their content. FIRN_ENOSPC leaves the file as it was. Whether the
     * new size is on stable storage is sync's business. Not at the same time as anything else that
     * changes the size: of that, a reservation that fails may take something back.
     */
    int (*reserve)(struct firn_file *file, uint64_t offset, uint64_t length,
                   struct firn_error *err);
    /** Makes the file shorter, or longer by bytes that read as zero and have no space set aside. */
    int (*truncate)(struct firn_file *file, uint64_t size, struct firn_error *err);
    /** Starts writeback of the range and does not wait. Makes nothing durable. */
    int (*writeback_start)(struct firn_file *file, uint64_t offset, uint64_t length,
                           struct firn_error *err);
    /** Waits for writeback of the range. Not a sync: metadata and the device's cache stay. A
     * failure that it reports is not reported by a later sync again: treat it as one of sync. */
    int (*writeback_await)(struct firn_file *file, uint64_t offset, uint64_t length,
                           struct firn_error *err);
    void (*advise)(struct firn_file *file, uint64_t offset, uint64_t length,
                   enum firn_advice advice);
    /** A descriptor of the file, for calls that firn does not make (sendfile); it stays the file's.
     * May be NULL; -1: there is none. */
    int (*descriptor)(struct firn_file *file);
    /**
     * Takes the exclusive lock of the file that programs of other makers take too (flock on posix),
     * without waiting: FIRN_ELOCKED where another open file has it, in this process or in another.
     * It ends when this file is closed, or with the process that took it (on posix not before that
     * of a forked child which still has the file open). FIRN_ENOTSUP, FIRN_EACCES, FIRN_EREADONLY.
     * May be NULL: there are no such locks.
     */
    int (*lock)(struct firn_file *file, struct firn_error *err);
};

/** An open file; the first member of an implementation's own type. */
struct firn_file {
    const struct firn_file_ops *ops;
};

/**
 * Functions of a storage. Paths are NUL-terminated; '/' separates. Empty components and "." mean
 * nothing: "a//b/./c" is "a/b/c", and "." alone is the directory in which paths begin that do not
 * begin with '/'. Where a function below does not say otherwise, symbolic links are followed.
 *
 * Errors that several have: FIRN_ENOENT, FIRN_ENOTDIR (also for a component on the way that is no
 * directory), FIRN_EACCES, FIRN_EREADONLY, FIRN_ETOOBIG (a name or path too long), FIRN_EINVAL
 * (what is no file where a file is needed), FIRN_EMFILE, FIRN_ENOSPC, FIRN_ENOMEM, FIRN_EIO.
 */
struct firn_disk_ops {
    size_t size; /**< sizeof(struct firn_disk_ops) when compiled */

    int (*open)(struct firn_disk *disk, const char *path, unsigned flags, struct firn_file **file,
                struct firn_error *err);
    /** Of a symbolic link it tells about the link itself. */
    int (*stat)(struct firn_disk *disk, const char *path, struct firn_entry *entry,
                struct firn_error *err);
    /** Creates one directory; FIRN_EEXIST if anything has that name. */
    int (*make_dir)(struct firn_disk *disk, const char *path, struct firn_error *err);
    /** Removes a file or a symbolic link. FIRN_EINVAL for a directory. */
    int (*remove)(struct firn_disk *disk, const char *path, struct firn_error *err);
    /** Removes an empty directory; FIRN_EBUSY where it is not empty. */
    int (*remove_dir)(struct firn_disk *disk, const char *path, struct firn_error *err);
    /** Renames within one directory, replacing atomically what had the new name. */
    int (*rename)(struct firn_disk *disk, const char *from, const char *to, struct firn_error *err);
    /** In no order. `each` may call the storage; what it adds or removes may be listed or not. */
    int (*list)(struct firn_disk *disk, const char *path, firn_list_fn *each, void *arg,
                struct firn_error *err);
    int (*sync_dir)(struct firn_disk *disk, const char *path, struct firn_error *err);
    /** Creates a symbolic link (any text); FIRN_EEXIST if anything has that name. */
    int (*make_link)(struct firn_disk *disk, const char *target, const char *path,
                     struct firn_error *err);
    /** Reads a symbolic link into `target`, NUL-terminated; FIRN_ERANGE if it does not fit,
     * FIRN_EINVAL if it is no link. */
    int (*read_link)(struct firn_disk *disk, const char *path, char *target, size_t size,
                     struct firn_error *err);
    /**
     * Takes the exclusive lock that the file `path` (created if missing) stands for, without
     * waiting. FIRN_ELOCKED where another handle has it, in this process or in another; `*holder`
     * (may be NULL) is then its process id, or 0 if unknown. The lock ends with unlock or with the
     * process that took it, even if a forked child lives on (in which unlock only releases memory).
     *
     * The file `path` stays, and its content is the storage's own. A storage may keep a second
     * file, `path` with ".pid" appended, for as long as the lock is held or after a crash: posix
     * does. Who is about to remove the whole directory may remove `path` before unlock, as the last
     * file.
     */
    int (*lock)(struct firn_disk *disk, const char *path, struct firn_lock **lock, int64_t *holder,
                struct firn_error *err);
    void (*unlock)(struct firn_lock *lock);
    /**
     * Maps `bytes` (1 to 64 KiB) of the file `path`, created zeroed with `create` (and made longer
     * where it is shorter), as memory that all processes share. Without `create`: FIRN_ENOENT, or
     * FIRN_ERANGE where the file is shorter (its creator may be about to make it longer); and where
     * this process may not write the file, the memory can only be read. For positions, not for
     * data: never on stable storage, never relied on. While it is mapped, nobody may cut the file.
     */
    int (*share)(struct firn_disk *disk, const char *path, size_t bytes, bool create,
                 struct firn_share **share, void **memory, struct firn_error *err);
    void (*unshare)(struct firn_share *share);
    /** A wake-up that is also a descriptor; `*fd` is -1 where there is none. */
    int (*event_new)(struct firn_disk *disk, struct firn_event **event, int *fd,
                     struct firn_error *err);
    void (*event_signal)(struct firn_event *event); /**< makes fd readable; async-signal-safe */
    void (*event_clear)(struct firn_event *event);  /**< makes fd unreadable */
    void (*event_free)(struct firn_event *event);
    /** Bytes that an ordinary user can still write on the file system of `path`. */
    int (*free_space)(struct firn_disk *disk, const char *path, uint64_t *bytes,
                      struct firn_error *err);
    int64_t (*process_id)(struct firn_disk *disk);
    /** True unless the process is known to be gone. Ids are above 0: false for others. */
    bool (*process_alive)(struct firn_disk *disk, int64_t process_id);
    /** 16 bytes that change when the machine starts anew; all zero where unknown. */
    void (*boot_id)(struct firn_disk *disk, uint8_t id[16]);
    uint64_t (*clock)(struct firn_disk *disk, enum firn_clock clock);
    void (*sleep)(struct firn_disk *disk, uint64_t nanoseconds);
    /** Releases the storage; NULL or no effect for one that is static. */
    void (*free)(struct firn_disk *disk);
};

/** A storage; the first member of an implementation's own type. */
struct firn_disk {
    const struct firn_disk_ops *ops;
};

/**
 * The file systems of this machine. Static and without state; never freed. Locks hold between
 * processes on one machine; descriptors are closed on exec.
 */
FIRN_API struct firn_disk *firn_disk_posix(void);

/**
 * A storage in RAM that holds nothing but a root directory "". Paths may begin with '/' or not.
 * The caller frees it with firn_disk_free after all that uses it is closed. FIRN_ENOMEM.
 */
FIRN_API int firn_disk_memory_new(struct firn_disk **disk, struct firn_error *err);

/** Releases a storage; NULL is fine, and so is a static one. */
FIRN_API void firn_disk_free(struct firn_disk *disk);

#ifdef __cplusplus
}
#endif
#endif
