/* SPDX-License-Identifier: MIT
 *
 * Units belong to groups: one for each rule of the policy, and one for what no
 * rule names. Each group has an instance of an algorithm, and they compete: the
 * next victim is of the group whose *pass* is least, and giving a unit costs a
 * group the more pass the dearer its pages are (priority), the more of them were
 * read back lately (refaults), and the fewer it has (stride scheduling). What a
 * group is promised (min) is taken last, and what it may not have (max) first.
 *
 * A change of the policy while the program runs makes a second *generation* of
 * groups. New units go there at once; the old ones are moved over a few at a
 * time, coldest first, so that nobody waits. Until that is done, victims are of
 * the old generation.
 */
#include "policy.h"
#include "credits.h"
#include "lock.h"
#include "log.h"
#include "page.h"
#include "policies/policies.h"
#include "stats.h"
#include "thread.h"
#include <errno.h>
#include <string.h>

/* Below so many units an average says little. */
#define AVERAGE_UNITS_MIN 16
#define GROUPS (EM_CONFIG_REGIONS_MAX + 1)
/* So many units are moved to another generation without giving up the lock. */
#define MOVE_UNITS 256
/* Averages change by one part in so many with each unit. */
#define LEARN 32
/* Of so many victims one has units looked at, about so many; an average is of some. */
#define PICKS 32
#define LOOKS 1024
#define SEEN_MIN 16
/* Refaults are counted in so many parts of all that comes and goes. */
#define PARTS 256
/* Where a group may have only so much, units are looked at after so many pages. */
#define GROWN_PAGES 128
/* And it hears of its units in so few. */
#define EVENTS_BOUNDED 8u
/* What a group has beyond its max by one in so many, it has to give back first. */
#define EXCESS 32
/* 0: the unit is in no group. */
#define TAG(generation, group) (uint8_t)(32 | (generation) << 4 | (group))

struct group {
	struct extmem_cache cache;
	int64_t params[EXTMEM_PARAMS_MAX];
	uint64_t queued;      /* units that are in */
	uint64_t pass;
	uint32_t refaults;    /* of PARTS */
	uint32_t fill;        /* resident pages of a unit on average, times LEARN */
	uint32_t seen, seen_pages; /* units that were looked at for the next average */
	int priority;
	bool pin;
	bool broken;          /* its algorithm gave a unit that was not in */
	struct em_size min, max;
};

struct generation {
	struct group groups[GROUPS];
	unsigned int count;   /* 0: there is none */
	uint64_t queued;
};

/* What is not atomic is guarded by policy_lock. */
static struct {
	struct generation generations[2];
	unsigned int now;     /* the one that units come into */
	uint8_t *tags;        /* of each unit the group that it is in, as TAG() */
	uint64_t units;
	uint32_t top;         /* no unit from here on has been in */
	uint32_t picks;       /* victims that were asked for */
	uint32_t measures;    /* times that units were looked at */
	_Atomic uint32_t grown; /* pages that came in since, where a group has a max */
	em_policy_sorter *sorter;
	_Atomic bool bounded; /* some group has a max */
	bool measured;        /* or a min */
	_Atomic bool over;    /* and one of them has more */
	_Atomic uint32_t excess; /* a bit for each of those now that have far more */
} policy;

static struct em_lock policy_lock = EM_LOCK_INIT(EM_LOCK_POLICY);

/* ---- making and ending generations ------------------------------------ */

/* An algorithm may do without either. */
static size_t units_bytes(const struct extmem_cache *c)
{
	return em_max(policy.units * c->ops->unit_bytes, 1);
}

static size_t state_bytes(const struct extmem_cache *c)
{
	return em_max(c->ops->state_bytes, 1);
}

static int make_group(struct group *g, const char *algorithm, const struct em_params *params)
{
	memset(g, 0, sizeof(*g));
	g->max = (struct em_size){ EM_SIZE_PERMILLE, 1000 };
	g->fill = LEARN << em_granule_shift();
	g->cache.ops = extmem_eviction_find(algorithm);
	if (!g->cache.ops)
		return -EINVAL;
	em_params_fill(params, g->cache.ops->params, g->params);
	g->cache.params = g->params;
	g->cache.capacity = 1;
	g->cache.units = em_sys_alloc(units_bytes(&g->cache));
	g->cache.state = em_sys_alloc(state_bytes(&g->cache));
	if (!g->cache.units || !g->cache.state)
		return -ENOMEM;
	if (g->cache.ops->init)
		g->cache.ops->init(&g->cache);
	return 0;
}

static void end_generation(struct generation *gen)
{
	for (unsigned int i = 0; i < gen->count; i++) {
		struct extmem_cache *c = &gen->groups[i].cache;
		if (c->units)
			em_sys_dealloc(c->units, units_bytes(c));
		if (c->state)
			em_sys_dealloc(c->state, state_bytes(c));
	}
	gen->count = 0;
}

/* What a rule says beside its algorithm. Rule i is of group i + 1. */
static void set_rules(struct generation *gen, const struct em_config *cfg)
{
	for (unsigned int i = 0; i < cfg->region_count; i++) {
		struct group *g = &gen->groups[i + 1];
		g->priority = cfg->regions[i].priority;
		g->pin = cfg->regions[i].pin;
		g->min = cfg->regions[i].min;
		g->max = cfg->regions[i].max;
	}
}

static int make_generation(struct generation *gen, const struct em_config *cfg)
{
	int ret;

	gen->queued = 0;
	gen->count = 1;
	ret = make_group(&gen->groups[0], cfg->algorithm, &cfg->params);
	for (unsigned int i = 0; i < cfg->region_count && ret == 0; i++) {
		const struct em_region_config *r = &cfg->regions[i];
		bool own = strcmp(r->algorithm, "inherit") || r->params.count;
		gen->count++;
		ret = make_group(&gen->groups[i + 1], em_config_algorithm(cfg, r),
				 own ? &r->params : &cfg->params);
	}
	if (ret < 0)
		end_generation(gen);
	else
		set_rules(gen, cfg);
	return ret;
}

static bool is_bounded(const struct group *g)
{
	return g->max.kind != EM_SIZE_PERMILLE || g->max.value < 1000;
}

static void note_bounds(void)
{
	const struct generation *gen = &policy.generations[policy.now];
	bool bounded = false, promised = false;

	for (unsigned int i = 0; i < gen->count; i++) {
		bounded |= is_bounded(&gen->groups[i]);
		promised |= gen->groups[i].min.value > 0;
	}
	policy.measured = bounded || promised;
	atomic_store(&policy.bounded, bounded);
	atomic_store(&policy.excess, 0);
}

bool em_policy_is_bounded(void)
{
	return em_unlikely(atomic_load_explicit(&policy.bounded, memory_order_relaxed));
}

int em_policy_init(const struct em_config *cfg, uint64_t units, em_policy_sorter *sorter)
{
	policy.units = units;
	policy.sorter = sorter;
	policy.tags = em_sys_alloc(units);
	if (!policy.tags)
		return -ENOMEM;
	int ret = make_generation(&policy.generations[policy.now], cfg);
	note_bounds();
	return ret;
}

void em_policy_fit_space(uint64_t units)
{
	if (units >= policy.units)
		return;
	for (int gen = 0; gen < 2; gen++)
		for (unsigned int i = 0; i < policy.generations[gen].count; i++) {
			struct extmem_cache *c = &policy.generations[gen].groups[i].cache;
			size_t keep = em_round_up(units * c->ops->unit_bytes, EM_PAGE_BYTES);
			size_t have = policy.units * c->ops->unit_bytes;
			if (keep < have)
				em_sys_dealloc((char *)c->units + keep, have - keep);
		}
	if (em_round_up(units, EM_PAGE_BYTES) < policy.units)
		em_sys_dealloc(policy.tags + em_round_up(units, EM_PAGE_BYTES),
			       policy.units - em_round_up(units, EM_PAGE_BYTES));
	policy.units = units;
}

/* ---- how much -------------------------------------------------------- */

static uint64_t pages_of(const struct group *g)
{
	return g->queued * g->fill / LEARN;
}

static uint64_t in_pages(const struct em_size *s)
{
	uint64_t limit = atomic_load_explicit(&em_segment->limit_pages, memory_order_relaxed);

	return s->kind == EM_SIZE_PERMILLE ? limit * s->value / 1000
					   : s->value >> EM_PAGE_SHIFT;
}

static bool is_over(const struct group *g)
{
	return is_bounded(g) && pages_of(g) > in_pages(&g->max);
}

/* How much a group has has changed. */
static void note_size(const struct group *g)
{
	const struct group *first = policy.generations[policy.now].groups;
	uint32_t bit = g >= first && g < first + GROUPS ? 1u << (g - first) : 0;
	uint64_t max = in_pages(&g->max);

	if (is_over(g))
		atomic_store(&policy.over, true);
	if (!is_bounded(g) || pages_of(g) <= max + max / EXCESS)
		atomic_fetch_and(&policy.excess, ~bit);
	else
		atomic_fetch_or(&policy.excess, bit);
}

/*
 * How many units fit: the limit divided by the pages that a unit has resident
 * on average. A granule need not be whole, and an empty one costs nothing. Of
 * several groups each has the share that it has now.
 */
static void estimate_capacity(const struct generation *gen, struct group *g)
{
	int64_t pages = (int64_t)atomic_load_explicit(&em_segment->credit_pages,
						      memory_order_relaxed);
	int64_t left = atomic_load_explicit(&em_segment->free_pages,
					    memory_order_relaxed);
	uint64_t least = em_max((uint64_t)pages >> em_granule_shift(), 1);
	uint64_t fit = least;

	if (gen->queued >= AVERAGE_UNITS_MIN && pages > left)
		fit = (uint64_t)pages * gen->queued / (uint64_t)(pages - left);
	fit = em_clamp(fit, least, em_max((uint64_t)pages, least));
	if (gen->count > 1)
		fit = em_max(fit * g->queued / em_max(gen->queued, 1), 1);
	g->cache.capacity = (uint32_t)fit;
}

uint32_t em_policy_capacity(void)
{
	return policy.generations[policy.now].groups[0].cache.capacity;
}

bool em_policy_is_over(void)
{
	return em_unlikely(atomic_load_explicit(&policy.over, memory_order_relaxed));
}

bool em_policy_has_excess(unsigned int rule)
{
	return atomic_load_explicit(&policy.excess, memory_order_relaxed) >> rule & 1;
}

/* ---- events ---------------------------------------------------------- */

/* The group that a unit is in, or NULL. */
static struct group *group_of(uint32_t unit)
{
	uint8_t tag = policy.tags[unit];

	return tag ? &policy.generations[tag >> 4 & 1].groups[tag & 15] : NULL;
}

static struct generation *generation_of(const struct group *g)
{
	return &policy.generations[g >= policy.generations[1].groups];
}

static void insert(uint32_t unit, enum extmem_event what)
{
	struct generation *gen = &policy.generations[policy.now];
	unsigned int i = gen->count > 1 ? policy.sorter(unit) : 0;
	struct group *g = &gen->groups[i < gen->count ? i : 0];

	policy.tags[unit] = TAG(policy.now, (unsigned int)(g - gen->groups));
	policy.top = (uint32_t)em_max(policy.top, unit + 1);
	g->queued++;
	gen->queued++;
	if (what == EXTMEM_MAJOR)
		g->refaults += (PARTS - g->refaults) / LEARN;
	g->cache.ops->insert(&g->cache, unit, what);
	if (em_policy_is_bounded())
		note_size(g);
}

static void leave(struct group *g, uint32_t unit)
{
	policy.tags[unit] = 0;
	g->queued--;
	generation_of(g)->queued--;
	if (em_policy_is_bounded())
		note_size(g);
}

/* Whether a unit has a page that is, or will be, in memory. */
static bool is_touched(uint32_t unit)
{
	uint64_t first = (uint64_t)unit << em_granule_shift();

	for (uint64_t page = first; page < first + (1u << em_granule_shift()); page++) {
		enum em_page_state state = EM_WORD_STATE(em_page_load(page));
		if (state != EM_PAGE_UNTOUCHED && state != EM_PAGE_FOREIGN)
			return true;
	}
	return false;
}

static void forget_ghosts(uint32_t unit)
{
	struct generation *gen = &policy.generations[policy.now];

	for (unsigned int i = 0; i < gen->count; i++) {
		struct extmem_cache *c = &gen->groups[i].cache;
		if (c->ops->forget)
			c->ops->forget(c, unit);
	}
}

/*
 * The contents of a unit are gone. The race "touched while forgotten": who touches it
 * anew owns a page first and then looks whether the unit is in; it is no longer
 * in first here, and then the pages are looked at. One of the two brings it in.
 */
static void forget(uint32_t unit)
{
	struct group *g = group_of(unit);

	if (!g) {
		forget_ghosts(unit);
		return;
	}
	if (!g->cache.ops->forget)
		return;
	g->cache.ops->forget(&g->cache, unit);
	leave(g, unit);
	em_granule_dequeued(unit);
	if (is_touched(unit) && em_granule_enqueue(unit))
		insert(unit, EXTMEM_FIRST);
}

static void refer(uint32_t unit)
{
	struct group *g = group_of(unit);

	if (g && g->cache.ops->reference)
		g->cache.ops->reference(&g->cache, unit);
}

/* Who takes no advice has a hit on what will be used. */
static void advise(uint32_t unit, enum extmem_advice advice)
{
	struct group *g = group_of(unit);

	if (g && g->cache.ops->advise)
		g->cache.ops->advise(&g->cache, unit, advice);
	else if (advice == EXTMEM_HOT)
		refer(unit);
}

/* An event in a ring: the unit, what it is in more detail, and the kind of it. */
enum kind { REFERENCE, INSERT, FORGET, ADVISE };
#define EVENT(kind, detail, unit) ((uint64_t)(kind) << 40 | (uint64_t)(detail) << 32 | (unit))

static void deliver(uint64_t event)
{
	uint32_t unit = (uint32_t)event;
	unsigned int detail = event >> 32 & 7;

	switch ((enum kind)(event >> 40)) {
	case REFERENCE: refer(unit); break;
	case INSERT: insert(unit, (enum extmem_event)detail); break;
	case FORGET: forget(unit); break;
	case ADVISE: advise(unit, (enum extmem_advice)detail); break;
	}
}

/* The policy lock is held: only its holder moves a tail. */
static void drain(struct em_thread *t, void *arg)
{
	uint32_t tail = atomic_load_explicit(&t->event_tail, memory_order_relaxed);
	uint32_t head = atomic_load_explicit(&t->event_head, memory_order_acquire);

	(void)arg;
	while (tail != head)
		deliver(t->events[tail++ % EM_EVENTS]);
	atomic_store_explicit(&t->event_tail, tail, memory_order_release);
}

static void push(struct em_thread *t, uint64_t event)
{
	uint32_t head = atomic_load_explicit(&t->event_head, memory_order_relaxed);
	uint32_t room = em_policy_is_bounded() ? EVENTS_BOUNDED : EM_EVENTS;

	if (head - atomic_load_explicit(&t->event_tail, memory_order_acquire) >= room) {
		em_lock(&policy_lock);
		drain(t, NULL);
		em_unlock(&policy_lock);
	}
	t->events[head % EM_EVENTS] = event;
	atomic_store_explicit(&t->event_head, head + 1, memory_order_release);
}

void em_policy_tell(uint32_t unit, enum extmem_event event)
{
	bool insert;

	if (em_unlikely(unit >= EXTMEM_UNITS_MAX))
		return;
	insert = em_granule_enqueue(unit);
	if (!insert && event != EXTMEM_SOFT)
		return; /* it is in a list, and that is all that can be said */
	push(em_thread_self(), EVENT(insert ? INSERT : REFERENCE, event, unit));
}

void em_policy_forget(uint32_t unit)
{
	if (em_likely(unit < EXTMEM_UNITS_MAX))
		push(em_thread_self(), EVENT(FORGET, 0, unit));
}

void em_policy_advise(uint32_t unit, enum extmem_advice advice)
{
	if (em_likely(unit < EXTMEM_UNITS_MAX))
		push(em_thread_self(), EVENT(ADVISE, advice, unit));
}

/* ---- victims --------------------------------------------------------- */

/* How badly a group's units must stay: they are asked of the least first. */
static int hold(const struct group *g)
{
	if (is_over(g))
		return 0;
	if (g->pin)
		return 3;
	return g->min.value && pages_of(g) <= in_pages(&g->min) ? 2 : 1;
}

static struct group *choose_group(struct generation *gen, bool only_over)
{
	struct group *best = NULL;
	int best_hold = 0;

	for (unsigned int i = 0; i < gen->count; i++) {
		struct group *g = &gen->groups[i];
		int h;
		if (!g->queued || g->broken || (only_over && !is_over(g)))
			continue;
		h = hold(g);
		if (!best || h < best_hold || (h == best_hold && g->pass < best->pass)) {
			best = g;
			best_hold = h;
		}
	}
	return best;
}

/*
 * What giving a unit costs: twice as much for each step of priority, up to nine
 * times as much where all that goes comes back, and all the less the more there
 * are. Who had nothing for a while begins where the others are.
 */
static void charge(struct generation *gen, struct group *g)
{
	uint64_t dear = 1ull << (g->priority + 10);

	for (unsigned int i = 0; i < gen->count; i++)
		if (!gen->groups[i].queued)
			gen->groups[i].pass = g->pass;
	g->pass += (dear * (PARTS / 4 + g->refaults * 2) << 20) / g->queued;
}

static uint32_t count_resident(uint32_t unit)
{
	uint64_t first = (uint64_t)unit << em_granule_shift();
	uint32_t n = 0;

	for (uint64_t page = first; page < first + (1u << em_granule_shift()); page++)
		n += EM_WORD_STATE(em_page_load(page)) == EM_PAGE_RESIDENT;
	return n;
}

/*
 * Looks at every so many units, others each time, at all if they are few: what leaves
 * tells nothing of those that stay, being oldest.
 */
static void measure(void)
{
	uint32_t step = policy.top / LOOKS + 1;

	for (uint32_t unit = policy.measures++ % step; unit < policy.top; unit += step) {
		struct group *g = group_of(unit);
		uint32_t pages = g && (g->min.value || is_bounded(g)) ? count_resident(unit) : 0;

		if (pages) {
			g->seen++;
			g->seen_pages += pages;
		}
	}
	for (unsigned int i = 0; i < 2 * GROUPS; i++) {
		struct group *g = &policy.generations[i / GROUPS].groups[i % GROUPS];

		if (g->seen < SEEN_MIN)
			continue; /* together with what is seen next time */
		g->fill = (uint32_t)em_max((uint64_t)g->seen_pages * LEARN / g->seen, LEARN);
		g->seen = g->seen_pages = 0;
		note_size(g);
	}
}

/* A unit that is in grows without a word: so much is looked at often where it counts. */
void em_policy_grown(uint32_t pages)
{
	if (!em_policy_is_bounded() ||
	    atomic_fetch_add(&policy.grown, pages) + pages < GROWN_PAGES)
		return;
	atomic_store(&policy.grown, 0);
	if (!em_trylock(&policy_lock))
		return; /* who has it looks, too, now or next time */
	em_threads_visit(drain, NULL);
	measure();
	em_unlock(&policy_lock);
}

/*
 * A plug-in may return anything. What is not in must not be taken: it would come
 * in a second time.
 */
static bool is_in(struct group *g, uint32_t unit)
{
	if (em_likely(unit < policy.units && group_of(unit) == g))
		return true;
	g->broken = true;
	em_log_once("the eviction algorithm '%s' gave unit %u, which is not in: it is not asked again, and its memory stays until 'extmem policy apply' names another",
		    g->cache.ops->name, unit);
	return false;
}

/* A unit that leaves its group, or EXTMEM_UNIT_NONE. */
static uint32_t take(struct generation *gen, struct group *g)
{
	uint32_t unit;

	estimate_capacity(gen, g);
	unit = g->cache.ops->victim(&g->cache);
	if (unit == EXTMEM_UNIT_NONE || !is_in(g, unit))
		return EXTMEM_UNIT_NONE;
	if (gen->count > 1)
		charge(gen, g);
	leave(g, unit);
	return unit;
}

static uint32_t next_victim(bool only_over)
{
	struct generation *old = &policy.generations[!policy.now];
	struct generation *gen = old->queued ? old : &policy.generations[policy.now];
	struct group *g;
	uint32_t unit;

	if (em_unlikely(policy.measured) && !(policy.picks++ % PICKS))
		measure();
	g = choose_group(gen, only_over);
	if (!g)
		return EXTMEM_UNIT_NONE;
	unit = take(gen, g);
	if (unit == EXTMEM_UNIT_NONE)
		return unit;
	if (gen->count > 1) /* one alone competes with nobody */
		g->refaults -= g->refaults / LEARN;
	em_granule_dequeued(unit);
	return unit;
}

/* Enough is free, and reclaim is here for those only that have too much. */
static bool wants_only_over(void)
{
	if (!em_policy_is_over())
		return false;
	if (choose_group(&policy.generations[policy.now], true))
		return !em_credits_below_high();
	atomic_store(&policy.over, false);
	return false;
}

size_t em_policy_victims(uint32_t *units, size_t max)
{
	size_t n = 0;

	em_lock(&policy_lock);
	em_threads_visit(drain, NULL);
	bool was_over = em_policy_is_over();
	bool only_over = wants_only_over();
	/* It came for one who had too much, and has no longer. */
	if (was_over && !em_policy_is_over() && !em_credits_below_high())
		max = 0;
	while (n < max && (units[n] = next_victim(only_over)) != EXTMEM_UNIT_NONE)
		n++;
	em_unlock(&policy_lock);
	return n;
}

/* ---- changes --------------------------------------------------------- */

/* What is in a generation whose algorithms do not give it, found by its tags. */
static void move_withheld(struct generation *old)
{
	for (uint64_t unit = 0; unit < policy.units && old->queued; unit++) {
		struct group *g = group_of((uint32_t)unit);

		if (g < old->groups || g >= old->groups + old->count)
			continue;
		leave(g, (uint32_t)unit);
		insert((uint32_t)unit, EXTMEM_FIRST);
	}
}

/* Moves some units of the old generation. False when there are none left. */
static bool move_some(void)
{
	struct generation *old = &policy.generations[!policy.now];
	struct group *g;
	uint64_t before;
	bool more = false;

	em_lock(&policy_lock);
	em_threads_visit(drain, NULL);
	before = old->queued;
	for (int n = 0; n < MOVE_UNITS && (g = choose_group(old, false)); n++) {
		uint32_t unit = take(old, g);
		if (unit != EXTMEM_UNIT_NONE)
			insert(unit, EXTMEM_FIRST);
	}
	if (old->queued && old->queued == before) /* as a plug-in may have it */
		move_withheld(old);
	more = old->queued;
	em_unlock(&policy_lock);
	return more;
}

int em_policy_change(const struct em_config *cfg)
{
	struct generation *other = &policy.generations[!policy.now];
	int ret;

	while (em_policy_go_on()) /* what a parent had begun, in its forked child */
		;
	ret = make_generation(other, cfg);
	if (ret < 0)
		return ret;
	em_lock(&policy_lock);
	em_threads_visit(drain, NULL); /* what came in before comes before */
	policy.now = !policy.now;
	note_bounds();
	em_unlock(&policy_lock);
	return 0;
}

bool em_policy_go_on(void)
{
	if (move_some())
		return true;
	em_lock(&policy_lock);
	end_generation(&policy.generations[!policy.now]);
	em_unlock(&policy_lock);
	return false;
}
