/* SPDX-License-Identifier: MIT */
#include "policy.h"
#include "lock.h"
#include "page.h"
#include "policies/policies.h"
#include "stats.h"
#include "thread.h"
#include <errno.h>

/* Below so many units an average says little. */
#define AVERAGE_UNITS_MIN 16

static struct extmem_cache policy;
static int64_t params[EXTMEM_PARAMS_MAX];
static uint64_t unit_count;
static uint64_t queued; /* units that are in. Guarded by policy_lock */
static struct em_lock policy_lock = EM_LOCK_INIT(EM_LOCK_POLICY);

/* An algorithm without a parameter list has a list that is empty. */
static void set_defaults(const struct extmem_param *p)
{
	for (size_t i = 0; p && p[i].name; i++)
		params[i] = p[i].def;
}

int em_policy_init(const char *name, uint64_t units)
{
	policy.ops = extmem_eviction_find(name);
	if (!policy.ops)
		return -EINVAL;
	set_defaults(policy.ops->params);
	policy.params = params;
	policy.capacity = 1;
	policy.units = em_sys_alloc(units * policy.ops->unit_bytes);
	unit_count = units;
	policy.state = em_sys_alloc(policy.ops->state_bytes);
	if (!policy.units || !policy.state)
		return -ENOMEM;
	if (policy.ops->init)
		policy.ops->init(&policy);
	return 0;
}

/*
 * How many units fit: the limit divided by the pages that a unit has resident
 * on average. A granule need not be whole, and an empty one costs nothing.
 */
static void estimate_capacity(void)
{
	int64_t pages = (int64_t)atomic_load_explicit(&em_segment->credit_pages,
						      memory_order_relaxed);
	int64_t left = atomic_load_explicit(&em_segment->free_pages,
					    memory_order_relaxed);
	uint64_t least = em_max((uint64_t)pages >> em_granule_shift(), 1);
	uint64_t fit = least;

	if (queued >= AVERAGE_UNITS_MIN && pages > left)
		fit = (uint64_t)pages * queued / (uint64_t)(pages - left);
	policy.capacity = (uint32_t)em_clamp(fit, least,
					     em_max((uint64_t)pages, least));
}

uint32_t em_policy_capacity(void) { return policy.capacity; }

void em_policy_fit_space(uint64_t units)
{
	size_t keep = em_round_up(units * policy.ops->unit_bytes, EM_PAGE_BYTES);
	size_t have = unit_count * policy.ops->unit_bytes;

	if (keep >= have)
		return;
	em_sys_dealloc((char *)policy.units + keep, have - keep);
	unit_count = units;
}

/* An event in a ring: the unit in the low half, what happened above. */
static void deliver(uint64_t event)
{
	uint32_t unit = (uint32_t)event;
	enum extmem_event what = (enum extmem_event)(event >> 32 & 7);

	if (event >> 40) {
		queued++;
		policy.ops->insert(&policy, unit, what);
	} else if (policy.ops->reference) {
		policy.ops->reference(&policy, unit);
	}
}

/* The policy lock is held: only its holder moves a tail. */
static void drain(struct em_thread *t, void *arg)
{
	uint32_t tail = atomic_load_explicit(&t->event_tail, memory_order_relaxed);
	uint32_t head = atomic_load_explicit(&t->event_head, memory_order_acquire);

	(void)arg;
	while (tail != head)
		deliver(t->events[tail++ % EM_EVENTS]);
	atomic_store_explicit(&t->event_tail, tail, memory_order_release);
}

static void push(struct em_thread *t, uint64_t event)
{
	uint32_t head = atomic_load_explicit(&t->event_head, memory_order_relaxed);

	if (head - atomic_load_explicit(&t->event_tail, memory_order_acquire) ==
	    EM_EVENTS) {
		em_lock(&policy_lock);
		drain(t, NULL);
		em_unlock(&policy_lock);
	}
	t->events[head % EM_EVENTS] = event;
	atomic_store_explicit(&t->event_head, head + 1, memory_order_release);
}

void em_policy_tell(uint32_t unit, enum extmem_event event)
{
	bool insert;

	if (em_unlikely(unit >= EXTMEM_UNITS_MAX))
		return;
	insert = em_granule_enqueue(unit);
	if (!insert && event != EXTMEM_SOFT)
		return; /* it is in a list, and that is all that can be said */
	push(em_thread_self(), (uint64_t)insert << 40 | (uint64_t)event << 32 | unit);
}

size_t em_policy_victims(uint32_t *units, size_t max)
{
	size_t n = 0;

	em_lock(&policy_lock);
	em_threads_visit(drain, NULL);
	estimate_capacity();
	while (n < max) {
		uint32_t unit = policy.ops->victim(&policy);
		if (unit == EXTMEM_UNIT_NONE)
			break;
		queued--;
		em_granule_dequeued(unit);
		units[n++] = unit;
	}
	em_unlock(&policy_lock);
	return n;
}
