/* SPDX-License-Identifier: MIT */
/*
 * Records are staged one by one and waited for together: when the input has nothing more to give
 * (then whoever feeds us may be waiting for an acknowledgement), or when much has been staged or
 * some time ago. So a lone record is durable at once, and a file costs few syncs.
 *
 * Since the indexes of one writer follow each other, what is to be acknowledged is always one
 * range: from `acknowledged` to the index of a mark whose epoch is durable.
 */
#include "writer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "acks.h"
#include "figures.h"
#include "signals.h"

enum {
    UNSETTLED_BYTES = 4 * 1024 * 1024,
    UNSETTLED_MS = 10,
    ACK_BUFFER = 4096, /* what a pipe that is ready takes without blocking (PIPE_BUF) */
    INDEX_TEXT = 24,
    BACKGROUND_US = 1000 * 1000, /* then signals are looked for */
};

void writer_init(struct writer *writer, struct firn_log *log, enum firn_durability durability,
                 bool acknowledge, uint64_t next_index)
{
    *writer = (struct writer){
        .log = log,
        .durability = durability,
        .acknowledge = acknowledge,
        .first_index = next_index,
        .acknowledged = next_index,
        .staged.next_index = next_index,
        .awaited.next_index = next_index,
    };
}

int writer_append(struct writer *writer, const struct firn_record *records, size_t count,
                  struct firn_error *err)
{
    struct firn_append_options options = {.no_wait = true};
    struct firn_appended appended;
    int result = firn_log_append(writer->log, records, count, &options, &appended, err);
    if (result)
        return result;
    writer->staged = (struct mark){appended.index + count, appended.epoch};
    if (writer->waiting == 0)
        writer->waiting_since = figures_clock();
    for (size_t i = 0; i < count; i++) /* 0: nothing waits */
        writer->waiting += records[i].key.size + records[i].value.size + 1;
    return 0;
}

/* ---- acknowledgements ------------------------------------------------------------------- */

/* 0, or an errno; EINTR where there is no reader. The records are durable all the same. */
static int print_acks(uint64_t from, uint64_t to)
{
    char text[ACK_BUFFER];
    size_t used = 0;
    int error = 0;
    for (uint64_t index = from; index < to && !error; index++) {
        used += (size_t)snprintf(text + used, INDEX_TEXT, "%llu\n", (unsigned long long)index);
        if (used > sizeof text - INDEX_TEXT || index + 1 == to) {
            error = acks_write(text, used);
            used = 0;
        }
    }
    return error;
}

int writer_acknowledge(struct writer *writer, struct mark mark, struct firn_error *err)
{
    uint64_t from = writer->acknowledged;
    writer->acknowledged = mark.next_index;
    if (!writer->acknowledge || writer->output_error || from >= mark.next_index)
        return 0;
    int error = print_acks(from, mark.next_index);
    if (error == EINTR)
        writer->acknowledge = false;
    if (!error || error == EINTR)
        return 0;
    writer->output_error = error;
    return firn_error_set(err, FIRN_EIO, error, "standard output: %s", strerror(error));
}

/* ---- waiting ---------------------------------------------------------------------------- */

static int wait_for(struct writer *writer, struct mark mark, uint64_t timeout_us,
                    struct firn_error *err)
{
    if (mark.next_index <= writer->acknowledged)
        return 0;
    int result = firn_log_wait_epoch(writer->log, mark.epoch, timeout_us, err);
    return result ? result : writer_acknowledge(writer, mark, err);
}

/* The background thread makes it durable. The mark that is looked at stays until it is, so that
 * acknowledgements come even while records keep coming. */
static int settle_in_background(struct writer *writer, bool idle, struct firn_error *err)
{
    int result = wait_for(writer, writer->awaited, 0, err);
    if (!result)
        writer->awaited = writer->staged;
    while (idle && (!result || result == FIRN_ETIMEDOUT) && !signals_caught() &&
           writer->acknowledged < writer->staged.next_index)
        result = wait_for(writer, writer->staged, BACKGROUND_US, err);
    return result == FIRN_ETIMEDOUT ? 0 : result;
}

static bool has_waited_enough(const struct writer *writer)
{
    if (writer->waiting == 0)
        return false;
    return writer->waiting >= UNSETTLED_BYTES ||
           figures_clock() - writer->waiting_since >= UNSETTLED_MS / 1e3;
}

int writer_settle(struct writer *writer, bool idle, struct firn_error *err)
{
    if (writer->durability == FIRN_DURABILITY_GROUP && writer->acknowledge)
        return settle_in_background(writer, idle, err);
    if (writer->durability != FIRN_DURABILITY_EACH)
        return 0;
    if (!idle && !has_waited_enough(writer))
        return 0;
    writer->waiting = 0;
    return wait_for(writer, writer->staged, FIRN_FOREVER, err);
}

int writer_finish(struct writer *writer, struct firn_error *err)
{
    return wait_for(writer, writer->staged, FIRN_FOREVER, err);
}
