/* SPDX-License-Identifier: MIT
 *
 * lru: least recently used, by two lists.
 *
 * The scheme of Linux's classic reclaim (M. Gorman, "Understanding the Linux
 * Virtual Memory Manager", 2004, chapter 10): a unit comes in at the head of
 * the inactive list and leaves at its tail. One that is asked for again has
 * proved that it is in use and goes to the head of the active list. When the
 * active list holds more than its share, its oldest units go back to the head
 * of the inactive list for another trial. So one pass over a lot of data does
 * not push out what is used again and again.
 *
 * Both lists are kept in the order of use, as far as use is seen: a reference
 * moves a unit to the head of the active list, wherever it stands. Linux does it
 * in two steps, with a mark, since its hits are many and unlocked.
 *
 * With a share of 0 there is one list, and this is the textbook's LRU: the one
 * whose last use is longest ago leaves. In a simulation, where every hit is
 * seen, it is exact.
 */
#include "list.h"
#include "policies.h"

struct lru_state {
	struct em_list inactive, active;
};

enum { ACTIVE };

static const struct extmem_param params[] = {
	[ACTIVE] = { "active", 50, 0, 90, "%",
		     "share of the units that the active list may hold; 0 is plain LRU" },
	EM_PARAMS_END,
};

static void init(struct extmem_cache *c)
{
	struct lru_state *s = c->state;

	s->inactive.id = 1;
	s->active.id = 2;
}

/* Demotes from the active list until it has its share at most. */
static void balance(struct extmem_cache *c)
{
	struct lru_state *s = c->state;
	uint64_t all = (uint64_t)s->active.length + s->inactive.length;

	while (s->active.length * 100ull > all * (uint64_t)c->params[ACTIVE]) {
		uint32_t unit = em_list_pop(&s->active, c->units);
		em_list_push(&s->inactive, c->units, unit);
	}
}

/* Puts a unit that is in no list where what was just used belongs. */
static void activate(struct extmem_cache *c, uint32_t unit)
{
	struct lru_state *s = c->state;

	em_list_push(c->params[ACTIVE] ? &s->active : &s->inactive, c->units, unit);
}

static void insert(struct extmem_cache *c, uint32_t unit, enum extmem_event why)
{
	struct lru_state *s = c->state;

	if (why == EXTMEM_SOFT)
		activate(c, unit);
	else
		em_list_push(&s->inactive, c->units, unit);
}

static void forget(struct extmem_cache *c, uint32_t unit)
{
	struct lru_state *s = c->state;
	uint32_t list = em_link_of(c, unit)->list;

	if (list)
		em_list_remove(list == s->active.id ? &s->active : &s->inactive,
			       c->units, unit);
}

static void reference(struct extmem_cache *c, uint32_t unit)
{
	if (!em_link_of(c, unit)->list)
		return;
	forget(c, unit);
	activate(c, unit);
}

static uint32_t victim(struct extmem_cache *c)
{
	struct lru_state *s = c->state;

	balance(c);
	return em_list_pop(&s->inactive, c->units);
}

const struct extmem_eviction em_eviction_lru = {
	.version = EXTMEM_EVICTION_VERSION,
	.name = "lru",
	.paper = "M. Gorman, \"Understanding the Linux Virtual Memory Manager\", Prentice Hall, 2004, chapter 10",
	.help = "least recently used, by an active and an inactive list",
	.unit_bytes = sizeof(struct em_link),
	.state_bytes = sizeof(struct lru_state),
	.params = params,
	.init = init,
	.insert = insert,
	.reference = reference,
	.forget = forget,
	.victim = victim,
};
