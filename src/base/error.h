/* SPDX-License-Identifier: MIT */
/* What the library itself needs beyond <firn/error.h>. */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <firn/error.h>

/*
 * Puts "<format>: " before the message of `err`, which an inner call has filled; a message that
 * gets too long is cut at its end. Leaves code, os_error and errno alone. NULL is fine.
 */
void error_wrap(struct firn_error *err, const char *format, ...) FIRN_PRINTF(2, 3);

#endif
