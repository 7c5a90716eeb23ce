/* SPDX-License-Identifier: MIT
 *
 * The memory that there is for a process: which files of which group say so, and
 * what shares and auto come to by them.
 */
#include "allowance.h"
#include "tap.h"
#include "util.h"

#define GIB (1ull << 30)
#define MIB (1ull << 20)

/* A machine: its files. */
struct file {
	const char *path, *text;
};
static const struct file *files;
static int reads;

static long read_fake(const char *path, uint64_t offset, char *out, size_t bytes)
{
	reads++;
	for (const struct file *f = files; f->path; f++) {
		size_t len = strlen(f->text), n;

		if (strcmp(f->path, path))
			continue;
		n = offset < len ? em_min(len - offset, bytes) : 0;
		memcpy(out, f->text + em_min(offset, len), n);
		return (long)n;
	}
	return -2;
}

#define MEMINFO(total, available) \
	{ "/proc/meminfo", "MemTotal:       " total " kB\nMemFree:          12 kB\n" \
			   "MemAvailable:   " available " kB\nBuffers: 1 kB\n" }
#define EIGHT_GIB MEMINFO("8388608", "8000000")
#define V1_MOUNT "24 1 0:21 / /proc rw - proc proc rw\n" \
		 "31 1 0:26 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n" \
		 "32 1 0:27 / /sys/fs/cgroup/memory rw,nosuid shared:9 - cgroup cgroup rw,memory\n"
#define V2_MOUNT "24 1 0:21 / /proc rw - proc proc rw\n" \
		 "30 1 0:25 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"

static const struct em_size automatic = { EM_SIZE_AUTO, 0 };
static const struct em_size quarter = { EM_SIZE_PERMILLE, 250 };
static const struct em_size fixed = { EM_SIZE_BYTES, 12 * MIB };

static struct em_allowance found_in(const struct file *machine)
{
	files = machine;
	return (struct em_allowance){ .read = read_fake };
}

static void check(const struct file *machine, uint64_t group, const char *what)
{
	struct em_allowance a = found_in(machine);

	is_int(em_allowance_resolve(&a, &automatic, 0), (group - group / 10) & ~4095ull,
	       "%s: auto is nine tenths", what);
	is_int(em_allowance_resolve(&a, &quarter, 0), (group / 4) & ~4095ull,
	       "%s: and a share is of it", what);
}

static void test_groups(void)
{
	static const struct file v1[] = {
		EIGHT_GIB, { "/proc/self/mountinfo", V1_MOUNT },
		{ "/proc/self/cgroup", "5:cpu,cpuacct:/x\n4:memory:/a/b\n0::/\n" },
		{ "/sys/fs/cgroup/memory/a/b/memory.limit_in_bytes", "9223372036854771712\n" },
		{ "/sys/fs/cgroup/memory/a/memory.limit_in_bytes", "1073741824\n" },
		{ "/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n" }, { 0 },
	};
	static const struct file v2[] = {
		EIGHT_GIB, { "/proc/self/mountinfo", V2_MOUNT },
		{ "/proc/self/cgroup", "0::/user.slice/it\n" },
		{ "/sys/fs/cgroup/user.slice/it/memory.max", "2147483648\n" },
		{ "/sys/fs/cgroup/user.slice/it/memory.high", "max\n" },
		{ "/sys/fs/cgroup/user.slice/memory.max", "max\n" },
		{ "/sys/fs/cgroup/user.slice/memory.high", "max\n" }, { 0 },
	};
	static const struct file high[] = {
		EIGHT_GIB, { "/proc/self/mountinfo", V2_MOUNT },
		{ "/proc/self/cgroup", "0::/user.slice/it\n" },
		{ "/sys/fs/cgroup/user.slice/it/memory.max", "2147483648\n" },
		{ "/sys/fs/cgroup/user.slice/memory.high", "536870912\n" }, { 0 },
	};
	/* Both are mounted, and the memory controller is in v1. */
	static const struct file both[] = {
		EIGHT_GIB, { "/proc/self/mountinfo", V2_MOUNT V1_MOUNT },
		{ "/proc/self/cgroup", "4:memory:/a\n0::/it\n" },
		{ "/sys/fs/cgroup/memory/a/memory.limit_in_bytes", "1073741824\n" }, { 0 },
	};
	static const struct file inside[] = {
		EIGHT_GIB,
		{ "/proc/self/mountinfo",
		  "30 1 0:25 /docker/4f /sys/fs/cgroup ro - cgroup2 cgroup rw\n" },
		{ "/proc/self/cgroup", "0::/docker/4f/below\n" },
		{ "/sys/fs/cgroup/below/memory.max", "max\n" },
		{ "/sys/fs/cgroup/memory.max", "268435456\n" }, { 0 },
	};
	static const struct file own_names[] = {
		EIGHT_GIB, { "/proc/self/mountinfo", V2_MOUNT }, { "/proc/self/cgroup", "0::/\n" },
		{ "/sys/fs/cgroup/memory.max", "268435456\n" }, { 0 },
	};
	/* A group that this mount does not show: what is at its top counts. */
	static const struct file beside[] = {
		EIGHT_GIB, { "/proc/self/mountinfo", V2_MOUNT },
		{ "/proc/self/cgroup", "0::/../../other\n" },
		{ "/sys/fs/cgroup/memory.max", "268435456\n" }, { 0 },
	};

	check(v1, GIB, "v1, by the group above");
	check(v2, 2 * GIB, "v2, memory.max");
	check(high, GIB / 2, "v2, memory.high of the group above");
	check(both, GIB, "v1 beside v2");
	check(inside, GIB / 4, "in a container");
	check(own_names, GIB / 4, "in a container with a namespace of groups");
	check(beside, GIB / 4, "from another group's mount");
}

/* More mounts than are read at once. */
static void test_many_mounts(void)
{
	static char mounts[600 * 64 + 1024];
	const struct file machine[] = {
		EIGHT_GIB, { "/proc/self/mountinfo", mounts },
		{ "/proc/self/cgroup", "0::/it\n" },
		{ "/sys/fs/cgroup/it/memory.max", "1073741824\n" }, { 0 },
	};
	size_t at = 0;

	for (int i = 0; i < 600; i++)
		at += (size_t)sprintf(mounts + at, "%d 1 0:%d / /mnt/of/many/%d rw - tmpfs tmpfs rw\n",
				      i + 100, i + 30, i);
	strcpy(mounts + at, V2_MOUNT);
	check(machine, GIB, "after 600 other mounts");
}

static void check_machine(const struct file *machine, uint64_t used, uint64_t wanted,
			  const char *what)
{
	struct em_allowance a = found_in(machine);

	is_int(em_allowance_resolve(&a, &automatic, used), wanted, "%s", what);
}

static void test_machine(void)
{
	static const struct file idle[] = { EIGHT_GIB, { 0 } };
	static const struct file busy[] = { MEMINFO("8388608", "2097152"), { 0 } };
	static const struct file full[] = { MEMINFO("8388608", "1024"), { 0 } };
	static const struct file large_group[] = {
		EIGHT_GIB, { "/proc/self/mountinfo", V2_MOUNT },
		{ "/proc/self/cgroup", "0::/it\n" },
		{ "/sys/fs/cgroup/it/memory.max", "107374182400\n" }, { 0 },
	};
	struct em_allowance a = found_in(idle);

	reads = 0;
	is_int(em_allowance_resolve(&a, &fixed, 0), 12 * MIB, "bytes are bytes");
	is_int(reads, 0, "for which nothing is read");
	check_machine(idle, 0, 6 * GIB, "no group: three quarters of the machine");
	check_machine(large_group, 0, 6 * GIB, "a group that may have more than there is: the same");
	check_machine(busy, 0, 3 * GIB / 2, "of 2 GiB that are available, 512 MiB stay so");
	check_machine(busy, GIB, 5 * GIB / 2, "what the process has is its own");
	check_machine(full, 0, GIB / 2, "nothing available: a sixteenth");
	check_machine(full, 3 * GIB, 5 * GIB / 2 + MIB, "and one that has more gives some back");
	is_int(em_allowance_resolve(&a, &quarter, 0), 2 * GIB, "a share is of the machine");
}

int main(void)
{
	test_groups();
	test_many_mounts();
	test_machine();
	return done_testing();
}
