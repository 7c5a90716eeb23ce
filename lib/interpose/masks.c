/* SPDX-License-Identifier: MIT
 *
 * Signal masks and sets on their way between program and kernel, where SIGBUS
 * and SIGSYS are known by their stand-ins (signal.c): every function of libc's
 * that takes or gives one, that waits for a signal, or that sends one to this
 * very process.
 */
#include "arch.h"
#include "interpose.h"
#include "knobs.h"
#include "sys.h"
#include <poll.h>
#include <pthread.h>
#include <spawn.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

/* A set of the program's as the kernel has it. */
static const sigset_t *hidden(const sigset_t *set, sigset_t *copy)
{
	if (!set || !em_core_active())
		return set;
	*copy = (sigset_t){ { set->__val[0] } }; /* all that the kernel looks at */
	em_signals_hide((uint64_t *)copy);
	return copy;
}

/* And one of the kernel's as the program has it. */
static void show(sigset_t *set)
{
	if (set && em_core_active())
		em_signals_show((uint64_t *)set);
}

/* ---- the mask of a thread ---------------------------------------------- */

EM_EXPORT int pthread_sigmask(int how, const sigset_t *restrict set,
			      sigset_t *restrict old)
{
	sigset_t copy;
	int ret = EM_REAL(pthread_sigmask)(how, hidden(set, &copy), old);

	if (ret == 0)
		show(old);
	return ret;
}

EM_EXPORT int sigprocmask(int how, const sigset_t *restrict set, sigset_t *restrict old)
{
	int ret = pthread_sigmask(how, set, old);

	if (!ret)
		return 0;
	errno = ret;
	return -1;
}

/* What a mask was in BSD: a bit for each of the first signals. */
static sigset_t set_of(int mask)
{
	return (sigset_t){ { (uint32_t)mask } };
}

EM_EXPORT int sigblock(int mask)
{
	sigset_t set = set_of(mask), old;

	return sigprocmask(SIG_BLOCK, &set, &old) < 0 ? -1 : (int)old.__val[0];
}

EM_EXPORT int sigsetmask(int mask)
{
	sigset_t set = set_of(mask), old;

	return sigprocmask(SIG_SETMASK, &set, &old) < 0 ? -1 : (int)old.__val[0];
}

EM_EXPORT int siggetmask(void)
{
	sigset_t old;

	return sigprocmask(SIG_BLOCK, NULL, &old) < 0 ? -1 : (int)old.__val[0];
}

static int change_one(int how, int sig)
{
	sigset_t set;

	sigemptyset(&set);
	return sigaddset(&set, sig) < 0 ? -1 : sigprocmask(how, &set, NULL);
}

EM_EXPORT int sighold(int sig) { return change_one(SIG_BLOCK, sig); }
EM_EXPORT int sigrelse(int sig) { return change_one(SIG_UNBLOCK, sig); }

EM_EXPORT int pthread_attr_setsigmask_np(pthread_attr_t *attr, const sigset_t *set)
{
	sigset_t copy;

	return EM_REAL(pthread_attr_setsigmask_np)(attr, hidden(set, &copy));
}

EM_EXPORT int pthread_attr_getsigmask_np(const pthread_attr_t *attr, sigset_t *set)
{
	int ret = EM_REAL(pthread_attr_getsigmask_np)(attr, set);

	if (ret == 0)
		show(set);
	return ret;
}

/*
 * The mask of a program to be started is the kernel's from the first: the signals
 * are not ours there. But what is ignored here is so by its stand-in.
 */
EM_EXPORT int posix_spawnattr_setsigdefault(posix_spawnattr_t *restrict attr,
					    const sigset_t *restrict set)
{
	sigset_t both = *set, copy;

	if (hidden(set, &copy) == &copy)
		both.__val[0] |= copy.__val[0];
	return EM_REAL(posix_spawnattr_setsigdefault)(attr, &both);
}

EM_EXPORT int posix_spawnattr_getsigdefault(const posix_spawnattr_t *restrict attr,
					    sigset_t *restrict set)
{
	int ret = EM_REAL(posix_spawnattr_getsigdefault)(attr, set);

	if (ret == 0)
		show(set);
	return ret;
}

/*
 * A context that the program puts on may come from a handler, with the mask as
 * shown, or from getcontext, as hidden, and have been changed since.
 */
static void hide_in_context(ucontext_t *uc)
{
	uint64_t shown = uc->uc_sigmask.__val[0] & em_signals_ours();

	if (!shown || !em_core_active() || !em_protects(EM_KNOB_MASKS))
		return;
	uc->uc_sigmask.__val[0] &= ~shown;
	em_signals_hide(&shown);
	uc->uc_sigmask.__val[0] |= shown;
}

EM_EXPORT int setcontext(const ucontext_t *uc)
{
	hide_in_context((ucontext_t *)uc);
	return EM_REAL(setcontext)(uc);
}

EM_EXPORT int swapcontext(ucontext_t *restrict old, const ucontext_t *restrict uc)
{
	hide_in_context((ucontext_t *)uc);
	return EM_REAL(swapcontext)(old, uc);
}

/* ---- waiting with another mask ------------------------------------------ */

bool em_signals_was_ours(struct em_signals_seen before)
{
	struct em_signals_seen now = em_signals_seen();

	return errno == EINTR && now.handled == before.handled &&
	       now.forwarded != before.forwarded && em_protects(EM_KNOB_RESTART);
}

/* The end of a wait: 0 when there is none, or it is the kernel's to complain. */
static uint64_t end_of(const struct timespec *timeout)
{
	if (!timeout || !em_core_active() || timeout->tv_sec < 0 || timeout->tv_sec >= 1 << 30 ||
	    timeout->tv_nsec < 0 || timeout->tv_nsec >= 1000000000)
		return 0;
	return em_sys_now_ns() + (uint64_t)timeout->tv_sec * 1000000000u +
	       (uint64_t)timeout->tv_nsec;
}

/* What is left until then, in place of the timeout. */
static const struct timespec *left_of(const struct timespec *timeout, uint64_t end_ns,
				      struct timespec *left)
{
	uint64_t now = end_ns ? em_sys_now_ns() : 0;
	uint64_t ns = end_ns > now ? end_ns - now : 0;

	if (!end_ns)
		return timeout;
	*left = (struct timespec){ (time_t)(ns / 1000000000u), (long)(ns % 1000000000u) };
	return left;
}

uint64_t em_wait_end(int timeout_ms)
{
	return timeout_ms > 0 && em_core_active() ?
		em_sys_now_ns() + (uint64_t)timeout_ms * 1000000u : 0;
}

int em_wait_left(int timeout_ms, uint64_t end_ns)
{
	uint64_t now = end_ns ? em_sys_now_ns() : 0;

	return !end_ns ? timeout_ms : end_ns > now ? (int)((end_ns - now + 999999) / 1000000) : 0;
}

EM_EXPORT int sigsuspend(const sigset_t *set)
{
	sigset_t copy;
	int ret;

	EM_WAIT_AGAIN(ret, EM_REAL(sigsuspend)(hidden(set, &copy)), );
	return ret;
}

EM_EXPORT int pause(void)
{
	int ret;

	EM_WAIT_AGAIN(ret, EM_REAL(pause)(), );
	return ret;
}

int __sigpause(int sig_or_mask, int is_sig);
int __xpg_sigpause(int sig);
#undef sigpause
int bsd_sigpause(int mask) __asm__("sigpause");

EM_EXPORT int __sigpause(int sig_or_mask, int is_sig)
{
	sigset_t set = set_of(sig_or_mask);

	if (is_sig) {
		sigprocmask(SIG_BLOCK, NULL, &set);
		if (sigdelset(&set, sig_or_mask) < 0)
			return -1;
	}
	return sigsuspend(&set);
}

EM_EXPORT int __xpg_sigpause(int sig) { return __sigpause(sig, 1); }
EM_EXPORT int bsd_sigpause(int mask) { return __sigpause(mask, 0); }

EM_EXPORT int ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
		    const sigset_t *set)
{
	uint64_t end = end_of(timeout);
	struct timespec left;
	sigset_t copy;
	int ret;

	EM_WAIT_AGAIN(ret, EM_REAL(ppoll)(fds, count, timeout, hidden(set, &copy)),
		      timeout = left_of(timeout, end, &left));
	return ret;
}

int __ppoll_chk(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
		const sigset_t *set, size_t bytes);
EM_EXPORT int __ppoll_chk(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
			  const sigset_t *set, size_t bytes)
{
	uint64_t end = end_of(timeout);
	struct timespec left;
	sigset_t copy;
	int ret;

	EM_WAIT_AGAIN(ret, EM_REAL(__ppoll_chk)(fds, count, timeout, hidden(set, &copy), bytes),
		      timeout = left_of(timeout, end, &left));
	return ret;
}

EM_EXPORT int pselect(int n, fd_set *restrict r, fd_set *restrict w, fd_set *restrict e,
		      const struct timespec *restrict timeout, const sigset_t *restrict set)
{
	uint64_t end = end_of(timeout);
	struct timespec left;
	sigset_t copy;
	int ret;

	EM_WAIT_AGAIN(ret, EM_REAL(pselect)(n, r, w, e, timeout, hidden(set, &copy)),
		      timeout = left_of(timeout, end, &left));
	return ret;
}

EM_EXPORT int epoll_pwait(int fd, struct epoll_event *events, int max, int timeout,
			  const sigset_t *set)
{
	uint64_t end = em_wait_end(timeout);
	sigset_t copy;
	int ret;

	EM_WAIT_AGAIN(ret, EM_REAL(epoll_pwait)(fd, events, max, timeout, hidden(set, &copy)),
		      timeout = em_wait_left(timeout, end));
	return ret;
}

EM_EXPORT int epoll_pwait2(int fd, struct epoll_event *events, int max,
			   const struct timespec *timeout, const sigset_t *set)
{
	uint64_t end = end_of(timeout);
	struct timespec left;
	sigset_t copy;
	int ret;

	EM_WAIT_AGAIN(ret, EM_REAL(epoll_pwait2)(fd, events, max, timeout, hidden(set, &copy)),
		      timeout = left_of(timeout, end, &left));
	return ret;
}

/* ---- sleeping ------------------------------------------------------------ */

EM_EXPORT int nanosleep(const struct timespec *time, struct timespec *rest)
{
	struct timespec next, left;
	int ret;

	if (!em_core_active() || !time)
		return EM_REAL(nanosleep)(time, rest);
	next = *time;
	EM_WAIT_AGAIN(ret, EM_REAL(nanosleep)(&next, &left), next = left);
	if (ret < 0 && errno == EINTR && rest)
		*rest = left;
	return ret;
}

/* It says what is wrong by its result. */
EM_EXPORT int clock_nanosleep(clockid_t clock, int flags, const struct timespec *time,
			      struct timespec *rest)
{
	struct timespec next, left;
	int saved = errno, ret;

	if (!em_core_active() || !time)
		return EM_REAL(clock_nanosleep)(clock, flags, time, rest);
	next = *time;
	EM_WAIT_AGAIN(ret, -(errno = EM_REAL(clock_nanosleep)(clock, flags, &next, &left)),
		      next = flags & TIMER_ABSTIME ? next : left);
	errno = saved;
	if (ret == -EINTR && rest && !(flags & TIMER_ABSTIME))
		*rest = left;
	return -ret;
}

EM_EXPORT int usleep(useconds_t us)
{
	struct timespec time = { (time_t)(us / 1000000), (long)(us % 1000000) * 1000 };

	return nanosleep(&time, NULL);
}

EM_EXPORT unsigned int sleep(unsigned int seconds)
{
	struct timespec time = { (time_t)seconds, 0 };
	int saved = errno;

	if (nanosleep(&time, &time) < 0)
		return (unsigned int)time.tv_sec;
	errno = saved;
	return 0;
}

/* ---- waiting for signals ------------------------------------------------- */

EM_EXPORT int sigpending(sigset_t *set)
{
	int ret = EM_REAL(sigpending)(set);

	if (ret == 0)
		show(set);
	return ret;
}

/*
 * A signal of ours is waited for under both names: as its stand-in when it is
 * pending, as itself when somebody sends it meanwhile.
 */
static const sigset_t *awaited(const sigset_t *set, sigset_t *copy)
{
	if (hidden(set, copy) != copy)
		return set;
	if (em_protects(EM_KNOB_SHOWN))
		copy->__val[0] |= set->__val[0] & em_signals_ours();
	return copy;
}

static int arrived(int sig)
{
	int shown = em_protects(EM_KNOB_SHOWN) ? em_signals_shown(sig) : sig;

	if (sig > 0 && em_core_active() && em_signals_hidden(shown) != shown)
		em_signals_forget(em_signals_hidden(shown));
	return shown;
}

EM_EXPORT int sigtimedwait(const sigset_t *restrict set, siginfo_t *restrict info,
			   const struct timespec *restrict timeout)
{
	uint64_t end = end_of(timeout);
	struct timespec left;
	sigset_t copy;
	int sig;

	EM_WAIT_AGAIN(sig, EM_REAL(sigtimedwait)(awaited(set, &copy), info, timeout),
		      timeout = left_of(timeout, end, &left));
	sig = arrived(sig);
	if (sig > 0 && info) {
		info->si_signo = sig;
		info->si_code = em_signals_true_code(info->si_code);
	}
	return sig;
}

EM_EXPORT int sigwaitinfo(const sigset_t *restrict set, siginfo_t *restrict info)
{
	return sigtimedwait(set, info, NULL);
}

EM_EXPORT int sigwait(const sigset_t *restrict set, int *restrict sig)
{
	sigset_t copy;
	int ret = EM_REAL(sigwait)(awaited(set, &copy), sig);

	if (ret == 0)
		*sig = arrived(*sig);
	return ret;
}

/* ---- signalfd ------------------------------------------------------------ */

/* Whether the program ever asked for one of ours in this way. */
static _Atomic bool any_signalfd;

EM_EXPORT int signalfd(int fd, const sigset_t *set, int flags)
{
	sigset_t copy;

	if (set->__val[0] & em_signals_ours())
		atomic_store_explicit(&any_signalfd, true, memory_order_relaxed);
	return EM_REAL(signalfd)(fd, hidden(set, &copy), flags);
}

static bool is_signalfd(int fd)
{
	static const char kind[] = "anon_inode:[signalfd]";
	char path[32] = "/proc/self/fd/", target[sizeof(kind)];
	char digits[12], *d = digits + sizeof(digits);
	long n;

	*--d = '\0';
	do
		*--d = (char)('0' + fd % 10);
	while (fd /= 10);
	strcat(path, d);
	n = em_syscall(SYS_readlink, (long)path, (long)target, sizeof(target), 0, 0, 0);
	return n == sizeof(kind) - 1 && !memcmp(target, kind, sizeof(kind) - 1);
}

ssize_t em_signals_have_read(int fd, void *buf, ssize_t bytes)
{
	struct signalfd_siginfo *list = buf;
	size_t count, kept = 0;

	if (em_likely(!atomic_load_explicit(&any_signalfd, memory_order_relaxed)) ||
	    bytes < (ssize_t)sizeof(*list) || bytes % (ssize_t)sizeof(*list) || !is_signalfd(fd))
		return bytes;
	count = (size_t)bytes / sizeof(*list);
	for (size_t i = 0; i < count; i++) {
		int sig = arrived((int)list[i].ssi_signo);
		bool seen = false;
		for (size_t k = 0; k < kept && em_signals_hidden(sig) != sig; k++)
			seen |= (int)list[k].ssi_signo == sig;
		if (seen)
			continue;
		list[kept] = list[i];
		list[kept].ssi_code = em_signals_true_code(list[kept].ssi_code);
		list[kept++].ssi_signo = (uint32_t)sig;
	}
	return (ssize_t)(kept * sizeof(*list));
}

/* ---- sending to oneself --------------------------------------------------- */

/*
 * What the process sends to itself goes out as the stand-in: it interrupts
 * nobody who blocks or ignores it. From elsewhere it comes to our handler.
 */
static int outgoing(pid_t pid, int sig)
{
	if (!em_core_active() || em_signals_hidden(sig) == sig || pid != getpid())
		return sig;
	return em_signals_hidden(sig);
}

EM_EXPORT int kill(pid_t pid, int sig)
{
	return EM_REAL(kill)(pid, outgoing(pid, sig));
}

EM_EXPORT int tgkill(pid_t pid, pid_t tid, int sig)
{
	return EM_REAL(tgkill)(pid, tid, outgoing(pid, sig));
}

EM_EXPORT int sigqueue(pid_t pid, int sig, const union sigval value)
{
	return EM_REAL(sigqueue)(pid, outgoing(pid, sig), value);
}

EM_EXPORT int pthread_kill(pthread_t thread, int sig)
{
	return EM_REAL(pthread_kill)(thread, outgoing(getpid(), sig));
}

EM_EXPORT int pthread_sigqueue(pthread_t thread, int sig, const union sigval value)
{
	return EM_REAL(pthread_sigqueue)(thread, outgoing(getpid(), sig), value);
}

EM_EXPORT int raise(int sig)
{
	return EM_REAL(raise)(outgoing(getpid(), sig));
}

EM_EXPORT int gsignal(int sig)
{
	return raise(sig);
}
