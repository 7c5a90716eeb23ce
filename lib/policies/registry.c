/* SPDX-License-Identifier: MIT */
#include "policies.h"
#include <string.h>

const struct extmem_eviction *const extmem_evictions[] = {
	&em_eviction_fifo,
	&em_eviction_clock,
	&em_eviction_lru,
	NULL,
};

const struct extmem_eviction *extmem_eviction_find(const char *name)
{
	for (size_t i = 0; extmem_evictions[i]; i++)
		if (!strcmp(extmem_evictions[i]->name, name))
			return extmem_evictions[i];
	return NULL;
}
