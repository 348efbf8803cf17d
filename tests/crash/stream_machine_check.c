/* SPDX-License-Identifier: MIT */
/* What must hold of a stream, and of its files. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rig.h"
#include "stream_machine_private.h"

void machine_broken(struct stream_machine *machine, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (!machine->broken[0])
        vsnprintf(machine->broken, sizeof machine->broken, format, args);
    va_end(args);
}

FIRN_PRINTF(2, 3) static bool wrong(struct stream_machine *machine, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(machine->why, sizeof machine->why, format, args);
    va_end(args);
    return false;
}

/* ---- the files' names ---- */

struct names {
    uint32_t from; /* number of part 0 */
    uint32_t count, lowest, highest;
    bool unfinished;
};

static int take_name(void *arg, const char *path, const struct firn_entry *entry)
{
    struct names *names = arg;
    unsigned number, shift;
    (void)entry;
    names->unfinished = names->unfinished || strstr(path, ".tmp");
    if (sscanf(path, "dir/seq.%4x-%u", &number, &shift) != 2 || strstr(path, ".tmp"))
        return 0;
    uint32_t part = (number - names->from) & 0xffff;
    names->lowest = names->count == 0 || part < names->lowest ? part : names->lowest;
    names->highest = names->count == 0 || part > names->highest ? part : names->highest;
    names->count++;
    return 0;
}

static struct names names_of(const struct stream_machine *machine)
{
    struct names names;
    do
        names = (struct names){.from = machine->model.name_from};
    while (firn_faulty_walk(machine->faulty, FIRN_FAULTY_CURRENT, take_name, &names) < 0);
    return names;
}

/* The first file may have any number: a growth that failed may have used up some. */
void machine_follow_names(struct stream_machine *machine)
{
    struct stream_model *model = &machine->model;
    struct names names = names_of(machine);
    if (model->first == model->end && names.count > 0)
        model->name_from = (model->name_from + names.lowest - model->first) & 0xffff;
}

/* Without a file names begin at 1 again. */
void machine_follow(struct stream_machine *machine)
{
    struct stream_model *model = &machine->model;
    machine_follow_names(machine);
    struct names names = names_of(machine);
    uint32_t first = names.lowest, end = names.highest + 1;
    if (names.count == 0) {
        first = end = model->maybe_first > model->end ? model->maybe_first : model->end;
        model->name_from = (1 - end) & 0xffff;
    }
    if (first < model->first || first > model->maybe_first || end < model->end ||
        end > model->maybe_end || end - first != names.count)
        machine_broken(machine, "%u files, parts %u to %u; not from %u or %u to %u or %u",
                       names.count, first, end, model->first, model->maybe_first, model->end,
                       model->maybe_end);
    stream_model_open(model, first, end);
}

/* ---- reading ---- */

static bool read_to_end(struct stream_machine *machine, struct firn_stream_reader *reader,
                        uint64_t position)
{
    struct firn_chunk chunk;
    int rc;
    while ((rc = firn_stream_reader_next(reader, &chunk)) == 0) {
        bool good = chunk.position == position && chunk.size > 0 &&
                    stream_model_equals(&machine->model, position, chunk.data, chunk.size);
        position += chunk.size;
        firn_chunk_release(&chunk);
        if (!good)
            return wrong(machine, "%zu bytes at %" PRIu64 " read otherwise", chunk.size,
                         chunk.position);
    }
    if (rc != FIRN_EEND)
        return wrong(machine, "a reader ends with %s", firn_error_name(rc));
    return position == firn_stream_end(machine->stream) ||
           wrong(machine, "a reader ends at %" PRIu64, position);
}

bool stream_machine_check_reads(struct stream_machine *machine)
{
    struct firn_stream_reader *reader;
    uint64_t end = firn_stream_end(machine->stream);
    if (machine->broken[0])
        return wrong(machine, "%s", machine->broken);
    if (end != stream_model_end(&machine->model, false))
        return wrong(machine, "the end is at %" PRIu64 ", not %" PRIu64, end,
                     stream_model_end(&machine->model, false));
    int rc = firn_stream_reader_open(machine->stream, &reader, &machine->err);
    if (rc == FIRN_ENOMEM) /* an allocation that a test denies, once */
        rc = firn_stream_reader_open(machine->stream, &reader, &machine->err);
    if (rc < 0)
        return wrong(machine, "a reader: %s", machine->err.message);
    bool good = read_to_end(machine, reader, firn_stream_offset(machine->stream));
    firn_stream_reader_close(reader);
    return good;
}

/* ---- what is there ---- */

/* Only spilled bytes, which nobody can see: they may be taken for an append that was not synced. */
static bool is_cut_first(struct stream_machine *machine)
{
    struct firn_stream_stats stats;
    struct stream_model *model = &machine->model;
    if (model->first == model->end || model->count == 0 ||
        model->appends[model->count - 1].part >= model->first)
        return false;
    return firn_stream_part_stats(machine->stream, &stats, 1) >= 1 && stats.data_used == 0 &&
           stream_model_used(model, model->first) > 0;
}

static bool settle_model(struct stream_machine *machine)
{
    struct stream_model *model = &machine->model;
    struct firn_stream_recovery recovery;
    uint64_t end = firn_stream_end(machine->stream);
    firn_stream_get_recovery(machine->stream, &recovery);
    bool maybe = model->maybe_append;
    if (maybe && end == stream_model_end(model, true))
        stream_model_acknowledge(model);
    else if (maybe && end == stream_model_end(model, false))
        stream_model_pop(model);
    else if (end != stream_model_end(model, false))
        return wrong(machine, "the end is at %" PRIu64 ", not %" PRIu64 " or %" PRIu64, end,
                     stream_model_end(model, false), stream_model_end(model, true));
    bool cut_first = is_cut_first(machine);
    if (cut_first)
        stream_model_cut_first(model);
    maybe = maybe || cut_first || machine->cut_seen;
    if (recovery.cut_bytes > 0 && (!recovery.recovered || !maybe))
        return wrong(machine, "%" PRIu64 " bytes are cut, of nothing", recovery.cut_bytes);
    machine->cut_seen = recovery.cut_bytes > 0;
    return true;
}

static void count_finding(void *arg, const struct firn_stream_finding *finding)
{
    struct firn_stream_finding *last = arg;
    *last = *finding;
}

static bool check_verify(struct stream_machine *machine)
{
    struct firn_stream_finding last = {0};
    int rc = firn_stream_verify(machine->stream, count_finding, &last, &machine->err);
    if (rc == 0 && !last.fault)
        return true;
    return wrong(machine, "verify: %s: part %" PRIu64 " block %" PRIu64 ": %s",
                 rc < 0 ? machine->err.message : "no error", last.part, last.block,
                 last.fault ? firn_stream_fault_text(last.fault) : "no finding");
}

bool machine_check_loaded(struct stream_machine *machine)
{
    struct firn_stream_stats stats;
    if (machine->broken[0])
        return wrong(machine, "%s", machine->broken);
    firn_stream_get_stats(machine->stream, &stats);
    if (stats.parts != machine->model.end - machine->model.first)
        return wrong(machine, "%" PRIu64 " parts", stats.parts);
    bool good = settle_model(machine);
    machine->cut_seen = false;
    return good && stream_machine_check_reads(machine);
}

bool stream_machine_check(struct stream_machine *machine)
{
    if (names_of(machine).unfinished)
        return wrong(machine, "an unfinished file is left");
    return machine_check_loaded(machine) && check_verify(machine);
}

/* ---- files ---- */

struct digest {
    struct stream_machine *machine;
    char paths[64][32];
    int count;
};

static int take_path(void *arg, const char *path, const struct firn_entry *entry)
{
    struct digest *digest = arg;
    (void)entry;
    if (digest->count == 64)
        abort();
    snprintf(digest->paths[digest->count++], sizeof digest->paths[0], "%s", path);
    return 0;
}

static uint64_t sum_bytes(uint64_t sum, const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        sum = (sum ^ bytes[i]) * 0x100000001b3u;
    return sum;
}

/* A number for all names and bytes. */
static uint64_t sum_files(struct stream_machine *machine)
{
    struct digest digest = {.machine = machine};
    uint64_t sum = 0xcbf29ce484222325u;
    firn_faulty_walk(machine->faulty, FIRN_FAULTY_CURRENT, take_path, &digest);
    for (int i = 0; i < digest.count; i++) {
        void *bytes = NULL;
        size_t size = 0;
        (void)firn_faulty_get(machine->faulty, digest.paths[i], FIRN_FAULTY_CURRENT, &bytes, &size,
                              NULL);
        sum = sum_bytes(sum, (const uint8_t *)digest.paths[i], strlen(digest.paths[i]));
        sum = sum_bytes(sum, bytes, size);
        free(bytes);
    }
    return sum;
}

bool stream_machine_check_read_only(struct stream_machine *machine)
{
    struct firn_stream_recovery recovery;
    if (machine_break_lock(machine) < 0)
        return wrong(machine, "breaking a lock: %s", machine->err.message);
    uint64_t before = sum_files(machine);
    if (machine_open_with(machine, true) < 0)
        return wrong(machine, "opening for reading: %s", machine->err.message);
    bool good = !machine->broken[0] || wrong(machine, "%s", machine->broken);
    good = good && settle_model(machine) && stream_machine_check_reads(machine);
    firn_stream_get_recovery(machine->stream, &recovery);
    good = good && (recovery.recovered || check_verify(machine)); /* what was cut is still there */
    if (stream_machine_close(machine) < 0 && good)
        good = wrong(machine, "closing for reading: %s", machine->err.message);
    if (good && sum_files(machine) != before)
        good = wrong(machine, "opening for reading changes a file");
    return good;
}

static void forget_notes(uint8_t *bytes, size_t size)
{
    for (size_t at = 0; at + STREAM_MODEL_META <= size; at += STREAM_MODEL_BLOCK)
        memset(bytes + at + 16, 0, STREAM_MODEL_META - 16);
}

static bool check_file(struct stream_machine *machine, uint32_t part)
{
    static uint8_t image[STREAM_MODEL_PART_MOST];
    char path[32];
    void *bytes = NULL;
    size_t size = 0, at = 0, wanted;
    wanted = stream_model_capacity(&machine->model, part) / STREAM_MODEL_PAYLOAD *
             STREAM_MODEL_BLOCK;
    snprintf(path, sizeof path, "dir/seq.%04x-%d", (part + machine->model.name_from) & 0xffff,
             STREAM_MODEL_SHIFT);
    if (firn_faulty_get(machine->faulty, path, FIRN_FAULTY_CURRENT, &bytes, &size, NULL) < 0)
        return wrong(machine, "%s is not there", path);
    stream_model_image(&machine->model, part, image);
    if (machine->notes_stay)
        forget_notes(bytes, size);
    while (at < size && at < wanted && ((const uint8_t *)bytes)[at] == image[at])
        at++;
    free(bytes);
    return (at == wanted && at == size) ||
           wrong(machine, "closed, %s of %zu bytes is otherwise at %zu (block %zu)", path, size, at,
                 at / STREAM_MODEL_BLOCK);
}

bool stream_machine_check_files(struct stream_machine *machine)
{
    for (uint32_t part = machine->model.first; part < machine->model.end; part++)
        if (!check_file(machine, part))
            return false;
    return true;
}

bool stream_machine_check_leaks(struct stream_machine *machine)
{
    return rig_check_leaks(machine->faulty, machine->why, sizeof machine->why);
}

/* ---- a life ---- */

static bool close_cleanly(struct stream_machine *machine)
{
    if (stream_machine_close(machine) < 0)
        return wrong(machine, "closing: %s", machine->err.message);
    return stream_machine_check_files(machine);
}

static bool append_again(struct stream_machine *machine)
{
    for (const char *operation = "sBS"; *operation; operation++)
        if (stream_machine_do(machine, *operation) < 0)
            return wrong(machine, "appending again: %s", machine->err.message);
    return stream_machine_check_reads(machine);
}

static bool open_clean(struct stream_machine *machine)
{
    struct firn_stream_recovery recovery;
    if (stream_machine_open(machine) < 0)
        return wrong(machine, "opening after a clean close: %s", machine->err.message);
    firn_stream_get_recovery(machine->stream, &recovery);
    if (recovery.recovered || recovery.cut_bytes)
        return wrong(machine, "not clean after a clean close");
    return stream_machine_check(machine);
}

bool stream_machine_check_life(struct stream_machine *machine)
{
    if (stream_machine_open(machine) < 0)
        return wrong(machine, "opening: %s", machine->err.message);
    bool good = stream_machine_check(machine) && append_again(machine) && close_cleanly(machine) &&
                open_clean(machine) && close_cleanly(machine) &&
                stream_machine_check_read_only(machine);
    if (!good)
        stream_machine_close(machine);
    return good && stream_machine_check_leaks(machine);
}
