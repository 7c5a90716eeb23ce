/* SPDX-License-Identifier: MIT
 *
 * fake_sys: a kernel for the unit tests, behind the seam of lib/sys.h.
 *
 * It does what userfaultfd does, and more strictly, with nothing but memory
 * files and mprotect(2). Registered memory is mapped twice:
 *
 *   the program's view   where it belongs, each page with the protection that
 *                        its state allows: none at all while it is not mapped
 *   the kernel's view    somewhere else, always writable, never seen by lib/
 *
 * So a program's access is a real load or store, an access to a page that is
 * not there is a real fault, and a race between a writer and reclaim is a
 * real race. A page that leaves is poisoned: whoever reads it afterwards
 * notices. The library itself must never touch a page that is not there,
 * outside of em_arch_copy(), and not there either when faults are delivered to
 * a thread: that ends the test.
 *
 * Failures are ordered by setting fields of `fake`, at any time.
 */
#ifndef TESTS_UNIT_FAKE_SYS_H
#define TESTS_UNIT_FAKE_SYS_H

#include "sys.h"

/* A page that was dropped is filled with this byte. */
#define FAKE_POISON 0xdb

struct fake_kernel {
	/* What this kernel is; to be set before the library starts. */
	bool no_move;               /* before Linux 6.8 */
	bool has_ring;              /* io_uring is allowed */
	bool no_privilege;          /* thread delivery is refused */
	bool no_poison;             /* before Linux 6.6 */
	uint64_t address_space;     /* RLIMIT_AS: a larger window is refused */

	/* How it behaves. */
	bool by_thread;             /* which delivery was asked for */
	uintptr_t instruction;      /* what faults are said to be of; 0: not known */
	_Atomic bool patient;       /* waits never time out: a lost wake-up hangs */
	_Atomic uint32_t short_copies; /* one in so many runs is mapped in part */
	_Atomic uint32_t short_io;  /* one in so many transfers is short */
	_Atomic uint32_t interrupted_io; /* one in so many ends with EINTR */
	_Atomic int move_error;     /* -errno of every em_sys_move, or 0 */
	_Atomic int copy_error;     /* -errno of every em_sys_copy_in, or 0 */
	_Atomic int read_error, write_error; /* -errno, while ... */
	_Atomic uint32_t reads_to_fail, writes_to_fail; /* ... these are not 0 */
	/* A protection of more pages than this stops there, out of mappings: 0: never. */
	_Atomic uint32_t protected_at_most;
	_Atomic uintptr_t border;   /* where two of its mappings meet; no copy spans it */
	/* Called in the middle of these calls, no lock of the fake's held. */
	void (*_Atomic in_discard)(uintptr_t addr, size_t bytes);
	void (*_Atomic in_unlock)(uintptr_t addr, size_t bytes);

	/* What happened so far. */
	_Atomic uint64_t reads, writes, copies, moves, drops, wakes;
	_Atomic uint64_t messages; /* read, in thread delivery */
	_Atomic uint64_t mapped, mapped_peak; /* pages of the window */
	long lifted;            /* protections taken off, pages in all */
};

extern struct fake_kernel fake;

/* ---- the program ------------------------------------------------------ */

/* How an access of the program ended. */
enum fake_access { FAKE_FINE, FAKE_BUS_ERROR, FAKE_SEGV };

/* Loads and stores as a program does, faults and all. Any thread. */
enum fake_access fake_load(uintptr_t addr, void *to, size_t bytes);
enum fake_access fake_store(uintptr_t addr, const void *from, size_t bytes);

/* ---- what only a kernel knows ------------------------------------------ */

bool fake_is_mapped(uintptr_t addr);
bool fake_is_protected(uintptr_t addr);
/* mlock(2): the pages cannot be dropped. */
void fake_lock_memory(uintptr_t addr, size_t bytes, bool on);
/* A device works on the pages: they cannot be moved. */
void fake_pin_memory(uintptr_t addr, size_t bytes, bool on);
/* A forked child has them too: they cannot be moved until written to. */
void fake_share_memory(uintptr_t addr, size_t bytes);

#endif
