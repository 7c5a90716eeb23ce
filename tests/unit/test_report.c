/* SPDX-License-Identifier: MIT
 *
 * The report: sums, percentiles, JSON, and the histogram under them.
 */
#include "report.h"
#include "tap.h"

#include <errno.h>

static struct em_segment seg;
static struct em_report report;

static void count(unsigned int shard, enum em_fault_kind kind, uint64_t ns, uint64_t times)
{
	struct em_counters *c = &seg.shards[shard].c;

	c->faults[kind] += times;
	c->fault_ns[kind] += ns * times;
	c->hist[kind][em_hist_bucket(ns)] += times;
}

static void start(void)
{
	memset(&seg, 0, sizeof(seg));
	seg.page_bytes = 4096;
}

static uint64_t percentile(enum em_fault_kind kind, unsigned int permille)
{
	em_report_take(&report, &seg);
	return em_report_percentile_ns(&report, kind, permille);
}

/* ---- the histogram ----------------------------------------------------- */

static void test_buckets(void)
{
	unsigned int wrong = 0, coarse = 0;

	is_int(em_hist_bucket(0), 0, "nothing falls into the first bucket");
	is_int(em_hist_bucket(127), 0, "127 ns too");
	is_int(em_hist_bucket(128), 1, "128 ns into the next");
	is_int(em_hist_bucket(1023), 7, "1023 ns into the last of the narrow ones");
	is_int(em_hist_bucket(1024), 8, "1024 ns into the first wide one");
	is_int(em_hist_bucket(UINT64_MAX), EM_HIST_BUCKETS - 1, "an age into the last");
	for (unsigned int b = 0; b < EM_HIST_BUCKETS - 1; b++) {
		uint64_t floor = em_hist_floor_ns(b), next = em_hist_floor_ns(b + 1);
		wrong += next <= floor || em_hist_bucket(floor) != b ||
			 em_hist_bucket(next - 1) != b;
		coarse += b >= 8 && (next - floor) * 4 > floor;
	}
	is_int(wrong, 0, "buckets follow each other without gap or overlap");
	is_int(coarse, 0, "none is wider than a quarter of what it holds");
}

/* ---- percentiles --------------------------------------------------------- */

static void test_percentiles(void)
{
	start();
	is_int(percentile(EM_FAULT_MAJOR, 500), 0, "without faults there is no latency");
	count(0, EM_FAULT_MAJOR, 200, 900);
	count(3, EM_FAULT_MAJOR, 100000, 90);
	count(5, EM_FAULT_MAJOR, 5000000, 9);
	count(15, EM_FAULT_MAJOR, 70000000, 1);
	/* An answer is the upper edge of the bucket that holds it. */
	const uint64_t fast = 256, slow = em_hist_floor_ns(em_hist_bucket(100000) + 1);
	const uint64_t slower = em_hist_floor_ns(em_hist_bucket(5000000) + 1);
	const uint64_t slowest = em_hist_floor_ns(em_hist_bucket(70000000) + 1);

	is_int(percentile(EM_FAULT_MAJOR, 1), fast, "the fastest of a thousand");
	is_int(percentile(EM_FAULT_MAJOR, 500), fast, "half of them stay under %d ns", 256);
	is_int(percentile(EM_FAULT_MAJOR, 900), fast, "so do 900");
	is_int(percentile(EM_FAULT_MAJOR, 901), slow, "but not 901");
	is_int(percentile(EM_FAULT_MAJOR, 990), slow, "990 are as slow as the next");
	is_int(percentile(EM_FAULT_MAJOR, 991), slower, "991 as the third");
	is_int(percentile(EM_FAULT_MAJOR, 999), slower, "999 too");
	is_int(percentile(EM_FAULT_MAJOR, 1000), slowest, "and all as the slowest");
	is_int(percentile(EM_FAULT_SOFT, 500), 0, "kinds do not mix");
	ok(slow > 100000 && slow <= 125000, "no answer is more than a quarter too high");

	start();
	count(0, EM_FAULT_SOFT, UINT64_MAX, 3);
	is_int(percentile(EM_FAULT_SOFT, 500), em_hist_floor_ns(EM_HIST_BUCKETS - 1),
	       "what is off the scale is as slow as the scale goes");
}

/* ---- sums ---------------------------------------------------------------- */

static void test_sums(void)
{
	start();
	for (unsigned int s = 0; s < EM_SHARDS; s++) {
		count(s, EM_FAULT_FIRST, 1000, 2);
		seg.shards[s].c.pages_in = s;
		seg.shards[s].c.bytes_written = 1;
		seg.shards[s].c.direct_reclaims = 3;
	}
	seg.limit_pages = 100;
	seg.credit_pages = 90;
	seg.free_pages = 30;
	seg.standby_pages = 5;
	seg.stored_pages = 7;
	seg.clean_pages = 2;
	seg.over_limit_events = 11;
	em_report_take(&report, &seg);
	is_int(report.faults[EM_FAULT_FIRST], 32, "faults are added up over the shards");
	is_int(report.fault_ns[EM_FAULT_FIRST], 32000, "and their time");
	is_int(report.hist[EM_FAULT_FIRST][em_hist_bucket(1000)], 32, "and the histograms");
	is_int(report.pages_in, 120, "and pages");
	is_int(report.bytes_written, 16, "and bytes");
	is_int(report.direct_reclaims, 48, "and the last of the counters");
	is_int(report.limit_bytes, 100 * 4096, "gauges are in bytes");
	is_int(report.resident_bytes, 60 * 4096, "resident is what is not free");
	is_int(report.free_bytes, 30 * 4096, "free");
	is_int(report.standby_bytes, 5 * 4096, "standby");
	is_int(report.stored_bytes, 7 * 4096, "stored");
	is_int(report.clean_bytes, 2 * 4096, "clean");
	is_int(report.over_limit_events, 11, "events");
	ok(report.now_ns > 0, "and the time");

	seg.free_pages = -4;
	em_report_take(&report, &seg);
	is_int(report.resident_bytes, 94 * 4096, "past the limit, resident says so");
	is_int(report.free_bytes, 0, "and free does not wrap");
	seg.free_pages = 95;
	em_report_take(&report, &seg);
	is_int(report.resident_bytes, 0, "more free than there are: resident does not wrap");
}

/* ---- JSON ------------------------------------------------------------------ */

static void test_json(void)
{
	char text[16384], small[64];

	start();
	count(0, EM_FAULT_MAJOR, 200, 1);
	seg.pid = 4711;
	strcpy(seg.command, "a \"b\"\\\n\x80");
	seg.start_ns = 1234567890123456789ull;
	em_report_take(&report, &seg);
	int n = em_report_json(&report, &seg, text, sizeof(text));
	is_int(n, strlen(text), "the length is told");
	ok(text[0] == '{' && !strcmp(text + n - 2, "}\n"), "it is one object in one line");
	has_str(text, "\"pid\": 4711,", "with the pid");
	has_str(text, "\"command\": \"a \\\"b\\\"\\\\\\u000a\\ufffd\"", "odd names are escaped");
	has_str(text, "\"start_s\": 1234567890.123,", "times are in seconds");
	has_str(text, "\"major\": {\"count\": 1, \"mean_ns\": 200, \"p50_ns\": 256,",
		"and latencies in nanoseconds");
	is_int(em_report_json(&report, &seg, small, sizeof(small)), -ENOSPC,
	       "what does not fit is an error");
	ok(memchr(small, 0, sizeof(small)), "and still a string");
}

int main(void)
{
	test_buckets();
	test_percentiles();
	test_sums();
	test_json();
	return done_testing();
}
