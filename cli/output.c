/* SPDX-License-Identifier: MIT */
#include "output.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "report.h"

enum { BUFFER_SIZE = 256 * 1024 };

static int cause; /* errno of the first failure of standard output */

void output_start(void)
{
    static char buffer[BUFFER_SIZE];
    setvbuf(stdout, buffer, _IOFBF, sizeof buffer);
}

bool output_failed(void)
{
    if (!cause && ferror(stdout))
        cause = errno ? errno : EIO;
    return cause != 0;
}

bool output_abandoned(void)
{
    struct pollfd output = {.fd = STDOUT_FILENO};
    return poll(&output, 1, 0) > 0 && (output.revents & POLLERR);
}

int output_end_by_pipe(void)
{
    signal(SIGPIPE, SIG_DFL);
    raise(SIGPIPE);
    return STATUS_FAILED;
}

int output_end(const char *subcommand, int status)
{
    if (!output_failed()) {
        fflush(stdout);
        output_failed();
    }
    if (!cause)
        return status;
    if (cause == EPIPE)
        return output_end_by_pipe();
    return report_failure(subcommand, "standard output: %s", strerror(cause));
}
