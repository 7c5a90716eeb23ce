/* SPDX-License-Identifier: MIT */
#include "standby.h"
#include "log.h"
#include "policy.h"
#include "prefetch.h"
#include "slots.h"
#include "stats.h"
#include "store.h"
#include "sys.h"
#include "worker.h"
#include <errno.h>
#include <string.h>

#define EM_CLUSTERS_MAX 8192u
#define EM_CLUSTERS_MIN 4u

#define ENTRY_MARK (1ull << 60)
#define ENTRY_GUESSED (1ull << 61)
#define ENTRY_WRITTEN (1ull << 62)
#define ENTRY_DEAD (1ull << 63)
#define ENTRY_PAGE(e) ((e) & ((1ull << 40) - 1))

static struct {
	char *memory;
	bool registered;
	bool inherited;      /* by the fork under way */
	unsigned int cluster_pages;
	uint32_t count;
	uint32_t next;       /* whose turn it is */
	uint32_t writing;    /* clusters in state WRITING */
	struct em_cluster *clusters;
	struct em_cluster *open; /* for guesses and marks; or NULL */
} standby;

unsigned int em_cluster_pages(void) { return standby.cluster_pages; }

int64_t em_cluster_buffer(const struct em_cluster *c, uint32_t i)
{
	return (int64_t)(c - standby.clusters) * standby.cluster_pages + i;
}

void *em_buffer_memory(int64_t buffer)
{
	return standby.memory + ((uint64_t)buffer << EM_PAGE_SHIFT);
}

static size_t memory_bytes(void)
{
	return (size_t)standby.count * standby.cluster_pages << EM_PAGE_SHIFT;
}

int em_standby_init(uint64_t pages, unsigned int granule_pages, bool registered)
{
	unsigned int size = EM_CLUSTER_PAGES_MAX;

	while (size > granule_pages && pages / size < 16)
		size /= 2;
	standby.cluster_pages = size;
	standby.count = (uint32_t)em_clamp(pages / size, EM_CLUSTERS_MIN, EM_CLUSTERS_MAX);
	standby.memory = em_sys_alloc(memory_bytes());
	standby.clusters = em_sys_alloc(standby.count * sizeof(struct em_cluster));
	if (!standby.memory || !standby.clusters)
		return -ENOMEM;
	em_sys_inherit(standby.memory, memory_bytes(), false);
	/* The disk takes a huge page as one piece. MOVE brings small ones. */
	if (!registered)
		em_sys_prefer_huge(standby.memory, memory_bytes());
	standby.registered = registered;
	em_gauge(&em_segment->buffer_pages, (uint64_t)standby.count * size);
	return registered ? em_sys_uffd_register((uintptr_t)standby.memory,
						 memory_bytes()) : 0;
}

/* ---- entries --------------------------------------------------------- */

static struct em_cluster *cluster_of(int64_t buffer)
{
	return &standby.clusters[(uint64_t)buffer / standby.cluster_pages];
}

static _Atomic uint64_t *entry_of(int64_t buffer)
{
	return &cluster_of(buffer)->entries[(uint64_t)buffer % standby.cluster_pages];
}

/* The page leaves its buffer and does not want its slot any more. */
static void kill_entry(int64_t buffer, em_slot slot)
{
	uint64_t old = atomic_fetch_or(entry_of(buffer), ENTRY_DEAD);

	if (old & ENTRY_WRITTEN)
		em_slot_give(slot);
}

void em_standby_release(uint64_t owned)
{
	int64_t buffer = em_word_buffer(owned);
	em_slot slot = em_word_slot(owned);

	switch (em_word_was(owned)) {
	case EM_WAS_AWAY:
		if (buffer >= 0) {
			em_uncount(&em_segment->standby_pages, 1);
			kill_entry(buffer, slot);
			return;
		}
		em_uncount(&em_segment->stored_pages, 1);
		break;
	case EM_WAS_RESIDENT:
		if (owned & EM_WORD_CLEAN)
			em_uncount(&em_segment->clean_pages, 1);
		break;
	default:
		break;
	}
	if (slot)
		em_slot_give(slot);
}

bool em_standby_is_written(int64_t buffer)
{
	return atomic_load(entry_of(buffer)) & ENTRY_WRITTEN;
}

enum em_entry_kind em_standby_take(uint64_t owned, bool keep)
{
	int64_t buffer = em_word_buffer(owned);
	uint64_t entry = atomic_load_explicit(entry_of(buffer), memory_order_relaxed);

	em_uncount(&em_segment->standby_pages, 1);
	if (!keep)
		kill_entry(buffer, em_word_slot(owned));
	return entry & ENTRY_GUESSED ? EM_ENTRY_GUESS :
	       entry & ENTRY_MARK ? EM_ENTRY_MARK : EM_ENTRY_EVICTED;
}

void em_standby_void(int64_t buffer)
{
	atomic_fetch_or(entry_of(buffer), ENTRY_DEAD);
}

void em_standby_retarget(int64_t buffer, uint64_t page)
{
	_Atomic uint64_t *e = entry_of(buffer);

	atomic_store(e, (atomic_load(e) & (ENTRY_WRITTEN | ENTRY_DEAD)) | page);
}

void em_cluster_put(struct em_cluster *c, uint32_t i, uint64_t page, em_slot slot)
{
	atomic_store_explicit(&c->entries[i], page, memory_order_relaxed);
	c->slots[i] = slot;
}

/* ---- writing --------------------------------------------------------- */

static void mark_written(struct em_cluster *c, uint32_t from, uint32_t to)
{
	for (uint32_t i = from; i < to; i++) {
		uint64_t old = atomic_fetch_or(&c->entries[i], ENTRY_WRITTEN);
		if (old & ENTRY_DEAD)
			em_slot_give(c->slots[i]);
	}
}

/* Pages whose slots follow each other, from i on. */
static uint32_t slot_run(const struct em_cluster *c, uint32_t i)
{
	uint32_t n = 1;

	while (i + n < c->dirty && c->slots[i + n] == c->slots[i] + n)
		n++;
	return n;
}

static void write_ended(struct em_cluster *c, int error)
{
	if (error) {
		c->error = error;
		em_count(&em_segment->store_errors, 1);
		em_log_once("writing to the store failed (error %d); the pages stay "
			    "in memory and are tried again", -error);
	}
	if (--c->writes_left)
		return;
	standby.writing--;
	c->state = c->error ? EM_CLUSTER_FAILED : EM_CLUSTER_READY;
	if (!c->error)
		mark_written(c, 0, c->dirty);
}

static void start_writes(struct em_cluster *c)
{
	c->error = 0;
	c->state = EM_CLUSTER_WRITING;
	c->writes_left = 1; /* ours, until all are submitted */
	standby.writing++;
	for (uint32_t i = 0, n; i < c->dirty; i += n) {
		n = slot_run(c, i);
		c->writes_left++;
		int ret = em_store_submit(c->slots[i],
				em_buffer_memory(em_cluster_buffer(c, i)), n,
				(uint64_t)(c - standby.clusters), em_worker_is_self());
		if (ret < 0)
			write_ended(c, ret);
	}
	write_ended(c, 0);
}

void em_cluster_submit(struct em_cluster *c, uint32_t count, uint32_t dirty)
{
	c->count = count;
	c->dirty = dirty;
	/* Clean pages keep the slot they had: as good as written. */
	mark_written(c, dirty, count);
	start_writes(c);
}

void em_standby_reap(bool wait)
{
	struct em_store_done done[32];
	size_t n;

	do {
		n = em_store_reap(done, EM_ARRAY_LEN(done), wait && standby.writing);
		for (size_t i = 0; i < n; i++)
			write_ended(&standby.clusters[done[i].token], done[i].error);
	} while (n == EM_ARRAY_LEN(done));
}

void em_standby_drain(void)
{
	while (standby.writing)
		em_standby_reap(true);
}

/* ---- recycling ------------------------------------------------------- */

/* Who loads from this buffer at the moment must have finished first. */
static void retire_page(uint64_t entry, int64_t buffer)
{
	uint64_t page = ENTRY_PAGE(entry), seen;

	for (;;) {
		if (em_page_retire(page, buffer, &seen)) {
			em_uncount(&em_segment->standby_pages, 1);
			em_count(&em_segment->stored_pages, 1);
			if (entry & ENTRY_GUESSED)
				em_prefetch_judge(false);
			return;
		}
		if (em_word_buffer(seen) != buffer)
			return;
		em_page_wait(page, seen);
	}
}

static void retire_cluster(struct em_cluster *c)
{
	for (uint32_t i = 0; i < c->count; i++)
		retire_page(atomic_load(&c->entries[i]), em_cluster_buffer(c, i));
	if (standby.registered && c->count)
		em_sys_discard((uintptr_t)em_buffer_memory(em_cluster_buffer(c, 0)),
			       (uint64_t)standby.cluster_pages << EM_PAGE_SHIFT);
	c->count = c->dirty = 0;
}

/* Whether a cluster can be emptied now; waits for it, tries again what failed. */
static bool settle(struct em_cluster *c)
{
	if (c == standby.open)
		standby.open = NULL;
	while (atomic_load(&c->reading))
		em_sys_yield();
	if (c->state == EM_CLUSTER_FAILED)
		start_writes(c);
	while (c->state == EM_CLUSTER_WRITING)
		em_standby_reap(true);
	return c->state != EM_CLUSTER_FAILED;
}

struct em_cluster *em_standby_acquire(int *error)
{
	em_standby_reap(false);
	for (uint32_t tries = 0; tries < standby.count; tries++) {
		struct em_cluster *c = &standby.clusters[standby.next];

		standby.next = (standby.next + 1) % standby.count;
		if (!settle(c)) {
			*error = c->error;
			continue;
		}
		retire_cluster(c);
		c->state = EM_CLUSTER_FILLING;
		return c;
	}
	return NULL;
}

void em_cluster_cancel(struct em_cluster *c)
{
	c->count = c->dirty = 0;
	c->state = EM_CLUSTER_FREE;
	/* Its turn is now, not after all others. */
	standby.next = (uint32_t)(c - standby.clusters);
}

/* ---- guesses --------------------------------------------------------- */

uint32_t em_standby_reserve(const uint64_t *pages, uint32_t count, enum em_entry_kind kind,
			    int64_t *buffer)
{
	uint64_t flags = ENTRY_WRITTEN | (kind == EM_ENTRY_MARK ? ENTRY_MARK : ENTRY_GUESSED);
	int error;

	if (!standby.open)
		standby.open = em_standby_acquire(&error);
	struct em_cluster *c = standby.open;
	if (!c)
		return 0;
	count = em_min(count, standby.cluster_pages - c->count);
	for (uint32_t i = 0; i < count; i++)
		atomic_store_explicit(&c->entries[c->count + i],
				      pages[i] | flags, memory_order_relaxed);
	*buffer = em_cluster_buffer(c, c->count);
	atomic_fetch_add(&c->reading, 1);
	c->count += count;
	if (c->count == standby.cluster_pages) {
		c->state = EM_CLUSTER_READY;
		standby.open = NULL;
	}
	return count;
}

int em_standby_read(int64_t buffer, em_slot slot, uint32_t count)
{
	unsigned char *bounce = em_thread_self()->page;
	int ret = 0;

	if (!standby.registered)
		return em_store_read(slot, em_buffer_memory(buffer), count);
	/* Where nothing is mapped the kernel does not read: a page at a time. */
	for (uint32_t i = 0; i < count && ret == 0; i++) {
		ret = em_store_read(slot + i, bounce, 1);
		if (ret == 0)
			ret = em_standby_fill(buffer + i, bounce);
	}
	return ret;
}

int em_standby_fill(int64_t buffer, const void *contents)
{
	void *to = em_buffer_memory(buffer);

	if (!standby.registered)
		memcpy(to, contents, EM_PAGE_BYTES);
	else if (em_sys_copy_in((uintptr_t)to, contents, EM_PAGE_BYTES, false) < 0)
		return -EFAULT;
	return 0;
}

void em_standby_put(uint64_t page, uint64_t owned, int64_t buffer)
{
	em_uncount(&em_segment->stored_pages, 1);
	em_count(&em_segment->standby_pages, 1);
	em_page_set(page, em_word_make(EM_PAGE_STANDBY, em_word_slot(owned), buffer, false));
}

void em_standby_reserved_done(int64_t buffer)
{
	atomic_fetch_sub(&cluster_of(buffer)->reading, 1);
}

/* ---- fork ------------------------------------------------------------ */

void em_standby_fork_prepare(void)
{
	em_standby_drain();
	for (uint32_t i = 0; i < standby.count; i++)
		standby.inherited |= standby.clusters[i].state == EM_CLUSTER_FAILED;
	if (standby.inherited)
		em_sys_inherit(standby.memory, memory_bytes(), true);
}

void em_standby_fork_parent(void)
{
	if (standby.inherited)
		em_sys_inherit(standby.memory, memory_bytes(), false);
	standby.inherited = false;
}

/* A page that exists nowhere but in its buffer goes back to its place. */
static int restore_page(uint64_t page, int64_t buffer)
{
	uint64_t w = em_page_load(page);

	if (EM_WORD_STATE(w) != EM_PAGE_STANDBY || em_word_buffer(w) != buffer)
		return 0;
	long n = em_sys_copy_in(em_page_addr(page), em_buffer_memory(buffer),
				EM_PAGE_BYTES, false);
	if (n < 0)
		return (int)n;
	em_page_set(page, em_word_make(EM_PAGE_RESIDENT, EM_SLOT_NONE, -1, false));
	em_policy_tell((uint32_t)em_granule_of(page), EXTMEM_FIRST);
	return 0;
}

static int restore_failed(const struct em_cluster *c)
{
	int ret = 0;

	for (uint32_t i = 0; i < c->dirty && ret == 0; i++)
		ret = restore_page(ENTRY_PAGE(atomic_load(&c->entries[i])),
				   em_cluster_buffer(c, i));
	return ret;
}

int em_standby_forked(void)
{
	int ret = 0;

	for (uint32_t i = 0; i < standby.count; i++) {
		struct em_cluster *c = &standby.clusters[i];
		if (c->state == EM_CLUSTER_FAILED && ret == 0)
			ret = restore_failed(c);
		c->count = c->dirty = 0;
		c->state = EM_CLUSTER_FREE;
		/* Who had reserved, and was not in the gate yet, is the parent's. */
		atomic_store(&c->reading, 0);
	}
	standby.open = NULL;
	if (standby.inherited) { /* MOVE wants its destination empty */
		em_sys_discard((uintptr_t)standby.memory, memory_bytes());
		em_sys_inherit(standby.memory, memory_bytes(), false);
	}
	standby.inherited = false;
	if (ret == 0 && standby.registered)
		ret = em_sys_uffd_register((uintptr_t)standby.memory, memory_bytes());
	return ret;
}
