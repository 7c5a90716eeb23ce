/* SPDX-License-Identifier: MIT
 *
 * limit: what limits.memory comes to, and how that changes while the program
 * runs: by a change of the policy, with what there is for the process (allowance),
 * and as autotune finds out how little will do (tune). credits.h holds to it.
 *
 * core starts it; but for what says so, all else is called by the control thread,
 * which is alone there.
 */
#ifndef EM_LIMIT_H
#define EM_LIMIT_H

#include "allowance.h"

/* A size that may be a share, in pages of a whole of so many. */
uint64_t em_limit_part(const struct em_size *s, uint64_t whole);

/*
 * At the start: 0, or -errno and why cfg cannot be used with the limit that it gives.
 * known: what a limit that follows others came to a while ago, in bytes as text, or
 * NULL; with it no file is read now, which would be a good part of a short program.
 */
int em_limit_find(const struct em_config *cfg, const char *known, char *err,
		  size_t err_bytes);
/* What em_limit_find() found, or what it has become. */
uint64_t em_limit_pages(void);
/* What is in force: tuned, and on its way up or down. From any thread. EM_HANDLER */
uint64_t em_limit_bytes(void);
/* The watermarks of cfg, once credits and buffers are there. */
void em_limit_set_marks(const struct em_config *cfg, uint64_t limit);

/* What the limit of another policy comes to: 0, or -errno and why that cannot be. */
int em_limit_judge(const struct em_config *cfg, const struct em_config *next, uint64_t *limit,
		   char *err, size_t err_bytes);
/*
 * Puts it in force: up at once, down as memory gets free. One that is asked for
 * as before stays where it is found to be. The reclaim lock is held.
 */
void em_limit_change(const struct em_config *cfg, const struct em_config *next,
		     uint64_t limit);
/* Nanoseconds until it is to be called again; 0: not before a change. */
uint64_t em_limit_go_on(const struct em_config *cfg);
/*
 * No file may be opened from now on: a limit that follows others stays. In force
 * once the reclaim lock has been held. From any thread.
 */
void em_limit_keep(void);

#endif
