/* SPDX-License-Identifier: MIT */
/* Compiled as C and as C++ against the installed library: are the headers and libraries whole? */
#ifdef WITH_FAULTY
#include <firn/faulty.h>
#endif
#include <firn/firn.h>

#include <stdio.h>
#include <string.h>

int main(void)
{
    if (strcmp(firn_version(), FIRN_VERSION_STRING) != 0) {
        printf("headers of %s, library of %s\n", FIRN_VERSION_STRING, firn_version());
        return 1;
    }
    return 0;
}
