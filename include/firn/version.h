/* SPDX-License-Identifier: MIT */
/** The version of firn: of these headers, and of the library that runs. */
#ifndef FIRN_VERSION_H
#define FIRN_VERSION_H

#include <firn/export.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FIRN_VERSION_MAJOR 0
#define FIRN_VERSION_MINOR 1
#define FIRN_VERSION_PATCH 0
#define FIRN_VERSION_STRING "0.1.0"

/** FIRN_VERSION_STRING of the library that the program runs with. Static; any thread. */
FIRN_API const char *firn_version(void);

#ifdef __cplusplus
}
#endif
#endif
