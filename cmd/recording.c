/* SPDX-License-Identifier: MIT */
#include "recording.h"
#include "trace-read.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define PROGRAM_BYTES_MAX 65536u

/* How far a file has been read. */
struct reader {
	struct cmd_recording *r;
	const char *name;
	size_t at;
	char *err;
	size_t err_bytes;
};

static bool complain(struct reader *in, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static bool complain(struct reader *in, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(in->err, in->err_bytes, format, ap);
	va_end(ap);
	return false;
}

static bool damaged(struct reader *in, const char *what)
{
	return complain(in, "'%s' is damaged at byte %zu: %s; 'extmem dump trace' shows what is before",
			in->name, in->at, what);
}

/* Room for one more in an array of things; NULL without memory. */
static void *grow(void *array, size_t count, size_t *room, size_t bytes)
{
	if (count < *room)
		return array;
	size_t more = *room ? *room * 2 : 16;
	array = reallocarray(array, more, bytes);
	if (array)
		*room = more;
	return array;
}

/* ---- records ----------------------------------------------------------- */

/* A block that is open. */
struct cursor {
	struct em_trace_cursor records;
	uint32_t program;
	size_t block;
};

static void open_block(struct cursor *c, const struct cmd_recording *r, size_t block)
{
	const struct cmd_block *b = &r->blocks[block];
	struct em_trace_block head = { .start_ns = b->start_ns, .tid = b->tid, .count = b->count };

	c->program = b->program;
	c->block = block;
	em_trace_open(&c->records, &r->programs[b->program], &head, r->bytes + b->offset,
		      (uint32_t)b->bytes);
}

/* ---- parts ------------------------------------------------------------- */

static void make_printable(char *text, size_t bytes)
{
	text[bytes - 1] = '\0';
	for (; *text; text++)
		if (*text < 0x20 || *text >= 0x7f || *text == '"' || *text == '\\')
			*text = '?';
}

static bool read_program(struct reader *in, uint32_t bytes)
{
	struct cmd_recording *r = in->r;
	struct em_trace_program p, *all;

	if (bytes < sizeof(p) || bytes > PROGRAM_BYTES_MAX)
		return damaged(in, "a program's part has a wrong length");
	if (r->cut)
		return true;
	memcpy(&p, r->bytes + in->at, sizeof(p));
	if (p.version != EM_TRACE_VERSION)
		return complain(in, "'%s' has version %u of the format, and this extmem reads version %u: use the one that recorded it",
				in->name, p.version, EM_TRACE_VERSION);
	if (!em_trace_program_is_good(&p) ||
	    (r->program_count && p.start_mono_ns < r->programs[0].start_mono_ns))
		return damaged(in, "a program's pages, addresses or times make no sense");
	make_printable(p.command, sizeof(p.command));
	make_printable(p.algorithm, sizeof(p.algorithm));
	all = grow(r->programs, r->program_count, &r->program_room, sizeof(p));
	if (!all)
		return complain(in, "no memory to read '%s'", in->name);
	r->programs = all;
	r->programs[r->program_count++] = p;
	return true;
}

/* Checks the records of the last block, of which `missing` bytes are. */
static bool check_block(struct reader *in, size_t missing)
{
	struct cmd_recording *r = in->r;
	struct cmd_block *b = &r->blocks[r->block_count - 1];
	struct cursor c;

	open_block(&c, r, r->block_count - 1);
	while (em_trace_next(&c.records))
		;
	uint32_t good = b->count - c.records.left;
	bool is_good = c.records.at == c.records.end && (missing || !c.records.left);
	r->lost = is_good ? c.records.left : 0;
	r->faults += good;
	b->count = good;
	if (!good)
		r->block_count--;
	return is_good || damaged(in, "the records of a block make no sense");
}

static bool read_block(struct reader *in, uint32_t bytes, size_t there)
{
	struct cmd_recording *r = in->r;
	struct em_trace_block head;
	struct cmd_block *all;

	if (bytes <= sizeof(head) || bytes > EM_TRACE_BLOCK_MAX)
		return damaged(in, "a block has a wrong length");
	if (there <= sizeof(head))
		return true; /* cut: not one record of it is there */
	memcpy(&head, r->bytes + in->at, sizeof(head));
	if (!head.count || head.start_ns < r->programs[r->program_count - 1].start_mono_ns)
		return damaged(in, "a block is empty, or before its program's start");
	all = grow(r->blocks, r->block_count, &r->block_room, sizeof(*all));
	if (!all)
		return complain(in, "no memory to read '%s'", in->name);
	r->blocks = all;
	r->blocks[r->block_count++] = (struct cmd_block){
		.offset = in->at + sizeof(head), .bytes = there - sizeof(head),
		.start_ns = head.start_ns, .program = (uint32_t)r->program_count - 1,
		.tid = head.tid, .count = head.count,
	};
	return check_block(in, bytes - there);
}

/* One part; what is cut is the last one. */
static bool read_part(struct reader *in)
{
	struct cmd_recording *r = in->r;
	const unsigned char *part = r->bytes + in->at;
	size_t left = r->size - in->at;
	uint32_t bytes = 0;

	r->cut = true;
	if (left < EM_TRACE_MAGIC_BYTES + sizeof(bytes)) {
		in->at += left;
		return true;
	}
	memcpy(&bytes, part + EM_TRACE_MAGIC_BYTES, sizeof(bytes));
	r->cut = left < bytes;
	if (!memcmp(part, EM_TRACE_MAGIC, EM_TRACE_MAGIC_BYTES)) {
		if (!read_program(in, bytes))
			return false;
	} else if (memcmp(part, EM_TRACE_BLOCK_MAGIC, EM_TRACE_MAGIC_BYTES)) {
		return damaged(in, "neither a program nor a block begins there");
	} else if (!read_block(in, bytes, r->cut ? left : bytes)) {
		return false;
	}
	in->at += r->cut ? left : bytes;
	return true;
}

static int compare_blocks(const void *a, const void *b)
{
	const struct cmd_block *x = a, *y = b;

	if (x->program != y->program)
		return x->program < y->program ? -1 : 1;
	if (x->start_ns != y->start_ns)
		return x->start_ns < y->start_ns ? -1 : 1;
	return x->offset < y->offset ? -1 : 1;
}

bool cmd_is_recording(const void *head, size_t bytes)
{
	return bytes >= EM_TRACE_MAGIC_BYTES && !memcmp(head, EM_TRACE_MAGIC, EM_TRACE_MAGIC_BYTES);
}

static bool parse(struct reader *in)
{
	struct cmd_recording *r = in->r;

	if (!r->size)
		return complain(in, "'%s' is empty: no managed process has started; see extmem-run(1), --trace",
				in->name);
	if (!cmd_is_recording(r->bytes, r->size))
		return complain(in, "'%s' is no trace: expected what 'extmem run --trace' records",
				in->name);
	while (in->at < r->size) {
		if (!read_part(in))
			return false;
		if (!r->program_count)
			return complain(in, "'%s' is cut in its first part: there is nothing in it",
					in->name);
	}
	return true;
}

bool cmd_recording_parse(struct cmd_recording *r, unsigned char *bytes, size_t size,
			 const char *name, char *err, size_t err_bytes)
{
	struct reader in = { .r = r, .name = name, .err = err, .err_bytes = err_bytes };
	bool good;

	*r = (struct cmd_recording){ .bytes = bytes, .size = size };
	good = parse(&in);
	if (r->block_count)
		qsort(r->blocks, r->block_count, sizeof(*r->blocks), compare_blocks);
	return good;
}

bool cmd_recording_read(struct cmd_recording *r, FILE *f, const char *name, char *err,
			size_t err_bytes)
{
	size_t size = 0, room = 0, n;
	unsigned char *bytes = NULL, *more;

	*r = (struct cmd_recording){ .size = 0 };
	do {
		more = size < room ? bytes : realloc(bytes, room = room ? room * 2 : 1 << 16);
		if (!more) {
			free(bytes);
			snprintf(err, err_bytes, "no memory to read '%s'", name);
			return false;
		}
		bytes = more;
		n = fread(bytes + size, 1, room - size, f);
		size += n;
	} while (n);
	if (ferror(f)) {
		snprintf(err, err_bytes, "cannot read '%s': %s", name, strerror(errno));
		free(bytes);
		return false;
	}
	return cmd_recording_parse(r, bytes, size, name, err, err_bytes);
}

/* One that ends before the end can be replayed up to there. */
static bool can_be_read(const char *path, char *err, size_t err_bytes)
{
	struct cmd_recording r = { .size = 0 };
	struct stat st;
	FILE *f = NULL;
	bool good = false;

	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
		snprintf(err, err_bytes, "cannot replay '%s': it is no ordinary file", path);
	else if (!(f = fopen(path, "re")))
		snprintf(err, err_bytes, "cannot open '%s': %s", path, strerror(errno));
	else
		good = cmd_recording_read(&r, f, path, err, err_bytes);
	if (f)
		fclose(f);
	cmd_recording_free(&r);
	return good;
}

bool cmd_recording_resolve(char *path, size_t path_bytes, char *err, size_t err_bytes)
{
	char whole[PATH_MAX];

	if (!can_be_read(path, err, err_bytes))
		return false;
	if (realpath(path, whole) && strlen(whole) < path_bytes) {
		memset(path, 0, path_bytes);
		strcpy(path, whole);
		return true;
	}
	snprintf(err, err_bytes, "the path of '%s' is too long; move it", path);
	return false;
}

void cmd_recording_free(struct cmd_recording *r)
{
	free(r->bytes);
	free(r->programs);
	free(r->blocks);
	*r = (struct cmd_recording){ .size = 0 };
}

/* ---- in order of time: a heap of blocks that are open ------------------- */

struct heap {
	struct cursor *list;
	size_t count, room;
};

static bool is_before(const struct cursor *a, const struct cursor *b)
{
	if (a->records.time_ns != b->records.time_ns)
		return a->records.time_ns < b->records.time_ns;
	return a->block < b->block;
}

static bool push(struct heap *h, struct cursor c)
{
	struct cursor *list = grow(h->list, h->count, &h->room, sizeof(c));
	size_t i = h->count;

	if (!list)
		return false;
	h->list = list;
	for (; i && is_before(&c, &list[(i - 1) / 2]); i = (i - 1) / 2)
		list[i] = list[(i - 1) / 2];
	list[i] = c;
	h->count++;
	return true;
}

/* Puts c in the place of the top, and what is before it above it. */
static void sink(struct heap *h, struct cursor c)
{
	size_t i = 0, k;

	while ((k = 2 * i + 1) < h->count) {
		if (k + 1 < h->count && is_before(&h->list[k + 1], &h->list[k]))
			k++;
		if (!is_before(&h->list[k], &c))
			break;
		h->list[i] = h->list[k];
		i = k;
	}
	h->list[i] = c;
}

/* Takes the earliest fault of those that are open, and goes on in its block. */
static struct cmd_fault take(struct heap *h, const struct cmd_recording *r)
{
	struct cursor c = h->list[0];
	struct cmd_fault f = {
		.time_ns = c.records.time_ns - r->programs[0].start_mono_ns,
		.page = c.records.page, .program = c.program, .tid = c.records.tid,
		.kind = c.records.kind, .write = c.records.write,
	};

	if (!em_trace_next(&c.records))
		c = h->list[--h->count];
	if (h->count)
		sink(h, c);
	return f;
}

/* Whether a block must be opened before the next fault is known. */
static bool is_due(const struct heap *h, const struct cmd_block *b)
{
	return !h->count || (b->program == h->list[0].program &&
			     b->start_ns <= h->list[0].records.time_ns);
}

bool cmd_recording_visit(const struct cmd_recording *r,
			 bool (*visit)(void *arg, const struct cmd_fault *f), void *arg)
{
	struct heap h = { .list = NULL };
	bool good = true;

	for (size_t i = 0; good && (i < r->block_count || h.count);) {
		struct cursor c;

		if (i < r->block_count && is_due(&h, &r->blocks[i])) {
			open_block(&c, r, i++);
			em_trace_next(&c.records);
			good = push(&h, c);
			continue;
		}
		struct cmd_fault f = take(&h, r);
		good = visit(arg, &f);
	}
	free(h.list);
	return good;
}

const char *cmd_fault_kind(enum em_trace_kind kind)
{
	static const char *const names[EM_TRACE_KINDS] = {
		[EM_TRACE_FIRST] = "first",
		[EM_TRACE_SOFT] = "soft",
		[EM_TRACE_MAJOR] = "major",
		[EM_TRACE_CLEAN] = "clean",
		[EM_TRACE_RACED] = "raced",
	};

	return names[kind];
}
