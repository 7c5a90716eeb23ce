/* SPDX-License-Identifier: MIT
 *
 * Any bytes at all to the reader of recorded traces: what it takes it must
 * also be able to visit, in order, and as much of it as it said.
 */
#include "fuzz.h"
#include "recording.h"

#include <stdlib.h>
#include <string.h>

struct seen {
	const struct cmd_recording *r;
	uint64_t count, time_ns;
	uint32_t program;
};

static bool look(void *arg, const struct cmd_fault *f)
{
	struct seen *s = arg;
	const struct em_trace_program *p = &s->r->programs[f->program];

	if (f->program >= s->r->program_count || f->program < s->program ||
	    (f->program == s->program && f->time_ns < s->time_ns) ||
	    f->page >= p->window_bytes / p->page_bytes || !cmd_fault_kind(f->kind))
		abort();
	s->program = f->program;
	s->time_ns = f->time_ns;
	s->count++;
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cmd_recording r;
	struct seen seen = { .r = &r };
	char err[512] = "";
	unsigned char *copy = malloc(size + !size);

	if (!copy)
		return 0;
	memcpy(copy, data, size);
	bool good = cmd_recording_parse(&r, copy, size, "input", err, sizeof(err));
	if (good != !err[0] || !cmd_recording_visit(&r, look, &seen) || seen.count != r.faults)
		abort();
	cmd_recording_free(&r);
	return 0;
}
