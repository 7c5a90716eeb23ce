/* SPDX-License-Identifier: MIT */
#include "thread.h"
#include "knobs.h"
#include "lock.h"
#include "log.h"
#include "stats.h"
#include <errno.h>
#include <string.h>

#define EM_THREADS_MAX 16384u
/* Of rationed addresses, records may take this part; but so many there are. */
#define EM_SPACE_PART 512u
#define EM_THREADS_MIN 1024u
#define EM_NAP_NS 100000u

static struct {
	struct em_thread *records;
	uint32_t capacity;
	_Atomic uint32_t used;    /* records below this were ever claimed */
	_Atomic uint32_t live;
	_Atomic uint32_t gate_shut;
	struct em_thread *gate_owner; /* written by who shuts it */
} threads;

EM_TLS struct em_thread *self;

static uint32_t fitting(void)
{
	return (uint32_t)em_clamp(em_sys_space_bytes() / EM_SPACE_PART / sizeof(struct em_thread),
				  EM_THREADS_MIN, EM_THREADS_MAX);
}

int em_threads_init(void)
{
	threads.capacity = fitting();
	threads.records = em_sys_alloc(threads.capacity * sizeof(struct em_thread));
	return threads.records ? 0 : -ENOMEM;
}

void em_threads_fit_space(void)
{
	uint32_t have = threads.capacity;
	uint32_t keep = (uint32_t)em_max(fitting(), atomic_load(&threads.used) +
					 EM_THREADS_MIN);

	if (keep >= have)
		return;
	threads.capacity = keep;
	em_sys_dealloc(&threads.records[keep],
		       (have - keep) * sizeof(struct em_thread));
}

static void adopt(struct em_thread *t)
{
	atomic_store(&t->hazard_count, 0);
	atomic_store(&t->in_fault, 0);
	memset(t->streams, 0, sizeof(t->streams));
	t->own_stack = t->program_stack = (struct em_range){ 0, 0 };
	em_stats_use_shard((unsigned int)(t - threads.records));
	em_gauge(&em_segment->threads, atomic_fetch_add(&threads.live, 1) + 1);
	self = t;
}

static bool claim(uint32_t i, pid_t expected)
{
	return atomic_compare_exchange_strong(&threads.records[i].tid, &expected,
					      em_sys_tid());
}

/* Threads made by a bare clone(2) leave without saying so. */
static struct em_thread *take_from_dead(void)
{
	for (uint32_t i = 0; i < threads.capacity; i++) {
		pid_t tid = atomic_load(&threads.records[i].tid);
		if (!em_sys_thread_alive(tid) && claim(i, tid)) {
			atomic_fetch_sub(&threads.live, 1);
			return &threads.records[i];
		}
	}
	em_panic("more than %u threads at once", threads.capacity);
}

static struct em_thread *find_record(void)
{
	uint32_t used = atomic_load(&threads.used);

	for (uint32_t i = 0; i < used; i++)
		if (!atomic_load_explicit(&threads.records[i].tid,
					  memory_order_relaxed) && claim(i, 0))
			return &threads.records[i];
	while ((used = atomic_fetch_add(&threads.used, 1)) < threads.capacity)
		if (claim(used, 0))
			return &threads.records[used];
	atomic_store(&threads.used, threads.capacity);
	return take_from_dead();
}

static __attribute__((noinline)) struct em_thread *introduce(void)
{
	sigset_t old;

	em_sys_block_signals(&old); /* two claims by one thread */
	if (!self)
		adopt(find_record());
	em_sys_restore_signals(&old);
	return self;
}

EM_HOT struct em_thread *em_thread_self(void)
{
	return em_likely(self != NULL) ? self : introduce();
}

/* A record that once was this thread's is looked at first. */
struct em_thread *em_thread_of(pid_t tid)
{
	static _Atomic uint32_t hints[256];
	_Atomic uint32_t *hint = &hints[(uint32_t)tid % EM_ARRAY_LEN(hints)];
	uint32_t used = (uint32_t)em_min(atomic_load(&threads.used), threads.capacity);
	uint32_t at = atomic_load_explicit(hint, memory_order_relaxed);

	for (uint32_t i = 0; i <= used; i++) {
		if (at < used && atomic_load_explicit(&threads.records[at].tid,
						      memory_order_relaxed) == tid) {
			atomic_store_explicit(hint, at, memory_order_relaxed);
			return &threads.records[at];
		}
		at = i;
	}
	return NULL;
}

void em_thread_leave(void)
{
	struct em_thread *t = self;

	if (!t)
		return;
	self = NULL;
	atomic_store(&t->hazard_count, 0);
	em_gauge(&em_segment->threads, atomic_fetch_sub(&threads.live, 1) - 1);
	atomic_store(&t->tid, 0);
}

void em_threads_visit(void (*visit)(struct em_thread *t, void *arg), void *arg)
{
	uint32_t used = (uint32_t)em_min(atomic_load(&threads.used), threads.capacity);

	for (uint32_t i = 0; i < used; i++)
		visit(&threads.records[i], arg);
}

static void forget_thread(struct em_thread *t, void *arg)
{
	(void)arg;
	if (t == self) {
		atomic_store(&t->tid, em_sys_tid());
		return;
	}
	atomic_store(&t->hazard_count, 0);
	atomic_store(&t->in_fault, 0);
	atomic_store(&t->tid, 0);
}

void em_threads_forked(void)
{
	em_threads_visit(forget_thread, NULL);
	atomic_store(&threads.live, self ? 1 : 0);
	atomic_store(&threads.gate_shut, 0);
	em_gauge(&em_segment->threads, self ? 1 : 0);
}

/* ---- hazards --------------------------------------------------------- */

static bool lies_in(uintptr_t p, const struct em_range *r)
{
	return p - r->start < r->end - r->start;
}

/* The rank of the stack that a frame lies on: a higher one interrupts a lower. */
static int stack_rank(const struct em_thread *t, uintptr_t frame)
{
	return lies_in(frame, &t->own_stack) ? 2 : lies_in(frame, &t->program_stack);
}

/* Whether a frame is gone when code at frame now runs. */
static bool is_dead(const struct em_thread *t, uintptr_t frame, uintptr_t now)
{
	int rank = stack_rank(t, frame), rank_now = stack_rank(t, now);

	return rank == rank_now ? frame <= now : rank > rank_now;
}

static inline uint32_t mark(struct em_thread *t, uintptr_t frame)
{
	uint32_t n = atomic_load_explicit(&t->hazard_count, memory_order_relaxed);

	if (em_unlikely(n) && em_protects(EM_KNOB_LEFT)) {
		while (n && is_dead(t, t->hazards[n - 1].frame, frame))
			n--;
		atomic_store_explicit(&t->hazard_count, n, memory_order_release);
	}
	return n;
}

/*
 * Counted first and written then: a handler that interrupts us in between uses
 * the next entry. Until it is written reclaim may see what was there before,
 * which keeps too much for a moment.
 */
static inline void add(struct em_thread *t, uintptr_t start, uintptr_t end, uintptr_t frame)
{
	uint32_t n = atomic_load_explicit(&t->hazard_count, memory_order_relaxed);

	if (em_likely(n < EM_HAZARDS)) {
		atomic_store_explicit(&t->hazard_count, n + 1, memory_order_relaxed);
		atomic_signal_fence(memory_order_seq_cst);
		t->hazards[n] = (struct em_hazard){ { start, end }, frame };
	} else {
		struct em_range *last = &t->hazards[EM_HAZARDS - 1].range;
		*last = (struct em_range){ em_min(last->start, start),
					   em_max(last->end, end) };
	}
	/* Pairs with the membarrier in em_hazards_visit(). */
	atomic_signal_fence(memory_order_seq_cst);
}

EM_HOT uint32_t em_hazard_mark(uintptr_t frame)
{
	return mark(em_thread_self(), frame);
}

EM_HOT void em_hazard_add(uintptr_t start, uintptr_t end, uintptr_t frame)
{
	add(em_thread_self(), start, end, frame);
}

EM_HOT uint32_t em_hazard_one(uintptr_t start, uintptr_t end, uintptr_t frame)
{
	struct em_thread *t = em_thread_self();
	uint32_t n = mark(t, frame);

	add(t, start, end, frame);
	return n;
}

EM_HOT void em_hazard_drop(uint32_t mark)
{
	if (em_likely(self != NULL))
		atomic_store_explicit(&self->hazard_count, mark, memory_order_release);
}

struct visitor {
	void (*visit)(const struct em_range *r, void *arg);
	void *arg;
};

static void visit_hazards(struct em_thread *t, void *arg)
{
	struct visitor *v = arg;
	uint32_t n = atomic_load_explicit(&t->hazard_count, memory_order_acquire);

	for (uint32_t i = 0; i < n; i++) {
		struct em_range r = t->hazards[i].range;
		v->visit(&r, v->arg);
	}
}

void em_hazards_glance(void (*visit)(const struct em_range *r, void *arg), void *arg)
{
	struct visitor v = { visit, arg };

	em_threads_visit(visit_hazards, &v);
}

void em_hazards_visit(void (*visit)(const struct em_range *r, void *arg), void *arg)
{
	em_sys_membarrier();
	em_hazards_glance(visit, arg);
}

/* ---- the gate -------------------------------------------------------- */

void em_gate_enter(struct em_thread *t)
{
	for (;;) {
		atomic_store_explicit(&t->in_fault, 1, memory_order_relaxed);
		/* Pairs with the membarrier in em_gate_close(). */
		atomic_signal_fence(memory_order_seq_cst);
		if (em_likely(!atomic_load_explicit(&threads.gate_shut,
						    memory_order_acquire)) ||
		    threads.gate_owner == t)
			return;
		atomic_store_explicit(&t->in_fault, 0, memory_order_release);
		em_sys_wait(&threads.gate_shut, 1, 0);
	}
}

bool em_gate_try_enter(struct em_thread *t, const struct em_thread *client)
{
	atomic_store_explicit(&t->in_fault, 1, memory_order_relaxed);
	/* Pairs with the membarrier in em_gate_close(). */
	atomic_signal_fence(memory_order_seq_cst);
	if (em_likely(!em_gate_is_closed()) || em_gate_is_closed_by(client))
		return true;
	atomic_store_explicit(&t->in_fault, 0, memory_order_release);
	return false;
}

void em_gate_leave(struct em_thread *t)
{
	atomic_store_explicit(&t->in_fault, 0, memory_order_release);
}

static void wait_outside(struct em_thread *t, void *arg)
{
	(void)arg;
	while (t != self && atomic_load_explicit(&t->in_fault, memory_order_acquire))
		em_sys_yield();
}

bool em_gate_is_closed(void)
{
	return atomic_load_explicit(&threads.gate_shut, memory_order_acquire);
}

bool em_gate_is_closed_by(const struct em_thread *t)
{
	return t && em_gate_is_closed() && threads.gate_owner == t;
}

void em_gate_nap(void)
{
	em_sys_wait(&threads.gate_shut, 1, EM_NAP_NS);
}

void em_gate_close(void)
{
	threads.gate_owner = em_thread_self();
	atomic_store(&threads.gate_shut, 1);
	em_sys_membarrier();
	em_threads_visit(wait_outside, NULL);
}

void em_gate_open(void)
{
	threads.gate_owner = NULL;
	atomic_store(&threads.gate_shut, 0);
	em_sys_wake(&threads.gate_shut, INT32_MAX);
}
