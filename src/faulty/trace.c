/* SPDX-License-Identifier: MIT */
/* The trace of the last operations, and the names of operations. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "faulty/sim.h"

const char *firn_faulty_op_name(enum firn_faulty_op op)
{
    static const char *const names[] = {
        "open",      "create",   "read",       "write",   "write",      "sync",
        "reserve",   "truncate", "writeback",  "size_of", "stat",       "list",
        "make_dir",  "remove",   "remove_dir", "rename",  "sync_dir",   "make_link",
        "read_link", "lock",     "share",      "event",   "free_space",
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if ((unsigned)op == 1U << i) {
            return names[i];
        }
    }
    return "?";
}

int faulty_trace_init(struct faulty_trace *trace, size_t capacity)
{
    if (capacity > SIZE_MAX / sizeof(*trace->entries)) {
        return FIRN_ENOMEM;
    }
    trace->entries = malloc(capacity * sizeof(*trace->entries));
    trace->capacity = capacity;
    trace->count = 0;
    return trace->entries == NULL ? FIRN_ENOMEM : 0;
}

/* The end of a path. */
static void copy_path(char to[FAULTY_TRACE_PATH], const char *path)
{
    size_t n = path == NULL ? 0 : strlen(path);
    if (n >= FAULTY_TRACE_PATH) {
        path += n - (FAULTY_TRACE_PATH - 1);
        n = FAULTY_TRACE_PATH - 1;
    }
    if (n > 0) {
        memcpy(to, path, n);
    }
    to[n] = '\0';
}

void faulty_trace_add(struct faulty_trace *trace, const struct faulty_call *call, int rc)
{
    struct faulty_trace_entry *entry = &trace->entries[trace->count++ % trace->capacity];
    entry->op = call->op;
    entry->rc = rc;
    entry->mutation = call->mutation;
    entry->offset = call->offset;
    entry->length = call->length;
    copy_path(entry->path, call->path);
    copy_path(entry->other, call->other);
}

static int print_what(const struct faulty_trace_entry *entry, char *text, size_t size)
{
    unsigned long long offset = entry->offset;
    unsigned long long length = entry->length;
    switch (entry->op) {
    case FIRN_FAULTY_READ:
    case FIRN_FAULTY_WRITE:
    case FIRN_FAULTY_RESERVE:
    case FIRN_FAULTY_WRITEBACK:
        return snprintf(text, size, "%s %llu bytes at %llu", entry->path, length, offset);
    case FIRN_FAULTY_WRITE_DURABLE:
        return snprintf(text, size, "%s %llu bytes at %llu durable", entry->path, length, offset);
    case FIRN_FAULTY_TRUNCATE:
        return snprintf(text, size, "%s to %llu bytes", entry->path, offset);
    case FIRN_FAULTY_RENAME:
        return snprintf(text, size, "%s to %s", entry->other, entry->path);
    default:
        return snprintf(text, size, "%s", entry->path);
    }
}

static void print_entry(const struct faulty_trace_entry *entry, firn_faulty_line_fn *each,
                        void *arg)
{
    char what[FAULTY_TRACE_PATH * 2 + 80];
    char number[24] = "-";
    char line[sizeof(what) + 120];
    (void)print_what(entry, what, sizeof(what));
    if (entry->mutation != 0) {
        (void)snprintf(number, sizeof(number), "%llu", (unsigned long long)entry->mutation);
    }
    (void)snprintf(line, sizeof(line), "%s: %s %s%s%s", number, firn_faulty_op_name(entry->op),
                   what, entry->rc != 0 ? ": " : "",
                   entry->rc != 0 ? firn_error_name(entry->rc) : "");
    each(arg, line);
}

void firn_faulty_trace(struct firn_faulty *sim, firn_faulty_line_fn *each, void *arg)
{
    faulty_enter(sim);
    const struct faulty_trace *trace = &sim->trace;
    uint64_t first = trace->count > trace->capacity ? trace->count - trace->capacity : 0;
    for (uint64_t i = first; i < trace->count; i++) {
        print_entry(&trace->entries[i % trace->capacity], each, arg);
    }
    faulty_leave(sim);
}
