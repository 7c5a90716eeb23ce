/* SPDX-License-Identifier: MIT */
#include "core.h"
#include "extmem.h"
#include "region.h"
#include "report.h"
#include "stats.h"
#include "window.h"
#include <string.h>

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
