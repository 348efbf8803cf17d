/* SPDX-License-Identifier: MIT */
/* The baselines: the same bytes by bare system calls. */
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

static int write_blocks(int fd, const void *block, uint64_t bytes)
{
    for (uint64_t at = 0; at < bytes;) {
        size_t size = bytes - at < MIB ? (size_t)(bytes - at) : MIB;
        ssize_t n = pwrite(fd, block, size, (off_t)at);
        if (n <= 0)
            return -1;
        at += (uint64_t)n;
    }
    return 0;
}

int bare_zeroed(struct bench *bench, const char *name, uint64_t bytes)
{
    char path[BENCH_PATH];
    path_in(bench, name, path);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    void *zeros = calloc(1, MIB);
    bool ready = fd >= 0 && zeros && write_blocks(fd, zeros, bytes) == 0 && fsync(fd) == 0;
    free(zeros);
    if (ready)
        return fd;
    (void)bench_fail(bench, "%s: %s", path, strerror(errno));
    if (fd >= 0)
        (void)close(fd);
    return -1;
}

#ifdef RWF_DSYNC

int bare_write_durable(int fd, const void *bytes, size_t size, uint64_t offset)
{
    struct iovec iov = {(void *)(uintptr_t)bytes, size};
    return pwritev2(fd, &iov, 1, (off_t)offset, RWF_DSYNC) == (ssize_t)size ? 0 : -1;
}

const char *bare_how(void)
{
    return "pwritev2(RWF_DSYNC)";
}

#else

int bare_write_durable(int fd, const void *bytes, size_t size, uint64_t offset)
{
    bool written = pwrite(fd, bytes, size, (off_t)offset) == (ssize_t)size;
    return written && fdatasync(fd) == 0 ? 0 : -1;
}

const char *bare_how(void)
{
    return "pwrite and fdatasync";
}

#endif

uint64_t bare_write_all(int fd, uint64_t bytes)
{
    uint8_t *block = malloc(MIB);
    if (!block)
        return 0;
    fill_bytes(block, MIB);
    uint64_t start = now_ns();
    int rc = write_blocks(fd, block, bytes);
    uint64_t taken = now_ns() - start;
    free(block);
    return rc == 0 ? taken : 0;
}

uint64_t bare_read_all(int fd, uint64_t *bytes)
{
    uint8_t *block = malloc(MIB);
    if (!block)
        return 0;
    memset(block, 0, MIB);
    uint64_t start = now_ns();
    uint64_t at = 0;
    ssize_t n;
    while ((n = pread(fd, block, MIB, (off_t)at)) > 0)
        at += (uint64_t)n;
    uint64_t taken = now_ns() - start;
    free(block);
    *bytes = at;
    return n == 0 ? taken : 0;
}
