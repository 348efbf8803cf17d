/* SPDX-License-Identifier: MIT */
/*
 * Short lives of a stream, as sequences.h has it: scripts of what is known to be delicate, and
 * every pair of operations.
 */
#include "sequences.h"
#include "stream_machine.h"

static const struct stream_shape three = {3, true, false}, five = {5, true, false},
                                 unspanned = {3, false, false}, huge = {700, true, false},
                                 with_env = {3, false, true};

/* Large ones take long. */
static void slow(struct sequences_effort *effort)
{
    effort->each.sample = effort->each.sample / 12 + 1;
    effort->each.again *= 2;
}

static const struct sequences_scene scenes[] = {
    {"created", &three, "", "sBLSgc", "gsc sbs FsF Scs cgsl", 1, NULL},
    {"within", &three, "gs", "", "sss ssc scs csss s0s", 1, NULL},
    {"completing", &three, "gs", "", "bs bbs sbsb bcs Bs BBB BcB Fs FgF bFsc", 1, NULL},
    {"blocks", &five, "gs", "", "L Ls LL LcL bLs LBc", 1, NULL},
    {"spanned", &three, "gsgg", "", "S Ss SS W Ws bS bW SW WcS FS LS SSSS", 1, NULL},
    {"spans-in-pieces", &three, "ggLb", "", "Ss Ws WW WcW", 1, NULL},
    {"wasted", &unspanned, "gsg", "", "S Ss LS SS WLs Lcs", 1, NULL},
    {"growing", &three, "gs", "", "g gs gg sgs gS gcS gpS pgps", 1, NULL},
    {"shrinking", &three, "gsSFsSSs", "", "ahx ahxs ahxc ahc ahXs asahX k ks kS lahx", 1, NULL},
    {"spilled-first", &three, "gsS", "", "ahx ahxs ahxc ahxgs kscs FahXc", 1, NULL},
    {"emptied", &unspanned, "gF", "", "ahx ahxc ahxgs ahXsc ahcs", 1, NULL},
    {"closing", &three, "gsLSBcs", "", "c sc Lc Sc bc Fc gc lc cc scs", 1, NULL},
    {"large", &huge, "ggs", "", "H Hs HH sHc", 1, slow},
    {"pairs", &three, "gsSBs", "sbBLFSWgkcpl", NULL, 1, NULL},
    {"pairs-apart", &with_env, "gsSBs", "sbBLFSgkcz", NULL, 1, NULL},
};

int main(int argc, char **argv)
{
    const struct sequences sequences = {
        .ops = &stream_machine_explored,
        .program = "stream_sequences",
        .option = "scene",
        .label = "",
        .scenes = scenes,
        .scene_count = sizeof scenes / sizeof *scenes,
        .shortest = 2,
        .last = "c",
        .full = {2, 1, {4096, 600, 0, 1, 10}},
        .usual = {2, 1, {32, 12, 0, 1, 60}},
        .less = {2, 4, {12, 6, 0, 2, 100}},
    };
    return sequences_main(&sequences, argc, argv);
}
