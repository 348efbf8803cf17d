/* SPDX-License-Identifier: MIT */
#include "peers.h"

#include <stdio.h>
#include <stdlib.h>

#include <lmdb.h>

struct store {
    MDB_env *env;
    MDB_dbi dbi;
};

static const size_t map_bytes = (size_t)16 << 30;

static int open_table(struct store *store)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(store->env, NULL, 0, &txn);
    if (rc != 0)
        return rc;
    rc = mdb_dbi_open(txn, NULL, MDB_INTEGERKEY, &store->dbi);
    if (rc == 0)
        return mdb_txn_commit(txn);
    mdb_txn_abort(txn);
    return rc;
}

static void *lmdb_peer_open(const char *dir, char error[PEER_ERROR])
{
    struct store *store = calloc(1, sizeof *store);
    if (!store)
        abort();
    int rc = mdb_env_create(&store->env);
    if (rc == 0)
        rc = mdb_env_set_mapsize(store->env, map_bytes);
    if (rc == 0)
        rc = mdb_env_open(store->env, dir, 0, 0666);
    if (rc == 0)
        rc = open_table(store);
    if (rc == 0)
        return store;
    snprintf(error, PEER_ERROR, "%s", mdb_strerror(rc));
    if (store->env)
        mdb_env_close(store->env);
    free(store);
    return NULL;
}

static int lmdb_peer_put(void *arg, uint64_t first, size_t count, const void *value, size_t size,
                         char error[PEER_ERROR])
{
    struct store *store = arg;
    MDB_txn *txn = NULL;
    int rc = mdb_txn_begin(store->env, NULL, 0, &txn);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        size_t number = (size_t)(first + i);
        MDB_val key = {sizeof number, &number};
        MDB_val data = {size, (void *)(uintptr_t)value};
        rc = mdb_put(txn, store->dbi, &key, &data, MDB_APPEND);
    }
    if (rc == 0) {
        rc = mdb_txn_commit(txn);
        txn = NULL;
    }
    if (txn)
        mdb_txn_abort(txn);
    if (rc != 0)
        snprintf(error, PEER_ERROR, "%s", mdb_strerror(rc));
    return rc == 0 ? 0 : -1;
}

static void lmdb_peer_close(void *arg)
{
    struct store *store = arg;
    mdb_env_close(store->env);
    free(store);
}

const struct peer peer_lmdb = {
    .name = "LMDB",
    .settings = "as it comes: every commit synced; MDB_INTEGERKEY, MDB_APPEND",
    .open = lmdb_peer_open,
    .put = lmdb_peer_put,
    .close = lmdb_peer_close,
};
