/* SPDX-License-Identifier: MIT
 *
 * pagerank: PageRank over a graph in memory.
 *
 *   pagerank --scale S [--edges E] [--seed N] --write FILE
 *   pagerank [--threads T] [--iterations N] [--json] FILE
 *
 * The first makes a Kronecker graph (R-MAT, with the probabilities of Graph500)
 * of 2^S vertices and E edges a vertex, their numbers shuffled so that the
 * large ones are anywhere, and writes it as compressed rows: for each vertex,
 * who points to it. It is the same graph for the same arguments. The second
 * reads it into memory and runs PageRank, pulling: the rows stream, the ranks
 * of the vertices they name are read from all over.
 *
 * Every vertex is summed by one thread in the order of its row, and the sums
 * over all vertices go by blocks, in order: the ranks are the same to the last
 * bit for any number of threads, and so is the checksum. That they add up to 1
 * is checked.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define DAMPING 0.85
#define BLOCK 4096u /* vertices that a thread takes at a time */
#define THREADS_MAX 64u
#define MAGIC 0x6b6e617265676170ull /* "pagerank" */

struct header {
	uint64_t magic, vertices, edges;
};

static struct {
	uint64_t vertices, edges;
	uint64_t *rows;    /* vertices + 1: where each one's sources begin */
	uint32_t *sources; /* edges */
	uint32_t *out;     /* how many each vertex points to */
	double *rank;
	double *share;     /* rank / out, what a vertex gives to each it points to */
	double *dangling, *total; /* a block each */
} graph;

static unsigned int threads = 1, iterations = 5;
static _Atomic uint64_t next_block;
static pthread_barrier_t barrier;
static double lost; /* rank of vertices that point nowhere; by one thread between barriers */

static void fail(const char *what)
{
	fprintf(stderr, "pagerank: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void *zeros(uint64_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		fail("mmap");
	return p;
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

/* ---- making a graph -------------------------------------------------------- */

/* splitmix64 of a number: random, and yet the same whenever it is asked. */
static uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15ull;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return x ^ x >> 31;
}

/* A one to one shuffle of the numbers below 2^scale. */
static uint64_t shuffled(uint64_t v, unsigned int scale)
{
	uint64_t mask = (1ull << scale) - 1;

	for (unsigned int i = 0; i < 3; i++) {
		v = (v * 0x9e3779b97f4a7c15ull + 0x7f4a7c15u) & mask;
		v ^= v >> (scale / 2 + 1);
	}
	return v;
}

/* Goes down the quadrants of the matrix: 57, 19, 19 and 5 of a hundred. */
static void edge_of(uint64_t number, unsigned int scale, uint64_t seed, uint64_t *from,
		    uint64_t *to)
{
	uint64_t r = 0, u = 0, v = 0;

	for (unsigned int bit = 0; bit < scale; bit++, r >>= 16) {
		unsigned int q;

		if (bit % 4 == 0)
			r = mix(seed ^ mix(number * 8 + bit / 4));
		q = (unsigned int)(r & 0xffff) * 100 >> 16;
		u = u << 1 | (q >= 76);
		v = v << 1 | ((q >= 57 && q < 76) || q >= 95);
	}
	*from = shuffled(u, scale);
	*to = shuffled(v, scale);
}

static void make_graph(unsigned int scale, uint64_t edges_each, uint64_t seed)
{
	uint64_t from, to;

	graph.vertices = 1ull << scale;
	graph.edges = graph.vertices * edges_each;
	graph.rows = zeros((graph.vertices + 1) * sizeof(*graph.rows));
	graph.sources = zeros(graph.edges * sizeof(*graph.sources));
	graph.out = zeros(graph.vertices * sizeof(*graph.out));
	for (uint64_t e = 0; e < graph.edges; e++) {
		edge_of(e, scale, seed, &from, &to);
		graph.rows[to]++;
		graph.out[from]++;
	}
	/* Each row's end, counted down to its beginning as it is filled. */
	for (uint64_t v = 1; v <= graph.vertices; v++)
		graph.rows[v] += graph.rows[v - 1];
	for (uint64_t e = 0; e < graph.edges; e++) {
		edge_of(e, scale, seed, &from, &to);
		graph.sources[--graph.rows[to]] = (uint32_t)from;
	}
}

/* ---- its file ------------------------------------------------------------- */

/* In pieces, as a program would that does not own all memory. */
static void transfer(bool out, void *at, uint64_t bytes, FILE *file)
{
	char *p = at;

	while (bytes) {
		size_t piece = bytes < 1u << 20 ? (size_t)bytes : 1u << 20;
		size_t n = out ? fwrite(p, 1, piece, file) : fread(p, 1, piece, file);

		if (n != piece) {
			errno = ferror(file) ? errno : EPROTO;
			fail("the graph's file");
		}
		p += n;
		bytes -= n;
	}
}

static void transfer_graph(bool out, FILE *file)
{
	transfer(out, graph.rows, (graph.vertices + 1) * sizeof(*graph.rows), file);
	transfer(out, graph.out, graph.vertices * sizeof(*graph.out), file);
	transfer(out, graph.sources, graph.edges * sizeof(*graph.sources), file);
}

static void write_graph(const char *path)
{
	struct header h = { MAGIC, graph.vertices, graph.edges };
	FILE *file = fopen(path, "w");

	if (!file)
		fail(path);
	transfer(true, &h, sizeof(h), file);
	transfer_graph(true, file);
	if (fclose(file) != 0)
		fail(path);
}

static void read_graph(const char *path)
{
	FILE *file = fopen(path, "r");
	struct header h;

	if (!file)
		fail(path);
	transfer(false, &h, sizeof(h), file);
	if (h.magic != MAGIC) {
		fprintf(stderr, "pagerank: '%s' is no graph\n", path);
		exit(1);
	}
	graph.vertices = h.vertices;
	graph.edges = h.edges;
	graph.rows = zeros((h.vertices + 1) * sizeof(*graph.rows));
	graph.sources = zeros(h.edges * sizeof(*graph.sources));
	graph.out = zeros(h.vertices * sizeof(*graph.out));
	transfer_graph(false, file);
	fclose(file);
}

/* ---- ranks ---------------------------------------------------------------- */

static uint64_t blocks(void)
{
	return (graph.vertices + BLOCK - 1) / BLOCK;
}

static void share_block(uint64_t block, uint64_t from, uint64_t to)
{
	double dangling = 0;

	for (uint64_t v = from; v < to; v++) {
		if (graph.out[v])
			graph.share[v] = graph.rank[v] / graph.out[v];
		else
			dangling += graph.rank[v];
	}
	graph.dangling[block] = dangling;
}

static void pull_block(uint64_t block, uint64_t from, uint64_t to)
{
	double base = (1 - DAMPING + DAMPING * lost) / (double)graph.vertices, total = 0;

	for (uint64_t v = from; v < to; v++) {
		double sum = 0;

		for (uint64_t e = graph.rows[v]; e < graph.rows[v + 1]; e++)
			sum += graph.share[graph.sources[e]];
		graph.rank[v] = base + DAMPING * sum;
		total += graph.rank[v];
	}
	graph.total[block] = total;
}

static double sum_of(const double *v)
{
	double sum = 0;

	for (uint64_t i = 0; i < blocks(); i++)
		sum += v[i];
	return sum;
}

/* All threads; true in the one that may do what only one does. */
static bool for_all_blocks(void (*work)(uint64_t block, uint64_t from, uint64_t to))
{
	uint64_t block;

	while ((block = atomic_fetch_add(&next_block, 1)) < blocks()) {
		uint64_t from = block * BLOCK, to = from + BLOCK;

		work(block, from, to < graph.vertices ? to : graph.vertices);
	}
	return pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD;
}

static void *iterate(void *arg)
{
	for (unsigned int i = 0; i < iterations; i++) {
		if (for_all_blocks(share_block)) {
			lost = sum_of(graph.dangling);
			atomic_store(&next_block, 0);
		}
		pthread_barrier_wait(&barrier);
		if (for_all_blocks(pull_block))
			atomic_store(&next_block, 0);
		pthread_barrier_wait(&barrier);
	}
	return arg;
}

static double rank_all(void)
{
	pthread_t ids[THREADS_MAX];
	double began;

	graph.rank = zeros(graph.vertices * sizeof(double));
	graph.share = zeros(graph.vertices * sizeof(double));
	graph.dangling = zeros(blocks() * sizeof(double));
	graph.total = zeros(blocks() * sizeof(double));
	for (uint64_t v = 0; v < graph.vertices; v++)
		graph.rank[v] = 1 / (double)graph.vertices;
	pthread_barrier_init(&barrier, NULL, threads);
	began = now();
	for (unsigned int t = 0; t < threads; t++)
		if (pthread_create(&ids[t], NULL, iterate, NULL) != 0)
			fail("cannot start a thread");
	for (unsigned int t = 0; t < threads; t++)
		pthread_join(ids[t], NULL);
	return now() - began;
}

static int report(double spent, bool json)
{
	double sum = sum_of(graph.total);
	uint64_t checksum = 0;

	for (uint64_t v = 0; v < graph.vertices; v++) {
		uint64_t bits;

		memcpy(&bits, &graph.rank[v], sizeof(bits));
		checksum = mix(checksum ^ bits);
	}
	printf(json ? "{\"vertices\": %" PRIu64 ", \"edges\": %" PRIu64 ", \"threads\": %u, "
		      "\"seconds\": %.3f, \"iterations_per_second\": %.4f, "
		      "\"sum\": %.9f, \"checksum\": \"%016" PRIx64 "\"}\n" :
		      "%" PRIu64 " vertices %" PRIu64 " edges %u threads %.3f s: "
		      "%.4f iterations/s, sum %.9f, checksum %016" PRIx64 "\n",
	       graph.vertices, graph.edges, threads, spent, iterations / spent, sum, checksum);
	if (fabs(sum - 1) > 1e-9) {
		fprintf(stderr, "pagerank: the ranks add up to %.12f\n", sum);
		return 1;
	}
	return 0;
}

static void usage(FILE *out)
{
	fprintf(out, "usage: pagerank --scale S [--edges E] [--seed N] --write FILE\n"
		     "       pagerank [--threads T] [--iterations N] [--json] FILE\n");
}

static uint64_t number(const char *text, uint64_t min, uint64_t max, const char *what)
{
	char *end;
	uint64_t n = strtoull(text, &end, 10);

	if (*text == '\0' || *end != '\0' || n < min || n > max) {
		fprintf(stderr, "pagerank: %s is '%s', want %" PRIu64 " to %" PRIu64 "\n", what,
			text, min, max);
		exit(2);
	}
	return n;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "scale", required_argument, NULL, 's' },
		{ "edges", required_argument, NULL, 'e' },
		{ "seed", required_argument, NULL, 'r' },
		{ "write", required_argument, NULL, 'w' },
		{ "threads", required_argument, NULL, 't' },
		{ "iterations", required_argument, NULL, 'i' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	uint64_t scale = 0, edges = 16, seed = 1;
	const char *to = NULL;
	bool json = false;
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (c) {
		case 's': scale = number(optarg, 4, 30, "--scale"); break;
		case 'e': edges = number(optarg, 1, 1024, "--edges"); break;
		case 'r': seed = number(optarg, 0, UINT32_MAX, "--seed"); break;
		case 'w': to = optarg; break;
		case 't': threads = (unsigned int)number(optarg, 1, THREADS_MAX, "--threads"); break;
		case 'i': iterations = (unsigned int)number(optarg, 1, 100000, "--iterations"); break;
		case 'j': json = true; break;
		case 'h': usage(stdout); return 0;
		default: usage(stderr); return 2;
		}
	}
	if ((to && (!scale || optind != argc)) || (!to && (scale || optind + 1 != argc))) {
		usage(stderr);
		return 2;
	}
	if (to) {
		make_graph((unsigned int)scale, edges, seed);
		write_graph(to);
		return 0;
	}
	read_graph(argv[optind]);
	return report(rank_all(), json);
}
