/* SPDX-License-Identifier: MIT */
#include "fuzz.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "disk/disk.h"
#include "log/record.h"

void fail(const char *what)
{
    fprintf(stderr, "broken: %s\n", what);
    abort();
}

FIRN_PRINTF(1, 0)
static void print_line(const char *format, va_list args)
{
    (void)vfprintf(stderr, format, args);
    (void)fputc('\n', stderr);
}

void trace(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (getenv("FIRN_FUZZ_TRACE") != NULL)
        print_line(format, args);
    va_end(args);
}

/* ---- the input ------------------------------------------------------------------------------ */

uint8_t input_u8(struct input *in)
{
    if (in->left == 0)
        return 0;
    in->left--;
    return *in->at++;
}

uint16_t input_u16(struct input *in)
{
    uint16_t low = input_u8(in);
    return (uint16_t)(low | input_u8(in) << 8);
}

uint64_t input_u64(struct input *in)
{
    uint64_t number = 0;
    for (unsigned i = 0; i < 64; i += 8)
        number |= (uint64_t)input_u8(in) << i;
    return number;
}

uint64_t input_below(struct input *in, uint64_t n)
{
    uint16_t number = input_u16(in);
    return n > 0 ? number % n : number;
}

const uint8_t *input_bytes(struct input *in, size_t most, size_t *size)
{
    const uint8_t *bytes = in->at;
    *size = in->left < most ? in->left : most;
    in->at += *size;
    in->left -= *size;
    return bytes;
}

/* ---- bytes ---------------------------------------------------------------------------------- */

void *must_alloc(size_t size)
{
    void *memory = calloc(1, size > 0 ? size : 1);
    require(memory != NULL, "memory for the target itself");
    return memory;
}

void *must_grow(void *memory, size_t size)
{
    void *grown = realloc(memory, size > 0 ? size : 1);
    require(grown != NULL, "memory for the target itself");
    return grown;
}

void fill_noise(uint8_t *bytes, size_t size, uint64_t seed)
{
    for (size_t i = 0; i < size; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        bytes[i] = (uint8_t)(seed >> 56);
    }
}

void bytes_append(struct bytes *bytes, const void *data, size_t size)
{
    if (size == 0)
        return;
    bytes->data = must_grow(bytes->data, bytes->size + size);
    memcpy(bytes->data + bytes->size, data, size);
    bytes->size += size;
}

void bytes_done(struct bytes *bytes)
{
    free(bytes->data);
    *bytes = (struct bytes){0};
}

struct bytes make_batch(struct batch *header, uint32_t count, const void *value, size_t size)
{
    const struct firn_record record = {.value = {value, size}};
    struct bytes batch = {must_alloc(BATCH_HEADER), BATCH_HEADER};
    for (uint32_t i = 0; i < count; i++) {
        size_t body = record_body_bytes(&record, 0, i);
        batch.data = must_grow(batch.data, batch.size + record_bytes(body));
        uint8_t *end = record_put(batch.data + batch.size, &record, body, 0, i);
        batch.size = (size_t)(end - batch.data);
    }
    header->bytes = (uint32_t)batch.size;
    header->count = count;
    header->last_delta = count > 0 ? count - 1 : 0;
    batch_put(batch.data, header);
    header->crc = batch_crc(batch.data, batch.size);
    batch_set_crc(batch.data, header->crc);
    return batch;
}

void mend_batch(uint8_t *bytes, size_t size)
{
    if (size < BATCH_HEADER)
        return;
    uint64_t end = (uint64_t)load_be_u32(bytes + 8) + BATCH_LENGTH_FROM;
    if (end >= BATCH_HEADER && end <= size)
        batch_set_crc(bytes, batch_crc(bytes, (size_t)end));
}

/* ---- files ---------------------------------------------------------------------------------- */

struct firn_disk *memory_disk(void)
{
    struct firn_disk *disk;
    require(firn_disk_memory_new(&disk, NULL) == 0, "a storage in RAM");
    return disk;
}

void put_file(struct firn_disk *disk, const char *path, const void *bytes, size_t size)
{
    struct firn_file *file = NULL;
    int rc = disk_open(disk, path, FIRN_OPEN_WRITE | FIRN_OPEN_CREATE, &file, NULL);
    if (rc == 0)
        rc = disk_truncate(file, 0, NULL);
    if (rc == 0 && size > 0)
        rc = disk_write_full(file, bytes, size, 0, 0, NULL);
    disk_close(file);
    require(rc == 0, "writing a file of the storage in RAM");
}

struct bytes get_file(struct firn_disk *disk, const char *path)
{
    struct firn_file *file = NULL;
    struct bytes bytes = {0};
    uint64_t size = 0;
    size_t got = 0;
    int rc = disk_open(disk, path, FIRN_OPEN_READ, &file, NULL);
    if (rc == 0)
        rc = disk_size_of(file, &size, NULL);
    bytes.data = must_alloc((size_t)size);
    bytes.size = (size_t)size;
    if (rc == 0)
        rc = disk_read_full(file, bytes.data, bytes.size, 0, &got, NULL);
    disk_close(file);
    require(rc == 0 && got == bytes.size, "reading a file of the storage in RAM");
    return bytes;
}
