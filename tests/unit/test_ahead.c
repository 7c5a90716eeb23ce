/* SPDX-License-Identifier: MIT
 *
 * Wishes: what is asked for arrives as it was asked for, or not at all.
 */
#include "ahead.h"
#include "world.h"

#define WISHES 32u /* that can wait at once */
#define LAST 1000000u

static _Atomic unsigned int arrived;
static struct em_wish seen[4 * WISHES];
static void (*body_due)(void);
static unsigned int asked_for; /* threads */

static void note(const struct em_wish *w)
{
	unsigned int n = atomic_load(&arrived);

	if (n < EM_ARRAY_LEN(seen))
		seen[n] = *w;
	atomic_store(&arrived, n + 1);
}

/* Until start_late() nobody takes anything. */
static int spawn_late(void (*body)(void))
{
	body_due = body;
	asked_for++;
	return 0;
}

static void start_late(void)
{
	spawn_thread(body_due);
}

static void ask(uint64_t page, bool stage)
{
	em_ahead_ask(&(struct em_wish){ page, 1, 1, false, stage });
}

/* Whether so many come, and no more: what waits has come when one asked later has. */
static bool arrive(unsigned int expected)
{
	for (int i = 0; i < CHILD_SECONDS * 200 && atomic_load(&arrived) < expected; i++)
		usleep(5000);
	ask(LAST, false);
	for (int i = 0; i < CHILD_SECONDS * 200 && atomic_load(&arrived) <= expected; i++)
		usleep(5000);
	return atomic_load(&arrived) == expected + 1 && seen[expected].page == LAST;
}

static bool has_come(uint64_t page)
{
	for (unsigned int i = 0; i < atomic_load(&arrived); i++)
		if (seen[i].page == page)
			return true;
	return false;
}

static void whole(const void *arg)
{
	static const struct em_wish wishes[] = {
		{ 1, 1, 1, false, false }, { 2, EM_WISH_PAGES_MAX, -1, true, false },
		{ (1ull << 40) - 1, 7, EM_WISH_STEP_MAX, false, true },
		{ 3, 2, -EM_WISH_STEP_MAX, true, true }, { 3, 2, -EM_WISH_STEP_MAX, false, true },
		{ 3, 2, -EM_WISH_STEP_MAX, false, false }, { 5, 1, 1, false, false },
	};
	unsigned int wrong = 0;

	(void)arg;
	em_ahead_init(spawn_late, note);
	for (unsigned int twice = 0; twice < 2; twice++)
		for (unsigned int i = 0; i < EM_ARRAY_LEN(wishes); i++)
			em_ahead_ask(&wishes[i]);
	is_int(asked_for, EM_AHEAD_THREADS, "no more threads are begun than there may be");
	start_late();
	ok(arrive(EM_ARRAY_LEN(wishes)), "every wish comes once, however often it was made");
	for (unsigned int i = 0; i < EM_ARRAY_LEN(wishes); i++)
		wrong += seen[i].page != wishes[i].page || seen[i].pages != wishes[i].pages ||
			 seen[i].step != wishes[i].step || seen[i].write != wishes[i].write ||
			 seen[i].stage != wishes[i].stage;
	is_int(wrong, 0, "as it was asked for, to the ends of what a wish can say");
}

/* With one thread; a place that is free again is not the first to be looked at. */
static void in_order(const void *arg)
{
	unsigned int wrong = 0;

	(void)arg;
	em_ahead_init(spawn_late, note);
	for (unsigned int i = 0; i < WISHES; i++)
		ask(100 + i, false);
	start_late();
	ok(arrive(WISHES), "what waits comes");
	for (unsigned int i = 0; i < WISHES; i++)
		wrong += seen[i].page != 100 + i;
	is_int(wrong, 0, "the oldest first");
}

/* Another prefetcher's guesses would fill the room of its successor's. */
static void dropped(const void *arg)
{
	unsigned int staged = 0, missing = 0;

	(void)arg;
	em_ahead_init(spawn_late, note);
	for (unsigned int i = 0; i < WISHES; i++)
		ask(100 + i, i % 2);
	ask(200, false);
	em_ahead_drop_guesses();
	for (unsigned int i = 0; i < WISHES / 2; i++)
		ask(300 + i, true);
	start_late();
	ok(arrive(WISHES), "as many come as can wait");
	ok(!has_come(200), "what was asked for when there was no room is forgotten");
	for (unsigned int i = 0; i < WISHES; i++) {
		staged += i % 2 && has_come(100 + i);
		missing += i % 2 == 0 && !has_come(100 + i);
	}
	is_int(staged, 0, "no guess comes that was dropped");
	is_int(missing, 0, "every stream's wish does");
	for (unsigned int i = 0; i < WISHES / 2; i++)
		missing += !has_come(300 + i);
	is_int(missing, 0, "and the guesses made since, in the room of the old ones");
}

static void of_the_parent(const void *arg)
{
	(void)arg;
	em_ahead_init(spawn_late, note);
	for (unsigned int i = 0; i < WISHES; i++)
		ask(100 + i, i % 2);
	em_ahead_forked();
	asked_for = 0;
	ask(400, false);
	is_int(asked_for, 1, "a forked child begins a thread of its own");
	start_late();
	ok(arrive(1) && has_come(400), "which finds nothing of its parent's");
}

static void settled(const void *arg)
{
	(void)arg;
	em_ahead_init(spawn_late, note);
	em_ahead_settle();
	ask(1, false);
	is_int(asked_for, 0, "no thread begins after the program has locked itself in");
}

int main(void)
{
	in_child("whole", whole, NULL);
	in_child("in order", in_order, NULL);
	in_child("dropped guesses", dropped, NULL);
	in_child("a forked child", of_the_parent, NULL);
	in_child("settled", settled, NULL);
	return done_testing();
}
