/* SPDX-License-Identifier: MIT */
/** All of firn but the simulator of storage, <firn/faulty.h>, which is a library of its own. */
#ifndef FIRN_FIRN_H
#define FIRN_FIRN_H

#include <firn/blocks.h>
#include <firn/disk.h>
#include <firn/env.h>
#include <firn/error.h>
#include <firn/follow.h>
#include <firn/keep.h>
#include <firn/log.h>
#include <firn/pipe.h>
#include <firn/slab.h>
#include <firn/spool.h>
#include <firn/stack.h>
#include <firn/stats.h>
#include <firn/stream.h>
#include <firn/transfer.h>
#include <firn/version.h>

#endif
