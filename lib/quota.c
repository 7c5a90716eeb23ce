/* SPDX-License-Identifier: MIT */
#include "quota.h"
#include "stats.h"
#include "sys.h"

#define EM_SECOND_NS 1000000000u
#define EM_BURST_NS 100000000u

/* Used up to the time paid_ns, at so much a second; a rate of 0 is none. */
struct bucket {
	_Atomic uint64_t rate, paid_ns;
};

static struct bucket io, faults;

/* What is owed stays owed while the rate does. */
static void set_rate(struct bucket *b, uint64_t rate)
{
	if (atomic_load(&b->rate) == rate)
		return;
	atomic_store(&b->paid_ns, 0);
	atomic_store(&b->rate, rate);
}

void em_quota_set(const struct em_config *cfg)
{
	set_rate(&io, cfg->io_bandwidth);
	set_rate(&faults, cfg->fault_rate);
}

static uint64_t rate_of(const struct bucket *b)
{
	return atomic_load_explicit(&b->rate, memory_order_relaxed);
}

static void use(struct bucket *b, uint64_t n)
{
	uint64_t rate = rate_of(b), then, paid, cost;

	if (em_likely(!rate))
		return;
	then = em_sys_now_ns() - EM_BURST_NS;
	cost = n * EM_SECOND_NS / rate; /* of less than 16 GiB */
	paid = atomic_load(&b->paid_ns);
	while (!atomic_compare_exchange_weak(&b->paid_ns, &paid, em_max(paid, then) + cost))
		;
}

/* How long until what was used is paid for. */
static uint64_t owed_ns(const struct bucket *b, uint64_t now)
{
	uint64_t paid = rate_of(b) ? atomic_load(&b->paid_ns) : 0;

	return paid > now ? paid - now : 0;
}

static uint64_t owed(void)
{
	uint64_t now;

	if (em_likely(!rate_of(&io) && !rate_of(&faults)))
		return 0;
	now = em_sys_now_ns();
	return em_max(owed_ns(&io, now), owed_ns(&faults, now));
}

void em_quota_use_io(uint64_t bytes) { use(&io, bytes); }
bool em_quota_is_owed(void) { return owed() > 0; }

void em_quota_wait(bool major)
{
	static _Atomic uint32_t never;
	uint64_t ns = owed(), start;

	if (em_unlikely(ns)) {
		start = em_sys_now_ns();
		/* In short naps: the rate may change meanwhile. */
		for (; ns; ns = owed())
			em_sys_wait(&never, 0, em_min(ns, EM_BURST_NS));
		em_count(&em_stats()->quota_waits, 1);
		em_count(&em_stats()->quota_wait_ns, em_sys_now_ns() - start);
	}
	if (major)
		use(&faults, 1);
}
