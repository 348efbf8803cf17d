/* SPDX-License-Identifier: MIT */
/* What a call changes: the list's blocks and beginning, all of it one change of the stack. */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "slab/slab_private.h"

/* ---- memory ---- */

static int no_memory(const struct firn_slab *slab, struct firn_error *err)
{
    return firn_error_set(err, FIRN_ENOMEM, 0, "%s: no memory for a change of the slab",
                          stack_path(slab->stack));
}

static void *room(void *few, size_t few_count, size_t count, size_t size)
{
    return count <= few_count ? few : calloc(count, size);
}

/* Of the links alone; what else the change carries, the stack counts. */
static int check_size(const struct firn_slab *slab, const struct plan_size *size, size_t writes,
                      struct firn_error *err)
{
    uint64_t most = stack_most(slab->stack, writes + 2) / SLAB_LINK;
    if (size->blocks < most)
        return 0;
    return firn_error_set(err, FIRN_ETOOBIG, 0,
                          "%s: %llu blocks of the slab in one change; journal_bytes allows fewer",
                          stack_path(slab->stack),
                          (unsigned long long)(size->blocks + size->taken));
}

int plan_begin(struct plan *plan, struct firn_slab *slab, const struct plan_size *size,
               struct firn_error *err)
{
    if (size->blocks > SIZE_MAX / 256 || size->taken > SIZE_MAX / 256)
        return no_memory(slab, err);
    size_t links = (size_t)size->blocks + 1, writes = links + size->taken + size->others;
    int rc = check_size(slab, size, writes, err);
    if (rc < 0)
        return rc;
    plan->slab = slab;
    plan->head = slab->head;
    plan->end = slab->end;
    plan->taken = room(plan->few_taken, FEW_BLOCKS, size->taken, sizeof *plan->taken);
    plan->given = room(plan->few_given, FEW_BLOCKS, size->given, sizeof *plan->given);
    plan->writes = room(plan->few_writes, FEW_WRITES, writes, sizeof *plan->writes);
    plan->links = room(plan->few_links, FEW_WRITES, links, sizeof *plan->links);
    return plan->taken && plan->given && plan->writes && plan->links ? 0 : no_memory(slab, err);
}

static void give_back(void *memory, const void *few)
{
    if (memory != few)
        free(memory);
}

static void plan_done(struct plan *plan)
{
    give_back(plan->taken, plan->few_taken);
    give_back(plan->given, plan->few_given);
    give_back(plan->writes, plan->few_writes);
    give_back(plan->links, plan->few_links);
}

/* ---- planning ---- */

void plan_write(struct plan *plan, uint64_t offset, const void *bytes, uint64_t size)
{
    if (size > 0)
        plan->writes[plan->write_count++] = (struct firn_stack_write){offset, bytes, size};
}

static void write_link(struct plan *plan, uint64_t offset, uint64_t link)
{
    uint8_t *bytes = plan->links[plan->link_count++];
    store_le_u64(bytes, link);
    plan_write(plan, offset, bytes, SLAB_LINK);
}

static bool is_free(const struct firn_slab *slab, uint64_t offset)
{
    uint64_t found;
    return slab_is_block(slab->block_size, slab->end, offset) &&
           free_map_finds(&slab->map, slab_block_of(slab, offset), 1, &found);
}

static int bad_link(const struct firn_slab *slab, uint64_t offset, uint64_t link,
                    struct firn_error *err)
{
    return firn_error_set(err, FIRN_EDAMAGED, 0,
                          "%s: damaged: somebody has overwritten the free block at byte %llu of "
                          "the slab: its link leads to byte %llu",
                          stack_path(slab->stack), (unsigned long long)offset,
                          (unsigned long long)link);
}

static void remove_free(struct firn_slab *slab, uint64_t offset)
{
    pthread_rwlock_wrlock(&slab->lock);
    free_map_take(&slab->map, slab_block_of(slab, offset));
    pthread_rwlock_unlock(&slab->lock);
}

int plan_take(struct plan *plan, uint64_t *offset, struct firn_error *err)
{
    struct firn_slab *slab = plan->slab;
    uint8_t bytes[SLAB_LINK];
    uint64_t block = plan->head;
    int rc = stack_read_staged(slab->stack, block, bytes, sizeof bytes, err);
    if (rc < 0)
        return rc;
    remove_free(slab, block);
    plan->taken[plan->taken_count++] = block;
    uint64_t link = load_le_u64(bytes);
    if (link != 0 && !is_free(slab, link))
        return bad_link(slab, block, link, err);
    plan_write(plan, block, NULL, slab->block_size);
    plan->head = link;
    *offset = block;
    return 0;
}

int plan_give(struct plan *plan, uint64_t offset, uint64_t blocks, struct firn_error *err)
{
    struct firn_slab *slab = plan->slab;
    if (blocks == 0)
        return 0;
    pthread_rwlock_wrlock(&slab->lock);
    int rc = free_map_reserve(&slab->map, slab_block_of(slab, offset), blocks);
    pthread_rwlock_unlock(&slab->lock);
    if (rc < 0)
        return no_memory(slab, err);
    for (uint64_t i = 0; i < blocks; i++) {
        uint64_t at = offset + i * slab->block_size;
        write_link(plan, at, i + 1 < blocks ? at + slab->block_size : plan->head);
    }
    plan->head = offset;
    plan->given[plan->given_count++] = (struct run){offset, blocks};
    return 0;
}

void plan_finish(struct plan *plan, struct firn_stack_change *change)
{
    if (plan->head != plan->slab->head)
        write_link(plan, SLAB_AT_HEAD, plan->head);
    change->writes = plan->writes;
    change->write_count = plan->write_count;
}

/* ---- making it ---- */

static void undo(struct plan *plan)
{
    for (size_t i = 0; i < plan->taken_count; i++)
        free_map_add(&plan->slab->map, slab_block_of(plan->slab, plan->taken[i]), 1);
}

static void apply(struct plan *plan)
{
    struct firn_slab *slab = plan->slab;
    for (size_t i = 0; i < plan->given_count; i++)
        free_map_add(&slab->map, slab_block_of(slab, plan->given[i].offset), plan->given[i].blocks);
    slab->head = plan->head;
    slab->end = plan->end;
}

static void settle(void *arg, bool staged)
{
    struct plan *plan = arg;
    if (!plan->slab) /* not begun */
        return;
    pthread_rwlock_wrlock(&plan->slab->lock);
    if (staged)
        apply(plan);
    else
        undo(plan);
    pthread_rwlock_unlock(&plan->slab->lock);
}

int plan_make(struct firn_slab *slab, stack_decide *decide, struct plan *arg,
              struct firn_error *err)
{
    const struct stack_step step = {.decide = decide, .settle = settle, .arg = arg, .holder = slab};
    int rc = stack_step(slab->stack, &step, err);
    plan_done(arg);
    return rc;
}
