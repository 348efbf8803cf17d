/* SPDX-License-Identifier: MIT */
#include "log/keys.h"

#include <stdlib.h>
#include <string.h>

enum {
    KEYS_LEAST = 16,
    KEYS_FIRST = 1024,
    BYTES_EACH = sizeof(struct key_entry) + 2 * sizeof(uint32_t),
};

void keys_init(struct keys *keys, const uint64_t secret[2], uint64_t memory)
{
    uint64_t most = memory / BYTES_EACH;
    most = most < KEYS_LEAST ? KEYS_LEAST : most;
    most = most > UINT32_MAX / 4 ? UINT32_MAX / 4 : most;
    *keys = (struct keys){.secret = {secret[0], secret[1]}, .high = UINT64_MAX, .most = most};
}

void keys_done(struct keys *keys)
{
    free(keys->at);
    free(keys->slots);
    keys->at = NULL;
    keys->slots = NULL;
    keys->count = keys->capacity = 0;
}

struct siphash keys_hash(const struct keys *keys, const struct firn_slice *key)
{
    return siphash(keys->secret, key->data, key->size);
}

/* The slot that has it, or the empty one where it belongs. */
static uint32_t *find(const struct keys *keys, struct siphash hash)
{
    size_t slots = 2 * keys->capacity;
    for (size_t i = (size_t)(hash.low % slots);; i = i + 1 == slots ? 0 : i + 1) {
        uint32_t number = keys->slots[i];
        if (number == 0)
            return &keys->slots[i];
        const struct key_entry *entry = &keys->at[number - 1];
        if (entry->hash.low == hash.low && entry->hash.high == hash.high)
            return &keys->slots[i];
    }
}

static void enter_all(struct keys *keys)
{
    memset(keys->slots, 0, 2 * keys->capacity * sizeof *keys->slots);
    for (size_t i = 0; i < keys->count; i++)
        *find(keys, keys->at[i].hash) = (uint32_t)i + 1;
}

static int grow(struct keys *keys)
{
    size_t capacity = keys->capacity ? 2 * keys->capacity : KEYS_FIRST;
    capacity = capacity < keys->most ? capacity : keys->most;
    struct key_entry *at = realloc(keys->at, capacity * sizeof *at);
    if (at)
        keys->at = at;
    uint32_t *slots = at ? malloc(2 * capacity * sizeof *slots) : NULL;
    if (!slots)
        return FIRN_ENOMEM;
    free(keys->slots);
    keys->slots = slots;
    keys->capacity = capacity;
    enter_all(keys);
    return 0;
}

/* Leaves the upper half of the hashes to another pass. */
static int narrow(struct keys *keys)
{
    size_t count = 0;
    if (keys->high == keys->low)
        return FIRN_ENOMEM;
    keys->high = keys->low + (keys->high - keys->low) / 2;
    for (size_t i = 0; i < keys->count; i++)
        if (keys->at[i].hash.high <= keys->high)
            keys->at[count++] = keys->at[i];
    keys->count = count;
    enter_all(keys);
    return 0;
}

int keys_put(struct keys *keys, struct siphash hash, uint64_t index)
{
    while (keys_cover(keys, hash)) {
        uint32_t *slot = keys->capacity ? find(keys, hash) : NULL;
        if (slot && *slot) {
            keys->at[*slot - 1].index = index;
            return 0;
        }
        if (slot && keys->count < keys->capacity) {
            keys->at[keys->count++] = (struct key_entry){hash, index};
            *slot = (uint32_t)keys->count;
            return 0;
        }
        int rc = keys->capacity < keys->most ? grow(keys) : narrow(keys);
        if (rc < 0)
            return rc;
    }
    return 0;
}

bool keys_get(const struct keys *keys, struct siphash hash, uint64_t *index)
{
    const uint32_t *slot = keys->capacity && keys_cover(keys, hash) ? find(keys, hash) : NULL;
    if (!slot || !*slot)
        return false;
    *index = keys->at[*slot - 1].index;
    return true;
}

bool keys_advance(struct keys *keys)
{
    if (keys->high == UINT64_MAX)
        return false;
    keys->low = keys->high + 1;
    keys->high = UINT64_MAX;
    keys->count = 0;
    if (keys->capacity)
        enter_all(keys);
    return true;
}
