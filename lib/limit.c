/* SPDX-License-Identifier: MIT */
#include "limit.h"
#include "credits.h"
#include "reclaim.h"
#include "stats.h"
#include "sys.h"
#include "tune.h"
#include "util.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* A limit that comes down does so this often; one that is tuned is looked at. */
#define EM_SETTLE_NS 1000000u
#define EM_TUNE_NS 100000000u
/* One that depends on others is looked at this often; seldom while nothing faults. */
#define EM_FOLLOW_NS 1000000000u
#define EM_FOLLOW_IDLE_NS 8000000000u
/* What others have makes no difference below one part of it in so many. */
#define EM_FOLLOW_PART 32u

static struct {
	struct em_allowance allowance;
	_Atomic bool kept;
	uint64_t pages;        /* what limits.memory comes to */
	uint64_t excess_pages; /* what the limit in force is still above the one asked for */
	struct em_tune tune;
	uint64_t look_ns, look_every_ns; /* when to look at the allowance next */
	uint64_t faults_seen;            /* when it was looked at */
} limits = { .allowance.read = em_sys_read_path };

uint64_t em_limit_part(const struct em_size *s, uint64_t whole)
{
	return s->kind == EM_SIZE_PERMILLE ? whole / 1000 * s->value
					   : s->value >> EM_PAGE_SHIFT;
}

uint64_t em_limit_pages(void) { return limits.pages; }
void em_limit_keep(void) { atomic_store(&limits.kept, true); }

static uint64_t buffer_pages(void)
{
	return atomic_load(&em_segment->buffer_pages);
}

/* The buffers stay as they were made at the start: there must be as much beside them. */
static uint64_t least_pages(void)
{
	return buffer_pages() * 2;
}

static uint64_t pages_in_force(void)
{
	return atomic_load(&em_segment->limit_pages);
}

uint64_t em_limit_bytes(void) { return pages_in_force() << EM_PAGE_SHIFT; }

/* ---- what it comes to ------------------------------------------------- */

/* Of what the process may have, in use or between the marks; the rest is spare. */
static uint64_t used_pages(void)
{
	int64_t spare = em_credits_free() - (int64_t)atomic_load(&em_segment->high_pages);

	return spare > 0 ? pages_in_force() - (uint64_t)spare : pages_in_force();
}

/* What there is may be less than anything runs in. */
static uint64_t find(const struct em_config *cfg)
{
	return em_max(em_allowance_resolve(&limits.allowance, &cfg->limit,
					   used_pages() << EM_PAGE_SHIFT),
		      EM_LIMIT_MIN_BYTES) >> EM_PAGE_SHIFT;
}

/*
 * The lock keeps out who forks, and who locks itself in: it may not open files
 * then, and goes on with the limit that it has.
 */
static uint64_t find_again(const struct em_config *cfg)
{
	uint64_t found = limits.pages;

	em_reclaim_lock();
	if (cfg->limit.kind == EM_SIZE_BYTES || !limits.kept)
		found = find(cfg);
	em_reclaim_unlock();
	return found;
}

/* Whether all else fits the limit: 0, or -errno. */
static int check(const struct em_config *cfg, uint64_t limit, char *err, size_t err_bytes)
{
	static struct em_config resolved;

	resolved = *cfg;
	resolved.limit = (struct em_size){ EM_SIZE_BYTES, limit << EM_PAGE_SHIFT };
	return em_config_check(&resolved, err, err_bytes);
}

int em_limit_find(const struct em_config *cfg, const char *known, char *err,
		  size_t err_bytes)
{
	uint64_t bytes = known ? strtoull(known, NULL, 10) : 0;

	limits.pages = cfg->limit.kind != EM_SIZE_BYTES && bytes >= EM_LIMIT_MIN_BYTES ?
		       bytes >> EM_PAGE_SHIFT : find(cfg);
	return check(cfg, limits.pages, err, err_bytes);
}

static bool same_size(const struct em_size *a, const struct em_size *b)
{
	return a->kind == b->kind && a->value == b->value;
}

int em_limit_judge(const struct em_config *cfg, const struct em_config *next, uint64_t *limit,
		   char *err, size_t err_bytes)
{
	int ret;

	*limit = find_again(next);
	if (same_size(&cfg->limit, &next->limit)) /* as follow() does: nobody asked for less */
		*limit = em_max(*limit, least_pages());
	ret = check(next, *limit, err, err_bytes);
	if (ret < 0 || *limit >= least_pages())
		return ret;
	snprintf(err, err_bytes,
		 "'limits.memory' is %llu MiB: expected at least %llu MiB, since buffers made at the start hold %llu MiB",
		 (unsigned long long)*limit >> 8, (unsigned long long)(least_pages() + 255) >> 8,
		 (unsigned long long)buffer_pages() >> 8);
	return -EINVAL;
}

/* ---- up and down ------------------------------------------------------ */

void em_limit_set_marks(const struct em_config *cfg, uint64_t limit)
{
	uint64_t credits = limit - buffer_pages();
	uint64_t low = em_max(em_limit_part(&cfg->low, limit), 2);
	uint64_t high = em_clamp(em_limit_part(&cfg->high, limit), low + 1,
				 em_max(credits / 2, low + 1));

	em_credits_set_marks(low, high);
}

/* The reclaim lock is held. */
static void use(const struct em_config *cfg, uint64_t limit)
{
	uint64_t now = pages_in_force();

	em_limit_set_marks(cfg, limit);
	limits.excess_pages = now > limit ? now - limit : 0;
	if (limit > now) {
		em_gauge(&em_segment->limit_pages, limit);
		em_credits_grow(limit - now);
	}
}

/*
 * Some of what the limit has too much. True while there is more. The reclaim lock
 * keeps forks out: a child goes on from what is written here.
 */
static bool settle(void)
{
	uint64_t got;

	if (!limits.excess_pages)
		return false;
	em_reclaim_lock();
	got = em_credits_shrink(limits.excess_pages);
	limits.excess_pages -= got;
	em_uncount(&em_segment->limit_pages, got);
	em_reclaim_unlock();
	em_reclaim_kick();
	return limits.excess_pages;
}

/* Where it is to be: what is in force, but for what has not left yet. */
static uint64_t pages_asked_for(void)
{
	return pages_in_force() - limits.excess_pages;
}

void em_limit_change(const struct em_config *cfg, const struct em_config *next,
		     uint64_t limit)
{
	bool stays = next->refault_rate && cfg->refault_rate && limit == limits.pages;

	limits.pages = limit;
	use(next, stays ? pages_asked_for() : limit);
}

/* ---- tuned, and with others -------------------------------------------- */

/* Faults on what was evicted and waits for memory, since the start. */
static uint64_t count_pains(void)
{
	uint64_t n = 0;

	for (unsigned int i = 0; i < EM_SHARDS; i++) {
		struct em_counters *c = &em_segment->shards[i].c;
		n += atomic_load(&c->faults[EM_FAULT_MAJOR]) + atomic_load(&c->waits);
	}
	return n;
}

static uint64_t count_faults(void)
{
	uint64_t n = 0;

	for (unsigned int i = 0; i < EM_SHARDS; i++)
		for (unsigned int kind = 0; kind < EM_FAULT_KINDS; kind++)
			n += atomic_load(&em_segment->shards[i].c.faults[kind]);
	return n;
}

/* The limit that the policy has is the most; how little will do is found out. */
static void tune(const struct em_config *cfg)
{
	uint64_t limit = pages_in_force();
	uint64_t next = em_tune_step(&limits.tune, &(struct em_tune_view){
		.now_ns = em_sys_now_ns(),
		.pains = count_pains(),
		.target = cfg->refault_rate,
		.limit = limit,
		.used = used_pages(),
		.least = em_max(em_limit_part(&cfg->tune_min, limits.pages), least_pages()),
		.most = limits.pages,
	});

	if (next == limit)
		return;
	em_reclaim_lock();
	use(cfg, next);
	em_reclaim_unlock();
}

/* How long until the allowance is to be looked at. */
static uint64_t due_in(void)
{
	uint64_t now = em_sys_now_ns();

	return now < limits.look_ns ? limits.look_ns - now : 0;
}

/* More and more seldom while nothing faults. */
static void plan_look(void)
{
	uint64_t faults = count_faults();

	limits.look_every_ns = faults != limits.faults_seen ?
			       EM_FOLLOW_NS :
			       em_min(limits.look_every_ns * 2, EM_FOLLOW_IDLE_NS);
	limits.faults_seen = faults;
	limits.look_ns = em_sys_now_ns() + limits.look_every_ns;
}

/* The group has got another limit, or other programs have left more memory, or less. */
static void follow(const struct em_config *cfg)
{
	uint64_t next = em_max(find_again(cfg), least_pages());
	uint64_t now = limits.pages;

	plan_look();
	if ((next > now ? next - now : now - next) < now / EM_FOLLOW_PART)
		return;
	em_reclaim_lock();
	limits.pages = next;
	if (!cfg->refault_rate) /* or it is the most that tune() may give */
		use(cfg, next);
	em_reclaim_unlock();
}

uint64_t em_limit_go_on(const struct em_config *cfg)
{
	bool follows = cfg->limit.kind != EM_SIZE_BYTES && !limits.kept;

	if (follows && !due_in())
		follow(cfg);
	if (cfg->refault_rate)
		tune(cfg);
	return settle()		 ? EM_SETTLE_NS :
	       cfg->refault_rate ? EM_TUNE_NS :
	       follows		 ? em_max(due_in(), 1) :
				   0;
}
