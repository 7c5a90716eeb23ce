/* SPDX-License-Identifier: MIT
 *
 * control: what may be asked of a running process, and who may ask.
 *
 * A thread of the library's own listens at a socket without a file (the abstract
 * name "extmem-PID"). One request a connection, one packet each way:
 *
 *   show             the policy in force          ok\n key=value lines
 *   apply\n lines    another policy, whole        ok\n, or error\n and why
 *
 * The lines are those of EXTMEM_CONFIG (config.h). Only the user of the process
 * and root are heard: the kernel says who has connected. Whatever is sent, the
 * process goes on, and a change that fails has changed nothing.
 *
 * The thread starts with the one that reclaims: a process that fits its limit has
 * neither, so that it is as alone as it was.
 */
#ifndef EM_CONTROL_H
#define EM_CONTROL_H

#include "config.h"
#include "delivery.h"

#define EM_CONTROL_NAME "extmem-%d" /* in the abstract namespace, with the pid */
/* Most that a packet holds. */
#define EM_CONTROL_BYTES (EM_CONFIG_DUMP_MAX + 64)

/*
 * What to do with a request. apply: 0, or -errno and why; nothing has changed
 * then. go_on: does what takes its time or comes again and again; how many
 * nanoseconds until it wants to be called once more, 0: not before a change.
 */
struct em_control_hooks {
	int (*show)(char *out, size_t out_bytes);
	int (*apply)(const char *lines, char *err, size_t err_bytes);
	uint64_t (*go_on)(void);
};

void em_control_init(const struct em_control_hooks *hooks, em_spawn *spawn);
/* Starts the thread, once. Not in a handler. */
void em_control_start(void);
/* In a forked child: the parent's socket is not ours. */
void em_control_forked(void);

#endif
