/* SPDX-License-Identifier: MIT */
/*
 * Writing JSON. Bytes that are valid UTF-8 become a string; others can't be one, and are written in
 * base64 under the name with "_base64" behind it.
 */
#ifndef CLI_JSON_H
#define CLI_JSON_H

#include <stdio.h>

#include <firn/log.h>

/* A string, with its quotes, of bytes that are valid UTF-8. */
void json_put_string(FILE *to, const void *data, size_t size);

/* "name":"...", "name_base64":"..." or, for no bytes, "name":null. */
void json_put_bytes(FILE *to, const char *name, struct firn_slice bytes);

/* The record as one object on a line of its own. */
void json_put_record(FILE *to, const struct firn_record *record);

#endif
