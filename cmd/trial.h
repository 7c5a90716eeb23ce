/* SPDX-License-Identifier: MIT
 *
 * trial: a plug-in loaded and called in a process apart, so that one that
 * crashes, hangs or breaks its contract there takes nothing with it, and what
 * was wrong can be said.
 */
#ifndef CMD_TRIAL_H
#define CMD_TRIAL_H

#include "plugin.h"
#include <stdbool.h>

struct cmd_trial_param {
	char name[24];
	int64_t def, min, max;
};

/* Shared with the process that tries: what it is at, and what it found. */
struct cmd_trial {
	const char *volatile doing;
	char wrong[512];
	char strangers[128]; /* what it uses of others, and better did not */
	bool done, evicts, prefetches;
	/* Each ends with an empty name. */
	struct cmd_trial_param eviction[EXTMEM_PARAMS_MAX + 1];
	struct cmd_trial_param prefetcher[EXTMEM_PARAMS_MAX + 1];
};

/*
 * Tries the plug-in at an absolute path; t is in shared memory, and zero. 0, or
 * -errno and why not. It takes a few seconds at most.
 */
int cmd_trial_hold(struct cmd_trial *t, const char *path, char *err, size_t err_bytes);

#endif
