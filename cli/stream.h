/* SPDX-License-Identifier: MIT */
/* What the parts of firn stream share: the call, and the stream that it is about. */
#ifndef CLI_STREAM_H
#define CLI_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include <firn/stream.h>

#include "figures.h"
#include "sequence.h"

struct stream_options {
    struct number block_shift, block_count, span, piece;
    struct number from, to, last;
    struct number before, keep;
    bool lines, ack, no_create, make_dir, break_lock, files, json, quiet;
};

struct stream_call {
    struct stream_options options;
    const char *dir, *name;
    struct sequence sequence; /* the files when it was opened */
    bool verifies;
    uint64_t file_bytes; /* of data, that a new file takes */
    bool was_locked;     /* by a process that is gone: `holder` */
    struct firn_block_holder holder;
    struct firn_env *env;
    struct firn_block_allocator *allocator;
    struct firn_stream *stream;
};

/*
 * All of them: STATUS_... (report.h), all being said. A stream that is read needs no lock, but
 * nobody else may have it open; it must be there.
 */
int stream_open_to_read(struct stream_call *call);
/* Its blocks, and a stream that is loaded from them: what stream_open_to_read does. */
int stream_open_blocks_to_read(struct stream_call *call);
int stream_load_to_read(struct stream_call *call, const struct firn_stream_options *options,
                        struct firn_error *err);
int stream_check_exists(const struct stream_call *call);
/* A stream that is created where there is none, or one that must be there. */
int stream_open_to_append(struct stream_call *call);
int stream_open_to_trim(struct stream_call *call);
/* Releases what was opened. A failure to close is one of the whole. */
int stream_close(struct stream_call *call, int status);

/* The library's message, and what to do. */
int stream_report(const struct stream_call *call, const struct firn_error *err);

/* ---- what can be done, each in a file of its name ---- */

int stream_append(struct stream_call *call);
int stream_cat(struct stream_call *call);
int stream_info(struct stream_call *call);
int stream_verify(struct stream_call *call);
int stream_trim(struct stream_call *call);

#endif
