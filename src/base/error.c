/* SPDX-License-Identifier: MIT */
#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *firn_strerror(int code)
{
#define ERROR_TEXT(name, number, text)                                                             \
    case number:                                                                                   \
        return text;
    switch (code) {
        FIRN_ERRORS(ERROR_TEXT)
    case 0:
        return "success";
    default:
        return "unknown error";
    }
#undef ERROR_TEXT
}

const char *firn_error_name(int code)
{
#define ERROR_NAME(name, number, text)                                                             \
    case number:                                                                                   \
        return #name;
    switch (code) {
        FIRN_ERRORS(ERROR_NAME)
    case 0:
        return "FIRN_OK";
    default:
        return "FIRN_E?";
    }
#undef ERROR_NAME
}

/* Into a buffer of its own, since the arguments may point into the message that is replaced. */
FIRN_PRINTF(2, 0)
static size_t format_text(char text[FIRN_ERROR_MESSAGE_SIZE], const char *format, va_list args)
{
    int saved = errno;
    if (vsnprintf(text, FIRN_ERROR_MESSAGE_SIZE, format, args) < 0)
        text[0] = '\0';
    errno = saved;
    return strlen(text);
}

int firn_error_set(struct firn_error *err, int code, int os_error, const char *format, ...)
{
    if (err == NULL)
        return code;
    char text[FIRN_ERROR_MESSAGE_SIZE];
    va_list args;
    va_start(args, format);
    size_t length = format_text(text, format, args);
    va_end(args);
    err->code = code;
    err->os_error = os_error;
    memcpy(err->message, text, length + 1);
    return code;
}

/* Appends as much as there is room for. */
static size_t append(char text[FIRN_ERROR_MESSAGE_SIZE], size_t length, const char *more)
{
    size_t room = FIRN_ERROR_MESSAGE_SIZE - 1 - length;
    size_t size = strlen(more) < room ? strlen(more) : room;
    memcpy(text + length, more, size);
    text[length + size] = '\0';
    return length + size;
}

void error_wrap(struct firn_error *err, const char *format, ...)
{
    if (err == NULL)
        return;
    char text[FIRN_ERROR_MESSAGE_SIZE];
    va_list args;
    va_start(args, format);
    size_t length = format_text(text, format, args);
    va_end(args);
    length = append(text, length, ": ");
    length = append(text, length, err->message);
    memcpy(err->message, text, length + 1);
}
