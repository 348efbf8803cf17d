/* SPDX-License-Identifier: MIT */
/* Standard input. */
#ifndef CLI_INPUT_H
#define CLI_INPUT_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Reads once, into `room` of `size` bytes: adds to `*used` how many there were, and sets `*ended`
 * where the input has ended. STATUS_..., all being said.
 */
int input_read(const char *subcommand, char *room, size_t size, size_t *used, bool *ended);

#endif
