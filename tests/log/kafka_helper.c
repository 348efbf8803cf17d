/* SPDX-License-Identifier: MIT */
/*
 * For kafka_test.py: `write DIR [COMPRESSION]` makes a log with records of all kinds; `read DIR`
 * prints a log's records, one per line: index, timestamp, key, value, headers; bytes in
 * hexadecimal, "-" for none.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <firn/firn.h>

enum { ROUNDS = 60, GROUP = 5, VALUE = 300, SEGMENT = 4096 };

static int fail(const struct firn_error *err)
{
    fprintf(stderr, "%s\n", err->message);
    return 1;
}

static void print_slice(const struct firn_slice *slice)
{
    if (!slice->data)
        putchar('-');
    for (size_t i = 0; slice->data && i < slice->size; i++)
        printf("%02x", ((const unsigned char *)slice->data)[i]);
}

/* Files that others wrote have no checkpoint: that is all that may be found. */
static int note_finding(void *arg, const struct firn_finding *finding)
{
    (void)arg;
    if (strcmp(finding->file, "checkpoint") == 0)
        return 0;
    fprintf(stderr, "%s at %llu: %s\n", finding->file, (unsigned long long)finding->offset,
            finding->text);
    return 1;
}

static int read_log(const char *dir)
{
    struct firn_log_options options = {.must_exist = true};
    struct firn_log *log;
    struct firn_cursor *cursor;
    const struct firn_record *record;
    struct firn_error err;
    if (firn_log_open(dir, &options, &log, &err) < 0 ||
        firn_cursor_open(log, NULL, &cursor, &err) < 0)
        return fail(&err);
    int rc;
    while ((rc = firn_cursor_next(cursor, &record, &err)) == 0) {
        printf("%llu %lld ", (unsigned long long)record->index, (long long)record->timestamp);
        print_slice(&record->key);
        putchar(' ');
        print_slice(&record->value);
        for (size_t i = 0; i < record->header_count; i++) {
            putchar(' ');
            print_slice(&record->headers[i].key);
            putchar('=');
            print_slice(&record->headers[i].value);
        }
        putchar('\n');
    }
    firn_cursor_close(cursor);
    int found = firn_log_verify(log, note_finding, NULL, NULL, NULL);
    if (rc != FIRN_EEND || firn_log_close(log, &err) < 0)
        return fail(&err);
    return found == 0 || found == FIRN_EDAMAGED ? 0 : 1;
}

/* Record `n`: each combination of none, empty and some, sooner or later. */
static void make(unsigned n, struct firn_record *record, struct firn_header headers[2],
                 unsigned char value[VALUE])
{
    for (unsigned i = 0; i < VALUE; i++)
        value[i] = (unsigned char)(n * 7 + i);
    *record = (struct firn_record){.timestamp = 1700000000000 + (n % 7 == 3 ? -5000 : (int)n)};
    if (n % 3)
        record->key = (struct firn_slice){value, n % 3 == 1 ? 0 : n % 40 + 1};
    if (n % 4)
        record->value = (struct firn_slice){value, n % 4 == 1 ? 0 : n * 11 % VALUE + 1};
    headers[0] = (struct firn_header){{"name", 4}, {value, n % 20}};
    headers[1] = (struct firn_header){{"", 0}, {NULL, 0}};
    record->headers = headers;
    record->header_count = n % 5 < 3 ? n % 5 : 0;
}

static int write_log(const char *dir, enum firn_compression compression)
{
    struct firn_log_options options = {
        .segment_bytes = SEGMENT, .first_index = 1000, .compression = compression};
    struct firn_log *log;
    struct firn_error err;
    unsigned n = 0;
    if (firn_log_open(dir, &options, &log, &err) < 0)
        return fail(&err);
    for (int round = 0; round < ROUNDS; round++) {
        struct firn_record records[GROUP];
        struct firn_header headers[GROUP][2];
        unsigned char values[GROUP][VALUE];
        size_t count = round % 3 == 2 ? GROUP : 1;
        struct firn_append_options staged = {.no_wait = round % 4 != 0};
        for (size_t i = 0; i < count; i++)
            make(n++, &records[i], headers[i], values[i]);
        if (firn_log_append(log, records, count, &staged, NULL, &err) < 0)
            return fail(&err);
    }
    return firn_log_close(log, &err) < 0 ? fail(&err) : 0;
}

int main(int argc, char **argv)
{
    if ((argc == 3 || argc == 4) && strcmp(argv[1], "write") == 0)
        return write_log(argv[2], argc == 4 ? (enum firn_compression)atoi(argv[3]) : 0);
    if (argc == 3 && strcmp(argv[1], "read") == 0)
        return read_log(argv[2]);
    fprintf(stderr, "usage: %s write|read DIR [COMPRESSION]\n", argv[0]);
    return 2;
}
