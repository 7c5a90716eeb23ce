/* SPDX-License-Identifier: MIT
 *
 * common: what the commands share: messages, paths, policies, processes.
 *
 * Messages follow one form: lower case, no full stop, the subject quoted, and
 * the way out where there is one. Results go to stdout, the rest to stderr.
 */
#ifndef CMD_COMMON_H
#define CMD_COMMON_H

#include "config.h"
#include "segment.h"
#include <stdbool.h>
#include <sys/types.h>

/* Set once by main: "extmem run". Every message begins with it. */
void cmd_init(const char *name);

/* One line to stderr: "extmem run: " and the message. */
void cmd_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same, then exits with status. */
_Noreturn void cmd_die(int status, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/*
 * Where things are. In a build tree (the dispatcher's folder has cmd/ and
 * lib/.libs/ in it) the paths of that tree, otherwise those of the
 * installation; EXTMEM_EXEC_PATH, EXTMEM_LIBRARY and EXTMEM_POLICY_PATH
 * win over both. Never NULL; the result is static.
 */
const char *cmd_exec_dir(void);   /* extmem-run, extmem-stat ... */
const char *cmd_library(void);    /* libextmem.so */
const char *cmd_policy_dir(void); /* *.yaml */

/*
 * Loads a policy: NULL for the built-in one, a file when the argument has a
 * slash or ends in .yaml or .yml, else the installed policy of that name.
 * Returns 0, or -errno with a complete message in err.
 */
int cmd_policy_load(struct em_config *cfg, const char *file_or_name, char *err,
		    size_t err_bytes);

/*
 * Opens what a managed process shows. 0 or -errno with a complete message in
 * err: no such process, not managed, another user's, an unknown version, a
 * truncated segment. The result is a private copy (segment) or a read-only
 * map (table) that the caller unmaps.
 */
const struct em_segment *cmd_segment_open(pid_t pid, char *err, size_t err_bytes);
void cmd_segment_close(const struct em_segment *seg);
const struct em_table_header *cmd_table_open(pid_t pid, size_t *bytes, char *err,
					     size_t err_bytes);
/* All managed processes that this user may look at; returns how many. */
size_t cmd_managed_pids(pid_t *pids, size_t max);

/* "512.0M", "3.2G": four significant places or fewer, for people. */
const char *cmd_human_bytes(uint64_t bytes, char out[16]);
/* "850ns", "12.3us", "4.5ms", "1.2s". */
const char *cmd_human_ns(uint64_t ns, char out[16]);

#endif
