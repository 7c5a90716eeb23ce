/* SPDX-License-Identifier: MIT */
#include "trace.h"
#include "recording.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_MAX_BYTES 4096
#define PAGE_BYTES 4096u
#define COLUMN "obj_id"

void cmd_trace_free(struct cmd_trace *t)
{
	free(t->refs);
	*t = (struct cmd_trace){ .refs = NULL };
}

/* ---- units ----------------------------------------------------------- */

/* Pages as they were named, by open addressing: a number for each. */
struct numbers {
	uint64_t *pages;
	uint32_t *units; /* plus one; 0 is an empty place */
	size_t places, used;
};

static size_t place_of(const struct numbers *n, uint64_t page)
{
	size_t at = page * 0x9e3779b97f4a7c15u >> 20 & (n->places - 1);

	while (n->units[at] && n->pages[at] != page)
		at = (at + 1) & (n->places - 1);
	return at;
}

static bool grow_numbers(struct numbers *n)
{
	struct numbers more = { .places = n->places ? n->places * 2 : 1024, .used = n->used };

	more.pages = calloc(more.places, sizeof(*more.pages));
	more.units = calloc(more.places, sizeof(*more.units));
	if (!more.pages || !more.units) {
		free(more.pages);
		free(more.units);
		return false;
	}
	for (size_t i = 0; i < n->places; i++)
		if (n->units[i]) {
			size_t at = place_of(&more, n->pages[i]);
			more.pages[at] = n->pages[i];
			more.units[at] = n->units[i];
		}
	free(n->pages);
	free(n->units);
	*n = more;
	return true;
}

/* The number of a page; EXTMEM_UNIT_NONE without memory. */
static uint32_t number_of(struct numbers *n, uint64_t page)
{
	if (n->used * 2 >= n->places && !grow_numbers(n))
		return EXTMEM_UNIT_NONE;
	size_t at = place_of(n, page);
	if (!n->units[at]) {
		n->pages[at] = page;
		n->units[at] = (uint32_t)++n->used;
	}
	return n->units[at] - 1;
}

static bool add(struct cmd_trace *t, size_t *room, uint32_t unit)
{
	if (t->count == *room) {
		size_t more = *room ? *room * 2 : 4096;
		uint32_t *refs = realloc(t->refs, more * sizeof(*refs));
		if (!refs)
			return false;
		t->refs = refs;
		*room = more;
	}
	t->refs[t->count++] = unit;
	return true;
}

/* ---- from a text ----------------------------------------------------- */

/* The field of a line that has the page: the last one, or as the first line says. */
static char *find_field(char *line, int column)
{
	char *last = strrchr(line, ',');

	if (column < 0)
		return last ? last + 1 : line;
	for (; column > 0 && line; column--)
		line = (line = strchr(line, ',')) ? line + 1 : NULL;
	if (!line)
		return NULL;
	line[strcspn(line, ",")] = '\0';
	return line;
}

/* Which field of a heading is the page's; -1: the line is none. */
static int find_column(const char *line)
{
	int column = 0;

	for (; strncmp(line, COLUMN ",", strlen(COLUMN) + 1); column++) {
		line = strchr(line, ',');
		if (!line)
			return -1;
		line++;
	}
	return column;
}

/* 1: a page; 0: an empty line; -1: neither. */
static int parse_line(char *line, int column, uint64_t *page)
{
	char *end = strchr(line, '#'), *field;

	if (end)
		*end = '\0';
	for (end = line + strlen(line); end > line && isspace((unsigned char)end[-1]);)
		*--end = '\0';
	field = find_field(line, column);
	if (!field)
		return *line ? -1 : 0;
	field += strspn(field, " \t");
	if (!*field)
		return field == line + strspn(line, " \t") ? 0 : -1;
	if (!isdigit((unsigned char)*field))
		return -1;
	errno = 0;
	*page = strtoull(field, &end, field[0] == '0' && field[1] == 'x' ? 16 : 10);
	return *end || errno ? -1 : 1;
}

static bool read_lines(struct cmd_trace *t, FILE *f, const char *name, struct numbers *n,
		       char *err, size_t err_bytes)
{
	char line[LINE_MAX_BYTES];
	size_t room = 0;
	int column = -1;

	for (unsigned long number = 1; fgets(line, sizeof(line), f); number++) {
		uint64_t page;
		uint32_t unit;
		if (number == 1 && (column = find_column(line)) >= 0)
			continue;
		int found = strlen(line) == sizeof(line) - 1 ? -1 :
			    parse_line(line, column, &page);
		if (found < 0) {
			snprintf(err, err_bytes, "%s:%lu: expected a page number, alone or after the last comma",
				 name, number);
			return false;
		}
		if (!found)
			continue;
		unit = number_of(n, page);
		if (unit >= EXTMEM_UNITS_MAX || !add(t, &room, unit)) {
			snprintf(err, err_bytes, "%s: no memory for so many references", name);
			return false;
		}
	}
	if (ferror(f)) {
		snprintf(err, err_bytes, "cannot read '%s': %s", name, strerror(errno));
		return false;
	}
	if (!t->count) {
		snprintf(err, err_bytes, "%s: there is no reference in it", name);
		return false;
	}
	t->units = (uint32_t)n->used;
	t->unit_bytes = PAGE_BYTES;
	return true;
}

/* ---- recorded ---------------------------------------------------------- */

struct recorder {
	struct cmd_trace *t;
	const struct cmd_recording *r;
	struct numbers *n;
	size_t room;
	bool by_page;
};

/* The same page of another program is another page. */
static bool add_fault(void *arg, const struct cmd_fault *f)
{
	struct recorder *in = arg;
	const struct em_trace_program *p = &in->r->programs[f->program];
	uint64_t unit = in->by_page ? f->page : f->page / (p->granule_bytes / p->page_bytes);
	uint32_t number = number_of(in->n, (uint64_t)f->program << 44 | unit);

	return number < EXTMEM_UNITS_MAX && add(in->t, &in->room, number);
}

static bool read_recording(struct cmd_trace *t, FILE *f, const char *name, bool by_page,
			   struct numbers *n, char *err, size_t err_bytes)
{
	struct cmd_recording r;
	bool good = cmd_recording_read(&r, f, name, err, err_bytes);

	if (good && !r.faults) {
		good = false;
		snprintf(err, err_bytes, "%s: there is no fault in it", name);
	} else if (good && !cmd_recording_visit(&r, add_fault, &(struct recorder){
				t, &r, n, 0, by_page })) {
		good = false;
		snprintf(err, err_bytes, "%s: no memory for so many references", name);
	}
	t->units = (uint32_t)n->used;
	if (good)
		t->unit_bytes = by_page ? r.programs[0].page_bytes : r.programs[0].granule_bytes;
	cmd_recording_free(&r);
	return good;
}

/* One letter tells them apart: no line of a text begins with it. */
static bool read_either(struct cmd_trace *t, FILE *f, const char *name, bool by_page,
			struct numbers *n, char *err, size_t err_bytes)
{
	int first = getc(f);

	if (first != EOF)
		ungetc(first, f);
	return first == EM_TRACE_MAGIC[0] ?
	       read_recording(t, f, name, by_page, n, err, err_bytes) :
	       read_lines(t, f, name, n, err, err_bytes);
}

bool cmd_trace_read(struct cmd_trace *t, const char *name, bool by_page, char *err,
		    size_t err_bytes)
{
	bool is_stdin = !strcmp(name, "-");
	FILE *f = is_stdin ? stdin : fopen(name, "re");
	struct numbers n = { .pages = NULL };
	bool good;

	*t = (struct cmd_trace){ .refs = NULL };
	if (!f) {
		snprintf(err, err_bytes, "cannot open '%s': %s", name, strerror(errno));
		return false;
	}
	good = read_either(t, f, is_stdin ? "<stdin>" : name, by_page, &n, err, err_bytes);
	free(n.pages);
	free(n.units);
	if (!is_stdin)
		fclose(f);
	if (!good)
		cmd_trace_free(t);
	return good;
}

/* ---- made up --------------------------------------------------------- */

static uint64_t next_random(uint64_t *seed)
{
	uint64_t x = *seed += 0x9e3779b97f4a7c15u;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

static uint32_t below(uint64_t *seed, uint32_t n)
{
	return (uint32_t)((next_random(seed) >> 32) * n >> 32);
}

/* x to the power of -s. */
static double power(double x, double s)
{
	return exp(-s * log(x));
}

/* Popular pages are spread over all: neighbours have nothing in common. */
static uint32_t spread(uint32_t rank, uint32_t pages)
{
	return (uint32_t)(((uint64_t)rank * 2654435761u) % pages);
}

static bool make_zipf(struct cmd_trace *t, double s, const struct cmd_synthesis *of)
{
	double *sum = calloc(of->pages, sizeof(*sum)), total = 0;
	uint64_t seed = of->seed;

	if (!sum)
		return false;
	for (uint32_t i = 0; i < of->pages; i++)
		sum[i] = total += power(i + 1.0, s);
	for (size_t i = 0; i < of->references; i++) {
		double at = (double)(next_random(&seed) >> 11) / 9007199254740992.0 * total;
		uint32_t low = 0, high = of->pages - 1;
		while (low < high) {
			uint32_t mid = low + (high - low) / 2;
			if (sum[mid] < at)
				low = mid + 1;
			else
				high = mid;
		}
		t->refs[i] = spread(low, of->pages);
	}
	free(sum);
	return true;
}

/* Nine of ten to the first tenth by chance; the others walk through the rest. */
static void make_scan_hot(struct cmd_trace *t, const struct cmd_synthesis *of)
{
	uint32_t hot = of->pages / 10 + 1, cold = of->pages - of->pages / 10, at = 0;
	uint64_t seed = of->seed;

	for (size_t i = 0; i < of->references; i++) {
		if (below(&seed, 10))
			t->refs[i] = below(&seed, hot < of->pages ? hot : of->pages);
		else
			t->refs[i] = of->pages - 1 - at++ % cold;
	}
}

static void make_steps(struct cmd_trace *t, uint32_t step, const struct cmd_synthesis *of)
{
	uint64_t at = 0, lap = 0;

	for (size_t i = 0; i < of->references; i++) {
		t->refs[i] = (uint32_t)at;
		at += step;
		if (at >= of->pages)
			at = ++lap % step;
		if (at >= of->pages)
			at = 0;
	}
}

static void make_uniform(struct cmd_trace *t, const struct cmd_synthesis *of)
{
	uint64_t seed = of->seed;

	for (size_t i = 0; i < of->references; i++)
		t->refs[i] = below(&seed, of->pages);
}

/* The number behind the colon of "zipf:1.0"; fallback without a colon. */
static bool argument(const char *spec, const char *name, double fallback, double min,
		     double max, double *out)
{
	size_t len = strlen(name);
	char *end;

	if (strncmp(spec, name, len))
		return false;
	*out = fallback;
	if (!spec[len])
		return true;
	if (spec[len] != ':' || !isdigit((unsigned char)spec[len + 1]))
		return false;
	*out = strtod(spec + len + 1, &end);
	return !*end && *out >= min && *out <= max;
}

static bool make(struct cmd_trace *t, const char *spec, const struct cmd_synthesis *of,
		 bool *known)
{
	double n;

	*known = true;
	if (argument(spec, "zipf", 1, 0, 10, &n))
		return make_zipf(t, n, of);
	if (argument(spec, "stride", 16, 1, 1e6, &n))
		make_steps(t, (uint32_t)n, of);
	else if (!strcmp(spec, "loop"))
		make_steps(t, 1, of);
	else if (!strcmp(spec, "uniform"))
		make_uniform(t, of);
	else if (!strcmp(spec, "scan+hot"))
		make_scan_hot(t, of);
	else
		*known = false;
	return *known;
}

bool cmd_trace_make(struct cmd_trace *t, const char *spec, const struct cmd_synthesis *of,
		    char *err, size_t err_bytes)
{
	bool known = true;

	*t = (struct cmd_trace){ calloc(of->references, sizeof(uint32_t)), of->references,
				 of->pages, PAGE_BYTES };
	if (t->refs && make(t, spec, of, &known))
		return true;
	cmd_trace_free(t);
	if (known)
		snprintf(err, err_bytes, "no memory for %zu references", of->references);
	else
		snprintf(err, err_bytes, "unknown trace '%s': expected zipf[:S], loop, uniform, "
			 "scan+hot or stride[:N]", spec);
	return false;
}
