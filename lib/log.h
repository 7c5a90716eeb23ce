/* SPDX-License-Identifier: MIT
 *
 * log: one line to stderr, "extmem[PID]: ...", from any context.
 *
 * Formats without stdio and writes with write(2). For what a user must know:
 * a store that fails, a limit that cannot be kept. Not for progress.
 */
#ifndef EM_LOG_H
#define EM_LOG_H

#include "util.h"

/* Understands %s %d %u %lu %lx %c and %%. EM_HANDLER. */
void em_log(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same once a process for each place it stands in. EM_HANDLER. */
#define em_log_once(...) do { \
		static atomic_flag em_said_ = ATOMIC_FLAG_INIT; \
		if (!atomic_flag_test_and_set(&em_said_)) \
			em_log(__VA_ARGS__); \
	} while (0)
/* Says it and stops the process with SIGABRT: for the impossible. */
_Noreturn void em_panic(const char *format, ...)
	__attribute__((format(printf, 1, 2)));
#define em_assert(cond) do { \
		if (em_unlikely(!(cond))) \
			em_panic("%s:%d: impossible: %s", __FILE__, __LINE__, #cond); \
	} while (0)

#endif
