/* SPDX-License-Identifier: MIT */
#include "rules.h"
#include "arch.h"
#include "sys.h"
#include "util.h"
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define EM_MAPS_BYTES 4096

static struct {
	struct em_region_config list[EM_CONFIG_REGIONS_MAX];
	_Atomic uint32_t count;
	_Atomic uint8_t foresight[EM_CONFIG_REGIONS_MAX + 1];
} rules;

static enum em_foresight foresight_of(const char *prefetcher)
{
	return !strcmp(prefetcher, "none") ? EM_SEES_NOTHING :
	       !strcmp(prefetcher, "readahead") ? EM_SEES_STREAMS :
	       !strcmp(prefetcher, "sequential") ? EM_SEES_SEQUENCE : EM_SEES_ALL;
}

void em_rules_set(const struct em_config *cfg)
{
	memcpy(rules.list, cfg->regions, cfg->region_count * sizeof(rules.list[0]));
	for (uint32_t i = 0; i < cfg->region_count; i++)
		atomic_store(&rules.foresight[i + 1],
			     (uint8_t)foresight_of(cfg->regions[i].prefetcher));
	atomic_store(&rules.count, cfg->region_count);
}

bool em_rules_any(void)
{
	return em_unlikely(atomic_load_explicit(&rules.count, memory_order_relaxed));
}

bool em_rules_leave(uint32_t rule)
{
	return rule && rules.list[rule - 1].manage == EM_MANAGE_NEVER;
}

enum em_foresight em_rules_foresight(uint32_t rule)
{
	return (enum em_foresight)atomic_load_explicit(&rules.foresight[rule],
						       memory_order_relaxed);
}

bool em_rules_fits(const char *pattern, const char *word)
{
	const char *star = NULL, *from = NULL;

	while (*word) {
		if (*pattern == '*') {
			star = ++pattern;
			from = word;
		} else if (*pattern == '?' || *pattern == *word) {
			pattern++;
			word++;
		} else if (star) { /* the star takes one more */
			pattern = star;
			word = ++from;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return !*pattern;
}

/* ---- who mapped it ----------------------------------------------------- */

/* The file that an address of code is of, by the kernel's list of mappings. */
struct search {
	uintptr_t addr;
	char line[512]; /* as much of one as there is room for */
	size_t used;
	bool found;
};

static uintptr_t parse_hex(const char **p)
{
	uintptr_t value = 0;

	for (;; (*p)++) {
		char c = **p;
		if (c >= '0' && c <= '9')
			value = value << 4 | (uintptr_t)(c - '0');
		else if (c >= 'a' && c <= 'f')
			value = value << 4 | (uintptr_t)(c - 'a' + 10);
		else
			return value;
	}
}

static void end_line(struct search *s)
{
	const char *p = s->line;
	uintptr_t start, end;

	s->line[s->used] = '\0';
	start = parse_hex(&p);
	p += *p == '-';
	end = parse_hex(&p);
	s->found = s->addr >= start && s->addr < end;
}

/* The last part of its path into name, "" when there is none. */
static void name_of(uintptr_t addr, char *name, size_t bytes)
{
	static char text[EM_MAPS_BYTES]; /* the MAP lock guards it */
	static struct search s;
	long fd = em_syscall(SYS_openat, AT_FDCWD, (long)"/proc/self/maps",
			     O_RDONLY | O_CLOEXEC, 0, 0, 0), n = 0;

	s = (struct search){ .addr = addr };
	while (fd >= 0 && !s.found &&
	       (n = em_syscall(SYS_read, fd, (long)text, sizeof(text), 0, 0, 0)) > 0)
		for (long i = 0; i < n && !s.found; i++) {
			if (text[i] != '\n') {
				if (s.used < sizeof(s.line) - 1)
					s.line[s.used++] = text[i];
				continue;
			}
			end_line(&s);
			s.used = 0;
		}
	if (fd >= 0)
		em_syscall(SYS_close, fd, 0, 0, 0, 0, 0);
	const char *slash = s.found ? strrchr(s.line, '/') : NULL;
	size_t len = slash ? em_min(strlen(slash + 1), bytes - 1) : 0;
	memcpy(name, slash ? slash + 1 : "", len);
	name[len] = '\0';
}

/* ---- matching -------------------------------------------------------- */

static bool prot_fits(const char *wanted, uint32_t prot)
{
	char text[4] = "";
	size_t n = 0;

	if (!strcmp(wanted, "any"))
		return true;
	if (prot & PROT_READ)
		text[n++] = 'r';
	if (prot & PROT_WRITE)
		text[n++] = 'w';
	if (prot & PROT_EXEC)
		text[n++] = 'x';
	return !strcmp(wanted, text);
}

static bool source_fits(const char *wanted, uint32_t source)
{
	return !strcmp(wanted, "any") ||
	       !strcmp(wanted, source == EM_SOURCE_HEAP ? "heap" : "mmap");
}

static bool hint_fits(const char *wanted, uint32_t hint)
{
	static const char *const names[] = {
		[EM_HINT_NORMAL] = "normal", [EM_HINT_SEQUENTIAL] = "sequential",
		[EM_HINT_RANDOM] = "random", [EM_HINT_HOT] = "hot",
		[EM_HINT_COLD] = "cold", [EM_HINT_ONCE] = "once",
	};

	return !strcmp(wanted, "any") ||
	       (hint < EM_ARRAY_LEN(names) && !strcmp(wanted, names[hint]));
}

static bool caller_fits(const char *pattern, uintptr_t caller)
{
	char name[EM_CONFIG_TEXT_MAX];

	if (!strcmp(pattern, "*"))
		return true;
	if (!caller)
		return false;
	name_of(caller, name, sizeof(name));
	return em_rules_fits(pattern, name);
}

uint32_t em_rules_match(const struct em_region *r)
{
	uint32_t count = atomic_load_explicit(&rules.count, memory_order_relaxed);

	for (uint32_t i = 0; i < count; i++) {
		const struct em_region_config *c = &rules.list[i];
		if (r->asked_bytes >= c->size.min && r->asked_bytes <= c->size.max &&
		    source_fits(c->source, r->source) && prot_fits(c->prot, r->prot) &&
		    hint_fits(c->hint, r->hint) && em_rules_fits(c->name, r->name) &&
		    caller_fits(c->caller, r->caller))
			return i + 1;
	}
	return 0;
}
