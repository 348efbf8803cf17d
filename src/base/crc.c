/* SPDX-License-Identifier: MIT */
#include "base/crc_private.h"

#ifdef FIRN_HAVE_ISAL

#include <isa-l/crc.h>

enum { CHUNK = 1 << 30 }; /* crc32_iscsi takes its length as an int */

uint32_t crc_castagnoli(uint32_t crc, const void *data, size_t size)
{
    unsigned char *p = (unsigned char *)data; /* ISA-L only reads, whatever its prototype says */
    crc = ~crc;
    while (size > CHUNK) {
        crc = crc32_iscsi(p, CHUNK, crc);
        p += CHUNK;
        size -= CHUNK;
    }
    return ~crc32_iscsi(p, (int)size, crc);
}

uint32_t crc_gzip(uint32_t crc, const void *data, size_t size)
{
    return crc32_gzip_refl(crc, data, size);
}

#else

uint32_t crc_castagnoli(uint32_t crc, const void *data, size_t size)
{
    return crc_table_castagnoli(crc, data, size);
}

uint32_t crc_gzip(uint32_t crc, const void *data, size_t size)
{
    return crc_table_gzip(crc, data, size);
}

#endif
