/* SPDX-License-Identifier: MIT */
/*
 * Every sequence of up to three operations on a pipe, as sequences.h has it. Behind each the pipe
 * is flushed and closed, which has crash points too.
 */
#include "pipe_machine.h"
#include "sequences.h"

static const struct pipe_shape small = {16, 12, 0, false}, pages = {600, 13, 0, false},
                               ring = {600, 40, 0, false}, bytes = {1, 90, 0, false},
                               refused = {16, 12, 0, true},
                               parts = {65536, 20, UINT64_C(8) << 20, false};

static void slow(struct sequences_effort *effort)
{
    effort->length--;
    effort->each.all_below /= 8;
    effort->each.sample /= 8;
    effort->each.tears /= 2;
    effort->each.crash_step *= 2;
    effort->each.again *= 5;
}

/*
 * Chunks smaller than a sector, within one page, which the growth never leaves; chunks across
 * sectors and pages, with a mark that moves when it grows; a ring that is about to turn; and groups
 * that are written in parts.
 */
static const struct sequences_scene scenes[] = {
    {"small", &small, "WcT", PIPE_MACHINE_OPERATIONS, NULL, 1, NULL},
    {"created", &small, "", "wtWgcb", NULL, 1, NULL},
    {"pages", &pages, "WcT", PIPE_MACHINE_OPERATIONS, NULL, 1, NULL},
    {"ring", &ring, "LLw", "LLwtWgcb", NULL, 1, NULL},
    {"bytes", &bytes, "W", "wtTgcb", NULL, 1, NULL},
    {"refused", &refused, "W", "RgWfbc", NULL, 1, NULL},
    {"parts", &parts, "TL", "LwgcbT", NULL, 1, slow},
};

int main(int argc, char **argv)
{
    const struct sequences sequences = {
        .ops = &pipe_machine_explored,
        .program = "pipe_sequences",
        .option = "scene",
        .label = "",
        .scenes = scenes,
        .scene_count = sizeof scenes / sizeof *scenes,
        .shortest = 1,
        .last = "fc",
        .full = {3, 1, {1024, 200, 24, 1, 20}},
        .usual = {3, 5, {96, 32, 6, 1, 60}},
        .less = {2, 3, {16, 6, 2, 2, 100}},
    };
    return sequences_main(&sequences, argc, argv);
}
