/* SPDX-License-Identifier: MIT
 *
 * tap: what the unit tests speak, the Test Anything Protocol, in one header.
 *
 *	int main(void)
 *	{
 *		ok(list_empty(&l), "a new list is empty");
 *		is_int(list_count(&l), 0, "and counts %d", 0);
 *		return done_testing();
 *	}
 *
 * Every check prints one line; one that fails also prints where it stands and
 * what was found, and the test goes on. All of them return whether they held,
 * so that a test can stop where going on makes no sense. Output is flushed
 * line by line, so a test that forks or dies loses none. One thread only.
 */
#ifndef TESTS_UNIT_TAP_H
#define TESTS_UNIT_TAP_H

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct tap {
	unsigned int run, failed, planned;
};

static struct tap tap;

/* Says beforehand how many checks there are; done_testing() holds it to it. */
static inline void plan(unsigned int checks)
{
	tap.planned = checks;
	printf("1..%u\n", checks);
	fflush(stdout);
}

/* The whole program cannot run here; says why and ends it. */
__attribute__((format(printf, 1, 2))) _Noreturn static inline void
skip_all(const char *format, ...)
{
	va_list ap;

	printf("1..0 # SKIP ");
	va_start(ap, format);
	vprintf(format, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
	exit(0);
}

/* A line of explanation that is no result. */
__attribute__((format(printf, 1, 2))) static inline void
diag(const char *format, ...)
{
	va_list ap;

	printf("# ");
	va_start(ap, format);
	vprintf(format, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
}

/* '#' begins a directive in TAP, so a name must not have one. */
__attribute__((format(printf, 4, 0))) static inline bool
tap_line(bool held, const char *file, int line, const char *format, va_list ap)
{
	char name[512];

	vsnprintf(name, sizeof(name), format, ap);
	for (char *p = name; *p; p++)
		if (*p == '#' || *p == '\n')
			*p = ' ';
	tap.run++;
	tap.failed += !held;
	printf("%s %u - %s\n", held ? "ok" : "not ok", tap.run, name);
	if (!held)
		printf("#   failed at %s:%d\n", file, line);
	fflush(stdout);
	return held;
}

__attribute__((format(printf, 5, 6))) static inline bool
tap_ok(bool held, const char *what, const char *file, int line,
       const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	tap_line(held, file, line, format, ap);
	va_end(ap);
	if (!held)
		diag("  not true: %s", what);
	return held;
}

__attribute__((format(printf, 5, 6))) static inline bool
tap_is_int(long long got, long long want, const char *file, int line,
	   const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	tap_line(got == want, file, line, format, ap);
	va_end(ap);
	if (got != want)
		diag("  found %lld, expected %lld", got, want);
	return got == want;
}

__attribute__((format(printf, 5, 6))) static inline bool
tap_is_str(const char *got, const char *want, const char *file, int line,
	   const char *format, ...)
{
	bool held = got && want ? !strcmp(got, want) : got == want;
	va_list ap;

	va_start(ap, format);
	tap_line(held, file, line, format, ap);
	va_end(ap);
	if (!held) {
		diag("  found    '%s'", got ? got : "(null)");
		diag("  expected '%s'", want ? want : "(null)");
	}
	return held;
}

__attribute__((format(printf, 5, 6))) static inline bool
tap_has_str(const char *got, const char *part, const char *file, int line,
	    const char *format, ...)
{
	bool held = got && part && strstr(got, part);
	va_list ap;

	va_start(ap, format);
	tap_line(held, file, line, format, ap);
	va_end(ap);
	if (!held) {
		diag("  found       '%s'", got ? got : "(null)");
		diag("  without the '%s' in it", part ? part : "(null)");
	}
	return held;
}

/* Each takes the name of the check last, as printf does. */
#define ok(cond, ...) \
	tap_ok(!!(cond), #cond, __FILE__, __LINE__, __VA_ARGS__)
#define is_int(got, want, ...) \
	tap_is_int((long long)(got), (long long)(want), __FILE__, __LINE__, \
		   __VA_ARGS__)
#define is_str(got, want, ...) \
	tap_is_str(got, want, __FILE__, __LINE__, __VA_ARGS__)
/* The string got has part somewhere in it. */
#define has_str(got, part, ...) \
	tap_has_str(got, part, __FILE__, __LINE__, __VA_ARGS__)

/* The last line of main: the plan if there was none, and the exit status. */
static inline int done_testing(void)
{
	bool short_run = tap.planned && tap.planned != tap.run;

	if (!tap.planned)
		printf("1..%u\n", tap.run);
	if (short_run)
		diag("planned %u checks, ran %u", tap.planned, tap.run);
	if (tap.failed)
		diag("%u of %u checks failed", tap.failed, tap.run);
	fflush(stdout);
	return tap.failed || short_run;
}

#endif
