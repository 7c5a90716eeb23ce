/* SPDX-License-Identifier: MIT */
#include "watch.h"
#include "arch.h"
#include "shm.h"
#include "sys.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

static struct {
	int fd; /* + 1; 0: no child yet */
	uint64_t next;
} watch;

static long lock_call(int fd, int command, struct flock *l)
{
	return em_syscall(SYS_fcntl, fd, command, (long)l, 0, 0, 0);
}

static struct flock bytes_from(uint64_t first, uint64_t count)
{
	return (struct flock){
		.l_type = F_WRLCK, .l_whence = SEEK_SET,
		.l_start = (off_t)first, .l_len = (off_t)count,
	};
}

/* A description of its own, which dup() would not give. */
static int reopen(int fd)
{
	char path[40];
	long ret;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ret = em_syscall(SYS_openat, AT_FDCWD, (long)path, O_RDWR | O_CLOEXEC, 0, 0, 0);
	if (ret == -EMFILE && em_sys_spend_spares())
		ret = em_syscall(SYS_openat, AT_FDCWD, (long)path, O_RDWR | O_CLOEXEC,
				 0, 0, 0);
	return ret < 0 ? (int)ret : em_sys_raise_fd((int)ret);
}

int em_watch_add(uint64_t *number)
{
	struct flock l = bytes_from(watch.next, 1);
	int fd;

	if (!watch.fd) {
		fd = em_shm_create("extmem-children", 0);
		if (fd < 0)
			return fd;
		watch.fd = fd + 1;
	}
	fd = reopen(watch.fd - 1);
	if (fd < 0)
		return fd;
	long ret = lock_call(fd, F_OFD_SETLK, &l);
	if (ret < 0) {
		em_sys_close(fd);
		return (int)ret;
	}
	*number = watch.next++;
	return fd;
}

/* An answer that cannot be had counts as yes. */
bool em_watch_any(uint64_t first, uint64_t last)
{
	struct flock l = bytes_from(first, last - first + 1);

	return lock_call(watch.fd - 1, F_OFD_GETLK, &l) < 0 || l.l_type != F_UNLCK;
}

void em_watch_forked(void)
{
	if (watch.fd)
		em_sys_close(watch.fd - 1);
	watch.fd = 0;
	watch.next = 0;
}
