/* SPDX-License-Identifier: MIT
 *
 * list: doubly linked lists of units in 8 bytes a unit.
 *
 * Links are unit numbers plus one, in 30 bits, so that zeroed memory is a unit
 * in no list. The two bits beside each say in which list the unit is and hold
 * what the algorithm marks it with. The newest unit is at the head, the next
 * to leave at the tail.
 */
#ifndef EM_POLICY_LIST_H
#define EM_POLICY_LIST_H

#include "extmem-policy.h"
#include <stdbool.h>

struct em_link {
	uint32_t newer : 30;
	uint32_t list : 2;  /* the id of its list; 0 in none */
	uint32_t older : 30;
	uint32_t mark : 2;  /* the algorithm's */
};

struct em_list {
	uint32_t head, tail; /* unit + 1, or 0 */
	uint32_t length;
	uint32_t id;         /* 1 to 3 */
};

static inline struct em_link *em_link_of(const struct extmem_cache *c, uint32_t unit)
{
	return (struct em_link *)c->units + unit;
}

/* Puts a unit that is in no list at the head; its mark stays. */
static inline void em_list_push(struct em_list *l, struct em_link *links,
				uint32_t unit)
{
	links[unit].newer = 0;
	links[unit].older = l->head;
	links[unit].list = l->id;
	if (l->head)
		links[l->head - 1].newer = unit + 1;
	else
		l->tail = unit + 1;
	l->head = unit + 1;
	l->length++;
}

/* Takes a unit of this list out; its mark stays. */
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
	n->newer = n->older = n->list = 0;
	l->length--;
}

/* The oldest unit, taken out; EXTMEM_UNIT_NONE when the list is empty. */
static inline uint32_t em_list_pop(struct em_list *l, struct em_link *links)
{
	uint32_t unit = l->tail - 1;

	if (!l->tail)
		return EXTMEM_UNIT_NONE;
	em_list_remove(l, links, unit);
	return unit;
}

/* Gives n lists in a row the ids 1 to n. */
static inline void em_lists_init(struct em_list *lists, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		lists[i].id = i + 1;
}

/* Takes a unit out of the one of such lists that it is in, if any. */
static inline void em_lists_remove(struct em_list *lists, struct em_link *links,
				   uint32_t unit)
{
	if (links[unit].list)
		em_list_remove(&lists[links[unit].list - 1], links, unit);
}

/* So many percent of the capacity, rounded down. */
static inline uint32_t em_share_of(const struct extmem_cache *c, int64_t percent)
{
	uint64_t share = (uint64_t)c->capacity * (uint64_t)percent / 100;

	return share < EXTMEM_UNITS_MAX ? (uint32_t)share : EXTMEM_UNITS_MAX;
}

/* The same, but 1 at least. */
static inline uint32_t em_least_share_of(const struct extmem_cache *c, int64_t percent)
{
	uint32_t share = em_share_of(c, percent);

	return share ? share : 1;
}

#endif
