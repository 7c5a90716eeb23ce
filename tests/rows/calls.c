/* SPDX-License-Identifier: MIT
 *
 * rows-calls: managed buffers that have left memory, passed to system calls by
 * libc's wrappers and inside libc.
 */
#include "row.h"

#define BYTES (64 * ROW_PAGE)

/* A file with BYTES of the pattern, at its beginning. */
static int pattern_file(unsigned int seed)
{
	static unsigned char bytes[BYTES];
	FILE *f = tmpfile();

	row_fill(bytes, BYTES, seed);
	if (!f || fwrite(bytes, 1, BYTES, f) != BYTES || fflush(f))
		ROW_FAIL("cannot write a temporary file");
	if (lseek(fileno(f), 0, SEEK_SET) != 0)
		ROW_FAIL("lseek");
	return fileno(f);
}

static void read_into(void)
{
	int fd = pattern_file(1);
	unsigned char *p = row_map(BYTES);

	row_fill(p, BYTES, 2);
	row_push_out(p, BYTES);
	ROW_CHECK(read(fd, p, BYTES) == (ssize_t)BYTES);
	row_verify(p, BYTES, 1);
}

static void fread_into(void)
{
	int fd = pattern_file(3);
	FILE *f = fdopen(fd, "r");
	unsigned char *p = row_map(BYTES);

	row_fill(p, BYTES, 4);
	row_push_out(p, BYTES);
	ROW_CHECK(fread(p, 1, BYTES, f) == BYTES);
	row_verify(p, BYTES, 3);
}

static const struct row rows[] = {
	{ "read", "calls", read_into },
	{ "fread", "net", fread_into },
};

int main(int argc, char **argv)
{
	return row_main(argc, argv, rows, sizeof(rows) / sizeof(rows[0]));
}
