/* SPDX-License-Identifier: MIT
 *
 * Pages out: programs of four times the limit whose every byte is checked, by
 * each policy and both ways, with one thread and with many; then each thing
 * that can go wrong on the way, alone.
 */
#include "policies/policies.h"
#include "world.h"

#include <errno.h>

/* ---- more than fits ---------------------------------------------------- */

#define THREADS_MAX 4
#define PAGES_MAX 8192

struct load {
	const char *policy, *way_out, *delivery;
	unsigned int threads;
	bool reclaimer;        /* a thread evicts ahead of need */
	unsigned int steps;    /* of each thread */
};

struct worker {
	pthread_t thread;
	uint64_t seed;
	unsigned int steps;
	uintptr_t addr;
	size_t pages;
	uint32_t versions[PAGES_MAX];
	unsigned int wrong;    /* pages that did not hold what they should */
	unsigned int over;     /* times that more was resident than may be */
};

static struct worker workers[THREADS_MAX];

static void check_limit(struct worker *w)
{
	w->over += fake.mapped > em_segment->credit_pages;
}

static void write_page(struct worker *w, size_t p)
{
	w->wrong += put_page(w->addr, p, ++w->versions[p]) != FAKE_FINE;
}

static void read_page(struct worker *w, size_t p)
{
	w->wrong += !has_page(w->addr, p, w->versions[p]);
}

/* A few bytes of a page change, the others stay: read, then written. */
static void change_page(struct worker *w, size_t p)
{
	read_page(w, p);
	write_page(w, p);
}

static void write_zeros(struct worker *w, size_t p)
{
	w->wrong += put_page(w->addr, p, 0) != FAKE_FINE;
	w->versions[p] = 0;
}

static void run_along(struct worker *w, void (*f)(struct worker *, size_t))
{
	size_t n = 1 + roll(&w->seed, 100), p = roll(&w->seed, w->pages);

	for (; n && p < w->pages; n--, p++)
		f(w, p);
}

static void discard_some(struct worker *w)
{
	size_t n = 1 + roll(&w->seed, 40), p = roll(&w->seed, w->pages - n);

	w->wrong += em_region_discard(w->addr + p * PAGE, n * PAGE) != 0;
	memset(w->versions + p, 0, n * sizeof(w->versions[0]));
}

/*
 * All of it goes somewhere else and comes back to where the pattern fits. One
 * at a time, or another's new place is where this one wants to come back to.
 */
static void move_about(struct worker *w)
{
	static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
	const int flags = MREMAP_MAYMOVE | MREMAP_FIXED;
	uintptr_t aside, moved;

	pthread_mutex_lock(&turn);
	aside = map_pages(w->pages);
	w->wrong += em_region_remap(w->addr, w->pages * PAGE, w->pages * PAGE,
				    flags, aside, &moved) != 0 || moved != aside;
	w->wrong += em_region_remap(aside, w->pages * PAGE, w->pages * PAGE,
				    flags, w->addr, &moved) != 0 || moved != w->addr;
	pthread_mutex_unlock(&turn);
}

static void step(struct worker *w)
{
	size_t hot = w->pages / 10;

	switch (roll(&w->seed, 16)) {
	case 0: run_along(w, write_page); break;
	case 1: run_along(w, read_page); break;
	case 2: run_along(w, change_page); break;
	case 3: write_zeros(w, roll(&w->seed, w->pages)); break;
	case 4: discard_some(w); break;
	case 5: case 6: case 7: read_page(w, roll(&w->seed, w->pages)); break;
	case 8: case 9: write_page(w, roll(&w->seed, w->pages)); break;
	default: (roll(&w->seed, 4) ? read_page : write_page)(w, roll(&w->seed, hot));
	}
	check_limit(w);
}

static void *work(void *arg)
{
	struct worker *w = arg;

	for (size_t p = 0; p < w->pages; p++)
		write_page(w, p);
	for (unsigned int i = 0; i < w->steps; i++) {
		step(w);
		if (i == w->steps / 2)
			move_about(w);
	}
	for (size_t p = 0; p < w->pages; p++)
		read_page(w, p);
	em_thread_leave();
	return NULL;
}

static uint64_t next_seed;

static void start_workers(const struct load *l)
{
	size_t pages = 4 * em_segment->limit_pages / l->threads;

	for (unsigned int i = 0; i < l->threads; i++) {
		workers[i].seed = next_seed + i * 1000003;
		workers[i].steps = l->steps;
		workers[i].pages = pages;
		workers[i].addr = map_pages(pages);
	}
	em_reclaim_start_if_due();
	for (unsigned int i = 0; i < l->threads; i++)
		pthread_create(&workers[i].thread, NULL, work, &workers[i]);
}

static void four_times_the_limit(const void *arg)
{
	const struct load *l = arg;
	unsigned int wrong = 0, over = 0;
	char config[256];

	snprintf(config, sizeof(config), "eviction.algorithm=%s\neviction.way_out=%s\n"
		 "faults.delivery=%s\neviction.granule=%dK", l->policy, l->way_out,
		 l->delivery, l->threads > 1 ? 64 : 16);
	fake.short_copies = 7;
	if (!start_world(l->reclaimer ? spawn_thread : spawn_nothing, config))
		return;
	start_workers(l);
	for (unsigned int i = 0; i < l->threads; i++) {
		pthread_join(workers[i].thread, NULL);
		wrong += workers[i].wrong;
		over += workers[i].over;
	}
	is_int(wrong, 0, "every page always held what it should");
	is_int(over, 0, "and never was more resident than the limit allows");
	ok(fake.mapped_peak <= em_segment->credit_pages, "not for a moment: %llu of %llu",
	   (unsigned long long)fake.mapped_peak, (unsigned long long)em_segment->credit_pages);
	ok(fake.mapped_peak > em_segment->credit_pages / 2, "though the memory was used");
	is_int(em_segment->over_limit_events, 0, "the limit was never passed");
	is_str(em_segment->way_out, l->way_out, "pages left by %s", l->way_out);
	is_str(em_segment->delivery, l->delivery, "faults came by %s", l->delivery);
	struct em_report r = report_now();
	ok(r.pages_evicted > 2 * em_segment->limit_pages && r.faults[EM_FAULT_MAJOR] > 100 &&
	   r.faults[EM_FAULT_SOFT] > 0 && r.pages_clean > 0,
	   "%llu pages left, %llu of them clean; %llu faults were major, %llu soft",
	   (unsigned long long)r.pages_evicted, (unsigned long long)r.pages_clean,
	   (unsigned long long)r.faults[EM_FAULT_MAJOR],
	   (unsigned long long)r.faults[EM_FAULT_SOFT]);
	ok(l->reclaimer || r.direct_reclaims > 0, "faulting threads evicted when nobody else did");

	for (unsigned int i = 0; i < l->threads; i++)
		em_region_unmap(workers[i].addr, workers[i].pages * PAGE);
	finish_writes();
	is_int(em_slots_used(), 0, "unmapped, no slot is lost");
	is_int(credits_at_rest(), em_segment->credit_pages, "nor a credit");
	r = report_now();
	is_int(r.standby_bytes + r.stored_bytes + r.clean_bytes, 0, "and the gauges say zero");
}

static void loads(const char *policy, const char *way_out, const char *delivery)
{
	bool by_thread = !strcmp(delivery, "thread");
	char name[128];

	for (unsigned int threads = 1; threads <= THREADS_MAX; threads += 3) {
		struct load l = { policy, way_out, delivery, threads,
				  threads > 1 || by_thread, 1600 / threads };
		snprintf(name, sizeof(name), "%s, %s, by %s, threads: %u", policy, way_out,
			 delivery, threads);
		in_child(name, four_times_the_limit, &l);
		next_seed++;
	}
}

static void all_loads(void)
{
	static const char *const policies[] = { "fifo", "clock", "lru" };
	static const char *const ways[] = { "copy", "move" };

	next_seed = first_seed();
	for (size_t w = 0; w < EM_ARRAY_LEN(ways); w++) {
		for (size_t p = 0; p < EM_ARRAY_LEN(policies); p++)
			loads(policies[p], ways[w], "signal");
		loads("lru", ways[w], "thread");
	}
}

/* ---- what the kernel refuses ------------------------------------------- */

static const char *const copy = "eviction.granule=16K\nprefetch.readahead=0";
static const char *const move = "eviction.granule=16K\nprefetch.readahead=0\n"
				"eviction.way_out=move";

/* Evicts though some batches come back with nothing. */
static void evict_what_goes(void)
{
	for (int i = 0; i < 64; i++)
		evict_batch();
	finish_writes();
}

static void locked_memory(const void *arg)
{
	start_world(spawn_nothing, arg);
	uintptr_t addr = map_pages(64);
	fill_pages(addr, 0, 64, 1);
	fake_lock_memory(addr + 10 * PAGE, 7 * PAGE, true);
	evict_what_goes();
	is_int(count_state(addr, 64, EM_PAGE_RESIDENT), 7, "locked pages stay");
	ok(fake_is_mapped(addr + 10 * PAGE) && fake_is_mapped(addr + 16 * PAGE), "in memory");
	is_int(put_page(addr, 12, 2), FAKE_FINE, "and can be written");
	fake_lock_memory(addr + 10 * PAGE, 7 * PAGE, false);
	evict_what_goes();
	is_int(count_state(addr, 64, EM_PAGE_RESIDENT), 0, "unlocked, they leave");
	empty_standby();
	is_int(count_good(addr, 0, 12, 1) + count_good(addr, 13, 64, 1), 63, "all is right");
	ok(has_page(addr, 12, 2), "and the page that was written");
	check_balance(addr, 64, "locked");
}

static void pinned_memory(const void *arg)
{
	start_world(spawn_nothing, arg);
	uintptr_t addr = map_pages(64);
	fill_pages(addr, 0, 64, 1);
	fake_pin_memory(addr + 5 * PAGE, 2 * PAGE, true);
	evict_what_goes();
	is_int(count_state(addr, 64, EM_PAGE_RESIDENT), 2, "pages that a device works on stay");
	ok(fake_is_mapped(addr + 5 * PAGE) && fake_is_mapped(addr + 6 * PAGE), "in memory");
	put_page(addr, 5, 2);
	fake_pin_memory(addr + 5 * PAGE, 2 * PAGE, false);
	evict_what_goes();
	is_int(fake.mapped, 0, "afterwards they leave");
	ok(has_page(addr, 5, 2) && has_page(addr, 6, 1), "as they were");
	check_balance(addr, 64, "pinned");
}

static void shared_memory(const void *arg)
{
	start_world(spawn_nothing, arg);
	uintptr_t addr = map_pages(64);
	fill_pages(addr, 0, 64, 1);
	evict_what_goes();
	empty_standby();
	count_good(addr, 0, 8, 1);
	fill_pages(addr, 8, 64, 1);
	fake_share_memory(addr, 64 * PAGE);
	long lifted = fake.lifted;
	evict_what_goes();
	is_int(fake.mapped, 0, "pages shared with a child leave all the same");
	/* The program could write to it before it moves, unseen. */
	is_int(fake.lifted, lifted, "and no clean page is open to writes on its way");
	is_int(count_good(addr, 0, 64, 1), 64, "and come back");
	check_balance(addr, 64, "shared");
}

static void busy_kernel(const void *arg)
{
	start_world(spawn_nothing, arg);
	uintptr_t addr = map_pages(64);
	fill_pages(addr, 0, 64, 1);
	fake.move_error = -EAGAIN;
	evict_what_goes();
	is_int(fake.mapped, 64, "nothing leaves while MOVE says EAGAIN");
	is_int(count_good(addr, 0, 64, 1), 64, "and nothing is lost");
	fake.move_error = 0;
	evict_what_goes();
	is_int(fake.mapped, 0, "then all of it does");
	is_int(count_good(addr, 0, 64, 1), 64, "and comes back");
	check_balance(addr, 64, "busy");
}

/* A raw madvise(2) that the library has not seen: it reads as zero, clean or not. */
static void dropped_behind_our_back(const void *arg)
{
	start_world(spawn_nothing, arg);
	uintptr_t addr = map_pages(64);
	fill_pages(addr, 0, 64, 1);
	evict_what_goes();
	empty_standby();
	count_good(addr, 0, 32, 1);    /* clean */
	fill_pages(addr, 32, 64, 2);   /* dirty */
	em_sys_discard(addr + 8 * PAGE, 8 * PAGE);
	em_sys_discard(addr + 40 * PAGE, 8 * PAGE);
	ok(has_page(addr, 8, 0) && has_page(addr, 40, 0), "pages dropped by the program are zero");
	evict_what_goes();
	is_int(fake.mapped, 0, "all leave");
	empty_standby();
	is_int(count_good(addr, 8, 16, 0), 8, "those that were clean are zero");
	is_int(count_good(addr, 40, 48, 0), 8, "those that were dirty, too");
	is_int(count_good(addr, 0, 8, 1) + count_good(addr, 16, 32, 1) +
	       count_good(addr, 32, 40, 2) + count_good(addr, 48, 64, 2), 48,
	       "the others are as they were");
	check_balance(addr, 64, "dropped");
}

/* ---- what the store refuses -------------------------------------------- */

static void failed_writes(const void *arg)
{
	start_world(spawn_nothing, arg);
	size_t pages = em_segment->credit_pages + 200;
	uintptr_t addr = map_pages(pages);

	fake.write_error = -EIO;
	fake.writes_to_fail = UINT32_MAX;
	fill_pages(addr, 0, pages, 1);
	finish_writes();
	ok(em_segment->store_errors > 0, "writes fail");
	ok(em_segment->over_limit_events > 0, "the limit gives way, and that is counted");
	is_int(report_now().stored_bytes, 0, "no page is in the store only");
	is_int(fake.mapped + em_segment->standby_pages, pages, "all are in memory");
	is_int(count_good(addr, 0, pages, 1), pages, "and right");
	is_int(fake.reads, 0, "without a read");

	fake.writes_to_fail = 0;
	while (em_credits_free() < 0 && evict_batch() == 0)
		;
	ok(em_credits_free() >= 0, "when writes go well again, the limit is kept again");
	evict_all();
	empty_standby();
	is_int(count_state(addr, pages, EM_PAGE_STORED), pages, "all can be stored");
	is_int(count_good(addr, 0, pages, 1), pages, "and read back");
	finish_writes();
	em_region_unmap(addr, pages * PAGE);
	finish_writes();
	is_int(em_slots_used(), 0, "no slot is lost");
	is_int(credits_at_rest(), em_segment->credit_pages, "nor a credit");
}

/* Of 256 pages all but 16 are in use by a large read: nothing else may leave, and they do. */
static void all_but_few(uintptr_t addr, size_t from)
{
	uintptr_t frame = (uintptr_t)&addr;
	uint32_t mark = em_hazard_mark(frame);

	em_hazard_add(addr, addr + from * PAGE, frame);
	em_hazard_add(addr + (from + 16) * PAGE, addr + 256 * PAGE, frame);
	is_int(evict_batch(), 0, "a batch finds what can leave at once, from %zu on", from);
	evict_all();
	is_int(count_state(addr, 256, EM_PAGE_RESIDENT), 240, "what is in use stays");
	is_int(count_state(addr + from * PAGE, 16, EM_PAGE_STANDBY), 16, "all else leaves");
	em_hazard_drop(mark);
	is_int(evict_batch(), 0, "until the calls are over");
	is_int(count_good(addr, 0, 256, 1), 256, "and nothing is lost");
}

/* The algorithm has units that are new, some that came back, and some that were used. */
static void mostly_in_use(const void *arg)
{
	start_world(spawn_nothing, arg);
	uintptr_t addr = map_pages(256);
	fill_pages(addr, 0, 256, 1);
	all_but_few(addr, 240);
	for (int i = 0; i < 8; i++)
		evict_batch();
	is_int(count_good(addr, 0, 256, 1), 256, "some were out");
	for (size_t from = 0; from <= 240; from += 12)
		all_but_few(addr, from);
	check_balance(EM_WINDOW_BASE, 256, "in use");
}

/* One write fails, and its pages are written to, moved, discarded meanwhile. */
static void failed_write_in_use(const void *arg)
{
	uintptr_t moved;
	uint64_t words[PAGE / 8], want[PAGE / 8];

	start_world(spawn_nothing, arg);
	uintptr_t addr = map_pages(16);
	fill_pages(addr, 0, 16, 1);
	fake.write_error = -ENOSPC;
	fake.writes_to_fail = UINT32_MAX;
	for (int i = 0; i < 4; i++)
		evict_batch();
	finish_writes();
	is_int(count_state(addr, 16, EM_PAGE_STANDBY), 16, "writes failed; all are on standby");
	ok(has_page(addr, 0, 1), "one is read");
	ok(!fake_is_protected(addr), "and is not clean: the store has nothing");
	put_page(addr, 1, 2);
	em_region_discard(addr + 2 * PAGE, PAGE);
	is_int(em_region_remap(addr + 12 * PAGE, 4 * PAGE, 8 * PAGE, MREMAP_MAYMOVE, 0,
			       &moved), 0, "some are moved");
	fake.writes_to_fail = 0;
	empty_standby();
	ok(has_page(addr, 0, 1) && has_page(addr, 1, 2) && has_page(addr, 2, 0),
	   "written again, all is right");
	is_int(count_good(addr, 3, 12, 1), 9, "with those that just waited");
	pattern(want, 13, 1);
	ok(fake_load(moved + PAGE, words, PAGE) == FAKE_FINE && !memcmp(words, want, PAGE),
	   "and those that moved");
	check_balance(EM_WINDOW_BASE, 256, "failed");
}

static void full_store(const void *arg)
{
	start_world(spawn_nothing, arg);
	size_t pages = 3 * em_segment->limit_pages;
	uintptr_t addr = map_pages(pages);

	fill_pages(addr, 0, pages, 1);
	ok(em_segment->over_limit_events > 0, "a full store: the limit gives way");
	ok(fake.mapped > em_segment->credit_pages, "by as much as is needed");
	ok(fake.mapped <= pages - 256, "and not by more: the store is full of pages");
	is_int(em_segment->store_bytes, 1 << 20, "it keeps to its size");
	is_int(em_segment->over_limit_events,
	       em_segment->peak_resident_pages - em_segment->credit_pages,
	       "each page past the limit is counted");
	is_int(count_good(addr, 0, pages, 1), pages, "nothing is lost");
	is_int(em_region_discard(addr, (pages - 100) * PAGE), 0, "the program frees memory");
	ok(em_credits_free() > 0, "the limit is kept again");
	fill_pages(addr, 0, 100, 2);
	is_int(count_good(addr, 0, 100, 2) + count_good(addr, pages - 100, pages, 1), 200,
	       "and all is right");
}

#define BOUND 256u /* pages that a region may have */

/*
 * The most that is resident while all pages are touched in turn, each so many after the
 * one before.
 */
static size_t most_resident(uintptr_t addr, size_t pages, size_t step, bool write)
{
	size_t most = 0, good = 0;

	for (size_t i = 0; i < pages; i++) {
		size_t page = i * step % pages + i * step / pages;
		good += write ? put_page(addr, page, 1) == FAKE_FINE : has_page(addr, page, 1);
		if (i % 16 == 0)
			most = em_max(most, count_state(addr, pages, EM_PAGE_RESIDENT));
	}
	is_int(good, pages, "each page %s", write ? "can be written" : "is right");
	return most;
}

/*
 * A region that may have only so much does not outgrow it, with room for all and nobody
 * that evicts ahead of need; others grow. What its thread has not told yet (8 granules),
 * what is not looked at yet (128 pages), a cluster and a 32nd may come on top.
 */
static void bounded(const void *arg)
{
	const char *way = arg;
	size_t pages = 4 * BOUND, bound = BOUND + BOUND / 32 + 8 * 4 + 128 + EM_CLUSTER_PAGES_MAX / 2;
	char config[256];

	snprintf(config, sizeof(config), "eviction.granule=16K\nprefetch.readahead=16K\n"
		 "%s\nregions[0].match.name=small\nregions[0].max=1M", way);
	start_world(spawn_nothing, config);
	uintptr_t addr = map_pages(pages), other = map_pages(2 * BOUND);
	is_int(em_region_name(addr, pages * PAGE, "small"), 0, "one is named");
	size_t most = most_resident(addr, pages, 1, true);
	ok(most > BOUND / 2 && most <= bound, "written: %zu pages at the most", most);
	most = most_resident(addr, pages, 1, false);
	ok(most > BOUND / 2 && most <= bound, "read: %zu pages at the most", most);
	/* Granules that are in get fuller, of which nobody is told. */
	most = most_resident(addr, pages, 4, false);
	ok(most > BOUND / 2 && most <= bound, "a page of each: %zu at the most", most);
	is_int(em_region_discard(addr, pages * PAGE), 0, "it is empty");
	most = most_resident(addr, pages, 4, true);
	ok(most > BOUND / 2 && most <= bound, "the same, anew: %zu at the most", most);
	most_resident(other, 2 * BOUND, 1, true);
	is_int(count_state(other, 2 * BOUND, EM_PAGE_RESIDENT), 2 * BOUND, "the other stays whole");
	is_int(em_region_discard(other, 2 * BOUND * PAGE), 0, "it goes");
	is_int(em_region_pin(addr, pages * PAGE), 0, "none of it may leave");
	is_int(count_good(addr, 0, pages, 1), pages, "it is right, and not waited for");
	is_int(em_segment->over_limit_events, 0, "the limit was never passed");
	check_balance(addr, pages, "bounded");
}

static void no_store(const void *arg)
{
	(void)arg;
	setenv("TMPDIR", "/no/such/folder", 1);
	start_world(spawn_nothing, copy);
	size_t pages = em_segment->credit_pages + 100;
	uintptr_t addr = map_pages(pages);

	fill_pages(addr, 0, pages, 1);
	is_int(em_segment->over_limit_events, 100, "without a store the limit gives way");
	is_int(count_good(addr, 0, pages, 1), pages, "and nothing is lost");
}

static void abort_on_full(const void *arg)
{
	int status;
	pid_t pid;

	(void)arg;
	pid = fork();
	if (pid == 0) {
		setenv("TMPDIR", "/no/such/folder", 1);
		start_world(spawn_nothing, "limits.on_full=abort");
		size_t pages = em_segment->credit_pages + 1;
		fill_pages(map_pages(pages), 0, pages, 1);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT,
	   "asked to, it stops the program instead");
}

/* ---- the thread -------------------------------------------------------- */

static void reclaim_thread(const void *arg)
{
	start_world(spawn_thread, arg);
	size_t pages = em_segment->credit_pages;
	uintptr_t addr = map_pages(2 * pages);

	em_reclaim_start_if_due();
	fill_pages(addr, 0, pages - em_segment->low_pages - 8, 1);
	usleep(20000);
	is_int(report_now().pages_evicted, 0, "above the low watermark nothing leaves");
	fill_pages(addr, pages - em_segment->low_pages - 8, pages, 1);
	for (int i = 0; i < 500 && em_credits_below_high(); i++)
		usleep(10000);
	ok(!em_credits_below_high(), "below it, the thread evicts up to the high one");
	usleep(20000);
	uint64_t evicted = report_now().pages_evicted;
	ok((uint64_t)em_credits_free() < em_segment->high_pages + EM_CLUSTER_PAGES_MAX,
	   "and no further than a batch");
	usleep(20000);
	is_int(report_now().pages_evicted, evicted, "then it rests");
	is_int(count_good(addr, 0, pages, 1), pages, "all is right");
}

static void due(const void *arg)
{
	start_world(spawn_thread, arg);
	map_pages(em_segment->credit_pages / 2);
	em_reclaim_start_if_due();
	usleep(20000);
	is_int(em_segment->threads, 0, "a program that fits has no thread");
	map_pages(em_segment->credit_pages);
	em_reclaim_start_if_due();
	for (int i = 0; i < 500 && !em_segment->threads; i++)
		usleep(10000);
	is_int(em_segment->threads, 1, "one that does not fit has it");
}

int main(void)
{
	static const char *const small_store = "tiers[0].max=1M\nprefetch.readahead=0";
	static const char *const small_store_move = "tiers[0].max=1M\neviction.way_out=move";
	char config[128];

	in_child("locked memory, copy", locked_memory, copy);
	in_child("pinned memory, move", pinned_memory, move);
	in_child("shared memory, move", shared_memory, move);
	in_child("busy kernel, move", busy_kernel, move);
	in_child("dropped behind our back, copy", dropped_behind_our_back, copy);
	in_child("dropped behind our back, move", dropped_behind_our_back, move);
	in_child("failed writes, copy", failed_writes, copy);
	in_child("failed writes, move", failed_writes, move);
	for (size_t i = 0; extmem_evictions[i]; i++) {
		snprintf(config, sizeof(config), "%s\neviction.algorithm=%s", copy,
			 extmem_evictions[i]->name);
		in_child(config, mostly_in_use, config);
	}
	in_child("in use, move", mostly_in_use, move);
	in_child("failed write in use, copy", failed_write_in_use, copy);
	in_child("failed write in use, move", failed_write_in_use, move);
	in_child("full store, copy", full_store, small_store);
	in_child("full store, move", full_store, small_store_move);
	in_child("a bounded region, copy", bounded, "eviction.way_out=copy");
	in_child("a bounded region, move", bounded, "eviction.way_out=move");
	in_child("no store", no_store, NULL);
	in_child("abort on full", abort_on_full, NULL);
	in_child("reclaim thread", reclaim_thread, "prefetch.readahead=0");
	in_child("due", due, copy);
	all_loads();
	return done_testing();
}
