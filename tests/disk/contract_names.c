/* SPDX-License-Identifier: MIT */
/* The contract of names: directories, links, rename, list; and the helpers that stand on them. */
#include "contract.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CREATE = FIRN_OPEN_WRITE | FIRN_OPEN_CREATE };

/* ---- for these tests ------------------------------------------------------------------------- */

static void make_dir(struct contract_world *w, const char *name)
{
    OK(w, disk_make_dir(w->disk, contract_path(w, name), &w->err));
}

static void make_link(struct contract_world *w, const char *target, const char *name)
{
    OK(w, disk_make_link(w->disk, target, contract_path(w, name), &w->err));
}

static int rename_to(struct contract_world *w, const char *from, const char *to)
{
    return disk_rename(w->disk, contract_path(w, from), contract_path(w, to), &w->err);
}

static enum firn_entry_kind kind_of(struct contract_world *w, const char *name)
{
    struct firn_entry entry;
    OK(w, disk_stat(w->disk, contract_path(w, name), &entry, &w->err));
    return entry.kind;
}

/* What list has told: names with a letter for the kind, sorted by a count per name. */
struct listing {
    struct contract_world *world;
    int calls;
    int stop_after;
    bool removing;
    char text[512];
};

static int listed(void *arg, const char *name, const struct firn_entry *entry)
{
    static const char letters[] = {
        [FIRN_ENTRY_FILE] = 'f',
        [FIRN_ENTRY_DIR] = 'd',
        [FIRN_ENTRY_SYMLINK] = 'l',
        [FIRN_ENTRY_OTHER] = 'o',
    };
    struct listing *listing = arg;
    size_t len = strlen(listing->text);
    listing->calls++;
    (void)snprintf(listing->text + len, sizeof listing->text - len, " %s:%c", name,
                   letters[entry->kind]);
    if (listing->removing)
        OK(listing->world, disk_remove(listing->world->disk, contract_path(listing->world, name),
                                       &listing->world->err));
    return listing->calls == listing->stop_after ? 42 : 0;
}

static struct listing list(struct contract_world *w, const char *name)
{
    struct listing listing = {.world = w};
    OK(w, disk_list(w->disk, contract_path(w, name), listed, &listing, &w->err));
    return listing;
}

/* ---- directories ----------------------------------------------------------------------------- */

static void directories_are_made_once(struct contract_world *w)
{
    make_dir(w, "d");
    assert_int_equal(kind_of(w, "d"), FIRN_ENTRY_DIR);
    contract_make(w, "f", "");
    make_link(w, "nowhere", "l");
    FAILS(w, FIRN_EEXIST, disk_make_dir(w->disk, contract_path(w, "d"), &w->err));
    FAILS(w, FIRN_EEXIST, disk_make_dir(w->disk, contract_path(w, "f"), &w->err));
    FAILS(w, FIRN_EEXIST, disk_make_dir(w->disk, contract_path(w, "l"), &w->err));
    FAILS(w, FIRN_ENOENT, disk_make_dir(w->disk, contract_path(w, "e/d"), &w->err));
    FAILS(w, FIRN_ENOTDIR, disk_make_dir(w->disk, contract_path(w, "f/d"), &w->err));
    make_dir(w, "d/d");
    contract_make(w, "d/d/f", "deep");
    contract_expect_file(w, "d/d/f", "deep");
}

static void dots_and_empty_components_mean_nothing(struct contract_world *w)
{
    make_dir(w, "d");
    contract_make(w, ".//d/./f", "content");
    contract_expect_file(w, "d/f", "content");
    contract_expect_file(w, "./d//f", "content");
    assert_int_equal(kind_of(w, "d/."), FIRN_ENTRY_DIR);
    OK(w, disk_sync_dir(w->disk, contract_path(w, "d/."), &w->err));
    OK(w, disk_sync_dir(w->disk, ".", &w->err));
}

static void only_empty_directories_are_removed(struct contract_world *w)
{
    make_dir(w, "d");
    contract_make(w, "d/f", "");
    FAILS(w, FIRN_EBUSY, disk_remove_dir(w->disk, contract_path(w, "d"), &w->err));
    FAILS(w, FIRN_ENOTDIR, disk_remove_dir(w->disk, contract_path(w, "d/f"), &w->err));
    FAILS(w, FIRN_ENOENT, disk_remove_dir(w->disk, contract_path(w, "e"), &w->err));
    OK(w, disk_remove(w->disk, contract_path(w, "d/f"), &w->err));
    OK(w, disk_remove_dir(w->disk, contract_path(w, "d"), &w->err));
    assert_false(contract_exists(w, "d"));
}

static void files_and_links_are_removed(struct contract_world *w)
{
    make_dir(w, "d");
    contract_make(w, "f", "content");
    make_link(w, "f", "l");
    FAILS(w, FIRN_EINVAL, disk_remove(w->disk, contract_path(w, "d"), &w->err));
    FAILS(w, FIRN_ENOENT, disk_remove(w->disk, contract_path(w, "e"), &w->err));
    FAILS(w, FIRN_ENOTDIR, disk_remove(w->disk, contract_path(w, "f/e"), &w->err));
    OK(w, disk_remove(w->disk, contract_path(w, "l"), &w->err)); /* and not what it names */
    contract_expect_file(w, "f", "content");
    OK(w, disk_remove(w->disk, contract_path(w, "f"), &w->err));
    assert_false(contract_exists(w, "f"));
    assert_true(contract_exists(w, "d"));
}

static void stat_tells_kind_and_size(struct contract_world *w)
{
    struct firn_entry entry = {.size = 77};
    const char *missing = contract_path(w, "e");
    FAILS(w, FIRN_ENOENT, disk_stat(w->disk, missing, &entry, &w->err));
    assert_int_equal(entry.size, 77);
    contract_make(w, "f", "content");
    FAILS(w, FIRN_ENOTDIR, disk_stat(w->disk, contract_path(w, "f/g"), &entry, &w->err));
    OK(w, disk_stat(w->disk, contract_path(w, "f"), &entry, &w->err));
    assert_int_equal(entry.kind, FIRN_ENTRY_FILE);
    assert_int_equal(entry.size, 7);
    make_dir(w, "d");
    make_link(w, "f", "l");
    assert_int_equal(kind_of(w, "d"), FIRN_ENTRY_DIR);
    assert_int_equal(kind_of(w, "l"), FIRN_ENTRY_SYMLINK);
    assert_false(contract_exists(w, "e"));
    assert_true(contract_exists(w, "l"));
}

static void directories_are_synced(struct contract_world *w)
{
    make_dir(w, "d");
    contract_make(w, "f", "");
    OK(w, disk_sync_dir(w->disk, contract_path(w, "d"), &w->err));
    FAILS(w, FIRN_ENOENT, disk_sync_dir(w->disk, contract_path(w, "e"), &w->err));
    FAILS(w, FIRN_ENOTDIR, disk_sync_dir(w->disk, contract_path(w, "f"), &w->err));
}

/* ---- list ------------------------------------------------------------------------------------ */

static void list_tells_all_kinds(struct contract_world *w)
{
    make_dir(w, "dir");
    assert_int_equal(list(w, "dir").calls, 0);
    contract_make(w, "dir/file", "content");
    make_dir(w, "dir/dir");
    contract_make(w, "dir/dir/hidden", "");
    make_link(w, "nowhere", "dir/link");
    struct listing listing = list(w, "dir");
    assert_int_equal(listing.calls, 3);
    assert_non_null(strstr(listing.text, " file:f"));
    assert_non_null(strstr(listing.text, " dir:d"));
    assert_non_null(strstr(listing.text, " link:l"));
}

static void list_stops_when_asked(struct contract_world *w)
{
    struct listing listing = {.world = w, .stop_after = 2};
    contract_make(w, "a", "");
    contract_make(w, "b", "");
    contract_make(w, "c", "");
    assert_int_equal(disk_list(w->disk, contract_path(w, "."), listed, &listing, NULL), 42);
    assert_int_equal(listing.calls, 2);
    FAILS(w, FIRN_ENOENT, disk_list(w->disk, contract_path(w, "e"), listed, &listing, &w->err));
    FAILS(w, FIRN_ENOTDIR, disk_list(w->disk, contract_path(w, "a"), listed, &listing, &w->err));
    assert_int_equal(listing.calls, 2);
}

static void what_is_listed_can_be_removed_meanwhile(struct contract_world *w)
{
    struct listing listing = {.world = w, .removing = true};
    for (int i = 0; i < 20; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "%d", i);
        contract_make(w, name, "");
    }
    OK(w, disk_list(w->disk, contract_path(w, "."), listed, &listing, &w->err));
    assert_int_equal(listing.calls, 20);
    assert_int_equal(list(w, ".").calls, 0);
}

static int count_name(void *arg, const char *name, const struct firn_entry *entry)
{
    int *seen = arg;
    assert_int_equal(entry->kind, FIRN_ENTRY_FILE);
    seen[strtol(name, NULL, 10)]++;
    return 0;
}

static void list_tells_each_of_many_once(struct contract_world *w)
{
    enum { COUNT = 500 };
    int seen[COUNT] = {0};
    for (int i = 0; i < COUNT; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "%d", i * 77 % COUNT);
        contract_make(w, name, "");
    }
    OK(w, disk_list(w->disk, contract_path(w, "."), count_name, seen, &w->err));
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(seen[i], 1);
}

/* ---- rename ---------------------------------------------------------------------------------- */

static void rename_replaces(struct contract_world *w)
{
    contract_make(w, "f", "first");
    contract_make(w, "g", "second");
    OK(w, rename_to(w, "f", "g"));
    contract_expect_file(w, "g", "first");
    assert_false(contract_exists(w, "f"));
    OK(w, rename_to(w, "g", "h"));
    OK(w, rename_to(w, "h", "h"));
    contract_expect_file(w, "h", "first");
    make_link(w, "nowhere", "l");
    OK(w, rename_to(w, "h", "l")); /* the link itself */
    contract_expect_file(w, "l", "first");
    assert_int_equal(list(w, ".").calls, 1);
    FAILS(w, FIRN_ENOENT, rename_to(w, "e", "l"));
    FAILS(w, FIRN_ENOENT, rename_to(w, "l", "e/l"));
    contract_expect_file(w, "l", "first");
}

static void rename_moves_directories(struct contract_world *w)
{
    make_dir(w, "d");
    contract_make(w, "d/f", "content");
    OK(w, rename_to(w, "d", "e"));
    contract_expect_file(w, "e/f", "content");
    make_dir(w, "d");
    OK(w, rename_to(w, "e", "d")); /* onto an empty one */
    contract_expect_file(w, "d/f", "content");
    make_dir(w, "e");
    contract_make(w, "f", "file");
    FAILS(w, FIRN_EBUSY, rename_to(w, "e", "d"));
    FAILS(w, FIRN_EINVAL, rename_to(w, "f", "e"));
    FAILS(w, FIRN_ENOTDIR, rename_to(w, "e", "f"));
    FAILS(w, FIRN_EINVAL, rename_to(w, "d", "d/d"));
    contract_expect_file(w, "d/f", "content");
    contract_expect_file(w, "f", "file");
}

/* ---- symbolic links -------------------------------------------------------------------------- */

static void links_are_made_once_and_read(struct contract_world *w)
{
    char target[16] = "untouched";
    const char *path = contract_path(w, "l");
    make_link(w, "anything/at:all", "l");
    OK(w, disk_read_link(w->disk, path, target, sizeof target, &w->err));
    assert_string_equal(target, "anything/at:all");
    strcpy(target, "untouched");
    FAILS(w, FIRN_ERANGE, disk_read_link(w->disk, path, target, 15, &w->err));
    FAILS(w, FIRN_ERANGE, disk_read_link(w->disk, path, target, 1, &w->err));
    FAILS(w, FIRN_EEXIST, disk_make_link(w->disk, "other", path, &w->err));
    contract_make(w, "f", "content");
    FAILS(w, FIRN_EEXIST, disk_make_link(w->disk, "other", contract_path(w, "f"), &w->err));
    FAILS(w, FIRN_EINVAL,
          disk_read_link(w->disk, contract_path(w, "f"), target, sizeof target, &w->err));
    FAILS(w, FIRN_ENOENT,
          disk_read_link(w->disk, contract_path(w, "e"), target, sizeof target, &w->err));
    FAILS(w, FIRN_ENOENT, disk_make_link(w->disk, "other", contract_path(w, "e/l"), &w->err));
    assert_string_equal(target, "untouched");
    contract_expect_file(w, "f", "content");
}

static void links_are_followed(struct contract_world *w)
{
    struct firn_file *file = NULL;
    make_dir(w, "d");
    make_link(w, "d", "l");
    contract_make(w, "l/f", "content");
    contract_expect_file(w, "d/f", "content");
    assert_int_equal(kind_of(w, "l/f"), FIRN_ENTRY_FILE);
    assert_int_equal(list(w, "l").calls, 1);
    make_link(w, "../l/f", "d/m");
    contract_expect_file(w, "d/m", "content");
    make_link(w, "new", "n");
    FAILS(w, FIRN_EEXIST,
          disk_open(w->disk, contract_path(w, "n"), CREATE | FIRN_OPEN_EXCLUSIVE, &file, &w->err));
    FAILS(w, FIRN_ENOENT,
          disk_open(w->disk, contract_path(w, "n"), FIRN_OPEN_READ, &file, &w->err));
    disk_close(contract_open(w, "n", CREATE));
    contract_expect_file(w, "new", "");
    make_link(w, "o", "o");
    FAILS(w, FIRN_EINVAL,
          disk_open(w->disk, contract_path(w, "o"), FIRN_OPEN_READ, &file, &w->err));
    assert_null(file);
}

/* ---- helpers --------------------------------------------------------------------------------- */

static void make_dirs_makes_what_is_missing(struct contract_world *w)
{
    OK(w, disk_make_dirs(w->disk, contract_path(w, "a/b//c/"), &w->err));
    assert_int_equal(kind_of(w, "a/b/c"), FIRN_ENTRY_DIR);
    OK(w, disk_make_dirs(w->disk, contract_path(w, "a/b/c"), &w->err));
    OK(w, disk_make_dirs(w->disk, contract_path(w, "a/b/d"), &w->err));
    OK(w, disk_make_dirs(w->disk, contract_path(w, "e"), &w->err));
    OK(w, disk_make_dirs(w->disk, ".", &w->err));
    assert_int_equal(list(w, "a/b").calls, 2);
    contract_make(w, "a/f", "content");
    FAILS(w, FIRN_ENOTDIR, disk_make_dirs(w->disk, contract_path(w, "a/f"), &w->err));
    FAILS(w, FIRN_ENOTDIR, disk_make_dirs(w->disk, contract_path(w, "a/f/g/h"), &w->err));
    contract_expect_file(w, "a/f", "content");
}

static void make_dirs_follows_links(struct contract_world *w)
{
    make_dir(w, "d");
    make_link(w, "d", "l");
    OK(w, disk_make_dirs(w->disk, contract_path(w, "l"), &w->err));
    OK(w, disk_make_dirs(w->disk, contract_path(w, "l/a/b"), &w->err));
    assert_int_equal(kind_of(w, "d/a/b"), FIRN_ENTRY_DIR);
}

static void replace_file_replaces(struct contract_world *w)
{
    char dir[512];
    (void)snprintf(dir, sizeof dir, "%s", contract_path(w, "d"));
    make_dir(w, "d");
    OK(w, disk_replace_file(w->disk, dir, "f", "first", 5, &w->err));
    contract_expect_file(w, "d/f", "first");
    contract_make(w, "d/f.tmp", "left over from a crash, and longer");
    OK(w, disk_replace_file(w->disk, dir, "f", "2nd", 3, &w->err));
    contract_expect_file(w, "d/f", "2nd");
    OK(w, disk_replace_file(w->disk, dir, "f", NULL, 0, &w->err));
    contract_expect_file(w, "d/f", "");
    assert_int_equal(list(w, "d").calls, 1);
    FAILS(w, FIRN_ENOENT, disk_replace_file(w->disk, contract_path(w, "e"), "f", "x", 1, &w->err));
    make_dir(w, "d/g");
    FAILS(w, FIRN_EINVAL, disk_replace_file(w->disk, dir, "g", "x", 1, &w->err));
    assert_false(contract_exists(w, "d/g.tmp"));
}

const struct contract_case contract_names[] = {
    {"directories are made once", directories_are_made_once, 0},
    {"dots and empty components mean nothing", dots_and_empty_components_mean_nothing, 0},
    {"only empty directories are removed", only_empty_directories_are_removed, 0},
    {"files and links are removed", files_and_links_are_removed, 0},
    {"stat tells kind and size", stat_tells_kind_and_size, 0},
    {"directories are synced", directories_are_synced, 0},
    {"list tells all kinds", list_tells_all_kinds, 0},
    {"list stops when asked", list_stops_when_asked, 0},
    {"what is listed can be removed meanwhile", what_is_listed_can_be_removed_meanwhile, 0},
    {"list tells each of many once", list_tells_each_of_many_once, 0},
    {"rename replaces", rename_replaces, 0},
    {"rename moves directories", rename_moves_directories, 0},
    {"links are made once and read", links_are_made_once_and_read, 0},
    {"links are followed", links_are_followed, CONTRACT_LINKS_FOLLOWED},
    {"make_dirs makes what is missing", make_dirs_makes_what_is_missing, 0},
    {"make_dirs follows links", make_dirs_follows_links, CONTRACT_LINKS_FOLLOWED},
    {"replace_file replaces", replace_file_replaces, 0},
    {NULL, NULL, 0},
};
