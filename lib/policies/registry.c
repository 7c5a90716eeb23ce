/* SPDX-License-Identifier: MIT */
#include "plugin.h"
#include "policies.h"
#include <string.h>

const struct extmem_eviction *const extmem_evictions[] = {
	&em_eviction_fifo,
	&em_eviction_clock,
	&em_eviction_lru,
	&em_eviction_2q,
	&em_eviction_car,
	&em_eviction_s3fifo,
	&em_eviction_sieve,
	&em_eviction_clock2qplus,
	&em_eviction_lirs,
	&em_eviction_mru,
	&em_eviction_random,
	&em_eviction_hyperbolic,
	NULL,
};

const struct extmem_eviction *extmem_eviction_find(const char *name)
{
	for (size_t i = 0; extmem_evictions[i]; i++)
		if (!strcmp(extmem_evictions[i]->name, name))
			return extmem_evictions[i];
	return em_plugin_eviction(name);
}
