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
 * Reads `path` ("-" is the standard input) over what cfg already holds: a file
 * may name only some keys, but a list of tiers replaces all tiers. The result
 * has passed em_config_check(). Returns 0, or -errno with a complete message
 * in err: "lru.yaml:3:12: unknown key 'memroy', did you mean 'memory'?"; cfg
 * is then as it was.
 */
int em_yaml_read(struct em_config *cfg, const char *path, char *err,
		 size_t err_bytes);

/* The same for text already in memory; name stands for the file in messages. */
int em_yaml_parse(struct em_config *cfg, const char *text, size_t bytes,
		  const char *name, char *err, size_t err_bytes);

/*
 * Writes cfg as a policy file that em_yaml_read takes back, and flushes it.
 * 0, -EIO, or -EILSEQ for a path that is not UTF-8, which YAML cannot hold.
 */
int em_yaml_write(const struct em_config *cfg, FILE *out);

#endif
