/* SPDX-License-Identifier: MIT
 *
 * measure FILE COMMAND [ARG...]: runs COMMAND, passes its exit status through
 * and writes "SECONDS MAXRSS_KIB CPU_SECONDS" into FILE: the time it took as a whole,
 * the largest resident set that it or a child it waited for had, and the
 * processor time of all of them.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

static double seconds_of(struct timeval tv)
{
	return (double)tv.tv_sec + (double)tv.tv_usec * 1e-6;
}

int main(int argc, char **argv)
{
	struct rusage usage;
	int status;

	if (argc < 3) {
		fprintf(stderr, "usage: measure FILE COMMAND [ARG...]\n");
		return 2;
	}
	double began = now();
	pid_t pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* who ends us ends it */
		execvp(argv[2], argv + 2);
		fprintf(stderr, "measure: cannot run '%s': %s\n", argv[2], strerror(errno));
		_exit(127);
	}
	if (pid < 0 || wait4(pid, &status, 0, &usage) != pid) {
		fprintf(stderr, "measure: %s\n", strerror(errno));
		return 2;
	}
	double spent = now() - began;

	double cpu = seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime);

	FILE *out = fopen(argv[1], "w");
	if (!out || fprintf(out, "%.6f %ld %.6f\n", spent, usage.ru_maxrss, cpu) < 0 ||
	    fclose(out) != 0) {
		fprintf(stderr, "measure: cannot write '%s': %s\n", argv[1], strerror(errno));
		return 2;
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
