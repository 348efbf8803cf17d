/* SPDX-License-Identifier: MIT */
/* Many writers, each of which waits for its records: how many share a sync. */
#include "bench.h"
#include "crew.h"

struct writers {
    struct firn_log *log;
    uint8_t bytes[RECORD];
};

static int append(void *arg, unsigned number, struct firn_error *err)
{
    (void)number;
    struct writers *writers = arg;
    struct firn_record record = record_of(writers->bytes, RECORD);
    return firn_log_append(writers->log, &record, 1, NULL, NULL, err);
}

static void report_groups(struct bench *bench, struct firn_log *log, unsigned count)
{
    struct firn_commit_stats stats;
    firn_log_get_commit_stats(log, &stats);
    crew_note_groups(bench, count, "records", &stats);
}

/* Records per second of `count` writers on a fresh log; negative: failed. */
static double rate_of(struct bench *bench, unsigned count, bool say_groups)
{
    struct writers writers;
    fill_bytes(writers.bytes, sizeof writers.bytes);
    if (open_log(bench, "log", NULL, &writers.log) < 0)
        return -1;
    double rate = crew_rate(bench, count, append, &writers);
    if (rate >= 0 && say_groups)
        report_groups(bench, writers.log, count);
    return destroy_log(bench, writers.log) < 0 ? -1 : rate;
}

int bench_writers(struct bench *bench)
{
    static const struct {
        unsigned count;
        enum aim aim;
        double target;
    } crews[] = {{4, AIM_NONE, 0}, {16, AIM_RATIO_LEAST, 6}, {64, AIM_RATIO_LEAST, 12}};
    for (unsigned run = 0; run < bench->runs && bench_goes_on(); run++) {
        bool last = run + 1 == bench->runs;
        double one = rate_of(bench, 1, last);
        if (one <= 0)
            return -1;
        bench_add(bench, "1 writer", "records/s", AIM_NONE, 0, one, 0);
        for (size_t i = 0; i < sizeof crews / sizeof crews[0] && bench_goes_on(); i++) {
            char name[32];
            double rate = rate_of(bench, crews[i].count, last);
            if (rate < 0)
                return -1;
            snprintf(name, sizeof name, "%u writers", crews[i].count);
            bench_add(bench, name, "records/s", crews[i].aim, crews[i].target, rate, rate / one);
        }
    }
    return 0;
}
