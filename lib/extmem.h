/* SPDX-License-Identifier: MIT
 *
 * extmem.h: what a program may ask of libextmem.
 *
 * All functions may be called whether or not the program runs under
 * `extmem run`; link with -lextmem, or look them up with dlsym(3). With
 * EXTMEM_OPTIONAL defined before this file is included, nothing has to be linked:
 * each is then a weak symbol, which is there under `extmem run` only, and the
 * functions extmem_hint_*() at the end do nothing elsewhere.
 */
#ifndef EXTMEM_H
#define EXTMEM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifdef EXTMEM_OPTIONAL
#define EXTMEM_LINKAGE __attribute__((weak))
#else
#define EXTMEM_LINKAGE
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

/* What is to be known of a range of memory. */
enum extmem_advice_kind {
	EXTMEM_ADVICE_NORMAL,     /* nothing in particular: takes the others back */
	EXTMEM_ADVICE_SEQUENTIAL, /* it is gone through in order */
	EXTMEM_ADVICE_RANDOM,     /* no page tells of the next: nothing is read ahead */
	EXTMEM_ADVICE_HOT,        /* it will be used again and again */
	EXTMEM_ADVICE_COLD,       /* it will not be used for a while: it may leave now */
	EXTMEM_ADVICE_ONCE,       /* it is gone through in order, once */
	EXTMEM_ADVICE_WILL_NEED,  /* soon: what is out is read, as far as there is room */
	EXTMEM_ADVICE_DONE,       /* for now: what is in leaves */
};

/* "0.1.0". Never NULL. */
EXTMEM_LINKAGE const char *extmem_version(void);
/* 1 if this process's memory is managed, else 0. */
EXTMEM_LINKAGE int extmem_active(void);
/* 1 if the byte at addr is managed memory, else 0. */
EXTMEM_LINKAGE int extmem_managed(const void *addr);
/*
 * Fills the first bytes bytes of *stats. Returns how many bytes were filled:
 * the smaller of bytes and what this version knows; 0 if not active.
 */
EXTMEM_LINKAGE size_t extmem_stats_get(struct extmem_stats *stats, size_t bytes);

/*
 * These speak of the whole pages that [addr, addr + bytes) touches. 0, also where
 * nothing is managed; or -1 with errno: ENOMEM when something of the range is not
 * managed, EINVAL for an unknown advice or a name that is too long.
 */
EXTMEM_LINKAGE int extmem_advise(const void *addr, size_t bytes,
				 enum extmem_advice_kind advice);
/* A name that rules of the policy can match, at most 31 bytes. */
EXTMEM_LINKAGE int extmem_name(const void *addr, size_t bytes, const char *name);
/*
 * Whether the pages stay in memory. ENOMEM also when more than three quarters of
 * the limit would stay.
 */
EXTMEM_LINKAGE int extmem_pin(const void *addr, size_t bytes, int on);

#ifdef EXTMEM_OPTIONAL
static inline int extmem_hint_advise(const void *addr, size_t bytes,
				     enum extmem_advice_kind advice)
{
	return extmem_advise ? extmem_advise(addr, bytes, advice) : 0;
}

static inline int extmem_hint_name(const void *addr, size_t bytes, const char *name)
{
	return extmem_name ? extmem_name(addr, bytes, name) : 0;
}

static inline int extmem_hint_pin(const void *addr, size_t bytes, int on)
{
	return extmem_pin ? extmem_pin(addr, bytes, on) : 0;
}
#endif

#ifdef __cplusplus
}
#endif

#endif
