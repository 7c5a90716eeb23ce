/* SPDX-License-Identifier: MIT
 *
 * extmem policy simulate: how often each algorithm would have to read, for one
 * trace and several amounts of memory, beside the optimum.
 */
#include "common.h"
#include "judge.h"
#include "policy_simulate.h"
#include "policies/policies.h"
#include "trace.h"
#include "util.h"

#include <argp.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define FAILED 1
#define USAGE 2
#define PAGES_MAX (1u << 28)
#define PAGE_BYTES 4096u
#define CHART_LIMITS 20u
#define REFERENCES_MAX (1ul << 32)
#define OPTIMUM "optimum"

struct arguments {
	const char *trace, *synthetic, *svg;
	char *policies, *limits;
	struct cmd_synthesis of;
	bool by_page, json, verbose;
};

enum { KEY_PAGES = 256, KEY_REFERENCES, KEY_SEED, KEY_UNIT, KEY_SVG };

static const struct argp_option options[] = {
	{ "trace", 't', "FILE", 0, "References from what extmem run --trace recorded, or from a text, a page number a line; - is the standard input", 0 },
	{ "unit", KEY_UNIT, "UNIT", 0, "Of a recorded trace: page, or granule, which is what algorithms count in a running program (granule)", 0 },
	{ "synthetic", 's', "KIND", 0, "Made-up references: zipf[:S], loop, uniform, scan+hot, stride[:N] (zipf:1)", 0 },
	{ "policies", 'p', "NAMES", 0, "Algorithms, with commas between, perhaps with parameters: lru:active=70,2q:in=30:out=60. A name with a slash is a plug-in. All built-in ones by default", 0 },
	{ "limits", 'l', "LIST", 0, "Memory: units of the trace, sizes such as 64M, or percentages of all that it touches (10%,25%,50%)", 0 },
	{ "svg", KEY_SVG, "FILE", 0, "Draw the miss ratios over 20 limits, too", 0 },
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
	"only for those that fault. The optimum "
	"(Belady) knows the future: no algorithm can do better.\n"
	"\n"
	"EXAMPLES\n"
	"  extmem policy simulate --synthetic scan+hot --policies lru,s3fifo,mru\n"
	"  extmem policy simulate --trace faults --limits 64M,128M --svg curves.svg\n"
	"  extmem policy simulate --trace faults --policies lru,./mine.so,./mine.so:protect=60\n"
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
	case KEY_UNIT: args->by_page = cmd_simulation_by_page(arg); return 0;
	case KEY_SVG: args->svg = arg; return 0;
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

static void get_trace(struct cmd_simulation *t, const struct arguments *args)
{
	char err[512];

	if (args->trace && args->synthetic)
		cmd_die(USAGE, "both --trace and --synthetic: expected one of them");
	t->name = args->trace ? args->trace : args->synthetic ? args->synthetic : "zipf:1";
	if (args->trace ? !cmd_trace_read(&t->trace, args->trace, args->by_page, err,
					 sizeof(err))
			: !cmd_trace_make(&t->trace, t->name, &args->of, err, sizeof(err)))
		cmd_die(args->trace ? FAILED : USAGE, "%s", err);
}

static void load_plugin(const char *name, char path[EM_CONFIG_PATH_MAX])
{
	char why[768];

	if ((size_t)snprintf(path, EM_CONFIG_PATH_MAX, "%s", name) >= EM_CONFIG_PATH_MAX)
		cmd_die(FAILED, "the plug-in's path is longer than %d bytes",
			EM_CONFIG_PATH_MAX - 1);
	if (cmd_plugin_load(false, path, why, sizeof(why)))
		cmd_die(FAILED, "cannot use the plug-in '%s': %s", name, why);
}

/* By its name, or where there is a slash in it, a plug-in's by its path. */
static const struct extmem_eviction *find_algorithm(const char *name, struct em_config *cfg)
{
	const struct extmem_eviction *ops;

	if (strchr(name, '/'))
		load_plugin(name, cfg->algorithm);
	else
		snprintf(cfg->algorithm, sizeof(cfg->algorithm), "%s", name);
	ops = extmem_eviction_find(cfg->algorithm);
	if (!ops && !access(name, F_OK))
		cmd_die(USAGE, "unknown algorithm '%s': write ./%s for a plug-in", name, name);
	if (!ops)
		cmd_die(USAGE, "unknown algorithm '%s': see extmem-policy(5) for their names",
			name);
	return ops;
}

/* "active=70", with colons between several. */
static void set_params(struct em_config *cfg, const char *name, const char *settings)
{
	char *words = strdup(settings), why[768];

	for (char *colon = words; colon && (colon = strchr(colon, ':'));)
		*colon = ' ';
	if (!words || !*words)
		cmd_die(USAGE, "'--policies' has nothing after '%s:': expected NAME=NUMBER", name);
	if (em_config_set(cfg, "eviction.params", words, why, sizeof(why)) ||
	    em_config_check(cfg, why, sizeof(why)))
		cmd_die(USAGE, "'--policies' has '%s:%s': %s", name, settings, why);
	free(words);
}

static void add_row(struct cmd_simulation *t, const struct extmem_eviction *ops,
		    const char *settings)
{
	const char *name = ops ? ops->name : OPTIMUM;

	if (asprintf(&t->labels[t->rows], settings ? "%s:%s" : "%s", name, settings) < 0)
		cmd_die(FAILED, "out of memory");
	t->algorithms[t->rows++] = ops;
}

/* An algorithm, perhaps with settings behind a colon, which a folder may have, too. */
static void add_word(struct cmd_simulation *t, char *word)
{
	static struct em_config cfg;
	char *slash = strrchr(word, '/'), *settings = strchr(slash ? slash : word, ':');
	const struct extmem_eviction *ops;

	if (settings)
		*settings++ = '\0';
	em_config_init(&cfg);
	ops = find_algorithm(word, &cfg);
	if (settings)
		set_params(&cfg, word, settings);
	t->params[t->rows] = cfg.params;
	add_row(t, ops, settings);
}

void cmd_simulation_choose(struct cmd_simulation *t, char *names)
{
	char *rest = names;

	for (size_t i = 0; !names && extmem_evictions[i] && t->rows < CMD_ALGORITHMS_MAX - 1; i++)
		add_row(t, extmem_evictions[i], NULL);
	for (char *name; names && (name = strtok_r(rest, ",", &rest));) {
		if (t->rows == CMD_ALGORITHMS_MAX - 1)
			cmd_die(USAGE, "'--policies' names more than %u algorithms",
				CMD_ALGORITHMS_MAX - 1);
		add_word(t, name);
	}
	add_row(t, NULL, NULL);
}

void cmd_simulation_add_percent(struct cmd_simulation *t, double percent)
{
	uint32_t n = (uint32_t)em_max((uint64_t)(percent * t->trace.units / 100), 1);

	if (!t->columns || t->limits[t->columns - 1] != n)
		t->limits[t->columns++] = n;
}

/* Units of memory; 0 for what is no amount. */
static double parse_limit(const char *word, const struct cmd_trace *trace)
{
	static const char letters[] = "KMGT";
	char *end;
	double n = strtod(word, &end);
	const char *letter = *end ? strchr(letters, *end) : NULL;

	if (word[0] < '0' || word[0] > '9' || (*end && end[1]))
		return 0;
	if (letter) /* a part of a unit is none */
		return n * (double)(1ull << 10 * (letter - letters + 1)) / trace->unit_bytes;
	if (*end == '%')
		return n > 100 ? 0 : fmax(n * trace->units / 100, 1);
	return *end ? 0 : n;
}

static void choose_limits(struct cmd_simulation *t, char *list)
{
	for (char *word, *rest = list; (word = strtok_r(rest, ",", &rest));) {
		double n = parse_limit(word, &t->trace);

		if (t->columns == CMD_LIMITS_MAX)
			cmd_die(USAGE, "'--limits' has more than %u", CMD_LIMITS_MAX);
		if (!(n >= 1 && n <= PAGES_MAX))
			cmd_die(USAGE, "'--limits' has '%s': expected units of the trace, a size such as 64M, or a percentage up to 100%%",
				word);
		t->limits[t->columns++] = (uint32_t)n;
	}
	if (!t->columns)
		cmd_die(USAGE, "'--limits' is empty: expected units, sizes or percentages");
}

/* ---- what came out ----------------------------------------------------- */

const char *cmd_simulation_row(const struct cmd_simulation *t, size_t row)
{
	return t->labels[row];
}

double cmd_simulation_ratio(const struct cmd_simulation *t, size_t row, size_t column)
{
	return (double)t->misses[row][column] / (double)t->trace.count;
}

static int label_width(const struct cmd_simulation *t)
{
	size_t width = 12;

	for (size_t row = 0; row < t->rows; row++)
		width = em_max(width, strlen(t->labels[row]));
	return (int)width;
}

static double seconds_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void check_misses(uint64_t misses, const char *name)
{
	if (misses == CMD_SIMULATE_NOMEM)
		cmd_die(FAILED, "no memory to simulate '%s'", name);
	if (misses == CMD_SIMULATE_BROKEN)
		cmd_die(FAILED, "'%s' gives a victim that is not in: expected a unit that was inserted and has not left",
			name);
}

void cmd_simulation_run(struct cmd_simulation *t, bool verbose)
{
	for (size_t row = 0; row < t->rows; row++) {
		double start = seconds_now();

		for (size_t k = 0; k < t->columns; k++) {
			const struct extmem_eviction *ops = t->algorithms[row];
			t->misses[row][k] = ops ? cmd_simulate(ops, &t->params[row], &t->trace,
							       t->limits[k])
						: cmd_simulate_optimum(&t->trace, t->limits[k]);
			check_misses(t->misses[row][k], cmd_simulation_row(t, row));
		}
		if (verbose)
			fprintf(stderr, "%-*s %.1f million references a second\n", label_width(t),
				cmd_simulation_row(t, row), (double)(t->trace.count * t->columns) / 1e6 /
				(seconds_now() - start));
	}
}

/* Whether no algorithm but the optimum misses less. */
static bool is_best(const struct cmd_simulation *t, size_t row, size_t column)
{
	for (size_t i = 0; i + 1 < t->rows; i++)
		if (t->misses[i][column] < t->misses[row][column])
			return false;
	return row + 1 < t->rows;
}

const char *cmd_simulation_unit(const struct cmd_simulation *t, char out[32])
{
	char bytes[16];

	if (t->trace.unit_bytes == PAGE_BYTES)
		return "pages";
	snprintf(out, 32, "granules of %s", cmd_human_bytes(t->trace.unit_bytes, bytes));
	return out;
}

bool cmd_simulation_by_page(const char *unit)
{
	if (strcmp(unit, "page") && strcmp(unit, "granule"))
		cmd_die(USAGE, "'--unit' is '%s': expected page or granule", unit);
	return !strcmp(unit, "page");
}

static void print_table(const struct cmd_simulation *t)
{
	char unit[32];

	printf("%s: %zu references to %u %s; misses in percent, * the fewest\n", t->name,
	       t->trace.count, t->trace.units, cmd_simulation_unit(t, unit));
	printf("%-*s", label_width(t), "limit");
	for (size_t k = 0; k < t->columns; k++)
		printf(" %9u%s", t->limits[k], k + 1 < t->columns ? " " : "");
	putchar('\n');
	for (size_t row = 0; row < t->rows; row++) {
		printf("%-*s", label_width(t), cmd_simulation_row(t, row));
		for (size_t k = 0; k < t->columns; k++)
			printf(" %9.2f%c", cmd_simulation_ratio(t, row, k) * 100, is_best(t, row, k) ? '*' : ' ');
		putchar('\n');
	}
}

static void print_json(const struct cmd_simulation *t)
{
	printf("{\"references\": %zu, \"unit_bytes\": %u, \"pages\": %u, \"limits_pages\": [",
	       t->trace.count, t->trace.unit_bytes, t->trace.units);
	for (size_t k = 0; k < t->columns; k++)
		printf("%s%u", k ? ", " : "", t->limits[k]);
	printf("],\n \"algorithms\": [\n");
	for (size_t row = 0; row < t->rows; row++) {
		printf("  {\"name\": \"%s\", \"misses\": [", cmd_simulation_row(t, row));
		for (size_t k = 0; k < t->columns; k++)
			printf("%s%lu", k ? ", " : "", t->misses[row][k]);
		printf("], \"miss_ratio\": [");
		for (size_t k = 0; k < t->columns; k++)
			printf("%s%.6f", k ? ", " : "", cmd_simulation_ratio(t, row, k));
		/* What was touched for the first time need not be read. */
		printf("], \"bytes_read\": [");
		for (size_t k = 0; k < t->columns; k++)
			printf("%s%lu", k ? ", " : "", (t->misses[row][k] - t->trace.units) *
							t->trace.unit_bytes);
		printf("]}%s\n", row + 1 < t->rows ? "," : "");
	}
	printf("]}\n");
}

static void draw(struct cmd_simulation *t, const char *file, bool verbose)
{
	FILE *f = fopen(file, "we");

	if (!f)
		cmd_die(FAILED, "cannot write '%s': %s", file, strerror(errno));
	t->columns = 0;
	for (unsigned int i = 1; i <= CHART_LIMITS; i++)
		cmd_simulation_add_percent(t, 100.0 * i / CHART_LIMITS);
	cmd_simulation_run(t, verbose);
	cmd_simulation_chart(t, f);
	if (ferror(f) | fclose(f))
		cmd_die(FAILED, "cannot write '%s': %s", file, strerror(errno));
}

int cmd_policy_simulate(int argc, char **argv)
{
	static char name[] = "extmem policy simulate";
	char limits[] = "10%,25%,50%";
	struct arguments args = { .of = { 10000, 1000000, 1 }, .limits = limits };
	struct cmd_simulation t = { .rows = 0 };

	argv[0] = name;
	argp_parse(&argp, argc, argv, 0, NULL, &args);
	cmd_simulation_choose(&t, args.policies);
	get_trace(&t, &args);
	choose_limits(&t, args.limits);
	cmd_simulation_run(&t, args.verbose);
	if (args.json)
		print_json(&t);
	else
		print_table(&t);
	if (args.svg)
		draw(&t, args.svg, args.verbose);
	cmd_trace_free(&t.trace);
	return 0;
}
