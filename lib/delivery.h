/* SPDX-License-Identifier: MIT
 *
 * delivery: how faults reach fault.c.
 *
 * In signal delivery a fault is a SIGBUS in the thread that faulted, and
 * nothing of this module runs. In thread delivery it is a message, read by
 * threads of the library's own. The thread that faulted sleeps in the kernel,
 * wherever it touched the page: in its own code or in the middle of a system
 * call. That is the point of it, and its price: two switches between threads.
 *
 * Leader and followers: one server at a time waits for a message. What can be
 * done at once it does itself. Before it waits for anything else, the disk
 * above all, it lets the next one lead, which is started if there is none. So
 * a lone fault costs no more than one wake-up, and many faults read from the
 * disk side by side.
 *
 * What a server must not do is wait for a thread that waits for a server:
 *
 *   whoever owns a page or holds a lock touches no managed memory, but through
 *   em_sys_peek() and em_sys_touch(), which do not wait;
 *   a fork keeps pages and locks to itself, and its thread runs code of the
 *   program meanwhile: a server that meets the closed gate leaves the fault
 *   alone and tells its thread to try again (EM_FAULT_LATER).
 */
#ifndef EM_DELIVERY_H
#define EM_DELIVERY_H

#include "config.h"
#include "reclaim.h"
#include "sys.h"

/* What the outer layer lends. */
struct em_delivery_hooks {
	em_spawn *spawn;            /* start a thread */
	void (*take_signals)(void); /* faults are SIGBUS from now on */
	/* The same in a forked child, whose program has gone its way: its mask,
	 * set when the fork is over, and its actions are changed as well. */
	void (*take_signals_over)(sigset_t *mask);
	/* Whether managed memory is touched while signals are blocked behind our back. */
	bool (*needs_thread)(void);
};

/*
 * Opens the userfaultfd, and starts the first server if the delivery is to be
 * by thread: cfg says so, or leaves it open and the program needs it. Where that is
 * not possible it takes signals, and says so if cfg had asked for it. Before anything is
 * registered. 0 or -errno.
 */
int em_delivery_start(const struct em_config *cfg, const struct em_delivery_hooks *hooks,
		      struct em_sys_features *features);
/*
 * In a forked child: as the parent had it, if that is possible. mask is what
 * the thread will have blocked afterwards.
 */
int em_delivery_forked(struct em_sys_features *features, sigset_t *mask);
/* Starts all servers that there may be: the program locks itself in. EM_BLOCKS */
void em_delivery_settle(void);
/*
 * At the end of a process, until what was read is served and counted: who faulted
 * goes on before that. Not for ever, since another thread's fault may take long. EM_BLOCKS
 */
void em_delivery_rest(void);
/* Whether faults are delivered to threads. EM_HANDLER */
bool em_delivery_by_thread(void);

#endif
