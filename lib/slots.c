/* SPDX-License-Identifier: MIT */
#include "slots.h"
#include "arch.h"
#include "log.h"
#include "stats.h"
#include "store.h"
#include "sys.h"
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/syscall.h>

#define EM_SLOTS_MAX (1ull << EM_SLOT_NUMBER_BITS)
#define EM_GROW_PAGES 16384u  /* 64 MiB a step */
#define EM_FULL_NS 1000000000u
#define EM_CHILDREN_MAX 256
/* Scattered slots are used when the store holds this many times what lives. */
#define EM_SPACIOUS 3u

/* The slots that one child may still read: a bitmap as of its fork. */
struct pinned {
	int fd; /* + 1; 0: free */
	size_t words;
	uint64_t *map;
};

static struct {
	_Atomic uint64_t *used;     /* one bit a slot */
	uint64_t *pinned;           /* union of all children's, or NULL */
	uint64_t words;             /* words that the store has room for */
	uint64_t cursor;            /* where the search goes on */
	uint64_t barren;            /* words looked at since a free one was found */
	_Atomic uint64_t live;
	uint64_t full_until_ns;     /* the store could not grow: not tried before */
	struct pinned children[EM_CHILDREN_MAX];
	unsigned int child_count;
	uint64_t next_poll_ns;
} slots;

int em_slots_init(void)
{
	slots.used = em_sys_alloc(EM_SLOTS_MAX / 8);
	return slots.used ? 0 : -ENOMEM;
}

uint64_t em_slots_used(void)
{
	return atomic_load_explicit(&slots.live, memory_order_relaxed);
}

static uint64_t taken_bits(uint64_t word)
{
	uint64_t bits = atomic_load_explicit(&slots.used[word], memory_order_acquire);

	return slots.pinned ? bits | slots.pinned[word] : bits;
}

static bool grow(void)
{
	uint64_t have = slots.words * 64;
	uint64_t want = em_min(have + em_max(EM_GROW_PAGES, em_round_up(have / 8, 64)),
			       em_round_down(em_store_max_pages(), 64));

	if (want <= have || (slots.full_until_ns &&
			     em_sys_now_ns() < slots.full_until_ns))
		return false;
	if (em_store_grow(want) < 0) { /* a full disk may have room again later */
		slots.full_until_ns = em_sys_now_ns() + EM_FULL_NS;
		return false;
	}
	slots.full_until_ns = 0;
	slots.cursor = slots.words;
	slots.words = want / 64;
	slots.barren = 0;
	return true;
}

/* Next word with at least `free` free slots, or -1 after a whole round. */
static int64_t find_word(unsigned int free)
{
	for (uint64_t n = 0; n < slots.words; n++) {
		uint64_t w = (slots.cursor + n) % slots.words;
		if (64u - (unsigned int)__builtin_popcountll(taken_bits(w)) >= free) {
			slots.cursor = w;
			return (int64_t)w;
		}
	}
	return -1;
}

/* The longest run of zeros in a word: its start, and its length. */
static unsigned int longest_run(uint64_t taken, unsigned int *start)
{
	unsigned int best = 0, at = 0;

	while (at < 64) {
		uint64_t rest = taken >> at;
		unsigned int gap = rest ? (unsigned int)__builtin_ctzll(rest) : 64 - at;
		if (gap > best) {
			best = gap;
			*start = at;
		}
		at += gap;
		while (at < 64 && taken >> at & 1)
			at++;
	}
	return best;
}

static void mark(uint64_t first, size_t count)
{
	for (uint64_t s = first; s < first + count;) {
		unsigned int bit = s % 64;
		unsigned int n = (unsigned int)em_min(64 - bit, first + count - s);
		uint64_t mask = (n == 64 ? ~0ull : (1ull << n) - 1) << bit;
		atomic_fetch_or(&slots.used[s / 64], mask);
		s += n;
	}
	atomic_fetch_add(&slots.live, count);
}

/* Whole free words, one after the other, as many as want needs. */
static size_t take_words(uint64_t word, size_t want)
{
	uint64_t n = 1;

	while (n * 64 < want && word + n < slots.words && !taken_bits(word + n))
		n++;
	slots.cursor = (word + n) % slots.words;
	return em_min(n * 64, want);
}

static bool spacious(void)
{
	return slots.words * 64 > EM_SPACIOUS * (em_slots_used() + EM_GROW_PAGES);
}

/* The search for whole words is not repeated while it is known to be vain. */
static int64_t find_whole_word(void)
{
	if (slots.barren && slots.barren-- > 1)
		return -1;
	int64_t w = find_word(64);
	if (w < 0)
		slots.barren = 64;
	return w;
}

static void drop_dead_children(void);

size_t em_slots_take(size_t want, em_slot *first)
{
	unsigned int start = 0;
	uint64_t number;
	size_t n;

	drop_dead_children();
	int64_t w = find_whole_word();
	if (w < 0 && !spacious() && grow())
		w = find_word(64);
	if (w >= 0) {
		n = take_words((uint64_t)w, want);
		number = (uint64_t)w * 64;
	} else {
		for (unsigned int least = 32; w < 0 && least; least /= 2)
			w = find_word(least);
		if (w < 0 && grow())
			w = find_word(1);
		if (w < 0)
			return 0;
		n = em_min(longest_run(taken_bits((uint64_t)w), &start), want);
		number = (uint64_t)w * 64 + start;
	}
	mark(number, n);
	*first = em_slot_make(em_store_own_file(), number);
	return n;
}

void em_slot_give(em_slot slot)
{
	uint64_t s = em_slot_number(slot);

	if (em_slot_file(slot) != em_store_own_file())
		return;
	/* Release pairs with the acquire in taken_bits(): what was read from
	 * the slot was read before somebody else may write there. */
	uint64_t old = atomic_fetch_and_explicit(&slots.used[s / 64],
						 ~(1ull << s % 64),
						 memory_order_acq_rel);
	em_assert(old >> s % 64 & 1);
	atomic_fetch_sub(&slots.live, 1);
}

/* ---- children -------------------------------------------------------- */

static void unite(void)
{
	if (slots.pinned)
		memset(slots.pinned, 0, slots.words * 8);
	for (unsigned int i = 0; i < EM_CHILDREN_MAX; i++) {
		struct pinned *c = &slots.children[i];
		for (size_t w = 0; c->fd && w < c->words; w++)
			slots.pinned[w] |= c->map[w];
	}
	slots.barren = 0;
}

static void unpin(struct pinned *c)
{
	em_sys_close(c->fd - 1);
	em_sys_dealloc(c->map, em_max(c->words * 8, 1));
	*c = (struct pinned){ 0, 0, NULL };
	slots.child_count--;
}

/* The pipe's other end closes when the child has exec'ed or died. */
static bool child_is_gone(const struct pinned *c)
{
	struct pollfd p = { c->fd - 1, POLLIN, 0 };

	return em_syscall(SYS_poll, (long)&p, 1, 0, 0, 0, 0) > 0;
}

static void drop_dead_children(void)
{
	bool changed = false;
	uint64_t now;

	if (em_likely(!slots.child_count))
		return;
	now = em_sys_now_ns();
	if (now < slots.next_poll_ns)
		return;
	slots.next_poll_ns = now + 10000000u;
	for (unsigned int i = 0; i < EM_CHILDREN_MAX; i++) {
		struct pinned *c = &slots.children[i];
		if (c->fd && child_is_gone(c)) {
			unpin(c);
			changed = true;
		}
	}
	if (changed)
		unite();
}

static struct pinned *free_child(void)
{
	for (unsigned int i = 0; i < EM_CHILDREN_MAX; i++)
		if (!slots.children[i].fd)
			return &slots.children[i];
	return NULL;
}

int em_slots_pin(int fd)
{
	struct pinned *c;

	slots.next_poll_ns = 0;
	drop_dead_children();
	c = free_child();
	if (!slots.pinned)
		slots.pinned = em_sys_alloc(EM_SLOTS_MAX / 8);
	if (!c || !slots.pinned)
		return -EAGAIN;
	c->map = em_sys_alloc(em_max(slots.words * 8, 1));
	if (!c->map)
		return -ENOMEM;
	c->words = slots.words;
	for (uint64_t w = 0; w < slots.words; w++) {
		c->map[w] = atomic_load(&slots.used[w]);
		slots.pinned[w] |= c->map[w];
	}
	c->fd = fd + 1;
	slots.child_count++;
	return 0;
}

void em_slots_forked(void)
{
	for (unsigned int i = 0; i < EM_CHILDREN_MAX; i++)
		if (slots.children[i].fd)
			unpin(&slots.children[i]);
	for (uint64_t w = 0; w < slots.words; w++)
		atomic_store_explicit(&slots.used[w], 0, memory_order_relaxed);
	if (slots.pinned)
		memset(slots.pinned, 0, slots.words * 8);
	slots.words = slots.cursor = slots.barren = 0;
	slots.live = 0;
	slots.full_until_ns = 0;
}
