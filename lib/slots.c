/* SPDX-License-Identifier: MIT */
#include "slots.h"
#include "knobs.h"
#include "log.h"
#include "stats.h"
#include "store.h"
#include "sys.h"
#include "watch.h"
#include <errno.h>
#include <string.h>

#define EM_SLOTS_MAX (1ull << EM_SLOT_NUMBER_BITS)
/* Where addresses are rationed: so many slots for each page that there can be. */
#define EM_SLOTS_A_PAGE 8u
#define EM_GROW_PAGES 16384u  /* 64 MiB: the least step */
#define EM_GROW_PAGES_MAX 262144u /* 1 GiB */
#define EM_FULL_NS 1000000000u
#define EM_GROUPS_MAX 32u
#define EM_POLL_NS 10000000u
/*
 * Scattered slots are used when the store holds this many times what lives; from
 * then on until it holds less than the second. What lives goes up and down: with
 * one bound the store would grow a step at each new height.
 */
#define EM_SPACIOUS 3u
#define EM_CRAMPED 2u

/* The slots that some children, made one after the other, may still read. */
struct group {
	uint64_t first, last; /* children */
	uint64_t words;
	uint64_t *map;        /* of slots */
};

static struct {
	_Atomic uint64_t *used;     /* one bit a slot */
	uint64_t *pinned;           /* union of all children's, or NULL */
	uint64_t words;             /* words that the store has room for */
	uint64_t words_max;         /* words that there is a bitmap for */
	uint64_t cursor;            /* where the search goes on */
	uint64_t barren;            /* words looked at since a free one was found */
	_Atomic uint64_t live;
	uint64_t full_until_ns;     /* the store could not grow: not tried before */
	bool settled;               /* it was found spacious, and is not cramped */
	struct group groups[EM_GROUPS_MAX]; /* in the order of their children */
	unsigned int group_count;
	struct group forever;       /* of children that cannot be watched */
	uint64_t abandoned;         /* words below are never handed out again */
	uint64_t next_poll_ns;
} slots;

/* Of a bitmap of whole pages. */
static uint64_t fitting_words(void)
{
	uint64_t pages = em_sys_space_bytes() >> EM_PAGE_SHIFT;

	return em_round_up(em_min(pages, EM_SLOTS_MAX / EM_SLOTS_A_PAGE) * EM_SLOTS_A_PAGE / 64,
			   EM_PAGE_BYTES / sizeof(uint64_t));
}

static size_t bitmap_bytes(void)
{
	return slots.words_max * sizeof(uint64_t);
}

int em_slots_init(void)
{
	slots.words_max = fitting_words();
	slots.used = em_sys_alloc(bitmap_bytes());
	return slots.used ? 0 : -ENOMEM;
}

void em_slots_fit_space(void)
{
	uint64_t have = slots.words_max;
	uint64_t keep = em_max(fitting_words(), em_round_up(slots.words, EM_PAGE_BYTES /
							    sizeof(uint64_t)));

	if (keep >= have)
		return;
	slots.words_max = keep;
	em_sys_dealloc((void *)&slots.used[keep], (have - keep) * sizeof(uint64_t));
	if (slots.pinned)
		em_sys_dealloc(&slots.pinned[keep], (have - keep) * sizeof(uint64_t));
}

uint64_t em_slots_used(void)
{
	return atomic_load_explicit(&slots.live, memory_order_relaxed);
}

static uint64_t taken_bits(uint64_t word)
{
	uint64_t bits = atomic_load_explicit(&slots.used[word], memory_order_acquire);

	if (em_unlikely(word < slots.abandoned))
		return ~0ull;
	return slots.pinned ? bits | slots.pinned[word] : bits;
}

/* So many slots, or as many as the store may have; false when it cannot. */
static bool grow_by(uint64_t step)
{
	uint64_t have = slots.words * 64;
	uint64_t want = em_min(have + step, em_min(em_round_down(em_store_max_pages(), 64),
						   slots.words_max * 64));

	if (want <= have || em_store_grow(want) < 0)
		return false;
	slots.cursor = slots.words;
	slots.words = want / 64;
	slots.barren = 0;
	return true;
}

/*
 * File systems let a file grow only when no write is under way: few steps,
 * each by half of what lives. Where there is no room for so much, a small one.
 */
static bool grow(void)
{
	uint64_t step = em_clamp(em_round_up(em_slots_used() / 2, 64), EM_GROW_PAGES,
				 EM_GROW_PAGES_MAX);

	if (slots.full_until_ns && em_sys_now_ns() < slots.full_until_ns)
		return false;
	bool grown = grow_by(step) || (step > EM_GROW_PAGES && grow_by(EM_GROW_PAGES));
	/* A full disk may have room again later. */
	slots.full_until_ns = grown ? 0 : em_sys_now_ns() + EM_FULL_NS;
	return grown;
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
	uint64_t times = slots.settled ? EM_CRAMPED : EM_SPACIOUS;

	slots.settled = slots.words * 64 > times * (em_slots_used() + EM_GROW_PAGES);
	return slots.settled;
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

static void pin_union(const struct group *g)
{
	for (uint64_t w = 0; w < g->words; w++)
		slots.pinned[w] |= g->map[w];
}

static void unite(void)
{
	memset(slots.pinned, 0, slots.words * 8);
	for (unsigned int i = 0; i < slots.group_count; i++)
		pin_union(&slots.groups[i]);
	pin_union(&slots.forever);
	slots.barren = 0;
}

static void drop_map(struct group *g)
{
	if (g->map)
		em_sys_dealloc(g->map, em_max(g->words * 8, 1));
	*g = (struct group){ .map = NULL };
}

static void remove_group(unsigned int i)
{
	drop_map(&slots.groups[i]);
	slots.group_count--;
	memmove(&slots.groups[i], &slots.groups[i + 1],
		(slots.group_count - i) * sizeof(struct group));
}

static void drop_dead_children(void)
{
	bool changed = false;
	uint64_t now;

	if (em_likely(!slots.group_count) || !em_protects(EM_KNOB_UNPIN))
		return;
	now = em_sys_now_ns();
	if (now < slots.next_poll_ns)
		return;
	slots.next_poll_ns = now + EM_POLL_NS;
	for (unsigned int i = slots.group_count; i-- > 0;)
		if (!em_watch_any(slots.groups[i].first, slots.groups[i].last)) {
			remove_group(i);
			changed = true;
		}
	if (changed)
		unite();
}

/* The slots of b are added to those of a, which has room for them. */
static void merge_maps(struct group *a, struct group *b)
{
	for (uint64_t w = 0; w < b->words; w++)
		a->map[w] |= b->map[w];
	drop_map(b);
}

static uint64_t children_in(unsigned int i)
{
	return slots.groups[i].last - slots.groups[i].first + 1;
}

/* Makes room by joining the two neighbours that have the fewest children. */
static void join_groups(void)
{
	unsigned int best = 0;

	for (unsigned int i = 1; i + 1 < slots.group_count; i++)
		if (children_in(i) + children_in(i + 1) <
		    children_in(best) + children_in(best + 1))
			best = i;
	struct group *a = &slots.groups[best], *b = a + 1;
	b->first = a->first;
	merge_maps(b, a); /* the later one knows of more slots */
	remove_group(best);
}

/* What is in use now, as a group; its map is NULL when there is no memory. */
static struct group used_now(void)
{
	struct group g = { .words = slots.words,
			   .map = em_sys_alloc(em_max(slots.words * 8, 1)) };

	for (uint64_t w = 0; g.map && w < g.words; w++)
		g.map[w] = atomic_load(&slots.used[w]);
	return g;
}

/* Nothing that the store has now is used again by this process. */
static void abandon_all(void)
{
	slots.abandoned = slots.words;
	em_log_once("fork: no memory to remember which pages of the store the child "
		    "needs; %lu pages are not used again",
		    (unsigned long)slots.abandoned * 64);
}

void em_slots_pin(uint64_t child)
{
	struct group g;

	slots.next_poll_ns = 0;
	drop_dead_children();
	if (!slots.pinned)
		slots.pinned = em_sys_alloc(bitmap_bytes());
	g = used_now();
	if (!slots.pinned || !g.map) {
		abandon_all();
		return;
	}
	pin_union(&g);
	if (child == EM_CHILD_UNWATCHED) {
		merge_maps(&g, &slots.forever);
		slots.forever = g;
		return;
	}
	if (slots.group_count == EM_GROUPS_MAX) {
		if (em_protects(EM_KNOB_JOIN)) {
			join_groups();
		} else {
			remove_group(0);
			unite();
		}
	}
	g.first = g.last = child;
	slots.groups[slots.group_count++] = g;
}

void em_slots_forked(void)
{
	while (slots.group_count)
		remove_group(slots.group_count - 1);
	drop_map(&slots.forever);
	for (uint64_t w = 0; w < slots.words; w++)
		atomic_store_explicit(&slots.used[w], 0, memory_order_relaxed);
	if (slots.pinned)
		memset(slots.pinned, 0, slots.words * 8);
	slots.words = slots.cursor = slots.barren = slots.abandoned = 0;
	slots.live = 0;
	slots.full_until_ns = 0;
	slots.settled = false;
}
