/* SPDX-License-Identifier: MIT */
#include "fake_sys.h"
#include "arch.h"
#include "fault.h"
#include "window.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define AREAS_MAX 8

struct fake_kernel fake = { .address_space = EM_WINDOW_MIN };

/* What a page of registered memory is; beside it its protection. */
enum { MAPPED = 1, PROTECTED = 2, LOCKED = 4, PINNED = 8, SHARED = 16, GONE = 32,
       POISONED = 64 };

struct area {
	uintptr_t start;
	size_t bytes;
	int fd;
	char *view;            /* the kernel's */
	unsigned char *bits, *prot;
};

static struct area areas[AREAS_MAX];
static size_t area_count;
/* Guards the areas, and keeps a page's state and protection in step. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

_Noreturn static void die(const char *why, uintptr_t addr)
{
	fprintf(stderr, "fake kernel: %s (at %lx)\n", why, (unsigned long)addr);
	abort();
}

/* ---- areas ----------------------------------------------------------- */

static struct area *area_of(uintptr_t addr)
{
	for (size_t i = 0; i < area_count; i++)
		if (addr - areas[i].start < areas[i].bytes)
			return &areas[i];
	return NULL;
}

static size_t index_of(const struct area *a, uintptr_t addr)
{
	return (addr - a->start) >> EM_PAGE_SHIFT;
}

static char *view_of(const struct area *a, size_t page)
{
	return a->view + (page << EM_PAGE_SHIFT);
}

static void *map_or_die(void *at, size_t bytes, int prot, int flags, int fd)
{
	void *p = mmap(at, bytes, prot, flags | MAP_NORESERVE, fd, 0);

	if (p == MAP_FAILED)
		die("out of address space", (uintptr_t)at);
	return p;
}

static void add_area(uintptr_t start, size_t bytes, int prot)
{
	struct area *a = &areas[area_count];
	const int own = MAP_PRIVATE | MAP_ANONYMOUS;

	if (area_count == AREAS_MAX)
		die("too many areas", start);
	a->start = start;
	a->bytes = bytes;
	a->fd = memfd_create("fake", MFD_CLOEXEC);
	if (a->fd < 0 || ftruncate(a->fd, (off_t)bytes) < 0)
		die("no memory file", start);
	map_or_die((void *)start, bytes, PROT_NONE, MAP_SHARED | MAP_FIXED, a->fd);
	a->view = map_or_die(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, a->fd);
	a->bits = map_or_die(NULL, bytes >> EM_PAGE_SHIFT, PROT_READ | PROT_WRITE, own, -1);
	a->prot = map_or_die(NULL, bytes >> EM_PAGE_SHIFT, PROT_READ | PROT_WRITE, own, -1);
	if (prot != PROT_NONE)
		memset(a->prot, prot, bytes >> EM_PAGE_SHIFT);
	area_count++;
}

/* What the program may do with a page as it is. */
static int visible(const struct area *a, size_t page)
{
	int prot = a->prot[page];

	if (!(a->bits[page] & MAPPED))
		return PROT_NONE;
	if (a->bits[page] & (PROTECTED | SHARED) && prot & PROT_WRITE)
		prot = (prot & ~PROT_WRITE) | PROT_READ;
	return prot & ~PROT_EXEC;
}

static void show(const struct area *a, size_t from, size_t to)
{
	for (size_t i = from, k; i < to; i = k) {
		int prot = visible(a, i);
		for (k = i + 1; k < to && visible(a, k) == prot; k++)
			;
		if (mprotect((void *)(a->start + (i << EM_PAGE_SHIFT)),
			     (k - i) << EM_PAGE_SHIFT, prot) < 0)
			die("mprotect", a->start + (i << EM_PAGE_SHIFT));
	}
}

static void count_mapped(const struct area *a, int64_t change)
{
	uint64_t now, peak = fake.mapped_peak;

	if (a->start != EM_WINDOW_BASE)
		return;
	now = atomic_fetch_add(&fake.mapped, (uint64_t)change) + (uint64_t)change;
	if (now > peak)
		fake.mapped_peak = now;
}

static void enter(struct area *a, size_t page, const void *contents, bool protect)
{
	memcpy(view_of(a, page), contents, EM_PAGE_BYTES);
	a->bits[page] |= MAPPED | (protect ? PROTECTED : 0);
	count_mapped(a, 1);
}

/* Out of sight first, for all of them at once; then poisoned. */
static void leave(struct area *a, size_t from, size_t to)
{
	bool any = false;

	for (size_t i = from; i < to; i++)
		any |= a->bits[i] & MAPPED;
	if (!any)
		return;
	for (size_t i = from; i < to; i++)
		if (a->bits[i] & MAPPED)
			a->bits[i] = (a->bits[i] & (LOCKED | PINNED)) | GONE;
	show(a, from, to);
	for (size_t i = from; i < to; i++)
		if (a->bits[i] & GONE) {
			a->bits[i] &= (unsigned char)~GONE;
			memset(view_of(a, i), FAKE_POISON, EM_PAGE_BYTES);
			count_mapped(a, -1);
		}
}

static bool one_in(uint32_t n)
{
	static _Atomic uint32_t calls;

	/* Multiplying spreads the counter: neighbours do not behave alike. */
	return n && (atomic_fetch_add(&calls, 1) * 2654435761u >> 8) % n == 0;
}

static void change_bits(uintptr_t addr, size_t bytes, unsigned char set,
			unsigned char clear)
{
	pthread_mutex_lock(&lock);
	struct area *a = area_of(addr);
	size_t from = index_of(a, addr), to = from + (bytes >> EM_PAGE_SHIFT);
	for (size_t i = from; i < to; i++)
		a->bits[i] = (unsigned char)((a->bits[i] | set) & ~clear);
	show(a, from, to);
	pthread_mutex_unlock(&lock);
}

static unsigned char bits_at(uintptr_t addr, int *prot)
{
	unsigned char bits = 0;

	pthread_mutex_lock(&lock);
	struct area *a = area_of(addr);
	if (a) {
		bits = a->bits[index_of(a, addr)];
		*prot = a->prot[index_of(a, addr)];
	}
	pthread_mutex_unlock(&lock);
	return bits;
}

bool fake_is_mapped(uintptr_t addr)
{
	int prot;

	return bits_at(addr, &prot) & MAPPED;
}

bool fake_is_protected(uintptr_t addr)
{
	int prot;

	return bits_at(addr, &prot) & PROTECTED;
}

void fake_lock_memory(uintptr_t addr, size_t bytes, bool on)
{
	change_bits(addr, bytes, on ? LOCKED : 0, on ? 0 : LOCKED);
}

void fake_pin_memory(uintptr_t addr, size_t bytes, bool on)
{
	change_bits(addr, bytes, on ? PINNED : 0, on ? 0 : PINNED);
}

void fake_share_memory(uintptr_t addr, size_t bytes)
{
	change_bits(addr, bytes, SHARED, 0);
}

/* ---- the program ------------------------------------------------------ */

static __thread sigjmp_buf way_back;
static __thread volatile bool in_program;

/* A thread that faulted and waits; it lies on that thread's stack. */
struct waiter {
	struct em_sys_fault fault;
	bool was_read, is_over, is_killed;
	struct waiter *next;
};

static struct waiter *waiters;
static pthread_mutex_t waiters_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t waiters_change = PTHREAD_COND_INITIALIZER;

static bool must_wait(uintptr_t addr, bool write)
{
	int prot;
	unsigned char bits = bits_at(addr, &prot);

	return !(bits & POISONED) && (!(bits & MAPPED) || (write && bits & PROTECTED));
}

/* Where a waiter is linked, or would be: at the end, since the kernel hands out the oldest. */
static struct waiter **place_of(const struct waiter *w)
{
	struct waiter **at = &waiters;

	while (*at && *at != w)
		at = &(*at)->next;
	return at;
}

/* Thread delivery: sleeps until woken. As in the kernel, the page is looked at
 * once more when it can be seen that somebody waits. */
static void wait_for_server(uintptr_t addr, bool write, bool protection)
{
	struct waiter w = { { addr, write, protection, em_sys_tid() },
			    false, false, false, NULL };

	pthread_mutex_lock(&waiters_lock);
	*place_of(&w) = &w;
	pthread_cond_broadcast(&waiters_change);
	while (!w.is_over && must_wait(addr, write))
		pthread_cond_wait(&waiters_change, &waiters_lock);
	*place_of(&w) = w.next;
	pthread_mutex_unlock(&waiters_lock);
	if (w.is_killed)
		siglongjmp(way_back, FAKE_BUS_ERROR);
}

int em_sys_read_fault(struct em_sys_fault *fault)
{
	struct waiter *w;

	pthread_mutex_lock(&waiters_lock);
	for (;;) {
		for (w = waiters; w && w->was_read; w = w->next)
			;
		if (w)
			break;
		pthread_cond_wait(&waiters_change, &waiters_lock);
	}
	w->was_read = true;
	fake.messages++;
	*fault = w->fault;
	pthread_mutex_unlock(&waiters_lock);
	return 0;
}

static void wake_waiters(uintptr_t addr, size_t bytes, pid_t tid, bool kill)
{
	pthread_mutex_lock(&waiters_lock);
	for (struct waiter *w = waiters; w; w = w->next)
		if (w->fault.addr - addr < bytes && (!tid || w->fault.tid == tid)) {
			w->is_over = true;
			w->is_killed |= kill;
		}
	pthread_cond_broadcast(&waiters_change);
	pthread_mutex_unlock(&waiters_lock);
}

void em_sys_wake_range(uintptr_t addr, size_t bytes)
{
	wake_waiters(addr, bytes, 0, false);
}

void em_sys_raise_sigbus(pid_t tid)
{
	wake_waiters(0, UINTPTR_MAX, tid, true);
}

int em_sys_poison(uintptr_t addr)
{
	if (fake.no_poison)
		return -ENOSYS;
	change_bits(addr, EM_PAGE_BYTES, POISONED, 0);
	return 0;
}

/* A fault of the program, as the library's own handlers answer it. */
static void answer(uintptr_t addr, const ucontext_t *uc)
{
	bool write = em_arch_fault_is_write(uc);
	int prot = PROT_NONE;
	unsigned char bits = bits_at(addr, &prot);

	if (!(prot & (write ? PROT_WRITE : PROT_READ | PROT_WRITE)))
		siglongjmp(way_back, FAKE_SEGV);
	if (bits & SHARED && !(bits & PROTECTED) && write) {
		change_bits(addr & ~EM_PAGE_MASK, EM_PAGE_BYTES, 0, SHARED);
		return;
	}
	if (bits & POISONED)
		siglongjmp(way_back, FAKE_BUS_ERROR);
	if (bits & MAPPED && !(bits & PROTECTED && write))
		return; /* somebody was faster */
	if (fake.by_thread)
		wait_for_server(addr, write, bits & MAPPED);
	else if (em_fault_handle(addr, fake.instruction, write, bits & MAPPED) != EM_FAULT_DONE)
		siglongjmp(way_back, FAKE_BUS_ERROR);
}

static void on_fault(int signal, siginfo_t *info, void *context)
{
	uintptr_t addr = (uintptr_t)info->si_addr;
	ucontext_t *uc = context;

	(void)signal;
	if (in_program) {
		in_program = false;
		answer(addr, uc);
		in_program = true;
		return;
	}
	/* Whoever serves faults must not have one. */
	if (fake.by_thread || !em_arch_copy_fixup(uc))
		die("the library touched a page that is not there", addr);
}

static void catch_faults(void)
{
	struct sigaction sa = { .sa_flags = SA_SIGINFO | SA_NODEFER };

	sa.sa_sigaction = on_fault;
	sigfillset(&sa.sa_mask);
	sigdelset(&sa.sa_mask, SIGSEGV);
	sigaction(SIGSEGV, &sa, NULL);
}

/* No call in between may fault on its own account: words, then bytes. */
static void copy_bytes(volatile unsigned char *to, const volatile unsigned char *from,
		       size_t bytes)
{
	if (((uintptr_t)to | (uintptr_t)from | bytes) % 8 == 0) {
		for (size_t i = 0; i < bytes; i += 8)
			*(volatile uint64_t *)(to + i) =
				*(const volatile uint64_t *)(from + i);
		return;
	}
	for (size_t i = 0; i < bytes; i++)
		to[i] = from[i];
}

static enum fake_access access_memory(void *to, const void *from, size_t bytes)
{
	int how = sigsetjmp(way_back, 1);

	if (how == 0) {
		in_program = true;
		copy_bytes(to, from, bytes);
	}
	in_program = false;
	return (enum fake_access)how;
}

enum fake_access fake_load(uintptr_t addr, void *to, size_t bytes)
{
	return access_memory(to, (const void *)addr, bytes);
}

enum fake_access fake_store(uintptr_t addr, const void *from, size_t bytes)
{
	return access_memory((void *)addr, from, bytes);
}

/* ---- userfaultfd ----------------------------------------------------- */

int em_sys_place_stub(uintptr_t addr)
{
	(void)addr;
	return 0;
}

int em_sys_uffd_open(bool by_thread, struct em_sys_features *features)
{
	if (by_thread && fake.no_privilege)
		return -EPERM;
	fake.by_thread = by_thread;
	*features = (struct em_sys_features){ .move = !fake.no_move, .vector_drop = true };
	syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0);
	catch_faults();
	return 0;
}

/*
 * The window is an area from the start; what lies in it may have been covered
 * by another mapping, which is over now. Other memory becomes an area here.
 */
int em_sys_uffd_register(uintptr_t addr, size_t bytes)
{
	pthread_mutex_lock(&lock);
	struct area *a = area_of(addr);
	if (!a) {
		add_area(addr, bytes, PROT_READ | PROT_WRITE);
	} else if (bytes < a->bytes) {
		size_t from = index_of(a, addr), n = bytes >> EM_PAGE_SHIFT;
		if (mmap((void *)addr, bytes, PROT_NONE, MAP_SHARED | MAP_FIXED |
			 MAP_NORESERVE, a->fd, (off_t)(addr - a->start)) == MAP_FAILED)
			die("cannot register again", addr);
		memset(a->bits + from, 0, n);
		memset(a->prot + from, PROT_NONE, n);
	}
	pthread_mutex_unlock(&lock);
	return 0;
}

/* Reading through a pointer of the library's: a fault there is EFAULT. */
static bool is_readable(uintptr_t addr)
{
	const struct area *a = area_of(addr);

	return !a || visible(a, index_of(a, addr)) != PROT_NONE;
}

long em_sys_copy_in(uintptr_t dst, const void *src, size_t bytes, bool protect)
{
	size_t pages = bytes >> EM_PAGE_SHIFT, n = 0;
	long error = fake.copy_error;

	fake.copies++;
	if (error)
		return error;
	if (dst < fake.border && dst + bytes > fake.border)
		return -ENOENT;
	if (pages > 1 && one_in(fake.short_copies))
		pages /= 2;
	pthread_mutex_lock(&lock);
	struct area *a = area_of(dst);
	for (; n < pages && !error; n += !error) {
		const char *from = (const char *)src + (n << EM_PAGE_SHIFT);
		if (!a)
			error = -ENOENT;
		else if (a->bits[index_of(a, dst) + n] & MAPPED)
			error = -EEXIST;
		else if (!is_readable((uintptr_t)from))
			error = -EFAULT;
		else
			enter(a, index_of(a, dst) + n, from, protect);
	}
	if (n)
		show(a, index_of(a, dst), index_of(a, dst) + n);
	pthread_mutex_unlock(&lock);
	wake_waiters(dst, n << EM_PAGE_SHIFT, 0, false);
	return n ? (long)(n << EM_PAGE_SHIFT) : error;
}

static long move_error(const struct area *to, size_t dst, const struct area *from,
		       size_t src)
{
	if (!to || !from || to->prot[dst] != from->prot[src] ||
	    !(to->prot[dst] & PROT_WRITE) || from->bits[src] & LOCKED)
		return -EINVAL;
	if (!(from->bits[src] & MAPPED))
		return -ENOENT;
	if (to->bits[dst] & MAPPED)
		return -EEXIST;
	return from->bits[src] & (PINNED | SHARED) ? -EBUSY : 0;
}

long em_sys_move(uintptr_t dst, uintptr_t src, size_t bytes)
{
	size_t pages = bytes >> EM_PAGE_SHIFT, n = 0;
	long error = fake.move_error;
	char page[EM_PAGE_BYTES];

	fake.moves++;
	if (fake.no_move)
		return -EINVAL;
	if (pages > 1 && one_in(fake.short_copies))
		pages /= 2;
	pthread_mutex_lock(&lock);
	struct area *to = area_of(dst), *from = area_of(src);
	size_t d = to ? index_of(to, dst) : 0, s = from ? index_of(from, src) : 0;
	for (; n < pages && !error; n += !error) {
		error = move_error(to, d + n, from, s + n);
		if (error)
			break;
		from->bits[s + n] |= PROTECTED; /* nobody changes it meanwhile */
		show(from, s + n, s + n + 1);
		memcpy(page, view_of(from, s + n), EM_PAGE_BYTES);
		leave(from, s + n, s + n + 1);
		enter(to, d + n, page, false);
	}
	if (n)
		show(to, d, d + n);
	pthread_mutex_unlock(&lock);
	return n ? (long)(n << EM_PAGE_SHIFT) : error;
}

int em_sys_write_protect(uintptr_t addr, size_t bytes, bool on)
{
	int ret = 0;

	pthread_mutex_lock(&lock);
	struct area *a = area_of(addr);
	if (a) {
		size_t from = index_of(a, addr), to = from + (bytes >> EM_PAGE_SHIFT);
		for (size_t i = from; i < to; i++) {
			if (!(a->bits[i] & MAPPED))
				continue;
			fake.lifted += !on && a->bits[i] & PROTECTED;
			if (on)
				a->bits[i] |= PROTECTED;
			else
				a->bits[i] &= (unsigned char)~PROTECTED;
		}
		show(a, from, to);
	} else {
		ret = -ENOENT;
	}
	pthread_mutex_unlock(&lock);
	if (!on)
		wake_waiters(addr, bytes, 0, false);
	return ret;
}

static int drop_pages(struct area *a, size_t from, size_t to)
{
	size_t end = from;

	for (; end < to && !(a->bits[end] & LOCKED); end++)
		a->bits[end] &= (unsigned char)~POISONED;
	leave(a, from, end);
	return end < to ? -EINVAL : 0;
}

int em_sys_discard(uintptr_t addr, size_t bytes)
{
	void (*hook)(uintptr_t, size_t) = fake.in_discard;
	int ret = 0;

	pthread_mutex_lock(&lock);
	struct area *a = area_of(addr);
	if (a)
		ret = drop_pages(a, index_of(a, addr),
				 index_of(a, addr) + (bytes >> EM_PAGE_SHIFT));
	pthread_mutex_unlock(&lock);
	if (!a)
		return madvise((void *)addr, bytes, MADV_DONTNEED) < 0 ? -errno : 0;
	if (hook)
		hook(addr, bytes);
	return ret;
}

int em_sys_unlock(uintptr_t addr, size_t bytes)
{
	void (*hook)(uintptr_t, size_t) = fake.in_unlock;

	change_bits(addr, bytes, 0, LOCKED);
	if (hook)
		hook(addr, bytes);
	return 0;
}

int em_sys_lock(uintptr_t addr, size_t bytes)
{
	change_bits(addr, bytes, LOCKED, 0);
	return 0;
}

int em_sys_drop(const struct iovec *runs, size_t count, size_t *done)
{
	fake.drops++;
	for (size_t i = 0; i < count; i++) {
		int ret = em_sys_discard((uintptr_t)runs[i].iov_base, runs[i].iov_len);
		*done = i;
		if (ret < 0)
			return ret;
	}
	*done = count;
	return 0;
}

int em_sys_peek(void *dst, uintptr_t src, size_t bytes)
{
	int ret = -EFAULT;

	pthread_mutex_lock(&lock);
	struct area *a = area_of(src);
	size_t page = a ? index_of(a, src) : 0;
	if (a && a->bits[page] & MAPPED) {
		memcpy(dst, view_of(a, page) + (src & EM_PAGE_MASK), bytes);
		ret = 0;
	}
	pthread_mutex_unlock(&lock);
	return ret;
}

int em_sys_touch(uintptr_t addr)
{
	int ret = -EFAULT;

	pthread_mutex_lock(&lock);
	struct area *a = area_of(addr);
	size_t page = a ? index_of(a, addr) : 0;
	if (a && a->bits[page] & MAPPED && !(a->bits[page] & PROTECTED)) {
		a->bits[page] &= (unsigned char)~SHARED;
		show(a, page, page + 1);
		ret = 0;
	}
	pthread_mutex_unlock(&lock);
	return ret;
}

/* ---- memory ---------------------------------------------------------- */

void *em_sys_alloc(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

void em_sys_dealloc(void *p, size_t bytes)
{
	munmap(p, bytes);
}

void em_sys_populate(const void *p, size_t bytes)
{
	(void)p;
	(void)bytes;
}

void em_sys_prefer_huge(void *p, size_t bytes)
{
	(void)p;
	(void)bytes;
}

void em_sys_inherit(void *p, size_t bytes, bool on)
{
	(void)p;
	(void)bytes;
	(void)on;
}

int em_sys_reserve(uintptr_t addr, size_t bytes)
{
	if (bytes > fake.address_space)
		return -ENOMEM;
	pthread_mutex_lock(&lock);
	add_area(addr, bytes, PROT_NONE);
	pthread_mutex_unlock(&lock);
	return 0;
}

int em_sys_map(uintptr_t addr, size_t bytes, int prot)
{
	return em_sys_reserve(addr, bytes);
}

int em_sys_unmap(uintptr_t addr, size_t bytes)
{
	return em_sys_discard(addr, bytes);
}

uint64_t em_sys_space_bytes(void)
{
	return EM_SPACE_UNBOUND; /* a sparse window is for real kernels */
}

int em_sys_protect(uintptr_t addr, size_t bytes, int prot)
{
	pthread_mutex_lock(&lock);
	struct area *a = area_of(addr);
	if (!a && em_in_window(addr))
		die("protection of memory that is not registered", addr);
	if (!a) {
		pthread_mutex_unlock(&lock);
		return mprotect((void *)addr, bytes, prot) < 0 ? -errno : 0;
	}
	size_t from = index_of(a, addr), n = bytes >> EM_PAGE_SHIFT;
	bool stops = fake.protected_at_most && n > fake.protected_at_most;
	n = stops ? fake.protected_at_most : n;
	memset(a->prot + from, prot, n);
	show(a, from, from + n);
	pthread_mutex_unlock(&lock);
	return stops ? -ENOMEM : 0;
}

/* ---- files, time, threads -------------------------------------------- */

/* Takes one failure out of what was ordered: its error, or 0. */
static int ordered_failure(_Atomic uint32_t *left, int error)
{
	uint32_t n = *left;

	while (n && n != UINT32_MAX && !atomic_compare_exchange_weak(left, &n, n - 1))
		;
	return n ? error : 0;
}

static size_t cut(size_t bytes)
{
	return bytes > 512 && one_in(fake.short_io) ? bytes / 2 & ~511ul : bytes;
}

long em_sys_pread(int fd, void *buf, size_t bytes, uint64_t offset)
{
	int error = ordered_failure(&fake.reads_to_fail, fake.read_error);

	fake.reads++;
	if (one_in(fake.interrupted_io))
		error = -EINTR;
	return error ? error : em_syscall(SYS_pread64, fd, (long)buf, (long)cut(bytes),
					  (long)offset, 0, 0);
}

long em_sys_pwrite(int fd, const void *buf, size_t bytes, uint64_t offset)
{
	int error = ordered_failure(&fake.writes_to_fail, fake.write_error);

	fake.writes++;
	if (one_in(fake.interrupted_io))
		error = -EINTR;
	return error ? error : em_syscall(SYS_pwrite64, fd, (long)buf, (long)cut(bytes),
					  (long)offset, 0, 0);
}

long em_sys_read_path(const char *path, uint64_t offset, char *out, size_t bytes)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : pread(fd, out, bytes, (off_t)offset);
	long ret = n < 0 ? -errno : n;

	if (fd >= 0)
		close(fd);
	return ret;
}

int em_sys_close(int fd)
{
	return close(fd) < 0 ? -errno : 0;
}

int em_sys_raise_fd(int fd) { return fd; }

bool em_sys_owns_fd(int fd)
{
	(void)fd;
	return false;
}

void em_sys_wait(_Atomic uint32_t *word, uint32_t value, uint64_t timeout_ns)
{
	struct timespec ts = { (time_t)(timeout_ns / 1000000000u),
			       (long)(timeout_ns % 1000000000u) };

	em_syscall(SYS_futex, (long)word, FUTEX_WAIT, value,
		   timeout_ns && !fake.patient ? (long)&ts : 0, 0, 0);
}

void em_sys_wake(_Atomic uint32_t *word, int count)
{
	fake.wakes++;
	em_syscall(SYS_futex, (long)word, FUTEX_WAKE, count, 0, 0, 0);
}

void em_sys_membarrier(void)
{
	em_syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0, 0, 0, 0);
}

void em_sys_yield(void)
{
	em_syscall(SYS_sched_yield, 0, 0, 0, 0, 0, 0);
}

void em_sys_forbid_tsc(void) { }

uint64_t em_sys_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

pid_t em_sys_tid(void) { return gettid(); }

void em_sys_name_thread(const char *name)
{
	(void)name;
}

bool em_sys_thread_alive(pid_t tid)
{
	return tgkill(getpid(), tid, 0) == 0;
}

void em_sys_block_signals(sigset_t *old)
{
	sigset_t set;

	sigfillset(&set);
	sigdelset(&set, SIGSEGV);
	sigdelset(&set, SIGBUS);
	pthread_sigmask(SIG_SETMASK, &set, old);
}

void em_sys_restore_signals(const sigset_t *old)
{
	pthread_sigmask(SIG_SETMASK, old, NULL);
}

bool em_sys_keep_spares(void) { return true; }
bool em_sys_spend_spares(void) { return false; }
void em_sys_uffd_close(void) { }

/*
 * A store has its ring only when the test wants it, because transfers through
 * a ring do not pass this seam.
 */
int em_sys_ring_setup(unsigned int entries, void *params)
{
	return fake.has_ring ? (int)em_syscall(SYS_io_uring_setup, entries, (long)params,
					       0, 0, 0, 0) : -ENOSYS;
}
