/* SPDX-License-Identifier: MIT */
/* Figures and how they are shown. */
#include "bench.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static struct figure *figure_named(struct bench *bench, const char *name)
{
    for (size_t i = 0; i < bench->figure_count; i++)
        if (strcmp(bench->figures[i].group, bench->group) == 0 &&
            strcmp(bench->figures[i].name, name) == 0)
            return &bench->figures[i];
    bench->figures = realloc(bench->figures, (bench->figure_count + 1) * sizeof *bench->figures);
    if (!bench->figures)
        abort();
    struct figure *figure = &bench->figures[bench->figure_count++];
    *figure = (struct figure){.group = bench->group};
    snprintf(figure->name, sizeof figure->name, "%s", name);
    return figure;
}

void bench_add(struct bench *bench, const char *name, const char *unit, enum aim aim, double target,
               double value, double ratio)
{
    struct figure *figure = figure_named(bench, name);
    figure->unit = unit;
    figure->aim = aim;
    figure->target = target;
    size_t size = (figure->count + 1) * sizeof(double);
    figure->values = realloc(figure->values, size);
    figure->ratios = realloc(figure->ratios, size);
    if (!figure->values || !figure->ratios)
        abort();
    figure->values[figure->count] = value;
    figure->ratios[figure->count++] = ratio;
}

void bench_note(struct bench *bench, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("    ", bench->out);
    vfprintf(bench->out, format, args);
    fputc('\n', bench->out);
    fflush(bench->out);
    va_end(args);
}

int bench_fail(struct bench *bench, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "firn-bench: %s: ", bench->group);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    bench->failed = true;
    return -1;
}

void bench_free_figures(struct bench *bench)
{
    for (size_t i = 0; i < bench->figure_count; i++) {
        free(bench->figures[i].values);
        free(bench->figures[i].ratios);
    }
    free(bench->figures);
    bench->figures = NULL;
    bench->figure_count = 0;
}

/* ---- what a figure says ---- */

static bool has_ratio(const struct figure *figure)
{
    return figure->ratios[0] > 0;
}

static bool aims_at_ratio(const struct figure *figure)
{
    return figure->aim == AIM_RATIO_MOST || figure->aim == AIM_RATIO_LEAST;
}

static bool is_met(const struct figure *figure)
{
    double got = median_of(aims_at_ratio(figure) ? figure->ratios : figure->values, figure->count);
    if (figure->aim == AIM_RATIO_MOST || figure->aim == AIM_VALUE_MOST)
        return got <= figure->target;
    return got >= figure->target;
}

static const char *verdict(const struct figure *figure)
{
    if (figure->aim == AIM_NONE)
        return "";
    return is_met(figure) ? "met" : "MISSED";
}

/* Of the ratios where there are some, of the values else. */
static void spread_of(const struct figure *figure, double *least, double *most)
{
    const double *from = has_ratio(figure) ? figure->ratios : figure->values;
    *least = *most = from[0];
    for (size_t i = 1; i < figure->count; i++) {
        *least = from[i] < *least ? from[i] : *least;
        *most = from[i] > *most ? from[i] : *most;
    }
}

/* ---- for people ---- */

/* Four digits, or all before the point. */
static void put_number(char text[24], double value)
{
    int digits = value >= 1000 ? 0 : value >= 100 ? 1 : value >= 10 ? 2 : 3;
    snprintf(text, 24, "%.*f", digits, value);
}

static void put_target(char text[32], const struct figure *figure)
{
    char number[24];
    text[0] = '\0';
    if (figure->aim == AIM_NONE)
        return;
    bool most = figure->aim == AIM_RATIO_MOST || figure->aim == AIM_VALUE_MOST;
    snprintf(number, sizeof number, "%g", figure->target);
    snprintf(text, 32, "%s %s%s", most ? "<=" : ">=", number, aims_at_ratio(figure) ? " x" : "");
}

static void print_figure(struct bench *bench, const struct figure *figure)
{
    char value[24], ratio[28] = "", target[32], low[24], high[24];
    double least, most;
    put_number(value, median_of(figure->values, figure->count));
    if (has_ratio(figure)) {
        put_number(ratio, median_of(figure->ratios, figure->count));
        strcat(ratio, " x");
    }
    put_target(target, figure);
    spread_of(figure, &least, &most);
    put_number(low, least);
    put_number(high, most);
    fprintf(bench->out, "  %-52s %10s %-9s %9s  %-9s %-7s %s .. %s (%zu)\n", figure->name, value,
            figure->unit, ratio, target, verdict(figure), low, high, figure->count);
}

static void print_head(struct bench *bench)
{
    fprintf(bench->out, "  %-52s %10s %-9s %9s  %-9s %-7s %s\n", "", "median", "", "ratio",
            "target", "", "spread (of how many)");
}

void bench_print_group(struct bench *bench, const char *group)
{
    print_head(bench);
    for (size_t i = 0; i < bench->figure_count; i++)
        if (strcmp(bench->figures[i].group, group) == 0)
            print_figure(bench, &bench->figures[i]);
    fflush(bench->out);
}

void bench_print_table(struct bench *bench)
{
    size_t met = 0, missed = 0;
    fprintf(bench->out, "\nwhat has a target\n");
    print_head(bench);
    for (size_t i = 0; i < bench->figure_count; i++) {
        if (bench->figures[i].aim == AIM_NONE)
            continue;
        print_figure(bench, &bench->figures[i]);
        is_met(&bench->figures[i]) ? met++ : missed++;
    }
    fprintf(bench->out, "\n%zu targets met, %zu missed%s\n", met, missed,
            bench->quick ? " (--quick: the figures mean little)" : "");
}

/* ---- for programs ---- */

static void json_numbers(FILE *out, const char *name, const double *values, size_t count)
{
    fprintf(out, ", \"%s\": [", name);
    for (size_t i = 0; i < count; i++)
        fprintf(out, "%s%.6g", i ? ", " : "", values[i]);
    fputc(']', out);
}

static void json_figure(FILE *out, const struct figure *figure)
{
    static const char *const aims[] = {"none", "ratio at most", "ratio at least", "value at most",
                                       "value at least"};
    fprintf(out, "    {\"group\": \"%s\", \"name\": \"%s\", \"unit\": \"%s\", \"median\": %.6g",
            figure->group, figure->name, figure->unit, median_of(figure->values, figure->count));
    json_numbers(out, "values", figure->values, figure->count);
    if (has_ratio(figure)) {
        fprintf(out, ", \"ratio\": %.6g", median_of(figure->ratios, figure->count));
        json_numbers(out, "ratios", figure->ratios, figure->count);
    }
    if (figure->aim != AIM_NONE)
        fprintf(out, ", \"aim\": \"%s\", \"target\": %.6g, \"met\": %s", aims[figure->aim],
                figure->target, is_met(figure) ? "true" : "false");
    fputc('}', out);
}

void bench_print_json(struct bench *bench, FILE *out)
{
    fputs("{\n", out);
    facts_print_json(bench, out);
    fprintf(out, "  \"quick\": %s,\n  \"failed\": %s,\n  \"figures\": [\n",
            bench->quick ? "true" : "false", bench->failed ? "true" : "false");
    for (size_t i = 0; i < bench->figure_count; i++) {
        json_figure(out, &bench->figures[i]);
        fputs(i + 1 < bench->figure_count ? ",\n" : "\n", out);
    }
    fputs("  ]\n}\n", out);
}
