/* SPDX-License-Identifier: MIT
 *
 * extmem: finds the verb's own binary and becomes it, as git does, so that
 * `extmem run` and `man extmem-run` go together and a verb costs no other
 * verb anything.
 */
#include "common.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct verb {
	const char *name;
	const char *summary;
} verbs[] = {
	{ "run", "run a command with its memory held to a limit" },
	{ "stat", "show what managed processes do, once or like vmstat" },
	{ "policy", "list, show and check policies" },
	{ "dump", "show regions, the state of each page, or recorded faults" },
};

enum { VERBS = sizeof(verbs) / sizeof(verbs[0]) };

static void print_help(void)
{
	printf("Usage: extmem VERB [OPTION...]\n"
	       "       extmem help [VERB]\n"
	       "\n"
	       "Runs unmodified programs in less memory than they need; the rest is on disk.\n"
	       "\n");
	for (unsigned int i = 0; i < VERBS; i++)
		printf("  %-8s %s\n", verbs[i].name, verbs[i].summary);
	printf("  %-8s %s\n", "help", "open the manual of a verb");
	printf("\n"
	       "  --help, --version\n"
	       "\n"
	       "Example:\n"
	       "  extmem run --limit 512M -- sort -S 90%% big.txt > sorted.txt &\n"
	       "  extmem stat $!\n");
}

static _Noreturn void unknown_verb(const char *word)
{
	const char *words[VERBS + 2];
	unsigned int n = 0;

	for (; n < VERBS; n++)
		words[n] = verbs[n].name;
	words[n++] = "help";
	words[n] = NULL;
	const char *nearest = cmd_nearest(word, words);
	if (word[0] == '-')
		cmd_die(2, "unknown option '%s'; 'extmem --help' shows what there is", word);
	if (nearest)
		cmd_die(2, "unknown verb '%s', did you mean '%s'?", word, nearest);
	cmd_die(2, "unknown verb '%s'; 'extmem help' lists them", word);
}

static const struct verb *find_verb(const char *word)
{
	for (unsigned int i = 0; i < VERBS; i++)
		if (!strcmp(verbs[i].name, word))
			return &verbs[i];
	unknown_verb(word);
}

static _Noreturn void become(const struct verb *verb, char **argv)
{
	char path[PATH_MAX + 128];

	snprintf(path, sizeof(path), "%s/extmem-%s", cmd_exec_dir(), verb->name);
	argv[0] = path;
	execv(path, argv);
	int why = errno;
	/* `run` passes statuses below 125 through: keep ours apart from them. */
	cmd_die(strcmp(verb->name, "run") ? 1 : 125, "cannot run '%s': %s", path,
		strerror(why));
}

/* Whether man(1) showed the page. */
static bool show_manual(const char *page)
{
	char path[PATH_MAX + 128];
	int status;

	/* With a slash in it, man takes its argument as a file. */
	snprintf(path, sizeof(path), "%s%s%s%s", cmd_man_dir(),
		 *cmd_man_dir() ? "/" : "", page, *cmd_man_dir() ? ".1" : "");
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		/* Its complaint that there is no such page is not for the user. */
		if (!freopen("/dev/null", "w", stderr))
			_exit(127);
		execlp("man", "man", path, (char *)NULL);
		_exit(127);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) &&
	       WEXITSTATUS(status) == 0;
}

static int help(const char *word)
{
	char page[64];
	char help_option[] = "--help";

	if (!word) {
		print_help();
		return 0;
	}
	const struct verb *verb = find_verb(word);
	snprintf(page, sizeof(page), "extmem-%s", verb->name);
	if (!show_manual(page))
		become(verb, (char *[]){ NULL, help_option, NULL });
	return 0;
}

int main(int argc, char **argv)
{
	const char *word = argc > 1 ? argv[1] : "--help";

	if (!strcmp(word, "--help") || !strcmp(word, "-?") || !strcmp(word, "-h")) {
		print_help();
		return 0;
	}
	if (!strcmp(word, "--version") || !strcmp(word, "-V")) {
		printf("extmem %s\n", EM_VERSION);
		return 0;
	}
	if (!strcmp(word, "help"))
		return help(argc > 2 ? argv[2] : NULL);
	become(find_verb(word), argv + 1);
}
