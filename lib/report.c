/* SPDX-License-Identifier: MIT */
#include "report.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static uint64_t load(const em_counter *c)
{
	return atomic_load_explicit(c, memory_order_relaxed);
}

/* ---- taking ---------------------------------------------------------- */

static void add_shard(struct em_report *r, const struct em_counters *c)
{
	for (unsigned int k = 0; k < EM_FAULT_KINDS; k++) {
		r->faults[k] += load(&c->faults[k]);
		r->fault_ns[k] += load(&c->fault_ns[k]);
		for (unsigned int b = 0; b < EM_HIST_BUCKETS; b++)
			r->hist[k][b] += load(&c->hist[k][b]);
	}
	r->pages_in += load(&c->pages_in);
	r->pages_readahead += load(&c->pages_readahead);
	r->pages_prefetched += load(&c->pages_prefetched);
	r->prefetch_used += load(&c->prefetch_used);
	r->pages_out += load(&c->pages_out);
	r->pages_clean += load(&c->pages_clean);
	r->pages_zeroed += load(&c->pages_zeroed);
	r->pages_evicted += load(&c->pages_evicted);
	r->bytes_read += load(&c->bytes_read);
	r->bytes_written += load(&c->bytes_written);
	r->reads += load(&c->reads);
	r->writes += load(&c->writes);
	r->syscall_traps += load(&c->syscall_traps);
	r->syscall_ranges += load(&c->syscall_ranges);
	r->waits += load(&c->waits);
	r->wait_ns += load(&c->wait_ns);
	r->direct_reclaims += load(&c->direct_reclaims);
	r->quota_waits += load(&c->quota_waits);
	r->quota_wait_ns += load(&c->quota_wait_ns);
}

static void take_gauges(struct em_report *r, const struct em_segment *seg)
{
	uint64_t page = seg->page_bytes;
	uint64_t credit = load(&seg->credit_pages);
	int64_t free_pages = atomic_load_explicit(&seg->free_pages,
						  memory_order_relaxed);
	/* Two loads, a moment apart: never let the difference wrap. */
	int64_t resident = (int64_t)(credit - (uint64_t)free_pages);

	r->limit_bytes = load(&seg->limit_pages) * page;
	r->resident_bytes = resident > 0 ? (uint64_t)resident * page : 0;
	r->free_bytes = free_pages > 0 ? (uint64_t)free_pages * page : 0;
	r->peak_resident_bytes = load(&seg->peak_resident_pages) * page;
	r->standby_bytes = load(&seg->standby_pages) * page;
	r->stored_bytes = load(&seg->stored_pages) * page;
	r->clean_bytes = load(&seg->clean_pages) * page;
	r->buffer_bytes = load(&seg->buffer_pages) * page;
	r->mapped_bytes = load(&seg->mapped_bytes);
	r->reserved_bytes = load(&seg->reserved_bytes);
	r->regions = load(&seg->regions);
	r->unmanaged_maps = load(&seg->unmanaged_maps);
	r->over_limit_events = load(&seg->over_limit_events);
	r->store_bytes = load(&seg->store_bytes);
	r->store_errors = load(&seg->store_errors);
	r->threads = load(&seg->threads);
}

void em_report_take(struct em_report *r, const struct em_segment *seg)
{
	struct timespec now = { 0 };

	memset(r, 0, sizeof(*r));
	clock_gettime(CLOCK_MONOTONIC, &now);
	r->now_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
	take_gauges(r, seg);
	for (unsigned int s = 0; s < EM_SHARDS; s++)
		add_shard(r, &seg->shards[s].c);
}

uint64_t em_report_percentile_ns(const struct em_report *r,
				 enum em_fault_kind kind, unsigned int permille)
{
	const uint64_t *hist = r->hist[kind];
	unsigned __int128 total = 0, seen = 0;
	unsigned int last = 0;

	for (unsigned int b = 0; b < EM_HIST_BUCKETS; b++) {
		total += hist[b];
		if (hist[b])
			last = b;
	}
	if (!total)
		return 0;
	for (unsigned int b = 0; b < last; b++) {
		seen += hist[b];
		if (seen * 1000 >= total * permille)
			return em_hist_floor_ns(b + 1);
	}
	/* The last bucket has no upper edge: it holds all that is slower. */
	return em_hist_floor_ns(last + 1 < EM_HIST_BUCKETS ? last + 1 : last);
}

/* ---- JSON ------------------------------------------------------------ */

struct json {
	char *out;
	size_t bytes, used;
	bool full;
	bool comma; /* the next member needs one in front */
};

__attribute__((format(printf, 2, 3)))
static void put(struct json *j, const char *format, ...)
{
	va_list args;

	if (j->full)
		return;
	va_start(args, format);
	int n = vsnprintf(j->out + j->used, j->bytes - j->used, format, args);
	va_end(args);
	if (n < 0 || (size_t)n >= j->bytes - j->used)
		j->full = true;
	else
		j->used += (size_t)n;
}

static void put_key(struct json *j, const char *key)
{
	put(j, "%s\"%s\": ", j->comma ? ", " : "", key);
	j->comma = true;
}

static void put_number(struct json *j, const char *key, uint64_t value)
{
	put_key(j, key);
	put(j, "%llu", (unsigned long long)value);
}

/* Length of the UTF-8 sequence at s, 0 when it is not one. */
static size_t utf8_length(const unsigned char *s, size_t left)
{
	size_t n = s[0] < 0x80 ? 1 : s[0] >= 0xc2 && s[0] < 0xe0 ? 2 :
		   s[0] >= 0xe0 && s[0] < 0xf0 ? 3 :
		   s[0] >= 0xf0 && s[0] < 0xf5 ? 4 : 0;

	if (!n || n > left)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	/* Overlong forms, surrogates, and what lies past U+10FFFF. */
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
	    (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return n;
}

/* A program may name itself anything: what is not UTF-8 becomes U+FFFD. */
static void put_string(struct json *j, const char *key, const char *text,
		       size_t max)
{
	const unsigned char *s = (const unsigned char *)text;
	size_t left = strnlen(text, max);

	put_key(j, key);
	put(j, "\"");
	while (left) {
		size_t n = utf8_length(s, left);

		if (!n)
			put(j, "\\ufffd");
		else if (*s == '"' || *s == '\\')
			put(j, "\\%c", *s);
		else if (*s < 0x20 || *s == 0x7f)
			put(j, "\\u%04x", *s);
		else
			put(j, "%.*s", (int)n, (const char *)s);
		s += n ? n : 1;
		left -= n ? n : 1;
	}
	put(j, "\"");
}

static void put_seconds(struct json *j, const char *key, uint64_t ns)
{
	put_key(j, key);
	put(j, "%llu.%03llu", (unsigned long long)(ns / 1000000000u),
	    (unsigned long long)(ns / 1000000u % 1000u));
}

static void put_identity(struct json *j, const struct em_report *r,
			 const struct em_segment *seg)
{
	put_number(j, "pid", seg->pid);
	put_number(j, "parent_pid", seg->parent_pid);
	put_string(j, "command", seg->command, sizeof(seg->command));
	put_string(j, "version", seg->library, sizeof(seg->library));
	put_seconds(j, "start_s", seg->start_ns);
	put_seconds(j, "uptime_s", r->now_ns > seg->start_mono_ns ?
		    r->now_ns - seg->start_mono_ns : 0);
	put_string(j, "algorithm", seg->algorithm, sizeof(seg->algorithm));
	put_string(j, "way_out", seg->way_out, sizeof(seg->way_out));
	put_string(j, "delivery", seg->delivery, sizeof(seg->delivery));
	put_string(j, "syscall_net", seg->syscall_net, sizeof(seg->syscall_net));
	put_string(j, "tier", seg->tier, sizeof(seg->tier));
}

static void put_gauges(struct json *j, const struct em_report *r)
{
	put_number(j, "limit_bytes", r->limit_bytes);
	put_number(j, "resident_bytes", r->resident_bytes);
	put_number(j, "peak_resident_bytes", r->peak_resident_bytes);
	put_number(j, "standby_bytes", r->standby_bytes);
	put_number(j, "stored_bytes", r->stored_bytes);
	put_number(j, "clean_bytes", r->clean_bytes);
	put_number(j, "free_bytes", r->free_bytes);
	put_number(j, "buffer_bytes", r->buffer_bytes);
	put_number(j, "mapped_bytes", r->mapped_bytes);
	put_number(j, "reserved_bytes", r->reserved_bytes);
	put_number(j, "regions", r->regions);
	put_number(j, "unmanaged_maps", r->unmanaged_maps);
	put_number(j, "over_limit_events", r->over_limit_events);
	put_number(j, "store_bytes", r->store_bytes);
	put_number(j, "store_errors", r->store_errors);
	put_number(j, "threads", r->threads);
}

static void put_faults(struct json *j, const struct em_report *r)
{
	static const char *const names[EM_FAULT_KINDS] = {
		[EM_FAULT_FIRST] = "first",
		[EM_FAULT_SOFT] = "soft",
		[EM_FAULT_MAJOR] = "major",
	};
	static const struct { const char *key; unsigned int permille; } marks[] = {
		{ "p50_ns", 500 }, { "p90_ns", 900 },
		{ "p99_ns", 990 }, { "p999_ns", 999 }, { "max_ns", 1000 },
	};

	put_key(j, "faults");
	put(j, "{");
	j->comma = false;
	for (unsigned int k = 0; k < EM_FAULT_KINDS; k++) {
		put_key(j, names[k]);
		put(j, "{");
		j->comma = false;
		put_number(j, "count", r->faults[k]);
		put_number(j, "mean_ns",
			   r->faults[k] ? r->fault_ns[k] / r->faults[k] : 0);
		for (size_t m = 0; m < sizeof(marks) / sizeof(marks[0]); m++)
			put_number(j, marks[m].key,
				   em_report_percentile_ns(r, (enum em_fault_kind)k,
							   marks[m].permille));
		put(j, "}");
	}
	put(j, "}");
}

static void put_counters(struct json *j, const struct em_report *r)
{
	put_number(j, "pages_in", r->pages_in);
	put_number(j, "pages_readahead", r->pages_readahead);
	put_number(j, "pages_prefetched", r->pages_prefetched);
	put_number(j, "prefetch_used", r->prefetch_used);
	put_number(j, "pages_out", r->pages_out);
	put_number(j, "pages_clean", r->pages_clean);
	put_number(j, "pages_zeroed", r->pages_zeroed);
	put_number(j, "pages_evicted", r->pages_evicted);
	put_number(j, "bytes_read", r->bytes_read);
	put_number(j, "bytes_written", r->bytes_written);
	put_number(j, "reads", r->reads);
	put_number(j, "writes", r->writes);
	put_number(j, "syscall_traps", r->syscall_traps);
	put_number(j, "syscall_ranges", r->syscall_ranges);
	put_number(j, "waits", r->waits);
	put_number(j, "wait_ns", r->wait_ns);
	put_number(j, "direct_reclaims", r->direct_reclaims);
	put_number(j, "quota_waits", r->quota_waits);
	put_number(j, "quota_wait_ns", r->quota_wait_ns);
}

int em_report_json(const struct em_report *r, const struct em_segment *seg,
		   char *out, size_t out_bytes)
{
	struct json j = { .out = out, .bytes = out_bytes };

	put(&j, "{");
	put_identity(&j, r, seg);
	put_gauges(&j, r);
	put_faults(&j, r);
	put_counters(&j, r);
	put(&j, "}\n");
	return j.full ? -ENOSPC : (int)j.used;
}
