/* SPDX-License-Identifier: MIT
 *
 * extmem.h: what a program may ask of libextmem.
 *
 * All functions may be called whether or not the program runs under
 * `extmem run`; link with -lextmem, or look them up with dlsym(3).
 */
#ifndef EXTMEM_H
#define EXTMEM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The process's own figures, in bytes and counts. May grow at the end. */
struct extmem_stats {
	uint64_t limit_bytes;
	uint64_t resident_bytes;
	uint64_t standby_bytes;
	uint64_t stored_bytes;
	uint64_t faults_first, faults_soft, faults_major;
	uint64_t bytes_read, bytes_written;
	uint64_t over_limit_events;
};

/* "0.1.0". Never NULL. */
const char *extmem_version(void);
/* 1 if this process's memory is managed, else 0. */
int extmem_active(void);
/* 1 if the byte at addr is managed memory, else 0. */
int extmem_managed(const void *addr);
/*
 * Fills the first bytes bytes of *stats. Returns how many bytes were filled:
 * the smaller of bytes and what this version knows; 0 if not active.
 */
size_t extmem_stats_get(struct extmem_stats *stats, size_t bytes);

#ifdef __cplusplus
}
#endif

#endif
