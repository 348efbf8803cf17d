/* SPDX-License-Identifier: MIT */
#include <firn/version.h>

const char *firn_version(void)
{
    return FIRN_VERSION_STRING;
}
