/* SPDX-License-Identifier: MIT */
#include "region.h"
#include "arch.h"
#include "credits.h"
#include "knobs.h"
#include "lock.h"
#include "log.h"
#include "page.h"
#include "policy.h"
#include "reclaim.h"
#include "slots.h"
#include "standby.h"
#include "stats.h"
#include "thread.h"
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

static struct em_lock map_lock = EM_LOCK_INIT(EM_LOCK_MAP);
static uint32_t next_id = 1;
static _Atomic bool advised; /* the program has said something of some region */
static uintptr_t lowest_gap = EM_WINDOW_BASE; /* no room below this address */

void em_map_lock(void) { em_lock(&map_lock); }
void em_map_unlock(void) { em_unlock(&map_lock); }
bool em_map_contended(void) { return em_lock_contended(&map_lock); }

/* ---- the sorted array ------------------------------------------------ */

static uint32_t region_count(void)
{
	return atomic_load_explicit(&em_table->region_count,
				    memory_order_relaxed);
}

/* The first region that ends above addr. */
static uint32_t lower_bound(uintptr_t addr)
{
	uint32_t low = 0, high = region_count();

	while (low < high) {
		uint32_t mid = (low + high) / 2;
		if (em_regions[mid].end > addr)
			high = mid;
		else
			low = mid + 1;
	}
	return low;
}

uint32_t em_region_seq(void)
{
	return atomic_load(&em_table->region_seq);
}

static void change_begin(void)
{
	atomic_fetch_add(&em_table->region_seq, 1);
}

static void change_end(void)
{
	atomic_fetch_add(&em_table->region_seq, 1);
	em_gauge(&em_segment->regions, region_count());
}

bool em_region_next(uintptr_t addr, struct em_region *out)
{
	for (unsigned int tries = 0;; tries++) {
		uint32_t seq = em_region_seq();
		if (seq & 1) { /* for as long as an array entry takes to change */
			if (tries % 64 == 63)
				em_sys_yield();
			em_cpu_relax();
			continue;
		}
		uint32_t i = lower_bound(addr);
		bool found = i < region_count();
		if (found)
			*out = em_regions[i];
		atomic_thread_fence(memory_order_acquire);
		if (em_region_seq() == seq)
			return found;
	}
}

bool em_region_find(uintptr_t addr, struct em_region *out)
{
	struct em_region r;

	if (!em_region_next(addr, &r) || r.start > addr)
		return false;
	*out = r;
	return true;
}

size_t em_region_covered(uintptr_t addr, size_t bytes)
{
	uintptr_t at = addr, end = addr + bytes;
	struct em_region r;

	while (at < end && em_region_find(at, &r))
		at = r.end;
	return em_min(at, end) - addr;
}

bool em_region_covers(uintptr_t addr, size_t bytes)
{
	return em_region_covered(addr, bytes) == bytes;
}

/* Accessible and merely reserved address space, for the statistics. */
static void account(const struct em_region *r, bool add)
{
	em_counter *c = r->prot == PROT_NONE ? &em_segment->reserved_bytes
					     : &em_segment->mapped_bytes;
	if (r->source == EM_SOURCE_FOREIGN)
		return;
	if (add)
		em_count(c, r->end - r->start);
	else
		em_uncount(c, r->end - r->start);
}

static void insert_at(uint32_t i, const struct em_region *r)
{
	uint32_t n = region_count();

	memmove(&em_regions[i + 1], &em_regions[i], (n - i) * sizeof(*r));
	em_regions[i] = *r;
	atomic_store_explicit(&em_table->region_count, n + 1,
			      memory_order_relaxed);
	account(r, true);
}

static void remove_at(uint32_t i)
{
	uint32_t n = region_count();

	account(&em_regions[i], false);
	memmove(&em_regions[i], &em_regions[i + 1],
		(n - i - 1) * sizeof(struct em_region));
	atomic_store_explicit(&em_table->region_count, n - 1,
			      memory_order_relaxed);
}

/* Makes addr a border between regions, if it lies inside of one. */
static void split_at(uintptr_t addr)
{
	uint32_t i = lower_bound(addr);
	struct em_region upper;

	if (i == region_count() || em_regions[i].start >= addr)
		return;
	upper = em_regions[i];
	account(&em_regions[i], false);
	em_regions[i].end = addr;
	account(&em_regions[i], true);
	upper.start = addr;
	insert_at(i + 1, &upper);
}

/*
 * Whether two neighbours may be one: same kind, and no name to lose. Where there
 * are rules, who mapped what is kept, too.
 */
static bool mergeable(const struct em_region *a, const struct em_region *b)
{
	return a->end == b->start && a->prot == b->prot && a->flags == b->flags &&
	       a->source == b->source && a->hint == b->hint && a->rule == b->rule &&
	       !strcmp(a->name, b->name) && (!em_rules_any() || a->caller == b->caller);
}

static void merge_around(uintptr_t start, uintptr_t end)
{
	uint32_t i = lower_bound(start);

	i = i ? i - 1 : 0;
	while (i + 1 < region_count() && em_regions[i].start <= end) {
		struct em_region *r = &em_regions[i];
		if (!mergeable(r, r + 1)) {
			i++;
			continue;
		}
		struct em_region whole = *r;
		whole.end = r[1].end;
		whole.asked_bytes = em_max(whole.asked_bytes, r[1].asked_bytes);
		remove_at(i + 1);
		remove_at(i);
		insert_at(i, &whole);
	}
}

/* Whether splitting a range off needs more entries than there are. */
static bool table_full(void)
{
	return region_count() + 4 > EM_REGIONS_MAX;
}

static void remove_range(uintptr_t start, uintptr_t end)
{
	split_at(start);
	split_at(end);
	for (uint32_t i = lower_bound(start);
	     i < region_count() && em_regions[i].start < end;)
		remove_at(i);
	if (start < lowest_gap)
		lowest_gap = start;
}

static struct em_region make_region(uintptr_t start, uintptr_t end, int prot,
				    struct em_origin origin)
{
	struct em_region r = {
		.start = start, .end = end, .prot = (uint32_t)prot,
		.source = origin.source, .caller = origin.caller,
		.asked_bytes = end - start,
	};

	r.rule = em_rules_match(&r);
	return r;
}

static void add_range(uintptr_t start, uintptr_t end, int prot, struct em_origin origin)
{
	struct em_region r = make_region(start, end, prot, origin);

	r.id = next_id++;
	insert_at(lower_bound(start), &r);
	merge_around(start, end);
}

static bool range_is_free(uintptr_t start, uintptr_t end)
{
	uint32_t i = lower_bound(start);

	return i == region_count() || em_regions[i].start >= end;
}

bool em_region_is_free(uintptr_t addr, size_t bytes)
{
	sigset_t old;
	bool is_free;

	em_lock_enter(&map_lock, &old);
	is_free = range_is_free(addr, addr + bytes);
	em_lock_leave(&map_lock, &old);
	return is_free;
}

static uintptr_t window_end(void)
{
	return EM_WINDOW_BASE + em_window_bytes();
}

/*
 * First fit, from the lowest gap up: reused addresses reuse their table
 * entries. Starts are aligned to a granule, so that no granule has two owners.
 */
static uintptr_t find_room(size_t bytes, size_t align)
{
	uintptr_t at = em_round_up(lowest_gap, align);
	uint32_t i = lower_bound(at);

	for (; i < region_count(); i++) {
		if (em_regions[i].start >= at && em_regions[i].start - at >= bytes)
			break;
		at = em_round_up(em_regions[i].end, align);
	}
	return at + bytes <= window_end() && at + bytes > at ? at : 0;
}

/* ---- claims ---------------------------------------------------------- */

static void claim_page(uint64_t page)
{
	for (;;) {
		uint64_t w = em_page_load(page);
		switch (EM_WORD_STATE(w)) {
		case EM_PAGE_LOADING:
		case EM_PAGE_EVICTING:
		case EM_PAGE_BUSY:
			em_page_wait(page, w);
			break;
		default:
			if (em_page_own(page, w, EM_PAGE_BUSY))
				return;
		}
	}
}

/* The first page at or after `page`, below end, in a block that was touched. */
static uint64_t next_touched(uint64_t page, uint64_t end)
{
	while (page < end && em_protects(EM_KNOB_RESERVE) &&
	       em_block_is_virgin(em_block_of_page(page)))
		page = (em_block_of_page(page) + 1) * EM_BLOCK_PAGES;
	return page;
}

bool em_region_is_untouched(uintptr_t addr, size_t bytes)
{
	uint64_t page = em_page_of(addr), end = em_page_of(addr + bytes - 1) + 1;

	for (; (page = next_touched(page, end)) < end; page++)
		if (EM_WORD_STATE(em_page_load(page)) != EM_PAGE_UNTOUCHED)
			return false;
	return true;
}

static uint64_t block_end(uint64_t page, uint64_t end)
{
	return em_min((em_block_of_page(page) + 1) * EM_BLOCK_PAGES, end);
}

/* Calls f for each maximal piece of touched blocks in [page, end). */
static void for_touched(uint64_t page, uint64_t end,
			void (*f)(uint64_t from, uint64_t to, void *arg), void *arg)
{
	while ((page = next_touched(page, end)) < end) {
		uint64_t to = block_end(page, end);
		while (to < end && !em_block_is_virgin(em_block_of_page(to)))
			to = block_end(to, end);
		f(page, to, arg);
		page = to;
	}
}

static void claim(uint64_t from, uint64_t to, void *arg)
{
	(void)arg;
	for (uint64_t p = from; p < to; p++)
		claim_page(p);
}

/* Gives back what a claimed page holds: its credit, its slot, its buffer. */
static unsigned int release_holdings(uint64_t page)
{
	uint64_t w = em_page_load(page);

	em_standby_release(w);
	return em_word_was(w) == EM_WAS_RESIDENT;
}

struct ending {
	enum em_page_state state; /* what the claimed pages become */
	bool keep_foreign;        /* but not those that are the kernel's */
	bool unmap;               /* the addresses go, too */
	uint64_t credits;
	int error;
};

static bool is_foreign(uint64_t owned)
{
	return EM_WORD_STATE(em_word_unowned(owned)) == EM_PAGE_FOREIGN;
}

/* True: they had contents, in memory or away. */
static bool forget_pages(uint64_t from, uint64_t to, struct ending *e)
{
	bool any = false;

	for (uint64_t p = from; p < to; p++) {
		uint64_t w = em_page_load(p);
		any |= em_word_was(w) == EM_WAS_RESIDENT || em_word_was(w) == EM_WAS_AWAY;
		e->credits += release_holdings(p);
		em_page_set(p, e->keep_foreign && is_foreign(w) ? em_word_unowned(w) :
			       em_word_make(e->state, EM_SLOT_NONE, -1, false));
	}
	return any;
}

/* Granule by granule: the policy is told of those that go whole. */
static void forget(uint64_t from, uint64_t to, struct ending *e)
{
	for (uint64_t p = from, next; p < to; p = next) {
		uint64_t granule = em_granule_of(p), end = (granule + 1) << em_granule_shift();

		next = em_min(end, to);
		if (forget_pages(p, next, e) && next == end &&
		    p == granule << em_granule_shift())
			em_policy_forget((uint32_t)granule);
	}
}

/* Undoes a claim, when the kernel refused what it was for. */
static void unclaim(uint64_t from, uint64_t to)
{
	for (uint64_t p = from; p < to; p++)
		em_page_set(p, em_word_unowned(em_page_load(p)));
}

static uint64_t page_end(uintptr_t addr, size_t bytes)
{
	return em_page_of(addr + bytes - 1) + 1;
}

/*
 * One piece from claim to end: a block that is touched for the first time
 * meanwhile is either met later, or not met at all.
 */
static void wipe_piece(uint64_t from, uint64_t to, void *arg)
{
	struct ending *e = arg;
	int ret = 0;

	claim(from, to, NULL);
	if (!e->unmap || em_sys_unmap(em_page_addr(from), (to - from) << EM_PAGE_SHIFT) < 0)
		ret = em_sys_discard(em_page_addr(from), (to - from) << EM_PAGE_SHIFT);
	if (ret == 0 || ret == -ENOMEM) { /* a gap on the way; the rest is gone */
		forget(from, to, e);
		return;
	}
	unclaim(from, to);
	if (!e->error)
		e->error = ret;
}

/* Drops all contents of a range; its pages are untouched afterwards. */
static int wipe(uintptr_t addr, size_t bytes, bool keep_foreign, bool unmap)
{
	struct ending e = { .state = EM_PAGE_UNTOUCHED, .keep_foreign = keep_foreign,
			    .unmap = unmap };

	for_touched(em_page_of(addr), page_end(addr, bytes), wipe_piece, &e);
	em_credits_give(e.credits);
	return e.error;
}

/* Whether a kernel mapping was put into this range, and has to go again. */
static bool has_foreign(uintptr_t addr, size_t bytes)
{
	for (uint32_t i = lower_bound(addr);
	     i < region_count() && em_regions[i].start < addr + bytes; i++)
		if (em_regions[i].source == EM_SOURCE_FOREIGN)
			return true;
	return false;
}

static bool is_sealed(uintptr_t addr, size_t bytes)
{
	for (uint32_t i = lower_bound(addr);
	     i < region_count() && em_regions[i].start < addr + bytes; i++)
		if (em_regions[i].flags & EM_REGION_SEALED && em_protects(EM_KNOB_SEAL))
			return true;
	return false;
}

/*
 * The kernel changes mapping by mapping and may run out of them on the way:
 * what it has changed becomes again what the regions say. That joins what was
 * split, and needs no more of them.
 */
static void undo_protect(uintptr_t addr, uintptr_t end)
{
	uint32_t i = lower_bound(addr);
	uintptr_t at = addr;

	for (; at < end; i++) {
		bool any = i < region_count() && em_regions[i].start < end;
		uintptr_t start = any ? em_max(em_regions[i].start, at) : end;
		if (start > at && !em_window_is_sparse())
			em_sys_protect(at, start - at, PROT_NONE);
		if (!any)
			return;
		at = em_min(em_regions[i].end, end);
		if (em_regions[i].source != EM_SOURCE_FOREIGN)
			em_sys_protect(start, at - start, (int)em_regions[i].prot);
	}
}

/* Makes a range what it is where no region is, whatever it was. */
static int reclaim_addresses(uintptr_t addr, size_t bytes)
{
	long p;

	if (em_window_is_sparse()) {
		em_sys_dealloc((void *)addr, bytes);
		return 0;
	}
	p = em_syscall(SYS_mmap, (long)addr, (long)bytes, PROT_NONE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
	if (p < 0 && p > -4096)
		return (int)p;
	em_syscall(SYS_madvise, (long)addr, (long)bytes, MADV_NOHUGEPAGE, 0, 0, 0);
	return em_sys_uffd_register(addr, bytes);
}

/* Nobody may touch the range any more. The kernel's own in it stays as it is. */
static int shut_off(uintptr_t addr, uintptr_t end)
{
	uint32_t i = lower_bound(addr);
	int ret = 0;

	if (!em_window_is_sparse())
		return em_sys_protect(addr, end - addr, PROT_NONE);
	for (; i < region_count() && em_regions[i].start < end && ret == 0; i++) {
		const struct em_region *r = &em_regions[i];
		uintptr_t from = em_max(r->start, addr);
		if (r->source != EM_SOURCE_FOREIGN)
			ret = em_sys_protect(from, em_min(r->end, end) - from, PROT_NONE);
	}
	return ret;
}

/*
 * Takes a range out of the regions, empties it and takes its permissions
 * away. In this order: a fault that still counted on the region has owned its
 * pages, and the claim waits for it; one that comes later maps its own page
 * only, and finds it BUSY.
 */
static int clear(uintptr_t addr, size_t bytes)
{
	bool foreign = has_foreign(addr, bytes);
	int ret;

	if (is_sealed(addr, bytes))
		return -EPERM;
	/* First what may fail: the kernel has room for so many mappings only. */
	ret = foreign && !em_window_is_sparse() ? 0 : shut_off(addr, addr + bytes);
	if (ret < 0) {
		undo_protect(addr, addr + bytes);
		return ret;
	}
	change_begin();
	remove_range(addr, addr + bytes);
	change_end();
	ret = wipe(addr, bytes, false, em_window_is_sparse());
	if (ret == -EINVAL) { /* locked memory can go, but not be dropped */
		em_sys_unlock(addr, bytes);
		ret = wipe(addr, bytes, false, false);
	}
	if (ret < 0)
		return ret;
	return foreign || em_window_is_sparse() ? reclaim_addresses(addr, bytes) : 0;
}

static void add_region(uintptr_t addr, size_t bytes, int prot, struct em_origin origin)
{
	change_begin();
	add_range(addr, addr + bytes, prot, origin);
	change_end();
}

/* ---- operations ------------------------------------------------------ */

static int map_locked(size_t bytes, size_t align, int prot, struct em_origin origin,
		      uintptr_t *addr)
{
	uintptr_t at = find_room(bytes, align);
	int ret;

	if (!at || table_full())
		return -ENOMEM;
	ret = em_window_commit(at, bytes, prot);
	if (ret < 0)
		return ret;
	add_region(at, bytes, prot, origin);
	if (at == em_round_up(lowest_gap, align))
		lowest_gap = at + bytes;
	*addr = at;
	return 0;
}

/* Room in the address space came into use: reclaim may be needed later. */
static void note_growth(void)
{
	em_reclaim_note_mapped(atomic_load_explicit(&em_segment->mapped_bytes,
						    memory_order_relaxed));
}

int em_region_map(size_t bytes, size_t align, int prot, struct em_origin origin,
		  uintptr_t *addr)
{
	size_t granule = EM_PAGE_BYTES << em_granule_shift();
	sigset_t old;
	int ret;

	em_lock_enter(&map_lock, &old);
	ret = map_locked(bytes, em_max(align, granule), prot, origin, addr);
	em_lock_leave(&map_lock, &old);
	note_growth();
	return ret;
}

static int map_at_locked(uintptr_t addr, size_t bytes, int prot, struct em_origin origin)
{
	int ret;

	if (table_full())
		return -ENOMEM;
	ret = clear(addr, bytes);
	if (ret == 0)
		ret = em_window_commit(addr, bytes, prot);
	if (ret == 0)
		add_region(addr, bytes, prot, origin);
	return ret;
}

int em_region_map_at(uintptr_t addr, size_t bytes, int prot, struct em_origin origin)
{
	sigset_t old;
	int ret;

	em_lock_enter(&map_lock, &old);
	ret = map_at_locked(addr, bytes, prot, origin);
	em_lock_leave(&map_lock, &old);
	note_growth();
	return ret;
}

static void touch_blocks(uint64_t from, uint64_t to)
{
	for (uint64_t p = from; p < to; p = (em_block_of_page(p) + 1) * EM_BLOCK_PAGES)
		em_block_touch(p);
}

static int give_away_locked(uintptr_t addr, size_t bytes)
{
	uint64_t from = em_page_of(addr), to = page_end(addr, bytes);
	struct ending e = { .state = EM_PAGE_FOREIGN };
	int ret;

	if (table_full())
		return -ENOMEM;
	ret = clear(addr, bytes);
	if (ret == 0) {
		touch_blocks(from, to);
		claim(from, to, NULL);
		forget(from, to, &e);
		add_region(addr, bytes, PROT_NONE,
			   (struct em_origin){ EM_SOURCE_FOREIGN, 0 });
	}
	em_credits_give(e.credits);
	return ret;
}

int em_region_give_away(uintptr_t addr, size_t bytes)
{
	sigset_t old;
	int ret;

	em_lock_enter(&map_lock, &old);
	ret = give_away_locked(addr, bytes);
	em_lock_leave(&map_lock, &old);
	return ret;
}

static int unmap_locked(uintptr_t addr, size_t bytes)
{
	if (range_is_free(addr, addr + bytes))
		return 0;
	return table_full() ? -ENOMEM : clear(addr, bytes);
}

int em_region_unmap(uintptr_t addr, size_t bytes)
{
	sigset_t old;
	int ret;

	em_lock_enter(&map_lock, &old);
	ret = unmap_locked(addr, bytes);
	em_lock_leave(&map_lock, &old);
	return ret;
}

/* Regions wholly inside [addr, end) get the new protection. */
static void set_prot(uintptr_t addr, uintptr_t end, int prot)
{
	split_at(addr);
	split_at(end);
	for (uint32_t i = lower_bound(addr);
	     i < region_count() && em_regions[i].start < end; i++) {
		account(&em_regions[i], false);
		em_regions[i].prot = (uint32_t)prot;
		em_regions[i].rule = em_rules_match(&em_regions[i]);
		account(&em_regions[i], true);
	}
	merge_around(addr, end);
}

/* As the kernel does it: up to the first gap, which is an error. */
static int protect_locked(uintptr_t addr, size_t bytes, int prot)
{
	size_t covered = em_region_covered(addr, bytes);
	int ret;

	if (!covered || table_full())
		return -ENOMEM;
	if (is_sealed(addr, covered))
		return -EPERM;
	ret = em_sys_protect(addr, covered, prot);
	if (ret < 0) {
		undo_protect(addr, addr + covered);
		return ret;
	}
	change_begin();
	set_prot(addr, addr + covered, prot);
	change_end();
	return covered == bytes ? 0 : -ENOMEM;
}

int em_region_protect(uintptr_t addr, size_t bytes, int prot)
{
	sigset_t old;
	int ret;

	em_lock_enter(&map_lock, &old);
	ret = protect_locked(addr, bytes, prot);
	em_lock_leave(&map_lock, &old);
	note_growth();
	return ret;
}

static void set_flags(uintptr_t addr, uintptr_t end, uint32_t set, uint32_t clear)
{
	split_at(addr);
	split_at(end);
	for (uint32_t i = lower_bound(addr);
	     i < region_count() && em_regions[i].start < end; i++)
		em_regions[i].flags = (em_regions[i].flags & ~clear) | set;
	merge_around(addr, end);
}

/* Gives what lies in a range a name and a hint, and a size that was asked for, or 0. */
static void describe(uintptr_t addr, uintptr_t end, const char *name, enum em_hint hint,
		     size_t asked_bytes)
{
	split_at(addr);
	split_at(end);
	for (uint32_t i = lower_bound(addr);
	     i < region_count() && em_regions[i].start < end; i++) {
		struct em_region *r = &em_regions[i];
		if (r->source == EM_SOURCE_FOREIGN)
			continue;
		memset(r->name, 0, sizeof(r->name));
		memcpy(r->name, name, em_min(strlen(name), sizeof(r->name) - 1));
		r->hint = hint;
		if (asked_bytes)
			r->asked_bytes = asked_bytes;
		r->rule = em_rules_match(r);
	}
	merge_around(addr, end);
}

/* Either may be what it is at the first byte of the range: NULL, or less than 0. */
static int describe_range(uintptr_t addr, size_t bytes, const char *name, int hint)
{
	char kept[sizeof(((struct em_region *)0)->name)];
	struct em_region r;
	sigset_t old;
	int ret = -ENOMEM;

	em_lock_enter(&map_lock, &old);
	if (em_region_covers(addr, bytes) && !table_full() && em_region_find(addr, &r)) {
		memcpy(kept, r.name, sizeof(kept));
		change_begin();
		describe(addr, addr + bytes, name ? name : kept,
			 hint < 0 ? (enum em_hint)r.hint : (enum em_hint)hint, 0);
		change_end();
		ret = 0;
	}
	em_lock_leave(&map_lock, &old);
	return ret;
}

int em_region_hint(uintptr_t addr, size_t bytes, enum em_hint hint)
{
	if (hint != EM_HINT_NORMAL)
		atomic_store(&advised, true);
	return describe_range(addr, bytes, NULL, (int)hint);
}

static void advise_piece(uint64_t from, uint64_t to, void *advice)
{
	for (uint64_t g = em_granule_of(from); g <= em_granule_of(to - 1); g++)
		em_policy_advise((uint32_t)g, *(const enum extmem_advice *)advice);
}

void em_region_advise(uintptr_t addr, size_t bytes, enum extmem_advice advice)
{
	sigset_t old;

	em_lock_enter(&map_lock, &old);
	for_touched(em_page_of(addr), page_end(addr, bytes), advise_piece, &advice);
	em_lock_leave(&map_lock, &old);
}

int em_region_name(uintptr_t addr, size_t bytes, const char *name)
{
	return describe_range(addr, bytes, name, -1);
}

void em_region_set_rules(const struct em_config *cfg)
{
	sigset_t old;

	em_lock_enter(&map_lock, &old);
	em_rules_set(cfg);
	change_begin();
	for (uint32_t i = 0; i < region_count(); i++)
		em_regions[i].rule = em_rules_match(&em_regions[i]);
	change_end();
	em_lock_leave(&map_lock, &old);
}

unsigned int em_region_rule_of(uint32_t granule)
{
	uintptr_t addr = em_page_addr((uint64_t)granule << em_granule_shift());
	struct em_region r;

	if (!em_rules_any() || !em_region_next(addr, &r) ||
	    r.start >= addr + (EM_PAGE_BYTES << em_granule_shift()))
		return 0;
	return r.rule;
}

enum em_foresight em_region_foresight(uintptr_t addr)
{
	enum em_foresight sees;
	struct em_region r;

	if (em_likely(!atomic_load_explicit(&advised, memory_order_relaxed) &&
		      !em_rules_any()))
		return EM_SEES_ALL;
	if (!em_region_find(addr, &r))
		return EM_SEES_ALL;
	sees = em_rules_foresight(r.rule);
	if (sees == EM_SEES_NOTHING || r.hint == EM_HINT_RANDOM)
		return EM_SEES_NOTHING;
	return r.hint == EM_HINT_SEQUENTIAL || r.hint == EM_HINT_ONCE ? EM_SEES_SEQUENCE : sees;
}

bool em_region_is_unwanted(size_t bytes, int prot, struct em_origin origin)
{
	struct em_region r;
	bool unwanted;
	sigset_t old;

	if (em_likely(!em_rules_any()))
		return false;
	em_lock_enter(&map_lock, &old);
	r = make_region(0, bytes, prot, origin);
	unwanted = em_rules_leave(r.rule);
	em_lock_leave(&map_lock, &old);
	return unwanted;
}

/* Bytes that would be pinned, were this range as well. */
static uint64_t pinned_with(uintptr_t addr, uintptr_t end)
{
	uint64_t sum = end - addr;

	for (uint32_t i = 0; i < region_count(); i++) {
		const struct em_region *r = &em_regions[i];
		if (!(r->flags & EM_REGION_PINNED))
			continue;
		sum += r->end - r->start;
		if (r->start < end && r->end > addr)
			sum -= em_min(r->end, end) - em_max(r->start, addr);
	}
	return sum;
}

static uint64_t most_pinned(void)
{
	return atomic_load(&em_segment->credit_pages) / 4 * 3 << EM_PAGE_SHIFT;
}

int em_region_pin(uintptr_t addr, size_t bytes)
{
	sigset_t old;
	int ret = -ENOMEM;

	if (!em_protects(EM_KNOB_LOCK))
		return 0;
	em_lock_enter(&map_lock, &old);
	if (em_region_covers(addr, bytes) && !table_full() &&
	    pinned_with(addr, addr + bytes) <= most_pinned()) {
		change_begin();
		set_flags(addr, addr + bytes, EM_REGION_PINNED, 0);
		change_end();
		ret = 0;
	}
	em_lock_leave(&map_lock, &old);
	return ret;
}

/* Memory that may not be touched holds nothing that could leave. */
static bool is_lockable(const struct em_region *r)
{
	return r->prot != PROT_NONE && r->source != EM_SOURCE_FOREIGN;
}

int em_region_pin_all(void)
{
	uint64_t sum = 0;
	sigset_t old;
	int ret = -ENOMEM;

	if (!em_protects(EM_KNOB_LOCK))
		return 0;
	em_lock_enter(&map_lock, &old);
	for (uint32_t i = 0; i < region_count(); i++)
		if (is_lockable(&em_regions[i]))
			sum += em_regions[i].end - em_regions[i].start;
	if (sum <= most_pinned()) {
		change_begin();
		for (uint32_t i = 0; i < region_count(); i++)
			if (is_lockable(&em_regions[i]))
				em_regions[i].flags |= EM_REGION_PINNED;
		change_end();
		ret = 0;
	}
	em_lock_leave(&map_lock, &old);
	return ret;
}

int em_region_seal(uintptr_t addr, size_t bytes)
{
	return em_region_covers(addr, bytes) ?
		em_region_flag(addr, bytes, EM_REGION_SEALED, 0) : -ENOMEM;
}

int em_region_flag(uintptr_t addr, size_t bytes, uint32_t set, uint32_t clear)
{
	sigset_t old;
	int ret = 0;

	em_lock_enter(&map_lock, &old);
	if (table_full()) {
		ret = -ENOMEM;
	} else {
		change_begin();
		set_flags(addr, addr + bytes, set, clear);
		change_end();
		if (!em_region_covers(addr, bytes))
			ret = -ENOMEM;
	}
	em_lock_leave(&map_lock, &old);
	return ret;
}

/* What is sealed and may not be written to cannot be emptied either. */
static bool keeps_contents(uintptr_t addr, size_t bytes)
{
	for (uint32_t i = lower_bound(addr);
	     i < region_count() && em_regions[i].start < addr + bytes; i++)
		if (em_regions[i].flags & EM_REGION_SEALED &&
		    !(em_regions[i].prot & PROT_WRITE))
			return true;
	return false;
}

int em_region_discard(uintptr_t addr, size_t bytes)
{
	bool covered;
	sigset_t old;
	int ret;

	em_lock_enter(&map_lock, &old);
	covered = em_region_covers(addr, bytes);
	ret = keeps_contents(addr, bytes) ? -EPERM : wipe(addr, bytes, true, false);
	em_lock_leave(&map_lock, &old);
	return ret < 0 ? ret : covered ? 0 : -ENOMEM;
}

/* What is taken away changes the array: look from the same address again. */
void em_region_forked(void)
{
	uintptr_t at = EM_WINDOW_BASE;

	for (uint32_t i; (i = lower_bound(at)) < region_count();) {
		struct em_region r = em_regions[i];
		size_t bytes = r.end - r.start;

		if (r.flags & EM_REGION_NO_FORK)
			clear(r.start, bytes);
		else if (r.flags & EM_REGION_WIPE_FORK)
			wipe(r.start, bytes, true, false);
		at = r.end;
	}
	change_begin();
	for (uint32_t i = 0; i < region_count(); i++)
		em_regions[i].flags &= ~EM_REGION_PINNED;
	change_end();
}

/* ---- rationed addresses ------------------------------------------------ */

static void unmap_gap(uintptr_t from, uintptr_t to)
{
	if (from < to)
		em_sys_dealloc((void *)from, to - from);
}

void em_region_fit_space(void)
{
	uintptr_t at = EM_WINDOW_BASE;
	sigset_t old;

	if (em_likely(!em_window_is_too_large()))
		return;
	em_sys_block_signals(&old);
	em_reclaim_lock();
	em_map_lock();
	if (em_window_is_too_large()) {
		for (uint32_t i = 0; i < region_count(); i++) {
			unmap_gap(at, em_regions[i].start);
			at = em_regions[i].end;
		}
		em_window_make_sparse(at - EM_WINDOW_BASE);
		unmap_gap(at, window_end());
		em_policy_fit_space(em_window_bytes() >> EM_PAGE_SHIFT >> em_granule_shift());
		em_slots_fit_space();
		em_threads_fit_space();
	}
	em_map_unlock();
	em_reclaim_unlock();
	em_sys_restore_signals(&old);
}

/* ---- mremap ---------------------------------------------------------- */

/*
 * Moves the contents of a claimed, resident page. The destination is mapped
 * writable at this time. MOVE is refused for read-only sources and on old
 * kernels: copy, then drop.
 */
static int move_resident(uint64_t from, uint64_t to)
{
	static _Alignas(EM_PAGE_BYTES) unsigned char contents[EM_PAGE_BYTES];
	uintptr_t src = em_page_addr(from), dst = em_page_addr(to);
	long n;

	if (em_reclaim_can_move() && em_sys_move(dst, src, EM_PAGE_BYTES) > 0)
		return 0;
	/* The MAP lock guards the contents. UFFDIO_COPY straight from the page
	 * would wait for whoever serves faults, should it not be there. */
	n = em_sys_peek(contents, src, EM_PAGE_BYTES);
	if (n == 0)
		n = em_sys_copy_in(dst, contents, EM_PAGE_BYTES, false);
	return n < 0 ? (int)n : em_sys_discard(src, EM_PAGE_BYTES);
}

/*
 * Claims a page of the new place. It is not always empty: a run of first
 * touches in the mapping before it may have come this far.
 */
static void claim_place(uint64_t page)
{
	em_block_touch(page);
	claim_page(page);
	if (em_word_was(em_page_load(page)) == EM_WAS_RESIDENT)
		em_sys_discard(em_page_addr(page), EM_PAGE_BYTES);
	em_credits_give(release_holdings(page));
}

/* Takes one claimed page over to its new place. */
static int move_page(uint64_t from, uint64_t to)
{
	uint64_t w = em_page_load(from);
	int ret = 0;

	claim_place(to);
	switch (em_word_was(w)) {
	case EM_WAS_RESIDENT:
		ret = move_resident(from, to);
		if (ret == -EFAULT) { /* dropped behind our back: it reads as zero */
			em_credits_give(release_holdings(from));
			w = em_word_make(EM_PAGE_UNTOUCHED, EM_SLOT_NONE, -1, false);
			break;
		}
		if (ret < 0)
			return ret;
		/* MOVE loses the write protection of a clean page. */
		em_standby_release(w);
		w = em_word_make(EM_PAGE_RESIDENT, EM_SLOT_NONE, -1, false);
		em_reclaim_tell_resident(to);
		break;
	case EM_WAS_AWAY:
		w = em_word_unowned(w);
		if (em_word_buffer(w) >= 0)
			em_standby_retarget(em_word_buffer(w), to);
		break;
	default:
		w = em_word_make(EM_PAGE_UNTOUCHED, EM_SLOT_NONE, -1, false);
	}
	em_page_set(to, w);
	em_page_set(from, em_word_make(EM_PAGE_UNTOUCHED, EM_SLOT_NONE, -1, false));
	return 0;
}

static struct em_origin origin_of(const struct em_region *r)
{
	return (struct em_origin){ (enum em_region_source)r->source, r->caller };
}

/* What was advised about a mapping, and that it is locked, holds for all that
 * it becomes. */
static void hand_on_flags(const struct em_region *r, uintptr_t addr, size_t bytes)
{
	change_begin();
	set_flags(addr, addr + bytes, r->flags, 0);
	describe(addr, addr + bytes, r->name, (enum em_hint)r->hint, 0);
	change_end();
	if (r->flags & EM_REGION_PINNED)
		em_sys_lock(addr, bytes);
}

/* Whether a mapping may grow: it is not locked, or more can be. */
static bool may_grow(const struct em_region *r, uintptr_t end, size_t by_bytes)
{
	return !(r->flags & EM_REGION_PINNED) ||
	       pinned_with(end, end) + by_bytes <= most_pinned();
}

struct moving {
	int64_t distance; /* pages */
	int error;
};

static void move_pages(uint64_t from, uint64_t to, void *arg)
{
	struct moving *m = arg;

	/* A block that was touched since the claim has nothing that is ours. */
	for (uint64_t p = from; p < to && !m->error; p++)
		if (EM_WORD_STATE(em_page_load(p)) == EM_PAGE_BUSY)
			m->error = move_page(p, (uint64_t)((int64_t)p + m->distance));
}

static int remap_elsewhere(const struct em_region *r, uintptr_t addr,
			   size_t old_bytes, size_t new_bytes, uintptr_t fixed,
			   bool keep_source, uintptr_t *moved)
{
	size_t granule = EM_PAGE_BYTES << em_granule_shift();
	uint64_t from = em_page_of(addr), to = page_end(addr, old_bytes);
	struct moving m = { 0, 0 };
	uintptr_t at = fixed;
	int prot = (int)r->prot;
	int ret;

	/* Pages can be moved into memory that is readable and writable. */
	if (fixed)
		ret = map_at_locked(fixed, new_bytes, PROT_READ | PROT_WRITE,
				    origin_of(r));
	else
		ret = map_locked(new_bytes, granule, PROT_READ | PROT_WRITE,
				 origin_of(r), &at);
	if (ret < 0)
		return ret;
	m.distance = ((int64_t)at - (int64_t)addr) / (int64_t)EM_PAGE_BYTES;
	for_touched(from, to, claim, NULL);
	em_sys_unlock(addr, old_bytes); /* locked pages can neither move nor be dropped */
	if (prot != (PROT_READ | PROT_WRITE))
		em_sys_protect(addr, old_bytes, PROT_READ | PROT_WRITE);
	for_touched(from, to, move_pages, &m);
	if (m.error)
		em_panic("mremap: cannot move pages: error %d", -m.error);
	if (prot != (PROT_READ | PROT_WRITE))
		protect_locked(at, new_bytes, prot);
	hand_on_flags(r, at, new_bytes);
	*moved = at;
	if (keep_source) /* MREMAP_DONTUNMAP: mapped as it was, and empty */
		return protect_locked(addr, old_bytes, prot);
	return unmap_locked(addr, old_bytes);
}

static int grow_in_place(const struct em_region *r, uintptr_t addr, size_t old_bytes,
			 size_t new_bytes)
{
	uintptr_t end = addr + old_bytes, new_end = addr + new_bytes;
	int ret;

	if (r->end != end || new_end > window_end() || !range_is_free(end, new_end))
		return -ENOMEM;
	ret = map_at_locked(end, new_bytes - old_bytes, (int)r->prot,
			    origin_of(r));
	if (ret < 0)
		return ret;
	hand_on_flags(r, end, new_bytes - old_bytes);
	change_begin(); /* to the rules it is one mapping, as large as it is now */
	describe(addr, new_end, r->name, (enum em_hint)r->hint, new_bytes);
	change_end();
	return 0;
}

/*
 * The region that a range lies in. It may be several to the rules of the policy
 * and one to the kernel, which joins what is alike: then as if it were one.
 */
static bool find_whole(uintptr_t addr, size_t bytes, struct em_region *out)
{
	struct em_region next;

	if (!em_region_find(addr, out))
		return false;
	while (out->end < addr + bytes) {
		if (!em_region_find(out->end, &next) || next.prot != out->prot ||
		    next.flags != out->flags || next.source != out->source)
			return false;
		out->end = next.end;
	}
	return true;
}

static int remap_locked(uintptr_t addr, size_t old_bytes, size_t new_bytes,
			int flags, uintptr_t fixed, uintptr_t *moved)
{
	bool keep = flags & MREMAP_DONTUNMAP;
	struct em_region r;
	int ret;

	if (!find_whole(addr, old_bytes, &r) || r.source == EM_SOURCE_FOREIGN)
		return -EFAULT;
	if (flags & MREMAP_FIXED && fixed < addr + old_bytes && addr < fixed + new_bytes)
		return -EINVAL;
	if (is_sealed(addr, old_bytes))
		return -EPERM;
	if (new_bytes > old_bytes && !may_grow(&r, r.end, new_bytes - old_bytes))
		return -EAGAIN;
	*moved = addr;
	if (flags & MREMAP_FIXED)
		return remap_elsewhere(&r, addr, em_min(old_bytes, new_bytes),
				       new_bytes, fixed, keep, moved);
	if (keep)
		return remap_elsewhere(&r, addr, old_bytes, new_bytes, 0, true, moved);
	if (new_bytes <= old_bytes)
		return new_bytes == old_bytes ? 0 :
			unmap_locked(addr + new_bytes, old_bytes - new_bytes);
	ret = grow_in_place(&r, addr, old_bytes, new_bytes);
	if (ret == 0 || !(flags & MREMAP_MAYMOVE))
		return ret;
	return remap_elsewhere(&r, addr, old_bytes, new_bytes, 0, false, moved);
}

int em_region_remap(uintptr_t addr, size_t old_bytes, size_t new_bytes,
		    int flags, uintptr_t fixed, uintptr_t *moved)
{
	sigset_t old;
	int ret;

	/* Standby pages change their place: nobody may recycle their buffers. */
	em_sys_block_signals(&old);
	em_reclaim_lock();
	em_map_lock();
	ret = remap_locked(addr, old_bytes, new_bytes, flags, fixed, moved);
	if (ret == 0 && flags & MREMAP_FIXED && new_bytes < old_bytes)
		unmap_locked(addr + new_bytes, old_bytes - new_bytes);
	em_map_unlock();
	em_reclaim_unlock();
	em_sys_restore_signals(&old);
	note_growth();
	return ret;
}
