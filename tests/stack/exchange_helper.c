/* SPDX-License-Identifier: MIT */
/*
 * For exchange_test.py: does to the stack FILE what the lines on its standard input say, and prints
 * its content, in hexadecimal, at the end. A line is `push HEX`, `extend N`, `pop N`, `set AT HEX`,
 * `zero AT N`, `atrunc N HEX` or `die` (without closing).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <firn/stack.h>

enum { LINE = 70000 };

static int fail(const char *line, const struct firn_error *err)
{
    fprintf(stderr, "%s: %s\n", line, err->message);
    return 1;
}

static size_t from_hex(const char *text, unsigned char *bytes)
{
    size_t size = 0;
    unsigned value;
    for (; sscanf(text + 2 * size, "%2x", &value) == 1; size++)
        bytes[size] = (unsigned char)value;
    return size;
}

static int run_line(struct firn_stack *stack, const char *line, struct firn_error *err)
{
    static unsigned char bytes[LINE];
    static char hex[LINE];
    unsigned long long a = 0, b = 0;
    hex[0] = '\0';
    if (sscanf(line, "push %69999s", hex) == 1)
        return firn_stack_push(stack, bytes, from_hex(hex, bytes), NULL, err);
    if (sscanf(line, "extend %llu", &a) == 1)
        return firn_stack_extend(stack, a, NULL, err);
    if (sscanf(line, "pop %llu", &a) == 1)
        return firn_stack_pop(stack, bytes, (size_t)a, err);
    if (sscanf(line, "set %llu %69999s", &a, hex) == 2)
        return firn_stack_set(stack, a, bytes, from_hex(hex, bytes), err);
    if (sscanf(line, "zero %llu %llu", &a, &b) == 2)
        return firn_stack_zero(stack, a, b, err);
    if (sscanf(line, "atrunc %llu %69999s", &a, hex) >= 1)
        return firn_stack_atrunc(stack, a, bytes, from_hex(hex, bytes), err);
    return firn_error_set(err, FIRN_EINVAL, 0, "no such line");
}

static int print_all(struct firn_stack *stack, struct firn_error *err)
{
    size_t got = 0, size = (size_t)firn_stack_length(stack);
    unsigned char *bytes = malloc(size + 1);
    int rc = bytes ? firn_stack_peek(stack, 0, bytes, size, &got, err) : FIRN_ENOMEM;
    for (size_t i = 0; rc == 0 && i < got; i++)
        printf("%02x", bytes[i]);
    printf("\n");
    free(bytes);
    return rc;
}

int main(int argc, char **argv)
{
    static char line[2 * LINE];
    const struct firn_stack_options options = {.no_journal = argc > 2};
    struct firn_stack *stack;
    struct firn_error err = {0};
    if (argc < 2 || firn_stack_open(argv[1], &options, &stack, &err) != 0)
        return fail("open", &err);
    while (fgets(line, sizeof line, stdin)) {
        if (strncmp(line, "die", 3) == 0)
            _exit(0);
        if (run_line(stack, line, &err) != 0)
            return fail(line, &err);
    }
    if (print_all(stack, &err) != 0 || firn_stack_close(stack, &err) != 0)
        return fail("close", &err);
    return 0;
}
