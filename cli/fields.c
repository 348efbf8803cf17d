/* SPDX-License-Identifier: MIT */
#include "fields.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "figures.h"
#include "json.h"

enum { COLUMN = 13 };

void fields_line(const char *label, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    printf("%-*s ", COLUMN, label);
    vprintf(format, args);
    putchar('\n');
    va_end(args);
}

void fields_number(const char *label, uint64_t value)
{
    fields_line(label, "%llu", (unsigned long long)value);
}

void fields_bytes(const char *label, uint64_t bytes)
{
    char text[FIGURES_SIZE];
    if (bytes >= 1024)
        fields_line(label, "%llu (%s)", (unsigned long long)bytes, figures_bytes(text, bytes));
    else
        fields_number(label, bytes);
}

void fields_json_number(const char *key, uint64_t value)
{
    printf("\"%s\":%llu", key, (unsigned long long)value);
}

void fields_json_string(const char *key, const char *text)
{
    json_put_bytes(stdout, key, (struct firn_slice){text, strlen(text)});
}
