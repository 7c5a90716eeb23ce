/* SPDX-License-Identifier: MIT
 *
 * extmem dump: regions and pages of a managed process, read from the page
 * table that it shares, or from its core dump; or a recorded trace. Never stops or slows it, so what is shown is a
 * moment's view: each page's state is true, neighbours may be a moment apart.
 */
#include "common.h"
#include "dump_trace.h"

#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define PAGE_BYTES 4096u
/* Regions change while mmap runs; a millisecond's pause between tries. */
#define TRIES 200

enum { KEY_CORE = 'c', KEY_REGION = 'r', KEY_JSON = 'j', KEY_FORMAT = 'f' };

static const char *const state_names[EM_PAGE_STATES] = {
	[EM_PAGE_UNTOUCHED] = "untouched",
	[EM_PAGE_LOADING] = "loading",
	[EM_PAGE_RESIDENT] = "resident",
	[EM_PAGE_EVICTING] = "evicting",
	[EM_PAGE_STANDBY] = "standby",
	[EM_PAGE_STORED] = "stored",
	[EM_PAGE_BUSY] = "busy",
	[EM_PAGE_FOREIGN] = "foreign",
	[EM_PAGE_LOST] = "lost",
};

struct options_given {
	const char *what; /* "regions", "pages" or "trace" */
	const char *trace, *format;
	pid_t pid;
	const char *core; /* file, instead of a process */
	bool one_region;
	uint64_t address; /* in the region wanted */
	bool json;
};

/* A private copy of the regions, true at one moment. */
struct regions {
	struct em_region *list;
	size_t count;
};

/* ---- options --------------------------------------------------------- */

const char *argp_program_version = "extmem " EM_VERSION;

static const struct argp_option options[] = {
	{ "core", KEY_CORE, "FILE", 0,
	  "Look into a core dump instead of a process: what was not resident reads as zeros there", 0 },
	{ "region", KEY_REGION, "ADDR", 0,
	  "Only the region that holds this address (0x7f0000001000)", 0 },
	{ "json", KEY_JSON, NULL, 0, "One JSON object a line", 0 },
	{ "format", KEY_FORMAT, "FORMAT", 0,
	  "Of a trace: txt, csv (which other cache simulators read) or json", 0 },
	{ NULL, 0, NULL, 0, NULL, 0 },
};

static const char doc[] =
	"Show the managed regions of a process, the state of each run of pages, or "
	"recorded faults.\v"
	"EXAMPLES\n"
	"  extmem dump regions 4711\n"
	"  extmem dump pages 4711 --region 0x200000400000\n"
	"  extmem dump pages --core core.4711\n"
	"  extmem dump pages 4711 --json | jq 'select(.state == \"stored\")'\n"
	"  extmem dump trace faults --format csv > faults.csv\n"
	"\n"
	"Exit status: 0, 1 when the process cannot be shown, 2 for wrong usage. "
	"See extmem-dump(1).";

static uint64_t parse_address(const char *text)
{
	char *end;

	errno = 0;
	uint64_t address = strtoull(text, &end, 16);
	if (errno || end == text || *end || *text == '-')
		cmd_die(2, "--region '%s': expected an address, as in 0x7f0000001000", text);
	return address;
}

static bool is_trace(const struct options_given *given)
{
	return given->what && !strcmp(given->what, "trace");
}

static void check_trace(struct options_given *given, struct argp_state *state)
{
	if (!given->trace)
		argp_error(state, "no trace given");
	if (given->core || given->one_region)
		argp_error(state, "a trace has no --core and no --region");
	if (!given->format)
		given->format = given->json ? "json" : "txt";
	else if (given->json)
		argp_error(state, "both --json and --format");
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct options_given *given = state->input;

	switch (key) {
	case KEY_REGION:
		given->one_region = true;
		given->address = parse_address(arg);
		break;
	case KEY_CORE:
		given->core = arg;
		break;
	case KEY_FORMAT:
		given->format = arg;
		break;
	case KEY_JSON:
		given->json = true;
		break;
	case ARGP_KEY_ARG:
		if (state->arg_num == 0)
			given->what = arg;
		else if (is_trace(given) && state->arg_num == 1)
			given->trace = arg;
		else if (is_trace(given))
			argp_error(state, "one trace at a time");
		else if (state->arg_num == 1)
			given->pid = cmd_parse_pid(arg);
		else
			argp_error(state, "one process at a time");
		break;
	case ARGP_KEY_END:
		if (is_trace(given)) {
			check_trace(given, state);
			break;
		}
		if (!given->what || (strcmp(given->what, "regions") &&
				     strcmp(given->what, "pages")))
			argp_error(state, "say what: regions, pages or trace");
		if (given->format)
			argp_error(state, "--format is for a trace; regions and pages have --json");
		if (!given->pid && !given->core)
			argp_error(state, "no process given");
		if (given->pid && given->core)
			argp_error(state, "a process or a core dump, not both");
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

/* ---- reading --------------------------------------------------------- */

static void read_or_die(const struct cmd_table *t, uint64_t offset, void *to,
			size_t bytes)
{
	int result = cmd_table_read(t, offset, to, bytes);

	if (result)
		cmd_die(1, "cannot read the page table: %s", strerror(-result));
}

static uint32_t read_seq(const struct cmd_table *t)
{
	uint32_t seq;

	read_or_die(t, offsetof(struct em_table_header, region_seq), &seq, sizeof(seq));
	return seq;
}

/* The owner makes the sequence odd while it changes the list. */
static bool try_regions(const struct cmd_table *t, struct regions *r)
{
	uint32_t count, seq = read_seq(t);

	if (seq & 1)
		return false;
	read_or_die(t, offsetof(struct em_table_header, region_count), &count,
		    sizeof(count));
	if (count > EM_REGIONS_MAX)
		return false;
	read_or_die(t, t->head.regions_off, r->list, count * sizeof(*r->list));
	r->count = count;
	return read_seq(t) == seq;
}

/* Sorted, apart, of whole pages and inside the window: all else relies on it. */
static bool are_sound(const struct cmd_table *t, const struct regions *r)
{
	uint64_t at = t->head.window_base;
	uint64_t end = t->head.window_base + t->head.window_bytes;

	for (size_t i = 0; i < r->count; i++) {
		const struct em_region *region = &r->list[i];

		if (region->start < at || region->end <= region->start ||
		    region->end > end || region->start % PAGE_BYTES ||
		    region->end % PAGE_BYTES)
			return false;
		at = region->end;
	}
	return true;
}

static void read_regions(const struct cmd_table *t, struct regions *r)
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	int tries = 0;

	r->list = calloc(EM_REGIONS_MAX, sizeof(*r->list));
	if (!r->list)
		cmd_die(1, "out of memory");
	while (!try_regions(t, r)) {
		if (++tries == TRIES)
			cmd_die(1, "the list of regions is changing all the time, or damaged; try again");
		nanosleep(&pause, NULL);
	}
	if (!are_sound(t, r))
		cmd_die(1, "the list of regions is damaged");
}

/* Told of each run of pages in equal state, in rising order. */
typedef void (*run_visitor)(void *arg, uint64_t address, uint64_t pages,
			    enum em_page_state state, bool clean);

/* Joins neighbours before they are told. */
struct joiner {
	run_visitor visit;
	void *arg;
	uint64_t start, pages;
	enum em_page_state state;
	bool clean;
};

static void join_flush(struct joiner *j)
{
	if (j->pages)
		j->visit(j->arg, j->start, j->pages, j->state, j->clean);
	j->pages = 0;
}

static void join(struct joiner *j, uint64_t address, uint64_t pages, uint64_t word)
{
	enum em_page_state state = EM_WORD_STATE(word);
	bool clean = state == EM_PAGE_RESIDENT && (word & EM_WORD_CLEAN);

	if (j->pages && (j->state != state || j->clean != clean))
		join_flush(j);
	if (!j->pages) {
		j->start = address;
		j->state = state;
		j->clean = clean;
	}
	j->pages += pages;
}

/* Pages first .. end (numbers in the window) of one block. */
static void walk_block(const struct cmd_table *t, uint64_t first, uint64_t end,
		       struct joiner *j)
{
	uint64_t base = t->head.window_base;
	uint64_t words[EM_BLOCK_PAGES];

	read_or_die(t, t->head.pages_off + first * sizeof(words[0]), words,
		    (size_t)(end - first) * sizeof(words[0]));
	for (uint64_t page = first; page < end; page++)
		join(j, base + page * PAGE_BYTES, 1, words[page - first]);
}

/*
 * Blocks that were never touched have no page words: their word is 0, and
 * reading them would be reading holes, terabytes of them.
 */
static void walk_region(const struct cmd_table *t, const struct em_region *region,
			run_visitor visit, void *arg)
{
	struct joiner j = { .visit = visit, .arg = arg };
	uint64_t base = t->head.window_base;
	uint64_t page = (region->start - base) / PAGE_BYTES;
	uint64_t end = (region->end - base) / PAGE_BYTES;
	uint32_t blocks[1024];
	uint64_t chunk = UINT64_MAX;

	while (page < end) {
		uint64_t block = page / EM_BLOCK_PAGES;
		uint64_t stop = (block + 1) * EM_BLOCK_PAGES;

		if (stop > end)
			stop = end;
		if (block / 1024 != chunk) {
			uint64_t left = (end + EM_BLOCK_PAGES - 1) / EM_BLOCK_PAGES - block;
			size_t n = 1024 - block % 1024;

			chunk = block / 1024;
			read_or_die(t, t->head.blocks_off + block * sizeof(blocks[0]),
				    &blocks[block % 1024],
				    (n < left ? n : (size_t)left) * sizeof(blocks[0]));
		}
		if (blocks[block % 1024])
			walk_block(t, page, stop, &j);
		else
			join(&j, base + page * PAGE_BYTES, stop - page, EM_PAGE_UNTOUCHED);
		page = stop;
	}
	join_flush(&j);
}

/* ---- words ----------------------------------------------------------- */

static const char *source_name(uint32_t source)
{
	switch (source) {
	case EM_SOURCE_MMAP: return "mmap";
	case EM_SOURCE_HEAP: return "heap";
	case EM_SOURCE_FOREIGN: return "foreign";
	default: return "unknown";
	}
}

static const char *state_name(enum em_page_state state)
{
	return state < EM_PAGE_STATES ? state_names[state] : "unknown";
}

static const char *prot_text(uint32_t prot, char out[4])
{
	out[0] = prot & PROT_READ ? 'r' : '-';
	out[1] = prot & PROT_WRITE ? 'w' : '-';
	out[2] = prot & PROT_EXEC ? 'x' : '-';
	out[3] = '\0';
	return out;
}

/* A region's name is the program's: keep to what is fit for terminal and JSON. */
static const char *name_text(const struct em_region *region, char out[33])
{
	size_t n = strnlen(region->name, sizeof(region->name));

	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)region->name[i];

		out[i] = c < 0x20 || c >= 0x7f || c == '"' || c == '\\' ? '?' : (char)c;
	}
	out[n] = '\0';
	return out;
}

/* ---- regions --------------------------------------------------------- */

/* Pages of one region by state; what no version of ours knows comes last. */
struct tally {
	uint64_t pages[EM_PAGE_STATES + 1];
	uint64_t clean;
};

static void count_run(void *arg, uint64_t address, uint64_t pages,
		      enum em_page_state state, bool clean)
{
	struct tally *tally = arg;

	(void)address;
	tally->pages[state < EM_PAGE_STATES ? state : EM_PAGE_STATES] += pages;
	if (clean)
		tally->clean += pages;
}

static void print_region_text(const struct em_region *region, const struct tally *t)
{
	uint64_t all = (region->end - region->start) / PAGE_BYTES;
	uint64_t shown = t->pages[EM_PAGE_RESIDENT] + t->pages[EM_PAGE_STANDBY] +
			 t->pages[EM_PAGE_STORED] + t->pages[EM_PAGE_UNTOUCHED];
	char size[16], prot[4], rule[12] = "-", name[33];

	if (region->rule)
		snprintf(rule, sizeof(rule), "%u", region->rule);
	printf("%012lx-%012lx %8s %s%s %-7s %5u %9lu %9lu %9lu %9lu %7lu %4s  %s\n",
	       region->start, region->end,
	       cmd_human_bytes(region->end - region->start, size),
	       prot_text(region->prot, prot),
	       region->flags & EM_REGION_PINNED ? "p" : "-",
	       source_name(region->source), region->id, t->pages[EM_PAGE_RESIDENT],
	       t->pages[EM_PAGE_STANDBY], t->pages[EM_PAGE_STORED],
	       t->pages[EM_PAGE_UNTOUCHED], all - shown, rule, name_text(region, name));
}

static void print_region_json(const struct em_region *region, const struct tally *t)
{
	char prot[4], name[33];

	printf("{\"start\": \"0x%lx\", \"end\": \"0x%lx\", \"size_bytes\": %lu, \"prot\": \"%s\", \"pinned\": %s, \"source\": \"%s\", \"id\": %u, \"rule\": %u, \"name\": \"%s\"",
	       region->start, region->end, region->end - region->start,
	       prot_text(region->prot, prot),
	       region->flags & EM_REGION_PINNED ? "true" : "false",
	       source_name(region->source), region->id, region->rule,
	       name_text(region, name));
	for (unsigned int s = 0; s <= EM_PAGE_STATES; s++)
		printf(", \"%s_pages\": %lu", state_name((enum em_page_state)s),
		       t->pages[s]);
	printf(", \"clean_pages\": %lu}\n", t->clean);
}

static void dump_region(const struct cmd_table *t, const struct em_region *region,
			bool json)
{
	struct tally tally = { 0 };

	walk_region(t, region, count_run, &tally);
	if (json)
		print_region_json(region, &tally);
	else
		print_region_text(region, &tally);
}

/* ---- pages ----------------------------------------------------------- */

static void print_run_text(void *arg, uint64_t address, uint64_t pages,
			   enum em_page_state state, bool clean)
{
	(void)arg;
	printf("%012lx %9lu %s%s\n", address, pages, state_name(state),
	       clean ? " clean" : "");
}

static void print_run_json(void *arg, uint64_t address, uint64_t pages,
			   enum em_page_state state, bool clean)
{
	(void)arg;
	printf("{\"address\": \"0x%lx\", \"pages\": %lu, \"state\": \"%s\", \"clean\": %s}\n",
	       address, pages, state_name(state), clean ? "true" : "false");
}

/* ---------------------------------------------------------------------- */

static void print_head(const struct options_given *given)
{
	if (given->json)
		return;
	if (!strcmp(given->what, "regions"))
		printf("%-25s %8s %s %-7s %5s %9s %9s %9s %9s %7s %4s  %s\n", "ADDRESSES",
		       "SIZE", "PROT", "SOURCE", "ID", "RESIDENT", "STANDBY", "STORED",
		       "UNTOUCHED", "OTHER", "RULE", "NAME");
	else
		printf("%-12s %9s %s\n", "ADDRESS", "PAGES", "STATE");
}

static void dump(const struct options_given *given, const struct cmd_table *t,
		 const struct regions *r)
{
	bool pages = !strcmp(given->what, "pages");
	size_t shown = 0;

	print_head(given);
	for (size_t i = 0; i < r->count; i++) {
		const struct em_region *region = &r->list[i];

		if (given->one_region && (given->address < region->start ||
					  given->address >= region->end))
			continue;
		shown++;
		if (pages)
			walk_region(t, region, given->json ? print_run_json : print_run_text,
				    NULL);
		else
			dump_region(t, region, given->json);
	}
	if (given->one_region && !shown && given->core)
		cmd_die(1, "no region in '%s' holds the address 0x%lx; 'extmem dump regions --core %s' lists them",
			given->core, given->address, given->core);
	if (given->one_region && !shown)
		cmd_die(1, "no region of process %d holds the address 0x%lx; 'extmem dump regions %d' lists them",
			(int)given->pid, given->address, (int)given->pid);
}

static int finish(void)
{
	if (fflush(stdout) || ferror(stdout))
		cmd_die(1, "cannot write: %s", strerror(errno));
	return 0;
}

int main(int argc, char **argv)
{
	static char name[] = "extmem dump";
	static const struct argp argp = {
		.options = options,
		.parser = parse_option,
		.args_doc = "regions PID\npages PID\nregions --core FILE\npages --core FILE\ntrace FILE",
		.doc = doc,
	};
	struct options_given given = { 0 };
	struct cmd_table table;
	struct regions regions;
	char err[1024];

	cmd_init(name);
	argv[0] = name;
	argp_err_exit_status = 2;
	argp_parse(&argp, argc, argv, 0, NULL, &given);
	if (given.trace) {
		cmd_dump_trace(given.trace, given.format);
		return finish();
	}
	if (given.core ? cmd_table_open_core(&table, given.core, err, sizeof(err))
		       : cmd_table_open(&table, given.pid, err, sizeof(err)))
		cmd_die(1, "%s", err);
	read_regions(&table, &regions);
	dump(&given, &table, &regions);
	free(regions.list);
	cmd_table_close(&table);
	return finish();
}
