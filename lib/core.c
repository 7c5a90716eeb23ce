/* SPDX-License-Identifier: MIT */
#include "core.h"
#include "arch.h"
#include "control.h"
#include "credits.h"
#include "delivery.h"
#include "fault.h"
#include "habit.h"
#include "knobs.h"
#include "limit.h"
#include "log.h"
#include "notes.h"
#include "page.h"
#include "plugin.h"
#include "policies/policies.h"
#include "policy.h"
#include "prefetch.h"
#include "preload.h"
#include "quota.h"
#include "region.h"
#include "report.h"
#include "rules.h"
#include "slots.h"
#include "standby.h"
#include "stats.h"
#include "store.h"
#include "sys.h"
#include "thread.h"
#include "trace.h"
#include "worker.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <time.h>

#ifndef EM_VERSION
#define EM_VERSION "unknown"
#endif

/* The part of rationed addresses that buffers may take. */
#define EM_SPACE_PART 32u

static struct {
	_Atomic int state; /* 0 not yet, 1 starting, 2 active, 3 off */
	struct em_config cfg;
	char stats_path[EM_CONFIG_PATH_MAX];
	pid_t reporter;    /* the process that `extmem run` became */
	pid_t settled;     /* the process that must not open files any more, or 0 */
	int report_fd;     /* opened before that; or -1 */
	_Atomic bool reported;
} core;

bool em_core_active(void)
{
	return atomic_load_explicit(&core.state, memory_order_acquire) == 2;
}

const struct em_config *em_core_config(void) { return &core.cfg; }

static pid_t own_pid(void)
{
	return (pid_t)em_syscall(SYS_getpid, 0, 0, 0, 0, 0, 0);
}

static void read_comm(char *out, size_t bytes)
{
	long n = em_sys_read_path("/proc/self/comm", 0, out, bytes - 1);

	out[n > 0 ? n - 1 : 0] = '\0'; /* without the newline */
}

/* What others see of the policy; a long one is cut. */
static void show_policy(void)
{
	static char text[EM_CONFIG_DUMP_MAX];
	int n = em_config_dump(&core.cfg, text, sizeof(text));
	size_t shown = em_min(em_max(n, 0), sizeof(em_segment->config) - 1);

	snprintf(em_segment->algorithm, sizeof(em_segment->algorithm), "%s",
		 extmem_eviction_find(core.cfg.algorithm)->name);
	memcpy(em_segment->config, text, shown);
	em_segment->config[shown] = '\0';
}

static void describe(void)
{
	struct em_segment *s = em_segment;
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	s->magic = EM_SEGMENT_MAGIC;
	s->version = EM_SEGMENT_VERSION;
	s->bytes = sizeof(*s);
	s->pid = (uint32_t)own_pid();
	s->start_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
	s->start_mono_ns = em_sys_now_ns();
	s->page_bytes = EM_PAGE_BYTES;
	s->window_base = EM_WINDOW_BASE;
	s->window_bytes = em_window_bytes();
	snprintf(s->library, sizeof(s->library), "%s", EM_VERSION);
	strcpy(s->delivery, em_delivery_by_thread() ? "thread" : "signal");
	strcpy(s->syscall_net, "off");
	snprintf(s->tier, sizeof(s->tier), "%s %.30s", core.cfg.tiers[0].type,
		 core.cfg.tiers[0].path);
	show_policy();
}

/*
 * Divides the limit: buffers first, the rest are credits.
 */
static int divide_limit(const struct em_sys_features *features, em_spawn *spawn)
{
	uint64_t limit = em_limit_pages();
	unsigned int granule = 1u << em_granule_shift();
	bool by_move = em_reclaim_by_move(&core.cfg, features, em_delivery_by_thread());
	/* Where addresses are rationed most of them are for the program. */
	uint64_t space = em_sys_space_bytes() / EM_SPACE_PART >> EM_PAGE_SHIFT;
	int ret, read_pages;

	ret = em_standby_init(em_min(em_limit_part(&core.cfg.standby, limit), space), granule,
			      by_move);
	if (ret < 0)
		return ret;
	read_pages = em_fault_init(&core.cfg, limit, spawn);
	if (read_pages < 0)
		return read_pages;
	em_count(&em_segment->buffer_pages, (uint64_t)read_pages);
	em_gauge(&em_segment->limit_pages, limit);
	em_credits_init(limit - atomic_load(&em_segment->buffer_pages));
	em_limit_set_marks(&core.cfg, limit);
	return 0;
}

static const struct em_control_hooks control_hooks;

/* What the prefetcher replays, if it does; zero without. */
static int load_recorded(const struct em_config *cfg, struct em_recorded *recorded, char *err,
			 size_t err_bytes)
{
	*recorded = (struct em_recorded){ .sequence = NULL };
	if (strcmp(cfg->prefetcher, "replay"))
		return 0;
	return em_trace_load(cfg->recording, em_segment->command, recorded, err, err_bytes);
}

/*
 * A process that has nothing to replay is no worse off than without. 'extmem run'
 * has looked at the file, which may have more programs in it, or fewer, than its tree has.
 */
static int start_prefetcher(void)
{
	struct em_recorded recorded;
	char err[EM_CONFIG_PATH_MAX + 256];
	int ret = load_recorded(&core.cfg, &recorded, err, sizeof(err));

	if (ret < 0 && ret != -ENODATA)
		em_log("%s; nothing is replayed", err);
	return em_prefetch_use(core.cfg.prefetcher, &core.cfg.prefetch_params, &recorded);
}

static int start_parts(const struct em_core_hooks *hooks)
{
	struct em_sys_features features = { false, false };
	unsigned int granule = (unsigned int)(core.cfg.granule_bytes >> EM_PAGE_SHIFT);
	int ret;

	em_rules_set(&core.cfg);
	em_quota_set(&core.cfg);
	em_habit_set((unsigned int)core.cfg.spare);
	em_sys_place_stub(EM_STUB_BASE); /* without it there is no net, no more */
	em_worker_init(); /* should it fail, so will starting a thread */
	if ((ret = em_threads_init()) < 0 ||
	    (ret = em_delivery_start(&core.cfg, &hooks->delivery, &features)) < 0 ||
	    (ret = em_window_init(granule)) < 0 ||
	    (ret = em_slots_init()) < 0 ||
	    (ret = em_store_init(&core.cfg)) < 0 ||
	    (ret = em_policy_init(&core.cfg,
				  em_window_bytes() >> EM_PAGE_SHIFT >> em_granule_shift(),
				  em_region_rule_of)) < 0 ||
	    (ret = start_prefetcher()) < 0 ||
	    (ret = divide_limit(&features, hooks->delivery.spawn)) < 0)
		return ret;
	em_reclaim_init(&core.cfg, &features, em_delivery_by_thread(),
			hooks->delivery.spawn);
	em_control_init(&control_hooks, hooks->delivery.spawn);
	em_reclaim_also_start(em_control_start);
	return 0;
}

/* Only where 'extmem run' could not see it: it looks for the same before. */
static const char *reason(int error)
{
	switch (error) {
	case -ENOSYS:
		return "a system call that paging needs is not there, as under qemu-user or "
		       "a container's filter";
	case -EPERM:
	case -EACCES:
		return "a system call that paging needs is not permitted, as in a container";
	case -ENOMEM:
		return "there is no room for its tables";
	default:
		return "the kernel refuses something that paging needs";
	}
}

/* ---- changes --------------------------------------------------------- */

/* The shape of groups and what is in them; else only watermarks and the like. */
static bool same_policy(const struct em_config *a, const struct em_config *b)
{
	return !strcmp(a->algorithm, b->algorithm) &&
	       !memcmp(&a->params, &b->params, sizeof(a->params)) &&
	       a->region_count == b->region_count &&
	       !memcmp(a->regions, b->regions, sizeof(a->regions));
}

static int load_change(struct em_config *next, uint64_t *limit, const char *lines, char *err,
		       size_t err_bytes)
{
	int ret;

	em_config_init(next);
	if ((ret = em_config_load(next, lines, err, err_bytes)) < 0)
		return ret;
	if ((ret = em_limit_judge(&core.cfg, next, limit, err, err_bytes)) < 0)
		return ret;
	return em_config_check_live(&core.cfg, next, err, err_bytes);
}

/* Algorithms and rules; a fork between two steps finds either all in order. */
static int change_policy(const struct em_config *next, char *err, size_t err_bytes)
{
	bool more = true;
	int ret;

	em_region_set_rules(next);
	em_reclaim_lock();
	ret = em_policy_change(next);
	em_reclaim_unlock();
	if (ret < 0) {
		em_region_set_rules(&core.cfg);
		snprintf(err, err_bytes, "there is no memory for another policy's tables");
		return ret;
	}
	while (more) {
		em_reclaim_lock();
		more = em_policy_go_on();
		em_reclaim_unlock();
	}
	return 0;
}

static bool same_prefetcher(const struct em_config *a, const struct em_config *b)
{
	return !strcmp(a->prefetcher, b->prefetcher) && !strcmp(a->recording, b->recording) &&
	       !memcmp(&a->prefetch_params, &b->prefetch_params, sizeof(a->prefetch_params));
}

/* First what may fail. The reclaim lock keeps forks out. */
static int change(const char *lines, char *err, size_t err_bytes)
{
	static struct em_config next;
	struct em_recorded recorded = { .sequence = NULL };
	uint64_t limit;
	int ret = load_change(&next, &limit, lines, err, err_bytes);

	if (ret == 0 && !same_prefetcher(&core.cfg, &next))
		ret = load_recorded(&next, &recorded, err, err_bytes);
	if (ret == 0 && !same_policy(&core.cfg, &next))
		ret = change_policy(&next, err, err_bytes);
	if (ret < 0) {
		em_trace_unload(&recorded);
		return ret;
	}
	em_reclaim_lock();
	if (!same_prefetcher(&core.cfg, &next)) {
		em_fault_set_streams(strcmp(next.prefetcher, "none") != 0);
		em_prefetch_use(next.prefetcher, &next.prefetch_params, &recorded);
	}
	em_limit_change(&core.cfg, &next, limit);
	core.cfg = next;
	em_quota_set(&core.cfg);
	em_habit_set((unsigned int)core.cfg.spare);
	show_policy();
	em_reclaim_unlock();
	return 0;
}

static int show(char *out, size_t out_bytes)
{
	return em_config_dump(&core.cfg, out, out_bytes);
}

static uint64_t go_on(void)
{
	return em_limit_go_on(&core.cfg);
}

static const struct em_control_hooks control_hooks = { show, change, go_on };

/* ---- starting ---------------------------------------------------------- */

/* What was loaded with the program can be had, now and by a later change. */
static int judge_plugin(bool prefetches, char path[EM_CONFIG_PATH_MAX], char *err,
			size_t err_bytes)
{
	if (prefetches ? !!em_plugin_prefetcher(path) : !!em_plugin_eviction(path))
		return 0;
	snprintf(err, err_bytes,
		 "it was not loaded when the program started: expected a plug-in that the policy named then");
	return -EINVAL;
}

/* Who does without plug-ins does not look for any. */
static void find_plugins(const char *text)
{
	if (strstr(text, ".plugin="))
		em_preload_add_plugins();
	em_config_judge_plugins(judge_plugin);
}

static void start(const struct em_core_hooks *hooks, const char *text)
{
	const char *stats = getenv("EXTMEM_STATS");
	char err[512];
	int ret;

	find_plugins(text);
	em_config_init(&core.cfg);
	ret = em_config_load(&core.cfg, text, err, sizeof(err));
	if (ret == 0)
		ret = em_limit_find(&core.cfg, getenv(EM_LIMIT_ENV), err,
				    sizeof(err));
	if (ret < 0) {
		em_log("%s is unusable: %s; memory is not managed", EM_CONFIG_ENV, err);
		atomic_store(&core.state, 3);
		return;
	}
	if (stats && *stats)
		snprintf(core.stats_path, sizeof(core.stats_path), "%s", stats);
	core.reporter = own_pid();
	em_stats_init();
	read_comm(em_segment->command, sizeof(em_segment->command));
	ret = start_parts(hooks);
	if (ret < 0) {
		em_log("cannot start: %s (error %d); memory is not managed", reason(ret), -ret);
		atomic_store(&core.state, 3);
		return;
	}
	describe();
	em_trace_start(getenv(EM_TRACE_ENV), getenv(EM_RECORD_ENV));
	em_sys_keep_spares();
	atomic_store(&core.state, 2);
	hooks->started();
}

/* Whether Go made the program: one that a managed program started, see notes.h. */
static bool is_go(void)
{
	const Elf64_Phdr *ph = (const Elf64_Phdr *)getauxval(AT_PHDR);
	size_t count = getauxval(AT_PHNUM);
	uintptr_t base = 0;

	for (size_t i = 0; ph && i < count; i++)
		if (ph[i].p_type == PT_PHDR)
			base = (uintptr_t)ph - ph[i].p_vaddr;
	for (size_t i = 0; ph && i < count; i++)
		if (ph[i].p_type == PT_NOTE &&
		    em_notes_are_go((const void *)(base + ph[i].p_vaddr), ph[i].p_memsz))
			return true;
	return false;
}

bool em_core_start(const struct em_core_hooks *hooks)
{
	int not_yet = 0;
	const char *text;

	if (em_likely(atomic_load_explicit(&core.state, memory_order_acquire)))
		return em_core_active();
	if (!environ) /* before libc's own constructor: ask again later */
		return false;
	if (!atomic_compare_exchange_strong(&core.state, &not_yet, 1))
		return false;
	em_knobs_init();
	text = getenv(EM_CONFIG_ENV);
	if (text && !is_go())
		start(hooks, text);
	else
		atomic_store(&core.state, 3);
	return em_core_active();
}

/* ---- the end --------------------------------------------------------- */

/*
 * The first "%p" of the path becomes the pid, and then every process of the
 * tree reports; else the one that `extmem run` became. False: not this one.
 */
static bool report_path(char *out, size_t bytes)
{
	const char *pid = strstr(core.stats_path, "%p");

	if (!core.stats_path[0] ||
	    own_pid() != (pid ? (pid_t)em_segment->pid : core.reporter))
		return false;
	if (pid)
		snprintf(out, bytes, "%.*s%d%s", (int)(pid - core.stats_path),
			 core.stats_path, (int)em_segment->pid, pid + 2);
	else
		snprintf(out, bytes, "%s", core.stats_path);
	return true;
}

static int open_report(const char *path)
{
	long fd = em_syscall(SYS_openat, AT_FDCWD, (long)path,
			     O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644, 0, 0);

	if (fd < 0)
		em_log("cannot write '%s': error %d", path, (int)-fd);
	return (int)fd;
}

static void write_report(int fd, const char *path, const char *text, size_t bytes)
{
	long n = em_sys_pwrite(fd, text, bytes, 0);

	if (n == -ESPIPE) /* a terminal, a pipe */
		n = em_syscall(SYS_write, fd, (long)text, (long)bytes, 0, 0, 0);
	if (n != (long)bytes)
		em_log("cannot write '%s' whole", path);
	em_syscall(SYS_close, fd, 0, 0, 0, 0, 0);
}

void em_core_settle(void)
{
	char path[EM_CONFIG_PATH_MAX + 16];

	if (!em_core_active() || core.settled == own_pid())
		return;
	core.report_fd = report_path(path, sizeof(path)) ? open_report(path) : -1;
	if (core.report_fd >= 0)
		core.report_fd = em_sys_raise_fd(core.report_fd);
	core.settled = own_pid();
	em_limit_keep();
}

/* -1: there is none, nor can there be. */
static int report_file(const char *path)
{
	if (!core.settled)
		return open_report(path);
	return core.settled == own_pid() ? core.report_fd : -1;
}

void em_core_report(void)
{
	static struct em_report report;
	static char text[16384], path[EM_CONFIG_PATH_MAX + 16];
	bool due = em_core_active() && report_path(path, sizeof(path));
	int fd;

	if (due) /* what is still being counted is in the trace as well */
		em_delivery_rest();
	em_trace_end();
	if (!due || atomic_exchange(&core.reported, true))
		return;
	em_report_take(&report, em_segment);
	fd = report_file(path);
	if (fd < 0)
		return;
	int n = em_report_json(&report, em_segment, text, sizeof(text));
	if (n > 0)
		write_report(fd, path, text, (size_t)n);
}
