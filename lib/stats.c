/* SPDX-License-Identifier: MIT */
#include "stats.h"
#include "shm.h"
#include "sys.h"
#include <string.h>

static struct em_segment early;
struct em_segment *em_segment = &early;
static int segment_fd = -1;

EM_TLS unsigned int shard;

static struct em_segment *make_segment(void)
{
	int fd = em_shm_create(EM_SEGMENT_NAME, sizeof(struct em_segment));
	struct em_segment *s = fd < 0 ? NULL :
		em_shm_map_anywhere(fd, sizeof(struct em_segment));

	if (!s && fd >= 0)
		em_sys_close(fd);
	else
		segment_fd = fd;
	return s;
}

int em_stats_init(void)
{
	struct em_segment *s = make_segment();

	if (!s)
		return -1;
	em_segment = s; /* nothing was counted before */
	return 0;
}

/*
 * The parent's mapping was not inherited (shm.h), so the settings are read
 * through its descriptor.
 */
void em_stats_forked(void)
{
	struct em_segment *s;

	if (em_segment == &early)
		memset(&early.shards, 0, sizeof(early.shards));
	if (segment_fd < 0)
		return;
	em_sys_pread(segment_fd, &early, offsetof(struct em_segment, shards), 0);
	em_sys_close(segment_fd); /* first: there may be no other number free */
	segment_fd = -1;
	em_segment = &early;
	s = make_segment();
	if (!s)
		return;
	memcpy(s, &early, offsetof(struct em_segment, shards));
	em_segment = s;
}

struct em_counters *em_stats(void)
{
	return &em_segment->shards[shard].c;
}

void em_stats_use_shard(unsigned int n)
{
	shard = n % EM_SHARDS;
}

void em_stats_fault(enum em_fault_kind kind, uint64_t ns)
{
	struct em_counters *c = em_stats();

	em_count(&c->faults[kind], 1);
	em_count(&c->fault_ns[kind], ns);
	em_count(&c->hist[kind][em_hist_bucket(ns)], 1);
}
