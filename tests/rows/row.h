/* SPDX-License-Identifier: MIT
 *
 * row.h: what the programs in tests/rows share.
 *
 * Each program is a list of cases; a case is one thing that an unmodified
 * program does to a pager. `rows-NAME --list` prints them, a line each:
 *
 *	CASE KNOB
 *
 * KNOB is the protection in lib/knobs.h without which the case must fail, or
 * "-" where there is none to switch off. `rows-NAME CASE` runs one: exit
 * status 0 when the program saw what it would see natively, 77 when it cannot
 * run here. The programs know nothing of extmem: run.sh runs each case alone,
 * under extmem, and under extmem with the protection off.
 */
#ifndef ROW_H
#define ROW_H

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

#define ROW_PAGE 4096ul
#define ROW_SKIP 77
/* run.sh gives a quarter of this as the limit. */
#define ROW_PRESSURE_BYTES (64ul << 20)
#define ROW_GAP_BYTES (2ul << 20)

struct row {
	const char *name;
	const char *knob;
	void (*run)(void);
};

#define ROW_FAIL(...) \
	do { \
		fprintf(stderr, "%s:%d: ", __FILE__, __LINE__); \
		fprintf(stderr, __VA_ARGS__); \
		fprintf(stderr, " (errno: %s)\n", strerror(errno)); \
		_exit(1); \
	} while (0)

#define ROW_CHECK(condition) \
	do { \
		if (!(condition)) \
			ROW_FAIL("not so: %s", #condition); \
	} while (0)

static inline void row_skip(const char *why)
{
	printf("%s\n", why);
	fflush(stdout);
	_exit(ROW_SKIP);
}

/* Memory that is managed when anything is. */
static inline void *row_map(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		ROW_FAIL("mmap of %zu bytes", bytes);
	return p;
}

/* Byte i of the pattern with this seed. */
static inline unsigned char row_byte(unsigned int seed, size_t i)
{
	uint64_t x = (i / 8 + 1) * 0x9e3779b97f4a7c15ull ^ seed * 0xd1b54a32d192ed03ull;

	return (unsigned char)((x ^ x >> 29) >> (i % 8) * 8);
}

static inline void row_fill(void *p, size_t bytes, unsigned int seed)
{
	for (size_t i = 0; i < bytes; i++)
		((unsigned char *)p)[i] = row_byte(seed, i);
}

static inline void row_verify(const void *p, size_t bytes, unsigned int seed)
{
	for (size_t i = 0; i < bytes; i++)
		if (((const unsigned char *)p)[i] != row_byte(seed, i))
			ROW_FAIL("byte %zu of %p is wrong", i, p);
}

/* Whether the page at p is in memory just now, as the kernel has it. */
static inline bool row_is_present(const void *p)
{
	uint64_t entry = 0;
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

	if (fd < 0 || pread(fd, &entry, sizeof(entry),
			    (off_t)((uintptr_t)p / ROW_PAGE * 8)) != sizeof(entry))
		ROW_FAIL("/proc/self/pagemap");
	close(fd);
	return entry >> 63;
}

/*
 * Writes to so much other memory that under the limit of run.sh every page of
 * [p, p + bytes) has left. Alone it just writes. Under extmem, which run.sh
 * says in ROW_MANAGED, it fails if they do not leave.
 */
static inline void row_push_out(const void *p, size_t bytes)
{
	static unsigned char *pressure;
	bool managed = getenv("ROW_MANAGED") != NULL, present = true;

	if (!pressure) { /* reading ahead ends where it may not be touched */
		pressure = row_map(ROW_PRESSURE_BYTES + 2 * ROW_GAP_BYTES);
		if (mprotect(pressure, ROW_GAP_BYTES, PROT_NONE) < 0 ||
		    mprotect(pressure + ROW_GAP_BYTES + ROW_PRESSURE_BYTES, ROW_GAP_BYTES,
			     PROT_NONE) < 0)
			ROW_FAIL("mprotect");
		pressure += ROW_GAP_BYTES;
	}
	for (int round = 1; round <= 3 && present; round++) {
		for (size_t at = 0; at < ROW_PRESSURE_BYTES; at += ROW_PAGE)
			memset(pressure + at, round, ROW_PAGE);
		present = false;
		for (size_t at = 0; at < bytes; at += ROW_PAGE)
			present |= row_is_present((const char *)p + at);
	}
	if (managed && present)
		ROW_FAIL("the pages at %p do not leave", p);
}

static inline int row_main(int argc, char **argv, const struct row *rows, size_t count)
{
	if (argc != 2) {
		fprintf(stderr, "usage: %s --list | CASE\n", argv[0]);
		return 2;
	}
	for (size_t i = 0; i < count; i++) {
		if (strcmp(argv[1], "--list") == 0) {
			printf("%s %s\n", rows[i].name, rows[i].knob);
		} else if (strcmp(argv[1], rows[i].name) == 0) {
			rows[i].run();
			return 0;
		}
	}
	if (strcmp(argv[1], "--list") == 0)
		return 0;
	fprintf(stderr, "%s: no case '%s'\n", argv[0], argv[1]);
	return 2;
}

#endif
