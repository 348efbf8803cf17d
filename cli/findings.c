/* SPDX-License-Identifier: MIT */
/* What verify finds, and repair puts right. */
#include "findings.h"

#include <stdio.h>

#include "output.h"

int findings_put(void *arg, const struct firn_finding *finding)
{
    (void)arg;
    printf("%s: byte %llu", finding->file, (unsigned long long)finding->offset);
    if (finding->length)
        printf(", %llu bytes", (unsigned long long)finding->length);
    if (finding->next_index > finding->first_index)
        printf(": records %llu to %llu can't be read", (unsigned long long)finding->first_index,
               (unsigned long long)finding->next_index - 1);
    printf(": %s\n", finding->text);
    return output_failed() ? FIRN_ECLOSED : 0;
}
