/* SPDX-License-Identifier: MIT */
/* A log's directory as bytes in memory: taken from a storage, damaged, put on another one. */
#ifndef FUZZ_DAMAGE_H
#define FUZZ_DAMAGE_H

#include "fuzz.h"

enum { FILES_MOST = 256, FILE_NAME_SIZE = 48 };

#define LOG_DIR "log"

struct file {
    char name[FILE_NAME_SIZE];
    struct bytes bytes;
};

struct files {
    struct file at[FILES_MOST]; /* by name, without the lock */
    size_t count;
};

void files_take(struct files *files, struct firn_disk *disk);
void files_copy(struct files *to, const struct files *from);
/* A storage that holds them in LOG_DIR. */
struct firn_disk *files_disk(const struct files *files);
bool files_equal(const struct files *a, const struct files *b);
void files_done(struct files *files);

/* What was done to the files. */
struct damage {
    unsigned count;
    bool bytes_changed; /* of a store, so that a batch's place may be another one */
    bool flipped;       /* a byte of it */
    bool blurred;       /* more than one byte of it */
    bool strayed;       /* a file has the name of another one: segments may overlap */
    bool moved;         /* a whole batch may stand at another place too */
    bool forged;        /* checksums were made right again */
};

/* One piece of damage, as the input says; `old` is an earlier state of the same directory. */
void damage_files(struct files *files, const struct files *old, struct input *in,
                  struct damage *damage);

/* What became of the store and of the checkpoint, compared with the files before. */
enum checkpoint_state { CHECKPOINT_KEPT, CHECKPOINT_LOST, CHECKPOINT_OTHER };
enum checkpoint_state checkpoint_now(const struct files *before, const struct files *now);
bool same_store(const struct files *before, const struct files *now);
bool has_segment(const struct files *files);

#endif
