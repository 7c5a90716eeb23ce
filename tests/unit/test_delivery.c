/* SPDX-License-Identifier: MIT
 *
 * Thread delivery: every kind of fault by way of a message, what cannot be had,
 * a fork's closed gate, and threads of the library's own.
 */
#include "world.h"

#include "worker.h"
#include <errno.h>

#define BY_THREAD "faults.delivery=thread\n"
#define PLAIN "prefetch.algorithm=none\nprefetch.readahead=0\neviction.granule=4K\n"

/* A thread goes on when its page is there; the server has a line to finish. */
static void settle(void)
{
	struct em_report r = report_now();

	while (r.faults[EM_FAULT_FIRST] + r.faults[EM_FAULT_SOFT] +
	       r.faults[EM_FAULT_MAJOR] < fake.messages) {
		usleep(100);
		r = report_now();
	}
}

static void check_rest(uintptr_t addr, size_t pages, const char *name)
{
	for (int i = 0; i < 1000 && count_state(addr, pages, EM_PAGE_LOADING) +
				    count_state(addr, pages, EM_PAGE_EVICTING); i++)
		usleep(1000);
	check_balance(addr, pages, name);
}

static void kinds(const void *arg)
{
	unsigned char byte = 1;

	start_world(spawn_thread, arg);
	uintptr_t addr = map_pages(8);

	is_str(em_segment->delivery, "thread", "the segment says how");
	is_int(fake_load(addr, &byte, 1), FAKE_FINE, "a new page can be read");
	is_int(byte, 0, "and is zero");
	is_int(fake.messages, 1, "which took one message");
	fill_pages(addr, 0, 8, 1);
	settle();
	evict_all();
	finish_writes();
	is_int(fake.mapped, 0, "all pages left");
	is_int(count_good(addr, 0, 4, 1), 4, "they come back as they were");
	settle();
	is_int(report_now().faults[EM_FAULT_SOFT], 4, "by soft faults");
	ok(fake_is_protected(addr), "clean");
	put_page(addr, 0, 2);
	ok(has_page(addr, 0, 2), "a write to a clean page lifts the protection");
	settle();
	evict_all();
	empty_standby();
	is_int(count_good(addr, 1, 8, 1) + has_page(addr, 0, 2), 8, "all come from the store");
	settle();
	is_int(report_now().faults[EM_FAULT_MAJOR], 8, "by major faults");
	settle();
	is_int(report_now().faults[EM_FAULT_FIRST] + report_now().faults[EM_FAULT_SOFT] +
	       report_now().faults[EM_FAULT_MAJOR], fake.messages, "a message for each");
	check_rest(addr, 8, "kinds");
}

/* Read-ahead goes by the thread that faults, not by the one that serves. */
static _Atomic uintptr_t stream_addr;

static void *read_stream(void *arg)
{
	uintptr_t from = stream_addr + (uintptr_t)arg * 512 * PAGE;

	em_thread_self();
	for (size_t i = 0; i < 512; i++)
		fake_load(from + i * PAGE, &(unsigned char){ 0 }, 1);
	return NULL;
}

static void streams(const void *arg)
{
	pthread_t threads[3];

	start_world(spawn_thread, arg);
	stream_addr = map_pages(3 * 512);
	for (uintptr_t i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, read_stream, (void *)i);
	for (size_t i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	settle();
	is_int(report_now().faults[EM_FAULT_FIRST], fake.messages, "each fault is a message");
	ok(fake.messages < 200, "three streams of 512 pages take %llu messages",
	   (unsigned long long)fake.messages);
	check_rest(stream_addr, 3 * 512, "streams");
}

static void lost(const void *arg)
{
	uint64_t word = 42;

	fake.no_poison = arg;
	start_world(spawn_thread, BY_THREAD PLAIN);
	uintptr_t addr = map_pages(4);
	fill_pages(addr, 0, 4, 1);
	settle();
	evict_all();
	empty_standby();

	fake.read_error = -EIO;
	fake.reads_to_fail = 1;
	is_int(fake_load(addr, &word, 8), FAKE_BUS_ERROR, "a page that cannot be read: bus error");
	is_int(word, 42, "and no data");
	is_int(fake_store(addr, &word, 8), FAKE_BUS_ERROR, "for good");
	usleep(20000); /* a thread told by a signal may be told twice */
	is_int(count_good(addr, 1, 4, 1), 3, "others are right");
	is_int(em_region_discard(addr, PAGE), 0, "it can be given up");
	is_int(put_page(addr, 0, 2), FAKE_FINE, "and used again");
	ok(has_page(addr, 0, 2), "for something new");
	check_rest(addr, 4, "lost");
}

static void no_privilege(const void *arg)
{
	(void)arg;
	fake.no_privilege = true;
	start_world(spawn_thread, BY_THREAD PLAIN);
	uintptr_t addr = map_pages(4);

	is_str(em_segment->delivery, "signal", "without a privilege faults are signals");
	is_int(put_page(addr, 0, 1), FAKE_FINE, "and all works");
	is_int(fake.messages, 0, "without messages");
}

static int spawn_refused(void (*body)(void))
{
	(void)body;
	return -EAGAIN;
}

static void no_thread(const void *arg)
{
	(void)arg;
	start_world(spawn_refused, BY_THREAD PLAIN);
	uintptr_t addr = map_pages(4);

	is_str(em_segment->delivery, "signal", "without a thread faults are signals");
	is_int(put_page(addr, 0, 1), FAKE_FINE, "and all works");
}

/* ---- a fork ------------------------------------------------------------ */

static _Atomic bool closed;
static _Atomic int finished;
static uintptr_t fork_addr;

static void *touch_during_fork(void *arg)
{
	em_thread_self();
	while (!closed)
		usleep(100);
	for (uint64_t i = 0; i < 32; i++)
		put_page(fork_addr, i, 1);
	finished++;
	return arg;
}

/*
 * The gate is closed, the locks are held, and the forking thread touches memory
 * all the same: its atfork handlers do. Meanwhile other threads' faults wait.
 */
static void during_fork(const void *arg)
{
	pthread_t others[3];
	sigset_t old;

	start_world(spawn_thread, arg);
	fork_addr = map_pages(4096);
	fill_pages(fork_addr, 32, 1900, 1);
	for (size_t i = 0; i < EM_ARRAY_LEN(others); i++)
		pthread_create(&others[i], NULL, touch_during_fork, NULL);
	em_sys_block_signals(&old);
	em_reclaim_lock();
	em_map_lock();
	em_gate_close();
	closed = true;
	usleep(20000);
	size_t good = 0;
	for (uint64_t i = 2000; i < 2200; i++)
		good += put_page(fork_addr, i, 1) == FAKE_FINE && has_page(fork_addr, i, 1);
	is_int(good, 200, "the forking thread is served, beyond the limit if need be");
	is_int(finished, 0, "others are not");
	em_gate_open();
	em_map_unlock();
	em_reclaim_unlock();
	em_sys_restore_signals(&old);
	for (size_t i = 0; i < EM_ARRAY_LEN(others); i++)
		pthread_join(others[i], NULL);
	is_int(count_good(fork_addr, 0, 32, 1), 32, "until it is over");
	usleep(50000); /* servers may be at work still for threads that others helped */
	check_rest(fork_addr, 4096, "fork");
}

/* ---- workers ------------------------------------------------------------ */

static _Atomic uint32_t ran;
static __thread int counter = 7; /* has an image */
static _Atomic int seen_counter, seen_errno;
static _Atomic pid_t seen_tid;

static void worker_body(void)
{
	char text[32];

	seen_counter = counter++;
	errno = 5;
	seen_errno = errno;
	snprintf(text, sizeof(text), "%d", 123); /* needs libc's storage */
	seen_tid = em_sys_tid();
	ran = strcmp(text, "123") ? 2 : 1;
	for (;;)
		pause();
}

static void workers(const void *arg)
{
	(void)arg;
	is_int(em_worker_init(), 0, "the shape of a thread is known");
	counter = 20;
	errno = 3;
	is_int(em_worker_start(worker_body), 0, "a worker starts");
	for (int i = 0; i < 1000 && !ran; i++)
		usleep(1000);
	is_int(ran, 1, "it runs, and libc works in it");
	is_int(seen_counter, 7, "with storage of its own, as at a thread's start");
	is_int(counter, 20, "the starter's is as it was");
	is_int(seen_errno, 5, "it has an errno");
	is_int(errno, 3, "which is not ours");
	ok(seen_tid != em_sys_tid() && em_sys_thread_alive(seen_tid), "it is a thread");
	for (unsigned int i = 1; i < 16; i++)
		em_worker_start(worker_body);
	is_int(em_worker_start(worker_body), -ENOMEM, "there is an end to them");
}

int main(void)
{
	in_child("kinds, copy", kinds, BY_THREAD PLAIN "eviction.way_out=copy");
	in_child("kinds, move", kinds, BY_THREAD PLAIN "eviction.way_out=move");
	in_child("streams", streams, BY_THREAD "prefetch.readahead=64K");
	in_child("lost", lost, NULL);
	in_child("lost, no poison", lost, "");
	in_child("no privilege", no_privilege, NULL);
	in_child("no thread", no_thread, NULL);
	in_child("fork, copy", during_fork, BY_THREAD PLAIN "eviction.way_out=copy");
	in_child("fork, move", during_fork, BY_THREAD PLAIN "eviction.way_out=move");
	in_child("workers", workers, NULL);
	return done_testing();
}
