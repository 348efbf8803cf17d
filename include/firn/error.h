/* SPDX-License-Identifier: MIT */
/**
 * Results and errors.
 *
 * Every call of firn that can fail returns an int: 0, or one of the negative codes below. Calls
 * that touch storage also take an optional last `struct firn_error *err`: the caller owns it, may
 * pass NULL, and finds in it the code, the operating system's errno and a sentence that says what
 * failed, where (file, offset) and what to do. It is written only when the call fails.
 */
#ifndef FIRN_ERROR_H
#define FIRN_ERROR_H

#include <firn/export.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Every error: name, number, text. The numbers never change and are never used again. */
#define FIRN_ERRORS(X)                                                                             \
    X(FIRN_EINVAL, -1, "invalid argument")                                                         \
    X(FIRN_ENOMEM, -2, "out of memory")                                                            \
    X(FIRN_EIO, -3, "input/output error")                                                          \
    X(FIRN_ENOSPC, -4, "no space left on the device")                                              \
    X(FIRN_ENOENT, -5, "no such file or directory")                                                \
    X(FIRN_EEXIST, -6, "exists already")                                                           \
    X(FIRN_EACCES, -7, "permission denied")                                                        \
    X(FIRN_ELOCKED, -8, "locked by another process or handle")                                     \
    X(FIRN_EAGAIN, -9, "would block; try again")                                                   \
    X(FIRN_ETIMEDOUT, -10, "timed out")                                                            \
    X(FIRN_EPOISONED, -11, "an earlier write or sync failed; close and reopen")                    \
    X(FIRN_EDAMAGED, -12, "stored data is damaged")                                                \
    X(FIRN_ERANGE, -13, "outside the range that is held")                                          \
    X(FIRN_ETOOBIG, -14, "larger than the limit")                                                  \
    X(FIRN_EMISMATCH, -15, "not at the expected index")                                            \
    X(FIRN_ECLOSED, -16, "closed")                                                                 \
    X(FIRN_EREADONLY, -17, "opened read-only")                                                     \
    X(FIRN_EFORMAT, -18, "not in a format that this version reads")                                \
    X(FIRN_EBUSY, -19, "in use")                                                                   \
    X(FIRN_ENOTSUP, -20, "not supported here")                                                     \
    X(FIRN_EEND, -21, "no more records")                                                           \
    X(FIRN_ENOTDIR, -22, "not a directory")                                                        \
    X(FIRN_EMFILE, -23, "too many open files")

#define FIRN_ERROR_ENUM(name, number, text) name = number,
enum firn_error_code { FIRN_OK = 0, FIRN_ERRORS(FIRN_ERROR_ENUM) FIRN_ERROR_FIRST = -1 };
#undef FIRN_ERROR_ENUM

enum { FIRN_ERROR_MESSAGE_SIZE = 488 };

/** What went wrong. The caller owns it; a zeroed one says "nothing". */
struct firn_error {
    int code;                              /**< 0 or FIRN_E... */
    int os_error;                          /**< errno of the cause, 0 where there was none */
    char message[FIRN_ERROR_MESSAGE_SIZE]; /**< NUL-terminated; cut where it would be longer */
};

/** The text of a code, "unknown error" for one that is not ours. Static; any thread. */
FIRN_API const char *firn_strerror(int code);

/** The name of a code, such as "FIRN_EIO"; "FIRN_E?" for one that is not ours. Static. */
FIRN_API const char *firn_error_name(int code);

/**
 * Fills `err` (ignored where NULL) and returns `code`, so that an implementation of a storage can
 * write `return firn_error_set(err, FIRN_EIO, errno, "%s: read at %llu", path, offset);`.
 * Does not change errno. Any thread.
 */
FIRN_API int firn_error_set(struct firn_error *err, int code, int os_error, const char *format, ...)
    FIRN_PRINTF(4, 5);

#ifdef __cplusplus
}
#endif
#endif
