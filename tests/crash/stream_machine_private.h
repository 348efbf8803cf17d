/* SPDX-License-Identifier: MIT */
#ifndef TESTS_CRASH_STREAM_MACHINE_PRIVATE_H
#define TESTS_CRASH_STREAM_MACHINE_PRIVATE_H

#include "stream_machine.h"

/* Something was wrong during an operation; the next check says so. The first one counts. */
void machine_broken(struct stream_machine *machine, const char *format, ...) FIRN_PRINTF(2, 3);
/* The lock that a crash left may seem to be our own: process ids begin anew. */
int machine_break_lock(struct stream_machine *machine);
int machine_open_with(struct stream_machine *machine, bool read_only);
/* After loading: which parts there are follows from the files' names. */
void machine_follow(struct stream_machine *machine);
/* If the model has no part, and a file is there: what it is called. */
void machine_follow_names(struct stream_machine *machine);
/* As stream_machine_check, without verifying. */
bool machine_check_loaded(struct stream_machine *machine);

#endif
