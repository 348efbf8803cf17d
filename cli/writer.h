/* SPDX-License-Identifier: MIT */
/* Appends records to a log so that many share a sync, and acknowledges them in order. */
#ifndef CLI_WRITER_H
#define CLI_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <firn/log.h>

/* A place in the log, and the epoch that makes it durable. */
struct mark {
    uint64_t next_index; /* one above the record that it stands for */
    uint64_t epoch;
};

struct writer {
    struct firn_log *log; /* not owned */
    enum firn_durability durability;
    bool acknowledge;      /* print the index of each record once it is durable */
    uint64_t first_index;  /* of the first record */
    uint64_t acknowledged; /* one above the last record that is known to be durable */
    struct mark staged;    /* the last record staged */
    struct mark awaited;   /* in the background, with `acknowledge`: the next one to look at */
    uint64_t waiting;      /* bytes staged since the last wait */
    double waiting_since;  /* figures_clock of the first of them */
    int output_error;      /* errno: acknowledgements can't be written any more */
};

/* `next_index`: what the first record will get. */
void writer_init(struct writer *writer, struct firn_log *log, enum firn_durability durability,
                 bool acknowledge, uint64_t next_index);

/* Stages records, as one group. Errors of firn_log_append. */
int writer_append(struct writer *writer, const struct firn_record *records, size_t count,
                  struct firn_error *err);

/*
 * To be called whenever more input has to be read: makes durable what the mode asks for, and
 * acknowledges it. `idle`: no input is there, reading would wait. Errors of firn_log_wait_epoch;
 * FIRN_EIO with `output_error` set where an acknowledgement could not be written.
 */
int writer_settle(struct writer *writer, bool idle, struct firn_error *err);

/* All up to the mark is durable: acknowledges it. FIRN_EIO with `output_error` set. */
int writer_acknowledge(struct writer *writer, struct mark mark, struct firn_error *err);

/* Makes all that is staged durable, and acknowledges it. Errors as above. */
int writer_finish(struct writer *writer, struct firn_error *err);

#endif
