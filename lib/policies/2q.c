/* SPDX-License-Identifier: MIT
 *
 * 2q: two queues.
 *
 * T. Johnson, D. Shasha, "2Q: A Low Overhead High Performance Buffer
 * Management Replacement Algorithm", VLDB 1994; the full version. What is new
 * goes through a short FIFO (in). What leaves there is remembered (out), and
 * if it is asked for while it is remembered it has been used twice, not just
 * several times in a moment, and goes to the main queue, which is an LRU.
 *
 *   victim     in is longer than its share, or main is empty: in's oldest
 *              leaves and is remembered, the oldest beyond out's share is not.
 *              Else main's least recently used leaves, unremembered.
 *   insert     remembered: head of main. Else head of in.
 *   reference  in main: to its head. In in: nothing.
 *
 * What differs here: what comes back from standby is in use, so it goes to
 * main, remembered or not. What was kept goes back to the head of the queue it
 * was in: at the tail it would be chosen again at once.
 */
#include "list.h"
#include "policies.h"

enum { IN, OUT, MAIN, LISTS };
enum { PARAM_IN, PARAM_OUT };

static const struct extmem_param params[] = {
	[PARAM_IN] = { "in", 25, 1, 99, "%",
		       "share of the memory that new units may hold" },
	[PARAM_OUT] = { "out", 50, 0, 400, "%",
			"units remembered after they left, by those that fit" },
	EM_PARAMS_END,
};

static void init(struct extmem_cache *c)
{
	em_lists_init(c->state, LISTS);
}

static void insert(struct extmem_cache *c, uint32_t unit, enum extmem_event why)
{
	struct em_list *l = c->state;
	bool remembered = em_link_of(c, unit)->list;
	bool main = why == EXTMEM_KEPT ? !remembered
				       : remembered || why == EXTMEM_SOFT;

	em_lists_remove(l, c->units, unit);
	em_list_push(&l[main ? MAIN : IN], c->units, unit);
}

static void reference(struct extmem_cache *c, uint32_t unit)
{
	struct em_list *l = c->state;

	if (em_link_of(c, unit)->list != l[MAIN].id)
		return;
	em_list_remove(&l[MAIN], c->units, unit);
	em_list_push(&l[MAIN], c->units, unit);
}

static void forget(struct extmem_cache *c, uint32_t unit)
{
	em_lists_remove(c->state, c->units, unit);
}

static uint32_t victim(struct extmem_cache *c)
{
	struct em_list *l = c->state;
	uint32_t unit;

	if (l[MAIN].length &&
	    l[IN].length <= em_least_share_of(c, c->params[PARAM_IN]))
		return em_list_pop(&l[MAIN], c->units);
	unit = em_list_pop(&l[IN], c->units);
	if (unit != EXTMEM_UNIT_NONE)
		em_list_push(&l[OUT], c->units, unit);
	while (l[OUT].length > em_share_of(c, c->params[PARAM_OUT]))
		em_list_pop(&l[OUT], c->units);
	return unit;
}

const struct extmem_eviction em_eviction_2q = {
	.version = EXTMEM_EVICTION_VERSION,
	.name = "2q",
	.paper = "T. Johnson, D. Shasha, \"2Q: A Low Overhead High Performance Buffer Management "
		 "Replacement Algorithm\", VLDB 1994",
	.help = "an LRU for what came back after a first pass through a FIFO",
	.unit_bytes = sizeof(struct em_link),
	.state_bytes = LISTS * sizeof(struct em_list),
	.params = params,
	.init = init,
	.insert = insert,
	.reference = reference,
	.forget = forget,
	.victim = victim,
};
