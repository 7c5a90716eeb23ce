/* SPDX-License-Identifier: MIT
 *
 * kernel: lets the kernel itself touch evicted memory where no wrapper sees it:
 * raw read(2), io_uring and asynchronous I/O, into buffers that are out and from
 * buffers that are out; and read(2) once more in a process that has given up the
 * privilege that thread delivery takes. Ends with 0 if every byte is right, with
 * 77 if so as far as it got, and there is no io_uring to be had.
 */
#include <fcntl.h>
#include <liburing.h>
#include <linux/aio_abi.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PIECE (64u << 10)
#define PIECES 1024u /* 64 MiB */

static struct io_uring ring;
static aio_context_t aio;

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

static long by_aio(long nr, int fd, char *buf, unsigned int piece)
{
	struct iocb request = {
		.aio_lio_opcode = nr == SYS_pread64 ? IOCB_CMD_PREAD : IOCB_CMD_PWRITE,
		.aio_fildes = (__u32)fd, .aio_buf = (__u64)buf, .aio_nbytes = PIECE,
		.aio_offset = (__s64)piece * PIECE,
	};
	struct iocb *requests[] = { &request };
	struct io_event event;

	if (syscall(SYS_io_submit, aio, 1, requests) != 1 ||
	    syscall(SYS_io_getevents, aio, 1, 1, &event, NULL) != 1)
		return -1;
	return event.res;
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

/*
 * A child of a child that is nobody has its faults by signal: also when SIGBUS
 * was blocked while it was the program's own.
 */
static void as_nobody(int fd, char *memory)
{
	sigset_t blocked;
	int status;
	pid_t pid;

	sigemptyset(&blocked);
	sigaddset(&blocked, SIGBUS);
	sigaddset(&blocked, SIGSYS);
	sigprocmask(SIG_BLOCK, &blocked, NULL);
	pid = fork();
	if (pid == 0) {
		if (setuid(65534))
			die("cannot become nobody", 0);
		pid = fork();
		if (pid == 0) {
			round_trip(by_call, fd, memory, 7);
			_exit(0);
		}
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
		die("the child of nobody fails", 0);
	if (getuid() != 0)
		_exit(0);
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
	if (io_uring_queue_init(8, &ring, 0) < 0) {
		puts("kernel: all good so far, and no io_uring");
		return 77;
	}
	round_trip(by_ring, fd, memory, 3);
	if (direct >= 0)
		round_trip(by_ring, direct, memory, 4);
	if (syscall(SYS_io_setup, 8, &aio) == 0) {
		round_trip(by_aio, fd, memory, 5);
		if (direct >= 0)
			round_trip(by_aio, direct, memory, 6);
	}
	if (getuid() == 0)
		as_nobody(fd, memory);
	puts("kernel: all good");
	return 0;
}
