/* SPDX-License-Identifier: MIT
 *
 * trace: every fault that is served, into a file (trace-format.h).
 *
 * Each thread has a buffer, made at its first fault. A full one is appended to
 * the file by one call, so threads need no order among them. The buffer's lock is
 * taken by who serves its thread, and by whoever writes what all threads have left
 * at the end.
 *
 * EXTMEM_TRACE names the file, or EXTMEM_RECORD, for no more than a later run
 * can replay (prefetchers/sequence.h): faults on pages that were away. With "%p" in the name, which becomes the process id, each
 * process has a file; without it the process records that finds the file empty,
 * which is the one that `extmem run` becomes. A process that execs goes on in its file.
 */
#ifndef EM_TRACE_H
#define EM_TRACE_H

#include "thread.h"
#include "trace-format.h"

#define EM_TRACE_ENV "EXTMEM_TRACE"
#define EM_RECORD_ENV "EXTMEM_RECORD"

/* A bit for each kind of fault that is recorded. Only to be read by em_trace_fault(). */
extern _Atomic uint32_t em_trace_kinds;

/* When all else has started. all, record: what EXTMEM_TRACE and EXTMEM_RECORD say, or NULL. */
void em_trace_start(const char *all, const char *record);
/* In a forked child, which has its identity and its threads' records. */
void em_trace_forked(void);
/* Writes what is in the buffers: another program may take this one's place. */
void em_trace_flush(void);
/* The same, and records no more. */
void em_trace_end(void);

/* EM_HANDLER */
void em_trace_record(struct em_thread *self, struct em_thread *client, uint64_t page,
		     enum em_trace_kind kind, bool write, uint64_t time_ns);

/*
 * A fault of client, which may be NULL, was served by self. Signals are
 * blocked. EM_HANDLER
 */
static inline void em_trace_fault(struct em_thread *self, struct em_thread *client,
				  uint64_t page, enum em_trace_kind kind, bool write,
				  uint64_t time_ns)
{
	if (em_unlikely(atomic_load_explicit(&em_trace_kinds, memory_order_relaxed) >> kind & 1))
		em_trace_record(self, client, page, kind, write, time_ns);
}

#endif
