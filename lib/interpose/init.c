/* SPDX-License-Identifier: MIT */
#include "delivery.h"
#include "interpose.h"
#include "preload.h"
#include "sys.h"
#include "worker.h"
#include <string.h>

/* The core manages memory from now on: be ready for its faults, then feed it. */
static void outer_start(void)
{
	enum em_tristate net = em_core_config()->syscall_net;

	em_thread_prepare_stack();
	/* Whoever serves faults in a thread serves the kernel's as well. */
	em_net_start(net == EM_AUTO && em_delivery_by_thread() ? EM_OFF : net);
	em_heap_start();
}

/* Without a thread the kernel's own accesses need the net after all. */
static void take_signals_over(sigset_t *mask)
{
	em_signals_start();
	em_net_start(em_core_config()->syscall_net);
	em_signals_take_over(mask);
}

/*
 * The process of chromium and what is built on it from which all others are forked: it counts
 * its threads, and ends if it is not alone.
 */
static bool is_zygote(void)
{
	static const char wanted[] = "--type=zygote";
	char line[4096];
	long n = em_sys_read_path("/proc/self/cmdline", 0, line, sizeof(line) - 1);

	if (n < 0)
		return false;
	line[n] = '\0';
	for (const char *arg = line; arg < line + n; arg += strlen(arg) + 1)
		if (!strcmp(arg, wanted))
			return true;
	return false;
}

/*
 * libc and ld.so allocate by the program's own malloc, if it has one, which may well lie in
 * managed memory, and they touch it while all signals are blocked: where a detached
 * thread ends they free its vector of TLS blocks, where one starts they read its locale. A
 * SIGBUS would end the process there. Of our heap heap.c keeps such blocks outside.
 */
static bool has_own_malloc(void)
{
	return em_preload_program_has("malloc") && !is_zygote();
}

static const struct em_core_hooks hooks = {
	.delivery = {
		.spawn = em_worker_start,
		.take_signals = em_signals_start,
		.take_signals_over = take_signals_over,
		.needs_thread = has_own_malloc,
	},
	.started = outer_start,
};

bool em_start(void)
{
	return em_core_start(&hooks);
}

__attribute__((constructor)) static void begin(void)
{
	if (em_start())
		em_process_start();
}

__attribute__((destructor)) static void end(void)
{
	em_core_report();
}
