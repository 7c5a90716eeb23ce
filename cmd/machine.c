/* SPDX-License-Identifier: MIT */
#include "machine.h"

#include "allowance.h"
#include "common.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/userfaultfd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Newer than the oldest kernel headers that this builds with. */
#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif
#define FEATURE_MOVE (1ull << 16)
#define USERFAULTFD_NEW _IO(0xAA, 0x00)

/* ---- memory ---------------------------------------------------------- */

static long read_file(const char *path, uint64_t offset, char *out, size_t bytes)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t done = 0;
	ssize_t n;

	if (fd < 0)
		return -1;
	do { /* files of the kernel's come in pieces */
		n = pread(fd, out + done, bytes - done, (off_t)(offset + done));
		done += n > 0 ? (size_t)n : 0;
	} while (n > 0 && done < bytes);
	close(fd);
	return n < 0 ? -1 : (long)done;
}

int cmd_limit_resolve(const struct em_size *limit, uint64_t *bytes, char *err,
		      size_t err_bytes)
{
	static struct em_allowance allowance = { .read = read_file };
	char text[32];

	*bytes = em_allowance_resolve(&allowance, limit, 0);
	if (*bytes >= EM_LIMIT_MIN_BYTES)
		return 0;
	em_format_bytes(*bytes, text, sizeof(text));
	return cmd_fail(EINVAL, err, err_bytes,
			"a limit of %s is too small to run; give 8M or more with --limit",
			text);
}

/* ---- userfaultfd ----------------------------------------------------- */

static int userfaultfd_refused(int why, char *err, size_t err_bytes)
{
	if (why == ENOSYS)
		return cmd_fail(why, err, err_bytes,
				"this kernel has no userfaultfd; it needs one built with CONFIG_USERFAULTFD=y");
	if (why == EPERM || why == EACCES)
		return cmd_fail(why, err, err_bytes,
				"userfaultfd is refused here, typically by a container's seccomp profile; allow that call in the profile (docker run --security-opt seccomp=FILE)");
	return cmd_fail(why, err, err_bytes, "cannot open a userfaultfd: %s",
			strerror(why));
}

static int check_features(uint64_t features, enum em_delivery delivery,
			  enum em_way_out way_out, char *err, size_t err_bytes)
{
	if (delivery != EM_DELIVERY_THREAD && !(features & UFFD_FEATURE_SIGBUS))
		return cmd_fail(ENOTSUP, err, err_bytes,
				"this kernel's userfaultfd cannot deliver faults as a signal; it needs Linux 5.7 or newer");
	if (!(features & UFFD_FEATURE_PAGEFAULT_FLAG_WP))
		return cmd_fail(ENOTSUP, err, err_bytes,
				"this kernel's userfaultfd cannot write-protect; it needs Linux 5.7 or newer with CONFIG_HAVE_ARCH_USERFAULTFD_WP");
	if (way_out == EM_OUT_MOVE && !(features & FEATURE_MOVE))
		return cmd_fail(ENOTSUP, err, err_bytes,
				"this kernel has no UFFDIO_MOVE (Linux 6.8); use eviction.way_out 'auto' or 'copy'");
	if (delivery == EM_DELIVERY_THREAD && way_out == EM_OUT_COPY && features & FEATURE_MOVE)
		return cmd_fail(EINVAL, err, err_bytes,
				"eviction.way_out 'copy' can lose what a device writes while faults are delivered to a thread; use 'auto' or 'move', or faults.delivery 'signal'");
	return 0;
}

/* Only a move notices that a device is working on a page. */
static void warn_of_devices(uint64_t features, enum em_delivery delivery, char *warning,
			    size_t warning_bytes)
{
	if (delivery == EM_DELIVERY_THREAD && !(features & FEATURE_MOVE))
		snprintf(warning, warning_bytes,
			 "this kernel has no UFFDIO_MOVE (Linux 6.8): in managed memory, direct I/O, io_uring and asynchronous I/O are not safe with faults.delivery 'thread'");
}

/* A descriptor, or -errno with a message. */
static int open_for_signals(char *err, size_t err_bytes)
{
	long fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY);

	/* Before 5.11 the flag is unknown, and only the privileged may. */
	if (fd < 0 && errno == EINVAL) {
		fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
		if (fd < 0 && errno == EPERM)
			return cmd_fail(EPERM, err, err_bytes,
					"before Linux 5.11 userfaultfd is for root, or for all with: sysctl vm.unprivileged_userfaultfd=1");
	}
	return fd < 0 ? userfaultfd_refused(errno, err, err_bytes) : (int)fd;
}

/* The same: one that also serves the kernel's own accesses to memory. */
static int open_for_threads(char *err, size_t err_bytes)
{
	int device = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
	long fd = device < 0 ? -1 : ioctl(device, USERFAULTFD_NEW, O_CLOEXEC);

	if (device >= 0)
		close(device);
	if (fd < 0)
		fd = syscall(SYS_userfaultfd, O_CLOEXEC);
	if (fd < 0 && errno == EPERM)
		return cmd_fail(EPERM, err, err_bytes,
				"faults.delivery 'thread' needs root, CAP_SYS_PTRACE, access to /dev/userfaultfd, or sysctl vm.unprivileged_userfaultfd=1; faults.delivery 'signal' needs none of them");
	return fd < 0 ? userfaultfd_refused(errno, err, err_bytes) : (int)fd;
}

int cmd_userfaultfd_check(enum em_delivery delivery, enum em_way_out way_out,
			  char *warning, size_t warning_bytes, char *err, size_t err_bytes)
{
	struct uffdio_api api = { .api = UFFD_API };
	int fd = delivery == EM_DELIVERY_THREAD ? open_for_threads(err, err_bytes)
						: open_for_signals(err, err_bytes);

	*warning = '\0';
	if (fd < 0)
		return fd;
	/* With no feature asked for, the answer is all that there are. */
	int result = ioctl(fd, UFFDIO_API, &api) ?
		cmd_fail(errno, err, err_bytes,
			 "userfaultfd does not speak our version of its interface: %s",
			 strerror(errno)) :
		check_features(api.features, delivery, way_out, err, err_bytes);
	if (!result)
		warn_of_devices(api.features, delivery, warning, warning_bytes);
	close(fd);
	return result;
}

/* ---- the address space ----------------------------------------------- */

/*
 * What the library takes of rationed addresses whatever the program does, and a
 * little for the program.
 */
#define ADDRESSES_MIN_BYTES (64ull << 20)

static int check_addresses(int resource, const char *what, const char *option, char *err,
			   size_t err_bytes)
{
	struct rlimit limit;
	char have[16], want[16];

	if (getrlimit(resource, &limit) || limit.rlim_cur == RLIM_INFINITY ||
	    limit.rlim_cur >= ADDRESSES_MIN_BYTES)
		return 0;
	return cmd_fail(ENOMEM, err, err_bytes,
			"%s is limited to %s (ulimit %s), and a managed program needs %s: lift it with 'ulimit %s unlimited', the memory is limited all the same",
			what, cmd_human_bytes(limit.rlim_cur, have), option,
			cmd_human_bytes(ADDRESSES_MIN_BYTES, want), option);
}

int cmd_address_space_check(char *err, size_t err_bytes)
{
	int ret = check_addresses(RLIMIT_AS, "the address space", "-v", err, err_bytes);

	return ret ? ret : check_addresses(RLIMIT_DATA, "the data segment", "-d", err,
					   err_bytes);
}

/* ---- a place to swap to ---------------------------------------------- */

static const char *ram_file_system(const char *path)
{
	struct statfs fs;

	if (statfs(path, &fs))
		return NULL;
	switch ((unsigned long)fs.f_type) {
	case 0x01021994:
		return "tmpfs";
	case 0x858458f6:
		return "ramfs";
	default:
		return NULL;
	}
}

static void check_space(const char *path, uint64_t wanted_bytes, char *warning,
			size_t warning_bytes)
{
	struct statvfs fs;
	char have[16], want[16];

	warning[0] = '\0';
	if (statvfs(path, &fs))
		return;
	uint64_t bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
	if (bytes >= wanted_bytes)
		return;
	cmd_fail(0, warning, warning_bytes,
		 "only %s are free in swap path '%s' (%s would be safe); a program that needs more grows past its limit",
		 cmd_human_bytes(bytes, have), path, cmd_human_bytes(wanted_bytes, want));
}

int cmd_swap_check(char *path, uint64_t wanted_bytes, char *warning,
		   size_t warning_bytes, char *err, size_t err_bytes)
{
	char real[PATH_MAX];
	struct stat st;

	if (!realpath(path, real) || stat(real, &st))
		return cmd_fail(errno, err, err_bytes,
				"cannot use swap path '%s': %s; give a folder on a disk with --swap",
				path, strerror(errno));
	if (!S_ISDIR(st.st_mode))
		return cmd_fail(ENOTDIR, err, err_bytes,
				"swap path '%s' is not a directory; give a folder on a disk with --swap",
				path);
	const char *ram = ram_file_system(real);
	if (ram)
		return cmd_fail(EINVAL, err, err_bytes,
				"swap path '%s' is on %s, which is memory itself; give a folder on a disk with --swap",
				path, ram);
	if (faccessat(AT_FDCWD, real, W_OK | X_OK, AT_EACCESS))
		return cmd_fail(errno, err, err_bytes,
				"cannot write to swap path '%s': %s; give a folder of your own with --swap",
				path, strerror(errno));
	if (strlen(real) >= EM_CONFIG_PATH_MAX || strchr(real, '\n'))
		return cmd_fail(ENAMETOOLONG, err, err_bytes,
				"swap path '%s' is too long, or has a line break in it", path);
	strcpy(path, real);
	check_space(real, wanted_bytes, warning, warning_bytes);
	return 0;
}
