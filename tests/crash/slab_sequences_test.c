/* SPDX-License-Identifier: MIT */
/*
 * Every sequence of up to three operations on a slab, as sequences.h has it. Behind each the slab
 * is closed, which has crash points too.
 */
#include "sequences.h"
#include "slab_machine.h"

static const struct slab_shape small = {16, 0}, oversized = {24, 0}, created = {8, 0},
                               pages = {4096, 0};

/*
 * Blocks within a page, and of a page; what is free and what is last varies; and one that is
 * created by the first operation.
 */
static const struct sequences_scene scenes[] = {
    {"small", &small, "nwnwNwnfk", SLAB_MACHINE_OPERATIONS, NULL, 5, NULL},
    {"oversized", &oversized, "nNwNwgw", "lFGSsgmofk", NULL, 2, NULL},
    {"created", &created, "", "nNmFk", NULL, 1, NULL},
    {"pages", &pages, "nwNwmwfk", SLAB_MACHINE_OPERATIONS, NULL, 12, NULL},
};

int main(int argc, char **argv)
{
    const struct sequences sequences = {
        .ops = &slab_machine_explored,
        .program = "slab_sequences",
        .option = "scene",
        .label = "",
        .scenes = scenes,
        .scene_count = sizeof scenes / sizeof *scenes,
        .shortest = 1,
        .last = "k",
        .full = {3, 1, {1024, 200, 24, 1, 20}},
        .usual = {3, 17, {48, 16, 3, 2, 100}},
        .less = {2, 3, {16, 6, 2, 2, 100}},
    };
    return sequences_main(&sequences, argc, argv);
}
