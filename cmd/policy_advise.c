/* SPDX-License-Identifier: MIT
 *
 * extmem policy advise: which limit and which algorithm a trace speaks for, and
 * why, as comments in front of the YAML that would do it.
 *
 * The limit is the knee of the curve of misses that memory can avoid, each time
 * by the best algorithm: where it lies farthest below the straight line between its ends.
 */
#include "common.h"
#include "config.h"
#include "policy_simulate.h"
#include "trace.h"
#include "util.h"

#include <argp.h>
#include <stdlib.h>
#include <string.h>

#define FAILED 1
#define USAGE 2
#define MIB (1ul << 20)
/* A curve that is nearer to the straight line than this has no knee. */
#define KNEE_MIN 0.1
/* Misses that memory can avoid, of all references, which are not worth any. */
#define WORTH_MIN 0.005

struct arguments {
	const char *trace;
	bool by_page, json;
};

/* What is said of one trace. */
struct advice {
	size_t column;      /* of the limit */
	size_t bend;        /* the same, were there no least limit */
	size_t best, second, standard; /* rows; standard: the default algorithm */
	enum { KNEE, STRAIGHT, NOTHING_TO_AVOID } why;
	uint64_t limit_bytes;
	uint64_t half, twice; /* misses of the best with half the limit, and twice */
};

enum { KEY_UNIT = 256 };

static const struct argp_option options[] = {
	{ "trace", 't', "FILE", 0, "What extmem run --trace recorded, or a text, a page number a line; - is the standard input", 0 },
	{ "unit", KEY_UNIT, "UNIT", 0, "Of a recorded trace: page or granule (granule)", 0 },
	{ "json", 'j', NULL, 0, "Print JSON", 0 },
	{ NULL, 0, NULL, 0, NULL, 0 },
};

static const char doc[] =
	"Says which limit and which algorithm it would choose for a trace, and prints "
	"the policy.\v"
	"EXAMPLES\n"
	"  extmem run --trace faults -- ./app\n"
	"  extmem policy advise --trace faults > app.yaml\n"
	"  extmem run --policy ./app.yaml -- ./app\n"
	"\n"
	"The exit status is 0, or 1 when a trace cannot be read, or 2 for wrong "
	"usage. See extmem-policy(1).";

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct arguments *args = state->input;

	switch (key) {
	case 't': args->trace = arg; return 0;
	case 'j': args->json = true; return 0;
	case KEY_UNIT: args->by_page = cmd_simulation_by_page(arg); return 0;
	case ARGP_KEY_ARG:
		cmd_die(USAGE, "unexpected '%s': a trace is named by --trace", arg);
	case ARGP_KEY_END:
		if (!args->trace)
			cmd_die(USAGE, "no trace: give what 'extmem run --trace FILE' recorded by --trace FILE");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = { .options = options, .parser = parse_option, .doc = doc };

/* ---- what to choose ---------------------------------------------------- */

static void choose_limits(struct cmd_simulation *s)
{
	static const double percents[] = {
		1, 2, 3, 5, 7, 10, 15, 20, 25, 30, 35, 40, 50, 60, 70, 80, 90, 100,
	};

	for (size_t i = 0; i < EM_ARRAY_LEN(percents); i++)
		cmd_simulation_add_percent(s, percents[i]);
}

/* The row with the fewest misses but for the optimum and `but`; among equals, the default one. */
static size_t best_row(const struct cmd_simulation *s, size_t column, size_t but, size_t standard)
{
	size_t best = but == 0 ? 1 : 0;

	for (size_t row = 0; row + 1 < s->rows; row++) {
		uint64_t misses = s->misses[row][column], least = s->misses[best][column];

		if (row != but && (misses < least || (misses == least && row == standard)))
			best = row;
	}
	return best;
}

static uint64_t bytes_of(const struct cmd_simulation *s, size_t column)
{
	return (uint64_t)s->limits[column] * s->trace.unit_bytes;
}

/* Misses that more memory would avoid, by the best algorithm, of all references. */
static double avoidable(const struct cmd_simulation *s, size_t column)
{
	size_t row = best_row(s, column, SIZE_MAX, 0);

	return (double)(s->misses[row][column] - s->trace.units) / (double)s->trace.count;
}

/* How far a point lies below the line between the ends, which are one apart both ways. */
static double depth(const struct cmd_simulation *s, size_t column)
{
	double first = s->limits[0], last = s->limits[s->columns - 1];
	double most = avoidable(s, 0), least = avoidable(s, s->columns - 1);

	return 1 - (s->limits[column] - first) / (last - first) -
	       (avoidable(s, column) - least) / (most - least);
}

static void choose_limit(const struct cmd_simulation *s, struct advice *a)
{
	size_t last = s->columns - 1;

	a->column = 0;
	a->why = NOTHING_TO_AVOID;
	if (avoidable(s, 0) - avoidable(s, last) < WORTH_MIN)
		return;
	for (size_t k = 0; k < s->columns; k++)
		if (depth(s, k) > depth(s, a->column))
			a->column = k;
	a->why = KNEE;
	if (depth(s, a->column) >= KNEE_MIN)
		return;
	a->why = STRAIGHT;
	for (a->column = 0; s->limits[a->column] * 2 < s->trace.units; a->column++)
		;
}

/* To the least that a running program may have. */
static void raise_limit(const struct cmd_simulation *s, struct advice *a)
{
	a->bend = a->column;
	while (a->column + 1 < s->columns && bytes_of(s, a->column) < EM_LIMIT_MIN_BYTES)
		a->column++;
}

static size_t standard_row(const struct cmd_simulation *s)
{
	struct em_config cfg;
	size_t row = 0;

	em_config_init(&cfg);
	while (row + 1 < s->rows && strcmp(cmd_simulation_row(s, row), cfg.algorithm))
		row++;
	return row;
}

static void advise(const struct cmd_simulation *s, struct advice *a)
{
	const struct extmem_eviction *ops;
	uint32_t limit;

	choose_limit(s, a);
	raise_limit(s, a);
	a->standard = standard_row(s);
	a->best = best_row(s, a->column, SIZE_MAX, a->standard);
	a->second = best_row(s, a->column, a->best, a->standard);
	ops = s->algorithms[a->best];
	limit = s->limits[a->column];
	a->half = cmd_simulate(ops, &s->params[a->best], &s->trace, limit / 2 ? limit / 2 : 1);
	a->twice = cmd_simulate(ops, &s->params[a->best], &s->trace,
				 (uint32_t)em_min(2ul * limit, s->trace.units));
	if (a->half >= CMD_SIMULATE_BROKEN || a->twice >= CMD_SIMULATE_BROKEN)
		cmd_die(FAILED, "cannot simulate '%s'", ops->name);
	a->limit_bytes = em_max(em_round_up(bytes_of(s, a->column), MIB), EM_LIMIT_MIN_BYTES);
}

/* ---- saying it ---------------------------------------------------------- */

static double percent(const struct cmd_simulation *s, uint64_t misses)
{
	return (double)misses * 100 / (double)s->trace.count;
}

static double percent_of(const struct cmd_simulation *s, size_t row, size_t column)
{
	return cmd_simulation_ratio(s, row, column) * 100;
}

static void say_limit(const struct cmd_simulation *s, const struct advice *a)
{
	char text[16], bend[16];

	printf("# Limit: %s, %.0f%% of what is touched. ", cmd_human_bytes(bytes_of(s, a->column), text),
	       100.0 * s->limits[a->column] / s->trace.units);
	if (a->why == NOTHING_TO_AVOID)
		puts("Nearly all misses are first touches,\n# which no amount of memory avoids: the least will do.");
	else if (a->why == KNEE && a->bend != a->column)
		printf("The least that a program may have is %s;\n# the curve of misses bends at %s already.\n",
		       cmd_human_bytes(EM_LIMIT_MIN_BYTES, text), cmd_human_bytes(bytes_of(s, a->bend), bend));
	else if (a->why == KNEE)
		puts("There the curve of misses bends:\n# less memory costs much, more of it brings little.");
	else
		puts("No limit stands out: misses fall evenly\n# as memory grows. This is about half of it; take what you can spare.");
	printf("# With half of that %.2f%% of the references would miss, with twice as much %.2f%%;\n"
	       "# %.2f%% are first touches, which always miss.\n", percent(s, a->half),
	       percent(s, a->twice), percent(s, s->trace.units));
}

static void say_algorithm(const struct cmd_simulation *s, const struct advice *a)
{
	size_t k = a->column, optimum = s->rows - 1;

	printf("# Algorithm: %s, with which %.2f%% miss. The optimum, which knows the future, has %.2f%%;\n",
	       cmd_simulation_row(s, a->best), percent_of(s, a->best, k), percent_of(s, optimum, k));
	printf("# the second best, %s, %s%.2f%%", cmd_simulation_row(s, a->second),
	       s->misses[a->second][k] == s->misses[a->best][k] ? "the same " : "",
	       percent_of(s, a->second, k));
	if (a->standard != a->best && a->standard != a->second)
		printf("; the default, %s, %.2f%%", cmd_simulation_row(s, a->standard),
		       percent_of(s, a->standard, k));
	puts(".");
}

static void print_yaml(const struct cmd_simulation *s, const struct advice *a)
{
	struct em_config cfg;

	em_config_init(&cfg);
	printf("limits:\n  memory: %luM\neviction:\n  algorithm: %s\n", a->limit_bytes / MIB,
	       cmd_simulation_row(s, a->best));
	if (s->trace.unit_bytes != cfg.granule_bytes)
		printf("  granule: %uK\n", s->trace.unit_bytes >> 10);
}

/* Comments and all, it is a policy file. The name must stay within its line. */
static void print_text(const struct cmd_simulation *s, const struct advice *a)
{
	char unit[32], bytes[16];

	fputs("# ", stdout);
	for (const char *c = s->name; *c; c++)
		putchar((unsigned char)*c < 0x20 || *c == 0x7f ? '?' : *c);
	printf(": %zu references to %u %s, %s in all.\n", s->trace.count, s->trace.units,
	       cmd_simulation_unit(s, unit),
	       cmd_human_bytes((uint64_t)s->trace.units * s->trace.unit_bytes, bytes));
	say_limit(s, a);
	say_algorithm(s, a);
	print_yaml(s, a);
}

static void print_json(const struct cmd_simulation *s, const struct advice *a)
{
	static const char *const reasons[] = { "knee", "straight", "nothing to avoid" };
	size_t k = a->column;

	printf("{\"references\": %zu, \"units\": %u, \"unit_bytes\": %u, \"limit_units\": %u, "
	       "\"limit_bytes\": %lu, \"reason\": \"%s\",\n \"algorithm\": \"%s\", \"miss_ratio\": %.6f, "
	       "\"optimum_miss_ratio\": %.6f, \"second\": \"%s\", \"second_miss_ratio\": %.6f,\n",
	       s->trace.count, s->trace.units, s->trace.unit_bytes, s->limits[k], a->limit_bytes,
	       reasons[a->why], cmd_simulation_row(s, a->best), cmd_simulation_ratio(s, a->best, k),
	       cmd_simulation_ratio(s, s->rows - 1, k), cmd_simulation_row(s, a->second),
	       cmd_simulation_ratio(s, a->second, k));
	printf(" \"curve\": [");
	for (size_t i = 0; i < s->columns; i++)
		printf("%s[%u, %.6f]", i ? ", " : "", s->limits[i],
		       cmd_simulation_ratio(s, best_row(s, i, SIZE_MAX, a->standard), i));
	puts("]}");
}

int cmd_policy_advise(int argc, char **argv)
{
	static char name[] = "extmem policy advise";
	static struct cmd_simulation s;
	struct arguments args = { .trace = NULL };
	struct advice a;
	char err[512];

	argv[0] = name;
	argp_parse(&argp, argc, argv, 0, NULL, &args);
	s.name = args.trace;
	if (!cmd_trace_read(&s.trace, args.trace, args.by_page, err, sizeof(err)))
		cmd_die(FAILED, "%s", err);
	cmd_simulation_choose(&s, NULL);
	choose_limits(&s);
	cmd_simulation_run(&s, false);
	advise(&s, &a);
	if (args.json)
		print_json(&s, &a);
	else
		print_text(&s, &a);
	cmd_trace_free(&s.trace);
	return 0;
}
