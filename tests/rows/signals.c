/* SPDX-License-Identifier: MIT
 *
 * rows-signals: what programs do with signals while their pages leave.
 */
#include "row.h"
#include <signal.h>

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

static const struct row rows[] = {
	{ "mask-all", "masks", mask_all },
};

int main(int argc, char **argv)
{
	return row_main(argc, argv, rows, sizeof(rows) / sizeof(rows[0]));
}
