/* SPDX-License-Identifier: MIT */
#include "worker.h"
#include "arch.h"
#include "delivery.h"
#include "sys.h"
#include <errno.h>
#include <link.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define EM_STACK_BYTES (128ul << 10)
/* Above the thread pointer libc keeps what it knows of a thread. */
#define EM_HEAD_BYTES (8ul << 10)
/* Storage that lies further below the thread pointer is not looked at. */
#define EM_TLS_MAX (1ul << 20)
#define EM_WORKERS_MAX 16u

/*
 * The storage that every thread has from its start lies right below its thread
 * pointer, that of one module at the same distance in each thread.
 */
static struct {
	size_t bytes;
	char *image; /* as it is at a thread's start */
} tls;

/*
 * The memory of a worker, upwards: a guard page, the stack, thread-local
 * storage, the head. In a forked child it is free again.
 */
struct memory {
	_Atomic bool used;
	char *base;
};

static struct memory memories[EM_WORKERS_MAX];

EM_TLS bool is_worker;

/* ---- the shape of thread-local storage --------------------------------- */

/* Its distance to the thread pointer; 0 when a module has none like that. */
static size_t distance_of(const struct dl_phdr_info *info, const ElfW(Phdr) **segment)
{
	size_t distance = (size_t)(em_arch_thread_pointer() - (char *)info->dlpi_tls_data);

	for (int i = 0; info->dlpi_tls_data && i < info->dlpi_phnum; i++)
		if (info->dlpi_phdr[i].p_type == PT_TLS) {
			*segment = &info->dlpi_phdr[i];
			return distance <= EM_TLS_MAX ? distance : 0;
		}
	return 0;
}

static int measure(struct dl_phdr_info *info, size_t size, void *arg)
{
	const ElfW(Phdr) *segment;

	(void)size;
	(void)arg;
	tls.bytes = em_max(tls.bytes, distance_of(info, &segment));
	return 0;
}

static int copy_image(struct dl_phdr_info *info, size_t size, void *arg)
{
	const ElfW(Phdr) *segment;
	size_t distance = distance_of(info, &segment);

	(void)size;
	(void)arg;
	if (distance)
		memcpy(tls.image + tls.bytes - distance,
		       (const char *)info->dlpi_addr + segment->p_vaddr, segment->p_filesz);
	return 0;
}

int em_worker_init(void)
{
	dl_iterate_phdr(measure, NULL);
	if (!tls.bytes)
		return -ENOSYS;
	tls.bytes = em_round_up(tls.bytes, EM_PAGE_BYTES);
	tls.image = em_sys_alloc(tls.bytes);
	if (!tls.image)
		return -ENOMEM;
	dl_iterate_phdr(copy_image, NULL);
	return 0;
}

/* ---- starting -------------------------------------------------------- */

static size_t memory_bytes(void)
{
	return EM_PAGE_BYTES + EM_STACK_BYTES + tls.bytes + EM_HEAD_BYTES;
}

static struct memory *take_memory(void)
{
	for (size_t i = 0; i < EM_WORKERS_MAX; i++) {
		struct memory *m = &memories[i];
		if (atomic_exchange(&m->used, true))
			continue;
		if (!m->base && (m->base = em_sys_alloc(memory_bytes())))
			em_sys_protect((uintptr_t)m->base, EM_PAGE_BYTES, PROT_NONE);
		if (m->base)
			return m;
		atomic_store(&m->used, false);
		return NULL;
	}
	return NULL;
}

/* Where the body is noted for entry(): at the end of the head. */
static void (**body_of(char *thread_pointer))(void)
{
	return (void (**)(void))(thread_pointer + EM_HEAD_BYTES) - 1;
}

static void entry(void)
{
	is_worker = true;
	(*body_of(em_arch_thread_pointer()))();
	em_syscall(SYS_exit, 0, 0, 0, 0, 0, 0);
}

/*
 * The new thread comes out of the system call and returns, from the function
 * that made it, on a stack on which nothing lies but where to.
 */
static long clone_to(char *stack_end, char *thread_pointer)
{
	uintptr_t *top = (uintptr_t *)stack_end - 2 - EM_ARCH_SYSCALL_SAVED;

	top[EM_ARCH_SYSCALL_SAVED] = (uintptr_t)entry;
	top[EM_ARCH_SYSCALL_SAVED + 1] = 0; /* nobody called it */
	return em_syscall(SYS_clone, CLONE_VM | CLONE_FILES | CLONE_SIGHAND |
			  CLONE_THREAD | CLONE_SYSVSEM | CLONE_SETTLS,
			  (long)top, 0, 0, (long)thread_pointer, 0);
}

int em_worker_start(void (*body)(void))
{
	struct memory *m = tls.bytes ? take_memory() : NULL;
	const uint64_t all = ~0ull;
	sigset_t old;
	long ret;

	if (!m)
		return -ENOMEM;
	char *storage = m->base + EM_PAGE_BYTES + EM_STACK_BYTES;
	char *thread_pointer = storage + tls.bytes;
	memcpy(storage, tls.image, tls.bytes);
	memset(thread_pointer, 0, EM_HEAD_BYTES);
	em_arch_make_head(thread_pointer);
	*body_of(thread_pointer) = body;
	em_sys_block_signals(&old); /* inherited: the program's signals pass it by */
	if (em_delivery_by_thread()) /* these are the program's, too */
		em_syscall(SYS_rt_sigprocmask, SIG_BLOCK, (long)&all, 0, sizeof(all), 0, 0);
	ret = clone_to(storage, thread_pointer);
	em_sys_restore_signals(&old);
	if (ret < 0)
		atomic_store(&m->used, false);
	return ret < 0 ? (int)ret : 0;
}

bool em_worker_is_self(void)
{
	return is_worker;
}

unsigned int em_worker_count(void)
{
	unsigned int n = 0;

	for (size_t i = 0; i < EM_WORKERS_MAX; i++)
		n += atomic_load(&memories[i].used);
	return n;
}

void em_worker_forked(void)
{
	for (size_t i = 0; i < EM_WORKERS_MAX; i++)
		atomic_store(&memories[i].used, false);
}
