/* SPDX-License-Identifier: MIT
 *
 * rows-memory: what programs do to their mappings while pages are away.
 */
#include "row.h"
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
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

/* Memory of the process, tables of a pager's in shared memory included. */
static size_t resident_bytes(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	size_t size, resident;

	ROW_CHECK(f && fscanf(f, "%zu %zu", &size, &resident) == 2 && fclose(f) == 0);
	return resident * ROW_PAGE;
}

/* As Java and V8 do: reserve far too much, commit pieces. It costs nothing. */
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
	ROW_CHECK(resident_bytes() < 4 * ROW_PRESSURE_BYTES);
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

static void must_be_lockable(size_t bytes)
{
	struct rlimit lock;

	ROW_CHECK(getrlimit(RLIMIT_MEMLOCK, &lock) == 0);
	if (lock.rlim_cur < bytes)
		row_skip("RLIMIT_MEMLOCK is too small");
}

/* A locked page does not leave, and one that is let go does. */
static void locked(void)
{
	unsigned char *p = row_map(BYTES), *pressure = row_map(ROW_PRESSURE_BYTES);
	unsigned char vector[BYTES / ROW_PAGE];

	must_be_lockable(BYTES);
	ROW_CHECK(mlock(p, BYTES) == 0);
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

static bool is_managed(void)
{
	return getenv("ROW_MANAGED") != NULL;
}

static void must_be_present(const unsigned char *p, size_t bytes)
{
	for (size_t at = 0; at < bytes; at += ROW_PAGE)
		ROW_CHECK(row_is_present(p + at));
}

static void press(void)
{
	static unsigned char *pressure;

	if (!pressure)
		pressure = row_map(ROW_PRESSURE_BYTES);
	for (size_t at = 0; at < ROW_PRESSURE_BYTES; at += ROW_PAGE)
		memset(pressure + at, 1, ROW_PAGE);
}

/* A locked mapping stays one, and locked, when it grows and when it moves. */
static void locked_grows(void)
{
	unsigned char *p = row_map(BYTES), *q, *r = row_map(4 * BYTES);

	must_be_lockable(4 * BYTES);
	ROW_CHECK(mlock(p, BYTES) == 0);
	row_fill(p, BYTES, 1);
	q = mremap(p, BYTES, 2 * BYTES, MREMAP_MAYMOVE);
	ROW_CHECK(q != MAP_FAILED);
	row_fill(q + BYTES, BYTES, 2);
	ROW_CHECK(mremap(q, 2 * BYTES, 3 * BYTES, MREMAP_MAYMOVE | MREMAP_FIXED, r) == r);
	press();
	must_be_present(r, 2 * BYTES);
	row_verify(r, BYTES, 1);
	row_verify(r + BYTES, BYTES, 2);
	if (is_managed())
		ROW_CHECK(mremap(r, 3 * BYTES, ROW_PRESSURE_BYTES, MREMAP_MAYMOVE) ==
			  MAP_FAILED && errno == EAGAIN);
	ROW_CHECK(munlock(r, 3 * BYTES) == 0);
	row_push_out(r, 3 * BYTES);
	row_verify(r, BYTES, 1);
	row_verify(r + BYTES, BYTES, 2);
}

/* All that there is, all that will be, and nothing any more. */
static void locked_all(void)
{
	unsigned char *p = row_map(BYTES), *q, *large;
	int status;
	pid_t pid;

	row_fill(p, BYTES, 1);
	if (mlockall(MCL_CURRENT) < 0)
		row_skip("RLIMIT_MEMLOCK is too small");
	press();
	must_be_present(p, BYTES);
	if (mlockall(MCL_FUTURE) < 0)
		ROW_FAIL("MCL_FUTURE");
	q = row_map(BYTES);
	row_fill(q, BYTES, 2);
	press();
	must_be_present(q, BYTES);
	pid = fork(); /* a child has nothing locked */
	if (pid == 0) {
		q = row_map(BYTES);
		row_fill(q, BYTES, 2);
		row_push_out(q, BYTES);
		row_push_out(p, BYTES);
		_exit(7);
	}
	ROW_CHECK(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 7);
	ROW_CHECK(mlockall(0) < 0 && errno == EINVAL);
	ROW_CHECK(mlockall(64) < 0 && errno == EINVAL);
	ROW_CHECK(munlockall() == 0);
	row_push_out(p, BYTES);
	row_push_out(q, BYTES);
	row_verify(p, BYTES, 1);
	row_verify(q, BYTES, 2);
	large = row_map(ROW_PRESSURE_BYTES);
	if (is_managed())
		ROW_CHECK(mlockall(MCL_CURRENT) < 0 && errno == ENOMEM);
	ROW_CHECK(munlockall() == 0 && munmap(large, ROW_PRESSURE_BYTES) == 0);
}

static int own_pidfd(void)
{
	int fd = (int)syscall(SYS_pidfd_open, getpid(), 0);

	if (fd < 0)
		row_skip("there are no descriptors of processes");
	return fd;
}

static void advised_by_vector(void)
{
	unsigned char *p = row_map(2 * BYTES);
	struct iovec ranges[] = { { p, BYTES / 2 }, { p + BYTES, BYTES } };
	int self = own_pidfd();

	row_fill(p, 2 * BYTES, 1);
	ROW_CHECK(process_madvise(self, ranges, 2, MADV_PAGEOUT, 0) ==
		  (ssize_t)(BYTES + BYTES / 2));
	for (size_t at = 0; is_managed() && at < BYTES / 2; at += ROW_PAGE)
		ROW_CHECK(!row_is_present(p + at) && !row_is_present(p + BYTES + at));
	ROW_CHECK(process_madvise(self, ranges, 2, MADV_COLD, 1) < 0 && errno == EINVAL);
	row_verify(p, 2 * BYTES, 1);
	row_push_out(p, 2 * BYTES);
	if (syscall(SYS_process_madvise, self, ranges, 2, MADV_DONTNEED, 0) < 0)
		row_skip("the kernel takes no such advice"); /* before 6.13 */
	is_zero(p, BYTES / 2);
	is_zero(p + BYTES, BYTES);
	ROW_CHECK(p[BYTES - 1] == row_byte(1, BYTES - 1));
}

/* A vector that is away itself, and larger than one page. */
static void asked_what_is_there(void)
{
	enum { PAGES = 8192 };
	unsigned char *p = row_map((size_t)PAGES * ROW_PAGE), *vector = away(BYTES, 1);

	memset(p, 1, 100 * ROW_PAGE);
	row_push_out(vector, BYTES);
	ROW_CHECK(mincore(p, (size_t)PAGES * ROW_PAGE, vector) == 0);
	for (size_t i = 0; i < PAGES; i++)
		ROW_CHECK(vector[i] <= 1);
	ROW_CHECK(vector[PAGES - 1] == 0);
}

#define NR_MSEAL 462

static void sealed(void)
{
	unsigned char *p = away(3 * BYTES, 1), *middle = p + BYTES;
	int status;
	pid_t pid;

	if (syscall(NR_MSEAL, middle, BYTES, 0) < 0)
		row_skip("the kernel does not seal"); /* before 6.10 */
	for (int round = 0; round < 2; round++) {
		ROW_CHECK(munmap(p, 3 * BYTES) < 0 && errno == EPERM);
		ROW_CHECK(munmap(middle, ROW_PAGE) < 0 && errno == EPERM);
		ROW_CHECK(mprotect(middle, BYTES, PROT_READ) < 0 && errno == EPERM);
		ROW_CHECK(mremap(middle, BYTES, 2 * BYTES, MREMAP_MAYMOVE) == MAP_FAILED &&
			  errno == EPERM);
		ROW_CHECK(mmap(middle, BYTES, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
			       -1, 0) == MAP_FAILED && errno == EPERM);
		row_verify(p, 3 * BYTES, 1);
		row_push_out(p, 3 * BYTES);
	}
	ROW_CHECK(syscall(NR_MSEAL, p + 1, BYTES, 0) < 0 && errno == EINVAL);
	ROW_CHECK(syscall(NR_MSEAL, p, BYTES, 1) < 0 && errno == EINVAL);
	pid = fork();
	if (pid == 0) {
		ROW_CHECK(munmap(middle, ROW_PAGE) < 0 && errno == EPERM);
		row_verify(p, 3 * BYTES, 1);
		_exit(7);
	}
	ROW_CHECK(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 7);
	middle[5] = 'x'; /* that is allowed */
	ROW_CHECK(munmap(p, BYTES) == 0);
	ROW_CHECK(syscall(NR_MSEAL, p, 2 * BYTES, 0) < 0 && errno == ENOMEM);
}

/* Around the window there is nothing, and a range may begin or end there. */
static void over_the_edge(void)
{
	unsigned char *p = away(BYTES, 1);
	char *edge = (char *)0x480000000000;
	size_t bytes = 16 * ROW_PAGE;

	ROW_CHECK(munmap(edge + (1ul << 42) - bytes, 2 * bytes) == 0);
	ROW_CHECK(mprotect(edge + (1ul << 42) - bytes, 2 * bytes, PROT_READ) < 0 && errno == ENOMEM);
	ROW_CHECK(madvise(edge + (1ul << 42) - bytes, 2 * bytes, MADV_DONTNEED) < 0 &&
		  errno == ENOMEM);
	row_verify(p, BYTES, 1);
}

/* A file's mapping in the midst of managed memory moves, shrinks, comes back. */
static void foreign_moves(void)
{
	unsigned char *p = away(3 * BYTES, 1), *middle = p + BYTES, *q;
	const size_t bytes = 4 * ROW_PAGE;
	unsigned char *text = away(BYTES, 5);
	FILE *f = tmpfile();

	ROW_CHECK(f && fwrite(text, 1, bytes, f) == bytes && fflush(f) == 0);
	ROW_CHECK(mmap(middle, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
		       fileno(f), 0) == middle);
	ROW_CHECK(mremap(middle, bytes, bytes / 2, 0) == middle); /* shrinks */
	ROW_CHECK(mmap(middle + bytes / 2, bytes / 2, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) ==
		  middle + bytes / 2);
	is_zero(middle + bytes / 2, bytes / 2);
	q = mremap(middle, bytes / 2, bytes, MREMAP_MAYMOVE); /* grows, elsewhere */
	ROW_CHECK(q != MAP_FAILED && q != middle);
	row_verify(q, bytes, 5);
	ROW_CHECK(mmap(middle, bytes / 2, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == middle);
	is_zero(middle, bytes);
	row_fill(middle, bytes, 2);
	ROW_CHECK(mremap(q, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, p) == p); /* back */
	ROW_CHECK(mremap(p, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, p + 8 * ROW_PAGE) ==
		  p + 8 * ROW_PAGE);
	row_push_out(middle, bytes);
	row_verify(p + 8 * ROW_PAGE, bytes, 5);
	row_verify(middle, bytes, 2);
	ROW_CHECK(munmap(p, 3 * BYTES) == 0);
}

/*
 * The kernel is out of mappings in the midst of a change. What it did of it is
 * its business; what there was must be there, and can be taken away.
 */
static void too_many(void)
{
	enum { COUNT = 70000 };
	const size_t bytes = (size_t)COUNT * ROW_PAGE;
	unsigned char *p = row_map(bytes);
	size_t last = 0;

	row_fill(p, BYTES, 1);
	for (size_t i = 1; i < COUNT; i += 2) {
		if (mprotect(p + i * ROW_PAGE, ROW_PAGE, PROT_READ) < 0)
			break;
		last = i;
	}
	if (last + 2 >= COUNT)
		row_skip("vm.max_map_count is too large");
	ROW_CHECK(errno == ENOMEM);
	/* From within one mapping over many into another: two splits. */
	for (size_t i = 1; i < 200; i++)
		mprotect(p + i * 8 * ROW_PAGE + i % 8 * ROW_PAGE,
			 (last - i * 16 + 9) * ROW_PAGE, i % 2 ? PROT_NONE : PROT_READ);
	mprotect(p, bytes, PROT_READ | PROT_WRITE);
	row_verify(p, BYTES, 1);
	memset(p + BYTES, 7, BYTES);
	row_push_out(p, BYTES);
	row_verify(p, BYTES, 1);
	ROW_CHECK(munmap(p, bytes) == 0);
	p = row_map(bytes);
	is_zero(p, 2 * BYTES);
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

/* A round address says something to the program: it takes no other (ZGC). */
static void at_an_address(void)
{
	unsigned char *hint = (unsigned char *)(32ul << 40);
	unsigned char *p = mmap(hint, BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS |
				MAP_NORESERVE, -1, 0), *q = away(BYTES, 1);

	ROW_CHECK(p == hint);
	ROW_CHECK(mmap(p, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED,
		       -1, 0) == p);
	row_fill(p, BYTES, 2);
	row_verify(q, BYTES, 1);
	row_verify(p, BYTES, 2);
	ROW_CHECK(munmap(p, BYTES) == 0);
}

static int own_uffd;

static void *serve_one(void *arg)
{
	static unsigned char text[ROW_PAGE];
	struct uffd_msg m;
	struct uffdio_copy c = { .src = (uintptr_t)text, .len = ROW_PAGE };

	row_fill(text, sizeof(text), 9);
	ROW_CHECK(read(own_uffd, &m, sizeof(m)) == sizeof(m));
	ROW_CHECK(m.event == UFFD_EVENT_PAGEFAULT);
	c.dst = m.arg.pagefault.address & ~(ROW_PAGE - 1);
	ROW_CHECK(ioctl(own_uffd, UFFDIO_COPY, &c) == 0);
	return arg;
}

/* A program that pages some of its memory itself. */
static void own_userfaultfd(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	unsigned char *p = row_map(4 * BYTES), *q = away(BYTES, 1);
	struct uffdio_register reg = {
		.range = { (uintptr_t)p + BYTES, BYTES }, .mode = UFFDIO_REGISTER_MODE_MISSING
	};
	pthread_t thread;

	own_uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | 1 /* UFFD_USER_MODE_ONLY */);
	if (own_uffd < 0 || ioctl(own_uffd, UFFDIO_API, &api) < 0)
		row_skip("no userfaultfd here");
	ROW_CHECK(ioctl(own_uffd, UFFDIO_REGISTER, &reg) == 0);
	ROW_CHECK(pthread_create(&thread, NULL, serve_one, NULL) == 0);
	row_verify(p + BYTES + 2 * ROW_PAGE, ROW_PAGE, 9);
	ROW_CHECK(pthread_join(thread, NULL) == 0);
	row_fill(p, BYTES, 2);
	row_push_out(p, BYTES);
	row_verify(p, BYTES, 2);
	row_verify(p + BYTES + 2 * ROW_PAGE, ROW_PAGE, 9);
	ROW_CHECK(munmap(p, 4 * BYTES) == 0);
	row_verify(q, BYTES, 1);
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

/* A program that asks the kernel for its memory past libc's own functions. */
static void by_syscall(void)
{
	enum { PART = 4 * ROW_PAGE };
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS;
	unsigned char *p = (unsigned char *)syscall(SYS_mmap, NULL, BYTES,
						    PROT_READ | PROT_WRITE, flags, -1, 0L);

	ROW_CHECK(p != MAP_FAILED);
	row_fill(p, BYTES, 1);
	row_push_out(p, BYTES);
	row_verify(p, BYTES, 1);
	row_push_out(p, BYTES);
	ROW_CHECK(syscall(SYS_mmap, p, PART, PROT_READ, flags | MAP_FIXED, -1, 0L) == (long)p);
	for (size_t at = 0; at < PART; at++)
		ROW_CHECK(p[at] == 0);
	ROW_CHECK(p[PART] == row_byte(1, PART));
	ROW_CHECK(syscall(SYS_munmap, p, BYTES) == 0);
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
	{ "protect", "memory", protected_and_back },
	{ "reserve", "reserve", reserved },
	{ "kernels", "memory", kernels },
	{ "mlock", "memory", locked },
	{ "mlock-grows", "lock", locked_grows },
	{ "mlockall", "lock", locked_all },
	{ "advice", "advice", advised },
	{ "process_madvise", "advice", advised_by_vector },
	{ "mincore", "calls", asked_what_is_there },
	{ "mseal", "seal", sealed },
	{ "edge", "-", over_the_edge },
	{ "foreign", "memory", foreign_moves },
	{ "too-many", "-", too_many },
	{ "many", "-", many },
	{ "at-an-address", "memory", at_an_address },
	{ "userfaultfd", "memory", own_userfaultfd },
	{ "by-syscall", "syscall", by_syscall },
	{ "rationed", "space", rationed },
	{ "rationed-data", "space", rationed_data },
};

int main(int argc, char **argv)
{
	return row_main(argc, argv, rows, sizeof(rows) / sizeof(rows[0]));
}
