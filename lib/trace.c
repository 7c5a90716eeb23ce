/* SPDX-License-Identifier: MIT */
#include "trace.h"
#include "arch.h"
#include "config.h"
#include "lock.h"
#include "log.h"
#include "page.h"
#include "stats.h"
#include "sys.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>

#define EM_TRACE_BUFFER_BYTES 8192u
/* A change of thread, a page and a time. */
#define EM_TRACE_RECORD_MAX (3 * EM_TRACE_VARINT_MAX)

struct em_trace_buffer {
	struct em_lock lock;
	uint32_t used;        /* bytes, behind the head */
	uint32_t tid;         /* of the last record, its page and its time */
	uint64_t page, time_ns;
	struct em_trace_block head;
	unsigned char records[EM_TRACE_BUFFER_BYTES - 64];
};

/* What a prefetcher can follow: pages that were away. */
#define EM_TRACE_AWAY (1u << EM_TRACE_SOFT | 1u << EM_TRACE_MAJOR)
#define EM_TRACE_ALL ((1u << EM_TRACE_KINDS) - 1)

_Atomic uint32_t em_trace_kinds;

static struct {
	char name[EM_CONFIG_PATH_MAX];     /* as the environment has it */
	uint32_t kinds;
	char path[EM_CONFIG_PATH_MAX + 16];
	int fd;
	uint32_t pid;            /* who records */
} trace;

/* ---- the file ---------------------------------------------------------- */

static const char *reason(long error)
{
	switch (error) {
	case -ENOSPC:
	case -EDQUOT: return "the disk is full";
	case -EFBIG: return "a file may not be larger";
	case -ENOMEM: return "there is no memory for a buffer";
	case -ENOENT: return "its folder is not there";
	case -EACCES:
	case -EPERM:
	case -EROFS: return "it is not permitted";
	default: return "the kernel refuses it";
	}
}

static void stop(long error)
{
	if (atomic_exchange(&em_trace_kinds, 0))
		em_log("cannot write the trace '%s': %s (error %d); it ends here, the program goes on",
		       trace.path, reason(error), (int)-error);
}

/* A file larger than the program may make (RLIMIT_FSIZE) is a signal, too. */
static void take_back_signal(void)
{
	uint64_t xfsz = 1ull << (SIGXFSZ - 1);
	struct timespec now = { 0, 0 };

	em_syscall(SYS_rt_sigtimedwait, (long)&xfsz, 0, (long)&now, sizeof(xfsz), 0, 0);
}

/*
 * pwrite of a file that is appended to appends, whatever the offset; and it is
 * what a program's own filter lets through (sandbox.c). Half a part is written
 * only where the other half will be refused. Signals are blocked.
 */
static void append(const void *part, size_t bytes)
{
	size_t done = 0;
	long n;

	do {
		n = em_sys_pwrite(trace.fd, (const char *)part + done, bytes - done, 0);
		done += n > 0 ? (size_t)n : 0;
	} while (done < bytes && (n > 0 || n == -EINTR));
	if (n == -EFBIG)
		take_back_signal();
	if (done < bytes)
		stop(n < 0 ? n : -ENOSPC);
}

/* The time at which this process was made, in ticks: field 22. Exec keeps it. */
static uint64_t process_start(void)
{
	char text[512], *at;
	uint64_t ticks = 0;
	long n = em_sys_read_path("/proc/self/stat", 0, text, sizeof(text) - 1);

	text[n > 0 ? n : 0] = '\0';
	at = strrchr(text, ')'); /* the name may have anything in it */
	for (int field = 2; at && field < 22; field++)
		at = strchr(at + 1, ' ');
	for (; at && at[1] >= '0' && at[1] <= '9'; at++)
		ticks = ticks * 10 + (uint64_t)(at[1] - '0');
	return ticks;
}

static void describe(struct em_trace_program *p)
{
	*p = (struct em_trace_program){
		.magic = EM_TRACE_MAGIC,
		.bytes = sizeof(*p),
		.version = EM_TRACE_VERSION,
		.pid = em_segment->pid,
		.page_bytes = EM_PAGE_BYTES,
		.granule_bytes = (uint32_t)(EM_PAGE_BYTES << em_granule_shift()),
		.window_base = em_segment->window_base,
		.window_bytes = em_segment->window_bytes,
		.limit_bytes = atomic_load(&em_segment->limit_pages) << EM_PAGE_SHIFT,
		.start_ns = em_segment->start_ns,
		.start_mono_ns = em_segment->start_mono_ns,
		.process_start = process_start(),
	};
	snprintf(p->command, sizeof(p->command), "%.15s", em_segment->command);
	snprintf(p->algorithm, sizeof(p->algorithm), "%.15s", em_segment->algorithm);
}

/*
 * Whether this process records into the file: it is new, or it is ours from
 * before an exec. One of an earlier run, whose pid we have again, is emptied.
 */
static bool claim(int fd, const struct em_trace_program *p, bool every)
{
	struct em_trace_program first = { .pid = 0 };
	long n = em_sys_pread(fd, &first, sizeof(first), 0);

	if (n <= 0 || (first.pid == p->pid && first.process_start == p->process_start))
		return n >= 0;
	return every && em_syscall(SYS_ftruncate, fd, 0, 0, 0, 0, 0) == 0;
}

static void open_file(void)
{
	const char *pid = strstr(trace.name, "%p");
	struct em_trace_program p;
	sigset_t old;
	long fd;

	describe(&p);
	if (pid)
		snprintf(trace.path, sizeof(trace.path), "%.*s%u%s",
			 (int)(pid - trace.name), trace.name, p.pid, pid + 2);
	else
		snprintf(trace.path, sizeof(trace.path), "%s", trace.name);
	fd = em_syscall(SYS_openat, AT_FDCWD, (long)trace.path,
			O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644, 0, 0);
	if (fd >= 0 && !claim((int)fd, &p, pid)) {
		em_syscall(SYS_close, fd, 0, 0, 0, 0, 0);
		return;
	}
	trace.pid = p.pid;
	atomic_store(&em_trace_kinds, trace.kinds);
	if (fd < 0) {
		stop(fd);
		return;
	}
	trace.fd = em_sys_raise_fd((int)fd);
	em_sys_block_signals(&old);
	append(&p, sizeof(p));
	em_sys_restore_signals(&old);
}

void em_trace_start(const char *all, const char *record)
{
	const char *name = record ? record : all;

	if (!name || !*name || strlen(name) >= sizeof(trace.name))
		return;
	strcpy(trace.name, name);
	trace.kinds = record ? EM_TRACE_AWAY : EM_TRACE_ALL;
	trace.fd = -1;
	open_file();
}

/* ---- records ----------------------------------------------------------- */

static void put_varint(struct em_trace_buffer *b, uint64_t v)
{
	for (; v >= 0x80; v >>= 7)
		b->records[b->used++] = (unsigned char)(v | 0x80);
	b->records[b->used++] = (unsigned char)v;
}

static void put_fault(struct em_trace_buffer *b, uint64_t page, unsigned int tag,
		      uint64_t time_ns)
{
	int64_t step = (int64_t)(page - b->page);
	uint64_t zigzag = (uint64_t)step << 1 ^ (uint64_t)(step >> 63);

	put_varint(b, zigzag << EM_TRACE_TAG_BITS | tag);
	put_varint(b, time_ns > b->time_ns ? time_ns - b->time_ns : 0);
	b->page = page;
	b->time_ns = em_max(time_ns, b->time_ns);
	b->head.count++;
}

static void begin_block(struct em_trace_buffer *b, uint32_t tid, uint64_t time_ns)
{
	b->head = (struct em_trace_block){
		.magic = EM_TRACE_BLOCK_MAGIC, .start_ns = time_ns, .tid = tid,
	};
	b->used = 0;
	b->page = 0;
	b->time_ns = time_ns;
	b->tid = tid;
}

/* The lock is held. */
static void write_block(struct em_trace_buffer *b)
{
	b->head.bytes = (uint32_t)sizeof(b->head) + b->used;
	append(&b->head, b->head.bytes);
	b->head.count = 0;
}

static struct em_trace_buffer *buffer_of(struct em_thread *t)
{
	_Static_assert(sizeof(struct em_trace_buffer) <= EM_TRACE_BUFFER_BYTES, "two pages");
	_Static_assert(offsetof(struct em_trace_buffer, records) ==
		       offsetof(struct em_trace_buffer, head) + sizeof(struct em_trace_block),
		       "head and records are one write");
	struct em_trace_buffer *b = atomic_load(&t->trace);

	if (em_likely(b != NULL))
		return b;
	b = em_sys_alloc(sizeof(*b));
	if (!b) {
		stop(-ENOMEM);
		return NULL;
	}
	b->lock = (struct em_lock)EM_LOCK_INIT(EM_LOCK_TRACE);
	atomic_store(&t->trace, b); /* whoever writes all may look for it now */
	return b;
}

void em_trace_record(struct em_thread *self, struct em_thread *client, uint64_t page,
		     enum em_trace_kind kind, bool write, uint64_t time_ns)
{
	struct em_trace_buffer *b = buffer_of(client ? client : self);
	uint32_t tid = client ? (uint32_t)client->tid : 0;

	if (!b)
		return;
	em_lock(&b->lock);
	if (b->head.count && b->used + EM_TRACE_RECORD_MAX > sizeof(b->records))
		write_block(b);
	if (!b->head.count)
		begin_block(b, tid, time_ns);
	if (tid != b->tid)
		put_varint(b, (uint64_t)tid << EM_TRACE_TAG_BITS | EM_TRACE_THREAD);
	b->tid = tid;
	put_fault(b, page, kind | (write ? EM_TRACE_WRITE : 0), time_ns);
	em_unlock(&b->lock);
}

/* ---- the end ----------------------------------------------------------- */

static void write_rest(struct em_thread *t, void *arg)
{
	struct em_trace_buffer *b = atomic_load(&t->trace);
	sigset_t old;

	(void)arg;
	if (!b)
		return;
	em_lock_enter(&b->lock, &old);
	if (b->head.count)
		write_block(b);
	em_lock_leave(&b->lock, &old);
}

/* A child of vfork has our memory, and must not hold our locks: it may be killed. */
static bool is_recorder(void)
{
	return (uint32_t)em_syscall(SYS_getpid, 0, 0, 0, 0, 0, 0) == trace.pid;
}

void em_trace_flush(void)
{
	if (em_unlikely(atomic_load(&em_trace_kinds)) && is_recorder())
		em_threads_visit(write_rest, NULL);
}

/* What a thread records while this goes on is in the trace or not. */
void em_trace_end(void)
{
	if (!atomic_load(&em_trace_kinds) || !is_recorder())
		return;
	em_trace_flush();
	atomic_store(&em_trace_kinds, 0);
}

/* What is in the buffers is the parent's, and so may their locks be. */
static void forget(struct em_thread *t, void *arg)
{
	struct em_trace_buffer *b = atomic_load(&t->trace);

	(void)arg;
	if (!b)
		return;
	b->lock = (struct em_lock)EM_LOCK_INIT(EM_LOCK_TRACE);
	b->head.count = 0;
}

void em_trace_forked(void)
{
	if (!trace.name[0])
		return;
	atomic_store(&em_trace_kinds, 0);
	em_threads_visit(forget, NULL);
	if (trace.fd >= 0)
		em_sys_close(trace.fd);
	trace.fd = -1;
	if (strstr(trace.name, "%p"))
		open_file();
}
