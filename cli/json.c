/* SPDX-License-Identifier: MIT */
#include "json.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* ---- UTF-8 ------------------------------------------------------------------------------ */

/* Bytes of the character at `at`, of which `left` are there; 0 if it is none (RFC 3629: shortest
 * form, no surrogates, nothing above U+10FFFF). */
static size_t length_of_character(const unsigned char *at, size_t left)
{
    unsigned char first = at[0];
    if (first < 0x80)
        return 1;
    size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || length > left)
        return 0;
    for (size_t i = 1; i < length; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    }
    bool overlong = (first == 0xe0 && at[1] < 0xa0) || (first == 0xf0 && at[1] < 0x90);
    bool surrogate = first == 0xed && at[1] >= 0xa0;
    bool beyond = first == 0xf4 && at[1] >= 0x90;
    return overlong || surrogate || beyond ? 0 : length;
}

static bool is_utf8(const void *data, size_t size)
{
    const unsigned char *bytes = data;
    for (size_t at = 0; at < size;) {
        size_t length = length_of_character(bytes + at, size - at);
        if (length == 0)
            return false;
        at += length;
    }
    return true;
}

/* ---- strings ---------------------------------------------------------------------------- */

static bool needs_escape(unsigned char byte)
{
    return byte < 0x20 || byte == '"' || byte == '\\' || byte == 0x7f;
}

static void put_escaped(FILE *to, unsigned char byte)
{
    static const char short_forms[] = "\"\"\\\\\bb\ff\nn\rr\tt";
    const char *found = NULL;
    for (const char *at = short_forms; *at && !found; at += 2) {
        if ((unsigned char)*at == byte)
            found = at + 1;
    }
    if (found)
        fprintf(to, "\\%c", *found);
    else
        fprintf(to, "\\u%04x", byte);
}

void json_put_string(FILE *to, const void *data, size_t size)
{
    const unsigned char *bytes = data;
    putc('"', to);
    for (size_t at = 0; at < size;) {
        size_t plain = at;
        while (plain < size && !needs_escape(bytes[plain]))
            plain++;
        if (plain > at)
            fwrite(bytes + at, 1, plain - at, to);
        at = plain;
        if (at < size)
            put_escaped(to, bytes[at++]);
    }
    putc('"', to);
}

static void put_base64(FILE *to, const void *data, size_t size)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *bytes = data;
    putc('"', to);
    for (size_t at = 0; at < size; at += 3) {
        size_t left = size - at;
        uint32_t bits = (uint32_t)bytes[at] << 16;
        if (left > 1)
            bits |= (uint32_t)bytes[at + 1] << 8;
        if (left > 2)
            bits |= bytes[at + 2];
        putc(digits[bits >> 18], to);
        putc(digits[bits >> 12 & 63], to);
        putc(left > 1 ? digits[bits >> 6 & 63] : '=', to);
        putc(left > 2 ? digits[bits & 63] : '=', to);
    }
    putc('"', to);
}

/* ---- records ---------------------------------------------------------------------------- */

void json_put_bytes(FILE *to, const char *name, struct firn_slice bytes)
{
    if (!bytes.data) {
        fprintf(to, "\"%s\":null", name);
    } else if (is_utf8(bytes.data, bytes.size)) {
        fprintf(to, "\"%s\":", name);
        json_put_string(to, bytes.data, bytes.size);
    } else {
        fprintf(to, "\"%s_base64\":", name);
        put_base64(to, bytes.data, bytes.size);
    }
}

void json_put_record(FILE *to, const struct firn_record *record)
{
    fprintf(to, "{\"index\":%llu,\"timestamp\":%lld,", (unsigned long long)record->index,
            (long long)record->timestamp);
    json_put_bytes(to, "key", record->key);
    putc(',', to);
    json_put_bytes(to, "value", record->value);
    fputs(",\"headers\":[", to);
    for (size_t i = 0; i < record->header_count; i++) {
        fputs(i ? ",{" : "{", to);
        json_put_bytes(to, "key", record->headers[i].key);
        putc(',', to);
        json_put_bytes(to, "value", record->headers[i].value);
        putc('}', to);
    }
    fputs("]}\n", to);
}
