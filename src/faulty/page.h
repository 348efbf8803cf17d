/* SPDX-License-Identifier: MIT */
/*
 * Contents of files as sparse tables of 4 KiB pages, shared between copies until one side writes.
 *
 * A table points to leaves, a leaf to pages; NULL stands for zeros on both levels. Leaves and pages
 * count their references, and whoever writes makes a copy of what others hold too. The counts are
 * atomic, so tables of different simulators, in different threads, may share; one table belongs to
 * one simulator and is protected by its mutex.
 */
#ifndef FAULTY_PAGE_H
#define FAULTY_PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    FAULTY_PAGE = 4096,
    FAULTY_SECTOR = 512,
    FAULTY_LEAF_PAGES = 32,
};

struct faulty_leaf;

/* All zero: a table of zeros. */
struct faulty_table {
    struct faulty_leaf **leaves;
    size_t count;
};

void faulty_table_done(struct faulty_table *table);

/* `to` is filled with a shared copy; it holds nothing before. FIRN_ENOMEM. */
int faulty_table_copy(struct faulty_table *to, const struct faulty_table *from);

void faulty_table_read(const struct faulty_table *table, uint64_t offset, void *bytes, size_t n);

/* FIRN_ENOMEM: some of the bytes may have been written. */
int faulty_table_write(struct faulty_table *table, uint64_t offset, const void *bytes, size_t n);

/* Zeroes everything from `size` on. FIRN_ENOMEM. */
int faulty_table_cut(struct faulty_table *table, uint64_t size);

bool faulty_table_equals(const struct faulty_table *table, uint64_t offset, const void *bytes,
                         size_t n);

/* True if both surely hold the same, because they share all their leaves. */
bool faulty_table_same(const struct faulty_table *a, const struct faulty_table *b);

/* Where pages of the range hold the same in both tables, `table` shares those of `other`. */
void faulty_table_share(struct faulty_table *table, const struct faulty_table *other,
                        uint64_t offset, uint64_t n);

/* Equal contents, equal numbers. Remembers those of pages. */
uint64_t faulty_table_hash(const struct faulty_table *table);

/* One page above the highest one that is not known to be zero. */
uint64_t faulty_table_pages(const struct faulty_table *table);

/* The bytes of a page, NULL if it is zero. */
const uint8_t *faulty_table_page(const struct faulty_table *table, uint64_t page);

/* A set of page numbers. All zero: empty. */
struct faulty_bits {
    uint64_t *words;
    size_t count;
};

void faulty_bits_done(struct faulty_bits *bits);
int faulty_bits_copy(struct faulty_bits *to, const struct faulty_bits *from);
int faulty_bits_add(struct faulty_bits *bits, uint64_t first, uint64_t end);
bool faulty_bits_has(const struct faulty_bits *bits, uint64_t number);
void faulty_bits_remove_from(struct faulty_bits *bits, uint64_t first);
void faulty_bits_remove(struct faulty_bits *bits, uint64_t first, uint64_t end);
uint64_t faulty_bits_size(const struct faulty_bits *bits);

#endif
