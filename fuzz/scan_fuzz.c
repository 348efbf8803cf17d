/* SPDX-License-Identifier: MIT */
/*
 * Reading a store batch by batch, and finding the way behind damage. Input: how to read, and a
 * store glued together from parts: good batches, damaged ones, copies, batches inside values,
 * garbage, zeros. Every answer is compared with what the same bytes in memory say; what
 * resynchronisation finds is a good batch within the bounds, and the one directly behind the
 * damaged batch, where a good one stands there.
 */
#include <stdlib.h>
#include <string.h>

#include <firn/error.h>

#include "base/bytes.h"
#include "disk/disk.h"
#include "fuzz.h"
#include "log/scan.h"

enum { STORE_MOST = 192 * 1024, PARTS_MOST = 64, STEPS_MOST = 400 };

enum part { GOOD, DAMAGED, HEADER_DAMAGED, NESTED, GARBAGE, ZEROS, COPY, JUMP, MENDED, PARTS };

#define STORE "store"

struct store {
    struct bytes bytes;
    uint64_t next; /* index of the next record */
    uint32_t generation;
    size_t last, last_size; /* the last batch */
};

/* How it is read. */
struct how {
    size_t window;
    uint64_t end;
    bool end_exact, peek_first;
    uint32_t most_generation;
    uint64_t most_base;
};

/* ---- making a store ------------------------------------------------------------------------- */

static void append_batch(struct store *store, struct bytes *batch)
{
    store->last = store->bytes.size;
    store->last_size = batch->size;
    bytes_append(&store->bytes, batch->data, batch->size);
    bytes_done(batch);
}

/* A header for the place where the store ends; `far` chooses what it says of the durable end. */
static struct batch next_header(const struct store *store, uint8_t far)
{
    int32_t distance = (far & 3) == 0   ? 0
                       : (far & 3) == 1 ? (int32_t)store->last_size
                       : (far & 3) == 2 ? -1
                                        : (int32_t)far << 4;
    return (struct batch){
        .base = store->next,
        .generation = store->generation,
        .producer_id = far & 0x80 ? 5 : -1,
        .producer_epoch = -1,
        .distance = distance,
    };
}

static void add_batch(struct store *store, struct input *in, const void *value, size_t size)
{
    struct batch header = next_header(store, input_u8(in));
    struct bytes batch = make_batch(&header, 1 + input_u8(in) % 5, value, size);
    store->next += header.count;
    append_batch(store, &batch);
}

static void add_good(struct store *store, struct input *in)
{
    uint8_t value[20000];
    size_t size = input_below(in, input_u8(in) & 1 ? sizeof value : 64);
    fill_noise(value, size, size + 1);
    add_batch(store, in, value, size);
}

static void add_nested(struct store *store, struct input *in)
{
    struct batch header = next_header(store, input_u8(in));
    header.base += input_u8(in);
    struct bytes inner = make_batch(&header, 1 + input_u8(in) % 3, "inner", 5);
    if (input_u8(in) & 1) { /* as if it were what comes next */
        header.base += header.count;
        struct bytes more = make_batch(&header, 1, "more", 4);
        bytes_append(&inner, more.data, more.size);
        bytes_done(&more);
    }
    add_batch(store, in, inner.data, inner.size);
    bytes_done(&inner);
}

/* Changes a byte of the last batch, in its header or behind it. */
static void damage_last(struct store *store, struct input *in, bool header)
{
    size_t from = header ? 0 : BATCH_HEADER, to = header ? BATCH_HEADER : store->last_size;
    uint8_t mask = input_u8(in);
    if (to > from)
        store->bytes.data[store->last + from + input_below(in, to - from)] ^= mask ? mask : 1;
}

static void add_garbage(struct store *store, struct input *in, bool mended)
{
    size_t size;
    const uint8_t *bytes = input_bytes(in, input_u8(in), &size);
    size_t at = store->bytes.size;
    bytes_append(&store->bytes, bytes, size);
    if (mended && size >= BATCH_HEADER) {
        store->bytes.data[at + 16] = 2;
        store_be_u64(store->bytes.data + at, store->next);
        store_be_u32(store->bytes.data + at + 8, (uint32_t)size - BATCH_LENGTH_FROM);
        mend_batch(store->bytes.data + at, size);
    }
}

static void add_zeros(struct store *store, struct input *in)
{
    size_t size = input_u16(in) % 9000;
    uint8_t *zeros = must_alloc(size);
    bytes_append(&store->bytes, zeros, size);
    free(zeros);
}

/* A part of what is there once more, as a write gone astray leaves it. */
static void add_copy(struct store *store, struct input *in)
{
    if (store->last_size == 0)
        return;
    size_t size = input_u8(in) & 1 ? store->last_size : 1 + input_below(in, store->last_size);
    uint8_t *copy = must_alloc(size);
    memcpy(copy, store->bytes.data + store->last, size);
    bytes_append(&store->bytes, copy, size);
    free(copy);
}

static void jump(struct store *store, struct input *in)
{
    uint8_t by = input_u8(in);
    store->next += by & 0x3f;
    store->generation += by >> 6;
}

static void add_part(struct store *store, struct input *in)
{
    switch ((enum part)(input_u8(in) % PARTS)) {
    case GOOD:
        add_good(store, in);
        break;
    case DAMAGED:
    case HEADER_DAMAGED:
        add_good(store, in);
        damage_last(store, in, input_u8(in) & 1);
        break;
    case NESTED:
        add_nested(store, in);
        if (input_u8(in) & 1)
            damage_last(store, in, input_u8(in) & 1);
        break;
    case GARBAGE:
        add_garbage(store, in, false);
        break;
    case MENDED:
        add_garbage(store, in, true);
        break;
    case ZEROS:
        add_zeros(store, in);
        break;
    case COPY:
        add_copy(store, in);
        break;
    case JUMP:
    case PARTS:
        jump(store, in);
        break;
    }
}

/* ---- what memory says ----------------------------------------------------------------------- */

static size_t bytes_at(const struct store *store, const struct how *how, uint64_t position)
{
    uint64_t end = how->end < store->bytes.size ? how->end : store->bytes.size;
    return position < end ? (size_t)(end - position) : 0;
}

/* The rest of a file is too short for a header: zeros say that nothing was written. */
static enum batch_fault fault_of_rest(const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != 0)
            return BATCH_SHORT;
    }
    return size > 0 ? BATCH_ZERO : BATCH_SHORT;
}

static enum batch_fault fault_at(const struct store *store, const struct how *how,
                                 uint64_t position, bool checked, struct batch *batch)
{
    size_t size = bytes_at(store, how, position);
    const uint8_t *bytes = store->bytes.data + (size > 0 ? position : 0);
    if (size < BATCH_HEADER)
        return fault_of_rest(bytes, size);
    enum batch_fault fault = batch_parse(bytes, size, batch);
    if (fault == BATCH_OK && batch->bytes > how->end - position)
        return BATCH_SHORT;
    return fault == BATCH_OK && checked ? batch_check(bytes, size, batch) : fault;
}

/* ---- comparing ------------------------------------------------------------------------------ */

static bool same_batch(const struct batch *a, const struct batch *b)
{
    uint8_t a_bytes[BATCH_HEADER], b_bytes[BATCH_HEADER];
    batch_put(a_bytes, a);
    batch_put(b_bytes, b);
    return memcmp(a_bytes, b_bytes, BATCH_HEADER) == 0;
}

static void check_peek(struct scan *scan, const struct store *store, const struct how *how)
{
    struct batch batch, wanted;
    enum batch_fault fault = BATCH_OK;
    uint64_t position = scan->position;
    int rc = scan_peek(scan, &batch, &fault, NULL);
    require(scan->position == position, "a peek moves nothing");
    if (position >= how->end) {
        require(rc == FIRN_EEND, "the end is the end");
        return;
    }
    enum batch_fault want = fault_at(store, how, position, false, &wanted);
    require(rc == (want == BATCH_OK ? 0 : FIRN_EDAMAGED), "a header is right or wrong");
    require(rc == 0 || fault == want, "what is wrong with a header");
    require(rc != 0 || same_batch(&batch, &wanted), "a header's fields");
}

/* One step; false at damage or the end. */
static bool check_next(struct scan *scan, const struct store *store, const struct how *how,
                       struct batch *batch)
{
    struct batch wanted;
    const uint8_t *bytes;
    enum batch_fault fault = BATCH_OK;
    struct firn_error err = {0};
    uint64_t position = scan->position;
    int rc = scan_next(scan, batch, &bytes, &fault, &err);
    if (position >= how->end) {
        require(rc == FIRN_EEND, "the end is the end");
        return false;
    }
    enum batch_fault want = fault_at(store, how, position, true, &wanted);
    require(rc == (want == BATCH_OK ? 0 : FIRN_EDAMAGED), "a batch is good or bad");
    if (rc != 0) {
        require(fault == want && err.message[0] != '\0', "what is wrong with a batch");
        require(scan->position == position, "damage moves nothing");
        return false;
    }
    require(same_batch(batch, &wanted), "a batch's fields");
    require(scan->position == position + batch->bytes, "a batch moves the place behind it");
    require(memcmp(bytes, store->bytes.data + position, batch->bytes) == 0, "a batch's bytes");
    return true;
}

/* ---- behind damage -------------------------------------------------------------------------- */

static bool in_bounds(const struct batch *batch, const struct resync_bounds *bounds)
{
    return batch->base >= bounds->least_base &&
           batch->base + batch->last_delta < bounds->most_base &&
           batch->generation <= bounds->most_generation && batch->attributes <= 0x7f &&
           (batch->attributes & BATCH_COMPRESSION) <= 4;
}

/* Where the damaged batch's header says that the next one begins, if a good one does. */
static uint64_t direct_successor(const struct store *store, const struct how *how,
                                 const struct resync_bounds *bounds)
{
    struct batch batch;
    uint64_t bad = bounds->from - 1;
    size_t left = bytes_at(store, how, bad);
    if (left < BATCH_HEADER)
        return 0;
    uint64_t length = (uint64_t)load_be_u32(store->bytes.data + bad + 8) + BATCH_LENGTH_FROM;
    if (length < BATCH_HEADER || length >= left)
        return 0;
    bool good = fault_at(store, how, bad + length, true, &batch) == BATCH_OK;
    return good && in_bounds(&batch, bounds) ? bad + length : 0;
}

/* Goes on where resynchronisation says; false if it found nothing. */
static bool check_resync(struct scan *scan, struct firn_file *file, const struct store *store,
                         const struct how *how, uint64_t expected)
{
    struct resync found;
    struct batch batch;
    struct resync_bounds bounds = {
        .from = scan->position + 1,
        .end = how->end,
        .least_base = expected,
        .most_base = how->most_base,
        .most_generation = how->most_generation,
        .end_exact = how->end_exact,
    };
    require(scan_resync(file, &bounds, &found, NULL) == 0, "searching succeeds");
    uint64_t direct = direct_successor(store, how, &bounds);
    require(direct == 0 || (found.found && found.position == direct),
            "a good batch directly behind the damaged one is the next");
    if (!found.found)
        return false;
    require(found.position >= bounds.from && found.position < how->end, "it lies in the range");
    require(fault_at(store, how, found.position, true, &batch) == BATCH_OK, "it is a good batch");
    require(same_batch(&batch, &found.batch), "with these fields");
    require(in_bounds(&batch, &bounds), "and within the bounds");
    scan_seek(scan, found.position, how->end);
    return true;
}

static void check_scan(const struct store *store, const struct how *how, struct firn_file *file)
{
    struct scan scan;
    uint64_t expected = 0;
    bool more = true;
    scan_init(&scan, file, 0, how->end, how->window);
    for (unsigned step = 0; more && step < STEPS_MOST; step++) {
        struct batch batch;
        if (how->peek_first)
            check_peek(&scan, store, how);
        if (check_next(&scan, store, how, &batch))
            expected = batch.base + batch.last_delta + 1;
        else
            more = scan.position < how->end && check_resync(&scan, file, store, how, expected);
    }
    scan_done(&scan);
}

/* ---- the other way round -------------------------------------------------------------------- */

static void check_last_nonzero(const struct store *store, struct firn_file *file, uint64_t from,
                               uint64_t to)
{
    uint64_t end, wanted = to < store->bytes.size ? to : store->bytes.size;
    while (wanted > from && store->bytes.data[wanted - 1] == 0)
        wanted--;
    if (wanted < from)
        wanted = from;
    require(scan_last_nonzero(file, from, to, &end, NULL) == 0, "the last byte is found");
    require(end == wanted, "the last byte that is not zero");
}

static struct how read_how(struct input *in)
{
    static const size_t windows[] = {0, BATCH_HEADER, 100, 4096};
    uint8_t flags = input_u8(in);
    return (struct how){
        .window = windows[flags & 3],
        .end_exact = (flags & 4) != 0,
        .peek_first = (flags & 8) != 0,
        .end = flags & 16 ? input_u16(in) : UINT64_MAX,
        .most_base = flags & 32 ? input_u8(in) : UINT64_MAX,
        .most_generation = flags & 64 ? 1u + (flags >> 7) : UINT32_MAX,
    };
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};
    struct how how = read_how(&in);
    struct store store = {.bytes = {must_alloc(0), 0}, .generation = 1};
    uint64_t nonzero_from = input_u16(&in), nonzero_to = input_u16(&in);
    for (unsigned i = 0; i < PARTS_MOST && in.left > 0 && store.bytes.size < STORE_MOST; i++)
        add_part(&store, &in);
    struct firn_disk *disk = memory_disk();
    struct firn_file *file;
    put_file(disk, STORE, store.bytes.data, store.bytes.size);
    require(disk_open(disk, STORE, FIRN_OPEN_READ, &file, NULL) == 0, "opening the store");
    if (how.end == UINT64_MAX) /* most often where the file ends, and the chain */
        how.end = store.bytes.size;
    if (how.end_exact && how.most_base == UINT64_MAX)
        how.most_base = store.next;
    check_scan(&store, &how, file);
    check_last_nonzero(&store, file, nonzero_from, nonzero_to);
    disk_close(file);
    firn_disk_free(disk);
    bytes_done(&store.bytes);
    return 0;
}
