/* SPDX-License-Identifier: MIT */
/* firn append: records from standard input. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <firn/log.h>

#include "figures.h"
#include "files.h"
#include "options.h"
#include "output.h"
#include "progress.h"
#include "report.h"
#include "signals.h"
#include "splitter.h"
#include "subcommands.h"
#include "writer.h"

static const char name[] = "append";

enum {
    SEGMENT_BYTES = 128 * 1024 * 1024, /* the library's default */
    RECORD_LIMIT = 8 * 1024 * 1024,    /* the default pool of buffers allows a little less */
    POOL_SUFFICES = 4 * 1024 * 1024,   /* up to here it does in any case */
    GROUP_RECORDS = 1000,              /* compressed together, at most */
    GROUP_BYTES = 128 * 1024,          /* ... or a record more than so many */
};

struct append_options {
    enum delimiter delimiter;
    struct separator separator;
    enum firn_durability durability;
    bool acknowledge;
    bool no_create;
    bool quiet;
    enum firn_compression compression;
    struct files files; /* each of them one record, instead of standard input */
    struct number record_bytes;
    struct number segment_bytes;
    struct number first_index;
    struct number expect_next;
    struct number size;
};

struct append {
    struct append_options options;
    const char *dir;
    struct firn_env *env;
    struct firn_log *log;
    struct splitter splitter;
    struct writer writer;
    struct progress progress;
    struct firn_record *group; /* with compression: records to append together, in the splitter */
    size_t group_count, group_bytes;
    uint64_t group_offset; /* of the first one in the input */
    uint64_t bytes;        /* taken from the input */
    uint64_t records;
    double start;
};

/* ---- arguments -------------------------------------------------------------------------- */

static const char *parse_durability(const char *text, void *target)
{
    static const char *const names[] = {"each", "group", "os"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(text, names[i]) == 0) {
            *(enum firn_durability *)target = (enum firn_durability)i;
            return NULL;
        }
    }
    return "write each, group or os";
}

static const char *parse_compression(const char *text, void *target)
{
    static const enum firn_compression kinds[] = {FIRN_COMPRESSION_NONE, FIRN_COMPRESSION_LZ4,
                                                  FIRN_COMPRESSION_ZSTD};
    static const char *const names[] = {"none", "lz4", "zstd"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(text, names[i]) == 0) {
            *(enum firn_compression *)target = kinds[i];
            return NULL;
        }
    }
    return "write none, lz4 or zstd";
}

static int parse(int argc, char **argv, struct append_options *to, char ***operands)
{
    const struct cli_option options[] = {
        {"delimiter", 'd', "KIND", delimiter_parse, &to->delimiter,
         "how records are told apart: newline (the default),\n"
         "nul, paragraph (empty lines between them) or\n"
         "length32 (a big-endian 32-bit length before each)"},
        {"key-separator", 'k', "C", delimiter_parse_separator, &to->separator,
         "what comes before the first byte C is the key; a\n"
         "record without C has none; C may be \\t \\n \\r \\0 \\\\"},
        {"durability", 'D', "MODE", parse_durability, &to->durability,
         "each: as soon as the input pauses, at the latest\n"
         "after 10 ms or 4 MiB (the default); group: some\n"
         "10 ms later, in the background; os: at the end"},
        {"ack", 'a', NULL, NULL, &to->acknowledge,
         "print each record's index, on a line of its own,\n"
         "as soon as it is durable"},
        {"compression", 'z', "METHOD", parse_compression, &to->compression,
         "compress what is appended together: lz4 or zstd"},
        {"stream-from", 'S', "FILE", files_add, &to->files,
         "append FILE as one record, however long, instead of\n"
         "records on standard input (-: all of it); may be\n"
         "repeated, and further files may follow DIR"},
        {"no-create", 'n', NULL, NULL, &to->no_create, "fail where there is no log yet"},
        {"first-index", 0, "INDEX", figures_parse_number, &to->first_index,
         "index of the first record of a log that is created"},
        {"expect-next", 'e', "INDEX", figures_parse_number, &to->expect_next,
         "append only if the first record gets this index"},
        {"segment-bytes", 0, "SIZE", figures_parse_size, &to->segment_bytes,
         "most bytes in a file of the log (128MiB)"},
        {"record-bytes", 0, "SIZE", figures_parse_size, &to->record_bytes,
         "most bytes in a record (just below 8MiB)"},
        {"size", 's', "SIZE", figures_parse_size, &to->size,
         "how much will come, for the progress bar"},
        {"quiet", 'q', NULL, NULL, &to->quiet, "no progress bar and no summary"},
    };
    const struct usage usage = {
        .subcommand = name,
        .synopsis = "[OPTION]... DIR < RECORDS\n"
                    "       firn append [OPTION]... --stream-from FILE DIR [FILE]...",
        .about = "Appends the records on standard input to the log in DIR, which is created if\n"
                 "it is not there. The last record need not have its delimiter.",
        .notes = "An interrupt ends it in good order: what was acknowledged is on disk.\n"
                 "Sizes may end in k, M, G or T (powers of 1024).",
        .operands = 1,
        .more_operands = true,
        .missing = "no log named",
        .options = options,
        .option_count = sizeof options / sizeof options[0],
    };
    int status = options_parse(&usage, argc, argv, operands);
    char **more = status == OPTIONS_PARSED ? *operands + 1 : NULL;
    if (more && *more && !to->files.count)
        return report_usage(name, "%s: one argument too many", *more);
    for (; more && *more; more++)
        if (files_add(*more, &to->files))
            return report_failure(name, "out of memory");
    return status;
}

/* ---- the log ---------------------------------------------------------------------------- */

static void tell_recovery(const struct append *append)
{
    struct firn_recovery recovery;
    firn_log_get_recovery(append->log, &recovery);
    bool harmless = recovery.created || recovery.clean;
    if (recovery.damaged_ranges || (!harmless && !append->options.quiet))
        report_note(name, "%s: %s", append->dir, recovery.text);
}

/* FIRN_EMISMATCH where the log does not go on where it is expected to. */
static int check_next(const struct append *append, uint64_t *next_index, struct firn_error *err)
{
    struct firn_log_info info = {0};
    firn_log_get_info(append->log, &info, NULL); /* fails for want of times, which are not needed */
    const struct number *expected = &append->options.expect_next;
    if (expected->given && info.staged_index != expected->value)
        return firn_error_set(err, FIRN_EMISMATCH, 0,
                              "%s: the next record gets index %llu, not %llu: nothing is appended",
                              append->dir, (unsigned long long)info.staged_index,
                              (unsigned long long)expected->value);
    *next_index = info.staged_index;
    return 0;
}

static int open_log(struct append *append, struct firn_error *err)
{
    const struct append_options *options = &append->options;
    struct firn_env_options env = {0};
    uint64_t longest = options->record_bytes.value;
    if (longest > POOL_SUFFICES && longest <= INT32_MAX && !options->files.count)
        env.pool_bytes = 3 * longest; /* half of which must hold it; taken only when needed. The
                                         log refuses more */
    int result = firn_env_new(&env, &append->env, err);
    if (result)
        return result;
    struct firn_log_options log = {
        .env = append->env,
        .must_exist = options->no_create,
        .durability = options->durability,
        .segment_bytes = options->segment_bytes.value,
        .record_bytes = options->files.count ? 0 : options->record_bytes.value,
        .first_index = options->first_index.value,
        .compression = options->compression,
    };
    if (options->files.count) { /* a file may be longer than a segment */
        uint64_t segment = log.segment_bytes ? log.segment_bytes : SEGMENT_BYTES;
        log.segment_overflow_bytes = segment < INT32_MAX ? INT32_MAX - segment : 0;
    }
    return firn_log_open(append->dir, &log, &append->log, err);
}

/* ---- records ---------------------------------------------------------------------------- */

enum step { STEP_ON, STEP_END, STEP_FAILED };

static enum step fail(struct append *append, const struct firn_error *err)
{
    progress_clear(&append->progress);
    if (append->writer.output_error != EPIPE)
        report_error(name, err);
    return STEP_FAILED;
}

/* `number` counts from 1, as lines do. */
static enum step refuse(struct append *append, uint64_t number, uint64_t offset, const char *why)
{
    progress_clear(&append->progress);
    report_failure(name, "record %llu of the input, at byte %llu, %s", (unsigned long long)number,
                   (unsigned long long)offset, why);
    return STEP_FAILED;
}

static const char too_long[] = "is longer than the limit: what comes before it is kept; "
                               "--record-bytes raises the limit";
static const char cut_short[] = "is cut short: what comes before it is kept";

static enum step stage_one(struct append *append, const struct firn_record *record, uint64_t offset)
{
    struct firn_error err = {0};
    int result = writer_append(&append->writer, record, 1, &err);
    if (result == FIRN_ETOOBIG)
        return refuse(append, append->records + 1, offset, too_long);
    if (result)
        return fail(append, &err);
    append->records++;
    return STEP_ON;
}

static const char *start_of(const struct firn_record *record)
{
    return record->key.data ? record->key.data : record->value.data;
}

/* What was gathered; one by one if one of them is too long, to tell which. */
static enum step stage_group(struct append *append)
{
    struct firn_error err = {0};
    size_t count = append->group_count;
    int result = count ? writer_append(&append->writer, append->group, count, &err) : 0;
    append->group_count = append->group_bytes = 0;
    enum step step = STEP_ON;
    if (result == 0)
        append->records += count;
    else if (result != FIRN_ETOOBIG)
        step = fail(append, &err);
    for (size_t i = 0; result == FIRN_ETOOBIG && i < count && step == STEP_ON; i++)
        step = stage_one(append, &append->group[i],
                         append->group_offset +
                             (uint64_t)(start_of(&append->group[i]) - start_of(append->group)));
    return step;
}

static enum step stage(struct append *append, struct firn_slice bytes, uint64_t offset)
{
    struct firn_record record = {0};
    delimiter_divide(bytes, append->options.separator, &record);
    if (!append->group)
        return stage_one(append, &record, offset);
    if (append->group_count == 0)
        append->group_offset = offset;
    append->group[append->group_count++] = record;
    append->group_bytes += bytes.size;
    bool full = append->group_count == GROUP_RECORDS || append->group_bytes >= GROUP_BYTES;
    return full ? stage_group(append) : STEP_ON;
}

/* The record that comes now; those before it are kept. */
static enum step refuse_rest(struct append *append, const char *why)
{
    enum step step = stage_group(append);
    return step == STEP_ON ? refuse(append, append->records + 1, append->splitter.offset, why)
                           : step;
}

/* All records that are whole in the buffer. */
static enum step stage_whole(struct append *append)
{
    struct splitter *splitter = &append->splitter;
    enum step step = STEP_ON;
    while (step == STEP_ON && !signals_caught()) {
        struct firn_slice bytes;
        uint64_t offset = splitter->offset;
        switch (splitter_next(splitter, &bytes)) {
        case SPLIT_RECORD:
            step = stage(append, bytes, offset);
            break;
        case SPLIT_MORE:
            return STEP_ON;
        case SPLIT_END:
            return STEP_END;
        case SPLIT_TOO_LONG:
            return refuse_rest(append, too_long);
        case SPLIT_CUT_SHORT:
            return refuse_rest(append, cut_short);
        }
    }
    return step == STEP_ON ? STEP_END : step;
}

/* ---- input ------------------------------------------------------------------------------ */

static enum step read_some(struct append *append)
{
    struct firn_error err = {0};
    char *room;
    size_t size;
    if (splitter_room(&append->splitter, &room, &size)) {
        firn_error_set(&err, FIRN_ENOMEM, 0, "no memory for a record of %zu bytes and more",
                       append->splitter.capacity);
        return fail(append, &err);
    }
    ssize_t got = read(STDIN_FILENO, room, size);
    if (got < 0 && (errno == EINTR || errno == EAGAIN))
        return STEP_ON;
    if (got < 0) {
        firn_error_set(&err, FIRN_EIO, errno, "standard input: %s", strerror(errno));
        return fail(append, &err);
    }
    splitter_fill(&append->splitter, (size_t)got);
    return STEP_ON;
}

/* Settles what is staged before it waits for more. */
static enum step read_more(struct append *append)
{
    struct firn_error err = {0};
    if (stage_group(append) == STEP_FAILED)
        return STEP_FAILED;
    enum signals_wait ready = signals_wait(STDIN_FILENO, POLLIN, 0);
    if (writer_settle(&append->writer, ready != SIGNALS_READY, &err))
        return fail(append, &err);
    progress_update(&append->progress, append->splitter.offset, append->records);
    while (ready == SIGNALS_TIMED_OUT) {
        int timeout = append->progress.shown ? PROGRESS_INTERVAL_MS : SIGNALS_FOREVER;
        ready = signals_wait(STDIN_FILENO, POLLIN, timeout);
        progress_update(&append->progress, append->splitter.offset, append->records);
    }
    return ready == SIGNALS_READY && !signals_caught() ? read_some(append) : STEP_END;
}

/* Bytes that will come; 0: unknown. */
static uint64_t size_of_input(const struct append_options *options)
{
    struct stat stat;
    if (options->size.given)
        return options->size.value;
    if (options->files.count)
        return files_size(&options->files);
    if (fstat(STDIN_FILENO, &stat) != 0 || !S_ISREG(stat.st_mode))
        return 0;
    off_t at = lseek(STDIN_FILENO, 0, SEEK_CUR);
    return at >= 0 && at < stat.st_size ? (uint64_t)(stat.st_size - at) : 0;
}

/* ---- the whole -------------------------------------------------------------------------- */

static void tell_summary(const struct append *append)
{
    char count[FIGURES_SIZE];
    char size[FIGURES_SIZE];
    char rate[FIGURES_SIZE];
    const struct writer *writer = &append->writer;
    uint64_t records = writer->acknowledged - writer->first_index;
    uint64_t bytes = append->bytes;
    double seconds = figures_clock() - append->start;
    char range[64] = "";
    if (records == 1)
        snprintf(range, sizeof range, " (%llu)", (unsigned long long)writer->first_index);
    else if (records)
        snprintf(range, sizeof range, " (%llu to %llu)", (unsigned long long)writer->first_index,
                 (unsigned long long)writer->acknowledged - 1);
    figures_bytes(size, bytes);
    figures_bytes(rate, (uint64_t)((double)bytes / seconds));
    report_note(name, "%s%s%s, %s in %.3f s: %.0f records/s, %s/s",
                signals_caught() ? "interrupted: " : "",
                figures_count(count, records, "record", "records"), range, size, seconds,
                (double)records / seconds, rate);
}

/* Whatever happened: what is staged becomes durable, and is acknowledged. */
static int finish(struct append *append, enum step step)
{
    struct firn_error err = {0};
    int status = step == STEP_FAILED ? STATUS_FAILED : STATUS_DONE;
    int result = writer_finish(&append->writer, &err);
    if (result && status == STATUS_DONE) {
        fail(append, &err);
        status = STATUS_FAILED;
    }
    progress_clear(&append->progress);
    return status;
}

static int append_standard_input(struct append *append)
{
    const struct append_options *options = &append->options;
    size_t limit = options->record_bytes.value ? options->record_bytes.value : RECORD_LIMIT;
    if (options->compression)
        append->group = calloc(GROUP_RECORDS, sizeof *append->group);
    if (splitter_init(&append->splitter, options->delimiter, limit) ||
        (options->compression && !append->group))
        return report_failure(name, "out of memory");
    enum step step = STEP_ON;
    while ((step = stage_whole(append)) == STEP_ON && (step = read_more(append)) == STEP_ON)
        ;
    if (step == STEP_END)
        step = stage_group(append);
    append->bytes = append->splitter.offset;
    return finish(append, step);
}

static int append_files(struct append *append)
{
    struct file_records records = {
        .subcommand = name,
        .log = append->log,
        .writer = &append->writer,
        .progress = &append->progress,
        .limit = append->options.record_bytes.value,
    };
    int status = files_append(&records, &append->options.files);
    progress_clear(&append->progress);
    append->bytes = records.bytes;
    return status;
}

static int append_records(struct append *append)
{
    struct firn_error err = {0};
    const struct append_options *options = &append->options;
    uint64_t next_index = 0;
    if (check_next(append, &next_index, &err))
        return report_error(name, &err);
    writer_init(&append->writer, append->log, options->durability, options->acknowledge,
                next_index);
    progress_start(&append->progress, !options->quiet, size_of_input(options));
    append->start = append->progress.start;
    return options->files.count ? append_files(append) : append_standard_input(append);
}

/* Closes what is open; a failure to close is one of the whole. */
static int close_log(struct append *append, int status)
{
    struct firn_error err = {0};
    if (firn_log_close(append->log, &err) && status == STATUS_DONE)
        status = report_error(name, &err);
    firn_env_free(append->env);
    return status;
}

static int run(struct append *append)
{
    struct firn_error err = {0};
    if (open_log(append, &err))
        return close_log(append, report_error(name, &err));
    tell_recovery(append);
    int status = close_log(append, append_records(append));
    bool wanted = !append->options.quiet && append->writer.output_error != EPIPE;
    if (append->start > 0 && wanted)
        tell_summary(append);
    splitter_done(&append->splitter);
    free(append->group);
    return status;
}

int append_run(int argc, char **argv)
{
    struct append append = {0};
    char **operands;
    int status = parse(argc, argv, &append.options, &operands);
    if (status != OPTIONS_PARSED) {
        files_free(&append.options.files);
        return status;
    }
    append.dir = operands[0];
    int error = signals_catch();
    status = error ? report_failure(name, "signals: %s", strerror(error)) : run(&append);
    files_free(&append.options.files);
    if (append.writer.output_error == EPIPE)
        return output_end_by_pipe();
    if (signals_caught() && status == STATUS_DONE)
        signals_end();
    return status;
}
