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

static void init(struct em_policy *p) { (void)p; }

static void insert(struct em_policy *p, uint32_t unit, enum em_unit_event why)
{
	(void)why;
	em_list_push(p->state, p->units, unit);
}

static uint32_t victim(struct em_policy *p)
{
	return em_list_pop(p->state, p->units);
}

const struct em_policy_ops em_policy_fifo = {
	.name = "fifo",
	.unit_bytes = sizeof(struct em_link),
	.policy_bytes = sizeof(struct em_list),
	.init = init,
	.insert = insert,
	.victim = victim,
};
