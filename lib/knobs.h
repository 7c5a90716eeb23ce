/* SPDX-License-Identifier: MIT
 *
 * knobs: the protections of a program that a test may switch off, one by one,
 * to show that it fails without them (tests/rows).
 *
 * Only the library that the tests build for themselves has knobs
 * (-DEM_TEST_KNOBS): EXTMEM_TEST_OFF in the environment names what is off. In
 * the one that is installed em_protects() is the constant true, and the
 * compiler leaves no trace of it.
 */
#ifndef EM_KNOBS_H
#define EM_KNOBS_H

#include "util.h"

/* A protection, and its name in EXTMEM_TEST_OFF. */
#define EM_KNOBS(X) \
	X(CALLS, "calls")  /* buffers of system calls brought in and kept */ \
	X(NET, "net")      /* calls that libc makes inside itself */ \
	X(MASKS, "masks")  /* SIGBUS and SIGSYS kept out of signal masks */ \
	X(LIBC, "libc")    /* what libc touches with signals blocked stays out */ \
	X(STACKS, "stacks") /* signal frames and thread descriptors stay out */

#define EM_KNOB_MEMBER(id, name) EM_KNOB_##id,
enum em_knob { EM_KNOBS(EM_KNOB_MEMBER) EM_KNOB_COUNT };
#undef EM_KNOB_MEMBER

#ifdef EM_TEST_KNOBS
/* Reads EXTMEM_TEST_OFF; an unknown name ends the process. Before all else. */
void em_knobs_init(void);
/* Whether this protection is on. EM_HANDLER */
bool em_protects(enum em_knob knob);
#else
static inline void em_knobs_init(void) { }
static inline bool em_protects(enum em_knob knob) { (void)knob; return true; }
#endif

#endif
