/* SPDX-License-Identifier: MIT */
/* Growing, preparing, shrinking, releasing: nobody waits. */
#include "stream/kinds.h"

static struct firn_stream_reader *open_reader(struct kinds *k)
{
    struct firn_stream_reader *reader;
    OK(firn_stream_reader_open(k->stream, &reader, &k->err));
    return reader;
}

static void next(struct firn_stream_reader *reader, struct firn_chunk *chunk)
{
    assert_int_equal(firn_stream_reader_next(reader, chunk), 0);
}

static void expect_parts(struct kinds *k, uint64_t parts, uint64_t queued)
{
    struct firn_stream_stats stats;
    firn_stream_get_stats(k->stream, &stats);
    assert_int_equal(stats.parts, parts);
    assert_int_equal(stats.data_capacity, parts * 1280);
    assert_int_equal(k->stream->queued, queued);
}

typedef int release_fn(struct firn_stream *stream, uint64_t *released, uint64_t *left,
                       struct firn_error *err);

static void release(struct kinds *k, release_fn *how, uint64_t released, uint64_t left)
{
    uint64_t done = 77, queued = 77;
    OK(how(k->stream, &done, &queued, &k->err));
    assert_int_equal(done, released);
    assert_int_equal(queued, left);
}

/* ---- growing ---- */

static void growing_waits_for_nobody(void **state)
{
    (void)state;
    struct kinds world, *k = &world;
    struct firn_chunk chunk;
    struct firn_stream_appending *append;
    kinds_make(k, "fp fe");
    k->options.span_bytes = 1000;
    kinds_reopen(k);
    struct firn_stream_reader *reader = open_reader(k);
    next(reader, &chunk);
    expect_parts(k, 2, 0);
    OK(firn_stream_append(k->stream, shared_bytes, 200, &append, &k->err));
    for (uint64_t parts = 3; parts <= 5; parts++) {
        OK(firn_stream_grow(k->stream, &k->err));
        expect_parts(k, parts, 0);
    }
    OK(firn_stream_append_end(append, &k->err)); /* in parts of an older list */
    assert_int_equal(chunk.size, FP);
    assert_int_equal(word_at(chunk.data, 100), 101);
    firn_chunk_release(&chunk);
    expect_chunk(reader, 200);
    firn_stream_reader_close(reader);
    assert_int_equal(k->runs, 5);
    kinds_reopen(k);
    expect_parts(k, 5, 0);
    kinds_close(k);
}

static void growing_can_fail(void **state)
{
    (void)state;
    struct kinds world, *k = &world;
    kinds_open(k, "fp");
    k->allocate = (struct failing){1, FIRN_ENOSPC};
    FAILS(firn_stream_grow(k->stream, &k->err), FIRN_ENOSPC);
    assert_non_null(strstr(k->err.message, "part 1"));
    expect_parts(k, 1, 0);
    k->store = (struct failing){1, FIRN_EIO};
    FAILS(firn_stream_grow(k->stream, &k->err), FIRN_EIO);
    assert_int_equal(k->runs, 2);
    expect_parts(k, 1, 0);
    FAILS(firn_stream_grow(k->stream, &k->err), FIRN_EPOISONED); /* the same run */
    assert_int_equal(k->runs, 2);
    kinds_append(k, 8); /* others are not concerned */
    OK(firn_stream_load(k->stream, &k->err));
    expect_parts(k, 2, 0);
    kinds_close(k);
}

static void growing_goes_on_where_it_failed(void **state)
{
    (void)state;
    struct kinds world, *k = &world;
    kinds_open(k, "fp");
    k->store = (struct failing){1, FIRN_ENOSPC};
    FAILS(firn_stream_grow(k->stream, &k->err), FIRN_ENOSPC);
    assert_int_equal(k->runs, 2);
    expect_parts(k, 1, 0);
    k->allocate = (struct failing){1, FIRN_EIO};
    OK(firn_stream_grow(k->stream, &k->err));
    assert_int_equal(k->runs, 2);
    FAILS(firn_stream_grow(k->stream, &k->err), FIRN_EIO);
    kinds_append(k, 1000);
    assert_int_equal(kinds_part(k, 1)->used, 1000);
    kinds_close(k);
    kinds_open(k, "");
    k->store = (struct failing){1, FIRN_ENOSPC};
    FAILS(firn_stream_grow(k->stream, &k->err), FIRN_ENOSPC);
    assert_int_equal(k->runs, 0); /* the only one is given back */
    kinds_close(k);
}

static void blocks_may_be_too_large(void **state)
{
    (void)state;
    struct firn_block_allocator *allocator;
    struct firn_stream *stream;
    struct firn_error err = {0};
    assert_int_equal(firn_block_void_allocator_new(1, 28, &allocator, NULL), 0);
    assert_int_equal(firn_stream_open(allocator, NULL, &stream, NULL), 0);
    assert_int_equal(firn_stream_grow(stream, &err), FIRN_ERANGE);
    assert_non_null(strstr(err.message, "28"));
    assert_int_equal(firn_stream_close(stream, NULL), 0);
    assert_int_equal(firn_block_allocator_close(allocator, NULL), 0);
}

static void space_is_prepared(void **state)
{
    (void)state;
    struct kinds world, *k = &world;
    kinds_open(k, "ff fp");
    for (int i = 0; i < 2; i++)
        OK(firn_stream_grow(k->stream, &k->err));
    OK(firn_stream_prepare(k->stream, 0, &k->err));
    assert_int_equal(k->prepared, 0);
    OK(firn_stream_prepare(k->stream, 80, &k->err));
    assert_int_equal(k->prepared, 1); /* the last block of a part; the one before is not empty */
    OK(firn_stream_prepare(k->stream, 81, &k->err));
    assert_int_equal(k->prepared, 1 + 2);
    OK(firn_stream_prepare(k->stream, 1 << 30, &k->err));
    assert_int_equal(k->prepared, 1 + 2 + 1 + 16 + 16);
    kinds_close(k);
}

/* ---- shrinking ---- */

static void shrinking_waits_for_nobody(void **state)
{
    (void)state;
    struct kinds world, *k = &world;
    struct firn_chunk chunk;
    kinds_open(k, "ft sp fp fp fe fe");
    struct firn_stream_reader *reader = open_reader(k);
    next(reader, &chunk);
    kinds_remove(k, 0, 0, 0);
    expect_parts(k, 6, 0);
    kinds_remove(k, FT, 0, 0); /* what it shares with the next one is not passed */
    expect_parts(k, 6, 0);
    expect_chunk(reader, TS);
    kinds_remove(k, FT + TS, 1, FT + TS);
    expect_parts(k, 5, 1);
    (void)drain(reader);
    kinds_remove(k, firn_stream_reader_position(reader), 2, 2 * FP - 16);
    expect_parts(k, 3, 3);
    assert_int_equal(firn_stream_reader_next(reader, &(struct firn_chunk){0}), FIRN_EEND);
    kinds_remove(k, firn_stream_reader_position(reader), 0, 0); /* the last one is not full */
    expect_parts(k, 3, 3);
    kinds_append(k, 128);
    expect_chunk(reader, 128);
    kinds_remove(k, firn_stream_reader_position(reader), 1, FF);
    expect_parts(k, 2, 4);
    kinds_append(k, 8);
    expect_chunk(reader, 8);
    assert_int_equal(word_at(chunk.data, 0), 1);
    assert_int_equal(word_at(chunk.data, FT / 8 - 1), FT / 8);
    firn_chunk_release(&chunk);
    firn_stream_reader_close(reader);
    OK(firn_stream_shrink(k->stream, NULL, &k->err));
    kinds_close(k);
}

/* A part is not passed while an append that begins in it is under way. */
static void appends_keep_their_parts(void **state)
{
    (void)state;
    struct kinds world, *k = &world;
    struct firn_stream_appending *append;
    kinds_make(k, "fp fe");
    k->options.span_bytes = 1000;
    kinds_reopen(k);
    OK(firn_stream_append(k->stream, shared_bytes, 200, &append, &k->err));
    kinds_remove(k, FP, 0, 0);
    k->store = (struct failing){4, FIRN_ENOSPC}; /* the left half */
    FAILS(firn_stream_append_sync(append, &k->err), FIRN_ENOSPC);
    kinds_remove(k, FP, 0, 0);
    OK(firn_stream_append_sync(append, &k->err));
    kinds_remove(k, FP, 0, 0);
    kinds_remove(k, FP + 200, 1, FP + 200);
    release(k, firn_stream_release, 1, 0); /* a synced one holds nothing */
    OK(firn_stream_append_end(append, &k->err));
    kinds_close(k);
}

/* ---- releasing ---- */

static void parts_are_released(void **state)
{
    (void)state;
    struct kinds world, *k = &world;
    kinds_open(k, "ft sp fp fp fe fe");
    release(k, firn_stream_release, 0, 0);
    struct firn_stream_reader *reader = open_reader(k);
    expect_chunk(reader, FT);
    expect_chunk(reader, TS);
    kinds_remove(k, FT + TS, 1, FT + TS);
    assert_int_equal(k->runs, 6);
    release(k, firn_stream_release, 1, 0); /* at once: nobody looks at it */
    assert_int_equal(k->runs, 5);
    OK(firn_stream_grow(k->stream, &k->err));
    release(k, firn_stream_release, 0, 0);
    expect_chunk(reader, SP);
    kinds_remove(k, FT + TS + SP, 1, SP);
    release(k, firn_stream_force_release, 1, 0);
    OK(firn_stream_release(k->stream, NULL, NULL, &k->err));
    firn_stream_reader_close(reader);
    kinds_reopen(k);
    expect_parts(k, 5, 0);
    expect_all(k, FP + FP);
    kinds_close(k);
}

/* In order: what nobody holds waits for the one before it. */
static void held_parts_are_not_released(void **state)
{
    (void)state;
    struct kinds world, *k = &world;
    struct firn_chunk first, second;
    kinds_open(k, "ff ff ff fp");
    struct firn_stream_reader *reader = open_reader(k);
    next(reader, &first);
    next(reader, &second);
    kinds_remove(k, 3 * FF, 3, 3 * FF);
    release(k, firn_stream_release, 0, 3);
    firn_chunk_release(&second);
    release(k, firn_stream_release, 0, 3);
    OK(firn_stream_grow(k->stream, &k->err));
    OK(firn_stream_grow(k->stream, &k->err));
    assert_int_equal(k->runs, 6);
    firn_chunk_release(&first);
    release(k, firn_stream_release, 3, 0);
    assert_int_equal(k->runs, 3);
    firn_stream_reader_close(reader);
    kinds_close(k);
}

/* One that was stopped in the middle of a call keeps memory, and nobody from going on. */
static void sleeping_readers_stop_nobody(void **state)
{
    (void)state;
    struct kinds world, *k = &world;
    kinds_open(k, "ff fp fe");
    int phase = grace_enter(&k->stream->grace);
    const struct part_list *list = kinds_list(k);
    OK(firn_stream_grow(k->stream, &k->err));
    kinds_remove(k, FF, 1, FF);
    OK(firn_stream_grow(k->stream, &k->err));
    release(k, firn_stream_release, 0, 1);
    kinds_append(k, 8);
    release(k, firn_stream_force_release, 1, 0);
    assert_int_equal(list->count, 3);
    assert_int_equal(word_at(list->parts[0]->data, 5), 6);
    grace_exit(&k->stream->grace, phase);
    release(k, firn_stream_release, 0, 0);
    kinds_remove(k, FF + FP, 0, 0);
    kinds_append(k, 1000);
    kinds_remove(k, FF + FP + 8, 1, FP + 8);
    release(k, firn_stream_release, 1, 0);
    kinds_close(k);
}

static void force_leaves_memory(void **state)
{
    (void)state;
    struct kinds world, *k = &world;
    struct firn_chunk chunk;
    kinds_open(k, "ff ff fp");
    struct firn_stream_reader *reader = open_reader(k);
    next(reader, &chunk);
    kinds_remove(k, 2 * FF, 2, 2 * FF);
    release(k, firn_stream_force_release, 2, 0);
    assert_int_equal(k->runs, 1);
    for (size_t i = 0; i < FF / 8; i++)
        assert_int_equal(word_at(chunk.data, i), i + 1);
    assert_int_equal(firn_stream_reader_next(reader, &(struct firn_chunk){0}), FIRN_ERANGE);
    expect_chunk(reader, FP);
    FAILS(firn_stream_close(k->stream, &k->err), FIRN_EBUSY);
    firn_stream_reader_close(reader);
    FAILS(firn_stream_close(k->stream, &k->err), FIRN_EBUSY);
    firn_chunk_release(&chunk);
    kinds_close(k);
}

static void failed_releases_are_tried_again(void **state)
{
    (void)state;
    struct kinds world, *k = &world;
    kinds_open(k, "ff ff ff fp");
    kinds_remove(k, 3 * FF, 3, 3 * FF);
    for (int force = 0; force < 2; force++) {
        uint64_t released = 77, left = 77;
        k->release = (struct failing){2, FIRN_EIO};
        FAILS((force ? firn_stream_force_release : firn_stream_release)(k->stream, &released, &left,
                                                                        &k->err),
              FIRN_EIO);
        assert_int_equal(released, 1);
        assert_int_equal(left, 2 - force);
    }
    OK(firn_stream_verify(k->stream, NULL, NULL, &k->err));
    release(k, firn_stream_release, 1, 0);
    kinds_reopen(k);
    expect_all(k, FP);
    kinds_close(k);
}

/* What was removed and not released is there again after a restart. */
static void removed_parts_come_back(void **state)
{
    (void)state;
    struct kinds world, *k = &world;
    kinds_open(k, "ff ff fp");
    kinds_remove(k, 2 * FF, 2, 2 * FF);
    OK(firn_stream_load(k->stream, &k->err));
    expect_parts(k, 3, 0);
    expect_all(k, 2 * FF + FP);
    kinds_remove(k, FF, 1, FF);
    kinds_reopen(k);
    expect_all(k, 2 * FF + FP);
    kinds_close(k);
}

static void read_only_streams_do_not_change(void **state)
{
    (void)state;
    struct kinds world, *k = &world;
    struct firn_stream_removed removed = {7, 7};
    kinds_make(k, "ff fp");
    k->options.read_only = true;
    kinds_reopen(k);
    FAILS(firn_stream_grow(k->stream, &k->err), FIRN_EREADONLY);
    FAILS(firn_stream_prepare(k->stream, 1, &k->err), FIRN_EREADONLY);
    assert_int_equal(firn_stream_advance(k->stream, FF, &k->err), 1);
    FAILS(firn_stream_shrink(k->stream, &removed, &k->err), FIRN_EREADONLY);
    assert_int_equal(removed.parts, 7);
    release(k, firn_stream_release, 0, 0);
    OK(firn_stream_verify(k->stream, NULL, NULL, &k->err));
    assert_int_equal(k->stores, 0);
    kinds_close(k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(growing_waits_for_nobody),
        cmocka_unit_test(growing_can_fail),
        cmocka_unit_test(growing_goes_on_where_it_failed),
        cmocka_unit_test(blocks_may_be_too_large),
        cmocka_unit_test(space_is_prepared),
        cmocka_unit_test(shrinking_waits_for_nobody),
        cmocka_unit_test(appends_keep_their_parts),
        cmocka_unit_test(parts_are_released),
        cmocka_unit_test(held_parts_are_not_released),
        cmocka_unit_test(sleeping_readers_stop_nobody),
        cmocka_unit_test(force_leaves_memory),
        cmocka_unit_test(failed_releases_are_tried_again),
        cmocka_unit_test(removed_parts_come_back),
        cmocka_unit_test(read_only_streams_do_not_change),
    };
    return cmocka_run_group_tests_name("grow", tests, NULL, NULL);
}
