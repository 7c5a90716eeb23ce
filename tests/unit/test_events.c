/* SPDX-License-Identifier: MIT
 *
 * What the policy is told beside faults: contents that are gone, and advice; and that
 * no unit is lost over it.
 */
#include "policy.h"
#include "world.h"

enum { PAGES = 64, UNITS_MAX = 64 }; /* of the 16 pages that a granule has by default */

static uint32_t unit_of(uintptr_t addr, uint32_t nth)
{
	return (uint32_t)em_granule_of(em_page_of(addr)) + nth;
}

static size_t per_granule(void)
{
	return 1u << em_granule_shift();
}

/* All that is in, in the order in which it would leave. */
static size_t take_all(uint32_t *units, size_t max)
{
	sigset_t old;
	size_t n;

	em_sys_block_signals(&old);
	n = em_policy_victims(units, max);
	em_sys_restore_signals(&old);
	return n;
}

/* Whether the next units are those of a mapping, in order. */
static bool are_units_of(const uint32_t *units, uintptr_t addr, size_t pages)
{
	for (uint32_t i = 0; i < pages / per_granule(); i++)
		if (units[i] != unit_of(addr, i))
			return false;
	return true;
}

/* Two mappings, filled one after the other. */
struct pair {
	uintptr_t a, b;
	uint32_t each; /* units */
};

static struct pair two_filled(const char *config)
{
	struct pair p;

	if (!start_world(spawn_nothing, config))
		exit(1);
	p = (struct pair){ map_pages(PAGES), map_pages(PAGES), PAGES / (uint32_t)per_granule() };
	fill_pages(p.a, 0, PAGES, 1);
	fill_pages(p.b, 0, PAGES, 1);
	return p;
}

static void test_unmapped(const void *how)
{
	struct pair p = two_filled("eviction.algorithm=fifo\n");
	uint32_t units[UNITS_MAX];

	if (how)
		is_int(em_region_discard(p.a, PAGES * PAGE), 0, "a discard");
	else
		is_int(em_region_unmap(p.a, PAGES * PAGE), 0, "an unmapping");
	is_int(take_all(units, UNITS_MAX), p.each, "what is left is in, and no more");
	ok(are_units_of(units, p.b, PAGES), "all of it");
}

/* The same addresses with something new in them are new. */
static void test_again(const void *arg)
{
	struct pair p = two_filled("eviction.algorithm=fifo\n");
	uint32_t units[UNITS_MAX];

	(void)arg;
	em_region_discard(p.a, PAGES * PAGE);
	fill_pages(p.a, 0, PAGES, 2);
	is_int(take_all(units, UNITS_MAX), 2 * p.each, "both are in, once");
	ok(are_units_of(units, p.b, PAGES), "first what was there all along");
	ok(are_units_of(units + p.each, p.a, PAGES), "then what is new");
	is_int(take_all(units, UNITS_MAX), 0, "nothing else");
}

static void test_part(const void *arg)
{
	struct pair p = two_filled("eviction.algorithm=fifo\n");
	uint32_t units[UNITS_MAX];

	(void)arg;
	em_region_discard(p.a + PAGE, (PAGES - 2) * PAGE);
	is_int(take_all(units, UNITS_MAX), p.each + 2, "a granule of which a page is left stays");
	is_int(units[0], unit_of(p.a, 0), "the first");
	is_int(units[1], unit_of(p.a, p.each - 1), "and the last");
}

/* A unit that had left, and is remembered: what comes later is not what it was. */
static void test_ghost(const void *arg)
{
	struct pair p = two_filled("eviction.algorithm=2q\n");
	uint32_t units[UNITS_MAX];

	(void)arg;
	evict_all();
	em_region_discard(p.a, PAGES * PAGE);
	fill_pages(p.a, 0, PAGES, 2);
	fill_pages(p.b, 0, PAGES, 2);
	is_int(take_all(units, UNITS_MAX), 2 * p.each, "both are in, once");
	/* A ghost that comes back is hot to 2q, which gives up that as long as little is new. */
	ok(are_units_of(units, p.b, PAGES), "what is new is not taken for what was there before");
}

static void test_advice(const void *arg)
{
	struct pair p = two_filled("eviction.algorithm=lru\n");
	uint32_t units[UNITS_MAX];

	(void)arg;
	em_region_advise(p.a, PAGES * PAGE, EXTMEM_COLD);
	em_region_advise(p.a, PAGES * PAGE, EXTMEM_HOT);
	is_int(take_all(units, UNITS_MAX), 2 * p.each, "both are in");
	ok(are_units_of(units, p.b, PAGES), "what is hot leaves last");
	em_region_advise(p.a, PAGES * PAGE, EXTMEM_HOT);
	is_int(take_all(units, UNITS_MAX), 0, "advice brings nothing in");
}

/* ---- touched while forgotten ------------------------------------------ */

enum { ROUNDS = 20000, THREADS = 3 };

static _Atomic bool finished;
static uint64_t seed;

static void *touch_and_drop(void *arg)
{
	struct { uintptr_t addr; uint64_t seed; } *my = arg;
	uint64_t state = my->seed;

	for (int i = 0; i < ROUNDS; i++) {
		size_t page = (state = mix(state + 1)) % PAGES;
		put_page(my->addr, page, 1);
		if (state >> 32 & 3)
			em_region_discard(my->addr + em_round_down(page, per_granule()) * PAGE,
					  per_granule() * PAGE);
	}
	for (size_t page = 0; page < PAGES; page += 7)
		put_page(my->addr, page, 1);
	return NULL;
}

/* Reclaim that takes victims and finds that none can leave. */
static void *ask_in_vain(void *arg)
{
	uint32_t units[4];

	(void)arg;
	while (!finished) {
		sigset_t old;
		em_sys_block_signals(&old);
		size_t n = em_policy_victims(units, 4);
		while (n)
			em_policy_tell(units[--n], EXTMEM_KEPT);
		em_sys_restore_signals(&old);
	}
	return NULL;
}

static void test_race(const void *algorithm)
{
	struct { uintptr_t addr; uint64_t seed; } my[THREADS];
	static uint32_t units[THREADS * UNITS_MAX];
	size_t n, lost = 0, twice = 0;
	pthread_t t[THREADS], asker;
	char config[64];

	snprintf(config, sizeof(config), "eviction.algorithm=%s\n", (const char *)algorithm);
	if (!start_world(spawn_nothing, config))
		return;
	pthread_create(&asker, NULL, ask_in_vain, NULL);
	for (int i = 0; i < THREADS; i++) {
		my[i].addr = map_pages(PAGES);
		my[i].seed = seed + (uint64_t)i;
		pthread_create(&t[i], NULL, touch_and_drop, &my[i]);
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	finished = true;
	pthread_join(asker, NULL);
	n = take_all(units, THREADS * UNITS_MAX);
	for (int i = 0; i < THREADS; i++)
		for (uint32_t g = 0; g < PAGES / per_granule(); g++) {
			size_t found = 0;
			for (size_t k = 0; k < n; k++)
				found += units[k] == unit_of(my[i].addr, g);
			lost += !found;
			twice += found > 1;
		}
	is_int(lost, 0, "%s: every unit with a page in memory is in", (const char *)algorithm);
	is_int(twice, 0, "%s: and once", (const char *)algorithm);
}

int main(void)
{
	static const char *const algorithms[] = { "fifo", "lru", "car", "lirs", "s3fifo" };

	seed = first_seed();
	in_child("unmapped", test_unmapped, NULL);
	in_child("discarded", test_unmapped, "discarded");
	in_child("used again", test_again, NULL);
	in_child("a part of it", test_part, NULL);
	in_child("a ghost", test_ghost, NULL);
	in_child("advice", test_advice, NULL);
	for (size_t i = 0; i < EM_ARRAY_LEN(algorithms); i++)
		in_child("touched while forgotten", test_race, algorithms[i]);
	return done_testing();
}
