/* SPDX-License-Identifier: MIT
 *
 * replay: what came next in an earlier run, as it was recorded.
 *
 * Like markov with a memory that is whole from the beginning, and that knows
 * the second and third time from the first: the thread has a place in the
 * sequence. What it does not touch this time is passed over. A page that is not
 * near may be one that was in memory then, and the thread goes on where it was; or
 * it goes another way: so its place is only left when the next page, too, is at
 * the place that was looked up for this one.
 */
#include "prefetchers.h"
#include "sequence.h"

/* So far ahead of its place is a page looked for before it is looked up. */
#define NEAR 64u
/* So many entries of the index are looked at for a page, */
#define TRIES 32u
/* and so many places that have it: each is another miss of the processor's cache. */
#define PLACES 8u

struct replay_thread {
	uint32_t at;    /* place of the last fault that was found; 0: none */
	uint32_t next;  /* the first place not asked for yet */
	uint32_t ahead; /* how many pages beyond `at` have been asked for */
	uint32_t other; /* where it may be instead; 0: nowhere */
};

_Static_assert(sizeof(struct replay_thread) <= EXTMEM_GUESS_THREAD_BYTES, "fits a thread's record");

/* ---- the index ---------------------------------------------------------- */

static uint32_t index_bits(uint32_t places)
{
	uint32_t bits = 10;

	while (bits < 31 && 1u << bits < places * 2)
		bits++;
	return bits;
}

/* The entry that has the page, or one for it; NULL: too many have its hash. */
static _Atomic uint32_t *entry_of(const struct em_sequence *s, uint32_t page)
{
	uint32_t mask = UINT32_MAX >> s->index_shift;
	uint32_t hash = page * 0x9e3779b1u >> s->index_shift;

	for (uint32_t i = 0; i < TRIES; i++) {
		_Atomic uint32_t *e = &s->index[(hash + i) & mask];
		uint32_t place = atomic_load_explicit(e, memory_order_relaxed);
		if (!place || s->pages[place] == page)
			return e;
	}
	return NULL;
}

/* ---- filling ------------------------------------------------------------ */

size_t em_sequence_bytes(uint32_t places)
{
	return sizeof(struct em_sequence) + 2 * sizeof(uint32_t) * (places + 1ul) +
	       (sizeof(uint32_t) << index_bits(places));
}

struct em_sequence *em_sequence_init(void *at, uint32_t places)
{
	struct em_sequence *s = at;

	s->count = 1;
	s->room = places + 1;
	s->index_shift = 32 - index_bits(places);
	s->pages = (uint32_t *)(s + 1);
	s->same = s->pages + s->room;
	s->index = (_Atomic uint32_t *)(s->same + s->room);
	return s;
}

/* Joins a place to those with the same page, after the last one. */
static void join(struct em_sequence *s, uint32_t place)
{
	_Atomic uint32_t *e = entry_of(s, s->pages[place]);
	uint32_t last = e ? atomic_load_explicit(e, memory_order_relaxed) : 0;

	s->same[place] = last ? s->same[last] : place;
	if (last)
		s->same[last] = place;
	if (e)
		atomic_store_explicit(e, place, memory_order_relaxed);
}

void em_sequence_end(struct em_sequence *s, struct em_sequence_ends *ends)
{
	if (!ends->piece || s->count == s->room)
		return;
	ends->last[ends->tid % EM_SEQUENCE_THREADS].tid = ends->tid;
	ends->last[ends->tid % EM_SEQUENCE_THREADS].link = s->count;
	s->pages[s->count++] = EM_SEQUENCE_LINK; /* to nowhere, so far */
	ends->piece = 0;
}

static void begin_piece(struct em_sequence *s, struct em_sequence_ends *ends, uint32_t tid)
{
	uint32_t slot = tid % EM_SEQUENCE_THREADS;

	em_sequence_end(s, ends);
	ends->tid = tid;
	ends->piece = s->count;
	if (ends->last[slot].link && ends->last[slot].tid == tid)
		s->pages[ends->last[slot].link] = EM_SEQUENCE_LINK | s->count;
	ends->last[slot].link = 0;
}

bool em_sequence_add(struct em_sequence *s, struct em_sequence_ends *ends, uint32_t tid,
		     uint32_t page)
{
	if (!ends->piece || ends->tid != tid)
		begin_piece(s, ends, tid);
	else if (s->pages[s->count - 1] == page)
		return true;
	if (s->count + 1 >= s->room) /* one is for the link at its end */
		return false;
	s->pages[s->count] = page;
	join(s, s->count++);
	return true;
}

/* ---- following ---------------------------------------------------------- */

/* The place after this one; 0 at the end. Links lead onwards, so they end. */
static uint32_t after(const struct em_sequence *s, uint32_t place)
{
	place++;
	while (place && place < s->count && s->pages[place] & EM_SEQUENCE_LINK)
		place = s->pages[place] & ~EM_SEQUENCE_LINK;
	return place < s->count ? place : 0;
}

/* How many places ahead of this one the page is, to which it goes; 0: it is not near. */
static uint32_t look_ahead(const struct em_sequence *s, uint32_t *at, uint32_t page)
{
	uint32_t place = *at;

	for (uint32_t n = 1; place && n <= NEAR; n++) {
		place = after(s, place);
		if (place && s->pages[place] == page) {
			*at = place;
			return n;
		}
	}
	return 0;
}

/*
 * The first place with this page beyond that one, if it is soon found, or else
 * the one after that where the page was last looked for. It goes on from there
 * the next time.
 */
static uint32_t look_up(const struct em_sequence *s, uint32_t at, uint32_t page)
{
	_Atomic uint32_t *e = entry_of(s, page);
	uint32_t place, first;

	if (!e || !(place = atomic_load_explicit(e, memory_order_relaxed)))
		return 0;
	first = place = s->same[place];
	for (uint32_t i = 1; i < PLACES && place <= at; i++)
		place = s->same[place];
	atomic_store_explicit(e, place, memory_order_relaxed);
	return place > at ? place : first;
}

static void go_to(const struct em_sequence *s, struct replay_thread *t, uint32_t place)
{
	t->at = place;
	t->next = after(s, place);
	t->ahead = 0;
}

/* The page is not where it should be: where may the thread be? True: it is there. */
static bool look_elsewhere(const struct em_sequence *s, struct replay_thread *t, uint32_t page)
{
	if (!look_ahead(s, &t->other, page)) {
		/* It may have gone too far for a page that was near by chance. */
		t->other = look_up(s, t->at > NEAR ? t->at - NEAR : 0, page);
		if (!t->other || (t->at && after(s, t->at)))
			return false; /* it has a place to lose */
	}
	go_to(s, t, t->other);
	return true;
}

/* Whether the thread is in the sequence, and so where. */
static bool find(const struct em_sequence *s, struct replay_thread *t, uint32_t page)
{
	uint32_t place = t->at, steps = look_ahead(s, &place, page);

	if (!steps)
		return look_elsewhere(s, t, page);
	t->other = 0;
	if (steps > t->ahead) {
		go_to(s, t, place);
	} else {
		t->at = place;
		t->ahead -= steps;
	}
	return true;
}

/* Adds a page to a guess that it continues, side by side, or begins one. */
static size_t put(struct extmem_guess *out, size_t n, uint32_t page)
{
	struct extmem_guess *last = n ? &out[n - 1] : NULL;
	int64_t before = last ? (int64_t)last->page + (last->pages - 1) * last->step : 0;
	int64_t step = last ? (int64_t)page - before : 0;

	if ((step == 1 || step == -1) && (last->pages == 1 || last->step == step)) {
		last->step = step;
		last->pages++;
		return n;
	}
	out[n] = (struct extmem_guess){ page, 1, 1 };
	return n + 1;
}

static size_t guess(struct extmem_prefetch *p, void *thread, uint64_t page, uint32_t depth,
		    struct extmem_guess *out)
{
	const struct em_sequence *s = p->state;
	struct replay_thread *t = thread;
	size_t n = 0;

	if (!s || page >= EM_SEQUENCE_LINK || !find(s, t, (uint32_t)page) || t->ahead > depth / 2)
		return 0;
	while (t->next && t->ahead < depth && n < EXTMEM_GUESSES_MAX) {
		n = put(out, n, s->pages[t->next]);
		t->next = after(s, t->next);
		t->ahead++;
	}
	return n;
}

const struct extmem_prefetcher em_prefetch_replay = {
	.version = EXTMEM_PREFETCHER_VERSION,
	.name = "replay",
	.help = "what came next in an earlier run",
	.thread_bytes = sizeof(struct replay_thread),
	.guess = guess,
};
