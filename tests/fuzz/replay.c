/* SPDX-License-Identifier: MIT
 *
 * replay SEED COUNT FILE...: a fuzz target without a fuzzer: each file as it is,
 * then COUNT random changes of them. SEED brings the same ones back. A crash ends it,
 * and so does a change that takes seconds; the last line says which one it was.
 */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILES_MAX 256
#define BYTES_MAX (1u << 16)
#define SECONDS_MAX 20

struct input {
	uint8_t *bytes;
	size_t size;
};

static struct input files[FILES_MAX];
static size_t file_count;
static uint64_t seed;

static uint64_t roll(uint64_t sides)
{
	uint64_t x = seed += 0x9e3779b97f4a7c15u;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return sides ? (x ^ x >> 31) % sides : 0;
}

static void load(const char *name)
{
	struct input *in = &files[file_count++];
	FILE *f = fopen(name, "re");

	in->bytes = malloc(BYTES_MAX);
	if (!f || !in->bytes) {
		fprintf(stderr, "replay: cannot read '%s'\n", name);
		exit(2);
	}
	in->size = fread(in->bytes, 1, BYTES_MAX, f);
	fclose(f);
}

/* Puts n bytes of another file, or of the same, at `at`. */
static void splice(struct input *in, size_t at, size_t n)
{
	const struct input *from = &files[roll(file_count)];
	size_t start = roll(from->size);

	n = n < from->size - start ? n : from->size - start;
	n = n < BYTES_MAX - in->size ? n : BYTES_MAX - in->size;
	memmove(in->bytes + at + n, in->bytes + at, in->size - at);
	memcpy(in->bytes + at, from->bytes + start, n);
	in->size += n;
}

static void change(struct input *in)
{
	static const uint8_t telling[] = { 0, 1, 0x7f, 0x80, 0xff, '\n', ':', ' ', '-', '"' };
	size_t at = roll(in->size), n = roll(roll(8) ? 8 : 64) + 1;

	n = n < in->size - at ? n : in->size - at;
	switch (roll(7)) {
	case 0: in->size = at; break;
	case 1: splice(in, at, n); break;
	case 2:
		memmove(in->bytes + at, in->bytes + at + n, in->size - at - n);
		in->size -= n;
		break;
	case 3: memset(in->bytes + at, telling[roll(sizeof(telling))], n); break;
	default:
		if (n)
			in->bytes[at] ^= (uint8_t)(1u << roll(8));
	}
}

static void run_changed(uint8_t *room)
{
	const struct input *from = &files[roll(file_count)];
	struct input in = { room, from->size };

	memcpy(room, from->bytes, from->size);
	for (uint64_t n = roll(8) + 1; n; n--)
		change(&in);
	LLVMFuzzerTestOneInput(in.bytes, in.size);
}

int main(int argc, char **argv)
{
	uint8_t *room = malloc(BYTES_MAX);
	uint64_t count = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;

	if (argc < 4 || argc - 3 > FILES_MAX || !room) {
		fprintf(stderr, "usage: replay SEED COUNT FILE...\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	seed = strtoull(argv[1], NULL, 10);
	for (int i = 3; i < argc; i++)
		load(argv[i]);
	for (size_t i = 0; i < file_count; i++) {
		printf("%s\n", argv[i + 3]);
		LLVMFuzzerTestOneInput(files[i].bytes, files[i].size);
	}
	for (uint64_t i = 0; i < count; i++) {
		if (i % 100 == 0)
			printf("changes from number %lu on\n", i);
		alarm(SECONDS_MAX);
		run_changed(room);
	}
	return 0;
}
