/* SPDX-License-Identifier: MIT */
/* What the simulator's tests share: short names for calls that must work. */
#ifndef TESTS_FAULTY_SUPPORT_H
#define TESTS_FAULTY_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <firn/faulty.h>

/* The call succeeds. */
#define OK(call) assert_int_equal((call), 0)
/* The call fails with a code. */
#define FAILS(code, call) assert_int_equal((call), (code))

struct firn_faulty *sim_new(uint64_t seed);
struct firn_faulty *sim_clone(struct firn_faulty *sim);

/* Each of these returns what the simulator does. `text` is written with its length. */
struct firn_file *file_open(struct firn_faulty *sim, const char *path, unsigned flags);
struct firn_file *file_create(struct firn_faulty *sim, const char *path);
int file_write(struct firn_file *file, const void *bytes, size_t n, uint64_t offset);
int file_write_durable(struct firn_file *file, const void *bytes, size_t n, uint64_t offset);
int file_read(struct firn_file *file, void *bytes, size_t n, uint64_t offset, size_t *done);
int file_fill(struct firn_file *file, int byte, size_t n, uint64_t offset);
int file_fill_durable(struct firn_file *file, int byte, size_t n, uint64_t offset);
int file_sync(struct firn_file *file);
int file_truncate(struct firn_file *file, uint64_t size);
int file_reserve(struct firn_file *file, uint64_t offset, uint64_t length);
uint64_t file_size(struct firn_file *file);
void file_close(struct firn_file *file);

int name_remove(struct firn_faulty *sim, const char *path);
int name_rename(struct firn_faulty *sim, const char *from, const char *to);
int name_make_dir(struct firn_faulty *sim, const char *path);
int name_sync_dir(struct firn_faulty *sim, const char *path);
bool name_exists(struct firn_faulty *sim, const char *path);

/* A file with the bytes of a text, name and content durable. */
void put_text(struct firn_faulty *sim, const char *path, const char *text);
/* The file has exactly these bytes, in that image. */
void expect_text(struct firn_faulty *sim, const char *path, enum firn_faulty_image image,
                 const char *text);
/* `n` bytes at `offset` of the current image are all `byte`. */
void expect_fill(struct firn_faulty *sim, const char *path, int byte, size_t n, uint64_t offset);

/* Adds a fault for the next operation of the kinds `ops`. */
int fault_add(struct firn_faulty *sim, enum firn_faulty_what what, unsigned ops);
int fault_add_always(struct firn_faulty *sim, enum firn_faulty_what what, unsigned ops, int code);

/* A line function that adds the lines to a text. */
struct lines {
    char text[16384];
    size_t length;
};
void lines_add(void *lines, const char *line);

#endif
