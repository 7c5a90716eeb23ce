/* SPDX-License-Identifier: MIT
 *
 * The heap: jemalloc, its extents drawn from the window.
 *
 * The library has a copy of it inside, under names of its own (jemalloc.c);
 * the malloc family is defined here and forwarded, and so is jemalloc's own
 * interface, because a program may mix the two. Its bookkeeping lives apart
 * from the blocks and stays unmanaged, so that free() does not touch an
 * evicted page.
 *
 * Allocations that libc makes for itself and that it or the kernel touches
 * where no fault can be served are kept out of the window:
 *
 *   stdio's buffers          by the address of the code that allocates them
 *   what ld.so allocates     the same: a thread's vector of TLS blocks is freed
 *                            with all signals blocked, when the thread ends
 *   FILE objects             fork walks them in the child before anybody else
 *                            runs; wrappers raise a flag around the real call
 *   locales                  a new thread reads its locale with all signals
 *                            blocked, before our trampoline; the same flag
 */
#include "interpose.h"
#include "knobs.h"
#include "net_calls.h"
#include "region.h"
#include "sys.h"
#include "window.h"
#include <dirent.h>
#define JEMALLOC_NO_RENAME
#include <jemalloc/jemalloc.h>
#include <link.h>
#include <locale.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

/* Read by jemalloc when it starts. Freed memory goes back within seconds. */
const char *je_malloc_conf = "oversize_threshold:0,thp:never,metadata_thp:disabled,"
			     "dirty_decay_ms:3000,muzzy_decay_ms:0";

/*
 * _IO_file_doallocate() is some 350 bytes long, and behind it there is nothing
 * but more of stdio. To look its end up takes as long as all of libc's symbols.
 */
#define EM_DOALLOCATE_BYTES 512u

void *mallocx(size_t bytes, int flags);
void *rallocx(void *p, size_t bytes, int flags);
size_t xallocx(void *p, size_t bytes, size_t extra, int flags);
size_t sallocx(const void *p, int flags);
void dallocx(void *p, int flags);
void sdallocx(void *p, size_t bytes, int flags);
size_t nallocx(size_t bytes, int flags);
int mallctl(const char *name, void *old, size_t *old_bytes, void *value, size_t bytes);
int mallctlnametomib(const char *name, size_t *mib, size_t *length);
int mallctlbymib(const size_t *mib, size_t length, void *old, size_t *old_bytes,
		 void *value, size_t bytes);
void malloc_stats_print(void (*write)(void *, const char *), void *arg, const char *options);

struct code {
	uintptr_t start, bytes;
};

static struct {
	struct code stdio;     /* _IO_file_doallocate */
	struct code linker;    /* ld.so */
	unsigned int arenas;   /* that threads of the program may come to use */
	_Atomic unsigned int hooked;   /* of these */
	_Atomic unsigned int outside;  /* flags of mallocx for the arena outside; 0: none yet */
} heap;

EM_TLS unsigned int unmanaged_depth;

void em_heap_unmanaged_begin(void) { unmanaged_depth++; }
void em_heap_unmanaged_end(void) { unmanaged_depth--; }

static inline bool is_in(uintptr_t addr, const struct code *c)
{
	return addr - c->start < c->bytes;
}

/* ---- extents --------------------------------------------------------- */

/*
 * jemalloc asks for its own metadata through the same hook, and only then with
 * the alignment of a huge page. That must not be paged: free() and fork walk it.
 */
#define EM_METADATA_ALIGNMENT (2ul << 20)

static void *alloc_metadata(size_t size, size_t alignment)
{
	char *p = em_sys_alloc(size + alignment);
	char *at = (char *)em_round_up((uintptr_t)p, alignment);

	if (!p)
		return NULL;
	if (at > p)
		em_sys_dealloc(p, (size_t)(at - p));
	em_sys_dealloc(at + size, (size_t)(p + alignment - at));
	return at;
}

static void *extent_alloc(extent_hooks_t *hooks, void *new_addr, size_t size,
			  size_t alignment, bool *zero, bool *commit, unsigned arena)
{
	uintptr_t at;

	(void)hooks;
	(void)arena;
	*zero = true;
	*commit = true;
	if (!new_addr && alignment >= EM_METADATA_ALIGNMENT)
		return alloc_metadata(size, alignment);
	if (new_addr || em_region_map(size, alignment, PROT_READ | PROT_WRITE,
				      (struct em_origin){ EM_SOURCE_HEAP, 0 }, &at) < 0)
		return NULL;
	em_mem_is_new(at, size);
	return (void *)at;
}

/*
 * jemalloc asks for ever larger chunks and gives them back in pieces: gaps into
 * which its next chunk does not fit. Where addresses cost nothing, it keeps them and
 * only purges the pieces, or page tables would grow with every chunk.
 */
static bool extent_dalloc(extent_hooks_t *hooks, void *addr, size_t size,
			  bool committed, unsigned arena)
{
	bool keeps = em_in_window((uintptr_t)addr) && !em_window_is_sparse();

	(void)hooks;
	(void)committed;
	(void)arena;
	return keeps || em_mem_munmap((uintptr_t)addr, size) < 0;
}

static void extent_destroy(extent_hooks_t *hooks, void *addr, size_t size,
			   bool committed, unsigned arena)
{
	(void)hooks;
	(void)committed;
	(void)arena;
	em_mem_munmap((uintptr_t)addr, size);
}

/*
 * Where the kernel promises no more than there is (vm.overcommit_memory=2),
 * what jemalloc had mapped before it got these hooks may not be touched yet.
 */
static bool extent_commit(extent_hooks_t *hooks, void *addr, size_t size,
			  size_t offset, size_t length, unsigned arena)
{
	uintptr_t at = (uintptr_t)addr + offset;

	(void)hooks; (void)size; (void)arena;
	return !em_in_window(at) && em_sys_protect(at, length, PROT_READ | PROT_WRITE) < 0;
}

static bool extent_purge(extent_hooks_t *hooks, void *addr, size_t size,
			 size_t offset, size_t length, unsigned arena)
{
	(void)hooks;
	(void)size;
	(void)arena;
	return em_mem_madvise((uintptr_t)addr + offset, length, MADV_DONTNEED) < 0;
}

static bool extent_split(extent_hooks_t *hooks, void *addr, size_t size, size_t a,
			 size_t b, bool committed, unsigned arena)
{
	(void)hooks; (void)addr; (void)size; (void)a; (void)b; (void)committed; (void)arena;
	return false; /* regions are split where needed */
}

static bool extent_merge(extent_hooks_t *hooks, void *a, size_t a_size, void *b,
			 size_t b_size, bool committed, unsigned arena)
{
	(void)hooks; (void)a; (void)a_size; (void)b; (void)b_size; (void)committed; (void)arena;
	return false;
}

static extent_hooks_t window_hooks = {
	.alloc = extent_alloc,
	.dalloc = extent_dalloc,
	.destroy = extent_destroy,
	.commit = extent_commit,
	.purge_forced = extent_purge,
	.split = extent_split,
	.merge = extent_merge,
};

/* ---- start ----------------------------------------------------------- */

struct finding {
	uintptr_t inside;
	struct code *code;
};

/* The executable part of the object that holds an address. */
static int find_code(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct finding *f = arg;
	struct code found = { 0, 0 };
	bool holds = false;

	(void)size;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];
		struct code c = { info->dlpi_addr + p->p_vaddr, p->p_memsz };
		if (p->p_type != PT_LOAD)
			continue;
		holds |= is_in(f->inside, &c);
		if (p->p_flags & PF_X)
			found = c;
	}
	if (holds)
		*f->code = found;
	return holds;
}

static void find_code_at(uintptr_t inside, struct code *code)
{
	struct finding f = { inside, code };

	if (inside)
		dl_iterate_phdr(find_code, &f);
}

/* The arena outside of the window, made when something is first to go there. */
static int outside_flags(void)
{
	unsigned int flags = atomic_load_explicit(&heap.outside, memory_order_acquire);
	unsigned int arena, none = 0;
	size_t bytes = sizeof(arena);

	if (em_likely(flags))
		return (int)flags;
	if (je_mallctl("arenas.create", &arena, &bytes, NULL, 0))
		return 0;
	flags = (unsigned int)(MALLOCX_ARENA(arena) | MALLOCX_TCACHE_NONE);
	/* Should two threads make one each, one of the two stays empty. */
	return (int)(atomic_compare_exchange_strong(&heap.outside, &none, flags) ? flags : none);
}

static void hook_arena(unsigned int i)
{
	extent_hooks_t *hooks = &window_hooks, *old;
	size_t bytes = sizeof(old);
	char name[40];

	snprintf(name, sizeof(name), "arena.%u.extent_hooks", i);
	je_mallctl(name, &old, &bytes, &hooks, sizeof(hooks));
}

/*
 * A thread that allocates for the first time gets the arena with the fewest
 * threads or, rather, the first one that nobody had yet: never more arenas are
 * in use than there were threads.
 */
void em_heap_expect_thread(void)
{
	unsigned int next;

	if (em_likely(atomic_load_explicit(&heap.hooked, memory_order_relaxed) >= heap.arenas))
		return;
	next = atomic_fetch_add(&heap.hooked, 1);
	if (next < heap.arenas)
		hook_arena(next);
}

void em_heap_start(void)
{
	size_t bytes = sizeof(heap.arenas);
	void *stdio = dlsym(RTLD_DEFAULT, "_IO_file_doallocate");

	heap.stdio = (struct code){ (uintptr_t)stdio, stdio ? EM_DOALLOCATE_BYTES : 0 };
	if (em_protects(EM_KNOB_LIBC))
		find_code_at(getauxval(AT_BASE), &heap.linker);
	if (em_core_config()->heap &&
	    je_mallctl("opt.narenas", &heap.arenas, &bytes, NULL, 0) == 0)
		em_heap_expect_thread(); /* this one */
}

/* ---- the malloc family ------------------------------------------------ */

/* Whether this allocation is libc's own business. */
static inline bool stays_outside(const void *caller)
{
	return em_unlikely(is_in((uintptr_t)caller, &heap.stdio) ||
			   is_in((uintptr_t)caller, &heap.linker) || unmanaged_depth);
}

static inline void *allocate(size_t bytes, int flags)
{
	void *p = je_mallocx(bytes ? bytes : 1, flags);

	if (em_unlikely(!p))
		errno = ENOMEM;
	em_reclaim_start_if_due();
	return p;
}

EM_EXPORT void *malloc(size_t bytes)
{
	void *p;

	em_start();
	if (stays_outside(__builtin_return_address(0)))
		return allocate(bytes, outside_flags());
	p = je_malloc(bytes);
	em_reclaim_start_if_due();
	return p;
}

EM_EXPORT void *calloc(size_t count, size_t size)
{
	size_t bytes;
	void *p;

	em_start();
	if (__builtin_mul_overflow(count, size, &bytes)) {
		errno = ENOMEM;
		return NULL;
	}
	if (stays_outside(__builtin_return_address(0)))
		return allocate(bytes, outside_flags() | MALLOCX_ZERO);
	p = je_calloc(count, size);
	em_reclaim_start_if_due();
	return p;
}

EM_EXPORT void free(void *p)
{
	je_free(p);
}

static inline void *reallocate(void *p, size_t bytes, bool outside)
{
	void *q;

	if (!p)
		return outside ? allocate(bytes, outside_flags()) : malloc(bytes);
	if (!bytes) {
		free(p);
		return NULL;
	}
	if (em_likely(!outside))
		q = je_realloc(p, bytes);
	else if (!(q = je_rallocx(p, bytes, outside_flags())))
		errno = ENOMEM;
	em_reclaim_start_if_due();
	return q;
}

EM_EXPORT void *realloc(void *p, size_t bytes)
{
	em_start();
	return reallocate(p, bytes, stays_outside(__builtin_return_address(0)));
}

EM_EXPORT void *reallocarray(void *p, size_t count, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(count, size, &bytes)) {
		errno = ENOMEM;
		return NULL;
	}
	return reallocate(p, bytes, stays_outside(__builtin_return_address(0)));
}

static bool is_power_of_two(size_t v)
{
	return v && !(v & (v - 1));
}

EM_EXPORT int posix_memalign(void **out, size_t alignment, size_t bytes)
{
	int saved = errno;
	void *p;

	em_start();
	if (!is_power_of_two(alignment) || alignment % sizeof(void *))
		return EINVAL;
	p = allocate(bytes, MALLOCX_ALIGN(alignment));
	errno = saved;
	if (!p)
		return ENOMEM;
	*out = p;
	return 0;
}

EM_EXPORT void *aligned_alloc(size_t alignment, size_t bytes)
{
	em_start();
	if (!is_power_of_two(alignment)) {
		errno = EINVAL;
		return NULL;
	}
	return allocate(bytes, MALLOCX_ALIGN(alignment));
}

EM_EXPORT void *memalign(size_t alignment, size_t bytes)
{
	while (!is_power_of_two(alignment)) /* glibc rounds up */
		alignment = alignment ? (alignment | (alignment - 1)) + 1 : 1;
	em_start();
	return allocate(bytes, MALLOCX_ALIGN(alignment));
}

EM_EXPORT void *valloc(size_t bytes)
{
	return memalign(EM_PAGE_BYTES, bytes);
}

EM_EXPORT void *pvalloc(size_t bytes)
{
	return memalign(EM_PAGE_BYTES, em_round_up(bytes, EM_PAGE_BYTES));
}

EM_EXPORT size_t malloc_usable_size(void *p)
{
	return p ? je_sallocx(p, 0) : 0;
}

EM_EXPORT int malloc_trim(size_t pad)
{
	(void)pad;
	return je_mallctl("arena.4096.purge", NULL, NULL, NULL, 0) == 0; /* all arenas */
}

/* ---- jemalloc's own interface ------------------------------------------ */

/* For programs that were built with it: what they get here they give to free(). */
EM_EXPORT void *mallocx(size_t bytes, int flags)
{
	em_start();
	return allocate(bytes, flags);
}

EM_EXPORT void *rallocx(void *p, size_t bytes, int flags)
{
	void *q = je_rallocx(p, bytes, flags);

	em_reclaim_start_if_due();
	return q;
}

EM_EXPORT size_t xallocx(void *p, size_t bytes, size_t extra, int flags)
{
	return je_xallocx(p, bytes, extra, flags);
}

EM_EXPORT size_t sallocx(const void *p, int flags)
{
	return je_sallocx(p, flags);
}

EM_EXPORT void dallocx(void *p, int flags)
{
	je_dallocx(p, flags);
}

EM_EXPORT void sdallocx(void *p, size_t bytes, int flags)
{
	je_sdallocx(p, bytes, flags);
}

EM_EXPORT size_t nallocx(size_t bytes, int flags)
{
	return je_nallocx(bytes, flags);
}

EM_EXPORT int mallctl(const char *name, void *old, size_t *old_bytes, void *value, size_t bytes)
{
	return je_mallctl(name, old, old_bytes, value, bytes);
}

EM_EXPORT int mallctlnametomib(const char *name, size_t *mib, size_t *length)
{
	return je_mallctlnametomib(name, mib, length);
}

EM_EXPORT int mallctlbymib(const size_t *mib, size_t length, void *old, size_t *old_bytes,
			   void *value, size_t bytes)
{
	return je_mallctlbymib(mib, length, old, old_bytes, value, bytes);
}

EM_EXPORT void malloc_stats_print(void (*write)(void *, const char *), void *arg,
				  const char *options)
{
	je_malloc_stats_print(write, arg, options);
}

/* ---- stdio, directories, locales: libc's own objects ------------------- */

#define UNMANAGED(call) \
	({ em_heap_unmanaged_begin(); \
	   __typeof__(call) result_ = (call); \
	   em_heap_unmanaged_end(); \
	   result_; })

EM_EXPORT FILE *fopen(const char *path, const char *mode)
{
	return UNMANAGED(EM_REAL(fopen)(path, mode));
}

EM_EXPORT FILE *fopen64(const char *path, const char *mode)
{
	return UNMANAGED(EM_REAL(fopen64)(path, mode));
}

EM_EXPORT FILE *fdopen(int fd, const char *mode)
{
	return UNMANAGED(EM_REAL(fdopen)(fd, mode));
}

EM_EXPORT FILE *fmemopen(void *buf, size_t bytes, const char *mode)
{
	return UNMANAGED(EM_REAL(fmemopen)(buf, bytes, mode));
}

EM_EXPORT FILE *open_memstream(char **buf, size_t *bytes)
{
	return UNMANAGED(EM_REAL(open_memstream)(buf, bytes));
}

EM_EXPORT FILE *fopencookie(void *cookie, const char *mode,
			    cookie_io_functions_t functions)
{
	return UNMANAGED(EM_REAL(fopencookie)(cookie, mode, functions));
}

EM_EXPORT FILE *tmpfile(void)
{
	return UNMANAGED(EM_REAL(tmpfile)());
}

EM_EXPORT DIR *opendir(const char *path)
{
	return UNMANAGED(EM_REAL(opendir)(path));
}

EM_EXPORT DIR *fdopendir(int fd)
{
	return UNMANAGED(EM_REAL(fdopendir)(fd));
}

/* For what the knob of libc's own objects is about. */
#define OUTSIDE(call) (em_protects(EM_KNOB_LIBC) ? UNMANAGED(call) : (call))

EM_EXPORT char *setlocale(int category, const char *locale)
{
	return OUTSIDE(EM_REAL(setlocale)(category, locale));
}

EM_EXPORT locale_t newlocale(int mask, const char *locale, locale_t base)
{
	return OUTSIDE(EM_REAL(newlocale)(mask, locale, base));
}

EM_EXPORT locale_t duplocale(locale_t locale)
{
	return OUTSIDE(EM_REAL(duplocale)(locale));
}
