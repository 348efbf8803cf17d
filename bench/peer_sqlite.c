/* SPDX-License-Identifier: MIT */
#include "peers.h"

#include <stdio.h>
#include <stdlib.h>

#include <sqlite3.h>

struct store {
    sqlite3 *db;
    sqlite3_stmt *begin, *insert, *commit;
};

static void sqlite_peer_close(void *arg)
{
    struct store *store = arg;
    sqlite3_finalize(store->begin);
    sqlite3_finalize(store->insert);
    sqlite3_finalize(store->commit);
    sqlite3_close(store->db);
    free(store);
}

static int prepare(struct store *store)
{
    int rc = sqlite3_exec(store->db,
                          "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
                          "CREATE TABLE records(id INTEGER PRIMARY KEY, value BLOB)",
                          NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v2(store->db, "BEGIN", -1, &store->begin, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v2(store->db, "INSERT INTO records VALUES(?, ?)", -1, &store->insert,
                                NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v2(store->db, "COMMIT", -1, &store->commit, NULL);
    return rc;
}

static void *sqlite_peer_open(const char *dir, char error[PEER_ERROR])
{
    char path[1024];
    struct store *store = calloc(1, sizeof *store);
    if (!store)
        abort();
    snprintf(path, sizeof path, "%s/records.db", dir);
    if (sqlite3_open(path, &store->db) == SQLITE_OK && prepare(store) == SQLITE_OK)
        return store;
    snprintf(error, PEER_ERROR, "%s", sqlite3_errmsg(store->db));
    sqlite_peer_close(store);
    return NULL;
}

static int run(sqlite3_stmt *statement)
{
    int rc = sqlite3_step(statement);
    sqlite3_reset(statement);
    return rc == SQLITE_DONE ? 0 : -1;
}

static int sqlite_peer_put(void *arg, uint64_t first, size_t count, const void *value, size_t size,
                           char error[PEER_ERROR])
{
    struct store *store = arg;
    int rc = count > 1 ? run(store->begin) : 0;
    for (size_t i = 0; rc == 0 && i < count; i++) {
        uint64_t number = first + i;
        sqlite3_bind_int64(store->insert, 1, (sqlite3_int64)number);
        sqlite3_bind_blob(store->insert, 2, value, (int)size, SQLITE_STATIC);
        rc = run(store->insert);
    }
    if (rc == 0 && count > 1)
        rc = run(store->commit);
    if (rc != 0)
        snprintf(error, PEER_ERROR, "%s", sqlite3_errmsg(store->db));
    return rc;
}

const struct peer peer_sqlite = {
    .name = "SQLite",
    .settings = "WAL, synchronous=FULL, INTEGER PRIMARY KEY, prepared statements",
    .open = sqlite_peer_open,
    .put = sqlite_peer_put,
    .close = sqlite_peer_close,
};
