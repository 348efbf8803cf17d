/* SPDX-License-Identifier: MIT */
/* Names of a sequence's files, "<name>.<index, hex>-<shift>", and the index, which wraps. */
#include <string.h>

#include "blocks/blocks_private.h"

enum { INDEX_FAR = 1 << 14 };

int block_index_compare(uint16_t a, uint16_t b)
{
    uint16_t ahead = (uint16_t)(a - b), behind = (uint16_t)(b - a);
    if (ahead == 0)
        return 0;
    if (ahead < INDEX_FAR)
        return 1;
    return behind < INDEX_FAR ? -1 : 2;
}

const char *block_name_options(const char *text, const char *name)
{
    size_t length = strlen(name);
    const char *dot = strrchr(text, '.');
    if (!dot || (size_t)(dot - text) != length || memcmp(text, name, length) != 0)
        return NULL;
    return dot + 1;
}

static int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : 16;
}

/* The number that [text, end) is, at most `most`; false: it is none. */
static bool parse_number(const char *text, const char *end, unsigned base, uint64_t most,
                         uint64_t *number)
{
    *number = 0;
    for (const char *p = text; p < end; p++) {
        unsigned digit = (unsigned)digit_of(*p);
        if (digit >= base || *number * base + digit > most)
            return false;
        *number = *number * base + digit;
    }
    return text < end;
}

enum block_name_fault block_name_parse(const char *options, uint16_t *index, unsigned *shift)
{
    const char *end = options + strcspn(options, "-");
    uint64_t first, second;
    if (!parse_number(options, end, 16, UINT16_MAX, &first))
        return BLOCK_NAME_BAD_INDEX;
    if (!*end)
        return BLOCK_NAME_MISSING_FIELDS;
    const char *next = end + 1 + strcspn(end + 1, "-");
    if (!parse_number(end + 1, next, 10, UINT32_MAX, &second))
        return BLOCK_NAME_BAD_SHIFT;
    if (*next)
        return BLOCK_NAME_TOO_MANY_FIELDS;
    *index = (uint16_t)first;
    *shift = (unsigned)second;
    return BLOCK_NAME_GOOD;
}

const char *block_name_fault_text(enum block_name_fault fault)
{
    static const char *const texts[] = {
        [BLOCK_NAME_GOOD] = "nothing",
        [BLOCK_NAME_BAD_INDEX] = "the index is no hexadecimal number of 16 bits",
        [BLOCK_NAME_BAD_SHIFT] = "the block shift is no number",
        [BLOCK_NAME_MISSING_FIELDS] = "it has no block shift",
        [BLOCK_NAME_TOO_MANY_FIELDS] = "there is more behind the block shift",
    };
    return texts[fault];
}
