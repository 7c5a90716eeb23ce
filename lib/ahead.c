/* SPDX-License-Identifier: MIT */
#include "ahead.h"
#include "log.h"
#include "sys.h"

#define EM_WISHES 16u

/* A wish in one word, so that it is taken whole: 0 is none. */
#define WISH_PAGE(w) ((w) & ((1ull << 40) - 1))
#define WISH_PAGES_SHIFT 40 /* 16 bits */
#define WISH_DOWN (1ull << 61)
#define WISH_WRITE (1ull << 62)
#define WISH_SET (1ull << 63)

static struct {
	em_spawn *spawn;
	void (*fulfil)(const struct em_wish *w);
	_Atomic bool started;
	_Atomic uint32_t asleep; /* futex: 1 while the thread sleeps */
	_Atomic uint64_t wishes[EM_WISHES];
} ahead;

void em_ahead_init(em_spawn *spawn, void fulfil(const struct em_wish *w))
{
	ahead.spawn = spawn;
	ahead.fulfil = fulfil;
}

void em_ahead_forked(void)
{
	atomic_store(&ahead.started, false);
	atomic_store(&ahead.asleep, 0);
	for (uint32_t i = 0; i < EM_WISHES; i++)
		atomic_store(&ahead.wishes[i], 0);
}

static uint64_t pack(const struct em_wish *w)
{
	return WISH_SET | (w->write ? WISH_WRITE : 0) | (w->step < 0 ? WISH_DOWN : 0) |
	       (uint64_t)w->pages << WISH_PAGES_SHIFT | w->page;
}

static bool take(struct em_wish *out)
{
	for (uint32_t i = 0; i < EM_WISHES; i++) {
		uint64_t w = atomic_load(&ahead.wishes[i]);
		if (!w)
			continue;
		w = atomic_exchange(&ahead.wishes[i], 0); /* we alone take */
		*out = (struct em_wish){ WISH_PAGE(w),
					 (uint16_t)(w >> WISH_PAGES_SHIFT),
					 w & WISH_DOWN ? -1 : 1, w & WISH_WRITE };
		return true;
	}
	return false;
}

static void body(void)
{
	struct em_wish wish;

	em_sys_name_thread("extmem-ahead");
	for (;;) {
		/* Asleep first, then the look: who asks wakes after asking. */
		atomic_store(&ahead.asleep, 1);
		if (!take(&wish)) {
			em_sys_wait(&ahead.asleep, 1, 0);
			continue;
		}
		atomic_store(&ahead.asleep, 0);
		ahead.fulfil(&wish);
	}
}

static void start(void)
{
	int ret;

	if (em_likely(atomic_load_explicit(&ahead.started, memory_order_relaxed)) ||
	    atomic_exchange(&ahead.started, true))
		return;
	ret = ahead.spawn(body);
	if (ret < 0) /* every thread reads for itself then */
		em_log_once("cannot start the read-ahead thread: error %d", -ret);
}

void em_ahead_ask(const struct em_wish *w)
{
	for (uint32_t i = 0; i < EM_WISHES; i++) {
		uint64_t none = 0;
		if (!atomic_compare_exchange_strong(&ahead.wishes[i], &none, pack(w)))
			continue;
		start();
		if (atomic_load(&ahead.asleep) && atomic_exchange(&ahead.asleep, 0))
			em_sys_wake(&ahead.asleep, 1);
		return;
	}
}
