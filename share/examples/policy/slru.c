/* SPDX-License-Identifier: MIT
 *
 * slru: an eviction algorithm of one's own, from nothing to a running program.
 *
 * Segmented LRU keeps what was used once apart from what was used again. New
 * units come into the list of those on probation; a hit makes a unit protected,
 * and what there is too much of there gets another trial. So a scan passes
 * through probation and leaves alone what is protected.
 * R. Karedla, J. S. Love, B. G. Wherry, "Caching Strategies to Improve Disk
 * System Performance", IEEE Computer 27(3), 1994.
 *
 * To build it, to see what it would do, and to run a program with it:
 *
 *	cc -shared -fPIC -O2 -Wl,-z,now $(pkg-config --cflags libextmem) -o slru.so slru.c
 *	extmem policy simulate --synthetic scan+hot --policies lru,2q,./slru.so
 *	extmem run --limit 512M --set eviction.plugin=./slru.so -- ./app
 *
 * The contract is in extmem-policy(5), PLUG-INS: nothing here allocates, locks,
 * prints or loops over more than a unit or two.
 */
#include <extmem-policy.h>

/*
 * 1. What is kept of each unit, 8 bytes. All of it is zero at first: so a list of
 * zero is none, and a link, which is the number of a unit plus one, of zero as
 * well. A link fits into 30 bits, which leaves room for the list.
 */
enum { OUT, PROBATION, PROTECTED, LISTS };

struct unit {
	uint32_t newer;
	uint32_t older : 30, list : 2;
};

/* 2. What is kept beside: the lists, empty at first. */
struct list {
	uint32_t newest, oldest, length;
};

/* 3. What can be set, as in params: {protect: 60}; the last row ends the table. */
static const struct extmem_param params[] = {
	{ "protect", 80, 0, 95, "%", "share of the memory for units that were used again" },
	{ NULL, 0, 0, 0, NULL, NULL },
};

static struct unit *unit_at(struct extmem_cache *c, uint32_t link)
{
	return (struct unit *)c->units + (link - 1);
}

static void push(struct extmem_cache *c, uint32_t link, unsigned int list)
{
	struct list *l = (struct list *)c->state + list;

	*unit_at(c, link) = (struct unit){ .older = l->newest & EXTMEM_UNITS_MAX, .list = list & 3 };
	if (l->newest)
		unit_at(c, l->newest)->newer = link;
	else
		l->oldest = link;
	l->newest = link;
	l->length++;
}

static void pull(struct extmem_cache *c, uint32_t link)
{
	struct unit *u = unit_at(c, link);
	struct list *l = (struct list *)c->state + u->list;

	if (u->newer)
		unit_at(c, u->newer)->older = u->older;
	else
		l->newest = u->older;
	if (u->older)
		unit_at(c, u->older)->newer = u->newer;
	else
		l->oldest = u->newer;
	u->list = OUT;
	l->length--;
}

/*
 * Promotes a unit, and demotes the oldest where there are too many now: two at
 * most, for capacity may fall by much at once, and no call must take long.
 */
static void protect(struct extmem_cache *c, uint32_t link)
{
	struct list *l = (struct list *)c->state + PROTECTED;
	uint64_t share = (uint64_t)c->capacity * (uint64_t)c->params[0] / 100;

	push(c, link, PROTECTED);
	for (int i = 0; i < 2 && l->length > share; i++) {
		link = l->oldest;
		pull(c, link);
		push(c, link, PROBATION);
	}
}

/*
 * 4. What happens. In a running program most hits cannot be seen; EXTMEM_SOFT is
 * how they show: the unit was on its way out, and was wanted.
 */
static void insert(struct extmem_cache *c, uint32_t unit, enum extmem_event why)
{
	if (why == EXTMEM_SOFT)
		protect(c, unit + 1);
	else
		push(c, unit + 1, PROBATION);
}

static void forget(struct extmem_cache *c, uint32_t unit)
{
	if (unit_at(c, unit + 1)->list != OUT)
		pull(c, unit + 1);
}

/* It may come late: then the unit is out, and nothing must change. */
static void reference(struct extmem_cache *c, uint32_t unit)
{
	if (unit_at(c, unit + 1)->list == OUT)
		return;
	pull(c, unit + 1);
	protect(c, unit + 1);
}

/* 5. Who leaves. Whoever is in must be returned some day, the protected as well. */
static uint32_t victim(struct extmem_cache *c)
{
	struct list *l = (struct list *)c->state;
	uint32_t link = l[PROBATION].oldest ? l[PROBATION].oldest : l[PROTECTED].oldest;

	if (!link)
		return EXTMEM_UNIT_NONE;
	pull(c, link);
	return link - 1;
}

/* 6. The one name that is not static. */
const struct extmem_eviction extmem_plugin_eviction = {
	.version = EXTMEM_EVICTION_VERSION,
	.name = "slru",
	.paper = "R. Karedla, J. S. Love, B. G. Wherry, IEEE Computer 27(3), 1994",
	.help = "what was used again is protected from what was used once",
	.unit_bytes = sizeof(struct unit),
	.state_bytes = LISTS * sizeof(struct list),
	.params = params,
	.insert = insert,
	.reference = reference,
	.forget = forget,
	.victim = victim,
};
