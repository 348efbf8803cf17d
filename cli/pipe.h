/* SPDX-License-Identifier: MIT */
/* What the parts of firn pipe share: the call, and the pipe that it is about. */
#ifndef CLI_PIPE_H
#define CLI_PIPE_H

#include <stdbool.h>
#include <stdint.h>

#include <firn/pipe.h>

#include "figures.h"

/* Bytes of the largest transaction. */
enum { PIPE_ATOMIC_MOST = 32 * 1024 * 1024 };

struct pipe_options {
    struct number chunk_bytes;
    struct number chunks;
    bool json, all, create, grow, pad, atomic, quiet;
};

struct pipe_call {
    struct pipe_options options;
    const char *file;
    char **more; /* operands behind the file, which NULL ends */
    struct firn_env *env;
    struct firn_pipe *pipe;
};

/* A pipe that is written to. All of them: STATUS_... (report.h), all being said. */
int pipe_open_to_write(struct pipe_call *call);
int pipe_open_to_read(struct pipe_call *call);
/* Releases what was opened. A failure to close is one of the whole. */
int pipe_close(struct pipe_call *call, int status);

/* The library's message, and what to do. */
int pipe_report(const struct pipe_call *call, const struct firn_error *err);

/* ---- what can be done, each in a file of its name ---- */

int pipe_info(struct pipe_call *call);
int pipe_read(struct pipe_call *call);
int pipe_write(struct pipe_call *call);
int pipe_verify(struct pipe_call *call);

#endif
