/* SPDX-License-Identifier: MIT
 *
 * liburing's functions that make a ring. It makes its system calls by
 * instructions of its own, to which the net can only answer with an error; on
 * the way there it can be said why. Who has liburing within their own file, or
 * makes the call themselves, does not come by here.
 */
#include "interpose.h"
#include <liburing.h>
#include <sys/syscall.h>

static int refuses(void)
{
	return em_core_active() ? em_net_refuses(SYS_io_uring_setup) : 0;
}

/* The program's own liburing, which may be in no one's scope but its user's. */
static void *real(const char *name)
{
	void *found = dlsym(RTLD_NEXT, name), *library;

	if (found)
		return found;
	library = dlopen("liburing.so.2", RTLD_NOW | RTLD_NOLOAD);
	return library ? dlsym(library, name) : NULL;
}

#define CALL_REAL(name, ...) \
	({ int error_ = refuses(); \
	   __typeof__(&name) real_ = error_ ? NULL : (__typeof__(&name))real(#name); \
	   real_ ? real_(__VA_ARGS__) : error_ ? -error_ : -ENOSYS; })

EM_EXPORT int io_uring_queue_init(unsigned int entries, struct io_uring *ring,
				  unsigned int flags)
{
	return CALL_REAL(io_uring_queue_init, entries, ring, flags);
}

EM_EXPORT int io_uring_queue_init_params(unsigned int entries, struct io_uring *ring,
					 struct io_uring_params *p)
{
	return CALL_REAL(io_uring_queue_init_params, entries, ring, p);
}

/* liburing has these from 2.3 and 2.5 on. */
EM_EXPORT int io_uring_setup(unsigned int entries, struct io_uring_params *p);
EM_EXPORT int io_uring_setup(unsigned int entries, struct io_uring_params *p)
{
	return CALL_REAL(io_uring_setup, entries, p);
}

EM_EXPORT int io_uring_queue_init_mem(unsigned int entries, struct io_uring *ring,
				      struct io_uring_params *p, void *buf, size_t bytes);
EM_EXPORT int io_uring_queue_init_mem(unsigned int entries, struct io_uring *ring,
				      struct io_uring_params *p, void *buf, size_t bytes)
{
	return CALL_REAL(io_uring_queue_init_mem, entries, ring, p, buf, bytes);
}
