/* SPDX-License-Identifier: MIT */
#include "program.h"

#include "common.h"
#include "notes.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

/* What the shell convention, env(1) and nohup(1) return. */
enum { REFUSED = 125, NOT_EXECUTABLE = 126, NOT_FOUND = 127 };

/* The kernel follows four interpreters and gives up at the fifth. */
#define SCRIPT_LEVELS 5

/* No program has more names than this. */
#define NAMES_MAX (256u << 20)

struct message {
	char *text;
	size_t bytes;
};

#define REFUSE(msg, ...) \
	(cmd_fail(0, (msg)->text, (msg)->bytes, __VA_ARGS__), REFUSED)

/* ---- where it is ----------------------------------------------------- */

static bool is_executable(const char *path, int *why)
{
	struct stat st;

	if (stat(path, &st)) {
		*why = errno;
		return false;
	}
	if (!S_ISREG(st.st_mode) || faccessat(AT_FDCWD, path, X_OK, AT_EACCESS)) {
		*why = S_ISDIR(st.st_mode) ? EISDIR : EACCES;
		return false;
	}
	return true;
}

static int not_runnable(const char *command, int why, const struct message *msg)
{
	cmd_fail(0, msg->text, msg->bytes, "cannot run '%s': %s", command,
		 strerror(why));
	return why == ENOENT || why == ENOTDIR ? NOT_FOUND : NOT_EXECUTABLE;
}

/* As execvp() searches: what may not be run is passed over, but remembered. */
static int find(const char *command, char path[PATH_MAX], const struct message *msg)
{
	const char *search = getenv("PATH");
	int why = ENOENT, remembered = ENOENT;

	if (!*command)
		return not_runnable(command, ENOENT, msg);
	if (strchr(command, '/')) {
		snprintf(path, PATH_MAX, "%s", command);
		return is_executable(path, &why) ? 0 : not_runnable(command, why, msg);
	}
	for (const char *p = search ? search : "/bin:/usr/bin"; p; ) {
		const char *end = strchrnul(p, ':');
		int dir_length = (int)(end - p);

		snprintf(path, PATH_MAX, "%.*s%s%s", dir_length, p,
			 dir_length ? "/" : "", command);
		if (is_executable(path, &why))
			return 0;
		if (why == EACCES)
			remembered = EACCES;
		p = *end ? end + 1 : NULL;
	}
	if (remembered == ENOENT) {
		cmd_fail(0, msg->text, msg->bytes, "cannot run '%s': not found in PATH",
			 command);
		return NOT_FOUND;
	}
	return not_runnable(command, remembered, msg);
}

/* ---- privilege ------------------------------------------------------- */

static bool has_file_capabilities(int fd)
{
	struct vfs_ns_cap_data caps = { 0 };
	ssize_t n = fgetxattr(fd, "security.capability", &caps, sizeof(caps));

	if (n < (ssize_t)sizeof(caps.magic_etc))
		return false;
	return (caps.magic_etc & VFS_CAP_FLAGS_EFFECTIVE) ||
	       caps.data[0].permitted || caps.data[1].permitted;
}

/*
 * Would the kernel set AT_SECURE, which makes the loader drop LD_PRELOAD? It
 * does when the ids change or a user other than root gains capabilities.
 */
static int check_privilege(const char *path, int fd, const struct message *msg)
{
	struct statvfs fs;
	struct stat st;
	const char *what = NULL;

	if (fstat(fd, &st) || prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ||
	    (!fstatvfs(fd, &fs) && (fs.f_flag & ST_NOSUID)))
		return 0;
	if ((st.st_mode & S_ISUID) && st.st_uid != getuid())
		what = "is set-user-ID";
	else if ((st.st_mode & S_ISGID) && (st.st_mode & S_IXGRP) &&
		 st.st_gid != getgid())
		what = "is set-group-ID";
	else if (getuid() != 0 && has_file_capabilities(fd))
		what = "has file capabilities";
	if (!what)
		return 0;
	return REFUSE(msg, "'%s' %s, so the loader ignores LD_PRELOAD; run a copy of it without that privilege, or run it as its owner",
		      path, what);
}

/* ---- ELF ------------------------------------------------------------- */

/* The loader's path, or "" when the program names none. */
static int read_interpreter(int fd, const Elf64_Ehdr *h, char interp[PATH_MAX])
{
	interp[0] = '\0';
	for (unsigned int i = 0; i < h->e_phnum; i++) {
		Elf64_Phdr ph;
		off_t at = (off_t)(h->e_phoff + (uint64_t)i * sizeof(ph));

		if (at < 0 || pread(fd, &ph, sizeof(ph), at) != sizeof(ph))
			return -1;
		if (ph.p_type != PT_INTERP)
			continue;
		size_t n = ph.p_filesz < PATH_MAX ? ph.p_filesz : PATH_MAX - 1;
		ssize_t got = pread(fd, interp, n, (off_t)ph.p_offset);
		if (got < 0)
			return -1;
		interp[got] = '\0';
		return 0;
	}
	return 0;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static int check_loader(const char *path, int fd, const Elf64_Ehdr *h,
			const struct message *msg)
{
	char interp[PATH_MAX];

	if (h->e_phentsize != sizeof(Elf64_Phdr) || read_interpreter(fd, h, interp))
		return REFUSE(msg, "'%s' is a damaged ELF file", path);
	/* The loader itself, given a program: it has none, and preloads. */
	if (!strncmp(base_name(path), "ld-linux", 8))
		return 0;
	if (!interp[0])
		return REFUSE(msg, "'%s' is statically linked, so nothing can be preloaded into it; build it with dynamic linking",
			      path);
	if (strstr(interp, "musl"))
		return REFUSE(msg, "'%s' is linked to musl, and libextmem works with glibc only; use a build for glibc",
			      path);
	if (!strstr(interp, "ld-linux"))
		return REFUSE(msg, "'%s' is loaded by '%s', and libextmem works with glibc's loader only; use a build for glibc",
			      path, interp);
	return 0;
}

static bool read_header(int fd, const Elf64_Ehdr *h, unsigned int i, Elf64_Phdr *ph)
{
	return pread(fd, ph, sizeof(*ph),
		     (off_t)(h->e_phoff + (uint64_t)i * sizeof(*ph))) == sizeof(*ph);
}

/* Where in the file an address of the program comes from; 0 when nowhere. */
static uint64_t file_offset(int fd, const Elf64_Ehdr *h, uint64_t addr)
{
	Elf64_Phdr ph;

	for (unsigned int i = 0; i < h->e_phnum && read_header(fd, h, i, &ph); i++)
		if (ph.p_type == PT_LOAD && addr - ph.p_vaddr < ph.p_filesz)
			return ph.p_offset + (addr - ph.p_vaddr);
	return 0;
}

/* The names that the loader has to do with, a NUL after each; to be freed. */
static char *read_names(int fd, const Elf64_Ehdr *h, size_t *bytes)
{
	uint64_t at = 0, size = 0;
	Elf64_Phdr ph = { 0 };
	Elf64_Dyn d;
	char *names;

	for (unsigned int i = 0; i < h->e_phnum && ph.p_type != PT_DYNAMIC; i++)
		if (!read_header(fd, h, i, &ph))
			return NULL;
	if (ph.p_type != PT_DYNAMIC)
		return NULL;
	for (uint64_t off = 0; off < ph.p_filesz; off += sizeof(d)) {
		if (pread(fd, &d, sizeof(d), (off_t)(ph.p_offset + off)) != sizeof(d) ||
		    d.d_tag == DT_NULL)
			break;
		if (d.d_tag == DT_STRTAB)
			at = file_offset(fd, h, d.d_un.d_ptr);
		if (d.d_tag == DT_STRSZ)
			size = d.d_un.d_val;
	}
	if (!at || !size || size > NAMES_MAX || !(names = malloc(size)))
		return NULL;
	if (pread(fd, names, size, (off_t)at) == (ssize_t)size) {
		*bytes = size;
		return names;
	}
	free(names);
	return NULL;
}

/* Their runtimes bring a malloc and a map of all addresses of their own. */
static int refuse_sanitizer(const char *path, int fd, const Elf64_Ehdr *h,
			    const struct message *msg)
{
	static const struct { const char *init, *name; } sanitizers[] = {
		{ "__asan_init", "AddressSanitizer" },
		{ "__hwasan_init", "HWAddressSanitizer" },
		{ "__tsan_init", "ThreadSanitizer" },
		{ "__msan_init", "MemorySanitizer" },
		{ "__lsan_init", "LeakSanitizer" },
	};
	size_t bytes = 0;
	char *names = read_names(fd, h, &bytes);
	int status = 0;

	for (size_t i = 0; names && !status && i < sizeof(sanitizers) / sizeof(*sanitizers); i++)
		if (memmem(names, bytes, sanitizers[i].init, strlen(sanitizers[i].init) + 1))
			status = REFUSE(msg, "'%s' is built with %s, whose runtime manages memory itself, which cannot be combined with extmem; build it without",
					path, sanitizers[i].name);
	free(names);
	return status;
}

/* See notes.h; also the ones that are linked dynamically, for cgo. */
static int refuse_go(const char *path, int fd, const Elf64_Ehdr *h,
		     const struct message *msg)
{
	char notes[4096];
	Elf64_Phdr ph;

	for (unsigned int i = 0; i < h->e_phnum && read_header(fd, h, i, &ph); i++) {
		if (ph.p_type != PT_NOTE || ph.p_filesz > sizeof(notes))
			continue;
		ssize_t got = pread(fd, notes, ph.p_filesz, (off_t)ph.p_offset);
		if (got > 0 && em_notes_are_go(notes, (size_t)got))
			return REFUSE(msg, "'%s' is a Go program, whose runtime blocks signals by system calls of its own, so its memory cannot be managed",
				      path);
	}
	return 0;
}

static int check_elf(const char *path, int fd, const struct message *msg)
{
	Elf64_Ehdr h;

	if (pread(fd, &h, sizeof(h), 0) != sizeof(h))
		return REFUSE(msg, "'%s' is a damaged ELF file", path);
	if (h.e_ident[EI_CLASS] != ELFCLASS64)
		return REFUSE(msg, "'%s' is a 32-bit program, and libextmem is 64-bit only; use a 64-bit build",
			      path);
	if (h.e_ident[EI_DATA] != ELFDATA2LSB || h.e_machine != EM_X86_64)
		return REFUSE(msg, "'%s' is built for another processor (ELF machine %u); libextmem is for x86-64 only",
			      path, (unsigned int)h.e_machine);
	int status = check_loader(path, fd, &h, msg);
	if (!status)
		status = refuse_sanitizer(path, fd, &h, msg);
	if (!status)
		status = refuse_go(path, fd, &h, msg);
	return status ? status : check_privilege(path, fd, msg);
}

/* ---- scripts --------------------------------------------------------- */

/*
 * The word after which `env` looks for a program in PATH, from the one
 * argument that a #! line can carry: "-S LANG=C python3 -u" is python3.
 */
static const char *env_command(char *argument)
{
	char *rest = NULL;

	for (char *word = strtok_r(argument, " \t", &rest); word;
	     word = strtok_r(NULL, " \t", &rest)) {
		if (!strncmp(word, "-S", 2) && word[2])
			word += 2;
		if (word[0] != '-' && !strchr(word, '='))
			return word;
	}
	return NULL;
}

static int check_file(const char *path, int level, const struct message *msg);

static int check_command(const char *command, int level, const struct message *msg)
{
	char path[PATH_MAX];
	int status = find(command, path, msg);

	return status ? status : check_file(path, level, msg);
}

/* line: what follows "#!", its end already cut. */
static int check_script(const char *path, char *line, int level,
			const struct message *msg)
{
	if (level >= SCRIPT_LEVELS)
		return REFUSE(msg, "'%s' is a script of a script, %d deep; run its interpreter directly",
			      path, level);
	line += strspn(line, " \t");
	char *argument = line + strcspn(line, " \t");
	if (*argument)
		*argument++ = '\0';
	if (!*line)
		return check_file("/bin/sh", level + 1, msg);

	int why, status;
	if (!is_executable(line, &why)) {
		cmd_fail(0, msg->text, msg->bytes,
			 "cannot run '%s': its interpreter '%s': %s", path, line,
			 strerror(why));
		return why == ENOENT ? NOT_FOUND : NOT_EXECUTABLE;
	}
	status = check_file(line, level + 1, msg);
	if (status || strcmp(base_name(line), "env"))
		return status;
	const char *command = env_command(argument);
	status = command ? check_command(command, level + 1, msg) : 0;
	/* That there is no such command is for env to say. */
	return status == REFUSED ? status : 0;
}

static int refuse_valgrind(const char *path, const struct message *msg)
{
	char real[PATH_MAX];
	const char *name = base_name(realpath(path, real) ? real : path);

	if (strncmp(name, "valgrind", 8))
		return 0;
	return REFUSE(msg, "'%s' translates a program and serves its faults itself, which cannot be combined with extmem; run it without extmem",
		      path);
}

static int check_file(const char *path, int level, const struct message *msg)
{
	char start[256 + 1];
	int status = refuse_valgrind(path, msg);

	if (status)
		return status;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	/* Executable but not readable: the kernel can run what we cannot see. */
	if (fd < 0)
		return 0;
	ssize_t n = pread(fd, start, sizeof(start) - 1, 0);
	start[n > 0 ? n : 0] = '\0';
	if (n >= SELFMAG && !memcmp(start, ELFMAG, SELFMAG)) {
		status = check_elf(path, fd, msg);
	} else if (!strncmp(start, "#!", 2)) {
		start[strcspn(start, "\n")] = '\0';
		status = check_script(path, start + 2, level, msg);
	} else if (level < SCRIPT_LEVELS) {
		/* Neither: execvp() gives it to the shell. */
		status = check_file("/bin/sh", level + 1, msg);
	}
	close(fd);
	return status;
}

int cmd_program_check(const char *command, char *err, size_t err_bytes)
{
	struct message msg = { err, err_bytes };

	return check_command(command, 0, &msg);
}
