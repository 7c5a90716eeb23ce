/* SPDX-License-Identifier: MIT
 *
 * The page word: what it holds, who may change it, who is woken.
 */
#include "world.h"

static const enum em_page_state at_rest[] = {
	EM_PAGE_UNTOUCHED, EM_PAGE_RESIDENT, EM_PAGE_STANDBY, EM_PAGE_STORED,
	EM_PAGE_FOREIGN, EM_PAGE_LOST,
};
static const enum em_page_state owned[] = {
	EM_PAGE_LOADING, EM_PAGE_EVICTING, EM_PAGE_BUSY,
};

/* ---- words ----------------------------------------------------------- */

static void test_slots(void)
{
	static const uint64_t numbers[] = { 0, 1, 63, 64, 12345, (1ull << 30) - 1 };
	unsigned int bad = 0;

	for (unsigned int f = 0; f < EM_SLOT_FILES; f++)
		for (size_t i = 0; i < EM_ARRAY_LEN(numbers); i++) {
			em_slot s = em_slot_make(f, numbers[i]);
			bad += s == EM_SLOT_NONE || s > EM_WORD_SLOT_MASK ||
			       em_slot_file(s) != f || em_slot_number(s) != numbers[i];
		}
	is_int(bad, 0, "every file and number makes a slot and comes back");
	is_int(em_slot_make(0, 5) + 1, em_slot_make(0, 6), "neighbours are one apart");
}

static void test_words(void)
{
	const em_slot slots[] = { EM_SLOT_NONE, em_slot_make(0, 0), em_slot_make(0, 777),
		em_slot_make(EM_SLOT_FILES - 1, (1ull << EM_SLOT_NUMBER_BITS) - 1) };
	static const int64_t buffers[] = { -1, 0, 1, 4711, (1 << 20) - 2 };
	unsigned int bad = 0, words = 0;

	for (int state = 0; state < EM_PAGE_STATES; state++)
		for (size_t s = 0; s < EM_ARRAY_LEN(slots); s++)
			for (size_t b = 0; b < EM_ARRAY_LEN(buffers); b++)
				for (int clean = 0; clean < 2; clean++, words++) {
					uint64_t w = em_word_make((enum em_page_state)state,
								  slots[s], buffers[b], clean);
					bad += (int)EM_WORD_STATE(w) != state ||
					       em_word_slot(w) != slots[s] ||
					       em_word_buffer(w) != buffers[b] ||
					       !(w & EM_WORD_CLEAN) != !clean ||
					       w & EM_WORD_WAITER || em_word_was(w);
				}
	is_int(bad, 0, "%u words hold what was put into them", words);
	is_int(em_word_make(EM_PAGE_UNTOUCHED, EM_SLOT_NONE, -1, false), 0,
	       "memory that was never touched says: untouched");
}

/* ---- transitions ----------------------------------------------------- */

/* The word that a page in this state has, with all that it can carry. */
static uint64_t typical(enum em_page_state state, bool clean)
{
	em_slot slot = em_slot_make(2, 99);

	switch (state) {
	case EM_PAGE_RESIDENT: return em_word_make(state, clean ? slot : EM_SLOT_NONE, -1, clean);
	case EM_PAGE_STANDBY: return em_word_make(state, slot, 17, false);
	case EM_PAGE_STORED:
	case EM_PAGE_LOST: return em_word_make(state, slot, -1, false);
	default: return em_word_make(state, EM_SLOT_NONE, -1, false);
	}
}

static void own_and_return(enum em_page_state from, enum em_page_state to, bool clean)
{
	uint64_t page = 1000, w = typical(from, clean), o;

	em_page_set(page, w);
	ok(em_page_own(page, w, to), "state %d is owned as %d", from, to);
	o = em_page_load(page);
	is_int(EM_WORD_STATE(o), to, "the word says so");
	ok(em_word_slot(o) == em_word_slot(w) && em_word_buffer(o) == em_word_buffer(w) &&
	   !(o & EM_WORD_CLEAN) == !(w & EM_WORD_CLEAN), "slot and buffer stay readable");
	ok(em_word_unowned(o) == w, "and what it was can be told from it");
	ok(!em_page_own(page, w, to), "nobody else can own it");
	ok(em_page_load(page) == o, "nor change it by trying");
	em_page_set(page, em_word_unowned(o));
	ok(em_page_load(page) == w, "it goes back to what it was");
}

static void test_owning(void)
{
	for (size_t i = 0; i < EM_ARRAY_LEN(at_rest); i++)
		for (size_t k = 0; k < EM_ARRAY_LEN(owned); k++) {
			own_and_return(at_rest[i], owned[k], false);
			if (at_rest[i] == EM_PAGE_RESIDENT)
				own_and_return(at_rest[i], owned[k], true);
		}
}

static void test_stale(void)
{
	uint64_t seen = typical(EM_PAGE_STANDBY, false);

	em_page_set(7, em_word_make(EM_PAGE_STANDBY, em_word_slot(seen), 18, false));
	ok(!em_page_own(7, seen, EM_PAGE_LOADING), "a word with another buffer is not taken");
	em_page_set(7, em_word_make(EM_PAGE_STANDBY, em_word_slot(seen) + 1, 17, false));
	ok(!em_page_own(7, seen, EM_PAGE_LOADING), "nor one with another slot");
	em_page_set(7, typical(EM_PAGE_STORED, false));
	ok(!em_page_own(7, seen, EM_PAGE_LOADING), "nor one in another state");
	ok(em_page_load(7) == typical(EM_PAGE_STORED, false), "and stays as it is");
}

static void test_retire(void)
{
	uint64_t standby = typical(EM_PAGE_STANDBY, false), seen = 0;

	em_page_set(8, standby);
	ok(!em_page_retire(8, 16, &seen) && seen == standby,
	   "a page in another buffer is not retired");
	ok(em_page_retire(8, 17, &seen), "one in this buffer is");
	ok(em_page_load(8) == typical(EM_PAGE_STORED, false), "and stored, with the same slot");
	ok(!em_page_retire(8, 17, &seen) && EM_WORD_STATE(seen) == EM_PAGE_STORED,
	   "but not twice");
	em_page_set(8, standby);
	em_page_own(8, standby, EM_PAGE_LOADING);
	ok(!em_page_retire(8, 17, &seen) && em_word_buffer(seen) == 17,
	   "not while somebody loads from the buffer, and that can be seen");
}

/* Eight threads want the same page; one gets it, each time. */
#define RACERS 8
#define RACES 2000

static _Atomic uint32_t wins, ready, double_wins;

static void *race(void *arg)
{
	static _Atomic uint32_t inside;

	ready++;
	while (ready < RACERS)
		;
	for (int i = 0; i < RACES;) {
		uint64_t w = em_page_load(9);
		if (EM_WORD_STATE(w) != EM_PAGE_STORED) {
			em_page_wait(9, w);
			continue;
		}
		if (!em_page_own(9, w, EM_PAGE_LOADING))
			continue;
		double_wins += atomic_fetch_add(&inside, 1) != 0;
		if (i % 100 == 0)
			sched_yield();
		inside--;
		wins++;
		em_page_set(9, w);
		i++;
	}
	return arg;
}

static void test_race(void)
{
	pthread_t t[RACERS];

	em_page_set(9, typical(EM_PAGE_STORED, false));
	for (int i = 0; i < RACERS; i++)
		pthread_create(&t[i], NULL, race, NULL);
	for (int i = 0; i < RACERS; i++)
		pthread_join(t[i], NULL);
	is_int(double_wins, 0, "a page never has two owners");
	is_int(wins, RACERS * RACES, "and all get their turn");
}

/* ---- waiting --------------------------------------------------------- */

static _Atomic int through;

static void *wait_for_page(void *arg)
{
	uint64_t w;

	while (EM_WORD_STATE(w = em_page_load(20)) == EM_PAGE_LOADING)
		em_page_wait(20, w);
	through++;
	return arg;
}

static void *wait_for_granule(void *arg)
{
	em_granule_pass(3);
	through++;
	return arg;
}

/* Three wait until they sleep; then all must get through. */
static void wake(void *(*waiter)(void *), bool (*sleeping)(void), void (*go)(void),
		 const char *what)
{
	pthread_t t[3];

	through = 0;
	for (int i = 0; i < 3; i++)
		pthread_create(&t[i], NULL, waiter, NULL);
	while (!sleeping())
		usleep(100);
	usleep(20000); /* the other two as well, mostly */
	is_int(through, 0, "nobody passes %s before its time", what);
	uint64_t wakes = fake.wakes;
	go();
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	is_int(through, 3, "all who waited for %s are woken", what);
	is_int(fake.wakes - wakes, 1, "at once");
}

static bool page_is_awaited(void) { return em_page_load(20) & EM_WORD_WAITER; }
static bool granule_is_awaited(void) { return em_granules[3] & EM_GRANULE_WAITER; }

static void finish_page(void)
{
	em_page_set(20, em_word_unowned(em_page_load(20)));
}

static void open_granule(void) { em_granule_open(3); }

static void test_waking(void)
{
	uint64_t w = typical(EM_PAGE_STANDBY, false);

	fake.patient = true;
	em_page_set(20, w);
	em_page_own(20, w, EM_PAGE_LOADING);
	wake(wait_for_page, page_is_awaited, finish_page, "a page");
	ok(em_page_load(20) == w, "and the flag of the waiters is gone");
	em_granule_shut(3);
	wake(wait_for_granule, granule_is_awaited, open_granule, "a granule");
	is_int(em_granules[3], 0, "and its flags are gone");
	fake.patient = false;

	uint64_t wakes = fake.wakes;
	em_page_own(20, w, EM_PAGE_BUSY);
	em_page_set(20, w);
	em_granule_shut(3);
	em_granule_open(3);
	is_int(fake.wakes, wakes, "nobody is woken when nobody waits");
}

/* ---- granules and blocks --------------------------------------------- */

static void test_granules(void)
{
	is_int(em_granule_of(15), 0, "sixteen pages are a granule");
	is_int(em_granule_of(16), 1, "and the next follows");
	ok(em_granule_enqueue(5), "a granule is queued");
	ok(!em_granule_enqueue(5), "once");
	em_granule_shut(5);
	em_granule_open(5);
	ok(!em_granule_enqueue(5), "shutting does not take it out");
	em_granule_dequeued(5);
	ok(em_granule_enqueue(5), "and again when it left the queue");
	em_granule_pass(6);
	ok(true, "an open granule lets everybody pass");
}

static void test_blocks(void)
{
	uint64_t page = 10 * EM_BLOCK_PAGES + 3;

	ok(em_block_is_virgin(10), "a block is virgin");
	em_block_touch(page);
	ok(!em_block_is_virgin(10), "until a page of it is touched");
	ok(em_block_is_virgin(9) && em_block_is_virgin(11), "its neighbours stay so");
}

static void test_window(void)
{
	is_int(em_window_init(16), 0, "the window is made");
	is_int(em_window_bytes(), EM_WINDOW_MIN, "as large as the address space allows");
	is_int(em_table->magic, EM_TABLE_MAGIC, "and describes itself");
	is_int(em_table->granule_pages, 16, "with the size of a granule");
	ok(em_in_window(EM_WINDOW_BASE) && !em_in_window(EM_WINDOW_BASE - 1),
	   "it begins where it should");
	ok(em_touches_window(EM_WINDOW_BASE - 8, 9) && !em_touches_window(EM_WINDOW_BASE - 8, 8),
	   "a range that ends before it does not touch it");
	ok(!em_touches_window(EM_WINDOW_BASE, 0), "nor does an empty one");
	is_int(em_page_of(em_page_addr(12345)), 12345, "pages have numbers");
}

int main(void)
{
	struct em_sys_features features;

	alarm(60); /* a lost wake-up hangs */
	em_sys_uffd_open(false, &features);
	test_window();
	test_slots();
	test_words();
	test_owning();
	test_stale();
	test_retire();
	test_race();
	test_waking();
	test_granules();
	test_blocks();
	return done_testing();
}
