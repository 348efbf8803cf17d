/* SPDX-License-Identifier: MIT */
/* From errno to FIRN_E..., and the sentences that say what failed where. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "disk/posix_private.h"

/* What a message takes of a path: its end, where it is longer. */
enum { PATH_SHOWN = 240 };

static const struct {
    int os_error;
    int code;
} codes[] = {
    {EINVAL, FIRN_EINVAL},       {EISDIR, FIRN_EINVAL},   {ELOOP, FIRN_EINVAL},
    {EXDEV, FIRN_EINVAL},        {ENOMEM, FIRN_ENOMEM},   {ENOSPC, FIRN_ENOSPC},
    {EDQUOT, FIRN_ENOSPC},       {ENOENT, FIRN_ENOENT},   {EEXIST, FIRN_EEXIST},
    {EACCES, FIRN_EACCES},       {EPERM, FIRN_EACCES},    {EAGAIN, FIRN_EAGAIN},
    {EWOULDBLOCK, FIRN_EAGAIN},  {EFBIG, FIRN_ETOOBIG},   {EOVERFLOW, FIRN_ETOOBIG},
    {EROFS, FIRN_EREADONLY},     {EBUSY, FIRN_EBUSY},     {ENAMETOOLONG, FIRN_ETOOBIG},
    {ETXTBSY, FIRN_EBUSY},       {ENOTEMPTY, FIRN_EBUSY}, {ENOTSUP, FIRN_ENOTSUP},
    {EOPNOTSUPP, FIRN_ENOTSUP},  {ENOSYS, FIRN_ENOTSUP},  {ENOLCK, FIRN_ENOTSUP},
    {ENOTDIR, FIRN_ENOTDIR},     {EMFILE, FIRN_EMFILE},   {ENFILE, FIRN_EMFILE},
    {ETIMEDOUT, FIRN_ETIMEDOUT},
};

int posix_code(int os_error)
{
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        if (codes[i].os_error == os_error)
            return codes[i].code;
    }
    return FIRN_EIO;
}

/* strerror_r returns the text in GNU's version and a number in POSIX's. */
static inline const char *reason_gnu(const char *text, const char *buf)
{
    (void)buf;
    return text;
}

static inline const char *reason_posix(int failed, const char *buf)
{
    return failed != 0 ? "unknown error" : buf;
}

static const char *reason(int os_error, char *buf, size_t size)
{
    buf[0] = '\0';
    return _Generic(strerror_r(os_error, buf, size), char *: reason_gnu, int: reason_posix)(
        strerror_r(os_error, buf, size), buf);
}

static const char *shown(const char *path, const char **dots)
{
    size_t len = strlen(path);
    *dots = len > PATH_SHOWN ? "..." : "";
    return len > PATH_SHOWN ? path + (len - PATH_SHOWN) : path;
}

int posix_fail(struct firn_error *err, int os_error, const char *path, const char *format, ...)
{
    char text[128];
    char why[96];
    const char *dots = "";
    va_list args;
    if (err == NULL)
        return posix_code(os_error);
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    const char *end = shown(path, &dots);
    return firn_error_set(err, posix_code(os_error), os_error, "%s%s: %s failed: %s", dots, end,
                          text, reason(os_error, why, sizeof why));
}

int posix_refuse(struct firn_error *err, int code, const char *path, const char *format, ...)
{
    char text[192];
    const char *dots = "";
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    const char *end = shown(path, &dots);
    return firn_error_set(err, code, 0, "%s%s: %s", dots, end, text);
}
