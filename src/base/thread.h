/* SPDX-License-Identifier: MIT */
/* Threads of the library's own: with a small stack, and no signals of the program. */
#ifndef BASE_THREAD_H
#define BASE_THREAD_H

#include <pthread.h>

/* FIRN_ENOMEM, FIRN_EAGAIN: none to be had. To be joined. */
int thread_start(pthread_t *thread, void *(*run)(void *), void *arg);

#endif
