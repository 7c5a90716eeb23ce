/* SPDX-License-Identifier: MIT */
#include "trial.h"

#include "common.h"
#include "plugin.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE_S 5
/* The trial: so many references to so many units, of which so many fit. */
#define REFERENCES 4096u
#define UNITS 64u
#define CAPACITY 16u
#define NAME_BYTES 24

/* ---- whose it is ------------------------------------------------------ */

/* Nobody but the user and root may change it: 0, or -EPERM and how to make it so. */
static int check_owner(const char *path, const char *what, char *err, size_t err_bytes)
{
	struct stat st;

	if (stat(path, &st))
		return cmd_fail(errno, err, err_bytes, "cannot look at %s'%s': %s", what, path,
				strerror(errno));
	if (st.st_uid && st.st_uid != geteuid())
		return cmd_fail(EPERM, err, err_bytes,
				"%s'%s' belongs to another user (uid %u): expected a plug-in of your own or of root",
				what, path, (unsigned int)st.st_uid);
	/* In a folder with the sticky bit others cannot touch what is not theirs. */
	if (st.st_mode & (S_IWGRP | S_IWOTH) && !(S_ISDIR(st.st_mode) && st.st_mode & S_ISVTX))
		return cmd_fail(EPERM, err, err_bytes,
				"%s'%s' is writable by others, who could put other code there: 'chmod go-w %s' first",
				what, path, path);
	return 0;
}

/* The file, and the folders that lead to it. */
static int check_owners(const char *path, char *err, size_t err_bytes)
{
	char folder[EM_CONFIG_PATH_MAX];
	struct stat st;
	char *slash;
	int rc;

	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
		return cmd_fail(EINVAL, err, err_bytes, "it is no file: expected a shared object");
	snprintf(folder, sizeof(folder), "%s", path);
	rc = check_owner(path, "", err, err_bytes);
	while (!rc && (slash = strrchr(folder, '/')) && slash != folder) {
		*slash = '\0';
		rc = check_owner(folder, "its folder ", err, err_bytes);
	}
	return rc;
}

int cmd_plugin_place(bool prefetches, char path[EM_CONFIG_PATH_MAX], char *err,
		     size_t err_bytes)
{
	char *real = realpath(path, NULL);
	int rc = 0;

	(void)prefetches;
	if (!real)
		return cmd_fail(errno, err, err_bytes, "cannot open it: %s", strerror(errno));
	if (strlen(real) >= EM_CONFIG_PATH_MAX)
		rc = cmd_fail(ENAMETOOLONG, err, err_bytes,
			      "its whole path is '%s': expected one shorter than %d bytes",
			      real, EM_CONFIG_PATH_MAX);
	else
		snprintf(path, EM_CONFIG_PATH_MAX, "%s", real);
	free(real);
	return rc;
}

/* ---- the trial, in a process of its own ------------------------------- */

struct param {
	char name[NAME_BYTES];
	int64_t def, min, max;
};

/* Shared with the process that tries: what it is at, and what it found. */
struct trial {
	const char *volatile doing;
	char wrong[512];
	bool done, evicts, prefetches;
	struct param eviction[EXTMEM_PARAMS_MAX + 1], prefetcher[EXTMEM_PARAMS_MAX + 1];
};

static void copy_params(struct param *to, const struct extmem_param *from)
{
	for (size_t i = 0; from && from[i].name; i++) {
		snprintf(to[i].name, sizeof(to[i].name), "%s", from[i].name);
		to[i].def = from[i].def;
		to[i].min = from[i].min;
		to[i].max = from[i].max;
	}
}

static void miss(struct trial *t, struct extmem_cache *c, uint32_t unit, bool *in,
		 uint32_t *count)
{
	if (*count == CAPACITY) {
		t->doing = "victim()";
		uint32_t victim = c->ops->victim(c);

		if (victim >= UNITS || !in[victim]) {
			snprintf(t->wrong, sizeof(t->wrong),
				 "victim() returns %s%u in a trial with %u units in: expected one of those",
				 victim == EXTMEM_UNIT_NONE ? "EXTMEM_UNIT_NONE, " : "unit ",
				 victim, CAPACITY);
			return;
		}
		in[victim] = false;
		--*count;
	}
	t->doing = "insert()";
	c->ops->insert(c, unit, unit % 2 ? EXTMEM_FIRST : EXTMEM_MAJOR);
	in[unit] = true;
	++*count;
}

/* Hits and misses mixed; and what else there may be. */
static void refer(struct trial *t, struct extmem_cache *c)
{
	bool in[UNITS] = { false };
	uint32_t count = 0;

	for (uint32_t i = 0; i < REFERENCES && !*t->wrong; i++) {
		uint32_t unit = i % 3 ? i * 7 % UNITS : i / 64 % (CAPACITY / 2);

		t->doing = "advise()";
		if (c->ops->advise && i % 64 == 5)
			c->ops->advise(c, unit, i % 128 == 5 ? EXTMEM_HOT : EXTMEM_COLD);
		t->doing = "forget()";
		if (c->ops->forget && i % 64 == 9) {
			c->ops->forget(c, unit);
			count -= in[unit];
			in[unit] = false;
		}
		t->doing = "reference()";
		if (!in[unit])
			miss(t, c, unit, in, &count);
		else if (c->ops->reference)
			c->ops->reference(c, unit);
	}
}

static void try_eviction(struct trial *t, const struct extmem_eviction *e)
{
	int64_t params[EXTMEM_PARAMS_MAX];
	struct extmem_cache c = { .ops = e, .params = params, .capacity = CAPACITY };

	em_params_fill(&(struct em_params){ 0 }, e->params, params);
	c.units = calloc(UNITS, e->unit_bytes + 1);
	c.state = calloc(1, e->state_bytes + 1);
	t->doing = "init()";
	if (c.units && c.state && e->init)
		e->init(&c);
	if (c.units && c.state)
		refer(t, &c);
	free(c.units);
	free(c.state);
}

static void try_prefetcher(struct trial *t, const struct extmem_prefetcher *p)
{
	_Alignas(16) unsigned char thread[EXTMEM_GUESS_THREAD_BYTES] = { 0 };
	struct extmem_guess out[EXTMEM_GUESSES_MAX];
	int64_t params[EXTMEM_PARAMS_MAX];
	struct extmem_prefetch at_work = { .ops = p, .params = params };
	size_t n = 0;

	em_params_fill(&(struct em_params){ 0 }, p->params, params);
	at_work.state = calloc(1, p->state_bytes + 1);
	t->doing = "guess()";
	for (uint32_t i = 0; at_work.state && i < REFERENCES && n <= EXTMEM_GUESSES_MAX; i++)
		n = p->guess(&at_work, thread, 4096 + i % 1024 * 3,
			     1 + i % EXTMEM_GUESS_PAGES_MAX, out);
	if (n > EXTMEM_GUESSES_MAX)
		snprintf(t->wrong, sizeof(t->wrong),
			 "guess() returns %zu in a trial: expected at most %u", n,
			 EXTMEM_GUESSES_MAX);
	free(at_work.state);
}

static void try_all(struct trial *t, const char *path)
{
	const struct extmem_prefetcher *p;
	const struct extmem_eviction *e;
	void *object;

	t->doing = "a constructor";
	object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!object) {
		snprintf(t->wrong, sizeof(t->wrong), "it cannot be loaded: %s", dlerror());
		return;
	}
	e = dlsym(object, EM_PLUGIN_EVICTION);
	p = dlsym(object, EM_PLUGIN_PREFETCHER);
	t->doing = "what it defines";
	if (em_plugin_add(path, e, p, t->wrong, sizeof(t->wrong)))
		return;
	t->evicts = e;
	t->prefetches = p;
	copy_params(t->eviction, e ? e->params : NULL);
	copy_params(t->prefetcher, p ? p->params : NULL);
	if (e)
		try_eviction(t, e);
	if (p && !*t->wrong)
		try_prefetcher(t, p);
}

/* What it prints is not the command's, and it leaves no core. */
static _Noreturn void be_trial(struct trial *t, const char *path)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int fd = 0; fd < 3; fd++)
		dup2(null, fd);
	setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
	alarm(2 * PATIENCE_S); /* should nobody wait for it */
	try_all(t, path);
	t->done = true;
	_exit(0);
}

/* Whether it ended in time; else it is ended. Without pidfds the alarm does that. */
static bool await(pid_t pid, int *status)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	bool ended = true;

	if (fd >= 0 && poll(&p, 1, PATIENCE_S * 1000) == 0) {
		ended = false;
		kill(pid, SIGKILL);
	}
	if (fd >= 0)
		close(fd);
	while (waitpid(pid, status, 0) < 0 && errno == EINTR)
		;
	return ended;
}

static int judge(const struct trial *t, bool ended, int status, char *err, size_t err_bytes)
{
	if (!ended || (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM))
		return cmd_fail(ETIMEDOUT, err, err_bytes, "it hangs in %s: no end after %d s",
				t->doing, PATIENCE_S);
	if (WIFSIGNALED(status))
		return cmd_fail(EFAULT, err, err_bytes, "it crashes in %s: %s", t->doing,
				strsignal(WTERMSIG(status)));
	if (!t->done)
		return cmd_fail(EINVAL, err, err_bytes, "it ends the process in %s", t->doing);
	return *t->wrong ? cmd_fail(EINVAL, err, err_bytes, "%s", t->wrong) : 0;
}

static int hold_trial(struct trial *t, const char *path, char *err, size_t err_bytes)
{
	int status = 0;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid < 0)
		return cmd_fail(errno, err, err_bytes, "cannot try it: %s", strerror(errno));
	if (!pid)
		be_trial(t, path);
	bool ended = await(pid, &status);
	return judge(t, ended, status, err, err_bytes);
}

/* ---- what is taken ----------------------------------------------------- */

static void no_insert(struct extmem_cache *c, uint32_t unit, enum extmem_event why)
{
	(void)c, (void)unit, (void)why;
}

static uint32_t no_victim(struct extmem_cache *c)
{
	(void)c;
	return EXTMEM_UNIT_NONE;
}

static size_t no_guess(struct extmem_prefetch *p, void *thread, uint64_t page, uint32_t depth,
		       struct extmem_guess *out)
{
	(void)p, (void)thread, (void)page, (void)depth, (void)out;
	return 0;
}

/* What a policy is checked by: names and parameters, without the code. */
struct image {
	struct trial trial;
	struct extmem_param params[2][EXTMEM_PARAMS_MAX + 1];
	struct extmem_eviction eviction;
	struct extmem_prefetcher prefetcher;
};

static void make_params(struct extmem_param *to, const struct param *from)
{
	for (size_t i = 0; i < EXTMEM_PARAMS_MAX && from[i].name[0]; i++)
		to[i] = (struct extmem_param){ from[i].name, from[i].def, from[i].min,
					       from[i].max, "", "" };
}

static int keep_image(struct image *m, const char *path, char *err, size_t err_bytes)
{
	char *kept = strdup(path);

	if (!kept)
		return cmd_fail(ENOMEM, err, err_bytes, "out of memory");
	make_params(m->params[0], m->trial.eviction);
	make_params(m->params[1], m->trial.prefetcher);
	m->eviction = (struct extmem_eviction){ .version = EXTMEM_EVICTION_VERSION,
		.name = "plug-in", .params = m->params[0], .insert = no_insert,
		.victim = no_victim };
	m->prefetcher = (struct extmem_prefetcher){ .version = EXTMEM_PREFETCHER_VERSION,
		.name = "plug-in", .params = m->params[1], .guess = no_guess };
	return em_plugin_add(kept, m->trial.evicts ? &m->eviction : NULL,
			     m->trial.prefetches ? &m->prefetcher : NULL, err, err_bytes);
}

static bool is_known(const char *path)
{
	return em_plugin_eviction(path) || em_plugin_prefetcher(path);
}

static int require_kind(bool prefetches, const char *path, char *err, size_t err_bytes)
{
	if (prefetches ? !!em_plugin_prefetcher(path) : !!em_plugin_eviction(path))
		return 0;
	return cmd_fail(EINVAL, err, err_bytes, "it does not define %s, but %s",
			prefetches ? EM_PLUGIN_PREFETCHER : EM_PLUGIN_EVICTION,
			prefetches ? EM_PLUGIN_EVICTION : EM_PLUGIN_PREFETCHER);
}

/* image is NULL on failure, and stays with the process else: unmapped by nobody. */
static int try_new(const char *path, struct image **image, char *err, size_t err_bytes)
{
	struct image *m = mmap(NULL, sizeof(*m), PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int rc;

	if (m == MAP_FAILED)
		return cmd_fail(ENOMEM, err, err_bytes, "out of memory");
	m->trial.doing = "a constructor";
	rc = check_owners(path, err, err_bytes);
	if (!rc)
		rc = hold_trial(&m->trial, path, err, err_bytes);
	if (rc)
		munmap(m, sizeof(*m));
	*image = rc ? NULL : m;
	return rc;
}

int cmd_plugin_try(bool prefetches, char path[EM_CONFIG_PATH_MAX], char *err,
		   size_t err_bytes)
{
	struct image *image;
	int rc = cmd_plugin_place(prefetches, path, err, err_bytes);

	if (!rc && strpbrk(path, ": \t\n$"))
		rc = cmd_fail(EINVAL, err, err_bytes,
			      "'%s' has a space, a colon or a $ in it, which LD_PRELOAD cannot hold: move it",
			      path);
	if (!rc && !is_known(path) && !(rc = try_new(path, &image, err, err_bytes)))
		rc = keep_image(image, path, err, err_bytes);
	return rc ? rc : require_kind(prefetches, path, err, err_bytes);
}

int cmd_plugin_load(bool prefetches, char path[EM_CONFIG_PATH_MAX], char *err,
		    size_t err_bytes)
{
	int rc = cmd_plugin_place(prefetches, path, err, err_bytes);
	struct image *image;
	char *kept = NULL;
	void *object = NULL;

	if (!rc && !is_known(path) && !(rc = try_new(path, &image, err, err_bytes))) {
		munmap(image, sizeof(*image));
		object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
		kept = strdup(path);
		if (!object || !kept)
			return cmd_fail(EINVAL, err, err_bytes, "it cannot be loaded: %s",
					object ? strerror(ENOMEM) : dlerror());
		rc = em_plugin_add(kept, dlsym(object, EM_PLUGIN_EVICTION),
				   dlsym(object, EM_PLUGIN_PREFETCHER), err, err_bytes);
	}
	return rc ? rc : require_kind(prefetches, path, err, err_bytes);
}
