/* SPDX-License-Identifier: MIT
 *
 * random: any one.
 *
 * L. A. Belady, "A study of replacement algorithms for a virtual-storage
 * computer", IBM Systems Journal 5(2), 1966 (there RAND). It learns nothing, and
 * nothing can be held against it: a loop that is a little too large for memory
 * costs it a little, not everything.
 *
 * Units that are in stand in a row without gaps: a new one at its end, and
 * where one leaves, the last one takes its place. The victim is the one in the
 * place that em_draw() says. Place and unit are two columns of one array: entry
 * i says which place unit i has, and which unit is in place i.
 *
 * What comes back from standby counts as new, and so does what was kept.
 */
#include "draw.h"
#include "policies.h"

enum { PARAM_SEED };

struct entry {
	uint32_t place; /* of this unit, plus one; 0 when it is not in */
	uint32_t unit;  /* in the place of this number */
};

struct random_state {
	uint64_t draw;
	uint32_t count;
};

static const struct extmem_param params[] = {
	[PARAM_SEED] = { "seed", 1, 1, INT32_MAX, "",
			 "where the random numbers begin" },
	EM_PARAMS_END,
};

static void init(struct extmem_cache *c)
{
	((struct random_state *)c->state)->draw = (uint64_t)c->params[PARAM_SEED];
}

static void insert(struct extmem_cache *c, uint32_t unit, enum extmem_event why)
{
	struct random_state *s = c->state;
	struct entry *e = c->units;

	(void)why;
	e[s->count++].unit = unit;
	e[unit].place = s->count;
}

static void forget(struct extmem_cache *c, uint32_t unit)
{
	struct random_state *s = c->state;
	struct entry *e = c->units;
	uint32_t place = e[unit].place, last;

	if (!place)
		return;
	last = e[--s->count].unit;
	e[place - 1].unit = last;
	e[last].place = place;
	e[unit].place = 0;
}

static uint32_t victim(struct extmem_cache *c)
{
	struct random_state *s = c->state;
	const struct entry *e = c->units;
	uint32_t unit;

	if (!s->count)
		return EXTMEM_UNIT_NONE;
	unit = e[em_draw(&s->draw, s->count)].unit;
	forget(c, unit);
	return unit;
}

const struct extmem_eviction em_eviction_random = {
	.version = EXTMEM_EVICTION_VERSION,
	.name = "random",
	.paper = "L. A. Belady, \"A study of replacement algorithms for a virtual-storage computer\", "
		 "IBM Systems Journal 5(2), 1966",
	.help = "any one leaves",
	.unit_bytes = sizeof(struct entry),
	.state_bytes = sizeof(struct random_state),
	.params = params,
	.init = init,
	.insert = insert,
	.forget = forget,
	.victim = victim,
};
