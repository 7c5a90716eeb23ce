/* SPDX-License-Identifier: MIT
 *
 * trace: references to units, from a file or made up. A file is what
 * `extmem run --trace` recorded, or a text.
 */
#ifndef CMD_TRACE_H
#define CMD_TRACE_H

#include "simulate.h"
#include <stdbool.h>
#include <stddef.h>

/* What a made-up trace is made of. */
struct cmd_synthesis {
	uint32_t pages;      /* different ones, 1 or more */
	size_t references;   /* 1 or more */
	uint64_t seed;
};

/*
 * Reads a recording, all its threads by time, every fault a reference; by_page:
 * a unit is a page, not a granule. Or a text: a page number a line, decimal or
 * 0x..., alone, as the last field of commas, or as that which a first line
 * calls obj_id; empty lines and what follows # count for nothing. Units are
 * numbered anew from 0, so that far ones take no memory. name: a file, or - for
 * the standard input. False with a message.
 */
bool cmd_trace_read(struct cmd_trace *t, const char *name, bool by_page, char *err,
		    size_t err_bytes);
/*
 * Makes up "zipf:S", "loop", "uniform", "scan+hot" or "stride:N". False
 * with a message.
 */
bool cmd_trace_make(struct cmd_trace *t, const char *spec, const struct cmd_synthesis *of,
		    char *err, size_t err_bytes);
void cmd_trace_free(struct cmd_trace *t);

#endif
