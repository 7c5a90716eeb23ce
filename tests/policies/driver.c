/* SPDX-License-Identifier: MIT
 *
 * driver ALGORITHM CAPACITY [NAME=VALUE...]: one of the built-in eviction
 * algorithms on what the standard input says, an operation a line:
 *
 *   a UNIT   an access: a hit, or a miss, before which a victim leaves if as
 *            many units are in as fit
 *   f UNIT   its contents are gone
 *   v        a victim leaves ahead of need
 *   s, k     a victim leaves and comes back: from standby, or kept
 *
 * One line of output for each: "hit", "miss", "miss VICTIM", "forget",
 * or the victim ("none").
 */
#include "policies/policies.h"
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UNITS 65536

static struct extmem_cache cache;
static int64_t params[EXTMEM_PARAMS_MAX];
static bool in[UNITS];
static uint32_t count;

static void die(const char *what, const char *about)
{
	fprintf(stderr, "driver: %s '%s'\n", what, about);
	exit(2);
}

static void set_param(const char *text)
{
	const struct extmem_param *p = cache.ops->params;
	size_t len = strcspn(text, "=");

	for (size_t i = 0; p && p[i].name && text[len]; i++)
		if (strlen(p[i].name) == len && !strncmp(p[i].name, text, len)) {
			params[i] = strtoll(text + len + 1, NULL, 10);
			return;
		}
	die("no such parameter:", text);
}

static void start(char **args)
{
	cache.ops = extmem_eviction_find(args[0]);
	if (!cache.ops)
		die("no such algorithm:", args[0]);
	cache.capacity = (uint32_t)strtoul(args[1], NULL, 10);
	cache.units = calloc(UNITS, cache.ops->unit_bytes);
	cache.state = calloc(1, cache.ops->state_bytes);
	cache.params = params;
	for (size_t i = 0; cache.ops->params && cache.ops->params[i].name; i++)
		params[i] = cache.ops->params[i].def;
	for (args += 2; *args; args++)
		set_param(*args);
	if (cache.ops->init)
		cache.ops->init(&cache);
}

/* Also holds the algorithm to it that only what is in leaves. */
static uint32_t take_victim(void)
{
	uint32_t unit = cache.ops->victim(&cache);

	if (unit == EXTMEM_UNIT_NONE ? count != 0 : unit >= UNITS || !in[unit])
		die("a wrong victim of", cache.ops->name);
	if (unit != EXTMEM_UNIT_NONE) {
		in[unit] = false;
		count--;
	}
	return unit;
}

static void put_in(uint32_t unit, enum extmem_event why)
{
	cache.ops->insert(&cache, unit, why);
	in[unit] = true;
	count++;
}

static void access_unit(uint32_t unit)
{
	uint32_t victim = EXTMEM_UNIT_NONE;

	if (in[unit]) {
		if (cache.ops->reference)
			cache.ops->reference(&cache, unit);
		puts("hit");
		return;
	}
	if (count >= cache.capacity)
		victim = take_victim();
	put_in(unit, EXTMEM_MAJOR);
	if (victim == EXTMEM_UNIT_NONE)
		puts("miss");
	else
		printf("miss %u\n", victim);
}

static void forget_unit(uint32_t unit)
{
	cache.ops->forget(&cache, unit);
	count -= in[unit];
	in[unit] = false;
	puts("forget");
}

/* A victim leaves, and comes back unless that is `gone`. */
static void leave(bool gone, enum extmem_event why)
{
	uint32_t unit = take_victim();

	if (unit == EXTMEM_UNIT_NONE) {
		puts("none");
		return;
	}
	printf("%u\n", unit);
	if (!gone)
		put_in(unit, why);
}

int main(int argc, char **argv)
{
	char line[64];

	if (argc < 3)
		die("usage:", "driver ALGORITHM CAPACITY [NAME=VALUE...]");
	start(argv + 1);
	while (fgets(line, sizeof(line), stdin)) {
		uint32_t unit = (uint32_t)strtoul(line + 1, NULL, 10) % UNITS;

		switch (line[0]) {
		case 'a': access_unit(unit); break;
		case 'f': forget_unit(unit); break;
		case 'v': leave(true, EXTMEM_MAJOR); break;
		case 's': leave(false, EXTMEM_SOFT); break;
		case 'k': leave(false, EXTMEM_KEPT); break;
		default: die("no such operation:", line);
		}
	}
	return 0;
}
