/* SPDX-License-Identifier: MIT
 *
 * Replay: how a sequence is followed, by one thread or several, with and without
 * what was recorded; and what is made of the file, good, cut, changed, another's.
 */
#include "prefetch.h"
#include "prefetchers/prefetchers.h"
#include "prefetchers/sequence.h"
#include "trace-format.h"
#include "trace-load.h"
#include "trace.h"
#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

enum { PAGES = 600, FIRST = 5000 };

/* ---- sequences ----------------------------------------------------------- */

static struct em_sequence_ends ends;
static void *memory;

static struct em_sequence *new_sequence(uint32_t places)
{
	free(memory);
	memory = calloc(1, em_sequence_bytes(places));
	memset(&ends, 0, sizeof(ends));
	return em_sequence_init(memory, places);
}

/* All pages from FIRST on, once each, in an order by chance. */
static void shuffle(uint32_t order[PAGES], uint64_t seed)
{
	for (uint32_t i = 0; i < PAGES; i++)
		order[i] = FIRST + i;
	for (uint32_t i = PAGES - 1; i > 0; i--) {
		uint32_t k = (uint32_t)roll(&seed, i + 1), page = order[i];
		order[i] = order[k];
		order[k] = page;
	}
}

static struct extmem_prefetch *at_work(struct em_sequence *s)
{
	static struct extmem_prefetch p = { .ops = &em_prefetch_replay };

	p.state = s;
	return &p;
}

/* What a thread was told to expect. */
struct foreseen {
	_Alignas(8) unsigned char state[EXTMEM_GUESS_THREAD_BYTES];
	uint32_t page[FIRST + 2 * PAGES];
	size_t count;
};

static void fault(struct em_sequence *s, struct foreseen *f, uint32_t page, uint32_t depth)
{
	struct extmem_guess out[EXTMEM_GUESSES_MAX];
	size_t n = em_prefetch_replay.guess(at_work(s), f->state, page, depth, out);

	for (size_t i = 0; i < n; i++)
		for (uint32_t k = 0; k < out[i].pages; k++) {
			f->page[out[i].page + (uint64_t)(k * out[i].step)]++;
			f->count++;
		}
}

static void in_order(uint64_t seed)
{
	static const uint32_t depths[] = { 1, 2, 8, EXTMEM_GUESS_PAGES_MAX };
	uint32_t order[PAGES];

	shuffle(order, seed);
	for (size_t d = 0; d < EM_ARRAY_LEN(depths); d++) {
		struct em_sequence *s = new_sequence(PAGES + 1);
		static struct foreseen f;
		uint32_t missed = 0;

		for (int i = 0; i < PAGES; i++)
			ok(em_sequence_add(s, &ends, 7, order[i]), "place %d of %d", i, PAGES);
		em_sequence_end(s, &ends);
		memset(&f, 0, sizeof(f));
		for (int i = 0; i < PAGES; i++) {
			missed += i > 0 && !f.page[order[i]];
			fault(s, &f, order[i], depths[d]);
			if (i == 100)
				ok(f.count <= 100 + depths[d], "no more than %u ahead", depths[d]);
		}
		is_int(missed, 0, "depth %u: all but the first page was foreseen", depths[d]);
		is_int(f.count, PAGES - 1, "once each, and nothing else");
		fault(s, &f, order[300], 4);
		is_int(f.count, PAGES - 1 + EXTMEM_GUESSES_MAX / 2, "from the end it begins anew, anywhere");
		fault(s, &f, 1, 4);
		fault(s, &f, FIRST + PAGES, 4);
		is_int(f.count, PAGES - 1 + EXTMEM_GUESSES_MAX / 2, "a page that is nowhere in it says nothing");
	}
}

/*
 * Of the next run's pages some are there already, and some are others. At any time
 * more than half of the depth is asked for, so that many are foreseen for certain;
 * what comes after more that are left out in a row may be, or not.
 */
static void otherwise(uint64_t seed)
{
	enum { DEPTH = 8, CERTAIN = DEPTH / 2 + 1 };
	struct em_sequence *s = new_sequence(PAGES + 1);
	static struct foreseen f;
	uint32_t order[PAGES], missed = 0, judged = 0;
	int last = PAGES;

	shuffle(order, seed);
	for (int i = 0; i < PAGES; i++)
		em_sequence_add(s, &ends, 7, order[i]);
	em_sequence_end(s, &ends);
	memset(&f, 0, sizeof(f));
	for (int i = 0; i < PAGES; i++) {
		if (roll(&seed, 3) == 0)
			continue;
		if (roll(&seed, 5) == 0)
			fault(s, &f, FIRST + PAGES + (uint32_t)i, DEPTH);
		if (i > last && i - last <= CERTAIN) {
			missed += !f.page[order[i]];
			judged++;
		}
		fault(s, &f, order[i], DEPTH);
		last = i;
	}
	is_int(missed, 0, "with a third left out and others between, all was foreseen");
	ok(judged > PAGES / 2, "all but a few after many left out (%u)", judged);
	ok(f.count < PAGES, "and nothing twice");
}

/* Pages of which some were in memory then: they are in the sequence, elsewhere. */
static void strays(uint64_t seed)
{
	struct em_sequence *s = new_sequence(PAGES + 1);
	static struct foreseen f;
	uint32_t order[PAGES], missed = 0;

	shuffle(order, seed);
	for (int i = 0; i < PAGES; i++)
		em_sequence_add(s, &ends, 7, order[i]);
	em_sequence_end(s, &ends);
	memset(&f, 0, sizeof(f));
	for (int i = 0; i < PAGES / 2; i++) {
		missed += i > 0 && !f.page[order[i]];
		fault(s, &f, order[i], 8);
		if (i % 10 == 9)
			fault(s, &f, order[PAGES / 2 + 100 + roll(&seed, PAGES / 2 - 100)], 8);
	}
	is_int(missed, 0, "a fault elsewhere does not lead astray");
	ok(f.count < PAGES / 2 + 8, "nor is it followed");
}

/*
 * The same pages in another order the second time. The last of the first order may
 * be the first of the second: twice in a row is one place, and nothing to foresee.
 */
static void by_turns(uint64_t seed)
{
	struct em_sequence *s = new_sequence(2 * PAGES + 1);
	static struct foreseen f;
	uint32_t first[PAGES], second[PAGES], missed = 0, before = 0;

	shuffle(first, seed);
	shuffle(second, seed + 1);
	for (int i = 0; i < 2 * PAGES; i++)
		em_sequence_add(s, &ends, 7, i < PAGES ? first[i] : second[i - PAGES]);
	em_sequence_end(s, &ends);
	memset(&f, 0, sizeof(f));
	for (int i = 0; i < 2 * PAGES; i++) {
		uint32_t page = i < PAGES ? first[i] : second[i - PAGES];
		missed += i > 0 && page != before && !f.page[page];
		before = page;
		f.page[page] -= f.page[page] > 0; /* one near both ends is foreseen twice */
		fault(s, &f, page, 4);
	}
	is_int(missed, 0, "the second time is told from the first");
}

/* A thread that is lost is not taken for one that has just begun. */
static void lost_and_found(uint64_t seed)
{
	enum { TURNS = 5, AT = 2 * PAGES + 100, FAR = AT + 200 };
	struct em_sequence *s = new_sequence(TURNS * PAGES + 1);
	static struct foreseen f;
	static uint32_t order[TURNS][PAGES];

	for (int turn = 0; turn < TURNS; turn++) {
		shuffle(order[turn], seed + (uint64_t)turn);
		for (int i = 0; i < PAGES; i++)
			em_sequence_add(s, &ends, 7, order[turn][i]);
	}
	em_sequence_end(s, &ends);
	memset(&f, 0, sizeof(f));
	for (int i = 0; i < AT; i++)
		fault(s, &f, order[i / PAGES][i % PAGES], 4);
	memset(f.page, 0, sizeof(f.page));
	fault(s, &f, order[FAR / PAGES][FAR % PAGES], 4);
	fault(s, &f, order[(FAR + 1) / PAGES][(FAR + 1) % PAGES], 4);
	for (int i = FAR + 2; i <= FAR + 5; i++)
		ok(f.page[order[i / PAGES][i % PAGES]], "found in the turn where it was lost (%d)", i);
}

/* Three threads, recorded in pieces; a fourth goes on where the second was. */
static void of_threads(uint64_t seed)
{
	enum { THREADS = 3, PIECE = 20 };
	struct em_sequence *s = new_sequence(PAGES + PAGES / PIECE);
	static struct foreseen f[THREADS + 1];
	uint32_t order[PAGES], missed = 0, astray = 0;

	shuffle(order, seed);
	for (int i = 0; i < PAGES; i++)
		em_sequence_add(s, &ends, 100 + (uint32_t)i / PIECE % THREADS, order[i]);
	em_sequence_end(s, &ends);
	memset(f, 0, sizeof(f));
	for (int i = 0; i < PAGES; i++) {
		struct foreseen *by = &f[i / PIECE % THREADS];
		if (by == &f[1] && i > PAGES / 2)
			by = &f[THREADS];
		missed += !by->page[order[i]];
		fault(s, by, order[i], 8);
	}
	for (int i = 0; i < PAGES; i++)
		for (int t = 0; t <= THREADS; t++)
			astray += f[t].page[order[i]] && i / PIECE % THREADS != t % THREADS + (t == THREADS);
	is_int(missed, THREADS + 1, "a thread's first page is all that is not foreseen");
	is_int(astray, 0, "nobody gets another thread's pages");
}

static void without_room(void)
{
	struct em_sequence *s = new_sequence(10);
	uint32_t added = 0;

	for (uint32_t i = 0; i < 100; i++)
		added += em_sequence_add(s, &ends, 1 + i / 3, FIRST + i);
	em_sequence_end(s, &ends);
	ok(added >= 6 && added < 10, "a full sequence takes no more (%u)", added);
	ok(s->count <= s->room, "and keeps to its room");
	s = new_sequence(PAGES);
	for (uint32_t i = 0; i < 50; i++)
		ok(em_sequence_add(s, &ends, 1, FIRST), "one page again and again");
	em_sequence_end(s, &ends);
	is_int(s->count, 3, "takes one place");
}

/* Pages that all have one hash: few are found, and none takes long. */
static void collisions(void)
{
	enum { MANY = 100000 };
	struct em_sequence *s = new_sequence(MANY + 1);
	static struct foreseen f;
	uint32_t inverse = 0x9e3779b1u;

	for (int i = 0; i < 5; i++) /* of the multiplier, by Newton */
		inverse *= 2 - 0x9e3779b1u * inverse;
	uint64_t start = em_sys_now_ns();
	for (uint32_t i = 0; i < MANY; i++)
		em_sequence_add(s, &ends, 1, (inverse * i) & ~EM_SEQUENCE_LINK);
	em_sequence_end(s, &ends);
	for (uint32_t i = 0; i < MANY; i++) {
		struct extmem_guess out[EXTMEM_GUESSES_MAX];
		memset(f.state, 0, sizeof(f.state));
		em_prefetch_replay.guess(at_work(s), f.state, (inverse * i) & ~EM_SEQUENCE_LINK, 4, out);
	}
	ok(em_sys_now_ns() - start < 2000000000u, "many pages with one hash take no time");
}

/* ---- files --------------------------------------------------------------- */

static char path[128];
static unsigned char file[4096];
static size_t file_bytes;

static void begin_file(void)
{
	struct em_trace_program p = {
		.magic = EM_TRACE_MAGIC, .bytes = sizeof(p), .version = EM_TRACE_VERSION,
		.pid = 1, .page_bytes = PAGE, .granule_bytes = PAGE,
		.window_bytes = 1ull << 40,
	};

	memcpy(p.command, em_segment->command, sizeof(p.command) - 1);
	memcpy(file, &p, sizeof(p));
	file_bytes = sizeof(p);
}

static void put_varint(uint64_t v)
{
	for (; v >= 0x80; v >>= 7)
		file[file_bytes++] = (unsigned char)(v | 0x80);
	file[file_bytes++] = (unsigned char)v;
}

/* Faults upwards from a page, each so many further on. */
static void put_block(uint32_t tid, uint64_t page, uint32_t step, uint32_t count, unsigned int kind)
{
	struct em_trace_block head = { .magic = EM_TRACE_BLOCK_MAGIC, .count = count, .tid = tid };
	size_t at = file_bytes;

	file_bytes += sizeof(head);
	for (uint32_t i = 0; i < count; i++) {
		put_varint((i ? step : page) << 1 << EM_TRACE_TAG_BITS | kind);
		put_varint(i ? 1000 : 0);
	}
	head.bytes = (uint32_t)(file_bytes - at);
	memcpy(file + at, &head, sizeof(head));
}

static void write_file(const unsigned char *bytes, size_t count)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0 || write(fd, bytes, count) != (ssize_t)count || close(fd) < 0)
		ok(false, "cannot write %s", path);
}

static int load(struct em_recorded *r, char err[512])
{
	err[0] = '\0';
	return em_trace_load(path, em_segment->command, r, err, 512);
}

/* One that is refused, with that in the message. */
static void refused(int error, const char *what, const char *why)
{
	struct em_recorded r;
	char err[512];

	is_int(load(&r, err), error, "%s is refused", why);
	ok(strstr(err, what) && strstr(err, path), "with the reason: %s", err);
	ok(!r.sequence, "and nothing is kept");
}

static void of_a_file(const void *arg)
{
	struct em_recorded r;
	struct em_trace_program p;
	char err[512];
	uint32_t three = 3;

	start_world(spawn_nothing, arg);
	begin_file();
	put_block(5, 1000, 3, 50, EM_TRACE_MAJOR);
	put_block(6, 9000, 1, 20, EM_TRACE_FIRST);
	put_block(5, 2000, 5, 50, EM_TRACE_SOFT | EM_TRACE_WRITE);
	put_block(5, em_window_bytes() / PAGE, 1, 9, EM_TRACE_MAJOR);
	write_file(file, file_bytes);
	is_int(load(&r, err), 0, "a recording is taken");
	is_int(r.sequence->count, 1 + 101, "what was away, in the window, and an end");
	is_int(r.sequence->pages[1], 1000, "from the first");
	is_int(r.sequence->pages[51], 2000, "pieces of a thread in one");
	is_int(r.sequence->pages[100], 2000 + 5 * 49, "to the last");
	em_trace_unload(&r);
	ok(!r.sequence, "and given back");

	write_file(file, file_bytes - 30);
	is_int(load(&r, err), 0, "one that is cut is good up to there");
	is_int(r.sequence->count, 1 + 101, "with all that is whole");
	em_trace_unload(&r);

	memcpy(&p, file, sizeof(p));
	p.command[0]++;
	memcpy(file, &p, sizeof(p));
	write_file(file, file_bytes);
	refused(-ENODATA, "no faults of a program", "another program's");
	begin_file();
	write_file(file, file_bytes);
	refused(-ENODATA, "no faults", "an empty one");
	put_block(6, 9000, 1, 20, EM_TRACE_FIRST);
	write_file(file, file_bytes);
	refused(-ENODATA, "no faults", "one without what was away");
	put_block(5, 1000, 3, 50, EM_TRACE_MAJOR);
	file[file_bytes - 1] = 0x80;
	write_file(file, file_bytes);
	refused(-EBADMSG, "is damaged at byte", "one whose last record has no end");
	memcpy(file + offsetof(struct em_trace_program, version), &three, sizeof(three));
	write_file(file, file_bytes);
	refused(-EINVAL, "another version", "another version's");
	write_file((const unsigned char *)"#!/bin/sh\n", 10);
	refused(-EINVAL, "is none", "what is no recording");
	unlink(path);
	refused(-ENOENT, "is not there", "what is not there");
	mkfifo(path, 0600);
	refused(-EINVAL, "no ordinary file", "a pipe");
	unlink(path);
	em_trace_load_settle();
	refused(-EPERM, "locked itself in", "all, in a program that locked itself in,");
}

/* Any length, and any bytes changed: taken or refused, never more than its room. */
static void of_any_file(const void *arg)
{
	uint64_t seed = first_seed();
	struct em_recorded r;
	char err[512];
	size_t good = 0, silent = 0, astray = 0;
	static unsigned char changed[sizeof(file)];

	start_world(spawn_nothing, arg);
	begin_file();
	for (uint32_t i = 0; i < 12; i++)
		put_block(i % 3, 1000 + 100 * i, 1 + i, 20, EM_TRACE_MAJOR);
	for (int i = 0; i < 4000; i++) {
		size_t bytes = i < (int)file_bytes ? (size_t)i : file_bytes;
		memcpy(changed, file, file_bytes);
		for (uint64_t n = bytes < file_bytes ? 0 : 1 + roll(&seed, 8); n; n--)
			changed[roll(&seed, file_bytes)] = (unsigned char)roll(&seed, 256);
		write_file(changed, bytes);
		int ret = load(&r, err);
		silent += (ret < 0) != !!err[0] || (ret < 0) != !r.sequence;
		good += ret == 0;
		for (uint32_t k = 1; ret == 0 && k < r.sequence->count; k++) {
			uint32_t v = r.sequence->pages[k];
			astray += v & EM_SEQUENCE_LINK ? v != EM_SEQUENCE_LINK &&
				  (v & ~EM_SEQUENCE_LINK) <= k : v >= em_window_bytes() / PAGE;
		}
		em_trace_unload(&r);
	}
	ok(good > 100, "some can be used (%zu)", good);
	is_int(silent, 0, "all others are refused with a reason");
	is_int(astray, 0, "links lead onwards, pages are in the window");
	unlink(path);
}

/* ---- from one run to the next ---------------------------------------------- */

enum { STORED = 300 };

static const char *const plain = "prefetch.readahead=0\neviction.granule=16K";

static uintptr_t stored_pages(void)
{
	uintptr_t addr = map_pages(STORED);

	fill_pages(addr, 0, STORED, 1);
	evict_all();
	empty_standby();
	return addr;
}

static uint32_t course(int i)
{
	return (uint32_t)(i * 173 + 7) % STORED;
}

static void recorded_run(const void *arg)
{
	setenv(EM_RECORD_ENV, path, 1);
	start_world(spawn_nothing, arg);
	uintptr_t addr = stored_pages();

	for (int i = 0; i < STORED; i++)
		has_page(addr, course(i), 1);
	em_trace_end();
	is_int(report_now().pages_prefetched, 0, "nothing is known in the first run");
}

static bool comes_in(uintptr_t addr, uint64_t page)
{
	for (int i = 0; i < 5000; i++) {
		if (state_of(addr + page * PAGE) == EM_PAGE_STANDBY)
			return true;
		usleep(1000);
	}
	return false;
}

static void replayed_run(const void *arg)
{
	char config[512];

	snprintf(config, sizeof(config), "%s\nprefetch.algorithm=replay\nprefetch.recording=%s",
		 (const char *)arg, path);
	start_world(spawn_thread, config);
	uintptr_t addr = stored_pages();

	ok(has_page(addr, course(100), 1), "a run begins somewhere");
	for (int i = 101; i < 104; i++)
		ok(comes_in(addr, course(i)), "what came next comes by itself (%d)", i);
	for (int i = 0; i < STORED; i++)
		ok(has_page(addr, course(i), 1), "page %u is right", course(i));
	ok(report_now().prefetch_used > 0, "guesses were used");

	/* Another prefetcher, another recording, and none. */
	struct em_recorded again, none = { .sequence = NULL };
	struct em_params params = { .count = 0 };
	char err[512];
	sigset_t old;

	is_int(load(&again, err), 0, "the recording can be read again");
	/* What the first one guessed in vain is not to be held against the next. */
	evict_all();
	empty_standby();
	em_sys_block_signals(&old);
	em_reclaim_lock();
	is_int(em_prefetch_use("replay", &params, &again), 0, "and take the place of the first");
	em_reclaim_unlock();
	em_sys_restore_signals(&old);
	ok(has_page(addr, course(200), 1) && comes_in(addr, course(201)), "which goes on");
	em_sys_block_signals(&old);
	em_reclaim_lock();
	is_int(em_prefetch_use("markov", &params, &none), 0, "until another prefetcher has its place");
	em_reclaim_unlock();
	em_sys_restore_signals(&old);
	is_int(count_good(addr, 0, STORED, 1), STORED, "no page is lost by that");
	unlink(path);
}

static void not_replayed(const void *arg)
{
	char config[512];

	unlink(path);
	snprintf(config, sizeof(config), "%s\nprefetch.algorithm=replay\nprefetch.recording=%s",
		 (const char *)arg, path);
	ok(start_world(spawn_thread, config), "without its recording a program runs");
	uintptr_t addr = stored_pages();
	is_int(count_good(addr, 0, STORED, 1), STORED, "with all its pages");
	is_int(report_now().pages_prefetched, 0, "and no guesses");
}

int main(void)
{
	uint64_t seed = first_seed();

	snprintf(path, sizeof(path), "%s/extmem-replay.%d", scratch_folder(), (int)getpid());
	in_order(seed);
	otherwise(seed);
	strays(seed);
	by_turns(seed);
	lost_and_found(seed);
	of_threads(seed);
	without_room();
	collisions();
	free(memory);
	in_child("a file", of_a_file, plain);
	in_child("any file", of_any_file, plain);
	in_child("a run that is recorded", recorded_run, plain);
	in_child("a run that is replayed", replayed_run, plain);
	in_child("a run whose recording is gone", not_replayed, plain);
	return done_testing();
}
