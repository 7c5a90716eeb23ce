/* SPDX-License-Identifier: MIT
 *
 * What of `extmem policy` is about traces: simulate, and what advise and the
 * chart share with it.
 */
#ifndef CMD_POLICY_SIMULATE_H
#define CMD_POLICY_SIMULATE_H

#include "config.h"
#include "simulate.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define CMD_LIMITS_MAX 32u
#define CMD_ALGORITHMS_MAX 32u

/* What is simulated, and what came out: misses by algorithm and limit. */
struct cmd_simulation {
	const char *name;
	struct cmd_trace trace;
	/* The last one is NULL: the optimum. */
	const struct extmem_eviction *algorithms[CMD_ALGORITHMS_MAX];
	struct em_params params[CMD_ALGORITHMS_MAX]; /* as far as they are given */
	char *labels[CMD_ALGORITHMS_MAX];            /* "lru", or "lru:active=70" */
	size_t rows;
	uint32_t limits[CMD_LIMITS_MAX]; /* in units of the trace */
	size_t columns;
	uint64_t misses[CMD_ALGORITHMS_MAX][CMD_LIMITS_MAX];
};

/*
 * All algorithms, or those of a list with commas, each a name or path and perhaps
 * parameters ("2q:in=30:out=60"); it is taken apart. Dies of others.
 */
void cmd_simulation_choose(struct cmd_simulation *s, char *names);
/* One more limit, in percent of the units, unless it is there; at least one unit. */
void cmd_simulation_add_percent(struct cmd_simulation *s, double percent);
/* Fills in all misses; dies without memory. verbose: says how fast. */
void cmd_simulation_run(struct cmd_simulation *s, bool verbose);
const char *cmd_simulation_row(const struct cmd_simulation *s, size_t row);
/* Misses by references. */
double cmd_simulation_ratio(const struct cmd_simulation *s, size_t row, size_t column);
/* "pages", or "granules of 128.0K". */
const char *cmd_simulation_unit(const struct cmd_simulation *s, char out[32]);
/* The argument of --unit: whether it is the page; dies of any other word. */
bool cmd_simulation_by_page(const char *unit);

/* The miss ratios over the limits, as SVG. */
void cmd_simulation_chart(const struct cmd_simulation *s, FILE *f);

/* The verbs: argv[0] is their name. The exit status. */
int cmd_policy_simulate(int argc, char **argv);
int cmd_policy_advise(int argc, char **argv);

#endif
