/* SPDX-License-Identifier: MIT
 *
 * extmem run: checks what can be known beforehand, hands the policy to the
 * library through the environment, and becomes the command.
 */
#include "common.h"
#include "judge.h"
#include "machine.h"
#include "program.h"
#include "recording.h"

#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Exit status of our own failures, as env(1), nohup(1) and timeout(1). */
#define FAILED 125

#define STATS_ENV "EXTMEM_STATS"
#define TRACE_ENV "EXTMEM_TRACE"
#define RECORD_ENV "EXTMEM_RECORD"
#define SETTINGS_MAX 256

enum { KEY_LIMIT = 'l', KEY_POLICY = 'p', KEY_SWAP = 's', KEY_DRY_RUN = 'n',
       KEY_VERBOSE = 'v', KEY_STATS = 256, KEY_TRACE, KEY_RECORD, KEY_SET };

struct run {
	const char *policy;
	const char *limit;
	const char *swap;
	const char *stats;
	const char *trace;
	const char *record;
	const char *settings[SETTINGS_MAX]; /* KEY=VALUE, in the order given */
	unsigned int setting_count;
	bool dry_run, verbose;
	char **command;
};

/* ---- options --------------------------------------------------------- */

const char *argp_program_version = "extmem " EM_VERSION;

static const struct argp_option options[] = {
	{ "policy", KEY_POLICY, "FILE-or-NAME", 0,
	  "Policy to follow: a file when it has a slash or ends in .yaml, else an installed one ('extmem policy list'). Without it, the built-in one", 0 },
	{ "limit", KEY_LIMIT, "SIZE", 0,
	  "Memory that managed pages may fill: 512M, 2G, 25% (of the control group's limit where one applies, else of physical memory), or auto (90% of the control group's limit, else 75% of physical memory, less while other programs need it)", 0 },
	{ "swap", KEY_SWAP, "PATH", 0,
	  "Folder on a disk for evicted pages; the file in it has no name and vanishes with the program", 0 },
	{ "stats", KEY_STATS, "FILE", 0,
	  "Write the final statistics to FILE, as JSON, when the program ends; %p in the name stands for the process id", 0 },
	{ "trace", KEY_TRACE, "FILE", 0,
	  "Record every fault in FILE, for 'extmem dump trace' and 'extmem policy simulate'; %p in the name stands for the process id", 0 },
	{ "record", KEY_RECORD, "FILE", 0,
	  "Record in FILE what a later run can replay: --set prefetch.algorithm=replay --set prefetch.recording=FILE", 0 },
	{ "set", KEY_SET, "KEY=VALUE", 0,
	  "Set any key of the policy, e.g. eviction.algorithm=fifo; may be repeated, and wins over all else", 0 },
	{ "dry-run", KEY_DRY_RUN, NULL, 0,
	  "Check everything, print what would be run as shell commands, and exit", 0 },
	{ "verbose", KEY_VERBOSE, NULL, 0,
	  "Say limit, algorithm, prefetcher, policy, library and swap path before the command starts", 0 },
	{ NULL, 0, NULL, 0, NULL, 0 },
};

static const char doc[] =
	"Run COMMAND with its memory held to a limit, the rest of it on disk.\v"
	"EXAMPLES\n"
	"  extmem run --limit 512M -- sort -S 90% big.txt\n"
	"  extmem run --policy lru.yaml --swap /mnt/fast -- ./app\n"
	"  extmem run --set eviction.plugin=./mine.so --set prefetch.plugin=./mine.so -- ./app\n"
	"  extmem run --limit 25% --stats run.json -- python3 job.py &\n"
	"  extmem stat $!\n"
	"\n"
	"COMMAND keeps the process id, and its exit status is the exit status; "
	"125 when extmem itself fails, 126 when COMMAND cannot be run, 127 when "
	"it is not found. See extmem-run(1).";

static void add_setting(struct run *run, const char *setting)
{
	if (run->setting_count == SETTINGS_MAX)
		cmd_die(FAILED, "more than %d --set; write a policy file", SETTINGS_MAX);
	run->settings[run->setting_count++] = setting;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct run *run = state->input;

	switch (key) {
	case KEY_POLICY: run->policy = arg; break;
	case KEY_LIMIT: run->limit = arg; break;
	case KEY_SWAP: run->swap = arg; break;
	case KEY_STATS: run->stats = arg; break;
	case KEY_TRACE: run->trace = arg; break;
	case KEY_RECORD: run->record = arg; break;
	case KEY_SET: add_setting(run, arg); break;
	case KEY_DRY_RUN: run->dry_run = true; break;
	case KEY_VERBOSE: run->verbose = true; break;
	case ARGP_KEY_ARG:
		/* The first word that is no option begins the command. */
		run->command = &state->argv[state->next - 1];
		state->next = state->argc;
		break;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "no command given");
		break;
	case ARGP_KEY_END:
		if (run->trace && run->record)
			argp_error(state, "--trace and --record cannot go together: a trace can be replayed as well");
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

/* ---- the policy ------------------------------------------------------ */

static void set(struct em_config *cfg, const char *from, const char *key,
		const char *value)
{
	char err[1024];

	if (em_config_set(cfg, key, value, err, sizeof(err)))
		cmd_die(FAILED, "%s: %s", from, err);
}

static void load_policy(const struct run *run, struct em_config *cfg)
{
	char err[2048];

	em_config_judge_plugins(cmd_plugin_try);
	if (cmd_policy_load(cfg, run->policy, err, sizeof(err)))
		cmd_die(FAILED, "%s", err);
	if (run->limit)
		set(cfg, "--limit", "limits.memory", run->limit);
	if (run->swap)
		set(cfg, "--swap", "tiers[0].path", run->swap);
	for (unsigned int i = 0; i < run->setting_count; i++)
		if (cmd_policy_set(cfg, run->settings[i], err, sizeof(err)))
			cmd_die(FAILED, "%s", err);
	if (em_config_check(cfg, err, sizeof(err)))
		cmd_die(FAILED, "%s", err);
}

/* The limit in bytes, as it is now; what follows the machine goes to the library as it is. */
static uint64_t resolve_limit(const struct em_config *cfg)
{
	struct em_config resolved = *cfg;
	char err[2048];
	uint64_t bytes;

	if (cmd_limit_resolve(&cfg->limit, &bytes, err, sizeof(err)))
		cmd_die(FAILED, "%s", err);
	/* Watermarks in bytes could not be compared with a share before. */
	resolved.limit = (struct em_size){ EM_SIZE_BYTES, bytes };
	if (em_config_check(&resolved, err, sizeof(err)))
		cmd_die(FAILED, "%s", err);
	return bytes;
}

/* Absolute paths in place of relative ones, to files that are there. */
static void resolve_paths(struct em_config *cfg, uint64_t bytes)
{
	char err[2048], warning[2048];

	if (!strcmp(cfg->prefetcher, "replay") &&
	    !cmd_recording_resolve(cfg->recording, sizeof(cfg->recording), err, sizeof(err)))
		cmd_die(FAILED, "%s", err);
	for (unsigned int i = 0; i < cfg->tier_count; i++) {
		struct em_tier_config *tier = &cfg->tiers[i];
		uint64_t wanted = tier->max_bytes && tier->max_bytes < bytes ?
				  tier->max_bytes : bytes;

		if (strcmp(tier->type, "file"))
			continue;
		if (cmd_swap_check(tier->path, wanted, warning, sizeof(warning),
				   err, sizeof(err)))
			cmd_die(FAILED, "%s", err);
		if (*warning)
			cmd_error("warning: %s", warning);
	}
}

/* ---- the environment ------------------------------------------------- */

static void check_library(void)
{
	const char *path = cmd_library();

	if (access(path, R_OK))
		cmd_die(FAILED, "cannot read the library '%s': %s; build or install it, or name it in EXTMEM_LIBRARY",
			path, strerror(errno));
	if (strpbrk(path, ": \t\n"))
		cmd_die(FAILED, "the library's path '%s' has a space or colon in it, which LD_PRELOAD cannot hold; move it, or name a link to it in EXTMEM_LIBRARY",
			path);
	if (path[0] != '/')
		cmd_die(FAILED, "the library's path '%s' in EXTMEM_LIBRARY is not absolute",
			path);
}

static void set_env(const char *name, const char *value)
{
	if (setenv(name, value, 1))
		cmd_die(FAILED, "cannot set %s: %s", name, strerror(errno));
}

/* Whether it is the library, or a plug-in that a policy as text names. */
static bool is_ours(const char *path, const char *config)
{
	const char *slash = strrchr(path, '/'), *at = config;
	size_t len = strlen(path);

	while (at && (at = strstr(at, ".plugin="))) {
		at += strlen(".plugin=");
		if (!strncmp(at, path, len) && at[len] == '\n')
			return true;
	}
	return !strcmp(path, cmd_library()) ||
	       !strncmp(slash ? slash + 1 : path, "libextmem.so", 12);
}

/* Adds an algorithm to LD_PRELOAD if it is a plug-in. */
static void add_plugin(FILE *preload, const char *algorithm)
{
	if (algorithm[0] == '/')
		fprintf(preload, ":%s", algorithm);
}

/*
 * Ours first, then the plug-ins, then what was there, less what an outer `extmem
 * run`, whose policy was outer, put there. A plug-in twice does no harm.
 */
static void set_preload(const struct em_config *cfg, const char *outer)
{
	const char *given = getenv("LD_PRELOAD");
	char *words = strdup(given ? given : ""), *rest = NULL, *text = NULL;
	size_t bytes;
	FILE *preload = open_memstream(&text, &bytes);

	if (!words || !preload)
		cmd_die(FAILED, "out of memory");
	fputs(cmd_library(), preload);
	add_plugin(preload, cfg->algorithm);
	add_plugin(preload, cfg->prefetcher);
	for (unsigned int i = 0; i < cfg->region_count; i++)
		add_plugin(preload, cfg->regions[i].algorithm);
	for (char *word = strtok_r(words, ": ", &rest); word;
	     word = strtok_r(NULL, ": ", &rest))
		if (!is_ours(word, outer))
			fprintf(preload, ":%s", word);
	if (fclose(preload))
		cmd_die(FAILED, "out of memory");
	set_env("LD_PRELOAD", text);
	free(text);
	free(words);
}

/* Whether the file can be written when the time comes; 0, or -errno. */
static int check_writable(const char *path, const char *folder)
{
	struct stat st;

	if (stat(path, &st))
		return errno != ENOENT || access(folder, W_OK | X_OK) ? -errno : 0;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	return access(path, W_OK) ? -errno : 0;
}

/*
 * Hands on where the library writes something (what), or that it does not.
 * Absolute, because the program may change its folder before it does.
 */
static void set_output(const char *env, const char *what, const char *file)
{
	char folder[PATH_MAX], path[PATH_MAX + NAME_MAX + 2], above[PATH_MAX];
	int result = -ENAMETOOLONG;

	if (!file) {
		unsetenv(env); /* an outer run's file is not ours to write */
		return;
	}
	const char *slash = strrchr(file, '/');
	const char *last = slash ? slash + 1 : file;
	if (strlen(file) < sizeof(above) && strlen(last) <= NAME_MAX) {
		snprintf(above, sizeof(above), "%.*s", slash ? (int)(last - file) : 1,
			 slash ? file : ".");
		result = !*last ? -EISDIR : realpath(above, folder) ? 0 : -errno;
	}
	if (!result) {
		snprintf(path, sizeof(path), "%s/%s",
			 strcmp(folder, "/") ? folder : "", last);
		/* Now, for when the program ends it is too late to say. */
		result = check_writable(path, folder);
	}
	if (result)
		cmd_die(FAILED, "cannot write %s to '%s': %s", what, file,
			strerror(-result));
	set_env(env, path);
}

/* Where faults are recorded, by the environment; NULL: nowhere. */
static const char *trace_path(void)
{
	const char *path = getenv(RECORD_ENV);

	return path ? path : getenv(TRACE_ENV);
}

/* The process that finds it empty is the one that records: what we become. */
static void empty_trace(void)
{
	const char *path = trace_path();
	int fd;

	if (!path || strstr(path, "%p"))
		return;
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		cmd_die(FAILED, "cannot write a trace to '%s': %s", path, strerror(errno));
	close(fd);
}

static bool is_same_file(const struct stat *st, const char *path)
{
	struct stat other;

	return stat(path, &other) == 0 && other.st_dev == st->st_dev &&
	       other.st_ino == st->st_ino;
}

static void check_trace(const char *file, const struct em_config *cfg)
{
	struct stat st;

	if (!file || stat(file, &st))
		return;
	if (!S_ISREG(st.st_mode))
		cmd_die(FAILED, "cannot write a trace to '%s': it is no ordinary file", file);
	if (!strcmp(cfg->prefetcher, "replay") && is_same_file(&st, cfg->recording))
		cmd_die(FAILED, "cannot write a trace to '%s': it is what is replayed; name another file",
			file);
}

static void set_environment(const struct run *run, const struct em_config *cfg, uint64_t bytes)
{
	const char *outer = getenv(EM_CONFIG_ENV);
	char text[EM_CONFIG_DUMP_MAX], limit[24];

	if (em_config_dump(cfg, text, sizeof(text)) < 0)
		cmd_die(FAILED, "the policy is too long to be handed on; shorten its paths");
	set_preload(cfg, outer);
	set_env(EM_CONFIG_ENV, text);
	snprintf(limit, sizeof(limit), "%llu", (unsigned long long)bytes);
	set_env(EM_LIMIT_ENV, limit);
	set_output(STATS_ENV, "statistics", run->stats);
	set_output(TRACE_ENV, "a trace", run->trace);
	set_output(RECORD_ENV, "a recording", run->record);
	check_trace(run->trace ? run->trace : run->record, cfg);
}

/* ---- going ----------------------------------------------------------- */

/* Quoted for the shell: 'it'\''s'. */
static void print_quoted(const char *text)
{
	putchar('\'');
	for (; *text; text++) {
		if (*text == '\'')
			fputs("'\\''", stdout);
		else
			putchar(*text);
	}
	putchar('\'');
}

static void print_export(const char *name)
{
	const char *value = getenv(name);

	if (!value) {
		printf("unset %s\n", name);
		return;
	}
	printf("export %s=", name);
	print_quoted(value);
	putchar('\n');
}

/* As empty_trace(), by the shell. */
static void print_emptying(const char *path)
{
	if (!path || strstr(path, "%p"))
		return;
	fputs(": >", stdout);
	print_quoted(path);
	putchar('\n');
}

static void print_run(char **command)
{
	print_export(EM_CONFIG_ENV);
	print_export(EM_LIMIT_ENV);
	print_export(STATS_ENV);
	print_export(TRACE_ENV);
	print_export(RECORD_ENV);
	print_emptying(trace_path());
	print_export("LD_PRELOAD");
	fputs("exec", stdout);
	for (; *command; command++) {
		putchar(' ');
		print_quoted(*command);
	}
	putchar('\n');
	if (fflush(stdout) || ferror(stdout))
		cmd_die(FAILED, "cannot write: %s", strerror(errno));
}

static void tell(const struct run *run, const struct em_config *cfg, uint64_t bytes)
{
	char limit[16];

	cmd_error("limit %s, algorithm %s, prefetch %s (policy %s)",
		  cmd_human_bytes(bytes, limit), cfg->algorithm, cfg->prefetcher,
		  run->policy ? run->policy : "built in");
	cmd_error("library %s", cmd_library());
	for (unsigned int i = 0; i < cfg->tier_count; i++)
		cmd_error("tier %u: %s %s", i, cfg->tiers[i].type, cfg->tiers[i].path);
}

static _Noreturn void become(char **command)
{
	execvp(command[0], command);
	int why = errno;

	cmd_die(why == ENOENT ? 127 : 126, "cannot run '%s': %s", command[0],
		strerror(why));
}

int main(int argc, char **argv)
{
	static char name[] = "extmem run";
	static const struct argp argp = {
		.options = options,
		.parser = parse_option,
		.args_doc = "COMMAND [ARG...]",
		.doc = doc,
	};
	struct run run = { 0 };
	struct em_config cfg;
	char err[2048], warning[2048];

	cmd_init(name);
	argv[0] = name;
	argp_err_exit_status = FAILED;
	argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &run);

	load_policy(&run, &cfg);
	int status = cmd_program_check(run.command[0], err, sizeof(err));
	if (status)
		cmd_die(status, "%s", err);
	check_library();
	uint64_t bytes = resolve_limit(&cfg);
	resolve_paths(&cfg, bytes);
	if (cmd_address_space_check(err, sizeof(err)) ||
	    cmd_userfaultfd_check(cfg.delivery, cfg.way_out, warning, sizeof(warning), err, sizeof(err)))
		cmd_die(FAILED, "%s", err);
	if (*warning)
		cmd_error("warning: %s", warning);
	set_environment(&run, &cfg, bytes);
	if (run.verbose)
		tell(&run, &cfg, bytes);
	if (run.dry_run) {
		print_run(run.command);
		return 0;
	}
	empty_trace();
	become(run.command);
	return 0;
}
