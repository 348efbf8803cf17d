/* SPDX-License-Identifier: MIT */
/* What recovery relies on, and what it does where it fails. */
#include "owner.h"

#include "disk/disk.h"
#include "disk/slots.h"

/* Two changes that are whole in the page cache; on the medium the first one has another byte. */
static void crash_with_lies_in_the_cache(struct owner *owner)
{
    const struct firn_faulty_fault lie = {
        .what = FIRN_FAULTY_FLIP,
        .ops = FIRN_FAULTY_WRITE_DURABLE,
        .path = JOURNAL,
        .offset = SLOTS_BYTES,
        .length = UINT64_C(1) << 20,
        .byte = 300,
    };
    owner_fill(owner, 1000, 1, 1000);
    owner_force(owner);
    OK(firn_faulty_fail(owner->faulty, &lie, NULL, &owner->err));
    owner_fill(owner, 1500, 2, 1000);
    owner_force(owner);
    owner_kill(owner);
}

static void drop(void *arg, struct firn_faulty *faulty, const struct firn_faulty_event *event)
{
    (void)arg, (void)event;
    assert_int_equal(firn_faulty_drop_caches(faulty, NULL), 0);
}

/*
 * The records are read to be checked, and again to be written anew. In between the system drops
 * their pages, and what was never written becomes visible: it must not be applied.
 */
static void drops_pages_between(void **state)
{
    struct owner *owner = *state;
    crash_with_lies_in_the_cache(owner);
    const struct firn_faulty_fault evict = {
        .what = FIRN_FAULTY_CALL,
        .ops = FIRN_FAULTY_WRITE_DURABLE,
        .path = JOURNAL,
        .length = SLOTS_BYTES,
        .call = drop,
    };
    int id;
    OK(firn_faulty_fail(owner->faulty, &evict, &id, &owner->err));
    size_t size, size_after;
    uint8_t *before = owner_load(owner, MAIN, &size);
    assert_int_equal(owner_try_open(owner), FIRN_EDAMAGED);
    assert_int_equal(firn_faulty_hits(owner->faulty, id), 1);
    uint8_t *after = owner_load(owner, MAIN, &size_after);
    assert_int_equal(size, size_after);
    assert_memory_equal(before, after, size);
    free(before);
    free(after);
}

/* Left alone, the page cache has it, and recovery makes it durable. */
static void rewrites_what_it_read(void **state)
{
    struct owner *owner = *state;
    crash_with_lies_in_the_cache(owner);
    owner_open(owner);
    OK(firn_faulty_drop_caches(owner->faulty, &owner->err));
    owner_expect(owner, 1000, 1, 500, false);
    owner_expect(owner, 1500, 2, 1000, false);
}

/* Each operation of recovery fails once; then it succeeds, and all is there. */
static void fails_anywhere(void **state)
{
    struct owner *owner = *state;
    owner_fill(owner, 1000, 1, 1000);
    owner_force(owner);
    owner_fill(owner, 1500, 2, 1000);
    owner_force(owner);
    owner_kill(owner);
    bool hit = true;
    for (uint64_t at = 1; hit; at++) {
        struct owner copy = *owner;
        const struct firn_faulty_fault fault = {.ops = FIRN_FAULTY_ANY, .at = at};
        int id;
        OK(firn_faulty_clone(owner->faulty, &copy.faulty, &owner->err));
        copy.disk = copy.options.disk = firn_faulty_disk(copy.faulty);
        OK(firn_faulty_fail(copy.faulty, &fault, &id, &owner->err));
        int rc = owner_try_open(&copy);
        hit = firn_faulty_hits(copy.faulty, id) > 0;
        assert_true(rc == 0 || (hit && copy.err.message[0]));
        firn_faulty_clear(copy.faulty, 0);
        if (rc < 0)
            owner_open(&copy);
        owner_expect(&copy, 1000, 1, 500, false);
        owner_expect(&copy, 1500, 2, 1000, false);
        owner_close(&copy);
        firn_faulty_free(copy.faulty);
        assert_true(hit || at > 20);
    }
}

/* No byte is free: what is pending has its space, so it is applied. */
static void recovers_on_a_full_disk(void **state)
{
    struct owner *owner = *state;
    struct firn_faulty_counts counts;
    owner_fill(owner, 1000, 1, 2000);
    owner_force(owner);
    owner_kill(owner);
    firn_faulty_get_counts(owner->faulty, &counts);
    firn_faulty_set_capacity(owner->faulty, counts.used);
    owner_open(owner);
    owner_expect(owner, 1000, 1, 2000, true);
    owner_close(owner);
}

static void reads_what_is_pending(void **state)
{
    struct owner *owner = *state;
    owner_fill(owner, 1000, 1, 1000);
    owner_fill(owner, 1500, 2, 1000);
    owner_force(owner);
    owner_kill(owner);
    uint64_t hash = firn_faulty_hash(owner->faulty);
    owner->options.read_only = true;
    owner_open(owner);
    owner_expect(owner, 1000, 1, 500, false);
    owner_expect(owner, 1500, 2, 1000, true);
    struct journal_info info;
    journal_get_info(owner->journal, &info);
    assert_true(info.recovered);
    assert_int_equal(info.replayed, 2);
    owner_close(owner);
    assert_int_equal(firn_faulty_hash(owner->faulty), hash);
    owner->options.read_only = false;
}

/* The power went when the header was clean, before the records were cut off. */
static void cuts_off_what_is_left(void **state)
{
    struct owner *owner = *state;
    const struct firn_faulty_fault fault = {.ops = FIRN_FAULTY_TRUNCATE, .path = JOURNAL};
    struct journal *journal = owner->journal;
    size_t size;
    owner_fill(owner, 1000, 1, 1000);
    OK(firn_faulty_fail(owner->faulty, &fault, NULL, &owner->err));
    owner->journal = NULL;
    assert_int_equal(journal_close(journal, &owner->err), FIRN_EIO);
    free(owner_load(owner, JOURNAL, &size));
    assert_true(size > SLOTS_BYTES);
    owner_open(owner);
    owner_expect(owner, 1000, 1, 1000, true);
    owner_close(owner);
    free(owner_load(owner, JOURNAL, &size));
    assert_int_equal(size, SLOTS_BYTES);
}

/* A change that was possible when the file was made is not with these options: refused at once. */
static void refuses_too_small_a_journal(void **state)
{
    struct owner *owner = *state;
    owner_close(owner);
    owner->options.journal_bytes = 16 * 1024;
    owner_open(owner);
    owner_close(owner);
    owner->options.journal_bytes = 8192 + 100;
    assert_int_equal(owner_try_open(owner), FIRN_ETOOBIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(drops_pages_between, owner_setup, owner_teardown),
        cmocka_unit_test_setup_teardown(rewrites_what_it_read, owner_setup, owner_teardown),
        cmocka_unit_test_setup_teardown(fails_anywhere, owner_setup, owner_teardown),
        cmocka_unit_test_setup_teardown(recovers_on_a_full_disk, owner_setup, owner_teardown),
        cmocka_unit_test_setup_teardown(reads_what_is_pending, owner_setup, owner_teardown),
        cmocka_unit_test_setup_teardown(cuts_off_what_is_left, owner_setup, owner_teardown),
        cmocka_unit_test_setup_teardown(refuses_too_small_a_journal, owner_setup, owner_teardown),
    };
    return cmocka_run_group_tests_name("journal/recover", tests, NULL, NULL);
}
