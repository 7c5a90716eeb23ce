/* SPDX-License-Identifier: MIT */
#include "prefetch.h"
#include "page.h"
#include "plugin.h"
#include "prefetchers/prefetchers.h"
#include "reclaim.h"
#include "region.h"
#include "standby.h"
#include "stats.h"
#include "store.h"
#include "sys.h"
#include <errno.h>
#include <string.h>

_Static_assert(EXTMEM_GUESS_STEP_MAX <= EM_WISH_STEP_MAX &&
	       EXTMEM_GUESS_PAGES_MAX <= EM_WISH_PAGES_MAX, "a guess is a wish");

#define EM_DEPTH_FIRST 4u
/* So many pages are judged before the depth changes. */
#define EM_JUDGED 32u
/* At depth 0, one fault in so many is guessed from all the same. */
#define EM_PROBE 64u
#define EM_PROBE_DEPTH 2u
/* Of what does not lie side by side, so many pages are one reader's. */
#define EM_PORTION 4u

static const struct extmem_prefetcher *const built_in[] = {
	&em_prefetch_stride,
	&em_prefetch_leap,
	&em_prefetch_markov,
	&em_prefetch_replay,
};

/* One that has been in force stays: a thread may be in it still. */
struct prefetcher {
	struct extmem_prefetch at_work;
	int64_t params[EXTMEM_PARAMS_MAX];
};

static struct {
	struct prefetcher all[EM_ARRAY_LEN(built_in) + EM_PLUGINS_MAX];
	unsigned int count;
	struct prefetcher *_Atomic in_force; /* NULL: nothing but streams */
	_Atomic uint32_t depth;
	_Atomic uint32_t used, wasted;     /* since the depth was set */
	_Atomic uint32_t faults;           /* at depth 0 */
	struct em_recorded recorded;       /* for who changes prefetchers */
} prefetch;

/* NULL: there is none of that name, as for those that are streams only. */
static const struct extmem_prefetcher *find(const char *name)
{
	for (size_t i = 0; i < EM_ARRAY_LEN(built_in); i++)
		if (!strcmp(built_in[i]->name, name))
			return built_in[i];
	return em_plugin_prefetcher(name);
}

/* The one that has these operations, made if there is none yet. NULL: no memory. */
static struct prefetcher *make(const struct extmem_prefetcher *ops)
{
	struct prefetcher *p = prefetch.all;

	while (p < prefetch.all + prefetch.count && p->at_work.ops != ops)
		p++;
	if (p < prefetch.all + prefetch.count)
		return p;
	if (ops->state_bytes && !(p->at_work.state = em_sys_alloc(ops->state_bytes)))
		return NULL;
	p->at_work.ops = ops;
	p->at_work.params = p->params;
	prefetch.count++;
	return p;
}

static void forget_state(struct em_thread *t, void *arg)
{
	(void)arg;
	t->guesser = NULL;
}

/*
 * Another prefetcher, while some thread may be in the middle of what the old one
 * replays: all of them guess inside the gate, which is closed as for a fork.
 */
static void change_recorded(struct prefetcher *p, const struct em_recorded *recorded)
{
	em_map_lock();
	em_gate_close();
	em_threads_visit(forget_state, NULL);
	if (p && p->at_work.ops == &em_prefetch_replay)
		p->at_work.state = recorded->sequence;
	atomic_store(&prefetch.in_force, p);
	em_gate_open();
	em_map_unlock();
	em_trace_unload(&prefetch.recorded);
	prefetch.recorded = *recorded;
}

int em_prefetch_use(const char *name, const struct em_params *params,
		    const struct em_recorded *recorded)
{
	const struct extmem_prefetcher *ops = find(name);
	struct prefetcher *p = ops ? make(ops) : NULL;

	if (ops && !p)
		return -ENOMEM;
	if (p)
		em_params_fill(params, ops->params, p->params);
	em_prefetch_forked();
	if (recorded->sequence || prefetch.recorded.sequence)
		change_recorded(p, recorded);
	else
		atomic_store(&prefetch.in_force, p);
	em_ahead_drop_guesses(); /* they were the old one's */
	return 0;
}

void em_prefetch_forked(void)
{
	atomic_store(&prefetch.depth, EM_DEPTH_FIRST);
	atomic_store(&prefetch.used, 0);
	atomic_store(&prefetch.wasted, 0);
}

/* ---- how far --------------------------------------------------------- */

void em_prefetch_judge(bool used)
{
	uint32_t depth = atomic_load_explicit(&prefetch.depth, memory_order_relaxed);
	uint32_t good, bad;

	if (used)
		em_count(&em_stats()->prefetch_used, 1);
	atomic_fetch_add(used ? &prefetch.used : &prefetch.wasted, 1);
	good = atomic_load(&prefetch.used);
	bad = atomic_load(&prefetch.wasted);
	if (good + bad < EM_JUDGED)
		return;
	/* Who else comes by now may judge the same pages twice: no harm. */
	atomic_store(&prefetch.used, 0);
	atomic_store(&prefetch.wasted, 0);
	if (bad * 4 <= good)
		depth = em_min(em_max(depth * 2, EM_PROBE_DEPTH), EXTMEM_GUESS_PAGES_MAX);
	else if (bad > good)
		depth /= 2;
	atomic_store(&prefetch.depth, depth);
}

static uint32_t depth_now(void)
{
	uint32_t depth = atomic_load_explicit(&prefetch.depth, memory_order_relaxed);

	if (em_likely(depth))
		return depth;
	return atomic_fetch_add(&prefetch.faults, 1) % EM_PROBE ? 0 : EM_PROBE_DEPTH;
}

/* ---- guessing -------------------------------------------------------- */

/* A plug-in may name anything; a page that there is not is none to read. */
static bool is_sound(const struct extmem_guess *g)
{
	return g->pages - 1 < EXTMEM_GUESS_PAGES_MAX && g->step &&
	       g->step >= -EXTMEM_GUESS_STEP_MAX && g->step <= EXTMEM_GUESS_STEP_MAX;
}

/* Whether there is anything to read: to wake somebody for nothing is not cheap. */
static bool is_worth_asking(const struct extmem_guess *g)
{
	for (uint32_t i = 0; i < g->pages; i++)
		if (em_page_state_of(g->page + (uint64_t)(i * g->step)) == EM_PAGE_STORED)
			return true;
	return false;
}

static void ask(const struct extmem_guess *g)
{
	uint32_t most = g->step == 1 || g->step == -1 ? g->pages : EM_PORTION;

	for (uint32_t i = 0; i < g->pages; i += most) {
		struct extmem_guess part = { g->page + (uint64_t)(i * g->step), g->step,
					 em_min(most, g->pages - i) };
		if (is_worth_asking(&part))
			em_ahead_ask(&(struct em_wish){ part.page, part.pages, part.step,
							false, true });
	}
}

void em_prefetch_tell(struct em_thread *t, uint64_t page)
{
	struct prefetcher *p = atomic_load_explicit(&prefetch.in_force, memory_order_acquire);
	struct extmem_guess guesses[EXTMEM_GUESSES_MAX];
	uint32_t depth;
	size_t n;

	if (!p)
		return;
	if (em_unlikely(t->guesser != p)) {
		memset(t->guess, 0, sizeof(t->guess));
		t->guesser = p;
	}
	/* It learns from every fault, also while nothing is asked of it. */
	depth = depth_now();
	n = p->at_work.ops->guess(&p->at_work, t->guess, page, em_max(depth, 1), guesses);
	for (size_t i = 0; depth && i < em_min(n, EXTMEM_GUESSES_MAX); i++)
		if (is_sound(&guesses[i]))
			ask(&guesses[i]);
}

/* ---- into standby ---------------------------------------------------- */

struct stage {
	const uint64_t *pages;
	uint64_t words[EXTMEM_GUESS_PAGES_MAX];
	bool owned[EXTMEM_GUESS_PAGES_MAX];
	uint32_t count;
	int64_t buffer; /* of the first page; the others follow */
};

static void own_pages(struct stage *s)
{
	for (uint32_t i = 0; i < s->count; i++) {
		uint64_t w = em_page_load(s->pages[i]);
		s->owned[i] = EM_WORD_STATE(w) == EM_PAGE_STORED &&
			      em_page_own(s->pages[i], w, EM_PAGE_LOADING);
		s->words[i] = em_page_load(s->pages[i]) & ~EM_WORD_WAITER;
	}
}

/* How many pages from i on lie in the store one after the other. */
static uint32_t stored_run(const struct stage *s, uint32_t i)
{
	em_slot first = em_word_slot(s->words[i]);
	uint32_t n = 1;

	while (i + n < s->count && s->owned[i + n] &&
	       em_word_slot(s->words[i + n]) == first + n &&
	       em_slot_file(em_word_slot(s->words[i + n])) == em_slot_file(first))
		n++;
	return n;
}

static void settle_run(const struct stage *s, uint32_t i, uint32_t n, bool good)
{
	for (uint32_t k = i; k < i + n; k++)
		if (good)
			em_standby_put(s->pages[k], s->words[k], s->buffer + k);
		else
			em_page_set(s->pages[k], em_word_unowned(s->words[k]));
	if (good)
		em_count(&em_stats()->pages_prefetched, n);
}

static void read_pages(const struct stage *s)
{
	for (uint32_t i = 0, n; i < s->count; i += n) {
		n = 1;
		if (!s->owned[i])
			continue;
		n = stored_run(s, i);
		settle_run(s, i, n, em_standby_read(s->buffer + i,
						    em_word_slot(s->words[i]), n) == 0);
	}
}

/*
 * A page on its way is LOADING, as in a fault: who touches it waits for it. Room
 * is reserved before anything is owned, since that may wait for reclaim.
 */
static bool stage_some(const uint64_t *pages, uint32_t count, uint32_t *done)
{
	struct em_thread *self = em_thread_self();
	struct stage s = { .pages = pages };
	bool open;

	em_reclaim_lock();
	s.count = em_standby_reserve(pages, count, EM_ENTRY_GUESS, &s.buffer);
	em_reclaim_unlock();
	if (!s.count)
		return false;
	open = em_gate_try_enter(self, NULL);
	if (open) {
		own_pages(&s);
		read_pages(&s);
		em_gate_leave(self);
	}
	em_standby_reserved_done(s.buffer);
	*done += s.count;
	return open;
}

void em_prefetch_stage(const struct em_wish *w)
{
	uint64_t pages[EXTMEM_GUESS_PAGES_MAX];
	uint32_t count = 0, done = 0;

	for (uint32_t i = 0; i < w->pages && count < EXTMEM_GUESS_PAGES_MAX; i++) {
		uint64_t page = w->page + (uint64_t)(i * w->step);
		if (em_page_state_of(page) == EM_PAGE_STORED)
			pages[count++] = page;
	}
	while (done < count && stage_some(pages + done, count - done, &done))
		;
}
