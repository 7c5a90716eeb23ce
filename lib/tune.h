/* SPDX-License-Identifier: MIT
 *
 * tune: how little memory will do.
 *
 * As senpai does by the kernel's pressure figures (J. Weiner et al., "TMO:
 * Transparent Memory Offloading in Datacenters", ASPLOS 2022): the limit goes down in small
 * steps while the process suffers less than it may, and up again at once, in
 * larger ones, when it suffers more. To suffer is here to fault on a page that was
 * evicted, or to wait for memory. A pure function of what is seen.
 */
#ifndef EM_TUNE_H
#define EM_TUNE_H

#include <stdint.h>

/* What is seen, in pages, and what is asked for. */
struct em_tune_view {
	uint64_t now_ns;
	uint64_t pains;      /* major faults and waits since the start */
	uint64_t target;     /* that many a second are borne */
	uint64_t limit;      /* now */
	uint64_t used;       /* of it: nothing leaves when the limit comes down to this */
	uint64_t least, most;
};

/* What it remembers; zeroed is a beginning. */
struct em_tune {
	uint64_t begun_ns;   /* the window that is looked at */
	uint64_t begun_pains;
	uint64_t rest_ns;    /* no step down before */
};

/* The limit that there should be. To be asked ten times a second. */
uint64_t em_tune_step(struct em_tune *t, const struct em_tune_view *v);

#endif
