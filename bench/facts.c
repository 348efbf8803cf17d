/* SPDX-License-Identifier: MIT */
/* What machine and file system the figures come from. */
#include "bench.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include <firn/version.h>

enum { FACT = 384, FACTS = 8 };

struct fact {
    const char *name;
    char text[FACT];
};

static void cut_line(char *text)
{
    text[strcspn(text, "\n")] = '\0';
}

/* The text behind "key ...: " of a file of such lines. */
static void look_up(const char *path, const char *key, char text[FACT])
{
    char line[512];
    FILE *file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file)) {
        const char *colon = strchr(line, ':');
        if (strncmp(line, key, strlen(key)) != 0 || !colon)
            continue;
        snprintf(text, FACT, "%.200s", colon + 1 + strspn(colon + 1, " \t"));
        cut_line(text);
        break;
    }
    if (file)
        (void)fclose(file);
}

/* Type, device and options of the file system, from the line whose device number is that of dir. */
static void file_system(const char *dir, char text[FACT])
{
    struct stat status;
    char line[1024], mount[512], options[128], kind[64], device[128];
    unsigned long major, minor;
    FILE *file = fopen("/proc/self/mountinfo", "r");
    bool looking = file && stat(dir, &status) == 0;
    while (looking && fgets(line, sizeof line, file)) {
        const char *dash = strstr(line, " - ");
        if (sscanf(line, "%*d %*d %lu:%lu %*s %511s %127s", &major, &minor, mount, options) != 4 ||
            !dash || sscanf(dash, " - %63s %127s", kind, device) != 2)
            continue;
        if (((major << 8) | minor) != status.st_dev)
            continue;
        snprintf(text, FACT, "%s on %.60s (%.100s)%s", kind, device, options,
                 strcmp(kind, "tmpfs") == 0 ? " - NOT A DISK: what is durable here?" : "");
    }
    if (file)
        (void)fclose(file);
}

static void load(char text[FACT])
{
    double loads[3];
    if (getloadavg(loads, 3) == 3)
        snprintf(text, FACT, "%.2f %.2f %.2f", loads[0], loads[1], loads[2]);
}

static size_t collect(const struct bench *bench, struct fact facts[FACTS])
{
    static const char *const names[FACTS] = {"firn",   "kernel",      "processor", "processors",
                                             "memory", "file system", "load",      "date"};
    for (size_t i = 0; i < FACTS; i++) {
        facts[i].name = names[i];
        strcpy(facts[i].text, "unknown");
    }
    snprintf(facts[0].text, FACT, "%s (bench compiled by %s%s)", firn_version(), __VERSION__,
#ifdef __OPTIMIZE__
             ""
#else
             ", NOT OPTIMISED"
#endif
    );
    struct utsname system;
    if (uname(&system) == 0)
        snprintf(facts[1].text, FACT, "%.60s %.80s %.60s", system.sysname, system.release,
                 system.machine);
    look_up("/proc/cpuinfo", "model name", facts[2].text);
    snprintf(facts[3].text, FACT, "%ld", sysconf(_SC_NPROCESSORS_ONLN));
    look_up("/proc/meminfo", "MemTotal", facts[4].text);
    file_system(bench->dir, facts[5].text);
    load(facts[6].text);
    time_t now = time(NULL);
    struct tm utc;
    if (gmtime_r(&now, &utc))
        strftime(facts[7].text, FACT, "%Y-%m-%d %H:%M:%S UTC", &utc);
    return FACTS;
}

void facts_print(struct bench *bench)
{
    struct fact facts[FACTS];
    size_t count = collect(bench, facts);
    for (size_t i = 0; i < count; i++)
        fprintf(bench->out, "%-12s %s\n", facts[i].name, facts[i].text);
}

void facts_print_json(struct bench *bench, FILE *out)
{
    struct fact facts[FACTS];
    size_t count = collect(bench, facts);
    fputs("  \"machine\": {\n", out);
    for (size_t i = 0; i < count; i++) {
        fprintf(out, "    \"%s\": \"", facts[i].name);
        for (const char *c = facts[i].text; *c; c++)
            if (*c != '"' && *c != '\\' && *c >= ' ')
                fputc(*c, out);
        fprintf(out, "\"%s\n", i + 1 < count ? "," : "");
    }
    fputs("  },\n", out);
}
