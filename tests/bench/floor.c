/* SPDX-License-Identifier: MIT */
#include "floor.h"
#include "kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define PAGE 4096ul
#define GRANULE 16u    /* pages that leave together */
#define CLUSTER 128u   /* pages written together */
#define CLUSTERS 32u   /* buffers: in flight, or waiting to be touched again */
#define SPREAD 4u      /* the file is so many times as large as the area;
			  a place in it holds one cluster */

/* A page's word: a state, and which buffer or slot. */
enum { FRESH, BUSY, RESIDENT, BUFFERED, STORED };
#define WORD(state, at) ((uint64_t)(at) << 3 | (state))
#define STATE(word) ((unsigned int)((word) & 7))
#define AT(word) ((word) >> 3)
#define NO_BUFFER (UINT64_MAX >> 3)

struct cluster {
	unsigned int count;
	bool writing;
	size_t page[CLUSTER];
	uint64_t slot;
};

static char *area, *buffers;
static size_t pages, low, high;
static _Atomic uint64_t *words;
static _Atomic long credits;
static _Atomic uint8_t *queued;          /* a granule is in the queue */
static _Atomic uint32_t *queue;          /* granules, first in first out */
static _Atomic uint64_t queue_head;
static uint64_t queue_tail, next_place;
static _Atomic uint16_t *live;           /* pages that are in this place only */
static struct cluster clusters[CLUSTERS];
static int uffd, file;
static struct io_uring ring;
static __thread char page_buffer[PAGE] __attribute__((aligned(4096)));

static void need(bool good, const char *what)
{
	if (good)
		return;
	perror(what);
	exit(1);
}

static char *buffer_of(size_t cluster, size_t i)
{
	return buffers + (cluster * CLUSTER + i) * PAGE;
}

static void copy_in(size_t page, const void *from)
{
	struct uffdio_copy copy = { .dst = (uintptr_t)area + page * PAGE,
				    .src = (uintptr_t)from, .len = PAGE };

	need(ioctl(uffd, UFFDIO_COPY, &copy) == 0, "UFFDIO_COPY");
}

static void write_protect(size_t first, size_t last, uint64_t mode)
{
	struct uffdio_writeprotect wp = {
		.range = { (uintptr_t)area + first * PAGE, (last + 1 - first) * PAGE },
		.mode = mode,
	};

	need(ioctl(uffd, UFFDIO_WRITEPROTECT, &wp) == 0, "UFFDIO_WRITEPROTECT");
}

static void enqueue(size_t page)
{
	size_t granule = page / GRANULE;

	if (!atomic_exchange(&queued[granule], 1)) {
		uint64_t at = atomic_fetch_add(&queue_head, 1);
		atomic_store(&queue[at % (pages / GRANULE)], (uint32_t)granule + 1);
	}
}

static void take_credit(void)
{
	while (atomic_fetch_sub(&credits, 1) <= 0) {
		atomic_fetch_add(&credits, 1);
		sched_yield();
	}
}

/* The page came while its neighbours on both sides were being protected to
 * leave, and was protected with them. */
static void unprotect(size_t page)
{
	uint64_t resident = WORD(RESIDENT, 0);

	if (!atomic_compare_exchange_strong(&words[page], &resident, WORD(BUSY, NO_BUFFER)))
		return;
	write_protect(page, page, 0);
	atomic_store(&words[page], WORD(RESIDENT, 0));
	enqueue(page);
}

static void on_sigbus(int sig, siginfo_t *info, void *context)
{
	static const char zeros[PAGE];
	size_t page = ((uintptr_t)info->si_addr - (uintptr_t)area) / PAGE;
	const void *from = zeros;
	uint64_t w = atomic_load(&words[page]);

	(void)sig, (void)context;
	if (page >= pages)
		abort();
	if (STATE(w) == BUSY || STATE(w) == RESIDENT) {
		if (STATE(w) == RESIDENT)
			unprotect(page);
		sched_yield(); /* somebody works on it, or just did */
		return;
	}
	take_credit();
	if (!atomic_compare_exchange_strong(&words[page], &w, WORD(BUSY, AT(w)))) {
		atomic_fetch_add(&credits, 1);
		return;
	}
	if (STATE(w) == STORED) {
		need(pread(file, page_buffer, PAGE, (off_t)(AT(w) * PAGE)) == PAGE, "pread");
		from = page_buffer;
	} else if (STATE(w) == BUFFERED) {
		from = buffers + AT(w) * PAGE;
	}
	copy_in(page, from);
	if (STATE(w) == STORED)
		atomic_fetch_sub(&live[AT(w) / CLUSTER], 1);
	else if (STATE(w) == BUFFERED)
		atomic_fetch_sub(&live[clusters[AT(w) / CLUSTER].slot / CLUSTER], 1);
	/* In this order: what is resident but in no queue would stay for good. */
	atomic_store(&words[page], WORD(RESIDENT, 0));
	enqueue(page);
}

/* ---- out ------------------------------------------------------------- */

static void reap(bool wait)
{
	struct io_uring_cqe *cqe;

	if (wait)
		io_uring_submit_and_wait(&ring, 1);
	while (io_uring_peek_cqe(&ring, &cqe) == 0) {
		struct cluster *c = io_uring_cqe_get_data(cqe);
		need(cqe->res == (int)(c->count * PAGE), "write");
		c->writing = false;
		io_uring_cqe_seen(&ring, cqe);
	}
}

/* What is still only in this buffer is only in the file from now on. */
static void empty(size_t number)
{
	struct cluster *c = &clusters[number];

	while (c->writing)
		reap(true);
	for (unsigned int i = 0; i < c->count; i++) {
		uint64_t mine = WORD(BUFFERED, number * CLUSTER + i);
		uint64_t busy = WORD(BUSY, number * CLUSTER + i), seen = mine;
		while (!atomic_compare_exchange_weak(&words[c->page[i]], &seen,
						     WORD(STORED, c->slot + i)) &&
		       (seen == busy || seen == mine)) {
			if (seen == busy) /* it is being copied from here */
				sched_yield();
			seen = mine;
		}
	}
	c->count = 0;
}

static unsigned int own_granule(size_t granule, size_t *out, unsigned int most)
{
	unsigned int n = 0;

	atomic_store(&queued[granule], 0);
	for (size_t page = granule * GRANULE; page < (granule + 1) * GRANULE; page++) {
		uint64_t resident = WORD(RESIDENT, 0);
		if (STATE(atomic_load(&words[page])) != RESIDENT)
			continue;
		if (n == most)
			enqueue(page);
		else if (atomic_compare_exchange_strong(&words[page], &resident,
							WORD(BUSY, NO_BUFFER)))
			out[n++] = page;
	}
	return n;
}

static void drop(struct cluster *c)
{
	struct iovec runs[CLUSTER];
	int n = 0;

	for (unsigned int i = 0; i < c->count; i++) {
		if (n && c->page[i] == c->page[i - 1] + 1)
			runs[n - 1].iov_len += PAGE;
		else
			runs[n++] = (struct iovec){ area + c->page[i] * PAGE, PAGE };
	}
	need(syscall(SYS_process_madvise, PIDFD_SELF_THREAD, runs, n, MADV_DONTNEED, 0) ==
	     (long)(c->count * PAGE), "process_madvise");
}

/* The next place from which every page has come back. */
static uint64_t free_place(void)
{
	uint64_t places = SPREAD * pages / CLUSTER;

	for (uint64_t n = 0; n < places; n++) {
		uint64_t place = next_place++ % places;
		if (!atomic_load(&live[place]))
			return place;
	}
	fprintf(stderr, "floor: no room; a longer run needs a real store\n");
	exit(1);
}

static void evict(size_t number)
{
	struct cluster *c = &clusters[number];

	empty(number);
	while (c->count < CLUSTER && queue_tail < atomic_load(&queue_head)) {
		_Atomic uint32_t *q = &queue[queue_tail % (pages / GRANULE)];
		unsigned int from = c->count;
		while (!atomic_load(q))
			sched_yield();
		c->count += own_granule(atomic_exchange(q, 0) - 1, c->page + from,
					CLUSTER - from);
		queue_tail++;
		if (c->count > from)
			write_protect(c->page[from], c->page[c->count - 1],
				      UFFDIO_WRITEPROTECT_MODE_WP);
	}
	if (!c->count)
		return;
	for (unsigned int i = 0; i < c->count; i++)
		memcpy(buffer_of(number, i), area + c->page[i] * PAGE, PAGE);
	drop(c);
	c->slot = free_place() * CLUSTER;
	atomic_store(&live[c->slot / CLUSTER], (uint16_t)c->count);
	for (unsigned int i = 0; i < c->count; i++)
		atomic_store(&words[c->page[i]], WORD(BUFFERED, number * CLUSTER + i));
	atomic_fetch_add(&credits, (long)c->count);
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
	io_uring_prep_write(sqe, file, buffer_of(number, 0), c->count * PAGE,
			    c->slot * PAGE);
	io_uring_sqe_set_data(sqe, c);
	c->writing = true;
	io_uring_submit(&ring);
}

static void *reclaim(void *arg)
{
	for (size_t number = 0;; ) {
		if (atomic_load(&credits) >= (long)low) {
			usleep(100);
			continue;
		}
		while (atomic_load(&credits) < (long)high) {
			evict(number);
			number = (number + 1) % CLUSTERS;
		}
	}
	return arg;
}

/* ---- start ----------------------------------------------------------- */

static void *map(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	need(p != MAP_FAILED, "mmap");
	return p;
}

static void open_uffd(void)
{
	struct uffdio_api api = { .api = UFFD_API, .features = UFFD_FEATURE_SIGBUS |
				  UFFD_FEATURE_PAGEFAULT_FLAG_WP };
	struct uffdio_register reg = {
		.range = { (uintptr_t)area, pages * PAGE },
		.mode = UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_WP,
	};

	uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);
	need(uffd >= 0, "userfaultfd");
	need(ioctl(uffd, UFFDIO_API, &api) == 0, "UFFDIO_API");
	need(ioctl(uffd, UFFDIO_REGISTER, &reg) == 0, "UFFDIO_REGISTER");
}

void *floor_map(size_t count, size_t limit, const char *folder)
{
	struct sigaction sa = { .sa_sigaction = on_sigbus,
				.sa_flags = SA_SIGINFO | SA_NODEFER };
	pthread_t thread;

	pages = count;
	limit -= CLUSTERS * CLUSTER;
	atomic_store(&credits, (long)limit);
	low = limit / 50;
	high = limit / 16;
	area = map(pages * PAGE);
	madvise(area, pages * PAGE, MADV_NOHUGEPAGE);
	words = map(pages * sizeof(*words));
	queued = map(pages / GRANULE + 1);
	queue = map((pages / GRANULE + 1) * sizeof(*queue));
	live = map((SPREAD * pages / CLUSTER + 1) * sizeof(*live));
	buffers = map(CLUSTERS * CLUSTER * PAGE);
	open_uffd();
	file = open(folder, O_TMPFILE | O_RDWR | O_DIRECT, 0600);
	need(file >= 0, folder);
	errno = posix_fallocate(file, 0, (off_t)(SPREAD * pages * PAGE));
	need(errno == 0, "fallocate");
	need(io_uring_queue_init(64, &ring, 0) == 0, "io_uring");
	need(sigaction(SIGBUS, &sa, NULL) == 0, "sigaction");
	need(pthread_create(&thread, NULL, reclaim, NULL) == 0, "pthread_create");
	return area;
}
