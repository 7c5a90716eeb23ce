/* SPDX-License-Identifier: MIT */
#include "fault.h"
#include "ahead.h"
#include "credits.h"
#include "dense.h"
#include "habit.h"
#include "log.h"
#include "page.h"
#include "policy.h"
#include "prefetch.h"
#include "quota.h"
#include "reclaim.h"
#include "region.h"
#include "slots.h"
#include "standby.h"
#include "stats.h"
#include "store.h"
#include "sys.h"
#include "thread.h"
#include "trace.h"
#include <errno.h>
#include <string.h>

#define EM_RUN_MAX 64u
#define EM_READERS 12u
/* The buffers of the readers take a share of the limit, one in so many. */
#define EM_READERS_SHARE 32u
/* A run of so many pages waits for a buffer; a shorter one becomes one page. */
#define EM_WORTH_WAITING 8u
/*
 * So many runs does a stream ask for beyond the one that is touched, and goes on where
 * it waits or comes to a mark, if they are at most such a share of the limit. Where
 * memory is smaller it asks for a few, when it has come through those before: what is
 * read ahead must not push out what regions were promised, nor be what is newest for
 * long (mru.c).
 */
#define EM_AHEAD_RUNS EM_AHEAD_THREADS
#define EM_AHEAD_SHARE 64u
#define EM_AHEAD_FEW 3u
/* So many pages beside a fault make it a stream that another thread began. */
#define EM_STREAM_TRACE 8u
/* The same thread faults this often on a page that is there: look closer. */
#define EM_STALE_MAX 3u

static struct {
	_Atomic bool streams;        /* stored pages are read in runs */
	uint32_t run_pages;          /* the longest run; 1: no read-ahead */
	uint32_t ahead_runs;         /* that a stream asks for; 0: none */
	bool rolls;                  /* it goes on before it has come through them */
	const unsigned char *zeros;  /* run_pages of them */
	unsigned char *buffers;      /* for runs read from the store */
	uint32_t buffer_count;
	_Atomic uint32_t busy[EM_READERS]; /* 0 free, 1 in use, 2 and waited for */
} fault;

/* Who resolves a fault, and whose fault it is: two, in thread delivery. */
struct parties {
	struct em_thread *self;
	struct em_thread *client; /* NULL: not known to us */
	uintptr_t instruction;    /* that faulted; 0: not known */
};

/* How many pages to map with the one that was touched, if they can be had with it. */
struct course {
	uint32_t below, above;
};

/* One run of pages on its way in, in order of addresses. */
struct run {
	struct em_thread *self;
	uint64_t wanted;         /* the page that was touched */
	uint64_t first;          /* page; the wanted one, or below it */
	uint32_t count;          /* pages owned */
	uint32_t spare;          /* credits taken for pages not owned */
	uint64_t words[EM_RUN_MAX]; /* as owned */
	enum em_page_state from; /* UNTOUCHED, STANDBY or STORED, all of them */
	bool write;
	bool ahead;              /* nobody waits for it: it may fail */
	int64_t mark;            /* buffer for the page that the stream comes to first; or -1 */
	uint32_t guessed;        /* pages of standby that a prefetcher had foreseen */
	uint32_t marks;          /* pages of it that were marks */
	bool marked;             /* one page more was left as a mark */
};

static void fulfil(const struct em_wish *wish);

int em_fault_init(const struct em_config *cfg, uint64_t limit_pages,
		  em_spawn *spawn)
{
	uint64_t run = em_clamp(cfg->readahead_bytes >> EM_PAGE_SHIFT, 1, EM_RUN_MAX);

	while (run > 1 && run > limit_pages / 64)
		run /= 2;
	fault.run_pages = (uint32_t)run;
	em_fault_set_streams(strcmp(cfg->prefetcher, "none") != 0);
	fault.zeros = em_sys_alloc(run << EM_PAGE_SHIFT);
	fault.buffer_count = run == 1 ? 0 :
		(uint32_t)em_clamp(limit_pages / (run * EM_READERS_SHARE), 1, EM_READERS);
	fault.rolls = limit_pages / EM_AHEAD_SHARE >= run * (EM_AHEAD_RUNS + 1);
	fault.ahead_runs = run == 1 ? 0 :
		(uint32_t)em_min(fault.rolls ? EM_AHEAD_RUNS : EM_AHEAD_FEW,
				 fault.buffer_count - 1);
	fault.buffers = em_sys_alloc((fault.buffer_count * run + 1) << EM_PAGE_SHIFT);
	if (!fault.zeros || !fault.buffers)
		return -ENOMEM;
	/* Mapped once and for all: UFFDIO_COPY reads them without a fault. */
	em_sys_populate(fault.zeros, run << EM_PAGE_SHIFT);
	em_ahead_init(spawn, fulfil);
	return (int)(fault.buffer_count * run);
}

void em_fault_set_streams(bool on)
{
	atomic_store(&fault.streams, on);
}

void em_fault_forked(void)
{
	em_ahead_forked();
	em_prefetch_forked();
	for (uint32_t i = 0; i < EM_READERS; i++)
		atomic_store(&fault.busy[i], 0);
}

/* ---- streams --------------------------------------------------------- */

static struct em_stream *oldest_stream(struct em_thread *t)
{
	struct em_stream *s = &t->streams[0];

	for (int i = 1; i < EM_STREAMS; i++)
		if ((int32_t)(t->streams[i].used - s->used) < 0)
			s = &t->streams[i];
	return s;
}

/* A stream whose window is full: what follows is asked for ahead of need. */
static bool is_long(const struct em_stream *s)
{
	return fault.ahead_runs && s->step && s->run_pages == fault.run_pages;
}

/* 1 or -1: the page continues the stream upwards or downwards; else 0. */
static int continues_stream(const struct em_stream *s, uint64_t page)
{
	/* What was asked for may have come in whole, in part, or not at all. */
	uint64_t reach = is_long(s) ? (uint64_t)fault.ahead_runs * fault.run_pages : 0;

	if (!s->run_pages)
		return 0;
	if (page - s->above <= (s->step > 0 ? reach : 0))
		return 1;
	return s->below - page <= (s->step < 0 ? reach : 0) ? -1 : 0;
}

static uint32_t count_resident(uint64_t page, int step)
{
	uint32_t n = 0;

	do
		page += (uint64_t)(int64_t)step;
	while (em_page_state_of(page) == EM_PAGE_RESIDENT && ++n < fault.run_pages);
	return n;
}

/*
 * A stream that this thread has not seen before may be another one's: threads
 * take turns at the blocks of an array. Then what is beside the page has come
 * in. A few pages of it may be chance.
 */
static void begin_stream(struct em_stream *s, uint64_t page)
{
	uint32_t enough = em_min(EM_STREAM_TRACE, fault.run_pages);
	uint32_t below = count_resident(page, -1), above = 0;

	if (below < enough)
		above = count_resident(page, 1);
	s->step = below >= enough ? 1 : above >= enough ? -1 : 0;
	s->run_pages = s->step ? em_max(below, above) : 1;
}

/*
 * The stream that a fault on this page continues, upwards or downwards, with
 * twice its window; or a new one.
 */
static struct em_stream *find_stream(const struct parties *by, uint64_t page,
				     enum em_foresight sees)
{
	struct em_thread *t = by->client ? by->client : by->self;
	struct em_stream *s = NULL;
	int step = 0;

	t->fault_clock++;
	for (int i = 0; i < EM_STREAMS && !step; i++) {
		s = &t->streams[i];
		step = continues_stream(s, page);
	}
	if (step) {
		s->run_pages = s->step == -step ? 1 : /* it turned round */
			(uint32_t)em_min(s->run_pages * 2, fault.run_pages);
		s->step = (int8_t)step;
	} else {
		s = oldest_stream(t);
		begin_stream(s, page);
		if (em_unlikely(sees == EM_SEES_SEQUENCE)) {
			s->step = s->step ? s->step : 1;
			s->run_pages = fault.run_pages;
		}
	}
	if (em_unlikely(!atomic_load_explicit(&fault.streams, memory_order_relaxed) ||
			sees == EM_SEES_NOTHING))
		s->run_pages = 1;
	s->used = t->fault_clock;
	return s;
}

/* So many pages, this one included, in the direction of the step. */
static struct course straight(uint32_t pages, int step)
{
	return step < 0 ? (struct course){ .below = pages - 1 }
			: (struct course){ .above = pages - 1 };
}

/* A full window ends where runs do that are asked for, so that they fit together. */
static struct course stream_course(const struct em_stream *s, uint64_t page)
{
	uint32_t into = (uint32_t)(page % fault.run_pages);

	if (!is_long(s))
		return straight(s->run_pages, s->step);
	return straight(s->step < 0 ? into + 1 : fault.run_pages - into, s->step);
}

/*
 * On no stream, in a granule that is come to much more often than others: all of
 * it, as the rest will be touched as well.
 */
static struct course dense_course(uint64_t page)
{
	uint32_t pages = (uint32_t)em_min(1u << em_granule_shift(), fault.run_pages);
	uint32_t into = (uint32_t)(page % pages);

	if (pages == 1 || !em_dense_seen(page))
		return straight(1, 1);
	return (struct course){ into, pages - 1 - into };
}

static struct course stored_course(const struct em_stream *s, uint64_t page, uint64_t w,
				   enum em_foresight sees)
{
	if (s->run_pages > 1 || EM_WORD_STATE(w) != EM_PAGE_STORED || sees != EM_SEES_ALL ||
	    !atomic_load_explicit(&fault.streams, memory_order_relaxed))
		return stream_course(s, page);
	return dense_course(page);
}

/*
 * A long stream is at this page: asks for what is stored of the next runs. They
 * begin at multiples of their length, so that threads which go through an array
 * together ask for the same.
 */
static void ask_ahead(const struct em_stream *s, uint64_t page, bool write)
{
	uint64_t n = fault.run_pages, run = page / n;

	for (uint32_t i = 0; i < fault.ahead_runs; i++) {
		run += (uint64_t)(int64_t)s->step;
		uint64_t first = s->step < 0 ? run * n + n - 1 : run * n;
		enum em_page_state state = em_page_state_of(first);

		if (state == EM_PAGE_UNTOUCHED || state == EM_PAGE_FOREIGN)
			break;
		if (state == EM_PAGE_STORED)
			em_ahead_ask(&(struct em_wish){ first, (uint32_t)n, s->step, write, false });
	}
}

/* The pages [first, first + count) are there: the next fault is beside them. */
static void advance(struct em_stream *s, uint64_t first, uint32_t count)
{
	s->above = first + count;
	s->below = first - 1;
}

static uint32_t count_touched(uint64_t page, int step)
{
	uint64_t pages = em_window_bytes() >> EM_PAGE_SHIFT;
	uint32_t n = 0;

	for (page += (uint64_t)(int64_t)step; page < pages && n < fault.run_pages &&
	     !em_block_is_virgin(em_block_of_page(page)) && em_page_load(page);
	     page += (uint64_t)(int64_t)step)
		n++;
	return n;
}

/*
 * The course of a first touch: as much again as was touched beside it. Here the
 * page table remembers the streams, any number of them, of whatever thread:
 * heaps grow in many places at once.
 */
static struct course first_touch_course(uint64_t page)
{
	uint32_t below = count_touched(page, -1);
	uint32_t above = below ? 0 : count_touched(page, 1);

	return straight((uint32_t)em_min(em_max(below, above) + 1, fault.run_pages),
			above ? -1 : 1);
}

/* ---- owning ---------------------------------------------------------- */

/* Whether a page can be in the run n pages after its first one. */
static bool continues(const struct run *r, uint64_t w, int64_t n)
{
	uint64_t first = r->words[0];

	if (EM_WORD_STATE(w) != r->from)
		return false;
	switch (r->from) {
	case EM_PAGE_STORED:
		return em_word_slot(w) == em_word_slot(first) + (uint64_t)n &&
		       em_slot_file(em_word_slot(w)) == em_slot_file(em_word_slot(first));
	case EM_PAGE_STANDBY:
		return em_word_buffer(w) == em_word_buffer(first) + n;
	default:
		return w == 0;
	}
}

/* As much of a course as lies in the page's region. */
static struct course within_region(uint64_t page, struct course c)
{
	struct em_region region;
	uintptr_t addr = em_page_addr(page);

	if (!(c.below | c.above) || !em_region_find(addr, &region))
		return (struct course){ 0, 0 };
	return (struct course){
		.below = (uint32_t)em_min(page - em_page_of(region.start), c.below),
		.above = (uint32_t)em_min(em_page_of(region.end - 1) - page, c.above),
	};
}

/* Gives page i of the run back as it was. */
static void unown(struct run *r, uint32_t i)
{
	r->spare++;
	em_page_set(r->first + i, em_word_unowned(r->words[i]));
}

/* Gives back all but the pages before number `keep`. */
static void cut(struct run *r, uint32_t keep)
{
	while (r->count > keep)
		unown(r, --r->count);
}

/* Gives back all but the wanted page. */
static void keep_wanted(struct run *r)
{
	uint32_t at = (uint32_t)(r->wanted - r->first);

	for (uint32_t i = 0; i < r->count; i++)
		if (i != at)
			unown(r, i);
	r->words[0] = r->words[at];
	r->first = r->wanted;
	r->count = 1;
}

static bool own_page(struct run *r, uint64_t page, uint64_t w)
{
	if (!em_page_own(page, w, EM_PAGE_LOADING))
		return false;
	r->words[r->count++] = em_page_load(page) & ~EM_WORD_WAITER;
	r->spare--;
	return true;
}

/* A run that was owned downwards, put in the order of addresses. */
static void turn_round(struct run *r)
{
	for (uint32_t i = 0, k = r->count - 1; i < k; i++, k--) {
		uint64_t w = r->words[i];
		r->words[i] = r->words[k];
		r->words[k] = w;
	}
	r->first = r->wanted - (r->count - 1);
}

/* Owns so many more pages beside the run, in one direction, as far as they continue it. */
static void own_beside(struct run *r, uint32_t most, int step)
{
	for (most += r->count; r->count < most && r->spare;) {
		int64_t n = (int64_t)r->count * step;
		uint64_t page = r->first + (uint64_t)n, w;

		em_block_touch(page);
		w = em_page_load(page);
		if (!continues(r, w, n) || !own_page(r, page, w))
			break;
	}
}

static void pass_granules(uint64_t first, uint32_t count)
{
	for (uint64_t g = em_granule_of(first); g <= em_granule_of(first + count - 1); g++)
		em_granule_pass(g);
}

/*
 * Owns the wanted page, seen as w, and as many beside it as fit. Regions must
 * not have changed meanwhile: a page outside of a mapping is not ours to map.
 */
static bool own_run(struct run *r, uint64_t w, struct course course)
{
	uint32_t seq = em_region_seq();

	course = within_region(r->wanted, course);
	r->from = EM_WORD_STATE(w);
	em_block_touch(r->wanted);
	if (!own_page(r, r->wanted, w))
		return false;
	own_beside(r, course.below, -1);
	turn_round(r);
	own_beside(r, course.above, 1);
	if (r->count > 1 && (seq & 1 || em_region_seq() != seq))
		keep_wanted(r);
	pass_granules(r->first, r->count);
	return true;
}

/* ---- contents -------------------------------------------------------- */

/*
 * Who has a buffer waits for nobody but the disk and the kernel, so that who
 * waits for a buffer may own pages.
 */
static int take_buffer(const struct run *r)
{
	uint32_t i, free;

	for (i = 0; i < fault.buffer_count; i++) {
		free = 0;
		if (atomic_compare_exchange_strong(&fault.busy[i], &free, 1))
			return (int)i;
	}
	if (r->ahead || r->count < EM_WORTH_WAITING)
		return -1;
	i = (uint32_t)(r->first / fault.run_pages % fault.buffer_count);
	while (atomic_exchange(&fault.busy[i], 2))
		em_sys_wait(&fault.busy[i], 2, 0);
	return (int)i;
}

static void give_buffer(int i)
{
	if (i >= 0 && atomic_exchange(&fault.busy[i], 0) == 2)
		em_sys_wake(&fault.busy[i], 1);
}

/* Reads a run; a failure of more than one page is tried again with one. */
static const void *read_run(struct run *r, int *buffer)
{
	unsigned char *to = r->self->page;
	int ret;

	*buffer = r->count > 1 ? take_buffer(r) : -1;
	if (*buffer < 0)
		keep_wanted(r);
	else
		to = fault.buffers + (((uint64_t)*buffer * fault.run_pages) << EM_PAGE_SHIFT);
	ret = em_store_read(em_word_slot(r->words[0]), to, r->count);
	if (ret < 0 && r->count > 1) {
		keep_wanted(r);
		ret = em_store_read(em_word_slot(r->words[0]), to, 1);
	}
	if (ret == 0)
		return to;
	if (!r->ahead)
		em_log("page %lx cannot be read back from the store (error %d)",
		       (unsigned long)em_page_addr(r->first), -ret);
	return NULL;
}

static const void *find_contents(struct run *r, int *buffer)
{
	*buffer = -1;
	switch (r->from) {
	case EM_PAGE_STORED: return read_run(r, buffer);
	case EM_PAGE_STANDBY: return em_buffer_memory(em_word_buffer(r->words[0]));
	default: return fault.zeros;
	}
}

/*
 * Decides whether page i stays clean, gives its slot or buffer back as that
 * requires, and returns its new word.
 */
static uint64_t settle_page(struct run *r, uint32_t i, bool protect)
{
	uint64_t w = r->words[i];
	bool clean = false;

	if (r->from == EM_PAGE_STANDBY) {
		clean = protect;
		enum em_entry_kind kind = em_standby_take(w, clean);
		r->guessed += kind == EM_ENTRY_GUESS;
		r->marks += kind == EM_ENTRY_MARK;
	} else if (r->from == EM_PAGE_STORED) {
		em_uncount(&em_segment->stored_pages, 1);
		clean = protect;
		if (!clean)
			em_slot_give(em_word_slot(w));
	}
	if (clean)
		em_count(&em_segment->clean_pages, 1);
	return em_word_make(EM_PAGE_RESIDENT, clean ? em_word_slot(w) : EM_SLOT_NONE,
			    -1, clean);
}

static void publish(struct run *r, uint32_t from, uint32_t to, bool protect)
{
	for (uint32_t i = from; i < to; i++)
		em_page_set(r->first + i, settle_page(r, i, protect));
}

/*
 * Whether the store has, or will keep, the bytes of the whole run. Of a buffer
 * whose write is under way nobody knows yet that it will end well.
 */
static bool may_stay_clean(const struct run *r)
{
	if (r->from != EM_PAGE_STANDBY)
		return r->from == EM_PAGE_STORED;
	for (uint32_t i = 0; i < r->count; i++)
		if (!em_standby_is_written(em_word_buffer(r->words[i])))
			return false;
	return true;
}

/*
 * Maps what is owned. Pages are published as they get mapped; what the kernel
 * does not take goes back to what it was.
 */
static int map_run(struct run *r, const void *contents)
{
	bool protect = !r->write && may_stay_clean(r);
	uint32_t done = 0, most = r->count;

	while (done < r->count) {
		uint32_t some = (uint32_t)em_min(most, r->count - done);
		long n = em_sys_copy_in(em_page_addr(r->first + done),
				(const char *)contents + ((uint64_t)done << EM_PAGE_SHIFT),
				(uint64_t)some << EM_PAGE_SHIFT, protect);
		/* One region may be several mappings of the kernel's, which it could
		 * not join; a copy must lie in one of them. */
		if (n == -ENOENT && some > 1) {
			most = some / 2;
			continue;
		}
		if (n == -EEXIST) { /* mapped behind our back: what is there is newer */
			publish(r, done, done + 1, false);
			done++;
			continue;
		}
		if (n < 0) {
			cut(r, done);
			return done || n == -ENOENT ? 0 : (int)n;
		}
		publish(r, done, done + (uint32_t)(n >> EM_PAGE_SHIFT), protect);
		done += (uint32_t)(n >> EM_PAGE_SHIFT);
	}
	return 0;
}

static void tell_policy(const struct run *r)
{
	static const enum extmem_event why[] = {
		[EM_PAGE_UNTOUCHED] = EXTMEM_FIRST,
		[EM_PAGE_STANDBY] = EXTMEM_SOFT,
		[EM_PAGE_STORED] = EXTMEM_MAJOR,
	};

	/* The touch of a mark is the first of what was read, and no hit. */
	enum extmem_event event = r->marks && r->marks == r->count ? EXTMEM_MAJOR
								   : why[r->from];

	for (uint64_t g = em_granule_of(r->first);
	     r->count && g <= em_granule_of(r->first + r->count - 1); g++)
		em_policy_tell((uint32_t)g, event);
	em_policy_grown(r->count);
}

static void lose_page(struct run *r)
{
	keep_wanted(r);
	em_page_set(r->first, em_word_make(EM_PAGE_LOST, em_word_slot(r->words[0]),
					   -1, false));
	em_uncount(&em_segment->stored_pages, 1);
	r->count = 0;
	r->spare++;
}

/* Page i of a run that the store has is STANDBY now, and not of the run any more. */
static void leave_in_standby(struct run *r, uint32_t i, int64_t buffer)
{
	em_standby_put(r->first + i, r->words[i], buffer);
	r->spare++;
	r->count--;
	if (i == 0) {
		r->first++;
		memmove(r->words, r->words + 1, r->count * sizeof(*r->words));
	}
}

/*
 * Room for a mark, or -1: where reclaim is busy, there is none. Reserved before
 * anything is owned: a cluster is emptied for it, which waits for who owns a page
 * in there, and that may be an munmap that waits for what we own.
 */
static int64_t reserve_mark(uint64_t page)
{
	int64_t buffer;
	uint32_t got;

	if (!em_reclaim_trylock())
		return -1;
	got = em_standby_reserve(&page, 1, EM_ENTRY_MARK, &buffer);
	em_reclaim_unlock();
	return got ? buffer : -1;
}

/*
 * The page that the stream comes to first is left in its buffer, as a mark: the
 * fault there asks for what follows. Returns the contents of what is still to be
 * mapped.
 */
static const void *set_mark(struct run *r, const void *contents)
{
	uint32_t i = (uint32_t)(r->wanted - r->first);
	const char *page = (const char *)contents + ((uint64_t)i << EM_PAGE_SHIFT);

	if (r->from != EM_PAGE_STORED || r->count < EM_STREAM_TRACE ||
	    em_standby_fill(r->mark, page) < 0)
		return contents;
	leave_in_standby(r, i, r->mark);
	r->marked = true;
	return i == 0 ? page + EM_PAGE_BYTES : contents;
}

static enum em_fault_outcome load_owned(struct run *r)
{
	enum em_fault_outcome outcome = EM_FAULT_DONE;
	int buffer, ret;
	const void *contents = find_contents(r, &buffer);

	if (contents) {
		if (r->mark >= 0)
			contents = set_mark(r, contents);
		ret = map_run(r, contents);
		if (ret == -ENOMEM)
			em_log_once("the kernel has no memory for a page");
		else if (ret < 0)
			em_panic("UFFDIO_COPY: error %d", -ret);
	} else if (r->ahead) {
		cut(r, 0);
	} else {
		lose_page(r);
		outcome = EM_FAULT_FAILED;
	}
	give_buffer(buffer);
	return outcome;
}

static void count_run(const struct run *r)
{
	struct em_counters *c = em_stats();

	if (r->from == EM_PAGE_UNTOUCHED)
		em_count(&c->pages_zeroed, r->count);
	else if (r->from == EM_PAGE_STORED && r->count)
		em_count(&c->pages_readahead, r->ahead ? r->count + r->marked : r->count - 1);
}

/* What is on no stream is the prefetcher's business. */
static void tell_prefetcher(const struct run *r, const struct em_stream *s,
			    const struct parties *by, enum em_foresight sees)
{
	for (uint32_t i = 0; i < r->guessed; i++)
		em_prefetch_judge(true);
	if (sees == EM_SEES_ALL &&
	    (r->guessed || (r->from == EM_PAGE_STORED && s->run_pages == 1)))
		em_prefetch_tell(by->client ? by->client : by->self, r->wanted);
}

/* ---- the cases of a fault -------------------------------------------- */

/* Credits for pages that nobody waits for: when scarce, half of what is left. */
static uint32_t take_spare_credits(uint32_t want)
{
	int64_t left = em_credits_free();

	if (left <= 1)
		return 0;
	return em_credits_take((uint32_t)em_min(want, em_credits_below_low()
						? (uint64_t)left / 2 : want));
}

/* How many credits a run may take. 0 when a fork must be over first. */
static uint32_t take_credits(const struct em_thread *client, uint32_t want)
{
	uint32_t got = em_credits_take(1);

	if (!got) {
		if (!em_reclaim_need_credit(client))
			return 0;
		got = 1;
	}
	if (want > 1)
		got += take_spare_credits(want - 1);
	em_reclaim_kick();
	return got;
}

/* Whether the page's region has so much more than it may have that it must not grow. */
static bool is_excess(uint64_t page, unsigned int *rule)
{
	if (em_likely(!em_policy_is_over()))
		return false;
	*rule = em_region_rule_of((uint32_t)em_granule_of(page));
	return em_policy_has_excess(*rule);
}

/* False when a fork has closed the gate, and its thread may be waiting for us. */
static bool enter_gate(const struct parties *by)
{
	if (by->self != by->client)
		return em_gate_try_enter(by->self, by->client);
	em_gate_enter(by->self);
	return true;
}

/*
 * A thread that waits for a page of its stream has come so far: what is beyond
 * it is asked for now, so that the disk is not idle until it gets there.
 */
static void keep_ahead(uint64_t page, bool write, const struct parties *by)
{
	struct em_stream *s = find_stream(by, page, em_region_foresight(em_page_addr(page)));

	if (is_long(s)) {
		em_quota_wait(false);
		if (enter_gate(by)) {
			ask_ahead(s, page, write);
			em_gate_leave(by->self);
		}
	}
	advance(s, page, 1);
}

/* What is on no stream has come back for its own sake. */
static void heed_habits(struct run *r, const struct parties *by)
{
	em_habit_back(r->wanted);
	if (!r->write && r->count == 1)
		r->write = em_habit_will_write(r->wanted, by->instruction);
}

/* Brings in an absent page, seen as w, and what follows it on its course. */
static enum em_fault_outcome load(uint64_t page, uint64_t w, bool write,
				  const struct parties *by)
{
	enum em_foresight sees = em_region_foresight(em_page_addr(page));
	struct em_stream *stream = EM_WORD_STATE(w) == EM_PAGE_UNTOUCHED ? NULL :
				   find_stream(by, page, sees);
	struct course course = stream ? stored_course(stream, page, w, sees)
				      : first_touch_course(page);
	struct run r = { .self = by->self, .wanted = page, .first = page, .write = write,
			 .mark = -1 };
	enum em_fault_outcome outcome = EM_FAULT_DONE;
	unsigned int rule;
	bool owned;

	/* Also for what is read on its account. */
	if (EM_WORD_STATE(w) == EM_PAGE_STORED || (stream && is_long(stream)) ||
	    em_unlikely(em_credits_below_low()))
		em_quota_wait(EM_WORD_STATE(w) == EM_PAGE_STORED);
	if (is_excess(page, &rule))
		em_reclaim_help(by->client, rule);
	r.spare = take_credits(by->client, 1 + course.below + course.above);
	if (!r.spare || !enter_gate(by)) {
		em_credits_give(r.spare);
		return EM_FAULT_LATER;
	}
	owned = own_run(&r, w, course);
	if (owned) {
		if (stream && stream->run_pages == 1)
			heed_habits(&r, by);
		if (stream && is_long(stream))
			ask_ahead(stream, page, write);
		outcome = load_owned(&r);
		tell_policy(&r);
		tell_prefetcher(&r, stream, by, sees);
	}
	em_gate_leave(by->self);
	em_credits_give(r.spare);
	if (!owned)
		return outcome; /* the caller looks again */
	count_run(&r);
	if (stream)
		advance(stream, r.first, (uint32_t)em_max(r.count, 1));
	return outcome;
}

/*
 * One run of a wish; how many pages it became. Nothing here waits: neither for
 * a credit, nor for a fork, nor for who owns a page.
 */
static uint32_t load_ahead(uint64_t page, const struct em_wish *wish, uint32_t pages)
{
	struct run r = { .self = em_thread_self(), .wanted = page, .first = page,
			 .write = wish->write, .ahead = true, .mark = -1 };
	enum em_page_state state = em_page_state_of(page);
	unsigned int rule;

	if ((state != EM_PAGE_STORED && state != EM_PAGE_STANDBY) || is_excess(page, &rule))
		return 0;
	r.spare = take_spare_credits(pages);
	em_reclaim_kick();
	if (fault.rolls && r.spare && page == wish->page)
		r.mark = reserve_mark(page);
	if (r.spare && em_gate_try_enter(r.self, NULL)) {
		uint64_t w = em_page_load(page);
		if (EM_WORD_STATE(w) == state &&
		    own_run(&r, w, straight(pages, (int)wish->step))) {
			load_owned(&r);
			tell_policy(&r);
			count_run(&r);
		}
		em_gate_leave(r.self);
	}
	if (r.mark >= 0)
		em_standby_reserved_done(r.mark);
	em_credits_give(r.spare);
	return r.count + r.marked;
}

static void fulfil(const struct em_wish *wish)
{
	uint64_t page = wish->page;
	uint32_t left = wish->pages, n;

	if (wish->stage) {
		em_prefetch_stage(wish);
		return;
	}
	while (left && (n = load_ahead(page, wish, left)) > 0) {
		left -= n;
		page += (uint64_t)(n * wish->step);
	}
}

static void lift_protection(uint64_t page, uint32_t count)
{
	em_sys_write_protect(em_page_addr(page), (size_t)count << EM_PAGE_SHIFT, false);
}

/*
 * A write to a clean page, or to one that was protected along with its
 * neighbours: it becomes dirty, and so do those after it if the thread writes
 * along a stream.
 */
static enum em_fault_outcome make_dirty(uint64_t page, uint64_t w,
					const struct parties *by)
{
	struct em_stream *stream = find_stream(by, page, EM_SEES_ALL);
	struct run r = { .self = by->self, .first = page };
	uint64_t dirty = em_word_make(EM_PAGE_RESIDENT, EM_SLOT_NONE, -1, false);

	if (!enter_gate(by))
		return EM_FAULT_LATER;
	if (em_page_own(page, w, EM_PAGE_LOADING)) {
		r.words[r.count++] = em_page_load(page) & ~EM_WORD_WAITER;
		if (w & EM_WORD_CLEAN)
			em_habit_wrote(page);
		while (stream->step > 0 && r.count < stream->run_pages) {
			w = em_page_load(page + r.count);
			if (EM_WORD_STATE(w) != EM_PAGE_RESIDENT || !(w & EM_WORD_CLEAN) ||
			    !em_page_own(page + r.count, w, EM_PAGE_LOADING))
				break;
			r.words[r.count] = em_page_load(page + r.count) & ~EM_WORD_WAITER;
			r.count++;
		}
		pass_granules(page, r.count);
		lift_protection(page, r.count);
		for (uint32_t i = 0; i < r.count; i++) {
			em_standby_release(r.words[i]);
			em_page_set(page + i, dirty);
		}
	}
	em_gate_leave(by->self);
	advance(stream, page, (uint32_t)em_max(r.count, 1));
	return EM_FAULT_DONE;
}

/*
 * A missing-page fault on a page that is resident. Mostly another thread was
 * faster. If it does not get better, a raw system call has dropped the page
 * behind our back, and by the kernel's rules it reads as zero now.
 */
static enum em_fault_outcome look_closer(uint64_t page, uint64_t w,
					 const struct parties *by)
{
	struct em_thread *self = by->self;

	if (self->last_stale != page) {
		self->last_stale = page;
		self->stale_count = 0;
	}
	if (++self->stale_count < EM_STALE_MAX)
		return EM_FAULT_DONE;
	self->stale_count = 0;
	if (!enter_gate(by))
		return EM_FAULT_LATER;
	if (em_page_own(page, w, EM_PAGE_LOADING)) {
		uint64_t owned = em_page_load(page) & ~EM_WORD_WAITER;
		em_granule_pass(em_granule_of(page));
		if (em_sys_copy_in(em_page_addr(page), fault.zeros, EM_PAGE_BYTES, false) > 0) {
			em_standby_release(owned); /* what the store has is the past */
			w = em_word_make(EM_PAGE_RESIDENT, EM_SLOT_NONE, -1, false);
		}
		em_page_set(page, w);
	}
	em_gate_leave(self);
	return EM_FAULT_DONE;
}

static enum em_fault_outcome resolve(uintptr_t addr, bool write, bool protection,
				     const struct parties *by)
{
	uint64_t start = em_sys_now_ns();
	uint64_t page = em_page_of(addr);
	enum em_fault_kind kind = EM_FAULT_SOFT;
	enum em_trace_kind how = EM_TRACE_SOFT;
	enum em_fault_outcome outcome = EM_FAULT_DONE;
	bool again = true, waited = false;

	while (again) {
		uint64_t w = em_page_load(page);
		again = false;
		switch (EM_WORD_STATE(w)) {
		case EM_PAGE_UNTOUCHED:
			kind = EM_FAULT_FIRST;
			how = EM_TRACE_FIRST;
			outcome = load(page, w, write, by);
			break;
		case EM_PAGE_STORED:
			kind = EM_FAULT_MAJOR;
			how = EM_TRACE_MAJOR;
			outcome = load(page, w, write, by);
			break;
		case EM_PAGE_STANDBY:
			outcome = load(page, w, write, by);
			break;
		case EM_PAGE_RESIDENT:
			how = write && protection ? EM_TRACE_CLEAN : EM_TRACE_RACED;
			outcome = write && protection ? make_dirty(page, w, by)
						      : look_closer(page, w, by);
			break;
		case EM_PAGE_LOST:
			return EM_FAULT_FAILED;
		case EM_PAGE_FOREIGN:
			return EM_FAULT_NOT_OURS;
		case EM_PAGE_LOADING:
			if (fault.rolls && !waited)
				keep_ahead(page, write, by);
			/* fall through */
		default: /* EVICTING, BUSY: somebody works on it */
			em_page_wait(page, w);
			again = waited = true;
		}
	}
	if (outcome != EM_FAULT_LATER) {
		em_stats_fault(kind, em_sys_now_ns() - start);
		em_trace_fault(by->self, by->client, page, how, write, start);
	}
	return outcome;
}

enum em_fault_outcome em_fault_handle(uintptr_t addr, uintptr_t instruction, bool write,
				      bool protection)
{
	struct em_thread *self = em_thread_self();

	return resolve(addr, write, protection, &(struct parties){ self, self, instruction });
}

enum em_fault_outcome em_fault_serve(uintptr_t addr, bool write, bool protection,
				     struct em_thread *client)
{
	return resolve(addr, write, protection,
		       &(struct parties){ em_thread_self(), client, 0 });
}

bool em_fault_would_wait(uintptr_t addr)
{
	switch (EM_WORD_STATE(em_page_load(em_page_of(addr)))) {
	case EM_PAGE_UNTOUCHED:
		return em_credits_free() <= 0 ||
		       (em_credits_below_low() && em_quota_is_owed());
	case EM_PAGE_STANDBY:
		return em_credits_free() <= 0 || em_quota_is_owed();
	case EM_PAGE_RESIDENT: return false;
	default: return true;
	}
}

/* Whether the kernel can use the page as it is. */
static inline bool is_ready(uint64_t w, bool write)
{
	return EM_WORD_STATE(w) == EM_PAGE_RESIDENT && !(write && w & EM_WORD_CLEAN);
}

static int bring_in_page(uint64_t page, bool write)
{
	uint64_t w;

	while (!is_ready(w = em_page_load(page), write)) {
		struct em_region r;
		/* Not ours to map: the kernel gives its own answer. */
		if (EM_WORD_STATE(w) == EM_PAGE_FOREIGN ||
		    (EM_WORD_STATE(w) == EM_PAGE_UNTOUCHED &&
		     (!em_region_find(em_page_addr(page), &r) || !r.prot)))
			return 0;
		bool protection = EM_WORD_STATE(w) == EM_PAGE_RESIDENT;
		sigset_t old;
		em_sys_block_signals(&old);
		enum em_fault_outcome o =
			em_fault_handle(em_page_addr(page), 0, write, protection);
		em_sys_restore_signals(&old);
		if (o != EM_FAULT_DONE)
			return -EFAULT;
	}
	return 0;
}

EM_HOT int em_fault_bring_in(uintptr_t addr, size_t bytes, bool write)
{
	uint64_t end = em_page_of(addr + bytes - 1) + 1;
	bool brought = false;
	int ret = 0;

	for (uint64_t page = em_page_of(addr); page < end && ret == 0; page++)
		if (em_unlikely(!is_ready(em_page_load(page), write))) {
			ret = bring_in_page(page, write);
			brought = true;
		}
	if (em_unlikely(brought))
		em_count(&em_stats()->syscall_ranges, 1);
	return ret;
}

void em_fault_prefetch(uint64_t first, uint64_t end, bool all, bool write)
{
	for (uint64_t page = first; page < end && !em_credits_below_low(); page++) {
		bool untouched = EM_WORD_STATE(em_page_load(page)) == EM_PAGE_UNTOUCHED;
		if ((all || !untouched) && bring_in_page(page, write) < 0)
			break;
	}
}
