/* SPDX-License-Identifier: MIT
 *
 * window: the one range of addresses in which all managed memory lives, and
 * the tables that describe it.
 *
 *   EM_TABLE_BASE   header | regions | blocks | granules | pages | habits   (a memfd)
 *   EM_STUB_BASE    the page with our system call instructions (net.c)
 *   EM_WINDOW_BASE  the window: up to 4 TiB, reserved, registered as a whole
 *
 * All bases are constants, so "is this address ours" is one subtraction and
 * one compare with the window's size, and a page's word is found by arithmetic: no hash, no lock, no
 * load. They lie above the 46 bits that V8 draws its hints from, below the
 * 0x55.. where position-independent programs start and away from the shadow
 * ranges of the sanitizers. The price is that the window is not randomised.
 *
 * Where addresses are rationed (RLIMIT_AS, RLIMIT_DATA, at the start or later;
 * vm.overcommit_memory=2) nothing is reserved: the window is *sparse*. What is mapped in it is mapped
 * when it is asked for, so that the kernel counts what the program has and
 * answers as it would have without us, and window and tables are no larger
 * than the program could fill.
 *
 * The tables are shared memory, so that `extmem dump` reads them without
 * stopping the program; after a fork the child gets a copy of its own
 * (em_window_copy), but for the habits. They cost 8 bytes a page plus 4 a granule,
 * and only for blocks of 2 MiB in which a page was ever touched; 4 more for a page
 * that was ever away.
 */
#ifndef EM_WINDOW_H
#define EM_WINDOW_H

#include "segment.h"
#include "util.h"

#define EM_TABLE_BASE 0x470000000000ul
#define EM_STUB_BASE 0x47fffffff000ul
#define EM_WINDOW_BASE 0x480000000000ul
#define EM_WINDOW_MAX (1ul << 42)
#define EM_WINDOW_MIN (1ul << 36)

/* Layout of the table file for the largest window; sparse. */
#define EM_TABLE_REGIONS 4096ul
#define EM_TABLE_BLOCKS (16ul << 20)
#define EM_TABLE_GRANULES (32ul << 20)
#define EM_TABLE_PAGES (8ul << 30)
#define EM_TABLE_HABITS (16ul << 30)
#define EM_TABLE_BYTES (20ul << 30)

typedef _Atomic uint64_t em_word;

#define em_table ((struct em_table_header *)EM_TABLE_BASE)
#define em_regions ((struct em_region *)(EM_TABLE_BASE + EM_TABLE_REGIONS))
#define em_blocks ((_Atomic uint32_t *)(EM_TABLE_BASE + EM_TABLE_BLOCKS))
#define em_granules ((_Atomic uint32_t *)(EM_TABLE_BASE + EM_TABLE_GRANULES))
#define em_pages ((em_word *)(EM_TABLE_BASE + EM_TABLE_PAGES))
#define em_habits ((_Atomic uint32_t *)(EM_TABLE_BASE + EM_TABLE_HABITS))

/* Bytes of the window in this process; 0 until em_window_init succeeded. */
extern size_t em_window_size __attribute__((visibility("hidden")));
static inline size_t em_window_bytes(void) { return em_window_size; }

/*
 * Reserves and registers the window and makes the tables. granule_pages: a
 * power of two, 1 to 64. Returns 0 or -errno; nothing is left behind then.
 */
int em_window_init(unsigned int granule_pages);
/* Nothing is reserved: addresses without a region are not mapped. */
bool em_window_is_sparse(void);
/*
 * Whether addresses are rationed now while the window is reserved, and is to
 * become sparse. A system call.
 */
bool em_window_is_too_large(void);
/*
 * Makes it sparse: used_bytes are kept, at least, and what lies above goes,
 * with its part of the tables. The caller (region.c) unmaps the gaps below, and
 * holds the MAP lock.
 */
void em_window_make_sparse(size_t used_bytes);
/* Gives [addr, addr + bytes), which is no region's, a mapping. 0 or -errno. */
int em_window_commit(uintptr_t addr, size_t bytes, int prot);

/*
 * Before a fork, while nothing changes: a memory file with a copy of the
 * tables for the child. Its descriptor or -errno.
 */
int em_window_copy(void);
/*
 * In a forked child: makes that copy its tables, and registers the window
 * with the child's userfaultfd. 0 or -errno.
 */
int em_window_forked(int copy);

/*
 * Sees to it that a core dump holds the words of the first `blocks` blocks: in
 * a core the program's pages that were away read as zeros, and `extmem dump
 * --core` tells by the words which ones. EM_HANDLER
 */
void em_window_dump(uint64_t blocks);

/* log2 of the pages of a granule. */
unsigned int em_granule_shift(void);

static inline bool em_in_window(uintptr_t addr)
{
	return addr - EM_WINDOW_BASE < em_window_size;
}

/* Whether any byte of [addr, addr + bytes) lies in the window. */
static inline bool em_touches_window(uintptr_t addr, size_t bytes)
{
	return addr < EM_WINDOW_BASE + em_window_size &&
	       bytes > 0 && addr + bytes - 1 >= EM_WINDOW_BASE;
}

static inline uint64_t em_page_of(uintptr_t addr)
{
	return (addr - EM_WINDOW_BASE) >> EM_PAGE_SHIFT;
}

static inline uintptr_t em_page_addr(uint64_t page)
{
	return EM_WINDOW_BASE + (page << EM_PAGE_SHIFT);
}

static inline uint64_t em_block_of_page(uint64_t page)
{
	return page / EM_BLOCK_PAGES;
}

#endif
