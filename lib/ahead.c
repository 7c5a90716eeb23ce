/* SPDX-License-Identifier: MIT */
#include "ahead.h"
#include "sys.h"

#define EM_WISHES 32u

/* A wish in one word, so that it is taken whole: 0 is none. */
#define WISH_PAGE(w) ((w) & ((1ull << 40) - 1))
#define WISH_PAGES_SHIFT 40 /* 7 bits */
#define WISH_STEP_SHIFT 47  /* 14 bits, signed */
#define WISH_STAGE (1ull << 61)
#define WISH_WRITE (1ull << 62)
#define WISH_SET (1ull << 63)

static struct {
	em_spawn *spawn;
	void (*fulfil)(const struct em_wish *w);
	_Atomic uint32_t threads;
	_Atomic uint32_t asleep; /* of them */
	_Atomic bool settled;    /* for good, also in children */
	_Atomic uint32_t bell;   /* futex: changes when there is something to do */
	/* A ring, in which who finds a place taken, or empty, goes on to the next: so the
	 * oldest comes first, but for races. */
	_Atomic uint32_t next_in, next_out;
	_Atomic uint64_t wishes[EM_WISHES];
} ahead;

void em_ahead_init(em_spawn *spawn, void fulfil(const struct em_wish *w))
{
	ahead.spawn = spawn;
	ahead.fulfil = fulfil;
}

void em_ahead_forked(void)
{
	atomic_store(&ahead.threads, 0);
	atomic_store(&ahead.asleep, 0);
	for (uint32_t i = 0; i < EM_WISHES; i++)
		atomic_store(&ahead.wishes[i], 0);
}

void em_ahead_drop_guesses(void)
{
	for (uint32_t i = 0; i < EM_WISHES; i++) {
		uint64_t w = atomic_load_explicit(&ahead.wishes[i], memory_order_relaxed);
		if (w & WISH_STAGE)
			atomic_compare_exchange_strong(&ahead.wishes[i], &w, 0);
	}
}

void em_ahead_settle(void)
{
	atomic_store(&ahead.settled, true);
}

static uint64_t pack(const struct em_wish *w)
{
	uint64_t step = (uint64_t)w->step & 0x3fff;

	return WISH_SET | (w->write ? WISH_WRITE : 0) | (w->stage ? WISH_STAGE : 0) |
	       step << WISH_STEP_SHIFT | (uint64_t)w->pages << WISH_PAGES_SHIFT |
	       WISH_PAGE(w->page);
}

static struct em_wish unpack(uint64_t w)
{
	return (struct em_wish){
		.page = WISH_PAGE(w),
		.pages = w >> WISH_PAGES_SHIFT & EM_WISH_PAGES_MAX,
		/* The sign is brought to the top and back. */
		.step = (int64_t)(w << (64 - WISH_STEP_SHIFT - 14)) >> 50,
		.write = w & WISH_WRITE,
		.stage = w & WISH_STAGE,
	};
}

static bool take(struct em_wish *out)
{
	uint32_t first = atomic_load_explicit(&ahead.next_out, memory_order_relaxed);

	for (uint32_t i = first; i < first + EM_WISHES; i++) {
		_Atomic uint64_t *wish = &ahead.wishes[i % EM_WISHES];
		uint64_t w = atomic_load_explicit(wish, memory_order_relaxed);
		if (!w || !(w = atomic_exchange(wish, 0)))
			continue;
		atomic_store_explicit(&ahead.next_out, i + 1, memory_order_relaxed);
		*out = unpack(w);
		return true;
	}
	return false;
}

/* Says that it sleeps, then looks once more: who asks looks for sleepers after it asked. */
static bool take_or_sleep(struct em_wish *out)
{
	uint32_t bell = atomic_load(&ahead.bell);
	bool got;

	atomic_fetch_add(&ahead.asleep, 1);
	got = take(out);
	if (!got)
		em_sys_wait(&ahead.bell, bell, 0);
	atomic_fetch_sub(&ahead.asleep, 1);
	return got;
}

static void body(void)
{
	struct em_wish wish;

	em_sys_name_thread("extmem-ahead");
	for (;;)
		if (take(&wish) || take_or_sleep(&wish))
			ahead.fulfil(&wish);
}

/* One thread more, if there may be one. */
static void start(void)
{
	uint32_t n = atomic_load_explicit(&ahead.threads, memory_order_relaxed);

	if (n >= EM_AHEAD_THREADS || atomic_load(&ahead.settled) ||
	    !atomic_compare_exchange_strong(&ahead.threads, &n, n + 1))
		return;
	/* Refused where memory is rationed: threads read for themselves then, and
	 * nobody need know. */
	(void)ahead.spawn(body);
}

static void wake(void)
{
	if (!atomic_load(&ahead.asleep)) {
		start();
		return;
	}
	atomic_fetch_add(&ahead.bell, 1);
	em_sys_wake(&ahead.bell, 1);
}

static bool is_asked(uint64_t wish)
{
	for (uint32_t i = 0; i < EM_WISHES; i++)
		if (atomic_load_explicit(&ahead.wishes[i], memory_order_relaxed) == wish)
			return true;
	return false;
}

void em_ahead_ask(const struct em_wish *w)
{
	uint32_t first = atomic_load_explicit(&ahead.next_in, memory_order_relaxed);
	uint64_t wish = pack(w);

	if (is_asked(wish))
		return;
	for (uint32_t i = first; i < first + EM_WISHES; i++) {
		uint64_t none = 0;
		if (!atomic_compare_exchange_strong(&ahead.wishes[i % EM_WISHES], &none, wish))
			continue;
		atomic_store_explicit(&ahead.next_in, i + 1, memory_order_relaxed);
		wake();
		return;
	}
}
