/* SPDX-License-Identifier: MIT */
#include "core.h"
#include "extmem.h"
#include "region.h"
#include "report.h"
#include "stats.h"
#include "window.h"
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#ifndef EM_VERSION
#define EM_VERSION "unknown"
#endif

EM_EXPORT const char *extmem_version(void)
{
	return EM_VERSION;
}

EM_EXPORT int extmem_active(void)
{
	return em_core_active();
}

EM_EXPORT int extmem_managed(const void *addr)
{
	struct em_region r;

	return em_core_active() && em_in_window((uintptr_t)addr) &&
	       em_region_find((uintptr_t)addr, &r) && r.source != EM_SOURCE_FOREIGN;
}

EM_EXPORT size_t extmem_stats_get(struct extmem_stats *stats, size_t bytes)
{
	struct em_report r;
	struct extmem_stats s;

	if (!em_core_active())
		return 0;
	em_report_take(&r, em_segment);
	s = (struct extmem_stats){
		.limit_bytes = r.limit_bytes,
		.resident_bytes = r.resident_bytes,
		.standby_bytes = r.standby_bytes,
		.stored_bytes = r.stored_bytes,
		.faults_first = r.faults[EM_FAULT_FIRST],
		.faults_soft = r.faults[EM_FAULT_SOFT],
		.faults_major = r.faults[EM_FAULT_MAJOR],
		.bytes_read = r.bytes_read,
		.bytes_written = r.bytes_written,
		.over_limit_events = r.over_limit_events,
	};
	bytes = bytes < sizeof(s) ? bytes : sizeof(s);
	memcpy(stats, &s, bytes);
	return bytes;
}

/* ---- hints ----------------------------------------------------------- */

/* The whole pages of a range. False: there is nothing to do; *result says why. */
static bool find_pages(const void *addr, size_t bytes, uintptr_t *start, size_t *whole,
		       int *result)
{
	uintptr_t end = (uintptr_t)addr + bytes;

	*start = em_round_down((uintptr_t)addr, EM_PAGE_BYTES);
	*whole = em_round_up(end, EM_PAGE_BYTES) - *start;
	*result = 0;
	if (!em_core_active() || !bytes)
		return false;
	if (end >= (uintptr_t)addr && em_in_window(*start) && em_in_window(end - 1))
		return true;
	errno = ENOMEM;
	*result = -1;
	return false;
}

static int result_of(int ret)
{
	if (ret == 0)
		return 0;
	errno = -ret;
	return -1;
}

static int hint(uintptr_t start, size_t whole, enum em_hint hint)
{
	return result_of(em_region_hint(start, whole, hint));
}

EM_EXPORT int extmem_advise(const void *addr, size_t bytes, enum extmem_advice_kind advice)
{
	uintptr_t start;
	size_t whole;
	int ret;

	if (!find_pages(addr, bytes, &start, &whole, &ret))
		return ret;
	switch (advice) {
	case EXTMEM_ADVICE_NORMAL: return hint(start, whole, EM_HINT_NORMAL);
	case EXTMEM_ADVICE_SEQUENTIAL: return hint(start, whole, EM_HINT_SEQUENTIAL);
	case EXTMEM_ADVICE_RANDOM: return hint(start, whole, EM_HINT_RANDOM);
	case EXTMEM_ADVICE_HOT:
		em_region_advise(start, whole, EXTMEM_HOT);
		return hint(start, whole, EM_HINT_HOT);
	case EXTMEM_ADVICE_ONCE: return hint(start, whole, EM_HINT_ONCE);
	case EXTMEM_ADVICE_COLD:
		ret = hint(start, whole, EM_HINT_COLD);
		return ret < 0 ? ret : madvise((void *)start, whole, MADV_COLD);
	case EXTMEM_ADVICE_WILL_NEED: return madvise((void *)start, whole, MADV_WILLNEED);
	case EXTMEM_ADVICE_DONE: return madvise((void *)start, whole, MADV_PAGEOUT);
	}
	return result_of(-EINVAL);
}

/* The name may be managed memory itself: it is read before a lock is held. */
EM_EXPORT int extmem_name(const void *addr, size_t bytes, const char *name)
{
	char copy[sizeof(((struct em_region *)0)->name)];
	uintptr_t start;
	size_t whole;
	int ret;

	if (!find_pages(addr, bytes, &start, &whole, &ret))
		return ret;
	if (strnlen(name, sizeof(copy)) == sizeof(copy))
		return result_of(-EINVAL);
	strcpy(copy, name);
	return result_of(em_region_name(start, whole, copy));
}

EM_EXPORT int extmem_pin(const void *addr, size_t bytes, int on)
{
	uintptr_t start;
	size_t whole;
	int ret;

	if (!find_pages(addr, bytes, &start, &whole, &ret))
		return ret;
	return result_of(on ? em_region_pin(start, whole)
			    : em_region_flag(start, whole, 0, EM_REGION_PINNED));
}
