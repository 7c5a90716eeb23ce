/* SPDX-License-Identifier: MIT
 *
 * watch: which children, and children of theirs, are still there.
 *
 * Each child gets a lock on one byte of a memory file of its parent's, held
 * by an open file description that the child alone has a descriptor of. The
 * kernel takes the lock away when the last process that inherited it has
 * exited, been killed or called exec. So the parent needs one descriptor for
 * any number of children, and one call tells of a whole range of bytes.
 *
 * Reclaim lock, all of them.
 */
#ifndef EM_WATCH_H
#define EM_WATCH_H

#include "util.h"

/*
 * For a fork: a descriptor to be inherited, which the parent then closes, and
 * the number of its byte, counting up. Or -errno: this child cannot be watched.
 */
int em_watch_add(uint64_t *number);
/* Whether anybody holds a lock on bytes [first, last]. */
bool em_watch_any(uint64_t first, uint64_t last);
/* In a forked child: it has no children. */
void em_watch_forked(void);

#endif
