/* SPDX-License-Identifier: MIT
 *
 * areas.h: memory with a pattern in it, what programs do to memory, and the
 * check of every byte; for verify.c and torture.c, which define STRESS_NAME.
 *
 * Memory is cut into areas, each owned by one thread; half are mapped, half
 * come from malloc. An area is pages, a page is four chunks, and every chunk
 * has a version: each word of it is a function of (seed, area, page, chunk,
 * version, position), and version 0 is zeros. So a page that went to a wrong
 * place, or an old copy that came back, shows itself in whatever word is read,
 * and is named in the report.
 *
 *      area 0 (mmap)      area 1 (malloc)            shared area
 *      | page | page |    | page | page |     ...    | page | page |
 *      |c0 c1 c2 c3|
 *
 * The shadow (a version for each chunk) lies in static arrays, which no pager
 * manages. One more area is shared: all threads add to its words with atomics,
 * so that two threads fault on a page that a third one has evicted.
 *
 * A step is one thing that a program does; it leaves the areas of its worker
 * as the shadow says. fail() ends the process with status 1.
 */
#ifndef AREAS_H
#define AREAS_H

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE_BYTES 4096u
#define CHUNK_BYTES 1024u
#define CHUNK_WORDS (CHUNK_BYTES / 8)
#define PAGE_CHUNKS (PAGE_BYTES / CHUNK_BYTES)
#define PAGES_MAX (4u << 20) /* 16 GiB */
#define AREAS_MAX 4096u
#define AREA_PAGES_MIN 64u
#define AREA_PAGES_MAX 4096u
#define THREADS_MAX 64u
#define SHARED_PAGES_MAX 8192u
#define IO_PAGES_MAX 15u /* fits a pipe */

struct area {
	unsigned char *base;
	size_t pages;     /* now */
	size_t max_pages; /* never more: what its part of the shadow holds */
	size_t shadow;    /* index of its first page there */
	bool mapped;      /* mmap, else malloc */
	bool patched;     /* has mappings that need not merge with the rest */
};

struct worker {
	unsigned int id;
	pthread_t thread;
	uint64_t rng;
	struct area *areas;
	size_t area_count;
	size_t cursor_area, cursor_page;
	uint64_t checks, writes, steps;
	int pipe_fds[2];
	int file_fd;
	/* For copies of what is in managed memory; nobody manages this. */
	unsigned char plain[IO_PAGES_MAX * PAGE_BYTES];
};

static uint16_t shadow[PAGES_MAX][PAGE_CHUNKS];
static struct area areas[AREAS_MAX];
static struct worker workers[THREADS_MAX];

static _Atomic uint64_t *shared;
static size_t shared_pages;
static atomic_uint shared_sum[SHARED_PAGES_MAX];
static uint32_t shared_own[SHARED_PAGES_MAX][THREADS_MAX];

static uint64_t seed = 1;
static unsigned int threads = 1;
static size_t megabytes = 64;
static double seconds = 5;
static struct timespec began;

/* Says it once and ends the process; no lock, no heap: both may be broken. */
static _Noreturn void fail(const char *format, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, format);
	int n = vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	if (n > (int)sizeof(text) - 1)
		n = (int)sizeof(text) - 1;
	if (write(STDERR_FILENO, text, (size_t)n) < 0)
		_exit(2);
	_exit(1);
}

static _Noreturn void fail_errno(const char *what)
{
	fail(STRESS_NAME ": %s: %s (seed %" PRIu64 ")\n", what, strerror(errno), seed);
}

static inline double elapsed(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)(now.tv_sec - began.tv_sec) +
	       (double)(now.tv_nsec - began.tv_nsec) * 1e-9;
}

/* ---- pattern ----------------------------------------------------------- */

static inline uint64_t mix(uint64_t x)
{
	x ^= x >> 30;
	x *= 0xbf58476d1ce4e5b9ull;
	x ^= x >> 27;
	x *= 0x94d049bb133111ebull;
	return x ^ (x >> 31);
}

static inline uint64_t chunk_base(size_t shadow_page, unsigned int chunk, uint16_t version)
{
	return mix(seed * 0x9e3779b97f4a7c15ull ^ (uint64_t)shadow_page << 20 ^
		   (uint64_t)chunk << 16 ^ version);
}

static inline uint64_t pattern_word(uint64_t base, unsigned int word)
{
	return base + (word + 1) * 0x9e3779b97f4a7c15ull;
}

static inline void pattern_fill(void *to, size_t shadow_page, unsigned int chunk,
			 uint16_t version)
{
	uint64_t base = chunk_base(shadow_page, chunk, version);

	if (version == 0) {
		memset(to, 0, CHUNK_BYTES);
		return;
	}
	for (unsigned int i = 0; i < CHUNK_WORDS; i++) {
		uint64_t w = pattern_word(base, i);
		memcpy((char *)to + i * 8, &w, 8);
	}
}

/* What a wrong word most likely is. */
static inline const char *diagnose(uint64_t found, size_t shadow_page, unsigned int chunk,
			    unsigned int word, uint16_t version, char out[64])
{
	if (found == 0)
		return "zeros";
	for (unsigned int v = 1; v <= UINT16_MAX; v++) {
		if (v == version)
			continue;
		if (pattern_word(chunk_base(shadow_page, chunk, (uint16_t)v), word) == found) {
			snprintf(out, 64, "version %u of this chunk", v);
			return out;
		}
	}
	for (size_t p = 0; p < PAGES_MAX && p < megabytes * 512; p++) {
		for (unsigned int c = 0; c < PAGE_CHUNKS; c++) {
			if (pattern_word(chunk_base(p, c, shadow[p][c]), word) == found) {
				snprintf(out, 64, "chunk %u of page %zu", c, p);
				return out;
			}
		}
	}
	return "not a pattern of this run";
}

static _Noreturn void mismatch(const void *at, const char *how, size_t shadow_page,
			       unsigned int chunk, unsigned int word,
			       uint16_t version, uint64_t expected, uint64_t found)
{
	char guess[64];
	uint64_t again = 0;

	memcpy(&again, (const char *)at + word * 8, 8);
	fail(STRESS_NAME ": MISMATCH by %s: address %p page %zu offset %u version %u "
	     "expected %016" PRIx64 " found %016" PRIx64 " (%s), read again %016" PRIx64
	     ", after %.2f s, seed %" PRIu64 "\n",
	     how, (const void *)((const char *)at + word * 8), shadow_page,
	     chunk * CHUNK_BYTES + word * 8, version, expected, found,
	     diagnose(found, shadow_page, chunk, word, version, guess), again,
	     elapsed(), seed);
}

/* Compares one chunk of pattern at `at`, wherever it was read to. */
static inline void pattern_check(const void *at, const char *how, size_t shadow_page,
			  unsigned int chunk, uint16_t version)
{
	uint64_t base = chunk_base(shadow_page, chunk, version);

	for (unsigned int i = 0; i < CHUNK_WORDS; i++) {
		uint64_t expected = version ? pattern_word(base, i) : 0;
		uint64_t found;

		memcpy(&found, (const char *)at + i * 8, 8);
		if (found != expected)
			mismatch(at, how, shadow_page, chunk, i, version, expected, found);
	}
}

/* ---- areas ------------------------------------------------------------- */

static inline uint64_t rnd(struct worker *w)
{
	w->rng ^= w->rng >> 12;
	w->rng ^= w->rng << 25;
	w->rng ^= w->rng >> 27;
	return w->rng * 0x2545f4914f6cdd1dull;
}

static inline size_t below(struct worker *w, size_t n)
{
	return (size_t)(rnd(w) >> 11) % n;
}

static inline unsigned char *chunk_at(const struct area *a, size_t page, unsigned int chunk)
{
	return a->base + page * PAGE_BYTES + chunk * CHUNK_BYTES;
}

static inline void chunk_check(struct worker *w, const struct area *a, size_t page,
			unsigned int chunk, const char *how)
{
	pattern_check(chunk_at(a, page, chunk), how, a->shadow + page, chunk,
		      shadow[a->shadow + page][chunk]);
	w->checks++;
}

static inline uint16_t next_version(uint16_t version)
{
	return version == UINT16_MAX ? 1 : (uint16_t)(version + 1);
}

static inline void chunk_write(struct worker *w, const struct area *a, size_t page,
			unsigned int chunk)
{
	uint16_t *version = &shadow[a->shadow + page][chunk];

	*version = next_version(*version);
	pattern_fill(chunk_at(a, page, chunk), a->shadow + page, chunk, *version);
	w->writes++;
}

static inline void pages_write(struct worker *w, const struct area *a, size_t from, size_t to)
{
	for (size_t p = from; p < to; p++)
		for (unsigned int c = 0; c < PAGE_CHUNKS; c++)
			chunk_write(w, a, p, c);
}

static inline void pages_check(struct worker *w, const struct area *a, size_t from, size_t to,
			const char *how)
{
	for (size_t p = from; p < to; p++)
		for (unsigned int c = 0; c < PAGE_CHUNKS; c++)
			chunk_check(w, a, p, c, how);
}

/* These pages read as zeros from now on. */
static inline void pages_forget(const struct area *a, size_t from, size_t to)
{
	memset(&shadow[a->shadow + from], 0, (to - from) * sizeof(shadow[0]));
}

static inline void *map(void *at, size_t bytes, int flags)
{
	void *p = mmap(at, bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);

	if (p == MAP_FAILED)
		fail_errno("mmap");
	return p;
}

static inline void area_open(struct worker *w, struct area *a)
{
	a->pages = a->max_pages;
	a->patched = false;
	if (a->mapped) {
		a->base = map(NULL, a->pages * PAGE_BYTES, 0);
		pages_forget(a, 0, a->pages);
	} else {
		a->base = malloc(a->pages * PAGE_BYTES);
		if (!a->base)
			fail_errno("malloc");
	}
	pages_write(w, a, 0, a->pages);
}

/* A random run of 1 to max pages of an area. */
static inline size_t some_pages(struct worker *w, const struct area *a, size_t max,
			 size_t *from)
{
	size_t n = 1 + below(w, max < a->pages ? max : a->pages);

	*from = below(w, a->pages - n + 1);
	return n;
}

/* ---- steps: plain traffic ---------------------------------------------- */

static inline void touch(struct worker *w, const struct area *a, size_t page)
{
	unsigned int chunk = (unsigned int)below(w, PAGE_CHUNKS);

	chunk_check(w, a, page, chunk, "a read");
	if (rnd(w) & 1)
		chunk_write(w, a, page, chunk);
}

static inline void step_random(struct worker *w)
{
	for (int i = 0; i < 32; i++) {
		struct area *a = &w->areas[below(w, w->area_count)];
		touch(w, a, below(w, a->pages));
	}
}

static inline void step_sequential(struct worker *w)
{
	for (int i = 0; i < 64; i++) {
		struct area *a = &w->areas[w->cursor_area];

		if (w->cursor_page >= a->pages) {
			w->cursor_page = 0;
			w->cursor_area = (w->cursor_area + 1) % w->area_count;
			continue;
		}
		touch(w, a, w->cursor_page++);
	}
}

/* Nine of ten touches to the first tenth of each area. */
static inline void step_hot(struct worker *w)
{
	for (int i = 0; i < 64; i++) {
		struct area *a = &w->areas[below(w, w->area_count)];
		size_t hot = a->pages / 10 + 1;

		touch(w, a, below(w, rnd(w) % 10 ? hot : a->pages));
	}
}

static inline void step_fill(struct worker *w)
{
	struct area *a = &w->areas[w->cursor_area];

	w->cursor_area = (w->cursor_area + 1) % w->area_count;
	pages_check(w, a, 0, a->pages, "a read");
	pages_write(w, a, 0, a->pages);
}

/* ---- steps: the shared area --------------------------------------------- */

/*
 * Of a shared page's 512 words the first 64 have one writer each, who sees at
 * once when a store of his was lost; the others are added to by all.
 */
static inline void shared_touch(struct worker *w, size_t page)
{
	_Atomic uint64_t *words = shared + page * (PAGE_BYTES / 8);
	uint32_t *own = &shared_own[page][w->id];
	/* Relaxed everywhere: each word stands alone, only its value counts. */
	uint64_t found = atomic_load_explicit(&words[w->id], memory_order_relaxed);

	if (found != *own)
		fail(STRESS_NAME ": MISMATCH in the shared area: address %p page %zu offset %u "
		     "expected %" PRIu32 " found %" PRIu64 ", a store was lost, seed %" PRIu64 "\n",
		     (void *)&words[w->id], page, w->id * 8, *own, found, seed);
	++*own;
	atomic_store_explicit(&words[w->id], *own, memory_order_relaxed);
	atomic_fetch_add_explicit(&words[THREADS_MAX + below(w, 512 - THREADS_MAX)], 1,
				  memory_order_relaxed);
	atomic_fetch_add_explicit(&shared_sum[page], 1, memory_order_relaxed);
}

static inline void step_shared(struct worker *w)
{
	for (int i = 0; i < 32; i++)
		shared_touch(w, below(w, shared_pages));
}

/* Only while nobody writes. */
static inline void shared_verify(void)
{
	for (size_t p = 0; p < shared_pages; p++) {
		_Atomic uint64_t *words = shared + p * (PAGE_BYTES / 8);
		uint64_t sum = 0;

		for (unsigned int t = 0; t < THREADS_MAX; t++)
			if (words[t] != shared_own[p][t])
				fail(STRESS_NAME ": MISMATCH in the shared area: address %p page %zu "
				     "offset %u expected %" PRIu32 " found %" PRIu64
				     ", seed %" PRIu64 "\n", (void *)&words[t], p, t * 8,
				     shared_own[p][t], (uint64_t)words[t], seed);
		for (unsigned int i = THREADS_MAX; i < 512; i++)
			sum += words[i];
		if (sum != shared_sum[p])
			fail(STRESS_NAME ": MISMATCH in the shared area: address %p page %zu "
			     "offset %u expected a sum of %u found %" PRIu64
			     ", additions were lost, seed %" PRIu64 "\n",
			     (void *)words, p, THREADS_MAX * 8, shared_sum[p], sum, seed);
	}
}

/* ---- steps: what the memory calls do ------------------------------------ */

static inline struct area *some_area(struct worker *w, bool mapped)
{
	for (;;) {
		struct area *a = &w->areas[below(w, w->area_count)];
		if (a->mapped == mapped)
			return a;
	}
}

static inline void step_dontneed(struct worker *w)
{
	struct area *a = some_area(w, true);
	size_t from, n = some_pages(w, a, 96, &from);

	if (madvise(a->base + from * PAGE_BYTES, n * PAGE_BYTES, MADV_DONTNEED) != 0)
		fail_errno("madvise");
	pages_forget(a, from, from + n);
	if (rnd(w) & 1)
		pages_check(w, a, from, from + n, "a read after DONTNEED");
}

/* A hole in the middle, filled again; or mapped over at once. */
static inline void step_remap(struct worker *w)
{
	struct area *a = some_area(w, true);
	size_t from, n = some_pages(w, a, 128, &from);
	unsigned char *at = a->base + from * PAGE_BYTES;

	if (rnd(w) & 1) {
		if (munmap(at, n * PAGE_BYTES) != 0)
			fail_errno("munmap");
		/* Another thread's mapping may have taken the hole: then it is
		 * not ours to map over, and the area is moved whole. */
		void *p = mmap(at, n * PAGE_BYTES, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
		if (p != at) {
			if (p != MAP_FAILED)
				munmap(p, n * PAGE_BYTES);
			munmap(a->base, from * PAGE_BYTES);
			munmap(at + n * PAGE_BYTES, (a->pages - from - n) * PAGE_BYTES);
			area_open(w, a);
			return;
		}
	} else {
		map(at, n * PAGE_BYTES, MAP_FIXED);
	}
	a->patched = true;
	pages_forget(a, from, from + n);
	pages_check(w, a, from, from + n, "a read after a fresh mapping");
}

static inline void step_reopen(struct worker *w)
{
	struct area *a = some_area(w, true);

	if (munmap(a->base, a->pages * PAGE_BYTES) != 0)
		fail_errno("munmap");
	area_open(w, a);
}

static inline size_t other_size(struct worker *w, const struct area *a)
{
	return a->max_pages / 2 + below(w, a->max_pages - a->max_pages / 2 + 1);
}

static inline void step_mremap(struct worker *w)
{
	struct area *a = some_area(w, true);
	size_t pages = other_size(w, a);
	void *p;

	if (a->patched || rnd(w) & 1) {
		p = mremap(a->base, a->pages * PAGE_BYTES, pages * PAGE_BYTES, MREMAP_MAYMOVE);
	} else {
		void *to = map(NULL, pages * PAGE_BYTES, 0);

		p = mremap(a->base, a->pages * PAGE_BYTES, pages * PAGE_BYTES,
			   MREMAP_MAYMOVE | MREMAP_FIXED, to);
	}
	if (p == MAP_FAILED && errno == EFAULT && a->patched) {
		/* The kernel moves only what is one mapping to it. */
		munmap(a->base, a->pages * PAGE_BYTES);
		area_open(w, a);
		return;
	}
	if (p == MAP_FAILED)
		fail_errno("mremap");
	a->base = p;
	if (pages > a->pages)
		pages_forget(a, a->pages, pages);
	a->pages = pages;
	pages_check(w, a, 0, pages, "a read after mremap");
}

/* Other pages are used meanwhile, so that the protected ones leave. */
static inline void step_mprotect(struct worker *w)
{
	struct area *a = some_area(w, true);
	size_t from, n = some_pages(w, a, 64, &from);
	unsigned char *at = a->base + from * PAGE_BYTES;
	int prot = rnd(w) & 1 ? PROT_NONE : PROT_READ;

	if (mprotect(at, n * PAGE_BYTES, prot) != 0)
		fail_errno("mprotect");
	if (prot == PROT_READ)
		pages_check(w, a, from, from + n, "a read under PROT_READ");
	else if (write(w->pipe_fds[1], at, 16) >= 0 || errno != EFAULT)
		fail(STRESS_NAME ": write() from a PROT_NONE page did not say EFAULT, seed %" PRIu64 "\n",
		     seed);
	for (int i = 0; i < 256; i++) {
		struct area *other = &w->areas[below(w, w->area_count)];
		if (other != a)
			touch(w, other, below(w, other->pages));
	}
	if (mprotect(at, n * PAGE_BYTES, PROT_READ | PROT_WRITE) != 0)
		fail_errno("mprotect");
	pages_check(w, a, from, from + n, "a read after mprotect");
}

static inline void step_realloc(struct worker *w)
{
	struct area *a = some_area(w, false);
	size_t before = a->pages, pages = other_size(w, a);
	void *p = realloc(a->base, pages * PAGE_BYTES);

	if (!p)
		fail_errno("realloc");
	a->base = p;
	a->pages = pages;
	pages_check(w, a, 0, before < pages ? before : pages, "a read after realloc");
	if (pages > before)
		pages_write(w, a, before, pages);
}

static inline void step_free(struct worker *w)
{
	struct area *a = some_area(w, false);

	free(a->base);
	if (rnd(w) & 1) {
		area_open(w, a);
		return;
	}
	a->pages = a->max_pages;
	a->base = calloc(a->pages, PAGE_BYTES);
	if (!a->base)
		fail_errno("calloc");
	pages_forget(a, 0, a->pages);
	pages_check(w, a, 0, a->pages, "a read after calloc");
}

/* ---- steps: memory handed to system calls ------------------------------- */

/* All of it, or the end of the run: a short transfer is what is looked for. */
static inline void whole(ssize_t n, size_t bytes, const char *what)
{
	if (n < 0)
		fail_errno(what);
	if ((size_t)n != bytes)
		fail(STRESS_NAME ": %s moved %zd bytes of %zu, seed %" PRIu64 "\n", what, n,
		     bytes, seed);
}

/* The bytes that pages [from, from + n) should have, into plain memory. */
static inline void expect(const struct area *a, size_t from, size_t n, unsigned char *out)
{
	for (size_t p = 0; p < n; p++)
		for (unsigned int c = 0; c < PAGE_CHUNKS; c++)
			pattern_fill(out + p * PAGE_BYTES + c * CHUNK_BYTES, a->shadow + from + p,
				     c, shadow[a->shadow + from + p][c]);
}

static inline void compare(const struct area *a, size_t from, size_t n,
		    const unsigned char *got, const char *how)
{
	for (size_t p = 0; p < n; p++)
		for (unsigned int c = 0; c < PAGE_CHUNKS; c++)
			pattern_check(got + p * PAGE_BYTES + c * CHUNK_BYTES, how,
				      a->shadow + from + p, c, shadow[a->shadow + from + p][c]);
}

static inline void versions_up(const struct area *a, size_t from, size_t n)
{
	for (size_t p = from; p < from + n; p++)
		for (unsigned int c = 0; c < PAGE_CHUNKS; c++)
			shadow[a->shadow + p][c] = next_version(shadow[a->shadow + p][c]);
}

static inline void step_file(struct worker *w)
{
	unsigned char *plain = w->plain;
	struct area *a = &w->areas[below(w, w->area_count)];
	size_t from, n = some_pages(w, a, IO_PAGES_MAX, &from), bytes = n * PAGE_BYTES;
	unsigned char *at = a->base + from * PAGE_BYTES;

	whole(pwrite(w->file_fd, at, bytes, 0), bytes, "pwrite");
	whole(pread(w->file_fd, plain, bytes, 0), bytes, "pread");
	compare(a, from, n, plain, "pwrite to a file");

	versions_up(a, from, n);
	expect(a, from, n, plain);
	whole(pwrite(w->file_fd, plain, bytes, 0), bytes, "pwrite");
	if (rnd(w) & 1) {
		whole(pread(w->file_fd, at, bytes, 0), bytes, "pread into memory");
	} else {
		if (lseek(w->file_fd, 0, SEEK_SET) != 0)
			fail_errno("lseek");
		whole(read(w->file_fd, at, bytes), bytes, "read into memory");
	}
	pages_check(w, a, from, from + n, "read from a file");
}

static inline void step_pipe(struct worker *w)
{
	unsigned char *plain = w->plain;
	struct area *a = &w->areas[below(w, w->area_count)];
	size_t from, n = some_pages(w, a, IO_PAGES_MAX, &from), bytes = n * PAGE_BYTES;
	unsigned char *at = a->base + from * PAGE_BYTES;

	whole(write(w->pipe_fds[1], at, bytes), bytes, "write to a pipe");
	whole(read(w->pipe_fds[0], plain, bytes), bytes, "read from a pipe");
	compare(a, from, n, plain, "write to a pipe");

	versions_up(a, from, n);
	expect(a, from, n, plain);
	whole(write(w->pipe_fds[1], plain, bytes), bytes, "write to a pipe");
	whole(read(w->pipe_fds[0], at, bytes), bytes, "read from a pipe into memory");
	pages_check(w, a, from, from + n, "read from a pipe");
}

/* Two areas by one vectored call, in and out. */
static inline void step_vector(struct worker *w)
{
	struct area *a = some_area(w, true), *b = some_area(w, false);
	size_t pa = below(w, a->pages), pb = below(w, b->pages);
	struct iovec iov[2] = {
		{ a->base + pa * PAGE_BYTES, PAGE_BYTES },
		{ b->base + pb * PAGE_BYTES, PAGE_BYTES },
	};
	unsigned char *plain = w->plain;
	const size_t bytes = 2 * PAGE_BYTES;

	whole(writev(w->pipe_fds[1], iov, 2), bytes, "writev");
	whole(read(w->pipe_fds[0], plain, bytes), bytes, "read");
	compare(a, pa, 1, plain, "writev");
	compare(b, pb, 1, plain + PAGE_BYTES, "writev");

	versions_up(a, pa, 1);
	versions_up(b, pb, 1);
	expect(a, pa, 1, plain);
	expect(b, pb, 1, plain + PAGE_BYTES);
	whole(write(w->pipe_fds[1], plain, bytes), bytes, "write");
	whole(readv(w->pipe_fds[0], iov, 2), bytes, "readv");
	pages_check(w, a, pa, pa + 1, "readv");
	pages_check(w, b, pb, pb + 1, "readv");
}

/* The call is made inside libc, where no wrapper stands. */
static inline void step_stdio(struct worker *w)
{
	struct area *a = &w->areas[below(w, w->area_count)];
	size_t from, n = some_pages(w, a, IO_PAGES_MAX, &from), bytes = n * PAGE_BYTES;
	unsigned char *at = a->base + from * PAGE_BYTES;
	FILE *f = tmpfile();

	if (!f)
		fail_errno("tmpfile");
	if (fwrite(at, 1, bytes, f) != bytes || fflush(f) != 0)
		fail_errno("fwrite");
	rewind(f);
	memset(at, 0x5a, bytes);
	if (fread(at, 1, bytes, f) != bytes)
		fail_errno("fread");
	fclose(f);
	pages_check(w, a, from, from + n, "fwrite and fread");
}

/* ---- everything --------------------------------------------------------- */

/* Everything that is this thread's. */
static inline void verify_own(struct worker *w, const struct worker *whose, const char *how)
{
	for (size_t i = 0; i < whose->area_count; i++)
		pages_check(w, &whose->areas[i], 0, whose->areas[i].pages, how);
}

/* Everything there is; only while nobody writes. */
static inline void verify_all(struct worker *w, const char *how)
{
	for (unsigned int t = 0; t < threads; t++)
		verify_own(w, &workers[t], how);
	shared_verify();
}

/* Cuts the memory: an eighth is shared, the rest is areas, 4 or more a thread. */
static inline void plan(void)
{
	size_t pages = megabytes * 256, each, next = 0, n = 0;

	shared_pages = pages / 8;
	if (shared_pages > SHARED_PAGES_MAX)
		shared_pages = SHARED_PAGES_MAX;
	each = (pages - shared_pages) / threads;
	for (unsigned int t = 0; t < threads; t++) {
		struct worker *w = &workers[t];
		size_t area_pages = each / 8, left = each;

		if (area_pages < AREA_PAGES_MIN)
			area_pages = AREA_PAGES_MIN;
		if (area_pages > AREA_PAGES_MAX)
			area_pages = AREA_PAGES_MAX;
		w->id = t;
		w->rng = mix(seed * 64 + t) | 1;
		w->areas = &areas[n];
		while ((left >= area_pages || w->area_count < 4) && n < AREAS_MAX) {
			areas[n++] = (struct area){ .max_pages = area_pages, .shadow = next,
						    .mapped = w->area_count % 2 == 0 };
			w->area_count++;
			next += area_pages;
			left -= left < area_pages ? left : area_pages;
		}
		if (w->area_count < 4 || next > PAGES_MAX)
			fail(STRESS_NAME ": %zu MB and %u threads are more than this program holds\n",
			     megabytes, threads);
	}
}

static inline void worker_open(struct worker *w)
{
	char name[] = "/var/tmp/" STRESS_NAME "-XXXXXX";

	if (pipe(w->pipe_fds) != 0)
		fail_errno("pipe");
	w->file_fd = mkstemp(name);
	if (w->file_fd < 0)
		fail_errno(name);
	unlink(name);
	for (size_t i = 0; i < w->area_count; i++)
		area_open(w, &w->areas[i]);
}

static inline uint64_t number(const char *text, uint64_t min, uint64_t max, const char *what)
{
	char *end;
	uint64_t n = strtoull(text, &end, 10);

	if (*text == '\0' || *end != '\0' || n < min || n > max) {
		fprintf(stderr, STRESS_NAME ": %s is '%s', want %" PRIu64 " to %" PRIu64 "\n", what,
			text, min, max);
		exit(2);
	}
	return n;
}

typedef void step_function(struct worker *w);

#endif
