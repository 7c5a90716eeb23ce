/* SPDX-License-Identifier: MIT
 *
 * policy_live: the policy of a process that runs: what it is, and another one.
 */
#ifndef CMD_POLICY_LIVE_H
#define CMD_POLICY_LIVE_H

#include "config.h"
#include <sys/types.h>

/* The policy in force in a process. Dies with status 1 and a message. */
void cmd_live_policy(pid_t pid, struct em_config *cfg);

/*
 * Puts what a policy file (or NULL) and KEY=VALUE settings say over the policy
 * in force, and prints what has changed. Another algorithm begins with its
 * defaults: the parameters of the old one are dropped. Dies with status 1 and a
 * message; nothing has changed then.
 */
void cmd_live_apply(pid_t pid, const char *file_or_name, const char *const *settings,
		    size_t count);

#endif
