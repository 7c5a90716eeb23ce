/* SPDX-License-Identifier: MIT
 *
 * Prefetchers: what each guesses, and what becomes of guesses that are right,
 * wrong, overtaken, or cannot be read.
 */
#include "ahead.h"
#include "prefetch.h"
#include "prefetchers/prefetchers.h"
#include "world.h"

#include <errno.h>

static const char *const plain = "prefetch.algorithm=stride\nprefetch.readahead=0\neviction.granule=16K";
static const char *const move = "prefetch.algorithm=stride\nprefetch.readahead=0\neviction.granule=16K\n"
				"eviction.way_out=move";

/* ---- what is guessed -------------------------------------------------- */

static _Alignas(8) unsigned char thread_state[EXTMEM_GUESS_THREAD_BYTES];

struct guesses {
	struct extmem_guess of[EXTMEM_GUESSES_MAX];
	size_t count;
};

static struct guesses guess(const struct extmem_prefetcher *ops, void *state, uint64_t page,
			    uint32_t depth)
{
	struct extmem_prefetch p = { .ops = ops, .state = state };
	struct guesses g;

	g.count = ops->guess(&p, thread_state, page, depth, g.of);
	return g;
}

static void forget_all(void)
{
	memset(thread_state, 0, sizeof(thread_state));
}

/* Whether any of the guesses names the page. */
static bool names(const struct guesses *g, uint64_t page)
{
	for (size_t i = 0; i < g->count; i++)
		for (uint32_t k = 0; k < g->of[i].pages; k++)
			if (g->of[i].page + (uint64_t)(k * g->of[i].step) == page)
				return true;
	return false;
}

/*
 * A course of faults: after the first few, each must have been guessed before
 * it comes, and no guess may leave the course.
 */
static void course(const struct extmem_prefetcher *ops, const char *what, int64_t step,
		   uint32_t depth)
{
	enum { STEPS = 100, BASE = 1000000 };
	static bool foreseen[STEPS + 64];
	unsigned int missed = 0, astray = 0;

	forget_all();
	memset(foreseen, 0, sizeof(foreseen));
	for (int i = 0; i < STEPS; i++) {
		struct guesses g = guess(ops, NULL, (uint64_t)(BASE + i * step), depth);
		missed += i >= 8 && !foreseen[i];
		for (size_t n = 0; n < g.count; n++)
			for (uint32_t k = 0; k < g.of[n].pages; k++) {
				int64_t away = (int64_t)(g.of[n].page - BASE) + k * g.of[n].step;
				if (away % step || away / step <= i ||
				    away / step > i + (int64_t)depth)
					astray++;
				else
					foreseen[away / step] = true;
			}
	}
	is_int(missed, 0, "%s, %s: every fault but the first few was foreseen", ops->name, what);
	is_int(astray, 0, "%s, %s: nothing else was guessed", ops->name, what);
}

static void test_courses(const struct extmem_prefetcher *ops)
{
	course(ops, "every third page", 3, 8);
	course(ops, "downwards", -5, 8);
	course(ops, "far apart", EM_WISH_STEP_MAX, 4);
	course(ops, "one ahead", 16, 1);
	course(ops, "deep", 2, EXTMEM_GUESS_PAGES_MAX);
}

static void test_chance(const struct extmem_prefetcher *ops, uint64_t seed)
{
	size_t guessed = 0;

	forget_all();
	for (int i = 0; i < 10000; i++)
		guessed += guess(ops, NULL, 1 + roll(&seed, 1u << 20), 8).count;
	ok(guessed < 500, "%s: few guesses for faults by chance (%zu of 10000)", ops->name,
	   guessed);
}

/* Several arrays in turn, each with a step of its own. */
static void stride_of_several(void)
{
	struct guesses g[3];
	size_t right = 0;

	forget_all();
	for (uint64_t i = 0; i < 40; i++)
		for (uint64_t a = 0; a < 3; a++) {
			uint64_t page = (a + 1) * 1000000 + i * (7 + a * 30);
			g[a] = guess(&em_prefetch_stride, NULL, page, 8);
			right += g[a].count && g[a].of[0].step == (int64_t)(7 + a * 30);
		}
	ok(right > 12, "stride: three courses in turn are followed (%zu guesses)", right);
}

/* A few faults elsewhere do not disturb a majority. */
static void leap_with_noise(uint64_t seed)
{
	size_t right = 0, wrong = 0;

	forget_all();
	for (uint64_t i = 0; i < 400; i++) {
		struct guesses g = guess(&em_prefetch_leap, NULL, 5000 + i * 9, 8);
		for (size_t n = 0; n < g.count; n++) {
			right += g.of[n].step == 9;
			wrong += g.of[n].step != 9;
		}
		if (i % 7 == 3)
			guess(&em_prefetch_leap, NULL, 1 + roll(&seed, 1u << 20), 8);
	}
	ok(right > 40 && !wrong, "leap: follows its course beside noise (%zu right, %zu wrong)",
	   right, wrong);
}

static void markov_learns(uint64_t seed)
{
	enum { PAGES = 500 };
	static uint64_t order[PAGES];
	void *state = calloc(1, em_prefetch_markov.state_bytes);
	size_t named = 0;

	forget_all();
	for (uint64_t i = 0; i < PAGES; i++)
		order[i] = 1 + i * 37;
	for (uint64_t i = PAGES - 1; i > 0; i--) {
		uint64_t k = roll(&seed, i + 1), page = order[i];
		order[i] = order[k];
		order[k] = page;
	}
	for (int i = 0; i < PAGES; i++)
		is_int(guess(&em_prefetch_markov, state, order[i], 8).count, 0,
		       "markov: nothing is known of page %d the first time", i);
	for (int i = 0; i < PAGES; i++) {
		struct guesses g = guess(&em_prefetch_markov, state, order[i], 2);
		named += names(&g, order[(i + 1) % PAGES]) && names(&g, order[(i + 2) % PAGES]);
	}
	/* Pages that share an entry of the table forget each other. */
	ok(named > PAGES * 9 / 10, "markov: the next two are known the second time (%zu of %d)",
	   named, PAGES);
	free(state);
}

/* ---- what becomes of guesses ------------------------------------------ */

static void stage(uintptr_t addr, uint64_t from, uint32_t pages, int64_t step)
{
	sigset_t old;

	em_sys_block_signals(&old);
	em_prefetch_stage(&(struct em_wish){ em_page_of(addr) + from, pages, step, false, true });
	em_sys_restore_signals(&old);
}

static uintptr_t stored_pages(size_t pages)
{
	uintptr_t addr = map_pages(pages);

	fill_pages(addr, 0, pages, 1);
	evict_all();
	empty_standby();
	is_int(count_state(addr, pages, EM_PAGE_STORED), pages, "all is in the store only");
	return addr;
}

static void right_guesses(const void *arg)
{
	start_world(spawn_nothing, arg);
	uintptr_t addr = stored_pages(64);

	stage(addr, 0, 8, 3);
	is_int(count_state(addr, 64, EM_PAGE_STANDBY), 8, "guesses come into standby");
	is_int(state_of(addr + 21 * PAGE), EM_PAGE_STANDBY, "each in its place");
	is_int(fake.mapped, 0, "and are not mapped");
	is_int(report_now().pages_prefetched, 8, "they are counted");
	check_balance(addr, 64, "staged");
	uint64_t reads = report_now().reads;

	is_int(has_page(addr, 0, 1) + has_page(addr, 3, 1) + has_page(addr, 6, 1), 3,
	       "what is touched there is right");
	is_int(report_now().reads, reads, "without another read");
	is_int(report_now().faults[EM_FAULT_SOFT], 3, "by soft faults");
	is_int(report_now().prefetch_used, 3, "and was a good guess");
	is_int(count_clean(addr, 64), 3, "what was read only is clean");
	put_page(addr, 9, 2);
	is_int(em_slots_used(), 63, "a write gives the slot back");
	evict_all();
	ok(has_page(addr, 9, 2), "and is not lost");
	check_balance(addr, 64, "touched");
	evict_all();
	empty_standby();
	is_int(count_good(addr, 0, 9, 1) + count_good(addr, 10, 64, 1) + has_page(addr, 9, 2), 64,
	       "all is right in the end");
	check_balance(addr, 64, "in the end");
}

static void wrong_guesses(const void *arg)
{
	start_world(spawn_nothing, arg);
	uintptr_t addr = stored_pages(64);

	stage(addr, 0, 8, 1);
	empty_standby();
	is_int(count_state(addr, 64, EM_PAGE_STORED), 64, "what was not touched is stored again");
	is_int(fake.mapped, 0, "and was never mapped");
	is_int(report_now().prefetch_used, 0, "no good guess");
	is_int(count_good(addr, 0, 8, 1), 8, "and all is right");

	stage(addr, 16, 4, 1);
	is_int(em_region_discard(addr + 16 * PAGE, 2 * PAGE), 0, "guesses can be discarded");
	is_int(count_good(addr, 16, 18, 0), 2, "they are zero then");
	is_int(em_region_unmap(addr + 18 * PAGE, 2 * PAGE), 0, "and unmapped");
	is_int(em_slots_used(), 60, "which gives their slots back");

	stage(addr, 0, 8, 1);
	is_int(report_now().pages_prefetched, 12, "resident pages are not read again");
	stage(addr, 60, 8, 1);
	stage(addr, 2, 8, -1);
	stage(addr, em_window_bytes() / PAGE, 8, EM_WISH_STEP_MAX);
	is_int(report_now().pages_prefetched, 16, "nor is what is not there");
	fake.read_error = -EIO;
	fake.reads_to_fail = 100;
	stage(addr, 30, 4, 1);
	fake.reads_to_fail = 0;
	is_int(count_state(addr + 30 * PAGE, 4, EM_PAGE_STORED), 4, "what cannot be read stays");
	is_int(count_good(addr, 30, 34, 1), 4, "and is not lost");
	is_int(count_good(addr, 20, 64, 1), 44, "nor is any other");
}

/* Guesses go round the ring with what is evicted. */
static void many_guesses(const void *arg)
{
	enum { PAGES = 4096 };
	uint64_t seed = first_seed();

	start_world(spawn_nothing, arg);
	uintptr_t addr = map_pages(PAGES);
	static uint8_t version[PAGES];
	size_t wrong = 0;

	for (int i = 0; i < 40000; i++) {
		uint64_t page = roll(&seed, PAGES);
		switch (roll(&seed, 4)) {
		case 0:
			put_page(addr, page, ++version[page]);
			break;
		case 1:
			stage(addr, page, 1 + (uint32_t)roll(&seed, 20), (int64_t)roll(&seed, 9) - 4);
			break;
		case 2:
			if (roll(&seed, 50) == 0)
				evict_batch();
			break;
		default:
			wrong += !has_page(addr, page, version[page]);
		}
	}
	is_int(wrong, 0, "every page was right at every moment");
	for (uint64_t p = 0; p < PAGES; p++)
		wrong += !has_page(addr, p, version[p]);
	is_int(wrong, 0, "and is in the end");
	ok(report_now().prefetch_used > 100, "guesses among them");
	check_balance(addr, PAGES, "many guesses");
}

/* Guesses by one thread, faults and eviction by others. */
static uintptr_t crowd_addr;
static _Atomic bool crowd_over;
enum { CROWD_PAGES = 3000, CROWD_READERS = 3 };

static void *guess_along(void *arg)
{
	uint64_t seed = (uint64_t)(uintptr_t)arg;

	while (!crowd_over)
		stage(crowd_addr, roll(&seed, CROWD_PAGES), 1 + (uint32_t)roll(&seed, 16),
		      1 + (int64_t)roll(&seed, 5));
	return NULL;
}

static void *write_and_read(void *arg)
{
	uint64_t me = (uint64_t)(uintptr_t)arg, seed = me * 77;
	static uint8_t version[CROWD_PAGES];
	size_t wrong = 0;

	for (int i = 0; i < 15000; i++) {
		uint64_t page = roll(&seed, CROWD_PAGES / CROWD_READERS) * CROWD_READERS + me;
		if (roll(&seed, 3) == 0)
			put_page(crowd_addr, page, ++version[page]);
		else
			wrong += !has_page(crowd_addr, page, version[page]);
	}
	is_int(wrong, 0, "thread %llu found every page right", (unsigned long long)me);
	return NULL;
}

static void crowd(const void *arg)
{
	pthread_t guessers[2], readers[CROWD_READERS];

	start_world(spawn_thread, arg);
	crowd_addr = map_pages(CROWD_PAGES);
	for (uintptr_t i = 0; i < 2; i++)
		pthread_create(&guessers[i], NULL, guess_along, (void *)(i + first_seed()));
	for (uintptr_t i = 0; i < CROWD_READERS; i++)
		pthread_create(&readers[i], NULL, write_and_read, (void *)i);
	for (int i = 0; i < CROWD_READERS; i++)
		pthread_join(readers[i], NULL);
	crowd_over = true;
	for (int i = 0; i < 2; i++)
		pthread_join(guessers[i], NULL);
	ok(report_now().pages_prefetched > 0, "with guesses among them");
}

/* ---- from the fault on ------------------------------------------------- */

static bool comes_in(uintptr_t addr, uint64_t page)
{
	for (int i = 0; i < 5000; i++) {
		if (state_of(addr + page * PAGE) == EM_PAGE_STANDBY)
			return true;
		usleep(1000);
	}
	return false;
}

static void by_faults(const void *arg)
{
	start_world(spawn_thread, arg);
	uintptr_t addr = stored_pages(512);

	for (uint64_t i = 0; i < 3; i++)
		ok(has_page(addr, i * 6, 1), "fault %llu", (unsigned long long)i);
	ok(comes_in(addr, 18) && comes_in(addr, 24), "the course goes on by itself");
	for (uint64_t i = 3; i < 60; i++)
		ok(has_page(addr, i * 6, 1), "page %llu is right", (unsigned long long)(i * 6));
	ok(report_now().prefetch_used > 0, "guesses were used");
}

/* While guesses are wrong there are few. */
static void throttled(const void *arg)
{
	struct em_thread *t;

	start_world(spawn_thread, arg);
	uintptr_t addr = stored_pages(512);
	t = em_thread_self();
	for (int i = 0; i < 400; i++)
		em_prefetch_judge(false);
	for (uint64_t i = 0; i < 60; i++)
		em_prefetch_tell(t, em_page_of(addr) + i * 6);
	usleep(50000);
	is_int(report_now().pages_prefetched, 0, "none after many wrong ones");
	for (int i = 0; i < 400; i++)
		em_prefetch_judge(true);
	is_int(report_now().prefetch_used, 400, "right ones are counted");
	for (uint64_t i = 0; i < 8; i++)
		em_prefetch_tell(t, em_page_of(addr) + 100 + i * 6);
	ok(comes_in(addr, 100 + 8 * 6), "and after many of those there are guesses again");
}

/* A reader has reserved room and is about to enter the gate, which a fork closes. */
static void forked_meanwhile(const void *arg)
{
	uint64_t page;
	int64_t buffer;
	sigset_t old;

	start_world(spawn_nothing, arg);
	uintptr_t addr = stored_pages(64);
	page = em_page_of(addr);
	em_sys_block_signals(&old);
	em_reclaim_lock();
	is_int(em_standby_reserve(&page, 1, EM_ENTRY_GUESS, &buffer), 1, "room is reserved");
	em_standby_fork_prepare();
	is_int(em_standby_forked(), 0, "a child begins with empty buffers");
	em_reclaim_unlock();
	em_sys_restore_signals(&old);
	/* Goes once round all buffers, and would wait for that reader for ever. */
	is_int(count_good(addr, 0, 64, 1), 64, "it brings in what is stored");
	fill_pages(addr, 0, 64, 2);
	evict_all();
	empty_standby();
	is_int(count_good(addr, 0, 64, 2), 64, "and evicts, round and round");
}

int main(void)
{
	uint64_t seed = first_seed();

	test_courses(&em_prefetch_stride);
	test_courses(&em_prefetch_leap);
	test_chance(&em_prefetch_stride, seed);
	test_chance(&em_prefetch_leap, seed);
	stride_of_several();
	leap_with_noise(seed);
	markov_learns(seed);
	in_child("right guesses, copy", right_guesses, plain);
	in_child("right guesses, move", right_guesses, move);
	in_child("wrong guesses, copy", wrong_guesses, plain);
	in_child("wrong guesses, move", wrong_guesses, move);
	in_child("many guesses, copy", many_guesses, plain);
	in_child("many guesses, move", many_guesses, move);
	in_child("crowd, copy", crowd, plain);
	in_child("crowd, move", crowd, move);
	in_child("by faults", by_faults, plain);
	in_child("forked meanwhile", forked_meanwhile, plain);
	in_child("throttled", throttled, plain);
	return done_testing();
}
