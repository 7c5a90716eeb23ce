/* SPDX-License-Identifier: MIT
 *
 * Any bytes at all as the lines that `extmem policy apply` sends to a process,
 * and as EXTMEM_CONFIG: they are taken, or it is said why not, and what is taken
 * comes back the same.
 */
#include "config.h"
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int load(struct em_config *cfg, const char *text, char *err, size_t err_bytes)
{
	int ret;

	em_config_init(cfg);
	ret = em_config_load(cfg, text, err, err_bytes);
	return ret ? ret : em_config_check(cfg, err, err_bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct em_config cfg, back;
	static char once[1 << 16], again[1 << 16];
	char err[512] = "", *text = calloc(1, size + 1);

	if (!text)
		abort();
	memcpy(text, data, size);
	if (load(&cfg, text, err, sizeof(err))) {
		if (!err[0])
			abort();
	} else if (em_config_dump(&cfg, once, sizeof(once)) >= 0) {
		if (load(&back, once, err, sizeof(err)) ||
		    em_config_dump(&back, again, sizeof(again)) < 0 || strcmp(once, again)) {
			fprintf(stderr, "not taken back: %s\n%s", err, once);
			abort();
		}
		em_config_check_live(&back, &cfg, err, sizeof(err));
	}
	free(text);
	return 0;
}
