/* SPDX-License-Identifier: MIT */
/*
 * What a power loss leaves of a tree: counting the outcomes, and making one of them come true.
 *
 * The outcomes of the whole are those of its root. Those of a directory are the product over its
 * stable names and its groups of names; those of a group the sum over its options of the product
 * over the nodes that the option names. So what hangs on a name counts only with the name, and an
 * outcome's number is taken apart on the way down: a remainder for each factor of a product, a part
 * of the range for each term of a sum.
 */
#ifndef FAULTY_CRASH_H
#define FAULTY_CRASH_H

#include <firn/faulty.h>

#include "faulty/tree.h"

enum faulty_draw_kind {
    FAULTY_DRAW_NUMBER,
    FAULTY_DRAW_NONE,
    FAULTY_DRAW_ALL,
    FAULTY_DRAW_ALL_BUT, /* all but one choice, number `target` */
    FAULTY_DRAW_ONLY,    /* none but choice number `target` */
    FAULTY_DRAW_EVEN,    /* each with the same chance */
    FAULTY_DRAW_COIN,    /* the newest with a chance of `chance` in a hundred */
    FAULTY_DRAW_TIME,    /* all up to `time` */
};

/* Which outcome. */
struct faulty_draw {
    enum faulty_draw_kind kind;
    uint64_t number;
    uint64_t tear;   /* 0: none; beside `number` */
    uint64_t random; /* state of the random numbers of the other kinds */
    uint64_t target;
    uint64_t chance;
    uint64_t time;
    bool tears;       /* sectors are torn by chance */
    bool keep_shared; /* what happens to shared memory, where that is no choice */
    bool shared_outcomes;
};

/* All of these want a settled tree. */
int faulty_crash_outcomes(const struct faulty_tree *tree, bool shared_outcomes, uint64_t *outcomes);
uint64_t faulty_crash_tears(const struct faulty_tree *tree);
/* Draws by chance what kind of outcome it shall be. */
int faulty_crash_draw(const struct faulty_tree *tree, uint64_t seed, bool shared_outcomes,
                      struct faulty_draw *draw);
/* The tree becomes what it is after the outcome. FIRN_ENOMEM: it is as before. */
int faulty_crash_apply(struct faulty_tree *tree, const struct faulty_draw *draw);
int faulty_crash_describe(const struct faulty_tree *tree, const struct faulty_draw *draw,
                          firn_faulty_line_fn *each, void *arg);

#endif
