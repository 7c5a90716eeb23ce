/* SPDX-License-Identifier: MIT
 *
 * Plug-ins: what the contract requires of their tables, how a policy names
 * them, and how paths are taken.
 */
#include "config.h"
#include "plugin.h"
#include "policies/policies.h"
#include "tap.h"
#include "util.h"
#include "yaml.h"

#include <errno.h>

/* ---- the tables ------------------------------------------------------- */

static void insert(struct extmem_cache *c, uint32_t unit, enum extmem_event why)
{
	(void)c, (void)unit, (void)why;
}

static uint32_t victim(struct extmem_cache *c)
{
	(void)c;
	return EXTMEM_UNIT_NONE;
}

static size_t guess(struct extmem_prefetch *p, void *thread, uint64_t page, uint32_t depth,
		    struct extmem_guess *out)
{
	(void)p, (void)thread, (void)page, (void)depth, (void)out;
	return 0;
}

static const struct extmem_param params[] = {
	{ "level", 3, 1, 9, "", "how far" },
	EM_PARAMS_END,
};

static const struct extmem_eviction good = {
	.version = EXTMEM_EVICTION_VERSION, .name = "mine", .unit_bytes = 64,
	.state_bytes = 64u << 20, .params = params, .insert = insert, .victim = victim,
};

static const struct extmem_prefetcher good_prefetcher = {
	.version = EXTMEM_PREFETCHER_VERSION, .name = "mine",
	.thread_bytes = EXTMEM_GUESS_THREAD_BYTES, .params = params, .guess = guess,
};

/* Adds one of the two, and expects the whole message. */
static void refused(const struct extmem_eviction *e, const struct extmem_prefetcher *p,
		    const char *message)
{
	char err[256] = "";

	is_int(em_plugin_add("/refused", e, p, err, sizeof(err)), -EINVAL, "refused:");
	is_str(err, message, "and why");
	ok(!em_plugin_eviction("/refused") && !em_plugin_prefetcher("/refused"),
	   "and not to be had");
}

static void test_eviction_tables(void)
{
	static const struct extmem_param upside[] = { { "x", 3, 4, 9, "", "" }, EM_PARAMS_END };
	static const struct extmem_param unnamed[] = { { "", 3, 1, 9, "", "" }, EM_PARAMS_END };
	struct extmem_param many[EXTMEM_PARAMS_MAX + 2] = { 0 };
	struct extmem_eviction e = good;

	e.version++;
	refused(&e, NULL, "its extmem_plugin_eviction has version 2: expected 1, so compile it with the extmem-policy.h of this extmem");
	e = good;
	e.name = NULL;
	refused(&e, NULL, "the name in its extmem_plugin_eviction is '': expected 1 to 23 of a-z, 0-9, +, - and _");
	e.name = "Mine";
	refused(&e, NULL, "the name in its extmem_plugin_eviction is 'Mine': expected 1 to 23 of a-z, 0-9, +, - and _");
	e.name = "aaaaaaaaaaaaaaaaaaaaaaaa";
	refused(&e, NULL, "the name in its extmem_plugin_eviction is 'aaaaaaaaaaaaaaaaaaaaaaaa': expected 1 to 23 of a-z, 0-9, +, - and _");
	e = good;
	e.unit_bytes = 65;
	refused(&e, NULL, "its extmem_plugin_eviction wants 65 bytes a unit and 67108864 beside: expected at most 64 and 67108864");
	e = good;
	e.insert = NULL;
	refused(&e, NULL, "its extmem_plugin_eviction has no function 'insert': every algorithm needs insert and victim");
	e = good;
	e.victim = NULL;
	refused(&e, NULL, "its extmem_plugin_eviction has no function 'victim': every algorithm needs insert and victim");
	e = good;
	e.params = upside;
	refused(&e, NULL, "the default of 'x' in its extmem_plugin_eviction is 3: expected a number from 4 to 9");
	e.params = unnamed;
	refused(&e, NULL, "the name of parameter 0 of its extmem_plugin_eviction is '': expected 1 to 23 of a-z, 0-9, +, - and _");
	e.params = many;
	for (int i = 0; i <= EXTMEM_PARAMS_MAX; i++)
		many[i] = params[0];
	refused(&e, NULL, "its extmem_plugin_eviction has more than 8 parameters, or no NULL name after the last");
	refused(NULL, NULL, "it defines neither extmem_plugin_eviction nor extmem_plugin_prefetcher: it is no plug-in of extmem, or they are static");
}

static void test_prefetcher_tables(void)
{
	struct extmem_prefetcher p = good_prefetcher;

	p.version = 0;
	refused(NULL, &p, "its extmem_plugin_prefetcher has version 0: expected 1, so compile it with the extmem-policy.h of this extmem");
	p = good_prefetcher;
	p.thread_bytes++;
	refused(&good, &p, "its extmem_plugin_prefetcher wants 257 bytes a thread and 0 beside: expected at most 256 and 67108864");
	p = good_prefetcher;
	p.guess = NULL;
	refused(NULL, &p, "its extmem_plugin_prefetcher has no function 'guess': every prefetcher needs it");
}

static void test_registry(void)
{
	static char paths[EM_PLUGINS_MAX + 1][16];
	char err[256];

	is_int(em_plugin_add("/both", &good, &good_prefetcher, err, sizeof(err)), 0, "both");
	ok(extmem_eviction_find("/both") == &good, "an algorithm is found by its path");
	ok(em_plugin_prefetcher("/both") == &good_prefetcher, "and a prefetcher");
	ok(!extmem_eviction_find("/other"), "another path is nobody's");
	ok(!extmem_eviction_find("mine"), "and the name is no path");
	is_int(em_plugin_add("/both", NULL, NULL, err, sizeof(err)), 0, "what is there stays");
	for (int i = 1; i <= EM_PLUGINS_MAX; i++) {
		snprintf(paths[i], sizeof(paths[i]), "/many%d", i);
		is_int(em_plugin_add(paths[i], &good, NULL, err, sizeof(err)),
		       i < EM_PLUGINS_MAX ? 0 : -ENOSPC, "plug-in %d", i + 1);
	}
	is_str(err, "there are more than 17 plug-ins", "which is said");
}

/* ---- in a policy ------------------------------------------------------- */

static void test_one_of_two(void)
{
	struct em_config cfg, back;
	char text[EM_CONFIG_DUMP_MAX], err[256];

	em_config_init(&cfg);
	is_int(em_config_set(&cfg, "eviction.plugin", "/both", err, sizeof(err)), 0, "a plug-in");
	em_config_get(&cfg, "eviction.algorithm", text, sizeof(text));
	is_str(text, "", "takes the place of the algorithm");
	is_int(em_config_set(&cfg, "eviction.algorithm", "", err, sizeof(err)), -EINVAL,
	       "no algorithm is none");
	em_config_set(&cfg, "prefetch.plugin", "/both", err, sizeof(err));
	em_config_set(&cfg, "regions[0].eviction.plugin", "/many1", err, sizeof(err));
	is_str(em_config_algorithm(&cfg, &cfg.regions[0]), "/many1", "a rule has one of its own");
	ok(em_config_dump(&cfg, text, sizeof(text)) > 0, "as text");
	ok(strstr(text, "\neviction.plugin=/both\n") && !strstr(text, "\neviction.algorithm"),
	   "there is one of the two");
	em_config_init(&back);
	is_int(em_config_load(&back, text, err, sizeof(err)), 0, "and back");
	ok(!memcmp(&cfg, &back, sizeof(cfg)), "the same");
	is_int(em_config_set(&cfg, "eviction.algorithm", "fifo", err, sizeof(err)), 0,
	       "an algorithm");
	em_config_get(&cfg, "eviction.plugin", text, sizeof(text));
	is_str(text, "", "takes the place of the plug-in");
	em_config_set(&back, "eviction.algorithm", "fifo", err, sizeof(err));
	ok(!memcmp(&cfg, &back, sizeof(cfg)), "and leaves nothing of its path");
}

static void test_params(void)
{
	struct em_config cfg;
	char err[256];

	em_config_init(&cfg);
	em_config_load(&cfg, "eviction.plugin=/both\neviction.params=level=9\n"
			     "prefetch.plugin=/both\nprefetch.params=level=1\n", err, sizeof(err));
	is_int(em_config_check(&cfg, err, sizeof(err)), 0, "parameters of a plug-in");
	em_config_set(&cfg, "prefetch.params.level", "10", err, sizeof(err));
	is_int(em_config_check(&cfg, err, sizeof(err)), -EINVAL, "one too large");
	is_str(err, "'prefetch.params' has 'level' as '10': expected a whole number from 1 to 9",
	       "which is said");
	em_config_set(&cfg, "prefetch.algorithm", "leap", err, sizeof(err));
	is_int(em_config_check(&cfg, err, sizeof(err)), -EINVAL, "what is built in has none");
	is_str(err, "'prefetch.params' has 'level': 'leap' has no such parameter, expected none",
	       "which is said");
	em_config_set(&cfg, "prefetch.plugin", "/unknown", err, sizeof(err));
	is_int(em_config_check(&cfg, err, sizeof(err)), 0, "of one not looked at nothing is known");
}

/* ---- paths and files --------------------------------------------------- */

static bool asked_prefetches;

static int judge(bool prefetches, char path[EM_CONFIG_PATH_MAX], char *err, size_t err_bytes)
{
	asked_prefetches = prefetches;
	if (strstr(path, "bad")) {
		snprintf(err, err_bytes, "it is bad");
		return -EPERM;
	}
	memmove(path + 5, path, strlen(path) + 1);
	memcpy(path, "/real", 5);
	return 0;
}

static int parse(struct em_config *cfg, const char *text, const char *name, char *err)
{
	em_config_init(cfg);
	return em_yaml_parse(cfg, text, strlen(text), name, err, 512);
}

static void test_judge(void)
{
	struct em_config cfg;
	char err[512];

	is_int(parse(&cfg, "eviction: {plugin: x.so}", "/d/f.yaml", err), 0, "a file names one");
	is_str(cfg.algorithm, "/d/x.so", "which is in the file's folder");
	is_int(parse(&cfg, "eviction: {plugin: x.so}", "<stdin>", err), -EINVAL,
	       "what is in no file has no folder");
	em_config_judge_plugins(judge);
	is_int(parse(&cfg, "prefetch: {plugin: ./x.so}", "d/f.yaml", err), 0, "who judges");
	is_str(cfg.prefetcher, "/reald/x.so", "is asked of a path, and gives another");
	ok(asked_prefetches, "and of which kind");
	is_int(parse(&cfg, "eviction: {plugin: /abs/x.so}", "d/f.yaml", err), 0, "absolute");
	is_str(cfg.algorithm, "/real/abs/x.so", "stays so");
	ok(!asked_prefetches, "and of the other kind");
	is_int(parse(&cfg, "eviction:\n  plugin: bad.so", "d/f.yaml", err), -EINVAL, "and refuses");
	is_str(err, "d/f.yaml:2:11: 'eviction.plugin' is 'd/bad.so': it is bad",
	       "with file, line and column");
	is_int(parse(&cfg, "eviction: {plugin: x.so, algorithm: lru}", "f", err), -EINVAL,
	       "both");
	is_str(err, "f:1:26: 'eviction.algorithm' and 'eviction.plugin' are both here, the other in line 1: keep one of them",
	       "are one too many");
	is_int(parse(&cfg, "regions:\n  - eviction: {algorithm: lru}\n  - eviction:\n      algorithm: lru\n      plugin: x.so", "f", err),
	       -EINVAL, "in a rule");
	is_str(err, "f:5:7: 'regions[1].eviction.plugin' and 'regions[1].eviction.algorithm' are both here, the other in line 4: keep one of them",
	       "as well");
	is_int(parse(&cfg, "eviction: {plugin: ''}", "f", err), -EINVAL, "and no path");
	is_str(err, "f:1:20: 'eviction.plugin' is empty: expected the path of a shared object",
	       "is none");
	em_config_judge_plugins(NULL);
}

/* ---- the manual ------------------------------------------------------- */

/* A file of the sources, with neither comments nor roff, and one blank between words. */
static char *read_source(const char *name)
{
	const char *dir = getenv("EM_SRCDIR");
	char path[4096], *text = calloc(1, 1 << 18), *to = text;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir ? dir : ".", name);
	f = fopen(path, "re");
	ok(f && fread(text, 1, (1 << 18) - 1, f) > 0, "'%s' can be read", path);
	if (f)
		fclose(f);
	for (const char *from = text; *from; from++) {
		const char *end = strncmp(from, "/*", 2) ? NULL : strstr(from, "*/");

		if (end)
			from = end + 1;
		else if (strchr(" \t\n", *from))
			*to++ = ' ';
		else if (*from != '\\')
			*to++ = *from;
		if (to - text > 1 && to[-1] == ' ' && to[-2] == ' ')
			to--;
	}
	*to = '\0';
	return text;
}

/* What stands between the braces of a declaration, or "". */
static char *members(const char *text, const char *what)
{
	char head[64];
	const char *at;

	snprintf(head, sizeof(head), "%s {", what);
	at = strstr(text, head);
	if (at)
		at += strlen(head);
	return strndup(at ? at : "", at ? strcspn(at, "}") : 0);
}

/* The next member, without the blanks around it; NULL after the last. */
static char *next_member(char **rest, const char *separator)
{
	char *word = strsep(rest, separator), *end;

	if (!word)
		return NULL;
	word += strspn(word, " ");
	for (end = word + strlen(word); end > word && end[-1] == ' ';)
		*--end = '\0';
	return *word ? word : next_member(rest, separator);
}

static void compare(const char *header, const char *manual, const char *what)
{
	const char *separator = strncmp(what, "enum", 4) ? ";" : ",";
	char *a = members(header, what), *b = members(manual, what);
	char *a_rest = a, *b_rest = b, *x, *y;
	unsigned int count = 0;

	do {
		x = next_member(&a_rest, separator);
		y = next_member(&b_rest, separator);
		if (x || y)
			is_str(y ? y : "", x ? x : "", "member %u of %s", count++, what);
	} while (x || y);
	ok(count, "%s is in both", what);
	free(a);
	free(b);
}

#define CONSTANT(name) { #name, (long long)(name) }

static void test_manual(void)
{
	static const char *const declarations[] = {
		"struct extmem_eviction", "struct extmem_cache", "enum extmem_event",
		"enum extmem_advice", "struct extmem_prefetcher", "struct extmem_prefetch",
		"struct extmem_guess", "struct extmem_param",
	};
	static const struct {
		const char *name;
		long long value;
	} constants[] = {
		CONSTANT(EXTMEM_EVICTION_VERSION), CONSTANT(EXTMEM_PREFETCHER_VERSION),
		CONSTANT(EXTMEM_UNITS_MAX), CONSTANT(EXTMEM_UNIT_NONE),
		CONSTANT(EXTMEM_PARAMS_MAX), CONSTANT(EXTMEM_GUESSES_MAX),
		CONSTANT(EXTMEM_GUESS_PAGES_MAX), CONSTANT(EXTMEM_GUESS_STEP_MAX),
		CONSTANT(EXTMEM_GUESS_THREAD_BYTES),
	};
	char *header = read_source("lib/extmem-policy.h");
	char *manual = read_source("man/extmem-policy.5"), line[64];

	for (size_t i = 0; i < EM_ARRAY_LEN(declarations); i++)
		compare(header, manual, declarations[i]);
	for (size_t i = 0; i < EM_ARRAY_LEN(constants); i++) {
		snprintf(line, sizeof(line), " %s %lld ", constants[i].name,
			 constants[i].value);
		ok(strstr(manual, line), "the manual has%s", line);
	}
	free(header);
	free(manual);
}

int main(void)
{
	test_manual();
	test_eviction_tables();
	test_prefetcher_tables();
	test_registry();
	test_one_of_two();
	test_params();
	test_judge();
	return done_testing();
}
