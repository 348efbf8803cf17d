/* SPDX-License-Identifier: MIT */
/* What is durable and what is not: the model's promises, one by one. */
#include "support.h"

/* Restarts a clone and hands it to `look`. */
static void after(struct firn_faulty *sim, uint64_t which, void (*look)(struct firn_faulty *sim))
{
    struct firn_faulty *copy = sim_clone(sim);
    OK(firn_faulty_restart(copy, which, NULL));
    look(copy);
    firn_faulty_free(copy);
}

static void has_old(struct firn_faulty *sim)
{
    expect_text(sim, "f", FIRN_FAULTY_CURRENT, "old");
    expect_text(sim, "f", FIRN_FAULTY_DURABLE, "old");
}

static void has_new(struct firn_faulty *sim)
{
    expect_text(sim, "f", FIRN_FAULTY_CURRENT, "new");
    expect_text(sim, "f", FIRN_FAULTY_DURABLE, "new");
}

static void test_unsynced_write_may_be_lost(void **state)
{
    (void)state;
    struct firn_faulty *sim = sim_new(1);
    put_text(sim, "f", "old");
    struct firn_file *file = file_open(sim, "f", FIRN_OPEN_WRITE);
    OK(file_write(file, "new", 3, 0));
    expect_text(sim, "f", FIRN_FAULTY_CURRENT, "new");
    expect_text(sim, "f", FIRN_FAULTY_DURABLE, "old");
    assert_int_equal(firn_faulty_outcomes(sim), 2);
    after(sim, 0, has_old);
    after(sim, 1, has_new);
    after(sim, FIRN_FAULTY_ALL, has_new);
    file_close(file);
    firn_faulty_free(sim);
}

static void test_sync_makes_durable(void **state)
{
    (void)state;
    struct firn_faulty *sim = sim_new(1);
    put_text(sim, "f", "old");
    struct firn_file *file = file_open(sim, "f", FIRN_OPEN_WRITE);
    OK(file_write(file, "new", 3, 0));
    OK(file_sync(file));
    assert_int_equal(firn_faulty_outcomes(sim), 1);
    after(sim, 0, has_new);
    file_close(file);
    firn_faulty_free(sim);
}

static void test_durable_write_covers_only_its_range(void **state)
{
    (void)state;
    struct firn_faulty *sim = sim_new(1);
    put_text(sim, "f", "aaaabbbb");
    struct firn_file *file = file_open(sim, "f", FIRN_OPEN_WRITE);
    OK(file_write(file, "1111", 4, 0));
    OK(file_write_durable(file, "2222", 4, 4));
    expect_text(sim, "f", FIRN_FAULTY_CURRENT, "11112222");
    expect_text(sim, "f", FIRN_FAULTY_DURABLE, "aaaa2222");
    assert_int_equal(firn_faulty_outcomes(sim), 2);
    file_close(file);
    OK(firn_faulty_restart(sim, 0, NULL));
    expect_text(sim, "f", FIRN_FAULTY_CURRENT, "aaaa2222");
    firn_faulty_free(sim);
}

static void test_durable_write_into_older_write(void **state)
{
    (void)state;
    struct firn_faulty *sim = sim_new(1);
    put_text(sim, "f", "aaaaaaaaaa");
    struct firn_file *file = file_open(sim, "f", FIRN_OPEN_WRITE);
    OK(file_write(file, "1111111111", 10, 0));
    OK(file_write_durable(file, "22", 2, 4));
    file_close(file);
    struct firn_faulty *copy = sim_clone(sim);
    OK(firn_faulty_restart(sim, 0, NULL));
    expect_text(sim, "f", FIRN_FAULTY_CURRENT, "aaaa22aaaa");
    OK(firn_faulty_restart(copy, FIRN_FAULTY_ALL, NULL));
    expect_text(copy, "f", FIRN_FAULTY_CURRENT, "1111221111");
    firn_faulty_free(copy);
    firn_faulty_free(sim);
}

static void test_durable_write_grows_as_far_as_needed(void **state)
{
    (void)state;
    struct firn_faulty *sim = sim_new(1);
    put_text(sim, "f", "");
    struct firn_file *file = file_open(sim, "f", FIRN_OPEN_WRITE);
    OK(file_truncate(file, 4000));
    OK(file_fill_durable(file, 'x', 100, 600));
    file_close(file);
    assert_int_equal(firn_faulty_outcomes(sim), 2);
    OK(firn_faulty_restart(sim, 0, NULL));
    void *bytes = NULL;
    size_t size = 0;
    OK(firn_faulty_get(sim, "f", FIRN_FAULTY_CURRENT, &bytes, &size, NULL));
    free(bytes);
    assert_int_equal(size, 700);
    expect_fill(sim, "f", 0, 600, 0);
    expect_fill(sim, "f", 'x', 100, 600);
    firn_faulty_free(sim);
}

static void test_growth_and_data_are_independent(void **state)
{
    (void)state;
    struct firn_faulty *sim = sim_new(1);
    put_text(sim, "f", "");
    struct firn_file *file = file_open(sim, "f", FIRN_OPEN_WRITE);
    OK(file_fill(file, 'x', 1100, 0));
    file_close(file);
    /* not grown; or grown, with any of three sectors */
    assert_int_equal(firn_faulty_outcomes(sim), 1 + 8);
    bool zeros_seen = false;
    for (uint64_t i = 0; i < 9; i++) {
        struct firn_faulty *copy = sim_clone(sim);
        OK(firn_faulty_restart(copy, i, NULL));
        void *bytes = NULL;
        size_t size = 0;
        OK(firn_faulty_get(copy, "f", FIRN_FAULTY_CURRENT, &bytes, &size, NULL));
        assert_true(size == 0 || size == 1100);
        zeros_seen = zeros_seen || (size == 1100 && ((char *)bytes)[0] == 0);
        free(bytes);
        firn_faulty_free(copy);
    }
    assert_true(zeros_seen);
    firn_faulty_free(sim);
}

static void test_long_growth_has_steps(void **state)
{
    (void)state;
    struct firn_faulty *sim = sim_new(1);
    put_text(sim, "f", "");
    struct firn_file *file = file_open(sim, "f", FIRN_OPEN_WRITE);
    OK(file_fill(file, 0, 10000, 0));
    file_close(file);
    /* 0, 4096, 8192 or 10000 bytes of zeros */
    assert_int_equal(firn_faulty_outcomes(sim), 4);
    firn_faulty_free(sim);
}

static void test_truncation_takes_content_away(void **state)
{
    (void)state;
    struct firn_faulty *sim = sim_new(1);
    put_text(sim, "f", "");
    struct firn_file *file = file_open(sim, "f", FIRN_OPEN_WRITE);
    OK(file_fill(file, 'x', 2000, 0));
    OK(file_sync(file));
    OK(file_truncate(file, 100));
    OK(file_truncate(file, 2000));
    expect_fill(sim, "f", 0, 1900, 100);
    /* 2000 old bytes, the rest of the first sector zeroed or not; 100; 2000 with zeros */
    assert_int_equal(firn_faulty_outcomes(sim), 4);
    OK(file_sync(file));
    file_close(file);
    OK(firn_faulty_restart(sim, 0, NULL));
    expect_fill(sim, "f", 'x', 100, 0);
    expect_fill(sim, "f", 0, 1900, 100);
    firn_faulty_free(sim);
}

static void test_same_bytes_after_truncation_are_written(void **state)
{
    (void)state;
    struct firn_faulty *sim = sim_new(1);
    put_text(sim, "f", "");
    struct firn_file *file = file_open(sim, "f", FIRN_OPEN_WRITE);
    OK(file_fill(file, 'x', 2048, 0));
    OK(file_sync(file));
    OK(file_truncate(file, 512));
    OK(file_fill(file, 'x', 1536, 512)); /* what is durable already, but about to be cut */
    OK(file_sync(file));
    file_close(file);
    OK(firn_faulty_restart(sim, 0, NULL));
    expect_fill(sim, "f", 'x', 2048, 0);
    firn_faulty_free(sim);
}

static void test_durable_write_behind_truncation(void **state)
{
    (void)state;
    struct firn_faulty *sim = sim_new(1);
    put_text(sim, "f", "");
    struct firn_file *file = file_open(sim, "f", FIRN_OPEN_WRITE);
    OK(file_fill(file, 'x', 2048, 0));
    OK(file_sync(file));
    OK(file_truncate(file, 512));
    OK(file_fill_durable(file, 'y', 512, 1024));
    file_close(file);
    assert_int_equal(firn_faulty_outcomes(sim), 1);
    OK(firn_faulty_restart(sim, 0, NULL));
    expect_fill(sim, "f", 'x', 512, 0);
    expect_fill(sim, "f", 0, 512, 512);
    expect_fill(sim, "f", 'y', 512, 1024);
    firn_faulty_free(sim);
}

static void test_reserved_space_reads_as_zero(void **state)
{
    (void)state;
    struct firn_faulty *sim = sim_new(1);
    put_text(sim, "f", "abc");
    struct firn_file *file = file_open(sim, "f", FIRN_OPEN_WRITE);
    OK(file_reserve(file, 0, 65536));
    assert_int_equal(file_size(file), 65536);
    expect_fill(sim, "f", 0, 65533, 3);
    assert_int_equal(firn_faulty_outcomes(sim), 2);
    OK(file_fill(file, 0, 65536 - 3, 3)); /* zeroing zeros adds no outcomes */
    assert_int_equal(firn_faulty_outcomes(sim), 2);
    file_close(file);
    firn_faulty_free(sim);
}

static void test_sync_does_not_keep_the_name(void **state)
{
    (void)state;
    struct firn_faulty *sim = sim_new(1);
    struct firn_file *file = file_create(sim, "f");
    OK(file_write(file, "abc", 3, 0));
    OK(file_sync(file));
    file_close(file);
    struct firn_faulty *copy = sim_clone(sim);
    assert_int_equal(firn_faulty_outcomes(sim), 2);
    OK(firn_faulty_restart(copy, 0, NULL));
    assert_false(name_exists(copy, "f"));
    firn_faulty_free(copy);
    OK(name_sync_dir(sim, ""));
    OK(firn_faulty_restart(sim, 0, NULL));
    expect_text(sim, "f", FIRN_FAULTY_CURRENT, "abc");
    firn_faulty_free(sim);
}

static void test_name_without_content(void **state)
{
    (void)state;
    struct firn_faulty *sim = sim_new(1);
    struct firn_file *file = file_create(sim, "f");
    OK(file_write(file, "abc", 3, 0));
    OK(name_sync_dir(sim, ""));
    file_close(file);
    /* empty; three zeros; the text */
    assert_int_equal(firn_faulty_outcomes(sim), 3);
    OK(firn_faulty_restart(sim, 0, NULL));
    expect_text(sim, "f", FIRN_FAULTY_CURRENT, "");
    firn_faulty_free(sim);
}

static void test_stale_data_behind_zeros(void **state)
{
    (void)state;
    /* Of a group of two blocks only the second reaches the disk. */
    struct firn_faulty *sim = sim_new(1);
    put_text(sim, "f", "");
    struct firn_file *file = file_open(sim, "f", FIRN_OPEN_WRITE);
    OK(file_reserve(file, 0, 4096));
    OK(file_sync(file));
    OK(file_fill(file, 'B', 1024, 0));
    file_close(file);
    assert_int_equal(firn_faulty_outcomes(sim), 4);
    OK(firn_faulty_restart(sim, 2, NULL));
    expect_fill(sim, "f", 0, 512, 0);
    expect_fill(sim, "f", 'B', 512, 512);
    firn_faulty_free(sim);
}

static void test_later_write_survives_earlier_does_not(void **state)
{
    (void)state;
    struct firn_faulty *sim = sim_new(1);
    put_text(sim, "f", "");
    struct firn_file *file = file_open(sim, "f", FIRN_OPEN_WRITE);
    OK(file_reserve(file, 0, 1024));
    OK(file_sync(file));
    OK(file_fill(file, '1', 512, 0));
    OK(file_fill(file, '2', 512, 512));
    OK(file_fill(file, '3', 512, 0));
    file_close(file);
    /* first sector: 0, 1 or 3; second: 0 or 2 */
    assert_int_equal(firn_faulty_outcomes(sim), 6);
    unsigned seen = 0;
    for (uint64_t i = 0; i < 6; i++) {
        struct firn_faulty *copy = sim_clone(sim);
        OK(firn_faulty_restart(copy, i, NULL));
        char *bytes = NULL;
        size_t size = 0;
        OK(firn_faulty_get(copy, "f", FIRN_FAULTY_CURRENT, (void **)&bytes, &size, NULL));
        unsigned first = bytes[0] == 0 ? 0 : bytes[0] == '1' ? 1 : 2;
        seen |= 1U << (first * 2 + (bytes[512] == '2' ? 1 : 0));
        free(bytes);
        firn_faulty_free(copy);
    }
    assert_int_equal(seen, 63);
    firn_faulty_free(sim);
}

static void test_tears(void **state)
{
    (void)state;
    struct firn_faulty *sim = sim_new(1);
    put_text(sim, "f", "aaaaaaaa");
    struct firn_file *file = file_open(sim, "f", FIRN_OPEN_WRITE);
    OK(file_write(file, "bbbb", 4, 2));
    file_close(file);
    assert_int_equal(firn_faulty_outcomes(sim), 2);
    assert_int_equal(firn_faulty_tears(sim), 3);
    const char *torn[] = {"aabaaaaa", "aabbaaaa", "aabbbaaa"};
    for (uint64_t i = 0; i < 3; i++) {
        struct firn_faulty *copy = sim_clone(sim);
        OK(firn_faulty_restart_torn(copy, 0, i + 1, NULL));
        expect_text(copy, "f", FIRN_FAULTY_CURRENT, torn[i]);
        firn_faulty_free(copy);
    }
    FAILS(FIRN_EINVAL, firn_faulty_restart_torn(sim, 0, 4, NULL));
    FAILS(FIRN_EINVAL, firn_faulty_restart(sim, 2, NULL));
    OK(firn_faulty_restart(sim, 1, NULL));
    firn_faulty_free(sim);
}

static void test_crash_in_each_operation(void **state)
{
    (void)state;
    for (uint64_t n = 1; n <= 5; n++) {
        struct firn_faulty *sim = sim_new(1);
        put_text(sim, "f", "old");
        struct firn_file *file = file_open(sim, "f", FIRN_OPEN_WRITE);
        firn_faulty_crash_at(sim, n);
        int rc[5];
        rc[0] = file_write(file, "new", 3, 0);
        rc[1] = file_sync(file);
        rc[2] = file_write_durable(file, "now", 3, 0);
        rc[3] = file_truncate(file, 1);
        rc[4] = file_sync(file);
        for (uint64_t i = 0; i < 5; i++) {
            assert_int_equal(rc[i], i + 1 >= n ? FIRN_EIO : 0);
        }
        assert_true(firn_faulty_is_off(sim));
        /* old/new; old/new; new/now; now/shorter or its tail zeroed; the same */
        const uint64_t outcomes[] = {2, 2, 2, 3, 3};
        assert_int_equal(firn_faulty_outcomes(sim), outcomes[n - 1]);
        file_close(file);
        OK(firn_faulty_restart(sim, 0, NULL));
        const char *oldest[] = {"old", "old", "new", "now", "now"};
        expect_text(sim, "f", FIRN_FAULTY_CURRENT, oldest[n - 1]);
        firn_faulty_free(sim);
    }
}

static void test_outcome_numbers_are_ends(void **state)
{
    (void)state;
    struct firn_faulty *sim = sim_new(1);
    put_text(sim, "f", "old");
    struct firn_file *file = file_open(sim, "f", FIRN_OPEN_WRITE);
    OK(file_write(file, "new", 3, 0));
    OK(file_write(file, "old", 3, 0));
    file_close(file);
    /* back to what it was: three states in time, of which two are the same */
    assert_int_equal(firn_faulty_outcomes(sim), 3);
    after(sim, 0, has_old);
    after(sim, 1, has_new);
    after(sim, 2, has_old);
    firn_faulty_free(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unsynced_write_may_be_lost),
        cmocka_unit_test(test_sync_makes_durable),
        cmocka_unit_test(test_durable_write_covers_only_its_range),
        cmocka_unit_test(test_durable_write_into_older_write),
        cmocka_unit_test(test_durable_write_grows_as_far_as_needed),
        cmocka_unit_test(test_growth_and_data_are_independent),
        cmocka_unit_test(test_long_growth_has_steps),
        cmocka_unit_test(test_truncation_takes_content_away),
        cmocka_unit_test(test_same_bytes_after_truncation_are_written),
        cmocka_unit_test(test_durable_write_behind_truncation),
        cmocka_unit_test(test_reserved_space_reads_as_zero),
        cmocka_unit_test(test_sync_does_not_keep_the_name),
        cmocka_unit_test(test_name_without_content),
        cmocka_unit_test(test_stale_data_behind_zeros),
        cmocka_unit_test(test_later_write_survives_earlier_does_not),
        cmocka_unit_test(test_tears),
        cmocka_unit_test(test_crash_in_each_operation),
        cmocka_unit_test(test_outcome_numbers_are_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
