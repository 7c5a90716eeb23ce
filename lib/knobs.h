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
	X(SYSCALL, "syscall") /* calls that the program makes by syscall(2) */ \
	X(WHOLE, "whole") /* what must be one call is not cut */ \
	X(CANCEL, "cancel") /* wrapped calls are cancellation points */ \
	X(NET, "net")      /* calls that libc makes inside itself */ \
	X(SANDBOX, "sandbox") /* filters of the program's spare our own calls */ \
	X(JUDGE, "judge")  /* and judge what we call for the program */ \
	X(MARK, "mark")    /* traps of the program's filters are the program's */ \
	X(MASKS, "masks")  /* SIGBUS and SIGSYS kept out of signal masks */ \
	X(SHOWN, "shown")  /* the program sees its signals, not what stands in for them */ \
	X(FORWARD, "forward") /* signals that are not ours are passed on */ \
	X(SENT, "sent")    /* a SIGBUS that somebody sent is not taken for a fault */ \
	X(RESTART, "restart") /* what they interrupt goes on as the program's action says */ \
	X(TSC, "tsc")      /* time is read without the instruction that may be forbidden */ \
	X(LIBC, "libc")    /* what libc touches with signals blocked stays out */ \
	X(STACKS, "stacks") /* signal frames and thread descriptors stay out */ \
	X(FORK, "fork")    /* a child gets its parent's pages */ \
	X(PINS, "pins")    /* the slots of a child are kept */ \
	X(UNPIN, "unpin")  /* and given back when it is gone */ \
	X(JOIN, "join")    /* those of many children are kept together */ \
	X(CHAIN, "chain")  /* long chains of forks are shortened */ \
	X(ORDER, "fork-order") /* fork takes our locks after all others */ \
	X(SPARES, "spares") /* descriptors are held back for fork */ \
	X(CLONE, "clone")  /* forks by another name */ \
	X(START, "start")  /* what a program is started with is there */ \
	X(ROBUST, "robust") /* a thread that ends lets go of its robust mutexes */ \
	X(LEFT, "left")    /* ranges of calls left by a jump are not kept */ \
	X(RESERVE, "reserve") /* what was never touched costs nothing */ \
	X(LOCK, "lock")    /* locked memory stays, up to a part of the limit */ \
	X(SEAL, "seal")    /* what is sealed is not changed */ \
	X(ADVICE, "advice") /* advice about memory has its native meaning */ \
	X(SPACE, "space")  /* nothing is reserved where addresses are rationed */ \
	X(MEMORY, "memory") /* mappings are changed along with their pages */

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
