/* SPDX-License-Identifier: MIT
 *
 * preload: what ld.so loaded: the plug-ins, and what the program itself defines.
 *
 * The library starts inside the program's first malloc, before a plug-in's
 * constructors, perhaps inside a dlopen of the program's. So it neither waits
 * to be told of plug-ins nor opens them: it looks into the symbol tables of
 * what is there. They are relocated by then, and nothing here allocates.
 */
#ifndef EM_PRELOAD_H
#define EM_PRELOAD_H

#include <stdbool.h>

/*
 * Adds every plug-in that is loaded (plugin.h); says of one that breaks the
 * contract what is wrong, and leaves it out. Not in a handler.
 */
void em_preload_add_plugins(void);
/* Whether the program defines this symbol, and so takes precedence over us. */
bool em_preload_program_has(const char *name);

#endif
