/* SPDX-License-Identifier: MIT
 *
 * memcalls --seed N --steps N: a random sequence of memory calls, the same for
 * the same seed, on one stretch of memory. After each call it prints what was
 * asked and answered, and now and then a checksum of all memory that may be
 * read. Run natively and under extmem, the two must print the same
 * (tests/stress/memcalls.sh). MADV_PAGEOUT is among the calls: under extmem it
 * makes pages leave, natively it changes nothing that a program can see.
 *
 * It allocates nothing and maps nothing else while it works: natively the gaps
 * that it leaves would be filled.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096ul
#define PAGES 384u /* a block of 2 MiB is 512: three quarters and a gap */
#define GONE -1

#ifndef MADV_POPULATE_READ /* Linux 5.14 */
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif

static unsigned char *base;
static int prot[PAGES];  /* GONE: not mapped */
static bool locked[PAGES];
static uint64_t random_state;
static char line[200];

static uint64_t roll(uint64_t sides)
{
	uint64_t x = random_state += 0x9e3779b97f4a7c15ull;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return (x ^ x >> 31) % sides;
}

static void say(const char *text)
{
	if (write(1, text, strlen(text)) < 0)
		_exit(3);
}

static void *at(unsigned int page) { return base + page * PAGE; }

static void note(int step, const char *what, unsigned int first, unsigned int count,
		 long extra, long result)
{
	snprintf(line, sizeof(line), "%d %s %u+%u %ld: %s\n", step, what, first, count,
		 extra, result < 0 ? strerrorname_np(errno) : "fine");
	say(line);
}

static void set(unsigned int first, unsigned int count, int p)
{
	for (unsigned int i = first; i < first + count; i++) {
		prot[i] = p;
		if (p == GONE)
			locked[i] = false;
	}
}

static bool all_mapped(unsigned int first, unsigned int count)
{
	for (unsigned int i = first; i < first + count; i++)
		if (prot[i] == GONE)
			return false;
	return true;
}

static bool any_locked(unsigned int first, unsigned int count)
{
	for (unsigned int i = first; i < first + count; i++)
		if (locked[i])
			return true;
	return false;
}

static void checksum(int step)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < PAGES; i++)
		if (prot[i] != GONE && prot[i] & PROT_READ)
			for (size_t k = 0; k < PAGE / 8; k++)
				sum = (sum ^ ((uint64_t *)at(i))[k]) * 0x100000001b3ull + i;
	snprintf(line, sizeof(line), "%d sum %016llx\n", step, (unsigned long long)sum);
	say(line);
}

/* ---- the calls ---------------------------------------------------------- */

static const int prots[] = { PROT_READ | PROT_WRITE, PROT_READ | PROT_WRITE,
			     PROT_READ, PROT_NONE };

static void write_some(unsigned int first, unsigned int count, int step)
{
	for (unsigned int i = first; i < first + count; i++)
		if (prot[i] != GONE && prot[i] & PROT_WRITE)
			memset((char *)at(i) + roll(8) * 512, step, 512);
}

static void do_mmap(int step, unsigned int first, unsigned int count)
{
	int p = prots[roll(4)];
	int flags = MAP_PRIVATE | MAP_ANONYMOUS |
		    (roll(4) ? MAP_FIXED : MAP_FIXED_NOREPLACE);
	void *r = mmap(at(first), count * PAGE, p, flags, -1, 0);

	note(step, "mmap", first, count, p, r == MAP_FAILED ? -1 : 0);
	if (r != MAP_FAILED) {
		set(first, count, GONE);
		set(first, count, p);
	}
}

static void do_munmap(int step, unsigned int first, unsigned int count)
{
	long r = munmap(at(first), count * PAGE);

	note(step, "munmap", first, count, 0, r);
	if (r == 0)
		set(first, count, GONE);
}

static void do_mprotect(int step, unsigned int first, unsigned int count)
{
	int p = prots[roll(4)];
	long r = mprotect(at(first), count * PAGE, p);
	unsigned int n = 0;

	note(step, "mprotect", first, count, p, r);
	while (n < count && prot[first + n] != GONE)
		n++;
	set(first, n, p); /* up to the first gap */
}

static void do_madvise(int step, unsigned int first, unsigned int count)
{
	static const int advice[] = {
		MADV_DONTNEED, MADV_DONTNEED, MADV_PAGEOUT, MADV_PAGEOUT, MADV_PAGEOUT,
		MADV_COLD, MADV_WILLNEED, MADV_NORMAL, MADV_RANDOM, MADV_SEQUENTIAL,
		MADV_DONTFORK, MADV_DOFORK, MADV_WIPEONFORK, MADV_KEEPONFORK,
		MADV_POPULATE_READ, MADV_POPULATE_WRITE, MADV_REMOVE, 9999,
	};
	int a = advice[roll(sizeof(advice) / sizeof(*advice))];

	/* The kernel stops where it meets locked memory, and has done a part. */
	if ((a == MADV_DONTNEED || a == MADV_PAGEOUT || a == MADV_COLD ||
	     a == MADV_REMOVE) && (any_locked(first, count) || !all_mapped(first, count)))
		return;
	note(step, "madvise", first, count, a, madvise(at(first), count * PAGE, a));
}

static void do_mremap(int step, unsigned int first, unsigned int count)
{
	unsigned int to = (unsigned int)roll(PAGES), new = 1 + (unsigned int)roll(count + 8);
	int p = prot[first];
	void *r;

	/* One mapping, to the kernel too: how it splits them is its own business. */
	for (unsigned int i = first; i < first + count; i++)
		if (prot[i] == GONE || prot[i] != p || locked[i])
			return;
	if (to + new > PAGES)
		return;
	new = roll(3) ? count : new;
	if (to + new > PAGES)
		return;
	if (any_locked(to, new))
		return;
	/* Made one by being made anew. */
	if (mmap(at(first), count * PAGE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
		_exit(3);
	set(first, count, PROT_READ | PROT_WRITE);
	write_some(first, count, step);
	if (roll(2))
		madvise(at(first), count * PAGE, MADV_PAGEOUT);
	if (p != (PROT_READ | PROT_WRITE) && mprotect(at(first), count * PAGE, p) < 0)
		_exit(3);
	set(first, count, p);
	bool keep = new == count && roll(3) == 0;
	r = mremap(at(first), count * PAGE, new * PAGE,
		   MREMAP_MAYMOVE | MREMAP_FIXED | (keep ? MREMAP_DONTUNMAP : 0), at(to));
	note(step, keep ? "mremap-keep" : "mremap", first, count, to * 1000L + new,
	     r == MAP_FAILED ? -1 : 0);
	if (r == MAP_FAILED)
		return;
	if (!keep)
		set(first, count, GONE);
	set(to, new, GONE);
	set(to, new, p);
}

static void do_shrink(int step, unsigned int first, unsigned int count)
{
	unsigned int left = 1 + (unsigned int)roll(count);
	void *r;

	for (unsigned int i = first; i < first + count; i++)
		if (prot[i] == GONE || prot[i] != prot[first])
			return;
	if (mmap(at(first), count * PAGE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
		_exit(3);
	set(first, count, GONE);
	set(first, count, PROT_READ | PROT_WRITE);
	r = mremap(at(first), count * PAGE, left * PAGE, 0);
	note(step, "shrink", first, count, left, r == MAP_FAILED ? -1 : 0);
	if (r != MAP_FAILED)
		set(first + left, count - left, GONE);
}

static void do_lock(int step, unsigned int first, unsigned int count)
{
	long r;

	if (!all_mapped(first, count))
		return;
	for (unsigned int i = first; i < first + count; i++)
		if (!(prot[i] & PROT_WRITE))
			return;
	r = mlock(at(first), count * PAGE);
	note(step, "mlock", first, count, 0, r);
	for (unsigned int i = first; r == 0 && i < first + count; i++)
		locked[i] = true;
}

static void do_unlock(int step, unsigned int first, unsigned int count)
{
	note(step, "munlock", first, count, 0, munlock(at(first), count * PAGE));
	for (unsigned int i = first; i < first + count && prot[i] != GONE; i++)
		locked[i] = false; /* up to the first gap */
}

static void do_query(int step, unsigned int first, unsigned int count)
{
	static unsigned char vector[PAGES];

	note(step, "mincore", first, count, 0, mincore(at(first), count * PAGE, vector));
	note(step, "msync", first, count, 0, msync(at(first), count * PAGE, MS_ASYNC));
}

/* What must fail, and how. */
static void do_wrong(int step, unsigned int first, unsigned int count)
{
	char *odd = (char *)at(first) + 100;

	note(step, "munmap odd", first, count, 0, munmap(odd, PAGE));
	note(step, "mprotect odd", first, count, 0, mprotect(odd, PAGE, PROT_READ));
	note(step, "madvise odd", first, count, 0, madvise(odd, PAGE, MADV_NORMAL));
	note(step, "munmap nothing", first, count, 0, munmap(at(first), 0));
	note(step, "mprotect nothing", first, count, 0, mprotect(at(first), 0, PROT_READ));
	note(step, "madvise nothing", first, count, 0, madvise(at(first), 0, MADV_DONTNEED));
	note(step, "munmap all", first, count, 0, munmap(at(first), SIZE_MAX - PAGE));
	note(step, "mremap to nothing", first, count, 0,
	     mremap(at(first), PAGE, 0, MREMAP_MAYMOVE) == MAP_FAILED ? -1 : 0);
	note(step, "mremap flags", first, count, 0,
	     mremap(at(first), PAGE, PAGE, 64) == MAP_FAILED ? -1 : 0);
	note(step, "mremap odd", first, count, 0,
	     mremap(odd, PAGE, PAGE, MREMAP_MAYMOVE) == MAP_FAILED ? -1 : 0);
	note(step, "mremap keep", first, count, 0,
	     mremap(at(first), PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP) ==
	     MAP_FAILED ? -1 : 0);
	note(step, "mmap odd", first, count, 0,
	     mmap(odd, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
	     MAP_FAILED ? -1 : 0);
}

static unsigned int at_most(unsigned int count, unsigned int first)
{
	return count < PAGES - first ? count : PAGES - first;
}

static void do_step(int step)
{
	unsigned int first = (unsigned int)roll(PAGES);
	unsigned int count = 1 + (unsigned int)roll(roll(4) ? 24 : PAGES);

	if (count > PAGES - first)
		count = PAGES - first;
	switch (roll(16)) {
	case 0: case 1: do_mmap(step, first, count); break;
	case 2: do_munmap(step, first, at_most(count / 2 + 1, first)); break;
	case 3: case 4: do_mprotect(step, first, count); break;
	case 5: case 6: case 7: case 8: do_madvise(step, first, count); break;
	case 9: do_mremap(step, first, count); break;
	case 10: do_lock(step, first, at_most(count % 8 + 1, first)); break;
	case 11: do_unlock(step, first, PAGES - first); break;
	case 12: do_query(step, first, count); break;
	case 13:
		if (roll(20) == 0)
			do_wrong(step, first, count);
		else
			do_shrink(step, first, at_most(count % 9 + 1, first));
		break;
	default: write_some(first, count, step);
	}
	if (step % 8 == 0)
		checksum(step);
}

int main(int argc, char **argv)
{
	int steps = 1000;

	for (int i = 1; i + 1 < argc; i += 2) {
		if (!strcmp(argv[i], "--seed"))
			random_state = strtoull(argv[i + 1], NULL, 0) << 20;
		else if (!strcmp(argv[i], "--steps"))
			steps = atoi(argv[i + 1]);
	}
	base = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (base == MAP_FAILED)
		return perror("mmap"), 3;
	madvise(base, PAGES * PAGE, MADV_NOHUGEPAGE);
	set(0, PAGES, PROT_READ | PROT_WRITE);
	for (int step = 1; step <= steps; step++)
		do_step(step);
	checksum(steps);
	return 0;
}
