/* SPDX-License-Identifier: MIT */
#include "support.h"

struct firn_faulty *sim_new(uint64_t seed)
{
    struct firn_faulty_options options = {.seed = seed};
    struct firn_faulty *sim = NULL;
    OK(firn_faulty_new(&options, &sim, NULL));
    return sim;
}

struct firn_faulty *sim_clone(struct firn_faulty *sim)
{
    struct firn_faulty *copy = NULL;
    OK(firn_faulty_clone(sim, &copy, NULL));
    return copy;
}

/* ---- files -------------------------------------------------------------------------------- */

struct firn_file *file_open(struct firn_faulty *sim, const char *path, unsigned flags)
{
    struct firn_disk *disk = firn_faulty_disk(sim);
    struct firn_file *file = NULL;
    struct firn_error err = {.code = 0};
    int rc = disk->ops->open(disk, path, flags, &file, &err);
    if (rc != 0) {
        fail_msg("open of %s: %s", path, err.message);
    }
    return file;
}

struct firn_file *file_create(struct firn_faulty *sim, const char *path)
{
    return file_open(sim, path, FIRN_OPEN_WRITE | FIRN_OPEN_CREATE);
}

static int write_flags(struct firn_file *file, const void *bytes, size_t n, uint64_t offset,
                       unsigned flags)
{
    struct iovec iov = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = n};
    size_t done = 0;
    int rc = file->ops->writev(file, &iov, 1, offset, flags, &done, NULL);
    if (rc == 0) {
        assert_int_equal(done, n);
    }
    return rc;
}

int file_write(struct firn_file *file, const void *bytes, size_t n, uint64_t offset)
{
    return write_flags(file, bytes, n, offset, 0);
}

int file_write_durable(struct firn_file *file, const void *bytes, size_t n, uint64_t offset)
{
    return write_flags(file, bytes, n, offset, FIRN_WRITE_DURABLE);
}

int file_read(struct firn_file *file, void *bytes, size_t n, uint64_t offset, size_t *done)
{
    struct iovec iov = {.iov_base = bytes, .iov_len = n};
    return file->ops->readv(file, &iov, 1, offset, done, NULL);
}

static int fill_flags(struct firn_file *file, int byte, size_t n, uint64_t offset, unsigned flags)
{
    void *bytes = malloc(n);
    assert_non_null(bytes);
    memset(bytes, byte, n);
    int rc = write_flags(file, bytes, n, offset, flags);
    free(bytes);
    return rc;
}

int file_fill(struct firn_file *file, int byte, size_t n, uint64_t offset)
{
    return fill_flags(file, byte, n, offset, 0);
}

int file_fill_durable(struct firn_file *file, int byte, size_t n, uint64_t offset)
{
    return fill_flags(file, byte, n, offset, FIRN_WRITE_DURABLE);
}

int file_sync(struct firn_file *file)
{
    return file->ops->sync(file, NULL);
}

int file_truncate(struct firn_file *file, uint64_t size)
{
    return file->ops->truncate(file, size, NULL);
}

int file_reserve(struct firn_file *file, uint64_t offset, uint64_t length)
{
    return file->ops->reserve(file, offset, length, NULL);
}

uint64_t file_size(struct firn_file *file)
{
    uint64_t size = 0;
    OK(file->ops->size_of(file, &size, NULL));
    return size;
}

void file_close(struct firn_file *file)
{
    file->ops->close(file);
}

/* ---- names -------------------------------------------------------------------------------- */

int name_remove(struct firn_faulty *sim, const char *path)
{
    struct firn_disk *disk = firn_faulty_disk(sim);
    return disk->ops->remove(disk, path, NULL);
}

int name_rename(struct firn_faulty *sim, const char *from, const char *to)
{
    struct firn_disk *disk = firn_faulty_disk(sim);
    return disk->ops->rename(disk, from, to, NULL);
}

int name_make_dir(struct firn_faulty *sim, const char *path)
{
    struct firn_disk *disk = firn_faulty_disk(sim);
    return disk->ops->make_dir(disk, path, NULL);
}

int name_sync_dir(struct firn_faulty *sim, const char *path)
{
    struct firn_disk *disk = firn_faulty_disk(sim);
    return disk->ops->sync_dir(disk, path, NULL);
}

bool name_exists(struct firn_faulty *sim, const char *path)
{
    struct firn_disk *disk = firn_faulty_disk(sim);
    struct firn_entry entry;
    int rc = disk->ops->stat(disk, path, &entry, NULL);
    assert_true(rc == 0 || rc == FIRN_ENOENT);
    return rc == 0;
}

/* ---- contents ----------------------------------------------------------------------------- */

void put_text(struct firn_faulty *sim, const char *path, const char *text)
{
    OK(firn_faulty_put(sim, path, text, strlen(text), NULL));
}

void expect_text(struct firn_faulty *sim, const char *path, enum firn_faulty_image image,
                 const char *text)
{
    void *bytes = NULL;
    size_t size = 0;
    OK(firn_faulty_get(sim, path, image, &bytes, &size, NULL));
    assert_int_equal(size, strlen(text));
    assert_memory_equal(bytes, text, size);
    free(bytes);
}

void expect_fill(struct firn_faulty *sim, const char *path, int byte, size_t n, uint64_t offset)
{
    void *bytes = NULL;
    size_t size = 0;
    OK(firn_faulty_get(sim, path, FIRN_FAULTY_CURRENT, &bytes, &size, NULL));
    assert_true(offset + n <= size);
    for (size_t i = 0; i < n; i++) {
        if (((uint8_t *)bytes)[offset + i] != byte) {
            fail_msg("%s: byte %zu is %d, not %d", path, (size_t)offset + i,
                     ((uint8_t *)bytes)[offset + i], byte);
        }
    }
    free(bytes);
}

int fault_add(struct firn_faulty *sim, enum firn_faulty_what what, unsigned ops)
{
    struct firn_faulty_fault fault = {.what = what, .ops = ops};
    int id = 0;
    OK(firn_faulty_fail(sim, &fault, &id, NULL));
    return id;
}

int fault_add_always(struct firn_faulty *sim, enum firn_faulty_what what, unsigned ops, int code)
{
    struct firn_faulty_fault fault = {
        .what = what, .ops = ops, .times = FIRN_FAULTY_ALWAYS, .code = code};
    int id = 0;
    OK(firn_faulty_fail(sim, &fault, &id, NULL));
    return id;
}

void lines_add(void *lines, const char *line)
{
    struct lines *all = lines;
    size_t n = strlen(line);
    assert_true(all->length + n + 2 < sizeof(all->text));
    memcpy(all->text + all->length, line, n);
    all->length += n;
    all->text[all->length++] = '\n';
    all->text[all->length] = '\0';
}
