/* SPDX-License-Identifier: MIT
 *
 * Pages in: first touches, standby, the store, clean pages, read-ahead, and
 * what happens when contents cannot be had.
 */
#include "ahead.h"
#include "quota.h"
#include "world.h"

#include <errno.h>

static const char *const plain = "prefetch.readahead=0\neviction.granule=4K";

static void first_touch(const void *arg)
{
	unsigned char byte = 1;

	(void)arg;
	start_world(spawn_nothing, plain);
	uintptr_t addr = map_pages(4);
	uint64_t before = (uint64_t)em_credits_free();

	is_int(fake_load(addr, &byte, 1), FAKE_FINE, "a new page can be read");
	is_int(byte, 0, "and is zero");
	is_int(state_of(addr), EM_PAGE_RESIDENT, "it is resident");
	ok(!fake_is_protected(addr), "and writable at once");
	is_int(before - (uint64_t)em_credits_free(), 1, "it costs one credit");
	is_int(put_page(addr, 1, 1), FAKE_FINE, "a new page can be written");
	ok(has_page(addr, 1, 1), "and holds what was written");
	is_int(state_of(addr + 2 * PAGE), EM_PAGE_UNTOUCHED, "its neighbour is untouched");
	struct em_report r = report_now();
	is_int(r.faults[EM_FAULT_FIRST], 2, "two first touches are counted");
	is_int(r.faults[EM_FAULT_SOFT] + r.faults[EM_FAULT_MAJOR], 0, "and nothing else");
	is_int(fake.reads + fake.writes, 0, "no store was asked");
	is_int(fake_load(EM_WINDOW_BASE + (1ul << 35), &byte, 1), FAKE_SEGV,
	       "what is not mapped stays a segmentation fault");
	is_int(fake.mapped, 2, "and maps nothing");
}

/* One page out and back, with the store's traffic counted. */
static void soft_faults(const void *arg)
{
	start_world(spawn_nothing, arg);
	uintptr_t addr = map_pages(8);

	fill_pages(addr, 0, 8, 1);
	evict_all();
	finish_writes();
	is_int(count_state(addr, 8, EM_PAGE_STANDBY), 8, "all pages left, to standby");
	is_int(fake.mapped, 0, "none is mapped");
	is_int(count_good(addr, 0, 4, 1), 4, "and come back as they were");
	is_int(fake.reads, 0, "without a read");
	is_int(report_now().faults[EM_FAULT_SOFT], 4, "by soft faults");
	is_int(report_now().clean_bytes, 4 * PAGE, "reading leaves them clean");
	ok(fake_is_protected(addr), "that is, protected");
	is_int(em_slots_used(), 8, "with their slots");

	is_int(put_page(addr, 5, 2), FAKE_FINE, "a standby page can be written");
	ok(has_page(addr, 5, 2), "and holds that");
	ok(!fake_is_protected(addr + 5 * PAGE), "it is dirty");
	is_int(em_slots_used(), 7, "its slot is given back");

	put_page(addr, 0, 2);
	ok(!fake_is_protected(addr), "a write to a clean page lifts the protection");
	is_int(em_slots_used(), 6, "and gives the slot back");
	is_int(report_now().faults[EM_FAULT_FIRST], 8, "which is no first touch");
	ok(has_page(addr, 0, 2) && has_page(addr, 1, 1) && has_page(addr, 5, 2),
	   "and all is right");
	check_balance(addr, 8, "soft faults");
}

static void clean_pages(const void *arg)
{
	start_world(spawn_nothing, arg);
	uintptr_t addr = map_pages(16);

	fill_pages(addr, 0, 16, 1);
	evict_all();
	empty_standby();
	is_int(count_state(addr, 16, EM_PAGE_STORED), 16, "all pages are in the store only");
	is_int(count_good(addr, 0, 16, 1), 16, "they are read back");
	is_int(report_now().faults[EM_FAULT_MAJOR], 16, "by major faults");
	is_int(report_now().bytes_read, 16 * PAGE, "a page each");
	uint64_t writes = fake.writes, bytes = report_now().bytes_written;

	put_page(addr, 3, 2);
	evict_all();
	finish_writes();
	is_int(report_now().bytes_written - bytes, PAGE, "only the one that changed is written");
	is_int(fake.writes - writes, 1, "by one write");
	is_int(report_now().pages_clean, 15, "the others leave without");
	empty_standby();
	is_int(count_good(addr, 0, 3, 1) + count_good(addr, 4, 16, 1), 15,
	       "and are still right in the store");
	ok(has_page(addr, 3, 2), "so is the one that changed");
	check_balance(addr, 16, "clean pages");
}

static void zero_pages(const void *arg)
{
	start_world(spawn_nothing, arg);
	uintptr_t addr = map_pages(16);

	fill_pages(addr, 0, 8, 1);
	fill_pages(addr, 8, 16, 0);
	evict_all();
	finish_writes();
	is_int(report_now().bytes_written, 8 * PAGE, "zero pages are not written");
	is_int(count_state(addr, 16, EM_PAGE_UNTOUCHED), 8, "they are as good as untouched");
	is_int(em_slots_used(), 8, "and have no slot");
	empty_standby();
	count_good(addr, 0, 8, 1);
	fill_pages(addr, 0, 4, 0);
	evict_all();
	is_int(count_good(addr, 0, 4, 0), 4, "pages that became zero read as zero");
	is_int(count_good(addr, 4, 8, 1) + count_good(addr, 8, 16, 0), 12, "others as they were");
	check_balance(addr, 16, "zero pages");
}

static void standby_write_in_flight(const void *arg)
{
	(void)arg;
	start_world(spawn_nothing, plain);
	uintptr_t addr = map_pages(2);

	fill_pages(addr, 0, 2, 1);
	evict_batch();
	is_int(report_now().standby_bytes, 2 * PAGE, "two pages are under way");
	ok(has_page(addr, 0, 1), "one is read meanwhile");
	ok(!fake_is_protected(addr), "and not taken for clean: its write may yet fail");
	finish_writes();
	is_int(em_slots_used(), 1, "its slot is free when the write has ended");
	check_balance(addr, 2, "writes under way");
}

static void read_errors(const void *arg)
{
	uint64_t word = 42;

	(void)arg;
	start_world(spawn_nothing, plain);
	uintptr_t addr = map_pages(8);
	fill_pages(addr, 0, 8, 1);
	evict_all();
	empty_standby();

	fake.read_error = -EIO;
	fake.reads_to_fail = 1;
	is_int(fake_load(addr, &word, 8), FAKE_BUS_ERROR, "a page that cannot be read: bus error");
	is_int(word, 42, "and no data");
	is_int(state_of(addr), EM_PAGE_LOST, "it is lost");
	is_int(fake_load(addr, &word, 8), FAKE_BUS_ERROR, "for good");
	is_int(fake_store(addr, &word, 8), FAKE_BUS_ERROR, "for writing, too");
	is_int(em_fault_bring_in(addr, 8, false), -EFAULT, "a system call on it gets EFAULT");
	is_int(report_now().store_errors, 1, "the error is counted");
	is_int(report_now().stored_bytes, 7 * PAGE, "and the page no longer");
	is_int(fake.mapped, 0, "nothing was mapped");
	is_int(report_now().resident_bytes, 0, "and no credit is gone");

	fake.short_io = 2;
	fake.interrupted_io = 3;
	is_int(count_good(addr, 1, 8, 1), 7, "short and interrupted reads are carried on");
	is_int(em_region_unmap(addr, 8 * PAGE), 0, "all can be unmapped");
	is_int(em_slots_used(), 0, "the lost page's slot comes back, too");
	is_int(credits_at_rest(), em_segment->credit_pages, "and every credit");
}

/* A run fails because of one page in it: only that one is lost. */
static void read_errors_in_runs(const void *arg)
{
	(void)arg;
	start_world(spawn_nothing, "prefetch.readahead=32K\neviction.granule=64K");
	uintptr_t addr = map_pages(64);
	fill_pages(addr, 0, 64, 1);
	evict_all();
	empty_standby();
	is_int(count_good(addr, 0, 20, 1), 20, "a stream gets going");
	uint64_t next = 20;
	while (state_of(addr + next * PAGE) == EM_PAGE_RESIDENT)
		next++;
	fake.read_error = -EIO;
	fake.reads_to_fail = 1;
	ok(has_page(addr, next, 1), "a run that fails is tried again with one page");
	is_int(report_now().store_errors, 1, "the error is counted");
	fake.reads_to_fail = 0;
	is_int(count_good(addr, 0, 64, 1), 64, "nothing was lost");
	check_balance(addr, 64, "errors in runs");
}

static void read_ahead(const void *arg)
{
	(void)arg;
	start_world(spawn_nothing, "prefetch.readahead=64K\neviction.granule=64K");
	uintptr_t before = map_pages(16), addr = map_pages(112), after = map_pages(16);

	ok(after == addr + 112 * PAGE && before + 16 * PAGE == addr, "three mappings in a row");
	em_region_protect(after, 16 * PAGE, PROT_READ);
	fill_pages(addr, 0, 112, 1);
	is_int(fake.mapped, 112, "first touches in a row stay within their mapping");
	ok(report_now().faults[EM_FAULT_FIRST] < 20, "and take fewer faults than pages");
	evict_all();
	empty_standby();
	uint64_t reads = fake.reads;
	is_int(count_good(addr, 0, 112, 1), 112, "read back in a row, all is right");
	ok(fake.reads - reads < 20, "in %llu reads", (unsigned long long)(fake.reads - reads));
	is_int(fake.mapped, 112, "within the mapping again");
	is_int(count_state(after, 16, EM_PAGE_UNTOUCHED), 16, "what follows is untouched");
	ok(report_now().pages_readahead > 80, "the pages read ahead are counted");
	check_balance(before, 144, "read-ahead");

	/* The end of the mapping is cut off: nothing may appear behind it. */
	evict_all();
	empty_standby();
	em_region_unmap(addr + 50 * PAGE, 62 * PAGE);
	is_int(count_good(addr, 0, 50, 1), 50, "a mapping that was cut is right");
	is_int(fake.mapped, 50, "and nothing is mapped behind its end");
	check_balance(before, 144, "cut");
}

/* Arrays are also filled and read from the end. */
static void downwards(const void *arg)
{
	(void)arg;
	start_world(spawn_nothing, "prefetch.readahead=64K\neviction.granule=64K");
	uintptr_t before = map_pages(16), addr = map_pages(112);
	size_t good = 0;

	em_region_protect(before, 16 * PAGE, PROT_READ);

	for (size_t page = 112; page-- > 0;)
		put_page(addr, page, 1);
	is_int(fake.mapped, 112, "first touches from the end stay within their mapping");
	ok(report_now().faults[EM_FAULT_FIRST] < 20, "and take fewer faults than pages");
	evict_all();
	empty_standby();
	uint64_t reads = fake.reads;
	for (size_t page = 112; page-- > 0;)
		good += has_page(addr, page, 1);
	is_int(good, 112, "read back from the end, all is right");
	ok(fake.reads - reads < 20, "in %llu reads", (unsigned long long)(fake.reads - reads));
	is_int(count_state(before, 16, EM_PAGE_UNTOUCHED), 16, "what lies below is untouched");
	check_balance(before, 128, "downwards");

	/* A read of many pages fails: the page that was asked for still comes. */
	evict_all();
	empty_standby();
	size_t page = 111;
	while (page > 90 && has_page(addr, page, 1)) /* a stream gets going */
		page--;
	while (state_of(addr + page * PAGE) == EM_PAGE_RESIDENT)
		page--;
	fake.read_error = -EIO;
	fake.reads_to_fail = 1;
	ok(has_page(addr, page, 1), "a run that fails is tried again with the wanted page");
	is_int(report_now().store_errors, 1, "the error is counted");
	fake.reads_to_fail = 0;
	is_int(count_good(addr, 0, 112, 1), 112, "nothing was lost");
	check_balance(before, 128, "downwards, errors");
}

/* Many heaps grow at once: no thread remembers so many streams. */
static void first_touch_beside_others(const void *arg)
{
	enum { PLACES = 40, EACH = 32 };
	uint64_t faults;

	(void)arg;
	start_world(spawn_nothing, "prefetch.readahead=32K\neviction.granule=64K");
	uintptr_t addr = map_pages(PLACES * EACH * 2);

	for (size_t i = 0; i < EACH; i++)
		for (size_t place = 0; place < PLACES; place++)
			put_page(addr, place * EACH * 2 + i, 1);
	faults = report_now().faults[EM_FAULT_FIRST];
	ok(faults < PLACES * EACH / 3, "%llu faults for %d pages in %d places",
	   (unsigned long long)faults, PLACES * EACH, PLACES);
	ok(fake.mapped < PLACES * EACH * 3 / 2, "and not much more was mapped: %llu",
	   (unsigned long long)fake.mapped);
	for (size_t place = 0; place < PLACES; place++)
		ok(has_page(addr, place * EACH * 2 + 7, 1), "place %zu is right", place);
}

/* Regions know nothing of the kernel's mappings, which end anywhere. */
static void over_a_border(const void *arg)
{
	(void)arg;
	start_world(spawn_nothing, "prefetch.readahead=32K\neviction.granule=64K");
	uintptr_t addr = map_pages(64);

	fake.border = addr + 27 * PAGE;
	fill_pages(addr, 0, 64, 1);
	is_int(count_good(addr, 0, 64, 1), 64, "a run goes over a border of mappings");
	is_int(count_state(addr, 64, EM_PAGE_RESIDENT), 64, "and all of it is resident");
}

static void random_reads(const void *arg)
{
	uint64_t seed = 7;

	(void)arg;
	start_world(spawn_nothing, "prefetch.readahead=64K\neviction.granule=64K");
	uintptr_t addr = map_pages(512);
	fill_pages(addr, 0, 512, 1);
	evict_all();
	empty_standby();
	uint64_t reads = fake.reads;
	bool right = true;
	for (int i = 0; i < 40; i++)
		right &= has_page(addr, roll(&seed, 128) * 4, 1);
	ok(right, "pages here and there are right");
	ok(report_now().bytes_read / PAGE == fake.reads - reads && fake.reads - reads <= 40,
	   "and nothing is read ahead for them");
}

enum { GRANULES = 256, GRANULE = 16 };

/* All of it stored, more than fits; the window of dense.c is 64 faults then. */
static void store_all(uintptr_t addr, size_t pages)
{
	for (size_t page = 0; page < pages; page += 512) {
		fill_pages(addr, page, em_min(page + 512, pages), 1);
		evict_all();
		empty_standby();
	}
	is_int(count_state(addr, pages, EM_PAGE_STORED), pages, "all is stored");
}

/* Pages of one granule that are wanted one by one, with others between them. */
static void dense_granules(const void *arg)
{
	enum { HOT = 40 * GRANULE, PAGES = GRANULES * GRANULE };
	bool reads_ahead = *(const bool *)arg, right = true;
	static const size_t touched[] = { 3, 9, 6, 12, 1 };
	size_t other = 100;

	start_world(spawn_nothing, reads_ahead
		? "prefetch.readahead=64K\neviction.granule=64K"
		: "prefetch.readahead=64K\neviction.granule=64K\nprefetch.algorithm=none");
	uintptr_t addr = map_pages(PAGES + GRANULE), after = addr + (PAGES + GRANULE / 2) * PAGE;
	store_all(addr, PAGES + GRANULE);
	em_region_protect(after, GRANULE / 2 * PAGE, PROT_READ); /* two mappings in a granule */

	uint64_t reads = fake.reads;
	for (size_t i = 0; i < EM_ARRAY_LEN(touched); i++) {
		right &= has_page(addr, HOT + touched[i], 1);
		if (i == 2)
			is_int(count_state(addr + HOT * PAGE, GRANULE, EM_PAGE_RESIDENT), 3,
			       "three faults in a granule bring in three pages");
		for (int k = 0; k < 5; k++)
			right &= has_page(addr, other++ * GRANULE + touched[i], 1);
	}
	ok(right, "all that was touched is right");
	is_int(fake.reads - reads, 30, "with a read each");
	is_int(count_state(addr + HOT * PAGE, GRANULE, EM_PAGE_RESIDENT), reads_ahead ? 12 : 5,
	       "the fourth and fifth bring in what lies about them, or do not by policy");
	is_int(report_now().pages_readahead, reads_ahead ? 7 : 0, "which is counted");
	is_int(count_state(addr, PAGES, EM_PAGE_RESIDENT), 25 + (reads_ahead ? 12 : 5),
	       "and nothing of other granules");

	for (size_t page = 0; page < GRANULE / 2; page += 2)
		right &= has_page(addr, PAGES + page, 1);
	ok(right, "the granule of two mappings is right");
	is_int(count_state(after, GRANULE / 2, EM_PAGE_STORED), GRANULE / 2,
	       "the other mapping is left alone");
	is_int(count_good(addr, HOT, HOT + GRANULE, 1), GRANULE, "nothing was lost");
	check_balance(addr, PAGES + GRANULE, "dense granules");
}

/* One page that is wanted again and again says nothing of those beside it. */
static void lonely_pages(const void *arg)
{
	bool right = true;

	(void)arg;
	start_world(spawn_nothing, "prefetch.readahead=64K\neviction.granule=64K");
	uintptr_t addr = map_pages(GRANULES * GRANULE);
	store_all(addr, GRANULES * GRANULE);
	for (int i = 0; i < 8; i++) {
		right &= has_page(addr, 40 * GRANULE + 5 + i % 2 * 4, 1);
		evict_all();
		empty_standby();
	}
	ok(right, "two pages that come and go are right");
	is_int(report_now().pages_readahead, 0, "and come alone");
	check_balance(addr, GRANULES * GRANULE, "lonely pages");
}

/* What is spread evenly has granules with five faults, but far from each other. */
static void even_granules(const void *arg)
{
	uint64_t seed = 11;
	size_t order[GRANULES];
	bool right = true;

	(void)arg;
	start_world(spawn_nothing, "prefetch.readahead=64K\neviction.granule=64K");
	uintptr_t addr = map_pages(GRANULES * GRANULE);
	store_all(addr, GRANULES * GRANULE);
	for (size_t i = 0; i < GRANULES; i++) {
		size_t k = roll(&seed, i + 1);
		order[i] = order[k];
		order[k] = i;
	}
	for (size_t round = 0; round < 5; round++)
		for (size_t i = 0; i < GRANULES; i++)
			right &= has_page(addr, order[i] * GRANULE + round * 3, 1);
	ok(right, "pages of all granules in turn are right");
	is_int(report_now().pages_readahead, 0, "and nothing is read ahead for them");
	check_balance(addr, GRANULES * GRANULE, "even granules");
}

static void bring_in(const void *arg)
{
	(void)arg;
	start_world(spawn_nothing, plain);
	uintptr_t addr = map_pages(8);

	is_int(em_fault_bring_in(addr + 100, 2 * PAGE, true), 0, "a range that was never touched");
	is_int(count_state(addr, 8, EM_PAGE_RESIDENT), 3, "all pages of it come in");
	fill_pages(addr, 0, 8, 1);
	evict_all();
	finish_writes();
	is_int(em_fault_bring_in(addr, 4 * PAGE, false), 0, "a range on standby, to read");
	ok(fake_is_protected(addr), "comes in clean");
	is_int(em_fault_bring_in(addr, 4 * PAGE, true), 0, "the same, to write");
	ok(!fake_is_protected(addr), "is writable for the kernel");
	is_int(count_state(addr, 8, EM_PAGE_RESIDENT), 4, "and no page more");
	uint64_t mapped = fake.mapped;
	is_int(em_fault_bring_in(addr + 8 * PAGE, PAGE, true), 0,
	       "what is not mapped is left to the kernel");
	is_int(fake.mapped, mapped, "and not mapped");
	is_int(count_good(addr, 0, 8, 1), 8, "all is right");
}

/* ---- while a region changes -------------------------------------------- */

static _Atomic int stage;
static uintptr_t side_addr;

static void hold_on(uintptr_t addr, size_t bytes)
{
	(void)addr;
	(void)bytes;
	stage = 1;
	for (int i = 0; i < 300 && stage != 2; i++)
		usleep(1000);
}

static void *unmap_side(void *arg)
{
	fake.in_discard = hold_on;
	em_region_unmap(side_addr, 16 * PAGE);
	fake.in_discard = NULL;
	return arg;
}

static void *let_go_later(void *arg)
{
	usleep(50000);
	stage = 2;
	return arg;
}

/* A system call's buffer must come in even while another mapping goes away. */
static void bring_in_during_change(const void *arg)
{
	pthread_t a, b;

	(void)arg;
	start_world(spawn_nothing, plain);
	uintptr_t addr = map_pages(8);
	side_addr = map_pages(16);
	fill_pages(side_addr, 0, 16, 1);
	pthread_create(&a, NULL, unmap_side, NULL);
	while (stage != 1)
		usleep(100);
	pthread_create(&b, NULL, let_go_later, NULL);
	is_int(em_fault_bring_in(addr, PAGE, true), 0, "a range is asked for during a change");
	is_int(state_of(addr), EM_PAGE_RESIDENT, "and comes in");
	stage = 2;
	pthread_join(a, NULL);
	pthread_join(b, NULL);
}

static void kernel_errors(const void *arg)
{
	(void)arg;
	start_world(spawn_nothing, "prefetch.readahead=64K\neviction.granule=64K");
	uintptr_t addr = map_pages(64);

	fake.short_copies = 2;
	fill_pages(addr, 0, 64, 1);
	evict_all();
	is_int(count_good(addr, 0, 64, 1), 64, "runs that are mapped in part are right");
	evict_all();
	empty_standby();
	is_int(count_good(addr, 0, 64, 1), 64, "from the store as well");
	check_balance(addr, 64, "mapped in part");
	is_int(em_region_discard(addr, 64 * PAGE), 0, "discarded");
	is_int(credits_at_rest(), em_segment->credit_pages, "every credit came back");
	is_int(em_slots_used(), 0, "and every slot");
}

/* ---- ahead of a stream ----------------------------------------------- */

#define RUN 4u   /* pages of 16K */
#define AHEAD 6u /* runs that a stream asks for */

static const char *const streams = "prefetch.readahead=16K\neviction.granule=16K";

/* Whether pages [from, from + n) become resident without being touched. */
static bool comes_in(uintptr_t addr, size_t from, size_t n)
{
	for (int i = 0; i < 2000; i++) {
		if (count_state(addr + from * PAGE, n, EM_PAGE_RESIDENT) == n)
			return true;
		usleep(1000);
	}
	return false;
}

static uint64_t majors(void)
{
	return report_now().faults[EM_FAULT_MAJOR];
}

/*
 * Walks over pages in the store; each fault once the window is full must bring
 * the runs after its own, too. step: 1 or -1; returns how many faults did.
 */
static size_t walk(uintptr_t addr, size_t pages, int step, uint64_t version)
{
	size_t came = 0;

	for (size_t i = 0; i < pages; i++) {
		size_t page = step > 0 ? i : pages - 1 - i;
		uint64_t before = majors();
		bool good = version ? put_page(addr, page, version) == FAKE_FINE
				    : has_page(addr, page, 1);
		ok(good, "page %zu is right", page);
		if (majors() == before || i < 4 * RUN || i + (AHEAD + 1) * RUN > pages)
			continue;
		bool in = comes_in(addr, step > 0 ? page + RUN : page + 1 - (AHEAD + 1) * RUN,
				   AHEAD * RUN);
		ok(in, "a fault on page %zu brings the next runs", page);
		came += in;
	}
	usleep(20000); /* the last wish is over, or in vain */
	return came;
}

static void ahead_of_streams(const void *arg)
{
	int step = *(const int *)arg;

	start_world(spawn_thread, streams);
	uintptr_t addr = map_pages(256);
	fill_pages(addr, 0, 256, 1);
	evict_all();
	empty_standby();
	ok(walk(addr, 256, step, 0) >= 5, "reading: six of seven runs come by themselves");
	ok(majors() < 256 / RUN / 2, "so there are fewer faults than runs");
	is_int(count_clean(addr, 256), 256, "what was read ahead is clean");
	check_balance(addr, 256, "ahead, reading");

	evict_all();
	empty_standby();
	ok(walk(addr, 256, step, 2) >= 5, "writing: the same");
	is_int(count_clean(addr, 256), 0, "but ready to be written to");
	is_int(em_slots_used(), 0, "without slots");
	is_int(count_good(addr, 0, 256, 2), 256, "and right");
	check_balance(addr, 256, "ahead, writing");
}

/* Somebody has this page in hand until let_go(). */
static uint64_t seize(uint64_t page)
{
	if (!em_page_own(page, em_page_load(page), EM_PAGE_LOADING))
		abort();
	return em_page_load(page) & ~EM_WORD_WAITER;
}

static void let_go(uint64_t page, uint64_t owned)
{
	em_page_set(page, em_word_unowned(owned));
}

struct walker {
	uintptr_t addr;
	size_t from, to;
};

static void *walk_on(void *arg)
{
	const struct walker *w = arg;

	is_int(count_good(w->addr, w->from, w->to, 1), w->to - w->from, "its pages are right");
	return NULL;
}

/*
 * Who has to wait within a stream asks for what comes next before it waits: also
 * a thread that has joined in, and knows of the stream by what is beside the page.
 */
static void ahead_while_waiting(const void *arg)
{
	bool joins = *(const bool *)arg;
	size_t pages = 64 * RUN, at = 24 * RUN;
	pthread_t t;

	start_world(spawn_thread, streams);
	uintptr_t addr = map_pages(pages);
	uint64_t held = em_page_of(addr) + at;
	fill_pages(addr, 0, pages, 1);
	evict_all();
	empty_standby();
	/* The wishes of what is before it stop there, because it is not stored. */
	uint64_t owned = seize(held);
	struct walker first = { addr, 0, joins ? at : at + RUN }, second = { addr, at, at + RUN };
	pthread_create(&t, NULL, walk_on, &first);
	if (joins) {
		pthread_join(t, NULL);
		usleep(20000);
		uint64_t before = majors();
		pthread_create(&t, NULL, walk_on, &second);
		ok(comes_in(addr, at + RUN, AHEAD * RUN), "what is after it comes while it waits");
		is_int(majors(), before, "without a fault");
	} else {
		ok(comes_in(addr, at + RUN, AHEAD * RUN), "what is after it comes while it waits");
	}
	is_int(count_state(addr + (at + (AHEAD + 1) * RUN) * PAGE, 16 * RUN, EM_PAGE_STORED),
	       16 * RUN, "and no more than that");
	let_go(held, owned);
	pthread_join(t, NULL);
	is_int(count_good(addr, 0, pages, 1), pages, "all are right");
	usleep(100000); /* the last wishes are over */
	check_balance(addr, pages, "ahead while waiting");
}

/* What a rule says is sequential is read ahead from its first fault on; else it is not. */
static void ahead_from_the_start(const void *arg)
{
	const char *prefetcher = arg;
	bool known = !strcmp(prefetcher, "sequential");
	size_t pages = 64 * RUN, at = 20 * RUN + 1;
	char settings[256];

	snprintf(settings, sizeof(settings), "%s\nregions[0].match.source=mmap\n"
		 "regions[0].prefetch.algorithm=%s", streams, prefetcher);
	start_world(spawn_thread, settings);
	uintptr_t addr = map_pages(pages);
	fill_pages(addr, 0, pages, 1);
	evict_all();
	empty_standby();
	ok(has_page(addr, at, 1), "%s: a page somewhere is right", prefetcher);
	if (known)
		ok(comes_in(addr, at, (AHEAD + 1) * RUN - 1), "and what is above it comes in");
	else
		usleep(100000);
	is_int(count_state(addr, pages, EM_PAGE_RESIDENT), known ? (AHEAD + 1) * RUN - 1 : 1,
	       "that, and nothing else");
	is_int(majors(), 1, "by one fault");
	is_int(count_good(addr, 0, pages, 1), pages, "all are right");
	usleep(100000); /* the last wishes are over */
	check_balance(addr, pages, "ahead from the start");
}

/* ---- marks of streams ------------------------------------------------- */

#define LONG_RUN 16u /* pages of 64K, enough to be worth a mark */

static const char *const long_streams = "prefetch.readahead=64K\neviction.granule=64K\n"
					"limits.memory=32M";

/* 64 runs that are stored, with nothing in standby. */
static uintptr_t store_runs(void)
{
	start_world(spawn_thread, long_streams);
	uintptr_t addr = map_pages(64 * LONG_RUN);

	fill_pages(addr, 0, 64 * LONG_RUN, 1);
	evict_all();
	empty_standby();
	return addr;
}

/* Asks for a run, and waits until it is there but for its mark. */
static bool bring_run(uintptr_t addr, size_t run, int step, bool write)
{
	size_t first = run * LONG_RUN, mark = step > 0 ? first : first + LONG_RUN - 1;

	em_ahead_ask(&(struct em_wish){ em_page_of(addr) + mark, LONG_RUN, step, write, false });
	return comes_in(addr, step > 0 ? first + 1 : first, LONG_RUN - 1) &&
	       state_of(addr + mark * PAGE) == EM_PAGE_STANDBY;
}

/* The first run from this one on whose mark is set: two threads cannot set one at once. */
static size_t marked_run(uintptr_t addr, size_t run, int step)
{
	size_t last = run + AHEAD * (size_t)step;

	while (run != last &&
	       state_of(addr + (run * LONG_RUN + (step > 0 ? 0 : LONG_RUN - 1)) * PAGE) !=
		       EM_PAGE_STANDBY)
		run += (size_t)step;
	return run;
}

/* The first page of a run that is read ahead stays in a buffer; a touch of it goes on. */
static void marks(const void *arg)
{
	int step = *(const int *)arg;
	size_t run = 32, first = run * LONG_RUN + (step > 0 ? 0 : LONG_RUN - 1), mark, good = 0;
	uintptr_t addr = store_runs();

	for (size_t i = LONG_RUN; i > 0; i--)
		good += has_page(addr, first - i * (size_t)step, 1);
	is_int(good, LONG_RUN, "a run is read");
	usleep(100000); /* what that has asked for is over */
	run = marked_run(addr, run, step);
	mark = run * LONG_RUN + (step > 0 ? 0 : LONG_RUN - 1);
	ok(state_of(addr + mark * PAGE) == EM_PAGE_STANDBY, "one that comes leaves its mark");
	ok(state_of(addr + (mark + (size_t)step) * PAGE) == EM_PAGE_RESIDENT, "the page after it is in");

	uint64_t before = majors(), reads = report_now().reads;
	uint32_t told = atomic_load(&em_thread_self()->event_head);
	ok(has_page(addr, mark, 1), "the mark is right");
	is_int(state_of(addr + mark * PAGE), EM_PAGE_RESIDENT, "and resident now");
	is_int(majors(), before, "without a read of its own");
	is_int(atomic_load(&em_thread_self()->event_head), told, "which is no hit");
	ok(comes_in(addr, (run + AHEAD * (size_t)step) * LONG_RUN + 1, LONG_RUN - 2),
	   "the run that is next comes");
	ok(report_now().reads > reads, "from the store");

	/* A second's worth of reading is owed. */
	usleep(100000);
	run = marked_run(addr, run + (size_t)step, step);
	mark = run * LONG_RUN + (step > 0 ? 0 : LONG_RUN - 1);
	em_quota_set(&(struct em_config){ .io_bandwidth = 10u << 20 });
	em_quota_use_io(11u << 20);
	ok(has_page(addr, mark, 1), "another mark is right");
	is_int(report_now().quota_waits, 1, "its touch waits for the quota, like what it asks for");
	em_quota_set(&(struct em_config){ 0 });
	is_int(count_good(addr, 0, 64 * LONG_RUN, 1), 64 * LONG_RUN, "all are right");
	usleep(100000); /* the last wishes are over */
	check_balance(addr, 64 * LONG_RUN, "marks");
}

/*
 * Making room for a mark waits for who owns a page in the cluster that is emptied. Who
 * does may be waiting for the run, as munmap does: so nothing of the run is owned yet.
 */
static void mark_waits(const void *arg)
{
	enum { PAGES = 64 * LONG_RUN };
	static uint64_t owned[PAGES];
	uintptr_t addr = store_runs();
	uint64_t first = em_page_of(addr);
	size_t seized = 0, stored;

	(void)arg;
	count_good(addr, 0, PAGES, 1);
	usleep(100000); /* what that has asked for is over */
	evict_all(); /* more than fits into standby: all of its clusters are in use */
	finish_writes();
	for (size_t i = 0; i < PAGES; i++)
		if (state_of(addr + i * PAGE) == EM_PAGE_STANDBY) {
			owned[i] = seize(first + i);
			seized++;
		}
	stored = count_state(addr, PAGES, EM_PAGE_STORED);
	ok(seized > LONG_RUN && stored > LONG_RUN, "%zu pages of standby are somebody's, %zu are stored",
	   seized, stored);
	for (size_t run = 0; run < 64; run++)
		em_ahead_ask(&(struct em_wish){ first + run * LONG_RUN, LONG_RUN, 1, false, false });
	usleep(200000); /* what can be read has been */
	is_int(count_state(addr, PAGES, EM_PAGE_LOADING), seized,
	       "nothing is owned while room for a mark is made");
	for (size_t i = 0; i < PAGES; i++)
		if (owned[i])
			let_go(first + i, owned[i]);
	is_int(count_good(addr, 0, PAGES, 1), PAGES, "all are right");
}

/* What a program does to the page while it is a mark. */
static void marks_meet(const void *arg)
{
	uintptr_t addr = store_runs();

	(void)arg;
	ok(bring_run(addr, 4, 1, false) && bring_run(addr, 8, 1, true) &&
	   bring_run(addr, 12, 1, false) && bring_run(addr, 16, -1, false) &&
	   bring_run(addr, 20, 1, false), "runs with marks");
	is_int(put_page(addr, 4 * LONG_RUN, 2), FAKE_FINE, "written to");
	ok(has_page(addr, 4 * LONG_RUN, 2), "it has what was written");
	is_int(put_page(addr, 8 * LONG_RUN, 2), FAKE_FINE, "also where the run was to be written to");
	is_int(em_region_discard(addr + 12 * LONG_RUN * PAGE, PAGE), 0, "discarded");
	is_int(state_of(addr + 12 * LONG_RUN * PAGE), EM_PAGE_UNTOUCHED, "it is gone");
	empty_standby();
	is_int(state_of(addr + (17 * LONG_RUN - 1) * PAGE), EM_PAGE_STORED,
	       "not touched, it goes back to where it is stored");
	em_region_unmap(addr + 20 * LONG_RUN * PAGE, LONG_RUN * PAGE);

	ok(bring_run(addr, 24, 1, false), "one more");
	while (state_of(addr + (25 * LONG_RUN - 1) * PAGE) == EM_PAGE_RESIDENT && evict_batch() > 0)
		;
	is_int(state_of(addr + 24 * LONG_RUN * PAGE), EM_PAGE_STANDBY, "the rest leaves before it");
	ok(has_page(addr, 24 * LONG_RUN, 1), "so it comes alone");
	evict_all();
	ok(state_of(addr + 24 * LONG_RUN * PAGE) != EM_PAGE_RESIDENT, "and leaves in its turn");
	empty_standby();
	ok(has_page(addr, 4 * LONG_RUN, 2) && has_page(addr, 8 * LONG_RUN, 2),
	   "what was written lasts");
	is_int(count_good(addr, 16 * LONG_RUN, 20 * LONG_RUN, 1), 4 * LONG_RUN, "and the others do");
	em_region_unmap(addr, 64 * LONG_RUN * PAGE);
	is_int(em_slots_used(), 0, "no slot is left behind");
	is_int((long long)report_now().standby_bytes, 0, "no buffer either");
}

static void *read_from(void *arg)
{
	uintptr_t addr = (uintptr_t)arg;

	is_int(count_good(addr, 16, 16 + 4 * RUN, 1), 4 * RUN, "another thread goes on");
	return NULL;
}

/* What is beside a fault tells of a stream that another thread began. */
static void streams_of_others(const void *arg)
{
	pthread_t t;

	(void)arg;
	start_world(spawn_nothing, streams);
	uintptr_t addr = map_pages(64);
	fill_pages(addr, 0, 64, 1);
	evict_all();
	empty_standby();
	is_int(count_good(addr, 0, 16, 1), 16, "one thread reads 16 pages");
	uint64_t before = majors();
	pthread_create(&t, NULL, read_from, (void *)addr);
	pthread_join(t, NULL);
	is_int(majors() - before, 4, "with the whole window from the first fault on");

	before = majors();
	is_int(has_page(addr, 60, 1), 1, "a page far from all others");
	is_int(count_state(addr + 60 * PAGE, 4, EM_PAGE_RESIDENT), 1, "comes alone");
	check_balance(addr, 64, "streams of others");
}

/* More runs at once than there are buffers: they wait, and are not cut short. */
static uintptr_t crowd_addr;

static void *crowd_reader(void *arg)
{
	size_t part = (size_t)(uintptr_t)arg;

	is_int(count_good(crowd_addr, part * 64, part * 64 + 64, 1), 64, "its part is right");
	return NULL;
}

static void few_buffers(const void *arg)
{
	pthread_t t[8];

	(void)arg;
	start_world(spawn_nothing, "prefetch.readahead=256K\neviction.granule=64K");
	crowd_addr = map_pages(8 * 64);
	fill_pages(crowd_addr, 0, 8 * 64, 1);
	evict_all();
	empty_standby();
	for (uintptr_t i = 0; i < 8; i++)
		pthread_create(&t[i], NULL, crowd_reader, (void *)i);
	for (int i = 0; i < 8; i++)
		pthread_join(t[i], NULL);
	ok(majors() <= 8 * 12, "by long runs: %llu faults", (unsigned long long)majors());
	check_balance(crowd_addr, 8 * 64, "few buffers");
}

/* A wish costs nothing where it cannot be had. */
static void vain_wishes(const void *arg)
{
	(void)arg;
	start_world(spawn_thread, streams);
	uintptr_t addr = map_pages(32);
	uint64_t first = em_page_of(addr);
	fill_pages(addr, 0, 16, 1);
	evict_all();
	empty_standby();

	fake.read_error = -EIO;
	fake.reads_to_fail = 2;
	em_ahead_ask(&(struct em_wish){ first, RUN, 1, false, false });
	for (int i = 0; i < 2000 && fake.reads_to_fail; i++)
		usleep(1000);
	is_int(fake.reads_to_fail, 0, "what was asked for is read, in vain");
	em_ahead_ask(&(struct em_wish){ first + 4, RUN, 1, false, false });
	ok(comes_in(addr, 4, RUN), "the next wish is fulfilled");
	is_int(count_state(addr, 4, EM_PAGE_STORED), 4, "the pages of the first are where they were");
	is_int(count_good(addr, 0, 16, 1), 16, "and not lost");

	em_ahead_ask(&(struct em_wish){ first + 16, RUN, 1, false, false });
	em_ahead_ask(&(struct em_wish){ first + 40, RUN, 1, false, false });
	em_ahead_ask(&(struct em_wish){ first, RUN, -1, false, false });
	em_ahead_ask(&(struct em_wish){ em_window_bytes() / PAGE, RUN, 1, false, false });
	usleep(20000); /* they are over before the pages leave */
	evict_all();
	empty_standby();
	em_ahead_ask(&(struct em_wish){ first + 12, RUN, 1, false, false });
	ok(comes_in(addr, 12, RUN), "wishes after those are fulfilled");
	is_int(fake.mapped, RUN, "untouched, unmapped and impossible pages stay away");
	check_balance(addr, 32, "vain wishes");
}

static int spawn_refused(void (*body)(void))
{
	(void)body;
	return -EAGAIN;
}

static void ahead_refused(const void *arg)
{
	(void)arg;
	start_world(spawn_refused, streams);
	uintptr_t addr = map_pages(128);
	fill_pages(addr, 0, 128, 1);
	evict_all();
	empty_standby();
	is_int(count_good(addr, 0, 128, 1), 128, "without a thread each reads for itself");
	ok(majors() >= 128 / RUN, "run by run");
	check_balance(addr, 128, "no read-ahead thread");
}

int main(void)
{
	static const int up = 1, down = -1;
	static const char *const move = "prefetch.readahead=0\neviction.granule=4K\n"
					"eviction.way_out=move";

	in_child("first touch", first_touch, NULL);
	in_child("soft faults, copy", soft_faults, plain);
	in_child("soft faults, move", soft_faults, move);
	in_child("clean pages, copy", clean_pages, plain);
	in_child("clean pages, move", clean_pages, move);
	in_child("zero pages", zero_pages, plain);
	in_child("writes under way", standby_write_in_flight, NULL);
	in_child("read errors", read_errors, NULL);
	in_child("read errors in runs", read_errors_in_runs, NULL);
	in_child("read-ahead", read_ahead, NULL);
	in_child("downwards", downwards, NULL);
	in_child("first touch beside others", first_touch_beside_others, NULL);
	in_child("over a border", over_a_border, NULL);
	in_child("random reads", random_reads, NULL);
	in_child("dense granules", dense_granules, &(bool){ true });
	in_child("dense granules, no prefetching", dense_granules, &(bool){ false });
	in_child("lonely pages", lonely_pages, NULL);
	in_child("even granules", even_granules, NULL);
	in_child("bring in", bring_in, NULL);
	in_child("bring in during a change", bring_in_during_change, NULL);
	in_child("kernel errors", kernel_errors, NULL);
	in_child("ahead of a stream upwards", ahead_of_streams, &up);
	in_child("ahead of a stream downwards", ahead_of_streams, &down);
	in_child("ahead while waiting", ahead_while_waiting, &(bool){ false });
	in_child("ahead while waiting, for another", ahead_while_waiting, &(bool){ true });
	in_child("sequential by a rule", ahead_from_the_start, "sequential");
	in_child("a stream by a rule", ahead_from_the_start, "readahead");
	in_child("marks upwards", marks, &up);
	in_child("marks downwards", marks, &down);
	in_child("a mark waits", mark_waits, NULL);
	in_child("marks meet", marks_meet, NULL);
	in_child("streams of others", streams_of_others, NULL);
	in_child("few buffers", few_buffers, NULL);
	in_child("vain wishes", vain_wishes, NULL);
	in_child("no read-ahead thread", ahead_refused, NULL);
	return done_testing();
}
