/* SPDX-License-Identifier: MIT
 *
 * rows-calls: managed buffers that have left memory, passed to system calls by
 * libc's wrappers and inside libc.
 */
#include "row.h"
#include <arpa/inet.h>
#include <dirent.h>
#include <linux/aio_abi.h>
#include <linux/futex.h>
#include <mqueue.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <pty.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysinfo.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>

#define BYTES (64 * ROW_PAGE)
/* More than the limit of run.sh, and than a call may hold at once. */
#define LARGE (24ul << 20)

/* A file of bytes of the pattern, at its beginning. */
static int pattern_file_of(size_t bytes, unsigned int seed)
{
	static unsigned char chunk[1 << 16];
	int fd = memfd_create("pattern", 0);

	for (size_t at = 0; at < bytes; at += sizeof(chunk)) {
		for (size_t i = 0; i < sizeof(chunk); i++)
			chunk[i] = row_byte(seed, at + i);
		ROW_CHECK(write(fd, chunk, sizeof(chunk)) == sizeof(chunk));
	}
	ROW_CHECK(lseek(fd, 0, SEEK_SET) == 0);
	return fd;
}

static int pattern_file(unsigned int seed)
{
	return pattern_file_of(BYTES, seed);
}

/* What the file holds, through an unmanaged buffer. */
static void verify_file(int fd, size_t bytes, unsigned int seed)
{
	static unsigned char chunk[1 << 16];

	for (size_t at = 0; at < bytes; at += sizeof(chunk)) {
		ssize_t n = (ssize_t)(bytes - at < sizeof(chunk) ? bytes - at : sizeof(chunk));
		ROW_CHECK(pread(fd, chunk, (size_t)n, (off_t)at) == n);
		for (ssize_t i = 0; i < n; i++)
			if (chunk[i] != row_byte(seed, at + (size_t)i))
				ROW_FAIL("byte %zu of the file is wrong", at + (size_t)i);
	}
}

/* BYTES of the pattern in managed memory, all of it away. */
static unsigned char *away(unsigned int seed)
{
	unsigned char *p = row_map(BYTES);

	row_fill(p, BYTES, seed);
	row_push_out(p, BYTES);
	return p;
}

/* ---- transfers --------------------------------------------------------- */

static void read_into(void)
{
	int fd = pattern_file(1);
	unsigned char *p = away(2);

	ROW_CHECK(read(fd, p, BYTES) == (ssize_t)BYTES);
	row_verify(p, BYTES, 1);
	row_push_out(p, BYTES);
	ROW_CHECK(pread(fd, p, ROW_PAGE, 8 * ROW_PAGE) == (ssize_t)ROW_PAGE);
	for (size_t i = 0; i < ROW_PAGE; i++)
		ROW_CHECK(p[i] == row_byte(1, 8 * ROW_PAGE + i));
}

static void write_from(void)
{
	unsigned char *p = away(3);
	int fd = memfd_create("out", 0);

	ROW_CHECK(write(fd, p, BYTES) == (ssize_t)BYTES);
	verify_file(fd, BYTES, 3);
	row_push_out(p, BYTES);
	ROW_CHECK(pwrite(fd, p, BYTES, BYTES) == (ssize_t)BYTES);
	verify_file(fd, BYTES, 3);
	ROW_CHECK(lseek(fd, 0, SEEK_END) == 2 * (off_t)BYTES);
}

/* The vector itself is away as well. */
static void vectors(void)
{
	unsigned char *p = away(4);
	struct iovec *v = row_map(ROW_PAGE * 16);
	int fd = memfd_create("out", 0), in = pattern_file(5);

	for (int i = 0; i < 4; i++)
		v[i] = (struct iovec){ p + i * BYTES / 4, BYTES / 4 };
	row_push_out(v, ROW_PAGE);
	row_push_out(p, BYTES);
	ROW_CHECK(writev(fd, v, 4) == (ssize_t)BYTES);
	verify_file(fd, BYTES, 4);
	row_push_out(p, BYTES);
	ROW_CHECK(pwritev2(fd, v, 4, 0, RWF_APPEND) == (ssize_t)BYTES);
	ROW_CHECK(lseek(fd, 0, SEEK_END) == 2 * (off_t)BYTES);
	row_push_out(p, BYTES);
	ROW_CHECK(preadv(in, v, 4, 0) == (ssize_t)BYTES);
	row_verify(p, BYTES, 5);
	row_fill(p, BYTES, 6);
	row_push_out(p, BYTES);
	ROW_CHECK(preadv2(in, v, 4, -1, 0) == (ssize_t)BYTES);
	row_verify(p, BYTES, 5);
	ROW_CHECK(lseek(in, 0, SEEK_CUR) == (off_t)BYTES);
}

/* A datagram that is not received whole is lost. */
static void datagrams(void)
{
	unsigned char *p = away(7), *q = away(8);
	int s[2];

	ROW_CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, s) == 0);
	ROW_CHECK(send(s[0], p, 8 * ROW_PAGE, 0) == 8 * (ssize_t)ROW_PAGE);
	row_push_out(q, BYTES);
	ROW_CHECK(recv(s[1], q, BYTES, 0) == 8 * (ssize_t)ROW_PAGE);
	row_verify(q, 8 * ROW_PAGE, 7);
}

static void messages(void)
{
	struct { struct mmsghdr m[2]; struct iovec v[2]; char control[64]; } *h;
	unsigned char *p = away(9), *q = away(10);
	int s[2], fds = dup(0);

	h = row_map(16 * ROW_PAGE);
	ROW_CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, s) == 0);
	for (int i = 0; i < 2; i++) {
		h->v[i] = (struct iovec){ p + i * 4 * ROW_PAGE, 4 * ROW_PAGE };
		h->m[i].msg_hdr = (struct msghdr){ .msg_iov = &h->v[i], .msg_iovlen = 1 };
	}
	h->m[0].msg_hdr.msg_control = h->control;
	h->m[0].msg_hdr.msg_controllen = CMSG_SPACE(sizeof(int));
	struct cmsghdr *c = CMSG_FIRSTHDR(&h->m[0].msg_hdr);
	*c = (struct cmsghdr){ CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS };
	memcpy(CMSG_DATA(c), &fds, sizeof(fds));
	row_push_out(h, ROW_PAGE);
	row_push_out(p, BYTES);
	ROW_CHECK(sendmmsg(s[0], h->m, 2, 0) == 2);
	ROW_CHECK(h->m[1].msg_len == 4 * ROW_PAGE);

	h->v[0].iov_base = q;
	h->v[1].iov_base = q + 4 * ROW_PAGE;
	h->m[0].msg_hdr.msg_controllen = sizeof(h->control);
	memset(h->control, 0, sizeof(h->control));
	row_push_out(h, ROW_PAGE);
	row_push_out(q, BYTES);
	ROW_CHECK(recvmsg(s[1], &h->m[0].msg_hdr, 0) == 4 * (ssize_t)ROW_PAGE);
	c = CMSG_FIRSTHDR(&h->m[0].msg_hdr);
	ROW_CHECK(c && c->cmsg_type == SCM_RIGHTS);
	row_push_out(h, ROW_PAGE);
	row_push_out(q, BYTES);
	ROW_CHECK(recvmmsg(s[1], h->m + 1, 1, 0, NULL) == 1);
	row_verify(q, 8 * ROW_PAGE, 9);
}

/* The count is gone when it cannot be written down. */
static void eventfd_count(void)
{
	uint64_t *count = (uint64_t *)(void *)away(11);
	int fd = eventfd(5, EFD_NONBLOCK);

	ROW_CHECK(read(fd, count, sizeof(*count)) == sizeof(*count));
	ROW_CHECK(*count == 5);
}

static void getrandom_into(void)
{
	unsigned char *p = row_map(BYTES);
	size_t zero = 0;

	row_fill(p, BYTES, 12);
	memset(p, 0, BYTES);
	row_push_out(p, BYTES);
	ROW_CHECK(getrandom(p, 4 * ROW_PAGE, 0) == 4 * (ssize_t)ROW_PAGE);
	for (size_t i = 0; i < 4 * ROW_PAGE; i++)
		zero += !p[i];
	ROW_CHECK(zero < 1000);
}

/* The pipe holds the page that was given to it, wherever the program's goes. */
static void pages_in_a_pipe(void)
{
	unsigned char *p = away(13), *q = away(14);
	struct iovec v = { p, 8 * ROW_PAGE };
	int pipe_fds[2];

	ROW_CHECK(pipe(pipe_fds) == 0);
	ROW_CHECK(vmsplice(pipe_fds[1], &v, 1, 0) == 8 * (ssize_t)ROW_PAGE);
	row_push_out(q, BYTES);
	v.iov_base = q;
	ROW_CHECK(vmsplice(pipe_fds[0], &v, 1, 0) == 8 * (ssize_t)ROW_PAGE);
	row_verify(q, 8 * ROW_PAGE, 13);
	row_verify(p, BYTES, 13);
}

static void own_memory_by_pid(void)
{
	unsigned char *p = away(15), *q = away(16);
	struct iovec from = { p, BYTES }, to = { q, BYTES };

	row_push_out(p, BYTES);
	ROW_CHECK(process_vm_readv(getpid(), &to, 1, &from, 1, 0) == (ssize_t)BYTES);
	row_verify(q, BYTES, 15);
}

/* Calls by number, with a vector that is not managed and a buffer that is. */
static void by_number(void)
{
	unsigned char *p = away(17);
	struct iovec v = { p, BYTES };
	int fd = memfd_create("out", 0);

	ROW_CHECK(syscall(SYS_pwritev2, fd, &v, 1, 0L, 0L, 0) == (ssize_t)BYTES);
	verify_file(fd, BYTES, 17);
	ROW_CHECK(syscall(SYS_close, fd) == 0);
	errno = 0;
	ROW_CHECK(syscall(SYS_close, fd) == -1 && errno == EBADF);
	ROW_CHECK(syscall(SYS_getpid) == getpid());
	pid_t child = (pid_t)syscall(SYS_clone, SIGCHLD, 0L, 0L, 0L, 0L);
	if (child == 0)
		syscall(SYS_exit_group, 3);
	int status;
	ROW_CHECK(waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 3);
}

static void kernel_aio(void)
{
	aio_context_t *context = (aio_context_t *)(void *)away(18);
	struct iocb *cb = (struct iocb *)(void *)((char *)context + ROW_PAGE), *list = cb;
	struct io_event *event = (struct io_event *)(void *)((char *)context + 2 * ROW_PAGE);
	unsigned char *p = row_map(BYTES);
	int fd = pattern_file(19);

	memset(context, 0, sizeof(*context));
	memset(cb, 0, sizeof(*cb));
	cb->aio_fildes = (uint32_t)fd;
	cb->aio_lio_opcode = IOCB_CMD_PREAD;
	cb->aio_buf = (uintptr_t)p;
	cb->aio_nbytes = BYTES;
	row_fill(p, BYTES, 20);
	row_push_out(context, 3 * ROW_PAGE);
	if (syscall(SYS_io_setup, 4, context) < 0) { /* pages that leave by copy are not safe */
		ROW_CHECK(errno == ENOSYS);
		row_skip("no asynchronous I/O here");
	}
	row_push_out(cb, ROW_PAGE);
	row_push_out(p, BYTES);
	ROW_CHECK(syscall(SYS_io_submit, *context, 1, &list) == 1);
	row_push_out(event, ROW_PAGE);
	ROW_CHECK(syscall(SYS_io_getevents, *context, 1, 1, event, NULL) == 1);
	ROW_CHECK(event->res == (int64_t)BYTES);
	row_verify(p, BYTES, 19);
}

/* ---- what is larger than the limit --------------------------------------- */

static void large_file(void)
{
	unsigned char *p = row_map(LARGE);
	int in = pattern_file_of(LARGE, 21), out = memfd_create("out", 0);

	ROW_CHECK(read(in, p, LARGE + 1) == (ssize_t)LARGE); /* and not one more */
	row_verify(p, LARGE, 21);
	ROW_CHECK(pwrite(out, p, LARGE, 4096) == (ssize_t)LARGE);
	ROW_CHECK(lseek(out, 0, SEEK_END) == (off_t)LARGE + 4096);
	memset(p, 0, LARGE);
	ROW_CHECK(pread(out, p, LARGE, 4096) == (ssize_t)LARGE);
	row_verify(p, LARGE, 21);
}

/* Elements of odd sizes, more than are passed on at a time. */
static void large_vector(void)
{
	unsigned char *p = row_map(LARGE);
	struct iovec v[300];
	size_t at = 0;
	int out = memfd_create("out", 0), in = pattern_file_of(LARGE, 23);

	row_fill(p, LARGE, 22);
	for (size_t i = 0; i < 300; i++) {
		size_t n = i == 299 ? LARGE - at : i % 7 ? 1000 * (i % 7) : 3 * LARGE / 200;
		v[i] = (struct iovec){ p + at, n };
		at += n;
	}
	ROW_CHECK(writev(out, v, 300) == (ssize_t)LARGE);
	verify_file(out, LARGE, 22);
	ROW_CHECK(preadv(in, v, 300, 0) == (ssize_t)LARGE);
	row_verify(p, LARGE, 23);
}

/* A message is one message, however large. */
static void large_datagram(void)
{
	const size_t bytes = 700000;
	unsigned char *p = row_map(BYTES * 4);
	int s[2], room = 4 << 20;

	ROW_CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, s) == 0);
	if (setsockopt(s[0], SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room)) < 0)
		row_skip("needs CAP_NET_ADMIN for a message of this size");
	row_fill(p, bytes, 24);
	row_push_out(p, bytes);
	ROW_CHECK(write(s[0], p, bytes) == (ssize_t)bytes);
	memset(p, 0, bytes);
	row_push_out(p, bytes);
	ROW_CHECK(read(s[1], p, BYTES * 4) == (ssize_t)bytes);
	row_verify(p, bytes, 24);
}

static int other_end;
static size_t other_bytes;

static void *send_slowly(void *arg)
{
	static unsigned char chunk[100000];

	(void)arg;
	for (size_t at = 0; at < other_bytes;) {
		size_t n = other_bytes - at < sizeof(chunk) ? other_bytes - at : sizeof(chunk);
		for (size_t i = 0; i < n; i++)
			chunk[i] = row_byte(25, at + i);
		ROW_CHECK(write(other_end, chunk, n) == (ssize_t)n);
		at += n;
	}
	return NULL;
}

/*
 * A stream: all of it where the program waits for all, else what is there. A
 * vector whose first part has been filled must not wait for the second.
 */
static void large_stream(void)
{
	unsigned char *p = row_map(LARGE);
	struct iovec v[2] = { { p, 50000 }, { p + 50000, LARGE - 50000 } };
	pthread_t thread;
	int s[2];

	ROW_CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
	other_end = s[0];
	other_bytes = 50000;
	send_slowly(NULL);
	ROW_CHECK(readv(s[1], v, 2) == 50000);
	send_slowly(NULL);
	struct msghdr m = { .msg_iov = v, .msg_iovlen = 2 };
	ROW_CHECK(recvmsg(s[1], &m, 0) == 50000);
	send_slowly(NULL);
	ROW_CHECK(recv(s[1], p, LARGE, 0) == 50000);
	other_bytes = LARGE;
	ROW_CHECK(pthread_create(&thread, NULL, send_slowly, NULL) == 0);
	ROW_CHECK(recv(s[1], p, LARGE, MSG_WAITALL) == LARGE);
	pthread_join(thread, NULL);
	row_verify(p, LARGE, 25);
}

/* All that is there, by one read: after a short one the program would wait. */
static void drained_by(const char *how, ssize_t bytes, ssize_t sent)
{
	if (bytes != sent)
		ROW_FAIL("%s returned %zd of %zd bytes that were there", how, bytes, sent);
}

/* A vector of more elements than are passed on at once, and a large pipe. */
static void large_and_edge_triggered(void)
{
	enum { ELEMENTS = 1000, BYTES_EACH = 1024, SENT = 128 << 10, PIPED = 768 << 10 };
	unsigned char *p = row_map(LARGE);
	struct iovec v[ELEMENTS];
	struct msghdr m = { .msg_iov = v, .msg_iovlen = ELEMENTS };
	int s[2], ends[2];

	for (int i = 0; i < ELEMENTS; i++)
		v[i] = (struct iovec){ p + i * BYTES_EACH, BYTES_EACH };
	row_fill(p, LARGE, 27);
	ROW_CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
	ROW_CHECK(send(s[0], p, SENT, 0) == SENT);
	drained_by("recvmsg", recvmsg(s[1], &m, MSG_DONTWAIT), SENT);
	ROW_CHECK(fcntl(s[1], F_SETFL, O_NONBLOCK) == 0);
	ROW_CHECK(send(s[0], p, SENT, 0) == SENT);
	drained_by("readv", readv(s[1], v, ELEMENTS), SENT);
	ROW_CHECK(recv(s[1], p, LARGE, 0) == -1 && errno == EAGAIN);
	ROW_CHECK(pipe2(ends, O_NONBLOCK) == 0);
	if (fcntl(ends[1], F_SETPIPE_SZ, 1 << 20) < PIPED)
		row_skip("no pipe that large");
	ROW_CHECK(write(ends[1], p, PIPED) == PIPED);
	row_push_out(p, PIPED);
	drained_by("read", read(ends[0], p, LARGE), PIPED);
	row_verify(p, PIPED, 27);
}

static void *drain(void *arg)
{
	static unsigned char chunk[65536];
	size_t at = 0;
	ssize_t n;

	(void)arg;
	while ((n = read(other_end, chunk, sizeof(chunk))) > 0)
		for (ssize_t i = 0; i < n; i++, at++)
			if (chunk[i] != row_byte(26, at))
				ROW_FAIL("byte %zu of the stream is wrong", at);
	ROW_CHECK(at == other_bytes);
	return NULL;
}

static void large_pipe(void)
{
	unsigned char *p = row_map(LARGE);
	pthread_t thread;
	int ends[2];

	row_fill(p, LARGE, 26);
	ROW_CHECK(pipe(ends) == 0);
	other_end = ends[0];
	other_bytes = LARGE;
	ROW_CHECK(pthread_create(&thread, NULL, drain, NULL) == 0);
	ROW_CHECK(write(ends[1], p, LARGE) == LARGE);
	close(ends[1]);
	pthread_join(thread, NULL);
}

#define RECORD (2ul << 20)
#define RECORDS 10

static void *append_records(void *arg)
{
	unsigned char *p = row_map(RECORD);

	for (unsigned int i = 0; i < RECORDS; i++) {
		memset(p, (int)(uintptr_t)arg, RECORD);
		ROW_CHECK(write(other_end, p, RECORD) == (ssize_t)RECORD);
	}
	return NULL;
}

/* Two writers that append: no record is torn by the other's. */
static void large_append(void)
{
	static unsigned char record[RECORD];
	char path[] = "/var/tmp/rows-append-XXXXXX";
	pthread_t threads[2];
	int made = mkstemp(path), fd = open(path, O_RDWR | O_APPEND);

	ROW_CHECK(made >= 0 && fd >= 0 && unlink(path) == 0);
	other_end = fd;
	for (uintptr_t i = 0; i < 2; i++)
		ROW_CHECK(pthread_create(&threads[i], NULL, append_records,
					 (void *)(i + 1)) == 0);
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	for (unsigned int i = 0; i < 2 * RECORDS; i++) {
		ROW_CHECK(pread(fd, record, RECORD, (off_t)(i * RECORD)) == (ssize_t)RECORD);
		ROW_CHECK(memcmp(record, record + 1, RECORD - 1) == 0);
	}
}

/* A program may say more than it has: the kernel stops at the end. */
static void more_than_mapped(void)
{
	unsigned char *p = row_map(BYTES);
	int fd = pattern_file(27), s[2];

	ROW_CHECK(read(fd, p, 0x7fffffff) == (ssize_t)BYTES);
	row_verify(p, BYTES, 27);
	ROW_CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
	ROW_CHECK(write(s[0], "x", 1) == 1);
	ROW_CHECK(read(s[1], p, 1ul << 30) == 1);
	errno = 0;
	mprotect(p, BYTES, PROT_NONE);
	ROW_CHECK(pread(fd, p, BYTES, 0) == -1 && errno == EFAULT);
	ROW_CHECK(preadv(fd, (struct iovec *)(void *)p, 1, 0) == -1 && errno == EFAULT);
	ROW_CHECK(open((char *)p, O_RDONLY) == -1 && errno == EFAULT);
}

/* ---- inside libc --------------------------------------------------------- */

static void fread_into(void)
{
	FILE *f = fdopen(pattern_file(3), "r");
	unsigned char *p = away(4);

	ROW_CHECK(fread(p, 1, BYTES, f) == BYTES);
	row_verify(p, BYTES, 3);
}

static void fwrite_from(void)
{
	int fd = memfd_create("out", 0);
	FILE *f = fdopen(dup(fd), "w");
	unsigned char *p = away(28);

	ROW_CHECK(fwrite(p, 1, BYTES, f) == BYTES && fclose(f) == 0);
	verify_file(fd, BYTES, 28);
}

/* Every small structure lies alone on a page that has left, and comes back alone. */
static void *slot(size_t bytes)
{
	static char *pages;
	static size_t used;
	char *p;

	if (!pages) {
		pages = row_map(BYTES);
		ROW_CHECK(madvise(pages, BYTES, MADV_RANDOM) == 0);
		memset(pages, 1, BYTES);
		row_push_out(pages, BYTES);
	}
	p = pages + used++ * 37 % (BYTES / ROW_PAGE) * ROW_PAGE; /* not in a row */
	ROW_CHECK(used <= BYTES / ROW_PAGE && bytes <= ROW_PAGE);
	if (getenv("ROW_MANAGED"))
		ROW_CHECK(!row_is_present(p));
	return p;
}

#define SLOT(type) ((type *)slot(sizeof(type)))

static char *path_slot(const char *text)
{
	char *p = SLOT(char);

	strcpy(p, text);
	row_push_out(p, ROW_PAGE);
	return p;
}

static void files_by_name(void)
{
	char *name = path_slot("/proc/self/exe"), *cwd = slot(ROW_PAGE), *link = slot(ROW_PAGE);
	struct stat *st = SLOT(struct stat);
	struct statvfs fs;
	int fd = open("/", O_RDONLY | O_DIRECTORY);

	ROW_CHECK(stat("/", st) == 0 && S_ISDIR(st->st_mode));
	ROW_CHECK(fstat(fd, SLOT(struct stat)) == 0);
	ROW_CHECK(statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, SLOT(struct statx)) == 0);
	ROW_CHECK(statvfs("/", &fs) == 0);
	ROW_CHECK(access(name, R_OK) == 0);
	row_push_out(name, ROW_PAGE);
	ROW_CHECK(readlink(name, link, ROW_PAGE) > 0 && link[0] == '/');
	ROW_CHECK(getcwd(cwd, ROW_PAGE) == cwd && cwd[0] == '/');
	ROW_CHECK(syscall(SYS_getdents64, fd, slot(ROW_PAGE), ROW_PAGE) > 0);
	row_push_out(name, ROW_PAGE);
	int exe = open(name, O_RDONLY);
	ROW_CHECK(exe >= 0);
	ROW_CHECK(getxattr("/", "user.none", slot(ROW_PAGE), 10) == -1 && errno != EFAULT);
}

static void clocks(void)
{
	struct timespec *ts = SLOT(struct timespec);
	struct itimerval *it = SLOT(struct itimerval);
	struct rusage *usage = SLOT(struct rusage);
	timer_t *timer = SLOT(timer_t);

	*ts = (struct timespec){ 0, 1000 };
	row_push_out(ts, ROW_PAGE);
	ROW_CHECK(nanosleep(ts, SLOT(struct timespec)) == 0);
	ROW_CHECK(clock_getres(CLOCK_MONOTONIC, SLOT(struct timespec)) == 0);
	ROW_CHECK(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, SLOT(struct timespec)) == 0);
	memset(it, 0, sizeof(*it));
	row_push_out(it, ROW_PAGE);
	ROW_CHECK(setitimer(ITIMER_REAL, it, SLOT(struct itimerval)) == 0);
	ROW_CHECK(getitimer(ITIMER_REAL, SLOT(struct itimerval)) == 0);
	ROW_CHECK(timer_create(CLOCK_MONOTONIC, NULL, timer) == 0 && timer_delete(*timer) == 0);
	ROW_CHECK(getrusage(RUSAGE_SELF, usage) == 0 && usage->ru_maxrss > 0);
	ROW_CHECK(times(SLOT(struct tms)) != (clock_t)-1);
}

static void about_the_system(void)
{
	struct utsname *name = SLOT(struct utsname);
	struct rlimit *limit = SLOT(struct rlimit);
	int *status = SLOT(int);
	pid_t child;

	ROW_CHECK(uname(name) == 0 && strcmp(name->sysname, "Linux") == 0);
	ROW_CHECK(sysinfo(SLOT(struct sysinfo)) == 0);
	ROW_CHECK(getrlimit(RLIMIT_NOFILE, limit) == 0 && limit->rlim_cur > 0);
	ROW_CHECK(sched_getaffinity(0, sizeof(cpu_set_t), SLOT(cpu_set_t)) == 0);
	ROW_CHECK(sched_getparam(0, SLOT(struct sched_param)) == 0);
	ROW_CHECK(sched_rr_get_interval(0, SLOT(struct timespec)) == 0);
	ROW_CHECK(getgroups((int)(ROW_PAGE / sizeof(gid_t)), SLOT(gid_t)) >= 0);
	ROW_CHECK(getresuid(SLOT(uid_t), SLOT(uid_t), SLOT(uid_t)) == 0);
	child = fork();
	if (child == 0)
		_exit(7);
	ROW_CHECK(waitpid(child, status, 0) == child && WEXITSTATUS(*status) == 7);
	child = fork();
	if (child == 0)
		_exit(8);
	siginfo_t *info = SLOT(siginfo_t);
	ROW_CHECK(waitid(P_PID, (id_t)child, info, WEXITED) == 0 && info->si_status == 8);
}

static void sockets(void)
{
	int *pair = SLOT(int), *value = SLOT(int), *ends = SLOT(int);
	struct sockaddr_in *addr = SLOT(struct sockaddr_in), *peer = SLOT(struct sockaddr_in);
	socklen_t *length = SLOT(socklen_t), *peer_length = SLOT(socklen_t);
	struct ifconf *ifc = SLOT(struct ifconf);
	int listener = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0);

	ROW_CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0 && pair[0] > 0);
	ROW_CHECK(pipe(ends) == 0 && ends[1] > 0);
	memset(addr, 0, sizeof(*addr));
	addr->sin_family = AF_INET;
	addr->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	row_push_out(addr, ROW_PAGE);
	ROW_CHECK(bind(listener, (struct sockaddr *)addr, sizeof(*addr)) == 0);
	ROW_CHECK(listen(listener, 1) == 0);
	*length = *peer_length = sizeof(*addr);
	row_push_out(addr, ROW_PAGE);
	ROW_CHECK(getsockname(listener, (struct sockaddr *)addr, length) == 0);
	row_push_out(addr, ROW_PAGE);
	ROW_CHECK(connect(client, (struct sockaddr *)addr, sizeof(*addr)) == 0);
	row_push_out(peer_length, ROW_PAGE);
	ROW_CHECK(accept(listener, (struct sockaddr *)peer, peer_length) >= 0);
	ROW_CHECK(peer->sin_family == AF_INET);
	*length = sizeof(int);
	row_push_out(length, ROW_PAGE);
	ROW_CHECK(getsockopt(client, SOL_SOCKET, SO_TYPE, value, length) == 0);
	ROW_CHECK(*value == SOCK_STREAM);
	row_push_out(value, ROW_PAGE);
	ROW_CHECK(ioctl(client, FIONREAD, value) == 0 && *value == 0);
	ifc->ifc_len = 512;
	ifc->ifc_buf = slot(512);
	row_push_out(ifc, ROW_PAGE);
	ROW_CHECK(ioctl(client, SIOCGIFCONF, ifc) == 0);
}

static void terminals(void)
{
	struct termios *t = SLOT(struct termios);
	struct winsize *w = SLOT(struct winsize);
	int master, slave;

	if (openpty(&master, &slave, NULL, NULL, NULL) < 0)
		row_skip("there are no pseudo terminals");
	ROW_CHECK(tcgetattr(slave, t) == 0);
	row_push_out(t, ROW_PAGE);
	ROW_CHECK(tcsetattr(slave, TCSANOW, t) == 0);
	ROW_CHECK(ioctl(slave, TIOCGWINSZ, w) == 0);
}

static void ipc(void)
{
	struct { long type; char text[4000]; } *m = slot(4096);
	int queue = msgget(IPC_PRIVATE, 0600), sems = semget(IPC_PRIVATE, 1, 0600);
	struct sembuf *op = SLOT(struct sembuf);
	struct mq_attr *attr = SLOT(struct mq_attr);

	if (queue < 0 || sems < 0)
		row_skip("there is no System V IPC");
	m->type = 1;
	row_fill(m->text, sizeof(m->text), 1);
	row_push_out(m, ROW_PAGE);
	ROW_CHECK(msgsnd(queue, m, sizeof(m->text), 0) == 0);
	memset(m, 0, sizeof(*m));
	row_push_out(m, ROW_PAGE);
	ROW_CHECK(msgrcv(queue, m, sizeof(m->text), 0, 0) == sizeof(m->text));
	row_verify(m->text, sizeof(m->text), 1);
	ROW_CHECK(msgctl(queue, IPC_STAT, SLOT(struct msqid_ds)) == 0);
	msgctl(queue, IPC_RMID, NULL);
	*op = (struct sembuf){ 0, 1, 0 };
	row_push_out(op, ROW_PAGE);
	ROW_CHECK(semop(sems, op, 1) == 0);
	semctl(sems, 0, IPC_RMID);
	mqd_t q = mq_open("/rows-calls", O_RDWR | O_CREAT, 0600, NULL);
	if (q == (mqd_t)-1)
		return;
	mq_unlink("/rows-calls");
	ROW_CHECK(mq_getattr(q, attr) == 0);
	char *text = slot(ROW_PAGE), *back = row_map(16 * ROW_PAGE);
	memset(back, 1, 16 * ROW_PAGE);
	row_push_out(back, 16 * ROW_PAGE);
	ROW_CHECK(mq_send(q, text, 100, 0) == 0);
	ROW_CHECK(mq_receive(q, back, (size_t)attr->mq_msgsize, NULL) == 100);
}

static void waits(void)
{
	struct pollfd *p = SLOT(struct pollfd);
	struct epoll_event *e = SLOT(struct epoll_event), *got = SLOT(struct epoll_event);
	fd_set *set = SLOT(fd_set);
	struct timeval *tv = SLOT(struct timeval);
	struct timespec *ts = SLOT(struct timespec);
	sigset_t *mask = SLOT(sigset_t);
	int fd = eventfd(1, 0), ep = epoll_create1(0);

	*p = (struct pollfd){ .fd = fd, .events = POLLIN };
	row_push_out(p, ROW_PAGE);
	ROW_CHECK(poll(p, 1, 100) == 1 && p->revents == POLLIN);
	*e = (struct epoll_event){ .events = EPOLLIN, .data.u64 = 77 };
	row_push_out(e, ROW_PAGE);
	ROW_CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, fd, e) == 0);
	ROW_CHECK(epoll_wait(ep, got, 4, 100) == 1 && got->data.u64 == 77);
	FD_ZERO(set);
	FD_SET(fd, set);
	*tv = (struct timeval){ 1, 0 };
	row_push_out(set, ROW_PAGE);
	row_push_out(tv, ROW_PAGE);
	ROW_CHECK(select(fd + 1, set, NULL, NULL, tv) == 1 && FD_ISSET(fd, set));
	sigemptyset(mask);
	*ts = (struct timespec){ 0, 1000 };
	row_push_out(mask, ROW_PAGE);
	row_push_out(ts, ROW_PAGE);
	row_push_out(p, ROW_PAGE);
	ROW_CHECK(ppoll(p, 1, ts, mask) == 1);
	row_push_out(got, ROW_PAGE);
	row_push_out(mask, ROW_PAGE);
	ROW_CHECK(epoll_pwait(ep, got, 4, 100, mask) == 1);
	row_push_out(set, ROW_PAGE);
	row_push_out(mask, ROW_PAGE);
	row_push_out(ts, ROW_PAGE);
	ROW_CHECK(pselect(fd + 1, set, NULL, NULL, ts, mask) == 1);
}

/* ---- futexes ------------------------------------------------------------- */

static struct shared {
	pthread_mutex_t mutex;
	char gap[ROW_PAGE];
	pthread_cond_t cond;
	char gap2[ROW_PAGE];
	uint64_t count;
	int turn;
} *shared;

#define TURNS 2000

static void *count_up(void *arg)
{
	int me = (int)(uintptr_t)arg;

	for (int i = 0; i < TURNS; i++) {
		pthread_mutex_lock(&shared->mutex);
		while (shared->turn != me)
			pthread_cond_wait(&shared->cond, &shared->mutex);
		shared->count++;
		shared->turn = !me;
		pthread_cond_broadcast(&shared->cond);
		pthread_mutex_unlock(&shared->mutex);
	}
	return NULL;
}

static volatile sig_atomic_t interruptions;

static void on_interruption(int sig)
{
	(void)sig;
	interruptions++;
}

static void *wait_for_turn(void *arg)
{
	pthread_mutex_lock(&shared->mutex);
	shared->count = 1;
	while (!shared->turn)
		pthread_cond_wait(&shared->cond, &shared->mutex);
	pthread_mutex_unlock(&shared->mutex);
	return arg;
}

/* The kernel begins the wait again, and looks at the word by itself. */
static void wait_and_be_interrupted(void)
{
	struct sigaction sa = { .sa_handler = on_interruption, .sa_flags = SA_RESTART };
	unsigned char *p = row_map(BYTES);
	pthread_t thread;
	bool waits = false;

	ROW_CHECK(sigaction(SIGUSR1, &sa, NULL) == 0);
	ROW_CHECK(pthread_create(&thread, NULL, wait_for_turn, NULL) == 0);
	while (!waits) { /* it does once the mutex is free again */
		pthread_mutex_lock(&shared->mutex);
		waits = shared->count;
		pthread_mutex_unlock(&shared->mutex);
	}
	row_push_out(p, BYTES);
	ROW_CHECK(pthread_kill(thread, SIGUSR1) == 0);
	while (!interruptions)
		usleep(1000);
	pthread_mutex_lock(&shared->mutex);
	shared->turn = 1;
	pthread_cond_signal(&shared->cond);
	pthread_mutex_unlock(&shared->mutex);
	ROW_CHECK(pthread_join(thread, NULL) == 0);
	shared->count = 0;
	shared->turn = 0;
}

/* Mutex and condition in managed memory, while it comes and goes. */
static void mutex_and_condition(void)
{
	pthread_t threads[2];

	shared = row_map(16 * ROW_PAGE);
	pthread_mutex_init(&shared->mutex, NULL);
	pthread_cond_init(&shared->cond, NULL);
	wait_and_be_interrupted();
	for (uintptr_t i = 0; i < 2; i++)
		ROW_CHECK(pthread_create(&threads[i], NULL, count_up, (void *)i) == 0);
	for (int i = 0; i < 3; i++) {
		unsigned char *p = away(30 + (unsigned int)i);
		row_verify(p, BYTES, 30 + (unsigned int)i);
	}
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	ROW_CHECK(shared->count == 2 * TURNS);
}

static void futex_words(void)
{
	uint32_t *word = SLOT(uint32_t), *other = SLOT(uint32_t);
	struct timespec *ts = SLOT(struct timespec);

	*ts = (struct timespec){ 0, 1000000 };
	row_push_out(ts, ROW_PAGE);
	row_push_out(word, ROW_PAGE);
	errno = 0;
	ROW_CHECK(syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, 0x01010101, ts, NULL, 0) == -1 &&
		  errno == ETIMEDOUT);
	row_push_out(word, ROW_PAGE);
	row_push_out(other, ROW_PAGE);
	ROW_CHECK(syscall(SYS_futex, word, FUTEX_WAKE_OP_PRIVATE, 1, 1L, other,
			  FUTEX_OP(FUTEX_OP_SET, 9, FUTEX_OP_CMP_EQ, 0)) == 0);
	ROW_CHECK(*other == 9);
	row_push_out(word, ROW_PAGE);
	row_push_out(other, ROW_PAGE);
	ROW_CHECK(syscall(SYS_futex, word, FUTEX_CMP_REQUEUE_PRIVATE, 1, 1L, other,
			  0x01010101) == 0);
	row_push_out(word, ROW_PAGE);
	*word = 0;
	row_push_out(word, ROW_PAGE);
	ROW_CHECK(syscall(SYS_futex, word, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0) == 0);
	row_push_out(word, ROW_PAGE);
	ROW_CHECK(syscall(SYS_futex, word, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0) == 0);
	row_push_out(word, ROW_PAGE);
	*ts = (struct timespec){ 0, 0 };
	struct futex_waitv v[1] = { { .val = 5, .uaddr = (uintptr_t)word,
				      .flags = FUTEX_32 | FUTEX_PRIVATE_FLAG } };
	row_push_out(word, ROW_PAGE);
	errno = 0;
	ROW_CHECK(syscall(SYS_futex_waitv, v, 1, 0, ts, CLOCK_MONOTONIC) == -1 &&
		  errno == EAGAIN);
}

static const struct row rows[] = {
	{ "read", "calls", read_into },
	{ "write", "calls", write_from },
	{ "vectors", "calls", vectors },
	{ "datagrams", "calls", datagrams },
	{ "messages", "calls", messages },
	{ "eventfd", "calls", eventfd_count },
	{ "getrandom", "calls", getrandom_into },
	{ "vmsplice", "calls", pages_in_a_pipe },
	{ "process_vm_readv", "calls", own_memory_by_pid },
	{ "by-number", "calls", by_number },
	{ "kernel-aio", "syscall", kernel_aio },
	{ "large-file", "calls", large_file },
	{ "large-vector", "calls", large_vector },
	{ "large-datagram", "calls", large_datagram },
	{ "large-stream", "calls", large_stream },
	{ "large-pipe", "calls", large_pipe },
	{ "large-and-edge-triggered", "calls", large_and_edge_triggered },
	{ "large-append", "whole", large_append },
	{ "more-than-mapped", "calls", more_than_mapped },
	{ "fread", "net", fread_into },
	{ "fwrite", "net", fwrite_from },
	{ "files-by-name", "net", files_by_name },
	{ "clocks", "net", clocks },
	{ "system", "net", about_the_system },
	{ "sockets", "net", sockets },
	{ "terminals", "net", terminals },
	{ "ipc", "net", ipc },
	{ "waits", "calls", waits },
	{ "mutex-and-condition", "net", mutex_and_condition },
	{ "futex-words", "calls", futex_words },
};

int main(int argc, char **argv)
{
	return row_main(argc, argv, rows, sizeof(rows) / sizeof(rows[0]));
}
