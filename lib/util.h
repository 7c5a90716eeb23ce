/* SPDX-License-Identifier: MIT
 *
 * util: the few macros and inline helpers that every module may use.
 */
#ifndef EM_UTIL_H
#define EM_UTIL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EM_PAGE_SHIFT 12u
#define EM_PAGE_BYTES 4096ul
#define EM_PAGE_MASK (EM_PAGE_BYTES - 1)

#define em_likely(x) __builtin_expect(!!(x), 1)
#define em_unlikely(x) __builtin_expect(!!(x), 0)
#define EM_ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* Thread-local storage that a signal handler may touch: never allocated late. */
#define EM_TLS static __thread __attribute__((tls_model("initial-exec")))

/* Lies together with its kind, in few pages: each costs after every system call
 * where the kernel's page tables are its own. */
#define EM_HOT __attribute__((hot))

/* Visible to the program that libextmem is loaded into. */
#define EM_EXPORT __attribute__((visibility("default")))

/*
 * Context tags for prototypes. They say, they do not do:
 * EM_HANDLER   may run in the SIGBUS or SIGSYS handler: does not allocate,
 *              takes no lock that interrupted code may hold.
 * EM_BLOCKS    may wait for I/O or for another thread.
 */
#define EM_HANDLER
#define EM_BLOCKS

static inline uint64_t em_min(uint64_t a, uint64_t b) { return a < b ? a : b; }
static inline uint64_t em_max(uint64_t a, uint64_t b) { return a > b ? a : b; }

static inline uint64_t em_clamp(uint64_t v, uint64_t low, uint64_t high)
{
	return em_min(em_max(v, low), high);
}

static inline uint64_t em_round_down(uint64_t v, uint64_t align)
{
	return v & ~(align - 1);
}

static inline uint64_t em_round_up(uint64_t v, uint64_t align)
{
	return (v + align - 1) & ~(align - 1);
}

static inline void em_cpu_relax(void)
{
	__builtin_ia32_pause();
}

/* Starts a thread of the library's own, all signals blocked. 0 or -errno. */
typedef int em_spawn(void (*body)(void));

#endif
