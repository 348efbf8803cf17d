/* SPDX-License-Identifier: MIT */
/* Symbolic links to a file that has a journal: all ways to it meet the same journal and lock. */
#include "owner.h"

#include "disk/disk.h"

static void link_to(struct owner *owner, const char *path, const char *target)
{
    OK(disk_make_link(owner->disk, target, path, &owner->err));
}

static bool is_there(struct owner *owner, const char *path)
{
    bool exists;
    OK(disk_exists(owner->disk, path, &exists, &owner->err));
    return exists;
}

static int try_open_as(struct owner *owner, const char *path)
{
    owner->options.path = path;
    return owner_try_open(owner);
}

/* Anew by its own name it has what was written by that one. */
static void works_by(struct owner *owner, const char *path, uint8_t byte)
{
    OK(try_open_as(owner, path));
    owner_fill(owner, 100, byte, 10);
    struct journal *journal = owner->journal;
    assert_int_equal(try_open_as(owner, MAIN), FIRN_ELOCKED);
    assert_int_equal(try_open_as(owner, path), FIRN_ELOCKED);
    owner->journal = journal;
    owner_close(owner);
    OK(try_open_as(owner, MAIN));
    owner_expect(owner, 100, byte, 10, true);
    owner_close(owner);
}

static void follows_links(void **state)
{
    struct owner *owner = *state;
    owner_close(owner);
    OK(disk_make_dir(owner->disk, "dir", &owner->err));
    link_to(owner, "near", MAIN);
    link_to(owner, "far", "near");
    link_to(owner, "absolute", "/" MAIN);
    link_to(owner, "dir/up", "../far");
    works_by(owner, "near", 1);
    works_by(owner, "./near", 2);
    works_by(owner, "far", 3);
    works_by(owner, "absolute", 4);
    works_by(owner, "dir/up", 5);
    assert_false(is_there(owner, "near.journal"));
    assert_false(is_there(owner, "far.lock"));
    assert_false(is_there(owner, "dir/up.journal"));
}

static void creates_where_it_leads(void **state)
{
    struct owner *owner = *state;
    owner_close(owner);
    OK(disk_make_dir(owner->disk, "dir", &owner->err));
    link_to(owner, "dangling", "dir/new");
    OK(try_open_as(owner, "dangling"));
    owner_close(owner);
    assert_true(is_there(owner, "dir/new"));
    assert_true(is_there(owner, "dir/new.journal"));
    assert_false(is_there(owner, "dangling.journal"));
}

static void leads_nowhere(void **state)
{
    struct owner *owner = *state;
    owner_close(owner);
    link_to(owner, "a", "b");
    link_to(owner, "b", "a");
    assert_int_equal(try_open_as(owner, "a"), FIRN_EINVAL);
    assert_false(is_there(owner, "a.lock"));
    char path[DISK_PATH_SIZE + 1];
    memset(path, 'x', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    assert_int_equal(try_open_as(owner, path), FIRN_ETOOBIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(follows_links, owner_setup, owner_teardown),
        cmocka_unit_test_setup_teardown(creates_where_it_leads, owner_setup, owner_teardown),
        cmocka_unit_test_setup_teardown(leads_nowhere, owner_setup, owner_teardown),
    };
    return cmocka_run_group_tests_name("journal/links", tests, NULL, NULL);
}
