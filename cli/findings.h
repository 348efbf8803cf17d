/* SPDX-License-Identifier: MIT */
#ifndef CLI_FINDINGS_H
#define CLI_FINDINGS_H

#include <firn/log.h>

/* Prints "FILE: byte 4096, 512 bytes: records 10 to 19 can't be read: text". FIRN_ECLOSED: nobody
   reads the output any more. */
int findings_put(void *arg, const struct firn_finding *finding);

#endif
