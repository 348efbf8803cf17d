/* SPDX-License-Identifier: MIT */
#include "faulty/choices.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <firn/error.h>

uint64_t faulty_times(uint64_t a, uint64_t b)
{
    if (a != 0 && b > UINT64_MAX / a) {
        return UINT64_MAX;
    }
    return a * b;
}

uint64_t faulty_plus(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

/* Which writes to a sector survive, and what else bears on its content. */
struct selection {
    size_t lost;    /* so many of its lost writes, from the first */
    size_t pending; /* so many of its other writes */
    size_t effects; /* shrinkages among so many first effects */
    uint64_t size;  /* there is nothing behind it */
};

/*
 * Counts the writes to a sector on the way through its parts. One write may have left several parts
 * in a sector, if something was cut out of it; they have the same time, and stand or fall together.
 */
struct counting {
    size_t lost;
    size_t pending;
    uint64_t lost_time; /* of the last part; that of a write is above 0 */
    uint64_t pending_time;
};

/* Takes the next part; true if its write is selected. */
static bool count_part(struct counting *counting, const struct faulty_effect *effect,
                       const struct selection *selection)
{
    size_t *count = effect->lost ? &counting->lost : &counting->pending;
    uint64_t *time = effect->lost ? &counting->lost_time : &counting->pending_time;
    *count += *time != effect->time ? 1 : 0;
    *time = effect->time;
    return *count <= (effect->lost ? selection->lost : selection->pending);
}

static void clear_from(uint8_t *bytes, uint64_t sector, uint64_t size)
{
    uint64_t start = sector * FAULTY_SECTOR;
    if (size < start + FAULTY_SECTOR) {
        size_t keep = size > start ? (size_t)(size - start) : 0;
        memset(bytes + keep, 0, FAULTY_SECTOR - keep);
    }
}

static void lay_over(uint8_t *bytes, uint64_t sector, const struct faulty_effect *effect)
{
    uint64_t start = sector * FAULTY_SECTOR;
    uint64_t end = start + FAULTY_SECTOR;
    uint64_t from = effect->offset > start ? effect->offset : start;
    uint64_t to = effect->offset + effect->length < end ? effect->offset + effect->length : end;
    memcpy(bytes + (from - start), faulty_effect_bytes(effect) + (from - effect->offset),
           (size_t)(to - from));
}

/* The chosen part that was written last: its place among the parts, SIZE_MAX if none is. */
static size_t last_chosen(const struct faulty_choices *choices,
                          const struct faulty_content *content,
                          const struct faulty_sector_choice *sector,
                          const struct selection *selection)
{
    size_t last = SIZE_MAX;
    struct counting counting = {.lost = 0};
    for (size_t i = 0; i < sector->count; i++) {
        const struct faulty_effect *effect =
            &content->effects.items[choices->parts[sector->first + i]];
        last = count_part(&counting, effect, selection) ? i : last;
    }
    return last;
}

/*
 * The content under a selection. A sector is written as the current image has it: with a part that
 * is written after a shrinkage goes what the shrinkage had zeroed, even if it does not survive.
 */
static void build(const struct faulty_choices *choices, const struct faulty_content *content,
                  const struct faulty_sector_choice *sector, const struct selection *selection,
                  uint8_t *out)
{
    const struct faulty_effect *effects = content->effects.items;
    faulty_table_read(&content->durable, sector->sector * FAULTY_SECTOR, out, FAULTY_SECTOR);
    size_t last = choices->shrink_count > 0 ? last_chosen(choices, content, sector, selection)
                                            : SIZE_MAX;
    struct counting counting = {.lost = 0};
    size_t shrink = 0;
    for (size_t i = 0; i <= sector->count; i++) {
        size_t part = i < sector->count ? choices->parts[sector->first + i] : SIZE_MAX;
        for (; shrink < choices->shrink_count && choices->shrinks[shrink] < part; shrink++) {
            bool before_last = last != SIZE_MAX && i <= last;
            if (before_last || choices->shrinks[shrink] < selection->effects) {
                clear_from(out, sector->sector, effects[choices->shrinks[shrink]].offset);
            }
        }
        if (i < sector->count && count_part(&counting, &effects[part], selection)) {
            lay_over(out, sector->sector, &effects[part]);
        }
    }
    clear_from(out, sector->sector, selection->size);
}

/* ---- versions --------------------------------------------------------------------------- */

static int versions_widen(struct faulty_versions *versions, size_t count)
{
    if (count <= versions->capacity) {
        return 0;
    }
    size_t capacity = count < 8 ? 8 : count;
    uint8_t(*items)[FAULTY_SECTOR] = realloc(versions->items, capacity * sizeof(*items));
    if (items == NULL) {
        return FIRN_ENOMEM;
    }
    versions->items = items;
    versions->capacity = capacity;
    return 0;
}

/* Keeps the version that was built behind the others, if it is a new one. */
static void versions_keep(struct faulty_versions *versions)
{
    for (size_t i = 0; i < versions->count; i++) {
        if (memcmp(versions->items[i], versions->items[versions->count], FAULTY_SECTOR) == 0) {
            return;
        }
    }
    versions->count++;
}

/*
 * All versions under `selection`, whose `lost` and `pending` are set here. The newest is built
 * first, in place 0, so that those between can be compared with it, and moved to the end at last.
 */
static int list_versions(const struct faulty_choices *choices, const struct faulty_content *content,
                         const struct faulty_sector_choice *sector, struct selection *selection,
                         struct faulty_versions *versions)
{
    size_t pending = sector->pending;
    size_t most = (sector->lost + 1) * (pending + 1) + 1;
    if (versions_widen(versions, most) != 0) {
        return FIRN_ENOMEM;
    }
    assert(versions->items != NULL);
    uint8_t oldest[FAULTY_SECTOR];
    uint8_t newest[FAULTY_SECTOR];
    selection->lost = 0;
    selection->pending = 0;
    build(choices, content, sector, selection, oldest);
    selection->lost = sector->lost;
    selection->pending = pending;
    build(choices, content, sector, selection, newest);
    memcpy(versions->items[0], oldest, FAULTY_SECTOR);
    memcpy(versions->items[1], newest, FAULTY_SECTOR);
    versions->count = 2;
    for (size_t i = 1; i + 1 < (sector->lost + 1) * (pending + 1); i++) {
        selection->lost = i / (pending + 1);
        selection->pending = i % (pending + 1);
        build(choices, content, sector, selection, versions->items[versions->count]);
        versions_keep(versions);
    }
    if (versions->count > 2) {
        memmove(versions->items[1], versions->items[2],
                (versions->count - 2) * sizeof(versions->items[0]));
        memcpy(versions->items[versions->count - 1], newest, FAULTY_SECTOR);
    } else if (memcmp(oldest, newest, FAULTY_SECTOR) == 0) {
        versions->count = 1;
    }
    return 0;
}

int faulty_choices_versions(const struct faulty_choices *choices,
                            const struct faulty_content *content, size_t sector, size_t size,
                            struct faulty_versions *versions)
{
    struct selection selection = {
        .effects = choices->sizes[size].effects,
        .size = choices->sizes[size].size,
    };
    return list_versions(choices, content, &choices->sectors[sector], &selection, versions);
}

void faulty_choices_at(const struct faulty_choices *choices, const struct faulty_content *content,
                       size_t sector, size_t size, uint64_t time, uint8_t out[FAULTY_SECTOR])
{
    const struct faulty_sector_choice *choice = &choices->sectors[sector];
    struct selection selection = {
        .effects = choices->sizes[size].effects,
        .size = choices->sizes[size].size,
    };
    struct counting counting = {.lost = 0};
    for (size_t i = 0; i < choice->count; i++) {
        const struct faulty_effect *effect =
            &content->effects.items[choices->parts[choice->first + i]];
        if (effect->time <= time) {
            (void)count_part(&counting, effect, &selection);
        }
    }
    selection.lost = counting.lost;
    selection.pending = counting.pending;
    build(choices, content, choice, &selection, out);
}

/* ---- tears ------------------------------------------------------------------------------ */

/* The bytes that differ lie in [first, end). */
static void difference(const uint8_t *before, const uint8_t *after, size_t *first, size_t *end)
{
    size_t from = 0;
    size_t to = FAULTY_SECTOR;
    while (from < FAULTY_SECTOR && before[from] == after[from]) {
        from++;
    }
    while (to > from && before[to - 1] == after[to - 1]) {
        to--;
    }
    *first = from;
    *end = to;
}

uint64_t faulty_tears_between(const uint8_t *before, const uint8_t *after)
{
    size_t first = 0;
    size_t end = 0;
    difference(before, after, &first, &end);
    return end > first ? end - first - 1 : 0;
}

void faulty_tear(const uint8_t *before, const uint8_t *after, uint64_t tear,
                 uint8_t out[FAULTY_SECTOR])
{
    size_t first = 0;
    size_t end = 0;
    difference(before, after, &first, &end);
    size_t cut = first + 1 + (size_t)tear;
    memcpy(out, after, cut);
    memcpy(out + cut, before + cut, FAULTY_SECTOR - cut);
}

static int all_versions(const struct faulty_choices *choices, const struct faulty_content *content,
                        const struct faulty_sector_choice *sector, struct faulty_versions *versions)
{
    struct selection selection = {.effects = content->effects.count, .size = UINT64_MAX};
    return list_versions(choices, content, sector, &selection, versions);
}

static uint64_t count_tears(const struct faulty_versions *versions)
{
    uint64_t tears = 0;
    for (size_t i = 1; i < versions->count; i++) {
        tears += faulty_tears_between(versions->items[i - 1], versions->items[i]);
    }
    return tears;
}

int faulty_choices_tear(const struct faulty_choices *choices, const struct faulty_content *content,
                        uint64_t tear, size_t *sector, uint8_t out[FAULTY_SECTOR])
{
    size_t at = 0;
    for (; tear >= choices->sectors[at].tears; at++) {
        tear -= choices->sectors[at].tears;
    }
    struct faulty_versions versions = {NULL, 0, 0};
    int rc = all_versions(choices, content, &choices->sectors[at], &versions);
    for (size_t i = 1; rc == 0 && i < versions.count; i++) {
        uint64_t here = faulty_tears_between(versions.items[i - 1], versions.items[i]);
        if (tear < here) {
            faulty_tear(versions.items[i - 1], versions.items[i], tear, out);
            *sector = at;
            break;
        }
        tear -= here;
    }
    free(versions.items);
    return rc;
}

/* ---- finding the choices ---------------------------------------------------------------- */

/* A sector that an effect writes to. */
struct part {
    uint64_t sector;
    uint32_t effect;
};

static int compare_parts(const void *a, const void *b)
{
    const struct part *x = a;
    const struct part *y = b;
    if (x->sector != y->sector) {
        return x->sector < y->sector ? -1 : 1;
    }
    return x->effect < y->effect ? -1 : x->effect > y->effect;
}

static uint64_t first_sector(const struct faulty_effect *effect)
{
    return effect->offset / FAULTY_SECTOR;
}

static uint64_t end_sector(const struct faulty_effect *effect)
{
    return (effect->offset + effect->length - 1) / FAULTY_SECTOR + 1;
}

/* The sizes that can survive, and the shrinkages on the way. */
static int find_sizes(struct faulty_choices *choices, const struct faulty_content *content)
{
    size_t most = content->effects.count + 1;
    choices->sizes = calloc(most, sizeof(*choices->sizes));
    choices->shrinks = calloc(most, sizeof(*choices->shrinks));
    if (choices->sizes == NULL || choices->shrinks == NULL) {
        return FIRN_ENOMEM;
    }
    uint64_t size = content->durable_size;
    choices->sizes[choices->size_count++] = (struct faulty_size_choice){.size = size};
    for (size_t i = 0; i < content->effects.count; i++) {
        const struct faulty_effect *effect = &content->effects.items[i];
        bool grew = effect->kind == FAULTY_GREW && effect->offset > size;
        bool shrank = effect->kind == FAULTY_SHRANK && effect->offset < size;
        if (effect->kind == FAULTY_SHRANK) {
            choices->shrinks[choices->shrink_count++] = (uint32_t)i;
        }
        if (grew || shrank) {
            size = effect->offset;
            choices->sizes[choices->size_count++] = (struct faulty_size_choice){.effects = i + 1,
                                                                                .size = size};
        }
    }
    return 0;
}

/* All pairs of a sector and an effect that writes to it, by sector and time. */
static int find_parts(const struct faulty_content *content, struct part **parts, size_t *count)
{
    size_t total = 0;
    for (size_t i = 0; i < content->effects.count; i++) {
        const struct faulty_effect *effect = &content->effects.items[i];
        if (effect->kind == FAULTY_WROTE) {
            total += (size_t)(end_sector(effect) - first_sector(effect));
        }
    }
    struct part *found = malloc((total + 1) * sizeof(*found));
    if (found == NULL) {
        return FIRN_ENOMEM;
    }
    size_t n = 0;
    bool sorted = true;
    for (size_t i = 0; i < content->effects.count; i++) {
        const struct faulty_effect *effect = &content->effects.items[i];
        for (uint64_t s = first_sector(effect);
             effect->kind == FAULTY_WROTE && s < end_sector(effect); s++) {
            found[n] = (struct part){.sector = s, .effect = (uint32_t)i};
            sorted = sorted && (n == 0 || compare_parts(&found[n - 1], &found[n]) < 0);
            n++;
        }
    }
    if (!sorted) {
        qsort(found, n, sizeof(*found), compare_parts);
    }
    *parts = found;
    *count = n;
    return 0;
}

/* Counts the versions and tears of the sector that was added last; drops it if it has no choice. */
static int finish_sector(struct faulty_choices *choices, const struct faulty_content *content,
                         struct faulty_versions *versions)
{
    struct faulty_sector_choice *sector = &choices->sectors[choices->sector_count];
    struct selection selection = {.effects = 0, .size = UINT64_MAX};
    int rc = list_versions(choices, content, sector, &selection, versions);
    if (rc != 0) {
        return rc;
    }
    sector->versions = versions->count;
    if (choices->shrink_count > 0) {
        rc = all_versions(choices, content, sector, versions);
    }
    if (rc == 0 && (sector->versions > 1 || choices->shrink_count > 0)) {
        sector->tears = count_tears(versions);
        choices->tears += sector->tears;
        choices->sector_count++;
    }
    return rc;
}

static int find_sectors(struct faulty_choices *choices, const struct faulty_content *content)
{
    struct part *parts = NULL;
    size_t count = 0;
    int rc = find_parts(content, &parts, &count);
    if (rc != 0) {
        return rc;
    }
    struct faulty_versions versions = {NULL, 0, 0};
    choices->parts = malloc((count + 1) * sizeof(*choices->parts));
    choices->sectors = malloc((count + 1) * sizeof(*choices->sectors));
    if (choices->parts == NULL || choices->sectors == NULL) {
        rc = FIRN_ENOMEM;
    }
    for (size_t i = 0; rc == 0 && i < count;) {
        struct faulty_sector_choice sector = {.sector = parts[i].sector, .first = i};
        struct counting counting = {.lost = 0};
        struct selection none = {.lost = 0};
        for (; i < count && parts[i].sector == sector.sector; i++) {
            choices->parts[i] = parts[i].effect;
            (void)count_part(&counting, &content->effects.items[parts[i].effect], &none);
            sector.count++;
        }
        sector.lost = counting.lost;
        sector.pending = counting.pending;
        choices->sectors[choices->sector_count] = sector;
        rc = finish_sector(choices, content, &versions);
    }
    choices->part_count = count;
    free(versions.items);
    free(parts);
    return rc;
}

/* Below this, with size number `size`, sectors have the versions that are counted in them. */
static uint64_t plain_below(const struct faulty_choices *choices,
                            const struct faulty_content *content, size_t size)
{
    uint64_t below = choices->sizes[size].size;
    for (size_t i = 0; i < choices->shrink_count; i++) {
        uint64_t to = content->effects.items[choices->shrinks[i]].offset;
        if (choices->shrinks[i] < choices->sizes[size].effects && to < below) {
            below = to;
        }
    }
    return below;
}

/* Fills in the weights. Sizes mostly ascend, so the product goes on from one to the next. */
static int find_weights(struct faulty_choices *choices, const struct faulty_content *content)
{
    struct faulty_versions versions = {NULL, 0, 0};
    uint64_t product = 1;
    size_t done = 0;
    int rc = 0;
    for (size_t k = 0; k < choices->size_count; k++) {
        uint64_t below = plain_below(choices, content, k);
        if (done > 0 && (choices->sectors[done - 1].sector + 1) * FAULTY_SECTOR > below) {
            product = 1;
            done = 0;
        }
        while (done < choices->sector_count &&
               (choices->sectors[done].sector + 1) * FAULTY_SECTOR <= below) {
            product = faulty_times(product, choices->sectors[done++].versions);
        }
        uint64_t weight = product;
        for (size_t i = done; rc == 0 && i < choices->sector_count &&
                              choices->sectors[i].sector * FAULTY_SECTOR < choices->sizes[k].size;
             i++) {
            rc = faulty_choices_versions(choices, content, i, k, &versions);
            weight = faulty_times(weight, versions.count);
        }
        choices->sizes[k].weight = weight;
        choices->total = faulty_plus(choices->total, weight);
    }
    free(versions.items);
    return rc;
}

struct faulty_choices *faulty_choices_new(const struct faulty_content *content)
{
    struct faulty_choices *choices = calloc(1, sizeof(*choices));
    if (choices == NULL) {
        return NULL;
    }
    if (find_sizes(choices, content) != 0 || find_sectors(choices, content) != 0 ||
        find_weights(choices, content) != 0) {
        faulty_choices_free(choices);
        return NULL;
    }
    return choices;
}

void faulty_choices_free(struct faulty_choices *choices)
{
    if (choices != NULL) {
        free(choices->sizes);
        free(choices->sectors);
        free(choices->parts);
        free(choices->shrinks);
        free(choices);
    }
}
