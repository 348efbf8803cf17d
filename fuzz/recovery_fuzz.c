/* SPDX-License-Identifier: MIT */
/*
 * Recovery. Input: a small program that builds a log by the public calls, ends it cleanly or not,
 * and damages its files. Then the log is opened to read and to write, read in both directions,
 * verified, changed, closed and opened again.
 *
 * It opens, or says why not. Unless checksums were forged or an older checkpoint was put back: what
 * it gives was appended, and at that very index; who writes finds what who only reads found; after
 * more appends, cuts, a clean end and a crash the log holds what it should. With one piece of
 * damage both directions give the same. What is missing lies in a hole, if the log had been closed;
 * where store and checkpoint are as they were, nothing is missing.
 */
#include <stdlib.h>
#include <string.h>

#include "damage.h"
#include "history.h"

enum { STEPS_MOST = 20000, GROUP_MOST = 6, DAMAGES_MOST = 8, BUILDS_MOST = 40 };

struct world {
    struct input in;
    struct firn_disk *disk;
    struct firn_env *env;
    struct firn_log *log;
    struct firn_log_options options;
    struct history history;
    struct reading model;  /* what the log must hold, and `next` with what is staged */
    uint64_t acknowledged; /* durable at the end: below this index */
    uint64_t claimed;      /* below this index, and a later batch says so */
    struct files old, before, now;
    bool clean;
    struct damage damage;
    bool misled; /* what is in the files never was so, with good checksums */
};

/* ---- opening -------------------------------------------------------------------------------- */

static int open_log(struct world *world, bool read_only)
{
    const struct firn_env_options env_options = {.pool_bytes = 512 * 1024, .manual = true};
    struct firn_log_options options = world->options;
    struct firn_error err = {0};
    require(firn_env_new(&env_options, &world->env, NULL) == 0, "an environment");
    options.disk = world->disk;
    options.env = world->env;
    options.read_only = read_only;
    int rc = firn_log_open(LOG_DIR, &options, &world->log, &err);
    trace("open%s: %s", read_only ? " to read" : "", rc == 0 ? "0" : err.message);
    if (rc == 0)
        return 0;
    require(err.code == rc && err.message[0] != '\0', "opening says why it fails");
    require(rc == FIRN_EDAMAGED || rc == FIRN_EFORMAT || rc == FIRN_ENOENT || rc == FIRN_ERANGE ||
                world->misled,
            "opening fails for what was done");
    require(firn_env_free(world->env) == 0, "nothing stays open");
    world->env = NULL;
    return rc;
}

static int close_log(struct world *world)
{
    int rc = firn_log_close(world->log, NULL);
    require(firn_env_free(world->env) == 0, "nothing stays open");
    world->log = NULL;
    world->env = NULL;
    return rc;
}

static struct firn_log_info log_info(struct world *world)
{
    struct firn_log_info info;
    (void)firn_log_get_info(world->log, &info, NULL);
    require(info.lowest_index <= info.next_index && info.next_index <= info.staged_index,
            "indexes stand in order");
    return info;
}

/* ---- building ------------------------------------------------------------------------------- */

/* Appends `count` records; the caller's model learns of them. */
static int append(struct world *world, struct reading *model, size_t count, uint32_t value_bytes,
                  bool nested, bool no_wait)
{
    struct content contents[GROUP_MOST];
    struct firn_record records[GROUP_MOST];
    struct firn_append_options options = {
        .no_wait = no_wait, .if_next = true, .next_index = model->next};
    struct firn_appended appended;
    for (size_t i = 0; i < count; i++) {
        history_add(&world->history, model->next + i, value_bytes, nested, &contents[i]);
        records[i] = contents[i].record;
        records[i].headers = contents[i].headers;
    }
    int rc = firn_log_append(world->log, records, count, &options, &appended, NULL);
    require(rc != 0 || appended.index == model->next, "records get the next indexes");
    for (size_t i = 0; i < count; i++) {
        if (rc == 0)
            reading_add(model, model->next + i, record_mark(&records[i]));
        content_done(&contents[i]);
    }
    trace("append %zu of %u bytes at %llu: %s", count, value_bytes, (unsigned long long)model->next,
          rc == 0 ? "0" : firn_error_name(rc));
    model->next += rc == 0 ? count : 0;
    return rc;
}

static void build_append(struct world *world, unsigned kind)
{
    uint32_t value_bytes = input_u8(&world->in);
    size_t count = kind == 1 ? 1 + input_u8(&world->in) % GROUP_MOST : 1;
    bool nested = kind == 3;
    if (kind == 4)
        value_bytes = (uint32_t)world->options.segment_bytes / 256 * value_bytes / 2;
    uint64_t durable = log_info(world).next_index;
    int rc = append(world, &world->model, count, nested ? 120 : value_bytes, nested, kind == 2);
    require(rc == 0 || rc == FIRN_ETOOBIG, "a log takes what is appended");
    if (rc == 0 && kind != 2 && world->options.durability == FIRN_DURABILITY_EACH)
        world->claimed = durable;
}

static uint64_t pick_index(struct world *world, const struct reading *model)
{
    return model->lowest + input_below(&world->in, model->next - model->lowest + 1);
}

static void build_cut(struct world *world, bool end)
{
    uint64_t index = pick_index(world, &world->model);
    int rc = end ? firn_log_truncate(world->log, index, NULL)
                 : firn_log_remove_before(world->log, index, NULL);
    trace("%s %llu: %s", end ? "truncate" : "remove before", (unsigned long long)index,
          rc == 0 ? "0" : firn_error_name(rc));
    require(rc == 0, "a log can be cut");
    reading_keep(&world->model, end ? 0 : index, end ? index : UINT64_MAX);
    if (end && index < world->claimed)
        world->claimed = index;
}

static void build_reopen(struct world *world)
{
    require(close_log(world) == 0, "closing a log");
    require(open_log(world, false) == 0, "opening it again");
}

static void build_step(struct world *world)
{
    unsigned kind = input_u8(&world->in) % 12;
    trace("build %u", kind);
    switch (kind) {
    default:
        build_append(world, kind);
        break;
    case 5:
        require(firn_log_flush(world->log, NULL) == 0, "flushing");
        break;
    case 6:
        firn_env_run(world->env);
        break;
    case 7:
        build_cut(world, true);
        break;
    case 8:
        build_cut(world, false);
        break;
    case 9:
        build_reopen(world);
        break;
    case 10:
        (void)firn_log_prepare(world->log, input_u16(&world->in), NULL);
        break;
    case 11:
        files_take(&world->old, world->disk);
        break;
    }
}

/* Builds the log and leaves its files in `before`. */
static void build(struct world *world)
{
    static const uint64_t segments[] = {256, 640, 2048, 16384};
    uint8_t flags = input_u8(&world->in);
    unsigned steps = input_u8(&world->in) % BUILDS_MOST;
    world->options.segment_bytes = segments[flags & 3];
    world->options.durability = (enum firn_durability)((flags >> 2 & 3) % 3);
    world->options.first_index = flags & 16 ? 200 : 0;
    world->model.lowest = world->model.next = world->options.first_index;
    world->clean = (flags & 32) == 0;
    world->disk = memory_disk();
    require(open_log(world, false) == 0, "creating a log");
    for (unsigned i = 0; i < steps && world->in.left > 0; i++)
        build_step(world);
    world->acknowledged = log_info(world).next_index;
    if (!world->clean)
        files_take(&world->before, world->disk);
    require(close_log(world) == 0, "closing a log");
    if (world->clean)
        files_take(&world->before, world->disk);
    firn_disk_free(world->disk);
}

/* ---- reading -------------------------------------------------------------------------------- */

static void check_record(struct world *world, const struct firn_record *record)
{
    const struct damage *damage = &world->damage;
    uint64_t index;
    if (damage->forged)
        return;
    bool known = history_knows(&world->history, record, &index);
    /* Of a batch in a value nothing tells, if all that lies around it is damaged or misjudged. */
    bool blurred = damage->strayed ||
                   (damage->bytes_changed && (damage->count > 1 || damage->blurred));
    bool nested = record->value.size == NESTED_BYTES && (blurred || world->misled);
    require(known || nested, "a record was once appended");
    /* No checksum covers a batch's base. Alone, a wrong one breaks the chain. */
    if (known && (damage->count < 2 || !damage->bytes_changed))
        require(record->index == index, "a record has the index that it got");
}

static void note_record(struct world *world, struct reading *reading, bool backwards,
                        const struct firn_record *record)
{
    uint64_t index = record->index;
    trace("record %llu", (unsigned long long)index);
    require(index >= reading->lowest &&
                (index < reading->next || world->misled || world->damage.strayed),
            "a record lies in the log");
    if (reading->count > 0) {
        uint64_t last = reading->at[reading->count - 1].index;
        require(backwards ? index < last : index > last, "records come in order");
    }
    check_record(world, record);
    reading_add(reading, index, record_mark(record));
}

/* Steps over a hole; false if there is none. */
static bool skip_hole(struct firn_cursor *cursor, struct reading *reading, bool backwards)
{
    struct firn_hole hole;
    uint64_t place = firn_cursor_index(cursor);
    if (firn_cursor_hole(cursor, &hole) != 0)
        return false;
    trace("hole [%llu, %llu) in %llu at %llu, %llu bytes", (unsigned long long)hole.first_index,
          (unsigned long long)hole.next_index, (unsigned long long)hole.segment,
          (unsigned long long)hole.offset, (unsigned long long)hole.length);
    require(hole.first_index <= hole.next_index, "a hole has a beginning and an end");
    require(firn_cursor_skip(cursor) == 0, "a hole can be stepped over");
    uint64_t now = firn_cursor_index(cursor);
    bool empty = hole.first_index == hole.next_index; /* bytes between two batches */
    require(empty || (backwards ? now < place : now > place), "a step over a hole goes on");
    reading_add_hole(reading, &hole);
    return true;
}

static void reverse(struct reading *reading)
{
    for (size_t i = 0; i < reading->count / 2; i++) {
        struct seen seen = reading->at[i];
        reading->at[i] = reading->at[reading->count - i - 1];
        reading->at[reading->count - i - 1] = seen;
    }
}

static void read_all(struct world *world, bool backwards, struct reading *reading)
{
    struct firn_cursor_options options = {.at_end = backwards};
    struct firn_log_info info = log_info(world);
    struct firn_cursor *cursor;
    const struct firn_record *record;
    struct firn_error err;
    unsigned steps = 0;
    int rc;
    *reading = (struct reading){.lowest = info.lowest_index, .next = info.next_index};
    trace("%llu segments of [%llu, %llu)", (unsigned long long)info.segments,
          (unsigned long long)info.lowest_index, (unsigned long long)info.next_index);
    require(firn_cursor_open(world->log, &options, &cursor, NULL) == 0, "opening a cursor");
    do {
        require(steps++ < STEPS_MOST, "reading ends");
        err = (struct firn_error){0};
        rc = backwards ? firn_cursor_prev(cursor, &record, &err)
                       : firn_cursor_next(cursor, &record, &err);
        if (rc == 0)
            note_record(world, reading, backwards, record);
        else if (rc != FIRN_EEND)
            require(err.code == rc && err.message[0] != '\0', "reading says why it fails");
    } while (rc == 0 || (rc == FIRN_EDAMAGED && skip_hole(cursor, reading, backwards)));
    trace("read %s [%llu, %llu): %zu records, %zu holes, %s", backwards ? "backwards" : "forwards",
          (unsigned long long)reading->lowest, (unsigned long long)reading->next, reading->count,
          reading->hole_count, rc == FIRN_EEND ? "end" : err.message);
    require(rc == FIRN_EEND || world->misled, "reading goes on to the end");
    firn_cursor_close(cursor);
    if (backwards)
        reverse(reading);
}

static void check_by_index(struct world *world, const struct reading *reading)
{
    size_t step = 1 + reading->count / 8;
    if (world->misled || world->damage.strayed)
        return;
    for (size_t i = 0; i < reading->count; i += step) {
        struct firn_record *record;
        require(firn_log_read(world->log, reading->at[i].index, &record, NULL) == 0,
                "a record is found by its index");
        require(record_mark(record) == reading->at[i].mark, "it is the same record");
        firn_record_free(record);
    }
}

static int note_finding(void *arg, const struct firn_finding *finding)
{
    struct reading *reading = arg;
    struct firn_hole hole = {.first_index = finding->first_index,
                             .next_index = finding->next_index};
    require(finding->code != 0 && finding->file != NULL && finding->text != NULL,
            "a finding says what it is");
    trace("finding: %s at %llu, [%llu, %llu): %s", finding->file,
          (unsigned long long)finding->offset, (unsigned long long)finding->first_index,
          (unsigned long long)finding->next_index, finding->text);
    require(finding->first_index <= finding->next_index, "a finding's range");
    if (hole.first_index < hole.next_index)
        reading_add_hole(reading, &hole);
    return 0;
}

/* Everything that is there, in every way; then with what verify finds. */
static void read_log(struct world *world, struct reading *reading)
{
    struct reading back;
    struct firn_verify_stats stats;
    struct firn_error err = {0};
    read_all(world, false, reading);
    read_all(world, true, &back);
    /* A hole ends where a chain begins that is whole up to the end: two pieces of damage may hide
       what lies between from one direction. */
    bool alone = world->damage.count < 2;
    bool same = alone ? reading_equals(reading, &back) : reading_agrees(reading, &back);
    require(same || world->misled || world->damage.strayed, "both directions agree");
    check_by_index(world, reading);
    size_t holes = reading->hole_count + back.hole_count;
    int rc = firn_log_verify(world->log, note_finding, reading, &stats, &err);
    require(rc == 0 || (rc == FIRN_EDAMAGED && stats.findings > 0), "verify finds damage or none");
    require(holes == 0 || rc != 0 || world->misled, "what reading finds, verify finds");
    reading_done(&back);
}

/* ---- what must hold ------------------------------------------------------------------------- */

static void check_found(struct world *world, const struct reading *found)
{
    const struct reading *model = &world->model;
    bool kept = checkpoint_now(&world->before, &world->now) == CHECKPOINT_KEPT;
    if (world->misled)
        return;
    if (same_store(&world->before, &world->now)) {
        require(found->next >= world->acknowledged && found->next <= model->next,
                "an undamaged store ends where it ended");
        struct reading wanted;
        reading_copy(&wanted, model);
        reading_keep(&wanted, found->lowest, found->next);
        require(found->lowest <= model->lowest && (!kept || found->lowest == model->lowest),
                "and begins where it began");
        struct reading same;
        reading_copy(&same, found);
        reading_keep(&same, model->lowest, found->next);
        wanted.lowest = same.lowest;
        require(reading_equals(&same, &wanted), "and holds what it held");
        reading_done(&wanted);
        reading_done(&same);
    } else if (kept && world->clean && !world->damage.strayed) {
        require(found->next >= model->next, "a log that was closed ends no earlier");
        require(reading_covers(found, model->lowest, model->next), "what is lost is in a hole");
    } else if (kept && world->damage.count == 1 && world->damage.flipped) {
        require(reading_covers(found, model->lowest, world->claimed),
                "what a later batch knows to be durable is not taken for a torn tail");
    }
}

static bool may_fail_to_open(const struct world *world)
{
    bool lost = checkpoint_now(&world->before, &world->now) == CHECKPOINT_LOST;
    return world->misled || (lost && !has_segment(&world->now)) || world->options.first_index > 0;
}

/* To read only: nothing is changed. True if it opened. */
static bool look(struct world *world, struct reading *found)
{
    struct files after = {0};
    *found = (struct reading){0};
    int rc = open_log(world, true);
    require(rc == 0 || may_fail_to_open(world), "a damaged log opens");
    if (rc == 0) {
        read_log(world, found);
        check_found(world, found);
        require(close_log(world) == 0, "closing what was only read");
    }
    files_take(&after, world->disk);
    require(files_equal(&world->now, &after), "who only reads changes nothing");
    files_done(&after);
    return rc == 0;
}

/* ---- a life after the damage ---------------------------------------------------------------- */

static void live_cut(struct world *world, struct reading *held, bool end)
{
    struct firn_error err = {0};
    uint64_t index = pick_index(world, held);
    int rc = end ? firn_log_truncate(world->log, index, &err)
                 : firn_log_remove_before(world->log, index, &err);
    trace("%s %llu: %s", end ? "truncate" : "remove before", (unsigned long long)index,
          rc == 0 ? "0" : err.message);
    if (rc == 0)
        reading_keep(held, end ? 0 : index, end ? index : UINT64_MAX);
    require(rc == 0 || (err.code == rc && err.message[0] != '\0'), "a cut says why it fails");
    bool in_damage = rc == FIRN_EDAMAGED || rc == FIRN_ERANGE;
    require(rc == 0 || (end && in_damage) || world->misled, "a cut fails inside of damage only");
}

static void live_step(struct world *world, struct reading *held)
{
    uint8_t kind = input_u8(&world->in);
    if (kind % 4 < 2) {
        size_t count = 1 + kind / 4 % GROUP_MOST;
        int rc = append(world, held, count, input_u8(&world->in), false, kind & 1);
        bool used_up = held->next > INT64_MAX / 2; /* a file's name says so */
        require(rc == 0 || rc == FIRN_ETOOBIG || used_up || world->misled, "the log goes on");
    } else {
        live_cut(world, held, kind % 4 == 2);
    }
}

/* Changes the log and has `held` say what it holds then. */
static void live(struct world *world, struct reading *held)
{
    struct reading found;
    unsigned steps = input_u8(&world->in) % 5;
    for (unsigned i = 0; i < steps; i++)
        live_step(world, held);
    int rc = firn_log_flush(world->log, NULL);
    require(rc == 0 || world->misled, "flushing");
    read_log(world, &found);
    /* A batch that was moved is found by what follows it; a truncation takes that away. */
    bool same = world->damage.moved ? reading_agrees(held, &found) : reading_equals(held, &found);
    require(same || world->misled || world->damage.strayed, "the log is as it was made");
    reading_done(held);
    *held = found;
}

/* Opened again, after a clean end or from the files as they are: the same. */
static void check_again(struct world *world, bool clean, const struct reading *held)
{
    struct reading found;
    struct firn_recovery recovery;
    require(open_log(world, false) == 0, "what was open opens again");
    firn_log_get_recovery(world->log, &recovery);
    /* Where segments are missing at the end, opening has to find that out each time. */
    require(recovery.clean || !clean || recovery.damaged_ranges || world->misled,
            "a clean end is seen");
    read_log(world, &found);
    /* With two pieces of damage in a segment it takes an index to find what lies between. */
    bool alone = world->damage.count < 2 && !world->damage.moved;
    bool same = alone ? reading_equals(held, &found) : reading_agrees(held, &found);
    require(same || world->misled, "what was there is there again");
    require(close_log(world) == 0, "closing it again");
    reading_done(&found);
}

static void check_crashed(struct world *world, struct files *files, const struct reading *held)
{
    struct firn_disk *disk = world->disk;
    world->disk = files_disk(files);
    check_again(world, false, held);
    firn_disk_free(world->disk);
    world->disk = disk;
}

/* To write. `looked` is what was found to read only, or NULL. */
static void use(struct world *world, const struct reading *looked)
{
    struct reading held;
    struct files crashed = {0};
    int rc = open_log(world, false);
    require(rc == 0 || may_fail_to_open(world), "a damaged log opens to write");
    if (rc != 0)
        return;
    read_log(world, &held);
    check_found(world, &held);
    /* It may find more: where a file was cut, zeros that belong there may have come back. */
    bool same = looked == NULL || (reading_agrees(looked, &held) && held.count >= looked->count);
    require(same || world->misled, "who writes finds what who reads found");
    live(world, &held);
    files_take(&crashed, world->disk);
    rc = close_log(world);
    require(rc == 0 || world->misled, "closing it");
    if (rc == 0)
        check_again(world, true, &held);
    if (rc == 0 && !world->misled)
        check_crashed(world, &crashed, &held);
    reading_done(&held);
    files_done(&crashed);
}

static void world_done(struct world *world)
{
    reading_done(&world->model);
    files_done(&world->old);
    files_done(&world->before);
    files_done(&world->now);
    free(world);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct world *world = must_alloc(sizeof *world);
    struct reading looked;
    world->in = (struct input){data, size};
    build(world);
    files_copy(&world->now, &world->before);
    unsigned damages = input_u8(&world->in) % DAMAGES_MOST;
    for (unsigned i = 0; i < damages; i++)
        damage_files(&world->now, &world->old, &world->in, &world->damage);
    world->misled = world->damage.forged ||
                    checkpoint_now(&world->before, &world->now) == CHECKPOINT_OTHER;
    world->disk = files_disk(&world->now);
    bool opened = look(world, &looked);
    use(world, opened ? &looked : NULL);
    reading_done(&looked);
    firn_disk_free(world->disk);
    world_done(world);
    return 0;
}
