/* SPDX-License-Identifier: MIT
 *
 * calls: which arguments of a system call point to memory, how much of it,
 * and whether the kernel reads or writes it. Data only: guard.c acts on it,
 * net.c makes a filter of it, and tests/unit/test_calls.c checks that every
 * call of the architecture is here or has a reason not to be.
 */
#ifndef EM_CALLS_H
#define EM_CALLS_H

#include "util.h"

/* How long the range of an argument is. */
enum em_length {
	EM_LEN_NONE,
	EM_LEN_BYTES,   /* `size` bytes */
	EM_LEN_ARG,     /* as many as argument n says, and `size` more */
	EM_LEN_ARRAY,   /* argument n elements of `size` bytes */
	EM_LEN_STRING,  /* to a NUL, at most PATH_MAX */
	EM_LEN_SOCKLEN, /* as many as the socklen_t that argument n points to says */
	EM_LEN_IOVEC,   /* an array of argument n iovecs, and what they point to */
	EM_LEN_MSGHDR,  /* one msghdr, and what it points to */
	EM_LEN_MMSGHDR, /* an array of argument n mmsghdrs */
	EM_LEN_FDSET,   /* a bit for each of argument n descriptors */
	EM_LEN_SIGARG,  /* pselect6: a pointer to a set and its size, in memory */
	EM_LEN_IOCTL,   /* as argument n, the request, says */
	EM_LEN_FPROG,   /* a sock_fprog, and its instructions */
	EM_LEN_SOCKOPT, /* ARG, and an FPROG if argument 2 names a filter */
	EM_LEN_IOCBS,   /* an array of argument n pointers to iocbs, and their buffers */
	EM_LEN_WAITV,   /* an array of argument n futex_waitvs, and their words */
	EM_LEN_REMOTE,  /* an IOVEC of the process that argument 0 names */
};

struct em_rule {
	uint8_t arg;    /* which argument */
	uint8_t length; /* enum em_length */
	uint8_t n;
	bool out;       /* the kernel writes it */
	uint16_t size;
};

#define EM_RULES_MAX 5

struct em_call {
	uint16_t nr;
	struct em_rule rules[EM_RULES_MAX]; /* none: a memory call */
};

/* Entry i of the table, or NULL after the last. */
const struct em_call *em_call_at(size_t i);
/* The entry of a call, or NULL. EM_HANDLER */
const struct em_call *em_call_find(long nr);
/* Which arguments are pointers, one bit each. */
uint8_t em_call_pointers(const struct em_call *call);

#endif
