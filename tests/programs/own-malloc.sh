#!/bin/bash
# SPDX-License-Identifier: MIT
# A program with a malloc of its own, in managed memory, which libc calls as
# well: the end of a detached thread frees what was evicted meanwhile, with all
# signals blocked, and fork makes the locks of all FILEs anew in the child, while
# other threads hold the lock of their list.

set -u
# shellcheck source=tests/lib/program.sh
. "$(dirname "$0")/../lib/program.sh"

need_tools cc
cat >"$scratch/own.c" <<'END'
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARENA (256ul << 20)
#define DATA (40ul << 20)
#define THREADS 12
#define FILES 40
#define FORKS 5

static char *arena;
static _Atomic size_t top;

static void *take(size_t alignment, size_t bytes)
{
	size_t at;

	if (!arena)
		arena = mmap(NULL, ARENA, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	alignment = alignment < 16 ? 16 : alignment;
	at = atomic_fetch_add(&top, bytes + alignment + 32);
	if (at + bytes + alignment + 32 > ARENA)
		abort();
	at = (at + 16 + alignment - 1) / alignment * alignment;
	*(size_t *)(arena + at - 16) = bytes;
	return arena + at;
}

/* Nothing is used again: what is freed is only overwritten. */
void free(void *p)
{
	if (p)
		memset(p, 0xe5, ((size_t *)p)[-2]);
}

void *malloc(size_t bytes) { return take(16, bytes); }
void *calloc(size_t n, size_t bytes) { return take(16, n * bytes); }
void *memalign(size_t alignment, size_t bytes) { return take(alignment, bytes); }
void *aligned_alloc(size_t alignment, size_t bytes) { return take(alignment, bytes); }

void *realloc(void *p, size_t bytes)
{
	void *q = take(16, bytes);

	if (p) {
		size_t had = ((size_t *)p)[-2];
		memcpy(q, p, had < bytes ? had : bytes);
		free(p);
	}
	return q;
}

int posix_memalign(void **p, size_t alignment, size_t bytes)
{
	*p = take(alignment, bytes);
	return 0;
}

static sem_t begun, go, over;

static void *body(void *arg)
{
	sem_post(&begun);
	while (sem_wait(&go) < 0 && errno == EINTR)
		;
	sem_post(&over);
	return arg;
}

static void wait_for(sem_t *sem, int n)
{
	while (n)
		n -= sem_wait(sem) == 0;
}

static FILE *files[FILES];

/* They lie in pages of their own each, and so do not stay by each other. */
static void open_files(void)
{
	for (int i = 0; i < FILES; i++) {
		files[i] = fopen("/dev/null", "w");
		malloc(8192);
	}
}

static _Atomic int ended;

/* Holds the lock of the list of FILEs most of the time. */
static void *flush_all(void *arg)
{
	while (!ended)
		fflush(NULL);
	return arg;
}

/* What the child made of them. */
static int write_in_child(void)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		for (int i = 0; i < FILES; i++)
			if (fprintf(files[i], "%d", i) < 1)
				_exit(1);
		_exit(42);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

int main(int argc, char **argv)
{
	int rounds = atoi(argv[argc - 1]);
	unsigned char *data = malloc(DATA);
	unsigned long sum = 0;
	pthread_attr_t attr;
	pthread_t t, flusher;

	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	sem_init(&begun, 0, 0);
	sem_init(&go, 0, 0);
	sem_init(&over, 0, 0);
	open_files();
	pthread_create(&flusher, NULL, flush_all, NULL);
	for (int r = 0; r < rounds; r++) {
		for (int i = 0; i < THREADS; i++)
			if (pthread_create(&t, &attr, body, NULL))
				return 1;
		wait_for(&begun, THREADS);
		for (size_t i = 0; i < DATA; i += 4096) /* what the threads are freed by leaves */
			sum = sum * 31 + (data[i] += (unsigned char)(i / 4096 + r));
		for (int i = 0; i < FORKS; i++)
			printf("%d\n", write_in_child());
		for (int i = 0; i < THREADS; i++)
			sem_post(&go);
		wait_for(&over, THREADS);
	}
	ended = 1;
	pthread_join(flusher, NULL);
	printf("%lx\n", sum);
	return 0;
}
END
if ! cc -O1 -fno-builtin -pthread -rdynamic "$scratch/own.c" -o "$scratch/own" 2>"$scratch/err"; then
	tap_not_ok "compiles" "$scratch/err"
	tap_done
fi
ln -s own "$scratch/probe"
if [ "$("$extmem" run --limit 64M --swap "$swap" --stats "$stats" -- "$scratch/probe" 0)" != 0 ] ||
	! grep -q '"delivery": "thread"' "$stats"; then
	tap_skip_all "faults cannot be delivered by thread here, which a malloc of the program's own needs"
fi
compare "$scratch/own" "$(by_size 6 60)"
tap_done
