/* SPDX-License-Identifier: MIT */
#include "knobs.h"

#ifdef EM_TEST_KNOBS
#include "log.h"
#include <stdlib.h>
#include <string.h>

#define EM_KNOB_NAME(id, name) [EM_KNOB_##id] = name,
static const char *const names[] = { EM_KNOBS(EM_KNOB_NAME) };

static bool off[EM_KNOB_COUNT]; /* written once, before there are threads */

static void switch_off(const char *name, size_t length)
{
	for (size_t i = 0; i < EM_KNOB_COUNT; i++)
		if (strlen(names[i]) == length && !memcmp(names[i], name, length)) {
			off[i] = true;
			return;
		}
	em_panic("EXTMEM_TEST_OFF: there is no protection '%.*s'", (int)length, name);
}

void em_knobs_init(void)
{
	const char *at = getenv("EXTMEM_TEST_OFF");

	while (at && *at) {
		size_t length = strcspn(at, ",");
		switch_off(at, length);
		at += length + (at[length] == ',');
	}
}

bool em_protects(enum em_knob knob)
{
	return !off[knob];
}
#else
/* A translation unit must not be empty. */
typedef int em_knobs_are_off;
#endif
