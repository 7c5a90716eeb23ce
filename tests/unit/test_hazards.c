/* SPDX-License-Identifier: MIT
 *
 * Threads: the ranges that the kernel works on for them, and the gate that a
 * fork closes.
 */
#include "world.h"

static struct em_range seen[4096];
static size_t seen_count;

static void see(const struct em_range *r, void *arg)
{
	(void)arg;
	if (seen_count < 4096)
		seen[seen_count++] = *r;
}

static size_t collect(void)
{
	seen_count = 0;
	em_hazards_visit(see, NULL);
	return seen_count;
}

#define FRAME ((uintptr_t)__builtin_frame_address(0))

static bool covered(size_t count, uintptr_t start, uintptr_t end)
{
	for (size_t i = 0; i < count; i++)
		if (seen[i].start <= start && seen[i].end >= end)
			return true;
	return false;
}

/* ---- publishing ------------------------------------------------------ */

static void test_nesting(void)
{
	uint32_t outer = em_hazard_mark(FRAME), inner;

	is_int(collect(), 0, "no range is in use");
	em_hazard_add(1000, 2000, FRAME);
	em_hazard_add(5000, 6000, FRAME);
	inner = em_hazard_mark(FRAME - 64);
	em_hazard_add(9000, 9001, FRAME - 64);
	is_int(collect(), 3, "three are");
	ok(covered(3, 1000, 2000) && covered(3, 5000, 6000) && covered(3, 9000, 9001),
	   "as they were published");
	em_hazard_drop(inner);
	is_int(collect(), 2, "the inner one is taken back");
	em_hazard_drop(outer);
	is_int(collect(), 0, "and the outer ones");
}

/* More than a record holds: never less. */
static void test_many(void)
{
	uint32_t mark = em_hazard_mark(FRAME);
	unsigned int missing = 0;
	size_t n;

	for (uintptr_t i = 0; i < 3 * EM_HAZARDS; i++)
		em_hazard_add(i * 100, i * 100 + 50, FRAME);
	n = collect();
	for (uintptr_t i = 0; i < 3 * EM_HAZARDS; i++)
		missing += !covered(n, i * 100, i * 100 + 50);
	is_int(missing, 0, "%d ranges of one thread are all covered", 3 * EM_HAZARDS);
	em_hazard_drop(mark);
	is_int(collect(), 0, "all are taken back at once");
}

/* What siglongjmp leaves behind. Frames are numbers: larger is older. */
static void test_dead_frames(void)
{
	struct em_thread *t = em_thread_self();
	const uintptr_t stack = 0x7f0000100000, altstack = 0x10000, own = 0x20000;

	t->program_stack = (struct em_range){ altstack, altstack + 0x1000 };
	t->own_stack = (struct em_range){ own, own + 0x1000 };
	em_hazard_add(1, 2, stack - 500);
	is_int(em_hazard_mark(stack - 900), 1, "a call on top of a call: both are live");
	is_int(em_hazard_mark(stack - 500), 0, "a call from the same depth: the first is dead");
	em_hazard_add(1, 2, stack - 500);
	is_int(em_hazard_mark(altstack + 0x900), 1, "a handler on the program's alternate "
						    "stack kills nothing below");
	em_hazard_add(3, 4, altstack + 0x900);
	is_int(em_hazard_mark(own + 0x900), 2, "nor does one on ours");
	em_hazard_add(5, 6, own + 0x900);
	is_int(em_hazard_mark(own + 0x800), 3, "nor a nested one");
	is_int(em_hazard_mark(altstack + 0x800), 2, "back on the program's: ours are dead");
	is_int(em_hazard_mark(stack - 600), 1, "back on the ordinary stack: only it is live");
	is_int(em_hazard_mark(stack - 100), 0, "until it is unwound");
	t->program_stack = t->own_stack = (struct em_range){ 0, 0 };
}

#define HOLDERS 6

static pthread_barrier_t published, looked;

static void *hold_ranges(void *arg)
{
	uintptr_t me = (uintptr_t)arg;
	uint32_t mark = em_hazard_mark(FRAME);

	em_hazard_add(me * 1000, me * 1000 + 10, FRAME);
	pthread_barrier_wait(&published);
	pthread_barrier_wait(&looked);
	if (me % 2)
		em_hazard_drop(mark);
	em_thread_leave(); /* some forget, and end */
	return NULL;
}

static void test_threads(void)
{
	pthread_t t[HOLDERS];
	unsigned int missing = 0;

	pthread_barrier_init(&published, NULL, HOLDERS + 1);
	pthread_barrier_init(&looked, NULL, HOLDERS + 1);
	for (uintptr_t i = 0; i < HOLDERS; i++)
		pthread_create(&t[i], NULL, hold_ranges, (void *)(i + 1));
	pthread_barrier_wait(&published);
	is_int(em_segment->threads, HOLDERS + 1, "all threads are counted");
	size_t n = collect();
	for (uintptr_t i = 1; i <= HOLDERS; i++)
		missing += !covered(n, i * 1000, i * 1000 + 10);
	is_int(n, HOLDERS, "ranges of %d threads are seen", HOLDERS);
	is_int(missing, 0, "each");
	pthread_barrier_wait(&looked);
	for (int i = 0; i < HOLDERS; i++)
		pthread_join(t[i], NULL);
	is_int(collect(), 0, "threads that end leave none behind");
	is_int(em_segment->threads, 1, "and are no longer counted");
}

/* ---- what they are good for -------------------------------------------- */

static void keep_pages(const void *arg)
{
	start_world(spawn_nothing, arg);
	uintptr_t addr = map_pages(64);
	uint32_t mark;

	fill_pages(addr, 0, 64, 1);
	mark = em_hazard_mark(FRAME);
	em_hazard_add(addr + 20 * PAGE - 1, addr + 22 * PAGE + 1, FRAME); /* 19 to 22 */
	evict_all();
	unsigned int kept = 0;
	for (uint64_t p = 19; p <= 22; p++)
		kept += fake_is_mapped(addr + p * PAGE) &&
			!fake_is_protected(addr + p * PAGE);
	is_int(kept, 4, "pages that the kernel works on stay, and stay writable");
	is_int(fake.mapped, 4, "all others leave");
	put_page(addr, 20, 2);
	em_hazard_drop(mark);
	evict_all();
	is_int(fake.mapped, 0, "afterwards these leave as well");
	ok(has_page(addr, 20, 2), "with what was written meanwhile");
	is_int(count_good(addr, 0, 20, 1) + count_good(addr, 21, 64, 1), 63,
	       "everything else as it was");
	check_balance(addr, 64, "hazards");
}

/* Everything is in use: the limit must give way, and that is counted. */
static void all_in_use(const void *arg)
{
	(void)arg;
	start_world(spawn_nothing, "");
	size_t pages = em_segment->credit_pages + 20;
	uintptr_t addr = map_pages(pages);
	uint32_t mark = em_hazard_mark(FRAME);

	em_hazard_add(addr, addr + pages * PAGE, FRAME);
	fill_pages(addr, 0, pages, 1);
	is_int(fake.mapped, pages, "pages in use by system calls stay, past the limit");
	is_int(em_segment->over_limit_events, 20, "each that went past it is counted");
	em_hazard_drop(mark);
	while (em_credits_free() < 0 && evict_batch() == 0)
		;
	ok(fake.mapped <= em_segment->credit_pages, "afterwards the limit is kept again");
	is_int(count_good(addr, 0, pages, 1), pages, "and nothing is lost");
}

/* ---- the gate ------------------------------------------------------------ */

static _Atomic int inside, was_inside;
static _Atomic bool stop;

static void *come_and_go(void *arg)
{
	struct em_thread *t = em_thread_self();

	while (!stop) {
		em_gate_enter(t);
		inside++;
		was_inside++;
		inside--;
		em_gate_leave(t);
	}
	return arg;
}

static void test_gate(void)
{
	pthread_t t[3];
	unsigned int found_inside = 0, stuck = 0;

	fake.patient = true;
	for (int i = 0; i < 3; i++)
		pthread_create(&t[i], NULL, come_and_go, NULL);
	for (int round = 0; round < 50; round++) {
		int before = was_inside;
		em_gate_close();
		int now = was_inside;
		usleep(200);
		found_inside += inside != 0 || was_inside != now;
		if (!em_gate_is_closed_by(em_thread_self()))
			found_inside++;
		em_gate_enter(em_thread_self()); /* who closed it may pass */
		em_gate_leave(em_thread_self());
		em_gate_open();
		for (int i = 0; was_inside < before + 10 && i < 10000; i++)
			usleep(10);
		stuck += was_inside < before + 10;
	}
	stop = true;
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	is_int(found_inside, 0, "nobody is inside a closed gate");
	is_int(stuck, 0, "and all go on when it opens");
	ok(!em_gate_is_closed_by(em_thread_self()), "it is nobody's then");
	fake.patient = false;
}

static void publishing(const void *arg)
{
	struct em_sys_features features;

	(void)arg;
	em_sys_uffd_open(false, &features);
	is_int(em_threads_init(), 0, "threads");
	test_nesting();
	test_many();
	test_dead_frames();
	test_threads();
	test_gate();
}

int main(void)
{
	in_child("publishing", publishing, NULL);
	in_child("kept, copy", keep_pages, "eviction.granule=64K");
	in_child("kept, move", keep_pages, "eviction.granule=64K\neviction.way_out=move");
	in_child("all in use", all_in_use, NULL);
	return done_testing();
}
