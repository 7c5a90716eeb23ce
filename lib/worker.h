/* SPDX-License-Identifier: MIT
 *
 * worker: threads of the library's own, which libc does not know.
 *
 * A thread of pthread_create would be seen by the program: the process would
 * not end when its own last thread does, setuid(3) would wait for it to answer
 * a signal that it blocks, and libc would lock where a single thread need not.
 * It also wants malloc, and so cannot be made in a forked child whose other
 * threads held locks. So these are made by clone(2), with a stack and
 * thread-local storage of their own: a copy of what the loader gives each
 * thread at its start.
 *
 * What runs in them may call what a signal handler may, and no more of libc.
 */
#ifndef EM_WORKER_H
#define EM_WORKER_H

#include "util.h"

/*
 * Looks at the calling thread for the shape of thread-local storage. Once,
 * before the first start; not in a handler. 0 or -errno.
 */
int em_worker_init(void);
/*
 * Starts a thread that runs body, which does not return, with all signals
 * blocked but those that stand for faults, if any do. 0 or -errno.
 */
int em_worker_start(void (*body)(void));
/* Whether the caller is one of them. EM_HANDLER */
bool em_worker_is_self(void);
/* How many there are. EM_HANDLER */
unsigned int em_worker_count(void);
/* In a forked child: none of them is left. */
void em_worker_forked(void);

#endif
