/* SPDX-License-Identifier: MIT
 *
 * extmem stat: what managed processes do, read from the memory that they
 * share. Never stops or slows them.
 */
#include "common.h"
#include "report.h"

#include <argp.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PIDS_MAX 4096
#define JSON_BYTES 16384
#define HEADER_EVERY 20 /* lines */

enum { KEY_INTERVAL = 'i', KEY_COUNT = 'c', KEY_JSON = 'j' };

struct options_given {
	pid_t pids[PIDS_MAX];
	size_t pid_count;
	double interval; /* seconds; 0: once */
	unsigned long count; /* 0: until the processes end */
	bool json;
};

/* ---- options --------------------------------------------------------- */

const char *argp_program_version = "extmem " EM_VERSION;

static const struct argp_option options[] = {
	{ "interval", KEY_INTERVAL, "S", 0,
	  "Print a line every S seconds (0.5 will do), with rates per second, until the process ends; the first line is since its start", 0 },
	{ "count", KEY_COUNT, "N", 0,
	  "Stop after N reports; with no --interval, one a second", 0 },
	{ "json", KEY_JSON, NULL, 0,
	  "One JSON object a line for each process, with the unit in each key", 0 },
	{ NULL, 0, NULL, 0, NULL, 0 },
};

static const char doc[] =
	"Show what managed processes do: all of this user's as a table, or each PID in full.\v"
	"EXAMPLES\n"
	"  extmem stat\n"
	"  extmem stat 4711\n"
	"  extmem stat --interval 1 --count 10 4711\n"
	"  extmem stat --json 4711 | jq .faults.major.p99_ns\n"
	"\n"
	"Exit status: 0, 1 when a process cannot be shown, 2 for wrong usage. "
	"See extmem-stat(1).";

static double parse_interval(const char *text)
{
	char *end;
	double seconds = strtod(text, &end);

	if (end == text || *end || !isfinite(seconds) || seconds < 0.001 || seconds > 1e6)
		cmd_die(2, "--interval '%s': expected seconds, 0.001 or more", text);
	return seconds;
}

static unsigned long parse_count(const char *text)
{
	char *end;

	errno = 0;
	unsigned long count = strtoul(text, &end, 10);
	if (errno || *text < '0' || *text > '9' || *end || !count)
		cmd_die(2, "--count '%s': expected a number, 1 or more", text);
	return count;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct options_given *given = state->input;

	switch (key) {
	case KEY_INTERVAL: given->interval = parse_interval(arg); break;
	case KEY_COUNT: given->count = parse_count(arg); break;
	case KEY_JSON: given->json = true; break;
	case ARGP_KEY_ARG:
		if (given->pid_count == PIDS_MAX)
			argp_error(state, "more than %d processes", PIDS_MAX);
		given->pids[given->pid_count++] = cmd_parse_pid(arg);
		break;
	case ARGP_KEY_END:
		if (given->count && !given->interval)
			given->interval = 1;
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

/* ---- one report ------------------------------------------------------ */

/* Of a process in another PID namespace the segment knows another pid. */
static void print_json(pid_t pid, const struct em_segment *seg,
		       const struct em_report *r)
{
	static struct em_segment copy;
	static char text[JSON_BYTES];

	memcpy(&copy, seg, sizeof(copy));
	copy.pid = (uint32_t)pid;
	if (em_report_json(r, &copy, text, sizeof(text)) < 0)
		cmd_die(1, "the report of process %d is too long", (int)pid);
	fputs(text, stdout);
}

static void print_table_head(void)
{
	printf("%7s %-15s %8s %8s %8s %8s %8s %9s %9s %9s\n", "PID", "COMMAND",
	       "LIMIT", "RESIDENT", "STANDBY", "STORED", "FREE", "FIRST", "SOFT",
	       "MAJOR");
}

static void print_table_row(pid_t pid, const struct em_segment *seg,
			    const struct em_report *r)
{
	char limit[16], resident[16], standby[16], stored[16], left[16];

	printf("%7d %-15.15s %8s %8s %8s %8s %8s %9lu %9lu %9lu\n", (int)pid,
	       seg->command, cmd_human_bytes(r->limit_bytes, limit),
	       cmd_human_bytes(r->resident_bytes, resident),
	       cmd_human_bytes(r->standby_bytes, standby),
	       cmd_human_bytes(r->stored_bytes, stored),
	       cmd_human_bytes(r->free_bytes, left), r->faults[EM_FAULT_FIRST],
	       r->faults[EM_FAULT_SOFT], r->faults[EM_FAULT_MAJOR]);
}

static void print_bytes(const char *what, uint64_t bytes, const char *note)
{
	char text[16];

	printf("  %-22s %10s%s%s\n", what, cmd_human_bytes(bytes, text),
	       *note ? "  " : "", note);
}

static void print_count(const char *what, uint64_t count, const char *note)
{
	printf("  %-22s %10lu%s%s\n", what, count, *note ? "  " : "", note);
}

static void print_faults(const struct em_report *r)
{
	static const char *const names[EM_FAULT_KINDS] = {
		[EM_FAULT_FIRST] = "first touch",
		[EM_FAULT_SOFT] = "soft",
		[EM_FAULT_MAJOR] = "major",
	};
	static const unsigned int marks[] = { 500, 900, 990, 999, 1000 };
	char text[16];

	printf("faults                        count     mean      p50      p90      p99    p99.9      max\n");
	for (unsigned int k = 0; k < EM_FAULT_KINDS; k++) {
		uint64_t n = r->faults[k];

		printf("  %-22s %10lu %8s", names[k], n,
		       n ? cmd_human_ns(r->fault_ns[k] / n, text) : "-");
		for (size_t m = 0; m < sizeof(marks) / sizeof(marks[0]); m++) {
			uint64_t ns = em_report_percentile_ns(r, (enum em_fault_kind)k,
							      marks[m]);

			printf(" %8s", ns ? cmd_human_ns(ns, text) : "-");
		}
		putchar('\n');
	}
	print_count("waited for memory", r->waits, "");
	if (r->quota_waits)
		print_count("waited for a quota", r->quota_waits,
			    cmd_human_ns(r->quota_wait_ns, text));
}

static void print_traffic(const struct em_report *r)
{
	char note[64];

	printf("store\n");
	snprintf(note, sizeof(note), "in %lu reads, %lu pages, %lu of them read ahead",
		 r->reads, r->pages_in, r->pages_readahead);
	print_bytes("read", r->bytes_read, note);
	if (r->pages_prefetched) {
		snprintf(note, sizeof(note), "pages, %lu of them touched so far", r->prefetch_used);
		print_count("guessed", r->pages_prefetched, note);
	}
	snprintf(note, sizeof(note), "in %lu writes, %lu pages", r->writes, r->pages_out);
	print_bytes("written", r->bytes_written, note);
	snprintf(note, sizeof(note), "%lu of them clean, without a write", r->pages_clean);
	print_count("pages evicted", r->pages_evicted, note);
	print_bytes("swap file", r->store_bytes, "");
	if (r->store_errors)
		printf("  %-22s %10lu  pages may be lost; see the program's stderr\n",
		       "errors", r->store_errors);
}

static void print_block(pid_t pid, const struct em_segment *seg,
			const struct em_report *r)
{
	uint64_t up_ns = r->now_ns > seg->start_mono_ns ? r->now_ns - seg->start_mono_ns : 0;
	char text[16], note[64];

	printf("process %d: %s", (int)pid, seg->command);
	if (seg->parent_pid)
		printf(", forked from %u", seg->parent_pid);
	printf("\n  managed for %s by libextmem %s; %lu threads\n",
	       cmd_human_ns(up_ns, text), seg->library, r->threads);
	printf("  algorithm %s, way out %s, tier %s\n", seg->algorithm, seg->way_out,
	       seg->tier);
	printf("  faults delivered by %s, system call net %s\n", seg->delivery,
	       seg->syscall_net);

	printf("memory\n");
	print_bytes("limit", r->limit_bytes, "");
	snprintf(note, sizeof(note), "at most %s so far",
		 cmd_human_bytes(r->peak_resident_bytes, text));
	print_bytes("resident", r->resident_bytes, note);
	print_bytes("  of it clean", r->clean_bytes, "");
	print_bytes("buffers", r->buffer_bytes, "inside the limit");
	print_bytes("standby", r->standby_bytes, "left the program, still in memory");
	print_bytes("stored", r->stored_bytes, "on disk only");
	print_bytes("free below the limit", r->free_bytes, "");
	snprintf(note, sizeof(note), "in %lu regions; %s more reserved", r->regions,
		 cmd_human_bytes(r->reserved_bytes, text));
	print_bytes("mapped", r->mapped_bytes, note);
	print_count("over-limit events", r->over_limit_events, "");
	print_count("unmanaged mappings", r->unmanaged_maps, "left to the kernel");

	print_faults(r);
	print_traffic(r);
	printf("system calls\n");
	print_count("buffers brought in", r->syscall_ranges, "");
	print_count("trapped", r->syscall_traps, "");
}

enum shape { SHAPE_TABLE, SHAPE_BLOCK, SHAPE_JSON };

/*
 * Shows each process once; 1 when one of them could not be shown. `found`: we
 * made the list, and one of it that has ended since is no error.
 */
static int show_once(const pid_t *pids, size_t count, enum shape shape, bool found)
{
	struct em_report r;
	char err[1024];
	int status = 0;
	size_t shown = 0;

	for (size_t i = 0; i < count; i++) {
		const struct em_segment *seg = cmd_segment_open(pids[i], err, sizeof(err));

		if (!seg) {
			if (found && (errno == ESRCH || errno == ENXIO))
				continue;
			cmd_error("%s", err);
			status = 1;
			continue;
		}
		em_report_take(&r, seg);
		if (shape == SHAPE_JSON)
			print_json(pids[i], seg, &r);
		else if (shape == SHAPE_BLOCK)
			print_block(pids[i], seg, &r);
		else
			print_table_row(pids[i], seg, &r);
		if (shape == SHAPE_BLOCK && ++shown < count)
			putchar('\n');
		cmd_segment_close(seg);
	}
	return status;
}

/* ---- every interval -------------------------------------------------- */

/* What a process had counted when it was last looked at. */
struct watched {
	pid_t pid;
	bool ended;
	uint64_t start_ns; /* another one with this pid is another process */
	struct em_report last;
};

static void print_watch_head(void)
{
	printf("    PID resident standby  stored    free   first/s    soft/s   major/s"
	       "   read/s  write/s  waits/s  major-p99\n");
}

static double rate(uint64_t now, uint64_t before, double seconds)
{
	return now > before ? (double)(now - before) / seconds : 0;
}

static const char *bytes_rate(uint64_t now, uint64_t before, double seconds,
			      char out[16])
{
	double r = rate(now, before, seconds);

	/* Of a damaged segment, more than a number of bytes can be. */
	return r < 1e18 ? cmd_human_bytes((uint64_t)r, out) : "-";
}

/* The slow major faults of this interval alone. */
static uint64_t interval_p99_ns(const struct em_report *now, const struct em_report *before)
{
	struct em_report only = { 0 };

	for (unsigned int b = 0; b < EM_HIST_BUCKETS; b++) {
		uint64_t n = now->hist[EM_FAULT_MAJOR][b];
		uint64_t old = before->hist[EM_FAULT_MAJOR][b];

		only.hist[EM_FAULT_MAJOR][b] = n > old ? n - old : 0;
	}
	return em_report_percentile_ns(&only, EM_FAULT_MAJOR, 990);
}

static void print_watch_line(pid_t pid, const struct em_report *now,
			     const struct em_report *before)
{
	char resident[16], standby[16], stored[16], left[16], in[16], out[16], slow[16];
	double s = now->now_ns > before->now_ns ?
		   (double)(now->now_ns - before->now_ns) / 1e9 : 1;
	uint64_t p99_ns = interval_p99_ns(now, before);

	printf("%7d %8s %7s %7s %7s %9.0f %9.0f %9.0f %8s %8s %8.0f %10s\n", (int)pid,
	       cmd_human_bytes(now->resident_bytes, resident),
	       cmd_human_bytes(now->standby_bytes, standby),
	       cmd_human_bytes(now->stored_bytes, stored),
	       cmd_human_bytes(now->free_bytes, left),
	       rate(now->faults[EM_FAULT_FIRST], before->faults[EM_FAULT_FIRST], s),
	       rate(now->faults[EM_FAULT_SOFT], before->faults[EM_FAULT_SOFT], s),
	       rate(now->faults[EM_FAULT_MAJOR], before->faults[EM_FAULT_MAJOR], s),
	       bytes_rate(now->bytes_read, before->bytes_read, s, in),
	       bytes_rate(now->bytes_written, before->bytes_written, s, out),
	       rate(now->waits, before->waits, s),
	       p99_ns ? cmd_human_ns(p99_ns, slow) : "-");
}

/* False when the process is there no more. lines: how many there are by now. */
static bool watch_one(struct watched *w, bool json, unsigned long *lines)
{
	struct em_report now;
	char err[1024];
	const struct em_segment *seg = cmd_segment_open(w->pid, err, sizeof(err));

	if (!seg)
		return false;
	em_report_take(&now, seg);
	if (w->start_ns != seg->start_ns) {
		w->start_ns = seg->start_ns;
		w->last = (struct em_report){ .now_ns = seg->start_mono_ns };
	}
	if (json) {
		print_json(w->pid, seg, &now);
	} else {
		if ((*lines)++ % HEADER_EVERY == 0)
			print_watch_head();
		print_watch_line(w->pid, &now, &w->last);
	}
	w->last = now;
	cmd_segment_close(seg);
	return true;
}

static void sleep_until(struct timespec *at, double seconds)
{
	uint64_t ns = (uint64_t)(seconds * 1e9) + (uint64_t)at->tv_nsec;

	at->tv_sec += (time_t)(ns / 1000000000u);
	at->tv_nsec = (long)(ns % 1000000000u);
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, at, NULL) == EINTR)
		;
}

/* Until all have ended, or count is reached. */
static void watch(const struct options_given *given)
{
	struct watched *list = calloc(given->pid_count, sizeof(*list));
	struct timespec next;
	size_t alive = given->pid_count;
	unsigned long lines = 0;

	if (!list)
		cmd_die(1, "out of memory");
	for (size_t i = 0; i < given->pid_count; i++)
		list[i].pid = given->pids[i];
	clock_gettime(CLOCK_MONOTONIC, &next);
	for (unsigned long turn = 1; ; turn++) {
		for (size_t i = 0; i < given->pid_count; i++) {
			if (list[i].ended ||
			    watch_one(&list[i], given->json, &lines))
				continue;
			list[i].ended = true;
			alive--;
		}
		fflush(stdout);
		if (ferror(stdout) || !alive || turn == given->count)
			break;
		sleep_until(&next, given->interval);
	}
	free(list);
}

/* ---------------------------------------------------------------------- */

/* Before a watch: what is not there at the start is an error, not an end. */
static int check_all(const struct options_given *given)
{
	char err[1024];
	int status = 0;

	for (size_t i = 0; i < given->pid_count; i++) {
		const struct em_segment *seg =
			cmd_segment_open(given->pids[i], err, sizeof(err));

		if (!seg) {
			cmd_error("%s", err);
			status = 1;
			continue;
		}
		cmd_segment_close(seg);
	}
	return status;
}

static int show(struct options_given *given)
{
	bool all = !given->pid_count;

	if (all)
		given->pid_count = cmd_managed_pids(given->pids, PIDS_MAX);
	if (given->interval) {
		if (check_all(given))
			return 1;
		watch(given);
		return 0;
	}
	if (all && !given->json)
		print_table_head();
	return show_once(given->pids, given->pid_count,
			 given->json ? SHAPE_JSON : all ? SHAPE_TABLE : SHAPE_BLOCK,
			 all);
}

int main(int argc, char **argv)
{
	static char name[] = "extmem stat";
	static const struct argp argp = {
		.options = options,
		.parser = parse_option,
		.args_doc = "[PID...]",
		.doc = doc,
	};
	static struct options_given given;

	cmd_init(name);
	argv[0] = name;
	argp_err_exit_status = 2;
	argp_parse(&argp, argc, argv, 0, NULL, &given);
	int status = show(&given);
	if (fflush(stdout) || ferror(stdout))
		cmd_die(1, "cannot write: %s", strerror(errno));
	return status;
}
