/* SPDX-License-Identifier: MIT */
#include "machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crash/rig.h"
#include "disk/disk.h"

enum { BLOCK = 1 << MACHINE_SHIFT, BLOCKS_MOST = 1024 };

void machine_init(void *arg, const void *kind)
{
    struct machine *m = arg;
    const struct firn_env_options manual = {.manual = true};
    memset(m, 0, sizeof *m);
    m->shape = kind;
    if (firn_faulty_new(NULL, &m->faulty, NULL) < 0)
        abort();
    if (m->shape->env && firn_env_new(&manual, &m->env, NULL) < 0)
        abort();
    m->disk = firn_faulty_disk(m->faulty);
    if (disk_make_dir(m->disk, "dir", NULL) < 0 || firn_faulty_settle(m->faulty, NULL) < 0)
        abort();
}

void machine_copy(const void *from, void *to)
{
    const struct machine *m = from;
    struct machine *copy = to;
    memset(copy, 0, sizeof *copy);
    const struct firn_env_options manual = {.manual = true};
    copy->model = m->model;
    copy->shape = m->shape;
    if (m->env && firn_env_new(&manual, &copy->env, NULL) < 0)
        abort();
    if (firn_faulty_clone(m->faulty, &copy->faulty, NULL) < 0)
        abort();
    copy->disk = firn_faulty_disk(copy->faulty);
}

static void machine_take_model(void *machine, const void *from)
{
    ((struct machine *)machine)->model = ((const struct machine *)from)->model;
}

int machine_close(void *arg)
{
    struct machine *m = arg;
    for (int i = 0; i < m->count; i++)
        firn_block_close(m->blocks[i]);
    m->count = 0;
    int rc = firn_block_allocator_close(m->allocator, &m->err);
    m->allocator = NULL;
    return rc;
}

void machine_done(void *arg)
{
    struct machine *m = arg;
    machine_close(m);
    if (firn_env_free(m->env) < 0)
        abort();
    firn_faulty_free(m->faulty);
}

/* ---- operations ----------------------------------------------------------------------------- */

static int take_block(void *arg, struct firn_block *block)
{
    struct machine *m = arg;
    if (m->count == MACHINE_FILES)
        abort();
    m->blocks[m->count++] = block;
    return 0;
}

/* The lock that a crash left may seem to be our own: process ids begin anew. */
static int break_lock(struct machine *m)
{
    struct firn_block_holder holder;
    int rc = firn_block_sequence_holder(m->disk, "dir", "seq", &holder, &m->err);
    if (rc == 0)
        rc = firn_block_sequence_break_lock(m->disk, "dir", "seq", holder.text, &m->err);
    return rc == FIRN_ENOENT ? 0 : rc;
}

int machine_open(void *arg)
{
    struct machine *m = arg;
    const struct firn_block_options options = {.disk = m->disk, .env = m->env};
    int rc = break_lock(m);
    if (rc == 0)
        rc = firn_block_sequence_open("dir", "seq", m->shape->blocks, MACHINE_SHIFT, &options,
                                      &m->allocator, &m->err);
    if (rc == 0)
        rc = block_retrieve(m->allocator, take_block, m, &m->err);
    return rc;
}

static void settle(struct model *model)
{
    model->now = model->next;
    model->maybe_next = false;
}

/* By a store of one byte, or of so many blocks, all of whose bytes are the stamp. */
static int stamp(struct machine *m, int at, uint64_t blocks)
{
    static uint8_t bytes[BLOCK];
    static struct iovec iov[2 * BLOCKS_MOST];
    uint8_t value = ++m->model.last_stamp;
    memset(bytes, value, sizeof bytes);
    m->model.next = m->model.now;
    m->model.next.stamps[at] = value;
    m->model.maybe_next = true;
    for (uint64_t i = 0; i < blocks; i++) {
        iov[2 * i] = (struct iovec){bytes, 48};
        iov[2 * i + 1] = (struct iovec){bytes, BLOCK - 48};
    }
    const struct iovec pair[] = {{&value, 1}, {NULL, 0}};
    int rc = block_store(m->blocks[at], 0, blocks ? iov : pair, blocks ? (int)(2 * blocks) : 2,
                         &m->err);
    if (rc == 0)
        settle(&m->model);
    return rc;
}

static int allocate(struct machine *m)
{
    struct firn_block *block;
    struct model *model = &m->model;
    model->next = model->now;
    model->next.stamps[model->next.count++] = 0;
    model->maybe_next = true;
    int rc = block_allocate(m->allocator, &block, &m->err);
    if (rc < 0)
        return rc;
    settle(model);
    take_block(m, block);
    return stamp(m, m->count - 1, 0);
}

static int release(struct machine *m)
{
    struct model *model = &m->model;
    if (m->count == 0)
        return 0;
    model->next = model->now;
    model->next.count--;
    memmove(model->next.stamps, model->next.stamps + 1, MACHINE_FILES - 1);
    model->next.stamps[MACHINE_FILES - 1] = 0;
    model->maybe_next = true;
    int rc = block_release(m->allocator, m->blocks[0], &m->err);
    if (rc < 0)
        return rc;
    settle(model);
    m->count--;
    for (int i = 0; i < m->count; i++)
        m->blocks[i] = m->blocks[i + 1];
    return 0;
}

static int load_all(struct machine *m)
{
    for (int i = 0; i < m->count; i++) {
        uint8_t value = 0xcc;
        const struct iovec iov = {&value, 1};
        int rc = block_load(m->blocks[i], 0, &iov, 1, &m->err);
        if (rc < 0)
            return rc;
        if (value != m->model.now.stamps[i])
            return firn_error_set(&m->err, FIRN_EDAMAGED, 0,
                                  "what was loaded is not what is there");
    }
    return 0;
}

static int close_and_open(struct machine *m)
{
    int rc = machine_close(m);
    return rc == 0 ? machine_open(m) : rc;
}

int machine_operate(void *arg, char operation)
{
    struct machine *m = arg;
    switch (operation) {
    case 'a':
        return allocate(m);
    case 'r':
        return release(m);
    case 's':
        return m->count ? stamp(m, 0, 0) : 0;
    case 'l':
        return m->count ? stamp(m, 0, m->shape->blocks) : 0;
    case 'g':
        return load_all(m);
    case 'p':
        return m->count ? block_prepare(m->blocks[m->count - 1], 0, m->shape->blocks, &m->err) : 0;
    case 'e':
        if (m->env)
            rig_background(m->env);
        return 0;
    default:
        return close_and_open(m);
    }
}

/* ---- checks --------------------------------------------------------------------------------- */

static bool equals(struct machine *m, const struct files *files)
{
    if (m->count != files->count)
        return false;
    for (int i = 0; i < m->count; i++) {
        uint8_t value = 0xcc;
        const struct iovec iov = {&value, 1};
        if (block_load(m->blocks[i], 0, &iov, 1, &m->err) < 0 || value != files->stamps[i])
            return false;
    }
    return true;
}

static int no_leftover(void *arg, const char *name, const struct firn_entry *entry)
{
    (void)arg, (void)entry;
    return strstr(name, ".tmp") ? 1 : 0;
}

bool machine_check(void *arg)
{
    struct machine *m = arg;
    struct model *model = &m->model;
    bool next = model->maybe_next && equals(m, &model->next);
    if (!next && !equals(m, &model->now)) {
        snprintf(m->why, sizeof m->why, "%d files, not what may be there", m->count);
        return false;
    }
    if (disk_list(m->disk, "dir", no_leftover, NULL, NULL) == 1) {
        snprintf(m->why, sizeof m->why, "an unfinished file is left");
        return false;
    }
    if (next)
        settle(model);
    model->maybe_next = false;
    return true;
}

bool machine_check_life(void *arg)
{
    static const char script[] = "arsacra";
    struct machine *m = arg;
    for (int life = 0; life < 2; life++) {
        if (machine_open(m) < 0) {
            snprintf(m->why, sizeof m->why, "opening: %.400s", m->err.message);
            return false;
        }
        if (!machine_check(m))
            return false;
        for (const char *operation = script; *operation && life == 0; operation++) {
            if (machine_operate(m, *operation) == 0)
                continue;
            snprintf(m->why, sizeof m->why, "going on: %.400s", m->err.message);
            return false;
        }
        if (machine_close(m) < 0) {
            snprintf(m->why, sizeof m->why, "closing: %.400s", m->err.message);
            return false;
        }
    }
    return true;
}

static struct firn_faulty *machine_faulty(const void *arg)
{
    return ((const struct machine *)arg)->faulty;
}

static uint64_t machine_digest(const void *arg)
{
    const struct model *model = &((const struct machine *)arg)->model;
    const struct files *both[] = {&model->now, model->maybe_next ? &model->next : &model->now};
    uint64_t sum = 1;
    for (int i = 0; i < 2; i++) {
        sum = sum * 31 + (uint64_t)both[i]->count;
        for (int k = 0; k < MACHINE_FILES; k++)
            sum = sum * 257 + both[i]->stamps[k];
    }
    return sum;
}

static const char *machine_why(const void *arg)
{
    return ((const struct machine *)arg)->why;
}

static struct firn_error *machine_error(void *arg)
{
    return &((struct machine *)arg)->err;
}

static bool machine_check_leaks(void *arg)
{
    struct machine *m = arg;
    return rig_check_leaks(m->faulty, m->why, sizeof m->why);
}

static bool machine_is_open(const void *arg)
{
    return ((const struct machine *)arg)->allocator != NULL;
}

static size_t machine_possible(const void *arg)
{
    return ((const struct machine *)arg)->model.maybe_next ? 2 : 1;
}

const struct explore_ops machine_ops = {
    .machine_bytes = sizeof(struct machine),
    .init = machine_init,
    .copy = machine_copy,
    .take_model = machine_take_model,
    .done = machine_done,
    .open = machine_open,
    .close = machine_close,
    .operate = machine_operate,
    .check = machine_check,
    .check_life = machine_check_life,
    .check_leaks = machine_check_leaks,
    .is_open = machine_is_open,
    .possible = machine_possible,
    .faulty = machine_faulty,
    .digest = machine_digest,
    .why = machine_why,
    .error = machine_error,
};
