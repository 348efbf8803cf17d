/* SPDX-License-Identifier: MIT */
/* Acknowledgements on standard output, which somebody waits for. */
#ifndef CLI_ACKS_H
#define CLI_ACKS_H

#include <stddef.h>

/* Writes all of it at once. 0, or an errno; EINTR: a signal came, and nobody reads. */
int acks_write(const char *text, size_t size);

#endif
