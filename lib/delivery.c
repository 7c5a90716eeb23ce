/* SPDX-License-Identifier: MIT */
#include "delivery.h"
#include "fault.h"
#include "log.h"
#include "stats.h"
#include "thread.h"
#include "window.h"
#include <errno.h>
#include <string.h>

/* So many faults can be waiting for the disk at once. */
#define EM_SERVERS_MAX 8u
/* So often, and so long each time, does the end of a process look whether they are done. */
#define EM_REST_TRIES 100
#define EM_REST_NS 1000000

static struct {
	bool by_thread;
	struct em_delivery_hooks hooks;
	_Atomic uint32_t servers;
	_Atomic uint32_t idle;   /* servers that want to lead */
	_Atomic uint32_t led;    /* futex: 1 while somebody leads */
	_Atomic uint32_t serving; /* servers that have a fault in hand */
} delivery;

bool em_delivery_by_thread(void) { return delivery.by_thread; }

/* ---- leading --------------------------------------------------------- */

static void lead(void)
{
	atomic_fetch_add(&delivery.idle, 1);
	while (atomic_exchange(&delivery.led, 1))
		em_sys_wait(&delivery.led, 1, 0);
	atomic_fetch_sub(&delivery.idle, 1);
}

static void serve_on(void);

/* False when there are as many servers as may be, or no more can be had. */
static bool start_one(void)
{
	uint32_t n = atomic_load(&delivery.servers);

	if (n >= EM_SERVERS_MAX)
		return false;
	if (!atomic_compare_exchange_strong(&delivery.servers, &n, n + 1))
		return true; /* somebody else did */
	if (delivery.hooks.spawn(serve_on) == 0)
		return true;
	atomic_fetch_sub(&delivery.servers, 1);
	return false;
}

void em_delivery_settle(void)
{
	while (delivery.by_thread && start_one())
		;
}

/* Somebody else leads from now on, if there is anybody. */
static void let_lead(void)
{
	if (!atomic_load(&delivery.idle))
		start_one();
	atomic_store(&delivery.led, 0);
	em_sys_wake(&delivery.led, 1);
}

/* ---- serving --------------------------------------------------------- */

/*
 * The page cannot be had, and the log says why: whoever touches it gets a bus
 * error. Older kernels can only be asked to send the thread a signal.
 */
static void refuse(const struct em_sys_fault *f)
{
	int ret = em_sys_poison(em_round_down(f->addr, EM_PAGE_BYTES));

	if (ret < 0 && ret != -EEXIST)
		em_sys_raise_sigbus(f->tid);
}

static void serve(const struct em_sys_fault *f)
{
	if (!em_in_window(f->addr))
		em_panic("fault in the library's own memory, at %lx", (unsigned long)f->addr);
	switch (em_fault_serve(f->addr, f->write, f->protection, em_thread_of(f->tid))) {
	case EM_FAULT_FAILED: refuse(f); break;
	case EM_FAULT_LATER: em_gate_nap(); break;
	default: break; /* it is there, or not ours: the kernel knows better */
	}
	/* Also when it was there already, or nobody could say: try again. */
	em_sys_wake_range(em_round_down(f->addr, EM_PAGE_BYTES), EM_PAGE_BYTES);
}

/* The body of a server. */
static void serve_on(void)
{
	struct em_sys_fault f;
	bool leading = false;

	em_sys_name_thread("extmem-fault");
	em_thread_self();
	for (;;) {
		if (!leading)
			lead();
		int ret = em_sys_read_fault(&f);
		if (ret < 0)
			em_panic("cannot read faults: error %d", -ret);
		atomic_fetch_add(&delivery.serving, 1);
		leading = !em_fault_would_wait(f.addr);
		if (!leading)
			let_lead();
		serve(&f);
		atomic_fetch_sub(&delivery.serving, 1);
	}
}

void em_delivery_rest(void)
{
	uint32_t n;

	for (int i = 0; i < EM_REST_TRIES && (n = atomic_load(&delivery.serving)) > 0; i++)
		em_sys_wait(&delivery.serving, n, EM_REST_NS);
}

/* ---- starting -------------------------------------------------------- */

static int start_by_thread(struct em_sys_features *features)
{
	int ret = em_sys_uffd_open(true, features);

	if (ret < 0)
		return ret;
	atomic_store(&delivery.servers, 1);
	ret = delivery.hooks.spawn(serve_on);
	if (ret < 0)
		em_sys_uffd_close();
	return ret;
}

static int start(bool by_thread, struct em_sys_features *features)
{
	atomic_store(&delivery.idle, 0);
	atomic_store(&delivery.led, 0);
	atomic_store(&delivery.serving, 0);
	delivery.by_thread = by_thread; /* the server's start asks */
	return by_thread ? start_by_thread(features) : em_sys_uffd_open(false, features);
}

static int start_or_say_why(bool by_thread, struct em_sys_features *features)
{
	int ret = start(by_thread, features);

	if (ret == 0 || !by_thread)
		return ret;
	em_log("faults cannot be delivered to a thread (%s, error %d); they are delivered by "
	       "signal", ret == -EPERM ? "no privilege for it" : "it cannot be started", -ret);
	return start(false, features);
}

/*
 * Nobody asked for a thread, but the program fares better with one. Not where pages would
 * leave by copy: then the kernel's own accesses are safe with signals only.
 */
static bool start_if_needed(const struct em_config *cfg, struct em_sys_features *features)
{
	if (cfg->delivery != EM_DELIVERY_AUTO || cfg->way_out == EM_OUT_COPY ||
	    !delivery.hooks.needs_thread || !delivery.hooks.needs_thread())
		return false;
	if (em_sys_uffd_open(true, features) < 0)
		return false;
	em_sys_uffd_close();
	return features->move && start(true, features) == 0;
}

int em_delivery_start(const struct em_config *cfg, const struct em_delivery_hooks *hooks,
		      struct em_sys_features *features)
{
	int ret = 0;

	delivery.hooks = *hooks;
	if (!start_if_needed(cfg, features))
		ret = start_or_say_why(cfg->delivery == EM_DELIVERY_THREAD, features);
	if (ret == 0 && !delivery.by_thread)
		hooks->take_signals();
	return ret;
}

int em_delivery_forked(struct em_sys_features *features, sigset_t *mask)
{
	bool by_thread = delivery.by_thread;
	int ret = start_or_say_why(by_thread, features);

	if (ret == 0 && delivery.by_thread != by_thread) {
		strcpy(em_segment->delivery, "signal");
		delivery.hooks.take_signals_over(mask);
	}
	return ret;
}
