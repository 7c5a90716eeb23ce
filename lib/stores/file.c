/* SPDX-License-Identifier: MIT
 *
 * file: pages in an unnamed file of a folder.
 *
 * The file is O_TMPFILE (or created and unlinked at once where the file
 * system cannot do that), so that no way of dying leaves it behind; O_DIRECT
 * where possible, because these pages must not fill the page cache that the
 * limit was meant to spare; preallocated in steps, so that a full disk is
 * noticed when growing and not when writing.
 *
 * Reads are plain pread(2) by the faulting thread: for one page at a time
 * nothing is faster. Writes go through io_uring, or pwrite(2) where the
 * kernel or a container's filter refuses io_uring.
 */
#include "arch.h"
#include "log.h"
#include "stores.h"
#include "sys.h"
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

#define EM_RING_ENTRIES 256
#define EM_WRITES_MAX 1024

/* A write under way, so that a short one can be carried on. */
struct writing {
	const char *buf;
	uint64_t offset;
	uint32_t bytes;
	uint32_t next_free; /* index + 1 */
	uint64_t token;
};

static struct {
	int fds[EM_SLOT_FILES + 1]; /* by file number; fd + 1, or 0 */
	unsigned int own;
	bool has_ring, ring_refused;
	struct io_uring ring;
	uint32_t in_flight;
	uint32_t free_writing;      /* index + 1 */
	struct writing writings[EM_WRITES_MAX];
	struct em_store_done sync_done[EM_WRITES_MAX]; /* ended without a ring */
	size_t sync_count;
} file;

static int own_fd(void) { return file.fds[file.own] - 1; }

static int open_unnamed(const char *folder, int direct)
{
	long fd = em_syscall(SYS_openat, AT_FDCWD, (long)folder,
			     O_TMPFILE | O_RDWR | O_CLOEXEC | O_EXCL | direct,
			     0600, 0, 0);
	char path[EM_CONFIG_PATH_MAX + 40];

	if (fd != -EOPNOTSUPP && fd != -EISDIR && fd != -ENOENT)
		return (int)fd;
	snprintf(path, sizeof(path), "%s/.extmem-%ld-%lx", folder,
		 em_syscall(SYS_getpid, 0, 0, 0, 0, 0, 0),
		 (unsigned long)em_sys_now_ns());
	fd = em_syscall(SYS_openat, AT_FDCWD, (long)path,
			O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC | direct, 0600, 0, 0);
	if (fd >= 0)
		em_syscall(SYS_unlink, (long)path, 0, 0, 0, 0, 0);
	return (int)fd;
}

/*
 * What io_uring_queue_init does, but for the call that the net lets through
 * only when it comes from us.
 */
static int make_ring(void)
{
	struct io_uring_params params = { 0 };
	int fd = em_sys_ring_setup(EM_RING_ENTRIES, &params);
	int ret;

	if (fd < 0)
		return fd;
	ret = io_uring_queue_mmap(fd, &params, &file.ring);
	if (ret < 0) {
		em_syscall(SYS_close, fd, 0, 0, 0, 0, 0);
		return ret;
	}
	for (unsigned int i = 0; i < params.sq_entries; i++)
		file.ring.sq.array[i] = i;
	return 0;
}

static void start_ring(void)
{
	if (make_ring() < 0) {
		file.ring_refused = true; /* the sync way needs no words */
		return;
	}
	file.ring.ring_fd = em_sys_raise_fd(file.ring.ring_fd);
	file.ring.enter_ring_fd = file.ring.ring_fd;
	io_uring_ring_dontfork(&file.ring);
	file.has_ring = true;
}

static int file_open(const struct em_tier_config *cfg)
{
	int fd = open_unnamed(cfg->path, O_DIRECT);

	if (fd == -EINVAL)
		fd = open_unnamed(cfg->path, 0);
	if (fd < 0) {
		em_log("cannot create a swap file in '%s': error %d; memory beyond "
		       "the limit stays in memory", cfg->path, -fd);
		return fd;
	}
	file.fds[file.own] = em_sys_raise_fd(fd) + 1;
	file.free_writing = 0;
	for (uint32_t i = EM_WRITES_MAX; i > 0; i--) {
		file.writings[i - 1].next_free = file.free_writing;
		file.free_writing = i;
	}
	if (!file.ring_refused)
		start_ring();
	return 0;
}

static int file_grow(uint64_t pages)
{
	long ret = em_syscall(SYS_fallocate, own_fd(), 0, 0,
			      (long)(pages << EM_PAGE_SHIFT), 0, 0);

	if (ret == -EOPNOTSUPP) /* no preallocation there: grow by writing */
		ret = em_syscall(SYS_ftruncate, own_fd(),
				 (long)(pages << EM_PAGE_SHIFT), 0, 0, 0, 0);
	return (int)ret;
}

static int file_read(unsigned int number, uint64_t slot, void *buf, size_t count)
{
	int fd = file.fds[number] - 1;
	size_t bytes = count << EM_PAGE_SHIFT, done = 0;

	while (done < bytes) {
		long n = em_sys_pread(fd, (char *)buf + done, bytes - done,
				      (slot << EM_PAGE_SHIFT) + done);
		if (n == -EINTR || n == -EAGAIN)
			continue;
		if (n <= 0)
			return n < 0 ? (int)n : -EIO;
		done += (size_t)n;
	}
	return 0;
}

/* The whole of what is left of a write, here and now. */
static int write_now(const char *buf, size_t bytes, uint64_t offset)
{
	while (bytes) {
		long n = em_sys_pwrite(own_fd(), buf, bytes, offset);
		if (n == -EINTR || n == -EAGAIN)
			continue;
		if (n <= 0)
			return n < 0 ? (int)n : -EIO;
		buf += n;
		offset += (uint64_t)n;
		bytes -= (size_t)n;
	}
	return 0;
}

static int submit_now(uint64_t slot, const void *buf, size_t count, uint64_t token)
{
	if (file.sync_count == EM_WRITES_MAX)
		return -EAGAIN;
	file.sync_done[file.sync_count++] = (struct em_store_done){
		token, write_now(buf, count << EM_PAGE_SHIFT, slot << EM_PAGE_SHIFT)
	};
	return 0;
}

static int file_submit(uint64_t slot, const void *buf, size_t count, uint64_t token,
		       bool async)
{
	struct io_uring_sqe *sqe = async && file.has_ring && file.free_writing
				   ? io_uring_get_sqe(&file.ring) : NULL;

	if (!sqe)
		return submit_now(slot, buf, count, token);
	struct writing *w = &file.writings[file.free_writing - 1];
	file.free_writing = w->next_free;
	*w = (struct writing){ buf, slot << EM_PAGE_SHIFT,
			       (uint32_t)(count << EM_PAGE_SHIFT), 0, token };
	io_uring_prep_write(sqe, own_fd(), w->buf, w->bytes, w->offset);
	io_uring_sqe_set_data(sqe, w);
	file.in_flight++;
	int ret = io_uring_submit(&file.ring);
	if (ret < 0 && ret != -EBUSY && ret != -EAGAIN && ret != -EINTR)
		em_log_once("io_uring_submit: error %d", -ret);
	return 0; /* what was not taken now goes with the next submit or wait */
}

/* A short or interrupted write is finished here; what fails here has failed. */
static int finish(const struct writing *w, int result)
{
	uint32_t done = result > 0 ? (uint32_t)result : 0;

	if (done == w->bytes)
		return 0;
	return write_now(w->buf + done, w->bytes - done, w->offset + done);
}

static size_t take_completion(struct io_uring_cqe *cqe, struct em_store_done *done)
{
	struct writing *w = io_uring_cqe_get_data(cqe);

	*done = (struct em_store_done){ w->token, finish(w, cqe->res) };
	io_uring_cqe_seen(&file.ring, cqe);
	w->next_free = file.free_writing;
	file.free_writing = (uint32_t)(w - file.writings) + 1;
	file.in_flight--;
	return 1;
}

static size_t file_reap(struct em_store_done *done, size_t max, bool wait)
{
	struct io_uring_cqe *cqe;
	size_t n = 0;

	while (n < max && file.sync_count)
		done[n++] = file.sync_done[--file.sync_count];
	while (n < max && file.in_flight) {
		int ret = wait && n == 0 ? io_uring_submit_and_wait(&file.ring, 1) : 0;
		if (ret < 0 && ret != -EINTR && ret != -EAGAIN && ret != -EBUSY)
			em_panic("io_uring_enter: error %d", -ret);
		if (io_uring_peek_cqe(&file.ring, &cqe) == 0)
			n += take_completion(cqe, &done[n]);
		else if (!wait || n)
			break;
	}
	return n;
}

/* In a child it belongs to the parent; nothing is under way in it (fork.c). */
static void leave_ring(void)
{
	if (file.has_ring) {
		em_sys_close(file.ring.ring_fd);
		file.ring.ring_fd = file.ring.enter_ring_fd = -1;
	}
	file.has_ring = false;
	file.in_flight = 0;
	file.sync_count = 0;
}

static void file_synchronous(void)
{
	leave_ring();
	file.ring_refused = true;
}

static void file_forked(unsigned int own, uint64_t keep)
{
	for (unsigned int n = 0; n < EM_SLOT_FILES; n++)
		if (file.fds[n] && !(keep >> n & 1)) {
			em_sys_close(file.fds[n] - 1);
			file.fds[n] = 0;
		}
	if (!file.fds[own])
		leave_ring();
	file.own = own;
}

const struct em_store_ops em_store_file = {
	.type = "file",
	.open = file_open,
	.grow = file_grow,
	.read = file_read,
	.submit = file_submit,
	.reap = file_reap,
	.forked = file_forked,
	.synchronous = file_synchronous,
};
