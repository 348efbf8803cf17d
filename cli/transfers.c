/* SPDX-License-Identifier: MIT */
#include "transfers.h"

#include <stdio.h>
#include <string.h>

#include "figures.h"
#include "report.h"
#include "signals.h"

enum { INTERRUPTED = 1 };

int transfers_begin(struct transfers *transfers, uint64_t bytes)
{
    int error = signals_catch();
    if (error)
        return report_failure(transfers->subcommand, "signals: %s", strerror(error));
    progress_start(&transfers->progress, !transfers->quiet, bytes);
    transfers->start = transfers->progress.start;
    return STATUS_DONE;
}

int transfers_tell(void *arg, const struct firn_transferred *so_far)
{
    struct transfers *transfers = arg;
    progress_update(&transfers->progress, so_far->bytes, so_far->records);
    return signals_caught() ? INTERRUPTED : 0;
}

static void tell_summary(const struct transfers *transfers, bool interrupted)
{
    const struct firn_transferred *done = &transfers->done;
    double seconds = figures_clock() - transfers->start;
    char count[FIGURES_SIZE], size[FIGURES_SIZE], rate[FIGURES_SIZE], lost[64] = "";
    figures_bytes(size, done->bytes);
    figures_bytes(rate, (uint64_t)((double)done->bytes / seconds));
    if (done->ranges_lost)
        snprintf(lost, sizeof lost, "; %llu damaged range%s left out",
                 (unsigned long long)done->ranges_lost, done->ranges_lost == 1 ? " is" : "s are");
    report_note(transfers->subcommand, "%s%s %s, up to index %llu, %s in %.3f s: %s/s%s",
                interrupted ? "interrupted: " : "",
                figures_count(count, done->records, "record", "records"), transfers->verb,
                (unsigned long long)done->next_index, size, seconds, rate, lost);
}

int transfers_end(struct transfers *transfers, int result, const struct firn_error *err)
{
    progress_clear(&transfers->progress);
    if (result != 0 && result != INTERRUPTED)
        return report_error(transfers->subcommand, err);
    if (!transfers->quiet || transfers->done.ranges_lost)
        tell_summary(transfers, result == INTERRUPTED);
    if (result == INTERRUPTED)
        signals_end();
    return transfers->done.ranges_lost ? STATUS_FAILED : STATUS_DONE;
}
