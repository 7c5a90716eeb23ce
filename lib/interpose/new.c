/* SPDX-License-Identifier: MIT
 *
 * C++: operator new and delete, over our malloc.
 *
 * Those of libstdc++ call malloc() and free(), which are ours. A program linked
 * with another allocator has that one's, though: libjemalloc.so's new allocates from
 * itself and its delete calls free() by name, so that blocks of one heap were given
 * back to the other. Here both ends are ours, whatever else is loaded.
 *
 * What malloc() cannot give is left to the C++ library: it asks the program's new
 * handler and throws, through the frames of this file.
 */
#include "interpose.h"
#include "log.h"
#include <malloc.h>
#include <stdlib.h>

/* As the C++ ABI names them: m is size_t, the rest std::nothrow_t and std::align_val_t. */
#define NEW "_Znwm"
#define NEW_ARRAY "_Znam"
#define NOTHROW "RKSt9nothrow_t"
#define ALIGNED "St11align_val_t"

/*
 * The C++ library's own operator. It is not the next one of that name: that
 * may be the other allocator's, whose blocks our free() does not know.
 */
static void *cxx_library(const char *symbol)
{
	static const char *const names[] = { "libstdc++.so.6", "libc++abi.so.1", "libc++.so.1" };

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		void *library = dlopen(names[i], RTLD_LAZY | RTLD_NOLOAD);
		void *f = library ? dlsym(library, symbol) : NULL;

		if (f)
			return f;
	}
	em_panic("no memory for operator new, and no C++ library to say so to the program");
}

/* operator NAME(size_t [, const nothrow_t &]) */
#define DEFINE_NEW(name, symbol) \
EM_EXPORT void *name(size_t bytes, const void *nothrow) __asm__(symbol); \
void *name(size_t bytes, const void *nothrow) \
{ \
	void *p = malloc(bytes); \
\
	if (em_likely(p)) \
		return p; \
	return ((__typeof__(&name))cxx_library(symbol))(bytes, nothrow); \
}

/* operator NAME(size_t, align_val_t [, const nothrow_t &]) */
#define DEFINE_ALIGNED_NEW(name, symbol) \
EM_EXPORT void *name(size_t bytes, size_t alignment, const void *nothrow) __asm__(symbol); \
void *name(size_t bytes, size_t alignment, const void *nothrow) \
{ \
	void *p = memalign(alignment, bytes); \
\
	if (em_likely(p)) \
		return p; \
	return ((__typeof__(&name))cxx_library(symbol))(bytes, alignment, nothrow); \
}

DEFINE_NEW(new_, NEW)
DEFINE_NEW(new_nothrow, NEW NOTHROW)
DEFINE_NEW(new_array, NEW_ARRAY)
DEFINE_NEW(new_array_nothrow, NEW_ARRAY NOTHROW)
DEFINE_ALIGNED_NEW(new_aligned, NEW ALIGNED)
DEFINE_ALIGNED_NEW(new_aligned_nothrow, NEW ALIGNED NOTHROW)
DEFINE_ALIGNED_NEW(new_array_aligned, NEW_ARRAY ALIGNED)
DEFINE_ALIGNED_NEW(new_array_aligned_nothrow, NEW_ARRAY ALIGNED NOTHROW)

/* Sizes, alignments and nothrow are behind the block, and free() needs none of them. */
#define DEFINE_DELETE(name, symbol) \
EM_EXPORT void name(void *p) __asm__(symbol); \
void name(void *p) \
{ \
	free(p); \
}

DEFINE_DELETE(delete_, "_ZdlPv")
DEFINE_DELETE(delete_sized, "_ZdlPvm")
DEFINE_DELETE(delete_nothrow, "_ZdlPv" NOTHROW)
DEFINE_DELETE(delete_aligned, "_ZdlPv" ALIGNED)
DEFINE_DELETE(delete_sized_aligned, "_ZdlPvm" ALIGNED)
DEFINE_DELETE(delete_aligned_nothrow, "_ZdlPv" ALIGNED NOTHROW)
DEFINE_DELETE(delete_array, "_ZdaPv")
DEFINE_DELETE(delete_array_sized, "_ZdaPvm")
DEFINE_DELETE(delete_array_nothrow, "_ZdaPv" NOTHROW)
DEFINE_DELETE(delete_array_aligned, "_ZdaPv" ALIGNED)
DEFINE_DELETE(delete_array_sized_aligned, "_ZdaPvm" ALIGNED)
DEFINE_DELETE(delete_array_aligned_nothrow, "_ZdaPv" ALIGNED NOTHROW)
