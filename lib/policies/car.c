/* SPDX-License-Identifier: MIT
 *
 * car: clock with adaptive replacement.
 *
 * S. Bansal, D. S. Modha, "CAR: Clock with Adaptive Replacement", FAST 2004.
 * ARC without its moves on every hit: what was seen once stands in one clock
 * (t1), what was seen again in another (t2). What leaves either is remembered
 * (b1, b2), and each miss of something remembered shifts the size (p) that t1
 * ought to have in favour of the clock that was too small.
 *
 *   victim     while t1 has p units or more (1 at least), or t2 is empty: t1's
 *              oldest. Referenced: to the head of t2, without its mark. Else
 *              it leaves to the head of b1. Otherwise t2's oldest; referenced:
 *              to the head of t2, without its mark; else it leaves to b2.
 *   insert     remembered in b1: p grows by |b2|/|b1|, 1 at least, up to the
 *              capacity c; in b2: p shrinks by |b1|/|b2|, 1 at least, down to
 *              0. Then head of t2. Not remembered: b1's oldest are forgotten
 *              while |t1| + |b1| >= c, b2's while all four together are >= 2c;
 *              then head of t1. Quotients are rounded down.
 *   reference  the mark is set.
 *
 * The paper's order is this one. What differs here: the directory is trimmed
 * also when memory is not full, since the capacity is an estimate. What comes
 * back from standby and is no longer remembered goes to t2. What was kept goes
 * to the head of the clock it was in, and p does not change. There is nothing
 * to set: that is its point.
 */
#include "list.h"
#include "policies.h"

#define REMEMBERED 3u /* the list id of b1 and b2; the mark says which: 0, 1 */

struct car_state {
	struct em_list t1, t2, b1, b2;
	uint32_t p;
};

static void init(struct extmem_cache *c)
{
	struct car_state *s = c->state;

	s->t1.id = 1;
	s->t2.id = 2;
	s->b1.id = s->b2.id = REMEMBERED;
}

static struct em_list *list_of(const struct extmem_cache *c, uint32_t unit)
{
	struct car_state *s = c->state;
	const struct em_link *n = em_link_of(c, unit);

	if (n->list == REMEMBERED)
		return n->mark ? &s->b2 : &s->b1;
	return n->list == s->t1.id ? &s->t1 : n->list ? &s->t2 : NULL;
}

static void put(struct extmem_cache *c, struct em_list *l, uint32_t unit,
		uint32_t mark)
{
	em_link_of(c, unit)->mark = mark;
	em_list_push(l, c->units, unit);
}

static void forget(struct extmem_cache *c, uint32_t unit)
{
	struct em_list *l = list_of(c, unit);

	if (l)
		em_list_remove(l, c->units, unit);
}

/* A unit was missed that had left from, and is still remembered in, `hit`. */
static void adapt(struct extmem_cache *c, const struct em_list *hit)
{
	struct car_state *s = c->state;
	uint32_t other = (hit == &s->b1 ? &s->b2 : &s->b1)->length;
	uint32_t step = other > hit->length ? other / hit->length : 1;

	if (hit == &s->b2)
		s->p -= step < s->p ? step : s->p;
	else
		s->p = c->capacity > s->p && c->capacity - s->p > step ?
			       s->p + step : c->capacity;
}

static void trim(struct extmem_cache *c)
{
	struct car_state *s = c->state;
	uint64_t fit = c->capacity;

	while (s->b1.length && (uint64_t)s->t1.length + s->b1.length >= fit)
		em_list_pop(&s->b1, c->units);
	while (s->b2.length && (uint64_t)s->t1.length + s->t2.length +
	       s->b1.length + s->b2.length >= 2 * fit)
		em_list_pop(&s->b2, c->units);
}

static void insert(struct extmem_cache *c, uint32_t unit, enum extmem_event why)
{
	struct car_state *s = c->state;
	struct em_list *was = list_of(c, unit);
	bool once = !was && why != EXTMEM_SOFT;

	if (why == EXTMEM_KEPT)
		once = was == &s->b1;
	else if (was)
		adapt(c, was);
	else
		trim(c);
	forget(c, unit);
	put(c, once ? &s->t1 : &s->t2, unit, 0);
}

static void reference(struct extmem_cache *c, uint32_t unit)
{
	struct em_link *n = em_link_of(c, unit);

	if (n->list && n->list != REMEMBERED)
		n->mark = 1;
}

static uint32_t victim(struct extmem_cache *c)
{
	struct car_state *s = c->state;

	/* Ends: whatever is passed over has lost its mark. */
	while (s->t1.length + s->t2.length) {
		bool once = s->t1.length &&
			    (s->t1.length >= s->p || !s->t2.length);
		uint32_t unit = em_list_pop(once ? &s->t1 : &s->t2, c->units);

		if (!em_link_of(c, unit)->mark) {
			put(c, once ? &s->b1 : &s->b2, unit, !once);
			return unit;
		}
		put(c, &s->t2, unit, 0);
	}
	return EXTMEM_UNIT_NONE;
}

const struct extmem_eviction em_eviction_car = {
	.version = EXTMEM_EVICTION_VERSION,
	.name = "car",
	.paper = "S. Bansal, D. S. Modha, \"CAR: Clock with Adaptive Replacement\", FAST 2004",
	.help = "two clocks that learn their sizes from what was missed",
	.unit_bytes = sizeof(struct em_link),
	.state_bytes = sizeof(struct car_state),
	.init = init,
	.insert = insert,
	.reference = reference,
	.forget = forget,
	.victim = victim,
};
