/* SPDX-License-Identifier: MIT
 *
 * fork, exec and their kin.
 *
 * Where a new program is started, the strings it is started
 * with must be there when the kernel reads them: they are brought in, and the
 * call is made again in the unlikely case that one left in between; no hazard
 * is published, since after vfork nobody would take it back.
 */
#include "arch.h"
#include "fault.h"
#include "fork.h"
#include "interpose.h"
#include "knobs.h"
#include "net_calls.h"
#include "preload.h"
#include "sys.h"
#include "thread.h"
#include "trace.h"
#include "window.h"
#include "worker.h"
#include <alloca.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <pthread.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EM_EXEC_TRIES 100
/* _IO_lock_t, which no header shows: an int, a count and an owner. */
#define EM_FILE_LOCK_BYTES 16

/* ---- fork ------------------------------------------------------------- */

/*
 * fork is caught by handlers as pthread_atfork makes them, because libc forks
 * inside itself as well (daemon, forkpty). Ours are registered before anybody
 * else's, in front of the very first: so prepare runs after all others. The
 * allocator's takes its locks there, whose holders may be waiting for ours.
 */
static bool forking; /* between prepare and the end; the locks guard it */

static void prepare(void)
{
	if (em_core_active() && em_protects(EM_KNOB_FORK)) {
		em_fork_prepare();
		forking = true;
	}
}

static void in_parent(void)
{
	if (forking) {
		forking = false;
		em_fork_parent();
	}
}

static void in_child(void)
{
	if (forking) {
		forking = false;
		em_fork_child();
		em_mem_forked();
	}
}

/* ---- FILEs of a malloc of the program's own ---------------------------- */

extern FILE *_IO_list_all;
void _IO_list_lock(void);
void _IO_list_unlock(void);
void _IO_list_resetlock(void);

static bool files_managed; /* the program has a malloc; ours keeps them outside (heap.c) */

static void keep(const void *p, size_t bytes, uintptr_t frame)
{
	if (!em_in_window((uintptr_t)p))
		return;
	em_hazard_add((uintptr_t)p, (uintptr_t)p + bytes, frame);
	em_fault_bring_in((uintptr_t)p, bytes, true);
}

/*
 * libc's fork makes the locks of all FILEs anew in the child, before anybody else runs
 * there: so they must be in memory when it is made.
 *
 * Race: libc takes the lock of their list after us. Who holds it and waits for a page
 * that cannot come before the fork is over would never give it back, so it is taken
 * here, before all is frozen.
 */
static void prepare_files_too(void)
{
	uintptr_t frame = (uintptr_t)__builtin_frame_address(0);
	uint32_t mark;

	if (!files_managed) {
		prepare();
		return;
	}
	mark = em_hazard_mark(frame);
	_IO_list_lock();
	for (FILE *f = _IO_list_all; f; f = f->_chain) {
		keep(f, sizeof(*f), frame);
		keep(f->_lock, EM_FILE_LOCK_BYTES, frame);
	}
	prepare();
	em_hazard_drop(mark);
}

static void in_parent_of_files(void)
{
	in_parent();
	if (files_managed)
		_IO_list_unlock();
}

/* libc has done so, if there were other threads. */
static void in_child_with_files(void)
{
	in_child();
	if (files_managed)
		_IO_list_resetlock();
}

int __register_atfork(void (*)(void), void (*)(void), void (*)(void), void *);

static void register_ours(void)
{
	EM_REAL(__register_atfork)(prepare_files_too, in_parent_of_files, in_child_with_files,
				   NULL);
}

EM_EXPORT int __register_atfork(void (*before)(void), void (*parent)(void),
				void (*child)(void), void *dso)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	if (!before || em_protects(EM_KNOB_ORDER))
		pthread_once(&once, register_ours);
	return EM_REAL(__register_atfork)(before, parent, child, dso);
}

/* Another library has registered nothing yet: a handler that does nothing. */
void em_process_start(void)
{
	files_managed = em_preload_program_has("malloc");
	__register_atfork(NULL, NULL, NULL, NULL);
}

/* When descriptors are so scarce that a child could not have its own. */
EM_EXPORT pid_t fork(void)
{
	if (em_core_active() && !em_sys_keep_spares()) {
		errno = EAGAIN;
		return -1;
	}
	return EM_REAL(fork)();
}

EM_EXPORT pid_t _Fork(void)
{
	pid_t pid;

	prepare();
	pid = EM_REAL(_Fork)();
	if (pid == 0)
		in_child();
	else
		in_parent();
	return pid;
}

bool em_process_ends(void)
{
	unsigned int ours = em_worker_count();
	struct stat st;

	/* The folder has two links, and one for each thread. */
	return ours && em_syscall(SYS_newfstatat, AT_FDCWD, (long)"/proc/self/task",
				  (long)&st, 0, 0, 0) == 0 && st.st_nlink <= 2 + ours + 1;
}

/*
 * clone without CLONE_VM is a fork. The child comes back to a stack that it has
 * been given: it starts with us.
 */
struct clone_start {
	int (*body)(void *);
	void *arg;
};

static int clone_begins(void *arg)
{
	struct clone_start s = *(struct clone_start *)arg; /* on the parent's stack */

	in_child();
	int status = s.body(s.arg);
	if (em_process_ends())
		em_syscall(SYS_exit_group, status, 0, 0, 0, 0, 0);
	return status;
}

EM_EXPORT int clone(int (*body)(void *), void *stack, int flags, void *arg, ...)
{
	struct clone_start s = { body, arg };
	pid_t *parent_tid, *child_tid;
	void *tls;
	va_list ap;
	int pid;

	va_start(ap, arg);
	parent_tid = va_arg(ap, pid_t *);
	tls = va_arg(ap, void *);
	child_tid = va_arg(ap, pid_t *);
	va_end(ap);
	if (flags & CLONE_VM || !em_core_active() || !em_protects(EM_KNOB_CLONE))
		return EM_REAL(clone)(body, stack, flags, arg, parent_tid, tls, child_tid);
	prepare();
	pid = EM_REAL(clone)(clone_begins, stack, flags, &s, parent_tid, tls, child_tid);
	in_parent();
	return pid;
}

bool em_process_is_fork(long nr, const long a[6])
{
	if (!em_core_active() || !em_protects(EM_KNOB_CLONE))
		return false;
	if (nr == SYS_clone3) {
		const struct clone_args *c = (const struct clone_args *)a[0];
		return c && (size_t)a[1] >= CLONE_ARGS_SIZE_VER0 &&
		       !(c->flags & CLONE_VM) && !c->stack;
	}
	return nr == SYS_fork || (nr == SYS_clone && !(a[0] & CLONE_VM) && !a[1]);
}

long em_process_fork(long nr, const long a[6])
{
	long ret;

	prepare();
	ret = em_syscall(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
	if (ret == 0)
		in_child();
	else
		in_parent();
	return ret;
}

/* ---- starting programs ------------------------------------------------ */

static void need(const void *p, size_t bytes)
{
	if (em_in_window((uintptr_t)p) && em_protects(EM_KNOB_START))
		em_fault_bring_in((uintptr_t)p, bytes, false);
}

/* Touching from user space is as good as bringing in: we read it anyway. */
static void need_string(const char *s)
{
	if (s && em_in_window((uintptr_t)s) && em_protects(EM_KNOB_START))
		need(s, strlen(s) + 1);
}

static void need_strings(char *const *list)
{
	size_t n = 0;

	if (!list)
		return;
	while (list[n])
		need_string(list[n++]);
	need(list, (n + 1) * sizeof(*list));
}

static void need_program(const char *path, char *const argv[], char *const envp[])
{
	need_string(path);
	need_strings(argv);
	need_strings(envp);
}

typedef int exec_function(const char *, char *const[], char *const[]);

static int exec_with(exec_function *real, const char *path, char *const argv[],
		     char *const envp[])
{
	int tries = 0, ret;

	do {
		if (em_core_active())
			need_program(path, argv, envp);
		em_trace_flush();
		ret = real(path, argv, envp);
	} while (errno == EFAULT && em_core_active() && ++tries < EM_EXEC_TRIES);
	return ret;
}

EM_EXPORT int execve(const char *path, char *const argv[], char *const envp[])
{
	return exec_with(EM_REAL(execve), path, argv, envp);
}

EM_EXPORT int execv(const char *path, char *const argv[])
{
	return execve(path, argv, environ);
}

EM_EXPORT int execvpe(const char *file, char *const argv[], char *const envp[])
{
	return exec_with(EM_REAL(execvpe), file, argv, envp);
}

EM_EXPORT int execvp(const char *file, char *const argv[])
{
	return execvpe(file, argv, environ);
}

/* The vector of an execl family call, on the caller's stack. */
#define COLLECT(argv, first, ap) \
	do { \
		va_list count_; \
		size_t n_ = 1; \
		va_copy(count_, ap); \
		while (va_arg(count_, char *)) \
			n_++; \
		va_end(count_); \
		argv = alloca((n_ + 1) * sizeof(char *)); \
		argv[0] = (char *)(first); \
		for (size_t i_ = 1; i_ <= n_; i_++) \
			argv[i_] = va_arg(ap, char *); \
	} while (0)

EM_EXPORT int execl(const char *path, const char *arg, ...)
{
	char **argv;
	va_list ap;

	va_start(ap, arg);
	COLLECT(argv, arg, ap);
	va_end(ap);
	return execve(path, argv, environ);
}

EM_EXPORT int execlp(const char *file, const char *arg, ...)
{
	char **argv;
	va_list ap;

	va_start(ap, arg);
	COLLECT(argv, arg, ap);
	va_end(ap);
	return execvpe(file, argv, environ);
}

EM_EXPORT int execle(const char *path, const char *arg, ...)
{
	char **argv, **envp;
	va_list ap;

	va_start(ap, arg);
	COLLECT(argv, arg, ap);
	envp = va_arg(ap, char **);
	va_end(ap);
	return execve(path, argv, envp);
}

typedef int spawn_function(pid_t *, const char *, const posix_spawn_file_actions_t *,
			   const posix_spawnattr_t *, char *const[], char *const[]);

/* What libc's functions hand to the kernel from a child that has no handlers any
 * more: a copy outside of the window cannot leave. NULL when it lies outside. */
static void *outside_alloc(size_t bytes)
{
	void *p;

	em_heap_unmanaged_begin();
	p = malloc(bytes);
	em_heap_unmanaged_end();
	return p;
}

static char *outside_copy(const char *s)
{
	size_t bytes;
	char *copy;

	if (!s || !em_in_window((uintptr_t)s) || !em_protects(EM_KNOB_START))
		return NULL;
	bytes = strlen(s) + 1;
	copy = outside_alloc(bytes);
	return copy ? memcpy(copy, s, bytes) : NULL;
}

/* The same for a list of strings: list and strings are one allocation. */
static char **outside_list(char *const *list)
{
	size_t n = 0, bytes = 0;
	bool inside = em_in_window((uintptr_t)list);
	char **copy, *to;

	for (n = 0; list && list[n]; n++) {
		inside |= em_in_window((uintptr_t)list[n]);
		bytes += strlen(list[n]) + 1;
	}
	if (!inside || !em_protects(EM_KNOB_START) || !(copy = outside_alloc((n + 1) * sizeof(*copy) + bytes)))
		return NULL;
	to = (char *)(copy + n + 1);
	for (size_t i = 0; i < n; i++) {
		copy[i] = to;
		to = stpcpy(to, list[i]) + 1;
	}
	copy[n] = NULL;
	return copy;
}

static int spawn(spawn_function *real, pid_t *pid, const char *path,
		 const posix_spawn_file_actions_t *actions,
		 const posix_spawnattr_t *attr, char *const argv[], char *const envp[])
{
	char *own_path = outside_copy(path);
	char **own_argv = outside_list(argv), **own_envp = outside_list(envp);
	int tries = 0, ret;

	do {
		if (em_core_active()) {
			need(actions, sizeof(*actions));
			need(attr, sizeof(*attr));
		}
		ret = real(pid, own_path ? own_path : path, actions, attr,
			   own_argv ? own_argv : argv, own_envp ? own_envp : envp);
	} while (ret == EFAULT && em_core_active() && ++tries < EM_EXEC_TRIES);
	free(own_path);
	free(own_argv);
	free(own_envp);
	return ret;
}

EM_EXPORT int posix_spawn(pid_t *restrict pid, const char *restrict path,
			  const posix_spawn_file_actions_t *actions,
			  const posix_spawnattr_t *restrict attr,
			  char *const argv[restrict], char *const envp[restrict])
{
	return spawn(EM_REAL(posix_spawn), pid, path, actions, attr, argv, envp);
}

EM_EXPORT int posix_spawnp(pid_t *restrict pid, const char *restrict file,
			   const posix_spawn_file_actions_t *actions,
			   const posix_spawnattr_t *restrict attr,
			   char *const argv[restrict], char *const envp[restrict])
{
	return spawn(EM_REAL(posix_spawnp), pid, file, actions, attr, argv, envp);
}

/*
 * These two hand on the environment, which getenv and putenv share with the
 * program: it cannot be a copy. If a part of it left before the child got there,
 * nothing was started, and we try again. system leaves the error in errno;
 * popen says ENOMEM whatever it was.
 */
EM_EXPORT int system(const char *command)
{
	char *copy = outside_copy(command);
	int tries = 0, saved = errno, ret;

	do {
		if (command && em_core_active())
			need_strings(environ);
		errno = 0;
		ret = EM_REAL(system)(copy ? copy : command);
	} while (command && errno == EFAULT && em_core_active() && ++tries < EM_EXEC_TRIES);
	if (!errno)
		errno = saved;
	free(copy);
	return ret;
}

EM_EXPORT FILE *popen(const char *command, const char *mode)
{
	char *copy = outside_copy(command);
	int tries = 0;
	FILE *f;

	em_heap_unmanaged_begin();
	do {
		if (em_core_active())
			need_strings(environ);
		f = EM_REAL(popen)(copy ? copy : command, mode);
	} while (!f && (errno == ENOMEM || errno == EFAULT) && em_core_active() &&
		 ++tries < EM_EXEC_TRIES);
	em_heap_unmanaged_end();
	free(copy);
	return f;
}

/* _exit skips destructors; the last figures are due all the same. */
EM_EXPORT _Noreturn void _exit(int status)
{
	em_core_report();
	EM_REAL(_exit)(status);
	__builtin_unreachable();
}

EM_EXPORT _Noreturn void _Exit(int status)
{
	_exit(status);
}
