/* SPDX-License-Identifier: MIT */
/*
 * An orderly end by SIGINT, SIGTERM and SIGHUP: the first one is noted and ends every wait, the
 * second one of its kind ends the process at once. Those that the process was started to ignore
 * stay ignored.
 */
#ifndef CLI_SIGNALS_H
#define CLI_SIGNALS_H

/* Begins to note signals. 0, or an errno. */
int signals_catch(void);

/* The signal that came, or 0. */
int signals_caught(void);

enum { SIGNALS_FOREVER = -1 };

enum signals_wait {
    SIGNALS_READY,       /* the descriptor can be read or written, or has an error to tell */
    SIGNALS_TIMED_OUT,   /* neither, for so long */
    SIGNALS_INTERRUPTED, /* a signal came, now or before */
};

/* Waits until `fd` can do `events` (of poll). A signal does not hide that it can. */
enum signals_wait signals_wait(int fd, short events, int timeout_ms);

/* Ends the process by the signal that came, as it would have ended without signals_catch. */
void signals_end(void);

#endif
