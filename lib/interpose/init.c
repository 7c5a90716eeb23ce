/* SPDX-License-Identifier: MIT */
#include "interpose.h"

/* The core manages memory from now on: be ready for its faults, then feed it. */
static void outer_start(void)
{
	em_signals_start();
	em_thread_prepare_stack();
	em_net_start(em_core_config()->syscall_net);
	em_heap_start();
}

static const struct em_core_hooks hooks = {
	.spawn = em_thread_spawn,
	.started = outer_start,
};

bool em_start(void)
{
	return em_core_start(&hooks);
}

__attribute__((constructor)) static void begin(void)
{
	em_heap_constructor();
	if (em_start())
		em_process_start();
}

__attribute__((destructor)) static void end(void)
{
	em_core_report();
}
