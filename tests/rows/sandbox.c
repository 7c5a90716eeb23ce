/* SPDX-License-Identifier: MIT
 *
 * rows-sandbox: programs that lock themselves in with a filter of system calls,
 * whose list knows nothing of a pager.
 */
#include "row.h"
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define BYTES (64 * ROW_PAGE)
#define PRESSURE (24ul << 20)

static unsigned char *pages, *pressure;

static void prepare(void)
{
	pages = row_map(BYTES);
	pressure = row_map(PRESSURE);
	row_fill(pages, BYTES, 1);
	row_push_out(pages, BYTES);
}

#define ALLOW(nr) \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1), \
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

/* All that a worker needs that reads, computes and answers. */
static long lock_in(unsigned int flags)
{
	static struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		ALLOW(SYS_read), ALLOW(SYS_write), ALLOW(SYS_exit_group), ALLOW(SYS_exit),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_pread64, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EACCES),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	};
	static struct sock_fprog prog = { sizeof(code) / sizeof(code[0]), code };

	ROW_CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	return flags ? syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &prog)
		     : prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog);
}

/* More than the limit, back and forth, and calls with buffers that were away. */
static void work(int fd)
{
	for (int round = 1; round < 4; round++) {
		for (size_t at = 0; at < PRESSURE; at += ROW_PAGE)
			memset(pressure + at, round, ROW_PAGE);
		row_verify(pages, BYTES, 1);
		for (size_t at = 0; at < PRESSURE; at += ROW_PAGE)
			ROW_CHECK(pressure[at] == round);
	}
	ROW_CHECK(read(fd, pages, 2 * ROW_PAGE) == 2 * (ssize_t)ROW_PAGE && pages[0] == 0);
	errno = 0; /* the filter judges the program's calls as ever */
	ROW_CHECK(pread(fd, pages, ROW_PAGE, 0) == -1 && errno == EACCES);
	errno = 0;
	ROW_CHECK(syscall(SYS_pread64, fd, pages, ROW_PAGE, 0) == -1 && errno == EACCES);
}

static void locked_in(void)
{
	int fd = open("/dev/zero", O_RDONLY);

	prepare();
	ROW_CHECK(lock_in(0) == 0);
	work(fd);
	_exit(0);
}

static volatile bool begun, go_on;

static void *other(void *arg)
{
	begun = true;
	while (!go_on)
		;
	work(*(int *)arg);
	_exit(0);
}

/* All threads at once, the library's among them. */
static void all_threads(void)
{
	int fd = open("/dev/zero", O_RDONLY);
	pthread_t thread;

	prepare();
	ROW_CHECK(pthread_create(&thread, NULL, other, &fd) == 0);
	while (!begun)
		;
	ROW_CHECK(lock_in(SECCOMP_FILTER_FLAG_TSYNC) == 0);
	go_on = true;
	for (;;)
		(void)pages[0];
}

/* What is not on the list ends the program, whoever's buffer it is given. */
static void killed(void)
{
	int status;

	prepare();
	pid_t pid = fork();
	if (pid == 0) {
		ROW_CHECK(lock_in(0) == 0);
		syscall(SYS_getcwd, pages, ROW_PAGE);
		_exit(0);
	}
	ROW_CHECK(waitpid(pid, &status, 0) == pid);
	ROW_CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
}

static volatile int trapped_nr;

/* As who emulates a call: the result goes to where the program was interrupted. */
static void on_sigsys(int sig, siginfo_t *info, void *context)
{
	greg_t *regs = ((ucontext_t *)context)->uc_mcontext.gregs;

	if (sig == SIGSYS && regs[REG_RIP] == (greg_t)info->si_call_addr &&
	    regs[REG_RAX] == info->si_syscall) {
		trapped_nr = info->si_syscall;
		regs[REG_RAX] = -EDOM;
	}
}

/* From now on on_sigsys() answers what the filter traps. */
static void trap_by(const struct sock_fprog *prog)
{
	struct sigaction sa = { .sa_sigaction = on_sigsys, .sa_flags = SA_SIGINFO };

	ROW_CHECK(sigaction(SIGSYS, &sa, NULL) == 0);
	ROW_CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	ROW_CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, prog) == 0);
}

/* A filter that traps: the program's handler gets what is its own. */
static void traps(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getcwd, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { sizeof(code) / sizeof(code[0]), code };

	prepare();
	trap_by(&prog);
	ROW_CHECK(syscall(SYS_getcwd, pages, ROW_PAGE) == -1 && errno == EDOM);
	ROW_CHECK(trapped_nr == SYS_getcwd);
	row_verify(pages, BYTES, 1);
}

/* All is trapped but a few, as in firefox: also what hands the signal on, if it may be. */
static void traps_all(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		ALLOW(SYS_rt_sigreturn), ALLOW(SYS_exit_group), ALLOW(SYS_write),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
	};
	struct sock_fprog prog = { sizeof(code) / sizeof(code[0]), code };

	prepare();
	trap_by(&prog);
	for (int i = 0; i < 100; i++) {
		trapped_nr = errno = 0;
		ROW_CHECK(syscall(i % 2 ? SYS_getcwd : SYS_pread64, -1, pages, ROW_PAGE, 0) == -1 &&
			  errno == EDOM);
		ROW_CHECK(trapped_nr == (i % 2 ? SYS_getcwd : SYS_pread64));
	}
	memset(pressure, 1, PRESSURE);
	row_verify(pages, BYTES, 1);
	_exit(0);
}

/* As long as a browser's: hundreds of comparisons, and the last one counts. */
static void long_filter(void)
{
	static struct sock_filter code[600] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		[597] = BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_pread64, 0, 1),
		[598] = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EACCES),
		[599] = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { sizeof(code) / sizeof(code[0]), code };
	int fd = open("/dev/zero", O_RDONLY);

	prepare();
	for (unsigned int n = 1; n < 597; n++) /* numbers that no call has */
		code[n] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K,
						       0x10000 + n, 0, 0);
	ROW_CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	ROW_CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) == 0);
	work(fd);
}

static unsigned char *beyond; /* mapped, and past the end of its file */
static pid_t parent;

static void on_bus_error(int sig, siginfo_t *info, void *context)
{
	(void)context;
	row_verify(pages, BYTES, 1);
	_exit(sig == SIGBUS && info->si_code == BUS_ADRERR && info->si_addr == beyond + 5 ? 7 : 1);
}

static void on_sent_bus(int sig, siginfo_t *info, void *context)
{
	(void)context;
	row_verify(pages, BYTES, 1);
	_exit(sig == SIGBUS && info->si_code == SI_USER && info->si_pid == parent ? 7 : 1);
}

/* What becomes of a child that is locked in and gets a SIGBUS, its own or sent. */
static int status_of_bus(void (*handler)(int, siginfo_t *, void *), bool sent)
{
	struct sigaction sa = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO };
	int status, ready[2];
	char c = 0;

	ROW_CHECK(pipe(ready) == 0);
	pid_t pid = fork();
	if (pid == 0) {
		if (handler)
			ROW_CHECK(sigaction(SIGBUS, &sa, NULL) == 0);
		ROW_CHECK(lock_in(0) == 0);
		row_verify(pages, BYTES, 1);
		ROW_CHECK(write(ready[1], &c, 1) == 1);
		while (sent)
			row_verify(pages, BYTES, 1);
		beyond[5] = 1;
		_exit(0);
	}
	ROW_CHECK(read(ready[0], &c, 1) == 1);
	if (sent)
		ROW_CHECK(kill(pid, SIGBUS) == 0);
	ROW_CHECK(waitpid(pid, &status, 0) == pid);
	close(ready[0]);
	close(ready[1]);
	return status;
}

/* A SIGBUS of the program's own, where the list has no place for passing it on. */
static void bus_errors(void)
{
	int fd = memfd_create("row", 0);
	int status;

	prepare();
	parent = getpid();
	beyond = mmap(NULL, ROW_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ROW_CHECK(fd >= 0 && beyond != MAP_FAILED);
	for (int sent = 0; sent < 2; sent++) {
		status = status_of_bus(sent ? on_sent_bus : on_bus_error, sent);
		ROW_CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7);
		status = status_of_bus(NULL, sent);
		ROW_CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
	}
}

static const struct row rows[] = {
	{ "locked-in", "sandbox", locked_in },
	{ "all-threads", "sandbox", all_threads },
	{ "killed", "judge", killed },
	{ "traps", "mark", traps },
	{ "traps-all", "sandbox", traps_all },
	{ "long-filter", "sandbox", long_filter },
	{ "bus-errors", "sandbox", bus_errors },
};

int main(int argc, char **argv)
{
	return row_main(argc, argv, rows, sizeof(rows) / sizeof(rows[0]));
}
