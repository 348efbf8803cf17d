/* SPDX-License-Identifier: MIT */
#include "input.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "report.h"

int input_read(const char *subcommand, char *room, size_t size, size_t *used, bool *ended)
{
    ssize_t got = read(STDIN_FILENO, room, size);
    if (got < 0 && (errno == EINTR || errno == EAGAIN))
        return STATUS_DONE;
    if (got < 0)
        return report_failure(subcommand, "standard input: %s", strerror(errno));
    *used += (size_t)got;
    *ended = got == 0;
    return STATUS_DONE;
}
