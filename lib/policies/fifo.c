/* SPDX-License-Identifier: MIT
 *
 * fifo: first in, first out.
 *
 * What came in first leaves first, used or not. Nothing is learned, nothing
 * is mistaken: the yardstick for the others, and the right choice where there
 * is no locality to learn. A unit taken back from standby counts as new.
 */
#include "list.h"
#include "policies.h"

static void init(struct extmem_cache *c)
{
	((struct em_list *)c->state)->id = 1;
}

static void insert(struct extmem_cache *c, uint32_t unit, enum extmem_event why)
{
	(void)why;
	em_list_push(c->state, c->units, unit);
}

static void forget(struct extmem_cache *c, uint32_t unit)
{
	if (em_link_of(c, unit)->list)
		em_list_remove(c->state, c->units, unit);
}

static uint32_t victim(struct extmem_cache *c)
{
	return em_list_pop(c->state, c->units);
}

const struct extmem_eviction em_eviction_fifo = {
	.version = EXTMEM_EVICTION_VERSION,
	.name = "fifo",
	.paper = "L. A. Belady, R. A. Nelson, G. S. Shedler, \"An anomaly in space-time "
		 "characteristics of certain programs running in a paging machine\", CACM 12(6), 1969",
	.help = "what came in first leaves first, used or not",
	.unit_bytes = sizeof(struct em_link),
	.state_bytes = sizeof(struct em_list),
	.init = init,
	.insert = insert,
	.forget = forget,
	.victim = victim,
};
