/* SPDX-License-Identifier: MIT
 *
 * notes: what the notes of an ELF file say about who made it.
 *
 * A program that Go's linker made cannot be managed, not even when it is linked
 * dynamically: with cgo its heap comes from libc's mmap, but its runtime blocks
 * signals and sets alternate stacks by instructions of its own, which no
 * wrapper sees and the seccomp net cannot trap.
 */
#ifndef EM_NOTES_H
#define EM_NOTES_H

#include "util.h"
#include <elf.h>
#include <string.h>

/* The type of the note named "Go" that holds the build's identity. */
#define EM_NOTE_GO_BUILD_ID 4

/* Whether one of the notes in these bytes, a PT_NOTE segment, is Go's. */
static inline bool em_notes_are_go(const void *notes, size_t bytes)
{
	const char *p = notes;

	while (bytes >= sizeof(Elf64_Nhdr)) {
		Elf64_Nhdr n;

		memcpy(&n, p, sizeof(n));
		size_t name = em_round_up((size_t)n.n_namesz, 4);
		size_t whole = sizeof(n) + name + em_round_up((size_t)n.n_descsz, 4);
		if (whole > bytes)
			return false;
		if (n.n_type == EM_NOTE_GO_BUILD_ID && n.n_namesz == 4 &&
		    !memcmp(p + sizeof(n), "Go\0", 4))
			return true;
		p += whole;
		bytes -= whole;
	}
	return false;
}

#endif
