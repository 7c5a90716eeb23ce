/* SPDX-License-Identifier: MIT
 *
 * fork: what parent and child owe each other.
 *
 * The child starts with the parent's resident pages, shared copy-on-write by
 * the kernel, and needs everything else anew: a userfaultfd, the window
 * registered with it, a segment, tables, buffers. At the moment of the fork
 * no page is half way, no write is under way and no table changes. The parent
 * writes a copy of its tables into a memory file (8 bytes a page), which
 * becomes the child's; it waits for nothing that the child does.
 *
 * What was stored lies in the parent's file, which the child has open. The
 * slots in use are pinned (slots.h) until the child is gone; a lock on an open
 * file description that the child alone holds says when (watch.h).
 *
 * Files of ancestors in which no page of the child lives any more are closed.
 * A page word has room for EM_SLOT_FILES of them; when a chain of forks comes
 * near that, the pages of one file are copied over into the child's own.
 */
#ifndef EM_FORK_H
#define EM_FORK_H

/*
 * Around fork, in this order; signals are blocked in between. Several threads
 * may fork at once: they wait for each other in prepare. EM_BLOCKS
 */
void em_fork_prepare(void);
void em_fork_parent(void);
void em_fork_child(void);

#endif
