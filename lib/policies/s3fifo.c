/* SPDX-License-Identifier: MIT
 *
 * s3fifo: three static FIFO queues.
 *
 * J. Yang, Y. Zhang, Z. Qiu, Y. Yue, R. Vinayak, "FIFO queues are all you need
 * for cache eviction", SOSP 2023. Most of what is new is never used again: it
 * goes through a small queue and out of it, and is remembered (ghost) for a
 * while. What was used meanwhile, or comes back while it is remembered, goes
 * to the main queue, where each use, up to 3, is one more round.
 *
 *   victim     small has its share or more, or main is empty: small's oldest.
 *              Used `promote` times or more: to the head of main, count 0,
 *              and the next one of small. Else it leaves and is remembered,
 *              the oldest ghosts beyond their share are not. If small has
 *              run empty, or was not in turn: main's oldest. Used: to the head
 *              of main, count less 1, and the next one. Else it leaves.
 *   insert     remembered: head of main. Else head of small. Count 0.
 *   reference  count + 1, 3 at most.
 *
 * What differs here: in the paper two uses lead to the main queue; since here
 * only a part of them is seen, one will do, and `promote: 2` is the paper's.
 * What comes back from standby is in use: main. What was kept goes to the head
 * of the queue it was in. Main has no bound of its own, it gets what small leaves.
 */
#include "list.h"
#include "policies.h"

enum { SMALL, MAIN, GHOST, LISTS };
enum { PARAM_SMALL, PARAM_GHOSTS, PARAM_PROMOTE };

static const struct extmem_param params[] = {
	[PARAM_SMALL] = { "small", 10, 1, 90, "%",
			  "share of the memory that new units may hold" },
	[PARAM_GHOSTS] = { "ghosts", 90, 0, 400, "%",
			   "units remembered after they left, by those that fit" },
	[PARAM_PROMOTE] = { "promote", 1, 1, 3, "",
			    "uses that lead from the small queue to the main one" },
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
	em_link_of(c, unit)->mark = 0;
	em_list_push(&l[main ? MAIN : SMALL], c->units, unit);
}

static void reference(struct extmem_cache *c, uint32_t unit)
{
	struct em_link *n = em_link_of(c, unit);

	if (n->mark < 3)
		n->mark++; /* set to 0 when it comes in */
}

static void forget(struct extmem_cache *c, uint32_t unit)
{
	em_lists_remove(c->state, c->units, unit);
}

static void remember(struct extmem_cache *c, uint32_t unit)
{
	struct em_list *ghosts = (struct em_list *)c->state + GHOST;

	em_list_push(ghosts, c->units, unit);
	while (ghosts->length > em_share_of(c, c->params[PARAM_GHOSTS]))
		em_list_pop(ghosts, c->units);
}

static uint32_t victim_of_small(struct extmem_cache *c)
{
	struct em_list *l = c->state;
	uint32_t unit;

	while ((unit = em_list_pop(&l[SMALL], c->units)) != EXTMEM_UNIT_NONE) {
		if (em_link_of(c, unit)->mark < c->params[PARAM_PROMOTE]) {
			remember(c, unit);
			break;
		}
		em_link_of(c, unit)->mark = 0;
		em_list_push(&l[MAIN], c->units, unit);
	}
	return unit;
}

static uint32_t victim_of_main(struct extmem_cache *c)
{
	struct em_list *l = c->state;
	uint32_t unit;

	while ((unit = em_list_pop(&l[MAIN], c->units)) != EXTMEM_UNIT_NONE) {
		if (!em_link_of(c, unit)->mark)
			break;
		em_link_of(c, unit)->mark--;
		em_list_push(&l[MAIN], c->units, unit);
	}
	return unit;
}

static uint32_t victim(struct extmem_cache *c)
{
	struct em_list *l = c->state;
	uint32_t unit = EXTMEM_UNIT_NONE;

	if (!l[MAIN].length ||
	    l[SMALL].length >= em_least_share_of(c, c->params[PARAM_SMALL]))
		unit = victim_of_small(c);
	return unit != EXTMEM_UNIT_NONE ? unit : victim_of_main(c);
}

const struct extmem_eviction em_eviction_s3fifo = {
	.version = EXTMEM_EVICTION_VERSION,
	.name = "s3fifo",
	.paper = "J. Yang, Y. Zhang, Z. Qiu, Y. Yue, R. Vinayak, \"FIFO queues are all you need for "
		 "cache eviction\", SOSP 2023",
	.help = "a small FIFO for what is new, a main one for what was used",
	.unit_bytes = sizeof(struct em_link),
	.state_bytes = LISTS * sizeof(struct em_list),
	.params = params,
	.init = init,
	.insert = insert,
	.reference = reference,
	.forget = forget,
	.victim = victim,
};
