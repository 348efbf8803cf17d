/* SPDX-License-Identifier: MIT */
/* Processes, the machine's start, and clocks. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "disk/platform.h"
#include "disk/posix_private.h"

/* ---- processes ------------------------------------------------------------------------------- */

int64_t posix_process_id(struct firn_disk *disk)
{
    (void)disk;
    return getpid();
}

#if DISK_LINUX

/* Reads a small file of /proc; false where that can't be done. NUL-terminates. */
static bool read_proc(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t n = read(fd, text, size - 1);
    (void)close(fd);
    if (n <= 0)
        return false;
    text[n] = '\0';
    return true;
}

/* Dead, and its parent has not asked yet. A process whose first thread alone has ended looks the
 * same but for its number of threads, the 18th word behind the name. */
static bool is_zombie(int64_t process_id)
{
    char path[64];
    char text[1024];
    (void)snprintf(path, sizeof path, "/proc/%lld/stat", (long long)process_id);
    if (!read_proc(path, text, sizeof text))
        return false;
    const char *word = strrchr(text, ')');
    if (word == NULL || (strncmp(word, ") Z", 3) != 0 && strncmp(word, ") X", 3) != 0))
        return false;
    for (int i = 0; i < 18 && word != NULL; i++)
        word = strchr(word + 1, ' ');
    return word != NULL && strtol(word, NULL, 10) <= 1;
}

#else

static bool is_zombie(int64_t process_id)
{
    (void)process_id;
    return false;
}

#endif

bool posix_process_alive(struct firn_disk *disk, int64_t process_id)
{
    (void)disk;
    if (process_id <= 0 || process_id > INT_MAX)
        return false;
    int saved = errno;
    bool alive = kill((pid_t)process_id, 0) == 0 || errno != ESRCH;
    alive = alive && !is_zombie(process_id);
    errno = saved;
    return alive;
}

/* ---- the machine ----------------------------------------------------------------------------- */

#if DISK_LINUX

static int digit_of(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = c != '\0' ? strchr(digits, c) : NULL;
    return at != NULL ? (int)(at - digits) : -1;
}

void posix_boot_id(struct firn_disk *disk, uint8_t id[16])
{
    char text[64];
    uint8_t bytes[16] = {0};
    int count = 0;
    (void)disk;
    memset(id, 0, 16);
    if (!read_proc("/proc/sys/kernel/random/boot_id", text, sizeof text))
        return;
    for (const char *c = text; *c != '\0' && count < 32; c++) {
        int digit = digit_of(*c);
        if (digit < 0)
            continue;
        bytes[count / 2] = (uint8_t)(bytes[count / 2] << 4 | digit);
        count++;
    }
    if (count == 32)
        memcpy(id, bytes, 16);
}

#else

void posix_boot_id(struct firn_disk *disk, uint8_t id[16])
{
    (void)disk;
    memset(id, 0, 16);
}

#endif

/* ---- clocks ---------------------------------------------------------------------------------- */

uint64_t posix_clock(struct firn_disk *disk, enum firn_clock clock)
{
    struct timespec now = {0};
    (void)disk;
    (void)clock_gettime(clock == FIRN_CLOCK_REAL ? CLOCK_REALTIME : CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

void posix_sleep(struct firn_disk *disk, uint64_t nanoseconds)
{
    uint64_t seconds = nanoseconds / 1000000000U;
    struct timespec left = {
        .tv_sec = (time_t)(seconds < INT_MAX ? seconds : INT_MAX),
        .tv_nsec = (long)(nanoseconds % 1000000000U),
    };
    (void)disk;
    while (nanosleep(&left, &left) != 0 && errno == EINTR)
        continue;
}
