/* SPDX-License-Identifier: MIT
 *
 * Slots: runs, growth, reuse, and that no slot ever has two owners.
 */
#include "world.h"
#include "store.h"
#include "watch.h"

#include <signal.h>
#include <sys/resource.h>

#define STEP 16384u /* slots that the store grows by at first */

static void start_slots(uint64_t max_slots)
{
	struct em_config cfg;

	em_config_init(&cfg);
	snprintf(cfg.tiers[0].path, sizeof(cfg.tiers[0].path), "%s", scratch_folder());
	cfg.tiers[0].max_bytes = max_slots * PAGE;
	is_int(em_store_init(&cfg), 0, "a store");
	is_int(em_slots_init(), 0, "and its slots");
	is_int(em_store_ensure_open(), 0, "opened");
}

static uint64_t store_slots(void) { return em_segment->store_bytes / PAGE; }

static void give(em_slot first, size_t count)
{
	for (size_t i = 0; i < count; i++)
		em_slot_give(first + i);
}

static void runs(const void *arg)
{
	em_slot a = 0, b = 0, c = 0;

	(void)arg;
	start_slots(0);
	is_int(store_slots(), 0, "the store is empty at first");
	is_int(em_slots_take(64, &a), 64, "64 slots in a row");
	is_int(store_slots(), STEP, "the store grows by a step, not by 64");
	is_int(em_slots_take(64, &b), 64, "and 64 more");
	is_int(b - a, 64, "right behind them");
	is_int(em_slots_take(128, &c), 128, "128 in a row");
	is_int(c - b, 64, "follow");
	is_int(em_slots_used(), 256, "all are counted");
	is_int(em_slot_file(a), em_store_own_file(), "they belong to our own file");
	give(b, 64);
	is_int(em_slots_used(), 192, "64 are given back");
	em_slot_give(em_slot_make(em_store_own_file() + 1, 5));
	is_int(em_slots_used(), 192, "an ancestor's slot is none of ours");
}

/* Takes slots until there is this much of them. */
static void use_up(size_t slots)
{
	em_slot s;

	while (em_slots_used() < slots &&
	       em_slots_take(em_min(128, slots - em_slots_used()), &s))
		;
	is_int(em_slots_used(), slots, "%zu slots are used up", slots);
}

static void growth(const void *arg)
{
	em_slot s;

	(void)arg;
	start_slots(0);
	use_up(STEP);
	is_int(store_slots(), STEP, "the store has not grown before");
	em_slots_take(1, &s);
	is_int(store_slots(), 2 * STEP, "now it has, by another step");
	use_up(3 * STEP);
	em_slots_take(1, &s);
	is_int(store_slots(), 4.5 * STEP, "a large one grows by half of what lives");
}

/* A file system that has room for a small step, but not for a large one. */
static void little_room(const void *arg)
{
	const struct rlimit most = { 4 * STEP * PAGE, 4 * STEP * PAGE };
	em_slot s;

	(void)arg;
	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &most);
	start_slots(0);
	use_up(3 * STEP);
	is_int(em_slots_take(1, &s), 1, "there is one more");
	is_int(store_slots(), 4 * STEP, "by a small step");
	use_up(4 * STEP);
	is_int(em_slots_take(1, &s), 0, "and then none");
}

static void reuse(const void *arg)
{
	static em_slot runs_of[STEP / 128];
	em_slot s;

	(void)arg;
	start_slots(0);
	for (size_t i = 0; i < STEP / 128; i++)
		em_slots_take(128, &runs_of[i]);
	for (size_t i = 0; i < STEP / 128; i++)
		give(runs_of[i], 128);
	is_int(em_slots_used(), 0, "all slots come back");
	for (size_t i = 0; i < STEP / 128; i++)
		if (em_slots_take(128, &s) != 128)
			ok(false, "a run is to be had");
	is_int(store_slots(), STEP, "and are used again before the store grows");
}

static void scattered(const void *arg)
{
	bool seen[256] = { false };
	size_t total = 0, n, twice = 0, calls = 0;
	em_slot first = 0, s = 0;

	(void)arg;
	start_slots(256);
	for (total = 0; (n = em_slots_take(64, &s)); total += n)
		first = total ? first : s;
	is_int(total, 256, "a store of 256 slots gives 256");
	is_int(em_slots_take(1, &s), 0, "and then none");
	is_int(store_slots(), 256, "it does not grow past its size");
	for (size_t i = 1; i < 256; i += 2)
		em_slot_give(first + i);
	for (total = 0; (n = em_slots_take(64, &s)); total += n, calls++)
		for (size_t i = 0; i < n; i++) {
			uint64_t k = s + i - first;
			twice += k >= 256 || k % 2 == 0 || seen[k];
			if (k < 256)
				seen[k] = true;
		}
	is_int(total, 128, "every other slot comes back, and is used again");
	is_int(twice, 0, "none that is in use");
	is_int(calls, 128, "one at a time, for they have no neighbours");
	give(first + 10, 20);
	is_int(em_slots_take(64, &s), 20, "the longest run is found");
	is_int(s - first, 10, "where it is");
}

/* What lives goes down, so that every word keeps a slot, and comes up again. */
static void breath(const void *arg)
{
	static em_slot runs_of[6 * STEP / 64];
	uint64_t most;
	em_slot s;

	(void)arg;
	start_slots(0);
	for (size_t i = 0; i < 6 * STEP / 64; i++)
		if (em_slots_take(64, &runs_of[i]) != 64)
			ok(false, "a run is to be had");
	most = store_slots();
	for (size_t i = 0; i < 6 * STEP / 64; i++)
		give(runs_of[i] + 1, 63);
	use_up(most / 2 - STEP - 1);
	is_int(store_slots(), most, "scattered slots are used before the store grows");
	em_slots_take(1, &s);
	em_slots_take(1, &s);
	ok(store_slots() > most, "and it does once it is cramped");
}

/* ---- random operations against a plain array ---------------------------- */

#define MODEL (2 * STEP)

static unsigned char owner[MODEL]; /* 1: handed out */
static struct { em_slot first; size_t count; } held[4096];
static size_t held_count;

static bool take_some(uint64_t *seed)
{
	size_t want = 1 + roll(seed, 128), n;
	em_slot first;
	bool right = true;

	n = em_slots_take(want, &first);
	if (n > want)
		return false;
	for (size_t i = 0; i < n; i++) {
		uint64_t k = em_slot_number(first + i);
		right &= k < MODEL && !owner[k];
		owner[k % MODEL] = 1;
	}
	if (n) {
		held[held_count].first = first;
		held[held_count++].count = n;
	}
	return right;
}

/* Gives back a run, or every other slot of it. */
static void give_some(uint64_t *seed)
{
	size_t i = roll(seed, held_count), kept = 0;
	bool all = roll(seed, 2);

	for (size_t k = 0; k < held[i].count; k++) {
		em_slot s = held[i].first + k;
		if (!all && k % 2 == 0 && held_count < 4000) {
			held[held_count].first = s;
			held[held_count++].count = 1;
			kept++;
			continue;
		}
		owner[em_slot_number(s)] = 0;
		em_slot_give(s);
	}
	held[i] = held[--held_count];
}

static size_t count_owned(void)
{
	size_t n = 0;

	for (size_t i = 0; i < MODEL; i++)
		n += owner[i];
	return n;
}

static void random_use(const void *arg)
{
	uint64_t seed = *(const uint64_t *)arg;
	unsigned int wrong = 0, counts_wrong = 0;

	start_slots(MODEL);
	for (int i = 0; i < 20000; i++) {
		/* It breathes: fuller for a while, then emptier. */
		bool fuller = (i / 1000) % 2 == 0;
		if (held_count && (held_count > 3000 || roll(&seed, 8) < (fuller ? 3 : 5)))
			give_some(&seed);
		else
			wrong += !take_some(&seed);
		if (i % 500 == 0)
			counts_wrong += em_slots_used() != count_owned();
	}
	is_int(wrong, 0, "no slot ever has two owners");
	is_int(counts_wrong, 0, "and the count is right all the time");
	while (held_count)
		give_some(&seed);
	is_int(em_slots_used(), 0, "in the end all are back");
}

/* ---- children ------------------------------------------------------------ */

static size_t take_all(em_slot *first)
{
	size_t total = 0, n;
	em_slot s;

	for (; (n = em_slots_take(256, &s)); total += n)
		if (!total)
			*first = s;
	return total;
}

/* A child that lives until its descriptor is closed. */
static int new_child(void)
{
	uint64_t number = 0;
	int fd = em_watch_add(&number);

	if (fd < 0)
		ok(false, "a child can be watched: error %d", -fd);
	em_slots_pin(number);
	return fd;
}

static void child_ends(int fd)
{
	close(fd);
	usleep(20000); /* it is looked for a hundred times a second */
}

static void pinned(const void *arg)
{
	int child, other;
	em_slot first = 0, s = 0;

	(void)arg;
	start_slots(256);
	is_int(em_slots_take(64, &first), 64, "64 slots are in use");
	child = new_child();
	give(first, 64);
	is_int(em_slots_used(), 0, "the parent of a child gives them back");
	is_int(take_all(&s), 192, "only the other ones are handed out");
	is_int(s - first, 64, "behind those of the child");
	other = new_child();
	give(s, 192);
	is_int(take_all(&s), 0, "now all are pinned by one child or the other");
	child_ends(child);
	is_int(take_all(&s), 64, "the first child is gone: its slots are free");
	is_int(s, first, "and no other");
	usleep(20000);
	is_int(take_all(&s), 0, "the second still lives");
	child_ends(other);
	is_int(take_all(&s), 192, "and then does not");
}

#define CROWD 200

/* More children than there are groups; each saw one slot that was then freed. */
static void crowd(const void *arg)
{
	static int fds[CROWD];
	static em_slot slot[CROWD];
	em_slot s;
	size_t wrong = 0;

	(void)arg;
	start_slots(256);
	for (int i = 0; i < CROWD; i++) {
		wrong += em_slots_take(1, &slot[i]) != 1;
		fds[i] = new_child();
		em_slot_give(slot[i]);
	}
	is_int(wrong, 0, "as many slots as children");
	is_int(take_all(&s), 256 - CROWD, "none is free while its child lives");
	for (int i = 0; i < CROWD; i++)
		if (i != CROWD / 2)
			close(fds[i]);
	usleep(20000);
	size_t back = take_all(&s);
	ok(back > CROWD / 2 && back < CROWD, "when all but one are gone most are free: %zu",
	   back);
	child_ends(fds[CROWD / 2]);
	is_int(take_all(&s), CROWD - back, "and in the end all");
}

static void unwatched(const void *arg)
{
	em_slot first = 0, s;

	(void)arg;
	start_slots(256);
	em_slots_take(64, &first);
	em_slots_pin(EM_CHILD_UNWATCHED);
	give(first, 64);
	em_slots_take(64, &first);
	em_slots_pin(EM_CHILD_UNWATCHED);
	give(first, 64);
	usleep(20000);
	is_int(take_all(&s), 128, "what children see that cannot be watched is never reused");
}

int main(void)
{
	uint64_t seed = first_seed();

	in_child("runs", runs, NULL);
	in_child("growth", growth, NULL);
	in_child("little room", little_room, NULL);
	in_child("reuse", reuse, NULL);
	in_child("scattered", scattered, NULL);
	in_child("what lives breathes", breath, NULL);
	for (int i = 0; i < 3; i++, seed++)
		in_child("random use", random_use, &seed);
	in_child("pinned", pinned, NULL);
	in_child("a crowd of children", crowd, NULL);
	in_child("unwatched children", unwatched, NULL);
	return done_testing();
}
