/* SPDX-License-Identifier: MIT */
/*
 * Files of the storage `memory`. What lies behind a file's end is zero in all of its pages, so that
 * it can grow without a look at them.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "disk/memory_private.h"
#include "disk/posix_private.h"

struct memory_file {
    struct firn_file base;
    struct memory_disk *disk;
    struct memory_node *node;
    bool writable;
    bool locked; /* by this one */
    char path[]; /* for messages */
};

static struct memory_file *file_of(struct firn_file *file)
{
    return (struct memory_file *)file;
}

static int fail_at(const struct memory_file *file, int code, const char *verb, uint64_t length,
                   uint64_t offset, struct firn_error *err)
{
    return posix_refuse(err, code, file->path, "%s of %llu bytes at %llu failed: %s", verb,
                        (unsigned long long)length, (unsigned long long)offset,
                        firn_strerror(code));
}

/* What is left of a page behind `offset`, at most `len`. */
static size_t part_of_page(uint64_t offset, size_t len)
{
    size_t left = MEMORY_PAGE - (size_t)(offset % MEMORY_PAGE);
    return len < left ? len : left;
}

/* Brings the count of used bytes up to date, after the pages changed from `before`. */
static void account(struct memory_disk *disk, const struct memory_data *data, uint64_t before)
{
    if (data->pages.count > before)
        atomic_fetch_add(&disk->used, (data->pages.count - before) * MEMORY_PAGE);
    else
        atomic_fetch_sub(&disk->used, (before - data->pages.count) * MEMORY_PAGE);
}

static void memory_close(struct firn_file *base)
{
    struct memory_file *file = file_of(base);
    (void)pthread_mutex_lock(&file->disk->mutex);
    if (file->locked)
        file->node->file.file_locked = false;
    memory_node_drop(file->disk, file->node);
    (void)pthread_mutex_unlock(&file->disk->mutex);
    free(file);
}

static int memory_size_of(struct firn_file *base, uint64_t *bytes, struct firn_error *err)
{
    struct memory_data *data = &file_of(base)->node->file;
    (void)err;
    (void)pthread_rwlock_rdlock(&data->lock);
    *bytes = data->size;
    (void)pthread_rwlock_unlock(&data->lock);
    return 0;
}

/* ---- read and write -------------------------------------------------------------------------- */

/* Adds up the bytes. FIRN_EINVAL. */
static int measure(const struct memory_file *file, const char *verb, const struct iovec *iov,
                   int count, uint64_t offset, size_t *total, struct firn_error *err)
{
    size_t sum = 0;
    if (count < 0)
        return fail_at(file, FIRN_EINVAL, verb, 0, offset, err);
    for (int i = 0; i < count; i++) {
        if (iov[i].iov_len > SIZE_MAX / 2 - sum)
            return fail_at(file, FIRN_EINVAL, verb, iov[i].iov_len, offset, err);
        sum += iov[i].iov_len;
    }
    *total = sum;
    return 0;
}

static void read_range(const struct memory_data *data, unsigned char *to, size_t len,
                       uint64_t offset)
{
    while (len > 0) {
        size_t part = part_of_page(offset, len);
        const unsigned char *page = memory_pages_find(&data->pages, offset / MEMORY_PAGE);
        if (page != NULL)
            memcpy(to, page + offset % MEMORY_PAGE, part);
        else
            memset(to, 0, part);
        to += part;
        offset += part;
        len -= part;
    }
}

static int memory_readv(struct firn_file *base, const struct iovec *iov, int count, uint64_t offset,
                        size_t *done, struct firn_error *err)
{
    struct memory_file *file = file_of(base);
    struct memory_data *data = &file->node->file;
    size_t total = 0;
    *done = 0;
    int rc = measure(file, "read", iov, count, offset, &total, err);
    if (rc != 0)
        return rc;
    (void)pthread_rwlock_rdlock(&data->lock);
    for (int i = 0; i < count && offset < data->size; i++) {
        size_t len = iov[i].iov_len;
        if (len > data->size - offset)
            len = (size_t)(data->size - offset);
        read_range(data, iov[i].iov_base, len, offset);
        offset += len;
        *done += len;
    }
    (void)pthread_rwlock_unlock(&data->lock);
    return 0;
}

/* How many bytes were written before memory ran out. */
static size_t write_range(struct memory_data *data, const unsigned char *from, size_t len,
                          uint64_t offset)
{
    size_t sum = 0;
    while (sum < len) {
        size_t part = part_of_page(offset, len - sum);
        unsigned char *page = memory_pages_make(&data->pages, offset / MEMORY_PAGE);
        if (page == NULL)
            break;
        memcpy(page + offset % MEMORY_PAGE, from + sum, part);
        offset += part;
        sum += part;
    }
    return sum;
}

static size_t write_ranges(struct memory_data *data, const struct iovec *iov, int count,
                           uint64_t offset)
{
    size_t sum = 0;
    for (int i = 0; i < count; i++) {
        size_t n = write_range(data, iov[i].iov_base, iov[i].iov_len, offset + sum);
        sum += n;
        if (n < iov[i].iov_len)
            break;
    }
    if (sum > 0 && offset + sum > data->size)
        data->size = offset + sum;
    return sum;
}

static int memory_writev(struct firn_file *base, const struct iovec *iov, int count,
                         uint64_t offset, unsigned flags, size_t *done, struct firn_error *err)
{
    struct memory_file *file = file_of(base);
    struct memory_data *data = &file->node->file;
    size_t total = 0;
    (void)flags;
    *done = 0;
    if (!file->writable)
        return memory_fail(err, FIRN_EREADONLY, file->path, "write");
    int rc = measure(file, "write", iov, count, offset, &total, err);
    if (rc == 0 && (offset > INT64_MAX || total > INT64_MAX - offset))
        rc = fail_at(file, FIRN_ETOOBIG, "write", total, offset, err);
    if (rc != 0 || total == 0)
        return rc;
    (void)pthread_rwlock_wrlock(&data->lock);
    uint64_t before = data->pages.count;
    *done = write_ranges(data, iov, count, offset);
    account(file->disk, data, before);
    (void)pthread_rwlock_unlock(&data->lock);
    return *done > 0 ? 0 : fail_at(file, FIRN_ENOSPC, "write", total, offset, err);
}

static int memory_sync(struct firn_file *base, struct firn_error *err)
{
    (void)base, (void)err;
    return 0;
}

/* ---- size and space -------------------------------------------------------------------------- */

static void set_size(struct memory_data *data, uint64_t size)
{
    if (size < data->size) {
        memory_pages_cut(&data->pages, size / MEMORY_PAGE + (size % MEMORY_PAGE != 0));
        unsigned char *last = memory_pages_find(&data->pages, size / MEMORY_PAGE);
        if (last != NULL)
            memset(last + size % MEMORY_PAGE, 0, MEMORY_PAGE - size % MEMORY_PAGE);
    }
    data->size = size;
}

static int memory_truncate(struct firn_file *base, uint64_t size, struct firn_error *err)
{
    struct memory_file *file = file_of(base);
    struct memory_data *data = &file->node->file;
    if (!file->writable)
        return memory_fail(err, FIRN_EREADONLY, file->path, "truncate");
    if (size > INT64_MAX)
        return fail_at(file, FIRN_ETOOBIG, "truncate", 0, size, err);
    (void)pthread_rwlock_wrlock(&data->lock);
    uint64_t before = data->pages.count;
    set_size(data, size);
    account(file->disk, data, before);
    (void)pthread_rwlock_unlock(&data->lock);
    return 0;
}

static bool make_pages(struct memory_data *data, uint64_t offset, uint64_t end)
{
    for (uint64_t number = offset / MEMORY_PAGE; number <= (end - 1) / MEMORY_PAGE; number++) {
        if (memory_pages_make(&data->pages, number) == NULL)
            return false;
    }
    return true;
}

/* Under the lock: takes the pages, or gives back those behind the end. */
static bool reserve(struct memory_disk *disk, struct memory_data *data, uint64_t offset,
                    uint64_t length)
{
    uint64_t before = data->pages.count;
    uint64_t used = atomic_load(&disk->used);
    bool enough = used < disk->capacity && length <= disk->capacity - used &&
                  make_pages(data, offset, offset + length);
    if (!enough)
        memory_pages_cut(&data->pages, data->size / MEMORY_PAGE + (data->size % MEMORY_PAGE != 0));
    else if (offset + length > data->size)
        data->size = offset + length;
    account(disk, data, before);
    return enough;
}

static int memory_reserve(struct firn_file *base, uint64_t offset, uint64_t length,
                          struct firn_error *err)
{
    struct memory_file *file = file_of(base);
    struct memory_data *data = &file->node->file;
    if (!file->writable)
        return memory_fail(err, FIRN_EREADONLY, file->path, "reserve");
    if (offset > INT64_MAX || length > INT64_MAX - offset)
        return fail_at(file, FIRN_ETOOBIG, "reserve", length, offset, err);
    if (length == 0)
        return 0;
    (void)pthread_rwlock_wrlock(&data->lock);
    bool done = reserve(file->disk, data, offset, length);
    (void)pthread_rwlock_unlock(&data->lock);
    return done ? 0 : fail_at(file, FIRN_ENOSPC, "reserve", length, offset, err);
}

static int memory_writeback(struct firn_file *base, uint64_t offset, uint64_t length,
                            struct firn_error *err)
{
    (void)base, (void)offset, (void)length, (void)err;
    return 0;
}

static void memory_advise(struct firn_file *base, uint64_t offset, uint64_t length,
                          enum firn_advice advice)
{
    (void)base, (void)offset, (void)length, (void)advice;
}

/* ---- lock ------------------------------------------------------------------------------------ */

static int memory_lock_file(struct firn_file *base, struct firn_error *err)
{
    struct memory_file *file = file_of(base);
    (void)pthread_mutex_lock(&file->disk->mutex);
    bool taken = file->locked || !file->node->file.file_locked;
    if (taken)
        file->locked = file->node->file.file_locked = true;
    (void)pthread_mutex_unlock(&file->disk->mutex);
    return taken ? 0 : posix_refuse(err, FIRN_ELOCKED, file->path, "locked by another open file");
}

/* ---- open ------------------------------------------------------------------------------------ */

static const struct firn_file_ops memory_file_ops = {
    .size = sizeof(struct firn_file_ops),
    .close = memory_close,
    .size_of = memory_size_of,
    .readv = memory_readv,
    .writev = memory_writev,
    .sync = memory_sync,
    .reserve = memory_reserve,
    .truncate = memory_truncate,
    .writeback_start = memory_writeback,
    .writeback_await = memory_writeback,
    .advise = memory_advise,
    .lock = memory_lock_file,
};

int memory_open(struct firn_disk *base, const char *path, unsigned flags, struct firn_file **file,
                struct firn_error *err)
{
    struct memory_disk *disk = memory_disk_of(base);
    unsigned known = FIRN_OPEN_READ | FIRN_OPEN_WRITE | FIRN_OPEN_CREATE | FIRN_OPEN_EXCLUSIVE;
    if ((flags & ~known) != 0 || (flags & (FIRN_OPEN_READ | FIRN_OPEN_WRITE)) == 0 ||
        (flags & (FIRN_OPEN_CREATE | FIRN_OPEN_EXCLUSIVE)) == FIRN_OPEN_EXCLUSIVE)
        return memory_fail(err, FIRN_EINVAL, path, "open");
    size_t size = strlen(path) + 1;
    struct memory_file *new = malloc(sizeof *new + size);
    if (new == NULL)
        return memory_fail(err, FIRN_ENOMEM, path, "open");
    int rc = memory_file_find(disk, path, flags, &new->node, err);
    if (rc != 0) {
        free(new);
        return rc;
    }
    new->base.ops = &memory_file_ops;
    new->disk = disk;
    new->writable = (flags & FIRN_OPEN_WRITE) != 0;
    new->locked = false;
    memcpy(new->path, path, size);
    *file = &new->base;
    return 0;
}
