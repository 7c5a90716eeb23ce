/* SPDX-License-Identifier: MIT */
#include "trace-read.h"

#define PAGE_BYTES_MIN 512u
#define PAGE_BYTES_MAX (1u << 30)
#define WINDOW_PAGES_MAX (1ull << 44)
#define KIND_BITS 7u

static bool is_power_of_two(uint64_t v)
{
	return v && !(v & (v - 1));
}

bool em_trace_program_is_good(const struct em_trace_program *p)
{
	return is_power_of_two(p->page_bytes) && p->page_bytes >= PAGE_BYTES_MIN &&
	       p->page_bytes <= PAGE_BYTES_MAX && is_power_of_two(p->granule_bytes) &&
	       p->granule_bytes >= p->page_bytes &&
	       p->window_base + p->window_bytes >= p->window_base &&
	       p->window_bytes / p->page_bytes <= WINDOW_PAGES_MAX;
}

static bool get_varint(struct em_trace_cursor *c, uint64_t *v)
{
	*v = 0;
	for (unsigned int shift = 0; c->at < c->end && shift < 64; shift += 7) {
		uint64_t bits = *c->at++;

		*v |= (bits & 0x7f) << shift;
		if (!(bits & 0x80))
			return shift < 63 || bits < 2;
	}
	return false;
}

void em_trace_open(struct em_trace_cursor *c, const struct em_trace_program *p,
		   const struct em_trace_block *head, const unsigned char *records,
		   uint32_t bytes)
{
	*c = (struct em_trace_cursor){
		.at = records, .end = records + bytes,
		.pages = p->window_bytes / p->page_bytes,
		.time_ns = head->start_ns, .tid = head->tid, .left = head->count,
	};
}

bool em_trace_next(struct em_trace_cursor *c)
{
	uint64_t v, step, later;

	do {
		if (!c->left || !get_varint(c, &v))
			return false;
		step = v >> EM_TRACE_TAG_BITS;
		if ((v & KIND_BITS) == EM_TRACE_THREAD)
			c->tid = (uint32_t)step;
	} while ((v & KIND_BITS) == EM_TRACE_THREAD);
	if ((v & KIND_BITS) >= EM_TRACE_KINDS || !get_varint(c, &later) ||
	    c->time_ns + later < c->time_ns)
		return false;
	c->page += step & 1 ? ~(step >> 1) : step >> 1;
	c->time_ns += later;
	if (c->page >= c->pages)
		return false;
	c->left--;
	c->kind = (enum em_trace_kind)(v & KIND_BITS);
	c->write = v & EM_TRACE_WRITE;
	return true;
}
