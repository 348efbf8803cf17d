/* SPDX-License-Identifier: MIT */
/* Full disks: capacity, and thin volumes. */
#include "support.h"

static uint64_t used(struct firn_faulty *sim)
{
    struct firn_faulty_counts counts;
    firn_faulty_get_counts(sim, &counts);
    return counts.used;
}

static uint64_t free_space(struct firn_faulty *sim)
{
    struct firn_disk *disk = firn_faulty_disk(sim);
    uint64_t bytes = 0;
    OK(disk->ops->free_space(disk, "", &bytes, NULL));
    return bytes;
}

static void test_reserving_is_all_or_nothing(void **state)
{
    (void)state;
    struct firn_faulty *sim = sim_new(1);
    firn_faulty_set_capacity(sim, 65536);
    struct firn_file *file = file_create(sim, "f");
    FAILS(FIRN_ENOSPC, file_reserve(file, 0, 65537));
    assert_int_equal(file_size(file), 0);
    assert_int_equal(used(sim), 0);
    OK(file_reserve(file, 0, 60000));
    assert_int_equal(used(sim), 61440);
    assert_int_equal(free_space(sim), 4096);
    OK(file_reserve(file, 0, 65536));
    assert_int_equal(free_space(sim), 0);
    FAILS(FIRN_ENOSPC, file_reserve(file, 65536, 1));
    firn_faulty_set_capacity(sim, 65537 + 4096);
    OK(file_reserve(file, 65536, 1));
    file_close(file);
    firn_faulty_free(sim);
}

static void test_writes_need_room_only_where_none_is_reserved(void **state)
{
    (void)state;
    struct firn_faulty *sim = sim_new(1);
    firn_faulty_set_capacity(sim, 8192);
    struct firn_file *file = file_create(sim, "f");
    OK(file_reserve(file, 4096, 4096));
    assert_int_equal(used(sim), 4096);
    OK(file_fill_durable(file, 'x', 4096, 4096));
    OK(file_fill(file, 'x', 1, 0));
    assert_int_equal(used(sim), 8192);
    FAILS(FIRN_ENOSPC, file_fill(file, 'x', 1, 8192));
    assert_int_equal(file_size(file), 8192);
    struct iovec iov = {.iov_base = (char[100]){0}, .iov_len = 100};
    size_t done = 0;
    OK(file->ops->writev(file, &iov, 1, 8142, 0, &done, NULL)); /* first what fits */
    assert_int_equal(done, 50);
    FAILS(FIRN_ENOSPC, file->ops->writev(file, &iov, 1, 8192, 0, &done, NULL));
    assert_int_equal(done, 0);
    file_close(file);
    firn_faulty_free(sim);
}

static void test_space_comes_back(void **state)
{
    (void)state;
    struct firn_faulty *sim = sim_new(1);
    firn_faulty_set_capacity(sim, 8192);
    struct firn_file *file = file_create(sim, "f");
    OK(file_fill(file, 'x', 8192, 0));
    OK(file_truncate(file, 4096));
    assert_int_equal(free_space(sim), 4096);
    struct firn_file *other = file_create(sim, "g");
    OK(file_fill(other, 'x', 4096, 0));
    assert_int_equal(free_space(sim), 0);
    OK(name_remove(sim, "f"));
    assert_int_equal(free_space(sim), 0); /* it is open */
    file_close(file);
    assert_int_equal(free_space(sim), 4096);
    file_close(other);
    OK(firn_faulty_restart(sim, FIRN_FAULTY_ALL, NULL));
    assert_int_equal(used(sim), 4096);
    firn_faulty_free(sim);
}

static void test_replaced_files_free_their_space(void **state)
{
    (void)state;
    struct firn_faulty *sim = sim_new(1);
    put_text(sim, "a", "1");
    put_text(sim, "b", "2");
    assert_int_equal(used(sim), 8192);
    OK(name_rename(sim, "a", "b"));
    assert_int_equal(used(sim), 4096);
    OK(firn_faulty_restart(sim, 0, NULL)); /* both are back */
    assert_int_equal(used(sim), 8192);
    firn_faulty_free(sim);
}

static void test_thin_volume(void **state)
{
    (void)state;
    struct firn_faulty *sim = sim_new(1);
    firn_faulty_set_backing(sim, 8192);
    struct firn_file *file = file_create(sim, "f");
    OK(name_sync_dir(sim, ""));
    OK(file_reserve(file, 0, 65536)); /* promises are cheap */
    OK(file_sync(file));
    OK(file_fill_durable(file, 'x', 4096, 0));
    OK(file_fill(file, 'y', 8192, 4096));
    FAILS(FIRN_ENOSPC, file_sync(file)); /* into reserved space */
    expect_fill(sim, "f", 'y', 8192, 4096);
    OK(file_sync(file));
    FAILS(FIRN_ENOSPC, file_fill_durable(file, 'z', 8192, 4096));
    OK(file_fill_durable(file, 'x', 4096, 0)); /* there it is already */
    firn_faulty_set_backing(sim, 16384);
    OK(file_fill_durable(file, 'w', 4096, 12288));
    OK(file_sync(file)); /* what was lost is not written now, though there is room */
    file_close(file);
    OK(firn_faulty_restart(sim, 0, NULL));
    expect_fill(sim, "f", 'x', 4096, 0);
    expect_fill(sim, "f", 0, 8192, 4096);
    expect_fill(sim, "f", 'w', 4096, 12288);
    firn_faulty_free(sim);
}

static void test_thin_volume_needs_room_for_zeros(void **state)
{
    (void)state;
    struct firn_faulty *sim = sim_new(1);
    firn_faulty_set_backing(sim, 4096);
    struct firn_file *file = file_create(sim, "f");
    OK(file_reserve(file, 0, 65536));
    OK(file_fill(file, 0, 65536, 0)); /* changes nothing, and is written nevertheless */
    FAILS(FIRN_ENOSPC, file_sync(file));
    file_close(file);
    firn_faulty_free(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reserving_is_all_or_nothing),
        cmocka_unit_test(test_writes_need_room_only_where_none_is_reserved),
        cmocka_unit_test(test_space_comes_back),
        cmocka_unit_test(test_replaced_files_free_their_space),
        cmocka_unit_test(test_thin_volume),
        cmocka_unit_test(test_thin_volume_needs_room_for_zeros),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
