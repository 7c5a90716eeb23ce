/* SPDX-License-Identifier: MIT
 *
 * rows-signals: what programs do with signals while their pages leave.
 */
#include "row.h"
#include <setjmp.h>
#include <signal.h>
#include <sys/prctl.h>

#define BYTES (64 * ROW_PAGE)

static void mask_all(void)
{
	unsigned char *p = row_map(BYTES);
	sigset_t all, shown;

	row_fill(p, BYTES, 1);
	row_push_out(p, BYTES);
	sigfillset(&all);
	ROW_CHECK(sigprocmask(SIG_SETMASK, &all, NULL) == 0);
	row_verify(p, BYTES, 1);
	ROW_CHECK(sigprocmask(SIG_SETMASK, NULL, &shown) == 0);
	ROW_CHECK(sigismember(&shown, SIGBUS) == 1);
	ROW_CHECK(sigismember(&shown, SIGSYS) == 1);
}

static sigjmp_buf out;
static volatile int segv_count;

static void on_segv(int sig)
{
	segv_count++;
	siglongjmp(out, sig);
}

/* The instruction that reads the time is forbidden, and pages are away. */
static void no_tsc(void)
{
	struct sigaction sa = { .sa_handler = on_segv };
	unsigned char *p = row_map(BYTES);

	row_fill(p, BYTES, 1);
	ROW_CHECK(sigaction(SIGSEGV, &sa, NULL) == 0);
	if (prctl(PR_SET_TSC, PR_TSC_SIGSEGV) < 0)
		row_skip("the time can always be read here");
	row_push_out(p, BYTES);
	if (sigsetjmp(out, 1) == 0)
		row_verify(p, BYTES, 1);
	ROW_CHECK(segv_count == 0);
	if (sigsetjmp(out, 1) == 0)
		__builtin_ia32_rdtsc();
	ROW_CHECK(segv_count == 1);
	prctl(PR_SET_TSC, PR_TSC_ENABLE);
}

static const struct row rows[] = {
	{ "mask-all", "masks", mask_all },
	{ "no-tsc", "tsc", no_tsc },
};

int main(int argc, char **argv)
{
	return row_main(argc, argv, rows, sizeof(rows) / sizeof(rows[0]));
}
