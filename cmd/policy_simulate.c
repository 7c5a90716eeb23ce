/* SPDX-License-Identifier: MIT
 *
 * extmem policy simulate: how often each algorithm would have to read, for one
 * trace and several amounts of memory, beside the optimum.
 */
#include "common.h"
#include "policy_simulate.h"
#include "policies/policies.h"
#include "trace.h"

#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FAILED 1
#define USAGE 2
#define LIMITS_MAX 16u
#define ALGORITHMS_MAX 32u
#define PAGES_MAX (1u << 28)
#define REFERENCES_MAX (1ul << 32)
#define OPTIMUM "optimum"

struct arguments {
	const char *trace, *synthetic;
	char *policies, *limits;
	struct cmd_synthesis of;
	bool json, verbose;
};

/* What is simulated, and what came out: misses by algorithm and limit. */
struct table {
	const char *name;
	struct cmd_trace trace;
	const struct extmem_eviction *algorithms[ALGORITHMS_MAX]; /* NULL: the optimum */
	size_t rows;
	uint32_t limits[LIMITS_MAX];
	size_t columns;
	uint64_t misses[ALGORITHMS_MAX][LIMITS_MAX];
};

enum { KEY_PAGES = 256, KEY_REFERENCES, KEY_SEED };

static const struct argp_option options[] = {
	{ "trace", 't', "FILE", 0, "References from a text, a page number a line; - is the standard input", 0 },
	{ "synthetic", 's', "KIND", 0, "Made-up references: zipf[:S], loop, uniform, scan+hot, stride[:N] (zipf:1)", 0 },
	{ "policies", 'p', "NAMES", 0, "Algorithms, with commas between; all by default", 0 },
	{ "limits", 'l', "LIST", 0, "Memory: pages, or percentages of the pages that there are (10%,25%,50%)", 0 },
	{ "pages", KEY_PAGES, "N", 0, "Made up: how many different pages (10000)", 0 },
	{ "references", KEY_REFERENCES, "N", 0, "Made up: how many references (1000000)", 0 },
	{ "seed", KEY_SEED, "N", 0, "Made up: another course of chance (1)", 0 },
	{ "json", 'j', NULL, 0, "Print JSON", 0 },
	{ "verbose", 'v', NULL, 0, "Print how fast each algorithm was, too", 0 },
	{ NULL, 0, NULL, 0, NULL, 0 },
};

static const char doc[] =
	"Shows what share of references would miss, for each algorithm and limit.\v"
	"Every reference is seen by the algorithm, which in a running program holds "
	"only for those that fault; parameters have their defaults. The optimum "
	"(Belady) knows the future: no algorithm can do better.\n"
	"\n"
	"EXAMPLES\n"
	"  extmem policy simulate --synthetic scan+hot --policies lru,s3fifo,mru\n"
	"  awk '{ print $2 }' faults.txt | extmem policy simulate --trace - --limits 1000,2000\n"
	"\n"
	"The exit status is 0, or 1 when a trace cannot be read, or 2 for wrong "
	"usage. See extmem-policy(1).";

static uint64_t whole_number(const char *option, const char *text, uint64_t min, uint64_t max)
{
	char *end;
	unsigned long long n = strtoull(text, &end, 10);

	if (text[0] < '0' || text[0] > '9' || *end || n < min || n > max)
		cmd_die(USAGE, "'%s' is '%s': expected a number from %lu to %lu", option, text,
			min, max);
	return n;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct arguments *args = state->input;

	switch (key) {
	case 't': args->trace = arg; return 0;
	case 's': args->synthetic = arg; return 0;
	case 'p': args->policies = arg; return 0;
	case 'l': args->limits = arg; return 0;
	case KEY_PAGES:
		args->of.pages = (uint32_t)whole_number("--pages", arg, 1, PAGES_MAX);
		return 0;
	case KEY_REFERENCES:
		args->of.references = whole_number("--references", arg, 1, REFERENCES_MAX);
		return 0;
	case KEY_SEED:
		args->of.seed = whole_number("--seed", arg, 0, UINT64_MAX);
		return 0;
	case 'j': args->json = true; return 0;
	case 'v': args->verbose = true; return 0;
	case ARGP_KEY_ARG:
		cmd_die(USAGE, "unexpected '%s': a trace is named by --trace", arg);
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = { .options = options, .parser = parse_option, .doc = doc };

/* ---- what to do ------------------------------------------------------- */

static void get_trace(struct table *t, const struct arguments *args)
{
	char err[512];

	if (args->trace && args->synthetic)
		cmd_die(USAGE, "both --trace and --synthetic: expected one of them");
	t->name = args->trace ? args->trace : args->synthetic ? args->synthetic : "zipf:1";
	if (args->trace ? !cmd_trace_read(&t->trace, args->trace, err, sizeof(err))
			: !cmd_trace_make(&t->trace, t->name, &args->of, err, sizeof(err)))
		cmd_die(args->trace ? FAILED : USAGE, "%s", err);
}

static void choose_algorithms(struct table *t, char *names)
{
	char *rest = names;

	for (size_t i = 0; !names && extmem_evictions[i] && t->rows < ALGORITHMS_MAX - 1; i++)
		t->algorithms[t->rows++] = extmem_evictions[i];
	for (char *name; names && (name = strtok_r(rest, ",", &rest));) {
		if (t->rows == ALGORITHMS_MAX - 1)
			cmd_die(USAGE, "'--policies' names more than %u algorithms",
				ALGORITHMS_MAX - 1);
		t->algorithms[t->rows] = extmem_eviction_find(name);
		if (!t->algorithms[t->rows++])
			cmd_die(USAGE, "unknown algorithm '%s': see extmem-policy(5) for their names",
				name);
	}
	t->algorithms[t->rows++] = NULL;
}

static void choose_limits(struct table *t, char *list)
{
	for (char *word, *rest = list; (word = strtok_r(rest, ",", &rest));) {
		char *end;
		double n = strtod(word, &end);
		bool percent = !strcmp(end, "%");

		if (t->columns == LIMITS_MAX)
			cmd_die(USAGE, "'--limits' has more than %u", LIMITS_MAX);
		if (word[0] < '0' || word[0] > '9' || (*end && !percent) ||
		    (percent ? n > 100 : n < 1 || n > PAGES_MAX))
			cmd_die(USAGE, "'--limits' has '%s': expected pages, or a percentage up to 100%%",
				word);
		n = percent ? n * t->trace.units / 100 : n;
		t->limits[t->columns++] = n < 1 ? 1 : (uint32_t)n;
	}
	if (!t->columns)
		cmd_die(USAGE, "'--limits' is empty: expected pages or percentages");
}

/* ---- what came out ----------------------------------------------------- */

static const char *row_name(const struct table *t, size_t row)
{
	return t->algorithms[row] ? t->algorithms[row]->name : OPTIMUM;
}

static double ratio(const struct table *t, size_t row, size_t column)
{
	return (double)t->misses[row][column] / (double)t->trace.count;
}

static double seconds_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void simulate(struct table *t, bool verbose)
{
	for (size_t row = 0; row < t->rows; row++) {
		double start = seconds_now();

		for (size_t k = 0; k < t->columns; k++) {
			const struct extmem_eviction *ops = t->algorithms[row];
			t->misses[row][k] = ops ? cmd_simulate(ops, &t->trace, t->limits[k])
						: cmd_simulate_optimum(&t->trace, t->limits[k]);
			if (t->misses[row][k] == UINT64_MAX)
				cmd_die(FAILED, "no memory to simulate '%s'", row_name(t, row));
		}
		if (verbose)
			fprintf(stderr, "%-12s %.1f million references a second\n",
				row_name(t, row), (double)(t->trace.count * t->columns) / 1e6 /
				(seconds_now() - start));
	}
}

/* Whether no algorithm but the optimum misses less. */
static bool is_best(const struct table *t, size_t row, size_t column)
{
	for (size_t i = 0; i + 1 < t->rows; i++)
		if (t->misses[i][column] < t->misses[row][column])
			return false;
	return row + 1 < t->rows;
}

static void print_table(const struct table *t)
{
	printf("%s: %zu references to %u pages; misses in percent, * the fewest\n", t->name,
	       t->trace.count, t->trace.units);
	printf("%-12s", "limit");
	for (size_t k = 0; k < t->columns; k++)
		printf(" %9u%s", t->limits[k], k + 1 < t->columns ? " " : "");
	putchar('\n');
	for (size_t row = 0; row < t->rows; row++) {
		printf("%-12s", row_name(t, row));
		for (size_t k = 0; k < t->columns; k++)
			printf(" %9.2f%c", ratio(t, row, k) * 100, is_best(t, row, k) ? '*' : ' ');
		putchar('\n');
	}
}

static void print_json(const struct table *t)
{
	printf("{\"references\": %zu, \"pages\": %u, \"limits_pages\": [", t->trace.count,
	       t->trace.units);
	for (size_t k = 0; k < t->columns; k++)
		printf("%s%u", k ? ", " : "", t->limits[k]);
	printf("],\n \"algorithms\": [\n");
	for (size_t row = 0; row < t->rows; row++) {
		printf("  {\"name\": \"%s\", \"misses\": [", row_name(t, row));
		for (size_t k = 0; k < t->columns; k++)
			printf("%s%lu", k ? ", " : "", t->misses[row][k]);
		printf("], \"miss_ratio\": [");
		for (size_t k = 0; k < t->columns; k++)
			printf("%s%.6f", k ? ", " : "", ratio(t, row, k));
		printf("]}%s\n", row + 1 < t->rows ? "," : "");
	}
	printf("]}\n");
}

int cmd_policy_simulate(int argc, char **argv)
{
	static char name[] = "extmem policy simulate";
	char limits[] = "10%,25%,50%";
	struct arguments args = { .of = { 10000, 1000000, 1 }, .limits = limits };
	struct table t = { .rows = 0 };

	argv[0] = name;
	argp_parse(&argp, argc, argv, 0, NULL, &args);
	choose_algorithms(&t, args.policies);
	get_trace(&t, &args);
	choose_limits(&t, args.limits);
	simulate(&t, args.verbose);
	if (args.json)
		print_json(&t);
	else
		print_table(&t);
	cmd_trace_free(&t.trace);
	return 0;
}
