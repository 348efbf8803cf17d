/* SPDX-License-Identifier: MIT */
#include "slab_list.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "figures.h"
#include "report.h"

static const char name[] = "slab";

static int add(struct slab_list *list, struct firn_slab_slice slice)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? 2 * list->capacity : 256;
        struct firn_slab_slice *more = realloc(list->slices, capacity * sizeof *more);
        if (!more)
            return report_failure(name, "out of memory: a list of more than %zu slices",
                                  list->count);
        list->slices = more;
        list->capacity = capacity;
    }
    list->slices[list->count++] = slice;
    return STATUS_DONE;
}

/* NULL: they are two numbers. */
static const char *parse(char *line, struct firn_slab_slice *slice)
{
    static const char between[] = " \t\r\n";
    char *rest = NULL;
    struct number numbers[2];
    for (int i = 0; i < 2; i++) {
        const char *text = strtok_r(i == 0 ? line : NULL, between, &rest);
        const char *wanted = text ? figures_parse_number(text, &numbers[i])
                                  : "write an offset and a length";
        if (wanted)
            return wanted;
    }
    *slice = (struct firn_slab_slice){numbers[0].value, numbers[1].value};
    return NULL;
}

static int load(FILE *file, const char *path, struct slab_list *list)
{
    char *line = NULL;
    size_t size = 0, number = 0;
    int status = STATUS_DONE;
    while (status == STATUS_DONE && getline(&line, &size, file) >= 0) {
        struct firn_slab_slice slice;
        const char *wanted = parse(line, &slice);
        number++;
        status = wanted ? report_failure(name, "%s: line %zu: %s", path, number, wanted)
                        : add(list, slice);
    }
    if (status == STATUS_DONE && ferror(file))
        status = report_failure(name, "%s: %s", path, strerror(errno));
    free(line);
    return status;
}

int slab_list_load(const char *path, struct slab_list *list)
{
    FILE *file = fopen(path, "r");
    if (!file)
        return report_failure(name, "%s: %s", path, strerror(errno));
    int status = load(file, path, list);
    fclose(file);
    return status;
}

void slab_list_free(struct slab_list *list)
{
    free(list->slices);
}
