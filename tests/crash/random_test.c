/* SPDX-License-Identifier: MIT */
/* Long random lives of a log, with staged and read-only readers in between. */
#include "lives.h"
#include "machine.h"

static void init(void *machine, struct prng *prng)
{
    static const uint64_t segments[] = {512, 1024, 4096, 65536};
    machine_init(machine, (enum firn_durability)prng_below(prng, 3), segments[prng_below(prng, 4)]);
}

/* Whether compaction may have taken the records [from, to). */
static bool may_be_gone(const struct machine *machine, uint64_t from, uint64_t to)
{
    const struct model_state *last = model_last(&machine->model);
    for (; from < to && from < last->next; from++)
        if (!(last->stamps[from - machine->model.first] & (MODEL_GONE | MODEL_MAYBE_GONE)))
            return false;
    return from == to;
}

/* Whether the record is what follows `index` in the newest state. */
static bool follows(const struct machine *machine, uint64_t index, const struct firn_record *record)
{
    const struct model_state *last = model_last(&machine->model);
    return record->index >= index && record->index < last->next &&
           may_be_gone(machine, index, record->index) &&
           model_equals(last->stamps[record->index - machine->model.first], record);
}

/* What is staged reads like the newest state of the model. */
static const char *read_staged(struct machine *machine)
{
    struct firn_cursor_options options = {.staged = true};
    struct firn_cursor *cursor;
    const struct firn_record *record;
    const struct model_state *last = model_last(&machine->model);
    uint64_t index = machine->model.lowest;
    const char *why = NULL;
    if (firn_cursor_open(machine->log, &options, &cursor, NULL) < 0)
        return "no cursor";
    while (!why && firn_cursor_next(cursor, &record, NULL) == 0) {
        if (!follows(machine, index, record))
            why = "a staged record is wrong";
        index = record->index + 1;
    }
    firn_cursor_close(cursor);
    return why || may_be_gone(machine, index, last->next) ? why : "not all that is staged is read";
}

/* Beside the writer, another handle sees at least what is acknowledged, and nothing else. */
static const char *read_only(struct machine *machine)
{
    struct firn_log_options options = {.disk = firn_faulty_disk(machine->faulty),
                                       .read_only = true};
    struct firn_log *log;
    struct firn_cursor *cursor;
    const struct firn_record *record;
    if (firn_log_open(MACHINE_DIR, &options, &log, &machine->err) < 0)
        return machine->err.message;
    if (firn_cursor_open(log, NULL, &cursor, NULL) < 0)
        return "no cursor";
    uint64_t index = machine->model.lowest;
    const char *why = NULL;
    int rc;
    while ((rc = firn_cursor_next(cursor, &record, &machine->err)) == 0 && !why) {
        if (!follows(machine, index, record))
            why = "a record read beside the writer is wrong";
        index = record->index + 1;
    }
    if (!why && rc != FIRN_EEND)
        why = machine->err.message;
    uint64_t acknowledged = machine->model.chain[0].next;
    if (!why && index < acknowledged && !may_be_gone(machine, index, acknowledged))
        why = "a reader beside the writer misses what is acknowledged";
    firn_cursor_close(cursor);
    firn_log_close(log, NULL);
    return why;
}

static int operate(void *arg, struct prng *prng)
{
    static const char operations[] = "aaaaaaaaaaggggggrrttuubbxccffppwwzzzkkkssnnndvvyyy";
    struct machine *machine = arg;
    uint64_t lowest = machine->model.lowest, held = model_last(&machine->model)->next - lowest;
    char operation = operations[prng_below(prng, sizeof operations - 1)];
    if (operation == 'k' && machine->durability != FIRN_DURABILITY_EACH)
        operation = 'z';
    if (operation == 't')
        return machine_truncate(machine, lowest + held - prng_below(prng, held / 4 + 1));
    if (operation == 'b')
        return machine_remove(machine, lowest + prng_below(prng, held / 2 + 1));
    if (operation == 'n') {
        machine_acknowledge(machine);
        uint64_t next = machine->model.chain[0].next;
        return machine_commit(machine, prng_below(prng, next + 1), prng_below(prng, next + 1));
    }
    if (operation == 'w')
        machine_background(machine);
    uint64_t most = machine->segment_bytes < 4096 || prng_below(prng, 8) ? 60 : 1000;
    int rc = machine_only(machine, operation, 1 + prng_below(prng, most));
    if (rc == 0)
        machine_acknowledge(machine);
    return rc;
}

static const char *look(void *machine, struct prng *prng)
{
    return prng_below(prng, 2) ? read_staged(machine) : read_only(machine);
}

static uint64_t count(const void *machine)
{
    return ((const struct machine *)machine)->model.counter;
}

int main(int argc, char **argv)
{
    static const struct lives lives = {
        .name = "random",
        .ops = &machine_explored,
        .seeds = 400,
        .pace = {.lives = 30,
                 .operations = 25,
                 .mutations = 60,
                 .recovery = 12,
                 .operations_a_look = 20},
        .init = init,
        .operate = operate,
        .look = look,
        .counted = "records",
        .count = count,
    };
    return lives_main(&lives, argc, argv);
}
