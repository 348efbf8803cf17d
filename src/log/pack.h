/* SPDX-License-Identifier: MIT */
#ifndef LOG_PACK_H
#define LOG_PACK_H

#include "base/buffer.h"
#include "log/log_private.h"

/* Whether records that take `bytes` as an own batch are to be compressed. */
bool pack_pays(const struct firn_log *log, size_t count, size_t bytes);

/*
 * Makes a compressed batch of records, of which `bytes` is the size as it is, and `now` the time of
 * those that have none. False: it would not be smaller, or there is no memory for it.
 */
bool pack_records(const struct firn_log *log, const struct firn_record *records, size_t count,
                  int64_t now, size_t bytes, struct buffer *packed, struct batch *batch);

#endif
