/* SPDX-License-Identifier: MIT
 *
 * policy: which granule leaves next. The contract between the core, which
 * moves pages, and an eviction algorithm, which decides.
 *
 * A policy sees units, numbered granules of neighbouring pages, and events. It
 * never sees locks, addresses, I/O or time: the core serialises all calls and
 * keeps memory of unit_bytes for each unit, zeroed, sized for the largest
 * window and only touched where used. A call must not block, allocate or take
 * longer than about 100 ns.
 *
 * What is knowable on a stock kernel: that a unit came in, why, and that it
 * was asked for again while it was on its way out (standby). There are no
 * accessed bits, so EM_UNIT_SOFT is the only sign that a unit is in use.
 *
 * A new policy is one file in policies/, one line in the registry in policy.c,
 * one in local.mk, one choice in config.c, and one paragraph in
 * extmem-policy(5).
 */
#ifndef EM_POLICY_H
#define EM_POLICY_H

#include <stddef.h>
#include <stdint.h>

#define EM_UNIT_NONE UINT32_MAX

/* Why a unit comes in. */
enum em_unit_event {
	EM_UNIT_FIRST, /* first touch of a page in it */
	EM_UNIT_MAJOR, /* read back from a store */
	EM_UNIT_SOFT,  /* taken back from standby: it was in use after all */
	EM_UNIT_KEPT,  /* could not leave now (in use by the kernel) */
};

struct em_policy;

struct em_policy_ops {
	const char *name;
	size_t unit_bytes;     /* state for each unit, zero at first */
	size_t policy_bytes;   /* state for the whole, zero at first */

	/* Once, before anything else. */
	void (*init)(struct em_policy *p);
	/* A unit that is in no list has a resident page now. */
	void (*insert)(struct em_policy *p, uint32_t unit, enum em_unit_event why);
	/* A unit that is in a list was taken back from standby. May be NULL. */
	void (*reference)(struct em_policy *p, uint32_t unit);
	/*
	 * Chooses a unit, takes it out of every list and returns it, or
	 * EM_UNIT_NONE when there is none.
	 */
	uint32_t (*victim)(struct em_policy *p);
};

struct em_policy {
	const struct em_policy_ops *ops;
	void *units;           /* unit_bytes each */
	void *state;           /* policy_bytes */
};

/* ---- for the core ---------------------------------------------------- */

/* "fifo", "clock" ...; NULL when there is none of that name. */
const struct em_policy_ops *em_policy_find(const char *name);

/* 0 or -errno. units: how many the window has. */
int em_policy_init(const char *name, uint64_t units);
/* The window has become smaller, and has so many now. */
void em_policy_fit_space(uint64_t units);

/*
 * Tells the policy of an event, later: it waits in the thread's record until
 * reclaim asks for victims. EM_HANDLER
 */
void em_policy_tell(uint32_t unit, enum em_unit_event event);

/* Fills units with up to max victims, after telling all that waits. Returns
 * how many. EM_HANDLER */
size_t em_policy_victims(uint32_t *units, size_t max);

#endif
