/* SPDX-License-Identifier: MIT
 *
 * Regions: map, unmap, protect, discard and remap, against a plain model of
 * what each page may and holds, while pages come and go underneath.
 */
#include "world.h"

#include <errno.h>

#define ARENA 1024u /* pages of the window that the model knows */
#define RW (PROT_READ | PROT_WRITE)

static const uintptr_t base = EM_WINDOW_BASE;

/* ---- the model ------------------------------------------------------- */

struct model_page {
	bool mapped;
	int prot;
	uint64_t version; /* of page 0 of the pattern; 0: zeros */
};

static struct model_page model[ARENA];
static uint64_t seed, next_version;

static bool is_free(uint64_t from, uint64_t count)
{
	for (uint64_t p = from; p < from + count; p++)
		if (p >= ARENA || model[p].mapped)
			return false;
	return true;
}

static bool is_covered(uint64_t from, uint64_t count)
{
	for (uint64_t p = from; p < from + count; p++)
		if (!model[p].mapped)
			return false;
	return true;
}

static void model_set(uint64_t from, uint64_t count, bool mapped, int prot)
{
	for (uint64_t p = from; p < from + count; p++)
		model[p] = (struct model_page){ mapped, mapped ? prot : 0, 0 };
}

/* One past the last page of the region that page p lies in. */
static uint64_t model_end(uint64_t p)
{
	int prot = model[p].prot;

	while (p < ARENA && model[p].mapped && model[p].prot == prot)
		p++;
	return p;
}

static uintptr_t at(uint64_t page) { return base + page * PAGE; }

static bool load_is_right(uint64_t p)
{
	uint64_t want[PAGE / 8], got[PAGE / 8];
	enum fake_access how = fake_load(at(p), got, PAGE);

	if (!model[p].mapped || !model[p].prot)
		return how == FAKE_SEGV;
	pattern(want, 0, model[p].version);
	return how == FAKE_FINE && !memcmp(want, got, PAGE);
}

static bool store_is_right(uint64_t p)
{
	uint64_t words[PAGE / 8];
	enum fake_access how;

	pattern(words, 0, ++next_version);
	how = fake_store(at(p), words, PAGE);
	if (!model[p].mapped || !(model[p].prot & PROT_WRITE))
		return how == FAKE_SEGV;
	model[p].version = next_version;
	return how == FAKE_FINE;
}

/* The array of regions against the model: sorted, exact, and merged. */
static bool regions_are_right(void)
{
	uint64_t p = 0, bytes = 0, reserved = 0;

	for (uint32_t i = 0; i < em_table->region_count; i++) {
		const struct em_region *r = &em_regions[i];
		uint64_t from = em_page_of(r->start), to = em_page_of(r->end);
		for (; p < from; p++)
			if (model[p].mapped)
				return false;
		if (p != from || !model[p].mapped || model_end(p) != to ||
		    (int)r->prot != model[p].prot)
			return false;
		*(r->prot ? &bytes : &reserved) += r->end - r->start;
		p = to;
	}
	for (; p < ARENA; p++)
		if (model[p].mapped)
			return false;
	return em_segment->mapped_bytes == bytes && em_segment->reserved_bytes == reserved &&
	       em_segment->regions == em_table->region_count;
}

/* ---- operations ------------------------------------------------------ */

static int any_prot(void)
{
	static const int prots[] = { RW, RW, RW, PROT_READ, PROT_NONE };

	return prots[roll(&seed, EM_ARRAY_LEN(prots))];
}

static void any_range(uint64_t *from, uint64_t *count)
{
	*count = 1 + roll(&seed, 60);
	*from = roll(&seed, ARENA - *count);
}

static bool do_map(void)
{
	uint64_t count = 1 + roll(&seed, 60), p;
	size_t align = PAGE << roll(&seed, 6);
	int prot = any_prot();
	uintptr_t addr;

	if (em_region_map(count * PAGE, align, prot, (struct em_origin){ EM_SOURCE_MMAP, 0 }, &addr) < 0)
		return false;
	p = em_page_of(addr);
	if (addr % align || p % (1u << em_granule_shift()))
		return false;
	if (p + count > ARENA) /* full: out of the model's sight, out of mind */
		return em_region_unmap(addr, count * PAGE) == 0;
	if (!is_free(p, count))
		return false;
	model_set(p, count, true, prot);
	return true;
}

static bool do_map_at(void)
{
	uint64_t from, count;
	int prot = any_prot();

	any_range(&from, &count);
	if (em_region_map_at(at(from), count * PAGE, prot, (struct em_origin){ EM_SOURCE_MMAP, 0 }) < 0)
		return false;
	model_set(from, count, true, prot);
	return true;
}

static bool do_unmap(void)
{
	uint64_t from, count;

	any_range(&from, &count);
	if (em_region_unmap(at(from), count * PAGE) < 0)
		return false;
	model_set(from, count, false, 0);
	return true;
}

static bool do_protect(void)
{
	uint64_t from, count;
	int prot = any_prot(), ret;

	any_range(&from, &count);
	ret = em_region_protect(at(from), count * PAGE, prot);
	bool covered = is_covered(from, count);
	for (uint64_t p = from; p < from + count && model[p].mapped; p++)
		model[p].prot = prot; /* up to the first gap */
	return ret == (covered ? 0 : -ENOMEM);
}

static bool do_discard(void)
{
	uint64_t from, count;
	int ret;

	any_range(&from, &count);
	ret = em_region_discard(at(from), count * PAGE);
	for (uint64_t p = from; p < from + count; p++)
		model[p].version = 0;
	return ret == (is_covered(from, count) ? 0 : -ENOMEM);
}

static bool overlap(uint64_t a, uint64_t a_count, uint64_t b, uint64_t b_count)
{
	return a < b + b_count && b < a + a_count;
}

static void model_remap(uint64_t from, uint64_t old_count, uint64_t to, uint64_t new_count)
{
	struct model_page was[ARENA];
	int prot = model[from].prot;

	memcpy(was, model, sizeof(was));
	model_set(from, old_count, false, 0);
	model_set(to, new_count, true, prot);
	for (uint64_t i = 0; i < em_min(old_count, new_count); i++)
		model[to + i] = was[from + i];
}

static bool do_remap(void)
{
	uint64_t from, count, new_count, end, to;
	int flags = (int)roll(&seed, 3); /* nothing, MAYMOVE, and FIXED */
	uintptr_t moved = 0;
	int ret;

	any_range(&from, &count);
	any_range(&to, &new_count);
	flags = flags == 2 ? MREMAP_MAYMOVE | MREMAP_FIXED : flags;
	end = model[from].mapped ? model_end(from) : from;
	ret = em_region_remap(at(from), count * PAGE, new_count * PAGE, flags,
			      flags & MREMAP_FIXED ? at(to) : 0, &moved);
	if (from + count > end)
		return ret == -EFAULT;
	if (flags & MREMAP_FIXED && overlap(from, count, to, new_count))
		return ret == -EINVAL;
	if (ret < 0)
		return ret == -ENOMEM && !flags && new_count > count &&
		       !is_free(from + count, new_count - count);
	if (flags & MREMAP_FIXED ? moved != at(to) : !flags && moved != at(from))
		return false;
	to = em_page_of(moved);
	if (to + new_count > ARENA) { /* as in do_map() */
		model_set(from, count, false, 0);
		return em_region_unmap(moved, new_count * PAGE) == 0;
	}
	model_remap(from, count, to, new_count);
	return true;
}

static bool do_accesses(void)
{
	bool right = true;

	for (int i = 0; i < 20; i++) {
		uint64_t p = roll(&seed, ARENA);
		right &= roll(&seed, 2) ? load_is_right(p) : store_is_right(p);
	}
	return right;
}

static bool do_evict(void)
{
	for (uint64_t n = roll(&seed, 8); n; n--)
		evict_batch();
	if (roll(&seed, 4) == 0)
		empty_standby();
	return true;
}

static void random_operations(const void *arg)
{
	static const struct {
		const char *name;
		bool (*run)(void);
		unsigned int weight;
	} ops[] = {
		{ "map", do_map, 2 }, { "map_at", do_map_at, 2 },
		{ "unmap", do_unmap, 2 }, { "protect", do_protect, 2 },
		{ "discard", do_discard, 1 }, { "remap", do_remap, 3 },
		{ "access", do_accesses, 16 }, { "evict", do_evict, 4 },
	};
	unsigned int wrong[EM_ARRAY_LEN(ops)] = { 0 }, runs[EM_ARRAY_LEN(ops)] = { 0 };
	unsigned int regions_wrong = 0, pages_wrong = 0;

	start_world(spawn_nothing, arg);
	for (int i = 0; i < 2000; i++) {
		uint64_t n = roll(&seed, 32);
		size_t k = 0;
		while (n >= ops[k].weight)
			n -= ops[k++].weight;
		wrong[k] += !ops[k].run();
		runs[k]++;
		regions_wrong += !regions_are_right();
		for (uint64_t p = 0; i % 100 == 0 && p < ARENA; p++)
			pages_wrong += !load_is_right(p);
	}
	for (size_t k = 0; k < EM_ARRAY_LEN(ops); k++)
		is_int(wrong[k], 0, "%s: %u times as it should", ops[k].name, runs[k]);
	is_int(regions_wrong, 0, "the regions are right after each operation");
	is_int(pages_wrong, 0, "and every page holds what it should");
	check_balance(base, ARENA, "at rest");
	is_int(em_region_unmap(base, ARENA * PAGE), 0, "all is unmapped");
	finish_writes();
	is_int(em_slots_used(), 0, "no slot is lost");
	is_int(credits_at_rest(), em_segment->credit_pages, "nor a credit");
	is_int(fake.mapped, 0, "and nothing is mapped");
}

/* ---- by hand ---------------------------------------------------------- */

/* The contents move with the pages, in whatever state these are. */
static void remap_states(const void *arg)
{
	uint64_t words[PAGE / 8], want[PAGE / 8];
	unsigned int wrong = 0;
	uintptr_t moved;

	start_world(spawn_nothing, arg);
	uintptr_t addr = map_pages(64), behind = map_pages(64);
	fill_pages(addr, 0, 48, 1);
	evict_all();
	empty_standby();
	count_good(addr, 0, 8, 1);      /* clean */
	fill_pages(addr, 8, 24, 1);     /* dirty, then */
	evict_batch();                  /* on standby, some of them */
	uint64_t reads = fake.reads;

	is_int(em_region_remap(addr, 64 * PAGE, 80 * PAGE, 0, 0, &moved), -ENOMEM,
	       "there is no room to grow in place");
	is_int(em_region_remap(addr, 64 * PAGE, 80 * PAGE, MREMAP_MAYMOVE, 0, &moved), 0,
	       "so it moves");
	ok(moved >= behind + 64 * PAGE, "to where there is");
	is_int(fake.reads, reads, "without reading what is stored");
	for (uint64_t p = 0; p < 80; p++) {
		pattern(want, p, p < 48);
		wrong += fake_load(moved + p * PAGE, words, PAGE) != FAKE_FINE ||
			 memcmp(words, want, PAGE);
	}
	is_int(wrong, 0, "every page has moved, what is new is zero");
	is_int(fake_load(addr, words, 8), FAKE_SEGV, "the old place is empty");
	check_balance(addr, 256, "moved");

	is_int(em_region_remap(moved, 80 * PAGE, 10 * PAGE, 0, 0, &moved), 0, "it shrinks");
	is_int(count_good(moved, 0, 10, 1), 10, "what is left is right");
	is_int(fake_load(moved + 10 * PAGE, words, 8), FAKE_SEGV, "the rest is gone");
	is_int(em_region_remap(moved, 10 * PAGE, 30 * PAGE, 0, 0, &moved), 0,
	       "it grows in place");
	ok(has_page(moved, 9, 1) && has_page(moved, 10, 0) && has_page(moved, 29, 0),
	   "by zeroed pages");
	is_int(em_region_remap(moved, 30 * PAGE, 30 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
			       moved + 5 * PAGE, &moved), -EINVAL,
	       "to move it over itself is refused");
	is_int(count_good(moved, 0, 10, 1), 10, "and changes nothing");
}

static void protections(const void *arg)
{
	uint64_t words[PAGE / 8];

	start_world(spawn_nothing, arg);
	uintptr_t addr = map_pages(48);
	fill_pages(addr, 0, 48, 1);
	em_region_protect(addr, 16 * PAGE, PROT_READ);
	em_region_protect(addr + 16 * PAGE, 16 * PAGE, PROT_NONE);
	is_int(fake_store(addr, words, 8), FAKE_SEGV, "read-only memory cannot be written");
	is_int(fake_load(addr + 16 * PAGE, words, 8), FAKE_SEGV, "nor PROT_NONE be read");
	evict_all();
	is_int(fake.mapped, 0, "both leave like others");
	empty_standby();
	is_int(count_good(addr, 0, 16, 1), 16, "read-only memory comes back");
	em_region_protect(addr, 48 * PAGE, RW);
	is_int(count_good(addr, 0, 48, 1), 48, "and so does all when it is allowed to");
	is_int(put_page(addr, 3, 2), FAKE_FINE, "and can be written");
	ok(has_page(addr, 3, 2), "that is kept");
	is_int(em_table->region_count, 1, "the three regions are one again");
}

/* A mapping of the kernel's inside the window. */
static void foreign(const void *arg)
{
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
	unsigned char byte = 9;

	start_world(spawn_nothing, arg);
	uintptr_t addr = map_pages(96), mid = addr + 32 * PAGE;
	fill_pages(addr, 0, 96, 1);
	is_int(em_region_give_away(mid, 32 * PAGE), 0, "a range is given away");
	ok(mmap((void *)mid, 32 * PAGE, RW, flags, -1, 0) == (void *)mid,
	   "and the kernel maps something there");
	memset((void *)mid, 7, 32 * PAGE);
	is_int(em_fault_handle(mid, 0, false, false), EM_FAULT_NOT_OURS, "faults there are not ours");
	evict_all();
	is_int(fake_load(mid, &byte, 1), FAKE_FINE, "eviction leaves it alone");
	is_int(byte, 7, "with its contents");
	is_int(em_fault_bring_in(mid - PAGE, 2 * PAGE, true), 0, "system calls may use it");
	is_int(count_good(addr, 0, 32, 1) + count_good(addr, 64, 96, 1), 64,
	       "memory around it is as it was");
	is_int(em_region_discard(addr, 96 * PAGE), 0, "all of it is discarded");
	is_int(em_fault_handle(mid, 0, false, false), EM_FAULT_NOT_OURS,
	       "and the range is still not ours");
	is_int(em_region_map_at(mid, 32 * PAGE, RW, (struct em_origin){ EM_SOURCE_MMAP, 0 }), 0, "it is mapped anew");
	is_int(count_good(addr, 0, 96, 0), 96, "and zero, all of it");
	fill_pages(addr, 0, 96, 2);
	evict_all();
	is_int(count_good(addr, 0, 96, 2), 96, "and managed");
	is_int(em_table->region_count, 1, "as one region");
}

static void locked(const void *arg)
{
	start_world(spawn_nothing, arg);
	uintptr_t addr = map_pages(64);
	fill_pages(addr, 0, 64, 1);
	fake_lock_memory(addr + 10 * PAGE, 20 * PAGE, true);
	is_int(em_region_discard(addr, 64 * PAGE), -EINVAL, "locked memory is not discarded");
	is_int(em_region_unmap(addr, 64 * PAGE), 0, "but can be unmapped");
	is_int(em_table->region_count, 0, "and is gone");
	is_int(fake.mapped, 0, "from memory, too");
	is_int(credits_at_rest(), em_segment->credit_pages, "with all its credits");

	uintptr_t moved;
	addr = map_pages(8);
	map_pages(8);
	fill_pages(addr, 0, 8, 1);
	fake_lock_memory(addr, 8 * PAGE, true);
	is_int(em_region_remap(addr, 8 * PAGE, 16 * PAGE, MREMAP_MAYMOVE, 0, &moved), 0,
	       "it can be moved, too");
	uint64_t words[PAGE / 8], want[PAGE / 8];
	pattern(want, 5, 1);
	ok(fake_load(moved + 5 * PAGE, words, PAGE) == FAKE_FINE && !memcmp(words, want, PAGE),
	   "with what it holds");
	check_balance(EM_WINDOW_BASE, 256, "locked");
}

/* Somebody touches a block for the first time while it is being discarded. */
static uintptr_t late_addr;

static void touch_late(uintptr_t addr, size_t bytes)
{
	(void)addr;
	(void)bytes;
	fake.in_discard = NULL;
	put_page(late_addr, 0, 1);
}

static void touched_meanwhile(const void *arg)
{
	const size_t pages = 3 * EM_BLOCK_PAGES;

	start_world(spawn_nothing, arg);
	uintptr_t addr = map_pages(pages);
	put_page(addr, EM_BLOCK_PAGES, 1);
	late_addr = addr + (2 * EM_BLOCK_PAGES + 9) * PAGE;
	fake.in_discard = touch_late;
	is_int(em_region_discard(addr, pages * PAGE), 0, "a range is discarded");
	check_balance(addr, pages, "touched behind");
	put_page(addr, EM_BLOCK_PAGES, 1);
	late_addr = addr + 9 * PAGE;
	fake.in_discard = touch_late;
	is_int(em_region_discard(addr, pages * PAGE), 0, "again");
	check_balance(addr, pages, "touched before");
	is_int(em_region_unmap(addr, pages * PAGE), 0, "all of it goes");
	is_int(credits_at_rest(), em_segment->credit_pages, "with every credit");
}

static void touch_new_place(uintptr_t addr, size_t bytes)
{
	(void)addr;
	(void)bytes;
	fake.in_unlock = NULL;
	for (size_t p = 0; p < 16; p += 2)
		put_page(late_addr, p, 9);
}

/* The new place of a mapping is touched before the pages are there. */
static void touched_new_place(const void *arg)
{
	uintptr_t moved;

	start_world(spawn_nothing, arg);
	uintptr_t addr = map_pages(32);
	fill_pages(addr, 0, 4, 1);
	evict_all();
	fill_pages(addr, 4, 12, 1);
	late_addr = map_pages(32);
	fake.in_unlock = touch_new_place;
	is_int(em_region_remap(addr, 32 * PAGE, 32 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
			       late_addr, &moved), 0, "a mapping moves to where pages appear");
	uint64_t words[PAGE / 8], want[PAGE / 8];
	unsigned int wrong = 0;
	for (uint64_t p = 0; p < 12; p++) {
		pattern(want, p, 1);
		wrong += fake_load(moved + p * PAGE, words, PAGE) != FAKE_FINE ||
			 memcmp(words, want, PAGE);
	}
	is_int(wrong, 0, "its own pages replace them");
	check_balance(EM_WINDOW_BASE, 256, "new place");
	em_region_unmap(moved, 32 * PAGE);
	is_int(credits_at_rest(), em_segment->credit_pages, "no credit is lost");
}

/* A raw madvise(2) before mremap(2). */
static void dropped_before_move(const void *arg)
{
	uintptr_t moved;

	start_world(spawn_nothing, arg);
	uintptr_t addr = map_pages(32);
	fill_pages(addr, 0, 32, 1);
	map_pages(8);
	em_sys_discard(addr + 4 * PAGE, 8 * PAGE);
	is_int(em_region_remap(addr, 32 * PAGE, 64 * PAGE, MREMAP_MAYMOVE, 0, &moved), 0,
	       "a mapping moves, some pages of it are missing");
	is_int(count_good(moved, 4, 12, 0), 8, "they read as zero");
	is_int(count_good(moved, 0, 4, 0), 0, "the others do not");
	check_balance(EM_WINDOW_BASE, 256, "dropped");
}

/* Grown and moved, it is one mapping still, with the advice for all of it. */
static void remap_advised(const void *config)
{
	struct em_region r;
	uintptr_t moved;

	start_world(spawn_nothing, config);
	uintptr_t addr = map_pages(64);

	em_region_unmap(addr + 32 * PAGE, 32 * PAGE);
	is_int(em_region_flag(addr, 32 * PAGE, EM_REGION_NO_FORK, 0), 0, "not for children");
	is_int(em_region_remap(addr, 32 * PAGE, 64 * PAGE, 0, 0, &moved), 0, "it grows");
	fill_pages(addr, 0, 64, 1);
	is_int(em_region_remap(addr, 64 * PAGE, 80 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
			       addr + 128 * PAGE, &moved), 0, "and moves");
	is_int(count_good(moved, 0, 64, 1), 64, "with its contents");
	ok(em_region_find(moved, &r) && r.end == moved + 80 * PAGE &&
	   r.flags == EM_REGION_NO_FORK, "as one, still not for children");
}

static int count_mapped(uintptr_t addr, int pages)
{
	int n = 0;

	for (int i = 0; i < pages; i++)
		n += fake_is_mapped(addr + (uintptr_t)i * PAGE);
	return n;
}

/* The kernel stops half way: regions and mappings are what they were. */
static void protected_half_way(const void *config)
{
	uint64_t words[PAGE / 8];

	start_world(spawn_nothing, config);
	uintptr_t addr = map_pages(48);

	fill_pages(addr, 0, 48, 1);
	em_region_protect(addr + 16 * PAGE, 16 * PAGE, PROT_READ);
	fake.protected_at_most = 20;
	is_int(em_region_protect(addr, 48 * PAGE, PROT_NONE), -ENOMEM, "it cannot be protected");
	is_int(count_good(addr, 0, 48, 1), 48, "all of it can still be read");
	is_int(put_page(addr, 3, 1), FAKE_FINE, "and written where it could be before");
	is_int(fake_store(addr + 20 * PAGE, words, 8), FAKE_SEGV, "but nowhere else");
	is_int(em_region_unmap(addr, 48 * PAGE), -ENOMEM, "it cannot be unmapped");
	is_int(count_good(addr, 0, 48, 1), 48, "and nothing is lost");
	is_int(put_page(addr, 40, 1), FAKE_FINE, "nor changed");
	fake.protected_at_most = 0;
	is_int(em_region_unmap(addr, 48 * PAGE), 0, "until there is room");
	check_balance(addr, 48, "unmapped");
}

/* What is locked may grow as far as more can be locked. */
static void locked_grows(const void *config)
{
	struct em_region r;
	uintptr_t moved;

	start_world(spawn_nothing, config);
	uintptr_t addr = map_pages(16);

	is_int(em_region_pin(addr, 16 * PAGE), 0, "locked");
	fill_pages(addr, 0, 16, 1);
	is_int(em_region_remap(addr, 16 * PAGE, 24 * PAGE, 0, 0, &moved), 0, "it grows");
	is_int(em_region_remap(addr, 24 * PAGE, 32 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
			       addr + 64 * PAGE, &moved), 0, "and moves, as one");
	ok(em_region_find(moved, &r) && r.end == moved + 32 * PAGE &&
	   r.flags == EM_REGION_PINNED, "locked still");
	evict_all();
	is_int(count_mapped(moved, 16), 16, "nothing of it leaves");
	is_int(count_good(moved, 0, 16, 1), 16, "and it is right");
	is_int(em_region_remap(moved, 32 * PAGE, 100000 * PAGE, MREMAP_MAYMOVE, 0, &moved),
	       -EAGAIN, "more than can be locked it does not become");
}

int main(void)
{
	static const char *const copy = "eviction.granule=16K\nprefetch.readahead=64K";
	static const char *const move = "eviction.granule=16K\nprefetch.readahead=64K\n"
					"eviction.way_out=move";

	seed = first_seed();
	for (int i = 0; i < 3; i++, seed++) {
		in_child("random operations, copy", random_operations, copy);
		in_child("random operations, move", random_operations, move);
	}
	fake.no_move = true;
	in_child("random operations, old kernel", random_operations, copy);
	in_child("remap, old kernel", remap_states, copy);
	fake.no_move = false;
	in_child("remap, copy", remap_states, copy);
	in_child("remap, move", remap_states, move);
	in_child("protections, copy", protections, copy);
	in_child("protections, move", protections, move);
	in_child("foreign, copy", foreign, copy);
	in_child("foreign, move", foreign, move);
	in_child("locked, copy", locked, copy);
	in_child("locked, move", locked, move);
	in_child("remap of what was advised about, copy", remap_advised, copy);
	in_child("remap of what was advised about, move", remap_advised, move);
	in_child("protected half way", protected_half_way, copy);
	in_child("what is locked grows, copy", locked_grows, copy);
	in_child("what is locked grows, move", locked_grows, move);
	in_child("touched meanwhile", touched_meanwhile, copy);
	in_child("touched new place, copy", touched_new_place, copy);
	in_child("touched new place, move", touched_new_place, move);
	in_child("dropped before a move", dropped_before_move, copy);
	return done_testing();
}
