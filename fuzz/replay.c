/* SPDX-License-Identifier: MIT */
/*
 * Replays a fuzz target's inputs without libFuzzer. Usage: replay-<target> FILE|DIRECTORY...
 *
 * Inputs run in a child process, one after another. Where one ends it (a check, a sanitizer, a
 * signal) or takes too long, its name is printed, and another child goes on behind it.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fuzz.h"

enum { PATH_SIZE = 4096, SECONDS_MOST = 60, FAILURES_MOST = 10 };

struct inputs {
    char **paths;
    size_t count;
};

/* ---- which inputs --------------------------------------------------------------------------- */

static void add(struct inputs *inputs, const char *path)
{
    inputs->paths = must_grow(inputs->paths, (inputs->count + 1) * sizeof *inputs->paths);
    inputs->paths[inputs->count] = must_alloc(strlen(path) + 1);
    strcpy(inputs->paths[inputs->count++], path);
}

static void inputs_done(struct inputs *inputs)
{
    for (size_t i = 0; i < inputs->count; i++)
        free(inputs->paths[i]);
    free(inputs->paths);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool add_directory(struct inputs *inputs, const char *path)
{
    size_t before = inputs->count;
    DIR *dir = opendir(path);
    if (dir == NULL)
        return false;
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        char name[PATH_SIZE];
        if (entry->d_name[0] == '.')
            continue;
        (void)snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        add(inputs, name);
    }
    (void)closedir(dir);
    if (inputs->count == before) {
        errno = ENOENT;
        return false;
    }
    qsort(inputs->paths + before, inputs->count - before, sizeof *inputs->paths, by_name);
    return true;
}

static bool add_argument(struct inputs *inputs, const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return false;
    if (S_ISDIR(st.st_mode))
        return add_directory(inputs, path);
    add(inputs, path);
    return true;
}

/* ---- running -------------------------------------------------------------------------------- */

static bool read_file(const char *path, struct bytes *bytes)
{
    uint8_t chunk[PATH_SIZE];
    size_t got;
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return false;
    while ((got = fread(chunk, 1, sizeof chunk, file)) > 0)
        bytes_append(bytes, chunk, got);
    bool whole = ferror(file) == 0;
    (void)fclose(file);
    return whole;
}

static void run_one(const char *path)
{
    struct bytes bytes = {0};
    if (!read_file(path, &bytes)) {
        perror(path);
        exit(1);
    }
    (void)alarm(SECONDS_MOST);
    (void)LLVMFuzzerTestOneInput(bytes.data, bytes.size);
    (void)alarm(0);
    bytes_done(&bytes);
}

/* Runs the inputs from *at on, which is memory shared with the child; true if all went well. */
static bool run_from(const struct inputs *inputs, volatile size_t *at)
{
    int status;
    (void)fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        for (; *at < inputs->count; (*at)++)
            run_one(inputs->paths[*at]);
        exit(0);
    }
    if (child < 0 || waitpid(child, &status, 0) != child) {
        perror("a child process");
        exit(1);
    }
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void report(const struct inputs *inputs, size_t at, const char *program)
{
    if (at < inputs->count)
        printf("failed: %s\nagain: %s %s\n", inputs->paths[at], program, inputs->paths[at]);
    else
        printf("failed: behind the last input: a leak? Give the inputs one at a time.\n");
}

static size_t run_all(const struct inputs *inputs, const char *program)
{
    size_t failures = 0;
    volatile size_t *at = mmap(NULL, sizeof *at, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                               -1, 0);
    require(at != MAP_FAILED, "memory to share with the child");
    while (failures < FAILURES_MOST && !run_from(inputs, at)) {
        failures++;
        report(inputs, *at, program);
        if (*at >= inputs->count)
            break;
        ++*at;
    }
    return failures;
}

int main(int argc, char **argv)
{
    struct inputs inputs = {0};
    for (int i = 1; i < argc; i++) {
        if (!add_argument(&inputs, argv[i])) {
            fprintf(stderr, "%s: no inputs: %s\n", argv[i], strerror(errno));
            inputs_done(&inputs);
            return 1;
        }
    }
    if (inputs.count == 0) {
        fprintf(stderr, "usage: %s FILE|DIRECTORY...\n", argv[0]);
        return 2;
    }
    size_t failures = run_all(&inputs, argv[0]);
    printf("%zu inputs, %zu failed\n", inputs.count, failures);
    inputs_done(&inputs);
    return failures == 0 ? 0 : 1;
}
