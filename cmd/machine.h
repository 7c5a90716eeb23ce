/* SPDX-License-Identifier: MIT
 *
 * machine: what this machine and this place in it allow: memory, userfaultfd,
 * a folder to swap to. `extmem run` asks before it starts a program, so that
 * the answer is one line and not a dead program.
 */
#ifndef CMD_MACHINE_H
#define CMD_MACHINE_H

#include "config.h"

/*
 * limits.memory in bytes, by what there is now (allowance.h). 0, or -errno with a
 * complete message in err.
 */
int cmd_limit_resolve(const struct em_size *limit, uint64_t *bytes, char *err,
		      size_t err_bytes);

/*
 * Can this process have its faults delivered, as a signal or, which takes a
 * privilege, to a thread? A way out of "move" also wants UFFDIO_MOVE, and
 * "copy" is refused for a thread where that is there. 0, or -errno with a
 * message. What is not safe here is written to `warning`, "" when all is.
 */
int cmd_userfaultfd_check(enum em_delivery delivery, enum em_way_out way_out,
			  char *warning, size_t warning_bytes, char *err, size_t err_bytes);

/*
 * Do the limits on addresses (RLIMIT_AS, RLIMIT_DATA) leave room for what the
 * library itself takes? 0, or -errno with a message.
 */
int cmd_address_space_check(char *err, size_t err_bytes);

/*
 * A folder that swap files can be made in, and its absolute path written back
 * over `path` (EM_CONFIG_PATH_MAX bytes). 0, or -errno with a message. A
 * warning (little space) is written to `warning`, "" when there is none.
 */
int cmd_swap_check(char *path, uint64_t wanted_bytes, char *warning,
		   size_t warning_bytes, char *err, size_t err_bytes);

#endif
