/* SPDX-License-Identifier: MIT */
/* Read by clang-tidy before each file: what its analyzer cannot see for itself. */
#include <firn/error.h>

/* It returns its code, which is never 0. */
#define firn_error_set(err, code, ...) (firn_error_set((err), (code), __VA_ARGS__), (code))
