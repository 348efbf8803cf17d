/* SPDX-License-Identifier: MIT */
/*
 * Appending: records are encoded straight into the buffers of the filling group, under the commit
 * lock. Single records join the open batch until it has LOG_BATCH_TARGET bytes; records that are
 * appended together are a batch of their own, which its checksum makes atomic.
 *
 * An index is given out only when nothing can fail any more: the space in the segment is reserved,
 * the next segment is at hand, the buffers are there. Getting one of these may let the lock go;
 * then the plan is made anew.
 */
#include <assert.h>
#include <string.h>

#include "commit/env.h"
#include "log/log_private.h"
#include "log/pack.h"

struct plan {
    bool join;      /* the record joins the open batch */
    bool rotate;    /* a new segment is needed */
    size_t bytes;   /* that the store grows by */
    size_t buffers; /* that are needed beyond the last one */
};

struct append {
    const struct firn_record *records;
    size_t count;
    const uint8_t *ready; /* a whole batch instead; NULL: records */
    size_t span;          /* indexes that it takes */
    const struct firn_append_options *options;
    int64_t now;       /* ms */
    size_t batch_size; /* as a batch of its own */
};

static const struct firn_append_options no_options = {0};

static int64_t time_of(const struct append *append, const struct firn_record *record)
{
    return record->timestamp ? record->timestamp : append->now;
}

/* ---- checks that need no lock ---- */

static size_t own_batch_bytes(const struct append *append)
{
    int64_t base_time = time_of(append, &append->records[0]);
    size_t bytes = BATCH_HEADER;
    for (size_t i = 0; i < append->count; i++) {
        const struct firn_record *record = &append->records[i];
        bytes += record_bytes(
            record_body_bytes(record, time_of(append, record) - base_time, (uint32_t)i));
    }
    return bytes;
}

static int check_records(struct firn_log *log, struct append *append, struct firn_error *err)
{
    if (append->count == 0 || !append->records)
        return firn_error_set(err, FIRN_EINVAL, 0, "no record to append");
    bool needs_now = false;
    for (size_t i = 0; i < append->count; i++) {
        int rc = record_check(&append->records[i], log->record_limit, err);
        if (rc < 0)
            return rc;
        needs_now |= append->records[i].timestamp == 0;
    }
    if (needs_now)
        append->now = log_now(log);
    append->batch_size = own_batch_bytes(append);
    return 0;
}

static int check_span(const struct firn_log *log, size_t span, struct firn_error *err)
{
    if (span <= log->options.segment_records)
        return 0;
    return firn_error_set(err, FIRN_ETOOBIG, 0,
                          "a group of %zu records; a segment of this log holds %llu", span,
                          (unsigned long long)log->options.segment_records);
}

static int check_size(const struct firn_log *log, size_t bytes, struct firn_error *err)
{
    size_t most = env_pool_buffers(log->env) / 2 * COMMIT_BUFFER_ROOM;
    if (bytes <= most && bytes <= log_segment_most(log))
        return 0;
    return firn_error_set(err, FIRN_ETOOBIG, 0,
                          "the group takes %zu bytes as a batch; a segment of this log holds "
                          "%llu and half of the pool %zu",
                          bytes, (unsigned long long)log_segment_most(log), most);
}

/* ---- planning, under the lock ---- */

static size_t room_left(const struct firn_log *log)
{
    const struct commit_buffer *last = log->commit.filling.last;
    return last && last->file == log->staging.segment ? COMMIT_BUFFER_ROOM - last->used : 0;
}

/* Counts buffers as `put_record` will use them. */
static size_t buffers_for(size_t bytes, size_t *left)
{
    if (bytes <= *left) {
        *left -= bytes;
        return 0;
    }
    if (bytes <= COMMIT_BUFFER_ROOM) {
        *left = COMMIT_BUFFER_ROOM - bytes;
        return 1;
    }
    size_t beyond = bytes - *left;
    size_t buffers = (beyond + COMMIT_BUFFER_ROOM - 1) / COMMIT_BUFFER_ROOM;
    *left = buffers * COMMIT_BUFFER_ROOM - beyond;
    return buffers;
}

/* Counts buffers as `sink` will use them. */
static size_t buffers_to_fill(size_t bytes, size_t left)
{
    return bytes <= left ? 0 : (bytes - left + COMMIT_BUFFER_ROOM - 1) / COMMIT_BUFFER_ROOM;
}

static size_t buffers_for_batch(const struct append *append, size_t left)
{
    if (append->ready) {
        size_t first = buffers_for(BATCH_HEADER, &left);
        return first + buffers_to_fill(append->batch_size - BATCH_HEADER, left);
    }
    int64_t base_time = time_of(append, &append->records[0]);
    size_t buffers = buffers_for(BATCH_HEADER, &left);
    for (size_t i = 0; i < append->count; i++) {
        const struct firn_record *record = &append->records[i];
        size_t body = record_body_bytes(record, time_of(append, record) - base_time, (uint32_t)i);
        buffers += buffers_for(record_bytes(body), &left);
    }
    return buffers;
}

/* Whether so much more does not go into the segment. */
static bool must_rotate(const struct firn_log *log, size_t bytes, size_t count)
{
    const struct staging *staging = &log->staging;
    return !staging->segment || staging->position >= log->options.segment_bytes ||
           staging->position + bytes > log_segment_most(log) ||
           staging->next_index - staging->segment->base + count > log->options.segment_records;
}

/* Whether the record joins the open batch, and with how many bytes. */
static bool plan_join(const struct firn_log *log, const struct append *append, struct plan *plan)
{
    const struct staging *staging = &log->staging;
    if (!staging->batch || append->ready || append->count > 1)
        return false;
    size_t bytes = record_bytes(record_body_bytes(
        append->records, time_of(append, append->records) - staging->open.base_time,
        staging->open.count));
    if (staging->open.bytes + bytes > LOG_BATCH_TARGET || bytes > room_left(log) ||
        must_rotate(log, bytes, 1))
        return false;
    *plan = (struct plan){.join = true, .bytes = bytes};
    return true;
}

static struct plan make_plan(const struct firn_log *log, const struct append *append)
{
    struct plan plan;
    if (plan_join(log, append, &plan))
        return plan;
    plan = (struct plan){.bytes = append->batch_size};
    plan.rotate = must_rotate(log, plan.bytes, append->span);
    size_t left = plan.rotate ? 0 : room_left(log);
    if (append->span == 1 && plan.bytes <= left)
        return plan;
    plan.buffers = buffers_for_batch(append, left);
    return plan;
}

/* ---- writing, under the lock; nothing fails any more ---- */

static struct commit_buffer *buffer_with(struct firn_log *log, size_t bytes)
{
    if (room_left(log) >= bytes)
        return log->commit.filling.last;
    return commit_add(&log->commit, log->staging.segment, log->staging.position);
}

static void advance(struct firn_log *log, struct commit_buffer *buffer, size_t bytes)
{
    buffer->used += (uint32_t)bytes;
    log->staging.position += bytes;
}

static void sink(void *arg, const void *bytes, size_t size)
{
    struct firn_log *log = arg;
    const uint8_t *at = bytes;
    while (size > 0) {
        struct commit_buffer *buffer = buffer_with(log, 1);
        size_t part = COMMIT_BUFFER_ROOM - buffer->used;
        part = part < size ? part : size;
        memcpy(commit_bytes(buffer) + buffer->used, at, part);
        advance(log, buffer, part);
        at += part;
        size -= part;
    }
}

static void put_record(struct firn_log *log, const struct firn_record *record, int64_t time)
{
    struct batch *open = &log->staging.open;
    int64_t time_delta = time - open->base_time;
    size_t body = record_body_bytes(record, time_delta, open->count);
    size_t bytes = record_bytes(body);
    if (bytes <= COMMIT_BUFFER_ROOM) {
        struct commit_buffer *buffer = buffer_with(log, bytes);
        record_put(commit_bytes(buffer) + buffer->used, record, body, time_delta, open->count);
        advance(log, buffer, bytes);
    } else {
        record_put_pieces(sink, log, record, body, time_delta, open->count);
    }
    open->bytes += (uint32_t)bytes;
    open->last_delta = open->count++;
    if (time > open->max_time)
        open->max_time = time;
}

static void open_batch(struct firn_log *log, int64_t base_time)
{
    struct staging *staging = &log->staging;
    struct commit_buffer *buffer = buffer_with(log, BATCH_HEADER);
    staging->batch = commit_bytes(buffer) + buffer->used;
    staging->open = (struct batch){
        .base = staging->next_index,
        .bytes = BATCH_HEADER,
        .base_time = base_time,
        .max_time = base_time,
        .producer_id = -1,
        .producer_epoch = -1,
    };
    advance(log, buffer, BATCH_HEADER);
}

/* Commit's call: completes the header of the open batch, save what only the committer knows. */
void log_seal(void *owner)
{
    struct firn_log *log = owner;
    struct staging *staging = &log->staging;
    if (!staging->batch)
        return;
    batch_put(staging->batch, &staging->open);
    staging->batch = NULL;
}

/* The committer sets the generation. */
static void stage_ready(struct firn_log *log, const struct append *append)
{
    log_seal(log);
    struct commit_buffer *buffer = buffer_with(log, BATCH_HEADER);
    uint8_t *header = commit_bytes(buffer) + buffer->used;
    memcpy(header, append->ready, BATCH_HEADER);
    batch_set_base(header, log->staging.next_index);
    advance(log, buffer, BATCH_HEADER);
    sink(log, append->ready + BATCH_HEADER, append->batch_size - BATCH_HEADER);
}

static void stage_records(struct firn_log *log, const struct append *append,
                          const struct plan *plan)
{
    if (!plan->join) {
        log_seal(log);
        open_batch(log, time_of(append, &append->records[0]));
    }
    for (size_t i = 0; i < append->count; i++)
        put_record(log, &append->records[i], time_of(append, &append->records[i]));
    if (append->count > 1)
        log_seal(log);
}

/* ---- the way there ---- */

/* Sees to the space that the plan needs. COMMIT_AGAIN: the lock was let go; negative: and stays. */
static int provide_space(struct firn_log *log, const struct plan *plan, struct firn_error *err)
{
    struct staging *staging = &log->staging;
    int rc;
    if (plan->rotate) {
        struct segment *spare = prepare_take_spare(log, staging->next_index, plan->bytes);
        if (spare) {
            log_seal(log);
            staging->segment = spare;
            staging->position = 0;
            return COMMIT_AGAIN;
        }
        commit_end(&log->commit);
        rc = prepare_spare(log, plan->bytes, err);
    } else {
        uint64_t until = staging->position + plan->bytes;
        struct segment *segment = staging->segment;
        if (until <= atomic_load_explicit(&segment->space.reserved_end, memory_order_acquire))
            return 0;
        segment_ref(segment);
        commit_end(&log->commit);
        rc = prepare_reserve(log, segment, until, err);
        segment_unref(segment);
    }
    stats_add(&log->stats, EVENT_NO_SPACE, rc == FIRN_ENOSPC);
    if (rc < 0)
        return rc;
    rc = commit_begin(&log->commit, err);
    return rc < 0 ? rc : COMMIT_AGAIN;
}

static int check_next(const struct firn_log *log, const struct append *append,
                      struct firn_error *err)
{
    if (log->staging.next_index > (uint64_t)INT64_MAX - append->span)
        return firn_error_set(err, FIRN_ERANGE, 0, "%s: all indexes are used up", log->dir);
    if (!append->options->if_next || append->options->next_index == log->staging.next_index)
        return 0;
    return firn_error_set(err, FIRN_EMISMATCH, 0, "%s: the next index is %llu, not %llu", log->dir,
                          (unsigned long long)log->staging.next_index,
                          (unsigned long long)append->options->next_index);
}

/* Stages the records; the lock is not held before nor after. */
static int append_staged(struct firn_log *log, const struct append *append, bool background,
                         struct firn_appended *appended, struct firn_error *err)
{
    struct plan plan;
    int rc = commit_begin(&log->commit, err);
    if (rc < 0)
        return rc;
    do {
        rc = check_next(log, append, err);
        if (rc < 0) {
            commit_end(&log->commit);
            return rc;
        }
        plan = make_plan(log, append);
        rc = provide_space(log, &plan, err);
        if (rc == 0 && plan.buffers)
            rc = commit_provide(&log->commit, plan.buffers, err);
        if (rc < 0)
            return rc;
    } while (rc == COMMIT_AGAIN);
    appended->index = log->staging.next_index;
    if (append->ready)
        stage_ready(log, append);
    else
        stage_records(log, append, &plan);
    log->staging.next_index += append->span;
    stats_appended(&log->stats, append->count, plan.bytes);
    appended->epoch = commit_staged(&log->commit, plan.bytes, append->count, background);
    commit_end(&log->commit);
    return 0;
}

/* Stages it, and waits if the mode says so. */
static int append_checked(struct firn_log *log, const struct append *append,
                          struct firn_appended *appended, struct firn_error *err)
{
    int rc = check_span(log, append->span, err);
    if (rc == 0)
        rc = check_size(log, append->batch_size, err);
    if (rc < 0)
        return rc;
    bool wait = log->options.durability == FIRN_DURABILITY_EACH && !append->options->no_wait;
    struct firn_appended where;
    rc = append_staged(log, append, !wait, &where, err);
    if (rc < 0)
        return rc;
    if (appended)
        *appended = where;
    return wait ? commit_wait(&log->commit, where.epoch, WAIT_FOREVER, err) : 0;
}

int log_append_ready(struct firn_log *log, const uint8_t *bytes, const struct batch *batch,
                     const struct firn_append_options *options, struct firn_appended *appended,
                     struct firn_error *err)
{
    const struct append append = {
        .ready = bytes,
        .count = batch->count ? batch->count : 1, /* an empty one counts too */
        .span = (size_t)batch->last_delta + 1,
        .options = options ? options : &no_options,
        .batch_size = batch->bytes,
    };
    return append_checked(log, &append, appended, err);
}

int firn_log_append(struct firn_log *log, const struct firn_record *records, size_t count,
                    const struct firn_append_options *options, struct firn_appended *appended,
                    struct firn_error *err)
{
    struct append append = {
        .records = records,
        .count = count,
        .span = count,
        .options = options ? options : &no_options,
    };
    if (log->options.read_only)
        return firn_error_set(err, FIRN_EREADONLY, 0, "%s: opened read-only", log->dir);
    int rc = check_records(log, &append, err);
    if (rc < 0)
        return rc;
    struct buffer packed = {0};
    struct batch batch;
    if (pack_pays(log, count, append.batch_size) &&
        pack_records(log, records, count, append.now, append.batch_size, &packed, &batch)) {
        rc = log_append_ready(log, packed.data, &batch, options, appended, err);
        buffer_free(&packed);
        return rc;
    }
    return append_checked(log, &append, appended, err);
}

int firn_log_wait_epoch(struct firn_log *log, uint64_t epoch, uint64_t timeout_us,
                        struct firn_error *err)
{
    if (log->options.read_only)
        return firn_error_set(err, FIRN_EREADONLY, 0, "%s: opened read-only", log->dir);
    return commit_wait(&log->commit, epoch, wait_ns_of_us(timeout_us), err);
}

int firn_log_flush(struct firn_log *log, struct firn_error *err)
{
    if (log->options.read_only)
        return firn_error_set(err, FIRN_EREADONLY, 0, "%s: opened read-only", log->dir);
    return commit_force(&log->commit, err);
}
