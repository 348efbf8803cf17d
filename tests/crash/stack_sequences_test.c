/* SPDX-License-Identifier: MIT */
/*
 * Every sequence of up to three operations on a stack, as sequences.h has it. Behind each the stack
 * is closed, which has crash points too.
 */
#include "sequences.h"
#include "stack_machine.h"

static const struct stack_shape small = {0, 0, false}, pages = {12000, 0, false},
                                grows = {56000, 1 << 20, false}, zeros = {3000, 1 << 20, false},
                                single = {0, 0, true};

static void untorn(struct sequences_effort *effort)
{
    effort->each.tears = 0;
}

/*
 * A stack within a page, and one of several; one that needs more space than is set aside, and a
 * journal that is not applied then; growth by many zeros; a ring that is about to turn; one that is
 * created by the first operation; and one without a journal, where single sectors do not tear: it
 * relies on that, and changes in place may be torn.
 */
static const struct sequences_scene scenes[] = {
    {"small", &small, "ppk", "poxdaSerszwcRmk", NULL, 1, NULL},
    {"created", &small, "", "pxomk", NULL, 1, NULL},
    {"pages", &pages, "pkp", STACK_MACHINE_OPERATIONS, NULL, 5, NULL},
    {"grows", &grows, "o", "MPxodk", NULL, 2, NULL},
    {"zeros", &zeros, "p", "Zpodk", NULL, 3, NULL},
    {"ring", &pages, "MMp", "Mpodmbk", NULL, 2, NULL},
    {"single", &single, "ppk", "pPxodefDEnk", NULL, 1, untorn},
};

int main(int argc, char **argv)
{
    const struct sequences sequences = {
        .ops = &stack_machine_explored,
        .program = "stack_sequences",
        .option = "scene",
        .label = "",
        .scenes = scenes,
        .scene_count = sizeof scenes / sizeof *scenes,
        .shortest = 1,
        .last = "k",
        .full = {3, 1, {1024, 200, 24, 1, 20}},
        .usual = {3, 41, {48, 16, 3, 2, 100}},
        .less = {2, 3, {12, 4, 1, 3, 150}},
    };
    return sequences_main(&sequences, argc, argv);
}
