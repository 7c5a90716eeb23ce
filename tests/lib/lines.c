/* SPDX-License-Identifier: MIT
 *
 * lines --mb N [--seed N] [--long | --words]: N MB of lines on stdout, the same
 * for the same seed. Random letters and digits, 32 to a line or, with --long,
 * 500 on average; with --words, text over a vocabulary of some thousand words,
 * which gives a compressor something to do.
 */
#include <errno.h>
#include <getopt.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORDS 4096u

enum kind { SHORT, LONG, TEXT };

static uint64_t rng;

static uint64_t rnd(void)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return rng;
}

static size_t random_letters(char *to, size_t n)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz012345";

	for (size_t i = 0; i < n; i += 8) {
		uint64_t r = rnd();
		for (size_t k = i; k < n && k < i + 8; k++, r >>= 5)
			to[k] = letters[r & 31];
	}
	return n;
}

static size_t random_line(char *to, unsigned int spread)
{
	size_t n = random_letters(to, 8 + rnd() % spread);

	to[n++] = '\n';
	return n;
}

/* Short numbers are drawn more often, as in a language. */
static size_t text_line(char *to, char words[][16])
{
	size_t n = 0;

	for (unsigned int i = 0; i < 12; i++) {
		uint64_t r = rnd();
		const char *word = words[(r >> 8) % (WORDS >> (r % 8))];
		size_t bytes = strlen(word);

		memcpy(to + n, word, bytes);
		n += bytes;
		to[n++] = i == 11 ? '\n' : ' ';
	}
	return n;
}

static int write_lines(uint64_t bytes, enum kind kind)
{
	static char words[WORDS][16];
	static char line[1024];

	for (unsigned int w = 0; w < WORDS; w++)
		random_letters(words[w], 2 + rnd() % 10);
	while (bytes > 0) {
		size_t n = kind == TEXT ? text_line(line, words) :
					  random_line(line, kind == LONG ? 984 : 48);

		if (n > bytes) {
			n = (size_t)bytes;
			line[n - 1] = '\n';
		}
		if (fwrite(line, 1, n, stdout) != n)
			return -errno;
		bytes -= n;
	}
	return fflush(stdout) == 0 ? 0 : -errno;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "mb", required_argument, NULL, 'm' },
		{ "seed", required_argument, NULL, 'r' },
		{ "long", no_argument, NULL, 'l' },
		{ "words", no_argument, NULL, 'w' },
		{ NULL, 0, NULL, 0 },
	};
	uint64_t mb = 0, seed = 1;
	enum kind kind = SHORT;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'm': mb = strtoull(optarg, NULL, 10); break;
		case 'r': seed = strtoull(optarg, NULL, 10); break;
		case 'l': kind = LONG; break;
		case 'w': kind = TEXT; break;
		default: mb = 0; optind = argc; break;
		}
	}
	if (mb == 0 || optind != argc) {
		fprintf(stderr, "usage: lines --mb N [--seed N] [--long | --words]\n");
		return 2;
	}
	rng = (seed + 1) * 0x9e3779b97f4a7c15ull;
	int error = write_lines(mb << 20, kind);
	if (error) {
		fprintf(stderr, "lines: %s\n", strerror(-error));
		return 1;
	}
	return 0;
}
