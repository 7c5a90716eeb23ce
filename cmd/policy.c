/* SPDX-License-Identifier: MIT
 *
 * extmem policy: which policies there are, what one amounts to with all its
 * defaults filled in, and whether a file is one.
 */
#include "common.h"
#include "judge.h"
#include "policy_live.h"
#include "policy_simulate.h"
#include "yaml.h"

#include <argp.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUILTIN "default"
#define SUFFIX ".yaml"
#define FAILED 1
#define USAGE 2

const char *argp_program_version = "extmem " EM_VERSION;

#define SETTINGS_MAX 64
#define KEY_BYTES 160

struct arguments {
	bool json;
	const char *settings[SETTINGS_MAX]; /* KEY=VALUE, for apply */
	size_t setting_count;
	char **words; /* the action and what follows it */
	int count;
};

static const struct argp_option options[] = {
	{ "json", 'j', NULL, 0, "Print JSON (list and show)", 0 },
	{ "set", 's', "KEY=VALUE", 0,
	  "Change this key, e.g. limits.memory=1G; may be repeated (apply)", 0 },
	{ NULL, 0, NULL, 0, NULL, 0 },
};

static const char doc[] =
	"List the installed policies, show one with every default filled in or the "
	"one of a running process, change that, check policy files, or simulate "
	"algorithms.\v"
	"Without NAME-or-FILE, show prints the built-in policy. A word with a "
	"slash in it or with .yaml at its end is a file, - is the standard "
	"input, a number is a process, anything else is the name of an installed "
	"policy. apply changes only what the file and --set name; what cannot change "
	"while the program runs is refused, and then nothing changes.\n"
	"\n"
	"EXAMPLES\n"
	"  extmem policy list\n"
	"  extmem policy show lru > mine.yaml\n"
	"  extmem policy check mine.yaml && extmem run --policy mine.yaml ./app\n"
	"  extmem policy apply 4711 --set limits.memory=1G --set eviction.algorithm=s3fifo\n"
	"  extmem policy show 4711\n"
	"  extmem policy simulate --help\n"
	"\n"
	"The exit status is 0, or 1 when a policy is bad or cannot be read, or 2 "
	"for wrong usage. See extmem-policy(1), and extmem-policy(5) for the keys.";

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct arguments *args = state->input;

	switch (key) {
	case 'j':
		args->json = true;
		return 0;
	case 's':
		if (args->setting_count == SETTINGS_MAX)
			argp_failure(state, USAGE, 0, "more than %d --set; write a policy file",
				     SETTINGS_MAX);
		args->settings[args->setting_count++] = arg;
		return 0;
	case ARGP_KEY_ARGS:
		args->words = state->argv + state->next;
		args->count = state->argc - state->next;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "no action given: list, show, check, apply, simulate or advise");
		return EINVAL;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	.options = options,
	.parser = parse_option,
	.args_doc = "list\nshow [NAME-or-FILE | PID]\ncheck FILE...\napply PID [FILE-or-NAME]\nsimulate [OPTION...]\nadvise --trace FILE [OPTION...]",
	.doc = doc,
};

/* ---- JSON ------------------------------------------------------------ */

static void json_string(const char *text)
{
	putchar('"');
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '"' || c == '\\')
			printf("\\%c", c);
		else if (c < 0x20 || c == 0x7f)
			printf("\\u%04x", c);
		else
			putchar(c);
	}
	putchar('"');
}

/* {"active": 50} of "active=50". */
static void json_params(const char *value)
{
	putchar('{');
	for (const char *p = value; *p; p++) {
		size_t name = strcspn(p, "="), number = strcspn(p + name, " ");

		printf("%s\"%.*s\": %.*s", p == value ? "" : ", ", (int)name, p,
		       (int)number - 1, p + name + 1);
		p += name + number;
		if (!*p)
			break;
	}
	putchar('}');
}

/* "key": value; sizes stay in the words of a policy file. */
static void json_value(const struct em_config *cfg, const struct em_option *o,
		       const char *full)
{
	char value[EM_CONFIG_PATH_MAX];

	em_config_get(cfg, full, value, sizeof(value));
	json_string(strrchr(full, '.') + 1);
	fputs(": ", stdout);
	if (o->type == EM_OPT_PARAMS)
		json_params(value);
	else if (o->type == EM_OPT_BOOL || o->type == EM_OPT_INT)
		fputs(value, stdout);
	else
		json_string(value);
}

/* Something whose options are printed: the whole, an item of a list, a part of it. */
struct place {
	const struct em_config_list *list; /* NULL: the whole */
	unsigned int index;
	const char *key;                   /* an option of that part, or NULL */
	size_t within;                     /* so many bytes of its key: "match." */
};

/* The part of an option's key that begins in the place; NULL: it is not there. */
static const char *rest_of(const struct em_option *o, const struct place *p)
{
	size_t skip = p->within ? p->within : p->list ? strlen(p->list->prefix) : 0;

	return em_config_list_of(o) == p->list &&
	       (!p->within || !strncmp(o->key, p->key, p->within)) ? o->key + skip : NULL;
}

static void json_place(const struct em_config *cfg, const struct place *p,
		       const char *separator);

/* The option's key, with an item's number put in. */
static void full_key(const struct em_option *o, const struct place *p, char full[KEY_BYTES])
{
	snprintf(full, KEY_BYTES, "%s", o->key);
	if (p->list)
		snprintf(full, KEY_BYTES, "%.*s[%u].%s", (int)strcspn(p->list->prefix, "["),
			 p->list->prefix, p->index, o->key + strlen(p->list->prefix));
}

/* Of an algorithm and a plug-in, which share a place, one is there. */
static bool is_there(const struct em_config *cfg, const struct em_option *o,
		     const struct place *p)
{
	char full[KEY_BYTES], value[EM_CONFIG_PATH_MAX];

	full_key(o, p, full);
	return em_config_get(cfg, full, value, sizeof(value)) >= 0 &&
	       em_config_is_said(o, value);
}

static void json_option(const struct em_config *cfg, const struct em_option *o,
			const struct place *p, const char *rest)
{
	char full[KEY_BYTES];
	size_t word = strcspn(rest, ".");
	struct place inner = *p;

	if (!rest[word]) {
		full_key(o, p, full);
		json_value(cfg, o, full);
		return;
	}
	inner.key = o->key;
	inner.within = (size_t)(rest - o->key) + word + 1;
	printf("\"%.*s\": {", (int)word, rest);
	json_place(cfg, &inner, ", ");
	putchar('}');
}

static void json_place(const struct em_config *cfg, const struct place *p,
		       const char *separator)
{
	const char *last = NULL;

	for (const struct em_option *o = em_options; o->key; o++) {
		const char *rest = rest_of(o, p);
		size_t word = rest ? strcspn(rest, ".") : 0;

		if (!rest || (last && rest[word] && !strncmp(last, rest, word + 1)))
			continue; /* of the part that was printed just now */
		if (!rest[word] && !is_there(cfg, o, p))
			continue;
		fputs(last ? separator : "", stdout);
		json_option(cfg, o, p, rest);
		last = rest;
	}
}

static void json_list(const struct em_config *cfg, const struct em_config_list *list)
{
	printf(",\n  \"%.*s\": [", (int)strcspn(list->prefix, "["), list->prefix);
	for (unsigned int i = 0; i < em_config_count(cfg, list); i++) {
		fputs(i ? ", {" : "{", stdout);
		json_place(cfg, &(struct place){ .list = list, .index = i }, ", ");
		putchar('}');
	}
	putchar(']');
}

static void json_policy(const struct em_config *cfg)
{
	fputs("{\n  \"version\": 1,\n  ", stdout);
	json_place(cfg, &(struct place){ .list = NULL }, ",\n  ");
	for (const struct em_config_list *l = em_config_lists; l->prefix; l++)
		json_list(cfg, l);
	fputs("\n}\n", stdout);
}

/* ---- list ------------------------------------------------------------ */

/* One policy of the list; file is NULL for the built-in one. */
struct row {
	const char *name, *file;
	char description[160];
	char limit[32];
	struct em_config cfg;
};

struct list {
	bool json;
	unsigned int rows;
};

static int is_policy_file(const struct dirent *entry)
{
	size_t len = strlen(entry->d_name);

	return entry->d_name[0] != '.' && len > strlen(SUFFIX) &&
	       !strcmp(entry->d_name + len - strlen(SUFFIX), SUFFIX);
}

/* The first comment of a file says what it is for. */
static void read_description(struct row *row)
{
	FILE *f = fopen(row->file, "re");
	char line[sizeof(row->description)];

	while (f && fgets(line, sizeof(line), f)) {
		char *text = line + strspn(line, " \t");

		if (*text != '#')
			continue;
		text += strspn(text, "# \t");
		text[strcspn(text, "\r\n")] = '\0';
		snprintf(row->description, sizeof(row->description), "%s", text);
		break;
	}
	if (f)
		fclose(f);
}

static void print_row_json(const struct row *row)
{
	fputs("{\"name\": ", stdout);
	json_string(row->name);
	fputs(", \"algorithm\": ", stdout);
	json_string(row->cfg.algorithm);
	fputs(", \"limit\": ", stdout);
	json_string(row->limit);
	fputs(", \"description\": ", stdout);
	json_string(row->description);
	fputs(", \"file\": ", stdout);
	if (row->file)
		json_string(row->file);
	else
		fputs("null", stdout);
	putchar('}');
}

static void print_row(struct list *list, struct row *row)
{
	em_config_get(&row->cfg, "limits.memory", row->limit, sizeof(row->limit));
	if (list->json) {
		fputs(list->rows ? ",\n  " : "[\n  ", stdout);
		print_row_json(row);
	} else {
		if (!list->rows)
			printf("%-16s %-10s %-8s %s\n", "NAME", "ALGORITHM",
			       "LIMIT", "DESCRIPTION");
		printf("%-16s %-10s %-8s %s\n", row->name, row->cfg.algorithm,
		       row->limit, row->description);
	}
	list->rows++;
}

static void list_builtin(struct list *list)
{
	struct row row = {
		.name = BUILTIN,
		.description = "the built-in policy",
	};

	em_config_init(&row.cfg);
	print_row(list, &row);
}

/* 0, or FAILED when the file is no good policy. */
static int list_file(struct list *list, const char *file_name)
{
	char path[PATH_MAX], name[NAME_MAX + 1], err[2048];
	struct row row = { .name = name, .file = path };

	snprintf(path, sizeof(path), "%s/%s", cmd_policy_dir(), file_name);
	snprintf(name, sizeof(name), "%.*s",
		 (int)(strlen(file_name) - strlen(SUFFIX)), file_name);
	if (cmd_policy_load(&row.cfg, path, err, sizeof(err))) {
		cmd_error("%s", err);
		return FAILED;
	}
	read_description(&row);
	print_row(list, &row);
	return 0;
}

static int list_policies(bool json)
{
	struct list list = { .json = json };
	struct dirent **entries;
	int n = scandir(cmd_policy_dir(), &entries, is_policy_file, alphasort);
	bool replaced = false;
	int status = 0;

	em_config_judge_plugins(cmd_plugin_try);
	if (n < 0)
		cmd_error("cannot read '%s': %s", cmd_policy_dir(),
			  strerror(errno));
	for (int i = 0; i < n; i++)
		replaced |= !strcmp(entries[i]->d_name, BUILTIN SUFFIX);
	if (!replaced)
		list_builtin(&list);
	for (int i = 0; i < n; i++) {
		status |= list_file(&list, entries[i]->d_name);
		free(entries[i]);
	}
	if (n >= 0)
		free(entries);
	if (json)
		fputs(list.rows ? "\n]\n" : "[]\n", stdout);
	return n < 0 ? FAILED : status;
}

/* ---- show and check -------------------------------------------------- */

static bool is_number(const char *word)
{
	return *word && !word[strspn(word, "0123456789")];
}

static void load(struct em_config *cfg, const char *file_or_name)
{
	char err[2048];
	int rc;

	if (file_or_name && is_number(file_or_name)) {
		cmd_live_policy(cmd_parse_pid(file_or_name), cfg);
		return;
	}
	em_config_judge_plugins(cmd_plugin_try);
	em_config_init(cfg);
	if (file_or_name && !strcmp(file_or_name, "-"))
		rc = em_yaml_read(cfg, file_or_name, err, sizeof(err));
	else
		rc = cmd_policy_load(cfg, file_or_name, err, sizeof(err));
	/* The built-in policy is there without its file, too. */
	if (rc == -ENOENT && file_or_name && !strcmp(file_or_name, BUILTIN))
		em_config_init(cfg);
	else if (rc)
		cmd_die(FAILED, "%s", err);
}

static int show_policy(const char *file_or_name, bool json)
{
	struct em_config cfg;
	int rc;

	load(&cfg, file_or_name);
	if (json) {
		json_policy(&cfg);
		return 0;
	}
	rc = em_yaml_write(&cfg, stdout);
	if (rc)
		cmd_die(FAILED, "cannot write the policy: %s", strerror(-rc));
	return 0;
}

static int check_files(char **files)
{
	int status = 0;

	em_config_judge_plugins(cmd_plugin_try);
	for (; *files; files++) {
		struct em_config cfg;
		char err[2048];

		em_config_init(&cfg);
		if (em_yaml_read(&cfg, *files, err, sizeof(err))) {
			cmd_error("%s", err);
			status = FAILED;
		} else {
			printf("%s: ok\n",
			       strcmp(*files, "-") ? *files : "<stdin>");
		}
	}
	return status;
}

/* What was printed has arrived, or the exit status says otherwise. */
static int finish(int status)
{
	if (fflush(stdout) || ferror(stdout))
		cmd_die(FAILED, "cannot write to the standard output: %s",
			strerror(errno));
	return status;
}

static int apply(const struct arguments *args)
{
	if (args->json)
		cmd_die(USAGE, "'apply' has no --json: it prints the lines that changed");
	if (args->count < 2)
		cmd_die(USAGE, "'apply' needs the id of a process, and a policy or --set KEY=VALUE");
	if (args->count > 3)
		cmd_die(USAGE, "unexpected '%s': 'apply' takes a process and one policy",
			args->words[3]);
	if (args->count < 3 && !args->setting_count)
		cmd_die(USAGE, "nothing to apply: give a policy, or --set KEY=VALUE");
	cmd_live_apply(cmd_parse_pid(args->words[1]), args->words[2], args->settings,
		       args->setting_count);
	return 0;
}

static int act(const struct arguments *args)
{
	const char *action = args->words[0];

	if (!strcmp(action, "list")) {
		if (args->count > 1)
			cmd_die(USAGE, "unexpected '%s' after 'list': it takes no name",
				args->words[1]);
		return list_policies(args->json);
	}
	if (!strcmp(action, "show")) {
		if (args->count > 2)
			cmd_die(USAGE, "unexpected '%s': 'show' takes one policy",
				args->words[2]);
		return show_policy(args->words[1], args->json);
	}
	if (args->setting_count && strcmp(action, "apply"))
		cmd_die(USAGE, "'%s' takes no --set: that is for 'apply'", action);
	if (!strcmp(action, "apply"))
		return apply(args);
	if (strcmp(action, "check"))
		cmd_die(USAGE, "unknown action '%s': expected list, show, check, apply, simulate or advise",
			action);
	if (args->json)
		cmd_die(USAGE, "'check' has no --json: it prints errors as text, with file, line and column");
	if (args->count < 2)
		cmd_die(USAGE, "'check' needs a file, or - for the standard input");
	return check_files(args->words + 1);
}

int main(int argc, char **argv)
{
	static char name[] = "extmem policy";
	struct arguments args = { 0 };

	cmd_init(name);
	argp_err_exit_status = USAGE;
	if (argc > 1 && !strcmp(argv[1], "simulate"))
		return finish(cmd_policy_simulate(argc - 1, argv + 1));
	if (argc > 1 && !strcmp(argv[1], "advise"))
		return finish(cmd_policy_advise(argc - 1, argv + 1));
	argv[0] = name;
	argp_parse(&argp, argc, argv, 0, NULL, &args);
	return finish(act(&args));
}
