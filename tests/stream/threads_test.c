/* SPDX-License-Identifier: MIT */
/*
 * One that appends, readers, one that advances, shrinks and releases, one that grows, and one that
 * asks and verifies, on one stream at the same time: on blocks in memory, and on a sequence of
 * files in RAM. Each byte follows from its position, so readers know what they must see; they keep
 * a few chunks, and look at them again before they let go. That nothing races is the sanitizer's
 * business.
 *
 * Arguments: none: a few rounds; --seconds=N: rounds for so long.
 */
#include <sched.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include <firn/env.h>

#include "lib/prng.h"
#include "stream/kinds.h"

#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition))                                                                          \
            die(__LINE__, #condition);                                                             \
    } while (0)

/* cmocka's assertions may not fail in other threads than the test's. */
static void die(int line, const char *text)
{
    fprintf(stderr, "threads_test.c:%d: not so: %s\n", line, text);
    abort();
}

enum { READERS = 3, THREADS = READERS + 4, KEPT = 4, APPEND_MOST = 700, SPAN = 500 };

struct shared {
    struct firn_stream *stream;
    atomic_bool stop;
    _Atomic uint64_t acknowledged; /* all below is synced */
    _Atomic uint64_t read, skipped, released, spanned;
    uint64_t appends;
    uint64_t seed;
};

struct thread {
    pthread_t id;
    struct shared *shared;
    struct prng prng;
};

static uint8_t byte_at(uint64_t position)
{
    return (uint8_t)((position ^ position >> 7) * 167);
}

/* ---- who writes ---- */

static int append_some(struct shared *shared, const uint8_t *bytes, size_t size)
{
    struct firn_stream_appending *append;
    int rc = firn_stream_append(shared->stream, bytes, size, &append, NULL);
    if (rc < 0)
        return rc;
    MUST(firn_stream_append_sync(append, NULL) == 0);
    atomic_store(&shared->acknowledged, firn_stream_append_position(append) + size);
    MUST(firn_stream_end(shared->stream) >= atomic_load(&shared->acknowledged));
    MUST(firn_stream_append_end(append, NULL) == 0);
    return 0;
}

static void *append_all(void *arg)
{
    struct thread *thread = arg;
    struct shared *shared = thread->shared;
    uint8_t bytes[APPEND_MOST];
    for (uint64_t i = 0; i < shared->appends; i++) {
        uint64_t position = firn_stream_end(shared->stream);
        size_t size = 1 + (size_t)prng_below(&thread->prng, APPEND_MOST);
        for (size_t k = 0; k < size; k++)
            bytes[k] = byte_at(position + k);
        int rc;
        while ((rc = append_some(shared, bytes, size)) == FIRN_EAGAIN)
            sched_yield();
        MUST(rc == 0);
    }
    return NULL;
}

static void *grow(void *arg)
{
    struct thread *thread = arg;
    struct shared *shared = thread->shared;
    while (!atomic_load(&shared->stop)) {
        struct firn_stream_stats stats;
        firn_stream_get_stats(shared->stream, &stats);
        if (stats.parts < 3 || stats.data_available < stats.data_capacity / stats.parts)
            MUST(firn_stream_grow(shared->stream, NULL) == 0);
        if (prng_below(&thread->prng, 16) == 0)
            MUST(firn_stream_prepare(shared->stream, prng_below(&thread->prng, 5000), NULL) == 0);
        sched_yield();
    }
    return NULL;
}

/* ---- who reads ---- */

static void check_chunk(const struct firn_chunk *chunk)
{
    const uint8_t *data = chunk->data;
    for (size_t i = 0; i < chunk->size; i++)
        MUST(data[i] == byte_at(chunk->position + i));
}

/* In the place of an older one. */
static void keep(struct firn_chunk *kept, const struct firn_chunk *chunk)
{
    check_chunk(kept);
    firn_chunk_release(kept);
    *kept = *chunk;
}

static int read_one(struct thread *thread, struct firn_stream_reader *reader,
                    struct firn_chunk *kept)
{
    struct shared *shared = thread->shared;
    struct firn_chunk chunk;
    uint64_t position = firn_stream_reader_position(reader);
    uint64_t end = atomic_load(&shared->acknowledged);
    int rc = firn_stream_reader_next(reader, &chunk);
    if (rc == FIRN_ERANGE) {
        MUST(firn_stream_reader_position(reader) > position);
        atomic_fetch_add(&shared->skipped, 1);
        return rc;
    }
    if (rc == FIRN_EEND) {
        MUST(position >= end);
        return rc;
    }
    MUST(rc == 0 && chunk.size > 0 && chunk.position == position);
    MUST(position + chunk.size <= firn_stream_end(shared->stream));
    MUST(!chunk.spanned || chunk.size < SPAN);
    atomic_fetch_add(&shared->spanned, chunk.spanned);
    atomic_fetch_add(&shared->read, chunk.size);
    check_chunk(&chunk);
    keep(&kept[prng_below(&thread->prng, KEPT)], &chunk);
    return 0;
}

static void let_all_go(struct firn_chunk *kept)
{
    const struct firn_chunk none = {0};
    for (int i = 0; i < KEPT; i++)
        keep(&kept[i], &none);
}

/* Until others have gone on for some parts. */
static void fall_behind(struct shared *shared)
{
    uint64_t end = firn_stream_end(shared->stream) + 5000;
    while (!atomic_load(&shared->stop) && firn_stream_end(shared->stream) < end)
        sched_yield();
}

static void *read_all(void *arg)
{
    struct thread *thread = arg;
    struct shared *shared = thread->shared;
    struct firn_stream_reader *reader;
    struct firn_chunk kept[KEPT] = {{0}};
    bool stop = false;
    MUST(firn_stream_reader_open(shared->stream, &reader, NULL) == 0);
    for (int rc = 0; !stop || rc != FIRN_EEND;) {
        stop = atomic_load(&shared->stop);
        rc = read_one(thread, reader, kept);
        if (rc == FIRN_EEND)
            sched_yield();
        if (prng_below(&thread->prng, 64) == 0)
            fall_behind(shared);
        if (prng_below(&thread->prng, 32) == 0 && !stop)
            (void)firn_stream_reader_rewind(reader, prng_below(&thread->prng, 3000));
        if (prng_below(&thread->prng, 64) == 0) {
            struct firn_stream_reader *clone;
            MUST(firn_stream_reader_clone(reader, &clone, NULL) == 0);
            firn_stream_reader_close(reader);
            reader = clone;
        }
    }
    MUST(firn_stream_reader_position(reader) == firn_stream_end(shared->stream));
    firn_stream_reader_close(reader);
    let_all_go(kept);
    return NULL;
}

/* ---- who takes away ---- */

static void release_some(struct thread *thread)
{
    struct shared *shared = thread->shared;
    struct firn_stream_removed removed;
    uint64_t released, left;
    bool force = prng_below(&thread->prng, 3) == 0;
    MUST(firn_stream_shrink(shared->stream, &removed, NULL) == 0);
    if (prng_below(&thread->prng, 2))
        return;
    MUST((force ? firn_stream_force_release : firn_stream_release)(shared->stream, &released, &left,
                                                                   NULL) == 0);
    MUST(!force || left == 0);
    atomic_fetch_add(&shared->released, released);
}

static void *take_away(void *arg)
{
    struct thread *thread = arg;
    struct shared *shared = thread->shared;
    struct firn_stream_reader *reader;
    struct firn_chunk kept[KEPT] = {{0}};
    MUST(firn_stream_reader_open(shared->stream, &reader, NULL) == 0);
    while (!atomic_load(&shared->stop)) {
        MUST(read_one(thread, reader, kept) != FIRN_ERANGE);
        uint64_t position = firn_stream_reader_position(reader);
        uint64_t back = prng_below(&thread->prng, 8) ? 0 : prng_below(&thread->prng, 2000);
        position -= back < position ? back : position;
        MUST(firn_stream_advance(shared->stream, position, NULL) >= 0);
        MUST(firn_stream_offset(shared->stream) >= position);
        release_some(thread);
        sched_yield();
    }
    firn_stream_reader_close(reader);
    let_all_go(kept);
    return NULL;
}

static void *ask(void *arg)
{
    struct thread *thread = arg;
    struct shared *shared = thread->shared;
    while (!atomic_load(&shared->stop)) {
        struct firn_stream_stats stats, parts[3];
        struct firn_error err = {0};
        uint64_t offset = firn_stream_offset(shared->stream);
        MUST(offset <= firn_stream_end(shared->stream));
        firn_stream_get_stats(shared->stream, &stats);
        MUST(stats.data_used + stats.data_available <= stats.data_capacity);
        (void)firn_stream_part_stats(shared->stream, parts, 3);
        if (firn_stream_verify(shared->stream, NULL, NULL, &err) < 0) {
            fprintf(stderr, "verify: %s\n", err.message);
            MUST(false);
        }
        for (uint64_t i = prng_below(&thread->prng, 50); i > 0; i--)
            sched_yield();
    }
    return NULL;
}

/* ---- a round ---- */

static const struct firn_stream_options options = {.span_bytes = SPAN};

static void start(struct thread *threads, unsigned *count, struct shared *shared,
                  void *(*call)(void *), unsigned how_many)
{
    for (unsigned i = 0; i < how_many; i++, ++*count) {
        struct thread *thread = &threads[*count];
        thread->shared = shared;
        thread->prng = prng_new(shared->seed * 1000 + *count);
        assert_int_equal(pthread_create(&thread->id, NULL, call, thread), 0);
    }
}

/* What is left is the end of what there was. */
static void check_rest(struct firn_block_allocator *allocator, uint64_t end)
{
    struct firn_stream *stream;
    struct firn_stream_reader *reader;
    struct firn_stream_recovery recovery;
    struct firn_chunk chunk;
    struct firn_stream_options own = options;
    own.verify = true;
    assert_int_equal(firn_stream_open(allocator, &own, &stream, NULL), 0);
    firn_stream_get_recovery(stream, &recovery);
    assert_false(recovery.recovered);
    uint64_t before = end - firn_stream_end(stream);
    assert_int_equal(firn_stream_reader_open(stream, &reader, NULL), 0);
    while (firn_stream_reader_next(reader, &chunk) == 0) {
        chunk.position += before;
        check_chunk(&chunk);
        firn_chunk_release(&chunk);
    }
    assert_int_equal(firn_stream_reader_position(reader), end - before);
    firn_stream_reader_close(reader);
    assert_int_equal(firn_stream_close(stream, NULL), 0);
}

static void one_round(struct shared *shared, struct firn_block_allocator *allocator)
{
    struct thread threads[THREADS];
    unsigned count = 0;
    assert_int_equal(firn_stream_open(allocator, &options, &shared->stream, NULL), 0);
    start(threads, &count, shared, append_all, 1);
    start(threads, &count, shared, grow, 1);
    start(threads, &count, shared, read_all, READERS);
    start(threads, &count, shared, take_away, 1);
    start(threads, &count, shared, ask, 1);
    assert_int_equal(count, THREADS);
    pthread_join(threads[0].id, NULL);
    atomic_store(&shared->stop, true);
    for (unsigned i = 1; i < count; i++)
        pthread_join(threads[i].id, NULL);
    uint64_t end = firn_stream_end(shared->stream);
    assert_int_equal(end, atomic_load(&shared->acknowledged));
    assert_int_equal(firn_stream_close(shared->stream, NULL), 0);
    check_rest(allocator, end);
}

/* ---- where ---- */

static uint64_t seconds, rounds = 4, appends = 10000;

static void in_memory(struct shared *shared)
{
    struct firn_block_allocator *allocator;
    assert_int_equal(firn_block_memory_allocator_new(16, 7, &allocator, NULL), 0);
    one_round(shared, allocator);
    assert_int_equal(firn_block_allocator_close(allocator, NULL), 0);
}

static void on_files(struct shared *shared)
{
    struct firn_block_allocator *allocator;
    struct firn_disk *disk;
    struct firn_env *env;
    assert_int_equal(firn_disk_memory_new(&disk, NULL), 0);
    assert_int_equal(disk->ops->make_dir(disk, "dir", NULL), 0);
    assert_int_equal(firn_env_new(NULL, &env, NULL), 0);
    const struct firn_block_options own = {.disk = disk, .env = env};
    assert_int_equal(firn_block_sequence_open("dir", "seq", 3, 12, &own, &allocator, NULL), 0);
    one_round(shared, allocator);
    assert_int_equal(firn_block_allocator_close(allocator, NULL), 0);
    assert_int_equal(firn_env_free(env), 0);
    firn_disk_free(disk);
}

static void all_at_once(void **state)
{
    (void)state;
    uint64_t done = 0, read = 0, skipped = 0, released = 0, spanned = 0;
    time_t end = time(NULL) + (time_t)seconds;
    for (; seconds ? time(NULL) < end : done < rounds; done++) {
        struct shared shared = {.seed = done + 1, .appends = appends};
        if (done % 2)
            on_files(&shared);
        else
            in_memory(&shared);
        read += atomic_load(&shared.read);
        skipped += atomic_load(&shared.skipped);
        released += atomic_load(&shared.released);
        spanned += atomic_load(&shared.spanned);
    }
    assert_true(released > 0 && spanned > 0);
    printf("note: %llu rounds: %llu bytes read, %llu chunks spanned, %llu skips, %llu parts "
           "released\n",
           (unsigned long long)done, (unsigned long long)read, (unsigned long long)spanned,
           (unsigned long long)skipped, (unsigned long long)released);
}

/* ---- the offset ---- */

enum { ADVANCERS = 4, STEPS = 2000 };

static void *advance_all(void *arg)
{
    struct thread *thread = arg;
    struct firn_stream *stream = thread->shared->stream;
    uint64_t seen = 0;
    for (int i = 0; i < STEPS; i++) {
        uint64_t position = prng_below(&thread->prng, FF + 1);
        uint64_t before = firn_stream_offset(stream);
        int rc = firn_stream_advance(stream, position, NULL);
        uint64_t after = firn_stream_offset(stream);
        MUST(before >= seen && after >= before && after >= position);
        MUST(rc == 0 || (rc == 1 && position > before));
        MUST(rc == 1 || position <= after);
        atomic_fetch_add(&thread->shared->read, (uint64_t)rc);
        seen = after;
    }
    MUST(firn_stream_advance(stream, FF, NULL) >= 0);
    return NULL;
}

static void the_largest_offset_wins(void **state)
{
    (void)state;
    struct kinds world, *k = &world;
    struct thread threads[ADVANCERS];
    unsigned count = 0;
    kinds_open(k, "ff");
    struct shared shared = {.stream = k->stream, .seed = 1};
    start(threads, &count, &shared, advance_all, ADVANCERS);
    for (unsigned i = 0; i < count; i++)
        pthread_join(threads[i].id, NULL);
    assert_int_equal(firn_stream_offset(k->stream), FF);
    assert_true(atomic_load(&shared.read) > 0 && atomic_load(&shared.read) <= FF);
    kinds_close(k);
}

int main(int argc, char **argv)
{
    const char *effort = getenv("FIRN_TEST_EFFORT");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_largest_offset_wins),
        cmocka_unit_test(all_at_once),
    };
    if (effort && strcmp(effort, "less") == 0) {
        rounds = 2;
        appends = 800;
    }
    if (argc > 1 && strncmp(argv[1], "--seconds=", 10) == 0)
        seconds = strtoull(argv[1] + 10, NULL, 10);
    else
        alarm(110); /* a deadlock is a failure */
    return cmocka_run_group_tests_name("threads", tests, NULL, NULL);
}
