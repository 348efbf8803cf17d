/* SPDX-License-Identifier: MIT */
/* Readers, chunks, and the offset. */
#include "stream/kinds.h"

static int find(struct kinds *k, uint64_t word)
{
    return firn_stream_find(k->stream, find_word, &word, &k->err);
}

static struct firn_stream_reader *open_reader(struct kinds *k)
{
    struct firn_stream_reader *reader;
    OK(firn_stream_reader_open(k->stream, &reader, &k->err));
    return reader;
}

static struct firn_stream_reader *copy_of(struct kinds *k, const struct firn_stream_reader *reader)
{
    struct firn_stream_reader *copy;
    OK(firn_stream_reader_clone(reader, &copy, &k->err));
    return copy;
}

static void advance_to(struct kinds *k, const struct firn_stream_reader *reader)
{
    uint64_t position = firn_stream_reader_position(reader);
    assert_int_equal(firn_stream_advance(k->stream, position, &k->err), 1);
    assert_int_equal(firn_stream_offset(k->stream), position);
}

static void expect_skipped(struct kinds *k, struct firn_stream_reader *reader)
{
    struct firn_chunk chunk = {.size = 77};
    assert_int_equal(firn_stream_reader_next(reader, &chunk), FIRN_ERANGE);
    assert_int_equal(chunk.size, 77);
    assert_int_equal(firn_stream_reader_position(reader), firn_stream_offset(k->stream));
}

static void expect_end(struct firn_stream_reader *reader)
{
    struct firn_chunk chunk = {.size = 77};
    assert_int_equal(firn_stream_reader_next(reader, &chunk), FIRN_EEND);
    assert_int_equal(chunk.size, 77);
}

static void rewind_by(struct firn_stream_reader *reader, uint64_t bytes)
{
    assert_int_equal(firn_stream_reader_rewind(reader, bytes), 0);
}

/* Words count up from `value`, the shared ones left out. */
static void expect_words(struct kinds *k, uint64_t value)
{
    struct firn_stream_reader *reader = open_reader(k);
    struct firn_chunk chunk;
    while (firn_stream_reader_next(reader, &chunk) == 0) {
        for (size_t i = 0; i < chunk.size / 8; i++) {
            uint64_t word = word_at(chunk.data, i);
            assert_int_equal(word == WORD_SHARED, chunk.spanned);
            if (!chunk.spanned)
                assert_int_equal(word, value++);
        }
        firn_chunk_release(&chunk);
    }
    firn_stream_reader_close(reader);
}

static void readers_get_chunks(void **state)
{
    (void)state;
    struct kinds world, *k = &world;
    kinds_open(k, "fe fp ft sp ff fe fp fe");
    assert_int_equal(find(k, 42), 1);
    kinds_remove(k, 0, 1, 0);
    struct firn_stream_reader *reader = open_reader(k);
    expect_chunk(reader, (144 - 42) * 8 + 8);
    expect_chunk(reader, 144 * 8);
    rewind_by(reader, 64); /* before the spanned chunk */
    expect_chunk(reader, 64);
    expect_chunk(reader, 16 * 8 + 16);
    rewind_by(reader, 48); /* into it */
    expect_chunk(reader, 48);
    expect_chunk(reader, 142 * 8);
    expect_chunk(reader, 160 * 8);
    expect_chunk(reader, 144 * 8);
    rewind_by(reader, 32);
    expect_chunk(reader, 32);
    rewind_by(reader, 728 + 144 * 8); /* two chunks */
    expect_chunk(reader, 728);
    expect_chunk(reader, 144 * 8);
    expect_end(reader);
    expect_end(reader);
    expect_words(k, 42);
    rewind_by(reader, UINT64_MAX); /* to the offset at most */
    assert_int_equal(firn_stream_reader_position(reader), 41 * 8);
    kinds_append(k, 8);
    (void)drain(reader);
    firn_stream_reader_close(reader);
    kinds_close(k);
}

static void readers_follow_the_offset(void **state)
{
    (void)state;
    struct kinds world, *k = &world;
    kinds_open(k, "ft sp ff fe");
    assert_int_equal(find(k, 114), 1);
    struct firn_stream_reader *reader = open_reader(k), *behind = copy_of(k, reader),
                              *ahead = copy_of(k, reader);

    expect_chunk(reader, 248); /* within the first chunk */
    rewind_by(reader, 188);
    expect_chunk(ahead, 248);
    advance_to(k, reader);
    expect_chunk(reader, 188);
    expect_skipped(k, behind);
    expect_chunk(behind, 188);
    expect_chunk(ahead, 16 * 8 + 16);

    expect_chunk(reader, TS); /* within the spanned chunk */
    rewind_by(reader, 64);
    advance_to(k, reader);
    expect_chunk(reader, 64);
    expect_skipped(k, behind);
    expect_chunk(behind, 64);
    expect_chunk(ahead, 142 * 8);

    assert_int_equal(drain(reader), SP + FF); /* to the end, past several chunks */
    advance_to(k, reader);
    expect_end(reader);
    expect_skipped(k, behind);
    expect_end(behind);
    expect_skipped(k, ahead);
    expect_end(ahead);
    firn_stream_reader_close(reader);
    firn_stream_reader_close(behind);
    firn_stream_reader_close(ahead);
    kinds_close(k);
}

static void rewinding_follows_the_offset(void **state)
{
    (void)state;
    struct kinds world, *k = &world;
    kinds_open(k, "ft sp ff fe");
    assert_int_equal(find(k, 114), 1);
    struct firn_stream_reader *reader = open_reader(k), *behind = copy_of(k, reader),
                              *ahead = copy_of(k, reader);
    expect_chunk(reader, 248);
    rewind_by(reader, 128);
    expect_chunk(ahead, 248);
    advance_to(k, reader);
    rewind_by(reader, 1024);
    assert_int_equal(firn_stream_reader_rewind(behind, 1024), FIRN_ERANGE);
    rewind_by(ahead, 1024);
    expect_chunk(reader, 128);
    expect_chunk(behind, 128);
    expect_chunk(ahead, 128);
    firn_stream_reader_close(reader);
    firn_stream_reader_close(behind);
    firn_stream_reader_close(ahead);
    kinds_close(k);
}

static void readers_go_on_after_shrinking(void **state)
{
    (void)state;
    struct kinds world, *k = &world;
    struct firn_chunk chunk;
    kinds_open(k, "fp fp ff fe");
    assert_int_equal(find(k, 114), 1);
    struct firn_stream_reader *reader = open_reader(k);
    assert_int_equal(firn_stream_reader_next(reader, &chunk), 0);
    struct firn_stream_reader *behind = copy_of(k, reader);
    rewind_by(behind, 64);
    kinds_remove(k, firn_stream_reader_position(reader), 1, FP);
    assert_int_equal(chunk.size, FP - 912 + 8);
    assert_int_equal(word_at(chunk.data, 0), 114);
    expect_skipped(k, behind);
    assert_int_equal(drain(reader), FP + FF);
    assert_int_equal(drain(behind), FP + FF);
    firn_stream_reader_close(reader);
    firn_stream_reader_close(behind);
    firn_chunk_release(&chunk);
    kinds_close(k);
}

static void chunks_stay(void **state)
{
    (void)state;
    struct kinds world, *k = &world;
    struct firn_chunk own, span;
    uint64_t released, left;
    kinds_open(k, "ft sf fe");
    struct firn_stream_reader *reader = open_reader(k);
    assert_int_equal(firn_stream_reader_next(reader, &own), 0);
    assert_int_equal(firn_stream_reader_next(reader, &span), 0);
    assert_true(span.spanned && !own.spanned);
    kinds_remove(k, FT + TS + SF, 2, FT + TS + SF);
    OK(firn_stream_grow(k->stream, &k->err));
    OK(firn_stream_grow(k->stream, &k->err));
    OK(firn_stream_release(k->stream, &released, &left, &k->err));
    assert_true(released == 0 && left == 2);
    OK(firn_stream_force_release(k->stream, &released, &left, &k->err));
    assert_true(released == 2 && left == 0);
    assert_int_equal(k->runs, 3);
    firn_stream_reader_close(reader);
    assert_true(own.size == FT && own.position == 0);
    for (size_t i = 0; i < FT / 8; i++)
        assert_int_equal(word_at(own.data, i), i + 1);
    firn_chunk_release(&own);
    FAILS(firn_stream_close(k->stream, &k->err), FIRN_EBUSY);
    assert_true(span.size == TS && span.position == FT);
    assert_memory_equal(span.data, shared_bytes, TS);
    firn_chunk_release(&span);
    firn_chunk_release(&span);
    firn_stream_reader_close(NULL);
    kinds_close(k);
}

static void the_offset_moves_forward(void **state)
{
    (void)state;
    struct kinds world, *k = &world;
    kinds_open(k, "fp ff fe");
    assert_int_equal(firn_stream_advance(k->stream, 0, &k->err), 0);
    assert_int_equal(find(k, 114), 1);
    assert_int_equal(firn_stream_advance(k->stream, 0, &k->err), 0);
    assert_int_equal(firn_stream_advance(k->stream, firn_stream_offset(k->stream), &k->err), 0);
    assert_int_equal(firn_stream_end(k->stream), FP + FF);
    FAILS(firn_stream_advance(k->stream, FP + FF + 1, &k->err), FIRN_ERANGE);
    assert_int_equal(firn_stream_offset(k->stream), 904);
    assert_int_equal(firn_stream_advance(k->stream, FP + FF, &k->err), 1);
    kinds_close(k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(readers_get_chunks),
        cmocka_unit_test(readers_follow_the_offset),
        cmocka_unit_test(rewinding_follows_the_offset),
        cmocka_unit_test(readers_go_on_after_shrinking),
        cmocka_unit_test(chunks_stay),
        cmocka_unit_test(the_offset_moves_forward),
    };
    return cmocka_run_group_tests_name("reader", tests, NULL, NULL);
}
