/* SPDX-License-Identifier: MIT */
/* Other stores that do the same work: records under ascending numbers, durable when put returns. */
#ifndef BENCH_PEERS_H
#define BENCH_PEERS_H

#include <stddef.h>
#include <stdint.h>

enum { PEER_ERROR = 256 };

struct peer {
    const char *name;
    const char *settings;
    /* `dir` is there and empty. NULL and a text in `error` where it fails. */
    void *(*open)(const char *dir, char error[PEER_ERROR]);
    /* `count` values of `size` bytes in one commit, from number `first` on; 0, or -1 and a text. */
    int (*put)(void *store, uint64_t first, size_t count, const void *value, size_t size,
               char error[PEER_ERROR]);
    void (*close)(void *store);
};

extern const struct peer peer_firn;
#ifdef HAVE_SQLITE
extern const struct peer peer_sqlite;
#endif
#ifdef HAVE_LMDB
extern const struct peer peer_lmdb;
#endif
#ifdef HAVE_ROCKSDB
extern const struct peer peer_rocksdb;
#endif

#endif
