/* SPDX-License-Identifier: MIT */
/* Opening, loading, closing: what is refused, what fits together, what a crash leaves. */
#include <stdio.h>

#include "stream/kinds.h"

enum { FOUND_MOST = 8 };

struct found {
    struct firn_stream_finding findings[FOUND_MOST];
    size_t count;
};

static void find(void *arg, const struct firn_stream_finding *finding)
{
    struct found *found = arg;
    assert_true(found->count < FOUND_MOST);
    found->findings[found->count++] = *finding;
    assert_true(strlen(firn_stream_fault_text(finding->fault)) > 0);
}

static void refuse(struct kinds *k, int code, const char *message)
{
    struct firn_stream *stream = NULL;
    FAILS(firn_stream_open(k->allocator, &k->options, &stream, &k->err), code);
    assert_null(stream);
    assert_non_null(strstr(k->err.message, message));
}

static void expect_recovered(struct kinds *k, bool recovered, uint64_t cut)
{
    struct firn_stream_recovery recovery = {0};
    firn_stream_get_recovery(k->stream, &recovery);
    assert_int_equal(recovery.recovered, recovered);
    assert_int_equal(recovery.cut_bytes, cut);
}

/* ---- what is refused ---- */

static void allocators_are_checked(void **state)
{
    (void)state;
    struct kinds world, *k = &world;
    struct firn_stream *stream;
    struct firn_block_allocator_ops few = {.size = sizeof few - 1};
    struct firn_block_allocator old = {&few};
    struct firn_block *block;
    kinds_make(k, "fp");
    FAILS(firn_stream_open(NULL, NULL, &stream, &k->err), FIRN_EINVAL);
    FAILS(firn_stream_open(&old, NULL, &stream, &k->err), FIRN_EINVAL);
    kinds_close(k);
    assert_int_equal(firn_block_memory_allocator_new(1, 28, &k->allocator, NULL), 0);
    assert_int_equal(block_allocate(k->allocator, &block, NULL), 0);
    firn_block_close(block);
    refuse(k, FIRN_ERANGE, "part 0");
    assert_int_equal(firn_block_allocator_close(k->allocator, NULL), 0);
    OK(firn_stream_close(NULL, &k->err));
}

static void expect_busy(struct kinds *k)
{
    uint64_t word = 1, end = firn_stream_end(k->stream);
    FAILS(firn_stream_load(k->stream, &k->err), FIRN_EBUSY);
    FAILS(firn_stream_find(k->stream, find_word, &word, &k->err), FIRN_EBUSY);
    FAILS(firn_stream_close(k->stream, &k->err), FIRN_EBUSY);
    assert_int_equal(firn_stream_end(k->stream), end);
}

static void what_is_open_keeps_others_off(void **state)
{
    (void)state;
    struct kinds world, *k = &world;
    struct firn_stream_reader *reader, *clone;
    struct firn_stream_appending *append;
    struct firn_chunk chunk;
    uint64_t word = 1;
    kinds_open(k, "fp ff fe");
    OK(firn_stream_reader_open(k->stream, &reader, &k->err));
    expect_busy(k);
    OK(firn_stream_reader_clone(reader, &clone, &k->err));
    firn_stream_reader_close(reader);
    expect_busy(k);
    assert_int_equal(firn_stream_reader_next(clone, &chunk), 0);
    firn_stream_reader_close(clone);
    expect_busy(k);
    firn_chunk_release(&chunk);
    OK(firn_stream_append(k->stream, "x", 1, &append, &k->err));
    expect_busy(k);
    OK(firn_stream_append_sync(append, &k->err));
    expect_busy(k);
    OK(firn_stream_append_end(append, &k->err));
    assert_int_equal(firn_stream_find(k->stream, find_word, &word, &k->err), 1);
    OK(firn_stream_load(k->stream, &k->err));
    kinds_close(k);
}

/* ---- loading ---- */

static void loading_begins_anew(void **state)
{
    (void)state;
    struct kinds world, *k = &world;
    struct firn_stream_stats stats;
    kinds_open(k, "fp ff fe");
    firn_stream_get_stats(k->stream, &stats);
    assert_int_equal(stats.parts, 3);
    assert_int_equal(firn_stream_advance(k->stream, FP, &k->err), 1);
    OK(firn_stream_load(k->stream, &k->err));
    assert_int_equal(firn_stream_offset(k->stream), 0);
    expect_recovered(k, false, 0);
    kinds_append(k, 8);
    OK(firn_stream_load(k->stream, &k->err)); /* as after closing */
    expect_recovered(k, false, 0);
    expect_all(k, FP + FF + 8);
    kinds_close(k);
    kinds_open(k, "");
    firn_stream_get_stats(k->stream, &stats);
    assert_int_equal(stats.parts, 0);
    OK(firn_stream_load(k->stream, &k->err));
    expect_all(k, 0);
    kinds_close(k);
}

static void a_stream_that_cannot_be_loaded_is_empty(void **state)
{
    (void)state;
    struct kinds world, *k = &world;
    struct firn_stream_stats stats;
    kinds_open(k, "fp ff fe");
    for (int close = 0; close < 2; close++) {
        k->load = (struct failing){2, FIRN_EIO};
        FAILS(firn_stream_load(k->stream, &k->err), FIRN_EIO);
        assert_non_null(strstr(k->err.message, "part"));
        expect_all(k, 0);
        firn_stream_get_stats(k->stream, &stats);
        assert_int_equal(stats.parts, 0);
        FAILS(firn_stream_write(k->stream, "x", 1, NULL, &k->err), FIRN_EPOISONED);
        FAILS(firn_stream_grow(k->stream, &k->err), FIRN_EPOISONED);
        OK(firn_stream_shrink(k->stream, NULL, &k->err));
        OK(firn_stream_verify(k->stream, NULL, NULL, &k->err));
        if (close)
            break;
        OK(firn_stream_load(k->stream, &k->err));
        expect_all(k, FP + FF);
        kinds_append(k, 8);
    }
    kinds_reopen(k); /* closing is fine too */
    expect_all(k, FP + FF + 8);
    k->load = (struct failing){1, FIRN_EIO};
    OK(firn_stream_close(k->stream, &k->err));
    k->stream = NULL;
    refuse(k, FIRN_EIO, "part 0");
    kinds_close(k);
}

/* ---- what fits together ---- */

struct span_case {
    const char *kinds;
    bool read_only; /* can be opened so */
    uint64_t part, block;
};

static void halves_belong_together(void **state)
{
    (void)state;
    static const struct span_case cases[] = {
        {"fp sf", false, 1, 0},  {"ft", true, 0, 15},        {"ft fe", false, 0, 15},
        {"ft fp", false, 0, 15}, {"ft fe sp", false, 0, 15}, {"ft xp", false, 0, 15},
        {"fe sp", false, 1, 0},  {"fp ft st", true, 2, 15},  {"ff se", false, 1, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct kinds world, *k = &world;
        struct found found = {0};
        char part[16];
        kinds_make(k, cases[i].kinds);
        k->options = (struct firn_stream_options){.finding = find, .arg = &found};
        snprintf(part, sizeof part, "part %d", (int)cases[i].part);
        refuse(k, FIRN_EDAMAGED, part);
        assert_int_equal(found.count, 1);
        assert_int_equal(found.findings[0].fault, FIRN_FAULT_SPAN);
        assert_int_equal(found.findings[0].part, cases[i].part);
        assert_int_equal(found.findings[0].block, cases[i].block);
        assert_int_equal(k->stores, 0); /* nothing was changed */
        k->options.read_only = true;
        if (!cases[i].read_only) {
            refuse(k, FIRN_EDAMAGED, part);
        } else {
            assert_non_null(strstr(k->err.message, "read-only"));
            kinds_reopen(k);
            assert_true(firn_stream_end(k->stream) > 0);
            expect_all(k, firn_stream_end(k->stream));
        }
        kinds_close(k);
    }
}

static void the_first_part_may_begin_with_a_rest(void **state)
{
    (void)state;
    struct kinds world, *k = &world;
    kinds_open(k, "sp fe");
    struct firn_stream_reader *reader;
    OK(firn_stream_reader_open(k->stream, &reader, &k->err));
    expect_chunk(reader, SP);
    firn_stream_reader_close(reader);
    expect_all(k, SP);
    kinds_append(k, 8);
    kinds_kill(k);
    kinds_reopen(k);
    expect_all(k, SP + 8);
    kinds_close(k);
}

static void damage_is_found(void **state)
{
    (void)state;
    struct kinds world, *k = &world;
    struct found found = {0};
    kinds_make(k, "ff ff fp fe");
    k->options = (struct firn_stream_options){.finding = find, .arg = &found};
    kinds_flip(k, 0, 7, 60);
    kinds_flip(k, 2, 3, 70);
    kinds_reopen(k); /* the quick checks do not look there */
    FAILS(firn_stream_verify(k->stream, find, &found, &k->err), FIRN_EDAMAGED);
    assert_non_null(strstr(k->err.message, "part 0"));
    assert_int_equal(found.count, 2);
    assert_int_equal(firn_stream_advance(k->stream, FF, &k->err), 1);
    OK(firn_stream_shrink(k->stream, NULL, &k->err));
    FAILS(firn_stream_verify(k->stream, find, &found, &k->err), FIRN_EDAMAGED);
    assert_non_null(strstr(k->err.message, "part 2"));
    assert_int_equal(found.count, 3);
    OK(firn_stream_close(k->stream, &k->err));
    k->stream = NULL;
    k->options.verify = true;
    refuse(k, FIRN_EDAMAGED, "part 0");
    static const uint64_t parts[] = {0, 2, 2, 0, 2}, blocks[] = {7, 3, 3, 7, 3};
    assert_int_equal(found.count, 5);
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(found.findings[i].part, parts[i]);
        assert_int_equal(found.findings[i].block, blocks[i]);
        assert_int_equal(found.findings[i].fault, FIRN_FAULT_DATA);
    }
    kinds_flip(k, 0, 7, 60);
    kinds_flip(k, 2, 3, 70);
    kinds_reopen(k);
    OK(firn_stream_verify(k->stream, NULL, NULL, &k->err));
    kinds_flip(k, 3, 9, 4); /* behind the end */
    FAILS(firn_stream_verify(k->stream, NULL, NULL, &k->err), FIRN_EDAMAGED);
    kinds_close(k);
}

/* ---- after a crash ---- */

static void what_was_synced_is_there(void **state)
{
    (void)state;
    struct kinds world, *k = &world;
    kinds_make(k, "ff fp fe");
    k->options.span_bytes = 1000;
    kinds_reopen(k);
    for (int i = 0; i < 20; i++) {
        kinds_append(k, 50);
        kinds_kill(k);
        k->stores = 0;
        k->options.read_only = true; /* seen as after recovery, and left as it is */
        kinds_reopen(k);
        expect_recovered(k, true, 0);
        expect_all(k, FF + FP + 50 * (uint64_t)(i + 1));
        OK(firn_stream_close(k->stream, &k->err));
        k->stream = NULL;
        assert_int_equal(k->stores, 0);
        k->options.read_only = false;
        kinds_reopen(k);
        expect_recovered(k, true, 0);
        expect_all(k, FF + FP + 50 * (uint64_t)(i + 1));
    }
    kinds_reopen(k);
    expect_recovered(k, false, 0);
    assert_int_equal(kinds_part(k, 1)->span->size, 50);
    kinds_close(k);
}

/* The right half of a spanned append was stored, and then the process died. */
static void half_an_append_is_cut(void **state)
{
    (void)state;
    struct kinds world, *k = &world;
    struct firn_stream_appending *append;
    kinds_make(k, "fp fe fe");
    k->options.span_bytes = 1000;
    kinds_reopen(k);
    OK(firn_stream_append(k->stream, shared_bytes, 500, &append, &k->err));
    OK(part_sync(kinds_part(k, 1), &k->err));
    k->store = (struct failing){1, FIRN_EIO};
    FAILS(firn_stream_append_end(append, &k->err), FIRN_EPOISONED);
    FAILS(firn_stream_close(k->stream, &k->err), FIRN_EPOISONED);
    k->stream = NULL;
    k->options.read_only = true;
    kinds_reopen(k);
    expect_recovered(k, true, 500 - 128);
    expect_all(k, FP);
    OK(firn_stream_verify(k->stream, NULL, NULL, &k->err)); /* as after recovery */
    kinds_reopen(k);
    OK(firn_stream_close(k->stream, &k->err));
    k->stream = NULL;
    k->options.read_only = false;
    kinds_reopen(k);
    expect_recovered(k, true, 500 - 128);
    OK(firn_stream_verify(k->stream, NULL, NULL, &k->err));
    expect_all(k, FP);
    kinds_append(k, 500);
    expect_all(k, FP + 500);
    kinds_reopen(k);
    expect_recovered(k, false, 0);
    expect_all(k, FP + 500);
    kinds_close(k);
}

static void failing_to_settle_changes_nothing(void **state)
{
    (void)state;
    struct kinds world, *k = &world;
    kinds_open(k, "ff fp fe");
    kinds_append(k, 64);
    kinds_kill(k);
    for (unsigned in = 1; in <= 1; in++) {
        k->store = (struct failing){in, FIRN_EIO};
        refuse(k, FIRN_EIO, "part 1");
    }
    kinds_reopen(k);
    expect_all(k, FF + FP + 64);
    kinds_close(k);
}

/* Closing is only a courtesy: what it does not get done recovery does. */
static void closing_can_fail(void **state)
{
    (void)state;
    for (unsigned in = 1; in <= 4; in++) {
        struct kinds world, *k = &world;
        kinds_make(k, "fp fe");
        k->options.span_bytes = 1000;
        kinds_reopen(k);
        kinds_append(k, 200);
        k->store = (struct failing){in, in % 2 ? FIRN_EIO : FIRN_ENOSPC};
        int rc = firn_stream_close(k->stream, &k->err);
        assert_true(rc == (k->store.in ? 0 : k->store.code));
        k->stream = NULL;
        k->store.in = 0;
        kinds_reopen(k);
        expect_recovered(k, rc < 0, 0);
        expect_all(k, FP + 200);
        OK(firn_stream_verify(k->stream, NULL, NULL, &k->err));
        kinds_close(k);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(allocators_are_checked),
        cmocka_unit_test(what_is_open_keeps_others_off),
        cmocka_unit_test(loading_begins_anew),
        cmocka_unit_test(a_stream_that_cannot_be_loaded_is_empty),
        cmocka_unit_test(halves_belong_together),
        cmocka_unit_test(the_first_part_may_begin_with_a_rest),
        cmocka_unit_test(damage_is_found),
        cmocka_unit_test(what_was_synced_is_there),
        cmocka_unit_test(half_an_append_is_cut),
        cmocka_unit_test(failing_to_settle_changes_nothing),
        cmocka_unit_test(closing_can_fail),
    };
    return cmocka_run_group_tests_name("open", tests, NULL, NULL);
}
