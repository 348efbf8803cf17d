/* SPDX-License-Identifier: MIT */
#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <firn/spool.h>

#include "report.h"
#include "signals.h"

enum { PIECE = 256 * 1024 };

/* ---- names ------------------------------------------------------------------------------ */

const char *files_add(const char *name, void *target)
{
    struct files *files = target;
    const char **names = realloc(files->names, (files->count + 1) * sizeof *names);
    if (!names)
        return "out of memory";
    names[files->count++] = name;
    files->names = names;
    return NULL;
}

void files_free(struct files *files)
{
    free(files->names);
}

uint64_t files_size(const struct files *files)
{
    uint64_t size = 0;
    for (size_t i = 0; i < files->count; i++) {
        struct stat stat_of;
        if (stat(files->names[i], &stat_of) != 0 || !S_ISREG(stat_of.st_mode))
            return 0;
        size += (uint64_t)stat_of.st_size;
    }
    return size;
}

/* ---- one file --------------------------------------------------------------------------- */

/* 1: go on; 0: the end, or a signal; STATUS_FAILED is told by *status. */
static bool pump(struct file_records *records, struct firn_spool *spool, int fd, const char *file,
                 char *piece, int *status)
{
    struct firn_error err = {0};
    enum signals_wait ready = SIGNALS_TIMED_OUT;
    while (ready == SIGNALS_TIMED_OUT) {
        int timeout = records->progress->shown ? PROGRESS_INTERVAL_MS : SIGNALS_FOREVER;
        progress_update(records->progress, records->bytes,
                        records->writer->acknowledged - records->writer->first_index);
        ready = signals_wait(fd, POLLIN, timeout);
    }
    if (ready == SIGNALS_INTERRUPTED || signals_caught())
        return false;
    ssize_t got = read(fd, piece, PIECE);
    if (got < 0 && (errno == EINTR || errno == EAGAIN))
        return true;
    if (got < 0)
        *status = report_failure(records->subcommand, "%s: %s", file, strerror(errno));
    else if (got > 0 && firn_spool_write(spool, piece, (size_t)got, &err) < 0)
        *status = report_failure(records->subcommand, "%s, at byte %llu: %s", file,
                                 (unsigned long long)records->bytes, err.message);
    if (got > 0)
        records->bytes += (uint64_t)got;
    return got > 0 && *status == STATUS_DONE;
}

static int finish(struct file_records *records, struct firn_spool *spool)
{
    struct firn_error err = {0};
    struct firn_appended where;
    progress_clear(records->progress);
    if (firn_spool_finish(spool, NULL, &where, &err) < 0)
        return report_error(records->subcommand, &err);
    struct mark mark = {where.index + 1, where.epoch};
    if (writer_acknowledge(records->writer, mark, &err) < 0)
        return records->writer->output_error == EPIPE ? STATUS_FAILED
                                                      : report_error(records->subcommand, &err);
    return STATUS_DONE;
}

static int append_open_file(struct file_records *records, int fd, const char *file)
{
    struct firn_error err = {0};
    struct firn_spool *spool;
    int status = STATUS_DONE;
    if (firn_spool_open(records->log, NULL, records->limit, &spool, &err) < 0)
        return report_error(records->subcommand, &err);
    char *piece = malloc(PIECE);
    if (!piece)
        status = report_failure(records->subcommand, "out of memory");
    while (piece && pump(records, spool, fd, file, piece, &status))
        ;
    free(piece);
    if (status == STATUS_DONE && !signals_caught())
        return finish(records, spool);
    firn_spool_abandon(spool);
    return status;
}

/* ---- all of them ------------------------------------------------------------------------ */

static int append_file(struct file_records *records, const char *file)
{
    bool standard = strcmp(file, "-") == 0;
    int fd = standard ? STDIN_FILENO : open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return report_failure(records->subcommand, "%s: %s", file, strerror(errno));
    int status = append_open_file(records, fd, standard ? "standard input" : file);
    if (!standard)
        close(fd);
    return status;
}

int files_append(struct file_records *records, const struct files *files)
{
    int status = STATUS_DONE;
    for (size_t i = 0; i < files->count && status == STATUS_DONE && !signals_caught(); i++)
        status = append_file(records, files->names[i]);
    return status;
}
