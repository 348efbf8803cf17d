/* SPDX-License-Identifier: MIT */
/* The storage `posix`: the file systems of this machine. */
#include "disk/posix_private.h"

static const struct firn_disk_ops posix_ops = {
    .size = sizeof(struct firn_disk_ops),
    .open = posix_open,
    .stat = posix_stat,
    .make_dir = posix_make_dir,
    .remove = posix_remove,
    .remove_dir = posix_remove_dir,
    .rename = posix_rename,
    .list = posix_list,
    .sync_dir = posix_sync_dir,
    .make_link = posix_make_link,
    .read_link = posix_read_link,
    .lock = posix_lock,
    .unlock = posix_unlock,
    .share = posix_share,
    .unshare = posix_unshare,
    .event_new = posix_event_new,
    .event_signal = posix_event_signal,
    .event_clear = posix_event_clear,
    .event_free = posix_event_free,
    .free_space = posix_free_space,
    .process_id = posix_process_id,
    .process_alive = posix_process_alive,
    .boot_id = posix_boot_id,
    .clock = posix_clock,
    .sleep = posix_sleep,
    .free = NULL,
};

struct firn_disk *firn_disk_posix(void)
{
    /* Never written to: not const only because the functions take storages that have state. */
    static struct firn_disk posix = {.ops = &posix_ops};
    return &posix;
}
