/* SPDX-License-Identifier: MIT */
#include "faulty/page.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <firn/error.h>

#include "faulty/random.h"

struct page {
    atomic_uint refs;
    _Atomic uint64_t hash; /* 0: not known yet */
    uint8_t bytes[FAULTY_PAGE];
};

struct faulty_leaf {
    atomic_uint refs;
    struct page *pages[FAULTY_LEAF_PAGES];
};

static const uint8_t zeros[FAULTY_PAGE];
static const uint64_t hash_of_zeros = 1;

/* ---- pages and leaves ------------------------------------------------------------------- */

static void page_drop(struct page *page)
{
    if (page != NULL && atomic_fetch_sub_explicit(&page->refs, 1, memory_order_acq_rel) == 1) {
        free(page);
    }
}

static struct page *page_share(struct page *page)
{
    if (page != NULL) {
        atomic_fetch_add_explicit(&page->refs, 1, memory_order_relaxed);
    }
    return page;
}

/* The page at `slot`, as one that nobody else holds. */
static struct page *page_own(struct page **slot)
{
    struct page *page = *slot;
    if (page != NULL && atomic_load_explicit(&page->refs, memory_order_acquire) == 1) {
        atomic_store_explicit(&page->hash, 0, memory_order_relaxed);
        return page;
    }
    struct page *copy = malloc(sizeof(*copy));
    if (copy == NULL) {
        return NULL;
    }
    atomic_init(&copy->refs, 1);
    atomic_init(&copy->hash, 0);
    memcpy(copy->bytes, page != NULL ? page->bytes : zeros, FAULTY_PAGE);
    page_drop(page);
    *slot = copy;
    return copy;
}

static void leaf_drop(struct faulty_leaf *leaf)
{
    if (leaf == NULL || atomic_fetch_sub_explicit(&leaf->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    for (size_t i = 0; i < FAULTY_LEAF_PAGES; i++) {
        page_drop(leaf->pages[i]);
    }
    free(leaf);
}

static struct faulty_leaf *leaf_own(struct faulty_leaf **slot)
{
    struct faulty_leaf *leaf = *slot;
    if (leaf != NULL && atomic_load_explicit(&leaf->refs, memory_order_acquire) == 1) {
        return leaf;
    }
    struct faulty_leaf *copy = calloc(1, sizeof(*copy));
    if (copy == NULL) {
        return NULL;
    }
    atomic_init(&copy->refs, 1);
    for (size_t i = 0; leaf != NULL && i < FAULTY_LEAF_PAGES; i++) {
        copy->pages[i] = page_share(leaf->pages[i]);
    }
    leaf_drop(leaf);
    *slot = copy;
    return copy;
}

/* ---- tables ----------------------------------------------------------------------------- */

void faulty_table_done(struct faulty_table *table)
{
    for (size_t i = 0; i < table->count; i++) {
        leaf_drop(table->leaves[i]);
    }
    free(table->leaves);
    *table = (struct faulty_table){NULL, 0};
}

int faulty_table_copy(struct faulty_table *to, const struct faulty_table *from)
{
    struct faulty_table copy = {NULL, 0};
    if (from->count > 0) {
        copy.leaves = malloc(from->count * sizeof(struct faulty_leaf *));
        if (copy.leaves == NULL) {
            return FIRN_ENOMEM;
        }
    }
    for (; copy.count < from->count; copy.count++) {
        struct faulty_leaf *leaf = from->leaves[copy.count];
        if (leaf != NULL) {
            atomic_fetch_add_explicit(&leaf->refs, 1, memory_order_relaxed);
        }
        copy.leaves[copy.count] = leaf;
    }
    *to = copy;
    return 0;
}

static struct page *table_get(const struct faulty_table *table, uint64_t page)
{
    uint64_t at = page / FAULTY_LEAF_PAGES;
    if (at >= table->count || table->leaves[at] == NULL) {
        return NULL;
    }
    return table->leaves[at]->pages[page % FAULTY_LEAF_PAGES];
}

static int table_widen(struct faulty_table *table, uint64_t count)
{
    if (count <= table->count) {
        return 0;
    }
    if (count > SIZE_MAX / sizeof(struct faulty_leaf *)) {
        return FIRN_ENOMEM;
    }
    struct faulty_leaf **leaves = realloc(table->leaves, count * sizeof(struct faulty_leaf *));
    if (leaves == NULL) {
        return FIRN_ENOMEM;
    }
    for (size_t i = table->count; i < count; i++) {
        leaves[i] = NULL;
    }
    table->leaves = leaves;
    table->count = count;
    return 0;
}

/* The slot of a page, in a leaf that nobody else holds. */
static struct page **table_slot(struct faulty_table *table, uint64_t page)
{
    uint64_t at = page / FAULTY_LEAF_PAGES;
    if (table_widen(table, at + 1) != 0) {
        return NULL;
    }
    struct faulty_leaf *leaf = leaf_own(&table->leaves[at]);
    return leaf == NULL ? NULL : &leaf->pages[page % FAULTY_LEAF_PAGES];
}

/* How many of `n` bytes at `offset` lie in the page of `offset`. */
static size_t in_page(uint64_t offset, uint64_t n)
{
    uint64_t room = FAULTY_PAGE - offset % FAULTY_PAGE;
    return (size_t)(n < room ? n : room);
}

void faulty_table_read(const struct faulty_table *table, uint64_t offset, void *bytes, size_t n)
{
    uint8_t *to = bytes;
    while (n > 0) {
        size_t part = in_page(offset, n);
        const struct page *page = table_get(table, offset / FAULTY_PAGE);
        memcpy(to, page == NULL ? zeros : page->bytes + offset % FAULTY_PAGE, part);
        to += part;
        offset += part;
        n -= part;
    }
}

int faulty_table_write(struct faulty_table *table, uint64_t offset, const void *bytes, size_t n)
{
    const uint8_t *from = bytes;
    while (n > 0) {
        size_t part = in_page(offset, n);
        uint64_t number = offset / FAULTY_PAGE;
        if (table_get(table, number) != NULL || memcmp(from, zeros, part) != 0) {
            struct page **slot = table_slot(table, number);
            struct page *page = slot == NULL ? NULL : page_own(slot);
            if (page == NULL) {
                return FIRN_ENOMEM;
            }
            memcpy(page->bytes + offset % FAULTY_PAGE, from, part);
        }
        from += part;
        offset += part;
        n -= part;
    }
    return 0;
}

int faulty_table_cut(struct faulty_table *table, uint64_t size)
{
    size_t within = (size_t)(size % FAULTY_PAGE);
    uint64_t page = size / FAULTY_PAGE;
    if (within != 0) {
        int rc = faulty_table_write(table, size, zeros, FAULTY_PAGE - within);
        if (rc != 0) {
            return rc;
        }
        page++;
    }
    for (; page % FAULTY_LEAF_PAGES != 0; page++) {
        if (table_get(table, page) != NULL) {
            struct page **slot = table_slot(table, page);
            if (slot == NULL) {
                return FIRN_ENOMEM;
            }
            page_drop(*slot);
            *slot = NULL;
        }
    }
    while (table->count > page / FAULTY_LEAF_PAGES) {
        leaf_drop(table->leaves[--table->count]);
    }
    return 0;
}

bool faulty_table_equals(const struct faulty_table *table, uint64_t offset, const void *bytes,
                         size_t n)
{
    const uint8_t *other = bytes;
    while (n > 0) {
        size_t part = in_page(offset, n);
        const struct page *page = table_get(table, offset / FAULTY_PAGE);
        const uint8_t *here = page == NULL ? zeros : page->bytes + offset % FAULTY_PAGE;
        if (memcmp(here, other, part) != 0) {
            return false;
        }
        other += part;
        offset += part;
        n -= part;
    }
    return true;
}

bool faulty_table_same(const struct faulty_table *a, const struct faulty_table *b)
{
    size_t count = a->count > b->count ? a->count : b->count;
    for (size_t i = 0; i < count; i++) {
        const struct faulty_leaf *in_a = i < a->count ? a->leaves[i] : NULL;
        const struct faulty_leaf *in_b = i < b->count ? b->leaves[i] : NULL;
        if (in_a != in_b) {
            return false;
        }
    }
    return true;
}

static bool page_equal(const struct page *a, const struct page *b)
{
    return a == b ||
           memcmp(a == NULL ? zeros : a->bytes, b == NULL ? zeros : b->bytes, FAULTY_PAGE) == 0;
}

/* Shares the whole leaf if all its pages are the same ones. */
static void share_leaf(struct faulty_table *table, const struct faulty_table *other, uint64_t at)
{
    if (at >= table->count || at >= other->count || table->leaves[at] == other->leaves[at] ||
        table->leaves[at] == NULL || other->leaves[at] == NULL) {
        return;
    }
    for (size_t i = 0; i < FAULTY_LEAF_PAGES; i++) {
        if (table->leaves[at]->pages[i] != other->leaves[at]->pages[i]) {
            return;
        }
    }
    leaf_drop(table->leaves[at]);
    table->leaves[at] = other->leaves[at];
    atomic_fetch_add_explicit(&table->leaves[at]->refs, 1, memory_order_relaxed);
}

void faulty_table_share(struct faulty_table *table, const struct faulty_table *other,
                        uint64_t offset, uint64_t n)
{
    if (n == 0) {
        return;
    }
    uint64_t last = (offset + n - 1) / FAULTY_PAGE;
    uint64_t end = (uint64_t)(table->count > other->count ? table->count : other->count) *
                   FAULTY_LEAF_PAGES;
    for (uint64_t i = offset / FAULTY_PAGE; i <= last && i < end; i++) {
        struct page *theirs = table_get(other, i);
        struct page *ours = table_get(table, i);
        if (ours != theirs && page_equal(ours, theirs)) {
            struct page **slot = table_slot(table, i);
            if (slot == NULL) {
                return; /* only costs memory */
            }
            page_drop(*slot);
            *slot = page_share(theirs);
        }
        if (i == last || i % FAULTY_LEAF_PAGES == FAULTY_LEAF_PAGES - 1) {
            share_leaf(table, other, i / FAULTY_LEAF_PAGES);
        }
    }
}

static uint64_t hash_bytes(const uint8_t *bytes)
{
    if (memcmp(bytes, zeros, FAULTY_PAGE) == 0) {
        return hash_of_zeros;
    }
    uint64_t lanes[4] = {1, 2, 3, 4};
    for (size_t i = 0; i < FAULTY_PAGE; i += sizeof(lanes)) {
        uint64_t words[4];
        memcpy(words, bytes + i, sizeof(words));
        for (size_t k = 0; k < 4; k++) {
            lanes[k] = (lanes[k] ^ words[k]) * UINT64_C(0x9fb21c651e98df25);
            lanes[k] ^= lanes[k] >> 29;
        }
    }
    uint64_t hash = 0;
    for (size_t k = 0; k < 4; k++) {
        hash = faulty_mix(hash ^ lanes[k]);
    }
    return hash > hash_of_zeros ? hash : hash + 2;
}

static uint64_t page_hash(struct page *page)
{
    uint64_t hash = atomic_load_explicit(&page->hash, memory_order_relaxed);
    if (hash == 0) {
        hash = hash_bytes(page->bytes);
        atomic_store_explicit(&page->hash, hash, memory_order_relaxed);
    }
    return hash;
}

uint64_t faulty_table_hash(const struct faulty_table *table)
{
    uint64_t sum = 0;
    uint64_t pages = faulty_table_pages(table);
    for (uint64_t i = 0; i < pages; i++) {
        struct page *page = table_get(table, i);
        uint64_t hash = page == NULL ? hash_of_zeros : page_hash(page);
        if (hash != hash_of_zeros) {
            sum += faulty_mix(hash ^ faulty_mix(i + 1));
        }
    }
    return sum;
}

uint64_t faulty_table_pages(const struct faulty_table *table)
{
    return (uint64_t)table->count * FAULTY_LEAF_PAGES;
}

const uint8_t *faulty_table_page(const struct faulty_table *table, uint64_t page)
{
    const struct page *found = table_get(table, page);
    return found == NULL ? NULL : found->bytes;
}

/* ---- sets of pages ---------------------------------------------------------------------- */

void faulty_bits_done(struct faulty_bits *bits)
{
    free(bits->words);
    *bits = (struct faulty_bits){NULL, 0};
}

int faulty_bits_copy(struct faulty_bits *to, const struct faulty_bits *from)
{
    struct faulty_bits copy = {NULL, from->count};
    if (from->count > 0) {
        copy.words = malloc(from->count * sizeof(uint64_t));
        if (copy.words == NULL) {
            return FIRN_ENOMEM;
        }
        memcpy(copy.words, from->words, from->count * sizeof(uint64_t));
    }
    *to = copy;
    return 0;
}

/* The bits of word `word` that lie in [first, end). */
static uint64_t mask_of(uint64_t word, uint64_t first, uint64_t end)
{
    uint64_t from = word * 64;
    uint64_t mask = UINT64_MAX;
    if (first > from) {
        mask <<= first - from;
    }
    if (end < from + 64) {
        mask &= (UINT64_C(1) << (end - from)) - 1;
    }
    return mask;
}

int faulty_bits_add(struct faulty_bits *bits, uint64_t first, uint64_t end)
{
    if (first >= end) {
        return 0;
    }
    uint64_t needed = (end + 63) / 64;
    if (needed > SIZE_MAX / sizeof(uint64_t)) {
        return FIRN_ENOMEM;
    }
    if (needed > bits->count) {
        uint64_t *words = realloc(bits->words, needed * sizeof(uint64_t));
        if (words == NULL) {
            return FIRN_ENOMEM;
        }
        memset(words + bits->count, 0, (needed - bits->count) * sizeof(uint64_t));
        bits->words = words;
        bits->count = needed;
    }
    for (uint64_t i = first / 64; i < needed; i++) {
        bits->words[i] |= mask_of(i, first, end);
    }
    return 0;
}

bool faulty_bits_has(const struct faulty_bits *bits, uint64_t number)
{
    return number / 64 < bits->count && ((bits->words[number / 64] >> (number % 64)) & 1) != 0;
}

void faulty_bits_remove(struct faulty_bits *bits, uint64_t first, uint64_t end)
{
    for (uint64_t i = first / 64; first < end && i < bits->count && i * 64 < end; i++) {
        bits->words[i] &= ~mask_of(i, first, end);
    }
}

void faulty_bits_remove_from(struct faulty_bits *bits, uint64_t first)
{
    faulty_bits_remove(bits, first, (uint64_t)bits->count * 64);
}

uint64_t faulty_bits_size(const struct faulty_bits *bits)
{
    uint64_t size = 0;
    for (size_t i = 0; i < bits->count; i++) {
        for (uint64_t word = bits->words[i]; word != 0; word &= word - 1) {
            size++;
        }
    }
    return size;
}
