/* SPDX-License-Identifier: MIT
 *
 * sieve: a FIFO with a hand that keeps what it passes over.
 *
 * Y. Zhang, J. Yang, Y. Yue, Y. Vigfusson, K. V. Rashmi, "SIEVE is Simpler than
 * LRU: an Efficient Turn-Key Eviction Algorithm for Web Caches", NSDI 2024. As
 * clock, but a unit that is spared stays where it is, and the hand goes on from
 * there towards the new ones: so these are looked at soon, and the old ones
 * that were spared are left alone for a whole round.
 *
 *   victim     from the hand, or from the oldest: units that were visited lose
 *              their mark and are passed over, towards the newest and then
 *              from the oldest on. The first without a mark leaves; the hand
 *              points to the next newer one, or, past the newest, nowhere.
 *   insert     at the head, unvisited.
 *   reference  the mark is set.
 *
 * What differs here: what comes back from standby is visited. What was kept
 * counts as new.
 */
#include "list.h"
#include "policies.h"

struct sieve_state {
	struct em_list queue;
	uint32_t hand; /* unit + 1, or 0 */
};

static void init(struct extmem_cache *c)
{
	((struct sieve_state *)c->state)->queue.id = 1;
}

static void insert(struct extmem_cache *c, uint32_t unit, enum extmem_event why)
{
	struct sieve_state *s = c->state;

	em_link_of(c, unit)->mark = why == EXTMEM_SOFT;
	em_list_push(&s->queue, c->units, unit);
}

static void reference(struct extmem_cache *c, uint32_t unit)
{
	em_link_of(c, unit)->mark = 1; /* set anew when it comes in */
}

static void forget(struct extmem_cache *c, uint32_t unit)
{
	struct sieve_state *s = c->state;

	if (!em_link_of(c, unit)->list)
		return;
	if (s->hand == unit + 1)
		s->hand = em_link_of(c, unit)->newer;
	em_list_remove(&s->queue, c->units, unit);
}

static uint32_t victim(struct extmem_cache *c)
{
	struct sieve_state *s = c->state;
	uint32_t at = s->hand ? s->hand : s->queue.tail;

	/* Ends: whatever is passed over has lost its mark. */
	while (at && em_link_of(c, at - 1)->mark) {
		em_link_of(c, at - 1)->mark = 0;
		at = em_link_of(c, at - 1)->newer;
		if (!at)
			at = s->queue.tail;
	}
	if (!at)
		return EXTMEM_UNIT_NONE;
	s->hand = at;
	forget(c, at - 1); /* moves the hand on */
	return at - 1;
}

const struct extmem_eviction em_eviction_sieve = {
	.version = EXTMEM_EVICTION_VERSION,
	.name = "sieve",
	.paper = "Y. Zhang, J. Yang, Y. Yue, Y. Vigfusson, K. V. Rashmi, \"SIEVE is Simpler than LRU: "
		 "an Efficient Turn-Key Eviction Algorithm for Web Caches\", NSDI 2024",
	.help = "a FIFO with a hand that keeps what was used where it stands",
	.unit_bytes = sizeof(struct em_link),
	.state_bytes = sizeof(struct sieve_state),
	.init = init,
	.insert = insert,
	.reference = reference,
	.forget = forget,
	.victim = victim,
};
