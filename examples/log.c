/* SPDX-License-Identifier: MIT */
/*
 * A log in one page: append, read, follow the order, cut the end.
 *
 *     cc examples/log.c $(pkg-config --cflags --libs firn) -o log && ./log /tmp/example
 */
#include <stdio.h>
#include <string.h>

#include <firn/firn.h>

static int fail(const char *what, const struct firn_error *err)
{
    fprintf(stderr, "%s: %s (%s)\n", what, err->message, firn_error_name(err->code));
    return 1;
}

static int append_text(struct firn_log *log, const char *key, const char *text,
                       struct firn_error *err)
{
    const struct firn_record record = {
        .key = {key, strlen(key)},
        .value = {text, strlen(text)},
    };
    return firn_log_append(log, &record, 1, NULL, NULL, err); /* durable when it returns 0 */
}

static int print_all(struct firn_log *log, struct firn_error *err)
{
    struct firn_cursor *cursor;
    const struct firn_record *record;
    int rc = firn_cursor_open(log, NULL, &cursor, err);
    if (rc < 0)
        return rc;
    while ((rc = firn_cursor_next(cursor, &record, err)) == 0)
        printf("%llu: %.*s\n", (unsigned long long)record->index, (int)record->value.size,
               (const char *)record->value.data);
    firn_cursor_close(cursor);
    return rc == FIRN_EEND ? 0 : rc;
}

int main(int argc, char **argv)
{
    struct firn_error err = {0};
    struct firn_log *log;
    if (argc != 2) {
        fprintf(stderr, "usage: log DIRECTORY\n");
        return 2;
    }
    if (firn_log_open(argv[1], NULL, &log, &err) < 0)
        return fail("open", &err);
    int rc = append_text(log, "door", "opened", &err);
    if (rc == 0)
        rc = append_text(log, "door", "closed", &err);
    if (rc == 0)
        rc = print_all(log, &err);
    if (rc < 0) {
        fail("log", &err);
        firn_log_close(log, NULL);
        return 1;
    }
    return firn_log_close(log, &err) < 0 ? fail("close", &err) : 0;
}
