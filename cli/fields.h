/* SPDX-License-Identifier: MIT */
/* Lines of figures for people, "label:  value", and fields of JSON, `"key":value`, without commas.
 */
#ifndef CLI_FIELDS_H
#define CLI_FIELDS_H

#include <stdint.h>

#include <firn/error.h>

/* Values begin in one column. */
void fields_line(const char *label, const char *format, ...) FIRN_PRINTF(2, 3);
void fields_number(const char *label, uint64_t value);
/* With the same in larger units. */
void fields_bytes(const char *label, uint64_t bytes);

void fields_json_number(const char *key, uint64_t value);
void fields_json_string(const char *key, const char *text);

#endif
