/* SPDX-License-Identifier: MIT */
/** Compiler marks that the other headers use. */
#ifndef FIRN_EXPORT_H
#define FIRN_EXPORT_H

#if defined(__GNUC__)
#define FIRN_API __attribute__((visibility("default")))
#define FIRN_PRINTF(text, first) __attribute__((format(printf, text, first)))
#else
#define FIRN_API
#define FIRN_PRINTF(text, first)
#endif

#endif
