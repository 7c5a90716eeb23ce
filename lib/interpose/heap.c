/* SPDX-License-Identifier: MIT
 *
 * The heap: jemalloc, its extents drawn from the window.
 *
 * jemalloc as a mere dependency stands behind libc in the lookup order, so
 * the malloc family is defined here and forwarded. Its bookkeeping lives
 * apart from the blocks and stays unmanaged (em_heap_is_allocator), so that
 * free() does not touch an evicted page.
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
#include <dirent.h>
#include <jemalloc/jemalloc.h>
#include <link.h>
#include <locale.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

/* jemalloc.h declares them with a throw specification of its own. */
#undef malloc
#undef calloc
#undef realloc
#undef free

/* Read by jemalloc when it starts. Freed memory goes back within seconds. */
EM_EXPORT extern const char *malloc_conf;
const char *malloc_conf = "oversize_threshold:0,thp:never,metadata_thp:disabled,"
			  "dirty_decay_ms:3000,muzzy_decay_ms:0";

struct code {
	uintptr_t start, bytes;
};

static struct {
	void *(*malloc)(size_t);
	void *(*calloc)(size_t, size_t);
	void *(*realloc)(void *, size_t);
	void (*free)(void *);
	struct code allocator; /* jemalloc */
	struct code stdio;     /* _IO_file_doallocate */
	struct code linker;    /* ld.so */
	int unmanaged_flags;   /* mallocx: the arena outside */
	bool hooked;
} heap;

EM_TLS unsigned int unmanaged_depth;

void em_heap_unmanaged_begin(void) { unmanaged_depth++; }
void em_heap_unmanaged_end(void) { unmanaged_depth--; }

static inline bool is_in(uintptr_t addr, const struct code *c)
{
	return addr - c->start < c->bytes;
}

bool em_heap_is_allocator(uintptr_t code)
{
	return is_in(code, &heap.allocator);
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
				      EM_SOURCE_HEAP, &at) < 0)
		return NULL;
	return (void *)at;
}

static bool extent_dalloc(extent_hooks_t *hooks, void *addr, size_t size,
			  bool committed, unsigned arena)
{
	(void)hooks;
	(void)committed;
	(void)arena;
	return em_mem_munmap((uintptr_t)addr, size) < 0;
}

static void extent_destroy(extent_hooks_t *hooks, void *addr, size_t size,
			   bool committed, unsigned arena)
{
	extent_dalloc(hooks, addr, size, committed, arena);
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

static void make_unmanaged_arena(void)
{
	unsigned int arena;
	size_t bytes = sizeof(arena);

	if (mallctl("arenas.create", &arena, &bytes, NULL, 0) == 0)
		heap.unmanaged_flags = MALLOCX_ARENA(arena) | MALLOCX_TCACHE_NONE;
}

/* Hooks go to every automatic arena, also those not yet started. */
static void hook_arenas(void)
{
	extent_hooks_t *hooks = &window_hooks, *old;
	unsigned int arenas;
	size_t bytes = sizeof(arenas);
	char name[40];

	if (mallctl("opt.narenas", &arenas, &bytes, NULL, 0))
		return;
	for (unsigned int i = 0; i < arenas; i++) {
		bytes = sizeof(old);
		snprintf(name, sizeof(name), "arena.%u.extent_hooks", i);
		mallctl(name, &old, &bytes, &hooks, sizeof(hooks));
	}
	heap.hooked = true;
}

void em_heap_start(void)
{
	find_code_at((uintptr_t)&mallocx, &heap.allocator);
	if (em_protects(EM_KNOB_LIBC))
		find_code_at(getauxval(AT_BASE), &heap.linker);
	make_unmanaged_arena();
	if (em_core_config()->heap)
		hook_arenas();
}

void em_heap_constructor(void)
{
	void *je = dlopen("libjemalloc.so.2", RTLD_NOLOAD | RTLD_LAZY);
	void *stdio = dlsym(RTLD_DEFAULT, "_IO_file_doallocate");
	const ElfW(Sym) *symbol;
	Dl_info info;

	if (stdio && dladdr1(stdio, &info, (void **)&symbol, RTLD_DL_SYMENT) && symbol)
		heap.stdio = (struct code){ (uintptr_t)stdio, symbol->st_size };
	if (!je)
		return;
	heap.calloc = (void *(*)(size_t, size_t))dlsym(je, "calloc");
	heap.realloc = (void *(*)(void *, size_t))dlsym(je, "realloc");
	heap.free = (void (*)(void *))dlsym(je, "free");
	heap.malloc = (void *(*)(size_t))dlsym(je, "malloc");
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
	void *p = mallocx(bytes ? bytes : 1, flags);

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
		return allocate(bytes, heap.unmanaged_flags);
	if (em_unlikely(!heap.malloc))
		return allocate(bytes, 0);
	p = heap.malloc(bytes);
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
		return allocate(bytes, heap.unmanaged_flags | MALLOCX_ZERO);
	if (em_unlikely(!heap.calloc))
		return allocate(bytes, MALLOCX_ZERO);
	p = heap.calloc(count, size);
	em_reclaim_start_if_due();
	return p;
}

EM_EXPORT void free(void *p)
{
	if (em_likely(heap.free != NULL))
		heap.free(p);
	else if (p)
		dallocx(p, 0);
}

static inline void *reallocate(void *p, size_t bytes, bool outside)
{
	void *q;

	if (!p)
		return outside ? allocate(bytes, heap.unmanaged_flags) : malloc(bytes);
	if (!bytes) {
		free(p);
		return NULL;
	}
	if (em_likely(heap.realloc != NULL && !outside))
		q = heap.realloc(p, bytes);
	else if (!(q = rallocx(p, bytes, outside ? heap.unmanaged_flags : 0)))
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
	return p ? sallocx(p, 0) : 0;
}

EM_EXPORT int malloc_trim(size_t pad)
{
	(void)pad;
	return mallctl("arena.4096.purge", NULL, NULL, NULL, 0) == 0; /* all arenas */
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
