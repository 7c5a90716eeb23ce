/* SPDX-License-Identifier: MIT
 *
 * recording: reads what `extmem run --trace` left (lib/trace-format.h), whatever is in
 * it. All is checked once when it is opened; then the faults can be visited in
 * order of time, any number of times, without being kept unpacked.
 */
#ifndef CMD_RECORDING_H
#define CMD_RECORDING_H

#include "trace-format.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct cmd_block {
	size_t offset, bytes; /* of the records */
	uint64_t start_ns;
	uint32_t program, tid, count;
};

struct cmd_recording {
	unsigned char *bytes; /* the file */
	size_t size;
	struct em_trace_program *programs; /* one or more; their names are fit to print */
	size_t program_count, program_room;
	struct cmd_block *blocks;          /* in order of program and start */
	size_t block_count, block_room;
	uint64_t faults;
	uint64_t lost;        /* of the last block, which was cut */
	bool cut;             /* the last part is not whole */
};

struct cmd_fault {
	uint64_t time_ns;     /* since the first program's start */
	uint64_t page;        /* of the window of its program */
	uint32_t program, tid;
	enum em_trace_kind kind;
	bool write;
};

/*
 * Makes the path of one that is to be replayed absolute, and sees whether it can be.
 * False with a message.
 */
bool cmd_recording_resolve(char *path, size_t path_bytes, char *err, size_t err_bytes);
/* Whether these first bytes of a file, 8 or more, are a recording's. */
bool cmd_is_recording(const void *head, size_t bytes);
/*
 * Reads from f to its end; name is for messages. False with a message: it cannot be
 * read, or is damaged; in the second case all before the damage is there. Free in either case.
 */
bool cmd_recording_read(struct cmd_recording *r, FILE *f, const char *name, char *err,
			size_t err_bytes);
/* The same from memory, which it takes over: as from malloc. */
bool cmd_recording_parse(struct cmd_recording *r, unsigned char *bytes, size_t size,
			 const char *name, char *err, size_t err_bytes);
/* All faults in order of time, until visit says false. False: so it did, or no memory. */
bool cmd_recording_visit(const struct cmd_recording *r,
			 bool (*visit)(void *arg, const struct cmd_fault *f), void *arg);
void cmd_recording_free(struct cmd_recording *r);

/* "first", "soft" ... */
const char *cmd_fault_kind(enum em_trace_kind kind);

#endif
