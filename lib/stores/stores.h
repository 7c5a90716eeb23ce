/* SPDX-License-Identifier: MIT
 *
 * stores: the built-in backends, one file each.
 */
#ifndef EM_STORES_H
#define EM_STORES_H

#include "store.h"

extern const struct em_store_ops em_store_file;

#endif
