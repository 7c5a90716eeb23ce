/* SPDX-License-Identifier: MIT */
#include "preload.h"
#include "log.h"
#include "plugin.h"
#include "util.h"
#include <link.h>
#include <string.h>

/* What the dynamic section of a shared object says of its symbols. */
struct symbols {
	uintptr_t base;
	const ElfW(Sym) *table;
	const char *names;
	const uint32_t *gnu, *sysv; /* hash tables, one or both */
};

/* glibc has made addresses of some entries; what is no address is an offset. */
static const void *at(uintptr_t base, const ElfW(Dyn) *d)
{
	return (const void *)(d->d_un.d_ptr < base ? base + d->d_un.d_ptr : d->d_un.d_ptr);
}

static bool read_dynamic(struct symbols *s, const ElfW(Dyn) *d)
{
	for (; d->d_tag != DT_NULL; d++) {
		if (d->d_tag == DT_SYMTAB)
			s->table = at(s->base, d);
		else if (d->d_tag == DT_STRTAB)
			s->names = at(s->base, d);
		else if (d->d_tag == DT_GNU_HASH)
			s->gnu = at(s->base, d);
		else if (d->d_tag == DT_HASH)
			s->sysv = at(s->base, d);
	}
	return s->table && s->names;
}

static const void *if_named(const struct symbols *s, uint32_t i, const char *name)
{
	const ElfW(Sym) *sym = &s->table[i];

	return sym->st_shndx != SHN_UNDEF && !strcmp(s->names + sym->st_name, name)
	       ? (const void *)(s->base + sym->st_value) : NULL;
}

/* Buckets of symbols in a row; the last of each has an odd hash. */
static const void *find_gnu(const struct symbols *s, const char *name)
{
	uint32_t buckets = s->gnu[0], first = s->gnu[1], hash = 5381, i;
	const uint32_t *bucket = s->gnu + 4 + s->gnu[2] * (sizeof(ElfW(Addr)) / 4);
	const uint32_t *chain = bucket + buckets;
	const void *found = NULL;

	for (const char *c = name; *c; c++)
		hash = hash * 33 + (unsigned char)*c;
	i = buckets ? bucket[hash % buckets] : 0;
	if (i < first)
		return NULL;
	do
		if ((chain[i - first] | 1) == (hash | 1))
			found = if_named(s, i, name);
	while (!found && !(chain[i++ - first] & 1));
	return found;
}

static const void *find(const struct symbols *s, const char *name)
{
	const void *found = NULL;

	if (s->gnu)
		return find_gnu(s, name);
	/* The older kind: its second word is how many symbols there are. */
	for (uint32_t i = 0; s->sysv && i < s->sysv[1] && !found; i++)
		found = if_named(s, i, name);
	return found;
}

static int look_at(struct dl_phdr_info *info, size_t bytes, void *arg)
{
	struct symbols s = { .base = info->dlpi_addr };
	const void *eviction, *prefetcher;
	char err[256];

	(void)bytes;
	(void)arg;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
		/* A plug-in is named by its path; that leaves the program and the vDSO out. */
		if (ph->p_type != PT_DYNAMIC || info->dlpi_name[0] != '/' ||
		    !read_dynamic(&s, (const ElfW(Dyn) *)(s.base + ph->p_vaddr)))
			continue;
		eviction = find(&s, EM_PLUGIN_EVICTION);
		prefetcher = find(&s, EM_PLUGIN_PREFETCHER);
		if ((eviction || prefetcher) &&
		    em_plugin_add(info->dlpi_name, eviction, prefetcher, err, sizeof(err)) < 0)
			em_log("cannot use the plug-in '%s': %s", info->dlpi_name, err);
	}
	return 0;
}

/* The program is the first of all objects. */
static int look_at_program(struct dl_phdr_info *info, size_t bytes, void *arg)
{
	struct symbols s = { .base = info->dlpi_addr };
	const char *name = arg;

	(void)bytes;
	for (int i = 0; i < info->dlpi_phnum; i++)
		if (info->dlpi_phdr[i].p_type == PT_DYNAMIC &&
		    read_dynamic(&s, (const ElfW(Dyn) *)(s.base + info->dlpi_phdr[i].p_vaddr)))
			return find(&s, name) ? 1 : -1;
	return -1;
}

bool em_preload_program_has(const char *name)
{
	return dl_iterate_phdr(look_at_program, (void *)name) > 0;
}

void em_preload_add_plugins(void)
{
	dl_iterate_phdr(look_at, NULL);
}
