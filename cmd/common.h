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

/*
 * Set once by main: "extmem run". Every message begins with it. The name must
 * stay; main also puts it in argv[0], where argp takes it from.
 */
void cmd_init(const char *name);

/* One line to stderr: "extmem run: " and the message. */
void cmd_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same, then exits with status. */
_Noreturn void cmd_die(int status, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/*
 * Writes a message for a caller that will say it: returns -code, so that
 * `return cmd_fail(ENOENT, err, n, "...")` reads in one line.
 */
int cmd_fail(int code, char *err, size_t err_bytes, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/*
 * Where things are. In a build tree (the dispatcher's folder has cmd/ and
 * lib/ in it) the paths of that tree, otherwise those of the
 * installation; EXTMEM_EXEC_PATH, EXTMEM_LIBRARY and EXTMEM_POLICY_PATH
 * win over both. Never NULL; the result is static.
 */
const char *cmd_exec_dir(void);   /* extmem-run, extmem-stat ... */
const char *cmd_library(void);    /* libextmem.so */
const char *cmd_policy_dir(void); /* *.yaml */
const char *cmd_man_dir(void);    /* of a build tree, or "" */

/*
 * Loads a policy: NULL for the built-in one, a file when the argument has a
 * slash or ends in .yaml or .yml, else the installed policy of that name.
 * Returns 0, or -errno with a complete message in err.
 */
int cmd_policy_load(struct em_config *cfg, const char *file_or_name, char *err,
		    size_t err_bytes);
/* The same over what cfg holds: only what the policy names changes. Not NULL. */
int cmd_policy_read(struct em_config *cfg, const char *file_or_name, char *err,
		    size_t err_bytes);
/* Sets one key from "KEY=VALUE", as --set takes it. 0, or -errno and why. */
int cmd_policy_set(struct em_config *cfg, const char *setting, char *err,
		   size_t err_bytes);

/*
 * Copies the statistics of a managed process. NULL, with errno and a complete
 * message in err: ESRCH no such process, ENXIO not managed, EACCES another
 * user's, ENOTSUP an unknown version, EPROTO no segment of ours, ENODATA a
 * truncated one. The copy's strings end within their fields
 * and are fit for a terminal, whatever the process wrote. Free with
 * cmd_segment_close().
 */
const struct em_segment *cmd_segment_open(pid_t pid, char *err, size_t err_bytes);
void cmd_segment_close(const struct em_segment *seg);

/*
 * The page table of a managed process, behind a descriptor. It is read, never
 * mapped: a map would fill the holes of the sparse file page by page, and a
 * file that shrinks under a map kills its reader.
 */
struct cmd_table {
	int fd;
	uint64_t bytes; /* size of the file */
	struct em_table_header head;
	/* Of a core dump: where it has parts of the table; else NULL. */
	struct cmd_part *parts;
	size_t part_count;
};

/* 0, or -errno with the distinctions of cmd_segment_open. */
int cmd_table_open(struct cmd_table *table, pid_t pid, char *err, size_t err_bytes);
/* The same out of the core dump of a managed process. */
int cmd_table_open_core(struct cmd_table *table, const char *path, char *err,
			size_t err_bytes);
/* Reads exactly `bytes` at `offset`: 0, -errno, or -ENODATA past the end. */
int cmd_table_read(const struct cmd_table *table, uint64_t offset, void *to,
		   size_t bytes);
void cmd_table_close(struct cmd_table *table);

/*
 * All processes that hold statistics and that this user may look at, in
 * rising order; returns how many. One of another version is among them: it is
 * cmd_segment_open that says so.
 */
size_t cmd_managed_pids(pid_t *pids, size_t max);

/* A process id from the command line; dies with status 2 on anything else. */
pid_t cmd_parse_pid(const char *text);

/*
 * The word of a NULL-terminated list that is nearest to `word`, or NULL when
 * none is near enough to be worth a "did you mean".
 */
const char *cmd_nearest(const char *word, const char *const *words);

/* "512.0M", "3.2G": four significant places or fewer, for people. */
const char *cmd_human_bytes(uint64_t bytes, char out[16]);
/* "850ns", "12.3us", "4.5ms", "1.2s". */
const char *cmd_human_ns(uint64_t ns, char out[16]);

#endif
