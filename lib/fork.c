/* SPDX-License-Identifier: MIT */
#include "fork.h"
#include "control.h"
#include "arch.h"
#include "credits.h"
#include "delivery.h"
#include "fault.h"
#include "knobs.h"
#include "log.h"
#include "page.h"
#include "reclaim.h"
#include "region.h"
#include "slots.h"
#include "standby.h"
#include "stats.h"
#include "store.h"
#include "sys.h"
#include "thread.h"
#include "trace.h"
#include "watch.h"
#include "window.h"
#include "worker.h"
#include <errno.h>
#include <sys/syscall.h>
#include <time.h>

#define EM_COPY_PAGES 64u

/* The fork under way; the reclaim lock guards it, and the child inherits it. */
static struct {
	sigset_t mask;
	uint32_t parent;  /* process id */
	int tables;       /* the child's, or -errno */
	int watched;      /* the child's descriptor, or -errno; -1: needs none */
	uint64_t child;   /* its number */
} now;

/* What the child has, by its tables. */
struct census {
	uint64_t resident, stored;
	uint64_t in_file[EM_SLOT_FILES];
};

static uint32_t own_pid(void)
{
	return (uint32_t)em_syscall(SYS_getpid, 0, 0, 0, 0, 0, 0);
}

static void release(void)
{
	sigset_t mask = now.mask;

	em_gate_open();
	em_map_unlock();
	em_reclaim_unlock();
	em_sys_restore_signals(&mask);
}

/* Whether the kernel has no page mapped in a block; nothing changes now. */
static bool is_unmapped(uint64_t block)
{
	for (uint64_t p = block * EM_BLOCK_PAGES; p < (block + 1) * EM_BLOCK_PAGES; p++) {
		enum em_page_state s = EM_WORD_STATE(em_page_load(p));
		if (s != EM_PAGE_UNTOUCHED && s != EM_PAGE_STORED && s != EM_PAGE_STANDBY)
			return false;
	}
	return true;
}

/*
 * The kernel's page tables stay when pages leave one by one, and fork copies
 * even the empty ones: a GB of them costs more than all else that is done
 * here. Since Linux 6.14 it frees those that a discard finds empty.
 */
static void free_page_tables(void)
{
	uint64_t blocks = em_table->block_count;

	for (uint64_t b = 0, end; b < blocks; b = end) {
		end = b + 1;
		if (em_block_is_virgin(b) || !is_unmapped(b))
			continue;
		while (end < blocks && !em_block_is_virgin(end) && is_unmapped(end))
			end++;
		em_sys_discard(em_page_addr(b * EM_BLOCK_PAGES),
			       (end - b) * EM_BLOCK_PAGES << EM_PAGE_SHIFT);
	}
}

/* A child that nobody can watch costs slots, not lives. */
static void prepare_watch(void)
{
	now.watched = -1;
	now.child = EM_CHILD_UNWATCHED;
	if (em_slots_used())
		now.watched = em_watch_add(&now.child);
}

void em_fork_prepare(void)
{
	sigset_t mask;

	em_region_fit_space(); /* or there may be no room for the child's tables */
	em_sys_block_signals(&mask);
	em_reclaim_lock();
	em_map_lock();
	now.mask = mask;
	em_gate_close();
	em_standby_fork_prepare();
	free_page_tables();
	now.parent = own_pid();
	now.tables = em_window_copy();
	prepare_watch();
}

void em_fork_parent(void)
{
	if (now.tables >= 0)
		em_sys_close(now.tables);
	if (now.watched >= 0)
		em_sys_close(now.watched);
	if (em_slots_used() && em_protects(EM_KNOB_PINS))
		em_slots_pin(now.child);
	em_standby_fork_parent();
	em_sys_keep_spares();
	release();
}

/* ---- the child ------------------------------------------------------- */

/*
 * Pages that were clean are writable without a fault, since the fork dropped
 * their protection: they count as dirty. Nothing is in a buffer any more.
 */
static void take_over(uint64_t page, uint64_t w, struct census *c)
{
	switch (EM_WORD_STATE(w)) {
	case EM_PAGE_RESIDENT:
		c->resident++;
		if (w & EM_WORD_CLEAN)
			em_page_set(page, em_word_make(EM_PAGE_RESIDENT, EM_SLOT_NONE,
						       -1, false));
		break;
	case EM_PAGE_STANDBY:
		em_page_set(page, em_word_make(EM_PAGE_STORED, em_word_slot(w), -1, false));
		/* fall through */
	case EM_PAGE_STORED:
		c->stored++;
		c->in_file[em_slot_file(em_word_slot(w))]++;
		break;
	default:
		break;
	}
}

/* Calls f for every page word of touched blocks that is not 0. */
static void for_words(void (*f)(uint64_t page, uint64_t w, struct census *c),
		      struct census *c)
{
	uint64_t blocks = em_table->block_count;

	for (uint64_t b = 0; b < blocks; b++) {
		if (em_block_is_virgin(b))
			continue;
		for (uint64_t p = b * EM_BLOCK_PAGES; p < (b + 1) * EM_BLOCK_PAGES; p++) {
			uint64_t w = em_page_load(p);
			if (w)
				f(p, w, c);
		}
	}
}

static void introduce(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	em_segment->parent_pid = now.parent;
	em_segment->pid = own_pid();
	em_segment->start_ns = (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
	em_segment->start_mono_ns = em_sys_now_ns();
}

static void count(const struct census *c)
{
	em_credits_forked(c->resident);
	em_gauge(&em_segment->stored_pages, c->stored);
	em_gauge(&em_segment->standby_pages, 0);
	em_gauge(&em_segment->clean_pages, 0);
	em_gauge(&em_segment->store_bytes, 0);
}

static uint64_t files_of(const struct census *c)
{
	uint64_t files = 0;

	for (unsigned int n = 0; n < EM_SLOT_FILES; n++)
		files |= (uint64_t)(c->in_file[n] > 0) << n;
	return files;
}

/* ---- a long chain of forks -------------------------------------------- */

/* Pages on their way from an ancestor's file to our own. */
static struct {
	unsigned int file;
	uint64_t pages[EM_COPY_PAGES];
	size_t count;
	char *memory;
} copying;

/* Writes what is gathered, as far as a run of slots goes. */
static int copy_some(size_t done, size_t *n)
{
	struct em_store_done ended;
	em_slot first;
	int ret;

	*n = em_slots_take(copying.count - done, &first);
	if (!*n)
		return -ENOSPC;
	for (size_t i = 0; i < *n; i++) {
		em_slot old = em_word_slot(em_page_load(copying.pages[done + i]));
		ret = em_store_read(old, copying.memory + (i << EM_PAGE_SHIFT), 1);
		if (ret < 0)
			return ret;
	}
	ret = em_store_submit(first, copying.memory, *n, 0, false);
	if (ret < 0)
		return ret;
	while (!em_store_reap(&ended, 1, true))
		;
	for (size_t i = 0; i < *n && ended.error == 0; i++)
		em_page_set(copying.pages[done + i],
			    em_word_make(EM_PAGE_STORED, first + i, -1, false));
	return ended.error;
}

static void copy_gathered(void)
{
	int ret = 0;

	for (size_t done = 0, n; done < copying.count && ret == 0; done += n)
		ret = copy_some(done, &n);
	if (ret < 0)
		em_panic("fork: too long a chain of forks, and their pages cannot be "
			 "copied: error %d", -ret);
	copying.count = 0;
}

static void gather(uint64_t page, uint64_t w, struct census *c)
{
	(void)c;
	if (EM_WORD_STATE(w) != EM_PAGE_STORED ||
	    em_slot_file(em_word_slot(w)) != copying.file)
		return;
	copying.pages[copying.count++] = page;
	if (copying.count == EM_COPY_PAGES)
		copy_gathered();
}

/* Keeps a number free for the next child: empties the file with least in it. */
static void shorten_chain(struct census *c)
{
	uint64_t files = files_of(c);
	int ret;

	if (__builtin_popcountll(files) < (int)EM_SLOT_FILES - 1 ||
	    !em_protects(EM_KNOB_CHAIN))
		return;
	copying.file = (unsigned int)__builtin_ctzll(files);
	for (unsigned int n = 0; n < EM_SLOT_FILES; n++)
		if (c->in_file[n] && c->in_file[n] < c->in_file[copying.file])
			copying.file = n;
	copying.memory = em_sys_alloc(EM_COPY_PAGES << EM_PAGE_SHIFT);
	ret = copying.memory ? em_store_ensure_open() : -ENOMEM;
	if (ret < 0)
		em_panic("fork: too long a chain of forks, and no store to copy their "
			 "pages to: error %d", -ret);
	for_words(gather, c);
	copy_gathered();
	em_sys_dealloc(copying.memory, EM_COPY_PAGES << EM_PAGE_SHIFT);
	em_store_keep((files & ~(1ull << copying.file)) | 1ull << em_store_own_file());
}

/* ---------------------------------------------------------------------- */

/* Everything that must be there before the child's memory can be managed. */
static int set_up(void)
{
	struct em_sys_features features;
	int ret;

	if (now.tables < 0)
		return now.tables;
	ret = em_delivery_forked(&features, &now.mask);
	if (ret == 0)
		ret = em_window_forked(now.tables);
	return ret == 0 ? em_standby_forked() : ret;
}

void em_fork_child(void)
{
	struct census c = { .resident = 0 };
	int ret;

	em_stats_forked();
	introduce();
	em_threads_forked();
	em_trace_forked();
	em_fault_forked();
	em_sys_uffd_close();
	em_worker_forked();
	em_control_forked();
	em_watch_forked();
	ret = set_up();
	if (ret == 0) {
		for_words(take_over, &c);
		ret = em_store_forked(files_of(&c), now.watched);
	}
	if (ret < 0)
		em_panic("fork: the child cannot manage its memory: error %d", -ret);
	em_slots_forked();
	count(&c);
	shorten_chain(&c);
	em_region_forked();
	em_reclaim_forked(em_delivery_by_thread());
	em_sys_keep_spares();
	release();
}
