/* SPDX-License-Identifier: MIT
 *
 * Any bytes at all to the reader of policies: it takes them, or says why not,
 * and what it takes it can write and take again.
 */
#include "config.h"
#include "fuzz.h"
#include "yaml.h"

#include <stdlib.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

static int read_bytes(struct em_config *cfg, const void *data, size_t size, char *err,
		      size_t err_bytes)
{
	int fd = memfd_create("policy", MFD_CLOEXEC), ret;
	char path[64];

	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	em_config_init(cfg);
	ret = em_yaml_read(cfg, path, err, err_bytes);
	close(fd);
	return ret;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct em_config cfg;
	char err[2048] = "", *text = NULL;
	size_t bytes = 0;

	if (read_bytes(&cfg, data, size, err, sizeof(err))) {
		if (!err[0])
			abort();
		return 0;
	}
	FILE *f = open_memstream(&text, &bytes);
	if (!f || em_yaml_write(&cfg, f) || fclose(f))
		abort();
	if (read_bytes(&cfg, text, bytes, err, sizeof(err))) {
		fprintf(stderr, "written, but not taken back: %s\n%s", err, text);
		abort();
	}
	free(text);
	return 0;
}
