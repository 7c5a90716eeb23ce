/* SPDX-License-Identifier: MIT
 *
 * hyperbolic: uses by age, of a sample.
 *
 * A. Blankstein, S. Sen, M. J. Freedman, "Hyperbolic Caching: Flexible Caching
 * for Web Applications", USENIX ATC 2017. A unit is worth its uses divided by
 * the time it has been in, so what was used much long ago loses its worth, and
 * what is new gets its chance. Such an order changes all by itself, so no list can
 * keep it: the worst of a few units drawn at random leaves.
 *
 *   clock      counts inserts and references of units that are in, modulo
 *              2^32; each is at the time before it counts.
 *   victim     of `sample` places drawn by em_draw(), one by one, or of all
 *              places in a row when there are no more than that, the unit with
 *              the least uses / (now - born + 1); the earlier one of equals.
 *   insert     born now, uses 1; from standby, 2.
 *   reference  uses + 1.
 *
 * What differs here: the paper's sample is 64 units, which does not fit into
 * 100 ns. Drawing takes an array without gaps: units stand in a row as in random.c.
 * For each unit that there can be 4 bytes say its place; what is known of a unit that is
 * in lies in its place, in 12 bytes of the same array's first entries.
 * What was kept counts as new.
 */
#include "draw.h"
#include "policies.h"
#include <stdbool.h>

enum { PARAM_SAMPLE, PARAM_SEED };

struct entry {
	uint32_t place; /* of this unit, plus one; 0 when it is not in */
	/* Of the unit in the place of this number. */
	uint32_t unit, born, uses;
};

struct hyperbolic_state {
	uint64_t draw;
	uint32_t count, now;
};

static const struct extmem_param params[] = {
	[PARAM_SAMPLE] = { "sample", 8, 1, 64, "",
			   "units of which the worst one leaves" },
	[PARAM_SEED] = { "seed", 1, 1, INT32_MAX, "",
			 "where the random numbers begin" },
	EM_PARAMS_END,
};

static void init(struct extmem_cache *c)
{
	((struct hyperbolic_state *)c->state)->draw = (uint64_t)c->params[PARAM_SEED];
}

static void insert(struct extmem_cache *c, uint32_t unit, enum extmem_event why)
{
	struct hyperbolic_state *s = c->state;
	struct entry *e = c->units, *place = &e[s->count++];

	e[unit].place = s->count;
	place->unit = unit;
	place->born = s->now++;
	place->uses = why == EXTMEM_SOFT ? 2 : 1;
}

static void reference(struct extmem_cache *c, uint32_t unit)
{
	struct hyperbolic_state *s = c->state;
	struct entry *e = c->units;
	uint32_t place = e[unit].place;

	if (!place)
		return;
	s->now++;
	if (e[place - 1].uses < UINT32_MAX)
		e[place - 1].uses++;
}

static void forget(struct extmem_cache *c, uint32_t unit)
{
	struct hyperbolic_state *s = c->state;
	struct entry *e = c->units, *to, *last;

	if (!e[unit].place)
		return;
	to = &e[e[unit].place - 1];
	last = &e[--s->count];
	to->unit = last->unit;
	to->born = last->born;
	to->uses = last->uses;
	e[last->unit].place = e[unit].place;
	e[unit].place = 0;
}

static bool is_worth_less(const struct hyperbolic_state *s, const struct entry *a,
			  const struct entry *b)
{
	uint64_t age_a = (uint64_t)(s->now - a->born) + 1;
	uint64_t age_b = (uint64_t)(s->now - b->born) + 1;

	/* Both products fit: uses are below 2^32, ages no more than that. */
	return a->uses * age_b < b->uses * age_a;
}

static uint32_t victim(struct extmem_cache *c)
{
	struct hyperbolic_state *s = c->state;
	const struct entry *e = c->units, *worst = NULL;
	uint32_t sample = (uint32_t)c->params[PARAM_SAMPLE];
	bool all = s->count <= sample;
	uint32_t unit;

	if (!s->count)
		return EXTMEM_UNIT_NONE;
	for (uint32_t i = 0; i < (all ? s->count : sample); i++) {
		const struct entry *at = &e[all ? i : em_draw(&s->draw, s->count)];

		if (!worst || is_worth_less(s, at, worst))
			worst = at;
	}
	unit = worst->unit;
	forget(c, unit);
	return unit;
}

const struct extmem_eviction em_eviction_hyperbolic = {
	.version = EXTMEM_EVICTION_VERSION,
	.name = "hyperbolic",
	.paper = "A. Blankstein, S. Sen, M. J. Freedman, \"Hyperbolic Caching: Flexible Caching for "
		 "Web Applications\", USENIX ATC 2017",
	.help = "of a random few, the one with the fewest uses in its time leaves",
	.unit_bytes = sizeof(struct entry),
	.state_bytes = sizeof(struct hyperbolic_state),
	.params = params,
	.init = init,
	.insert = insert,
	.reference = reference,
	.forget = forget,
	.victim = victim,
};
