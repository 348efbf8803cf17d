/* SPDX-License-Identifier: MIT */
#include "base/varint.h"

int varint_get_long(const uint8_t **p, const uint8_t *end, unsigned longest, uint64_t *value)
{
    const uint8_t *q = *p;
    uint64_t u = 0;
    for (unsigned i = 0; i < longest && q < end; i++) {
        uint64_t byte = *q++;
        if (i == VARINT_MAX - 1 && byte > 1)
            return FIRN_EDAMAGED; /* beyond 64 bits */
        u |= (byte & 0x7f) << (7 * i);
        if (byte < 0x80) {
            *value = u;
            *p = q;
            return 0;
        }
    }
    return FIRN_EDAMAGED;
}
