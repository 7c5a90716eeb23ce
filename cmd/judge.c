/* SPDX-License-Identifier: MIT */
#include "judge.h"

#include "common.h"
#include "plugin.h"
#include "trial.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

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

/* Whether a path in some folder begins with ~, as the shell would know it. */
static bool is_home(const char *path)
{
	const char *tilde = strstr(path, "/~");

	return *path == '~' || (tilde && (tilde[2] == '/' || !tilde[2]));
}

int cmd_plugin_place(bool prefetches, char path[EM_CONFIG_PATH_MAX], char *err,
		     size_t err_bytes)
{
	char *real = realpath(path, NULL);
	int rc = 0;

	(void)prefetches;
	if (!real)
		return cmd_fail(errno, err, err_bytes, "cannot open it: %s%s", strerror(errno),
				is_home(path) ? "; ~ is not expanded here, $HOME is by the shell" : "");
	if (strlen(real) >= EM_CONFIG_PATH_MAX)
		rc = cmd_fail(ENAMETOOLONG, err, err_bytes,
			      "its whole path is '%s': expected one shorter than %d bytes",
			      real, EM_CONFIG_PATH_MAX);
	else
		snprintf(path, EM_CONFIG_PATH_MAX, "%s", real);
	free(real);
	return rc;
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
	struct cmd_trial trial;
	struct extmem_param params[2][EXTMEM_PARAMS_MAX + 1];
	struct extmem_eviction eviction;
	struct extmem_prefetcher prefetcher;
};

static void make_params(struct extmem_param *to, const struct cmd_trial_param *from)
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
	return cmd_fail(EINVAL, err, err_bytes, "it does not define %s, but %s, which is for %s.plugin",
			prefetches ? EM_PLUGIN_PREFETCHER : EM_PLUGIN_EVICTION,
			prefetches ? EM_PLUGIN_EVICTION : EM_PLUGIN_PREFETCHER,
			prefetches ? "eviction" : "prefetch");
}

/* image: what the trial told, for the caller to keep or unmap; NULL on failure. */
static int try_new(const char *path, struct image **image, char *err, size_t err_bytes)
{
	struct image *m = mmap(NULL, sizeof(*m), PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int rc;

	if (m == MAP_FAILED)
		return cmd_fail(ENOMEM, err, err_bytes, "out of memory");
	rc = check_owners(path, err, err_bytes);
	if (!rc)
		rc = cmd_trial_hold(&m->trial, path, err, err_bytes);
	if (!rc && m->trial.strangers[0])
		cmd_error("warning: the plug-in '%s' uses %s: nothing but memcpy, memmove, memset and memcmp may be called in a fault handler",
			  path, m->trial.strangers);
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
	char *kept;
	void *object;

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
