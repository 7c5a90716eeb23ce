/* SPDX-License-Identifier: MIT */
#include "allowance.h"
#include "util.h"
#include <stdio.h>
#include <string.h>

/* What auto leaves available, and has in any case: one part of physical memory in so many. */
#define EM_SPARE_PART 16u

/* ---- files ----------------------------------------------------------- */

/* Called with each line of a file; true: that was it. */
typedef bool on_line(char *line, void *arg);

/* A line that does not fit is left out. */
static void each_line(em_read_file *file, const char *path, on_line *on, void *arg)
{
	static char text[8192];
	uint64_t offset = 0;
	long n;

	do {
		char *line = text, *end;

		n = file(path, offset, text, sizeof(text) - 1);
		if (n <= 0)
			return;
		text[n] = '\0';
		for (; (end = strchr(line, '\n')); line = end + 1) {
			*end = '\0';
			if (on(line, arg))
				return;
		}
		offset += (uint64_t)(line > text ? line - text : n);
	} while (n == sizeof(text) - 1);
}

static bool has_word(const char *list, const char *word)
{
	size_t n = strlen(word);

	for (const char *p = list; (p = strstr(p, word)); p += n)
		if ((p == list || p[-1] == ',') && strchr(",\n ", p[n]))
			return true;
	return false;
}

/* ---- where ----------------------------------------------------------- */

/* A hierarchy of groups: where it is mounted, and what of it; and the group. */
struct hierarchy {
	char root[1024];  /* the group that the mount shows at its top */
	char point[1024];
	char group[1024];
};

struct hierarchies {
	struct hierarchy v1, v2;
};

static bool on_mount(char *line, void *arg)
{
	struct hierarchies *both = arg;
	struct hierarchy *h;
	char *tail = strstr(line, " - cgroup");
	char type[64], options[512];

	if (!tail || sscanf(tail, " - %63s %*s %511s", type, options) != 2)
		return false;
	if (!strcmp(type, "cgroup2"))
		h = &both->v2;
	else if (!strcmp(type, "cgroup") && has_word(options, "memory"))
		h = &both->v1;
	else
		return false;
	if (!*h->point)
		sscanf(line, "%*s %*s %*s %1023s %1023s", h->root, h->point);
	return *both->v1.point && *both->v2.point;
}

/* "0::/a/b" or "4:memory:/a". */
static bool on_group(char *line, void *arg)
{
	struct hierarchies *both = arg;
	struct hierarchy *h = NULL;
	char *controllers = strchr(line, ':');
	char *path = controllers ? strchr(controllers + 1, ':') : NULL;

	if (!path)
		return false;
	*path++ = '\0';
	controllers++;
	if (!*controllers)
		h = &both->v2;
	else if (has_word(controllers, "memory"))
		h = &both->v1;
	if (h)
		snprintf(h->group, sizeof(h->group), "%s", path);
	return *both->v1.group && *both->v2.group;
}

/* In a container the mount may show a part: its top is /docker/ID, or "/" by its own names. */
static void find_folder(const struct hierarchy *h, struct em_group *g)
{
	size_t shown = strcmp(h->root, "/") ? strlen(h->root) : 0;
	const char *below = "";

	*g->folder = '\0';
	if (!*h->point || !*h->group)
		return;
	if (!strncmp(h->group, h->root, shown) && strncmp(h->group, "/..", 3))
		below = h->group + shown;
	g->top_len = strlen(h->point);
	snprintf(g->folder, sizeof(g->folder), "%s%s", h->point, strcmp(below, "/") ? below : "");
}

static void find_groups(struct em_allowance *a)
{
	static struct hierarchies both;

	memset(&both, 0, sizeof(both));
	each_line(a->read, "/proc/self/mountinfo", on_mount, &both);
	each_line(a->read, "/proc/self/cgroup", on_group, &both);
	find_folder(&both.v1, &a->v1);
	find_folder(&both.v2, &a->v2);
	a->found = true;
}

/* ---- how much -------------------------------------------------------- */

static bool on_bytes(char *line, void *arg)
{
	return sscanf(line, "%lu", (uint64_t *)arg) == 1; /* or "max" */
}

static uint64_t read_bytes(em_read_file *file, const char *folder, size_t len, const char *name)
{
	char path[2048 + 64];
	uint64_t bytes = UINT64_MAX;

	snprintf(path, sizeof(path), "%.*s/%s", (int)len, folder, name);
	each_line(file, path, on_bytes, &bytes);
	return bytes;
}

/* The least that the group and those above it have in one of these files. */
static uint64_t least_on_the_way(em_read_file *file, const struct em_group *g,
				 const char *const *names)
{
	size_t len = strlen(g->folder);
	uint64_t least = UINT64_MAX;

	while (len >= g->top_len && len) {
		for (size_t i = 0; names[i]; i++)
			least = em_min(least, read_bytes(file, g->folder, len, names[i]));
		while (len && g->folder[--len] != '/')
			;
	}
	return least;
}

static uint64_t group_bytes(const struct em_allowance *a)
{
	static const char *const v1[] = { "memory.limit_in_bytes", NULL };
	static const char *const v2[] = { "memory.max", "memory.high", NULL };

	return em_min(least_on_the_way(a->read, &a->v1, v1),
		      least_on_the_way(a->read, &a->v2, v2));
}

struct machine {
	uint64_t total, available; /* bytes */
};

static bool on_memory(char *line, void *arg)
{
	struct machine *m = arg;
	uint64_t kib;

	if (sscanf(line, "MemTotal: %lu", &kib) == 1)
		m->total = kib << 10;
	return sscanf(line, "MemAvailable: %lu", &kib) == 1 && (m->available = kib << 10);
}

static uint64_t without_group(const struct machine *m, uint64_t used_bytes)
{
	uint64_t spare = m->total / EM_SPARE_PART, most = m->total / 4 * 3;
	uint64_t mine = used_bytes + m->available;

	return em_clamp(mine > spare ? mine - spare : 0, spare, most);
}

uint64_t em_allowance_resolve(struct em_allowance *a, const struct em_size *limit,
			      uint64_t used_bytes)
{
	struct machine m = { .total = 0 };
	uint64_t bytes = limit->value, group, base;

	if (limit->kind != EM_SIZE_BYTES) {
		if (!a->found)
			find_groups(a);
		each_line(a->read, "/proc/meminfo", on_memory, &m);
		group = group_bytes(a);
		base = em_min(group, m.total);
		bytes = limit->kind == EM_SIZE_PERMILLE ?
				(uint64_t)((unsigned __int128)base * limit->value / 1000) :
			group < m.total ? group - group / 10 :
					  without_group(&m, used_bytes);
	}
	return bytes & ~EM_PAGE_MASK;
}
