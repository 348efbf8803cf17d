/* SPDX-License-Identifier: MIT */
#include "peers.h"

#include <stdio.h>
#include <stdlib.h>

#include <firn/log.h>

enum { MOST = 1000 };

static void *firn_peer_open(const char *dir, char error[PEER_ERROR])
{
    struct firn_log *log;
    struct firn_error err = {0};
    if (firn_log_open(dir, NULL, &log, &err) == 0)
        return log;
    snprintf(error, PEER_ERROR, "%.200s", err.message);
    return NULL;
}

static int firn_peer_put(void *store, uint64_t first, size_t count, const void *value, size_t size,
                         char error[PEER_ERROR])
{
    (void)first;
    static struct firn_record records[MOST];
    struct firn_error err = {0};
    for (size_t i = 0; i < count && i < MOST; i++)
        records[i] = (struct firn_record){.value = {value, size}};
    if (count <= MOST && firn_log_append(store, records, count, NULL, NULL, &err) == 0)
        return 0;
    snprintf(error, PEER_ERROR, "%.200s", err.message);
    return -1;
}

static void firn_peer_close(void *store)
{
    (void)firn_log_close(store, NULL);
}

const struct peer peer_firn = {
    .name = "firn",
    .settings = "mode each; a batch is one atomic group",
    .open = firn_peer_open,
    .put = firn_peer_put,
    .close = firn_peer_close,
};
