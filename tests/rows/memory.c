/* SPDX-License-Identifier: MIT
 *
 * rows-memory: what programs do to their mappings while pages are away.
 */
#include "row.h"
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define BYTES (64 * ROW_PAGE)

static unsigned char *away(size_t bytes, unsigned int seed)
{
	unsigned char *p = row_map(bytes);

	row_fill(p, bytes, seed);
	row_push_out(p, bytes);
	return p;
}

static void is_zero(const unsigned char *p, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		if (p[i])
			ROW_FAIL("byte %zu is not zero", i);
}

static void moved(void)
{
	unsigned char *p = away(BYTES, 1), *q, *r;

	q = mremap(p, BYTES, 4 * BYTES, MREMAP_MAYMOVE);
	ROW_CHECK(q != MAP_FAILED);
	row_verify(q, BYTES, 1);
	is_zero(q + BYTES, 3 * BYTES);
	row_push_out(q, BYTES);
	r = row_map(BYTES);
	ROW_CHECK(mremap(q, BYTES, BYTES, MREMAP_MAYMOVE | MREMAP_FIXED, r) == r);
	row_verify(r, BYTES, 1);
	row_push_out(r, BYTES);
	q = mremap(r, BYTES, BYTES, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);
	ROW_CHECK(q != MAP_FAILED && q != r);
	row_verify(q, BYTES, 1);
	is_zero(r, BYTES);
}

static void mapped_over(void)
{
	unsigned char *p = away(3 * BYTES, 1);
	void *middle = p + BYTES;

	ROW_CHECK(mmap(middle, BYTES, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == middle);
	is_zero(middle, BYTES);
	row_fill(middle, BYTES, 2);
	row_push_out(p, 3 * BYTES);
	ROW_CHECK(munmap(middle, BYTES) == 0);
	ROW_CHECK(mmap(middle, BYTES, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == middle);
	is_zero(middle, BYTES);
	for (size_t i = 0; i < BYTES; i++) {
		ROW_CHECK(p[i] == row_byte(1, i));
		ROW_CHECK(p[2 * BYTES + i] == row_byte(1, 2 * BYTES + i));
	}
}

static void discarded(void)
{
	unsigned char *p = away(BYTES, 1);

	ROW_CHECK(madvise(p, BYTES / 2, MADV_DONTNEED) == 0);
	is_zero(p, BYTES / 2);
	row_fill(p, BYTES / 2, 2);
	row_verify(p, BYTES / 2, 2);
	ROW_CHECK(p[BYTES - 1] == row_byte(1, BYTES - 1));
	row_push_out(p, BYTES);
	ROW_CHECK(madvise(p, BYTES, MADV_FREE) == 0);
	row_fill(p, BYTES, 3);
	row_verify(p, BYTES, 3);
}

static void protected_and_back(void)
{
	unsigned char *p = row_map(BYTES);

	row_fill(p, BYTES, 1);
	ROW_CHECK(mprotect(p, BYTES, PROT_NONE) == 0);
	row_push_out(p, BYTES);
	ROW_CHECK(mprotect(p, BYTES, PROT_READ) == 0);
	row_verify(p, BYTES, 1);
	row_push_out(p, BYTES);
	ROW_CHECK(mprotect(p, BYTES, PROT_READ | PROT_WRITE) == 0);
	row_verify(p, BYTES, 1);
}

#define HUGE_BYTES (512ul << 30)

/* As Java and V8 do: reserve far too much, commit pieces. */
static void reserved(void)
{
	unsigned char *p = mmap(NULL, HUGE_BYTES, PROT_NONE,
				MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	unsigned char *piece[8];

	ROW_CHECK(p != MAP_FAILED);
	for (size_t i = 0; i < 8; i++) {
		piece[i] = p + i * (HUGE_BYTES / 8) + i * 5 * ROW_PAGE;
		ROW_CHECK(mprotect(piece[i], BYTES, PROT_READ | PROT_WRITE) == 0);
		row_fill(piece[i], BYTES, (unsigned int)i);
	}
	row_push_out(piece[0], BYTES);
	for (size_t i = 0; i < 8; i++)
		row_verify(piece[i], BYTES, (unsigned int)i);
	ROW_CHECK(munmap(p, HUGE_BYTES) == 0);
}

/* What only the kernel can give stays what it is. */
static void kernels(void)
{
	unsigned char *shared = mmap(NULL, BYTES, PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	unsigned char *stack = mmap(NULL, BYTES, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK |
				    MAP_GROWSDOWN, -1, 0);
	unsigned char *over = away(4 * BYTES, 1);
	FILE *f = tmpfile();
	char text[ROW_PAGE];
	pid_t pid;

	ROW_CHECK(shared != MAP_FAILED && stack != MAP_FAILED && f);
	row_fill(text, sizeof(text), 5);
	ROW_CHECK(fwrite(text, 1, sizeof(text), f) == sizeof(text) && fflush(f) == 0);
	ROW_CHECK(mmap(over + BYTES, ROW_PAGE, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_FIXED, fileno(f), 0) == over + BYTES);
	row_fill(stack, BYTES, 2);
	row_push_out(over, BYTES);
	pid = fork();
	if (pid == 0) {
		row_fill(shared, BYTES, 3);
		over[BYTES] = 'x';
		_exit(0);
	}
	ROW_CHECK(waitpid(pid, NULL, 0) == pid);
	row_verify(shared, BYTES, 3);
	row_verify(stack, BYTES, 2);
	ROW_CHECK(over[BYTES] == 'x' && over[BYTES + 1] == row_byte(5, 1));
	ROW_CHECK(pread(fileno(f), text, 1, 0) == 1 && text[0] == 'x');
	row_verify(over, BYTES, 1);
	ROW_CHECK(over[2 * BYTES] == row_byte(1, 2 * BYTES));
	/* And back: a file's mapping put over a reservation, and moved there. */
	ROW_CHECK(mmap(over + BYTES, ROW_PAGE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == over + BYTES);
	is_zero(over + BYTES, ROW_PAGE);
	ROW_CHECK(mremap(shared, BYTES, BYTES, MREMAP_MAYMOVE | MREMAP_FIXED, over) == over);
	row_verify(over, BYTES, 3);
}

/* A locked page does not leave, and one that is let go does. */
static void locked(void)
{
	unsigned char *p = row_map(BYTES), *pressure = row_map(ROW_PRESSURE_BYTES);
	unsigned char vector[BYTES / ROW_PAGE];

	if (mlock(p, BYTES) < 0)
		row_skip("RLIMIT_MEMLOCK is too small");
	row_fill(p, BYTES, 1);
	for (size_t at = 0; at < ROW_PRESSURE_BYTES; at += ROW_PAGE)
		memset(pressure + at, 1, ROW_PAGE);
	ROW_CHECK(mincore(p, BYTES, vector) == 0);
	for (size_t i = 0; i < sizeof(vector); i++)
		ROW_CHECK(vector[i] & 1);
	ROW_CHECK(munlock(p, BYTES) == 0);
	row_push_out(p, BYTES);
	row_verify(p, BYTES, 1);
}

static void advised(void)
{
	unsigned char *p = row_map(BYTES);
	bool managed = getenv("ROW_MANAGED") != NULL;

	row_fill(p, BYTES, 1);
	ROW_CHECK(madvise(p, BYTES, MADV_PAGEOUT) == 0);
	for (size_t at = 0; managed && at < BYTES; at += ROW_PAGE)
		ROW_CHECK(!row_is_present(p + at));
	ROW_CHECK(madvise(p, BYTES, MADV_WILLNEED) == 0);
	for (size_t at = 0; managed && at < BYTES; at += ROW_PAGE)
		ROW_CHECK(row_is_present(p + at));
	row_verify(p, BYTES, 1);
}

/* Far more mappings than there are likely to be, each its own. */
static void many(void)
{
	enum { COUNT = 6000, EACH = 16 };
	unsigned char *p = row_map((size_t)COUNT * EACH * ROW_PAGE);

	for (size_t i = 0; i < COUNT; i++) {
		p[i * EACH * ROW_PAGE] = (unsigned char)(i % 251 + 1);
		if (i % 2)
			ROW_CHECK(mprotect(p + i * EACH * ROW_PAGE, EACH * ROW_PAGE,
					   PROT_READ) == 0);
	}
	row_push_out(p, ROW_PAGE);
	for (size_t i = 0; i < COUNT; i++)
		ROW_CHECK(p[i * EACH * ROW_PAGE] == i % 251 + 1);
	ROW_CHECK(munmap(p, (size_t)COUNT * EACH * ROW_PAGE) == 0);
}

#define RATION (1ul << 30)

static void *try_map(size_t bytes, int prot)
{
	return mmap(NULL, bytes, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
}

static void has_no_room(const void *p)
{
	ROW_CHECK(p == MAP_FAILED && errno == ENOMEM);
}

static void set_ration(int resource)
{
	struct rlimit ration = { RATION, RLIM_INFINITY };

	ROW_CHECK(setrlimit((__rlimit_resource_t)resource, &ration) == 0);
}

static void *do_nothing(void *arg) { return arg; }

/* A program that limits itself is told when there is no more, and not before. */
static void rationed(void)
{
	unsigned char *p = away(BYTES, 1), *q;
	unsigned char *large = try_map(RATION, PROT_NONE);
	pthread_t thread;
	int status;
	pid_t pid;

	ROW_CHECK(large != MAP_FAILED);
	set_ration(RLIMIT_AS);
	has_no_room(try_map(BYTES, PROT_READ | PROT_WRITE)); /* there is too much */
	ROW_CHECK(munmap(large, RATION) == 0);
	has_no_room(try_map(RATION, PROT_NONE));
	has_no_room(mremap(p, BYTES, RATION, MREMAP_MAYMOVE));
	ROW_CHECK(malloc(RATION) == NULL);
	for (int round = 0; round < 20; round++) {
		q = try_map(RATION / 2, PROT_READ | PROT_WRITE);
		ROW_CHECK(q != MAP_FAILED);
		row_fill(q + RATION / 4, BYTES, 2);
		ROW_CHECK(munmap(q + ROW_PAGE, RATION / 4) == 0);
		ROW_CHECK(q[RATION / 4 + ROW_PAGE] == row_byte(2, ROW_PAGE));
		ROW_CHECK(munmap(q, RATION / 2) == 0); /* over a gap */
	}
	ROW_CHECK(pthread_create(&thread, NULL, do_nothing, NULL) == 0);
	ROW_CHECK(pthread_join(thread, NULL) == 0);
	row_verify(p, BYTES, 1);
	row_push_out(p, BYTES);
	pid = fork();
	if (pid == 0) {
		row_verify(p, BYTES, 1);
		has_no_room(try_map(RATION, PROT_NONE));
		_exit(7);
	}
	ROW_CHECK(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 7);
	ROW_CHECK(mmap(p, BYTES, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
		       -1, 0) == p);
	is_zero(p, BYTES);
}

/* The same for what may be written. */
static void rationed_data(void)
{
	unsigned char *p = away(BYTES, 1), *large;

	set_ration(RLIMIT_DATA);
	has_no_room(try_map(RATION, PROT_READ | PROT_WRITE));
	large = try_map(RATION, PROT_NONE);
	ROW_CHECK(large != MAP_FAILED);
	ROW_CHECK(mprotect(large, RATION, PROT_READ | PROT_WRITE) < 0 && errno == ENOMEM);
	ROW_CHECK(mprotect(large, RATION / 2, PROT_READ | PROT_WRITE) == 0);
	row_fill(large, BYTES, 2);
	row_push_out(large, BYTES);
	row_verify(large, BYTES, 2);
	row_verify(p, BYTES, 1);
}

static const struct row rows[] = {
	{ "mremap", "memory", moved },
	{ "map-over", "memory", mapped_over },
	{ "discard", "advice", discarded },
	{ "protect", "-", protected_and_back },
	{ "reserve", "-", reserved },
	{ "kernels", "memory", kernels },
	{ "mlock", "-", locked },
	{ "advice", "advice", advised },
	{ "many", "-", many },
	{ "rationed", "space", rationed },
	{ "rationed-data", "space", rationed_data },
};

int main(int argc, char **argv)
{
	return row_main(argc, argv, rows, sizeof(rows) / sizeof(rows[0]));
}
