/* SPDX-License-Identifier: MIT */
/*
 * What lies behind base/crc.h. The names there are inline functions only, since ISA-L has a
 * `crc32_ieee` of its own (with other conventions), whose header can't be seen beside it and which
 * must not be replaced in a program that is linked with libfirn.a.
 */
#ifndef BASE_CRC_PRIVATE_H
#define BASE_CRC_PRIVATE_H

#include <stddef.h>
#include <stdint.h>

uint32_t crc_castagnoli(uint32_t crc, const void *data, size_t size);
uint32_t crc_gzip(uint32_t crc, const void *data, size_t size);

/* The portable code; there in any case, so that the tests can compare. */
uint32_t crc_table_castagnoli(uint32_t crc, const void *data, size_t size);
uint32_t crc_table_gzip(uint32_t crc, const void *data, size_t size);

#endif
