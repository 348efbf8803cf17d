/* SPDX-License-Identifier: MIT */
/* The same work by other stores, in turns: one record per commit, and a thousand. */
#include "peers.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "bench.h"

static const struct peer *const peers[] = {
    &peer_firn,
#ifdef HAVE_SQLITE
    &peer_sqlite,
#endif
#ifdef HAVE_LMDB
    &peer_lmdb,
#endif
#ifdef HAVE_ROCKSDB
    &peer_rocksdb,
#endif
};
enum { PEERS = sizeof peers / sizeof peers[0], BATCH = 1000 };

struct seat {
    void *store;
    uint64_t next;
    char path[BENCH_PATH];
};

static void say_what_is_missing(struct bench *bench)
{
#ifndef HAVE_SQLITE
    bench_note(bench, "SKIPPED: SQLite (no libsqlite3-dev when this was built)");
#endif
#ifndef HAVE_LMDB
    bench_note(bench, "SKIPPED: LMDB (no liblmdb-dev when this was built)");
#endif
#ifndef HAVE_ROCKSDB
    bench_note(bench, "SKIPPED: RocksDB (no librocksdb-dev when this was built)");
#endif
    for (size_t i = 0; i < PEERS; i++)
        bench_note(bench, "%s: %s", peers[i]->name, peers[i]->settings);
}

/* Records per second over `limit_ns`; negative: failed. */
static double rate_of(struct bench *bench, const struct peer *peer, struct seat *seat, size_t batch,
                      uint64_t limit_ns)
{
    uint8_t value[RECORD];
    char error[PEER_ERROR] = "";
    uint64_t first = seat->next, start = now_ns(), taken;
    fill_bytes(value, sizeof value);
    do {
        if (peer->put(seat->store, seat->next, batch, value, sizeof value, error) != 0)
            return bench_fail(bench, "%s: %s", peer->name, error);
        seat->next += batch;
        taken = now_ns() - start;
    } while (taken < limit_ns);
    return (double)(seat->next - first) * 1e9 / (double)taken;
}

static int open_seats(struct bench *bench, struct seat *seats)
{
    for (size_t i = 0; i < PEERS; i++) {
        char error[PEER_ERROR] = "";
        path_in(bench, peers[i]->name, seats[i].path);
        if (mkdir(seats[i].path, 0777) == 0)
            seats[i].store = peers[i]->open(seats[i].path, error);
        if (!seats[i].store)
            return bench_fail(bench, "%s: %s", peers[i]->name, error);
        if (rate_of(bench, peers[i], &seats[i], 1, 50000000) < 0) /* to get warm */
            return -1;
    }
    return 0;
}

static void close_seats(struct seat *seats)
{
    for (size_t i = 0; i < PEERS; i++) {
        if (seats[i].store)
            peers[i]->close(seats[i].store);
        if (seats[i].path[0])
            remove_tree(seats[i].path);
    }
}

static int one_turn(struct bench *bench, struct seat *seats, size_t batch)
{
    uint64_t limit_ns = bench->quick ? 50000000 : 700000000;
    double firn = 0;
    for (size_t i = 0; i < PEERS && bench_goes_on(); i++) {
        char name[96];
        double rate = rate_of(bench, peers[i], &seats[i], batch, limit_ns);
        if (rate < 0)
            return -1;
        if (i == 0)
            firn = rate;
        snprintf(name, sizeof name, "%s, %zu x 1 KiB per commit%s", peers[i]->name, batch,
                 i ? "; firn's ratio to it" : "");
        bench_add(bench, name, "records/s", AIM_NONE, 0, rate, i ? firn / rate : 0);
    }
    return 0;
}

int bench_peers(struct bench *bench)
{
    struct seat seats[PEERS];
    memset(seats, 0, sizeof seats);
    say_what_is_missing(bench);
    int rc = open_seats(bench, seats);
    for (unsigned run = 0; rc == 0 && run < bench->runs && bench_goes_on(); run++) {
        rc = one_turn(bench, seats, 1);
        if (rc == 0)
            rc = one_turn(bench, seats, BATCH);
    }
    close_seats(seats);
    return rc;
}
