/* SPDX-License-Identifier: MIT */
/*
 * What the files of the storage `memory` know of each other. The functions without a comment are
 * entries of its tables: their contract stands in <firn/disk.h>.
 *
 * One mutex per storage guards all that has to do with names: directories, links, references, locks
 * and shares. It is held for a few steps, never while bytes are copied. The bytes and the size of a
 * file are guarded by its own read-write lock.
 */
#ifndef FIRN_DISK_MEMORY_PRIVATE_H
#define FIRN_DISK_MEMORY_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include <firn/disk.h>

enum { MEMORY_PAGE = 4096, MEMORY_NAME_MOST = 255, MEMORY_SHARE_MOST = 64 * 1024 };

/* ---- pages (memory_pages.c) ------------------------------------------------------------------ */

/* The pages of a file by number; what is not there reads as zero. All zero is empty. */
struct memory_pages {
    void *root;
    int height;     /* 0: root is page 0 */
    uint64_t count; /* pages that are there */
};

/* NULL: a hole. */
unsigned char *memory_pages_find(const struct memory_pages *pages, uint64_t number);

/* The page, zeroed where it is new. NULL: out of memory. */
unsigned char *memory_pages_make(struct memory_pages *pages, uint64_t number);

/* Frees page `first` and all behind it. */
void memory_pages_cut(struct memory_pages *pages, uint64_t first);

/* ---- nodes (memory_names.c) ------------------------------------------------------------------ */

struct memory_node;

/* An entry of a directory, which owns both. */
struct memory_name {
    char *text;
    struct memory_node *node;
};

struct memory_dir {
    struct memory_node *parent; /* of the root: itself */
    struct memory_name *names;  /* sorted */
    size_t count;
    size_t room;
};

struct memory_data {
    pthread_rwlock_t lock; /* guards the next two */
    struct memory_pages pages;
    uint64_t size;
    bool locked;           /* by a struct firn_lock */
    bool file_locked;      /* by an open file */
    unsigned char *shared; /* MEMORY_SHARE_MOST bytes, or NULL: not what reads see */
};

/* A file, a directory or a symbolic link. */
struct memory_node {
    enum firn_entry_kind kind;
    unsigned references; /* its name's, and those of all that has it open */
    union {
        struct memory_dir dir;
        struct memory_data file;
        char *target; /* of a link; owned */
    };
};

struct memory_disk {
    struct firn_disk base;
    pthread_mutex_t mutex;
    struct memory_node *root;
    uint64_t capacity;         /* bytes */
    atomic_uint_fast64_t used; /* bytes of pages */
};

static inline struct memory_disk *memory_disk_of(struct firn_disk *disk)
{
    return (struct memory_disk *)disk;
}

/* With one reference. NULL: out of memory. */
struct memory_node *memory_node_new(enum firn_entry_kind kind);

/* Takes a reference away, and with the last one the node. Under the mutex. NULL is fine. */
void memory_node_drop(struct memory_disk *disk, struct memory_node *node);

/* Sets `*node` to the file `path` with a reference more, for open, lock and share. Takes the mutex.
 */
int memory_file_find(struct memory_disk *disk, const char *path, unsigned flags,
                     struct memory_node **node, struct firn_error *err);

/* "<path>: <verb> failed: <text of the code>" */
int memory_fail(struct firn_error *err, int code, const char *path, const char *verb);

int memory_stat(struct firn_disk *base, const char *path, struct firn_entry *entry,
                struct firn_error *err);
int memory_make_dir(struct firn_disk *base, const char *path, struct firn_error *err);
int memory_remove(struct firn_disk *base, const char *path, struct firn_error *err);
int memory_remove_dir(struct firn_disk *base, const char *path, struct firn_error *err);
int memory_rename(struct firn_disk *base, const char *from, const char *to, struct firn_error *err);
int memory_list(struct firn_disk *base, const char *path, firn_list_fn *each, void *arg,
                struct firn_error *err);
int memory_sync_dir(struct firn_disk *base, const char *path, struct firn_error *err);
int memory_make_link(struct firn_disk *base, const char *target, const char *path,
                     struct firn_error *err);
int memory_read_link(struct firn_disk *base, const char *path, char *target, size_t size,
                     struct firn_error *err);

/* ---- files (memory_file.c) ------------------------------------------------------------------- */

int memory_open(struct firn_disk *base, const char *path, unsigned flags, struct firn_file **file,
                struct firn_error *err);

#endif
