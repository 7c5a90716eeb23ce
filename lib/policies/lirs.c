/* SPDX-License-Identifier: MIT
 *
 * lirs: low inter-reference recency set.
 *
 * S. Jiang, X. Zhang, "LIRS: An Efficient Low Inter-reference Recency Set
 * Replacement Policy to Improve Buffer Cache Performance", SIGMETRICS 2002.
 * What counts is not when a unit was used last, but how much else was used
 * between its last two uses. Most of the memory holds units for which that is
 * little (LIR); the others (HIR) share the rest. A stack S holds all LIR units and
 * what was used since the oldest of them was; a queue Q holds the HIR units that
 * are in.
 *
 *   reference  LIR: to the top of S. HIR in S: it becomes LIR, at the top of S,
 *              and leaves Q; while there are too many LIR units the lowest
 *              one becomes HIR, at the end of Q, out of S. HIR not in S: to the top
 *              of S and the end of Q.
 *   victim     Q's first leaves; if it is in S it stays there as a ghost, the
 *              oldest ghosts beyond their share are removed. If Q is empty, the lowest
 *              LIR unit is made HIR first.
 *   insert     a ghost becomes LIR as above. Else, while LIR units are fewer than
 *              may be, LIR; else HIR, at the top of S and the end of Q.
 *   always     S is pruned: HIR units below the lowest LIR one are not in S.
 *
 * One list does for both. Whatever enters S at its top or Q at its end is the
 * newest of all, so S and Q are subsequences of one list, ordered by when a
 * unit was last put there, and a unit needs one pair of links and its kind:
 *
 *    tail  H H h g H L g h L H h L  head     L  LIR              in S
 *          |         |                       h  HIR that is in   in S and Q
 *          queue     bottom                  H  HIR that is in   in Q
 *                                            g  ghost            in S
 *
 * Three hands (the lowest L, the first h or H, the oldest g) move towards the
 * head only, so all their steps together are no more than units were put
 * there; one call can take longer.
 *
 * What differs here: ghosts are bounded, as every implementation has to. What
 * comes back from standby and is no ghost counts as a hit of an HIR unit not
 * in S. What was kept is HIR again, at the top of S.
 */
#include "list.h"
#include "policies.h"

enum { PARAM_HIR, PARAM_GHOSTS };
enum kind { LIR, HIR_IN_S, HIR, GHOST }; /* the mark */

struct lirs_state {
	struct em_list all;
	/* unit + 1, or 0 if there is none of that kind */
	uint32_t bottom; /* the lowest LIR */
	uint32_t queue;  /* the first HIR that is in, in S or not */
	uint32_t oldest; /* the oldest ghost */
	uint32_t lir, ghosts;
};

static const struct extmem_param params[] = {
	[PARAM_HIR] = { "hir", 1, 1, 50, "%",
			"share of the memory for units that are not proven" },
	[PARAM_GHOSTS] = { "ghosts", 200, 0, 400, "%",
			   "units remembered after they left, by those that fit" },
	EM_PARAMS_END,
};

static void init(struct extmem_cache *c)
{
	((struct lirs_state *)c->state)->all.id = 1;
}

static enum kind kind_of(const struct extmem_cache *c, uint32_t unit)
{
	return (enum kind)em_link_of(c, unit)->mark;
}

/* The first unit from `at` (unit + 1) on towards the head that is in Q. */
static uint32_t next_queued(const struct extmem_cache *c, uint32_t at)
{
	while (at && kind_of(c, at - 1) != HIR_IN_S && kind_of(c, at - 1) != HIR)
		at = em_link_of(c, at - 1)->newer;
	return at;
}

static uint32_t next_ghost(const struct extmem_cache *c, uint32_t at)
{
	while (at && kind_of(c, at - 1) != GHOST)
		at = em_link_of(c, at - 1)->newer;
	return at;
}

static void drop_ghost(struct extmem_cache *c, uint32_t unit)
{
	struct lirs_state *s = c->state;

	if (s->oldest == unit + 1)
		s->oldest = next_ghost(c, em_link_of(c, unit)->newer);
	em_list_remove(&s->all, c->units, unit);
	s->ghosts--;
}

/* The lowest LIR unit is sought from `at` on; what lies below it leaves S. */
static void prune(struct extmem_cache *c, uint32_t at)
{
	struct lirs_state *s = c->state;

	while (at && kind_of(c, at - 1) != LIR) {
		uint32_t unit = at - 1;

		at = em_link_of(c, unit)->newer;
		if (kind_of(c, unit) == GHOST)
			drop_ghost(c, unit);
		else
			em_link_of(c, unit)->mark = HIR;
	}
	s->bottom = at;
}

/* Takes a unit out of the list, with all that depends on it. */
static void take_out(struct extmem_cache *c, uint32_t unit)
{
	struct lirs_state *s = c->state;
	uint32_t up = em_link_of(c, unit)->newer;

	if (kind_of(c, unit) == GHOST) {
		drop_ghost(c, unit);
		return;
	}
	if (s->queue == unit + 1)
		s->queue = next_queued(c, up);
	s->lir -= kind_of(c, unit) == LIR;
	em_list_remove(&s->all, c->units, unit);
	if (s->bottom == unit + 1)
		prune(c, up);
}

static void put_lir(struct extmem_cache *c, uint32_t unit)
{
	struct lirs_state *s = c->state;

	em_link_of(c, unit)->mark = LIR;
	em_list_push(&s->all, c->units, unit);
	if (!s->bottom)
		s->bottom = unit + 1;
	s->lir++;
}

/* At the end of Q and, if it may, at the top of S, of which LIR is the bottom. */
static void put_hir(struct extmem_cache *c, uint32_t unit, bool in_s)
{
	struct lirs_state *s = c->state;

	em_link_of(c, unit)->mark = in_s && s->bottom ? HIR_IN_S : HIR;
	em_list_push(&s->all, c->units, unit);
	if (!s->queue)
		s->queue = unit + 1;
}

static void demote_lowest(struct extmem_cache *c)
{
	uint32_t unit = ((struct lirs_state *)c->state)->bottom - 1;

	take_out(c, unit);
	put_hir(c, unit, false);
}

static uint32_t lir_max(const struct extmem_cache *c)
{
	return c->capacity - em_least_share_of(c, c->params[PARAM_HIR]);
}

static void promote(struct extmem_cache *c, uint32_t unit)
{
	struct lirs_state *s = c->state;

	put_lir(c, unit);
	while (s->lir > lir_max(c))
		demote_lowest(c);
}

static void insert(struct extmem_cache *c, uint32_t unit, enum extmem_event why)
{
	struct lirs_state *s = c->state;
	bool ghost = em_link_of(c, unit)->list;

	if (ghost)
		drop_ghost(c, unit);
	if (why != EXTMEM_KEPT && (ghost || s->lir < lir_max(c)))
		promote(c, unit);
	else
		put_hir(c, unit, true);
}

static void reference(struct extmem_cache *c, uint32_t unit)
{
	enum kind was = kind_of(c, unit);

	if (!em_link_of(c, unit)->list || was == GHOST)
		return;
	take_out(c, unit);
	if (was == HIR)
		put_hir(c, unit, true);
	else
		promote(c, unit);
}

static void forget(struct extmem_cache *c, uint32_t unit)
{
	if (em_link_of(c, unit)->list)
		take_out(c, unit);
}

/* A unit of Q's leaves, but not S. */
static void make_ghost(struct extmem_cache *c, uint32_t unit)
{
	struct lirs_state *s = c->state;

	em_link_of(c, unit)->mark = GHOST;
	s->queue = next_queued(c, em_link_of(c, unit)->newer);
	if (!s->oldest)
		s->oldest = unit + 1;
	s->ghosts++;
	while (s->ghosts > em_share_of(c, c->params[PARAM_GHOSTS]))
		drop_ghost(c, s->oldest - 1);
}

static uint32_t victim(struct extmem_cache *c)
{
	struct lirs_state *s = c->state;
	uint32_t unit;

	if (!s->queue && s->bottom)
		demote_lowest(c);
	if (!s->queue)
		return EXTMEM_UNIT_NONE;
	unit = s->queue - 1;
	if (kind_of(c, unit) == HIR_IN_S)
		make_ghost(c, unit);
	else
		take_out(c, unit);
	return unit;
}

const struct extmem_eviction em_eviction_lirs = {
	.version = EXTMEM_EVICTION_VERSION,
	.name = "lirs",
	.paper = "S. Jiang, X. Zhang, \"LIRS: An Efficient Low Inter-reference Recency Set Replacement "
		 "Policy to Improve Buffer Cache Performance\", SIGMETRICS 2002",
	.help = "keeps what is used again after little else was used",
	.unit_bytes = sizeof(struct em_link),
	.state_bytes = sizeof(struct lirs_state),
	.params = params,
	.init = init,
	.insert = insert,
	.reference = reference,
	.forget = forget,
	.victim = victim,
};
