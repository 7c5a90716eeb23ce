/* SPDX-License-Identifier: MIT */
#include "trial.h"

#include "common.h"
#include "config.h"
#include "policies/policies.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE_S 5
#define LOOK "a look at its table"
/* So many references to so many units, of which so many fit. */
#define REFERENCES 4096u
#define UNITS 64u
#define CAPACITY 16u
/* Zeros behind what a plug-in may have, to see whether it keeps to that. */
#define GUARD_BYTES 8192u

/* ---- what is tried ----------------------------------------------------- */

static void copy_params(struct cmd_trial_param *to, const struct extmem_param *from)
{
	for (size_t i = 0; from && from[i].name; i++) {
		snprintf(to[i].name, sizeof(to[i].name), "%s", from[i].name);
		to[i].def = from[i].def;
		to[i].min = from[i].min;
		to[i].max = from[i].max;
	}
}

static void *guarded(size_t bytes)
{
	return calloc(1, bytes + GUARD_BYTES);
}

/* Whether nothing but zeros is behind the bytes; else that is what is wrong. */
static bool keeps_to(struct cmd_trial *t, const void *memory, size_t bytes, const char *what,
		     size_t unit)
{
	static const unsigned char zeros[GUARD_BYTES];

	if (*t->wrong || !memcmp((const char *)memory + bytes, zeros, GUARD_BYTES))
		return !*t->wrong;
	snprintf(t->wrong, sizeof(t->wrong),
		 "it writes beyond its .%s, %zu, in %s: expected the size of all that it keeps there",
		 what, unit, t->doing);
	return false;
}

static bool keeps_to_cache(struct cmd_trial *t, const struct extmem_cache *c)
{
	const struct extmem_eviction *e = c->ops;

	return keeps_to(t, c->units, UNITS * e->unit_bytes, "unit_bytes", e->unit_bytes) &&
	       keeps_to(t, c->state, e->state_bytes, "state_bytes", e->state_bytes);
}

static void miss(struct cmd_trial *t, struct extmem_cache *c, uint32_t unit, bool *in,
		 uint32_t *count)
{
	if (*count == CAPACITY) {
		char name[24] = "EXTMEM_UNIT_NONE";

		t->doing = "victim()";
		uint32_t victim = c->ops->victim(c);

		if (!keeps_to_cache(t, c))
			return;
		if (victim != EXTMEM_UNIT_NONE)
			snprintf(name, sizeof(name), "unit %u", victim);
		if (victim >= UNITS || !in[victim]) {
			snprintf(t->wrong, sizeof(t->wrong),
				 "victim() returns %s in a trial with %u units in: expected one of those",
				 name, CAPACITY);
			return;
		}
		in[victim] = false;
		--*count;
	}
	t->doing = "insert()";
	c->ops->insert(c, unit, (enum extmem_event)(unit % (EXTMEM_KEPT + 1)));
	in[unit] = true;
	++*count;
}

/* Hits and misses mixed; and what else there may be. */
static void refer(struct cmd_trial *t, struct extmem_cache *c)
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
		keeps_to_cache(t, c);
	}
}

static void try_eviction(struct cmd_trial *t, const struct extmem_eviction *e)
{
	int64_t params[EXTMEM_PARAMS_MAX];
	struct extmem_cache c = { .ops = e, .params = params, .capacity = CAPACITY };

	em_params_fill(&(struct em_params){ 0 }, e->params, params);
	c.units = guarded(UNITS * e->unit_bytes);
	c.state = guarded(e->state_bytes);
	t->doing = "init()";
	if (c.units && c.state && e->init)
		e->init(&c);
	if (c.units && c.state && keeps_to_cache(t, &c))
		refer(t, &c);
	free(c.units);
	free(c.state);
}

static void try_prefetcher(struct cmd_trial *t, const struct extmem_prefetcher *p)
{
	struct extmem_guess out[EXTMEM_GUESSES_MAX];
	int64_t params[EXTMEM_PARAMS_MAX];
	struct extmem_prefetch at_work = { .ops = p, .params = params };
	void *thread = guarded(p->thread_bytes);
	size_t n = 0;

	em_params_fill(&(struct em_params){ 0 }, p->params, params);
	at_work.state = guarded(p->state_bytes);
	t->doing = "guess()";
	for (uint32_t i = 0; thread && at_work.state && i < REFERENCES &&
	     n <= EXTMEM_GUESSES_MAX && !*t->wrong; i++) {
		n = p->guess(&at_work, thread, 4096 + i % 1024 * 3,
			     1 + i % EXTMEM_GUESS_PAGES_MAX, out);
		keeps_to(t, thread, p->thread_bytes, "thread_bytes", p->thread_bytes);
		keeps_to(t, at_work.state, p->state_bytes, "state_bytes", p->state_bytes);
	}
	if (n > EXTMEM_GUESSES_MAX)
		snprintf(t->wrong, sizeof(t->wrong),
			 "guess() returns %zu in a trial: expected at most %u", n,
			 EXTMEM_GUESSES_MAX);
	free(at_work.state);
	free(thread);
}

/* What may be called in a fault handler, or is the compiler's doing. */
static bool is_harmless(const char *name)
{
	static const char *const names[] = {
		"memcpy", "memmove", "memset", "memcmp", "__memcpy_chk", "__memmove_chk",
		"__memset_chk", "__stack_chk_fail", "__assert_fail", "abort",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (!strcmp(name, names[i]))
			return true;
	return false;
}

/* Adds the symbols of others that relocations name; weak ones need not be there. */
static void list_strangers(struct cmd_trial *t, const ElfW(Rela) *rela, size_t bytes,
			   const ElfW(Sym) *symbols, const char *names)
{
	for (size_t i = 0; i < bytes / sizeof(*rela); i++) {
		const ElfW(Sym) *s = &symbols[ELF64_R_SYM(rela[i].r_info)];
		const char *name = names + s->st_name;
		size_t used = strlen(t->strangers);

		if (s->st_shndx == SHN_UNDEF && ELF64_ST_BIND(s->st_info) == STB_GLOBAL &&
		    !is_harmless(name))
			snprintf(t->strangers + used, sizeof(t->strangers) - used, "%s'%s'",
				 used ? ", " : "", name);
	}
}

static bool is_built_in(const char *name)
{
	for (size_t i = 0; extmem_evictions[i]; i++)
		if (!strcmp(extmem_evictions[i]->name, name))
			return true;
	return false;
}

static void find_strangers(struct cmd_trial *t, void *object)
{
	const ElfW(Rela) *rela = NULL, *plt = NULL;
	size_t rela_bytes = 0, plt_bytes = 0;
	const ElfW(Sym) *symbols = NULL;
	const char *names = NULL;
	struct link_map *map;

	if (dlinfo(object, RTLD_DI_LINKMAP, &map))
		return;
	for (const ElfW(Dyn) *d = map->l_ld; d->d_tag != DT_NULL; d++) {
		switch (d->d_tag) {
		case DT_SYMTAB: symbols = (const void *)d->d_un.d_ptr; break;
		case DT_STRTAB: names = (const void *)d->d_un.d_ptr; break;
		case DT_RELA: rela = (const void *)d->d_un.d_ptr; break;
		case DT_RELASZ: rela_bytes = d->d_un.d_val; break;
		case DT_JMPREL: plt = (const void *)d->d_un.d_ptr; break;
		case DT_PLTRELSZ: plt_bytes = d->d_un.d_val; break;
		default: break;
		}
	}
	if (rela)
		list_strangers(t, rela, rela_bytes, symbols, names);
	if (plt)
		list_strangers(t, plt, plt_bytes, symbols, names);
}

static int note_tls(struct dl_phdr_info *info, size_t bytes, void *arg)
{
	const struct link_map *map = arg;

	(void)bytes;
	for (int i = 0; info->dlpi_addr == map->l_addr && i < info->dlpi_phnum; i++)
		if (info->dlpi_phdr[i].p_type == PT_TLS)
			return 1;
	return 0;
}

/*
 * Its own, or another's: a handler must not reach either, since finding the
 * thread's copy may allocate it.
 */
static bool has_thread_data(const struct cmd_trial *t, void *object)
{
	struct link_map *map;

	return strstr(t->strangers, "'__tls_get_addr'") ||
	       (!dlinfo(object, RTLD_DI_LINKMAP, &map) && dl_iterate_phdr(note_tls, map));
}

/* What can be said of it before any of its functions is called. */
static bool is_fit(struct cmd_trial *t, void *object, const struct extmem_eviction *e)
{
	find_strangers(t, object);
	if (has_thread_data(t, object))
		snprintf(t->wrong, sizeof(t->wrong),
			 "it has thread-local data, which a fault handler must not touch: expected all data in its units, state and thread_bytes");
	else if (e && is_built_in(e->name))
		snprintf(t->wrong, sizeof(t->wrong),
			 "the name in its %s is '%s', a built-in algorithm's: expected another, by which statistics can tell them apart",
			 EM_PLUGIN_EVICTION, e->name);
	return !*t->wrong;
}

static void try_all(struct cmd_trial *t, const char *path)
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
	t->doing = LOOK;
	if (em_plugin_add(path, e, p, t->wrong, sizeof(t->wrong)) || !is_fit(t, object, e))
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

/* ---- in a process of its own -------------------------------------------- */

/* What it prints is not the command's, and it leaves no core. */
static _Noreturn void be_trial(struct cmd_trial *t, const char *path)
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

static int judge(const struct cmd_trial *t, bool ended, int status, char *err, size_t err_bytes)
{
	if (!ended || (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM))
		return cmd_fail(ETIMEDOUT, err, err_bytes, "it hangs in %s: no end after %d s",
				t->doing, PATIENCE_S);
	if (WIFSIGNALED(status))
		return cmd_fail(EFAULT, err, err_bytes, "it crashes in %s: %s; %s", t->doing,
				strsignal(WTERMSIG(status)),
				strcmp(t->doing, LOOK) ?
				"gdb shows where, with 'set follow-fork-mode child'" :
				"does .params end with { NULL }?");
	if (!t->done)
		return cmd_fail(EINVAL, err, err_bytes, "it ends the process in %s", t->doing);
	return *t->wrong ? cmd_fail(EINVAL, err, err_bytes, "%s", t->wrong) : 0;
}

int cmd_trial_hold(struct cmd_trial *t, const char *path, char *err, size_t err_bytes)
{
	int status = 0;
	pid_t pid;

	t->doing = "a constructor";
	fflush(NULL);
	pid = fork();
	if (pid < 0)
		return cmd_fail(errno, err, err_bytes, "cannot try it: %s", strerror(errno));
	if (!pid)
		be_trial(t, path);
	bool ended = await(pid, &status);
	return judge(t, ended, status, err, err_bytes);
}
