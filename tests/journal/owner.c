/* SPDX-License-Identifier: MIT */
#include "owner.h"

#include "disk/disk.h"

enum { STEP = 4096, JOURNAL_SIZE = 64 * 1024, MAGIC = 16 };

static const uint8_t magic[MAGIC] = "in use by firn!";

/* ---- the kind ---- */

static int accept(void *arg, const uint8_t *about, uint64_t length, uint64_t *change_bytes,
                  struct firn_error *err)
{
    (void)arg;
    *change_bytes = 100;
    if (about[0] != 'T' || length < OWNER_START)
        return firn_error_set(err, FIRN_EFORMAT, 0, "the test's file is another one");
    return 0;
}

static int adopt(void *arg, uint64_t size, uint8_t *about, struct firn_error *err)
{
    (void)arg;
    about[0] = 'T';
    return size < OWNER_START ? firn_error_set(err, FIRN_EMISMATCH, 0, "too small") : 0;
}

/* In steps, so that not every growth costs a sync. */
static int reserve(void *arg, struct firn_file *file, uint64_t length, struct firn_error *err)
{
    struct owner *owner = arg;
    uint64_t end = (length + STEP - 1) / STEP * STEP;
    if (end <= owner->reserved)
        return 0;
    int rc = disk_reserve(file, 0, end, err);
    if (rc == 0)
        rc = disk_sync(file, err);
    if (rc == 0)
        owner->reserved = end;
    return rc;
}

static int mark(void *arg, struct firn_file *file, uint64_t length, const uint8_t *nonce,
                struct firn_error *err)
{
    uint8_t bytes[OWNER_START];
    (void)arg;
    (void)length;
    memcpy(bytes, magic, MAGIC);
    memcpy(bytes + MAGIC, nonce, JOURNAL_NONCE);
    return disk_write_full(file, bytes, sizeof bytes, 0, FIRN_WRITE_DURABLE, err);
}

static int move_mark(void *arg, struct firn_file *file, uint64_t from, uint64_t to,
                     const uint8_t *nonce, struct firn_error *err)
{
    (void)arg, (void)file, (void)from, (void)to, (void)nonce, (void)err;
    return 0;
}

static int move_back(void *arg, struct firn_file *file, uint64_t length, const uint8_t *nonce,
                     struct firn_error *err)
{
    (void)arg, (void)file, (void)length, (void)nonce, (void)err;
    return 0;
}

static int unmark(void *arg, struct firn_file *file, uint64_t length, struct firn_error *err)
{
    static const uint8_t zeros[OWNER_START];
    struct owner *owner = arg;
    owner->reserved = 0;
    int rc = disk_truncate(file, length, err);
    if (rc == 0)
        rc = disk_sync(file, err);
    return rc == 0 ? disk_write_full(file, zeros, sizeof zeros, 0, FIRN_WRITE_DURABLE, err) : rc;
}

static int find_mark(void *arg, struct firn_file *file, uint64_t length, uint8_t *nonce,
                     struct firn_error *err)
{
    uint8_t bytes[OWNER_START];
    size_t got;
    (void)arg;
    (void)length;
    int rc = disk_read_full(file, bytes, sizeof bytes, 0, &got, err);
    if (rc < 0)
        return rc;
    if (got < sizeof bytes || memcmp(bytes, magic, MAGIC) != 0)
        return FIRN_ENOENT;
    memcpy(nonce, bytes + MAGIC, JOURNAL_NONCE);
    return 0;
}

static bool is_torn_mark(void *arg, const uint8_t *tail, size_t bytes, uint64_t length,
                         const uint8_t *nonce)
{
    (void)arg, (void)length, (void)nonce;
    for (size_t i = 0; i < bytes; i++)
        if (tail[i])
            return false;
    return true;
}

static const struct journal_kind kind = {
    .name = "TEST",
    .unit = "change",
    .nonce_bytes = JOURNAL_NONCE,
    .accept = accept,
    .adopt = adopt,
    .reserve = reserve,
    .mark = mark,
    .move_mark = move_mark,
    .move_back = move_back,
    .unmark = unmark,
    .find_mark = find_mark,
    .is_torn_mark = is_torn_mark,
};

/* ---- life ---- */

static void new_env(struct owner *owner)
{
    const struct firn_env_options manual = {.manual = true};
    OK(firn_env_new(&manual, &owner->env, &owner->err));
    owner->options.env = owner->env;
}

int owner_setup(void **state)
{
    struct owner *owner = calloc(1, sizeof *owner);
    assert_non_null(owner);
    OK(firn_faulty_new(NULL, &owner->faulty, &owner->err));
    owner->disk = firn_faulty_disk(owner->faulty);
    owner->options = (struct journal_options){
        .path = MAIN,
        .disk = owner->disk,
        .journal_bytes = JOURNAL_SIZE,
        .length = OWNER_LENGTH,
        .may_create = true,
        .about = {'T'},
    };
    new_env(owner);
    owner_open(owner);
    *state = owner;
    return 0;
}

int owner_teardown(void **state)
{
    struct owner *owner = *state;
    if (owner->journal)
        journal_close(owner->journal, NULL);
    firn_env_free(owner->env);
    firn_faulty_free(owner->faulty);
    free(owner);
    return 0;
}

int owner_try_open(struct owner *owner)
{
    owner->reserved = 0;
    return journal_open(&owner->options, &kind, owner, &owner->journal, &owner->err);
}

void owner_open(struct owner *owner)
{
    OK(owner_try_open(owner));
}

void owner_close(struct owner *owner)
{
    struct journal *journal = owner->journal;
    owner->journal = NULL;
    OK(journal_close(journal, &owner->err));
}

void owner_kill(struct owner *owner)
{
    firn_faulty_kill(owner->faulty);
    if (owner->journal)
        journal_close(owner->journal, NULL);
    owner->journal = NULL;
}

/* ---- changes ---- */

uint64_t owner_write(struct owner *owner, uint64_t offset, const void *bytes, size_t size)
{
    const struct journal_range range = {offset, size, false};
    const struct iovec iov = {(void *)(uintptr_t)bytes, size};
    const struct journal_change change = {&range, 1, &iov, 1, false, 0};
    uint64_t epoch;
    OK(journal_stage(owner->journal, &change, &epoch, &owner->err));
    return epoch;
}

void owner_fill(struct owner *owner, uint64_t offset, uint8_t byte, size_t size)
{
    uint8_t *bytes = malloc(size);
    assert_non_null(bytes);
    memset(bytes, byte, size);
    owner_write(owner, offset, bytes, size);
    free(bytes);
}

void owner_force(struct owner *owner)
{
    OK(commit_force(journal_commit(owner->journal), &owner->err));
}

void owner_expect(struct owner *owner, uint64_t offset, uint8_t byte, size_t size, bool durable)
{
    uint8_t *found = malloc(size);
    assert_non_null(found);
    OK(journal_read(owner->journal, offset, size, size, durable, found, &owner->err));
    for (size_t i = 0; i < size; i++)
        if (found[i] != byte)
            fail_msg("byte %zu is %u, not %u", (size_t)offset + i, found[i], byte);
    free(found);
}

uint8_t *owner_load(struct owner *owner, const char *path, size_t *size)
{
    void *bytes;
    OK(firn_faulty_get(owner->faulty, path, FIRN_FAULTY_CURRENT, &bytes, size, &owner->err));
    return bytes;
}
