/* SPDX-License-Identifier: MIT
 *
 * The table of calls: every system call of the machine is in it, has no pointer
 * to memory that may leave, or has a reason to be left out.
 */
#include "interpose/calls.h"
#include "tap.h"
#include <sys/syscall.h>

#define NUMBERS 1024

static const char unistd[] = "/usr/include/x86_64-linux-gnu/asm/unistd_64.h";

/* No argument points to memory. */
static const uint16_t plain[] = {
	SYS_close, SYS_lseek, SYS_brk, SYS_rt_sigreturn, SYS_sched_yield, SYS_shmget,
	SYS_dup, SYS_dup2, SYS_dup3, SYS_pause, SYS_alarm, SYS_getpid, SYS_socket,
	SYS_shutdown, SYS_listen, SYS_fork, SYS_vfork, SYS_exit, SYS_exit_group, SYS_kill,
	SYS_semget, SYS_msgget, SYS_flock, SYS_fsync, SYS_fdatasync, SYS_ftruncate,
	SYS_fchdir, SYS_fchmod, SYS_fchown, SYS_umask, SYS_getuid, SYS_getgid, SYS_setuid,
	SYS_setgid, SYS_geteuid, SYS_getegid, SYS_setpgid, SYS_getppid, SYS_getpgrp,
	SYS_setsid, SYS_setreuid, SYS_setregid, SYS_setresuid, SYS_setresgid, SYS_getpgid,
	SYS_setfsuid, SYS_setfsgid, SYS_getsid, SYS_personality, SYS_getpriority,
	SYS_setpriority, SYS_sched_getscheduler, SYS_sched_get_priority_max,
	SYS_sched_get_priority_min, SYS_mlockall, SYS_munlockall, SYS_vhangup, SYS_sync,
	SYS_iopl, SYS_ioperm, SYS_gettid, SYS_readahead, SYS_tkill, SYS_tgkill,
	SYS_io_destroy, SYS_epoll_create, SYS_epoll_create1, SYS_restart_syscall,
	SYS_fadvise64, SYS_timer_getoverrun, SYS_timer_delete, SYS_ioprio_set,
	SYS_ioprio_get, SYS_inotify_init, SYS_inotify_init1, SYS_inotify_rm_watch,
	SYS_unshare, SYS_tee, SYS_sync_file_range, SYS_timerfd_create, SYS_eventfd,
	SYS_eventfd2, SYS_fallocate, SYS_fanotify_init, SYS_syncfs, SYS_setns, SYS_kcmp,
	SYS_userfaultfd, SYS_membarrier, SYS_pkey_alloc, SYS_pkey_free, SYS_pidfd_open,
	SYS_pidfd_getfd, SYS_close_range, SYS_fsmount, SYS_landlock_restrict_self,
	SYS_memfd_secret, SYS_process_mrelease, SYS_reboot,
};

static const struct apart { uint16_t nr; const char *why; } apart[] = {
	{ SYS_clone, "runs on its own stack: threads.c keeps stacks in memory" },
	{ SYS_clone3, "the same" },
	{ SYS_shmat, "names a range and reads nothing" },
	{ SYS_shmdt, "the same" },
	{ SYS_remap_file_pages, "the same, of shared mappings" },
	{ SYS_set_mempolicy_home_node, "the same" },
	{ SYS_set_thread_area, "for 32-bit programs" },
	{ SYS_get_thread_area, "for 32-bit programs" },
	{ SYS_kexec_load, "ends the system" },
	{ SYS_kexec_file_load, "ends the system" },
	{ SYS_lookup_dcookie, "gone since Linux 6.7" },
	{ SYS__sysctl, "gone since Linux 5.5" },
	{ SYS_nfsservctl, "gone since Linux 3.1" },
	{ SYS_uselib, "gone since Linux 6.9" },
	{ SYS_create_module, "never on this machine" },
	{ SYS_get_kernel_syms, "never on this machine" },
	{ SYS_query_module, "never on this machine" },
	{ SYS_getpmsg, "never was" },
	{ SYS_putpmsg, "never was" },
	{ SYS_afs_syscall, "never was" },
	{ SYS_tuxcall, "never was" },
	{ SYS_security, "never was" },
	{ SYS_vserver, "never was" },
	{ SYS_epoll_ctl_old, "never was" },
	{ SYS_epoll_wait_old, "never was" },
};

static unsigned int classes[NUMBERS];

static void classify(void)
{
	const struct em_call *call;

	for (size_t i = 0; (call = em_call_at(i)); i++)
		classes[call->nr]++;
	for (size_t i = 0; i < EM_ARRAY_LEN(plain); i++)
		classes[plain[i]]++;
	for (size_t i = 0; i < EM_ARRAY_LEN(apart); i++)
		classes[apart[i].nr]++;
}

static void test_complete(void)
{
	FILE *f = fopen(unistd, "r");
	char line[256], name[64];
	unsigned int nr, calls = 0, missing = 0, twice = 0;

	if (!f) {
		printf("# there is no %s to compare with\n", unistd);
		return;
	}
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "#define __NR_%63s %u", name, &nr) != 2 || nr >= NUMBERS)
			continue;
		calls++;
		if (classes[nr] == 0)
			diag("call %u, %s, is nowhere", nr, name);
		if (classes[nr] > 1)
			diag("call %u, %s, is in more than one place", nr, name);
		missing += classes[nr] == 0;
		twice += classes[nr] > 1;
	}
	fclose(f);
	ok(calls > 300, "%u calls are known", calls);
	is_int(missing, 0, "each is accounted for");
	is_int(twice, 0, "once");
}

static void test_rules(void)
{
	const struct em_call *call;
	unsigned int wrong = 0, lost = 0;

	for (size_t i = 0; (call = em_call_at(i)); i++) {
		for (int k = 0; k < EM_RULES_MAX && call->rules[k].length; k++) {
			const struct em_rule *r = &call->rules[k];
			bool fixed = r->length == EM_LEN_BYTES;
			wrong += r->arg > 5 || r->n > 5 || fixed != (fixed && r->size) ||
				 !(em_call_pointers(call) & 1u << r->arg);
		}
		lost += em_call_find(call->nr) != call;
	}
	is_int(wrong, 0, "each rule names an argument and a length");
	is_int(lost, 0, "each call is found by its number");
	ok(!em_call_find(SYS_getpid) && !em_call_find(-1) && !em_call_find(511) &&
	   !em_call_find(100000), "others are not");
	is_int(em_call_pointers(em_call_find(SYS_read)), 2, "read has one pointer, its second");
	is_int(em_call_pointers(em_call_find(SYS_mremap)), 1 | 1 << 4,
	       "mremap has two addresses");
}

int main(void)
{
	classify();
	test_complete();
	test_rules();
	return done_testing();
}
