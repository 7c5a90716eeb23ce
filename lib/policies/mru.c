/* SPDX-License-Identifier: MIT
 *
 * mru: most recently used.
 *
 * H.-T. Chou, D. J. DeWitt, "An Evaluation of Buffer Management Strategies for
 * Relational Database Systems", VLDB 1985: for a loop over more than fits, the
 * best is to keep what is there and to give up what was used last.
 *
 *   victim     the newest of the rest; if there is none, the oldest of the
 *              fresh ones.
 *   insert, reference   to the head of the fresh ones; while these are more
 *              than their share, the oldest of them becomes the newest of the
 *              rest.
 *
 * What differs here: a granule is read in page by page, and victims are asked
 * for ahead of need. What has just come in would leave before it is whole, and
 * come back page by page. So a few units that were used last (fresh, a share of
 * the capacity rounded down) are passed over; with 0, or a small capacity, it
 * is the plain algorithm.
 */
#include "list.h"
#include "policies.h"

enum { FRESH, REST, LISTS };
enum { PARAM_FRESH };

static const struct extmem_param params[] = {
	[PARAM_FRESH] = { "fresh", 2, 0, 50, "%",
			  "share of the memory for the newest units, which do not leave yet" },
	EM_PARAMS_END,
};

static void init(struct extmem_cache *c)
{
	em_lists_init(c->state, LISTS);
}

static void insert(struct extmem_cache *c, uint32_t unit, enum extmem_event why)
{
	struct em_list *l = c->state;

	(void)why;
	em_list_push(&l[FRESH], c->units, unit);
	while (l[FRESH].length > em_share_of(c, c->params[PARAM_FRESH]))
		em_list_push(&l[REST], c->units, em_list_pop(&l[FRESH], c->units));
}

static void forget(struct extmem_cache *c, uint32_t unit)
{
	em_lists_remove(c->state, c->units, unit);
}

static void reference(struct extmem_cache *c, uint32_t unit)
{
	if (!em_link_of(c, unit)->list)
		return;
	forget(c, unit);
	insert(c, unit, EXTMEM_SOFT);
}

static uint32_t victim(struct extmem_cache *c)
{
	struct em_list *l = c->state;
	uint32_t unit = l[REST].head - 1;

	if (!l[REST].head)
		return em_list_pop(&l[FRESH], c->units);
	em_list_remove(&l[REST], c->units, unit);
	return unit;
}

const struct extmem_eviction em_eviction_mru = {
	.version = EXTMEM_EVICTION_VERSION,
	.name = "mru",
	.paper = "H.-T. Chou, D. J. DeWitt, \"An Evaluation of Buffer Management Strategies for "
		 "Relational Database Systems\", VLDB 1985",
	.help = "what was used last leaves: for loops over more than fits",
	.unit_bytes = sizeof(struct em_link),
	.state_bytes = LISTS * sizeof(struct em_list),
	.params = params,
	.init = init,
	.insert = insert,
	.reference = reference,
	.forget = forget,
	.victim = victim,
};
