/* SPDX-License-Identifier: MIT
 *
 * Recording: as many faults as are counted, of the right kind, page and
 * thread; what cannot be written ends the trace, never the program.
 */
#include "recording.h"
#include "trace.h"
#include "world.h"

#include <errno.h>

static char path[64];

struct tally {
	uint64_t kinds[EM_TRACE_KINDS], writes, last_page;
	uint32_t threads[16];
	size_t thread_count;
};

static bool count_fault(void *arg, const struct cmd_fault *f)
{
	struct tally *t = arg;
	size_t i = 0;

	t->kinds[f->kind]++;
	t->writes += f->write;
	t->last_page = f->page;
	while (i < t->thread_count && t->threads[i] != f->tid)
		i++;
	if (i == t->thread_count && i < EM_ARRAY_LEN(t->threads))
		t->threads[t->thread_count++] = f->tid;
	return true;
}

/* A world that records into a file of its own. */
static void start_recording(const char *variable, const char *config)
{
	snprintf(path, sizeof(path), "%s/extmem-trace.%d", scratch_folder(), (int)getpid());
	unlink(path);
	setenv(variable, path, 1);
	start_world(spawn_nothing, config);
}

static struct tally read_trace(bool *good)
{
	struct tally t = { .writes = 0 };
	struct cmd_recording r;
	char err[512] = "";
	FILE *f = fopen(path, "re");

	*good = f && cmd_recording_read(&r, f, path, err, sizeof(err));
	if (!*good)
		diag("%s", err);
	else
		cmd_recording_visit(&r, count_fault, &t);
	if (f) {
		fclose(f);
		cmd_recording_free(&r);
	}
	unlink(path);
	return t;
}

static const char *const plain = "prefetch.readahead=0\neviction.granule=4K";

/* Faults of all kinds but one; the last is after the end. */
static uintptr_t make_faults(void)
{
	unsigned char byte;
	uintptr_t addr = map_pages(16);

	fill_pages(addr, 0, 8, 1);
	evict_all();
	finish_writes();
	fake_load(addr, &byte, 1);
	put_page(addr, 0, 2);
	empty_standby();
	fake_load(addr + 5 * PAGE, &byte, 1);
	em_trace_end();
	fake_load(addr + 6 * PAGE, &byte, 1);
	return addr;
}

static void kinds(const void *arg)
{
	bool good;

	(void)arg;
	start_recording(EM_TRACE_ENV, plain);
	uintptr_t addr = make_faults();

	struct tally t = read_trace(&good);
	ok(good, "the trace can be read");
	is_int(t.kinds[EM_TRACE_FIRST], 8, "first touches are in it");
	is_int(t.kinds[EM_TRACE_SOFT], 1, "so is what was on standby");
	is_int(t.kinds[EM_TRACE_CLEAN], 1, "and the write to a clean page");
	is_int(t.kinds[EM_TRACE_MAJOR], 1, "and what was read, but not after the end");
	is_int(t.writes, 9, "writes are told from reads");
	is_int(t.last_page, em_page_of(addr) + 5, "pages are counted from the window's first");
	is_int(t.thread_count, 1, "there is one thread");
	is_int(t.threads[0], em_sys_tid(), "this one");
}

static void to_replay(const void *arg)
{
	bool good;

	(void)arg;
	setenv(EM_TRACE_ENV, "/no/such/folder/t", 1);
	start_recording(EM_RECORD_ENV, plain);
	uintptr_t addr = make_faults();

	struct tally t = read_trace(&good);
	ok(good, "a recording to replay is a trace");
	is_int(t.kinds[EM_TRACE_SOFT], 1, "with what was on standby");
	is_int(t.kinds[EM_TRACE_MAJOR], 1, "and what was read");
	is_int(t.last_page, em_page_of(addr) + 5, "up to the end");
	is_int(t.kinds[EM_TRACE_FIRST] + t.kinds[EM_TRACE_CLEAN] + t.writes, 0,
	       "and nothing that was not away");
}

static void *touch_all(void *addr)
{
	fill_pages((uintptr_t)addr, 0, 1000, 1);
	em_thread_leave();
	return NULL;
}

static void threads(const void *arg)
{
	enum { THREADS = 4 };
	pthread_t ids[THREADS];
	struct em_report r;
	bool good;

	start_recording(EM_TRACE_ENV, arg);
	uintptr_t addr = map_pages(4000);
	for (uintptr_t i = 0; i < THREADS; i++)
		pthread_create(&ids[i], NULL, touch_all, (void *)(addr + i * 1000 * PAGE));
	for (int i = 0; i < THREADS; i++)
		pthread_join(ids[i], NULL);
	em_trace_flush();
	r = report_now();

	struct tally t = read_trace(&good);
	ok(good, "the trace of threads can be read");
	is_int(t.kinds[EM_TRACE_FIRST], r.faults[EM_FAULT_FIRST], "as many first touches as are counted");
	is_int(t.kinds[EM_TRACE_MAJOR], r.faults[EM_FAULT_MAJOR], "as many read");
	is_int(t.kinds[EM_TRACE_SOFT] + t.kinds[EM_TRACE_CLEAN] + t.kinds[EM_TRACE_RACED],
	       r.faults[EM_FAULT_SOFT], "and as many soft ones");
	is_int(t.thread_count, THREADS, "of each thread");
}

static void full_disk(const void *arg)
{
	bool good;

	(void)arg;
	start_recording(EM_TRACE_ENV, plain);
	uintptr_t addr = map_pages(1500);
	fill_pages(addr, 0, 10, 1);
	em_trace_flush();
	fill_pages(addr, 10, 20, 1);
	fake.write_error = -ENOSPC;
	fake.writes_to_fail = 1;
	em_trace_flush();
	fake.writes_to_fail = 0;
	ok(!atomic_load(&em_trace_kinds), "a full disk ends the trace");
	fill_pages(addr, 20, 40, 1);
	is_int(count_good(addr, 0, 40, 1), 40, "and nothing else");
	em_trace_end();

	struct tally t = read_trace(&good);
	ok(good, "what was written before can be read");
	is_int(t.kinds[EM_TRACE_FIRST], 10, "and is all there");
}

static void not_ours(const void *arg)
{
	struct em_trace_program other = { .magic = EM_TRACE_MAGIC, .pid = 1 };
	FILE *f;

	(void)arg;
	snprintf(path, sizeof(path), "%s/extmem-trace.%d", scratch_folder(), (int)getpid());
	f = fopen(path, "we");
	ok(f && fwrite(&other, sizeof(other), 1, f) == 1 && fclose(f) == 0, "another process's file");
	setenv(EM_TRACE_ENV, path, 1);
	start_world(spawn_nothing, plain);
	ok(!atomic_load(&em_trace_kinds), "is left alone");
	unlink(path);
}

int main(void)
{
	in_child("kinds", kinds, NULL);
	in_child("to replay", to_replay, NULL);
	in_child("threads", threads, plain);
	in_child("threads, with runs", threads, "eviction.granule=16K");
	in_child("a full disk", full_disk, NULL);
	in_child("another process's file", not_ours, NULL);
	return done_testing();
}
