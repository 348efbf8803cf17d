/* SPDX-License-Identifier: MIT */
#include "machine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../log/make_batch.h"
#include "base/codec.h"
#include "log/log_private.h"
#include "rig.h"

enum { SMALL = 40, GROUP = 3 };

static bool wrong(struct machine *machine, const char *format, ...) FIRN_PRINTF(2, 3);

static bool wrong(struct machine *machine, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(machine->why, sizeof machine->why, format, args);
    va_end(args);
    return false;
}

void machine_init(struct machine *machine, enum firn_durability durability, uint64_t segment_bytes)
{
    *machine = (struct machine){.durability = durability, .segment_bytes = segment_bytes};
    if (firn_faulty_new(NULL, &machine->faulty, NULL) < 0)
        abort();
    model_init(&machine->model, 0);
}

void machine_copy(const struct machine *from, struct machine *to)
{
    *to = (struct machine){.durability = from->durability, .segment_bytes = from->segment_bytes};
    if (firn_faulty_clone(from->faulty, &to->faulty, NULL) < 0)
        abort();
    model_copy(&from->model, &to->model);
}

void machine_done(struct machine *machine)
{
    machine_close(machine);
    firn_faulty_free(machine->faulty);
    model_done(&machine->model);
}

int machine_open(struct machine *machine)
{
    struct firn_env_options env_options = {.manual = true};
    int rc = firn_env_new(&env_options, &machine->env, &machine->err);
    if (rc < 0)
        return rc;
    struct firn_log_options options = {
        .disk = firn_faulty_disk(machine->faulty),
        .env = machine->env,
        .durability = machine->durability,
        .segment_bytes = machine->segment_bytes,
        .compression = codec_can_pack(FIRN_COMPRESSION_ZSTD) ? FIRN_COMPRESSION_ZSTD
                                                             : FIRN_COMPRESSION_NONE,
    };
    rc = firn_log_open(MACHINE_DIR, &options, &machine->log, &machine->err);
    if (rc < 0) {
        firn_env_free(machine->env);
        machine->env = NULL;
    }
    return rc;
}

void machine_acknowledge(struct machine *machine)
{
    struct firn_commit_stats stats;
    firn_log_get_commit_stats(machine->log, &stats);
    model_acknowledge(&machine->model, stats.epoch_durable);
}

int machine_close(struct machine *machine)
{
    if (!machine->log)
        return 0;
    machine_acknowledge(machine);
    int rc = firn_log_close(machine->log, &machine->err);
    machine->log = NULL;
    if (firn_env_free(machine->env) < 0)
        abort(); /* something is still open in it */
    machine->env = NULL;
    if (rc == 0)
        model_collapse(&machine->model, machine->model.count - 1);
    /* Epochs begin anew in the next life: what may be there and is not known stays unknown. */
    for (size_t i = 0; i < machine->model.count; i++)
        machine->model.chain[i].epoch = i == 0 ? 0 : UINT64_MAX;
    return rc;
}

/* ---- operations ---- */

/* The same records, as a client's batch: the committer must not touch what it has to say. */
static int append_as_client(struct machine *machine, struct firn_record *records, size_t count,
                            struct firn_appended *appended)
{
    struct batch header;
    for (size_t i = 0; i < count; i++)
        records[i].index = i;
    header = header_for(0, records, count);
    header.producer_id = 4711;
    header.distance = (int32_t)(machine->model.counter % 1000);
    uint8_t *bytes = make_batch_as(&header, records);
    int rc = firn_log_append_batch(machine->log, bytes, header.bytes, NULL, appended,
                                   &machine->err);
    free(bytes);
    return rc;
}

/* In two pieces, by way of a file however short it is. */
static int stream(struct machine *machine, const struct firn_record *record,
                  struct firn_appended *appended)
{
    const struct firn_slice *value = &record->value;
    struct firn_spool *spool;
    int rc = firn_spool_open(machine->log, record, 0, &spool, &machine->err);
    if (rc < 0)
        return rc;
    size_t half = value->size / 2;
    rc = firn_spool_write(spool, value->data, half, &machine->err);
    if (rc == 0)
        rc = spool_spill(spool, &machine->err);
    if (rc == 0)
        rc = firn_spool_write(spool, (const char *)value->data + half, value->size - half,
                              &machine->err);
    if (rc == 0)
        return firn_spool_finish(spool, NULL, appended, &machine->err);
    firn_spool_abandon(spool);
    return rc;
}

enum way { RECORDS, CLIENT, STREAM };

static int append_by(struct machine *machine, enum way way, struct firn_record *records,
                     size_t count, struct firn_appended *appended)
{
    if (way == CLIENT)
        return append_as_client(machine, records, count, appended);
    if (way == STREAM)
        return stream(machine, records, appended);
    return firn_log_append(machine->log, records, count, NULL, appended, &machine->err);
}

static int append(struct machine *machine, size_t count, size_t value_bytes, enum way way)
{
    struct made_record made[GROUP];
    struct firn_record records[GROUP];
    struct model *model = &machine->model;
    struct firn_appended appended = {0};
    struct model_state *state = model_push(model);
    uint64_t index = state->next;
    for (size_t i = 0; i < count; i++) {
        uint64_t stamp = model_stamp(model, value_bytes + i);
        model_make(stamp, &made[i]);
        records[i] = made[i].record;
        model_append(model, state, stamp);
    }
    int rc = append_by(machine, way, records, count, &appended);
    if (way == STREAM && rc == FIRN_EPOISONED)
        return rc; /* it may be there */
    if (rc == 0 || appended.epoch) {
        state->epoch = appended.epoch;
        if (appended.index != index)
            abort();
    } else {
        model_pop(model); /* no index was given out */
    }
    if (rc == 0 && (way == STREAM || machine->durability == FIRN_DURABILITY_EACH))
        model_acknowledge(model, appended.epoch);
    return rc;
}

int machine_truncate(struct machine *machine, uint64_t index)
{
    struct model_state *state = model_push(&machine->model);
    state->next = index;
    int rc = firn_log_truncate(machine->log, index, &machine->err);
    if (rc == 0)
        model_collapse(&machine->model, machine->model.count - 1);
    if (rc != FIRN_ERANGE)
        model_take_back(&machine->model, index, rc == 0);
    if (rc == 0)
        return 0;
    if (rc == FIRN_ERANGE || firn_log_flush(machine->log, NULL) == 0)
        model_pop(&machine->model); /* it failed before it changed anything */
    return rc;
}

int machine_remove(struct machine *machine, uint64_t index)
{
    struct model *model = &machine->model;
    if (index > model->lowest)
        model->lowest = index;
    int rc = firn_log_remove_before(machine->log, index, &machine->err);
    if (rc == 0)
        model->lowest_acknowledged = model->lowest;
    return rc;
}

static const char *const cursor_names[MODEL_CURSORS] = {"first", "second"};

int machine_commit(struct machine *machine, uint64_t first, uint64_t second)
{
    const struct firn_position positions[MODEL_CURSORS] = {
        {.name = cursor_names[0], .index = first}, {.name = cursor_names[1], .index = second}};
    int rc = firn_log_commit_positions(machine->log, positions, MODEL_CURSORS, &machine->err);
    for (int i = 0; i < MODEL_CURSORS; i++)
        model_move(&machine->model.cursors[i], positions[i].index, rc == 0);
    return rc;
}

/* What is acknowledged is durable: that is as far as cursors go. */
static int commit_both(struct machine *machine)
{
    machine_acknowledge(machine);
    uint64_t next = machine->model.chain[0].next, lowest = machine->model.lowest;
    return machine_commit(machine, next, lowest < next ? lowest + (next - lowest) / 2 : next);
}

static int remove_second(struct machine *machine)
{
    struct model_cursor *cursor = &machine->model.cursors[1];
    int rc = firn_log_remove_position(machine->log, cursor_names[1], &machine->err);
    bool known = rc == 0 || rc == FIRN_ENOENT;
    model_move(cursor, MODEL_NO_CURSOR, known);
    return known ? 0 : rc;
}

/* Never beyond a cursor; otherwise like a removal. */
static int trim_read(struct machine *machine)
{
    const struct firn_retention keep = {.max_records = 2, .keep_unread = true};
    struct model *model = &machine->model;
    struct firn_trimmed planned;
    int rc = firn_log_trim(machine->log, &keep, true, &planned, &machine->err);
    if (rc < 0)
        return rc;
    for (int i = 0; i < MODEL_CURSORS; i++) {
        uint64_t most = 0;
        for (size_t k = 0; k < model->cursors[i].count; k++)
            most = model->cursors[i].maybe[k] > most ? model->cursors[i].maybe[k] : most;
        if (planned.next_index > planned.first_index && planned.next_index > most) {
            wrong(machine, "what cursor '%s' has not read would be trimmed", cursor_names[i]);
            abort();
        }
    }
    if (planned.next_index > model->lowest)
        model->lowest = planned.next_index;
    rc = firn_log_trim(machine->log, &keep, false, NULL, &machine->err);
    if (rc == 0)
        model->lowest_acknowledged = model->lowest;
    return rc;
}

static int compact(struct machine *machine)
{
    int rc = firn_log_compact(machine->log, NULL, NULL, &machine->err);
    uint64_t end = rc == 0 ? machine->log->checkpoint.durable.segment : UINT64_MAX;
    model_compact(&machine->model, end, rc == 0);
    return rc;
}

static int flush(struct machine *machine)
{
    int rc = firn_log_flush(machine->log, &machine->err);
    if (rc == 0)
        model_collapse(&machine->model, machine->model.count - 1);
    return rc;
}

static int reopen(struct machine *machine)
{
    int rc = machine_close(machine);
    return rc == 0 ? machine_open(machine) : rc;
}

void machine_background(struct machine *machine)
{
    if (!machine->env)
        return;
    rig_background(machine->env);
    machine_acknowledge(machine);
}

static uint64_t middle(const struct machine *machine)
{
    uint64_t next = model_last(&machine->model)->next, lowest = machine->model.lowest;
    return lowest + (next - lowest + 1) / 2;
}

/* A value that leaves no room beside it, or as large a one as the limits allow. */
static size_t large(const struct machine *machine)
{
    size_t segment = (size_t)machine->segment_bytes;
    if (segment <= 2048)
        return segment - 140;
    return segment - 1300 < MODEL_VALUE_MOST ? segment - 1300 : MODEL_VALUE_MOST;
}

int machine_only(struct machine *machine, char operation, size_t value_bytes)
{
    uint64_t next = model_last(&machine->model)->next;
    size_t small = value_bytes ? value_bytes : SMALL;
    switch (operation) {
    case 'a':
        return append(machine, 1, small, RECORDS);
    case 'g':
        return append(machine, GROUP, small, RECORDS);
    case 'z':
        return append(machine, GROUP, MODEL_COMPRESSIBLE, RECORDS);
    case 'k':
        return append(machine, GROUP, small, CLIENT);
    case 's':
        return append(machine, 1, value_bytes ? value_bytes : large(machine), STREAM);
    case 'r':
        return append(machine, 1, large(machine), RECORDS);
    case 't':
        return machine_truncate(machine, middle(machine));
    case 'u':
        return machine_truncate(machine, next > machine->model.lowest ? next - 1 : next);
    case 'b':
        return machine_remove(machine, middle(machine));
    case 'x':
        return machine_remove(machine, next);
    case 'c':
        return reopen(machine);
    case 'y':
        return compact(machine);
    case 'f':
        return flush(machine);
    case 'n':
        return commit_both(machine);
    case 'd':
        return remove_second(machine);
    case 'v':
        return trim_read(machine);
    case 'p':
        return firn_log_prepare(machine->log, 4096, &machine->err);
    default:
        return 0;
    }
}

int machine_do(struct machine *machine, char operation)
{
    int rc = machine_only(machine, operation, 0);
    if (rc == 0)
        machine_background(machine);
    return rc;
}

/* ---- checks ---- */

static int find_state(const struct machine *machine, const struct firn_record *record,
                      uint64_t index, bool *possible)
{
    const struct model *model = &machine->model;
    int left = 0;
    for (size_t i = 0; i < model->count; i++) {
        const struct model_state *state = &model->chain[i];
        uint64_t *stamp = &state->stamps[index - model->first];
        possible[i] = possible[i] && index < state->next && !(*stamp & MODEL_GONE) &&
                      model_equals(*stamp, record);
        if (possible[i])
            *stamp &= ~MODEL_MAYBE_GONE;
        left += possible[i];
    }
    return left;
}

/* The states in which compaction may have taken [from, to): from now on it has. */
static int find_gap(const struct machine *machine, uint64_t from, uint64_t to, bool *possible)
{
    const struct model *model = &machine->model;
    int left = 0;
    for (size_t i = 0; i < model->count; i++) {
        const struct model_state *state = &model->chain[i];
        for (uint64_t index = from; possible[i] && index < to; index++) {
            uint64_t *stamp = &state->stamps[index - model->first];
            possible[i] = index < state->next && (*stamp & (MODEL_GONE | MODEL_MAYBE_GONE));
            if (possible[i])
                *stamp = (*stamp | MODEL_GONE) & ~MODEL_MAYBE_GONE;
        }
        left += possible[i];
    }
    return left;
}

/* Both ways; `possible` keeps the states that agree with every record. */
static bool read_all(struct machine *machine, bool *possible, uint64_t lowest, uint64_t next)
{
    struct firn_cursor *cursor;
    const struct firn_record *record;
    struct firn_error *err = &machine->err;
    if (firn_cursor_open(machine->log, NULL, &cursor, err) < 0)
        return wrong(machine, "no cursor: %s", err->message);
    uint64_t index = lowest;
    bool good = true;
    int rc = 0;
    for (; good && (rc = firn_cursor_next(cursor, &record, err)) == 0; index = record->index + 1)
        if (record->index < index || record->index >= next ||
            find_gap(machine, index, record->index, possible) == 0 ||
            find_state(machine, record, record->index, possible) == 0)
            good = wrong(machine, "record %llu (read as %llu) is none that may be there",
                         (unsigned long long)index, (unsigned long long)record->index);
    if (good && rc == FIRN_EEND && index < next && find_gap(machine, index, next, possible))
        index = next;
    if (good && (rc != FIRN_EEND || index != next))
        good = wrong(machine, "reading ended at %llu of %llu: %s", (unsigned long long)index,
                     (unsigned long long)next, rc == FIRN_EEND ? "the end" : err->message);
    for (; good && (rc = firn_cursor_prev(cursor, &record, err)) == 0; index = record->index)
        if (record->index >= index || record->index < lowest ||
            find_gap(machine, record->index + 1, index, possible) == 0 ||
            find_state(machine, record, record->index, possible) == 0)
            good = wrong(machine, "backwards, record %llu is wrong", (unsigned long long)index);
    if (good && rc == FIRN_EEND && index > lowest && find_gap(machine, lowest, index, possible))
        index = lowest;
    if (good && (rc != FIRN_EEND || index != lowest))
        good = wrong(machine, "reading backwards ended at %llu of %llu: %s",
                     (unsigned long long)index, (unsigned long long)lowest,
                     rc == FIRN_EEND ? "the end" : err->message);
    firn_cursor_close(cursor);
    return good;
}

static bool check_state(struct machine *machine)
{
    struct model *model = &machine->model;
    struct firn_log_info info;
    if (firn_log_get_info(machine->log, &info, &machine->err) < 0)
        return wrong(machine, "info: %s", machine->err.message);
    bool *possible = calloc(model->count, sizeof *possible);
    if (!possible)
        abort();
    for (size_t i = 0; i < model->count; i++)
        possible[i] = model->chain[i].next == info.next_index;
    bool good = read_all(machine, possible, info.lowest_index, info.next_index);
    size_t found = model->count;
    for (size_t i = 0; i < model->count; i++)
        if (possible[i])
            found = i;
    free(possible);
    if (good && found == model->count)
        return wrong(machine, "next index %llu; may be %llu (acknowledged) to %llu",
                     (unsigned long long)info.next_index, (unsigned long long)model->chain[0].next,
                     (unsigned long long)model_last(model)->next);
    if (good && info.lowest_index != model->lowest &&
        info.lowest_index != model->lowest_acknowledged)
        return wrong(machine, "lowest index %llu; may be %llu or %llu",
                     (unsigned long long)info.lowest_index,
                     (unsigned long long)model->lowest_acknowledged,
                     (unsigned long long)model->lowest);
    if (good) {
        model_collapse(model, found);
        model->lowest = model->lowest_acknowledged = info.lowest_index;
    }
    return good;
}

/* Of two places below the lowest record each is as good as the other. */
static bool may_be_at(const struct model_cursor *cursor, uint64_t index, uint64_t lowest)
{
    bool below = false;
    for (size_t i = 0; i < cursor->count; i++)
        below |= cursor->maybe[i] <= lowest;
    return model_may_be(cursor, index) || (index <= lowest && below);
}

/* Each is where it may be, and is there from now on. */
static bool check_cursors(struct machine *machine)
{
    for (int i = 0; i < MODEL_CURSORS; i++) {
        struct firn_position position = {.index = MODEL_NO_CURSOR};
        struct model_cursor *cursor = &machine->model.cursors[i];
        int rc = firn_log_get_position(machine->log, cursor_names[i], &position, &machine->err);
        if (rc < 0 && rc != FIRN_ENOENT)
            return wrong(machine, "cursor '%s': %s", cursor_names[i], machine->err.message);
        if (!may_be_at(cursor, position.index, machine->model.lowest))
            return wrong(machine, "cursor '%s' is at %lld; acknowledged was %lld", cursor_names[i],
                         (long long)position.index, (long long)cursor->maybe[0]);
        model_move(cursor, position.index, true);
    }
    return true;
}

static int note_finding(void *arg, const struct firn_finding *finding)
{
    return wrong(arg, "verify: %s at %llu: %s", finding->file, (unsigned long long)finding->offset,
                 finding->text)
               ? 0
               : 1;
}

bool machine_check(struct machine *machine)
{
    struct firn_recovery recovery;
    firn_log_get_recovery(machine->log, &recovery);
    if (recovery.damaged_ranges)
        return wrong(machine, "recovery reports damage: %s", recovery.text);
    if (!check_state(machine) || !check_cursors(machine))
        return false;
    if (firn_log_verify(machine->log, note_finding, machine, NULL, &machine->err) != 0) {
        if (!machine->why[0])
            wrong(machine, "verify: %s", machine->err.message);
        return false;
    }
    return true;
}

bool machine_check_leaks(struct machine *machine)
{
    return rig_check_leaks(machine->faulty, machine->why, sizeof machine->why);
}

static bool appends_again(struct machine *machine)
{
    static const char operations[] = "ag";
    for (int i = 0; i < 2; i++)
        if (machine_do(machine, operations[i]) < 0)
            return wrong(machine, "appending again: %s", machine->err.message);
    if (machine_close(machine) < 0)
        return wrong(machine, "closing: %s", machine->err.message);
    if (machine_open(machine) < 0)
        return wrong(machine, "opening after a clean close: %s", machine->err.message);
    struct firn_recovery recovery;
    firn_log_get_recovery(machine->log, &recovery);
    if (!recovery.clean)
        return wrong(machine, "not clean after a clean close: %s", recovery.text);
    return machine_check(machine);
}

bool machine_check_life(struct machine *machine)
{
    if (machine_open(machine) < 0)
        return wrong(machine, "opening: %s", machine->err.message);
    bool good = machine_check(machine) && appends_again(machine);
    if (machine_close(machine) < 0 && good)
        good = wrong(machine, "closing: %s", machine->err.message);
    return good && machine_check_leaks(machine);
}

/* ---- as campaigns see it ---- */

static void init(struct machine *machine, const enum firn_durability *durability)
{
    machine_init(machine, *durability, MACHINE_SEGMENT);
}

static void machine_take_model(struct machine *machine, const struct machine *from)
{
    model_done(&machine->model);
    model_copy(&from->model, &machine->model);
}

static size_t machine_possible(const struct machine *machine)
{
    return machine->model.count;
}

static uint64_t machine_digest(const struct machine *machine)
{
    return model_digest(&machine->model);
}

EXPLORE_MACHINE(machine, init, machine_open, NULL, log);
