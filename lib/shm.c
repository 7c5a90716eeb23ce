/* SPDX-License-Identifier: MIT */
#include "shm.h"
#include "arch.h"
#include "kernel.h"
#include "sys.h"
#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>

static long make_memfd(const char *name)
{
	long fd = em_syscall(SYS_memfd_create, (long)name,
			     MFD_CLOEXEC | MFD_NOEXEC_SEAL, 0, 0, 0, 0);

	if (fd == -EINVAL)
		fd = em_syscall(SYS_memfd_create, (long)name, MFD_CLOEXEC, 0, 0, 0, 0);
	return fd;
}

int em_shm_create(const char *name, size_t bytes)
{
	long fd = make_memfd(name);

	if (fd == -EMFILE && em_sys_spend_spares())
		fd = make_memfd(name);
	if (fd < 0)
		return (int)fd;
	long ret = em_syscall(SYS_ftruncate, fd, (long)bytes, 0, 0, 0, 0);
	if (ret < 0) { /* RLIMIT_FSIZE */
		em_syscall(SYS_close, fd, 0, 0, 0, 0, 0);
		return (int)ret;
	}
	return em_sys_raise_fd((int)fd);
}

int em_shm_map(int fd, uintptr_t addr, size_t bytes, uint64_t offset)
{
	long p = em_syscall(SYS_mmap, (long)addr, (long)bytes,
			    PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_NORESERVE | MAP_FIXED_NOREPLACE, fd,
			    (long)offset);
	if (p < 0 && p > -4096)
		return (int)p;
	em_syscall(SYS_madvise, p, (long)bytes, MADV_DONTFORK, 0, 0, 0);
	em_syscall(SYS_madvise, p, (long)bytes, MADV_DONTDUMP, 0, 0, 0);
	return (uintptr_t)p == addr ? 0 : -EEXIST;
}

void em_shm_dump(uintptr_t addr, size_t bytes)
{
	em_syscall(SYS_madvise, (long)addr, (long)bytes, MADV_DODUMP, 0, 0, 0);
}

void *em_shm_map_anywhere(int fd, size_t bytes)
{
	long p = em_syscall(SYS_mmap, 0, (long)bytes, PROT_READ | PROT_WRITE,
			    MAP_SHARED, fd, 0);

	if (p < 0 && p > -4096)
		return NULL;
	em_syscall(SYS_madvise, p, (long)bytes, MADV_DONTFORK, 0, 0, 0);
	return (void *)p;
}

void em_shm_populate(uintptr_t addr, size_t bytes)
{
	em_syscall(SYS_madvise, (long)addr, (long)bytes, MADV_POPULATE_WRITE, 0, 0, 0);
}
