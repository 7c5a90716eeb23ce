/* SPDX-License-Identifier: MIT
 *
 * clock2q+: a small FIFO with a correlation window, and a clock.
 *
 * Y. Zhai, B. D. Marthen, S. Balivada, V. S. Bojji, E. Knauft, J. Rohilla,
 * J. Zuo, Q. Liu, M. Austruy, W. Wang, J. Yang, "Clock2Q+: A Simple and
 * Efficient Replacement Algorithm for Metadata Cache in VMware vSAN", VLDB 2026
 * (arXiv:2511.21958). Three queues as in s3fifo, but several uses in one moment
 * are one use: the newest units of the small queue are its window, in which a
 * use sets no mark.
 *
 *   victim     small has its share or more, or main is empty: small's oldest.
 *              Marked: to the head of main, without its mark, and the next
 *              one of small. Else it leaves and is remembered, the oldest
 *              ghosts beyond their share are not. If small has run empty, or was
 *              not in turn: main's oldest. Marked: to the head of main,
 *              without its mark, and the next one. Else it leaves.
 *   insert     remembered: head of main. Else head of small, where the newest
 *              (small's share * window, rounded down) units are the window; a
 *              unit that has left the window does not return to it.
 *   reference  the mark is set, unless the unit is in the window.
 *
 * What differs here: the paper's text was not at hand, only its abstract;
 * the shares are s3fifo's and 2q's, and the window is half of the small queue.
 * What comes back from standby is in use: main. What was kept goes to the head
 * of the queue it was in.
 *
 * The faults of a granule's pages one after the other are such a moment: here
 * they look like uses of a unit that has just come in.
 */
#include "list.h"
#include "policies.h"

enum { SMALL, MAIN, GHOST, LISTS };
enum { PARAM_SMALL, PARAM_GHOSTS, PARAM_WINDOW };

/* Marks. */
#define USED 1u
#define AGED 2u /* in small, but no longer in the window */

struct clock2q_state {
	struct em_list l[LISTS];
	uint32_t edge;  /* the window's oldest (unit + 1), or 0 */
	uint32_t young; /* units in the window */
};

static const struct extmem_param params[] = {
	[PARAM_SMALL] = { "small", 10, 1, 90, "%",
			  "share of the memory that new units may hold" },
	[PARAM_GHOSTS] = { "ghosts", 50, 0, 400, "%",
			   "units remembered after they left, by those that fit" },
	[PARAM_WINDOW] = { "window", 50, 0, 100, "%",
			   "share of the small queue in which a use does not count" },
	EM_PARAMS_END,
};

static void init(struct extmem_cache *c)
{
	em_lists_init(((struct clock2q_state *)c->state)->l, LISTS);
}

static bool is_young(const struct extmem_cache *c, uint32_t unit)
{
	const struct clock2q_state *s = c->state;
	const struct em_link *n = em_link_of(c, unit);

	return n->list == s->l[SMALL].id && !(n->mark & AGED);
}

/* The window ends one unit further up. */
static void shorten_window(struct extmem_cache *c)
{
	struct clock2q_state *s = c->state;

	s->edge = em_link_of(c, s->edge - 1)->newer;
	s->young--;
}

/* Takes a unit out of its list, if it is in one. */
static void forget(struct extmem_cache *c, uint32_t unit)
{
	struct clock2q_state *s = c->state;

	if (s->edge == unit + 1)
		shorten_window(c);
	else if (is_young(c, unit))
		s->young--;
	em_lists_remove(s->l, c->units, unit);
}

static void put(struct extmem_cache *c, uint32_t unit, int list)
{
	struct clock2q_state *s = c->state;

	em_link_of(c, unit)->mark = 0;
	em_list_push(&s->l[list], c->units, unit);
}

static void put_into_small(struct extmem_cache *c, uint32_t unit)
{
	struct clock2q_state *s = c->state;
	uint64_t window = (uint64_t)em_least_share_of(c, c->params[PARAM_SMALL]) *
			  (uint64_t)c->params[PARAM_WINDOW] / 100;

	put(c, unit, SMALL);
	if (!s->edge)
		s->edge = unit + 1;
	s->young++;
	while (s->young > window) {
		em_link_of(c, s->edge - 1)->mark |= AGED;
		shorten_window(c);
	}
}

static void insert(struct extmem_cache *c, uint32_t unit, enum extmem_event why)
{
	bool remembered = em_link_of(c, unit)->list;
	bool main = why == EXTMEM_KEPT ? !remembered
				       : remembered || why == EXTMEM_SOFT;

	forget(c, unit);
	if (main)
		put(c, unit, MAIN);
	else
		put_into_small(c, unit);
}

static void reference(struct extmem_cache *c, uint32_t unit)
{
	if (!is_young(c, unit))
		em_link_of(c, unit)->mark |= USED; /* cleared when it comes in */
}

static void remember(struct extmem_cache *c, uint32_t unit)
{
	struct em_list *ghosts = &((struct clock2q_state *)c->state)->l[GHOST];

	put(c, unit, GHOST);
	while (ghosts->length > em_share_of(c, c->params[PARAM_GHOSTS]))
		em_list_pop(ghosts, c->units);
}

static uint32_t victim_of_small(struct extmem_cache *c)
{
	struct clock2q_state *s = c->state;

	while (s->l[SMALL].tail) {
		uint32_t unit = s->l[SMALL].tail - 1;
		bool used = em_link_of(c, unit)->mark & USED;

		forget(c, unit);
		if (!used) {
			remember(c, unit);
			return unit;
		}
		put(c, unit, MAIN);
	}
	return EXTMEM_UNIT_NONE;
}

static uint32_t victim_of_main(struct extmem_cache *c)
{
	struct clock2q_state *s = c->state;
	uint32_t unit;

	while ((unit = em_list_pop(&s->l[MAIN], c->units)) != EXTMEM_UNIT_NONE) {
		if (!(em_link_of(c, unit)->mark & USED))
			break;
		put(c, unit, MAIN);
	}
	return unit;
}

static uint32_t victim(struct extmem_cache *c)
{
	struct clock2q_state *s = c->state;
	uint32_t unit = EXTMEM_UNIT_NONE;

	if (!s->l[MAIN].length ||
	    s->l[SMALL].length >= em_least_share_of(c, c->params[PARAM_SMALL]))
		unit = victim_of_small(c);
	return unit != EXTMEM_UNIT_NONE ? unit : victim_of_main(c);
}

const struct extmem_eviction em_eviction_clock2qplus = {
	.version = EXTMEM_EVICTION_VERSION,
	.name = "clock2q+",
	.paper = "Y. Zhai et al., \"Clock2Q+: A Simple and Efficient Replacement Algorithm for "
		 "Metadata Cache in VMware vSAN\", VLDB 2026",
	.help = "a small FIFO whose newest units earn nothing by uses, and a clock",
	.unit_bytes = sizeof(struct em_link),
	.state_bytes = sizeof(struct clock2q_state),
	.params = params,
	.init = init,
	.insert = insert,
	.reference = reference,
	.forget = forget,
	.victim = victim,
};
