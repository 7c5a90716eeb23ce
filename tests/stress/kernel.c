/* SPDX-License-Identifier: MIT
 *
 * kernel: lets the kernel itself touch evicted memory where no wrapper sees it:
 * raw read(2) and io_uring, into buffers that are out and from buffers that are
 * out. Ends with 0 if every byte is right.
 */
#include <fcntl.h>
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PIECE (64u << 10)
#define PIECES 1024u /* 64 MiB */

static struct io_uring ring;

static void die(const char *what, unsigned int piece)
{
	fprintf(stderr, "kernel: %s, piece %u\n", what, piece);
	exit(1);
}

static void fill(char *to, unsigned int piece, unsigned int round)
{
	for (size_t i = 0; i < PIECE; i += sizeof(unsigned int))
		*(unsigned int *)(to + i) = piece * 2654435761u + round + (unsigned int)i;
}

static long by_call(long nr, int fd, char *buf, unsigned int piece)
{
	return syscall(nr, fd, buf, PIECE, (off_t)piece * PIECE);
}

static long by_ring(long nr, int fd, char *buf, unsigned int piece)
{
	struct iovec v = { buf, PIECE };
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
	struct io_uring_cqe *cqe;

	if (nr == SYS_pread64)
		io_uring_prep_readv(sqe, fd, &v, 1, (__u64)piece * PIECE);
	else
		io_uring_prep_write(sqe, fd, buf, PIECE, (__u64)piece * PIECE);
	if (io_uring_submit_and_wait(&ring, 1) < 0 || io_uring_wait_cqe(&ring, &cqe))
		return -1;
	long done = cqe->res;
	io_uring_cqe_seen(&ring, cqe);
	return done;
}

/* Everything out to a file, forgotten, and back in: by then each buffer is out. */
static void round_trip(long (*call)(long, int, char *, unsigned int), int fd, char *memory,
		       unsigned int round)
{
	static char want[PIECE];
	char *at;

	for (unsigned int p = 0; p < PIECES; p++)
		fill(memory + (size_t)p * PIECE, p, round);
	for (unsigned int p = 0; p < PIECES; p++)
		if (call(SYS_pwrite64, fd, memory + (size_t)p * PIECE, p) != PIECE)
			die("cannot write from an evicted buffer", p);
	for (unsigned int p = 0; p < PIECES; p++)
		memset(memory + (size_t)p * PIECE, 0x55, PIECE);
	for (unsigned int p = 0; p < PIECES; p++)
		if (call(SYS_pread64, fd, memory + (size_t)p * PIECE, p) != PIECE)
			die("cannot read into an evicted buffer", p);
	for (unsigned int p = 0; p < PIECES; p++) {
		at = memory + (size_t)p * PIECE;
		fill(want, p, round);
		if (memcmp(at, want, PIECE))
			die("wrong contents", p);
	}
}

int main(int argc, char **argv)
{
	char *memory = mmap(NULL, (size_t)PIECES * PIECE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd = open(argc > 1 ? argv[1] : "/var/tmp", O_TMPFILE | O_RDWR, 0600);
	int direct = open(argc > 1 ? argv[1] : "/var/tmp", O_TMPFILE | O_RDWR | O_DIRECT, 0600);

	if (memory == MAP_FAILED || fd < 0)
		die("cannot start", 0);
	round_trip(by_call, fd, memory, 1);
	if (direct >= 0)
		round_trip(by_call, direct, memory, 2);
	if (io_uring_queue_init(8, &ring, 0) == 0) {
		round_trip(by_ring, fd, memory, 3);
		if (direct >= 0)
			round_trip(by_ring, direct, memory, 4);
	}
	puts("kernel: all good");
	return 0;
}
