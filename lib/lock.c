/* SPDX-License-Identifier: MIT */
#include "lock.h"
#include "log.h"

#ifdef EM_DEBUG
EM_TLS uint32_t held; /* one bit a rank */

static void note_taken(const struct em_lock *l)
{
	if (held >> l->rank)
		em_panic("lock order: rank %u taken with %lx held", l->rank,
			 (unsigned long)held);
	held |= 1u << l->rank;
}

static void note_released(const struct em_lock *l)
{
	em_assert(held & 1u << l->rank);
	held &= ~(1u << l->rank);
}
#else
static inline void note_taken(const struct em_lock *l) { (void)l; }
static inline void note_released(const struct em_lock *l) { (void)l; }
#endif

bool em_trylock(struct em_lock *l)
{
	uint32_t none = 0;

	if (!atomic_compare_exchange_strong_explicit(&l->word, &none, 1,
			memory_order_acquire, memory_order_relaxed))
		return false;
	note_taken(l);
	return true;
}

void em_lock(struct em_lock *l)
{
	for (int spin = 0; spin < 100; spin++) {
		if (em_trylock(l))
			return;
		em_cpu_relax();
	}
	while (atomic_exchange_explicit(&l->word, 2, memory_order_acquire))
		em_sys_wait(&l->word, 2, 0);
	note_taken(l);
}

void em_unlock(struct em_lock *l)
{
	note_released(l);
	if (atomic_exchange_explicit(&l->word, 0, memory_order_release) == 2)
		em_sys_wake(&l->word, 1);
}

bool em_lock_contended(const struct em_lock *l)
{
	return atomic_load_explicit(&l->word, memory_order_relaxed) == 2;
}

void em_lock_enter(struct em_lock *l, sigset_t *old)
{
	em_sys_block_signals(old);
	em_lock(l);
}

void em_lock_leave(struct em_lock *l, const sigset_t *old)
{
	em_unlock(l);
	em_sys_restore_signals(old);
}
