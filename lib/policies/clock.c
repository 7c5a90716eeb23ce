/* SPDX-License-Identifier: MIT
 *
 * clock: second chance.
 *
 * F. J. Corbato, "A Paging Experiment with the Multics System", 1968. Units
 * stand in a circle; the hand passes over those that were referenced, clears
 * their mark and takes the first one without. The circle is a queue here: the
 * hand is its tail, a second chance is a move to its head.
 *
 * The reference mark is set when a unit is taken back from standby. It is the
 * top bit of the unit's link, so state stays at 4 bytes a unit.
 */
#include "policies.h"
#include <stdbool.h>

#define MARK 0x80000000u

/* A singly linked queue: each unit names the next newer one (plus one). */
struct clock_state {
	uint32_t tail, head; /* unit + 1, or 0 */
};

static void init(struct em_policy *p) { (void)p; }

static void push(struct em_policy *p, uint32_t unit, bool mark)
{
	struct clock_state *c = p->state;
	uint32_t *next = p->units;

	next[unit] = mark ? MARK : 0;
	if (c->head)
		next[c->head - 1] = (next[c->head - 1] & MARK) | (unit + 1);
	else
		c->tail = unit + 1;
	c->head = unit + 1;
}

static void insert(struct em_policy *p, uint32_t unit, enum em_unit_event why)
{
	push(p, unit, why == EM_UNIT_SOFT);
}

static void reference(struct em_policy *p, uint32_t unit)
{
	uint32_t *next = p->units;

	next[unit] |= MARK;
}

static uint32_t victim(struct em_policy *p)
{
	struct clock_state *c = p->state;
	uint32_t *next = p->units;

	while (c->tail) {
		uint32_t unit = c->tail - 1;
		bool marked = next[unit] & MARK;

		c->tail = next[unit] & ~MARK;
		if (!c->tail)
			c->head = 0;
		if (!marked)
			return unit;
		push(p, unit, false); /* ends: each unit is passed over once */
	}
	return EM_UNIT_NONE;
}

const struct em_policy_ops em_policy_clock = {
	.name = "clock",
	.unit_bytes = sizeof(uint32_t),
	.policy_bytes = sizeof(struct clock_state),
	.init = init,
	.insert = insert,
	.reference = reference,
	.victim = victim,
};
