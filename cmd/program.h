/* SPDX-License-Identifier: MIT
 *
 * program: whether a library can be preloaded into a command.
 *
 * LD_PRELOAD is a request to the dynamic loader of glibc, and the loader says
 * nothing when it cannot or will not follow it: a static program has no
 * loader, a set-user-ID program ignores the variable, a 32-bit program wants
 * another library. `extmem run` therefore looks at the file that will be
 * running in the end: it searches PATH as execvp() does and follows the #!
 * of scripts to their interpreter.
 */
#ifndef CMD_PROGRAM_H
#define CMD_PROGRAM_H

#include <stddef.h>

/*
 * Returns 0 when `command` may be run, or the status to exit with (125
 * refused, 126 found but not executable, 127 not found) and a complete
 * message in err. A file that may be run but not read passes.
 */
int cmd_program_check(const char *command, char *err, size_t err_bytes);

#endif
