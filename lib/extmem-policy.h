/* SPDX-License-Identifier: MIT
 *
 * extmem-policy.h: the contract between extmem, which moves memory, and those
 * who decide: an eviction algorithm, what leaves next, and a prefetcher, what
 * is read before it is touched. Built-in ones are made to it, and plug-ins.
 *
 * An algorithm sees units: numbered runs of neighbouring pages (granules), or
 * whatever the lines of a trace are when it is simulated. It never sees locks,
 * addresses, I/O or time. Calls to one instance never overlap. A call must not
 * block, allocate, call libc (but memset and memcpy, which may be the
 * compiler's doing), touch memory other than its own, or take longer than
 * about 100 ns: some are made in a fault handler.
 *
 * What is knowable. A stock kernel tells a process not which of its pages are
 * accessed. So in a running program a *hit* is seen only when a page of a unit
 * was on its way out (standby) and was asked for again: reference() if others
 * of its unit are still in, insert(EXTMEM_SOFT) if not. In a simulation every
 * hit is seen, by reference().
 *
 * The order of events. Victims are asked for ahead of need, before it is known
 * what comes in: first victim(), later insert(). Where a paper looks at the
 * missing page first and evicts then, an algorithm here does it the other way
 * round. Several victims may be asked for in a row, and one of them may come
 * back first of all.
 *
 * A unit is *in* from insert() until victim() returns it or forget() is called
 * for it. While it is in, it is not inserted again. What the algorithm
 * remembers of a unit that is not in (a ghost) is its own affair. Each unit
 * that is in is returned by victim() in the end, if it is only asked often
 * enough, unless it is forgotten.
 */
#ifndef EXTMEM_POLICY_H
#define EXTMEM_POLICY_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Of what is said here of eviction, and of prefetchers; another one is refused. */
#define EXTMEM_EVICTION_VERSION 1u
#define EXTMEM_PREFETCHER_VERSION 1u

/* Units are numbered from 0 to EXTMEM_UNITS_MAX - 1: a unit plus one fits into
 * 30 bits, which leaves two bits of a word for other things. */
#define EXTMEM_UNITS_MAX ((1u << 30) - 1)
#define EXTMEM_UNIT_NONE UINT32_MAX

/* Most parameters that an algorithm or a prefetcher may have. */
#define EXTMEM_PARAMS_MAX 8

/* Why a unit comes in. */
enum extmem_event {
	EXTMEM_FIRST, /* its first page was touched for the first time */
	EXTMEM_MAJOR, /* read back from where it was stored */
	EXTMEM_SOFT,  /* taken back from standby: it was in use after all */
	/*
	 * It is the victim of a moment ago, which could not leave now (in use
	 * by the kernel), or left in part (eviction.spare). It belongs where it
	 * was; no hit, no miss.
	 */
	EXTMEM_KEPT,
};

/* What the program says of a unit. */
enum extmem_advice {
	EXTMEM_HOT,  /* it will be used again soon */
	EXTMEM_COLD, /* it will not */
};

/* A parameter: a whole number, given by its name in a policy file. */
struct extmem_param {
	const char *name;      /* lower case, at most 23 letters */
	int64_t def, min, max;
	const char *unit;      /* "%" or "": what stands behind the number */
	const char *help;      /* one line, no full stop */
};

struct extmem_eviction;

/* One instance of an algorithm. */
struct extmem_cache {
	const struct extmem_eviction *ops;
	void *units;           /* unit_bytes for each unit, zero at first */
	void *state;           /* state_bytes, zero at first */
	const int64_t *params; /* in the order of ops->params, checked */
	/*
	 * Units that fit into memory, 1 or more. In a running program an
	 * estimate, which may change before any call; then there may be more
	 * or fewer units in than this.
	 */
	uint32_t capacity;
};

struct extmem_eviction {
	uint32_t version;      /* EXTMEM_EVICTION_VERSION */
	const char *name;      /* lower case, at most 23 letters */
	const char *paper;     /* author, title, venue, year */
	const char *help;      /* one line, no full stop */
	/*
	 * Memory for each unit that there can be, 8 bytes where possible. Only
	 * what is touched takes memory.
	 */
	size_t unit_bytes;
	size_t state_bytes;
	const struct extmem_param *params; /* ends with a NULL name; or NULL */

	/* Once, before anything else. May be NULL. */
	void (*init)(struct extmem_cache *c);
	/* A unit that was not in has come in. */
	void (*insert)(struct extmem_cache *c, uint32_t unit,
		       enum extmem_event why);
	/*
	 * A unit was asked for that is in: a hit. Threads tell independently
	 * of each other, so it may come a little early or late and find that
	 * the unit is not in; it must then change nothing. May be NULL.
	 */
	void (*reference)(struct extmem_cache *c, uint32_t unit);
	/*
	 * The contents are gone (unmapped, discarded), whether the unit is in
	 * or not: it is no longer in, and no ghost. If it is ever inserted
	 * again, it is new. May be NULL: then it is returned as a victim in
	 * its time, which costs nothing.
	 */
	void (*forget)(struct extmem_cache *c, uint32_t unit);
	/*
	 * The program says so, whether the unit is in or not. May be NULL: then
	 * EXTMEM_HOT is told as a hit.
	 */
	void (*advise)(struct extmem_cache *c, uint32_t unit,
		       enum extmem_advice advice);
	/*
	 * Chooses a unit that is in, takes it out and returns it; or
	 * EXTMEM_UNIT_NONE if none is in.
	 */
	uint32_t (*victim)(struct extmem_cache *c);
};

/* ---- prefetchers ------------------------------------------------------ */

#define EXTMEM_GUESSES_MAX 8u
#define EXTMEM_GUESS_PAGES_MAX 32u
#define EXTMEM_GUESS_STEP_MAX 8191
#define EXTMEM_GUESS_THREAD_BYTES 256u

/*
 * Pages that will be touched soon: 1 to EXTMEM_GUESS_PAGES_MAX, each `step` after
 * the one before, at most EXTMEM_GUESS_STEP_MAX either way and not 0. What is
 * out of range is not read.
 */
struct extmem_guess {
	uint64_t page;
	int64_t step;
	uint32_t pages;
};

struct extmem_prefetcher;

/* A prefetcher at work: one for the whole process. */
struct extmem_prefetch {
	const struct extmem_prefetcher *ops;
	void *state;           /* state_bytes, zero at first */
	const int64_t *params; /* in the order of ops->params, checked */
};

/*
 * A prefetcher sees numbers of pages, which follow each other as the pages do
 * in memory, and nothing else. It runs in a fault handler, in several threads
 * at once: what an algorithm must not do, it must not either.
 */
struct extmem_prefetcher {
	uint32_t version;      /* EXTMEM_PREFETCHER_VERSION */
	const char *name;      /* lower case, at most 23 letters */
	const char *help;      /* one line, no full stop */
	size_t thread_bytes;   /* for each thread, EXTMEM_GUESS_THREAD_BYTES at most */
	size_t state_bytes;    /* for all threads, which do not exclude each other */
	const struct extmem_param *params; /* ends with a NULL name; or NULL */
	/*
	 * The thread touched a page that was away, or one that had been guessed.
	 * depth: how far to look ahead, 1 to EXTMEM_GUESS_PAGES_MAX pages; it goes
	 * by how many guesses were right. thread: its thread_bytes, zero at first
	 * and after a change of the policy. Returns how many guesses are in out,
	 * EXTMEM_GUESSES_MAX at most. Pages that are there already cost nothing.
	 */
	size_t (*guess)(struct extmem_prefetch *p, void *thread, uint64_t page,
			uint32_t depth, struct extmem_guess *out);
};

/* ---- plug-ins --------------------------------------------------------- */

/*
 * A plug-in is a shared object that defines one of these, or both. All else in
 * it should be static.
 */
extern __attribute__((visibility("default")))
const struct extmem_eviction extmem_plugin_eviction;
extern __attribute__((visibility("default")))
const struct extmem_prefetcher extmem_plugin_prefetcher;

#ifdef __cplusplus
}
#endif

#endif
