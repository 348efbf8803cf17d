/* SPDX-License-Identifier: MIT */
#include "times.h"

#include <string.h>
#include <time.h>

#include "figures.h"

static const char span_hint[] = "write a number with ms, s, m, h, d or w: 90s, 12h, 7d";
static const char point_hint[] =
    "write 2026-01-31, 2026-01-31 12:00, 2026-01-31T12:00:00.250Z (all UTC), @SECONDS since 1970, "
    "or -2h for two hours ago";

static uint64_t unit_ms(const char *suffix)
{
    static const struct {
        const char *suffix;
        uint64_t ms;
    } units[] = {
        {"ms", 1},      {"s", 1000},     {"m", 60 * 1000},
        {"h", 3600000}, {"d", 86400000}, {"w", 7 * 86400000},
    };
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (strcmp(suffix, units[i].suffix) == 0)
            return units[i].ms;
    return 0;
}

const char *times_parse_span(const char *text, void *target)
{
    char digits[24];
    struct number number;
    size_t length = strspn(text, "0123456789");
    uint64_t unit = unit_ms(text + length);
    if (length == 0 || length >= sizeof digits || unit == 0)
        return span_hint;
    memcpy(digits, text, length);
    digits[length] = '\0';
    if (figures_parse_number(digits, &number) || number.value > (uint64_t)INT64_MAX / unit)
        return span_hint;
    *(struct number *)target = (struct number){.given = true, .value = number.value * unit};
    return NULL;
}

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ".25" as 250; up to three digits count, more may follow. False: something else stands there. */
static bool parse_fraction(const char **text, int64_t *ms)
{
    *ms = 0;
    if (**text != '.')
        return true;
    const char *digit = *text + 1;
    int64_t unit = 100;
    if (*digit < '0' || *digit > '9')
        return false;
    for (; *digit >= '0' && *digit <= '9'; digit++, unit /= 10)
        *ms += (*digit - '0') * unit;
    *text = digit;
    return true;
}

static bool parse_seconds(const char *text, int64_t *ms)
{
    char digits[16];
    struct number number;
    int64_t fraction;
    size_t length = strspn(text, "0123456789");
    if (length == 0 || length >= sizeof digits)
        return false;
    memcpy(digits, text, length);
    digits[length] = '\0';
    const char *rest = text + length;
    if (figures_parse_number(digits, &number) || !parse_fraction(&rest, &fraction) || *rest)
        return false;
    *ms = (int64_t)number.value * 1000 + fraction;
    return true;
}

/* Days since 1970 in the Gregorian calendar. */
static int64_t days_of(int64_t year, int64_t month, int64_t day)
{
    if (month <= 2)
        year--;
    int64_t of_era = year % 400, shifted = (month + 9) % 12; /* March is the first month */
    int64_t of_year = (153 * shifted + 2) / 5 + day - 1;
    return year / 400 * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static bool is_date(unsigned year, unsigned month, unsigned day)
{
    static const unsigned lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (year < 1970 || year > 9999 || month < 1 || month > 12 || day < 1)
        return false;
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return day <= lengths[month - 1] + (month == 2 && leap);
}

/* Exactly so many digits, behind the byte `before` unless that is 0. */
static bool take_digits(const char **text, char before, int count, unsigned *value)
{
    const char *at = *text;
    if (before && *at++ != before)
        return false;
    *value = 0;
    for (; count > 0; count--, at++) {
        if (*at < '0' || *at > '9')
            return false;
        *value = *value * 10 + (unsigned)(*at - '0');
    }
    *text = at;
    return true;
}

/* What may follow a date: nothing, or hours and minutes, seconds, a fraction, and a zone. */
static bool parse_clock(const char *text, int64_t *ms)
{
    unsigned hour, minute, second = 0;
    *ms = 0;
    if (!*text || strcmp(text, "Z") == 0)
        return true;
    if (!take_digits(&text, *text == 'T' ? 'T' : ' ', 2, &hour) ||
        !take_digits(&text, ':', 2, &minute))
        return false;
    if (*text == ':' && !take_digits(&text, ':', 2, &second))
        return false;
    if (hour > 23 || minute > 59 || second > 59 || !parse_fraction(&text, ms))
        return false;
    *ms += ((int64_t)hour * 3600 + minute * 60 + second) * 1000;
    return !*text || strcmp(text, "Z") == 0 || strcmp(text, " UTC") == 0;
}

static bool parse_date(const char *text, int64_t *ms)
{
    unsigned year, month, day;
    if (!take_digits(&text, '\0', 4, &year) || !take_digits(&text, '-', 2, &month) ||
        !take_digits(&text, '-', 2, &day) || !is_date(year, month, day) || !parse_clock(text, ms))
        return false;
    *ms += days_of(year, month, day) * 86400000;
    return true;
}

static bool parse_ago(const char *text, int64_t *ms)
{
    struct number span;
    if (times_parse_span(text, &span))
        return false;
    *ms = now_ms() - (int64_t)span.value;
    return true;
}

const char *times_parse_point(const char *text, void *target)
{
    struct point point = {.given = true};
    bool good = *text == '@'   ? parse_seconds(text + 1, &point.ms)
                : *text == '-' ? parse_ago(text + 1, &point.ms)
                               : parse_date(text, &point.ms);
    if (!good)
        return point_hint;
    *(struct point *)target = point;
    return NULL;
}
