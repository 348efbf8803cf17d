/* SPDX-License-Identifier: MIT */
/* Whole operations on files of any storage. */
#include "disk/disk.h"

#include <string.h>

enum { ZERO_BYTES = 16 * 1024, ZERO_ENTRIES = 64 };

static const unsigned char zero_block[ZERO_BYTES];

void firn_disk_free(struct firn_disk *disk)
{
    if (disk != NULL && disk->ops->free != NULL)
        disk->ops->free(disk);
}

int disk_check(const struct firn_disk *disk, struct firn_error *err)
{
    if (disk == NULL || disk->ops == NULL || disk->ops->size < sizeof(struct firn_disk_ops))
        return firn_error_set(err, FIRN_EINVAL, 0, "the storage's table of functions is too short");
    return 0;
}

/* Takes `done` bytes off the front of an array of buffers. False if there are not that many. */
static bool use_up(struct iovec **iov, int *count, size_t done)
{
    while (*count > 0 && done >= (*iov)->iov_len) {
        done -= (*iov)->iov_len;
        ++*iov;
        --*count;
    }
    if (*count == 0)
        return done == 0;
    (*iov)->iov_base = (char *)(*iov)->iov_base + done;
    (*iov)->iov_len -= done;
    return true;
}

static int broken_count(struct firn_error *err, const char *verb, size_t done, uint64_t offset)
{
    return firn_error_set(err, FIRN_EIO, 0, "%s at %llu claims %zu bytes, more than it was given",
                          verb, (unsigned long long)offset, done);
}

int disk_readv_full(struct firn_file *file, struct iovec *iov, int count, uint64_t offset,
                    size_t *got, struct firn_error *err)
{
    size_t total = 0;
    (void)use_up(&iov, &count, 0);
    while (count > 0) {
        size_t done = 0;
        int rc = disk_readv(file, iov, count, offset + total, &done, err);
        if (rc != 0)
            return rc;
        if (done == 0)
            break;
        if (!use_up(&iov, &count, done))
            return broken_count(err, "read", done, offset + total);
        total += done;
    }
    *got = total;
    return 0;
}

int disk_read_full(struct firn_file *file, void *buf, size_t len, uint64_t offset, size_t *got,
                   struct firn_error *err)
{
    size_t total = 0;
    while (total < len) {
        const struct iovec iov = {.iov_base = (char *)buf + total, .iov_len = len - total};
        size_t done = 0;
        int rc = disk_readv(file, &iov, 1, offset + total, &done, err);
        if (rc != 0)
            return rc;
        if (done == 0)
            break;
        if (done > len - total)
            return broken_count(err, "read", done, offset + total);
        total += done;
    }
    *got = total;
    return 0;
}

int disk_writev_full(struct firn_file *file, struct iovec *iov, int count, uint64_t offset,
                     unsigned flags, struct firn_error *err)
{
    (void)use_up(&iov, &count, 0);
    while (count > 0) {
        size_t done = 0;
        int rc = disk_writev(file, iov, count, offset, flags, &done, err);
        if (rc != 0)
            return rc;
        if (done == 0)
            return firn_error_set(err, FIRN_EIO, 0, "write at %llu made no progress",
                                  (unsigned long long)offset);
        if (!use_up(&iov, &count, done))
            return broken_count(err, "write", done, offset);
        offset += done;
    }
    return 0;
}

int disk_write_full(struct firn_file *file, const void *buf, size_t len, uint64_t offset,
                    unsigned flags, struct firn_error *err)
{
    struct iovec iov = {.iov_base = (void *)buf, .iov_len = len};
    return disk_writev_full(file, &iov, 1, offset, flags, err);
}

int disk_write_zeros(struct firn_file *file, uint64_t offset, uint64_t length, unsigned flags,
                     struct firn_error *err)
{
    while (length > 0) {
        struct iovec iov[ZERO_ENTRIES];
        uint64_t end = offset;
        int count = 0;
        for (; count < ZERO_ENTRIES && length > 0; count++) {
            size_t len = length < ZERO_BYTES ? (size_t)length : ZERO_BYTES;
            iov[count].iov_base = (void *)zero_block;
            iov[count].iov_len = len;
            length -= len;
            end += len;
        }
        int rc = disk_writev_full(file, iov, count, offset, flags, err);
        if (rc != 0)
            return rc;
        offset = end;
    }
    return 0;
}

int disk_claim_file(struct firn_file *file, bool read_only, struct firn_error *err)
{
    struct firn_error cause = {0};
    int rc = disk_lock_file(file, &cause);
    if (rc == 0 || rc == FIRN_ENOTSUP || (read_only && rc != FIRN_ELOCKED))
        return 0;
    if (err != NULL)
        *err = cause;
    return rc;
}
