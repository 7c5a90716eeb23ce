/* SPDX-License-Identifier: MIT */
#include "reclaim.h"
#include "arch.h"
#include "credits.h"
#include "fault.h"
#include "habit.h"
#include "lock.h"
#include "log.h"
#include "page.h"
#include "policy.h"
#include "region.h"
#include "slots.h"
#include "standby.h"
#include "stats.h"
#include "store.h"
#include "thread.h"
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#define EM_BATCH_MAX EM_CLUSTER_PAGES_MAX
/* About so many granules that cannot leave are passed over for a batch. */
#define EM_ASIDE_MAX 1024u
/* While fewer have been, pages that come back soon are spared. */
#define EM_ASIDE_SPARED 64u
/* Empty-handed batches in a row before a fault goes past the limit. */
#define EM_PATIENCE 50
#define EM_IDLE_NS 100000000u
/* When nothing can leave, it is not tried again for so long. */
#define EM_VAIN_NS (EM_IDLE_NS / 50)

/* A granule being evicted. */
struct quarry {
	uint32_t unit;
	bool exact;   /* protect only the pages themselves, not the holes */
	bool left;    /* some of its pages stay */
};

/* A page being evicted. */
struct prey {
	uint64_t page;
	uint64_t word;       /* as owned */
	uint32_t quarry;
	uint8_t prot;        /* of its region */
	enum { STAYS, GOES, IS_ZERO } fate;
};

static struct {
	bool by_move, can_move, by_thread, abort_on_full;
	em_spawn *spawn;
	uint64_t threshold_bytes;      /* mapped beyond this: a thread is due */
	_Atomic bool due, started;
	void (*also)(void);            /* begins with the thread */
	_Atomic uint32_t asleep;       /* futex: 1 while the thread sleeps */
	_Atomic uint64_t vain_until_ns; /* who would help does not try before */
} reclaim;

static struct em_lock reclaim_lock = EM_LOCK_INIT(EM_LOCK_RECLAIM);

/* The batch in hand; the reclaim lock guards it. */
static struct {
	struct em_cluster *cluster;
	struct quarry granules[EM_BATCH_MAX];
	size_t granule_count;
	struct prey pages[EM_BATCH_MAX];
	size_t count;
	em_slot slots[EM_BATCH_MAX];
	size_t slot_count, slots_used;
	bool store_full;
	uint32_t filled, dirty;        /* pages put into the cluster */
	struct iovec runs[EM_BATCH_MAX];
	uint32_t run_first[EM_BATCH_MAX]; /* index of a run's first page */
	uint64_t freed;
	uint32_t next_unit, end_unit;  /* granules asked for by name; equal: none */
	bool sparing;                  /* pages that come back soon may stay */
	bool spared;                   /* some do */
	uint32_t aside[EM_ASIDE_MAX + EM_BATCH_MAX]; /* granules that cannot leave now */
	size_t aside_count;
} batch;

void em_reclaim_lock(void) { em_lock(&reclaim_lock); }
bool em_reclaim_trylock(void) { return em_trylock(&reclaim_lock); }
void em_reclaim_unlock(void) { em_unlock(&reclaim_lock); }
bool em_reclaim_can_move(void) { return reclaim.can_move; }

bool em_reclaim_by_move(const struct em_config *cfg, const struct em_sys_features *f,
			bool by_thread)
{
	if (cfg->way_out == EM_OUT_AUTO)
		return f->move && (by_thread || !f->vector_drop);
	return f->move && cfg->way_out == EM_OUT_MOVE;
}

void em_reclaim_init(const struct em_config *cfg, const struct em_sys_features *f,
		     bool by_thread, em_spawn *spawn)
{
	reclaim.can_move = f->move;
	reclaim.by_move = em_reclaim_by_move(cfg, f, by_thread);
	reclaim.by_thread = by_thread;
	reclaim.abort_on_full = cfg->on_full == EM_FULL_ABORT;
	reclaim.spawn = spawn;
	reclaim.threshold_bytes =
		cfg->refault_rate ? 0 : (atomic_load(&em_segment->credit_pages) -
					 atomic_load(&em_segment->high_pages)) << EM_PAGE_SHIFT;
	strcpy(em_segment->way_out, reclaim.by_move ? "move" : "copy");
}

/* ---- choosing -------------------------------------------------------- */

static bool is_clean(const struct prey *p)
{
	return p->word & EM_WORD_CLEAN;
}

static bool is_spared(uint64_t page)
{
	if (!batch.sparing || !em_habit_spares(page))
		return false;
	batch.spared = true;
	return true;
}

/*
 * Takes what is resident of a granule, as far as the batch has room. False
 * when there was something and none of it could be had.
 */
static bool own_granule(uint32_t unit)
{
	uint64_t first = (uint64_t)unit << em_granule_shift();
	uint64_t end = first + (1u << em_granule_shift());
	uint32_t q = (uint32_t)batch.granule_count;
	struct em_region r = { .start = 0 };
	size_t before = batch.count;
	bool exact = false, left = false;

	em_granule_shut(unit);
	for (uint64_t page = first; page < end; page++) {
		uint64_t w = em_page_load(page);
		uintptr_t addr = em_page_addr(page);

		exact |= EM_WORD_STATE(w) == EM_PAGE_LOADING ||
			 EM_WORD_STATE(w) == EM_PAGE_FOREIGN;
		if (EM_WORD_STATE(w) != EM_PAGE_RESIDENT)
			continue;
		if (addr >= r.end && !em_region_find(addr, &r))
			r = (struct em_region){ .end = addr + EM_PAGE_BYTES };
		if (batch.count == em_cluster_pages() || r.flags & EM_REGION_PINNED ||
		    is_spared(page) || !em_page_own(page, w, EM_PAGE_EVICTING)) {
			left = true;
			continue;
		}
		batch.pages[batch.count++] = (struct prey){
			page, em_page_load(page) & ~EM_WORD_WAITER, q,
			(uint8_t)(r.flags & EM_REGION_KEYED ? 0 : r.prot), GOES
		};
	}
	if (batch.count == before) {
		em_granule_open(unit);
		return !left;
	}
	/* A page that stays must not be write-protected with its neighbours. */
	batch.granules[batch.granule_count++] = (struct quarry){
		unit, exact || left, left
	};
	return true;
}

static int by_page(const struct prey *a, const struct prey *b)
{
	return a->page < b->page ? -1 : a->page > b->page;
}

/*
 * By address, dirty pages first. Granules come whole and mostly in order: an
 * insertion sort moves little.
 */
static void sort_pages(void)
{
	for (size_t i = 1; i < batch.count; i++) {
		struct prey p = batch.pages[i];
		size_t k = i;
		for (; k > 0 && by_page(&p, &batch.pages[k - 1]) < 0; k--)
			batch.pages[k] = batch.pages[k - 1];
		batch.pages[k] = p;
	}
}

/*
 * What cannot leave is put aside until the batch is made: were it given back to the
 * algorithm at once, that might give it again, and never get to what can. Who
 * touches it meanwhile brings it in as well, which does no harm.
 */
static void put_aside(uint32_t unit)
{
	batch.aside[batch.aside_count++] = unit;
}

static void give_back_aside(void)
{
	while (batch.aside_count)
		em_policy_tell(batch.aside[--batch.aside_count], EXTMEM_KEPT);
}

/* Fills the batch from the granules that were asked for. */
static void choose_named(void)
{
	batch.count = batch.granule_count = 0;
	while (batch.count < em_cluster_pages() && batch.aside_count < EM_ASIDE_MAX &&
	       batch.next_unit < batch.end_unit) {
		uint64_t page = (uint64_t)batch.next_unit << em_granule_shift();
		if (!em_block_is_virgin(em_block_of_page(page)) && !own_granule(batch.next_unit))
			put_aside(batch.next_unit);
		batch.next_unit++;
	}
	sort_pages();
}

struct glance {
	uintptr_t start, end;
	bool held;
};

static void spans(const struct em_range *r, void *arg)
{
	struct glance *g = arg;

	g->held |= r->start <= g->start && r->end >= g->end;
}

/*
 * Whether all of a granule is in use by one system call: then it need not be owned
 * to find out. Asked once something had to be put aside, as more of it follows:
 * mostly nothing has. What has begun since is found by spare_hazards().
 */
static bool is_held(uint32_t unit)
{
	uintptr_t start = em_page_addr((uint64_t)unit << em_granule_shift());
	struct glance g = { start, start + (EM_PAGE_BYTES << em_granule_shift()), false };

	em_hazards_glance(spans, &g);
	return g.held;
}

/* Fills the batch with resident pages of granules that the policy gives up. */
static void choose(void)
{
	uint32_t unit;

	batch.count = batch.granule_count = 0;
	while (batch.count < em_cluster_pages() && batch.aside_count < EM_ASIDE_MAX &&
	       em_policy_victims(&unit, 1) == 1) {
		batch.sparing &= batch.aside_count < EM_ASIDE_SPARED;
		if ((batch.aside_count && is_held(unit)) || !own_granule(unit))
			put_aside(unit);
	}
	sort_pages();
}

/* The page stays after all. */
static void release(struct prey *p)
{
	p->fate = STAYS;
	batch.granules[p->quarry].left = true;
	em_page_set(p->page, em_word_unowned(p->word));
}

/* The first page of the batch, which is sorted, that ends after an address. */
static size_t first_after(uintptr_t addr)
{
	size_t low = 0, high = batch.count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (em_page_addr(batch.pages[mid].page) + EM_PAGE_BYTES > addr)
			high = mid;
		else
			low = mid + 1;
	}
	return low;
}

static void spare_range(const struct em_range *r, void *arg)
{
	(void)arg;
	for (size_t i = first_after(r->start); i < batch.count &&
	     em_page_addr(batch.pages[i].page) < r->end; i++) {
		struct prey *p = &batch.pages[i];
		if (p->fate == STAYS)
			continue;
		batch.granules[p->quarry].exact = true;
		release(p);
	}
}

/* Pages that the kernel works on for some thread must not leave. */
static void spare_hazards(void)
{
	em_hazards_visit(spare_range, NULL);
}

static void compact(void)
{
	size_t n = 0;

	for (size_t i = 0; i < batch.count; i++)
		if (batch.pages[i].fate != STAYS)
			batch.pages[n++] = batch.pages[i];
	batch.count = n;
}

/* Every dirty page needs a slot; what gets none stays. */
static void take_slots(void)
{
	size_t need = 0, n;
	em_slot first;

	for (size_t i = 0; i < batch.count; i++)
		need += !is_clean(&batch.pages[i]);
	batch.slot_count = batch.slots_used = 0;
	while (batch.slot_count < need &&
	       (n = em_slots_take(need - batch.slot_count, &first)) > 0)
		for (size_t i = 0; i < n; i++)
			batch.slots[batch.slot_count++] = first + i;
	batch.store_full = need > batch.slot_count;
	for (size_t i = batch.count; need > batch.slot_count && i-- > 0;)
		if (!is_clean(&batch.pages[i])) {
			batch.granules[batch.pages[i].quarry].exact = true;
			release(&batch.pages[i]);
			need--;
		}
}

/* ---- out ------------------------------------------------------------- */

/* Whether protection may run on from page a to page b. */
static bool joins(const struct prey *a, const struct prey *b)
{
	const struct quarry *qa = &batch.granules[a->quarry];
	const struct quarry *qb = &batch.granules[b->quarry];

	if (b->page == a->page + 1)
		return true;
	return !qa->exact && !qb->exact && qb->unit - qa->unit <= 1;
}

static void protect_one_by_one(size_t from, size_t to)
{
	for (size_t i = from; i < to; i++) {
		int ret = em_sys_write_protect(em_page_addr(batch.pages[i].page),
					       EM_PAGE_BYTES, true);
		if (ret < 0 && ret != -ENOENT)
			release(&batch.pages[i]);
	}
}

static void protect(void)
{
	for (size_t i = 0, k; i < batch.count; i = k) {
		bool dirty = !is_clean(&batch.pages[i]);
		for (k = i + 1; k < batch.count &&
				joins(&batch.pages[k - 1], &batch.pages[k]); k++)
			dirty |= !is_clean(&batch.pages[k]);
		if (!dirty)
			continue; /* clean pages are protected already */
		uintptr_t start = em_page_addr(batch.pages[i].page);
		uintptr_t end = em_page_addr(batch.pages[k - 1].page) + EM_PAGE_BYTES;
		if (em_sys_write_protect(start, end - start, true) < 0)
			protect_one_by_one(i, k);
	}
}

static void open_granules(void)
{
	for (size_t i = 0; i < batch.granule_count; i++)
		em_granule_open(batch.granules[i].unit);
}

static bool is_zero(const uint64_t *p)
{
	for (size_t i = 0; i < EM_PAGE_BYTES / sizeof(*p); i += 4)
		if (p[i] | p[i + 1] | p[i + 2] | p[i + 3])
			return false;
	return true;
}

/*
 * Reads a page that we own; -EFAULT when it is not there. In thread delivery
 * a plain load would wait, for a thread that waits for us.
 */
static int read_page(const struct prey *p, void *dst)
{
	uintptr_t src = em_page_addr(p->page);

	if (reclaim.by_thread || !(p->prot & PROT_READ))
		return em_sys_peek(dst, src, EM_PAGE_BYTES);
	return em_arch_copy(dst, (const void *)src, EM_PAGE_BYTES) < 0 ? -EFAULT : 0;
}

/* A page that could not be taken: protected as it was before. */
static void stay_in_place(struct prey *p)
{
	em_sys_write_protect(em_page_addr(p->page), EM_PAGE_BYTES, is_clean(p));
	release(p);
}

/*
 * One page into the cluster. A page that is not there was dropped behind our
 * back by a raw system call: it reads as zero.
 */
static void copy_page(struct prey *p, void *dst)
{
	int ret = read_page(p, dst);

	if (ret < 0 && ret != -EFAULT)
		stay_in_place(p);
	else
		p->fate = ret < 0 || is_zero(dst) ? IS_ZERO : GOES;
}

static void *next_buffer(void)
{
	return em_buffer_memory(em_cluster_buffer(batch.cluster, batch.filled));
}

/* The page at hand is in the cluster's next place; gives it its slot. */
static void put(struct prey *p)
{
	em_slot slot = is_clean(p) ? em_word_slot(p->word)
				   : batch.slots[batch.slots_used++];

	em_habit_left(p->page, is_clean(p));
	em_cluster_put(batch.cluster, batch.filled, p->page, slot);
	p->word = em_word_make(EM_PAGE_STANDBY, slot,
			       em_cluster_buffer(batch.cluster, batch.filled), false);
	batch.filled++;
}

/* All pages of one kind, dirty or clean, copied into the cluster. */
static void copy_out(bool clean)
{
	for (size_t i = 0; i < batch.count; i++) {
		struct prey *p = &batch.pages[i];
		if (p->fate != GOES || em_word_was(p->word) != EM_WAS_RESIDENT ||
		    is_clean(p) != clean)
			continue;
		copy_page(p, next_buffer());
		if (p->fate == GOES)
			put(p);
	}
}

/* The kernel refused to drop this page: it stays, and its copy is void. */
static void keep_after_all(struct prey *p)
{
	uintptr_t addr = em_page_addr(p->page);

	em_sys_write_protect(addr, EM_PAGE_BYTES, false);
	if (p->fate == GOES)
		em_standby_void(em_word_buffer(p->word));
	else
		em_standby_release(p->word);
	p->word = em_word_make(EM_PAGE_RESIDENT, EM_SLOT_NONE, -1, false) |
		  (uint64_t)EM_WAS_RESIDENT << EM_WORD_WAS_SHIFT;
	release(p);
}

static size_t build_runs(void)
{
	size_t n = 0;

	for (size_t i = 0; i < batch.count; i++) {
		if (batch.pages[i].fate == STAYS)
			continue;
		char *addr = (char *)em_page_addr(batch.pages[i].page);
		if (n && (char *)batch.runs[n - 1].iov_base +
			 batch.runs[n - 1].iov_len == addr) {
			batch.runs[n - 1].iov_len += EM_PAGE_BYTES;
			continue;
		}
		batch.run_first[n] = (uint32_t)i;
		batch.runs[n++] = (struct iovec){ addr, EM_PAGE_BYTES };
	}
	return n;
}

/* Of a run that was refused, the pages before the locked one are gone. */
static void drop_one_by_one(size_t i, size_t pages)
{
	for (; pages; i++, pages--)
		if (em_sys_discard(em_page_addr(batch.pages[i].page), EM_PAGE_BYTES) < 0)
			keep_after_all(&batch.pages[i]);
}

static void drop(void)
{
	size_t n = build_runs(), at = 0, done;

	while (at < n) {
		if (em_sys_drop(batch.runs + at, n - at, &done) == 0)
			return;
		at += done; /* this one was refused: locked memory, for example */
		drop_one_by_one(batch.run_first[at],
				batch.runs[at].iov_len >> EM_PAGE_SHIFT);
		at++;
	}
}

static void out_by_copy(void)
{
	protect();
	open_granules();
	copy_out(false);
	batch.dirty = batch.filled;
	copy_out(true);
	drop();
}

/*
 * A page shared with a forked child, living or dead, is busy for MOVE until it
 * was written to. Writing back what is there breaks the sharing; a page that
 * is still busy then is pinned, and must not leave. A clean page is never
 * opened for that: the program could write to it before it moves, and the
 * store would keep the old bytes. It takes the way of the copy, protected as
 * it is; nobody can be writing into it by a pin, or it would not be clean.
 */
static long move_shared(const struct prey *p, uintptr_t src, uintptr_t dst)
{
	if (!(p->prot & PROT_WRITE) || is_clean(p))
		return -EINVAL;
	em_sys_write_protect(src, EM_PAGE_BYTES, false);
	int ret = em_sys_touch(src);
	if (ret < 0)
		return ret == -EFAULT ? -ENOENT : -EBUSY;
	return em_sys_move(dst, src, EM_PAGE_BYTES);
}

/* The way of the copy, into a buffer that is as empty as MOVE wants it. */
static bool copy_and_drop(const struct prey *p, uintptr_t src, uintptr_t dst)
{
	static _Alignas(EM_PAGE_BYTES) unsigned char contents[EM_PAGE_BYTES];

	if (em_sys_write_protect(src, EM_PAGE_BYTES, true) < 0 ||
	    read_page(p, contents) < 0 ||
	    em_sys_copy_in(dst, contents, EM_PAGE_BYTES, false) < 0)
		return false;
	if (em_sys_discard(src, EM_PAGE_BYTES) == 0)
		return true;
	em_sys_discard(dst, EM_PAGE_BYTES);
	return false;
}

static bool move_page(struct prey *p, uintptr_t dst)
{
	uintptr_t src = em_page_addr(p->page);
	long n = em_sys_move(dst, src, EM_PAGE_BYTES);

	if (n == -EBUSY)
		n = move_shared(p, src, dst);
	if (n == -ENOENT) /* dropped behind our back: it reads as zero */
		p->fate = IS_ZERO;
	if (n == -EINVAL || n == -EPERM) /* read-only memory */
		return copy_and_drop(p, src, dst);
	return n > 0;
}

/* How many pages from i on are neighbours of one kind: one MOVE. */
static size_t move_run(size_t i, bool clean)
{
	size_t n = 1;

	while (i + n < batch.count && batch.pages[i + n].page == batch.pages[i].page + n &&
	       is_clean(&batch.pages[i + n]) == clean &&
	       batch.pages[i + n].fate == GOES)
		n++;
	return n;
}

static size_t move_pages(size_t i, size_t n)
{
	long moved = em_sys_move((uintptr_t)next_buffer(),
				 em_page_addr(batch.pages[i].page),
				 n << EM_PAGE_SHIFT);

	if (moved > 0)
		return (size_t)moved >> EM_PAGE_SHIFT;
	return move_page(&batch.pages[i], (uintptr_t)next_buffer()) ? 1 : 0;
}

static void move_out(bool clean)
{
	for (size_t i = 0; i < batch.count;) {
		struct prey *p = &batch.pages[i];
		if (p->fate != GOES || em_word_was(p->word) != EM_WAS_RESIDENT ||
		    is_clean(p) != clean) {
			i++;
			continue;
		}
		size_t n = move_pages(i, move_run(i, clean));
		if (n == 0) {
			if (p->fate != IS_ZERO)
				stay_in_place(p);
			i++;
		}
		for (size_t k = 0; k < n; k++)
			put(&batch.pages[i++]);
	}
}

static void out_by_move(void)
{
	open_granules();
	move_out(false);
	batch.dirty = batch.filled;
	move_out(true);
}

/* ---- afterwards ------------------------------------------------------ */

static void publish(void)
{
	uint64_t clean = batch.filled - batch.dirty, gone = 0;

	for (size_t i = 0; i < batch.count; i++) {
		struct prey *p = &batch.pages[i];
		if (p->fate == STAYS)
			continue;
		gone++;
		if (p->fate == IS_ZERO) {
			em_standby_release(p->word);
			p->word = em_word_make(EM_PAGE_UNTOUCHED, EM_SLOT_NONE, -1, false);
		} else {
			em_count(&em_segment->standby_pages, 1);
		}
		em_page_set(p->page, p->word);
	}
	em_uncount(&em_segment->clean_pages, clean);
	em_count(&em_stats()->pages_evicted, gone);
	em_count(&em_stats()->pages_clean, clean);
	batch.freed = gone;
	em_habit_count(gone);
}

static void finish_granules(void)
{
	for (size_t i = 0; i < batch.granule_count; i++)
		if (batch.granules[i].left)
			em_policy_tell(batch.granules[i].unit, EXTMEM_KEPT);
	while (batch.slot_count > batch.slots_used)
		em_slot_give(batch.slots[--batch.slot_count]);
}

/* What would be left was spared: it leaves after all. */
static void spare_no_more(void)
{
	batch.sparing = batch.spared = false;
	give_back_aside();
}

/* Fills the batch with pages that can leave. False: there are none. */
static bool gather(void)
{
	bool named = batch.next_unit < batch.end_unit;

	batch.sparing = !named;
	batch.spared = false;
	do {
		named ? choose_named() : choose();
		if (!batch.granule_count && batch.spared) {
			spare_no_more();
			continue;
		}
		if (!batch.granule_count)
			return false;
		spare_hazards();
		compact();
		if (batch.count)
			return true;
		open_granules();
		for (size_t i = 0; i < batch.granule_count; i++)
			put_aside(batch.granules[i].unit);
	} while (!named);
	return false;
}

static int evict(void)
{
	batch.filled = batch.dirty = 0;
	if (!gather())
		return -ENOENT;
	take_slots();
	compact();
	if (reclaim.by_move)
		out_by_move();
	else
		out_by_copy();
	publish();
	finish_granules();
	return batch.freed ? 0 : batch.store_full ? -ENOSPC : -ENOENT;
}

static int batch_locked(void)
{
	int error = em_store_ensure_open();

	if (error) /* -ENOENT means something else here: nothing can leave */
		return error == -ENOENT ? -ENOTDIR : error;
	batch.cluster = em_standby_acquire(&error);
	if (!batch.cluster)
		return error ? error : -EIO;
	em_map_lock();
	error = evict();
	give_back_aside();
	em_map_unlock();
	if (batch.filled)
		em_cluster_submit(batch.cluster, batch.filled, batch.dirty);
	else
		em_cluster_cancel(batch.cluster);
	if (error == 0)
		em_credits_give(batch.freed);
	return error;
}

int em_reclaim_batch(void)
{
	int ret;

	em_lock(&reclaim_lock);
	ret = batch_locked();
	em_unlock(&reclaim_lock);
	return ret;
}

void em_reclaim_range(uint64_t first, uint64_t end)
{
	uint32_t next = (uint32_t)em_granule_of(first);
	uint32_t last = (uint32_t)em_granule_of(end - 1);
	sigset_t old;

	em_sys_block_signals(&old);
	while (next <= last) {
		em_lock(&reclaim_lock);
		batch.next_unit = next;
		batch.end_unit = last + 1;
		int ret = batch_locked();
		next = em_max(batch.next_unit, next + 1);
		batch.next_unit = batch.end_unit = 0;
		em_unlock(&reclaim_lock);
		if (ret < 0 && ret != -ENOENT)
			break;
	}
	em_sys_restore_signals(&old);
}

/* ---- the thread, and faults without a credit -------------------------- */

static void sleep_until_needed(void)
{
	atomic_store(&reclaim.asleep, 1);
	if (!em_credits_below_low() && !em_policy_is_over())
		em_sys_wait(&reclaim.asleep, 1, 0);
	atomic_store(&reclaim.asleep, 0);
}

static void body(void)
{
	em_sys_name_thread("extmem-reclaim");
	em_thread_self();
	for (;;) {
		int ret = 0;

		sleep_until_needed();
		while ((em_credits_below_high() || em_policy_is_over()) && ret == 0) {
			ret = em_reclaim_batch();
			if (em_map_contended())
				em_sys_yield();
		}
		if (ret < 0) { /* nothing can leave now; who needs it comes by */
			static _Atomic uint32_t never;
			em_sys_wait(&never, 0, EM_VAIN_NS);
		}
	}
}

void em_reclaim_note_mapped(uint64_t bytes)
{
	if ((bytes > reclaim.threshold_bytes || em_policy_is_bounded()) &&
	    !atomic_load(&reclaim.started))
		atomic_store(&reclaim.due, true);
}

void em_reclaim_also_start(void (*start)(void))
{
	reclaim.also = start;
}

void em_reclaim_start_if_due(void)
{
	if (em_likely(!atomic_load_explicit(&reclaim.due, memory_order_relaxed)))
		return;
	if (atomic_exchange(&reclaim.started, true))
		return;
	atomic_store(&reclaim.due, false);
	int ret = reclaim.spawn(body);
	if (ret < 0) /* faulting threads evict for themselves then */
		em_log_once("cannot start the reclaim thread: error %d", -ret);
	if (reclaim.also)
		reclaim.also();
}

void em_reclaim_kick(void)
{
	if (em_likely(!em_credits_below_low() && !em_policy_is_over()) ||
	    !atomic_load_explicit(&reclaim.asleep, memory_order_relaxed))
		return;
	if (atomic_exchange(&reclaim.asleep, 0))
		em_sys_wake(&reclaim.asleep, 1);
}

static void go_past_limit(int error)
{
	if (reclaim.abort_on_full)
		em_panic("no memory left below the limit and no room in the store "
			 "(error %d); stopping, as 'limits.on_full: abort' asks", -error);
	em_log_once("the limit cannot be kept (error %d): %s; the program grows past it",
		    -error, error == -ENOENT ? "nothing can leave: it is in use by "
					       "system calls, pinned, or withheld by the "
					       "eviction algorithm"
					     : "the store is full or fails");
	em_credits_force();
}

bool em_reclaim_need_credit(const struct em_thread *client)
{
	uint64_t start = em_sys_now_ns();
	struct em_counters *c = em_stats();
	bool for_another = client != em_thread_self();
	int failures = 0, error = 0;

	em_count(&c->waits, 1);
	if (em_gate_is_closed_by(client)) { /* within fork: nobody can evict now */
		em_credits_force();
		return true;
	}
	while (!em_credits_take(1)) {
		if (for_another && em_gate_is_closed())
			return false;
		if (!em_trylock(&reclaim_lock)) {
			em_reclaim_kick();
			em_credits_wait();
			continue;
		}
		error = batch_locked();
		em_unlock(&reclaim_lock);
		em_count(&c->direct_reclaims, 1);
		if (error == 0) {
			failures = 0;
			continue;
		}
		if (error != -ENOENT || ++failures > EM_PATIENCE) {
			go_past_limit(error);
			break;
		}
		em_sys_yield();
	}
	em_count(&c->wait_ns, em_sys_now_ns() - start);
	return true;
}

/*
 * A fork takes the lock once its gate is closed. Its own faults must not wait for it,
 * nor must who resolves faults for all threads, one of which may be the fork's.
 */
void em_reclaim_help(const struct em_thread *client, unsigned int rule)
{
	uint64_t start = em_sys_now_ns();
	struct em_counters *c = em_stats();
	int ret = 0;

	if (start < atomic_load(&reclaim.vain_until_ns) || em_gate_is_closed_by(client))
		return;
	if (client == em_thread_self())
		em_lock(&reclaim_lock);
	else if (!em_trylock(&reclaim_lock))
		return;
	if (em_policy_has_excess(rule)) { /* who was before us may have done it all */
		ret = batch_locked();
		em_count(&c->direct_reclaims, 1);
	}
	if (ret < 0 && em_policy_has_excess(rule))
		atomic_store(&reclaim.vain_until_ns, em_sys_now_ns() + EM_VAIN_NS);
	em_unlock(&reclaim_lock);
	em_count(&c->waits, 1);
	em_count(&c->wait_ns, em_sys_now_ns() - start);
}

void em_reclaim_tell_resident(uint64_t page)
{
	em_policy_tell((uint32_t)em_granule_of(page), EXTMEM_FIRST);
}

void em_reclaim_forked(bool by_thread)
{
	bool had_thread = atomic_load(&reclaim.started);

	reclaim.by_thread = by_thread;
	atomic_store(&reclaim.started, false);
	atomic_store(&reclaim.due, had_thread);
	atomic_store(&reclaim.asleep, 0);
}
