/* SPDX-License-Identifier: MIT
 *
 * plugin: algorithms and prefetchers that are not ours, by the paths of their
 * shared objects.
 *
 * Who brings a plug-in into the process adds it here; whoever finds algorithms
 * by name finds it by its path. `extmem run` tries each plug-in in a process
 * apart and puts it into LD_PRELOAD; the library finds it among what ld.so
 * loaded (preload.h) and so calls no dlopen in a program that it does not own.
 */
#ifndef EM_PLUGIN_H
#define EM_PLUGIN_H

#include "extmem-policy.h"

/* What one policy can name: eviction, prefetch, and 15 rules. */
#define EM_PLUGINS_MAX 17

#define EM_PLUGIN_EVICTION "extmem_plugin_eviction"
#define EM_PLUGIN_PREFETCHER "extmem_plugin_prefetcher"

/*
 * Adds what the shared object at path (absolute, kept by the caller) defines;
 * what it does not is NULL. A path that is there already stays as it is. 0, or
 * -EINVAL when it breaks the contract, -ENOSPC when there are too many, and why
 * in err. Not while others look for one.
 */
int em_plugin_add(const char *path, const struct extmem_eviction *eviction,
		  const struct extmem_prefetcher *prefetcher, char *err, size_t err_bytes);

/* NULL when the plug-in was not added or does not define one. */
const struct extmem_eviction *em_plugin_eviction(const char *path);
const struct extmem_prefetcher *em_plugin_prefetcher(const char *path);

#endif
