/* SPDX-License-Identifier: MIT */
/* A segment's store for tests: batches one behind the other, in a file of the simulator. */
#ifndef TESTS_LOG_MAKE_STORE_H
#define TESTS_LOG_MAKE_STORE_H

#include "make_batch.h"

#include <firn/faulty.h>

#include "disk/disk.h"

enum { STORE_BATCHES_MOST = 256 };

#define STORE_NAME "00.log"

struct store {
    uint8_t *bytes;
    size_t size; /* of all that has been put in */
    uint64_t next_index;
    uint32_t generation;
    size_t count;
    size_t at[STORE_BATCHES_MOST + 1]; /* where the batches begin; then where the last one ends */
    struct batch batches[STORE_BATCHES_MOST];
    struct firn_faulty *faulty;
    struct firn_file *file;
};

static inline void store_init(struct store *store, uint64_t base)
{
    *store = (struct store){.next_index = base, .generation = 1};
    assert_int_equal(firn_faulty_new(NULL, &store->faulty, NULL), 0);
}

static inline void store_done(struct store *store)
{
    disk_close(store->file);
    firn_faulty_free(store->faulty);
    free(store->bytes);
}

static inline void store_append(struct store *store, const void *bytes, size_t size)
{
    store->bytes = realloc(store->bytes, store->size + size + 1);
    assert_non_null(store->bytes);
    memcpy(store->bytes + store->size, bytes, size);
    store->size += size;
}

/* Zeros, as in the space that is prepared. */
static inline void store_append_zeros(struct store *store, size_t size)
{
    uint8_t *zeros = calloc(1, size + 1);
    store_append(store, zeros, size);
    free(zeros);
}

/* A batch of `count` records with `value` each, that says it was written `distance` bytes behind
   the durable end. */
static inline void store_add(struct store *store, size_t count, const void *value, size_t size,
                             int32_t distance)
{
    assert_true(store->count < STORE_BATCHES_MOST);
    struct firn_record *records = calloc(count, sizeof *records);
    for (size_t i = 0; i < count; i++) {
        records[i].index = store->next_index + i;
        records[i].timestamp = 1000;
        records[i].value = slice_of(value, size);
    }
    struct batch *batch = &store->batches[store->count];
    *batch = header_for(store->next_index, records, count);
    batch->generation = store->generation;
    batch->distance = distance;
    uint8_t *bytes = make_batch_as(batch, records);
    store->at[store->count++] = store->size;
    store_append(store, bytes, batch->bytes);
    store->at[store->count] = store->size;
    store->next_index += count;
    free(bytes);
    free(records);
}

/* `batches` of 1 to 3 records of random bytes, of up to `value_most` each. */
static inline void store_add_random(struct store *store, struct prng *prng, size_t batches,
                                    size_t value_most)
{
    uint8_t *value = malloc(value_most + 1);
    for (size_t i = 0; i < batches; i++) {
        prng_fill(prng, value, value_most);
        store_add(store, 1 + prng_below(prng, 3), value, prng_below(prng, value_most + 1), 0);
    }
    free(value);
}

/* Puts the bytes as they are now into the file. */
static inline void store_save(struct store *store)
{
    struct firn_disk *disk = firn_faulty_disk(store->faulty);
    disk_close(store->file);
    assert_int_equal(firn_faulty_put(store->faulty, STORE_NAME, store->bytes, store->size, NULL),
                     0);
    assert_int_equal(disk_open(disk, STORE_NAME, FIRN_OPEN_WRITE, &store->file, NULL), 0);
}

/* Reads that touch [from, from + length) fail from now on. */
static inline void store_break(struct store *store, uint64_t from, uint64_t length)
{
    struct firn_faulty_fault fault = {
        .ops = FIRN_FAULTY_READ, .offset = from, .length = length, .times = FIRN_FAULTY_ALWAYS};
    assert_int_equal(firn_faulty_fail(store->faulty, &fault, NULL, NULL), 0);
}

#endif
