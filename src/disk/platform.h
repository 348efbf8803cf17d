/* SPDX-License-Identifier: MIT */
/* Whether the calls that only Linux has may be used. */
#ifndef FIRN_DISK_PLATFORM_H
#define FIRN_DISK_PLATFORM_H

#if defined(__linux__) && !defined(FIRN_POSIX_ONLY)
#define DISK_LINUX 1
#else
#define DISK_LINUX 0
#endif

#endif
