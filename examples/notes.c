/* SPDX-License-Identifier: MIT */
/*
 * Notes in a file, the last of which can be taken back.
 *
 *     cc examples/notes.c $(pkg-config --cflags --libs firn) -o notes
 *     ./notes /tmp/notes one two    adds two notes, each durable before the next
 *     ./notes /tmp/notes            takes the last one back, and prints it
 *
 * A note is its text and then the text's length: so the last one is found from the end.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <firn/firn.h>

static int fail(const char *what, const struct firn_error *err)
{
    fprintf(stderr, "%s: %s (%s)\n", what, err->message, firn_error_name(err->code));
    return 1;
}

/* Text and length are there, or neither. */
static int add(struct firn_stack *stack, char *text, struct firn_error *err)
{
    uint32_t size = (uint32_t)strlen(text);
    const struct iovec both[] = {{text, size}, {&size, sizeof size}};
    const struct firn_stack_change change = {.append = both, .append_count = 2};
    return firn_stack_apply(stack, &change, NULL, err);
}

static int take_back(struct firn_stack *stack, struct firn_error *err)
{
    uint64_t length = firn_stack_length(stack);
    uint32_t size;
    if (length == 0)
        return 0;
    int rc = firn_stack_get(stack, length - sizeof size, &size, sizeof size, err);
    if (rc < 0)
        return rc;
    char *note = malloc(size + sizeof size);
    if (!note)
        return firn_error_set(err, FIRN_ENOMEM, 0, "no memory for a note");
    rc = firn_stack_pop(stack, note, size + sizeof size, err);
    if (rc == 0)
        printf("%.*s\n", (int)size, note);
    free(note);
    return rc;
}

int main(int argc, char **argv)
{
    struct firn_error err = {0};
    struct firn_stack *stack;
    if (argc < 2) {
        fprintf(stderr, "usage: %s FILE [NOTE...]\n", argv[0]);
        return 2;
    }
    if (firn_stack_open(argv[1], NULL, &stack, &err) < 0)
        return fail("open", &err);
    int rc = argc == 2 ? take_back(stack, &err) : 0;
    for (int i = 2; rc == 0 && i < argc; i++)
        rc = add(stack, argv[i], &err);
    int status = rc < 0 ? fail("notes", &err) : 0;
    if (firn_stack_close(stack, &err) < 0)
        return fail("close", &err);
    return status;
}
