/* SPDX-License-Identifier: MIT */
/*
 * Words of any length in a file, each in a slice of a slab.
 *
 *     cc examples/words.c $(pkg-config --cflags --libs firn) -o words
 *     ./words /tmp/words snow ice     adds two words
 *     ./words /tmp/words -ice         removes one
 *     ./words /tmp/words              prints all, the newest first
 *
 * A slice holds the next one's handle, and a word; the first one's handle is in the bytes that the
 * slab reserves for its program. A program that ends between two steps leaves a slice that nothing
 * leads to: the next one finds it, and frees it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <firn/firn.h>

enum { BLOCK = 32, WORDS_MOST = 1000 };

struct words {
    struct firn_stack *stack;
    struct firn_slab *slab;
    struct firn_slab_slice at[WORDS_MOST]; /* the newest first */
    size_t count;
};

static int fail(const char *what, const struct firn_error *err)
{
    fprintf(stderr, "%s: %s (%s)\n", what, err->message, firn_error_name(err->code));
    return 1;
}

/* ---- what there is ---- */

static int find_words(struct words *words, struct firn_error *err)
{
    unsigned char handle[FIRN_SLAB_RESERVED];
    struct firn_slab_slice slice;
    int rc = firn_slab_get_reserved(words->slab, handle, err);
    while (rc == 0 && (rc = firn_slab_load(words->slab, handle, &slice, err)) == 0) {
        if (slice.length == 0)
            return 0;
        if (words->count == WORDS_MOST)
            return firn_error_set(err, FIRN_ETOOBIG, 0, "more than %d words", WORDS_MOST);
        words->at[words->count++] = slice;
        rc = firn_slab_read(words->slab, slice, 0, handle, FIRN_SLAB_STORED, err);
    }
    return rc;
}

static void free_lost(void *arg, struct firn_slab_slice lost)
{
    struct words *words = arg;
    if (firn_slab_dealloc(words->slab, lost, NULL) == 0)
        fprintf(stderr, "freed %llu bytes that were lost\n", (unsigned long long)lost.length);
}

static int open_words(struct words *words, const char *path, struct firn_error *err)
{
    struct firn_slab_findings findings;
    int rc = firn_stack_open(path, NULL, &words->stack, err);
    if (rc == 0)
        rc = firn_stack_length(words->stack) == 0
                 ? firn_slab_create(words->stack, BLOCK, &words->slab, err)
                 : firn_slab_open(words->stack, &words->slab, err);
    if (rc == 0)
        rc = find_words(words, err);
    const struct firn_slab_live live = {words->at, words->count, free_lost, words};
    return rc == 0 ? firn_slab_check(words->stack, &live, &findings, err) : rc;
}

static char *read_word(struct words *words, size_t i, struct firn_error *err)
{
    size_t size = (size_t)words->at[i].length - FIRN_SLAB_STORED;
    char *word = calloc(1, size + 1);
    if (word && firn_slab_read(words->slab, words->at[i], FIRN_SLAB_STORED, word, size, err) == 0)
        return word;
    free(word);
    return NULL;
}

/* ---- changes ---- */

/* Lets what leads to word `i` lead to that one. */
static int lead_to(struct words *words, size_t i, struct firn_slab_slice slice,
                   struct firn_error *err)
{
    unsigned char handle[FIRN_SLAB_RESERVED] = {0};
    firn_slab_store(slice, handle);
    return i == 0
               ? firn_slab_set_reserved(words->slab, handle, err)
               : firn_slab_write(words->slab, words->at[i - 1], 0, handle, FIRN_SLAB_STORED, err);
}

static int add(struct words *words, const char *word, struct firn_error *err)
{
    struct firn_slab_slice slice, next = words->count ? words->at[0] : (struct firn_slab_slice){0};
    size_t size = FIRN_SLAB_STORED + strlen(word);
    char *bytes = malloc(size);
    if (!bytes || words->count == WORDS_MOST) {
        free(bytes);
        return firn_error_set(err, FIRN_ENOMEM, 0, "no room for a word");
    }
    firn_slab_store(next, bytes);
    memcpy(bytes + FIRN_SLAB_STORED, word, size - FIRN_SLAB_STORED);
    int rc = firn_slab_alloc(words->slab, size, &slice, err);
    if (rc == 0)
        rc = firn_slab_write(words->slab, slice, 0, bytes, size, err);
    free(bytes);
    if (rc == 0)
        rc = lead_to(words, 0, slice, err);
    if (rc < 0)
        return rc;
    memmove(words->at + 1, words->at, words->count * sizeof *words->at);
    words->at[0] = slice;
    words->count++;
    return 0;
}

static int remove_at(struct words *words, size_t i, struct firn_error *err)
{
    struct firn_slab_slice next = {0}, slice = words->at[i];
    if (i + 1 < words->count)
        next = words->at[i + 1];
    int rc = lead_to(words, i, next, err);
    words->count--;
    memmove(words->at + i, words->at + i + 1, (words->count - i) * sizeof *words->at);
    return rc == 0 ? firn_slab_dealloc(words->slab, slice, err) : rc;
}

static int remove_word(struct words *words, const char *word, struct firn_error *err)
{
    for (size_t i = 0; i < words->count; i++) {
        char *found = read_word(words, i, err);
        bool same = found && strcmp(found, word) == 0;
        free(found);
        if (same)
            return remove_at(words, i, err);
    }
    return firn_error_set(err, FIRN_ENOENT, 0, "there is no '%s'", word);
}

static void print_all(struct words *words)
{
    for (size_t i = 0; i < words->count; i++) {
        char *word = read_word(words, i, NULL);
        puts(word ? word : "?");
        free(word);
    }
}

int main(int argc, char **argv)
{
    static struct words words;
    struct firn_error err = {0};
    if (argc < 2) {
        fprintf(stderr, "usage: %s FILE [WORD|-WORD]...\n", argv[0]);
        return 2;
    }
    int rc = open_words(&words, argv[1], &err);
    for (int i = 2; rc == 0 && i < argc; i++)
        rc = argv[i][0] == '-' ? remove_word(&words, argv[i] + 1, &err)
                               : add(&words, argv[i], &err);
    if (rc == 0 && argc == 2)
        print_all(&words);
    int status = rc < 0 ? fail("words", &err) : 0;
    firn_slab_close(words.slab);
    if (firn_stack_close(words.stack, &err) < 0)
        return fail("close", &err);
    return status;
}
