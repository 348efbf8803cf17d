/* SPDX-License-Identifier: MIT */
/* The inside of blocks. */
#ifndef BLOCKS_BLOCKS_PRIVATE_H
#define BLOCKS_BLOCKS_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/worker.h"
#include "blocks/blocks.h"
#include "commit/ahead.h"
#include "disk/disk.h"

/* ---- arguments (check.c) ---- */

struct block_limits {
    unsigned shift_min, shift_max;
};

extern const struct block_limits block_file_limits;
extern const struct block_limits block_memory_limits;

/* `what` names it in messages. `*bytes` (may be NULL) is the size of all. FIRN_EINVAL. */
int block_check_shape(const struct block_limits *limits, const char *what, uint64_t count,
                      unsigned shift, uint64_t *bytes, struct firn_error *err);

/* Pairs of one block each, but the last one, which may be shorter: FIRN_EINVAL. */
int block_check_pairs(const char *what, const struct iovec *iov, int count, uint64_t block_bytes,
                      struct firn_error *err);

/* What load and store check. `*bytes` is the sum of the buffers. FIRN_EINVAL, FIRN_ERANGE. */
int block_check_load(const struct firn_block *block, const char *what, uint64_t first,
                     const struct iovec *iov, int count, uint64_t *bytes, struct firn_error *err);
int block_check_store(const struct firn_block *block, const char *what, uint64_t first,
                      const struct iovec *iov, int count, uint64_t *bytes, struct firn_error *err);

/* Poison: FIRN_EPOISONED with what the first failure said. */
int block_poisoned(const struct firn_error *cause, struct firn_error *err);

/* ---- a file (file.c, store.c) ---- */

struct block_sequence;

struct block_file {
    struct firn_block base;
    struct firn_disk *disk;
    struct firn_env *env; /* may be NULL */
    struct firn_file *file;
    char *path; /* also what zeroing opens */
    bool read_only;
    struct block_sequence *sequence; /* that gave it; NULL: none */
    uint16_t index;                  /* in it */

    pthread_mutex_t store_lock; /* one store at a time, and what follows */
    bool has_space;             /* all of it is set aside */
    struct worker_task zero_task;
    struct firn_error cause;
    atomic_bool poisoned; /* never unset; `cause` is there before */

    struct ahead ahead; /* zeroing; its lock is taken inside store_lock */
    struct ahead_file space;
};

extern const struct firn_block_ops block_file_ops;

static inline struct block_file *block_file_of(struct firn_block *block)
{
    return (struct block_file *)block;
}

/* Creates the file `name`, with its space, synced (its name is not), for use as `path`. */
int block_file_make(struct firn_disk *disk, struct firn_env *env, const char *name,
                    const char *path, uint64_t count, unsigned shift, struct block_file **file,
                    struct firn_error *err);
int block_file_open(const struct firn_block_options *options, const char *path, unsigned shift,
                    struct block_file **file, struct firn_error *err);
/* The same as close, but for the sequence, which is not told. */
void block_file_free(struct block_file *file);

int block_file_store(struct firn_block *block, uint64_t first, const struct iovec *iov, int count,
                     struct firn_error *err);
int block_file_prepare(struct firn_block *block, uint64_t first, uint64_t number,
                       struct firn_error *err);
/* The file is new: what follows its beginning is zeroed in the background, if it can be. */
void block_file_begin_zeroing(struct block_file *file);
/* On return nobody zeroes, nor will. */
void block_file_end_zeroing(struct block_file *file);

/* A call of the storage takes so many buffers, and so many bytes of a large store go at once. */
enum { BLOCK_BATCH = 1024, BLOCK_CHUNK_SHIFT = 23 };
unsigned block_chunk_shift(unsigned shift);
/* The page cache need not keep whole chunks up to `to`, of which some were used from `from` on. */
void block_file_drop_cached(struct block_file *file, uint64_t from, uint64_t to);

/* ---- a sequence of files (sequence.c, names.c, scan.c, lock.c) ---- */

/*
 * The index of a file counts up and wraps. -1, 0, 1: a is before, at, behind b; 2: they are too far
 * apart to tell.
 */
int block_index_compare(uint16_t a, uint16_t b);

/* Of the file name `text`, what stands behind `name` and a dot (the last one); NULL: not so. */
const char *block_name_options(const char *text, const char *name);

enum block_name_fault {
    BLOCK_NAME_GOOD,
    BLOCK_NAME_BAD_INDEX,
    BLOCK_NAME_BAD_SHIFT,
    BLOCK_NAME_MISSING_FIELDS,
    BLOCK_NAME_TOO_MANY_FIELDS,
};

/* "<index, hex>-<shift>". Sets both where it is good. */
enum block_name_fault block_name_parse(const char *options, uint16_t *index, unsigned *shift);
const char *block_name_fault_text(enum block_name_fault fault);

struct block_sequence {
    struct firn_block_allocator base;
    struct firn_block_options options; /* its disk is set */
    char *dir, *name;
    uint64_t count; /* of new files */
    unsigned shift;
    bool locked;           /* the lock is ours */
    _Atomic uint64_t open; /* handles */

    pthread_mutex_t lock; /* what follows, and the directory */
    uint16_t start, end;  /* the files' indexes: [start, end), wrapping */
    bool poisoned;
    struct firn_error cause;
};

/* Finds the files' range; removes what a crash left, unless it is read-only. */
int block_sequence_scan(struct block_sequence *sequence, struct firn_error *err);
/* With the lock. */
int block_sequence_retrieve(struct block_sequence *sequence, firn_block_retrieve_fn *each,
                            void *arg, struct firn_error *err);

/* FIRN_ELOCKED. With `break_dead` a lock of a process that is gone is broken first. */
int block_lock_take(struct firn_disk *disk, const char *dir, const char *name, bool break_dead,
                    struct firn_error *err);
/* Does not take it: whether it is free, or (with `ignore_dead`) its process gone. */
int block_lock_look(struct firn_disk *disk, const char *dir, const char *name, bool ignore_dead,
                    struct firn_error *err);
int block_lock_release(struct firn_disk *disk, const char *dir, const char *name,
                       struct firn_error *err);

#endif
