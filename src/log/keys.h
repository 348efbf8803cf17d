/* SPDX-License-Identifier: MIT */
/*
 * Keys and the index of the last record of each, in bounded memory: by their hash of 128 bits,
 * under a secret, so that no two keys are taken for one. Where they do not fit, those of the upper
 * half of the hashes are forgotten, and left to another pass.
 */
#ifndef LOG_KEYS_H
#define LOG_KEYS_H

#include <stdbool.h>

#include <firn/log.h>

#include "base/siphash.h"

struct key_entry {
    struct siphash hash;
    uint64_t index;
};

struct keys {
    uint64_t secret[2];
    uint64_t low, high; /* hashes of this pass: low <= hash.high <= high */
    size_t count, capacity, most;
    struct key_entry *at; /* in no order */
    uint32_t *slots;      /* number of an entry, plus one; 0: none. Twice `capacity` */
};

/* Knows no key yet. It takes `memory` bytes at most, and some hundred at least. */
void keys_init(struct keys *keys, const uint64_t secret[2], uint64_t memory);
void keys_done(struct keys *keys);
struct siphash keys_hash(const struct keys *keys, const struct firn_slice *key);

static inline bool keys_cover(const struct keys *keys, struct siphash hash)
{
    return hash.high >= keys->low && hash.high <= keys->high;
}

/* The key's last record so far is `index`. FIRN_ENOMEM. */
int keys_put(struct keys *keys, struct siphash hash, uint64_t index);
/* False: it is not known. */
bool keys_get(const struct keys *keys, struct siphash hash, uint64_t *index);
/* Forgets all, and goes on behind the hashes of this pass; false: there are none. */
bool keys_advance(struct keys *keys);

#endif
