/* SPDX-License-Identifier: MIT
 *
 * allowance: how much memory there is for this process, by its control group
 * (v1 or v2) and by the machine; and what limits.memory comes to by that.
 *
 * The commands ask before they start a program, the library when it starts and
 * from time to time. Both have their own way of reading a file. Nothing here
 * allocates. One thread at a time: what is read is kept in static memory.
 */
#ifndef EM_ALLOWANCE_H
#define EM_ALLOWANCE_H

#include "config.h"

/* Reads a file from an offset on, to its end or until out is full: bytes, or negative. */
typedef long em_read_file(const char *path, uint64_t offset, char *out, size_t bytes);

/* Where limits are written: the group's folder, and how long its top is. */
struct em_allowance {
	em_read_file *read; /* set by who owns it; all else is found by resolve */
	bool found;
	struct em_group {
		char folder[2048]; /* empty: no such hierarchy */
		size_t top_len;    /* of the mount, where the way up ends */
	} v1, v2;
};

/*
 * limits.memory in bytes, whole pages. A share is of the smallest limit (max,
 * and high with v2) on the way up from the group, where it is below physical
 * memory, else of physical memory. auto is 90% of the former; without a group
 * it is 75% of physical memory, but leaves a sixteenth of that available to
 * others. used_bytes: what the process has of its limit now. The groups are looked
 * for once, when a limit first depends on them; for bytes no file is read.
 */
uint64_t em_allowance_resolve(struct em_allowance *a, const struct em_size *limit,
			      uint64_t used_bytes);

#endif
