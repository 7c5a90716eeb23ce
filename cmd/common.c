/* SPDX-License-Identifier: MIT */
#include "common.h"

#include "yaml.h"

#include <ctype.h>
#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- messages -------------------------------------------------------- */

static const char *cmd_name = "extmem";

void cmd_init(const char *name)
{
	cmd_name = name;
}

/* One write for the whole line, so that lines of several processes stay whole. */
static void say(const char *format, va_list args)
{
	char text[4096];

	vsnprintf(text, sizeof(text), format, args);
	fflush(stdout);
	dprintf(STDERR_FILENO, "%s: %s\n", cmd_name, text);
}

void cmd_error(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(format, args);
	va_end(args);
}

void cmd_die(int status, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(format, args);
	va_end(args);
	exit(status);
}

int cmd_fail(int code, char *err, size_t err_bytes, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(err, err_bytes, format, args);
	va_end(args);
	return -code;
}

const char *cmd_nearest(const char *word, const char *const *words)
{
	const char *nearest = NULL;
	unsigned int best = UINT_MAX;
	size_t length = strlen(word);

	for (; *words; words++) {
		unsigned int d = em_edit_distance(word, *words);

		/* A beginning is as good as one wrong letter: "pol" for "policy". */
		if (length >= 2 && !strncmp(word, *words, length))
			d = 1;
		if (d < best) {
			best = d;
			nearest = *words;
		}
	}
	return best <= 1 + length / 3 ? nearest : NULL;
}

/* ---- paths ----------------------------------------------------------- */

enum { PLACE_BYTES = PATH_MAX + 64 };

/* The build tree that this command was started from, or NULL. */
static const char *build_tree(void)
{
	static char top[PATH_MAX];
	static bool known;
	char probe[PLACE_BYTES];

	if (known)
		return top[0] ? top : NULL;
	known = true;
	ssize_t n = readlink("/proc/self/exe", top, sizeof(top) - 1);
	if (n < 0)
		n = 0;
	top[n] = '\0';
	/* The dispatcher is at the top, the verbs one folder below. */
	for (int up = 0; up < 2; up++) {
		char *slash = strrchr(top, '/');

		if (!slash)
			break;
		*slash = '\0';
		snprintf(probe, sizeof(probe), "%s/cmd/extmem-run", top);
		if (access(probe, X_OK))
			continue;
		snprintf(probe, sizeof(probe), "%s/lib/libconf.a", top);
		if (!access(probe, F_OK))
			return top;
	}
	top[0] = '\0';
	return NULL;
}

/* The environment's word, else below the build tree, else the installed path. */
static const char *place(char out[PLACE_BYTES], const char *variable,
			 const char *in_tree, const char *installed)
{
	const char *given = getenv(variable);
	const char *top = build_tree();

	if (given && *given)
		snprintf(out, PLACE_BYTES, "%s", given);
	else if (top && in_tree[0] != '/')
		snprintf(out, PLACE_BYTES, "%s/%s", top, in_tree);
	else
		snprintf(out, PLACE_BYTES, "%s", top ? in_tree : installed);
	return out;
}

const char *cmd_exec_dir(void)
{
	static char path[PLACE_BYTES];

	return place(path, "EXTMEM_EXEC_PATH", "cmd", EM_LIBEXECDIR);
}

const char *cmd_library(void)
{
	static char path[PLACE_BYTES];

	return place(path, "EXTMEM_LIBRARY", "lib/.libs/libextmem.so",
		     EM_LIBDIR "/libextmem.so");
}

/* Policies and manuals are not built: a build tree uses those of its sources. */
const char *cmd_policy_dir(void)
{
	static char path[PLACE_BYTES];

	return place(path, "EXTMEM_POLICY_PATH",
		     EM_SRCDIR "/share/policies", EM_DATADIR "/policies");
}

const char *cmd_man_dir(void)
{
	return build_tree() ? EM_SRCDIR "/man" : "";
}

/* ---- policies -------------------------------------------------------- */

static bool ends_in(const char *text, const char *end)
{
	size_t n = strlen(text), m = strlen(end);

	return n >= m && !strcmp(text + n - m, end);
}

static int keep_policy(const struct dirent *entry)
{
	return entry->d_name[0] != '.' && ends_in(entry->d_name, ".yaml");
}

/* The installed policy whose name is nearest, or NULL. */
static const char *nearest_policy(const char *name)
{
	static char found[NAME_MAX + 1];
	struct dirent **entries;
	const char *words[256];
	int n = scandir(cmd_policy_dir(), &entries, keep_policy, alphasort);
	int kept = 0;

	if (n < 0)
		return NULL;
	for (int i = 0; i < n; i++) {
		*strrchr(entries[i]->d_name, '.') = '\0';
		if (kept < 255)
			words[kept++] = entries[i]->d_name;
	}
	words[kept] = NULL;
	const char *nearest = cmd_nearest(name, words);
	if (nearest)
		snprintf(found, sizeof(found), "%s", nearest);
	for (int i = 0; i < n; i++)
		free(entries[i]);
	free(entries);
	return nearest ? found : NULL;
}

static int no_such_policy(const char *name, char *err, size_t err_bytes)
{
	const char *nearest = nearest_policy(name);

	if (!access(name, F_OK))
		return cmd_fail(ENOENT, err, err_bytes,
				"no policy named '%s' in '%s'; for the file of that name write './%s'",
				name, cmd_policy_dir(), name);
	if (nearest)
		return cmd_fail(ENOENT, err, err_bytes,
				"no policy named '%s' in '%s', did you mean '%s'?",
				name, cmd_policy_dir(), nearest);
	return cmd_fail(ENOENT, err, err_bytes,
			"no policy named '%s' in '%s'; 'extmem policy list' shows what there is",
			name, cmd_policy_dir());
}

int cmd_policy_read(struct em_config *cfg, const char *file_or_name, char *err,
		    size_t err_bytes)
{
	char path[PLACE_BYTES + NAME_MAX];

	if (!*file_or_name)
		return cmd_fail(EINVAL, err, err_bytes,
				"the policy's name is empty; give a file or a name");
	if (strchr(file_or_name, '/') || ends_in(file_or_name, ".yaml") ||
	    ends_in(file_or_name, ".yml"))
		return em_yaml_read(cfg, file_or_name, err, err_bytes);
	snprintf(path, sizeof(path), "%s/%s.yaml", cmd_policy_dir(), file_or_name);
	if (access(path, F_OK))
		return no_such_policy(file_or_name, err, err_bytes);
	return em_yaml_read(cfg, path, err, err_bytes);
}

int cmd_policy_set(struct em_config *cfg, const char *setting, char *err,
		   size_t err_bytes)
{
	const char *equals = strchr(setting, '=');
	char key[256];
	int n;

	if (!equals || equals == setting || (size_t)(equals - setting) >= sizeof(key))
		return cmd_fail(EINVAL, err, err_bytes,
				"--set '%s': expected KEY=VALUE, as in eviction.algorithm=fifo",
				setting);
	snprintf(key, sizeof(key), "%.*s", (int)(equals - setting), setting);
	n = snprintf(err, err_bytes, "--set: ");
	return em_config_set(cfg, key, equals + 1, err + n, err_bytes - (size_t)n);
}

int cmd_policy_load(struct em_config *cfg, const char *file_or_name, char *err,
		    size_t err_bytes)
{
	em_config_init(cfg);
	return file_or_name ? cmd_policy_read(cfg, file_or_name, err, err_bytes) : 0;
}

/* ---- processes ------------------------------------------------------- */

struct process {
	char state;    /* as in /proc/PID/status: R, S, Z ... */
	uid_t uid;     /* its real user */
	pid_t own_pid; /* as it sees itself, in its own PID namespace */
};

/* 0, or -ESRCH. */
static int process_look(struct process *p, pid_t pid)
{
	char path[64], line[256];

	*p = (struct process){ .state = '?', .own_pid = pid };
	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	FILE *f = fopen(path, "re");
	if (!f)
		return -ESRCH;
	while (fgets(line, sizeof(line), f)) {
		if (!strncmp(line, "State:", 6))
			p->state = line[6 + strspn(line + 6, " \t")];
		else if (!strncmp(line, "Uid:", 4))
			p->uid = (uid_t)strtoul(line + 4, NULL, 10);
		else if (!strncmp(line, "NSpid:", 6))
			p->own_pid = (pid_t)atoi(strrchr(line, '\t'));
	}
	fclose(f);
	return 0;
}

static int process_refused(pid_t pid, const struct process *p, char *err,
			   size_t err_bytes)
{
	if (p->uid != geteuid())
		return cmd_fail(EACCES, err, err_bytes,
				"process %d belongs to another user (uid %u); ask as that user or as root",
				(int)pid, (unsigned int)p->uid);
	return cmd_fail(EACCES, err, err_bytes,
			"process %d does not let itself be looked at (its file is unreadable, or it changed its user); %s",
			(int)pid, geteuid() ? "ask as root" : "it takes CAP_SYS_PTRACE, which root does not have here");
}

static int not_managed(pid_t pid, char *err, size_t err_bytes)
{
	return cmd_fail(ENXIO, err, err_bytes,
			"process %d is not managed by extmem; start it with 'extmem run'",
			(int)pid);
}

/*
 * Calls look(fd, arg) with each memory file of that name that the process
 * holds, until one returns 0 and keeps the descriptor. Returns 0, the last
 * result of look, or -errno with a message.
 */
static int each_memfd(pid_t pid, const struct process *p, const char *name,
		      int (*look)(int fd, void *arg), void *arg,
		      char *err, size_t err_bytes)
{
	char path[64], want[64], link[64];
	struct dirent *entry;
	int result = -ENXIO;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	snprintf(want, sizeof(want), "/memfd:%s (deleted)", name);
	DIR *dir = opendir(path);
	if (!dir)
		return errno == EACCES || errno == EPERM ?
			process_refused(pid, p, err, err_bytes) :
			cmd_fail(ESRCH, err, err_bytes, "no such process: %d", (int)pid);
	while (result && (entry = readdir(dir))) {
		ssize_t n = readlinkat(dirfd(dir), entry->d_name, link,
				       sizeof(link) - 1);

		if (n < 0 && errno == EACCES) {
			result = process_refused(pid, p, err, err_bytes);
			break;
		}
		if (n < 0 || strncmp(link, want, (size_t)n) || want[n])
			continue;
		int fd = openat(dirfd(dir), entry->d_name,
				O_RDONLY | O_CLOEXEC | O_NONBLOCK);
		if (fd < 0)
			continue;
		result = look(fd, arg);
		if (result)
			close(fd);
	}
	closedir(dir);
	return result;
}

/* Reads exactly that much: 0, -errno, or -ENODATA where the file is short. */
static int read_at(int fd, uint64_t offset, void *to, size_t bytes)
{
	size_t done = 0;

	if (offset > INT64_MAX - bytes)
		return -ENODATA;
	while (done < bytes) {
		ssize_t n = pread(fd, (char *)to + done, bytes - done,
				  (off_t)(offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -ENODATA;
		done += (size_t)n;
	}
	return 0;
}

/* What cmd_segment_open and the search for processes know of one memory file. */
struct stats_search {
	pid_t pid;
	pid_t own_pid;
	int fd;
	bool own;      /* with the right magic and pid, of whatever version */
	int code;      /* of the message, when none was good */
	char err[256];
};

enum { HEAD_BYTES = offsetof(struct em_segment, start_ns) };

/*
 * A forked child may hold its parent's statistics: the pid in them tells.
 * Files that cannot even say whose they are count only while there is nothing
 * better.
 */
static int look_at_stats(int fd, void *arg)
{
	struct stats_search *s = arg;
	struct em_segment head;
	struct stat st;

	if (fstat(fd, &st))
		return -ENXIO;
	if (read_at(fd, 0, &head, HEAD_BYTES)) {
		s->code = cmd_fail(ENODATA, s->err, sizeof(s->err),
				   "the statistics of process %d are truncated (%lld bytes)",
				   (int)s->pid, (long long)st.st_size);
	} else if (head.magic != EM_SEGMENT_MAGIC) {
		s->code = cmd_fail(EPROTO, s->err, sizeof(s->err),
				   "the statistics of process %d are not extmem's (wrong magic number)",
				   (int)s->pid);
	} else if (head.pid != (uint32_t)s->own_pid) {
		return -ENXIO;
	} else if (head.version != EM_SEGMENT_VERSION) {
		s->own = true;
		s->code = cmd_fail(ENOTSUP, s->err, sizeof(s->err),
				   "the statistics of process %d have version %u, this is for version %u: written by %s extmem: use its 'extmem stat'",
				   (int)s->pid, head.version, EM_SEGMENT_VERSION,
				   head.version > EM_SEGMENT_VERSION ? "a newer" : "an older");
	} else if (head.bytes < sizeof(head) || (uint64_t)st.st_size < head.bytes) {
		s->code = cmd_fail(ENODATA, s->err, sizeof(s->err),
				   "the statistics of process %d are truncated (%lld bytes, %zu expected)",
				   (int)s->pid, (long long)st.st_size, sizeof(head));
	} else {
		s->own = true;
		s->fd = fd;
		return 0;
	}
	return -ENXIO;
}

/* An open descriptor, or -errno with a message. */
static int open_stats(struct stats_search *s, pid_t pid, char *err, size_t err_bytes)
{
	struct process p;

	*s = (struct stats_search){ .pid = pid, .fd = -1 };
	if (process_look(&p, pid))
		return cmd_fail(ESRCH, err, err_bytes, "no such process: %d", (int)pid);
	if (p.state == 'Z' || p.state == 'X')
		return cmd_fail(ESRCH, err, err_bytes,
				"process %d has ended", (int)pid);
	s->own_pid = p.own_pid;
	int result = each_memfd(pid, &p, EM_SEGMENT_NAME, look_at_stats, s,
				err, err_bytes);
	if (!result)
		return s->fd;
	if (s->code)
		return cmd_fail(-s->code, err, err_bytes, "%s", s->err);
	return result == -ENXIO ? not_managed(pid, err, err_bytes) : result;
}

/*
 * Ends the string within its field, and takes out what would drive a terminal:
 * control characters, also those that UTF-8 writes in two bytes.
 */
static void make_safe(char *text, size_t bytes, bool keep_lines)
{
	text[bytes - 1] = '\0';
	for (unsigned char *s = (unsigned char *)text; *s; s++) {
		if (*s == '\n' && keep_lines)
			continue;
		if (*s < 0x20 || *s == 0x7f || (*s == 0xc2 && s[1] >= 0x80 && s[1] < 0xa0))
			*s = '?';
	}
}

const struct em_segment *cmd_segment_open(pid_t pid, char *err, size_t err_bytes)
{
	struct em_segment *seg = aligned_alloc(_Alignof(struct em_segment), sizeof(*seg));
	struct stats_search s;

	if (!seg) {
		cmd_fail(ENOMEM, err, err_bytes, "out of memory");
		return NULL;
	}
	int fd = open_stats(&s, pid, err, err_bytes);
	if (fd < 0) {
		errno = -fd;
		goto fail;
	}
	int result = read_at(fd, 0, seg, sizeof(*seg));
	close(fd);
	if (result) {
		errno = -cmd_fail(-result, err, err_bytes,
				  "cannot read the statistics of process %d: %s",
				  (int)pid, strerror(-result));
		goto fail;
	}
	make_safe(seg->command, sizeof(seg->command), false);
	make_safe(seg->library, sizeof(seg->library), false);
	make_safe(seg->algorithm, sizeof(seg->algorithm), false);
	make_safe(seg->way_out, sizeof(seg->way_out), false);
	make_safe(seg->delivery, sizeof(seg->delivery), false);
	make_safe(seg->syscall_net, sizeof(seg->syscall_net), false);
	make_safe(seg->tier, sizeof(seg->tier), false);
	make_safe(seg->config, sizeof(seg->config), true);
	return seg;
fail:
	free(seg);
	return NULL;
}

void cmd_segment_close(const struct em_segment *seg)
{
	free((void *)seg);
}

/* ---- the page table -------------------------------------------------- */

struct table_search {
	struct cmd_table *table;
	pid_t pid;
	int code;
	char err[256];
};

static bool fits(const struct cmd_table *t, uint64_t offset, uint64_t count,
		 uint64_t each)
{
	return offset >= sizeof(t->head) && offset <= t->bytes &&
	       count <= (t->bytes - offset) / each;
}

/* Everything that `dump` computes offsets from is checked here, once. */
static bool head_is_sound(const struct cmd_table *t)
{
	const struct em_table_header *h = &t->head;
	uint64_t pages = h->window_bytes / 4096;

	return h->window_bytes % 4096 == 0 && h->window_base % 4096 == 0 &&
	       h->window_base + h->window_bytes > h->window_base &&
	       fits(t, h->regions_off, EM_REGIONS_MAX, sizeof(struct em_region)) &&
	       fits(t, h->blocks_off, (pages + EM_BLOCK_PAGES - 1) / EM_BLOCK_PAGES, 4) &&
	       fits(t, h->pages_off, pages, 8);
}

/* whose: "process 4711", or a core dump. */
static int check_head(const struct cmd_table *t, const char *whose, char *err,
		      size_t err_bytes)
{
	if (t->head.magic != EM_TABLE_MAGIC)
		return cmd_fail(EPROTO, err, err_bytes,
				"the page table of %s is not extmem's (wrong magic number)",
				whose);
	if (t->head.version != EM_SEGMENT_VERSION)
		return cmd_fail(ENOTSUP, err, err_bytes,
				"the page table of %s has version %u, this is for version %u: use the 'extmem dump' that came with it",
				whose, t->head.version, EM_SEGMENT_VERSION);
	if (!head_is_sound(t))
		return cmd_fail(EPROTO, err, err_bytes,
				"the page table of %s is truncated or damaged", whose);
	return 0;
}

static int look_at_table(int fd, void *arg)
{
	struct table_search *s = arg;
	struct cmd_table *t = s->table;
	char whose[32];
	struct stat st;

	if (fstat(fd, &st))
		return -ENXIO;
	snprintf(whose, sizeof(whose), "process %d", (int)s->pid);
	t->bytes = (uint64_t)st.st_size;
	if (read_at(fd, 0, &t->head, sizeof(t->head)))
		s->code = cmd_fail(ENODATA, s->err, sizeof(s->err),
				   "the page table of %s is truncated (%lld bytes)",
				   whose, (long long)st.st_size);
	else
		s->code = check_head(t, whose, s->err, sizeof(s->err));
	if (!s->code)
		t->fd = fd;
	return t->fd >= 0 ? 0 : -ENXIO;
}

/* A part of the table that a core dump has. */
struct cmd_part {
	uint64_t start; /* in the table */
	uint64_t offset; /* in the file */
	uint64_t bytes;
};

/* What the library left out of the dump was never touched: zeros. */
static int read_parts(const struct cmd_table *t, uint64_t at, void *to, size_t bytes)
{
	memset(to, 0, bytes);
	for (size_t i = 0; i < t->part_count; i++) {
		const struct cmd_part *p = &t->parts[i];
		uint64_t from = at > p->start ? at : p->start;
		uint64_t end = p->start + p->bytes;

		if (end > at + bytes)
			end = at + bytes;
		if (from >= end)
			continue;
		int result = read_at(t->fd, p->offset + (from - p->start),
				     (char *)to + (from - at), (size_t)(end - from));
		if (result)
			return result;
	}
	return 0;
}

int cmd_table_open(struct cmd_table *table, pid_t pid, char *err, size_t err_bytes)
{
	struct table_search s = { .table = table, .pid = pid };
	struct stats_search stats;
	struct process p;

	*table = (struct cmd_table){ .fd = -1 };
	/* The table carries no pid: the statistics say whether it is managed. */
	int result = open_stats(&stats, pid, err, err_bytes);
	if (result < 0)
		return result;
	close(result);
	if (process_look(&p, pid))
		return cmd_fail(ESRCH, err, err_bytes, "no such process: %d", (int)pid);
	result = each_memfd(pid, &p, EM_TABLE_NAME, look_at_table, &s, err, err_bytes);
	if (!result)
		return 0;
	if (s.code)
		return cmd_fail(-s.code, err, err_bytes, "%s", s.err);
	return result == -ENXIO ? not_managed(pid, err, err_bytes) : result;
}

int cmd_table_read(const struct cmd_table *table, uint64_t offset, void *to,
		   size_t bytes)
{
	if (table->parts)
		return read_parts(table, offset, to, bytes);
	return read_at(table->fd, offset, to, bytes);
}

void cmd_table_close(struct cmd_table *table)
{
	close(table->fd);
	table->fd = -1;
	free(table->parts);
	table->parts = NULL;
}

/* ---- the table in a core dump ------------------------------------------ */

#define ELF_READ(fd, at, to) (read_at(fd, at, to, sizeof(*(to))))

/* How many program headers; 0 when it is no core dump of this machine. */
static size_t count_headers(int fd, Elf64_Ehdr *h)
{
	Elf64_Shdr first;

	if (ELF_READ(fd, 0, h) || memcmp(h->e_ident, ELFMAG, SELFMAG) ||
	    h->e_ident[EI_CLASS] != ELFCLASS64 || h->e_type != ET_CORE ||
	    h->e_phentsize != sizeof(Elf64_Phdr))
		return 0;
	if (h->e_phnum != PN_XNUM)
		return h->e_phnum;
	return ELF_READ(fd, h->e_shoff, &first) ? 0 : first.sh_info;
}

/*
 * The table starts with its magic number in some segment; the segments at the
 * addresses after it are parts of it, with holes where nothing was dumped.
 */
static int find_parts(struct cmd_table *t, const Elf64_Ehdr *h, size_t count)
{
	uint64_t base = 0;

	t->parts = calloc(count, sizeof(*t->parts));
	if (!t->parts)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		Elf64_Phdr ph;

		if (ELF_READ(t->fd, h->e_phoff + i * sizeof(ph), &ph))
			return -ENODATA;
		if (ph.p_type != PT_LOAD || ph.p_filesz < sizeof(t->head))
			continue;
		if (!base && !ELF_READ(t->fd, ph.p_offset, &t->head) &&
		    t->head.magic == EM_TABLE_MAGIC)
			base = ph.p_vaddr;
		if (!base || ph.p_vaddr - base >= t->head.pages_off + t->head.window_bytes / 512)
			continue;
		t->parts[t->part_count++] = (struct cmd_part){
			ph.p_vaddr - base, ph.p_offset, ph.p_filesz
		};
	}
	return base ? 0 : -ENXIO;
}

int cmd_table_open_core(struct cmd_table *table, const char *path, char *err,
			size_t err_bytes)
{
	char whose[PATH_MAX + 16];
	Elf64_Ehdr h;
	size_t count;
	int result;

	*table = (struct cmd_table){ .fd = open(path, O_RDONLY | O_CLOEXEC) };
	if (table->fd < 0)
		return cmd_fail(errno, err, err_bytes, "cannot open '%s': %s", path,
				strerror(errno));
	count = count_headers(table->fd, &h);
	if (!count) {
		result = cmd_fail(EPROTO, err, err_bytes, "'%s' is not a core dump", path);
	} else if ((result = find_parts(table, &h, count))) {
		result = cmd_fail(-result, err, err_bytes, result == -ENXIO ?
				  "'%s' has no page table of extmem: the process was not managed, or /proc/PID/coredump_filter left shared memory out" :
				  "'%s' is truncated", path);
	} else {
		table->bytes = INT64_MAX; /* there is no end to zeros */
		snprintf(whose, sizeof(whose), "'%s'", path);
		result = check_head(table, whose, err, err_bytes);
	}
	if (result)
		cmd_table_close(table);
	return result;
}

/* ---- all processes --------------------------------------------------- */

static int compare_pids(const void *a, const void *b)
{
	pid_t x = *(const pid_t *)a, y = *(const pid_t *)b;

	return (x > y) - (x < y);
}

size_t cmd_managed_pids(pid_t *pids, size_t max)
{
	struct dirent *entry;
	struct stats_search s;
	char err[256];
	size_t n = 0;
	DIR *dir = opendir("/proc");

	if (!dir)
		return 0;
	while (n < max && (entry = readdir(dir))) {
		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		pid_t pid = (pid_t)atoi(entry->d_name);
		int fd = open_stats(&s, pid, err, sizeof(err));
		if (fd >= 0)
			close(fd);
		if (s.own)
			pids[n++] = pid;
	}
	closedir(dir);
	qsort(pids, n, sizeof(*pids), compare_pids);
	return n;
}

pid_t cmd_parse_pid(const char *text)
{
	char *end;

	errno = 0;
	long pid = strtol(text, &end, 10);
	if (errno || end == text || *end || pid <= 0 || pid > INT_MAX)
		cmd_die(2, "not a process id: '%s'", text);
	return (pid_t)pid;
}

/* ---- figures for people ---------------------------------------------- */

const char *cmd_human_bytes(uint64_t bytes, char out[16])
{
	static const char units[] = "BKMGTPE";
	double value = (double)bytes;
	unsigned int unit = 0;

	/* 1023.95 would print as "1024.0": go on to the next unit before it. */
	while (value >= 1023.95 && units[unit + 1]) {
		value /= 1024;
		unit++;
	}
	if (!unit)
		snprintf(out, 16, "%uB", (unsigned int)bytes);
	else
		snprintf(out, 16, "%.1f%c", value, units[unit]);
	return out;
}

const char *cmd_human_ns(uint64_t ns, char out[16])
{
	if (ns < 1000)
		snprintf(out, 16, "%uns", (unsigned int)ns);
	else if (ns < 999950)
		snprintf(out, 16, "%.1fus", (double)ns / 1e3);
	else if (ns < 999950000)
		snprintf(out, 16, "%.1fms", (double)ns / 1e6);
	else
		snprintf(out, 16, "%.1fs", (double)ns / 1e9);
	return out;
}
