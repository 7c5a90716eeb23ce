/* SPDX-License-Identifier: MIT
 *
 * Any bytes at all to the library's reader of what is to be replayed: what it takes
 * can be followed to its end, and from any page of it. The kernel is libc here.
 */
#include "arch.h"
#include "fuzz.h"
#include "prefetchers/prefetchers.h"
#include "prefetchers/sequence.h"
#include "sys.h"
#include "trace-load.h"
#include "window.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define WINDOW_PAGES (1u << 20)

size_t em_window_size = (size_t)WINDOW_PAGES << EM_PAGE_SHIFT;

void *em_sys_alloc(size_t bytes) { return calloc(1, bytes); }
void em_sys_dealloc(void *p, size_t bytes) { (void)bytes; free(p); }
int em_sys_close(int fd) { return close(fd) ? -errno : 0; }

long em_sys_pread(int fd, void *buf, size_t bytes, uint64_t offset)
{
	long n = pread(fd, buf, bytes, (off_t)offset);

	return n < 0 ? -errno : n;
}

long em_syscall(long nr, long a, long b, long c, long d, long e, long f)
{
	long ret = syscall(nr, a, b, c, d, e, f);

	return ret < 0 ? -errno : ret;
}

/* Links lead onwards, pages are in the window, and the last place is no page. */
static void check(const struct em_sequence *s)
{
	if (s->count < 3 || s->count > s->room || s->pages[s->count - 1] != EM_SEQUENCE_LINK)
		abort();
	for (uint32_t i = 1; i < s->count; i++) {
		uint32_t v = s->pages[i], to = v & ~EM_SEQUENCE_LINK;
		if (v & EM_SEQUENCE_LINK ? to && (to <= i || to >= s->count) :
		    v >= WINDOW_PAGES || !s->same[i] || s->same[i] >= s->count ||
		    s->pages[s->same[i]] != v)
			abort();
	}
}

static void follow(struct em_sequence *s, uint32_t step)
{
	_Alignas(8) unsigned char thread[EXTMEM_GUESS_THREAD_BYTES] = { 0 };
	struct extmem_prefetch p = { .ops = &em_prefetch_replay, .state = s };
	struct extmem_guess out[EXTMEM_GUESSES_MAX];

	for (uint32_t i = 1; i < s->count; i += step) {
		size_t n = p.ops->guess(&p, thread, s->pages[i] & ~EM_SEQUENCE_LINK, 1 + i % 32,
					out);
		if (n > EXTMEM_GUESSES_MAX)
			abort();
		for (size_t k = 0; k < n; k++)
			if (out[k].page >= WINDOW_PAGES || !out[k].pages ||
			    out[k].pages > EXTMEM_GUESS_PAGES_MAX)
				abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int fd = -1;
	struct em_recorded r;
	char path[64], err[512] = "";

	if (fd < 0 && (fd = memfd_create("fuzz", MFD_CLOEXEC)) < 0)
		abort();
	if (ftruncate(fd, 0) || pwrite(fd, data, size, 0) != (ssize_t)size)
		abort();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	int ret = em_trace_load(path, "made", &r, err, sizeof(err));
	if ((ret == 0) == !!err[0] || (ret == 0) != !!r.sequence)
		abort();
	if (ret < 0)
		return 0;
	check(r.sequence);
	follow(r.sequence, 1);
	follow(r.sequence, 7);
	em_trace_unload(&r);
	return 0;
}
