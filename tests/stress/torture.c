/* SPDX-License-Identifier: MIT
 *
 * torture: everything that a program can do to a pager, all at once in one
 * process, for as long as told; then every page is checked.
 *
 *   torture --seconds S --seed N [--threads N] [--mb N] [--without GROUP]...
 *
 * Like verify it knows nothing of extmem, and must say the same with and
 * without it. What its steps have in common is that the memory they work on is
 * private and anonymous, and so much that most of it is away:
 *
 *   areas        verified patterns, areas.h
 *   desk         of each worker: where arguments of calls are laid out
 *   sync pages   of all: mutexes, conditions, semaphores and what they guard
 *   signal words of all: what handlers add to
 *
 * Two timers interrupt everything all the time, and their handlers touch pages
 * that are away. Threads come and go; processes are forked from several threads
 * at once, each child verifies what was its thread's.
 */
#define STRESS_NAME "torture"
#include "areas.h"
#include <dirent.h>
#include <getopt.h>
#include <poll.h>
#include <semaphore.h>
#include <setjmp.h>
#include <spawn.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/utsname.h>
#include <ucontext.h>

#define DESK_PAGES 256u
#define DESK_PARTS 8u
#define SYNC_PAGES 64u
#define SIGNAL_PAGES 256u
#define BLOCKS 256u          /* of malloc, a worker */
#define BLOCK_BYTES_MAX (96u << 10)
#define STACK_BYTES (64u << 10)
#define COROUTINES 4u

/* Each on a page of its own, so that each leaves by itself. */
struct sync_page {
	_Alignas(PAGE_BYTES) pthread_mutex_t mutex;
	pthread_cond_t changed;
	sem_t semaphore;
	pthread_rwlock_t rwlock;
	uint64_t by_mutex, by_semaphore, by_rwlock;
};

/* Numbers in order from one thread to another, through managed memory. */
struct mailbox {
	_Alignas(PAGE_BYTES) pthread_mutex_t mutex;
	pthread_cond_t filled, emptied;
	unsigned int count;
	_Alignas(PAGE_BYTES) uint64_t slots[8][PAGE_BYTES / 8];
};

struct block {
	unsigned char *p;
	size_t bytes;
	unsigned char tag;
};

/* What a worker has besides areas. */
struct bench {
	unsigned char *desk;
	unsigned int desk_part;
	sem_t *done;
	struct block blocks[BLOCKS];
	int sockets[3][2]; /* stream, datagram, seqpacket */
	int event_fd, epoll_fd;
	timer_t timer;
	ucontext_t contexts[COROUTINES + 1];
	unsigned char *stack;
};

static struct bench benches[THREADS_MAX];
static struct sync_page *sync_pages;
static atomic_uint sync_expected[SYNC_PAGES][3];
static struct mailbox *mailbox;
static _Atomic uint64_t *signal_words;
static atomic_ulong signals_seen;
static atomic_bool stopping;
static int bus_fd;

static _Thread_local sigjmp_buf jump;
static _Thread_local volatile sig_atomic_t jump_armed;
static _Thread_local void *volatile bus_expected;

static struct bench *bench_of(struct worker *w)
{
	return &benches[w->id];
}

static void need(bool condition, const char *what)
{
	if (!condition)
		fail("torture: not so: %s (errno: %s), after %.2f s, seed %" PRIu64 "\n", what,
		     strerror(errno), elapsed(), seed);
}

#define NEED(condition) need(condition, #condition)

/* Room for so many bytes, somewhere on the desk: most likely it is away. What
 * was given out just before is not overlapped. */
static void *desk(struct worker *w, size_t bytes)
{
	size_t part = bench_of(w)->desk_part++ % DESK_PARTS;
	size_t room = DESK_PAGES / DESK_PARTS * PAGE_BYTES;

	return bench_of(w)->desk + part * room + (below(w, room - bytes) & ~15ull);
}

static char *desk_string(struct worker *w, const char *s)
{
	return strcpy(desk(w, strlen(s) + 1), s);
}

static void touch_some(struct worker *w, unsigned int n)
{
	while (n--) {
		struct area *a = &w->areas[below(w, w->area_count)];
		touch(w, a, below(w, a->pages));
	}
}

/* ---- calls with arguments on the desk ------------------------------------ */

static void step_poll(struct worker *w)
{
	struct pollfd *p = desk(w, 3 * sizeof(*p));
	struct timespec *zero = desk(w, sizeof(*zero));
	int n;

	p[0] = (struct pollfd){ .fd = w->pipe_fds[0], .events = POLLIN };
	p[1] = (struct pollfd){ .fd = w->pipe_fds[1], .events = POLLOUT };
	p[2] = (struct pollfd){ .fd = -1, .revents = 77 };
	*zero = (struct timespec){ 0 };
	do {
		n = rnd(w) & 1 ? poll(p, 3, 0) : ppoll(p, 3, zero, NULL);
	} while (n < 0 && errno == EINTR);
	NEED(n == 1 && p[0].revents == 0 && p[1].revents == POLLOUT && p[2].revents == 0);
}

static void step_select(struct worker *w)
{
	fd_set *in = desk(w, sizeof(*in)), *out = desk(w, sizeof(*out));
	struct timeval none = { 0 };
	int n;

	if (w->pipe_fds[1] >= FD_SETSIZE)
		return;
	FD_ZERO(in);
	FD_ZERO(out);
	FD_SET(w->pipe_fds[0], in);
	FD_SET(w->pipe_fds[1], out);
	do {
		n = select(w->pipe_fds[1] + 1, in, out, NULL, &none);
	} while (n < 0 && errno == EINTR);
	NEED(n == 1 && FD_ISSET(w->pipe_fds[1], out) && !FD_ISSET(w->pipe_fds[0], in));
}

/* An event that is consumed and not delivered is lost: the sum would tell. */
static void step_events(struct worker *w)
{
	struct bench *b = bench_of(w);
	uint64_t *add = desk(w, 8), *got;
	struct epoll_event *events = desk(w, 8 * sizeof(*events));
	uint64_t value = 1 + below(w, 1000);
	int n;

	*add = value;
	NEED(write(b->event_fd, add, 8) == 8);
	do {
		n = epoll_wait(b->epoll_fd, events, 8, -1);
	} while (n < 0 && errno == EINTR);
	NEED(n == 1 && events[0].data.u64 == 4711 && events[0].events == EPOLLIN);
	got = desk(w, 8);
	NEED(read(b->event_fd, got, 8) == 8 && *got == value);
}

static void step_socket(struct worker *w)
{
	struct bench *b = bench_of(w);
	int kind = (int)below(w, 3), *fds = b->sockets[kind];
	size_t bytes = 1 + below(w, 8000), half = bytes / 2;
	unsigned char *from = desk(w, bytes), tag = (unsigned char)rnd(w);

	memset(from, tag, bytes);
	NEED(send(fds[0], from, bytes, 0) == (ssize_t)bytes);
	unsigned char *to = desk(w, bytes);
	memset(to, ~tag, bytes);
	if (rnd(w) & 1) {
		NEED(recv(fds[1], to, bytes, MSG_WAITALL) == (ssize_t)bytes);
	} else {
		struct iovec iov[2] = { { to, half }, { to + half, bytes - half } };
		struct msghdr m = { .msg_iov = iov, .msg_iovlen = 2 };
		NEED(recvmsg(fds[1], &m, MSG_WAITALL) == (ssize_t)bytes);
	}
	for (size_t i = 0; i < bytes; i++)
		NEED(to[i] == tag);
}

/* A message of which every part is managed, with a descriptor in it. */
static void step_message(struct worker *w)
{
	int *fds = bench_of(w)->sockets[1], passed;
	struct {
		struct msghdr m;
		struct iovec iov;
		_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))];
		char text[16];
	} *s = desk(w, sizeof(*s)), *r;

	memset(s, 0, sizeof(*s));
	strcpy(s->text, "descriptor");
	s->iov = (struct iovec){ s->text, sizeof(s->text) };
	s->m = (struct msghdr){ .msg_iov = &s->iov, .msg_iovlen = 1, .msg_control = s->control,
				.msg_controllen = sizeof(s->control) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&s->m);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &w->file_fd, sizeof(int));
	NEED(sendmsg(fds[0], &s->m, 0) == sizeof(s->text));
	r = desk(w, sizeof(*r));
	memset(r, 0, sizeof(*r));
	r->iov = (struct iovec){ r->text, sizeof(r->text) };
	r->m = (struct msghdr){ .msg_iov = &r->iov, .msg_iovlen = 1, .msg_control = r->control,
				.msg_controllen = sizeof(r->control) };
	NEED(recvmsg(fds[1], &r->m, MSG_CMSG_CLOEXEC) == sizeof(r->text));
	NEED(strcmp(r->text, "descriptor") == 0);
	c = CMSG_FIRSTHDR(&r->m);
	NEED(c && c->cmsg_type == SCM_RIGHTS);
	memcpy(&passed, CMSG_DATA(c), sizeof(int));
	NEED(close(passed) == 0);
}

/* libc makes these inside itself, or with structs of its own layout. */
static void step_libc(struct worker *w)
{
	struct stat *st = desk(w, sizeof(*st));
	struct timespec *now = desk(w, sizeof(*now));
	struct utsname *name = desk(w, sizeof(*name));
	char *path = desk_string(w, "/proc/self"), *text = desk(w, 4096);
	DIR *d;

	NEED(stat(path, st) == 0 && S_ISDIR(st->st_mode));
	NEED(readlink("/proc/self/exe", text, 4096) > 0 && text[0] == '/');
	NEED(getcwd(text, 4096) == text && text[0] == '/');
	NEED(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, now) == 0 && now->tv_sec >= began.tv_sec);
	NEED(uname(name) == 0 && strcmp(name->sysname, "Linux") == 0);
	NEED(syscall(SYS_getrandom, text, 256, 0) == 256);
	path = desk_string(w, "/proc/self/task");
	d = opendir(path);
	NEED(d && readdir(d));
	closedir(d);
	now->tv_sec = 0;
	now->tv_nsec = 1000;
	nanosleep(now, now);
}

static void step_getline(struct worker *w)
{
	FILE *f = tmpfile();
	char *line = malloc(16), *text = desk(w, 20000);
	size_t bytes = 16;

	NEED(f && line);
	memset(text, 'x', 19999);
	text[19999] = '\0';
	NEED(fprintf(f, "%s\n%d\n", text, 4711) == 20005);
	rewind(f);
	NEED(getline(&line, &bytes, f) == 20000 && line[0] == 'x' && line[19999] == '\n');
	NEED(getline(&line, &bytes, f) == 5 && atoi(line) == 4711);
	free(line);
	fclose(f);
}

/* A whole area, more than may be held at once, by one call. */
static void step_big_transfer(struct worker *w)
{
	struct area *a = &w->areas[below(w, w->area_count)];
	size_t bytes = a->pages * PAGE_BYTES;

	whole(pwrite(w->file_fd, a->base, bytes, 0), bytes, "pwrite of a whole area");
	memset(a->base, 0x5a, bytes);
	whole(pread(w->file_fd, a->base, bytes, 0), bytes, "pread of a whole area");
	NEED(ftruncate(w->file_fd, 0) == 0);
	pages_check(w, a, 0, a->pages, "pread of a whole area");
}

/* ---- synchronisation in managed memory ------------------------------------ */

/* Half of the time on the same four, so that threads meet. */
static void step_sync(struct worker *w)
{
	size_t n = below(w, rnd(w) & 1 ? 4 : SYNC_PAGES);
	struct sync_page *s = &sync_pages[n];

	switch (below(w, 4)) {
	case 0:
		pthread_mutex_lock(&s->mutex);
		s->by_mutex++;
		pthread_cond_broadcast(&s->changed);
		pthread_mutex_unlock(&s->mutex);
		atomic_fetch_add(&sync_expected[n][0], 1);
		break;
	case 1:
		while (sem_wait(&s->semaphore) != 0)
			NEED(errno == EINTR);
		s->by_semaphore++;
		NEED(sem_post(&s->semaphore) == 0);
		atomic_fetch_add(&sync_expected[n][1], 1);
		break;
	case 2:
		pthread_rwlock_wrlock(&s->rwlock);
		s->by_rwlock++;
		pthread_rwlock_unlock(&s->rwlock);
		atomic_fetch_add(&sync_expected[n][2], 1);
		break;
	default: {
		struct timespec *until = desk(w, sizeof(*until));
		clock_gettime(CLOCK_REALTIME, until);
		until->tv_nsec += 500000;
		if (until->tv_nsec >= 1000000000) {
			until->tv_sec++;
			until->tv_nsec -= 1000000000;
		}
		pthread_mutex_lock(&s->mutex);
		int ret = pthread_cond_timedwait(&s->changed, &s->mutex, until);
		pthread_mutex_unlock(&s->mutex);
		NEED(ret == 0 || ret == ETIMEDOUT);
	}
	}
}

static void sync_verify(void)
{
	for (size_t n = 0; n < SYNC_PAGES; n++) {
		NEED(sync_pages[n].by_mutex == sync_expected[n][0]);
		NEED(sync_pages[n].by_semaphore == sync_expected[n][1]);
		NEED(sync_pages[n].by_rwlock == sync_expected[n][2]);
	}
}

static void sync_open(void)
{
	sync_pages = map(NULL, SYNC_PAGES * sizeof(*sync_pages), 0);
	for (size_t n = 0; n < SYNC_PAGES; n++) {
		pthread_mutex_init(&sync_pages[n].mutex, NULL);
		pthread_cond_init(&sync_pages[n].changed, NULL);
		sem_init(&sync_pages[n].semaphore, 0, 1);
		pthread_rwlock_init(&sync_pages[n].rwlock, NULL);
	}
	mailbox = map(NULL, sizeof(*mailbox), 0);
	pthread_mutex_init(&mailbox->mutex, NULL);
	pthread_cond_init(&mailbox->filled, NULL);
	pthread_cond_init(&mailbox->emptied, NULL);
}

static void *sender_main(void *arg)
{
	uint64_t next = 0;

	(void)arg;
	for (bool last = false; !last; next++) {
		last = stopping;
		pthread_mutex_lock(&mailbox->mutex);
		while (mailbox->count == 8)
			pthread_cond_wait(&mailbox->emptied, &mailbox->mutex);
		mailbox->slots[next % 8][next % (PAGE_BYTES / 8)] = last ? UINT64_MAX : next;
		mailbox->count++;
		pthread_cond_signal(&mailbox->filled);
		pthread_mutex_unlock(&mailbox->mutex);
		if (next % 64 == 0)
			usleep(20000); /* time for all of it to leave */
	}
	return NULL;
}

static void *receiver_main(void *arg)
{
	(void)arg;
	for (uint64_t next = 0;; next++) {
		pthread_mutex_lock(&mailbox->mutex);
		while (mailbox->count == 0)
			pthread_cond_wait(&mailbox->filled, &mailbox->mutex);
		uint64_t got = mailbox->slots[next % 8][next % (PAGE_BYTES / 8)];
		mailbox->count--;
		pthread_cond_signal(&mailbox->emptied);
		pthread_mutex_unlock(&mailbox->mutex);
		if (got == UINT64_MAX)
			return NULL;
		NEED(got == next);
	}
}

/* ---- signals --------------------------------------------------------------- */

static void on_timer(int sig)
{
	int saved = errno;
	/* Any thread, any moment: no state but atomics. */
	unsigned long n = atomic_fetch_add(&signals_seen, 1);

	(void)sig;
	atomic_fetch_add(&signal_words[mix(n) % (SIGNAL_PAGES * PAGE_BYTES / 8)], 1);
	errno = saved;
}

static void on_jump(int sig)
{
	(void)sig;
	if (jump_armed) {
		jump_armed = 0;
		siglongjmp(jump, 1);
	}
}

static void on_bus(int sig, siginfo_t *info, void *context)
{
	(void)context;
	if (sig != SIGBUS || !bus_expected || info->si_addr != bus_expected ||
	    info->si_code != BUS_ADRERR)
		fail("torture: SIGBUS code %d at %p, seed %" PRIu64 "\n", info->si_code,
		     info->si_addr, seed);
	bus_expected = NULL;
	siglongjmp(jump, 1);
}

static void handle(int sig, void (*handler)(int), int flags)
{
	struct sigaction sa = { .sa_handler = handler, .sa_flags = flags };

	sigaddset(&sa.sa_mask, SIGUSR1); /* a jump out of on_timer would lose a count */
	NEED(sigaction(sig, &sa, NULL) == 0);
}

static void every(int which, long microseconds)
{
	struct itimerval t = { { 0, microseconds }, { 0, microseconds } };

	NEED(setitimer(which, &t, NULL) == 0);
}

static void signals_open(void)
{
	struct sigaction bus = { .sa_sigaction = on_bus, .sa_flags = SA_SIGINFO };
	char name[] = "/var/tmp/torture-XXXXXX";

	signal_words = map(NULL, SIGNAL_PAGES * PAGE_BYTES, 0);
	handle(SIGALRM, on_timer, SA_RESTART);
	handle(SIGPROF, on_timer, SA_RESTART | SA_ONSTACK);
	handle(SIGUSR1, on_jump, 0);
	NEED(sigaction(SIGBUS, &bus, NULL) == 0);
	bus_fd = mkstemp(name);
	NEED(bus_fd >= 0 && unlink(name) == 0);
	every(ITIMER_REAL, 2999);
	every(ITIMER_PROF, 5003);
}

static void signals_verify(void)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < SIGNAL_PAGES * PAGE_BYTES / 8; i++)
		sum += signal_words[i];
	NEED(sum == signals_seen);
}

/* Pages are away, and not one signal may be delivered. */
static void step_masked(struct worker *w)
{
	sigset_t *all = desk(w, sizeof(*all)), before, shown;

	sigfillset(all);
	NEED(pthread_sigmask(SIG_SETMASK, all, &before) == 0);
	touch_some(w, 24);
	step_pipe(w);
	NEED(pthread_sigmask(SIG_SETMASK, &before, &shown) == 0);
	for (int sig = 1; sig < 32; sig++)
		NEED(sig == SIGKILL || sig == SIGSTOP || sigismember(&shown, sig) == 1);
	NEED(sigismember(&before, SIGBUS) == 0 && sigismember(&before, SIGSYS) == 0);
}

static void arm(struct worker *w, long nanoseconds)
{
	struct itimerspec *t = desk(w, sizeof(*t));

	*t = (struct itimerspec){ .it_value.tv_nsec = nanoseconds };
	jump_armed = 1;
	NEED(timer_settime(bench_of(w)->timer, 0, t, NULL) == 0);
}

/* A handler leaves by siglongjmp, out of plain accesses or out of a call. */
static void step_jump(struct worker *w)
{
	volatile unsigned char *d = bench_of(w)->desk;
	int *fds = bench_of(w)->sockets[0];

	if (sigsetjmp(jump, 1) == 0) {
		arm(w, 1000 + (long)below(w, 300000));
		if (rnd(w) & 1) {
			for (;;)
				d[below(w, DESK_PAGES * PAGE_BYTES)]++;
		} else {
			for (;;) /* nothing comes: it waits until it is jumped out of */
				NEED(read(fds[0], desk(w, 10000), 10000) < 0 && errno == EINTR);
		}
	}
	touch_some(w, 4);
}

/* A bus error that is the program's own: behind the end of a file. */
static void step_bus(struct worker *w)
{
	volatile unsigned char *p = mmap(NULL, 2 * PAGE_BYTES, PROT_READ | PROT_WRITE,
					 rnd(w) & 1 ? MAP_SHARED : MAP_PRIVATE, bus_fd, 0);

	NEED(p != MAP_FAILED);
	if (sigsetjmp(jump, 1) == 0) {
		bus_expected = (void *)(uintptr_t)(p + PAGE_BYTES);
		p[PAGE_BYTES] = 1;
		fail("torture: no SIGBUS behind the end of a file, seed %" PRIu64 "\n", seed);
	}
	munmap((void *)(uintptr_t)p, 2 * PAGE_BYTES);
}

/* ---- stacks ----------------------------------------------------------------- */

static _Thread_local struct worker *coroutine_worker;
static _Thread_local unsigned int coroutines_left;

/* Its pattern on its own stack must survive what the others do. */
static void coroutine(int self)
{
	struct worker *w = coroutine_worker;
	ucontext_t *c = bench_of(w)->contexts;
	volatile uint64_t local[256];

	for (unsigned int round = 0; round < 4; round++) {
		for (unsigned int i = 0; i < 256; i++)
			local[i] = mix((uint64_t)self << 32 | round << 16 | i);
		touch_some(w, 8);
		swapcontext(&c[self], &c[(self + 1) % (int)COROUTINES]);
		for (unsigned int i = 0; i < 256; i++)
			NEED(local[i] == mix((uint64_t)self << 32 | round << 16 | i));
	}
	if (--coroutines_left)
		setcontext(&c[(self + 1) % (int)COROUTINES]);
	setcontext(&c[COROUTINES]);
}

static void coroutine_open(ucontext_t *c, int self)
{
	NEED(getcontext(c) == 0);
	c->uc_stack.ss_sp = malloc(STACK_BYTES);
	c->uc_stack.ss_size = STACK_BYTES;
	NEED(c->uc_stack.ss_sp);
	makecontext(c, (void (*)(void))coroutine, 1, self);
}

/* On stacks from malloc, of which most is away when they are entered. */
static void step_coroutines(struct worker *w)
{
	ucontext_t *c = bench_of(w)->contexts;

	coroutine_worker = w;
	coroutines_left = COROUTINES;
	for (int i = 0; i < (int)COROUTINES; i++)
		coroutine_open(&c[i], i);
	touch_some(w, 64);
	NEED(swapcontext(&c[COROUTINES], &c[0]) == 0);
	for (int i = 0; i < (int)COROUTINES; i++)
		free(c[i].uc_stack.ss_sp);
}

static void *brief_main(void *arg)
{
	struct worker *w = arg;

	touch_some(w, 16);
	step_pipe(w);
	step_sync(w);
	step_masked(w);
	return w;
}

static void *detached_main(void *arg)
{
	touch_some(arg, 16);
	sem_post(bench_of(arg)->done);
	return NULL;
}

/* Threads that live briefly, on stacks of every kind; this one waits. */
static void step_thread(struct worker *w)
{
	pthread_attr_t attr;
	pthread_t thread;
	void *result;

	pthread_attr_init(&attr);
	switch (below(w, 4)) {
	case 0:
		break;
	case 1:
		NEED(pthread_attr_setstacksize(&attr, STACK_BYTES) == 0);
		break;
	case 2:
		NEED(pthread_attr_setstack(&attr, bench_of(w)->stack, STACK_BYTES) == 0);
		break;
	default: {
		sem_t *done = bench_of(w)->done;
		NEED(sem_init(done, 0, 0) == 0);
		pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
		NEED(pthread_create(&thread, &attr, detached_main, w) == 0);
		while (sem_wait(done) != 0)
			NEED(errno == EINTR);
		pthread_attr_destroy(&attr);
		return;
	}
	}
	NEED(pthread_create(&thread, &attr, brief_main, w) == 0);
	pthread_attr_destroy(&attr);
	NEED(pthread_join(thread, &result) == 0 && result == w);
}

/* ---- processes -------------------------------------------------------------- */

/* What is certain in a child: what was its thread's own. */
static void child_verify(struct worker *w, bool all)
{
	if (all)
		verify_own(w, w, "a read in a fork");
	else
		touch_some(w, 256);
	for (size_t i = 0; i < w->area_count; i += 2) {
		struct area *a = &w->areas[i];
		pages_write(w, a, 0, a->pages / 4);
		pages_check(w, a, 0, a->pages, "a read in a fork that wrote");
	}
}

static pid_t wait_for(pid_t pid, int *status)
{
	pid_t ret;

	do {
		ret = waitpid(pid, status, 0);
	} while (ret < 0 && errno == EINTR);
	return ret;
}

static pid_t fork_or_fail(void)
{
	pid_t pid = fork();

	if (pid < 0)
		fail_errno("fork");
	return pid;
}

static void ends_well(pid_t pid, const char *who)
{
	int status = 0;

	NEED(wait_for(pid, &status) == pid);
	if (status != 0)
		fail("torture: %s ended with status %#x, seed %" PRIu64 "\n", who,
		     (unsigned int)status, seed);
}

static void step_fork(struct worker *w)
{
	bool all = rnd(w) % 4 == 0;
	pid_t pid = fork_or_fail();

	if (pid == 0) {
		child_verify(w, all);
		if (rnd(w) & 1)
			step_thread(w);
		_exit(0);
	}
	for (int i = 0; i < 4; i++)
		step_random(w); /* the child must not see any of this */
	ends_well(pid, "a child");
}

/* The child ends first; its own child tells the end of it through a pipe. */
static void step_fork_nested(struct worker *w)
{
	int ends[2];
	char word[4] = "";

	NEED(pipe(ends) == 0);
	pid_t pid = fork_or_fail();
	if (pid == 0) {
		touch_some(w, 64);
		if (fork_or_fail() != 0)
			_exit(0);
		child_verify(w, false);
		NEED(write(ends[1], "ok", 2) == 2);
		_exit(0);
	}
	close(ends[1]);
	ends_well(pid, "a child that forked");
	step_random(w);
	NEED(read(ends[0], word, 2) == 2 && strcmp(word, "ok") == 0);
	close(ends[0]);
}

static void step_fork_killed(struct worker *w)
{
	int status = 0;
	pid_t pid = fork_or_fail();

	if (pid == 0)
		for (;;)
			child_verify(w, false);
	usleep((useconds_t)below(w, 20000));
	step_random(w);
	kill(pid, SIGKILL);
	NEED(wait_for(pid, &status) == pid && WIFSIGNALED(status) &&
	     WTERMSIG(status) == SIGKILL);
}

/* Programs that are started with strings that are away. */
static void step_spawn(struct worker *w)
{
	char **argv = desk(w, 4 * sizeof(*argv)), line[64] = "";
	char *path = desk_string(w, "/bin/true");
	FILE *f;
	pid_t pid;

	argv[0] = path;
	argv[1] = desk(w, 3000);
	memset(argv[1], 'a', 2999);
	argv[1][2999] = '\0';
	argv[2] = NULL;
	switch (below(w, 4)) {
	case 0:
		pid = vfork();
		if (pid == 0) {
			execv(path, argv);
			_exit(127);
		}
		ends_well(pid, "execv after vfork");
		break;
	case 1:
		NEED(posix_spawn(&pid, path, NULL, NULL, argv, environ) == 0);
		ends_well(pid, "posix_spawn");
		break;
	case 2:
		f = popen(desk_string(w, "echo torture 4711"), "r");
		NEED(f);
		while (!fgets(line, sizeof(line), f))
			NEED(ferror(f) && errno == EINTR);
		NEED(strcmp(line, "torture 4711\n") == 0);
		NEED(pclose(f) == 0);
		break;
	default:
		NEED(system(desk_string(w, "exit 7")) == 7 << 8);
	}
}

/* ---- memory calls that areas.h does not make ------------------------------- */

static void step_advice(struct worker *w)
{
	static const int advice[] = {
		MADV_WILLNEED, MADV_COLD, MADV_PAGEOUT, MADV_RANDOM, MADV_SEQUENTIAL,
		MADV_NORMAL, MADV_HUGEPAGE, MADV_NOHUGEPAGE,
	};
	struct area *a = some_area(w, true);
	size_t from, n = some_pages(w, a, 96, &from);
	int which = advice[below(w, sizeof(advice) / sizeof(advice[0]))];

	NEED(madvise(a->base + from * PAGE_BYTES, n * PAGE_BYTES, which) == 0 || errno == EINVAL);
	a->patched = true;
	pages_check(w, a, from, from + n, "a read after advice");
}

/* What is written after MADV_FREE stays. */
static void step_free_pages(struct worker *w)
{
	struct area *a = some_area(w, true);
	size_t from, n = some_pages(w, a, 64, &from);

	NEED(madvise(a->base + from * PAGE_BYTES, n * PAGE_BYTES, MADV_FREE) == 0);
	pages_write(w, a, from, from + n);
	touch_some(w, 64);
	pages_check(w, a, from, from + n, "a read after MADV_FREE and a write");
}

static void step_lock(struct worker *w)
{
	struct area *a = some_area(w, true);
	size_t from, n = some_pages(w, a, 16, &from);
	unsigned char *at = a->base + from * PAGE_BYTES, there[16];

	a->patched = true;
	if (mlock(at, n * PAGE_BYTES) != 0) {
		NEED(errno == ENOMEM || errno == EPERM || errno == EAGAIN);
		munlock(at, n * PAGE_BYTES); /* what it locked before it failed */
		return;
	}
	touch_some(w, 32);
	pages_check(w, a, from, from + n, "a read of locked pages");
	NEED(mincore(at, n * PAGE_BYTES, there) == 0);
	NEED(munlock(at, n * PAGE_BYTES) == 0);
}

/* ---- malloc ------------------------------------------------------------------ */

static void block_check(const struct block *b)
{
	for (size_t i = 0; i < b->bytes; i += 61)
		NEED(b->p[i] == b->tag);
	NEED(!b->bytes || b->p[b->bytes - 1] == b->tag);
}

static void step_malloc(struct worker *w)
{
	for (int i = 0; i < 16; i++) {
		struct block *b = &bench_of(w)->blocks[below(w, BLOCKS)];
		size_t bytes = 1 + below(w, rnd(w) % 4 ? 2000 : BLOCK_BYTES_MAX);

		block_check(b);
		switch (below(w, 4)) {
		case 0:
			b->p = realloc(b->p, bytes);
			NEED(b->p);
			b->bytes = bytes < b->bytes ? bytes : b->bytes;
			block_check(b);
			break;
		case 1:
			free(b->p);
			b->p = calloc(1, bytes);
			b->bytes = bytes;
			b->tag = 0;
			NEED(b->p);
			block_check(b);
			break;
		case 2:
			free(b->p);
			NEED(posix_memalign((void **)&b->p, 4096, bytes) == 0);
			NEED((uintptr_t)b->p % 4096 == 0);
			break;
		default:
			free(b->p);
			b->p = malloc(bytes);
			NEED(b->p);
		}
		b->bytes = bytes;
		b->tag = (unsigned char)rnd(w);
		memset(b->p, b->tag, bytes);
	}
}

/* ---- everything --------------------------------------------------------------- */

static const struct {
	const char *group;
	unsigned int weight;
	step_function *step;
} steps[] = {
	{ "touch", 8, step_random }, { "touch", 4, step_sequential }, { "touch", 4, step_hot },
	{ "touch", 6, step_shared },
	{ "memory", 2, step_dontneed }, { "memory", 2, step_remap }, { "memory", 1, step_reopen },
	{ "memory", 1, step_mremap }, { "memory", 2, step_mprotect }, { "memory", 2, step_advice },
	{ "memory", 2, step_free_pages }, { "memory", 1, step_lock },
	{ "heap", 1, step_realloc }, { "heap", 1, step_free }, { "heap", 4, step_malloc },
	{ "calls", 3, step_file }, { "calls", 3, step_pipe }, { "calls", 3, step_vector },
	{ "calls", 2, step_stdio }, { "calls", 1, step_getline }, { "calls", 3, step_poll },
	{ "calls", 3, step_select }, { "calls", 3, step_events }, { "calls", 3, step_socket },
	{ "calls", 2, step_message }, { "calls", 3, step_libc }, { "calls", 1, step_big_transfer },
	{ "sync", 8, step_sync },
	{ "signals", 3, step_masked }, { "signals", 3, step_jump }, { "signals", 2, step_bus },
	{ "coroutines", 2, step_coroutines }, { "threads", 3, step_thread },
	{ "fork", 1, step_fork }, { "fork", 1, step_fork_nested }, { "fork", 1, step_fork_killed },
	{ "spawn", 1, step_spawn },
};

#define STEPS (sizeof(steps) / sizeof(steps[0]))

static unsigned int weights[STEPS];
static unsigned int weight_sum;

static void leave_out(const char *group)
{
	bool known = false;

	for (size_t i = 0; i < STEPS; i++)
		if (strcmp(steps[i].group, group) == 0) {
			weights[i] = 0;
			known = true;
		}
	if (!known) {
		fprintf(stderr, "torture: no group '%s'\n", group);
		exit(2);
	}
}

static step_function *choose(struct worker *w)
{
	size_t at = below(w, weight_sum), i = 0;

	while (at >= weights[i])
		at -= weights[i++];
	return steps[i].step;
}

static void bench_open(struct worker *w)
{
	struct bench *b = bench_of(w);
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = 4711 };
	struct sigevent to_thread = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR1 };
	static const int types[] = { SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET };

	b->desk = map(NULL, DESK_PAGES * PAGE_BYTES, 0);
	b->stack = map(NULL, STACK_BYTES, 0);
	b->done = map(NULL, PAGE_BYTES * 16, 0);
	for (int i = 0; i < 3; i++)
		NEED(socketpair(AF_UNIX, types[i], 0, b->sockets[i]) == 0);
	b->event_fd = eventfd(0, 0);
	b->epoll_fd = epoll_create1(0);
	NEED(b->event_fd >= 0 && b->epoll_fd >= 0 &&
	     epoll_ctl(b->epoll_fd, EPOLL_CTL_ADD, b->event_fd, &event) == 0);
	to_thread._sigev_un._tid = (pid_t)syscall(SYS_gettid);
	NEED(timer_create(CLOCK_MONOTONIC, &to_thread, &b->timer) == 0);
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;

	worker_open(w);
	bench_open(w);
	while (elapsed() < seconds) {
		choose(w)(w);
		w->steps++;
	}
	return NULL;
}

static uint64_t checksum(void)
{
	uint64_t sum = 0;

	for (unsigned int t = 0; t < threads; t++)
		for (size_t i = 0; i < workers[t].area_count; i++) {
			const struct area *a = &workers[t].areas[i];
			for (size_t at = 0; at < a->pages * PAGE_BYTES; at += 8) {
				uint64_t word;
				memcpy(&word, a->base + at, 8);
				sum = (sum << 1 | sum >> 63) ^ word;
			}
		}
	return sum;
}

static void blocks_verify(void)
{
	for (unsigned int t = 0; t < threads; t++)
		for (size_t i = 0; i < BLOCKS; i++)
			block_check(&benches[t].blocks[i]);
}

static void start(pthread_t *thread, void *(*body)(void *), void *arg)
{
	NEED(pthread_create(thread, NULL, body, arg) == 0);
}

static void run(void)
{
	pthread_t sender, receiver;
	uint64_t checks = 0, writes = 0, done = 0;

	printf("torture: seed %" PRIu64 ", %zu MB, %u threads, %.0f s\n", seed, megabytes,
	       threads, seconds);
	fflush(stdout);
	plan();
	shared = map(NULL, shared_pages * PAGE_BYTES, 0);
	clock_gettime(CLOCK_MONOTONIC, &began);
	sync_open();
	signals_open();
	start(&sender, sender_main, NULL);
	start(&receiver, receiver_main, NULL);
	for (unsigned int t = 0; t < threads; t++)
		start(&workers[t].thread, worker_main, &workers[t]);
	for (unsigned int t = 0; t < threads; t++)
		pthread_join(workers[t].thread, NULL);
	stopping = true;
	pthread_join(sender, NULL);
	pthread_join(receiver, NULL);
	every(ITIMER_REAL, 0);
	every(ITIMER_PROF, 0);
	verify_all(&workers[0], "the last look");
	sync_verify();
	signals_verify();
	blocks_verify();
	for (unsigned int t = 0; t < threads; t++) {
		checks += workers[t].checks;
		writes += workers[t].writes;
		done += workers[t].steps;
	}
	printf("torture: seed %" PRIu64 ": %" PRIu64 " steps, %" PRIu64 " chunks written, %"
	       PRIu64 " verified, %lu signals, checksum %016" PRIx64 ", %.1f s, all good\n",
	       seed, done, writes, checks, atomic_load(&signals_seen), checksum(), elapsed());
}

static void usage(FILE *out)
{
	fprintf(out, "usage: torture [--seconds S] [--seed N] [--threads N] [--mb N]\n"
		     "               [--without GROUP]...\n"
		     "groups: touch memory heap calls sync signals coroutines threads fork spawn\n");
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "mb", required_argument, NULL, 'm' },
		{ "threads", required_argument, NULL, 't' },
		{ "seconds", required_argument, NULL, 's' },
		{ "seed", required_argument, NULL, 'r' },
		{ "without", required_argument, NULL, 'w' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	megabytes = 48;
	threads = 4;
	for (size_t i = 0; i < STEPS; i++)
		weights[i] = steps[i].weight;
	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (c) {
		case 'm': megabytes = number(optarg, 4, 16384, "--mb"); break;
		case 't': threads = (unsigned int)number(optarg, 1, THREADS_MAX, "--threads"); break;
		case 's': seconds = (double)number(optarg, 0, 86400, "--seconds"); break;
		case 'r': seed = number(optarg, 0, UINT32_MAX, "--seed"); break;
		case 'w': leave_out(optarg); break;
		case 'h': usage(stdout); return 0;
		default: usage(stderr); return 2;
		}
	}
	for (size_t i = 0; i < STEPS; i++)
		weight_sum += weights[i];
	if (!weight_sum) {
		fprintf(stderr, "torture: nothing is left to do\n");
		return 2;
	}
	run();
	return 0;
}
