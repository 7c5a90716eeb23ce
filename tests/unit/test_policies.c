/* SPDX-License-Identifier: MIT
 *
 * Eviction algorithms: in which order units leave. First each alone, on
 * examples from the literature or small enough to check by hand, then behind
 * the queues of the core.
 */
#include "credits.h"
#include "policies/policies.h"
#include "policy.h"
#include "world.h"

#include <errno.h>

#define UNITS 4096

static int64_t params[EXTMEM_PARAMS_MAX];

static void set_defaults(struct extmem_cache *p)
{
	for (size_t i = 0; p->ops->params && p->ops->params[i].name; i++)
		params[i] = p->ops->params[i].def;
	p->params = params;
}

/* One at a time: with the defaults in params. */
static struct extmem_cache make(const char *name)
{
	struct extmem_cache p = { .ops = extmem_eviction_find(name) };

	set_defaults(&p);
	p.capacity = UNITS / 2;
	p.units = calloc(UNITS, p.ops->unit_bytes);
	p.state = calloc(1, p.ops->state_bytes);
	if (p.ops->init)
		p.ops->init(&p);
	return p;
}

static void end(struct extmem_cache *p)
{
	free(p->units);
	free(p->state);
}

static void insert(struct extmem_cache *p, uint32_t first, uint32_t last,
		   enum extmem_event why)
{
	for (uint32_t u = first; u <= last; u++)
		p->ops->insert(p, u, why);
}

/* Takes out as many victims as the list has numbers, which end with 0. */
static void victims_are(struct extmem_cache *p, const char *what, const uint32_t *units)
{
	for (; *units; units++)
		is_int(p->ops->victim(p), *units, "%s: %u leaves", what, *units);
}

#define V(...) (const uint32_t[]){ __VA_ARGS__, 0 }

/* ---- paging with a few frames ------------------------------------------ */

struct frames {
	uint32_t held[8];
	size_t count;
};

static bool take_out(struct frames *f, uint32_t unit)
{
	for (size_t i = 0; i < f->count; i++)
		if (f->held[i] == unit) {
			f->held[i] = f->held[--f->count];
			return true;
		}
	return false;
}

static bool holds(const struct frames *f, uint32_t unit)
{
	for (size_t i = 0; i < f->count; i++)
		if (f->held[i] == unit)
			return true;
	return false;
}

/* Loading a page counts as using it. */
static unsigned int page_in(struct extmem_cache *p, size_t frames, const uint32_t *string)
{
	struct frames f = { .count = 0 };
	unsigned int faults = 0;

	for (; *string; string++) {
		if (!holds(&f, *string)) {
			faults++;
			if (f.count == frames && !take_out(&f, p->ops->victim(p)))
				faults += 1000; /* a victim that was not there */
			f.held[f.count++] = *string;
			p->ops->insert(p, *string, EXTMEM_MAJOR);
		}
		if (p->ops->reference)
			p->ops->reference(p, *string);
	}
	end(p);
	return faults;
}

/* Faults of a reference string. */
static unsigned int count_faults(const char *name, size_t frames, const uint32_t *string)
{
	struct extmem_cache p = make(name);

	return page_in(&p, frames, string);
}

/* The same for lru as it is in textbooks, without an active list. */
static unsigned int count_plain_lru(size_t frames, const uint32_t *string)
{
	struct extmem_cache p = make("lru");

	params[0] = 0;
	return page_in(&p, frames, string);
}

static void test_published(void)
{
	const uint32_t *belady = V(1, 2, 3, 4, 1, 2, 5, 1, 2, 3, 4, 5);
	const uint32_t *stallings = V(2, 3, 2, 1, 5, 2, 4, 5, 3, 2, 5, 2);
	/* Pages 7 0 1 2 ...; a 0 ends a string here, so each is one more. */
	const uint32_t *silberschatz = V(8, 1, 2, 3, 1, 4, 1, 5, 3, 4, 1, 4, 3, 2, 3, 1,
					 2, 8, 1, 2);

	/* L. A. Belady, R. A. Nelson, G. S. Shedler, CACM 12(6), 1969. */
	is_int(count_faults("fifo", 3, belady), 9, "fifo has 9 faults in 3 frames");
	is_int(count_faults("fifo", 4, belady), 10, "and, Belady's anomaly, 10 in 4");
	/* W. Stallings, Operating Systems, chapter 8: 6 and 5 after the first 3. */
	is_int(count_faults("fifo", 3, stallings), 9, "fifo: 9 faults");
	is_int(count_faults("clock", 3, stallings), 8, "clock: 8 faults");
	/* A. Silberschatz, P. Galvin, G. Gagne, Operating System Concepts, 10.4. */
	is_int(count_faults("fifo", 3, silberschatz), 15, "fifo has 15 faults");
	is_int(count_plain_lru(3, silberschatz), 12, "plain lru has 12 faults");
	is_int(count_plain_lru(3, belady), 10, "plain lru has 10 faults in 3 frames");
	is_int(count_plain_lru(4, belady), 8, "and 8 in 4: it knows no anomaly");
	is_int(count_plain_lru(3, stallings), 7, "plain lru: 7 faults");
}

/* ---- each alone -------------------------------------------------------- */

static void test_table(const struct extmem_eviction *e)
{
	size_t n = 0;

	is_int(e->version, EXTMEM_EVICTION_VERSION, "%s: its version", e->name);
	ok(e->paper && e->help && e->help[strlen(e->help) - 1] != '.',
	   "%s: has a paper and a line of help", e->name);
	ok(e->unit_bytes <= 8 || !strcmp(e->name, "hyperbolic"), "%s: small state", e->name);
	for (const struct extmem_param *p = e->params; p && p->name; p++, n++)
		ok(p->min <= p->def && p->def <= p->max && strlen(p->name) < 24 &&
			   p->help && (!*p->unit || !strcmp(p->unit, "%")),
		   "%s: parameter %s is in order", e->name, p->name);
	ok(n <= EXTMEM_PARAMS_MAX, "%s: not too many of them", e->name);
}

static void test_empty(const char *name)
{
	struct extmem_cache p = make(name);

	is_int(p.ops->victim(&p), EXTMEM_UNIT_NONE, "%s: nothing leaves an empty list", name);
	p.ops->insert(&p, 0, EXTMEM_FIRST);
	is_int(p.ops->victim(&p), 0, "%s: unit 0 is a unit", name);
	is_int(p.ops->victim(&p), EXTMEM_UNIT_NONE, "%s: and leaves once", name);
	p.ops->insert(&p, UNITS - 1, EXTMEM_SOFT);
	is_int(p.ops->victim(&p), UNITS - 1, "%s: what is in use leaves in the end", name);
	is_int(p.ops->victim(&p), EXTMEM_UNIT_NONE, "%s: and then there is nothing", name);
	end(&p);
}

/* Whatever happens: what came in goes out, once. */
struct account {
	struct extmem_cache p;
	bool in[UNITS];
	unsigned int live, wrong;
};

static void come_in(struct account *a, uint32_t unit, enum extmem_event why)
{
	a->p.ops->insert(&a->p, unit, why);
	a->in[unit] = true;
	a->live++;
}

static void be_forgotten(struct account *a, uint32_t unit)
{
	a->p.ops->forget(&a->p, unit);
	a->live -= a->in[unit];
	a->in[unit] = false;
}

/* The victim, which comes back at once one time in four. */
static void leave(struct account *a, uint64_t lot)
{
	uint32_t unit = a->p.ops->victim(&a->p);

	if (unit == EXTMEM_UNIT_NONE) {
		a->wrong += a->live != 0;
		return;
	}
	if (unit >= UNITS || !a->in[unit]) {
		a->wrong++;
		return;
	}
	a->in[unit] = false;
	a->live--;
	if (lot < 2)
		come_in(a, unit, lot ? EXTMEM_KEPT : EXTMEM_SOFT);
}

static void do_anything(struct account *a, uint64_t *seed)
{
	uint32_t unit = (uint32_t)roll(seed, UNITS);

	switch (roll(seed, 16)) {
	case 0:
		be_forgotten(a, unit);
		break;
	case 1: /* as the estimate goes, live */
		a->p.capacity = 1 + (uint32_t)roll(seed, UNITS);
		break;
	case 2: /* also of what is not in */
		if (a->p.ops->reference)
			a->p.ops->reference(&a->p, unit);
		break;
	case 3: case 4: case 5: case 6: case 7: case 8:
		leave(a, roll(seed, 8));
		break;
	default:
		if (!a->in[unit])
			come_in(a, unit, (enum extmem_event)roll(seed, 3));
		else if (a->p.ops->reference)
			a->p.ops->reference(&a->p, unit);
	}
}

static void test_account(const char *name, uint64_t seed)
{
	static struct account a;
	unsigned int rest = 0;

	a = (struct account){ .p = make(name) };
	for (int i = 0; i < 200000; i++)
		do_anything(&a, &seed);
	is_int(a.wrong, 0, "%s: only what is in leaves, and it does", name);
	for (uint32_t u; (u = a.p.ops->victim(&a.p)) != EXTMEM_UNIT_NONE; rest++)
		if (u >= UNITS || !a.in[u] || rest > UNITS)
			break;
		else
			a.in[u] = false;
	is_int(rest, a.live, "%s: nothing stays behind, nothing leaves twice", name);
	end(&a.p);
}

/* As many units as 8G have at the default granule; half of them are in. */
static void show_speed(const char *name, uint64_t seed)
{
	enum { MANY = 1 << 16, STEPS = 1 << 20 };
	struct extmem_cache p = { .ops = extmem_eviction_find(name),
				  .capacity = MANY / 2 };
	bool *in = calloc(MANY, sizeof(*in));
	uint64_t begin, calls = 0;
	uint32_t count = 0;

	set_defaults(&p);
	p.units = calloc(MANY, p.ops->unit_bytes);
	p.state = calloc(1, p.ops->state_bytes);
	if (p.ops->init)
		p.ops->init(&p);
	begin = em_sys_now_ns();
	for (int i = 0; i < 3 * STEPS; i++) {
		uint32_t unit = (uint32_t)roll(&seed, MANY);

		if (in[unit]) {
			if (p.ops->reference)
				p.ops->reference(&p, unit);
		} else {
			if (count == p.capacity) {
				in[p.ops->victim(&p)] = false;
				calls++;
			} else {
				count++;
			}
			p.ops->insert(&p, unit, EXTMEM_MAJOR);
			in[unit] = true;
		}
		calls++;
	}
	diag("%s: %.0f ns a call at random over %d units", name,
	     (double)(em_sys_now_ns() - begin) / (double)calls, MANY);
	end(&p);
	free(in);
}

static void test_fifo(void)
{
	struct extmem_cache p = make("fifo");

	insert(&p, 1, 3, EXTMEM_FIRST);
	p.ops->insert(&p, 4, EXTMEM_SOFT);
	p.ops->insert(&p, 5, EXTMEM_MAJOR);
	victims_are(&p, "fifo", V(1, 2));
	p.ops->insert(&p, 1, EXTMEM_SOFT);
	victims_are(&p, "fifo", V(3, 4, 5, 1));
	end(&p);
}

static void test_clock(void)
{
	struct extmem_cache p = make("clock");

	insert(&p, 1, 5, EXTMEM_FIRST);
	p.ops->reference(&p, 1);
	p.ops->reference(&p, 3);
	victims_are(&p, "clock passes over what was used", V(2, 4, 5));
	victims_are(&p, "but once only", V(1, 3));
	insert(&p, 1, 3, EXTMEM_SOFT);
	p.ops->insert(&p, 4, EXTMEM_FIRST);
	victims_are(&p, "what comes back from standby was used", V(4, 1, 2, 3));
	insert(&p, 1, 3, EXTMEM_FIRST);
	for (uint32_t u = 1; u <= 3; u++)
		p.ops->reference(&p, u);
	victims_are(&p, "all used: as they came", V(1, 2, 3));
	end(&p);
}

static void test_lru(void)
{
	struct extmem_cache p = make("lru");

	insert(&p, 1, 3, EXTMEM_FIRST);
	insert(&p, 10, 12, EXTMEM_SOFT);
	victims_are(&p, "lru takes from the inactive list", V(1));
	/* active 12 11 10, inactive 3 2: one too many, the oldest goes back */
	victims_are(&p, "lru", V(2));
	insert(&p, 4, 6, EXTMEM_MAJOR);
	victims_are(&p, "the demoted one has its trial behind older ones", V(3, 10, 4));
	p.ops->insert(&p, 10, EXTMEM_SOFT);
	victims_are(&p, "back from standby, 10 is safe again", V(5, 6, 11, 12));
	end(&p);
}

static void test_lru_references(void)
{
	struct extmem_cache p = make("lru");

	insert(&p, 1, 4, EXTMEM_FIRST);
	p.ops->reference(&p, 1);
	p.ops->reference(&p, 2);
	p.ops->reference(&p, 9); /* not in */
	victims_are(&p, "lru keeps what was asked for while it was queued", V(3));
	/* active 2 1, inactive 4: one too many */
	p.ops->reference(&p, 1);
	victims_are(&p, "and the order of use in the active list", V(4, 2, 1));
	is_int(p.ops->victim(&p), EXTMEM_UNIT_NONE, "lru: and that is all");
	end(&p);
}

static void test_forget(const char *name)
{
	struct extmem_cache p = make(name);

	insert(&p, 1, 4, EXTMEM_FIRST);
	insert(&p, 5, 8, EXTMEM_SOFT);
	if (p.ops->reference)
		p.ops->reference(&p, 2);
	for (uint32_t u = 2; u <= 10; u++)
		p.ops->forget(&p, u);
	is_int(p.ops->victim(&p), 1, "%s: all but one are forgotten", name);
	is_int(p.ops->victim(&p), EXTMEM_UNIT_NONE, "%s: and do not leave", name);
	p.ops->insert(&p, 2, EXTMEM_MAJOR);
	is_int(p.ops->victim(&p), 2, "%s: but may come in again", name);
	end(&p);
}

/* A pass over a lot of data: does the hot set survive it? */
static unsigned int hot_lost(const char *name)
{
	struct extmem_cache p = make(name);
	unsigned int lost = 0;

	insert(&p, 1, 10, EXTMEM_SOFT);
	insert(&p, 100, 119, EXTMEM_FIRST);
	for (uint32_t u = 200; u < 1200; u++) {
		uint32_t v = p.ops->victim(&p);
		lost += v <= 10;
		p.ops->insert(&p, u, EXTMEM_FIRST);
	}
	end(&p);
	return lost;
}

static void test_scan(void)
{
	is_int(hot_lost("lru"), 0, "lru keeps its active list through a scan");
	is_int(hot_lost("fifo"), 10, "fifo does not");
	is_int(hot_lost("clock"), 10, "nor does clock");
}

/* ---- behind the core ----------------------------------------------------- */

#define TOLD 20000
#define TELLERS 4

static _Atomic unsigned int told_enough;
static _Atomic unsigned char left_times[TOLD];

static void *tell(void *arg)
{
	uint32_t me = (uint32_t)(uintptr_t)arg;

	for (uint32_t u = 0; u < TOLD; u++)
		if (u % TELLERS == me)
			em_policy_tell(u, u % 3 ? EXTMEM_FIRST : EXTMEM_SOFT);
	told_enough++;
	return NULL;
}

static void take_victims(void)
{
	uint32_t units[16];
	size_t n;

	while ((n = em_policy_victims(units, 16)))
		while (n)
			left_times[units[--n]]++;
}

static void test_tellers(void)
{
	pthread_t t[TELLERS];
	unsigned int wrong = 0;

	for (uintptr_t i = 0; i < TELLERS; i++)
		pthread_create(&t[i], NULL, tell, (void *)i);
	while (told_enough < TELLERS)
		take_victims();
	for (int i = 0; i < TELLERS; i++)
		pthread_join(t[i], NULL);
	take_victims();
	for (int i = 0; i < TOLD; i++)
		wrong += left_times[i] != 1;
	is_int(wrong, 0, "%d threads tell of %d units: each leaves once", TELLERS, TOLD);
}

static void test_order(const char *name)
{
	uint32_t units[400];
	size_t n, wrong = 0;

	for (uint32_t u = 0; u < 300; u++)
		em_policy_tell(u, EXTMEM_FIRST); /* more than a ring holds */
	for (uint32_t u = 0; u < 300; u++)
		em_policy_tell(u, EXTMEM_MAJOR); /* no news */
	n = em_policy_victims(units, 400);
	is_int(n, 300, "%s: 300 units were told of twice, and leave once", name);
	for (uint32_t u = 0; u < n; u++)
		wrong += units[u] != u;
	if (!strcmp(name, "fifo"))
		is_int(wrong, 0, "%s: in their order", name);
	is_int(em_policy_victims(units, 400), 0, "%s: then there are none", name);
}

static unsigned int group_of_unit(uint32_t unit) { return unit / 1000; }

/* With the algorithm of that name, and what `more` says in the words of EXTMEM_CONFIG. */
static int init_policy(const char *name, const char *more, uint64_t units)
{
	static struct em_config cfg;
	char err[256];

	em_config_init(&cfg);
	is_int(em_config_load(&cfg, more, err, sizeof(err)), 0, "a configuration%s", err);
	snprintf(cfg.algorithm, sizeof(cfg.algorithm), "%s", name);
	return em_policy_init(&cfg, units, group_of_unit);
}

static void start_policy_with(const char *name, const char *more)
{
	struct em_sys_features features;

	em_sys_uffd_open(false, &features);
	is_int(em_window_init(16), 0, "a window");
	em_threads_init();
	is_int(init_policy(name, more, em_window_bytes() >> EM_PAGE_SHIFT >> 4), 0,
	       "and policy %s", name);
}

static void start_policy(const char *name)
{
	start_policy_with(name, "");
}

static void behind_the_core(const void *arg)
{
	start_policy(arg);
	test_order(arg);
	test_tellers();
}

static void clock_behind_the_core(const void *arg)
{
	uint32_t units[8];

	start_policy(arg);
	for (uint32_t u = 0; u < 4; u++)
		em_policy_tell(u, EXTMEM_FIRST);
	em_policy_tell(0, EXTMEM_SOFT);
	em_policy_tell(1, EXTMEM_MAJOR);
	is_int(em_policy_victims(units, 8), 4, "four units");
	ok(units[0] == 1 && units[3] == 0, "the one taken back from standby leaves last");
}

/* ---- groups -------------------------------------------------------------- */

/* Tells of units [from, to), then counts those of each group among n victims. */
static void tell_units(uint32_t from, uint32_t to, enum extmem_event why)
{
	for (uint32_t u = from; u < to; u++)
		em_policy_tell(u, why);
}

static void count_victims(size_t n, size_t counts[4])
{
	uint32_t units[2048];

	memset(counts, 0, 4 * sizeof(*counts));
	n = em_policy_victims(units, n);
	for (size_t i = 0; i < n; i++)
		counts[units[i] / 1000]++;
}

static void priorities(const void *arg)
{
	size_t c[4];

	(void)arg;
	start_policy_with("fifo", "regions[0].priority=1\nregions[1].priority=-1\n");
	em_gauge(&em_segment->limit_pages, 100000);
	tell_units(0, 400, EXTMEM_FIRST);
	tell_units(1000, 1400, EXTMEM_FIRST);
	tell_units(2000, 2400, EXTMEM_FIRST);
	count_victims(140, c);
	is_int(c[0] + c[1] + c[2], 140, "as many victims as were asked for");
	ok(c[2] > c[0] * 3 / 2 && c[0] > c[1] * 3 / 2,
	   "the dearer the fewer: %zu, %zu and %zu of priority -1, 0 and 1", c[2], c[0], c[1]);
	count_victims(2048, c);
	is_int(c[0] + c[1] + c[2], 1200 - 140, "each unit leaves once, whatever its priority");
}

/* Units that come back at once, against some that nobody asks for again. */
static void refaults(const void *arg)
{
	size_t c[4], left[2] = { 0, 0 };

	(void)arg;
	start_policy_with("fifo", "regions[0].priority=0\n");
	em_gauge(&em_segment->limit_pages, 100000);
	tell_units(0, 400, EXTMEM_FIRST);
	tell_units(1000, 1400, EXTMEM_FIRST);
	for (int round = 0; round < 30; round++) {
		uint32_t units[10];
		size_t n = em_policy_victims(units, 10);
		for (size_t i = 0; i < n; i++) {
			left[units[i] / 1000]++;
			em_policy_tell(units[i], units[i] < 1000 ? EXTMEM_MAJOR : EXTMEM_FIRST);
		}
	}
	ok(left[1] > left[0] * 2, "%zu units of those that come back leave, %zu of the others",
	   left[0], left[1]);
	count_victims(2048, c);
	is_int(c[0] + c[1], 800, "and all are there");
}

static void bounds(const void *arg)
{
	size_t c[4];

	(void)arg;
	/* 16 pages a unit; the limit is 1000 units. */
	start_policy_with("fifo", "limits.memory=62500K\nregions[0].min=40%\n"
				  "regions[1].max=10%\nregions[2].pin=true\n");
	em_gauge(&em_segment->limit_pages, 16000);
	em_credits_init(16000); /* plenty is free */
	em_credits_set_marks(100, 200);
	tell_units(0, 300, EXTMEM_FIRST);
	tell_units(1000, 1350, EXTMEM_FIRST);
	tell_units(2000, 2150, EXTMEM_FIRST);
	tell_units(3000, 3100, EXTMEM_FIRST);
	ok(em_policy_is_over(), "a group has more than it may have");
	count_victims(2048, c);
	ok(c[0] + c[1] + c[3] == 0 && c[2] == 50, "only it gives units, down to its max: %zu", c[2]);
	em_policy_victims((uint32_t[1]){ 0 }, 1);
	ok(!em_policy_is_over(), "then nobody has too much");
	em_credits_take(15900); /* now memory is scarce */
	count_victims(390, c);
	ok(c[0] + c[2] == 390 && !c[1] && !c[3],
	   "what is promised and what is pinned stays while there is something else");
	count_victims(360, c);
	ok(c[1] == 350 && c[3] == 0 && c[0] + c[2] == 10, "then goes what was promised");
	count_victims(2048, c);
	is_int(c[3], 100, "and last what is pinned");
}

static _Atomic bool stop_changing;

static void *change(void *arg)
{
	static struct em_config cfg;
	size_t n = 0;

	while (!stop_changing) {
		em_config_init(&cfg);
		snprintf(cfg.algorithm, sizeof(cfg.algorithm), "%s",
			 extmem_evictions[n % 12]->name);
		if (n++ % 3 == 0)
			em_config_load(&cfg, "regions[0].priority=2\nregions[1].max=5%\n"
				       "regions[1].eviction.algorithm=mru\n", NULL, 0);
		if (em_policy_change(&cfg) < 0)
			break;
		while (em_policy_go_on())
			;
		usleep(500);
	}
	*(size_t *)arg = n;
	return NULL;
}

/* Algorithms and rules change all the time, under those who tell and take. */
static void changes(const void *arg)
{
	pthread_t t;
	size_t n;

	start_policy(arg);
	em_gauge(&em_segment->limit_pages, 16000);
	em_credits_init(16000);
	em_credits_set_marks(100, 200);
	em_credits_take(15900); /* memory is scarce */
	pthread_create(&t, NULL, change, &n);
	for (int i = 0; i < 5; i++) {
		told_enough = 0;
		memset((void *)left_times, 0, sizeof(left_times));
		test_tellers();
	}
	stop_changing = true;
	pthread_join(t, NULL);
	ok(n > 3, "%zu changes meanwhile", n);
}

/* What is in stays in, coldest first, when the algorithm changes. */
static void change_keeps(const void *arg)
{
	struct em_config cfg;
	uint32_t units[400];
	size_t n, wrong = 0;

	(void)arg;
	start_policy("lru");
	tell_units(0, 300, EXTMEM_FIRST);
	em_config_init(&cfg);
	strcpy(cfg.algorithm, "fifo");
	is_int(em_policy_change(&cfg), 0, "fifo instead of lru");
	while (em_policy_go_on())
		;
	n = em_policy_victims(units, 400);
	is_int(n, 300, "all that was in is in");
	for (uint32_t u = 0; u < n; u++)
		wrong += units[u] != u;
	is_int(wrong, 0, "in its order");
	strcpy(cfg.algorithm, "optimal");
	is_int(em_policy_change(&cfg), -EINVAL, "an unknown one is refused");
	em_policy_tell(7, EXTMEM_FIRST);
	is_int(em_policy_victims(units, 400), 1, "and the old one goes on");
}

int main(void)
{
	uint64_t seed = first_seed();

	ok(!extmem_eviction_find("optimal"), "there is no policy of an unknown name");
	is_int(init_policy("optimal", "", 16), -EINVAL, "and it cannot be started");
	for (size_t i = 0; extmem_evictions[i]; i++) {
		const char *name = extmem_evictions[i]->name;

		is_str(extmem_eviction_find(name)->name, name, "policy %s", name);
		test_table(extmem_evictions[i]);
		test_empty(name);
		test_account(name, seed + i);
		test_forget(name);
		show_speed(name, seed + i);
		in_child(name, behind_the_core, name);
	}
	test_published();
	test_fifo();
	test_clock();
	test_lru();
	test_lru_references();
	test_scan();
	in_child("clock", clock_behind_the_core, "clock");
	in_child("priorities", priorities, NULL);
	in_child("refaults", refaults, NULL);
	in_child("bounds", bounds, NULL);
	in_child("changes", changes, "lru");
	in_child("change keeps", change_keeps, NULL);
	return done_testing();
}
