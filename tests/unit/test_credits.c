/* SPDX-License-Identifier: MIT
 *
 * Credits: never more out than there are, whoever asks at the same time.
 */
#include "world.h"

#include <sched.h>

#define LIMIT 100
#define THREADS 8
#define ROUNDS 40000

static _Atomic int64_t held, held_peak;
static _Atomic bool over, negative, wrong;

static void *take_and_give(void *arg)
{
	uint64_t seed = (uintptr_t)arg;
	unsigned int mine = 0;

	for (int i = 0; i < ROUNDS; i++) {
		unsigned int want = 1 + (unsigned int)roll(&seed, 64);
		unsigned int got = em_credits_take(want);
		int64_t now = atomic_fetch_add(&held, got) + got;
		if (now > LIMIT)
			over = true;
		if (now > held_peak)
			held_peak = now;
		if (got > want)
			wrong = true;
		if (em_credits_free() < 0)
			negative = true;
		mine += got;
		unsigned int back = (unsigned int)roll(&seed, mine + 1);
		atomic_fetch_sub(&held, back); /* before they can be taken again */
		em_credits_give(back);
		mine -= back;
	}
	atomic_fetch_sub(&held, mine);
	em_credits_give(mine);
	return NULL;
}

static void test_threads(void)
{
	pthread_t t[THREADS];
	uint64_t seed = first_seed();

	em_credits_init(LIMIT);
	em_credits_set_marks(10, 20);
	for (uintptr_t i = 0; i < THREADS; i++)
		pthread_create(&t[i], NULL, take_and_give, (void *)(seed + i * 1000));
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	ok(!over, "%d threads never hold more than there are", THREADS);
	ok(!wrong, "and never get more than they asked for");
	ok(!negative, "the free ones never look negative");
	ok(held_peak > LIMIT / 2, "and were scarce: up to %lld were out", (long long)held_peak);
	is_int(em_credits_free(), LIMIT, "in the end all are back");
	ok(em_segment->peak_resident_pages <= LIMIT, "the peak says the same");
	is_int(em_segment->over_limit_events, 0, "the limit was kept");
}

static void test_one(void)
{
	em_credits_init(10);
	em_credits_set_marks(3, 6);
	is_int(em_credits_take(4), 4, "four are taken");
	ok(!em_credits_below_high(), "six left: the high watermark is kept");
	is_int(em_credits_take(1), 1, "one more");
	ok(em_credits_below_high() && !em_credits_below_low(), "is below high, not below low");
	is_int(em_credits_take(3), 3, "three more");
	ok(em_credits_below_low(), "is below low");
	is_int(em_credits_take(5), 2, "who wants five gets the two that are left");
	is_int(em_credits_take(5), 0, "and then none");
	is_int(em_credits_free(), 0, "there is none");
	is_int(em_segment->over_limit_events, 0, "so far no harm");
	em_credits_force();
	is_int(em_credits_free(), -1, "one is taken past the limit");
	is_int(em_segment->over_limit_events, 1, "which is counted");
	is_int(em_segment->peak_resident_pages, 11, "and seen in the peak");
	is_int(em_credits_take(1), 0, "there are none for others");
	em_credits_give(1);
	is_int(em_credits_take(1), 0, "nor when that one is back");
	em_credits_give(2);
	is_int(em_credits_take(5), 2, "but two after it are");
	em_credits_give(0);
	is_int(em_credits_free(), 0, "giving nothing gives nothing");
}

static _Atomic int awake;

static void *wait_for_credit(void *arg)
{
	while (!em_credits_take(1))
		em_credits_wait();
	awake++;
	return arg;
}

static void test_waiting(void)
{
	pthread_t t[3];

	em_credits_init(1);
	em_credits_set_marks(1, 1);
	em_credits_take(1);
	fake.patient = true;
	for (int i = 0; i < 3; i++)
		pthread_create(&t[i], NULL, wait_for_credit, NULL);
	usleep(50000);
	is_int(awake, 0, "three wait for a credit");
	for (int i = 0; i < 3; i++) {
		em_credits_give(1);
		while (awake != i + 1)
			usleep(100);
		ok(true, "%d of them got one", i + 1);
	}
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	fake.patient = false;
}

static void all(const void *arg)
{
	(void)arg;
	test_threads();
	em_segment->peak_resident_pages = 0;
	test_one();
	test_waiting();
}

int main(void)
{
	in_child("credits", all, NULL);
	return done_testing();
}
