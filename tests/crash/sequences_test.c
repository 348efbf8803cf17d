/* SPDX-License-Identifier: MIT */
/* Every sequence of up to three operations on a log, as sequences.h has it. */
#include <string.h>

#include "machine.h"
#include "sequences.h"

static const enum firn_durability each = FIRN_DURABILITY_EACH, group = FIRN_DURABILITY_GROUP,
                                  os = FIRN_DURABILITY_OS;

static const struct sequences_scene modes[] = {
    {.name = "each", .kind = &each, .setup = ""},
    {.name = "group", .kind = &group, .setup = ""},
    {.name = "os", .kind = &os, .setup = ""},
};

/* Compaction wants segments that hold more than one record of a key. */
static void try_compaction(struct explore *explore, unsigned length)
{
    static const char *const sequences[] = {"y", "yt", "yb", "ty", "cy"};
    explore->setup = "aagragar";
    explore->effort.again *= 5;
    for (size_t i = 0; i < sizeof sequences / sizeof *sequences; i++)
        if (strlen(sequences[i]) == length)
            explore_sequence(explore, sequences[i]);
    explore->effort.again /= 5;
}

static void try_length(struct explore *explore, const struct sequences_scene *mode, unsigned length)
{
    bool at_once = mode->kind == &each;
    const char *basic = at_once ? MACHINE_OPERATIONS : MACHINE_OPERATIONS "f";
    const char *more = at_once ? MACHINE_OPERATIONS "xzksn" : MACHINE_OPERATIONS "fxzs";
    const char *operations = length < 3 ? more : basic;
    explore->setup = at_once && length < 3 ? "aagcang" : "aagcag";
    explore_all(explore, operations, length, 1, "");
    explore->setup = "";
    explore_all(explore, operations, length, 1, "");
    try_compaction(explore, length);
}

/* A process for each mode: they have nothing in common, and it takes long enough. */
int main(int argc, char **argv)
{
    const struct sequences sequences = {
        .ops = &machine_explored,
        .program = "sequences",
        .option = "mode",
        .label = "mode ",
        .scenes = modes,
        .scene_count = sizeof modes / sizeof *modes,
        .apart = true,
        .shortest = 1,
        .full = {3, 1, {1024, 200, 24, 1, 20}},
        .usual = {3, 1, {48, 16, 4, 2, 100}},
        .less = {2, 1, {12, 4, 1, 4, 200}},
        .try_length = try_length,
    };
    return sequences_main(&sequences, argc, argv);
}
