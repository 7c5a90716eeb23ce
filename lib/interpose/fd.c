/* SPDX-License-Identifier: MIT
 *
 * Programs close what they do not know: daemons everything from 3 up. Our
 * descriptors are not theirs: closing one is answered as if it were not open.
 */
#include "arch.h"
#include "interpose.h"
#include "sys.h"
#include <limits.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_close_range
#define SYS_close_range 436
#endif

EM_EXPORT int close(int fd)
{
	if (em_unlikely(em_sys_owns_fd(fd))) {
		errno = EBADF;
		return -1;
	}
	return EM_REAL(close)(fd);
}

EM_EXPORT int close_range(unsigned int first, unsigned int last, int flags)
{
	int own;

	while (em_core_active() && (own = em_sys_next_own_fd(first)) >= 0 &&
	       (unsigned int)own <= last) {
		if ((unsigned int)own > first) {
			long ret = em_syscall(SYS_close_range, first, own - 1, flags, 0, 0, 0);
			if (ret < 0)
				return (int)em_errno_return(ret);
		}
		first = (unsigned int)own + 1;
		if (first > last || first == 0)
			return 0;
	}
	return (int)em_errno_return(em_syscall(SYS_close_range, first, last, flags, 0, 0, 0));
}

EM_EXPORT void closefrom(int low)
{
	if (!em_core_active() || close_range((unsigned int)(low > 0 ? low : 0), UINT_MAX, 0) < 0)
		EM_REAL(closefrom)(low);
}

EM_EXPORT int dup2(int old, int new)
{
	if (em_unlikely(em_sys_owns_fd(new) || em_sys_owns_fd(old))) {
		errno = EBADF;
		return -1;
	}
	return EM_REAL(dup2)(old, new);
}

EM_EXPORT int dup3(int old, int new, int flags)
{
	if (em_unlikely(em_sys_owns_fd(new) || em_sys_owns_fd(old))) {
		errno = EBADF;
		return -1;
	}
	return EM_REAL(dup3)(old, new, flags);
}
