/* SPDX-License-Identifier: MIT */
#include "simulate.h"
#include <stdlib.h>

#define NEVER SIZE_MAX

enum { OUT_NEW, OUT_SEEN, IN };

static uint64_t run(struct extmem_cache *c, const struct cmd_trace *t,
		    uint8_t *where)
{
	uint64_t misses = 0;
	uint32_t in = 0;

	for (size_t i = 0; i < t->count; i++) {
		uint32_t unit = t->refs[i];

		if (where[unit] == IN) {
			if (c->ops->reference)
				c->ops->reference(c, unit);
			continue;
		}
		misses++;
		if (in == c->capacity) {
			uint32_t victim = c->ops->victim(c);

			if (victim >= t->units || where[victim] != IN)
				return CMD_SIMULATE_BROKEN;
			where[victim] = OUT_SEEN;
			in--;
		}
		c->ops->insert(c, unit, where[unit] == OUT_NEW ? EXTMEM_FIRST :
								 EXTMEM_MAJOR);
		where[unit] = IN;
		in++;
	}
	return misses;
}

uint64_t cmd_simulate(const struct extmem_eviction *ops, const struct em_params *given,
		      const struct cmd_trace *t, uint32_t capacity)
{
	int64_t params[EXTMEM_PARAMS_MAX];
	struct extmem_cache c = { .ops = ops, .params = params, .capacity = capacity };
	uint8_t *where = calloc(t->units + 1ul, 1);
	uint64_t misses = CMD_SIMULATE_NOMEM;

	em_params_fill(given, ops->params, params);
	c.units = calloc(t->units + 1ul, ops->unit_bytes + 1);
	c.state = calloc(1, ops->state_bytes + 1);
	if (where && c.units && c.state) {
		if (ops->init)
			ops->init(&c);
		misses = run(&c, t, where);
	}
	free(c.units);
	free(c.state);
	free(where);
	return misses;
}

/* ---- the optimum: a heap by next use, entries that a hit outdated stay --- */

struct entry {
	size_t next;
	uint32_t unit;
};

static void heap_push(struct entry *h, size_t *n, struct entry e)
{
	size_t i = (*n)++;

	for (; i && h[(i - 1) / 2].next < e.next; i = (i - 1) / 2)
		h[i] = h[(i - 1) / 2];
	h[i] = e;
}

static struct entry heap_pop(struct entry *h, size_t *n)
{
	struct entry top = h[0], e = h[--*n];
	size_t i = 0, k;

	while ((k = 2 * i + 1) < *n) {
		if (k + 1 < *n && h[k + 1].next > h[k].next)
			k++;
		if (h[k].next <= e.next)
			break;
		h[i] = h[k];
		i = k;
	}
	h[i] = e;
	return top;
}

/* current[unit]: its next use while it is in, 0 while it is not. */
static uint64_t optimum(const struct cmd_trace *t, uint32_t capacity,
			const size_t *next, size_t *current, struct entry *heap)
{
	uint64_t misses = 0;
	uint32_t in = 0;
	size_t n = 0;

	for (size_t i = 0; i < t->count; i++) {
		uint32_t unit = t->refs[i];

		if (!current[unit]) {
			misses++;
			if (in == capacity) {
				struct entry e;

				do
					e = heap_pop(heap, &n);
				while (current[e.unit] != e.next);
				current[e.unit] = 0;
				in--;
			}
			in++;
		}
		current[unit] = next[i];
		heap_push(heap, &n, (struct entry){ next[i], unit });
	}
	return misses;
}

uint64_t cmd_simulate_optimum(const struct cmd_trace *t, uint32_t capacity)
{
	size_t *next = calloc(t->count + 1, sizeof(*next));
	size_t *current = calloc(t->units + 1ul, sizeof(*current));
	struct entry *heap = calloc(t->count + 1, sizeof(*heap));
	uint64_t misses = CMD_SIMULATE_NOMEM;

	if (next && current && heap) {
		for (size_t i = t->count; i-- > 0;) {
			size_t later = current[t->refs[i]];

			next[i] = later ? later : NEVER;
			current[t->refs[i]] = i;
		}
		for (uint32_t u = 0; u < t->units; u++)
			current[u] = 0;
		misses = optimum(t, capacity, next, current, heap);
	}
	free(next);
	free(current);
	free(heap);
	return misses;
}
