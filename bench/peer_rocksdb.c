/* SPDX-License-Identifier: MIT */
#include "peers.h"

#include <stdio.h>
#include <stdlib.h>

#include <rocksdb/c.h>

struct store {
    rocksdb_t *db;
    rocksdb_options_t *options;
    rocksdb_writeoptions_t *write;
    rocksdb_writebatch_t *batch;
};

static void rocksdb_peer_close(void *arg)
{
    struct store *store = arg;
    if (store->db)
        rocksdb_close(store->db);
    rocksdb_writebatch_destroy(store->batch);
    rocksdb_writeoptions_destroy(store->write);
    rocksdb_options_destroy(store->options);
    free(store);
}

static int explain(char *message, char error[PEER_ERROR])
{
    if (!message)
        return 0;
    snprintf(error, PEER_ERROR, "%.200s", message);
    rocksdb_free(message);
    return -1;
}

static void *rocksdb_peer_open(const char *dir, char error[PEER_ERROR])
{
    struct store *store = calloc(1, sizeof *store);
    char *message = NULL;
    if (!store)
        abort();
    store->options = rocksdb_options_create();
    store->write = rocksdb_writeoptions_create();
    store->batch = rocksdb_writebatch_create();
    rocksdb_options_set_create_if_missing(store->options, 1);
    rocksdb_options_set_compression(store->options, rocksdb_no_compression);
    rocksdb_writeoptions_set_sync(store->write, 1);
    store->db = rocksdb_open(store->options, dir, &message);
    if (explain(message, error) == 0)
        return store;
    rocksdb_peer_close(store);
    return NULL;
}

static int rocksdb_peer_put(void *arg, uint64_t first, size_t count, const void *value, size_t size,
                            char error[PEER_ERROR])
{
    struct store *store = arg;
    char *message = NULL;
    rocksdb_writebatch_clear(store->batch);
    for (size_t i = 0; i < count; i++) {
        char key[8];
        for (unsigned byte = 0; byte < 8; byte++)
            key[byte] = (char)((first + i) >> (8 * (7 - byte)));
        rocksdb_writebatch_put(store->batch, key, sizeof key, value, size);
    }
    rocksdb_write(store->db, store->write, store->batch, &message);
    return explain(message, error);
}

const struct peer peer_rocksdb = {
    .name = "RocksDB",
    .settings = "write-ahead log synced at every write, no compression",
    .open = rocksdb_peer_open,
    .put = rocksdb_peer_put,
    .close = rocksdb_peer_close,
};
