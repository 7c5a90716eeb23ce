/* SPDX-License-Identifier: MIT */
#include "policy.h"
#include "lock.h"
#include "page.h"
#include "policies/policies.h"
#include "thread.h"
#include <errno.h>
#include <string.h>

static const struct em_policy_ops *const registry[] = {
	&em_policy_fifo,
	&em_policy_clock,
	&em_policy_lru,
};

static struct em_policy policy;
static uint64_t unit_count;
static struct em_lock policy_lock = EM_LOCK_INIT(EM_LOCK_POLICY);

const struct em_policy_ops *em_policy_find(const char *name)
{
	for (size_t i = 0; i < EM_ARRAY_LEN(registry); i++)
		if (!strcmp(registry[i]->name, name))
			return registry[i];
	return NULL;
}

int em_policy_init(const char *name, uint64_t units)
{
	policy.ops = em_policy_find(name);
	if (!policy.ops)
		return -EINVAL;
	policy.units = em_sys_alloc(units * policy.ops->unit_bytes);
	unit_count = units;
	policy.state = em_sys_alloc(policy.ops->policy_bytes);
	if (!policy.units || !policy.state)
		return -ENOMEM;
	policy.ops->init(&policy);
	return 0;
}

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
	enum em_unit_event what = (enum em_unit_event)(event >> 32 & 7);

	if (event >> 40)
		policy.ops->insert(&policy, unit, what);
	else if (policy.ops->reference)
		policy.ops->reference(&policy, unit);
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

void em_policy_tell(uint32_t unit, enum em_unit_event event)
{
	bool insert = em_granule_enqueue(unit);

	if (!insert && event != EM_UNIT_SOFT)
		return; /* it is in a list, and that is all that can be said */
	push(em_thread_self(), (uint64_t)insert << 40 | (uint64_t)event << 32 | unit);
}

size_t em_policy_victims(uint32_t *units, size_t max)
{
	size_t n = 0;

	em_lock(&policy_lock);
	em_threads_visit(drain, NULL);
	while (n < max) {
		uint32_t unit = policy.ops->victim(&policy);
		if (unit == EM_UNIT_NONE)
			break;
		em_granule_dequeued(unit);
		units[n++] = unit;
	}
	em_unlock(&policy_lock);
	return n;
}
