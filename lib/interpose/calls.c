/* SPDX-License-Identifier: MIT */
#include "calls.h"
#include "kernel.h"
#include <mqueue.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/timex.h>
#include <sys/uio.h>
#include <sys/utsname.h>

enum { IN = 0, OUT = 1 };

#define FIX(a, type, dir) { a, EM_LEN_BYTES, 0, dir, sizeof(type) }
#define FIXN(a, bytes, dir) { a, EM_LEN_BYTES, 0, dir, bytes }
#define LEN(a, n, dir) { a, EM_LEN_ARG, n, dir, 0 }
#define VEC(a, n, type, dir) { a, EM_LEN_ARRAY, n, dir, sizeof(type) }
#define VECN(a, n, bytes, dir) { a, EM_LEN_ARRAY, n, dir, bytes }
#define STR(a) { a, EM_LEN_STRING, 0, IN, 0 }
#define IOV(a, n, dir) { a, EM_LEN_IOVEC, n, dir, 0 }
#define ADDR(a, n) { a, EM_LEN_SOCKLEN, n, OUT, 0 }, FIX(n, socklen_t, OUT)
#define FDS(a) { a, EM_LEN_FDSET, 0, OUT, 0 }
#define TIME(a, dir) { a, EM_LEN_BYTES, 0, dir, sizeof(struct timespec) }
#define SIGSET(a, dir) { a, EM_LEN_BYTES, 0, dir, 8 } /* the kernel's, not glibc's */
#define OFFSET(a) { a, EM_LEN_BYTES, 0, OUT, 8 }
#define MEMORY { 0 }

static const struct em_call calls[] = {
	/* Files and sockets. */
	{ SYS_read, { LEN(1, 2, OUT) } },
	{ SYS_write, { LEN(1, 2, IN) } },
	{ SYS_pread64, { LEN(1, 2, OUT) } },
	{ SYS_pwrite64, { LEN(1, 2, IN) } },
	{ SYS_readv, { IOV(1, 2, OUT) } },
	{ SYS_writev, { IOV(1, 2, IN) } },
	{ SYS_preadv, { IOV(1, 2, OUT) } },
	{ SYS_pwritev, { IOV(1, 2, IN) } },
	{ SYS_preadv2, { IOV(1, 2, OUT) } },
	{ SYS_pwritev2, { IOV(1, 2, IN) } },
	/* From a pipe it writes, and what it puts into one stays as it is there:
	 * the pipe holds the page itself, wherever the program's goes. */
	{ SYS_vmsplice, { IOV(1, 2, OUT) } },
	{ SYS_process_vm_readv, { IOV(1, 2, OUT), { 3, EM_LEN_REMOTE, 4, IN, 0 } } },
	{ SYS_process_vm_writev, { IOV(1, 2, IN), { 3, EM_LEN_REMOTE, 4, OUT, 0 } } },
	{ SYS_process_madvise, { VEC(1, 2, struct iovec, IN) } },
	{ SYS_recvfrom, { LEN(1, 2, OUT), ADDR(4, 5) } },
	{ SYS_sendto, { LEN(1, 2, IN), LEN(4, 5, IN) } },
	{ SYS_recvmsg, { { 1, EM_LEN_MSGHDR, 0, OUT, 0 } } },
	{ SYS_sendmsg, { { 1, EM_LEN_MSGHDR, 0, IN, 0 } } },
	{ SYS_recvmmsg, { { 1, EM_LEN_MMSGHDR, 2, OUT, 0 }, TIME(4, OUT) } },
	{ SYS_sendmmsg, { { 1, EM_LEN_MMSGHDR, 2, IN, 0 } } },
	{ SYS_bind, { LEN(1, 2, IN) } },
	{ SYS_connect, { LEN(1, 2, IN) } },
	{ SYS_accept, { ADDR(1, 2) } },
	{ SYS_accept4, { ADDR(1, 2) } },
	{ SYS_getsockname, { ADDR(1, 2) } },
	{ SYS_getpeername, { ADDR(1, 2) } },
	{ SYS_getsockopt, { ADDR(3, 4) } },
	{ SYS_setsockopt, { { 3, EM_LEN_SOCKOPT, 4, IN, 0 } } },
	{ SYS_socketpair, { FIXN(3, 2 * sizeof(int), OUT) } },
	{ SYS_pipe, { FIXN(0, 2 * sizeof(int), OUT) } },
	{ SYS_pipe2, { FIXN(0, 2 * sizeof(int), OUT) } },
	{ SYS_ioctl, { { 2, EM_LEN_IOCTL, 1, OUT, 0 } } },
	{ SYS_fcntl, { FIXN(2, 32, OUT) } },
	{ SYS_sendfile, { OFFSET(2) } },
	{ SYS_splice, { OFFSET(1), OFFSET(3) } },
	{ SYS_copy_file_range, { OFFSET(1), OFFSET(3) } },

	/* Waiting. */
	{ SYS_futex, { FIX(0, int, OUT), TIME(3, IN), FIX(4, int, OUT) } },
	{ SYS_futex_waitv, { { 0, EM_LEN_WAITV, 1, IN, 0 }, TIME(3, IN) } },
	{ SYS_poll, { VEC(0, 1, struct pollfd, OUT) } },
	{ SYS_ppoll, { VEC(0, 1, struct pollfd, OUT), TIME(2, OUT), SIGSET(3, IN) } },
	{ SYS_select, { FDS(1), FDS(2), FDS(3), FIX(4, struct timeval, OUT) } },
	{ SYS_pselect6, { FDS(1), FDS(2), FDS(3), TIME(4, OUT),
			  { 5, EM_LEN_SIGARG, 0, IN, 0 } } },
	{ SYS_epoll_wait, { VEC(1, 2, struct epoll_event, OUT) } },
	{ SYS_epoll_pwait, { VEC(1, 2, struct epoll_event, OUT), SIGSET(4, IN) } },
	{ SYS_epoll_pwait2, { VEC(1, 2, struct epoll_event, OUT), TIME(3, IN),
			      SIGSET(4, IN) } },
	{ SYS_epoll_ctl, { FIX(3, struct epoll_event, IN) } },
	{ SYS_nanosleep, { TIME(0, IN), TIME(1, OUT) } },
	{ SYS_clock_nanosleep, { TIME(2, IN), TIME(3, OUT) } },
	{ SYS_wait4, { FIX(1, int, OUT), FIX(3, struct rusage, OUT) } },
	{ SYS_waitid, { FIX(2, siginfo_t, OUT), FIX(4, struct rusage, OUT) } },

	/* Asynchronous input and output. */
	{ SYS_io_setup, { FIXN(1, 8, OUT) } },
	{ SYS_io_submit, { { 2, EM_LEN_IOCBS, 1, IN, 0 } } },
	{ SYS_io_getevents, { VECN(3, 2, 32, OUT), TIME(4, IN) } },
	{ SYS_io_pgetevents, { VECN(3, 2, 32, OUT), TIME(4, IN),
			       { 5, EM_LEN_SIGARG, 0, IN, 0 } } },
	{ SYS_io_cancel, { FIXN(1, 64, OUT), FIXN(2, 32, OUT) } },
	{ SYS_io_uring_setup, { FIXN(1, 120, OUT) } },
	{ SYS_io_uring_enter, { LEN(4, 5, IN) } },
	{ SYS_io_uring_register, { VEC(2, 3, struct iovec, OUT) } },

	/* Files by name. */
	{ SYS_getdents64, { LEN(1, 2, OUT) } },
	{ SYS_getdents, { LEN(1, 2, OUT) } },
	{ SYS_getcwd, { LEN(0, 1, OUT) } },
	{ SYS_stat, { STR(0), FIX(1, struct stat, OUT) } },
	{ SYS_lstat, { STR(0), FIX(1, struct stat, OUT) } },
	{ SYS_fstat, { FIX(1, struct stat, OUT) } },
	{ SYS_newfstatat, { STR(1), FIX(2, struct stat, OUT) } },
	{ SYS_statx, { STR(1), FIXN(4, 256, OUT) } },
	{ SYS_statfs, { STR(0), FIX(1, struct statfs, OUT) } },
	{ SYS_fstatfs, { FIX(1, struct statfs, OUT) } },
	{ SYS_ustat, { FIXN(1, 32, OUT) } },
	{ SYS_readlink, { STR(0), LEN(1, 2, OUT) } },
	{ SYS_readlinkat, { STR(1), LEN(2, 3, OUT) } },
	{ SYS_open, { STR(0) } },
	{ SYS_openat, { STR(1) } },
	{ SYS_openat2, { STR(1), LEN(2, 3, IN) } },
	{ SYS_creat, { STR(0) } },
	{ SYS_access, { STR(0) } },
	{ SYS_faccessat, { STR(1) } },
	{ SYS_faccessat2, { STR(1) } },
	{ SYS_unlink, { STR(0) } },
	{ SYS_unlinkat, { STR(1) } },
	{ SYS_rename, { STR(0), STR(1) } },
	{ SYS_renameat, { STR(1), STR(3) } },
	{ SYS_renameat2, { STR(1), STR(3) } },
	{ SYS_link, { STR(0), STR(1) } },
	{ SYS_linkat, { STR(1), STR(3) } },
	{ SYS_symlink, { STR(0), STR(1) } },
	{ SYS_symlinkat, { STR(0), STR(2) } },
	{ SYS_mkdir, { STR(0) } },
	{ SYS_mkdirat, { STR(1) } },
	{ SYS_rmdir, { STR(0) } },
	{ SYS_mknod, { STR(0) } },
	{ SYS_mknodat, { STR(1) } },
	{ SYS_chdir, { STR(0) } },
	{ SYS_chroot, { STR(0) } },
	{ SYS_chmod, { STR(0) } },
	{ SYS_fchmodat, { STR(1) } },
	{ SYS_chown, { STR(0) } },
	{ SYS_lchown, { STR(0) } },
	{ SYS_fchownat, { STR(1) } },
	{ SYS_truncate, { STR(0) } },
	{ SYS_utime, { STR(0), FIXN(1, 16, IN) } },
	{ SYS_utimes, { STR(0), FIXN(1, 2 * sizeof(struct timeval), IN) } },
	{ SYS_futimesat, { STR(1), FIXN(2, 2 * sizeof(struct timeval), IN) } },
	{ SYS_utimensat, { STR(1), FIXN(2, 2 * sizeof(struct timespec), IN) } },
	{ SYS_memfd_create, { STR(0) } },
	{ SYS_inotify_add_watch, { STR(1) } },
	{ SYS_fanotify_mark, { STR(4) } },
	{ SYS_name_to_handle_at, { STR(1), FIXN(2, 8 + 128, OUT), FIX(3, int, OUT) } },
	{ SYS_open_by_handle_at, { FIXN(1, 8 + 128, IN) } },
	{ SYS_getxattr, { STR(0), STR(1), LEN(2, 3, OUT) } },
	{ SYS_lgetxattr, { STR(0), STR(1), LEN(2, 3, OUT) } },
	{ SYS_fgetxattr, { STR(1), LEN(2, 3, OUT) } },
	{ SYS_setxattr, { STR(0), STR(1), LEN(2, 3, IN) } },
	{ SYS_lsetxattr, { STR(0), STR(1), LEN(2, 3, IN) } },
	{ SYS_fsetxattr, { STR(1), LEN(2, 3, IN) } },
	{ SYS_listxattr, { STR(0), LEN(1, 2, OUT) } },
	{ SYS_llistxattr, { STR(0), LEN(1, 2, OUT) } },
	{ SYS_flistxattr, { LEN(1, 2, OUT) } },
	{ SYS_removexattr, { STR(0), STR(1) } },
	{ SYS_lremovexattr, { STR(0), STR(1) } },
	{ SYS_fremovexattr, { STR(1) } },

	/* Processes. */
	{ SYS_execve, { STR(0) } },
	{ SYS_execveat, { STR(1) } },
	{ SYS_prctl, { FIXN(1, 16, OUT), { 2, EM_LEN_FPROG, 0, IN, 0 }, STR(4) } },
	{ SYS_arch_prctl, { FIXN(1, 8, OUT) } },
	{ SYS_seccomp, { { 2, EM_LEN_FPROG, 0, IN, 0 } } },
	{ SYS_get_robust_list, { FIXN(1, 8, OUT), FIXN(2, 8, OUT) } },
	{ SYS_getgroups, { VECN(1, 0, 4, OUT) } },
	{ SYS_setgroups, { VECN(1, 0, 4, IN) } },
	{ SYS_getresuid, { FIXN(0, 4, OUT), FIXN(1, 4, OUT), FIXN(2, 4, OUT) } },
	{ SYS_getresgid, { FIXN(0, 4, OUT), FIXN(1, 4, OUT), FIXN(2, 4, OUT) } },
	{ SYS_capget, { FIXN(0, 8, OUT), FIXN(1, 24, OUT) } },
	{ SYS_capset, { FIXN(0, 8, OUT), FIXN(1, 24, IN) } },
	{ SYS_getrusage, { FIX(1, struct rusage, OUT) } },
	{ SYS_getrlimit, { FIX(1, struct rlimit, OUT) } },
	{ SYS_setrlimit, { FIX(1, struct rlimit, IN) } },
	{ SYS_prlimit64, { FIX(2, struct rlimit, IN), FIX(3, struct rlimit, OUT) } },
	{ SYS_sched_getaffinity, { LEN(2, 1, OUT) } },
	{ SYS_sched_setaffinity, { LEN(2, 1, IN) } },
	{ SYS_sched_getparam, { FIX(1, struct sched_param, OUT) } },
	{ SYS_sched_setparam, { FIX(1, struct sched_param, IN) } },
	{ SYS_sched_setscheduler, { FIX(2, struct sched_param, IN) } },
	{ SYS_sched_rr_get_interval, { TIME(1, OUT) } },
	{ SYS_sched_getattr, { LEN(1, 2, OUT) } },
	{ SYS_sched_setattr, { FIXN(1, 56, OUT) } },
	{ SYS_getcpu, { FIXN(0, 4, OUT), FIXN(1, 4, OUT) } },
	{ SYS_ptrace, { FIXN(3, 512, OUT) } },
	{ SYS_perf_event_open, { FIXN(0, 136, OUT) } },
	{ SYS_landlock_create_ruleset, { LEN(0, 1, IN) } },
	{ SYS_landlock_add_rule, { FIXN(2, 16, IN) } },

	/* Addresses that are kept: em_net_keeps(). */
	{ SYS_rseq, { FIXN(0, 32, OUT) } },
	{ SYS_set_tid_address, { FIXN(0, 4, OUT) } },
	{ SYS_set_robust_list, { FIXN(0, 24, OUT) } },

	/* Signals. */
	{ SYS_rt_sigaction, { FIXN(1, 32, IN), FIXN(2, 32, OUT) } },
	{ SYS_rt_sigprocmask, { SIGSET(1, IN), SIGSET(2, OUT) } },
	{ SYS_rt_sigpending, { SIGSET(0, OUT) } },
	{ SYS_rt_sigtimedwait, { SIGSET(0, IN), FIX(1, siginfo_t, OUT), TIME(2, IN) } },
	{ SYS_rt_sigsuspend, { SIGSET(0, IN) } },
	{ SYS_rt_sigqueueinfo, { FIX(2, siginfo_t, IN) } },
	{ SYS_rt_tgsigqueueinfo, { FIX(3, siginfo_t, IN) } },
	{ SYS_pidfd_send_signal, { FIX(2, siginfo_t, IN) } },
	{ SYS_sigaltstack, { FIX(0, stack_t, IN), FIX(1, stack_t, OUT) } },
	{ SYS_signalfd, { SIGSET(1, IN) } },
	{ SYS_signalfd4, { SIGSET(1, IN) } },

	/* Time. */
	{ SYS_time, { FIXN(0, 8, OUT) } },
	{ SYS_clock_gettime, { TIME(1, OUT) } },
	{ SYS_clock_settime, { TIME(1, IN) } },
	{ SYS_clock_getres, { TIME(1, OUT) } },
	{ SYS_clock_adjtime, { FIX(1, struct timex, OUT) } },
	{ SYS_adjtimex, { FIX(0, struct timex, OUT) } },
	{ SYS_gettimeofday, { FIX(0, struct timeval, OUT), FIXN(1, 8, OUT) } },
	{ SYS_settimeofday, { FIX(0, struct timeval, IN), FIXN(1, 8, IN) } },
	{ SYS_times, { FIX(0, struct tms, OUT) } },
	{ SYS_timer_create, { FIXN(1, 64, IN), FIXN(2, 4, OUT) } },
	{ SYS_timer_settime, { FIXN(2, 32, IN), FIXN(3, 32, OUT) } },
	{ SYS_timer_gettime, { FIXN(1, 32, OUT) } },
	{ SYS_timerfd_settime, { FIXN(2, 32, IN), FIXN(3, 32, OUT) } },
	{ SYS_timerfd_gettime, { FIXN(1, 32, OUT) } },
	{ SYS_setitimer, { FIXN(1, 32, IN), FIXN(2, 32, OUT) } },
	{ SYS_getitimer, { FIXN(1, 32, OUT) } },

	/* Messages and semaphores. */
	{ SYS_msgsnd, { { 1, EM_LEN_ARG, 2, IN, 8 } } },
	{ SYS_msgrcv, { { 1, EM_LEN_ARG, 2, OUT, 8 } } },
	{ SYS_msgctl, { FIXN(2, 128, OUT) } },
	{ SYS_shmctl, { FIXN(2, 128, OUT) } },
	{ SYS_semctl, { FIXN(3, 64000, OUT) } }, /* an array of up to 32000 values */
	{ SYS_semop, { VECN(1, 2, 6, IN) } },
	{ SYS_semtimedop, { VECN(1, 2, 6, IN), TIME(3, IN) } },
	{ SYS_mq_open, { STR(0), FIX(3, struct mq_attr, IN) } },
	{ SYS_mq_unlink, { STR(0) } },
	{ SYS_mq_timedsend, { LEN(1, 2, IN), TIME(4, IN) } },
	{ SYS_mq_timedreceive, { LEN(1, 2, OUT), FIXN(3, 4, OUT), TIME(4, IN) } },
	{ SYS_mq_notify, { FIXN(1, 64, IN) } },
	{ SYS_mq_getsetattr, { FIX(1, struct mq_attr, IN), FIX(2, struct mq_attr, OUT) } },
	{ SYS_add_key, { STR(0), STR(1), LEN(2, 3, IN) } },
	{ SYS_request_key, { STR(0), STR(1), STR(2) } },
	{ SYS_keyctl, { STR(1), LEN(2, 3, OUT), STR(3) } },

	/* The machine. */
	{ SYS_getrandom, { LEN(0, 1, OUT) } },
	{ SYS_sysinfo, { FIX(0, struct sysinfo, OUT) } },
	{ SYS_uname, { FIX(0, struct utsname, OUT) } },
	{ SYS_syslog, { LEN(1, 2, OUT) } },
	{ SYS_sethostname, { LEN(0, 1, IN) } },
	{ SYS_setdomainname, { LEN(0, 1, IN) } },
	{ SYS_mount, { STR(0), STR(1), STR(2), STR(4) } },
	{ SYS_umount2, { STR(0) } },
	{ SYS_pivot_root, { STR(0), STR(1) } },
	{ SYS_swapon, { STR(0) } },
	{ SYS_swapoff, { STR(0) } },
	{ SYS_acct, { STR(0) } },
	{ SYS_quotactl, { STR(1), FIXN(3, 128, OUT) } },
	{ SYS_quotactl_fd, { FIXN(3, 128, OUT) } },
	{ SYS_sysfs, { STR(1), FIXN(2, 256, OUT) } },
	{ SYS_bpf, { LEN(1, 2, OUT) } },
	{ SYS_init_module, { LEN(0, 1, IN), STR(2) } },
	{ SYS_finit_module, { STR(1) } },
	{ SYS_delete_module, { STR(0) } },
	{ SYS_open_tree, { STR(1) } },
	{ SYS_move_mount, { STR(1), STR(3) } },
	{ SYS_fsopen, { STR(0) } },
	{ SYS_fsconfig, { STR(2), STR(3) } },
	{ SYS_fspick, { STR(1) } },
	{ SYS_mount_setattr, { STR(1), LEN(3, 4, IN) } },

	/* Memory: what is written to, and the calls that change mappings. */
	{ SYS_mincore, { FIXN(2, 64, OUT) } },
	{ SYS_get_mempolicy, { FIXN(0, 4, OUT), FIXN(1, 128, OUT) } },
	{ SYS_set_mempolicy, { FIXN(1, 128, IN) } },
	{ SYS_mbind, { FIXN(3, 128, IN) } },
	{ SYS_migrate_pages, { FIXN(2, 128, IN), FIXN(3, 128, IN) } },
	{ SYS_move_pages, { VECN(2, 1, 8, IN), VECN(3, 1, 4, IN), VECN(4, 1, 4, OUT) } },
	{ SYS_modify_ldt, { LEN(1, 2, OUT) } },
	{ SYS_mmap, { MEMORY } },
	{ SYS_munmap, { MEMORY } },
	{ SYS_mprotect, { MEMORY } },
	{ SYS_madvise, { MEMORY } },
	{ SYS_mremap, { MEMORY } },
	{ SYS_mlock, { MEMORY } },
	{ SYS_mlock2, { MEMORY } },
	{ SYS_munlock, { MEMORY } },
	{ SYS_msync, { MEMORY } },
	{ SYS_pkey_mprotect, { MEMORY } },
	{ SYS_mseal, { MEMORY } },
};

const struct em_call *em_call_at(size_t i)
{
	return i < EM_ARRAY_LEN(calls) ? &calls[i] : NULL;
}

const struct em_call *em_call_find(long nr)
{
	static _Atomic uint16_t index[512]; /* position + 1 */
	uint16_t at;

	if (nr < 0 || nr >= 512)
		return NULL;
	at = atomic_load_explicit(&index[nr], memory_order_relaxed);
	if (em_likely(at))
		return &calls[at - 1];
	for (size_t i = 0; i < EM_ARRAY_LEN(calls); i++)
		if (calls[i].nr == nr) {
			atomic_store_explicit(&index[nr], (uint16_t)(i + 1),
					      memory_order_relaxed);
			return &calls[i];
		}
	return NULL;
}

uint8_t em_call_pointers(const struct em_call *call)
{
	uint8_t pointers = 0;

	for (int k = 0; k < EM_RULES_MAX && call->rules[k].length; k++)
		pointers |= (uint8_t)(1u << call->rules[k].arg);
	if (!pointers) /* a memory call: the address, and mremap's second */
		pointers = call->nr == SYS_mremap ? 1u | 1u << 4 : 1u;
	return pointers;
}
