/* SPDX-License-Identifier: MIT */
#include "figures.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* Reads digits; returns what follows them, or NULL where there are none or too many. */
static const char *read_digits(const char *text, uint64_t *value)
{
    uint64_t sum = 0;
    const char *at = text;
    for (; *at >= '0' && *at <= '9'; at++) {
        uint64_t digit = (uint64_t)(*at - '0');
        if (sum > (UINT64_MAX - digit) / 10)
            return NULL;
        sum = sum * 10 + digit;
    }
    *value = sum;
    return at == text ? NULL : at;
}

const char *figures_parse_number(const char *text, void *target)
{
    uint64_t value;
    const char *rest = read_digits(text, &value);
    if (!rest || *rest)
        return "write a decimal number from 0 to 18446744073709551615";
    *(struct number *)target = (struct number){.given = true, .value = value};
    return NULL;
}

/* 0 for a suffix that is none: "", "k" and "KiB" are powers of 1024, "kB" of 1000. */
static uint64_t unit_of(const char *suffix)
{
    static const char letters[] = "kMGT";
    if (strcmp(suffix, "") == 0 || strcmp(suffix, "B") == 0)
        return 1;
    char letter = suffix[0];
    if (letter == 'K')
        letter = 'k';
    else if (letter == 'm' || letter == 'g' || letter == 't')
        letter = (char)(letter - 'a' + 'A');
    const char *place = strchr(letters, letter);
    if (!place)
        return 0;
    bool decimal = strcmp(suffix + 1, "B") == 0;
    if (!decimal && suffix[1] && strcmp(suffix + 1, "iB") != 0)
        return 0;
    uint64_t unit = 1;
    for (const char *at = letters; at <= place; at++)
        unit *= decimal ? 1000 : 1024;
    return unit;
}

const char *figures_parse_size(const char *text, void *target)
{
    uint64_t value;
    const char *rest = read_digits(text, &value);
    uint64_t unit = rest ? unit_of(rest) : 0;
    if (unit == 0 || value > UINT64_MAX / unit)
        return "write a size such as 4096, 64k, 128MiB or 1G";
    *(struct number *)target = (struct number){.given = true, .value = value * unit};
    return NULL;
}

const char *figures_count(char text[FIGURES_SIZE], uint64_t count, const char *one,
                          const char *many)
{
    snprintf(text, FIGURES_SIZE, "%llu %s", (unsigned long long)count, count == 1 ? one : many);
    return text;
}

const char *figures_bytes(char text[FIGURES_SIZE], uint64_t bytes)
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    if (bytes < 1024) {
        snprintf(text, FIGURES_SIZE, "%llu bytes", (unsigned long long)bytes);
        return text;
    }
    double value = (double)bytes / 1024;
    size_t unit = 0;
    for (; value >= 1023.95 && unit + 1 < sizeof units / sizeof units[0]; unit++)
        value /= 1024;
    snprintf(text, FIGURES_SIZE, "%.1f %s", value, units[unit]);
    return text;
}

const char *figures_duration(char text[FIGURES_SIZE], uint64_t seconds)
{
    unsigned long long hours = seconds / 3600;
    unsigned minutes = (unsigned)(seconds / 60 % 60);
    unsigned rest = (unsigned)(seconds % 60);
    if (hours)
        snprintf(text, FIGURES_SIZE, "%llu:%02u:%02u", hours, minutes, rest);
    else
        snprintf(text, FIGURES_SIZE, "%u:%02u", minutes, rest);
    return text;
}

const char *figures_time(char text[FIGURES_SIZE], int64_t milliseconds)
{
    int64_t fraction = milliseconds % 1000;
    if (fraction < 0)
        fraction += 1000;
    time_t seconds = (time_t)((milliseconds - fraction) / 1000);
    struct tm tm;
    char date[FIGURES_SIZE - 8];
    if (!gmtime_r(&seconds, &tm) || !strftime(date, sizeof date, "%Y-%m-%d %H:%M:%S", &tm))
        snprintf(text, FIGURES_SIZE, "%lld ms", (long long)milliseconds);
    else
        snprintf(text, FIGURES_SIZE, "%s.%03d UTC", date, (int)fraction);
    return text;
}

double figures_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}
