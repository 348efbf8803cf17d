/* SPDX-License-Identifier: MIT */
#include "faulty/crash.h"

#include <stdlib.h>

#include "faulty/random.h"
#include "faulty/walk.h"

static int walk_begin(struct faulty_walk *walk, const struct faulty_tree *tree)
{
    walk->from = tree;
    walk->counts = calloc(tree->count, sizeof(uint64_t));
    return walk->counts == NULL ? FIRN_ENOMEM : 0;
}

static void walk_end(struct faulty_walk *walk)
{
    free(walk->counts);
    free(walk->versions.items);
}

int faulty_crash_outcomes(const struct faulty_tree *tree, bool shared_outcomes, uint64_t *outcomes)
{
    struct faulty_walk walk = {.draw.shared_outcomes = shared_outcomes};
    int rc = walk_begin(&walk, tree);
    if (rc == 0) {
        *outcomes = faulty_walk_count(&walk, 0);
    }
    walk_end(&walk);
    return rc;
}

uint64_t faulty_crash_tears(const struct faulty_tree *tree)
{
    uint64_t tears = 0;
    for (uint32_t i = 0; i < tree->count; i++) {
        const struct faulty_node *node = tree->nodes[i];
        if (node != NULL && node->choices != NULL) {
            tears += node->choices->tears;
        }
    }
    return tears;
}

/* Finds tear number draw.tear. */
static int find_tear(struct faulty_walk *walk)
{
    uint64_t tear = walk->draw.tear;
    if (tear == 0) {
        return 0;
    }
    tear--;
    for (uint32_t i = 0; i < walk->from->count; i++) {
        const struct faulty_node *node = walk->from->nodes[i];
        if (node == NULL || node->choices == NULL) {
            continue;
        }
        if (tear < node->choices->tears) {
            size_t sector = 0;
            int rc = faulty_choices_tear(node->choices, &node->content, tear, &sector,
                                         walk->torn_bytes);
            walk->torn = rc == 0;
            walk->torn_node = i;
            walk->torn_sector = node->choices->sectors[sector].sector;
            return rc;
        }
        tear -= node->choices->tears;
    }
    return FIRN_EINVAL;
}

/* Every node that is still there has a name now. */
static int name_all(struct faulty_tree *tree)
{
    int rc = faulty_tree_collect(tree, NULL, 0);
    for (uint32_t i = 0; rc == 0 && i < tree->count; i++) {
        if (tree->nodes[i] != NULL && !tree->nodes[i]->named) {
            struct faulty_node *node = faulty_tree_own(tree, i);
            if (node == NULL) {
                return FIRN_ENOMEM;
            }
            node->named = true;
        }
    }
    return rc;
}

int faulty_crash_apply(struct faulty_tree *tree, const struct faulty_draw *draw)
{
    struct faulty_tree result = {NULL, 0, 0};
    struct faulty_walk walk = {.draw = *draw, .to = &result};
    int rc = walk_begin(&walk, tree);
    if (rc == 0) {
        rc = faulty_tree_copy(&result, tree);
    }
    if (rc == 0) {
        rc = find_tear(&walk);
    }
    if (rc == 0) {
        rc = faulty_walk_node(&walk, 0, draw->number);
    }
    if (rc == 0) {
        rc = name_all(&result);
    }
    walk_end(&walk);
    if (rc != 0) {
        faulty_tree_done(&result);
        return rc;
    }
    faulty_tree_done(tree);
    *tree = result;
    return 0;
}

int faulty_crash_describe(const struct faulty_tree *tree, const struct faulty_draw *draw,
                          firn_faulty_line_fn *each, void *arg)
{
    struct faulty_walk walk = {.draw = *draw, .line = each, .arg = arg};
    int rc = walk_begin(&walk, tree);
    if (rc == 0) {
        rc = faulty_walk_node(&walk, 0, draw->number);
    }
    walk_end(&walk);
    return rc;
}

/* ---- drawing ---------------------------------------------------------------------------- */

static int count_choices(const struct faulty_tree *tree, const struct faulty_draw *draw,
                         enum faulty_draw_kind kind, uint64_t *choices)
{
    struct faulty_walk walk = {.draw = *draw};
    walk.draw.kind = kind;
    walk.draw.tears = false;
    int rc = walk_begin(&walk, tree);
    if (rc == 0) {
        rc = faulty_walk_node(&walk, 0, 0);
    }
    *choices = walk.visited;
    walk_end(&walk);
    return rc;
}

/* A time from just before the first pending effect to the last one's. */
static uint64_t draw_time(const struct faulty_tree *tree, uint64_t *random)
{
    uint64_t first = UINT64_MAX;
    uint64_t last = 0;
    for (uint32_t i = 0; i < tree->count; i++) {
        const struct faulty_node *node = tree->nodes[i];
        for (size_t k = 0; node != NULL && k < node->content.effects.count; k++) {
            uint64_t time = node->content.effects.items[k].time;
            first = time < first ? time : first;
            last = time > last ? time : last;
        }
        for (size_t k = 0; node != NULL && k < node->names.effect_count; k++) {
            uint64_t time = node->names.effects[k].time;
            first = time < first ? time : first;
            last = time > last ? time : last;
        }
    }
    return first > last ? 0 : first - 1 + faulty_random_below(random, last - first + 2);
}

int faulty_crash_draw(const struct faulty_tree *tree, uint64_t seed, bool shared_outcomes,
                      struct faulty_draw *draw)
{
    static const struct {
        enum faulty_draw_kind kind;
        uint64_t weight;
        uint64_t chance;
    } kinds[] = {
        {FAULTY_DRAW_NONE, 5, 0},   {FAULTY_DRAW_ALL, 10, 0},   {FAULTY_DRAW_ALL_BUT, 20, 0},
        {FAULTY_DRAW_ONLY, 15, 0},  {FAULTY_DRAW_TIME, 15, 0},  {FAULTY_DRAW_EVEN, 15, 0},
        {FAULTY_DRAW_COIN, 10, 10}, {FAULTY_DRAW_COIN, 10, 90},
    };
    struct faulty_draw drawn = {.shared_outcomes = shared_outcomes};
    drawn.random = faulty_mix(seed ^ UINT64_C(0x66697265));
    uint64_t pick = faulty_random_below(&drawn.random, 100);
    size_t at = 0;
    while (pick >= kinds[at].weight) {
        pick -= kinds[at++].weight;
    }
    drawn.kind = kinds[at].kind;
    drawn.chance = kinds[at].chance;
    drawn.tears = faulty_random_below(&drawn.random, 2) == 1;
    drawn.keep_shared = faulty_random_below(&drawn.random, 2) == 1;
    drawn.time = draw_time(tree, &drawn.random);
    uint64_t choices = 0;
    int rc = 0;
    if (drawn.kind == FAULTY_DRAW_ALL_BUT || drawn.kind == FAULTY_DRAW_ONLY) {
        bool all = drawn.kind == FAULTY_DRAW_ALL_BUT;
        rc = count_choices(tree, &drawn, all ? FAULTY_DRAW_ALL : FAULTY_DRAW_NONE, &choices);
    }
    drawn.target = choices == 0 ? 0 : faulty_random_below(&drawn.random, choices);
    if (rc == 0) {
        *draw = drawn;
    }
    return rc;
}
