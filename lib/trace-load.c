/* SPDX-License-Identifier: MIT */
#include "trace-load.h"
#include "arch.h"
#include "prefetchers/sequence.h"
#include "sys.h"
#include "trace-read.h"
#include "window.h"
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define EM_PLACES_MAX (4u << 20)
#define EM_FILE_MAX (1ull << 30)

/* Too large for a stack. */
struct work {
	struct em_sequence_ends ends;
	unsigned char records[EM_TRACE_BLOCK_MAX];
};

struct reader {
	const char *path, *command;
	char *err;
	size_t err_bytes;
	int fd;
	uint64_t at, size;
	bool any, ours;              /* a program has begun, and one of that name */
	struct em_trace_program program;
	uint64_t places;             /* counted, before there is a sequence */
	struct em_sequence *sequence; /* NULL: what it needs is still being counted */
	struct work *work;
	bool full;
};

static _Atomic bool settled;

void em_trace_load_settle(void)
{
	atomic_store(&settled, true);
}

static int refuse(const struct reader *in, int error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static int refuse(const struct reader *in, int error, const char *format, ...)
{
	int n = snprintf(in->err, in->err_bytes, "the recording '%s' ", in->path);
	va_list ap;

	va_start(ap, format);
	if (n >= 0 && (size_t)n < in->err_bytes)
		vsnprintf(in->err + n, in->err_bytes - (size_t)n, format, ap);
	va_end(ap);
	return error;
}

static int damaged(const struct reader *in)
{
	return refuse(in, -EBADMSG, "is damaged at byte %llu: record it anew",
		      (unsigned long long)in->at);
}

/* ---- parts --------------------------------------------------------------- */

static int take_program(struct reader *in, const struct em_trace_program *p, long there)
{
	if (there < (long)sizeof(*p)) { /* cut */
		in->at = in->size;
		return 0;
	}
	if (p->bytes < sizeof(*p))
		return damaged(in);
	if (p->version != EM_TRACE_VERSION || p->page_bytes != EM_PAGE_BYTES)
		return refuse(in, -EINVAL, "is of another version of extmem: record it anew");
	if (!em_trace_program_is_good(p))
		return damaged(in);
	in->any = true;
	in->ours = !strncmp(p->command, in->command, sizeof(p->command));
	in->program = *p;
	in->at += p->bytes;
	return 0;
}

static int add_faults(struct reader *in, const struct em_trace_block *head)
{
	uint64_t pages = em_window_bytes() >> EM_PAGE_SHIFT;
	size_t bytes = head->bytes - sizeof(*head);
	long n = em_sys_pread(in->fd, in->work->records, bytes, in->at + sizeof(*head));
	struct em_trace_cursor c;

	if (n < 0)
		return refuse(in, (int)n, "cannot be read: error %d", (int)-n);
	em_trace_open(&c, &in->program, head, in->work->records, (uint32_t)n);
	while (!in->full && em_trace_next(&c))
		if (c.page < pages && (c.kind == EM_TRACE_SOFT || c.kind == EM_TRACE_MAJOR))
			in->full = !em_sequence_add(in->sequence, &in->work->ends, c.tid,
						    (uint32_t)c.page);
	if (!in->full && (size_t)n == bytes && (c.at != c.end || c.left))
		return damaged(in);
	return 0;
}

static int take_block(struct reader *in, const struct em_trace_block *head, long there)
{
	int ret = 0;

	if (there <= (long)sizeof(*head)) { /* cut */
		in->at = in->size;
		return 0;
	}
	/* A fault takes two bytes or more. */
	if (!in->any || head->bytes <= sizeof(*head) || head->bytes > EM_TRACE_BLOCK_MAX ||
	    head->count > head->bytes)
		return damaged(in);
	if (in->ours && in->sequence)
		ret = add_faults(in, head);
	else if (in->ours)
		in->places += head->count + 1ull; /* and where the piece ends */
	in->at += ret == 0 ? head->bytes : 0;
	return ret;
}

static int take_part(struct reader *in)
{
	union {
		char magic[EM_TRACE_MAGIC_BYTES];
		struct em_trace_program program;
		struct em_trace_block block;
	} head = { .magic = "" };
	long n = em_sys_pread(in->fd, &head, sizeof(head), in->at);

	if (n < 0)
		return refuse(in, (int)n, "cannot be read: error %d", (int)-n);
	if (!memcmp(head.magic, EM_TRACE_MAGIC, sizeof(head.magic)))
		return take_program(in, &head.program, n);
	if (!memcmp(head.magic, EM_TRACE_BLOCK_MAGIC, sizeof(head.magic)))
		return take_block(in, &head.block, n);
	if (!in->at)
		return refuse(in, -EINVAL, "is none: expected what 'extmem run --record' leaves");
	if (n >= (long)sizeof(head.magic))
		return damaged(in);
	in->at = in->size; /* cut */
	return 0;
}

/* From the beginning, until there is more than there is room for. */
static int take_parts(struct reader *in)
{
	int ret = 0;

	in->at = 0;
	while (ret == 0 && in->at < in->size && !in->full && in->places < EM_PLACES_MAX)
		ret = take_part(in);
	return ret;
}

/* ---- the file ------------------------------------------------------------ */

static int open_file(struct reader *in)
{
	struct stat st;
	long fd;

	if (atomic_load(&settled))
		return refuse(in, -EPERM, "cannot be opened: the program has locked itself in by a filter (seccomp); start it with this policy");
	fd = em_syscall(SYS_openat, AT_FDCWD, (long)in->path,
			O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0, 0, 0);
	if (fd == -ENOENT)
		return refuse(in, -ENOENT, "is not there, as the program sees files");
	if (fd == -EACCES || fd == -EPERM)
		return refuse(in, (int)fd, "may not be read by the program");
	if (fd < 0)
		return refuse(in, (int)fd, "cannot be opened: error %d", (int)-fd);
	in->fd = (int)fd;
	if (em_syscall(SYS_fstat, fd, (long)&st, 0, 0, 0, 0) < 0 || !S_ISREG(st.st_mode))
		return refuse(in, -EINVAL, "is no ordinary file");
	in->size = em_min((uint64_t)st.st_size, EM_FILE_MAX);
	return 0;
}

static int nothing(const struct reader *in)
{
	return refuse(in, -ENODATA, "has no faults of a program '%s'", in->command);
}

static int fill(struct reader *in, struct em_recorded *out)
{
	uint32_t places = (uint32_t)em_min(in->places, EM_PLACES_MAX);
	int ret;

	out->bytes = em_sequence_bytes(places);
	in->work = em_sys_alloc(sizeof(*in->work));
	out->sequence = em_sys_alloc(out->bytes);
	if (!in->work || !out->sequence)
		return refuse(in, -ENOMEM, "needs %llu KiB that are not there",
			      (unsigned long long)(out->bytes + sizeof(*in->work)) >> 10);
	in->sequence = em_sequence_init(out->sequence, places);
	in->places = 0;
	ret = take_parts(in);
	em_sequence_end(in->sequence, &in->work->ends);
	return ret == 0 && in->sequence->count <= 1 ? nothing(in) : ret;
}

int em_trace_load(const char *path, const char *command, struct em_recorded *out, char *err,
		  size_t err_bytes)
{
	struct reader in = { .path = path, .command = command, .err = err,
			     .err_bytes = err_bytes, .fd = -1 };
	int ret = open_file(&in);

	*out = (struct em_recorded){ .sequence = NULL };
	if (ret == 0)
		ret = take_parts(&in);
	if (ret == 0)
		ret = in.places ? fill(&in, out) : nothing(&in);
	if (in.fd >= 0)
		em_sys_close(in.fd);
	if (in.work)
		em_sys_dealloc(in.work, sizeof(*in.work));
	if (ret < 0)
		em_trace_unload(out);
	return ret;
}

void em_trace_unload(struct em_recorded *r)
{
	if (r->sequence)
		em_sys_dealloc(r->sequence, r->bytes);
	*r = (struct em_recorded){ .sequence = NULL };
}
