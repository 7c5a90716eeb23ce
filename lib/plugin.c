/* SPDX-License-Identifier: MIT */
#include "plugin.h"
#include "util.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define EM_NAME_MAX 23
/* Beside the page table, for each unit; more is a mistake rather than a need. */
#define EM_UNIT_BYTES_MAX 64
/* State that does not grow with the units. */
#define EM_STATE_BYTES_MAX (64u << 20)

struct plugin {
	const char *path;
	const struct extmem_eviction *eviction;
	const struct extmem_prefetcher *prefetcher;
};

/* Written before others look. */
static struct {
	struct plugin list[EM_PLUGINS_MAX];
	unsigned int count;
} plugins;

__attribute__((format(printf, 3, 4))) static int refuse(char *err, size_t err_bytes,
							const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(err, err_bytes, format, ap);
	va_end(ap);
	return -EINVAL;
}

/* ---- the contract ----------------------------------------------------- */

static bool is_name(const char *name)
{
	size_t len = name ? strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789+-_") : 0;

	return len && len <= EM_NAME_MAX && !name[len];
}

static int check_head(const char *symbol, uint32_t version, uint32_t known, const char *name,
		      char *err, size_t err_bytes)
{
	if (version != known)
		return refuse(err, err_bytes,
			      "its %s has version %u: expected %u, so compile it with the extmem-policy.h of this extmem",
			      symbol, version, known);
	if (!is_name(name))
		return refuse(err, err_bytes,
			      "the name in its %s is '%s': expected 1 to %d of a-z, 0-9, +, - and _",
			      symbol, name ? name : "", EM_NAME_MAX);
	return 0;
}

static int check_params(const char *symbol, const struct extmem_param *p, char *err,
			size_t err_bytes)
{
	for (unsigned int i = 0; p && p[i].name; i++) {
		if (i == EXTMEM_PARAMS_MAX)
			return refuse(err, err_bytes,
				      "its %s has more than %d parameters, or no NULL name after the last",
				      symbol, EXTMEM_PARAMS_MAX);
		if (!is_name(p[i].name))
			return refuse(err, err_bytes,
				      "the name of parameter %u of its %s is '%s': expected 1 to %d of a-z, 0-9, +, - and _",
				      i, symbol, p[i].name, EM_NAME_MAX);
		if (p[i].def < p[i].min || p[i].def > p[i].max)
			return refuse(err, err_bytes,
				      "the default of '%s' in its %s is %lld: expected a number from %lld to %lld",
				      p[i].name, symbol, (long long)p[i].def,
				      (long long)p[i].min, (long long)p[i].max);
	}
	return 0;
}

static int check_eviction(const struct extmem_eviction *e, char *err, size_t err_bytes)
{
	const char *symbol = EM_PLUGIN_EVICTION;
	int ret = check_head(symbol, e->version, EXTMEM_EVICTION_VERSION, e->name, err, err_bytes);

	if (ret)
		return ret;
	if (e->unit_bytes > EM_UNIT_BYTES_MAX || e->state_bytes > EM_STATE_BYTES_MAX)
		return refuse(err, err_bytes,
			      "its %s wants %zu bytes a unit and %zu beside: expected at most %d and %u",
			      symbol, e->unit_bytes, e->state_bytes, EM_UNIT_BYTES_MAX,
			      EM_STATE_BYTES_MAX);
	if (!e->insert || !e->victim)
		return refuse(err, err_bytes,
			      "its %s has no function '%s': every algorithm needs insert and victim",
			      symbol, e->insert ? "victim" : "insert");
	return check_params(symbol, e->params, err, err_bytes);
}

static int check_prefetcher(const struct extmem_prefetcher *p, char *err, size_t err_bytes)
{
	const char *symbol = EM_PLUGIN_PREFETCHER;
	int ret = check_head(symbol, p->version, EXTMEM_PREFETCHER_VERSION, p->name, err,
			     err_bytes);

	if (ret)
		return ret;
	if (p->thread_bytes > EXTMEM_GUESS_THREAD_BYTES || p->state_bytes > EM_STATE_BYTES_MAX)
		return refuse(err, err_bytes,
			      "its %s wants %zu bytes a thread and %zu beside: expected at most %u and %u",
			      symbol, p->thread_bytes, p->state_bytes,
			      EXTMEM_GUESS_THREAD_BYTES, EM_STATE_BYTES_MAX);
	if (!p->guess)
		return refuse(err, err_bytes,
			      "its %s has no function 'guess': every prefetcher needs it", symbol);
	return check_params(symbol, p->params, err, err_bytes);
}

/* ---- which there are --------------------------------------------------- */

static const struct plugin *find(const char *path)
{
	for (unsigned int i = 0; i < plugins.count; i++)
		if (!strcmp(plugins.list[i].path, path))
			return &plugins.list[i];
	return NULL;
}

int em_plugin_add(const char *path, const struct extmem_eviction *eviction,
		  const struct extmem_prefetcher *prefetcher, char *err, size_t err_bytes)
{
	int ret = 0;

	if (find(path))
		return 0;
	if (!eviction && !prefetcher)
		return refuse(err, err_bytes, "it defines neither " EM_PLUGIN_EVICTION " nor "
			      EM_PLUGIN_PREFETCHER ": it is no plug-in of extmem, or they are static");
	if (plugins.count == EM_PLUGINS_MAX) {
		refuse(err, err_bytes, "there are more than %d plug-ins", EM_PLUGINS_MAX);
		return -ENOSPC;
	}
	if (eviction)
		ret = check_eviction(eviction, err, err_bytes);
	if (!ret && prefetcher)
		ret = check_prefetcher(prefetcher, err, err_bytes);
	if (!ret)
		plugins.list[plugins.count++] = (struct plugin){ path, eviction, prefetcher };
	return ret;
}

const struct extmem_eviction *em_plugin_eviction(const char *path)
{
	const struct plugin *p = find(path);

	return p ? p->eviction : NULL;
}

const struct extmem_prefetcher *em_plugin_prefetcher(const char *path)
{
	const struct plugin *p = find(path);

	return p ? p->prefetcher : NULL;
}
