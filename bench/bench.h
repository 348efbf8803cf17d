/* SPDX-License-Identifier: MIT */
/*
 * Benchmarks: what firn takes, against what the same disk and memory give without it.
 *
 * A figure is measured several times. Where it has a baseline, both are measured in turn, a ratio
 * is taken of each such pair, and the median of the ratios counts: what else goes on in the machine
 * meets both. Percentiles are those of all latencies, sorted.
 */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <firn/log.h>

enum { BENCH_PATH = 1024, RECORD = 1024, MIB = 1024 * 1024 };

/* What a figure has to be. */
enum aim { AIM_NONE, AIM_RATIO_MOST, AIM_RATIO_LEAST, AIM_VALUE_MOST, AIM_VALUE_LEAST };

struct figure {
    const char *group;
    char name[96];
    const char *unit;
    enum aim aim;
    double target;
    double *values;
    double *ratios; /* 0: none */
    size_t count;
};

struct bench {
    char dir[BENCH_PATH]; /* for data; removed at the end */
    unsigned runs;
    bool quick; /* less of everything: does it work? */
    FILE *out;  /* for people */
    const char *group;
    struct figure *figures;
    size_t figure_count;
    bool failed;
};

/* ---- what is measured (a file each); 0, or -1 after bench_fail ---- */

int bench_durable(struct bench *bench);
int bench_writers(struct bench *bench);
int bench_tail(struct bench *bench);
int bench_staging(struct bench *bench);
int bench_bulk(struct bench *bench);
int bench_read(struct bench *bench);
int bench_peers(struct bench *bench);
int bench_many(struct bench *bench);
int bench_large(struct bench *bench);
int bench_pieces(struct bench *bench);
int bench_follow(struct bench *bench);
int bench_pipe(struct bench *bench);
int bench_transactions(struct bench *bench);
int bench_pipe_writers(struct bench *bench);
int bench_pipe_staging(struct bench *bench);
int bench_pipe_applied(struct bench *bench);
int bench_stack(struct bench *bench);
int bench_stack_writers(struct bench *bench);
int bench_stack_read(struct bench *bench);
int bench_slab(struct bench *bench);
int bench_stream_append(struct bench *bench);
int bench_stream_read(struct bench *bench);
int bench_stream_open(struct bench *bench);
/* The program that bench_many runs: its memory is that of the logs alone. */
int bench_many_child(const char *mode, const char *dir);

/* ---- report.c ---- */

/* Another measurement of the figure `name` of this group; `ratio` 0: it has none. */
void bench_add(struct bench *bench, const char *name, const char *unit, enum aim aim, double target,
               double value, double ratio);
/* A line of information. */
void bench_note(struct bench *bench, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Something went wrong: -1. */
int bench_fail(struct bench *bench, const char *format, ...) __attribute__((format(printf, 2, 3)));
void bench_print_group(struct bench *bench, const char *group);
void bench_print_table(struct bench *bench);
void bench_print_json(struct bench *bench, FILE *out);
void bench_free_figures(struct bench *bench);

/* ---- facts.c ---- */

void facts_print(struct bench *bench);
void facts_print_json(struct bench *bench, FILE *out);

/* ---- tools.c ---- */

/* True unless the user wants it to end. */
bool bench_goes_on(void);
void bench_interrupt(int signal);

uint64_t now_ns(void);
double median_of(const double *values, size_t count);

/* Latencies. */
struct samples {
    uint64_t *at;
    size_t count, capacity;
    bool sorted;
};

void samples_add(struct samples *samples, uint64_t value);
double samples_percentile(struct samples *samples, double percent);
void samples_clear(struct samples *samples);
void samples_free(struct samples *samples);

/* bench->dir/name */
void path_in(const struct bench *bench, const char *name, char path[BENCH_PATH]);
void remove_file(const struct bench *bench, const char *name);
/* Removes a file or a directory with all that is in it, if it is there. */
void remove_tree(const char *path);
/* Bytes that do not repeat, the same each time. */
void fill_bytes(uint8_t *bytes, size_t size);

/* A record that consists of a value. */
struct firn_record record_of(const void *value, size_t size);
/* Opens the log bench->dir/name. */
int open_log(struct bench *bench, const char *name, const struct firn_log_options *options,
             struct firn_log **log);
/* Destroys it, or reports why that does not work. */
int destroy_log(struct bench *bench, struct firn_log *log);

/* ---- unsynced.c ---- */

/* This machine's storage, on which nothing is ever synced. Static. */
int unsynced_disk(struct bench *bench, struct firn_disk **disk);

/* ---- bare.c: the baselines ---- */

/* Opens a file of `bytes` zeros, which are on the disk. */
int bare_zeroed(struct bench *bench, const char *name, uint64_t bytes);
/* pwritev2 with RWF_DSYNC where there is one, else a write and fdatasync. */
int bare_write_durable(int fd, const void *bytes, size_t size, uint64_t offset);
const char *bare_how(void);
/* Writes `bytes` from the start on, in blocks of 1 MiB. Nanoseconds; 0: failed. */
uint64_t bare_write_all(int fd, uint64_t bytes);
/* Reads a file to its end in blocks of 1 MiB. Nanoseconds; 0: failed. */
uint64_t bare_read_all(int fd, uint64_t *bytes);

#endif
