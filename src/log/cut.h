/* SPDX-License-Identifier: MIT */
#ifndef LOG_CUT_H
#define LOG_CUT_H

#include "log/log_private.h"

/* What a compressed batch becomes that a truncation divides, until it stands in the segment. */
#define CUT_NAME "cut"

/*
 * Fills in the intent of a truncation at `index`, and how far the log is durable then. A cut inside
 * a damaged range is possible only at its beginning: FIRN_EDAMAGED. FIRN_ENOTSUP: it lies in a
 * batch that this build can't unpack.
 */
int cut_plan(struct firn_log *log, struct segment *segment, uint64_t index, struct checkpoint *next,
             struct firn_error *err);

/* Makes the segment what the intent says, as often as is needed. Durable on return. */
int cut_store(struct firn_log *log, const struct intent *intent, struct firn_error *err);

/* Removes the file, once no intent speaks of it. */
void cut_forget(struct firn_log *log);

#endif
