/* SPDX-License-Identifier: MIT */
#include "stream_machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <firn/disk.h>

#include "rig.h"
#include "stream_machine_private.h"

enum { PAYLOAD = STREAM_MODEL_PAYLOAD, LISTS = 500 };

/* ---- life ---- */

void stream_machine_init(struct stream_machine *machine, const struct stream_shape *shape)
{
    memset(machine, 0, sizeof *machine);
    machine->shape = shape;
    stream_model_init(&machine->model, shape->blocks, shape->spans ? SIZE_MAX : 0);
    /* What a block says of itself lies in one sector, which is there wholly or not at all. */
    const struct firn_faulty_options options = {.whole_sectors = true};
    if (firn_faulty_new(&options, &machine->faulty, NULL) < 0)
        abort();
    struct firn_disk *disk = firn_faulty_disk(machine->faulty);
    if (disk->ops->make_dir(disk, "dir", NULL) < 0 || firn_faulty_settle(machine->faulty, NULL) < 0)
        abort();
}

void stream_machine_copy(const struct stream_machine *from, struct stream_machine *to)
{
    to->shape = from->shape;
    to->env = NULL;
    to->allocator = NULL;
    to->stream = NULL;
    to->opened = 0;
    to->err = (struct firn_error){0};
    to->why[0] = '\0';
    to->cut_seen = from->cut_seen;
    to->notes_stay = from->notes_stay;
    memcpy(to->broken, from->broken, sizeof to->broken);
    if (firn_faulty_clone(from->faulty, &to->faulty, NULL) < 0)
        abort();
    stream_model_copy(&from->model, &to->model);
}

void stream_machine_done(struct stream_machine *machine)
{
    stream_machine_close(machine);
    firn_faulty_free(machine->faulty);
}

static void end_env(struct stream_machine *machine)
{
    if (firn_env_free(machine->env) < 0)
        abort(); /* something is still open in it */
    machine->env = NULL;
}

int machine_break_lock(struct stream_machine *machine)
{
    struct firn_disk *disk = firn_faulty_disk(machine->faulty);
    struct firn_block_holder holder;
    int rc = firn_block_sequence_holder(disk, "dir", "seq", &holder, &machine->err);
    if (rc == 0)
        rc = firn_block_sequence_break_lock(disk, "dir", "seq", holder.text, &machine->err);
    return rc == FIRN_ENOENT ? 0 : rc;
}

static void found_while_opening(void *arg, const struct firn_stream_finding *finding)
{
    struct stream_machine *machine = arg;
    machine_broken(machine, "opened, though %s", firn_stream_fault_text(finding->fault));
}

static int open_stream(struct stream_machine *machine, bool read_only)
{
    const struct firn_stream_options options = {
        .span_bytes = machine->model.span_bytes,
        .read_only = read_only,
        .verify = machine->opened % 2,
        .finding = found_while_opening,
        .arg = machine,
    };
    char broken[sizeof machine->broken];
    memcpy(broken, machine->broken, sizeof broken);
    int rc = firn_stream_open(machine->allocator, &options, &machine->stream, &machine->err);
    if (rc == 0)
        return 0;
    memcpy(machine->broken, broken, sizeof broken); /* findings are what to expect then */
    machine->stream = NULL;
    return rc;
}

int machine_open_with(struct stream_machine *machine, bool read_only)
{
    const struct firn_env_options manual = {.manual = true};
    if (machine->shape->env && firn_env_new(&manual, &machine->env, &machine->err) < 0)
        return machine->err.code;
    const struct firn_block_options options = {
        .disk = firn_faulty_disk(machine->faulty), .env = machine->env, .read_only = read_only};
    int rc = machine_break_lock(machine);
    if (rc == 0)
        rc = firn_block_sequence_open("dir", "seq", machine->model.blocks, STREAM_MODEL_SHIFT,
                                      &options, &machine->allocator, &machine->err);
    if (rc < 0) {
        end_env(machine);
        machine->allocator = NULL;
        return rc;
    }
    machine->opened++;
    rc = open_stream(machine, read_only);
    if (rc < 0) {
        struct firn_error err = machine->err;
        stream_machine_close(machine);
        machine->err = err;
        return rc;
    }
    machine_follow(machine);
    return 0;
}

int stream_machine_open(struct stream_machine *machine)
{
    return machine_open_with(machine, false);
}

int stream_machine_close(struct stream_machine *machine)
{
    struct firn_error err = {0};
    int rc = firn_stream_close(machine->stream, &machine->err);
    if (rc < 0 && !firn_faulty_is_off(machine->faulty))
        machine->notes_stay = true;
    machine->stream = NULL;
    if (machine->allocator) {
        int close_rc = firn_block_allocator_close(machine->allocator, &err);
        if (close_rc == FIRN_EBUSY)
            abort(); /* the stream left blocks open */
        if (rc == 0 && close_rc < 0) {
            machine->err = err;
            rc = close_rc;
        }
    }
    machine->allocator = NULL;
    end_env(machine);
    return rc;
}

bool stream_machine_is_poisoned(struct stream_machine *machine)
{
    struct firn_stream_appending *append;
    int rc = machine->stream ? firn_stream_append(machine->stream, "", 0, &append, NULL) : 0;
    if (machine->stream && rc == 0)
        (void)firn_stream_append_end(append, NULL);
    return rc == FIRN_EPOISONED;
}

/* ---- appends ---- */

enum way { IN_ONE, RETRIED, BY_THE_END, GROWING, WAYS };

static int grow(struct stream_machine *machine);

static const uint8_t *bytes_of(const struct stream_append *append)
{
    static uint8_t bytes[STREAM_MODEL_PART_MOST];
    stream_model_make(append, bytes);
    return bytes;
}

/* What an append may return, and what follows from it. */
static int settle_append(struct stream_machine *machine, int rc, uint64_t end)
{
    if (rc == 0)
        stream_model_acknowledge(&machine->model);
    else if (rc != FIRN_EPOISONED)
        stream_model_pop(&machine->model);
    if (rc < 0 && rc != FIRN_EPOISONED && rc != FIRN_ENOSPC && rc != FIRN_ENOMEM)
        machine_broken(machine, "a sync returned %s", firn_error_name(rc));
    uint64_t now = firn_stream_end(machine->stream);
    if (now != (rc == 0 ? stream_model_end(&machine->model, true) : end))
        machine_broken(machine, "after an append (%s) the end is %llu", firn_error_name(rc),
                       (unsigned long long)now);
    return rc;
}

/* Ending it syncs once more, where nothing was written. */
static int sync_in_steps(struct stream_machine *machine, struct firn_stream_appending *append,
                         enum way way)
{
    int rc = 0;
    if (firn_stream_append_is_synced(append))
        machine_broken(machine, "synced before it was");
    if (way == GROWING)
        (void)grow(machine);
    if (way != BY_THE_END)
        rc = firn_stream_append_sync(append, &machine->err);
    if (way == RETRIED)
        rc = firn_stream_append_sync(append, &machine->err);
    if (way != BY_THE_END && firn_stream_append_is_synced(append) != (rc == 0))
        machine_broken(machine, "is_synced says otherwise");
    int end_rc = firn_stream_append_end(append, &machine->err);
    if (end_rc != rc && (rc == FIRN_EPOISONED || (rc == 0 && way != BY_THE_END)))
        machine_broken(machine, "%s, and in the end %s", firn_error_name(rc),
                       firn_error_name(end_rc));
    return end_rc;
}

static int append_in_steps(struct stream_machine *machine, const struct stream_append *made,
                           uint64_t end, enum way way)
{
    struct firn_stream_appending *append;
    int rc = firn_stream_append(machine->stream, bytes_of(made), made->size, &append,
                                &machine->err);
    if (rc < 0) {
        stream_model_pop(&machine->model);
        return rc;
    }
    if (firn_stream_append_position(append) != made->position)
        machine_broken(machine, "an append begins at %llu",
                       (unsigned long long)firn_stream_append_position(append));
    if (made->size > 0 && firn_stream_end(machine->stream) != end)
        machine_broken(machine, "bytes are there before they are synced");
    rc = made->size > 0 ? sync_in_steps(machine, append, way)
                        : firn_stream_append_end(append, NULL);
    return settle_append(machine, rc, end);
}

/* Growing, where need be; of less bytes than `size` where no part could hold them. */
int stream_machine_append(struct stream_machine *machine, uint32_t size)
{
    struct stream_model *model = &machine->model;
    uint64_t end = stream_model_end(model, true), position = 0;
    size = stream_model_fit(model, size);
    const struct stream_append *made = stream_model_push(model, size);
    if (!made) {
        int rc = firn_stream_write(machine->stream, model, size, NULL, &machine->err);
        if (rc == 0)
            machine_broken(machine, "there is room for %u bytes, and should be none", size);
        if (rc == FIRN_EAGAIN)
            rc = grow(machine);
        if (rc < 0 || machine->broken[0])
            return rc;
        made = stream_model_push(model, size);
        if (!made)
            abort();
    }
    enum way way = model->stamps % WAYS;
    if (way != IN_ONE || size == 0)
        return append_in_steps(machine, made, end, way);
    int rc = firn_stream_write(machine->stream, bytes_of(made), size, &position, &machine->err);
    if (rc == 0 && position != made->position)
        machine_broken(machine, "an append begins at %llu", (unsigned long long)position);
    return settle_append(machine, rc, end);
}

static int append_by_letter(struct stream_machine *machine, char operation)
{
    struct stream_model *model = &machine->model;
    uint32_t part = stream_model_ending(model), used = 0, capacity = model->blocks * PAYLOAD;
    if (part != UINT32_MAX) {
        used = stream_model_used(model, part);
        capacity = stream_model_capacity(model, part);
    }
    uint32_t in_block = PAYLOAD - used % PAYLOAD, in_part = capacity - used, size = 0;
    if (operation == 's')
        size = 100;
    else if (operation == 'b')
        size = in_block;
    else if (operation == 'B')
        size = in_block + 700;
    else if (operation == 'L')
        size = in_block + PAYLOAD + 300;
    else if (operation == 'H')
        size = in_block + 550 * PAYLOAD + 300;
    else if (operation == 'F')
        size = in_part;
    else if (operation == 'S')
        size = in_part + 500;
    else if (operation == 'W')
        size = in_part + PAYLOAD + 100;
    return stream_machine_append(machine, size);
}

/* ---- parts ---- */

/* After a call that failed the list of parts is asked for. */
static void learn_list(struct stream_machine *machine)
{
    struct firn_stream_stats stats;
    firn_stream_get_stats(machine->stream, &stats);
    machine->model.list_end = machine->model.list_first + (uint32_t)stats.parts;
}

static int grow(struct stream_machine *machine)
{
    struct stream_model *model = &machine->model;
    stream_model_grow(model, model->list_end);
    int rc = firn_stream_grow(machine->stream, &machine->err);
    uint32_t parts = model->list_end - model->list_first;
    learn_list(machine);
    if (rc == 0 && model->list_end - model->list_first != parts + 1)
        machine_broken(machine, "growing does not add a part");
    if (rc == 0)
        machine_follow_names(machine);
    if (rc == 0)
        model->end = model->maybe_end = model->list_end;
    else if (model->maybe_end <= model->end)
        model->maybe_end = model->end + 1;
    return rc;
}

static int shrink(struct stream_machine *machine)
{
    struct stream_model *model = &machine->model;
    struct firn_stream_removed removed = {0};
    uint64_t offset = firn_stream_offset(machine->stream);
    int rc = firn_stream_shrink(machine->stream, &removed, &machine->err);
    if (rc < 0)
        return rc;
    uint32_t first = model->list_first + (uint32_t)removed.parts;
    if (first > model->list_end)
        machine_broken(machine, "more parts are removed than there are");
    for (size_t i = 0; i < model->count; i++) {
        const struct stream_append *append = &model->appends[i];
        if (append->position != UINT64_MAX && append->part < first &&
            append->position + append->size > offset)
            machine_broken(machine, "part %u is removed, and was not read", append->part);
    }
    model->list_first = first;
    return 0;
}

static int release(struct stream_machine *machine, bool force)
{
    struct stream_model *model = &machine->model;
    uint64_t released = 0, left = 0;
    int rc = force ? firn_stream_force_release(machine->stream, &released, &left, &machine->err)
                   : firn_stream_release(machine->stream, &released, &left, &machine->err);
    uint32_t first = model->first + (uint32_t)released;
    if (first + left != model->list_first || (rc == 0 && force && left > 0))
        machine_broken(machine, "released %llu, left %llu", (unsigned long long)released,
                       (unsigned long long)left);
    model->first = first;
    if (model->maybe_first < first)
        model->maybe_first = first;
    if (rc < 0 && left > 0 && model->maybe_first == first)
        model->maybe_first++;
    return rc;
}

static int advance(struct stream_machine *machine)
{
    int rc = firn_stream_advance(machine->stream, firn_stream_end(machine->stream), &machine->err);
    return rc < 0 ? rc : 0;
}

static uint32_t part_at(const struct stream_machine *machine, uint64_t position)
{
    const struct stream_model *model = &machine->model;
    size_t i = 0;
    while (i < model->count && (model->appends[i].position == UINT64_MAX ||
                                model->appends[i].position + model->appends[i].size <= position))
        i++;
    return i < model->count ? model->appends[i].part : UINT32_MAX;
}

/* A reader keeps what it has: a chunk of a part whose storage is released. */
static int release_while_reading(struct stream_machine *machine)
{
    struct firn_stream_reader *reader;
    struct firn_chunk chunk = {0};
    int rc = firn_stream_reader_open(machine->stream, &reader, &machine->err);
    if (rc < 0)
        return rc;
    (void)firn_stream_reader_next(reader, &chunk);
    rc = advance(machine);
    if (rc == 0)
        rc = shrink(machine);
    if (rc == 0)
        rc = release(machine, false);
    if (rc == 0 && chunk.size > 0 && part_at(machine, chunk.position) < machine->model.first)
        machine_broken(machine, "released what a reader has");
    if (rc == 0)
        rc = release(machine, true);
    if (chunk.size > 0 &&
        !stream_model_equals(&machine->model, chunk.position, chunk.data, chunk.size))
        machine_broken(machine, "what a reader has changes");
    firn_chunk_release(&chunk);
    firn_stream_reader_close(reader);
    return rc;
}

/* ---- the others ---- */

static int load(struct stream_machine *machine)
{
    int rc = firn_stream_load(machine->stream, &machine->err);
    if (rc < 0)
        return rc;
    machine_follow(machine);
    if (!machine_check_loaded(machine))
        machine_broken(machine, "loaded: %.150s", machine->why);
    return 0;
}

static int look(struct stream_machine *machine)
{
    int rc = firn_stream_verify(machine->stream, NULL, NULL, &machine->err);
    if (rc == 0 && !stream_machine_check_reads(machine))
        machine_broken(machine, "%.150s", machine->why);
    return rc;
}

static int close_and_open(struct stream_machine *machine)
{
    int rc = stream_machine_close(machine);
    return rc == 0 ? stream_machine_open(machine) : rc;
}

/* The model has room for so many appends only. */
static int make_room(struct stream_machine *machine)
{
    if (machine->model.count < LISTS)
        return 0;
    int rc = advance(machine);
    if (rc == 0)
        rc = shrink(machine);
    if (rc == 0)
        rc = release(machine, true);
    return rc == 0 ? close_and_open(machine) : rc;
}

int stream_machine_do(struct stream_machine *machine, char operation)
{
    int rc;
    switch (operation) {
    case 'g':
        return grow(machine);
    case 'p':
        return firn_stream_prepare(machine->stream, 2 * PAYLOAD, &machine->err);
    case 'a':
        return advance(machine);
    case 'h':
        return shrink(machine);
    case 'x':
        return release(machine, false);
    case 'X':
        return release(machine, true);
    case 'k':
        return release_while_reading(machine);
    case 'v':
        return look(machine);
    case 'l':
        return load(machine);
    case 'c':
        return close_and_open(machine);
    case 'z':
        if (machine->env)
            rig_background(machine->env);
        return 0;
    default:
        rc = make_room(machine);
        return rc == 0 ? append_by_letter(machine, operation) : rc;
    }
}

/* ---- as campaigns see it ---- */

static void stream_machine_take_model(struct stream_machine *machine,
                                      const struct stream_machine *from)
{
    stream_model_copy(&from->model, &machine->model);
    machine->cut_seen = true; /* by a recovery that was interrupted */
}

static size_t stream_machine_possible(const struct stream_machine *machine)
{
    return stream_model_possible(&machine->model);
}

static uint64_t stream_machine_digest(const struct stream_machine *machine)
{
    return stream_model_digest(&machine->model);
}

static bool check_read_only(void *machine)
{
    return stream_machine_check_read_only(machine);
}

EXPLORE_MACHINE(stream_machine, stream_machine_init, stream_machine_open, check_read_only, stream);
