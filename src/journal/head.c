/* SPDX-License-Identifier: MIT */
/*
 * The header: two slots that say where the pending records begin. Every change of it goes to both,
 * so that losing one sector later takes nothing back, and space is used again only when neither
 * slot leads there any more.
 */
#include <string.h>

#include "base/bytes.h"
#include "journal/journal_private.h"

/* In a slot's body; all big-endian. */
enum {
    AT_KIND = 0,
    AT_PENDING = 4,
    AT_NONCE = 8,
    AT_RING = 24,
    AT_POSITION = 32,
    AT_SEQUENCE = 40,
    AT_LENGTH = 48,
    AT_ABOUT = 56,
    AT_REST = AT_ABOUT + JOURNAL_ABOUT,
};

enum { PAGE = 4096 };

static int check_body(const uint8_t *body)
{
    for (int i = AT_REST; i < SLOT_ROOM; i++)
        if (body[i])
            return FIRN_EFORMAT;
    if (load_be_u32(body + AT_PENDING) > 1)
        return FIRN_EFORMAT;
    uint64_t ring = load_be_u64(body + AT_RING);
    bool possible = ring > 0 && ring % PAGE == 0 && ring <= JOURNAL_MOST &&
                    load_be_u64(body + AT_POSITION) <= JOURNAL_MOST &&
                    load_be_u64(body + AT_SEQUENCE) <= JOURNAL_MOST &&
                    load_be_u64(body + AT_LENGTH) <= JOURNAL_MOST;
    return possible ? 0 : FIRN_EDAMAGED;
}

static const struct slot_kind slot_kind = {
    .magic = {'F', 'I', 'R', 'N', 'J', 'R', 'N', '1'},
    .version = 1,
    .check = check_body,
};

static void encode(const struct journal *journal, const struct head *head, uint8_t body[SLOT_ROOM])
{
    memset(body, 0, SLOT_ROOM);
    memcpy(body + AT_KIND, journal->kind->name, 4);
    store_be_u32(body + AT_PENDING, head->pending);
    memcpy(body + AT_NONCE, head->nonce, JOURNAL_NONCE);
    store_be_u64(body + AT_RING, head->ring);
    store_be_u64(body + AT_POSITION, head->from.position);
    store_be_u64(body + AT_SEQUENCE, head->from.sequence);
    store_be_u64(body + AT_LENGTH, head->from.length);
    memcpy(body + AT_ABOUT, head->about, JOURNAL_ABOUT);
}

static void decode(const uint8_t *body, struct head *head)
{
    head->pending = load_be_u32(body + AT_PENDING) != 0;
    memcpy(head->nonce, body + AT_NONCE, JOURNAL_NONCE);
    head->ring = load_be_u64(body + AT_RING);
    head->from.position = load_be_u64(body + AT_POSITION);
    head->from.sequence = load_be_u64(body + AT_SEQUENCE);
    head->from.length = load_be_u64(body + AT_LENGTH);
    memcpy(head->about, body + AT_ABOUT, JOURNAL_ABOUT);
}

static unsigned count_damaged(const struct slots *slots)
{
    return (slots->state[0] < 0 ? 1u : 0u) + (slots->state[1] < 0 ? 1u : 0u);
}

int head_load(struct journal *journal, struct firn_error *err)
{
    struct slots slots;
    int rc = slots_load(journal->header, journal->journal_path, &slot_kind, &slots, err);
    if (rc < 0)
        return rc;
    const uint8_t *body = slots.body[slots.sequence % 2];
    if (memcmp(body + AT_KIND, journal->kind->name, 4) != 0)
        return firn_error_set(err, FIRN_EFORMAT, 0, "%s: the journal of another kind of file",
                              journal->journal_path);
    decode(body, &journal->state);
    journal->head_sequence = slots.sequence;
    journal->damaged_slots = count_damaged(&slots);
    journal->slots_differ = !slots.equal;
    return 0;
}

int head_create(struct journal *journal, struct firn_error *err)
{
    uint8_t body[SLOT_ROOM], bytes[SLOTS_BYTES];
    encode(journal, &journal->state, body);
    slot_encode(&slot_kind, 2, body, bytes);
    slot_encode(&slot_kind, 1, body, bytes + SLOT_BYTES);
    const char *slash = strrchr(journal->journal_path, '/');
    int rc = disk_replace_file(journal->disk, journal->dir,
                               slash ? slash + 1 : journal->journal_path, bytes, sizeof bytes, err);
    if (rc == 0)
        journal->head_sequence = 2;
    journal->head_confirmed = rc == 0;
    return rc;
}

int head_check(struct journal *journal, unsigned *damaged, struct firn_error *err)
{
    struct slots slots;
    pthread_mutex_lock(&journal->head_lock);
    int rc = slots_load(journal->header, journal->journal_path, &slot_kind, &slots, err);
    pthread_mutex_unlock(&journal->head_lock);
    *damaged = rc == 0 ? count_damaged(&slots) : 2;
    return rc;
}

/*
 * The slot that was read may stand in the page cache only, and be torn on storage, where the last
 * write of an earlier life failed. So the first store writes that one first, if the other one is
 * whole: each of two whole slots would do, and should this write fail too, that one is still there.
 */
static int store(struct journal *journal, const struct head *next, struct firn_error *err)
{
    uint8_t body[SLOT_ROOM];
    encode(journal, next, body);
    if (!journal->head_confirmed && !journal->damaged_slots)
        journal->head_sequence++;
    int rc = slots_store(journal->header, &slot_kind, &journal->head_sequence, body, true, err);
    if (rc < 0)
        return rc;
    journal->head_confirmed = true;
    journal->state = *next;
    return 0;
}

int head_store(struct journal *journal, const struct head *next, struct firn_error *err)
{
    pthread_mutex_lock(&journal->head_lock);
    int rc = store(journal, next, err);
    pthread_mutex_unlock(&journal->head_lock);
    return rc;
}
