/* SPDX-License-Identifier: MIT */
/* Figures, what loading found, and looking for damage. */
#include <string.h>

#include "base/error.h"
#include "stream/stream_private.h"

/* ---- figures ---- */

static uint64_t get(const _Atomic uint64_t *value)
{
    return atomic_load_explicit(value, memory_order_acquire);
}

/* `available`: appends can still go to this part. */
static struct firn_stream_stats stats_of(const struct part *part, uint64_t offset, bool available)
{
    uint64_t used = get(&part->used), spilled = get(&part->spilled);
    uint64_t end = used > 0 ? get(&part->base) + used - spilled : 0; /* of its own half of a span */
    uint64_t ahead = end > offset ? end - offset : 0;
    struct firn_stream_stats stats = {
        .parts = 1,
        .blocks = part->count,
        .block_shift = part->shift,
        .blocks_bytes = part->count << part->shift,
        .data_capacity = part->capacity,
        .data_used = used,
        .data_wasted = used > ahead ? used - ahead : 0,
    };
    if (available)
        stats.data_available = part->capacity - used;
    else
        stats.data_wasted += part->capacity - used;
    return stats;
}

static void add(struct firn_stream_stats *sum, const struct firn_stream_stats *part)
{
    sum->parts += part->parts;
    sum->blocks += part->blocks;
    sum->block_shift = part->block_shift;
    sum->blocks_bytes += part->blocks_bytes;
    sum->data_capacity += part->data_capacity;
    sum->data_used += part->data_used;
    sum->data_wasted += part->data_wasted;
    sum->data_available += part->data_available;
}

void parts_stats(const struct part_list *list, uint64_t offset, struct firn_stream_stats *sum,
                 struct firn_stream_stats *parts, size_t size)
{
    ptrdiff_t ending = parts_ending(list);
    *sum = (struct firn_stream_stats){0};
    for (size_t i = 0; i < list->count; i++) {
        bool available = ending >= 0 && i >= (size_t)ending;
        const struct firn_stream_stats part = stats_of(list->parts[i], offset, available);
        add(sum, &part);
        if (i < size)
            parts[i] = part;
    }
}

size_t firn_stream_part_stats(struct firn_stream *stream, struct firn_stream_stats *parts,
                              size_t size)
{
    struct firn_stream_stats sum;
    int phase = grace_enter(&stream->grace);
    const struct part_list *list = parts_of(stream);
    size_t count = list->count;
    parts_stats(list, firn_stream_offset(stream), &sum, parts, size);
    grace_exit(&stream->grace, phase);
    return count;
}

void firn_stream_get_stats(struct firn_stream *stream, struct firn_stream_stats *stats)
{
    int phase = grace_enter(&stream->grace);
    parts_stats(parts_of(stream), firn_stream_offset(stream), stats, NULL, 0);
    grace_exit(&stream->grace, phase);
}

void firn_stream_get_recovery(struct firn_stream *stream, struct firn_stream_recovery *recovery)
{
    *recovery = stream->recovery;
}

/* ---- looking for damage ---- */

struct verifying {
    firn_stream_finding_fn *finding;
    void *arg;
    uint64_t part; /* from the first one ever on */
};

static void find_fault(void *arg, uint64_t block, enum firn_stream_fault fault)
{
    const struct verifying *verifying = arg;
    const struct firn_stream_finding finding = {verifying->part, block, fault};
    if (verifying->finding)
        verifying->finding(verifying->arg, &finding);
}

/* With structure: so that nobody releases the part's blocks. FIRN_EEND: there are no more parts. */
static int verify_next(struct firn_stream *stream, struct verifying *verifying,
                       struct firn_error *err)
{
    const struct part_look look = {true, find_fault, verifying};
    const struct part_list *list = parts_of(stream);
    if (verifying->part < list->removed)
        verifying->part = list->removed;
    if (verifying->part - list->removed >= list->count)
        return FIRN_EEND;
    int rc = part_verify(list->parts[verifying->part - list->removed], &look, err);
    if (rc < 0)
        error_wrap(err, "part %llu of the stream", (unsigned long long)verifying->part);
    verifying->part++;
    return rc;
}

int firn_stream_verify(struct firn_stream *stream, firn_stream_finding_fn *finding, void *arg,
                       struct firn_error *err)
{
    struct verifying verifying = {finding, arg, 0};
    int rc = 0, part_rc = 0;
    while (part_rc == 0 || part_rc == FIRN_EDAMAGED) {
        pthread_mutex_lock(&stream->structure);
        part_rc = verify_next(stream, &verifying, rc == 0 ? err : NULL);
        pthread_mutex_unlock(&stream->structure);
        if (part_rc < 0 && part_rc != FIRN_EEND && rc == 0)
            rc = part_rc;
    }
    return rc;
}
