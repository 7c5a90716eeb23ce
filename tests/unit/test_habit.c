/* SPDX-License-Identifier: MIT
 *
 * Pages that come back soon and are spared; pages that are written to after they were
 * read, and come in writable (habit.h).
 */
#include "world.h"
#include "habit.h"

#define LONE "prefetch.algorithm=none\neviction.granule=256K\n"
#define GRANULE 64u
/* Of 8M; habit.c: five sixteenths of the limit are not soon any more. */
#define LIMIT_PAGES 2048u
#define LONG_PAGES (LIMIT_PAGES / 16 * 6)

/* ---- what comes back soon ---------------------------------------------- */

static bool is_there(uintptr_t addr, uint64_t page)
{
	return state_of(addr + page * PAGE) == EM_PAGE_RESIDENT;
}

/* Page 5 of a granule leaves alone and is touched again. */
static void come_back(uintptr_t addr)
{
	evict_all();
	empty_standby();
	is_int(state_of(addr + 5 * PAGE), EM_PAGE_STORED, "the page has left");
	ok(has_page(addr, 5, 1), "and comes back as it was");
}

/*
 * How often a batch leaves page 5 where it is while others of its granule leave, each
 * time another one that has never been away. They have no neighbours, or those would
 * come in with them.
 */
static unsigned int count_spared(uintptr_t addr, uint64_t *fresh)
{
	unsigned int n = 0;

	for (;; n++) {
		uint64_t other = *fresh;
		*fresh += 2;
		put_page(addr, other, 1);
		is_int(evict_batch(), 0, "a batch is evicted");
		ok(!is_there(addr, other), "the page beside it leaves");
		if (!is_there(addr, 5))
			return n;
	}
}

static void spared(const void *arg)
{
	const unsigned int *times = arg;
	char config[64];

	snprintf(config, sizeof(config), LONE "eviction.spare=%u", times[0]);
	start_world(spawn_nothing, config);
	uintptr_t addr = map_pages(GRANULE);
	uint64_t fresh = 7;

	put_page(addr, 5, 1);
	for (int i = 1; i <= 4; i++) {
		come_back(addr);
		is_int(count_spared(addr, &fresh), times[i], "spare %u: spared so often, time %d",
		       times[0], i);
	}
	ok(has_page(addr, 5, 1), "and it is right");
	for (uint64_t p = 7; p < fresh; p += 2)
		ok(has_page(addr, p, 1), "and so is page %d", (int)p);
	check_balance(addr, GRANULE, "spared");
}

/* Back from standby, without having been read. */
static void from_standby(const void *arg)
{
	start_world(spawn_nothing, arg);
	uintptr_t addr = map_pages(GRANULE);
	uint64_t fresh = 7;

	put_page(addr, 5, 1);
	evict_all();
	is_int(state_of(addr + 5 * PAGE), EM_PAGE_STANDBY, "the page is in standby");
	ok(has_page(addr, 5, 1), "and comes back");
	is_int(count_spared(addr, &fresh), 1, "it is spared once");
	is_int(report_now().bytes_read, 0, "nothing was read");
}

static void after_long(const void *arg)
{
	start_world(spawn_nothing, arg);
	uintptr_t addr = map_pages(GRANULE), much = map_pages(LONG_PAGES);
	uint64_t fresh = 7;

	put_page(addr, 5, 1);
	come_back(addr);
	evict_all(); /* there is nothing else: it leaves */
	fill_pages(much, 0, LONG_PAGES, 1);
	evict_all();
	come_back(addr);
	is_int(count_spared(addr, &fresh), 0, "what comes back late is not spared");
	come_back(addr);
	is_int(count_spared(addr, &fresh), 1, "and begins anew");
}

/* What has nothing to leave instead of it, and what was asked for, leaves. */
static void not_spared(const void *arg)
{
	start_world(spawn_nothing, arg);
	uintptr_t addr = map_pages(GRANULE * 100);

	for (uint64_t p = 5; p < GRANULE * 100; p += GRANULE)
		put_page(addr, p, 1);
	come_back(addr);
	is_int(evict_batch(), 0, "a batch of what is spared only is evicted");
	ok(!is_there(addr, 5), "it leaves");
	for (int i = 0; i < 3; i++) {
		for (uint64_t p = 5; p < GRANULE * 100; p += GRANULE)
			ok(has_page(addr, p, 1), "page %d is right", (int)p);
		is_int(evict_batch(), 0, "a batch is evicted where there are more than are looked at");
		evict_all();
		is_int(count_state(addr, GRANULE * 100, EM_PAGE_RESIDENT), 0, "all can leave");
	}
	come_back(addr);
	em_reclaim_range(em_page_of(addr), em_page_of(addr) + GRANULE);
	ok(!is_there(addr, 5), "what is asked for leaves");
	check_balance(addr, GRANULE * 100, "not spared");
}

static void changed(const void *arg)
{
	start_world(spawn_nothing, arg);
	uintptr_t addr = map_pages(GRANULE);
	uint64_t fresh = 7;

	put_page(addr, 5, 1);
	em_habit_set(0);
	come_back(addr);
	is_int(count_spared(addr, &fresh), 0, "changed to 0: nothing is spared");
	em_habit_set(7);
	come_back(addr);
	is_int(count_spared(addr, &fresh), 1, "and to 7: it is");
	come_back(addr);
	em_habit_set(0);
	is_int(count_spared(addr, &fresh), 0, "nor is what came back before it was 0");
}

/* ---- what is written to ------------------------------------------------ */

enum { READS = 0x401000, REPLACES = 0x402000 };

/* Pages that are stored only, by an instruction one by one; how many come in clean. */
static size_t read_pages(uintptr_t addr, size_t from, size_t to, uintptr_t instruction)
{
	size_t before = report_now().clean_bytes / PAGE;

	fake.instruction = instruction;
	is_int(count_good(addr, from, to, 1), to - from, "what is read is right");
	fake.instruction = 0;
	return report_now().clean_bytes / PAGE - before;
}

static uint64_t soft_faults(void)
{
	return report_now().faults[EM_FAULT_SOFT];
}

static void written(const void *arg)
{
	enum { PAGES = 320 };
	start_world(spawn_nothing, arg);
	uintptr_t addr = map_pages(PAGES);

	fill_pages(addr, 0, PAGES, 1);
	evict_all();
	empty_standby();
	is_int(read_pages(addr, 0, 16, REPLACES), 16, "pages come in clean");
	uint64_t soft = soft_faults();
	fill_pages(addr, 0, 16, 1);
	is_int(soft_faults() - soft, 16, "a write is a fault of its own");

	is_int(read_pages(addr, 16, 176, REPLACES), 10,
	       "what that instruction reads is writable, but for one in sixteen");
	soft = soft_faults();
	fill_pages(addr, 16, 176, 1);
	is_int(soft_faults() - soft, 10, "no fault where it is");
	is_int(read_pages(addr, 176, 192, READS), 16, "what another reads is clean");
	is_int(read_pages(addr, 192, 208, 0), 16, "and what none is known to have");

	/* What came in clean and leaves unwritten says the opposite. */
	size_t clean = 0, rounds = 0;
	do {
		evict_all();
		empty_standby();
		clean = read_pages(addr, 0, PAGES, REPLACES);
	} while (clean < PAGES && ++rounds < 10);
	is_int(clean, PAGES, "it no longer writes: all is clean again, after %zu rounds", rounds);
	ok(rounds > 0, "not at once");
	check_balance(addr, PAGES, "written");
}

int main(void)
{
	static const char *const plain = LONE, *const move = LONE "eviction.way_out=move";

	in_child("spare 7", spared, (const unsigned int[]){ 7, 1, 3, 7, 7 });
	in_child("spare 3", spared, (const unsigned int[]){ 3, 1, 3, 3, 3 });
	in_child("spare 2", spared, (const unsigned int[]){ 2, 1, 2, 2, 2 });
	in_child("spare 0", spared, (const unsigned int[]){ 0, 0, 0, 0, 0 });
	in_child("from standby", from_standby, plain);
	in_child("from standby, move", from_standby, move);
	in_child("after long", after_long, plain);
	in_child("not spared", not_spared, plain);
	in_child("not spared, move", not_spared, move);
	in_child("changed", changed, plain);
	in_child("written", written, LONE "eviction.spare=0");
	in_child("written, move", written, LONE "eviction.spare=0\neviction.way_out=move");
	return done_testing();
}
