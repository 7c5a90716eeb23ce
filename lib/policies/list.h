/* SPDX-License-Identifier: MIT
 *
 * list: doubly linked lists of units in 8 bytes a unit.
 *
 * Links are unit numbers plus one, so that zeroed memory is an unlinked unit.
 * The newest unit is at the head, the next to leave at the tail.
 */
#ifndef EM_POLICY_LIST_H
#define EM_POLICY_LIST_H

#include "policy.h"

struct em_link {
	uint32_t newer, older;
};

struct em_list {
	uint32_t head, tail; /* unit + 1, or 0 */
	uint32_t length;
};

static inline void em_list_push(struct em_list *l, struct em_link *links,
				uint32_t unit)
{
	links[unit].newer = 0;
	links[unit].older = l->head;
	if (l->head)
		links[l->head - 1].newer = unit + 1;
	else
		l->tail = unit + 1;
	l->head = unit + 1;
	l->length++;
}

static inline void em_list_remove(struct em_list *l, struct em_link *links,
				  uint32_t unit)
{
	struct em_link *n = &links[unit];

	if (n->newer)
		links[n->newer - 1].older = n->older;
	else
		l->head = n->older;
	if (n->older)
		links[n->older - 1].newer = n->newer;
	else
		l->tail = n->newer;
	*n = (struct em_link){ 0, 0 };
	l->length--;
}

/* The oldest unit, taken out; EM_UNIT_NONE when the list is empty. */
static inline uint32_t em_list_pop(struct em_list *l, struct em_link *links)
{
	uint32_t unit = l->tail - 1;

	if (!l->tail)
		return EM_UNIT_NONE;
	em_list_remove(l, links, unit);
	return unit;
}

#endif
