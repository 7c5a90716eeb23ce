/* SPDX-License-Identifier: MIT
 *
 * The file store: what goes in comes out, and every failure is told.
 */
#include "store.h"
#include "world.h"

#include <dirent.h>
#include <errno.h>

#define RUN 32
#define SLOTS 4096

static unsigned char *buffers; /* page-aligned, SLOTS pages */
static char folder[256];

static void fill(uint64_t slot, uint64_t version)
{
	pattern((uint64_t *)(buffers + slot * PAGE), slot, version);
}

static int open_store(const char *path)
{
	struct em_config cfg;

	em_config_init(&cfg);
	snprintf(cfg.tiers[0].path, sizeof(cfg.tiers[0].path), "%s", path);
	em_store_init(&cfg);
	return em_store_ensure_open();
}

static em_slot slot_of(uint64_t number)
{
	return em_slot_make(em_store_own_file(), number);
}

/* Collects until every token below count has come back once, without error. */
static void reap_all(uint64_t count, const char *what)
{
	static unsigned int times[SLOTS];
	struct em_store_done done[32];
	unsigned int errors = 0, wrong = 0;
	uint64_t back = 0;

	memset(times, 0, sizeof(times));
	while (back < count) {
		size_t n = em_store_reap(done, 32, true);
		if (!n)
			break;
		for (size_t i = 0; i < n; i++) {
			errors += done[i].error != 0;
			if (done[i].token < SLOTS)
				times[done[i].token]++;
		}
		back += n;
	}
	for (uint64_t i = 0; i < count; i++)
		wrong += times[i] != 1;
	is_int(back, count, "%s: every write ends", what);
	is_int(wrong, 0, "%s: once, under its own token", what);
	is_int(errors, 0, "%s: well", what);
	is_int(em_store_reap(done, 32, false), 0, "%s: and that is all", what);
}

static unsigned int count_wrong(uint64_t from, uint64_t to, uint64_t version, size_t step)
{
	static _Alignas(4096) unsigned char got[RUN * PAGE];
	uint64_t want[PAGE / 8];
	unsigned int wrong = 0;

	for (uint64_t s = from; s < to; s += step) {
		wrong += em_store_read(slot_of(s), got, step) != 0;
		for (size_t i = 0; i < step; i++) {
			pattern(want, s + i, version);
			wrong += memcmp(got + i * PAGE, want, PAGE) != 0;
		}
	}
	return wrong;
}

static void write_and_read(const char *what)
{
	uint64_t token = 0;

	is_int(em_store_grow(SLOTS), 0, "%s: room for %d pages", what, SLOTS);
	is_int(em_segment->store_bytes, SLOTS * PAGE, "%s: is counted", what);
	for (uint64_t s = 0; s < SLOTS; s += RUN) {
		for (uint64_t i = s; i < s + RUN; i++)
			fill(i, 1);
		if (em_store_submit(slot_of(s), buffers + s * PAGE, RUN, token++, true) < 0)
			ok(false, "%s: a write is taken", what);
	}
	reap_all(token, what);
	is_int(count_wrong(0, SLOTS, 1, RUN), 0, "%s: all of it is read back, in runs", what);
	is_int(count_wrong(0, 256, 1, 1), 0, "%s: and page by page", what);
	is_int(report_now().pages_out, SLOTS, "%s: pages out are counted", what);
	is_int(report_now().writes, token, "%s: so are writes", what);
}

static unsigned int count_files(const char *path)
{
	DIR *d = opendir(path);
	unsigned int n = 0;

	for (struct dirent *e; d && (e = readdir(d));)
		n += e->d_name[0] != '.' || strlen(e->d_name) > 2;
	if (d)
		closedir(d);
	return n;
}

static void without_ring(const void *arg)
{
	(void)arg;
	is_int(open_store(folder), 0, "a store without io_uring");
	is_int(count_files(folder), 0, "has no name in its folder");
	fake.short_io = 5;
	fake.interrupted_io = 7;
	write_and_read("without a ring");
	ok(fake.writes > SLOTS / RUN, "short and interrupted writes were carried on");
}

/* Many small writes under way: more than the ring and its records hold. */
static void with_ring(const void *arg)
{
	(void)arg;
	fake.has_ring = true;
	is_int(open_store(folder), 0, "a store with io_uring");
	write_and_read("with a ring");
	if (fake.writes)
		diag("this kernel has no io_uring for us: plain writes again");
	for (uint64_t s = 0; s < 1500; s++) {
		fill(s, 2);
		if (em_store_submit(slot_of(s), buffers + s * PAGE, 1, s, true) < 0)
			ok(false, "a write is taken");
	}
	reap_all(1500, "1500 at once");
	is_int(count_wrong(0, 1500, 2, 1), 0, "all of it is read back");
}

static void failures(const void *arg)
{
	struct em_store_done done[4];

	(void)arg;
	open_store(folder);
	em_store_grow(64);
	fill(0, 1);
	fake.write_error = -ENOSPC;
	fake.writes_to_fail = 1;
	is_int(em_store_submit(slot_of(0), buffers, 1, 77, true), 0, "a write is taken");
	is_int(em_store_reap(done, 4, true), 1, "it ends");
	is_int(done[0].token, 77, "under its token");
	is_int(done[0].error, -ENOSPC, "with its error");
	em_store_submit(slot_of(0), buffers, 1, 78, true);
	is_int(em_store_reap(done, 4, true), 1, "the next one ends");
	is_int(done[0].error, 0, "well");

	fake.read_error = -EIO;
	fake.reads_to_fail = 1;
	is_int(em_store_read(slot_of(0), buffers + PAGE, 1), -EIO, "a read fails with its error");
	is_int(em_segment->store_errors, 1, "which is counted");
	is_int(em_store_read(slot_of(0), buffers + PAGE, 1), 0, "the next does not");
	ok(!memcmp(buffers, buffers + PAGE, PAGE), "and brings what was written");
	is_int(em_store_read(slot_of(64), buffers, 1), -EIO, "nothing is read behind the end");
	is_int(em_store_read(slot_of(60), buffers, 8), -EIO, "a run that is cut short is an error");

	unsigned int taken = 0;
	while (taken < 5000 && em_store_submit(slot_of(0), buffers, 1, 0, true) == 0)
		taken++;
	ok(taken >= 256 && taken < 5000, "who never collects is refused after %u writes", taken);
	while (em_store_reap(done, 4, false))
		;
	is_int(em_store_submit(slot_of(0), buffers, 1, 0, true), 0, "and heard again afterwards");
}

static void no_folder(const void *arg)
{
	char path[300];

	(void)arg;
	snprintf(path, sizeof(path), "%s/no/such/folder", folder);
	is_int(open_store(path), -ENOENT, "a store in no folder cannot be opened");
	is_int(em_store_ensure_open(), -ENOENT, "and stays so");
	is_int(em_store_reap(NULL, 0, true), 0, "it has nothing under way");
}

int main(void)
{
	snprintf(folder, sizeof(folder), "%s/test_store_file.XXXXXX", scratch_folder());
	if (!mkdtemp(folder))
		skip_all("no folder can be made in %s", scratch_folder());
	buffers = em_sys_alloc(SLOTS * PAGE);
	ok(em_store_find("file") && !em_store_find("tape"), "stores have names");
	in_child("without a ring", without_ring, NULL);
	in_child("with a ring", with_ring, NULL);
	in_child("failures", failures, NULL);
	in_child("no folder", no_folder, NULL);
	is_int(rmdir(folder), 0, "nothing is left in the folder");
	return done_testing();
}
