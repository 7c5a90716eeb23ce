/* SPDX-License-Identifier: MIT
 *
 * yaml: a policy file to a struct em_config, and back.
 *
 * Used by the commands only; the preloaded library gets its configuration as
 * text (config.h) and does not link libyaml.
 */
#ifndef EM_YAML_H
#define EM_YAML_H

#include "config.h"
#include <stdio.h>

/*
 * Reads `path` over what cfg already holds. Returns 0, or -errno with a
 * complete message in err: "lru.yaml:3:12: unknown key 'memroy', did you mean
 * 'memory'?".
 */
int em_yaml_read(struct em_config *cfg, const char *path, char *err,
		 size_t err_bytes);

/* The same for text already in memory; name stands for the file in messages. */
int em_yaml_parse(struct em_config *cfg, const char *text, size_t bytes,
		  const char *name, char *err, size_t err_bytes);

/* Writes cfg as a policy file that em_yaml_read takes back. */
int em_yaml_write(const struct em_config *cfg, FILE *out);

#endif
