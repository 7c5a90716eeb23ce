/* SPDX-License-Identifier: MIT
 *
 * clock: second chance.
 *
 * F. J. Corbato, "A Paging Experiment with the Multics System", 1968. Units
 * stand in a circle; the hand passes over those that were referenced, clears
 * their mark and takes the first one without. The circle is a queue here: the
 * hand is its tail, a second chance is a move to its head.
 *
 * The reference mark stands for the accessed bit. It is set by every reference
 * that is seen, and on a unit that comes back from standby.
 */
#include "list.h"
#include "policies.h"

static void init(struct extmem_cache *c)
{
	((struct em_list *)c->state)->id = 1;
}

static void insert(struct extmem_cache *c, uint32_t unit, enum extmem_event why)
{
	em_link_of(c, unit)->mark = why == EXTMEM_SOFT;
	em_list_push(c->state, c->units, unit);
}

static void reference(struct extmem_cache *c, uint32_t unit)
{
	em_link_of(c, unit)->mark = 1; /* cleared when it comes in */
}

static void forget(struct extmem_cache *c, uint32_t unit)
{
	if (em_link_of(c, unit)->list)
		em_list_remove(c->state, c->units, unit);
}

static uint32_t victim(struct extmem_cache *c)
{
	uint32_t unit;

	while ((unit = em_list_pop(c->state, c->units)) != EXTMEM_UNIT_NONE) {
		if (!em_link_of(c, unit)->mark)
			break;
		/* Ends: each unit is passed over once. */
		em_link_of(c, unit)->mark = 0;
		em_list_push(c->state, c->units, unit);
	}
	return unit;
}

const struct extmem_eviction em_eviction_clock = {
	.version = EXTMEM_EVICTION_VERSION,
	.name = "clock",
	.paper = "F. J. Corbato, \"A Paging Experiment with the Multics System\", MIT Project MAC, 1968",
	.help = "fifo with a second chance for what was used",
	.unit_bytes = sizeof(struct em_link),
	.state_bytes = sizeof(struct em_list),
	.init = init,
	.insert = insert,
	.reference = reference,
	.forget = forget,
	.victim = victim,
};
