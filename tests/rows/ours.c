/* SPDX-License-Identifier: MIT
 *
 * rows-ours: SIGBUS and SIGSYS belong to the pager, and a program that blocks,
 * sends, awaits, ignores or handles them itself must not notice.
 */
#include "row.h"
#include <dirent.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>

#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

static const int both[] = { SIGBUS, SIGSYS };

static volatile int handled[_NSIG];
static volatile siginfo_t last;
static volatile sigset_t mask_inside, mask_shown;

static void on_signal(int sig, siginfo_t *info, void *context)
{
	sigset_t mask;

	handled[sig]++;
	last = *info;
	sigprocmask(SIG_SETMASK, NULL, &mask);
	mask_inside = mask;
	mask_shown = ((ucontext_t *)context)->uc_sigmask;
}

static void handle(int sig, int flags)
{
	struct sigaction sa = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | flags };

	ROW_CHECK(sigaction(sig, &sa, NULL) == 0);
}

static sigset_t set_of(int sig)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, sig);
	return set;
}

static bool has(const volatile sigset_t *set, int sig)
{
	return sigismember((const sigset_t *)set, sig) == 1;
}

static void block(int sig)
{
	sigset_t set = set_of(sig);

	ROW_CHECK(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
}

static void unblock(int sig)
{
	sigset_t set = set_of(sig);

	ROW_CHECK(sigprocmask(SIG_UNBLOCK, &set, NULL) == 0);
}

static bool is_blocked(int sig)
{
	sigset_t set;

	ROW_CHECK(sigprocmask(SIG_SETMASK, NULL, &set) == 0);
	return has(&set, sig);
}

static bool is_pending(int sig)
{
	sigset_t set;

	ROW_CHECK(sigpending(&set) == 0);
	return has(&set, sig);
}

/* From outside: a child sends it, and is gone when this returns. */
static pid_t send_from_child(int sig)
{
	pid_t pid = fork();
	int status;

	ROW_CHECK(pid >= 0);
	if (pid == 0)
		_exit(kill(getppid(), sig) != 0);
	while (waitpid(pid, &status, 0) != pid)
		ROW_CHECK(errno == EINTR);
	ROW_CHECK(status == 0);
	return pid;
}

/* ---- pending ------------------------------------------------------------ */

/* Ways to send a signal to this process or thread, and what is said of it. */
static void by_kill(int sig) { ROW_CHECK(kill(getpid(), sig) == 0); }
static void by_raise(int sig) { ROW_CHECK(raise(sig) == 0); }
static void by_pthread_kill(int sig) { ROW_CHECK(pthread_kill(pthread_self(), sig) == 0); }
static void by_child(int sig) { send_from_child(sig); }

static void by_sigqueue(int sig)
{
	ROW_CHECK(sigqueue(getpid(), sig, (union sigval){ .sival_int = 77 }) == 0);
}

static void by_pthread_sigqueue(int sig)
{
	ROW_CHECK(pthread_sigqueue(pthread_self(), sig, (union sigval){ .sival_int = 77 }) == 0);
}

static void by_syscall(int sig)
{
	ROW_CHECK(syscall(SYS_tgkill, getpid(), gettid(), sig) == 0);
}

static const struct sending { void (*send)(int); int code; } sendings[] = {
	{ by_kill, SI_USER }, { by_raise, SI_TKILL }, { by_pthread_kill, SI_TKILL },
	{ by_child, SI_USER }, { by_sigqueue, SI_QUEUE }, { by_pthread_sigqueue, SI_QUEUE },
	{ by_syscall, SI_TKILL },
};

#define EACH(item, list) \
	for (size_t item##_ = 0; item##_ < sizeof(list) / sizeof((list)[0]); item##_++)

static void stays_pending(int sig, const struct sending *s)
{
	int before = handled[sig];

	handle(sig, 0);
	block(sig);
	ROW_CHECK(!is_pending(sig));
	s->send(sig);
	s->send(sig); /* one is enough */
	ROW_CHECK(is_pending(sig) && is_blocked(sig) && handled[sig] == before);
	unblock(sig);
	ROW_CHECK(handled[sig] == before + 1 && !is_pending(sig) && !is_blocked(sig));
	ROW_CHECK(last.si_signo == sig && last.si_code == s->code && last.si_errno == 0);
	ROW_CHECK(s->code != SI_QUEUE || last.si_value.sival_int == 77);
	ROW_CHECK(s->send == by_child || last.si_pid == getpid());
	s->send(sig);
	ROW_CHECK(handled[sig] == before + 2);
	ROW_CHECK(has(&mask_inside, sig) && !has(&mask_shown, sig));
}

static void pending(void)
{
	EACH(b, both)
		EACH(s, sendings)
			stays_pending(both[b_], &sendings[s_]);
}

static pthread_t first_thread;

static void *stay_pending_alone(void *arg)
{
	ROW_CHECK(pthread_join(first_thread, NULL) == 0);
	pending();
	exit(0);
	return arg;
}

/* The kernel chooses another thread than the first, which has ended. */
static void pending_elsewhere(void)
{
	pthread_t thread;

	first_thread = pthread_self();
	ROW_CHECK(pthread_create(&thread, NULL, stay_pending_alone, NULL) == 0);
	pthread_exit(NULL);
}

/* A child has none of its parent's, but its mask. */
static void pending_and_fork(void)
{
	EACH(b, both) {
		int status;
		handle(both[b_], 0);
		block(both[b_]);
		ROW_CHECK(raise(both[b_]) == 0);
		pid_t pid = fork();
		if (pid == 0) {
			ROW_CHECK(!is_pending(both[b_]) && is_blocked(both[b_]));
			unblock(both[b_]);
			_exit(handled[both[b_]]);
		}
		ROW_CHECK(waitpid(pid, &status, 0) == pid && status == 0);
		ROW_CHECK(is_pending(both[b_]));
	}
}

/* Ignored: dropped when sent, or when ignored while pending, and never felt. */
static void ignored(void)
{
	EACH(b, both) {
		int sig = both[b_], to[2];
		char byte;
		handle(sig, 0);
		block(sig);
		ROW_CHECK(raise(sig) == 0 && is_pending(sig));
		ROW_CHECK(signal(sig, SIG_IGN) != SIG_ERR);
		ROW_CHECK(!is_pending(sig));
		unblock(sig);
		ROW_CHECK(raise(sig) == 0);
		send_from_child(sig);
		ROW_CHECK(handled[sig] == 0);
		ROW_CHECK(pipe(to) == 0);
		pid_t pid = fork();
		if (pid == 0) {
			ROW_CHECK(kill(getppid(), sig) == 0);
			usleep(100000);
			_exit(write(to[1], "", 1) != 1);
		}
		ROW_CHECK(read(to[0], &byte, 1) == 1);
		ROW_CHECK(waitpid(pid, NULL, 0) == pid);
	}
}

/* ---- threads ------------------------------------------------------------ */

static pthread_barrier_t barrier;
static volatile pthread_t handler_thread;

static void note_thread(int sig)
{
	handled[sig]++;
	handler_thread = pthread_self();
}

static void *open_thread(void *arg)
{
	int sig = *(int *)arg;

	ROW_CHECK(is_blocked(sig)); /* inherited */
	unblock(sig);
	pthread_barrier_wait(&barrier);
	while (!handled[sig])
		usleep(1000);
	return NULL;
}

/* Sent to the process it goes to a thread that does not block it. */
static void to_any_thread(void)
{
	EACH(b, both) {
		pthread_t thread;
		int sig = both[b_];
		ROW_CHECK(signal(sig, note_thread) != SIG_ERR);
		pthread_barrier_init(&barrier, NULL, 2);
		block(sig);
		ROW_CHECK(pthread_create(&thread, NULL, open_thread, &sig) == 0);
		pthread_barrier_wait(&barrier);
		send_from_child(sig);
		ROW_CHECK(pthread_join(thread, NULL) == 0);
		ROW_CHECK(pthread_equal(handler_thread, thread) && handled[sig] == 1);
	}
}

/*
 * All but SIGCHLD, which is ignored by default: but where it finds the first thread
 * in a fault, which has all signals blocked, the kernel keeps it for who waits.
 */
static void *await(void *arg)
{
	sigset_t all;
	static int got;

	sigfillset(&all);
	sigdelset(&all, SIGCHLD);
	ROW_CHECK(is_blocked(*(int *)arg));
	ROW_CHECK(sigwait(&all, &got) == 0);
	return &got;
}

/* One thread waits for all signals, as servers do; the attribute has its mask. */
static void to_waiting_thread(void)
{
	sigset_t all;

	sigfillset(&all);
	for (int way = 0; way < 4; way++) {
		int sig = both[way % 2];
		pthread_attr_t attr;
		pthread_t thread;
		sigset_t back;
		void *got;
		pthread_attr_init(&attr);
		block(sig);
		if (way > 1) {
			ROW_CHECK(pthread_attr_setsigmask_np(&attr, &all) == 0);
			ROW_CHECK(pthread_attr_getsigmask_np(&attr, &back) == 0);
			ROW_CHECK(has(&back, sig));
		}
		ROW_CHECK(pthread_create(&thread, way > 1 ? &attr : NULL, await, &sig) == 0);
		usleep(100000);
		send_from_child(sig);
		ROW_CHECK(pthread_join(thread, &got) == 0 && *(int *)got == sig);
	}
}

/* ---- waits ---------------------------------------------------------------- */

static void awaited(void)
{
	const struct timespec soon = { 0, 50000000 }, now = { 0, 0 };

	EACH(b, both)
		EACH(s, sendings) {
			int sig = both[b_], got = 0;
			sigset_t set = set_of(sig);
			siginfo_t info = { 0 };
			block(sig);
			sendings[s_].send(sig);
			sendings[s_].send(sig);
			ROW_CHECK(sigwait(&set, &got) == 0 && got == sig);
			ROW_CHECK(!is_pending(sig));
			sendings[s_].send(sig);
			ROW_CHECK(sigwaitinfo(&set, &info) == sig && info.si_signo == sig);
			/* libc shows one of them as the other. */
			ROW_CHECK(info.si_code == (sendings[s_].code == SI_TKILL ?
						   SI_USER : sendings[s_].code));
			errno = 0;
			ROW_CHECK(sigtimedwait(&set, &info, &soon) < 0 && errno == EAGAIN);
			sendings[s_].send(sig);
			ROW_CHECK(sigtimedwait(&set, NULL, &now) == sig);
			ROW_CHECK(!is_pending(sig));
		}
}

/* Sent from outside while it waits. */
static void awaited_later(void)
{
	EACH(b, both) {
		int sig = both[b_];
		sigset_t set = set_of(sig);
		siginfo_t info;
		block(sig);
		pid_t pid = fork();
		if (pid == 0) {
			usleep(100000);
			_exit(kill(getppid(), sig) != 0);
		}
		ROW_CHECK(sigwaitinfo(&set, &info) == sig && info.si_signo == sig);
		ROW_CHECK(info.si_code == SI_USER && info.si_pid == pid);
		ROW_CHECK(waitpid(pid, NULL, 0) == pid);
	}
}

/* With pages away, and what else is sent does not end the wait. */
static void suspended(void)
{
	unsigned char *p = row_map(64 * ROW_PAGE);

	row_fill(p, 64 * ROW_PAGE, 1);
	EACH(b, both) {
		int sig = both[b_];
		sigset_t none, all;
		sigemptyset(&none);
		sigfillset(&all);
		handle(sig, 0);
		handle(SIGALRM, 0);
		row_push_out(p, 64 * ROW_PAGE);
		ROW_CHECK(sigprocmask(SIG_SETMASK, &all, NULL) == 0);
		by_kill(sig);
		ROW_CHECK(handled[sig] == 0);
		ROW_CHECK(sigsuspend(&none) == -1 && errno == EINTR && handled[sig] == 1);
		ROW_CHECK(has(&mask_shown, sig) && is_blocked(sig));
		row_verify(p, 64 * ROW_PAGE, 1);
		/* Blocked during the wait: only the alarm ends it. */
		sigdelset(&all, SIGALRM);
		pid_t pid = fork();
		if (pid == 0) {
			usleep(50000);
			kill(getppid(), sig);
			usleep(100000);
			_exit(kill(getppid(), SIGALRM) != 0);
		}
		handled[SIGALRM] = 0;
		ROW_CHECK(sigsuspend(&all) == -1 && errno == EINTR && handled[SIGALRM] == 1);
		ROW_CHECK(handled[sig] == 1 && is_pending(sig));
		ROW_CHECK(waitpid(pid, NULL, 0) == pid);
		unblock(sig);
		ROW_CHECK(handled[sig] == 2);
	}
}

/* The thread of the library's own that evicts, seen from outside; 0 when there is none. */
static pid_t evicting_thread(pid_t pid)
{
	char path[300], name[32] = "";
	pid_t found = 0;
	struct dirent *d;
	DIR *tasks;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	tasks = opendir(path);
	while (!found && tasks && (d = readdir(tasks))) {
		snprintf(path, sizeof(path), "/proc/%d/task/%s/comm", pid, d->d_name);
		if (!(f = fopen(path, "r")))
			continue;
		if (fgets(name, sizeof(name), f) && !strcmp(name, "extmem-reclaim\n"))
			found = atoi(d->d_name);
		fclose(f);
	}
	if (tasks)
		closedir(tasks);
	return found;
}

/*
 * From a child, mostly to the thread that evicts: one sent to the process would seldom
 * find it. By thread delivery that one takes no signal, so the process has some as well.
 */
static _Noreturn void bombard(pid_t pid)
{
	siginfo_t info = { .si_signo = SIGBUS, .si_code = SI_QUEUE };
	pid_t tid;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	tid = evicting_thread(pid);
	info.si_pid = getpid();
	info.si_uid = getuid();
	for (int i = 0; getppid() == pid; i++) {
		bool to_thread = tid && i % 8;

		if (to_thread ? syscall(SYS_rt_tgsigqueueinfo, pid, tid, SIGBUS, &info)
			      : syscall(SYS_rt_sigqueueinfo, pid, SIGBUS, &info))
			break;
		usleep(100);
	}
	_exit(0);
}

/* They find a thread of ours at work as well, which must not take them for faults. */
static void bombarded(void)
{
	size_t bytes = 64u << 20; /* four times the limit */
	unsigned char *p = row_map(bytes);
	pid_t pid, parent = getpid();

	handle(SIGBUS, SA_RESTART);
	row_fill(p, bytes, 1);
	pid = fork();
	if (pid == 0)
		bombard(parent);
	for (int i = 0; i < 4; i++) {
		row_verify(p, bytes, 1);
		row_fill(p, bytes, 1);
	}
	ROW_CHECK(kill(pid, SIGKILL) == 0 && waitpid(pid, NULL, 0) == pid);
	ROW_CHECK(handled[SIGBUS] > 0);
}

struct kernel_action {
	uintptr_t handler;
	unsigned long flags;
	void *restorer;
	unsigned long mask;
};

static int raw_action(int sig, const struct kernel_action *act, struct kernel_action *old)
{
	return (int)syscall(SYS_rt_sigaction, sig, act, old, sizeof(act->mask));
}

/* As chromium does between fork and exec: every action, by the kernel's own call. */
static _Noreturn void reset_all(unsigned char *p, size_t bytes)
{
	struct kernel_action old, none = { 0 };
	char *args[2] = { (char *)p, NULL };

	for (int sig = 1; sig < _NSIG; sig++)
		if (sig != SIGKILL && sig != SIGSTOP) {
			ROW_CHECK(raw_action(sig, NULL, &old) == 0);
			ROW_CHECK(raw_action(sig, &none, NULL) == 0);
			ROW_CHECK(raw_action(sig, NULL, &old) == 0 && !old.handler);
		}
	row_verify(p, bytes, 1);
	row_fill(p, bytes, 2);
	row_verify(p, bytes, 2);
	strcpy(args[0], "/bin/true");
	execv(args[0], args);
	_exit(1);
}

/* Actions that are set by syscall(2), past libc. */
static void raw_actions(void)
{
	size_t bytes = 64u << 20; /* four times the limit */
	unsigned char *p = row_map(bytes);
	int status;
	pid_t pid;

	row_fill(p, bytes, 1);
	EACH(b, both) {
		struct kernel_action as_set, now;
		int sig = both[b_], before = handled[sig];

		handle(sig, SA_NODEFER);
		ROW_CHECK(raw_action(sig, NULL, &as_set) == 0);
		ROW_CHECK(as_set.handler == (uintptr_t)on_signal);
		ROW_CHECK(as_set.flags & SA_NODEFER && !(as_set.flags & SA_RESETHAND));
		as_set.flags |= SA_RESETHAND;
		as_set.mask = 1ul << (SIGUSR1 - 1);
		ROW_CHECK(raw_action(sig, &as_set, NULL) == 0);
		ROW_CHECK(raw_action(sig, NULL, &now) == 0 && now.mask == as_set.mask);
		ROW_CHECK(raise(sig) == 0 && handled[sig] == before + 1);
		ROW_CHECK(has(&mask_inside, SIGUSR1) && !has(&mask_inside, sig));
		ROW_CHECK(raw_action(sig, NULL, &now) == 0 && !now.handler);
		ROW_CHECK(syscall(SYS_rt_sigaction, sig, NULL, &now, 4) == -1 && errno == EINVAL);
	}
	if ((pid = fork()) == 0)
		reset_all(p, bytes);
	ROW_CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	row_verify(p, bytes, 1);
}

static int wait_with(int way, int fd, const sigset_t *set)
{
	struct timespec long_time = { 20, 0 };
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct epoll_event e;
	int ep = epoll_create1(EPOLL_CLOEXEC), ret;
	fd_set fds;

	FD_ZERO(&fds);
	FD_SET(fd, &fds);
	switch (way) {
	case 0: ret = ppoll(&p, 1, &long_time, set); break;
	case 1: ret = pselect(fd + 1, &fds, NULL, NULL, &long_time, set); break;
	case 2: ret = epoll_pwait(ep, &e, 1, 20000, set); break;
	case 3: ret = epoll_pwait2(ep, &e, 1, &long_time, set); break;
	default: ret = sigsuspend(set);
	}
	int saved = errno;
	close(ep);
	errno = saved;
	return ret;
}

/* What is pending ends a wait whose mask lets it through, before it begins. */
static void masks_of_waits(void)
{
	int to[2];

	ROW_CHECK(pipe(to) == 0);
	EACH(b, both)
		for (int way = 0; way < 5; way++) {
			int sig = both[b_], before = handled[sig];
			sigset_t none;
			sigemptyset(&none);
			handle(sig, SA_RESTART);
			block(sig);
			by_raise(sig);
			errno = 0;
			ROW_CHECK(wait_with(way, to[0], &none) == -1 && errno == EINTR);
			ROW_CHECK(handled[sig] == before + 1 && is_blocked(sig));
			ROW_CHECK(has(&mask_shown, sig));
			unblock(sig);
		}
}

static void by_signalfd(void)
{
	EACH(b, both)
		EACH(s, sendings) {
			int sig = both[b_];
			sigset_t set = set_of(sig);
			struct signalfd_siginfo info[4];
			int fd = signalfd(-1, &set, SFD_NONBLOCK);
			struct pollfd p = { .fd = fd, .events = POLLIN };
			ROW_CHECK(fd >= 0);
			block(sig);
			ROW_CHECK(poll(&p, 1, 0) == 0);
			sendings[s_].send(sig);
			sendings[s_].send(sig);
			ROW_CHECK(poll(&p, 1, 0) == 1);
			ROW_CHECK(read(fd, info, sizeof(info)) == sizeof(info[0]));
			ROW_CHECK(info[0].ssi_signo == (uint32_t)sig);
			ROW_CHECK(info[0].ssi_code == sendings[s_].code);
			errno = 0;
			ROW_CHECK(read(fd, info, sizeof(info)) == -1 && errno == EAGAIN);
			ROW_CHECK(!is_pending(sig));
			close(fd);
		}
}

/* ---- actions -------------------------------------------------------------- */

#define RESTORER 0x04000000 /* libc's own, which it shows */

static void shown_action(void)
{
	EACH(b, both) {
		int sig = both[b_];
		struct sigaction sa = { .sa_sigaction = on_signal }, old;
		const int flags[] = { 0, SA_SIGINFO, SA_RESTART, SA_NODEFER | SA_ONSTACK,
				      (int)SA_RESETHAND };
		EACH(f, flags) {
			sa.sa_flags = flags[f_];
			sigemptyset(&sa.sa_mask);
			sigaddset(&sa.sa_mask, f_ % 2 ? sig : SIGUSR1);
			ROW_CHECK(sigaction(sig, &sa, NULL) == 0);
			ROW_CHECK(sigaction(sig, NULL, &old) == 0);
			ROW_CHECK(old.sa_sigaction == on_signal && 
				  (old.sa_flags & ~RESTORER) == flags[f_]);
			for (int i = 1; i < 32; i++)
				ROW_CHECK(has(&old.sa_mask, i) == has(&sa.sa_mask, i));
		}
		ROW_CHECK((uintptr_t)signal(sig, SIG_IGN) == (uintptr_t)on_signal);
		ROW_CHECK(signal(sig, SIG_DFL) == SIG_IGN);
		ROW_CHECK(sigaction(sig, NULL, &old) == 0 && old.sa_handler == SIG_DFL);
	}
}

static volatile int depth, deepest, entered;
static volatile int other_blocked;

static void nest(int sig)
{
	sigset_t mask;

	depth++;
	deepest = depth > deepest ? depth : deepest;
	sigprocmask(SIG_SETMASK, NULL, &mask);
	other_blocked = has(&mask, SIGUSR1) + 2 * has(&mask, SIGBUS) + 4 * has(&mask, SIGSYS);
	if (++entered < 3)
		raise(sig);
	depth--;
	handled[sig]++;
}

/* SA_NODEFER, sa_mask, SA_RESETHAND, and none of them. */
static void flags_of_actions(void)
{
	EACH(b, both) {
		int sig = both[b_];
		struct sigaction sa = { .sa_handler = nest }, old;
		int bit = sig == SIGBUS ? 2 : 4;
		handled[sig] = deepest = entered = 0;
		ROW_CHECK(sigaction(sig, &sa, NULL) == 0 && raise(sig) == 0);
		ROW_CHECK(deepest == 1 && handled[sig] == 3);
		ROW_CHECK(other_blocked == bit);
		deepest = handled[sig] = entered = 0;
		sa.sa_flags = SA_NODEFER;
		ROW_CHECK(sigaction(sig, &sa, NULL) == 0 && raise(sig) == 0);
		ROW_CHECK(deepest == 3 && handled[sig] == 3 && other_blocked == 0);
		handled[sig] = 0;
		entered = 5;
		sigaddset(&sa.sa_mask, SIGUSR1);
		sigaddset(&sa.sa_mask, SIGBUS);
		sa.sa_flags = (int)SA_RESETHAND;
		ROW_CHECK(sigaction(sig, &sa, NULL) == 0 && raise(sig) == 0);
		ROW_CHECK(handled[sig] == 1 && other_blocked == (bit | 1 | 2));
		ROW_CHECK(sigaction(sig, NULL, &old) == 0 && old.sa_handler == SIG_DFL);
	}
}

static char *truncated_page(void)
{
	int fd = memfd_create("short", 0);
	char *p;

	ROW_CHECK(ftruncate(fd, 2 * ROW_PAGE) == 0);
	p = mmap(NULL, 2 * ROW_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ROW_CHECK(p != MAP_FAILED && ftruncate(fd, ROW_PAGE) == 0);
	return p + ROW_PAGE;
}

enum { DEFAULT, IGNORED, BLOCKED, HANDLED_AND_BLOCKED, SENT, SENT_PENDING, WAYS };

/* However it dies: the same status, and a core where there would be one. */
static void deaths(void)
{
	struct rlimit none = { 0, 0 };
	volatile char *p = truncated_page();

	ROW_CHECK(setrlimit(RLIMIT_CORE, &none) == 0);
	EACH(b, both)
		for (int way = 0; way < WAYS; way++) {
			int sig = both[b_], status;
			if (sig == SIGSYS && way < SENT)
				continue;
			pid_t pid = fork();
			if (pid == 0) {
				if (way == HANDLED_AND_BLOCKED)
					handle(sig, 0);
				if (way == IGNORED)
					signal(sig, SIG_IGN);
				if (way == BLOCKED || way == HANDLED_AND_BLOCKED || way == SENT_PENDING)
					block(sig);
				if (way < SENT)
					*p = 1;
				raise(sig);
				if (way == SENT_PENDING)
					unblock(sig);
				_exit(0);
			}
			ROW_CHECK(waitpid(pid, &status, 0) == pid);
			if (!WIFSIGNALED(status) || WTERMSIG(status) != sig)
				ROW_FAIL("signal %d way %d: status %#x", sig, way, (unsigned)status);
		}
}

static sigjmp_buf out;

static void jump_out(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;

	handled[sig]++;
	last = *info;
	mask_shown = uc->uc_sigmask;
	siglongjmp(out, 1);
}

/* A real bus error comes to the program's handler, which leaves it. */
static void bus_error(void)
{
	struct sigaction sa = { .sa_sigaction = jump_out, .sa_flags = SA_SIGINFO };
	char *p = truncated_page();

	ROW_CHECK(sigaction(SIGBUS, &sa, NULL) == 0);
	for (volatile int i = 0; i < 3; i++) {
		if (sigsetjmp(out, 1) == 0)
			*(volatile char *)(p + 5) = 1;
		ROW_CHECK(handled[SIGBUS] == i + 1 && !is_blocked(SIGBUS));
		ROW_CHECK(last.si_code == BUS_ADRERR && last.si_addr == p + 5);
		ROW_CHECK(last.si_signo == SIGBUS && !has(&mask_shown, SIGBUS));
	}
}

/* ---- jumps and contexts --------------------------------------------------- */

/* The mask is saved and comes back, out of a handler and within the program. */
static void jumps(void)
{
	EACH(b, both) {
		int sig = both[b_];
		struct sigaction sa = { .sa_sigaction = jump_out, .sa_flags = SA_SIGINFO };
		sigjmp_buf here;
		ROW_CHECK(sigaction(sig, &sa, NULL) == 0);
		if (sigsetjmp(out, 1) == 0)
			raise(sig);
		ROW_CHECK(handled[sig] == 1 && !is_blocked(sig));
		if (sigsetjmp(out, 0) == 0)
			raise(sig);
		ROW_CHECK(handled[sig] == 2 && is_blocked(sig)); /* not saved */
		if (sigsetjmp(here, 1) == 0) {
			unblock(sig);
			ROW_CHECK(!is_blocked(sig));
			siglongjmp(here, 1);
		}
		ROW_CHECK(is_blocked(sig));
		unblock(sig);
	}
}

static ucontext_t main_context, other_context;
static volatile int blocked_in_other;

static void in_other(void)
{
	blocked_in_other = is_blocked(SIGBUS) + 2 * is_blocked(SIGSYS);
}

static void contexts(void)
{
	static char stack[64 << 10];

	for (volatile int i = 0; i < 4; i++) {
		ROW_CHECK(getcontext(&other_context) == 0);
		other_context.uc_stack = (stack_t){ .ss_sp = stack, .ss_size = sizeof(stack) };
		other_context.uc_link = &main_context;
		if (i & 1)
			sigaddset(&other_context.uc_sigmask, SIGBUS);
		if (i & 2)
			sigaddset(&other_context.uc_sigmask, SIGSYS);
		makecontext(&other_context, in_other, 0);
		ROW_CHECK(swapcontext(&main_context, &other_context) == 0);
		ROW_CHECK(blocked_in_other == i);
		ROW_CHECK(!is_blocked(SIGBUS) && !is_blocked(SIGSYS));
	}
}

static volatile int to_block;

static void block_by_context(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;

	(void)info;
	handled[sig]++;
	if (has(&uc->uc_sigmask, to_block))
		sigdelset(&uc->uc_sigmask, to_block);
	else
		sigaddset(&uc->uc_sigmask, to_block);
}

/* A handler changes the mask that it returns to. */
static void context_of_handler(void)
{
	struct sigaction sa = { .sa_sigaction = block_by_context, .sa_flags = SA_SIGINFO };
	unsigned char *p = row_map(64 * ROW_PAGE);

	row_fill(p, 64 * ROW_PAGE, 1);
	ROW_CHECK(sigaction(SIGUSR1, &sa, NULL) == 0);
	EACH(b, both) {
		int sig = to_block = both[b_];
		ROW_CHECK(sigaction(sig, &sa, NULL) == 0);
		row_push_out(p, 64 * ROW_PAGE);
		for (int i = 0; i < 4; i++) {
			ROW_CHECK(raise(SIGUSR1) == 0);
			ROW_CHECK(is_blocked(sig) == (i % 2 == 0));
			row_verify(p, 64 * ROW_PAGE, 1);
		}
		ROW_CHECK(raise(sig) == 0); /* it blocks itself */
		ROW_CHECK(is_blocked(sig) && handled[sig] == 1);
		unblock(sig);
	}
}

/* ---- old calls -------------------------------------------------------------- */

int __sigpause(int sig_or_mask, int is_sig); /* what sigpause(3) is by macro */

static void old_masks(void)
{
	int bus = 1 << (SIGBUS - 1), sys = 1 << (SIGSYS - 1);

	ROW_CHECK(sigblock(bus) == 0 && is_blocked(SIGBUS));
	ROW_CHECK(sigsetmask(sys) == bus && !is_blocked(SIGBUS) && is_blocked(SIGSYS));
	ROW_CHECK(siggetmask() == sys && sigsetmask(0) == sys && siggetmask() == 0);
	EACH(b, both) {
		int sig = both[b_];
		ROW_CHECK(sighold(sig) == 0 && is_blocked(sig));
		ROW_CHECK(sigrelse(sig) == 0 && !is_blocked(sig));
		ROW_CHECK(sigset(sig, note_thread) == SIG_DFL);
		ROW_CHECK(sigset(sig, SIG_HOLD) == note_thread && is_blocked(sig));
		ROW_CHECK(raise(sig) == 0 && handled[sig] == 0);
		ROW_CHECK(__sigpause(sig, 1) == -1 && errno == EINTR && handled[sig] == 1);
		ROW_CHECK(sigset(sig, SIG_HOLD) == SIG_HOLD);
		ROW_CHECK(sigset(sig, note_thread) == SIG_HOLD && !is_blocked(sig));
		ROW_CHECK(sigignore(sig) == 0 && raise(sig) == 0 && handled[sig] == 1);
		ROW_CHECK(siginterrupt(sig, 1) == 0);
		struct sigaction sa;
		ROW_CHECK(signal(sig, note_thread) == SIG_IGN);
		ROW_CHECK(sigaction(sig, NULL, &sa) == 0 && !(sa.sa_flags & SA_RESTART));
		ROW_CHECK(siginterrupt(sig, 0) == 0);
		ROW_CHECK(sigaction(sig, NULL, &sa) == 0 && sa.sa_flags & SA_RESTART);
	}
}

/* A call that waits fails with EINTR, or goes on, as the action says. */
static void interrupted_calls(void)
{
	EACH(b, both)
		for (int restart = 0; restart < 2; restart++) {
			int sig = both[b_], to[2];
			char byte;
			ROW_CHECK(pipe(to) == 0);
			handle(sig, restart ? SA_RESTART : 0);
			pid_t pid = fork();
			if (pid == 0) {
				usleep(100000);
				ROW_CHECK(kill(getppid(), sig) == 0);
				usleep(100000);
				_exit(write(to[1], "", 1) != 1);
			}
			errno = 0;
			ROW_CHECK(read(to[0], &byte, 1) == (restart ? 1 : -1));
			ROW_CHECK(restart || errno == EINTR);
			ROW_CHECK(waitpid(pid, NULL, 0) == pid);
			close(to[0]);
			close(to[1]);
		}
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Each way to wait for 300 ms. */
static int wait_for_time(int way, int fd)
{
	struct timespec time = { 0, 300000000 }, end;
	struct timeval tv = { 0, 300000 };
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct epoll_event e;
	int ep = epoll_create1(EPOLL_CLOEXEC), ret;
	fd_set fds;

	FD_ZERO(&fds);
	FD_SET(fd, &fds);
	switch (way) {
	case 0: ret = poll(&p, 1, 300); break;
	case 1: ret = ppoll(&p, 1, &time, NULL); break;
	case 2: ret = select(fd + 1, &fds, NULL, NULL, &tv); break;
	case 3: ret = pselect(fd + 1, &fds, NULL, NULL, &time, NULL); break;
	case 4: ret = epoll_wait(ep, &e, 1, 300); break;
	case 5: ret = epoll_pwait(ep, &e, 1, 300, NULL); break;
	case 6: ret = nanosleep(&time, NULL); break;
	case 7: ret = clock_nanosleep(CLOCK_MONOTONIC, 0, &time, NULL); break;
	case 8: ret = usleep(300000); break;
	default:
		clock_gettime(CLOCK_REALTIME, &end);
		end.tv_sec += (end.tv_nsec + 300000000) / 1000000000;
		end.tv_nsec = (end.tv_nsec + 300000000) % 1000000000;
		ret = clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &end, NULL);
	}
	close(ep);
	return ret;
}

/* What is blocked or ignored does not end a wait, whoever sends it. */
static void waits_not_ended(void)
{
	int to[2];

	ROW_CHECK(pipe(to) == 0);
	for (int way = 0; way < 10; way++) {
		int sig = both[way % 2], status;
		if (way < 5)
			block(sig);
		else
			ROW_CHECK(signal(sig, SIG_IGN) != SIG_ERR);
		pid_t pid = fork();
		ROW_CHECK(pid >= 0);
		if (pid == 0) {
			for (int i = 0; i < 2; i++) {
				usleep(70000);
				ROW_CHECK(kill(getppid(), sig) == 0);
			}
			_exit(0);
		}
		uint64_t begin = now_ms();
		if (wait_for_time(way, to[0]) != 0 || now_ms() - begin < 295)
			ROW_FAIL("way %d: ended after %d ms", way, (int)(now_ms() - begin));
		ROW_CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	}
}

/* ---- other programs ---------------------------------------------------------- */

/* What a program that is started finds: mask, pending and ignored signals. */
static void started(void)
{
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	ROW_CHECK(n > 0);
	self[n] = '\0';
	for (int way = 0; way < 4; way++) {
		char *argv[] = { self, "-", NULL };
		posix_spawnattr_t attr;
		sigset_t set = set_of(SIGSYS);
		int status;
		pid_t pid;
		ROW_CHECK(signal(SIGBUS, SIG_IGN) != SIG_ERR);
		block(SIGSYS);
		ROW_CHECK(posix_spawnattr_init(&attr) == 0);
		if (way == 1) {
			ROW_CHECK(posix_spawnattr_setsigmask(&attr, &set) == 0);
			ROW_CHECK(posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK) == 0);
			unblock(SIGSYS);
		}
		if (way < 2) {
			ROW_CHECK(posix_spawn(&pid, self, NULL, way ? &attr : NULL, argv,
					      environ) == 0);
		} else {
			pid = way == 2 ? fork() : vfork();
			if (pid == 0) {
				execv(self, argv);
				_exit(99);
			}
		}
		ROW_CHECK(waitpid(pid, &status, 0) == pid && status == 0);
		block(SIGSYS);
	}
}

static int was_started(void)
{
	struct sigaction bus;

	ROW_CHECK(sigaction(SIGBUS, NULL, &bus) == 0);
	ROW_CHECK(bus.sa_handler == SIG_IGN && is_blocked(SIGSYS) && !is_blocked(SIGBUS));
	return 0;
}

static const struct row rows[] = {
	{ "pending", "masks", pending },
	{ "pending-elsewhere", "masks", pending_elsewhere },
	{ "pending-and-fork", "masks", pending_and_fork },
	{ "ignored", "shown", ignored },
	{ "to-any-thread", "shown", to_any_thread },
	{ "to-waiting-thread", "shown", to_waiting_thread },
	{ "awaited", "shown", awaited },
	{ "awaited-later", "shown", awaited_later },
	{ "sigsuspend", "masks", suspended },
	{ "masks-of-waits", "shown", masks_of_waits },
	{ "signalfd", "shown", by_signalfd },
	{ "shown-action", "shown", shown_action },
	{ "flags", "shown", flags_of_actions },
	{ "deaths", "forward", deaths },
	{ "bus-error", "forward", bus_error },
	{ "bombarded", "sent", bombarded },
	{ "raw-actions", "syscall", raw_actions },
	{ "jumps", "shown", jumps },
	{ "contexts", "shown", contexts },
	{ "context-of-handler", "masks", context_of_handler },
	{ "old-calls", "shown", old_masks },
	{ "interrupted-calls", "restart", interrupted_calls },
	{ "waits-not-ended", "restart", waits_not_ended },
	{ "started", "shown", started },
};

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "-"))
		return was_started();
	return row_main(argc, argv, rows, sizeof(rows) / sizeof(rows[0]));
}
