/* SPDX-License-Identifier: MIT */
/*
 * A stack's file: "BSTK", its version (four bytes), the length of the content (u64, little-endian),
 * then the content. While it is right only together with its journal it begins with "FSTK" instead,
 * and has eight bytes of the nonce in the length's place: others refuse that.
 *
 * A sector may be torn. So the letter comes first when the mark is made, and goes last when it is
 * taken away: with "BSTK" before it the length is always whole. With "FSTK" it may be part nonce
 * and part length, where no change was ever durable.
 */
#include <string.h>

#include "base/bytes.h"
#include "commit/ahead.h"
#include "stack/stack_private.h"

enum { PAGE = 4096, AT_VERSION = 4, AT_LENGTH = 8, MAGIC = 8, NONCE = 8, KNOWN = 6 };

static const uint8_t plain[MAGIC] = {'B', 'S', 'T', 'K', 0, 1, 8, 0};
static const uint8_t marked[MAGIC] = {'F', 'S', 'T', 'K', 0, 1, 8, 0};

void stack_encode(uint64_t content, uint8_t bytes[STACK_HEADER])
{
    memcpy(bytes, plain, MAGIC);
    store_le_u64(bytes + AT_LENGTH, content);
}

/* ---- the mark ---- */

static int create(void *owner, struct firn_file *file, uint64_t length, struct firn_error *err)
{
    uint8_t bytes[STACK_HEADER];
    (void)owner;
    stack_encode(length - STACK_HEADER, bytes);
    return disk_write_full(file, bytes, sizeof bytes, 0, 0, err);
}

/* More than is needed, so that not every growth takes a sync; no more, where that is all there is.
 */
static int reserve(void *owner, struct firn_file *file, uint64_t length, struct firn_error *err)
{
    struct firn_stack *stack = owner;
    if (length <= stack->reserved)
        return 0;
    uint64_t from = stack->reserved;
    uint64_t end = (length + ahead_of(length) + PAGE - 1) / PAGE * PAGE;
    int rc = disk_reserve(file, from, end - from, NULL);
    if (rc < 0) {
        end = length;
        rc = disk_reserve(file, from, end - from, err);
    }
    if (rc == 0)
        stack->reserved = end;
    return rc;
}

/* The size that was reserved too. */
static int mark(void *owner, struct firn_file *file, uint64_t length, const uint8_t *nonce,
                struct firn_error *err)
{
    (void)owner, (void)length;
    int rc = disk_write_full(file, marked, MAGIC, 0, FIRN_WRITE_DURABLE, err);
    if (rc == 0)
        rc = disk_write_full(file, nonce, NONCE, AT_LENGTH, FIRN_WRITE_DURABLE, err);
    return rc == 0 ? disk_sync(file, err) : rc;
}

/* It stays where it is; what was reserved has to be there before a change relies on it. */
static int move_mark(void *owner, struct firn_file *file, uint64_t from, uint64_t to,
                     const uint8_t *nonce, struct firn_error *err)
{
    (void)owner, (void)from, (void)to, (void)nonce;
    return disk_sync(file, err);
}

static int move_back(void *owner, struct firn_file *file, uint64_t length, const uint8_t *nonce,
                     struct firn_error *err)
{
    (void)owner, (void)file, (void)length, (void)nonce, (void)err;
    return 0;
}

static int unmark(void *owner, struct firn_file *file, uint64_t length, struct firn_error *err)
{
    struct firn_stack *stack = owner;
    uint8_t bytes[STACK_HEADER];
    stack_encode(length - STACK_HEADER, bytes);
    stack->reserved = 0;
    int rc = disk_truncate(file, length, err);
    if (rc == 0)
        rc = disk_sync(file, err);
    if (rc == 0)
        rc = disk_write_full(file, bytes + AT_LENGTH, NONCE, AT_LENGTH, FIRN_WRITE_DURABLE, err);
    return rc == 0 ? disk_write_full(file, bytes, MAGIC, 0, FIRN_WRITE_DURABLE, err) : rc;
}

static int find_mark(void *owner, struct firn_file *file, uint64_t length, uint8_t *nonce,
                     struct firn_error *err)
{
    uint8_t bytes[STACK_HEADER];
    size_t got;
    (void)owner, (void)length;
    int rc = disk_read_full(file, bytes, sizeof bytes, 0, &got, err);
    if (rc < 0)
        return rc;
    if (got < sizeof bytes || memcmp(bytes, marked, KNOWN) != 0)
        return FIRN_ENOENT;
    memcpy(nonce, bytes + AT_LENGTH, NONCE);
    return 0;
}

static bool is_torn_nonce(void *owner, const uint8_t *found, uint64_t length, const uint8_t *nonce)
{
    uint8_t bytes[STACK_HEADER];
    (void)owner;
    stack_encode(length - STACK_HEADER, bytes);
    for (int i = 0; i < NONCE; i++)
        if (found[i] != nonce[i] && found[i] != bytes[AT_LENGTH + i])
            return false;
    return true;
}

/* ---- a plain file ---- */

static int refuse(const char *path, const uint8_t *bytes, size_t got, struct firn_error *err)
{
    if (got == STACK_HEADER && memcmp(bytes, marked, KNOWN) == 0)
        return firn_error_set(err, FIRN_EMISMATCH, 0,
                              "%s: has changes in its journal, and can't be used without", path);
    if (got == STACK_HEADER && memcmp(bytes, plain, AT_VERSION) == 0)
        return firn_error_set(err, FIRN_EFORMAT, 0,
                              "%s: a stack of version %d.%d, where this firn reads 0.1", path,
                              bytes[AT_VERSION], bytes[AT_VERSION + 1]);
    return firn_error_set(err, FIRN_EFORMAT, 0, "%s: not a stack: it does not begin with BSTK",
                          path);
}

/* One that is empty, or what a crash left of writing the header into it. */
static bool is_empty(const uint8_t *bytes, uint64_t size)
{
    uint8_t whole[STACK_HEADER];
    stack_encode(0, whole);
    for (uint64_t i = 0; size <= STACK_HEADER && i < size; i++)
        if (bytes[i] != 0 && bytes[i] != whole[i])
            return false;
    return size <= STACK_HEADER;
}

/*
 * The rest goes, or the length follows; what is kept is durable before the length says so. The
 * header is written anew, also as it is: it may stand in the page cache only.
 */
static int repair_plain(struct firn_file *file, uint64_t size, uint8_t *header, uint64_t content,
                        struct firn_error *err)
{
    int rc = 0;
    if (size > STACK_HEADER + content)
        rc = disk_truncate(file, STACK_HEADER + content, err);
    if (rc == 0)
        rc = disk_sync(file, err);
    store_le_u64(header + AT_LENGTH, content);
    return rc == 0 ? disk_write_full(file, header, STACK_HEADER, 0, FIRN_WRITE_DURABLE, err) : rc;
}

/* The content of a file of `size` bytes. An empty one gets its header. */
static int measure(const char *path, uint8_t *bytes, size_t got, uint64_t size, uint64_t *content,
                   struct firn_error *err)
{
    bool known = got == STACK_HEADER && memcmp(bytes, plain, KNOWN) == 0;
    if (!known && is_empty(bytes, size))
        stack_encode(0, bytes);
    else if (!known)
        return refuse(path, bytes, got, err);
    uint64_t said = load_le_u64(bytes + AT_LENGTH),
             most = size > STACK_HEADER ? size - STACK_HEADER : 0;
    *content = said < most ? said : most;
    return 0;
}

int stack_settle(const char *path, struct firn_file *file, bool repair, uint64_t *length,
                 struct firn_error *err)
{
    uint8_t bytes[STACK_HEADER];
    uint64_t size, content = 0;
    size_t got;
    int rc = disk_size_of(file, &size, err);
    if (rc == 0)
        rc = disk_read_full(file, bytes, sizeof bytes, 0, &got, err);
    if (rc == 0)
        rc = measure(path, bytes, got, size, &content, err);
    if (rc < 0)
        return rc;
    bool known = *length == size && load_le_u64(bytes + AT_LENGTH) == size - STACK_HEADER;
    if (repair && !known)
        rc = repair_plain(file, size, bytes, content, err);
    if (rc == 0)
        *length = STACK_HEADER + content;
    return rc;
}

static int settle(void *owner, struct firn_file *file, bool repair, uint64_t *length,
                  struct firn_error *err)
{
    const struct firn_stack *stack = owner;
    return stack_settle(stack->path, file, repair, length, err);
}

/* ---- what the journal's header says ---- */

static int accept(void *owner, const uint8_t *about, uint64_t length, uint64_t *change_bytes,
                  struct firn_error *err)
{
    const struct firn_stack *stack = owner;
    (void)about;
    *change_bytes = 0;
    if (length >= STACK_HEADER)
        return 0;
    return firn_error_set(err, FIRN_EFORMAT, 0, "%s.journal: a file of %llu bytes", stack->path,
                          (unsigned long long)length);
}

/* Settling looks at the file. */
static int adopt(void *owner, uint64_t size, uint8_t *about, struct firn_error *err)
{
    (void)owner, (void)size, (void)err;
    memset(about, 0, JOURNAL_ABOUT);
    return 0;
}

const struct journal_kind stack_kind = {
    .name = "STCK",
    .unit = "change",
    .nonce_bytes = NONCE,
    .lock_file = true,
    .create = create,
    .accept = accept,
    .adopt = adopt,
    .reserve = reserve,
    .mark = mark,
    .move_mark = move_mark,
    .move_back = move_back,
    .unmark = unmark,
    .find_mark = find_mark,
    .settle = settle,
    .is_torn_nonce = is_torn_nonce,
};
