/* SPDX-License-Identifier: MIT */
#include "stack_machine.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "disk/disk.h"
#include "rig.h"

enum { JOURNAL_LEAST = 64 * 1024, JOURNAL_CLEAN = 8192, HEADER = 16 };

#define JOURNAL STACK_MACHINE_PATH ".journal"

static bool wrong(struct stack_machine *machine, const char *format, ...) FIRN_PRINTF(2, 3);

static bool wrong(struct stack_machine *machine, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(machine->why, sizeof machine->why, format, args);
    va_end(args);
    return false;
}

/* ---- life ---- */

void stack_machine_init(struct stack_machine *machine, const struct stack_shape *shape)
{
    *machine = (struct stack_machine){.shape = *shape};
    if (firn_faulty_new(NULL, &machine->faulty, NULL) < 0)
        abort();
}

static void stack_machine_take_model(struct stack_machine *to, const struct stack_machine *from)
{
    content_done(&to->held);
    content_done(&to->after);
    content_copy(&from->held, &to->held);
    content_copy(&from->after, &to->after);
    to->unknown = from->unknown;
    to->counter = from->counter;
}

static void stack_machine_copy(const struct stack_machine *from, struct stack_machine *to)
{
    *to = (struct stack_machine){.shape = from->shape};
    if (firn_faulty_clone(from->faulty, &to->faulty, NULL) < 0)
        abort();
    stack_machine_take_model(to, from);
}

void stack_machine_done(struct stack_machine *machine)
{
    stack_machine_close(machine);
    firn_faulty_free(machine->faulty);
    content_done(&machine->held);
    content_done(&machine->after);
}

static int open_with(struct stack_machine *machine, bool read_only)
{
    const struct firn_env_options env_options = {.manual = true};
    int rc = firn_env_new(&env_options, &machine->env, &machine->err);
    if (rc < 0)
        return rc;
    uint64_t bytes = machine->shape.journal_bytes;
    const struct firn_stack_options options = {
        .disk = firn_faulty_disk(machine->faulty),
        .env = machine->env,
        .read_only = read_only,
        .no_journal = machine->shape.no_journal,
        .journal_bytes = bytes ? bytes : JOURNAL_LEAST,
    };
    rc = firn_stack_open(STACK_MACHINE_PATH, &options, &machine->stack, &machine->err);
    if (rc < 0) {
        firn_env_free(machine->env);
        machine->env = NULL;
        machine->stack = NULL;
    }
    return rc;
}

int stack_machine_open(struct stack_machine *machine)
{
    return open_with(machine, false);
}

int stack_machine_close(struct stack_machine *machine)
{
    if (!machine->stack)
        return 0;
    int rc = firn_stack_close(machine->stack, &machine->err);
    machine->stack = NULL;
    if (firn_env_free(machine->env) < 0)
        abort(); /* something is still open in it */
    machine->env = NULL;
    return rc;
}

/* ---- operations ---- */

/* A change of nothing changes nothing, and is refused all the same. */
bool stack_machine_is_poisoned(struct stack_machine *machine)
{
    return firn_stack_push(machine->stack, NULL, 0, NULL, NULL) == FIRN_EPOISONED;
}

static void become(struct stack_machine *machine)
{
    content_done(&machine->held);
    machine->held = machine->after;
    machine->after = (struct content){0};
    machine->unknown = false;
}

static int change(struct stack_machine *machine, char operation)
{
    const char *why;
    struct content after;
    bool poisoned = stack_machine_is_poisoned(machine);
    int rc = stack_operate(machine->stack, operation, ++machine->counter, &machine->held, &after,
                           &why, &machine->err);
    if (why) {
        wrong(machine, "operation %c: %s", operation, why);
        fprintf(stderr, "%s\n", machine->why);
        abort();
    }
    if (poisoned) { /* what may be there stays what it was */
        content_done(&after);
        return rc;
    }
    content_done(&machine->after);
    machine->after = after;
    if (rc == 0)
        become(machine);
    else
        machine->unknown = stack_machine_is_poisoned(machine);
    return rc;
}

static int reopen(struct stack_machine *machine)
{
    int rc = stack_machine_close(machine);
    return rc == 0 ? stack_machine_open(machine) : rc;
}

int stack_machine_do(struct stack_machine *machine, char operation)
{
    if (operation == 'k')
        return reopen(machine);
    if (operation != 'b')
        return change(machine, operation);
    rig_background(machine->env);
    return 0;
}

/* ---- checks ---- */

/* All there is; to be freed. NULL: it can't be read. */
static uint8_t *read_all(struct stack_machine *machine, size_t *got)
{
    uint64_t length = firn_stack_length(machine->stack);
    uint8_t *bytes = malloc((size_t)length + 1);
    if (!bytes)
        abort();
    int rc = firn_stack_peek(machine->stack, 0, bytes, (size_t)length + 1, got, &machine->err);
    if (rc == 0 && *got == length)
        return bytes;
    free(bytes);
    wrong(machine, "reading: %zu of %llu bytes: %s", *got, (unsigned long long)length,
          machine->err.message);
    return NULL;
}

bool stack_machine_check_reads(struct stack_machine *machine)
{
    size_t got = 0;
    uint8_t *bytes = read_all(machine, &got);
    if (!bytes)
        return false;
    bool good = content_equals(&machine->held, bytes, got) ||
                (machine->unknown && content_equals(&machine->after, bytes, got));
    free(bytes);
    return good || wrong(machine, "%zu bytes that are not the %llu that were acknowledged", got,
                         (unsigned long long)machine->held.length);
}

static bool find_state(struct stack_machine *machine)
{
    size_t got = 0;
    uint8_t *bytes = read_all(machine, &got);
    if (!bytes)
        return false;
    bool before = content_equals(&machine->held, bytes, got);
    bool after = machine->unknown && content_equals(&machine->after, bytes, got);
    uint64_t at = 0;
    while (at < got && at < machine->held.length && bytes[at] == machine->held.bytes[at])
        at++;
    free(bytes);
    if (!before && !after)
        return wrong(machine,
                     "no state that may be: %zu bytes, where %llu were acknowledged; byte "
                     "%llu differs",
                     got, (unsigned long long)machine->held.length, (unsigned long long)at);
    if (after && !before)
        become(machine);
    machine->unknown = false;
    return true;
}

bool stack_machine_check(struct stack_machine *machine)
{
    struct firn_stack_check check;
    if (!find_state(machine))
        return false;
    if (firn_stack_verify(machine->stack, &check, &machine->err) != 0)
        return wrong(machine, "verify: %s", machine->err.message);
    if (check.bytes != machine->held.length || check.unreadable || check.damaged_slots)
        return wrong(machine, "verify: %llu bytes, %llu unreadable, %u slots damaged",
                     (unsigned long long)check.bytes, (unsigned long long)check.unreadable,
                     check.damaged_slots);
    return stack_machine_check_reads(machine);
}

/* The bytes of a file now; NULL and 0: there is none. */
static void *file_now(struct stack_machine *machine, const char *path, size_t *size)
{
    void *bytes = NULL;
    *size = 0;
    if (firn_faulty_get(machine->faulty, path, FIRN_FAULTY_CURRENT, &bytes, size, NULL) < 0)
        return NULL;
    return bytes;
}

static bool look_only(struct stack_machine *machine)
{
    size_t size;
    void *bytes = file_now(machine, STACK_MACHINE_PATH, &size);
    free(bytes);
    if (!bytes)
        return true; /* a crash before it was created */
    if (open_with(machine, true) < 0)
        return wrong(machine, "opening for reading: %s", machine->err.message);
    bool good = find_state(machine);
    return stack_machine_close(machine) == 0 && good;
}

bool stack_machine_check_read_only(struct stack_machine *machine)
{
    static const char *const paths[] = {STACK_MACHINE_PATH, JOURNAL};
    size_t before[2], after[2];
    void *bytes[2];
    for (int i = 0; i < 2; i++)
        bytes[i] = file_now(machine, paths[i], &before[i]);
    bool good = look_only(machine);
    for (int i = 0; i < 2; i++) {
        void *now = file_now(machine, paths[i], &after[i]);
        bool same = !now == !bytes[i] && before[i] == after[i] &&
                    (!now || memcmp(now, bytes[i], before[i]) == 0);
        if (good && !same)
            good = wrong(machine, "opening for reading changed %s", paths[i]);
        free(now);
        free(bytes[i]);
    }
    return good;
}

/* ---- another implementation ---- */

static bool is_plain(const uint8_t *bytes, size_t size)
{
    return bytes && size >= HEADER && memcmp(bytes, "BSTK\0\1", 6) == 0;
}

/* What it makes of the content. */
static void change_otherwise(struct stack_machine *machine, uint64_t number)
{
    struct content *held = &machine->held;
    uint64_t cut = number % 3 ? 0 : held->length / 2, more = number % 3 ? number % 50 : 0;
    held->length -= cut;
    held->bytes = realloc(held->bytes, (size_t)(held->length + more + 1));
    if (!held->bytes)
        abort();
    memset(held->bytes + held->length, (int)(number & 0xff), (size_t)more);
    held->length += more;
}

static void store_otherwise(struct stack_machine *machine, uint64_t number)
{
    const struct content *held = &machine->held;
    uint8_t header[HEADER] = {'B', 'S', 'T', 'K', 0, 1, 9, 0};
    struct firn_file *file;
    store_le_u64(header + 8, held->length);
    if (disk_open(firn_faulty_disk(machine->faulty), STACK_MACHINE_PATH, FIRN_OPEN_WRITE, &file,
                  NULL) != 0 ||
        disk_truncate(file, HEADER + held->length + number % 7, NULL) != 0 ||
        disk_write_full(file, header, sizeof header, 0, 0, NULL) != 0 ||
        disk_write_full(file, held->bytes, (size_t)held->length, HEADER, 0, NULL) != 0 ||
        disk_sync(file, NULL) != 0)
        abort();
    disk_close(file);
}

bool stack_machine_use_otherwise(struct stack_machine *machine)
{
    size_t size;
    uint8_t *bytes = file_now(machine, STACK_MACHINE_PATH, &size);
    bool plain = is_plain(bytes, size), good = true;
    if (plain) {
        uint64_t length = load_le_u64(bytes + 8);
        length = length < size - HEADER ? length : size - HEADER;
        good = content_equals(&machine->held, bytes + HEADER, length);
        if (!good && machine->unknown && content_equals(&machine->after, bytes + HEADER, length)) {
            become(machine);
            good = true;
        }
    }
    free(bytes);
    if (!good)
        return wrong(machine, "another implementation finds what can't be");
    if (plain) {
        machine->unknown = false;
        change_otherwise(machine, ++machine->counter);
        store_otherwise(machine, machine->counter);
    }
    return true;
}

/* Closed, the file is what the format says, and the journal has nothing. */
static bool check_plain(struct stack_machine *machine)
{
    static const uint8_t magic[8] = {'B', 'S', 'T', 'K', 0, 1, 8, 0};
    const struct content *held = &machine->held;
    size_t size, journal_size;
    uint8_t *bytes = file_now(machine, STACK_MACHINE_PATH, &size);
    uint8_t *journal = file_now(machine, JOURNAL, &journal_size);
    bool good = bytes && size == HEADER + held->length && memcmp(bytes, magic, sizeof magic) == 0 &&
                load_le_u64(bytes + 8) == held->length &&
                content_equals(held, bytes + HEADER, size - HEADER);
    free(bytes);
    free(journal);
    if (!good)
        return wrong(machine, "closed, the file is not %llu plain bytes: %zu",
                     (unsigned long long)held->length, size);
    return journal_size <= JOURNAL_CLEAN ||
           wrong(machine, "closed, the journal has %zu bytes", journal_size);
}

static bool changes_again(struct stack_machine *machine)
{
    static const char with_journal[] = "Pam", without[] = "Pod";
    struct firn_stack_info info;
    for (const char *at = machine->shape.no_journal ? without : with_journal; *at; at++)
        if (stack_machine_do(machine, *at) < 0)
            return wrong(machine, "changing it again: %s", machine->err.message);
    if (!stack_machine_check_reads(machine))
        return false;
    if (stack_machine_close(machine) < 0)
        return wrong(machine, "closing: %s", machine->err.message);
    if (!check_plain(machine))
        return false;
    if (stack_machine_open(machine) < 0)
        return wrong(machine, "opening after a clean close: %s", machine->err.message);
    firn_stack_get_info(machine->stack, &info);
    if (info.recovered || info.replayed)
        return wrong(machine, "not clean after a clean close");
    return stack_machine_check(machine);
}

bool stack_machine_check_life(struct stack_machine *machine)
{
    if (stack_machine_open(machine) < 0)
        return wrong(machine, "opening: %s", machine->err.message);
    bool good = stack_machine_check(machine) && changes_again(machine);
    if (stack_machine_close(machine) < 0 && good)
        good = wrong(machine, "closing: %s", machine->err.message);
    return good && rig_check_leaks(machine->faulty, machine->why, sizeof machine->why);
}

/* ---- as campaigns see it ---- */

/* The first time it gets its length. */
static int open_first(struct stack_machine *machine)
{
    bool first = machine->counter == 0;
    int rc = stack_machine_open(machine);
    while (rc == 0 && first && machine->held.length < machine->shape.length)
        rc = change(machine, 'P');
    return rc;
}

static size_t stack_machine_possible(const struct stack_machine *machine)
{
    return machine->unknown ? 2 : 1;
}

static uint64_t stack_machine_digest(const struct stack_machine *machine)
{
    uint64_t hash = content_digest(&machine->held);
    return machine->unknown ? hash ^ content_digest(&machine->after) << 1 : hash;
}

static bool check_read_only(void *machine)
{
    return stack_machine_check_read_only(machine);
}

EXPLORE_MACHINE(stack_machine, stack_machine_init, open_first, check_read_only, stack);
