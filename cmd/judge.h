/* SPDX-License-Identifier: MIT
 *
 * judge: what the commands do about a plug-in that a policy names, before it is
 * taken.
 *
 * It is code that will run in the user's programs, so it must be the user's
 * own: owned by them or root, and nobody else can change it or put another in
 * its place. Then it is tried (trial.h).
 */
#ifndef CMD_JUDGE_H
#define CMD_JUDGE_H

#include "config.h"

/*
 * Each is an em_plugin_judge, for em_config_judge_plugins(): it makes the path
 * absolute, without links, and has a complete reason when it refuses.
 */
/* Only the path: the process that it is sent to decides. */
int cmd_plugin_place(bool prefetches, char path[EM_CONFIG_PATH_MAX], char *err,
		     size_t err_bytes);
/*
 * Fit for LD_PRELOAD, and tried: its parameters are known from then on (plugin.h),
 * its functions are not.
 */
int cmd_plugin_try(bool prefetches, char path[EM_CONFIG_PATH_MAX], char *err,
		   size_t err_bytes);
/* Tried, then loaded into this process: plugin.h has what it defines. */
int cmd_plugin_load(bool prefetches, char path[EM_CONFIG_PATH_MAX], char *err,
		    size_t err_bytes);

#endif
