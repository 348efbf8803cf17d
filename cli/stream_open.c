/* SPDX-License-Identifier: MIT */
/* firn stream: opening and closing, and what to do about errors. */
#include <string.h>

#include "report.h"
#include "stream.h"

static const char name[] = "stream";

/* 16 MiB a file. The first bytes of each block say what the others are. */
enum { BLOCK_SHIFT = 12, BLOCK_COUNT = 4096, BLOCK_META = 48 };

/* ---- errors ----------------------------------------------------------------------------- */

static const char *unlock(const struct stream_call *call)
{
    struct firn_block_holder holder;
    if (firn_block_sequence_holder(NULL, call->dir, call->name, &holder, NULL) || holder.alive)
        return ": wait until it has ended, or end it";
    return ": --break-lock does";
}

static const char *what_to_do(const struct stream_call *call, int code)
{
    switch (code) {
    case FIRN_ENOENT:
        return ": check the name; 'firn stream append --make-dir' makes the directory";
    case FIRN_ELOCKED:
        return unlock(call);
    case FIRN_EDAMAGED:
        return call->verifies ? "" : ": 'firn stream verify' lists all damage";
    case FIRN_EPOISONED:
        return ": what was acknowledged is kept; check the disk, then run 'firn stream verify'";
    case FIRN_ENOSPC:
        return ": make room";
    default:
        return "";
    }
}

int stream_report(const struct stream_call *call, const struct firn_error *err)
{
    const char *message = err->message[0] ? err->message : firn_strerror(err->code);
    const char *todo = what_to_do(call, err->code);
    if (strncmp(message, call->dir, strlen(call->dir)) == 0) /* it names a file */
        return report_failure(name, "%s%s", message, todo);
    return report_failure(name, "%s/%s: %s%s", call->dir, call->name, message, todo);
}

int stream_check_exists(const struct stream_call *call)
{
    struct firn_stream_stats stats;
    firn_stream_get_stats(call->stream, &stats);
    if (stats.parts > 0)
        return STATUS_DONE;
    return report_failure(name,
                          "%s: no stream '%s' here: check the name; 'firn stream append' creates "
                          "one",
                          call->dir, call->name);
}

/* ---- reading ---------------------------------------------------------------------------- */

static void look_for_lock(struct stream_call *call)
{
    int rc = firn_block_sequence_holder(NULL, call->dir, call->name, &call->holder, NULL);
    call->was_locked = rc == 0 && !call->holder.alive;
}

int stream_open_blocks_to_read(struct stream_call *call)
{
    struct firn_error err = {0};
    const struct firn_block_options options = {.read_only = true, .break_dead_lock = true};
    look_for_lock(call);
    sequence_look(&call->sequence, call->dir, call->name);
    if (firn_block_sequence_open(call->dir, call->name, BLOCK_COUNT, BLOCK_SHIFT, &options,
                                 &call->allocator, &err))
        return stream_report(call, &err);
    if (call->was_locked)
        report_note(name, "%s/%s: locked by process %lld, which is gone: not minded", call->dir,
                    call->name, (long long)call->holder.process);
    return STATUS_DONE;
}

int stream_load_to_read(struct stream_call *call, const struct firn_stream_options *options,
                        struct firn_error *err)
{
    struct firn_stream_options read_only = options ? *options : (struct firn_stream_options){0};
    read_only.read_only = true;
    return firn_stream_open(call->allocator, &read_only, &call->stream, err);
}

int stream_open_to_read(struct stream_call *call)
{
    struct firn_error err = {0};
    int status = stream_open_blocks_to_read(call);
    if (status != STATUS_DONE)
        return status;
    return stream_load_to_read(call, NULL, &err) ? stream_report(call, &err)
                                                 : stream_check_exists(call);
}

/* ---- writing ---------------------------------------------------------------------------- */

/* So that the directory is there after a crash. */
static int sync_parent(struct firn_disk *disk, const char *dir, struct firn_error *err)
{
    char parent[4096];
    size_t length = strlen(dir);
    while (length > 1 && dir[length - 1] == '/')
        length--;
    while (length > 0 && dir[length - 1] != '/')
        length--;
    while (length > 1 && dir[length - 1] == '/')
        length--;
    if (length >= sizeof parent)
        return firn_error_set(err, FIRN_ETOOBIG, 0, "%s: the name is too long", dir);
    memcpy(parent, dir, length);
    parent[length] = '\0';
    return disk->ops->sync_dir(disk, length ? parent : ".", err);
}

static int make_dir(const char *dir, struct firn_error *err)
{
    struct firn_disk *disk = firn_disk_posix();
    int rc = disk->ops->make_dir(disk, dir, err);
    if (rc == FIRN_EEXIST)
        return 0;
    return rc == 0 ? sync_parent(disk, dir, err) : rc;
}

static int load_to_write(struct stream_call *call)
{
    struct firn_error err = {0};
    const struct firn_stream_options options = {.span_bytes = call->options.span.value};
    if (firn_stream_open(call->allocator, &options, &call->stream, &err))
        return stream_report(call, &err);
    struct firn_stream_recovery recovery;
    firn_stream_get_recovery(call->stream, &recovery);
    if (recovery.cut_bytes && !call->options.quiet)
        report_note(name, "%s/%s: was not closed: %llu bytes that were not acknowledged are cut",
                    call->dir, call->name, (unsigned long long)recovery.cut_bytes);
    return STATUS_DONE;
}

/* New files are like the last one, as far as nothing else is asked for. */
static int open_to_write(struct stream_call *call)
{
    struct firn_error err = {0};
    const struct stream_options *asked = &call->options;
    const struct firn_block_options options = {
        .env = call->env,
        .break_dead_lock = asked->break_lock,
    };
    look_for_lock(call);
    sequence_look(&call->sequence, call->dir, call->name);
    bool is_new = call->sequence.blocks == 0;
    uint64_t count = is_new ? BLOCK_COUNT : call->sequence.blocks;
    unsigned shift = is_new ? BLOCK_SHIFT : sequence_shift(&call->sequence);
    if (asked->block_count.given)
        count = asked->block_count.value;
    if (asked->block_shift.given)
        shift = (unsigned)asked->block_shift.value;
    call->file_bytes = count * ((UINT64_C(1) << shift) - BLOCK_META);
    if (firn_block_sequence_open(call->dir, call->name, count, shift, &options, &call->allocator,
                                 &err))
        return stream_report(call, &err);
    if (call->was_locked && !asked->quiet)
        report_note(name, "%s/%s: the lock of process %lld, which is gone, is broken", call->dir,
                    call->name, (long long)call->holder.process);
    return load_to_write(call);
}

static int create(struct stream_call *call)
{
    struct firn_error err = {0};
    struct firn_stream_stats stats;
    firn_stream_get_stats(call->stream, &stats);
    if (stats.parts > 0)
        return STATUS_DONE;
    if (call->options.no_create)
        return stream_check_exists(call);
    return firn_stream_grow(call->stream, &err) ? stream_report(call, &err) : STATUS_DONE;
}

int stream_open_to_append(struct stream_call *call)
{
    struct firn_error err = {0};
    if (call->options.make_dir && make_dir(call->dir, &err))
        return stream_report(call, &err);
    if (firn_env_new(NULL, &call->env, &err))
        return stream_report(call, &err);
    int status = open_to_write(call);
    return status == STATUS_DONE ? create(call) : status;
}

int stream_open_to_trim(struct stream_call *call)
{
    int status = open_to_write(call);
    return status == STATUS_DONE ? stream_check_exists(call) : status;
}

int stream_close(struct stream_call *call, int status)
{
    struct firn_error err = {0};
    if (firn_stream_close(call->stream, &err) && status == STATUS_DONE)
        status = stream_report(call, &err);
    if (call->allocator && firn_block_allocator_close(call->allocator, &err) &&
        status == STATUS_DONE)
        status = stream_report(call, &err);
    firn_env_free(call->env);
    return status;
}
