/* SPDX-License-Identifier: MIT */
#include "progress.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "figures.h"

enum {
    LINE_SIZE = 256,
    USUAL_WIDTH = 80,
    BAR_LEAST = 10,
    BAR_MOST = 40,
};

void progress_start(struct progress *progress, bool wanted, uint64_t size)
{
    *progress = (struct progress){
        .shown = wanted && isatty(STDERR_FILENO),
        .size = size,
        .start = figures_clock(),
    };
    progress->due = progress->start + PROGRESS_INTERVAL_MS / 1e3;
}

/* Columns that can be drawn in: one less than the terminal has, so that it never wraps. */
static size_t width_of_terminal(void)
{
    struct winsize size;
    size_t columns = USUAL_WIDTH;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        columns = size.ws_col;
    return columns > LINE_SIZE ? LINE_SIZE - 1 : columns - 1;
}

static void describe(char text[LINE_SIZE], const struct progress *progress, uint64_t bytes,
                     uint64_t records, double seconds)
{
    char done[FIGURES_SIZE];
    char rate[FIGURES_SIZE];
    char time[FIGURES_SIZE];
    double per_second = (double)bytes / seconds;
    figures_bytes(done, bytes);
    figures_bytes(rate, (uint64_t)per_second);
    if (progress->size && bytes) {
        uint64_t left = progress->size > bytes ? progress->size - bytes : 0;
        figures_duration(time, (uint64_t)((double)left / per_second + 0.5));
        snprintf(text, LINE_SIZE, "%s, %s/s, %.0f records/s, ETA %s", done, rate,
                 (double)records / seconds, time);
    } else {
        figures_duration(time, (uint64_t)seconds);
        snprintf(text, LINE_SIZE, "%s, %s/s, %.0f records/s, %s", done, rate,
                 (double)records / seconds, time);
    }
}

/* "[=====>    ]  52% " where there is room for it before `rest` columns; nothing otherwise. */
static size_t draw_bar(char *line, size_t width, size_t rest, double part)
{
    enum { AROUND = 8 }; /* brackets, percentage, spaces */
    if (width < rest + AROUND + BAR_LEAST)
        return 0;
    size_t bar = width - rest - AROUND;
    if (bar > BAR_MOST)
        bar = BAR_MOST;
    size_t full = (size_t)((double)bar * part);
    line[0] = '[';
    memset(line + 1, '=', full);
    memset(line + 1 + full, ' ', bar - full);
    if (full > 0 && full < bar)
        line[full] = '>';
    snprintf(line + 1 + bar, AROUND, "] %3.0f%% ", part * 100);
    return bar + AROUND;
}

static void put_line(struct progress *progress, const char *line, size_t length)
{
    size_t behind = progress->drawn > length ? progress->drawn - length : 0;
    fprintf(stderr, "\r%.*s%*s", (int)length, line, (int)behind, "");
    for (; behind > 0; behind--)
        fputc('\b', stderr);
    fflush(stderr);
    progress->drawn = length;
}

void progress_update(struct progress *progress, uint64_t bytes, uint64_t records)
{
    double now = progress->shown ? figures_clock() : 0;
    if (!progress->shown || now < progress->due)
        return;
    progress->due = now + PROGRESS_INTERVAL_MS / 1e3;
    char text[LINE_SIZE];
    char line[2 * LINE_SIZE];
    describe(text, progress, bytes, records, now - progress->start);
    size_t width = width_of_terminal();
    size_t bar = 0;
    if (progress->size) {
        double part = (double)bytes / (double)progress->size;
        bar = draw_bar(line, width, strlen(text), part > 1 ? 1 : part);
    }
    snprintf(line + bar, LINE_SIZE, "%s", text);
    size_t length = strlen(line);
    put_line(progress, line, length < width ? length : width);
}

void progress_clear(struct progress *progress)
{
    if (progress->drawn == 0)
        return;
    put_line(progress, "", 0);
    fputc('\r', stderr);
}
