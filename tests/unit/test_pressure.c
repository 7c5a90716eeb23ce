/* SPDX-License-Identifier: MIT
 *
 * Pressure: what a quota lets through in its time, and where tuning takes a
 * limit.
 */
#include "quota.h"
#include "tune.h"
#include "world.h"

#define SECOND_NS 1000000000ull

/* ---- quotas ------------------------------------------------------------ */

static void set(uint64_t io, uint64_t faults)
{
	static struct em_config cfg;

	em_config_init(&cfg);
	cfg.io_bandwidth = io;
	cfg.fault_rate = faults;
	em_quota_set(&cfg);
}

static uint64_t waits(void)
{
	struct em_report r;

	em_report_take(&r, em_segment);
	return r.quota_waits;
}

static void test_quotas(void)
{
	uint64_t start, took;

	set(0, 0);
	em_quota_use_io(1ull << 60);
	ok(!em_quota_is_owed(), "without a quota nothing is owed");
	em_quota_wait(true);
	is_int(waits(), 0, "and nobody waits");

	set(10u << 20, 0);
	em_quota_use_io(512u << 10);
	ok(!em_quota_is_owed(), "10M/s: half a tenth of a second's worth is let through at once");
	start = em_sys_now_ns();
	em_quota_use_io(2560u << 10); /* 3 MiB in all, 1 of them for nothing */
	ok(em_quota_is_owed(), "more is not");
	em_quota_wait(false);
	took = em_sys_now_ns() - start;
	ok(took >= SECOND_NS / 10 * 18 / 10, "2 MiB more take two tenths of a second at least (%llu us)",
	   (unsigned long long)took / 1000);
	ok(!em_quota_is_owed(), "after which all is paid");
	is_int(waits(), 1, "one wait is counted");

	set(0, 1000);
	start = em_sys_now_ns();
	for (int i = 0; i < 300; i++)
		em_quota_wait(true);
	took = em_sys_now_ns() - start;
	ok(took >= SECOND_NS / 10 * 18 / 10, "1k/s: 300 faults, 100 of them at once, take as long (%llu us)",
	   (unsigned long long)took / 1000);
	for (int i = 0; i < 1000; i++)
		em_quota_wait(false);
	ok(em_sys_now_ns() - start < took + SECOND_NS * 9 / 10, "what is no fault is not counted as one");

	set(1u << 20, 0);
	em_quota_use_io(1u << 30);
	ok(em_quota_is_owed(), "a thousand seconds are owed");
	set(1u << 20, 0);
	ok(em_quota_is_owed(), "and stay owed when the same rate is asked for again");
	set(2u << 20, 0);
	ok(!em_quota_is_owed(), "another rate begins with nothing owed");
}

static void *many_faults(void *arg)
{
	for (int i = 0; i < 200; i++)
		em_quota_wait(true);
	return arg;
}

static void test_threads(void)
{
	uint64_t start = em_sys_now_ns(), took;
	pthread_t t[4];

	set(0, 2000);
	for (int i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, many_faults, NULL);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	took = em_sys_now_ns() - start;
	/* Each thread may pass with a bill that another has just made. */
	ok(took >= SECOND_NS / 10 * 28 / 10, "800 faults of four threads at 2k/s, 200 at once, take 0.28 s or more (%llu us)",
	   (unsigned long long)took / 1000);
}

/* ---- tuning ------------------------------------------------------------ */

enum { MOST = 100000, LEAST = 10000 };

/*
 * A program whose pains depend on the limit alone. Goes on for so many
 * seconds; returns the limit at the end.
 */
static uint64_t live(struct em_tune *t, uint64_t limit, unsigned int seconds,
		     uint64_t (*pains_a_second)(uint64_t limit), uint64_t used)
{
	static uint64_t now = SECOND_NS, pains;

	for (unsigned int tenths = 0; tenths < seconds * 10; tenths++) {
		now += SECOND_NS / 10;
		pains += pains_a_second(limit) / 10;
		limit = em_tune_step(t, &(struct em_tune_view){
			.now_ns = now, .pains = pains, .target = 1000, .limit = limit,
			.used = em_min(used, limit), .least = LEAST, .most = MOST });
		if (limit < LEAST || limit > MOST)
			ok(false, "a limit of %llu is out of bounds", (unsigned long long)limit);
	}
	return limit;
}

static uint64_t never(uint64_t limit) { return limit * 0; }
static uint64_t always(uint64_t limit) { return 20000 + limit * 0; }
/* A working set of 40000 pages. */
static uint64_t below_40000(uint64_t limit)
{
	return limit >= 40000 ? 0 : (40000 - limit) * 2;
}

static void test_tune(void)
{
	struct em_tune t = { 0 };
	uint64_t limit;

	limit = live(&t, MOST, 3, never, 60000);
	ok(limit <= 60000 && limit > 55000, "what is not used goes at once (%llu)",
	   (unsigned long long)limit);
	limit = live(&t, limit, 200, never, MOST);
	is_int(limit, LEAST, "who never suffers gets the least");
	limit = live(&t, limit, 1, always, MOST);
	ok(limit > 3 * LEAST, "who suffers much gets much more within a second (%llu)",
	   (unsigned long long)limit);
	limit = live(&t, limit, 5, always, MOST);
	is_int(limit, MOST, "and all that there is within a few");
	limit = live(&t, limit, 9, never, MOST);
	is_int(limit, MOST, "then it is left alone for a while");
	limit = live(&t, limit, 300, below_40000, MOST);
	ok(limit > 38000 && limit < 48000, "a working set of 40000 pages is found (%llu)",
	   (unsigned long long)limit);

	/* As in a forked child, whose counters begin at nothing. */
	struct em_tune_view v = { .now_ns = t.begun_ns + SECOND_NS, .pains = 0, .target = 1000,
				  .limit = 50000, .used = 50000, .least = LEAST, .most = MOST };
	t.begun_pains = 12345;
	is_int(em_tune_step(&t, &v), 50000, "counters that go back are no pain");
	v.most = 5000;
	is_int(em_tune_step(&t, &v), 5000, "a new limit below the least holds");
}

int main(void)
{
	em_stats_init();
	test_quotas();
	test_threads();
	test_tune();
	return done_testing();
}
