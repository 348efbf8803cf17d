/* SPDX-License-Identifier: MIT */
/* Which sanitizers this is compiled for: SANITIZED_ADDRESS, SANITIZED_THREAD. */
#ifndef BASE_SANITIZERS_H
#define BASE_SANITIZERS_H

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED_ADDRESS 1
#endif
#if defined(__SANITIZE_THREAD__)
#define SANITIZED_THREAD 1
#endif
#if defined(__has_feature)
#if __has_feature(address_sanitizer) && !defined(SANITIZED_ADDRESS)
#define SANITIZED_ADDRESS 1
#endif
#if __has_feature(thread_sanitizer) && !defined(SANITIZED_THREAD)
#define SANITIZED_THREAD 1
#endif
#endif

#endif
