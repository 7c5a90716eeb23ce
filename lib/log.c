/* SPDX-License-Identifier: MIT */
#include "log.h"
#include "arch.h"
#include <signal.h>
#include <stdarg.h>
#include <sys/syscall.h>

struct line {
	char text[512];
	size_t used;
};

static void put(struct line *l, char c)
{
	if (l->used < sizeof(l->text) - 1)
		l->text[l->used++] = c;
}

static void put_string(struct line *l, const char *s)
{
	while (*s)
		put(l, *s++);
}

static void put_number(struct line *l, uint64_t v, unsigned int base)
{
	char digits[24];
	size_t n = 0;

	do {
		digits[n++] = "0123456789abcdef"[v % base];
		v /= base;
	} while (v);
	while (n)
		put(l, digits[--n]);
}

static void put_signed(struct line *l, int64_t v)
{
	if (v < 0)
		put(l, '-');
	put_number(l, v < 0 ? -(uint64_t)v : (uint64_t)v, 10);
}

static void put_format(struct line *l, const char *f, va_list ap)
{
	for (; *f; f++) {
		if (*f != '%') {
			put(l, *f);
			continue;
		}
		bool wide = *++f == 'l';
		if (wide)
			f++;
		switch (*f) {
		case 's': put_string(l, va_arg(ap, const char *)); break;
		case 'c': put(l, (char)va_arg(ap, int)); break;
		case 'd': put_signed(l, wide ? va_arg(ap, long) : va_arg(ap, int)); break;
		case 'u': put_number(l, wide ? va_arg(ap, unsigned long)
					: va_arg(ap, unsigned int), 10); break;
		case 'x': put_number(l, wide ? va_arg(ap, unsigned long)
					: va_arg(ap, unsigned int), 16); break;
		default: put(l, *f); break;
		}
	}
}

static void say(const char *format, va_list ap)
{
	struct line l = { .used = 0 };

	put_string(&l, "extmem[");
	put_number(&l, (uint64_t)em_syscall(SYS_getpid, 0, 0, 0, 0, 0, 0), 10);
	put_string(&l, "]: ");
	put_format(&l, format, ap);
	l.text[l.used++] = '\n';
	em_syscall(SYS_write, 2, (long)l.text, (long)l.used, 0, 0, 0);
}

void em_log(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	say(format, ap);
	va_end(ap);
}

_Noreturn void em_panic(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	say(format, ap);
	va_end(ap);
	for (;;) {
		struct { void *handler; unsigned long flags; void *restorer;
			 uint64_t mask; } dfl = { 0 };
		long pid = em_syscall(SYS_getpid, 0, 0, 0, 0, 0, 0);
		uint64_t abrt = 1ull << (SIGABRT - 1); /* handlers run with it blocked */
		em_syscall(SYS_rt_sigaction, SIGABRT, (long)&dfl, 0, 8, 0, 0);
		em_syscall(SYS_rt_sigprocmask, SIG_UNBLOCK, (long)&abrt, 0, 8, 0, 0);
		em_syscall(SYS_kill, pid, SIGABRT, 0, 0, 0, 0);
		em_syscall(SYS_exit_group, 134, 0, 0, 0, 0, 0);
	}
}
