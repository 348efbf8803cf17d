/* SPDX-License-Identifier: MIT */
/* Compiled as C and as C++ against the installed library: are the headers and libraries whole? */
#ifdef WITH_FAULTY
#include <firn/faulty.h>
#endif
#include <firn/firn.h>

#include <stdio.h>
#include <string.h>

static int make_disk(struct firn_disk **disk, struct firn_error *err)
{
#ifdef WITH_FAULTY
    struct firn_faulty *faulty = NULL;
    int rc = firn_faulty_new(NULL, &faulty, err);
    if (rc == 0)
        *disk = firn_faulty_disk(faulty);
    return rc;
#else
    return firn_disk_memory_new(disk, err);
#endif
}

/* One record goes into a log in memory, and comes out. */
static int use_log(struct firn_disk *disk, struct firn_error *err)
{
    struct firn_log_options options;
    memset(&options, 0, sizeof options);
    options.disk = disk;

    struct firn_log *log = NULL;
    int rc = firn_log_open("log", &options, &log, err);
    if (rc != 0)
        return rc;

    struct firn_record record;
    memset(&record, 0, sizeof record);
    record.value.data = "snow";
    record.value.size = 4;
    struct firn_record *back = NULL;
    rc = firn_log_append(log, &record, 1, NULL, NULL, err);
    if (rc == 0)
        rc = firn_log_read(log, 0, &back, err);
    if (rc == 0 && (back->value.size != 4 || memcmp(back->value.data, "snow", 4) != 0))
        rc = firn_error_set(err, FIRN_EDAMAGED, 0, "another record came back");
    firn_record_free(back);

    int closed = firn_log_close(log, rc == 0 ? err : NULL);
    return rc != 0 ? rc : closed;
}

/* One chunk goes into a pipe in memory, and comes out. */
static int use_pipe(struct firn_disk *disk, struct firn_error *err)
{
    struct firn_pipe_options options;
    memset(&options, 0, sizeof options);
    options.disk = disk;
    options.chunk_bytes = 4;
    options.initial_chunks = 2;

    struct firn_pipe *pipe = NULL;
    int rc = firn_pipe_open("pipe", &options, &pipe, err);
    if (rc != 0)
        return rc;

    char snow[] = "snow", back[] = "none";
    struct iovec buffer;
    buffer.iov_base = snow;
    buffer.iov_len = 4;
    uint64_t epoch = 0;
    rc = firn_pipe_write(pipe, 1, &buffer, 1, &epoch, err);
    if (rc == 0)
        rc = firn_pipe_force(pipe, epoch, err);
    if (rc == 0)
        rc = firn_pipe_read(pipe, 1, 1, back, FIRN_READ_DURABLE, err);
    if (rc == 0 && memcmp(back, snow, 4) != 0)
        rc = firn_error_set(err, FIRN_EDAMAGED, 0, "another chunk came back");

    int closed = firn_pipe_close(pipe, rc == 0 ? err : NULL);
    return rc != 0 ? rc : closed;
}

int main(void)
{
    if (strcmp(firn_version(), FIRN_VERSION_STRING) != 0) {
        printf("headers of %s, library of %s\n", FIRN_VERSION_STRING, firn_version());
        return 1;
    }
    struct firn_error err;
    memset(&err, 0, sizeof err);
    struct firn_disk *disk = NULL;
    int rc = make_disk(&disk, &err);
    if (rc == 0)
        rc = use_log(disk, &err);
    if (rc == 0)
        rc = use_pipe(disk, &err);
    firn_disk_free(disk);
    if (rc != 0)
        printf("%s: %s\n", firn_error_name(rc), err.message);
    return rc != 0;
}
