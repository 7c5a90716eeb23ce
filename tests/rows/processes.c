/* SPDX-License-Identifier: MIT
 *
 * rows-processes: forks, and programs started, while pages are away.
 */
#include "row.h"
#include <limits.h>
#include <pthread.h>
#include <pty.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define BYTES (64 * ROW_PAGE)

/* Memory with the pattern, all of it away. */
static unsigned char *away(size_t bytes, unsigned int seed)
{
	unsigned char *p = row_map(bytes);

	row_fill(p, bytes, seed);
	row_push_out(p, bytes);
	return p;
}

static void wait_well(pid_t pid)
{
	int status;

	ROW_CHECK(pid > 0);
	ROW_CHECK(waitpid(pid, &status, 0) == pid);
	if (status)
		ROW_FAIL("a child ended with status %#x", (unsigned int)status);
}

static pid_t fork_or_fail(void)
{
	pid_t pid = fork();

	if (pid < 0)
		ROW_FAIL("fork");
	return pid;
}

/* ---- what a child sees ------------------------------------------------- */

static void child_sees(void)
{
	unsigned char *p = away(BYTES, 1);
	pid_t pid = fork_or_fail();

	if (pid == 0) {
		row_verify(p, BYTES, 1);
		row_fill(p, BYTES, 2);
		row_push_out(p, BYTES);
		row_verify(p, BYTES, 2);
		_exit(0);
	}
	wait_well(pid);
	row_verify(p, BYTES, 1);
}

/* The parent's new pages must not land where the child's old ones are. */
static void parent_writes(void)
{
	unsigned char *p = away(BYTES, 1);
	int go[2];
	char byte;

	ROW_CHECK(pipe(go) == 0);
	pid_t pid = fork_or_fail();
	if (pid == 0) {
		close(go[1]);
		ROW_CHECK(read(go[0], &byte, 1) == 0);
		row_verify(p, BYTES, 1);
		_exit(0);
	}
	close(go[0]);
	for (unsigned int round = 2; round < 8; round++) {
		row_fill(p, BYTES, round);
		row_push_out(p, BYTES);
	}
	close(go[1]);
	wait_well(pid);
	row_verify(p, BYTES, 7);
}

static void nest(unsigned char *p, int depth)
{
	pid_t pid = fork_or_fail();

	if (pid) {
		wait_well(pid);
		return;
	}
	row_verify(p, BYTES, 1);
	if (depth > 1) {
		nest(p, depth - 1);
		nest(p, depth - 1);
	}
	row_verify(p, BYTES, 1);
	_exit(0);
}

static void nested(void)
{
	nest(away(BYTES, 1), 4);
}

/*
 * A long chain, each link a child of the one before, with a page of its own
 * that it wrote, had pushed out, and shows to all after it.
 */
#define CHAIN 80

static void chain(void)
{
	unsigned char *p = row_map(CHAIN * ROW_PAGE);
	int depth = 0;
	pid_t pid = 0;

	for (; depth < CHAIN && pid == 0; depth++) {
		unsigned char *own = p + (size_t)depth * ROW_PAGE;
		row_fill(own, ROW_PAGE, (unsigned int)depth);
		ROW_CHECK(madvise(own, ROW_PAGE, MADV_PAGEOUT) == 0);
		if (depth + 1 == CHAIN)
			break;
		pid = fork_or_fail();
	}
	if (pid == 0)
		for (int i = 0; i < CHAIN; i++)
			row_verify(p + (size_t)i * ROW_PAGE, ROW_PAGE, (unsigned int)i);
	else
		wait_well(pid);
	if (depth > 1 || pid == 0)
		_exit(0);
}

static void parent_is_killed(void)
{
	unsigned char *p = away(BYTES, 1);
	int go[2], said[2];
	pid_t middle, pid;
	char byte = 1;
	int status;

	ROW_CHECK(pipe(go) == 0 && pipe(said) == 0);
	middle = fork_or_fail();
	if (middle == 0) {
		row_fill(p, BYTES, 2);
		row_push_out(p, BYTES);
		pid = fork_or_fail();
		if (pid == 0) {
			close(go[1]);
			ROW_CHECK(read(go[0], &byte, 1) == 0);
			row_verify(p, BYTES, 2);
			_exit(write(said[1], &byte, 1) != 1);
		}
		close(go[1]);
		kill(getpid(), SIGKILL);
	}
	close(said[1]);
	ROW_CHECK(waitpid(middle, &status, 0) == middle && WIFSIGNALED(status));
	close(go[1]);
	ROW_CHECK(read(said[0], &byte, 1) == 1);
	row_verify(p, BYTES, 1);
}

/* The largest file without a name that the process has open: where pages are. */
static off_t swap_bytes(void)
{
	char path[PATH_MAX], target[PATH_MAX];
	off_t largest = 0;
	struct stat st;

	for (int fd = 3; fd < 1024; fd++) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		ssize_t n = readlink(path, target, sizeof(target) - 1);
		target[n > 0 ? n : 0] = '\0';
		if (n > 0 && strncmp(target, "/memfd:", 7) != 0 && stat(path, &st) == 0 &&
		    S_ISREG(st.st_mode) && st.st_nlink == 0 && st.st_size > largest)
			largest = st.st_size;
	}
	return largest;
}

/*
 * What a killed child had pinned comes back: the file does not grow by all
 * that the parent has each time. The parent sees its own pages.
 */
static void child_is_killed(void)
{
	unsigned char *p = away(BYTES, 1);

	for (unsigned int round = 2; round < 16; round++) {
		pid_t pid = fork_or_fail();
		if (pid == 0)
			for (;;)
				pause();
		row_fill(p, BYTES, round);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		row_push_out(p, BYTES);
		row_verify(p, BYTES, round);
	}
	ROW_CHECK(swap_bytes() < 8 * (off_t)ROW_PRESSURE_BYTES);
}

/* ---- many -------------------------------------------------------------- */

static unsigned char *shared_pages;
static volatile bool stop;

static void *forks(void *arg)
{
	for (int i = 0; i < 20; i++) {
		pid_t pid = fork_or_fail();
		if (pid == 0) {
			row_verify(shared_pages, BYTES, 1);
			_exit(0);
		}
		wait_well(pid);
	}
	return arg;
}

/* Threads in the allocator, some of them in the middle of getting memory. */
static void *allocates(void *arg)
{
	while (!stop) {
		void *blocks[16];
		for (size_t i = 0; i < 16; i++) {
			blocks[i] = malloc((1 + i) << 17);
			ROW_CHECK(blocks[i]);
			memset(blocks[i], 1, 5000);
		}
		for (size_t i = 0; i < 16; i++)
			free(blocks[i]);
	}
	return arg;
}

static void from_threads(void)
{
	pthread_t forking[4], allocating[3];

	shared_pages = away(BYTES, 1);
	for (int i = 0; i < 3; i++)
		ROW_CHECK(pthread_create(&allocating[i], NULL, allocates, NULL) == 0);
	for (int i = 0; i < 4; i++)
		ROW_CHECK(pthread_create(&forking[i], NULL, forks, NULL) == 0);
	for (int i = 0; i < 4; i++)
		pthread_join(forking[i], NULL);
	stop = true;
	for (int i = 0; i < 3; i++)
		pthread_join(allocating[i], NULL);
}

#define CROWD 300
#define CROWD_PAGES 64

/*
 * Before each fork another page is written and leaves: each child needs slots
 * that the others do not, and that the parent has given up since.
 */
static void crowd_child(int me, int go, const unsigned char *p)
{
	char byte;

	ROW_CHECK(read(go, &byte, 1) == 0);
	for (int i = me; i >= 0 && i > me - 3; i--)
		row_verify(p + (size_t)(i % CROWD_PAGES) * ROW_PAGE, ROW_PAGE, (unsigned int)i);
	_exit(0);
}

static void crowd(void)
{
	unsigned char *p = away(BYTES, 1);
	static pid_t pids[CROWD];
	int go[2];

	ROW_CHECK(pipe(go) == 0);
	for (int i = 0; i < CROWD; i++) {
		unsigned char *page = p + (size_t)(i % CROWD_PAGES) * ROW_PAGE;
		row_fill(page, ROW_PAGE, (unsigned int)i);
		ROW_CHECK(madvise(page, ROW_PAGE, MADV_PAGEOUT) == 0);
		pids[i] = fork_or_fail();
		if (pids[i] == 0) {
			close(go[1]);
			crowd_child(i, go[0], p);
		}
		if (i == 0) {
			kill(pids[0], SIGKILL);
			waitpid(pids[0], NULL, 0);
		}
	}
	for (unsigned int round = 0; round < 3; round++) {
		row_fill(p, BYTES, round);
		row_push_out(p, BYTES);
	}
	close(go[1]);
	for (int i = 1; i < CROWD; i++)
		wait_well(pids[i]);
}

/* No descriptor is left: fork works, as it does alone. */
static void without_descriptors(void)
{
	unsigned char *p = away(BYTES, 1);
	struct rlimit few = { 800, 800 };

	ROW_CHECK(setrlimit(RLIMIT_NOFILE, &few) == 0);
	while (dup(1) >= 0)
		;
	ROW_CHECK(errno == EMFILE);
	for (int i = 0; i < 3; i++) {
		pid_t pid = fork_or_fail();
		if (pid == 0) {
			row_verify(p, BYTES, 1);
			_exit(0);
		}
		wait_well(pid);
	}
}

/* ---- other ways to fork ------------------------------------------------ */

static int verifies(void *arg)
{
	row_verify(arg, BYTES, 1);
	return 0;
}

/* The library's own threads are there before the body ends. */
static int fills(void *arg)
{
	(void)arg;
	away(BYTES, 2);
	return 0;
}

static void by_clone(void)
{
	unsigned char *p = away(BYTES, 1);
	static char stack[256 << 10];

	wait_well(clone(verifies, stack + sizeof(stack), SIGCHLD, p));
	wait_well(clone(fills, stack + sizeof(stack), SIGCHLD, NULL));
	row_verify(p, BYTES, 1);
}

static void by_syscall(void)
{
	unsigned char *p = away(BYTES, 1);
	pid_t pid = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);

	if (pid == 0) {
		row_verify(p, BYTES, 1);
		syscall(SYS_exit, 0);
	}
	wait_well(pid);
	pid = (pid_t)syscall(SYS_fork);
	if (pid == 0) {
		row_verify(p, BYTES, 1);
		_exit(0);
	}
	wait_well(pid);
}

static void by_underscore_fork(void)
{
	unsigned char *p = away(BYTES, 1);
	pid_t pid = _Fork();

	if (pid == 0) {
		row_verify(p, BYTES, 1);
		_exit(0);
	}
	wait_well(pid);
}

/* libc forks inside itself. */
static void by_libc(void)
{
	unsigned char *p = away(BYTES, 1);
	int master, said[2];
	char byte = 0;
	pid_t pid;

	pid = forkpty(&master, NULL, NULL, NULL);
	if (pid == 0) {
		row_verify(p, BYTES, 1);
		_exit(0);
	}
	wait_well(pid);
	ROW_CHECK(pipe(said) == 0);
	pid = fork_or_fail();
	if (pid == 0) {
		ROW_CHECK(daemon(1, 1) == 0);
		row_verify(p, BYTES, 1);
		_exit(write(said[1], "x", 1) != 1);
	}
	wait_well(pid);
	close(said[1]);
	ROW_CHECK(read(said[0], &byte, 1) == 1 && byte == 'x');
}

/* ---- starting programs ------------------------------------------------- */

/* Strings on pages that are away, each on a page of its own. */
static char *string_away(const char *text)
{
	static char *page, *end;

	if (page == end) {
		page = row_map(16 * ROW_PAGE);
		end = page + 16 * ROW_PAGE;
	}
	char *s = page;
	page += ROW_PAGE;
	return strcpy(s, text);
}

static char **vector_away(char *a, char *b, char *c)
{
	char **v = row_map(16 * ROW_PAGE);

	v[0] = a;
	v[1] = b;
	v[2] = c;
	return v;
}

#define SHELL "[ \"$IT\" = there ] && [ \"$(cat)\" = input ]"

struct start {
	char *path, **argv, **envp, *input;
};

/* Everything that a program is started with, away. */
static struct start start_away(void)
{
	const char *folder = getenv("TMPDIR"); /* goes with all that is in it */
	static char name[512];
	int fd;

	snprintf(name, sizeof(name), "%s/input.XXXXXX", folder ? folder : "/var/tmp");
	fd = mkstemp(name);
	struct start s = {
		string_away("/bin/sh"),
		vector_away(string_away("sh"), string_away("-c"), string_away(SHELL)),
		vector_away(string_away("IT=there"), string_away("PATH=/bin"), NULL),
		string_away(name),
	};

	ROW_CHECK(fd >= 0 && write(fd, "input", 5) == 5);
	close(fd);
	row_push_out(s.argv, ROW_PAGE);
	return s;
}

static void by_spawn(void)
{
	struct start s = start_away();
	posix_spawn_file_actions_t *actions = row_map(16 * ROW_PAGE);
	posix_spawnattr_t *attr = row_map(16 * ROW_PAGE);
	pid_t pid;

	for (int i = 0; i < 10; i++) {
		ROW_CHECK(posix_spawn_file_actions_init(actions) == 0);
		ROW_CHECK(posix_spawn_file_actions_addopen(actions, 0, s.input, O_RDONLY, 0) == 0);
		ROW_CHECK(posix_spawnattr_init(attr) == 0);
		row_push_out(actions, ROW_PAGE);
		ROW_CHECK(posix_spawn(&pid, s.path, actions, attr, s.argv, s.envp) == 0);
		wait_well(pid);
		ROW_CHECK(posix_spawnp(&pid, "sh", actions, attr, s.argv, s.envp) == 0);
		wait_well(pid);
		posix_spawn_file_actions_destroy(actions);
	}
	unlink(s.input);
}

static void by_exec(void)
{
	struct start s = start_away();
	pid_t pid = fork_or_fail();

	if (pid == 0) {
		int fd = open(s.input, O_RDONLY);
		ROW_CHECK(dup2(fd, 0) == 0);
		execve(s.path, s.argv, s.envp);
		_exit(2);
	}
	wait_well(pid);
	row_push_out(s.argv, ROW_PAGE);
	pid = vfork();
	if (pid == 0) {
		int fd = open(s.input, O_RDONLY);
		if (dup2(fd, 0) == 0)
			execve(s.path, s.argv, s.envp);
		_exit(2);
	}
	wait_well(pid);
	unlink(s.input);
}

static void by_shell(void)
{
	char *command = string_away("exit 7"), *print = string_away("echo printed"), line[20];
	char *variable = string_away("ROW_VARIABLE=9");
	int status;

	row_push_out(command, ROW_PAGE);
	status = system(command);
	ROW_CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7);
	row_push_out(print, ROW_PAGE);
	FILE *f = popen(print, "r");
	ROW_CHECK(f && fgets(line, sizeof(line), f) && strcmp(line, "printed\n") == 0);
	ROW_CHECK(pclose(f) == 0);
	/* The environment is handed on by libc itself. */
	ROW_CHECK(putenv(variable) == 0);
	row_push_out(variable, ROW_PAGE);
	status = system("exit $ROW_VARIABLE");
	ROW_CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 9);
	row_push_out(variable, ROW_PAGE);
	f = popen("echo $ROW_VARIABLE", "r");
	ROW_CHECK(f && fgets(line, sizeof(line), f) && strcmp(line, "9\n") == 0);
	ROW_CHECK(pclose(f) == 0);
}

/* Our filter survives exec; a program that has no library of ours runs on. */
static void exec_static(void)
{
	unsigned char *p = away(BYTES, 1);
	char *empty[] = { NULL }, *argv[] = { "ldconfig", "--version", NULL };

	for (int i = 0; i < 2; i++) {
		pid_t pid = fork_or_fail();
		if (pid == 0) {
			dup2(open("/dev/null", O_WRONLY), 1);
			if (i)
				execve("/sbin/ldconfig", argv, empty);
			else
				execv("/sbin/ldconfig", argv);
			_exit(2);
		}
		wait_well(pid);
	}
	row_verify(p, BYTES, 1);
}

static void without_privilege(void)
{
	unsigned char *p = away(BYTES, 1);
	pid_t pid;

	if (setgid(65534) || setuid(65534))
		row_skip("only root can give its privilege away");
	pid = fork_or_fail();
	if (pid == 0) {
		row_verify(p, BYTES, 1);
		_exit(0);
	}
	wait_well(pid);
	row_verify(p, BYTES, 1);
}

/* ---- what a child is not to have --------------------------------------- */

static void dies_of_segv(volatile unsigned char *p)
{
	pid_t pid = fork_or_fail();
	int status;

	if (pid == 0) {
		(void)*p;
		_exit(0);
	}
	ROW_CHECK(waitpid(pid, &status, 0) == pid);
	ROW_CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

static void not_inherited(void)
{
	unsigned char *p = row_map(BYTES), *q = row_map(BYTES);

	row_fill(p, BYTES, 1);
	row_fill(q, BYTES, 2);
	ROW_CHECK(madvise(p, BYTES, MADV_DONTFORK) == 0);
	ROW_CHECK(madvise(q, BYTES / 2, MADV_WIPEONFORK) == 0);
	row_push_out(q, BYTES);
	pid_t pid = fork_or_fail();
	if (pid == 0) {
		for (size_t i = 0; i < BYTES / 2; i++)
			ROW_CHECK(q[i] == 0);
		row_fill(q, BYTES / 2, 3);
		row_verify(q, BYTES / 2, 3);
		ROW_CHECK(q[BYTES - 1] == row_byte(2, BYTES - 1));
		_exit(0);
	}
	wait_well(pid);
	dies_of_segv(p);
	dies_of_segv(p + BYTES - 1);
	row_verify(p, BYTES, 1);
	row_verify(q, BYTES, 2);
	ROW_CHECK(madvise(p, BYTES, MADV_DOFORK) == 0);
	ROW_CHECK(madvise(q, BYTES, MADV_KEEPONFORK) == 0);
	pid = fork_or_fail();
	if (pid == 0) {
		row_verify(p, BYTES, 1);
		row_verify(q, BYTES, 2);
		_exit(0);
	}
	wait_well(pid);
}

static const struct row rows[] = {
	{ "fork", "fork", child_sees },
	{ "parent-writes", "pins", parent_writes },
	{ "nested", "fork", nested },
	{ "chain", "chain", chain },
	{ "parent-is-killed", "fork", parent_is_killed },
	{ "child-is-killed", "unpin", child_is_killed },
	{ "from-threads", "fork-order", from_threads },
	{ "crowd", "join", crowd },
	{ "without-descriptors", "spares", without_descriptors },
	{ "clone", "clone", by_clone },
	{ "syscall-clone", "clone", by_syscall },
	{ "_Fork", "fork", by_underscore_fork },
	{ "daemon-forkpty", "fork", by_libc },
	{ "posix_spawn", "start", by_spawn },
	{ "exec", "start", by_exec },
	{ "system-popen", "start", by_shell },
	{ "exec-static", "-", exec_static },
	{ "without-privilege", "fork", without_privilege },
	{ "not-inherited", "advice", not_inherited },
};

int main(int argc, char **argv)
{
	return row_main(argc, argv, rows, sizeof(rows) / sizeof(rows[0]));
}
