/* SPDX-License-Identifier: MIT */
/*
 * The blocks of a stream. Input: a small program that builds one by appending and growing, what is
 * then done to its blocks, and what to do with it afterwards. The stream is opened to read and to
 * write, with and without a look at every block; verified, appended to, left as after a crash,
 * closed, and opened again.
 *
 * It opens, or says why not and has changed nothing. Who writes finds what who only reads found.
 * What opens verifies, or verify says what is wrong. If nothing but the last append was torn, it is
 * there wholly or not at all, and all else is.
 */
#include <stdlib.h>
#include <string.h>

#include <firn/stream.h>

#include "base/bytes.h"
#include "base/crc.h"
#include "fuzz.h"
#include "stream/format.h"

enum { RUNS_MOST = 6, BLOCKS_MOST = 9, STEPS_MOST = 32, DAMAGES_MOST = 5, LIFE_MOST = 6 };
enum { CONTENT_MOST = 64 * 1024, STORES_KEPT = 6 };

/* How it is built. */
enum { CLOSED = 1, SPANS = 2, SMALL = 4, LARGE = 8 };

/* ---- blocks in memory that stay, and an allocator of them ---- */

struct runs {
    uint8_t *at[RUNS_MOST];
    unsigned count;
};

/* What was there before a store. */
struct moment {
    struct runs runs;
    size_t acknowledged, with_next; /* bytes of the content; and with the append in progress */
};

struct world {
    struct firn_block_allocator base;
    struct input in;
    unsigned flags, shift;
    uint64_t blocks; /* of a run */
    struct runs runs;
    bool building;
    struct bytes content;               /* what is appended while it is built */
    size_t in_progress;                 /* bytes of the append that is not acknowledged yet */
    struct moment moments[STORES_KEPT]; /* the last ones */
    unsigned moment_count;
    struct runs built;  /* behind all stores */
    bool torn_only;     /* no other damage */
    size_t least, most; /* of the content is there, then */
    unsigned findings;
};

struct run {
    struct firn_block base;
    struct world *world;
    uint8_t *bytes;
};

static size_t run_bytes(const struct world *world)
{
    return (size_t)world->blocks << world->shift;
}

static void close_run(struct firn_block *block)
{
    free(block);
}

static int load_run(struct firn_block *block, uint64_t first, const struct iovec *iov, int count,
                    struct firn_error *err)
{
    struct run *run = (struct run *)block;
    size_t at = (size_t)first << block->shift;
    (void)err;
    for (int i = 0; i < count; at += iov[i++].iov_len) {
        require(at + iov[i].iov_len <= run_bytes(run->world), "a load within the blocks");
        memcpy(iov[i].iov_base, run->bytes + at, iov[i].iov_len);
    }
    return 0;
}

static void free_runs(struct runs *runs)
{
    for (unsigned i = 0; i < runs->count; i++)
        free(runs->at[i]);
    runs->count = 0;
}

static void copy_runs(const struct world *world, const struct runs *from, struct runs *to)
{
    free_runs(to);
    for (; to->count < from->count; to->count++) {
        to->at[to->count] = must_alloc(run_bytes(world));
        memcpy(to->at[to->count], from->at[to->count], run_bytes(world));
    }
}

static void keep_moment(struct world *world)
{
    struct moment *moment = &world->moments[world->moment_count];
    if (world->moment_count == STORES_KEPT) {
        free_runs(&world->moments[0].runs);
        memmove(world->moments, world->moments + 1, (STORES_KEPT - 1) * sizeof *world->moments);
        moment--;
        moment->runs.count = 0;
    } else {
        world->moment_count++;
    }
    copy_runs(world, &world->runs, &moment->runs);
    moment->acknowledged = world->content.size;
    moment->with_next = world->content.size + world->in_progress;
}

static int store_run(struct firn_block *block, uint64_t first, const struct iovec *iov, int count,
                     struct firn_error *err)
{
    struct run *run = (struct run *)block;
    size_t at = (size_t)first << block->shift, size = (size_t)1 << block->shift;
    (void)err;
    require(count % 2 == 0, "a store of pairs");
    if (run->world->building)
        keep_moment(run->world);
    for (int i = 0; i < count; i += 2) {
        size_t pair = iov[i].iov_len + iov[i + 1].iov_len;
        require(pair <= size && (pair == size || i + 2 == count), "a store of whole blocks");
        require(at + pair <= run_bytes(run->world), "a store within the blocks");
        memcpy(run->bytes + at, iov[i].iov_base, iov[i].iov_len);
        if (iov[i + 1].iov_len)
            memcpy(run->bytes + at + iov[i].iov_len, iov[i + 1].iov_base, iov[i + 1].iov_len);
        at += size;
    }
    return 0;
}

static const struct firn_block_ops run_ops = {
    .size = sizeof(struct firn_block_ops),
    .close = close_run,
    .load = load_run,
    .store = store_run,
};

static struct firn_block *new_run(struct world *world, uint8_t *bytes)
{
    struct run *run = must_alloc(sizeof *run);
    run->base = (struct firn_block){&run_ops, world->blocks, world->shift};
    run->world = world;
    run->bytes = bytes;
    return &run->base;
}

static int allocate(struct firn_block_allocator *allocator, struct firn_block **block,
                    struct firn_error *err)
{
    struct world *world = (struct world *)allocator;
    if (world->runs.count == RUNS_MOST)
        return firn_error_set(err, FIRN_ENOSPC, 0, "no more runs");
    uint8_t *bytes = must_alloc(run_bytes(world));
    world->runs.at[world->runs.count++] = bytes;
    *block = new_run(world, bytes);
    return 0;
}

static int release(struct firn_block_allocator *allocator, struct firn_block *block,
                   struct firn_error *err)
{
    struct runs *runs = &((struct world *)allocator)->runs;
    (void)err;
    require(runs->count > 0 && runs->at[0] == ((struct run *)block)->bytes,
            "the first is released");
    free(runs->at[0]);
    runs->count--;
    memmove(runs->at, runs->at + 1, runs->count * sizeof *runs->at);
    free(block);
    return 0;
}

static int retrieve(struct firn_block_allocator *allocator, firn_block_retrieve_fn *each, void *arg,
                    struct firn_error *err)
{
    struct world *world = (struct world *)allocator;
    int rc = 0;
    (void)err;
    for (unsigned i = 0; rc == 0 && i < world->runs.count; i++)
        rc = each(arg, new_run(world, world->runs.at[i]));
    return rc;
}

static int close_allocator(struct firn_block_allocator *allocator, struct firn_error *err)
{
    (void)allocator, (void)err;
    return 0;
}

static const struct firn_block_allocator_ops allocator_ops = {
    .size = sizeof(struct firn_block_allocator_ops),
    .allocate = allocate,
    .release = release,
    .retrieve = retrieve,
    .close = close_allocator,
};

static bool same_runs(const struct world *world, const struct runs *a, const struct runs *b)
{
    for (unsigned i = 0; i < a->count && i < b->count; i++)
        if (memcmp(a->at[i], b->at[i], run_bytes(world)) != 0)
            return false;
    return a->count == b->count;
}

/* ---- opening and reading ---- */

static void count_finding(void *arg, const struct firn_stream_finding *finding)
{
    struct world *world = arg;
    trace("part %llu block %llu: %s", (unsigned long long)finding->part,
          (unsigned long long)finding->block, firn_stream_fault_text(finding->fault));
    require(finding->block < world->blocks && finding->part < RUNS_MOST, "a finding's place");
    world->findings++;
}

static int open_stream(struct world *world, bool read_only, bool verify,
                       struct firn_stream **stream)
{
    struct firn_error err = {0};
    const struct firn_stream_options options = {
        .span_bytes = world->flags & SPANS ? SIZE_MAX : 0,
        .read_only = read_only,
        .verify = verify,
        .finding = count_finding,
        .arg = world,
    };
    world->findings = 0;
    int rc = firn_stream_open(&world->base, &options, stream, &err);
    trace("open%s%s: %s %s", read_only ? " to read" : "", verify ? ", all blocks" : "",
          firn_error_name(rc), err.message);
    require(rc == 0 || rc == FIRN_EDAMAGED, "it opens, or is damaged");
    require(rc == 0 || (err.code == rc && err.message[0]), "an error is explained");
    return rc;
}

static struct bytes read_all(struct firn_stream *stream)
{
    struct firn_stream_reader *reader;
    struct firn_chunk chunk;
    struct bytes all = {0};
    int rc;
    require(firn_stream_reader_open(stream, &reader, NULL) == 0, "a reader");
    while ((rc = firn_stream_reader_next(reader, &chunk)) == 0) {
        require(chunk.size > 0 && chunk.position == all.size, "chunks follow one another");
        bytes_append(&all, chunk.data, chunk.size);
        firn_chunk_release(&chunk);
        require(all.size <= CONTENT_MOST, "there is no more than there can be");
    }
    require(rc == FIRN_EEND && all.size == firn_stream_end(stream), "a reader ends at the end");
    firn_stream_reader_close(reader);
    return all;
}

static bool is_same(const struct bytes *a, const struct bytes *b)
{
    return a->size == b->size && (a->size == 0 || memcmp(a->data, b->data, a->size) == 0);
}

static void expect_content(struct firn_stream *stream, const struct bytes *wanted, const char *what)
{
    struct bytes found = read_all(stream);
    require(is_same(&found, wanted), what);
    bytes_done(&found);
}

/* ---- building ---- */

/* If there is room for it at all. */
static void append(struct world *world, struct firn_stream *stream, size_t size,
                   struct bytes *content)
{
    uint8_t bytes[1024];
    fill_noise(bytes, size, content->size + 1);
    world->in_progress = size;
    int rc = firn_stream_write(stream, bytes, size, NULL, NULL);
    if (rc == FIRN_EAGAIN && world->runs.count < RUNS_MOST) {
        require(firn_stream_grow(stream, NULL) == 0, "growing");
        rc = firn_stream_write(stream, bytes, size, NULL, NULL);
    }
    require(rc == 0 || rc == FIRN_EAGAIN || rc == FIRN_ETOOBIG, "an append");
    world->in_progress = 0;
    if (rc == 0)
        bytes_append(content, bytes, size);
}

static void build_step(struct world *world, struct firn_stream **stream)
{
    uint8_t how = input_u8(&world->in);
    size_t size = how < 0x80 ? how : (how & 0x3fu) * 16u;
    if (how >= 0xf8) {
        require(firn_stream_close(*stream, NULL) == 0, "closing");
        require(open_stream(world, false, how & 1, stream) == 0, "what was closed opens");
    } else if (how >= 0xf0) {
        if (world->runs.count < RUNS_MOST)
            require(firn_stream_grow(*stream, NULL) == 0, "growing");
    } else {
        append(world, *stream, size, &world->content);
    }
}

static void build(struct world *world)
{
    struct firn_stream *stream;
    struct runs now = {0};
    world->flags = input_u8(&world->in);
    world->shift = world->flags & SMALL ? 6 : world->flags & LARGE ? 10 : 7;
    world->blocks = 1 + input_u8(&world->in) % BLOCKS_MOST;
    world->building = true;
    require(open_stream(world, false, false, &stream) == 0, "a new one opens");
    unsigned steps = input_u8(&world->in) % (STEPS_MOST + 1);
    for (unsigned i = 0; i < steps; i++)
        build_step(world, &stream);
    if (!(world->flags & CLOSED)) {
        world->building = false;
        copy_runs(world, &world->runs, &now);
    }
    require(firn_stream_close(stream, NULL) == 0, "closing");
    if (!(world->flags & CLOSED)) {
        free_runs(&world->runs);
        world->runs = now;
    }
    world->building = false;
    copy_runs(world, &world->runs, &world->built);
    world->least = world->most = world->content.size;
}

/* ---- damage ---- */

static uint8_t *some_block(struct world *world)
{
    unsigned run = input_u8(&world->in) % world->runs.count;
    return world->runs.at[run] + (input_u8(&world->in) % world->blocks << world->shift);
}

/* What it says of itself checks. */
static void mend(struct world *world, uint8_t *block)
{
    struct meta meta;
    uint32_t payload = (UINT32_C(1) << world->shift) - META_BYTES;
    uint64_t about = load_le_u64(block);
    store_le_u32(block + 8, ~((uint32_t)(about >> 32) ^ (uint32_t)about));
    if (!meta_decode(block, &meta))
        return;
    uint32_t written = meta_written(&meta, payload);
    store_le_u32(block + 12,
                 crc32_ieee(0, block + META_BYTES, written < payload ? written : payload));
}

static void forge(struct world *world, uint8_t *block)
{
    uint8_t how = input_u8(&world->in);
    uint64_t trail = input_u8(&world->in), spilled = input_u8(&world->in);
    if (how & 2)
        spilled |= (uint64_t)input_u16(&world->in) << 14;
    store_le_u64(block, (how & 1) | trail << 4 | spilled << 34);
    mend(world, block);
}

static void forge_note(struct world *world, uint8_t *block)
{
    uint8_t how = input_u8(&world->in);
    struct note note = {.flags = how & 3};
    if (note.flags & NOTE_WAS) {
        note.was.trail = input_u8(&world->in);
        note.was.spilled = input_u8(&world->in);
        note.was.complete = how & 4;
        uint32_t payload = (UINT32_C(1) << world->shift) - META_BYTES;
        uint32_t written = meta_written(&note.was, payload);
        note.was.crc = crc32_ieee(0, block + META_BYTES, written < payload ? written : payload);
    }
    note_encode(block, &note);
}

/* Of a store each block was changed in both halves, one of them, or none; nothing came later. */
static void tear(struct world *world)
{
    size_t size = (size_t)1 << world->shift;
    if (world->moment_count == 0)
        return;
    unsigned which = input_u8(&world->in) % world->moment_count;
    const struct moment *moment = &world->moments[which];
    bool is_last = which + 1 == world->moment_count;
    copy_runs(world, is_last ? &world->built : &moment[1].runs, &world->runs);
    for (unsigned i = 0; i < moment->runs.count; i++) {
        for (size_t at = 0; at < run_bytes(world); at += size) {
            uint8_t *now = world->runs.at[i] + at;
            const uint8_t *old = moment->runs.at[i] + at;
            uint8_t how = memcmp(now, old, size) ? input_u8(&world->in) : 0;
            if (how & 1)
                memcpy(now, old, META_BYTES);
            if (how & 2)
                memcpy(now + META_BYTES, old + META_BYTES, size - META_BYTES);
        }
    }
    world->least = moment->acknowledged;
    world->most = moment->with_next;
}

static void damage(struct world *world)
{
    uint8_t how = input_u8(&world->in) % 10, *block = some_block(world);
    size_t size = (size_t)1 << world->shift, given;
    struct runs *runs = &world->runs;
    world->torn_only = world->torn_only && how == 0;
    if (how == 0) {
        tear(world);
    } else if (how == 1) {
        uint16_t bit = input_u16(&world->in);
        block[bit / 8 % size] ^= (uint8_t)(1 << bit % 8);
    } else if (how == 2) {
        memset(block, 0, size);
    } else if (how == 3) {
        memmove(block, some_block(world), size);
    } else if (how == 4) {
        forge(world, block);
    } else if (how == 5) {
        const uint8_t *raw = input_bytes(&world->in, size, &given);
        if (given)
            memcpy(block, raw, given);
    } else if (how == 6) {
        mend(world, block);
    } else if (how == 7) {
        forge_note(world, block);
    } else if (how == 8) {
        uint8_t *first = runs->at[0];
        memmove(runs->at, runs->at + 1, (runs->count - 1) * sizeof *runs->at);
        runs->at[runs->count - 1] = first;
    } else if (runs->count > 1) {
        free(runs->at[--runs->count]);
    }
}

static void damage_some(struct world *world)
{
    unsigned count = input_u8(&world->in) % (DAMAGES_MOST + 1);
    world->torn_only = true;
    for (unsigned i = 0; i < count && world->runs.count > 0; i++)
        damage(world);
}

/* ---- a life ---- */

/* Of an append in progress all is there, or nothing. */
static void check_torn(const struct world *world, const struct bytes *found)
{
    require(found->size == world->least || found->size == world->most, "old or new");
    require(found->size == 0 || memcmp(found->data, world->content.data, found->size) == 0,
            "what was appended");
}

static int verify(struct world *world, struct firn_stream *stream)
{
    world->findings = 0;
    int rc = firn_stream_verify(stream, count_finding, world, NULL);
    require(rc == 0 || rc == FIRN_EDAMAGED, "verifying");
    require((rc == 0) == (world->findings == 0), "damage comes with findings");
    return rc;
}

/* Opened from the blocks as they are now, all of it is there. */
static void check_crash(struct world *world, const struct bytes *held)
{
    struct firn_stream *stream;
    struct runs now = world->runs;
    memset(&world->runs, 0, sizeof world->runs);
    copy_runs(world, &now, &world->runs);
    require(open_stream(world, false, true, &stream) == 0, "it opens after a crash");
    expect_content(stream, held, "and holds what was durable");
    require(firn_stream_close(stream, NULL) == 0, "closing");
    free_runs(&world->runs);
    world->runs = now;
}

static void check_closed(struct world *world, const struct bytes *held)
{
    static const uint8_t zeros[META_BYTES - META_NOTE];
    struct firn_stream_recovery recovery;
    struct firn_stream *stream;
    size_t size = (size_t)1 << world->shift;
    for (unsigned i = 0; i < world->runs.count; i++)
        for (size_t at = 0; at < run_bytes(world); at += size)
            require(memcmp(world->runs.at[i] + at + META_NOTE, zeros, sizeof zeros) == 0,
                    "closed, it has no notes");
    require(open_stream(world, true, true, &stream) == 0, "closed, it opens again");
    firn_stream_get_recovery(stream, &recovery);
    require(!recovery.recovered && recovery.cut_bytes == 0, "with nothing to recover");
    expect_content(stream, held, "with the same content");
    require(verify(world, stream) == 0, "in which nothing is wrong");
    require(firn_stream_close(stream, NULL) == 0, "closing");
}

static void live(struct world *world, struct firn_stream *stream, struct bytes *held)
{
    unsigned steps = input_u8(&world->in) % (LIFE_MOST + 1);
    for (unsigned i = 0; i < steps; i++) {
        uint8_t how = input_u8(&world->in);
        append(world, stream, how < 0x80 ? how : (how & 0x3fu) * 16u, held);
        expect_content(stream, held, "what was appended is read");
        check_crash(world, held);
    }
}

/* ---- all of it ---- */

/* To read only, and all blocks looked at, or not. */
static int look(struct world *world, bool all, struct bytes *found)
{
    struct firn_stream *stream;
    struct runs before = {0};
    copy_runs(world, &world->runs, &before);
    int rc = open_stream(world, true, all, &stream);
    require(rc == 0 || world->findings > 0, "damage comes with findings");
    require(rc < 0 || world->findings == 0, "findings come with damage");
    require(rc == 0 || !world->torn_only, "a torn append is no damage");
    if (rc == 0) {
        *found = read_all(stream);
        if (world->torn_only)
            check_torn(world, found);
        require(firn_stream_close(stream, NULL) == 0, "closing");
    }
    require(same_runs(world, &before, &world->runs), "who only reads changes nothing");
    free_runs(&before);
    return rc;
}

/* No notes but where a run is open: others tell of nothing, and nobody clears them. */
static bool has_stray_notes(const struct world *world)
{
    size_t size = (size_t)1 << world->shift;
    for (unsigned i = 0; i < world->runs.count; i++) {
        struct note note;
        note_decode(world->runs.at[i], &note);
        for (size_t at = 0; at < run_bytes(world) && !(note.flags & NOTE_OPEN); at += size)
            if (!note_is_clear(world->runs.at[i] + at))
                return true;
    }
    return false;
}

static void use(struct world *world, int looked, int looked_at_all, const struct bytes *found)
{
    struct firn_stream *stream;
    struct runs before = {0};
    copy_runs(world, &world->runs, &before);
    bool stray = has_stray_notes(world);
    int rc = open_stream(world, false, false, &stream);
    /* Of an append that goes on behind the last part there is nothing to append to. */
    require(rc == looked || (rc < 0 && world->findings > 0),
            "who writes opens what who reads does");
    require(rc == 0 || same_runs(world, &before, &world->runs), "what is refused is not changed");
    free_runs(&before);
    if (rc < 0)
        return;
    struct bytes held = read_all(stream);
    require(is_same(&held, found), "who writes finds what who reads found");
    bool good = verify(world, stream) == 0;
    require(good || looked_at_all < 0, "what is wrong is found when all blocks are looked at");
    if (good && !stray)
        live(world, stream, &held);
    require(firn_stream_close(stream, NULL) == 0, "closing");
    if (good && !stray)
        check_closed(world, &held);
    bytes_done(&held);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct world *world = must_alloc(sizeof *world);
    struct bytes found = {0}, found_by_all = {0};
    world->base.ops = &allocator_ops;
    world->in = (struct input){data, size};
    build(world);
    damage_some(world);
    int all = look(world, true, &found_by_all);
    int rc = look(world, false, &found);
    require(all < 0 || rc == 0, "who looks at less does not find more");
    require(all < 0 || is_same(&found, &found_by_all), "who looks at more finds the same");
    use(world, rc, all, &found);
    bytes_done(&found);
    bytes_done(&found_by_all);
    bytes_done(&world->content);
    free_runs(&world->runs);
    for (unsigned i = 0; i < world->moment_count; i++)
        free_runs(&world->moments[i].runs);
    free_runs(&world->built);
    free(world);
    return 0;
}
