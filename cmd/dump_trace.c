/* SPDX-License-Identifier: MIT
 *
 * extmem dump trace: recorded faults as text, for other simulators, or as JSON.
 */
#include "common.h"
#include "dump_trace.h"
#include "recording.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define FAILED 1
#define USAGE 2

struct printer {
	const struct cmd_recording *r;
	uint32_t program; /* the last one that was named, plus one */
};

static const struct em_trace_program *program_of(const struct printer *p,
						 const struct cmd_fault *f)
{
	return &p->r->programs[f->program];
}

static uint64_t address_of(const struct printer *p, const struct cmd_fault *f)
{
	return program_of(p, f)->window_base + f->page * program_of(p, f)->page_bytes;
}

static const char *access_of(const struct cmd_fault *f)
{
	return f->write ? "write" : "read";
}

/* ---- txt ---------------------------------------------------------------- */

static void name_program(const struct em_trace_program *p)
{
	time_t start = (time_t)(p->start_ns / 1000000000u);
	char limit[16], granule[16], when[32] = "";
	struct tm tm;

	if (gmtime_r(&start, &tm))
		strftime(when, sizeof(when), ", %Y-%m-%dT%H:%M:%SZ", &tm);
	printf("# %s, process %u, limit %s, granules of %s, algorithm %s%s\n", p->command, p->pid,
	       cmd_human_bytes(p->limit_bytes, limit),
	       cmd_human_bytes(p->granule_bytes, granule), p->algorithm, when);
}

/* Also those that had no fault. */
static void name_programs(struct printer *p, uint32_t up_to)
{
	while (p->program < up_to)
		name_program(&p->r->programs[p->program++]);
}

static bool print_text(void *arg, const struct cmd_fault *f)
{
	struct printer *p = arg;

	name_programs(p, f->program + 1);
	printf("%6" PRIu64 ".%09" PRIu64 " %7u %-5s %-5s %012" PRIx64 "\n",
	       f->time_ns / 1000000000u, f->time_ns % 1000000000u, f->tid,
	       cmd_fault_kind(f->kind), access_of(f), address_of(p, f));
	return !ferror(stdout);
}

/* ---- csv: pages of each program are apart -------------------------------- */

static uint64_t object_of(const struct printer *p, const struct cmd_fault *f)
{
	uint64_t object = f->page;

	for (uint32_t i = 0; i < f->program; i++)
		object += p->r->programs[i].window_bytes / p->r->programs[i].page_bytes;
	return object;
}

static bool print_csv(void *arg, const struct cmd_fault *f)
{
	printf("%" PRIu64 ",%" PRIu64 ",%u,%s,%s,%u\n", f->time_ns / 1000, object_of(arg, f),
	       program_of(arg, f)->page_bytes, access_of(f), cmd_fault_kind(f->kind), f->tid);
	return !ferror(stdout);
}

/* ---- json ---------------------------------------------------------------- */

static bool print_json(void *arg, const struct cmd_fault *f)
{
	printf("{\"time_ns\": %" PRIu64 ", \"program\": %u, \"thread\": %u, \"kind\": \"%s\", "
	       "\"op\": \"%s\", \"address\": \"0x%" PRIx64 "\", \"page\": %" PRIu64 "}\n",
	       f->time_ns, f->program, f->tid, cmd_fault_kind(f->kind), access_of(f),
	       address_of(arg, f), f->page);
	return !ferror(stdout);
}

/* -------------------------------------------------------------------------- */

static void print(struct printer *p, const char *format)
{
	bool (*visit)(void *arg, const struct cmd_fault *f) = print_text;

	if (!strcmp(format, "csv")) {
		puts("time,obj_id,size,op,kind,thread");
		visit = print_csv;
	} else if (!strcmp(format, "json")) {
		visit = print_json;
	}
	if (!cmd_recording_visit(p->r, visit, p) && !ferror(stdout))
		cmd_die(FAILED, "no memory to put the faults in order");
	if (visit == print_text)
		name_programs(p, (uint32_t)p->r->program_count);
}

static void check_format(const char *format)
{
	if (strcmp(format, "txt") && strcmp(format, "csv") && strcmp(format, "json"))
		cmd_die(USAGE, "--format '%s': expected txt, csv or json", format);
}

void cmd_dump_trace(const char *file, const char *format)
{
	bool is_stdin = !strcmp(file, "-");
	struct cmd_recording r;
	char err[512];
	FILE *f;

	check_format(format);
	f = is_stdin ? stdin : fopen(file, "re");
	if (!f)
		cmd_die(FAILED, "cannot open '%s': %s", file, strerror(errno));
	bool good = cmd_recording_read(&r, f, is_stdin ? "<stdin>" : file, err, sizeof(err));
	if (r.program_count)
		print(&(struct printer){ .r = &r }, format);
	if (!good)
		cmd_die(FAILED, "%s", err);
	if (r.cut)
		cmd_error("warning: '%s' is cut: its last %" PRIu64 " faults or more are missing",
			  file, r.lost);
	cmd_recording_free(&r);
	if (!is_stdin)
		fclose(f);
}
