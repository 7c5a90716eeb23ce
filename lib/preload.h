/* SPDX-License-Identifier: MIT
 *
 * preload: the plug-ins that ld.so loaded with the program.
 *
 * The library starts inside the program's first malloc, before a plug-in's
 * constructors, perhaps inside a dlopen of the program's. So it neither waits
 * to be told of plug-ins nor opens them: it looks into the symbol tables of
 * what is there. They are relocated by then, and nothing here allocates.
 */
#ifndef EM_PRELOAD_H
#define EM_PRELOAD_H

/*
 * Adds every plug-in that is loaded (plugin.h); says of one that breaks the
 * contract what is wrong, and leaves it out. Not in a handler.
 */
void em_preload_add_plugins(void);

#endif
