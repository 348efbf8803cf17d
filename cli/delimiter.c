/* SPDX-License-Identifier: MIT */
#include "delimiter.h"

#include <string.h>

const char *delimiter_parse(const char *text, void *target)
{
    static const char *const names[] = {"newline", "nul", "paragraph", "length32"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(text, names[i]) == 0) {
            *(enum delimiter *)target = (enum delimiter)i;
            return NULL;
        }
    }
    return "write " DELIMITER_NAMES;
}

const char *delimiter_parse_separator(const char *text, void *target)
{
    static const char escapes[][3] = {"t\t", "n\n", "r\r", "\\\\"};
    struct separator *separator = target;
    if (text[0] && !text[1]) {
        *separator = (struct separator){.given = true, .byte = text[0]};
        return NULL;
    }
    if (strcmp(text, "\\0") == 0) {
        *separator = (struct separator){.given = true};
        return NULL;
    }
    for (size_t i = 0; i < sizeof escapes / sizeof escapes[0]; i++) {
        if (text[0] == '\\' && text[1] == escapes[i][0] && !text[2]) {
            *separator = (struct separator){.given = true, .byte = escapes[i][1]};
            return NULL;
        }
    }
    return "write one byte, or \\t, \\n, \\r, \\0 or \\\\";
}

void delimiter_divide(struct firn_slice bytes, struct separator separator,
                      struct firn_record *record)
{
    const char *data = bytes.data;
    const char *end = separator.given ? memchr(data, separator.byte, bytes.size) : NULL;
    record->value = bytes;
    record->key = (struct firn_slice){0};
    if (end) {
        record->key = (struct firn_slice){data, (size_t)(end - data)};
        record->value = (struct firn_slice){end + 1, bytes.size - record->key.size - 1};
    }
}

static void put_bytes(FILE *to, struct firn_slice bytes)
{
    if (bytes.size)
        fwrite(bytes.data, 1, bytes.size, to);
}

static void put_length(FILE *to, size_t length)
{
    for (int shift = 24; shift >= 0; shift -= 8)
        putc((int)(length >> shift & 0xff), to);
}

int delimiter_begin(FILE *to, enum delimiter delimiter, struct separator separator,
                    const struct firn_record *record)
{
    bool with_key = separator.given && record->key.data;
    if (delimiter == DELIMITER_LENGTH32) {
        size_t length = record->value.size + (with_key ? record->key.size + 1 : 0);
        if (length > UINT32_MAX)
            return FIRN_ETOOBIG;
        put_length(to, length);
    }
    if (with_key) {
        put_bytes(to, record->key);
        putc(separator.byte, to);
    }
    return 0;
}

void delimiter_end(FILE *to, enum delimiter delimiter)
{
    if (delimiter == DELIMITER_NUL)
        putc('\0', to);
    else if (delimiter != DELIMITER_LENGTH32)
        fputs(delimiter == DELIMITER_PARAGRAPH ? "\n\n" : "\n", to);
}
