/* SPDX-License-Identifier: MIT
 *
 * world: one managed process a test, on the fake kernel.
 *
 * The library starts once a process and holds everything in static memory, so
 * each test that needs a fresh one runs in a child: in_child(). Its checks
 * count as if they had been made in the program itself.
 */
#ifndef TESTS_UNIT_WORLD_H
#define TESTS_UNIT_WORLD_H

#include "core.h"
#include "credits.h"
#include "fake_sys.h"
#include "fault.h"
#include "page.h"
#include "region.h"
#include "report.h"
#include "slots.h"
#include "standby.h"
#include "stats.h"
#include "tap.h"
#include "thread.h"

#include <pthread.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE EM_PAGE_BYTES
#define CHILD_SECONDS 60

/* ---- children -------------------------------------------------------- */

static inline bool wait_for(pid_t pid, int *status)
{
	for (int i = 0; i < CHILD_SECONDS * 200; i++) {
		if (waitpid(pid, status, WNOHANG) == pid)
			return true;
		usleep(5000);
	}
	kill(pid, SIGKILL);
	waitpid(pid, status, 0);
	return false;
}

/*
 * Runs test(arg) in a process of its own. One that dies, hangs or leaves
 * without an account of its checks is a failed check.
 */
static inline void in_child(const char *name, void (*test)(const void *arg),
			    const void *arg)
{
	struct tap before = tap;
	int fds[2], status;
	pid_t pid;

	if (pipe(fds) < 0 || (pid = fork()) < 0) {
		ok(false, "%s: cannot fork", name);
		return;
	}
	if (pid == 0) {
		diag("%s", name);
		test(arg);
		bool told = write(fds[1], &tap, sizeof(tap)) == sizeof(tap);
		_exit(!told);
	}
	close(fds[1]);
	bool ended = wait_for(pid, &status);
	if (read(fds[0], &tap, sizeof(tap)) != sizeof(tap))
		tap = before;
	close(fds[0]);
	if (!ended || status) {
		/* What it printed is not known here: stay clear of its numbers. */
		ok(false, "%s: %s %d", name, !ended ? "hangs, killed by" :
		   WIFSIGNALED(status) ? "died of signal" : "left with",
		   WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	}
}

/* ---- starting -------------------------------------------------------- */

static inline int spawn_nothing(void (*body)(void))
{
	(void)body;
	return 0;
}

static inline void *run_body(void *body)
{
	sigset_t old;

	em_sys_block_signals(&old);
	((void (*)(void))body)();
	return NULL;
}

static inline int spawn_thread(void (*body)(void))
{
	pthread_t t;

	return -pthread_create(&t, NULL, run_body, (void *)body);
}

static inline void nothing_more(void) { }
static inline void nothing_to_change(sigset_t *mask) { (void)mask; }

/* Where stores go: memory rather than a disk, if there is plenty. */
static inline const char *scratch_folder(void)
{
	const char *dir = getenv("TMPDIR");
	struct statvfs fs;

	if (dir)
		return dir;
	if (statvfs("/dev/shm", &fs) == 0 && !access("/dev/shm", W_OK) &&
	    fs.f_bavail * fs.f_frsize > 1ul << 30)
		return "/dev/shm";
	return "/tmp";
}

/*
 * Starts the library in this process, with 8M of memory, files in a scratch
 * folder, and the lines of config over that.
 */
static inline bool start_world(em_spawn *spawn, const char *config)
{
	const struct em_core_hooks hooks = {
		{ spawn, nothing_more, nothing_to_change, NULL }, nothing_more
	};
	char text[4096];

	snprintf(text, sizeof(text), "limits.memory=8M\ntiers[0].path=%s\n%s\n",
		 scratch_folder(), config);
	setenv(EM_CONFIG_ENV, text, 1);
	if (em_core_start(&hooks))
		return true;
	ok(false, "the library starts");
	return false;
}

/* ---- memory ---------------------------------------------------------- */

static inline uintptr_t map_pages(size_t pages)
{
	uintptr_t addr = 0;

	if (em_region_map(pages * PAGE, PAGE, PROT_READ | PROT_WRITE,
			  (struct em_origin){ EM_SOURCE_MMAP, 0 }, &addr) < 0)
		abort();
	return addr;
}

static inline uint64_t mix(uint64_t x)
{
	x ^= x >> 31;
	x *= 0x9e3779b97f4a7c15u;
	x ^= x >> 29;
	x *= 0xbf58476d1ce4e5b9u;
	return x ^ x >> 32;
}

/* What page `page` holds in its version-th state; version 0: zeros. */
static inline void pattern(uint64_t out[PAGE / 8], uint64_t page, uint64_t version)
{
	uint64_t seed = mix(page << 32 | version);

	if (!version)
		memset(out, 0, PAGE);
	for (size_t i = 0; version && i < PAGE / 8; i++)
		out[i] = seed + i * 0x9e3779b97f4a7c15u;
}

static inline enum fake_access put_page(uintptr_t addr, uint64_t page, uint64_t version)
{
	uint64_t words[PAGE / 8];

	pattern(words, page, version);
	return fake_store(addr + page * PAGE, words, PAGE);
}

/* Whether a page can be read and holds what it should. */
static inline bool has_page(uintptr_t addr, uint64_t page, uint64_t version)
{
	uint64_t want[PAGE / 8], got[PAGE / 8];

	pattern(want, page, version);
	return fake_load(addr + page * PAGE, got, PAGE) == FAKE_FINE &&
	       !memcmp(want, got, PAGE);
}

static inline size_t count_good(uintptr_t addr, size_t from, size_t to, uint64_t version)
{
	size_t good = 0;

	for (size_t p = from; p < to; p++)
		good += has_page(addr, p, version);
	return good;
}

static inline void fill_pages(uintptr_t addr, size_t from, size_t to, uint64_t version)
{
	for (size_t p = from; p < to; p++)
		put_page(addr, p, version);
}

static inline enum em_page_state state_of(uintptr_t addr)
{
	return EM_WORD_STATE(em_page_load(em_page_of(addr)));
}

static inline size_t count_state(uintptr_t addr, size_t pages, enum em_page_state s)
{
	size_t n = 0;

	for (size_t p = 0; p < pages; p++)
		n += state_of(addr + p * PAGE) == s;
	return n;
}

static inline size_t count_clean(uintptr_t addr, size_t pages)
{
	size_t n = 0;

	for (size_t p = 0; p < pages; p++)
		n += !!(em_page_load(em_page_of(addr) + p) & EM_WORD_CLEAN);
	return n;
}

/* ---- reclaim --------------------------------------------------------- */

static inline int evict_batch(void)
{
	sigset_t old;
	int ret;

	em_sys_block_signals(&old);
	ret = em_reclaim_batch();
	em_sys_restore_signals(&old);
	return ret;
}

/* Evicts whatever can leave. */
static inline void evict_all(void)
{
	while (evict_batch() == 0)
		;
}

/* Ends all writes that are under way. */
static inline void finish_writes(void)
{
	sigset_t old;

	em_sys_block_signals(&old);
	em_reclaim_lock();
	em_standby_drain();
	em_reclaim_unlock();
	em_sys_restore_signals(&old);
}

/*
 * How many credits are free once nobody has one in hand: who reads ahead, or serves
 * others' faults, gives back what it did not need only after the fault that it saw.
 */
static inline int64_t credits_at_rest(void)
{
	for (int i = 0; i < CHILD_SECONDS * 50 &&
	     em_credits_free() != (int64_t)em_segment->credit_pages; i++)
		usleep(5000);
	return em_credits_free();
}

/* Empties every standby buffer: what was in them is in the store only. */
static inline void empty_standby(void)
{
	uint64_t clusters = em_segment->buffer_pages / em_cluster_pages() + 1;
	sigset_t old;
	int error = 0;

	em_sys_block_signals(&old);
	em_reclaim_lock();
	for (uint64_t i = 0; i < clusters; i++) {
		struct em_cluster *c = em_standby_acquire(&error);
		if (c)
			em_cluster_submit(c, 0, 0);
	}
	em_reclaim_unlock();
	em_sys_restore_signals(&old);
}

static inline struct em_report report_now(void)
{
	struct em_report r;

	em_report_take(&r, em_segment);
	return r;
}

/*
 * At rest, everything must add up: credits and mapped pages, slots and the
 * pages that own them, and the states of the pages and the gauges.
 */
static inline void check_balance(uintptr_t addr, size_t pages, const char *name)
{
	size_t resident = count_state(addr, pages, EM_PAGE_RESIDENT);
	struct em_report r;

	finish_writes();
	r = report_now();
	is_int(fake.mapped, resident, "%s: a page is mapped or not resident", name);
	is_int(r.resident_bytes / PAGE, resident, "%s: a credit for each", name);
	is_int(r.standby_bytes / PAGE, count_state(addr, pages, EM_PAGE_STANDBY),
	       "%s: standby pages are counted", name);
	is_int(r.stored_bytes / PAGE, count_state(addr, pages, EM_PAGE_STORED),
	       "%s: stored pages are counted", name);
	is_int(r.clean_bytes / PAGE, count_clean(addr, pages),
	       "%s: clean pages are counted", name);
	is_int(em_slots_used(), (r.standby_bytes + r.stored_bytes + r.clean_bytes) / PAGE,
	       "%s: each page that owns a slot has one", name);
}

/* ---- chance ---------------------------------------------------------- */

/* EM_TEST_SEED repeats a run; it is printed. */
static inline uint64_t first_seed(void)
{
	const char *text = getenv("EM_TEST_SEED");
	uint64_t seed = text ? strtoull(text, NULL, 0) : em_sys_now_ns() % 1000000;

	diag("EM_TEST_SEED=%llu", (unsigned long long)seed);
	return seed;
}

static inline uint64_t roll(uint64_t *seed, uint64_t sides)
{
	*seed += 0x9e3779b97f4a7c15u;
	return mix(*seed) % sides;
}

#endif
