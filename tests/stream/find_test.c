/* SPDX-License-Identifier: MIT */
/* Finding a position by what an append holds. */
#include "stream/kinds.h"

/* As list_find: -1 - position where nothing is found. */
static int64_t look(const struct kinds *k, firn_stream_compare_fn *compare, void *arg)
{
    uint64_t position = UINT64_MAX;
    int rc = parts_find(kinds_list(k), compare, arg, &position, NULL);
    assert_true(rc >= 0);
    return rc ? (int64_t)position : -1 - (int64_t)position;
}

static int64_t look_for(const struct kinds *k, uint64_t word)
{
    return look(k, find_word, &word);
}

enum which { FIRST_WORD, LAST_WORD };

/* The first or the last word of the last block's appends. */
static enum firn_stream_order find_last(void *arg, const void *data, size_t size, const void *last,
                                        size_t last_size, size_t *at)
{
    const enum which *which = arg;
    uint64_t word = word_at(last, *which == FIRST_WORD ? 0 : last_size / 8 - 1);
    return find_word(&word, data, size, last, last_size, at);
}

static enum firn_stream_order never(void *arg, const void *data, size_t size, const void *last,
                                    size_t last_size, size_t *at)
{
    (void)arg, (void)data, (void)size, (void)last, (void)last_size;
    *at = 0;
    fail();
    return FIRN_STREAM_MATCH;
}

static enum firn_stream_order left(void *arg, const void *data, size_t size, const void *last,
                                   size_t last_size, size_t *at)
{
    (void)arg, (void)data, (void)size, (void)last, (void)last_size;
    *at = 0;
    return FIRN_STREAM_LEFT;
}

static enum firn_stream_order right(void *arg, const void *data, size_t size, const void *last,
                                    size_t last_size, size_t *at)
{
    (void)arg, (void)data, (void)size, (void)last, (void)last_size;
    *at = 0;
    return FIRN_STREAM_RIGHT;
}

/* To the left where the first word is more than `*arg`. */
static enum firn_stream_order left_above(void *arg, const void *data, size_t size, const void *last,
                                         size_t last_size, size_t *at)
{
    (void)size, (void)last, (void)last_size;
    *at = 0;
    return word_at(data, 0) > *(uint64_t *)arg ? FIRN_STREAM_LEFT : FIRN_STREAM_RIGHT;
}

/* The same, to the right of what two parts share. */
static enum firn_stream_order left_behind(void *arg, const void *data, size_t size,
                                          const void *last, size_t last_size, size_t *at)
{
    if (word_at(data, 0) == WORD_SHARED)
        return FIRN_STREAM_RIGHT;
    return left_above(arg, data, size, last, last_size, at);
}

static enum firn_stream_order too_far(void *arg, const void *data, size_t size, const void *last,
                                      size_t last_size, size_t *at)
{
    (void)arg, (void)data, (void)last, (void)last_size;
    *at = size;
    return FIRN_STREAM_MATCH;
}

static void increasing_words_are_found(void **state)
{
    (void)state;
    enum { B = FP + FT + TS + SP + FP, C = B + FT + TS, END = C + SF };
    static const struct {
        uint64_t word;
        int64_t position;
    } cases[] = {
        {144, -1 - FP},
        {145, FP},
        {146, FP + 8},
        {200, FP + 440},
        {288, FP + FT - 8},
        {289, FP + FT + TS},
        {290, FP + FT + TS + 8},
        {573, B - 16},
        {574, B - 8},
        {575, B},
        {576, B + 8},
        {718, B + FT - 8},
        {719, B + FT + TS},
        {720, B + FT + TS + 8},
        {875, END - 16},
        {876, END - 8},
        {877, -1 - END},
        {WORD_SHARED, FP + FT},
    };
    enum which which = FIRST_WORD;
    struct kinds world, *k = &world;
    kinds_open(k, "fp ft sp fp fe ft sf fe");
    kinds_remove(k, FP, 1, FP);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(look_for(k, cases[i].word), cases[i].position);
    assert_int_equal(look(k, find_last, &which), END - 8 * 10);
    which = LAST_WORD;
    assert_int_equal(look(k, find_last, &which), END - 8);
    kinds_close(k);
}

static void the_last_bytes_may_be_shared(void **state)
{
    (void)state;
    enum which which = FIRST_WORD;
    struct kinds world, *k = &world;
    kinds_open(k, "fp ft se");
    assert_int_equal(look(k, find_last, &which), FP + FT);
    kinds_close(k);
}

/* Appends of several blocks: not every block has an end of one. */
static void appends_of_many_words_are_found(void **state)
{
    (void)state;
    enum which which = LAST_WORD;
    struct kinds world, *k = &world;
    kinds_open(k, "fe fe");
    for (uint64_t value = 1; value <= 4; value++) {
        uint64_t words[8] = {value, value, value, value, value, value, value, value};
        OK(firn_stream_write(k->stream, words, sizeof words, NULL, &k->err));
    }
    assert_int_equal(look(k, find_last, &which), 3 * 64);
    kinds_close(k);
}

static void append_words(struct kinds *k, uint64_t value, size_t count)
{
    uint64_t words[160];
    for (size_t i = 0; i < count; i++)
        words[i] = value;
    OK(firn_stream_write(k->stream, words, 8 * count, NULL, &k->err));
}

/* The second part has the rest of one append and the beginning of another. */
static void parts_without_own_appends_are_passed(void **state)
{
    (void)state;
    enum { SECOND = 159 * 8 + 10 * 8, THIRD = SECOND + 156 * 8 };
    struct kinds world, *k = &world;
    kinds_make(k, "fe fe fe");
    k->options.span_bytes = 2000;
    kinds_reopen(k);
    append_words(k, 1, 159);
    append_words(k, 2, 10);
    append_words(k, 3, 156);
    assert_int_equal(kinds_part(k, 1)->own, 0);
    append_words(k, 4, 8);
    append_words(k, 5, 8);
    assert_int_equal(kinds_part(k, 2)->base, THIRD);
    for (int removed = 0; removed < 2; removed++) {
        assert_int_equal(look_for(k, 3), SECOND);
        assert_int_equal(look_for(k, 4), THIRD);
        assert_int_equal(look_for(k, 5), THIRD + 64);
        kinds_reopen(k);
        if (!removed)
            kinds_remove(k, SECOND, 1, SECOND);
    }
    kinds_close(k);
}

static void nothing_is_found_in_nothing(void **state)
{
    (void)state;
    struct kinds world, *k = &world;
    kinds_open(k, "ff");
    kinds_remove(k, FF, 1, FF);
    assert_int_equal(look(k, never, NULL), -1 - FF);
    kinds_close(k);
    kinds_open(k, "ff fe");
    kinds_remove(k, FF, 1, FF);
    assert_int_equal(look(k, never, NULL), -1 - FF);
    kinds_close(k);
    kinds_open(k, "se fe");
    assert_int_equal(look(k, never, NULL), -1);
    kinds_close(k);
}

static void searches_end_where_they_are_sent(void **state)
{
    (void)state;
    uint64_t word = 144;
    struct kinds world, *k = &world;
    kinds_open(k, "ft se ff");
    assert_int_equal(look(k, left, NULL), -1);
    assert_int_equal(look(k, left_above, &word), -1 - FT);
    word = 164;
    assert_int_equal(look(k, left_behind, &word), -1 - (FT + TS));
    assert_int_equal(look(k, right, NULL), -1 - (FT + TS + FF));
    kinds_close(k);
}

/* One append of 5 blocks: none ends in the blocks where the search by halves looks. */
static void searches_may_end_within_an_append(void **state)
{
    (void)state;
    struct kinds world, *k = &world;
    uint64_t words[60] = {5};
    kinds_open(k, "fe");
    for (uint64_t value = 1; value <= 4; value++)
        OK(firn_stream_write(k->stream, &value, 8, NULL, &k->err));
    OK(firn_stream_write(k->stream, words, sizeof words, NULL, &k->err));
    for (uint64_t value = 6; value <= 80; value++)
        OK(firn_stream_write(k->stream, &value, 8, NULL, &k->err));
    for (uint64_t value = 1; value <= 4; value++)
        assert_int_equal(look_for(k, value), 8 * (value - 1));
    assert_int_equal(look_for(k, 5), 32);
    for (uint64_t value = 6; value <= 80; value++)
        assert_int_equal(look_for(k, value), 32 + sizeof words + 8 * (value - 6));
    assert_int_equal(look_for(k, 81), -1 - (int64_t)firn_stream_end(k->stream));
    for (uint64_t value = 0; value <= 81; value++) /* inconsistent ones end too */
        (void)look(k, left_above, &value);
    kinds_close(k);
}

static void expect_first(struct kinds *k, uint64_t word)
{
    struct firn_stream_reader *reader;
    struct firn_chunk chunk;
    OK(firn_stream_reader_open(k->stream, &reader, &k->err));
    assert_int_equal(firn_stream_reader_next(reader, &chunk), 0);
    assert_int_equal(word_at(chunk.data, 0), word);
    firn_chunk_release(&chunk);
    firn_stream_reader_close(reader);
}

static void finding_sets_the_offset(void **state)
{
    (void)state;
    struct kinds world, *k = &world;
    uint64_t word = 42;
    kinds_open(k, "fp ff fe");
    assert_int_equal(firn_stream_find(k->stream, find_word, &word, &k->err), 1);
    expect_first(k, 42);
    word = 198;
    assert_int_equal(firn_stream_find(k->stream, find_word, &word, &k->err), 1);
    expect_first(k, 198);
    assert_int_equal(firn_stream_find(k->stream, find_word, &word, &k->err), 1);
    word = 42; /* before the offset */
    assert_int_equal(firn_stream_find(k->stream, find_word, &word, &k->err), 0);
    expect_first(k, 198);
    assert_int_equal(firn_stream_find(k->stream, right, NULL, &k->err), 0);
    expect_first(k, 198);
    FAILS(firn_stream_find(k->stream, too_far, NULL, &k->err), FIRN_EINVAL);
    expect_first(k, 198);
    kinds_close(k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(increasing_words_are_found),
        cmocka_unit_test(the_last_bytes_may_be_shared),
        cmocka_unit_test(appends_of_many_words_are_found),
        cmocka_unit_test(parts_without_own_appends_are_passed),
        cmocka_unit_test(nothing_is_found_in_nothing),
        cmocka_unit_test(searches_end_where_they_are_sent),
        cmocka_unit_test(searches_may_end_within_an_append),
        cmocka_unit_test(finding_sets_the_offset),
    };
    return cmocka_run_group_tests_name("find", tests, NULL, NULL);
}
