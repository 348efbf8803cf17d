/* SPDX-License-Identifier: MIT */
/* Whole files as records, whatever their length. */
#ifndef CLI_FILES_H
#define CLI_FILES_H

#include <stddef.h>

#include "progress.h"
#include "writer.h"

struct files {
    const char **names; /* "-": standard input */
    size_t count;
};

struct file_records {
    const char *subcommand;
    struct firn_log *log;
    struct writer *writer;
    struct progress *progress;
    uint64_t limit; /* bytes of a file; 0: the log's */
    uint64_t bytes; /* taken so far */
};

/* Parser of an option (options.h): `target` is a struct files, which gets one more. */
const char *files_add(const char *name, void *target);
void files_free(struct files *files);
/* Bytes of all, if they are regular files; 0: unknown. */
uint64_t files_size(const struct files *files);

/*
 * Appends each file as one record, in order; each is durable, and acknowledged, before the next one
 * begins. A signal ends it, and nothing remains of the file that is being read. A STATUS_....
 */
int files_append(struct file_records *records, const struct files *files);

#endif
