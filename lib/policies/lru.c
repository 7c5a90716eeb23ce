/* SPDX-License-Identifier: MIT
 *
 * lru: least recently used, by two lists.
 *
 * The scheme of Linux's classic reclaim: a unit comes in at the head of the
 * inactive list and leaves at its tail. One that is asked for again while it
 * is on its way out (standby) has proved that it is in use and goes to the
 * active list. When the active list grows longer than the inactive one, its
 * oldest units go back to the inactive list for another trial. So one pass
 * over a lot of data does not push out what is used again and again.
 */
#include "list.h"
#include "policies.h"

struct lru_state {
	struct em_list inactive, active;
};

static void init(struct em_policy *p) { (void)p; }

/* Demotes from the active list until it is the shorter one. */
static void balance(struct em_policy *p)
{
	struct lru_state *s = p->state;

	while (s->active.length > s->inactive.length) {
		uint32_t unit = em_list_pop(&s->active, p->units);
		em_list_push(&s->inactive, p->units, unit);
	}
}

static void insert(struct em_policy *p, uint32_t unit, enum em_unit_event why)
{
	struct lru_state *s = p->state;

	em_list_push(why == EM_UNIT_SOFT ? &s->active : &s->inactive, p->units, unit);
}

static uint32_t victim(struct em_policy *p)
{
	struct lru_state *s = p->state;

	balance(p);
	return em_list_pop(&s->inactive, p->units);
}

const struct em_policy_ops em_policy_lru = {
	.name = "lru",
	.unit_bytes = sizeof(struct em_link),
	.policy_bytes = sizeof(struct lru_state),
	.init = init,
	.insert = insert,
	.victim = victim,
};
