/* SPDX-License-Identifier: MIT */
/* The list of parts: positions in it, where appends go, figures. */
#include "stream/kinds.h"

/* ---- where appends go ---- */

struct place_case {
    const char *kinds;
    int ending, empty;
};

static void places_are_picked(void **state)
{
    (void)state;
    static const struct place_case cases[] = {
        {"", -1, -1},
        {"fe", 0, 0},
        {"fe fe", 0, 0},
        {"fp", 0, -1},
        {"ff", -1, -1},
        {"fp ff fp fp", 3, -1},
        {"fp ff fe fp", 3, -1},
        {"fp ff fp fp fe fe", 3, 4},
        {"fp ff fp ff fe", 4, 4},
        {"fp ff fp ff fe fe", 4, 4},
        {"fe fe ff fe fe", 3, 3},
        {"fe fe ff fp fe", 3, 4},
        {"ff fp fe fe ff fp fe", 5, 6},
        {"ff fe fe ff fp fe fe", 4, 5},
        {"fp ff fp ff", -1, -1},
        {"fp ff fe ff", -1, -1},
        {"fp ff fe fe fp", 4, -1},
        {"fp ff fe fe ff", -1, -1},
        {"ff fp ff fp fe", 3, 4},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct kinds world, *k = &world;
        kinds_open(k, cases[i].kinds);
        int ending = (int)parts_ending(kinds_list(k)), empty = (int)parts_empty(kinds_list(k));
        if (ending != cases[i].ending || empty != cases[i].empty)
            fail_msg("\"%s\": ending %d, empty %d", cases[i].kinds, ending, empty);
        kinds_close(k);
    }
}

/* Numbers in the list move when parts are removed; with those that were there before they do not.
 */
static void places_stay_when_parts_go(void **state)
{
    (void)state;
    struct kinds world, *k = &world;
    kinds_open(k, "ff fp ff fp fe");
    kinds_remove(k, FF, 1, FF);
    assert_int_equal(kinds_list(k)->removed, 1);
    assert_int_equal(kinds_list(k)->count, 4);
    assert_int_equal(parts_ending(kinds_list(k)) + 1, 3);
    assert_int_equal(parts_empty(kinds_list(k)) + 1, 4);
    kinds_close(k);
}

/* ---- positions ---- */

struct at {
    uint64_t position;
    int part;
    uint64_t offset;
};

static void expect_at(const struct kinds *k, const struct at *cases, size_t count)
{
    const struct part_list *list = kinds_list(k);
    for (size_t i = 0; i < count; i++) {
        ptrdiff_t part = parts_locate(list, cases[i].position);
        if (cases[i].part < 0) {
            assert_int_equal(part, PARTS_NONE);
            continue;
        }
        assert_int_equal((uint64_t)part + list->removed, cases[i].part);
        assert_int_equal(cases[i].position - list->parts[part]->base, cases[i].offset);
    }
}

static void positions_are_located(void **state)
{
    (void)state;
    static const struct at cases[] = {
        {0, 0, 0},
        {1120, 0, 1120},
        {FT + 40, 0, FT + 40},
        {FT + TS + 16, 1, 16},
        {FT + TS + SP, 2, 0},
        {FT + TS + SP + FP + 16, 5, 16},
        {FT + TS + SP + FP + FT + 40, 5, FT + 40},
        {FT + TS + SP + FP + FT + TS + SP - 1, 6, SP - 1},
        {FT + TS + SP + FP + FT + TS + SP, 6, SP},
    };
    static const struct at later[] = {
        {0, -1, 0},
        {16, -1, 0},
        {FT + TS - 1, -1, 0},
        {FT + TS, 1, 0},
        {FT + TS + 16, 1, 16},
        {FT + TS + SP, 2, 0},
        {FT + TS + SP + FP + 16, 5, 16},
    };
    static const struct at last[] = {
        {FT + TS + SP + FP - 1, -1, 0},
        {FT + TS + SP + FP, 5, 0},
    };
    struct kinds world, *k = &world;
    kinds_open(k, "ft sp fp fe fe ft sp fe");
    assert_int_equal(firn_stream_end(k->stream), FT + TS + SP + FP + FT + TS + SP);
    expect_at(k, cases, sizeof cases / sizeof *cases);
    kinds_remove(k, FT + TS, 1, FT + TS);
    expect_at(k, later, sizeof later / sizeof *later);
    kinds_remove(k, FT + TS + SP + FP, 4, SP + FP); /* the empty ones behind it too */
    expect_at(k, last, sizeof last / sizeof *last);
    kinds_close(k);
}

/* At the end there is no byte: what matters is where the next one will be. */
static void ends_of_parts_are_positions(void **state)
{
    (void)state;
    static const struct {
        const char *kinds;
        uint64_t end;
        size_t part, passed; /* where the next append goes, and what can be removed */
    } cases[] = {
        {"fp fp fe", FP + FP, 1, 1},
        {"fp ff fe", FP + FF, 2, 2},
        {"fp fp ff", FP + FP + FF, 3, 3},
        {"fp ft se", FP + FT + TS, 2, 2},
        {"sf", SF, 1, 1},
        {"se", 0, 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct kinds world, *k = &world;
        kinds_open(k, cases[i].kinds);
        const struct part_list *list = kinds_list(k);
        assert_int_equal(firn_stream_end(k->stream), cases[i].end);
        assert_int_equal(parts_passed(list, cases[i].end, cases[i].end), cases[i].passed);
        ptrdiff_t ending = parts_ending(list);
        assert_int_equal(ending >= 0 ? (size_t)ending : list->count, cases[i].part);
        OK(firn_stream_grow(k->stream, &k->err));
        kinds_append(k, 8);
        assert_int_equal(parts_locate(kinds_list(k), cases[i].end), cases[i].part);
        kinds_close(k);
    }
}

/* The end is loaded first: what was appended since may show in some parts, and not in others. */
static void parts_are_passed_as_of_an_end(void **state)
{
    (void)state;
    struct kinds world, *k = &world;
    kinds_open(k, "ff fp fp fe");
    const struct part_list *list = kinds_list(k);
    assert_int_equal(parts_passed(list, FF, FF), 1);
    assert_int_equal(parts_passed(list, FF + FP, FF + FP), 1); /* it is not full: nor passed */
    assert_int_equal(parts_passed(list, FF + FP, FF + FP + FP), 2);
    assert_int_equal(parts_passed(list, FF + FP - 1, FF + FP + FP), 1);
    assert_int_equal(parts_passed(list, 0, 0), 0);
    kinds_close(k);
}

static void lengths_add_up(void **state)
{
    (void)state;
    static const struct {
        const char *kinds;
        uint64_t end;
    } cases[] = {
        {"", 0},
        {"sp fe ff fe", SP + FE + FF + FE},
        {"sp ft sf fe", SP + FT + TS + SF + FE},
        {"fp ft sf fe", FP + FT + TS + SF + FE},
        {"fp ft st sp fp", FP + FT + TS + FT - 16 + TS + SP + FP},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct kinds world, *k = &world;
        kinds_open(k, cases[i].kinds);
        assert_int_equal(firn_stream_end(k->stream), cases[i].end);
        assert_int_equal(kinds_list(k)->count, (strlen(cases[i].kinds) + 1) / 3);
        kinds_close(k);
    }
}

static void parts_are_removed_one_by_one(void **state)
{
    (void)state;
    struct kinds world, *k = &world;
    kinds_open(k, "fe ff ft sf fe fe");
    static const int empty[] = {1, 0, 0, 0, 1, 1};
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(kinds_part(k, i)->used == 0, empty[i]);
    kinds_remove(k, 0, 1, 0);
    kinds_remove(k, FF - 1, 0, 0);
    kinds_remove(k, FF, 1, FF);
    kinds_remove(k, FF + FT, 0, 0);
    kinds_remove(k, FF + FT + TS - 1, 0, 0);
    kinds_remove(k, FF + FT + TS, 1, FT + TS);
    assert_int_equal(kinds_list(k)->removed, 3);
    assert_int_equal(kinds_list(k)->begin, FF + FT + TS);
    kinds_remove(k, FF + FT + TS + SF, 1, SF);
    kinds_remove(k, FF + FT + TS + SF, 0, 0);
    assert_int_equal(kinds_list(k)->count, 2);
    assert_int_equal(kinds_list(k)->removed, 4);
    assert_int_equal(kinds_list(k)->begin, FF + FT + TS + SF);
    kinds_close(k);
}

/* ---- figures ---- */

struct figures {
    const char *kinds;
    uint64_t offset;
    uint64_t parts, used, wasted, available;
};

static void figures_are_those_of_the_reference(void **state)
{
    (void)state;
    static const struct figures cases[] = {
        {"sp fe ft sp fe", 88, 5, 16 + SP + FE + FT + TS + SP + FE, 16 + 88 + 128 + 1280,
         1280 - 1152 + 1280},
        {"sp fe ft sp fe", 1168, 5, 16 + SP + FE + FT + TS + SP + FE, 16 + 128 + 1280 + 1168,
         1280 - 1152 + 1280},
        {"fp fe ft sp fe", 88, 5, FP + FE + FT + TS + SP + FE, 88 + 128 + 1280, 1280 - 1152 + 1280},
        {"fe fp fe ft sp fe", 88, 5, FP + FE + FT + TS + SP + FE, 88 + 128 + 1280,
         1280 - 1152 + 1280},
        {"ff", 0, 1, FF, 0, 0},
        {"", 0, 0, 0, 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct kinds world, *k = &world;
        struct firn_stream_stats sum, parts[5], added = {0};
        kinds_open(k, cases[i].kinds);
        if (strncmp(cases[i].kinds, "fe", 2) == 0)
            kinds_remove(k, 0, 1, 0);
        OK(cases[i].offset ? 1 - firn_stream_advance(k->stream, cases[i].offset, &k->err) : 0);
        firn_stream_get_stats(k->stream, &sum);
        assert_int_equal(sum.parts, cases[i].parts);
        assert_int_equal(sum.blocks, cases[i].parts * 16);
        assert_int_equal(sum.block_shift, cases[i].parts ? SHIFT : 0);
        assert_int_equal(sum.blocks_bytes, cases[i].parts * 2048);
        assert_int_equal(sum.data_capacity, cases[i].parts * 1280);
        assert_int_equal(sum.data_used, cases[i].used);
        assert_int_equal(sum.data_wasted, cases[i].wasted);
        assert_int_equal(sum.data_available, cases[i].available);
        assert_int_equal(firn_stream_part_stats(k->stream, NULL, 0), cases[i].parts);
        assert_int_equal(firn_stream_part_stats(k->stream, parts, 5), cases[i].parts);
        for (uint64_t p = 0; p < cases[i].parts; p++) {
            assert_int_equal(parts[p].parts, 1);
            added.data_used += parts[p].data_used;
            added.data_wasted += parts[p].data_wasted;
            added.data_available += parts[p].data_available;
        }
        assert_int_equal(added.data_used, sum.data_used);
        assert_int_equal(added.data_wasted, sum.data_wasted);
        assert_int_equal(added.data_available, sum.data_available);
        kinds_close(k);
    }
}

static void spans_are_joined(void **state)
{
    (void)state;
    struct span *span = span_new("ab", 2, "cde", 3);
    assert_int_equal(span->size, 5);
    assert_memory_equal(span->bytes, "abcde", 5);
    free(span);
    struct kinds world, *k = &world;
    kinds_open(k, "fp ft st sp fp");
    static const size_t sizes[] = {0, TS, TS, 0, 0};
    for (size_t i = 0; i < 5; i++) {
        span = kinds_part(k, i)->span;
        assert_int_equal(span ? span->size : 0, sizes[i]);
        if (span)
            assert_memory_equal(span->bytes, shared_bytes, TS);
    }
    kinds_close(k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(places_are_picked),
        cmocka_unit_test(places_stay_when_parts_go),
        cmocka_unit_test(positions_are_located),
        cmocka_unit_test(ends_of_parts_are_positions),
        cmocka_unit_test(parts_are_passed_as_of_an_end),
        cmocka_unit_test(lengths_add_up),
        cmocka_unit_test(parts_are_removed_one_by_one),
        cmocka_unit_test(figures_are_those_of_the_reference),
        cmocka_unit_test(spans_are_joined),
    };
    return cmocka_run_group_tests_name("parts", tests, NULL, NULL);
}
