/* SPDX-License-Identifier: MIT
 *
 * Policy files: what they say, what is refused and where, and the way back.
 */
#include "policies/policies.h"
#include "yaml.h"
#include "tap.h"

#include <errno.h>
#include <unistd.h>

/* The folder of the sources; make check says where it is. */
static const char *source_dir(void)
{
	const char *dir = getenv("EM_SRCDIR");

	return dir ? dir : ".";
}

static int parse(struct em_config *cfg, const char *text, char err[512])
{
	strcpy(err, "");
	return em_yaml_parse(cfg, text, strlen(text), "f.yaml", err, 512);
}

static void is_config(const struct em_config *got, const struct em_config *want,
		      const char *name)
{
	char a[6144], b[6144];

	em_config_dump(got, a, sizeof(a));
	em_config_dump(want, b, sizeof(b));
	is_str(a, b, "%s", name);
}

static void test_empty(void)
{
	static const char *const texts[] = {
		"", "\n", "# only a comment\n", "---\n", "---\n...\n", "~\n",
		"null\n", "{}\n", "version: 1\n", "\xef\xbb\xbf", "%YAML 1.1\n---\n",
		"limits:\n", "limits: {}\nwatermarks: ~\ntiers:\n",
		"\xef\xbb\xbfversion: 1\r\nlimits:\r\n",
	};
	struct em_config cfg, defaults;
	char err[512];

	em_config_init(&defaults);
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		em_config_init(&cfg);
		if (!is_int(parse(&cfg, texts[i], err), 0, "empty file %zu", i))
			diag("%s", err);
		is_config(&cfg, &defaults, "is the default policy");
	}
}

static void test_all_keys(void)
{
	static const char text[] =
		"version: 1\n"
		"limits:     {memory: 512M, on_full: abort}\n"
		"watermarks: {low: 2.5%, high: \"7%\"}\n"
		"manage:\n"
		"  min_size: 1M   # with a comment\n"
		"  heap: false\n"
		"eviction:\n"
		"  algorithm: 'clock'\n"
		"  way_out: copy\n"
		"  granule: 64K\n"
		"  standby: 20M\n"
		"prefetch: {algorithm: leap, readahead: 0, recording: /tmp/rec}\n"
		"faults: {delivery: signal, syscall_net: off}\n"
		"quotas: {io_bandwidth: 200M/s, faults: 50k/s}\n"
		"autotune: {refault_rate: 1k/s, min: 64M}\n"
		"tiers:\n"
		"  - {type: file, path: /mnt/fast, max: 8G}\n"
		"  - path: \"/mnt/slow \\u00e9 # and more\"\n"
		"  - {}\n";
	struct em_config cfg, want;
	char err[512];

	em_config_init(&want);
	is_int(em_config_load(&want,
			      "limits.memory=512M\nlimits.on_full=abort\n"
			      "watermarks.low=2.5%\nwatermarks.high=7%\n"
			      "manage.min_size=1M\nmanage.heap=false\n"
			      "eviction.algorithm=clock\neviction.way_out=copy\n"
			      "eviction.granule=64K\neviction.standby=20M\n"
			      "prefetch.algorithm=leap\nprefetch.readahead=0\n"
			      "prefetch.recording=/tmp/rec\n"
			      "faults.delivery=signal\n"
			      "faults.syscall_net=off\n"
			      "quotas.io_bandwidth=200M/s\nquotas.faults=50k/s\n"
			      "autotune.refault_rate=1k/s\nautotune.min=64M\n"
			      "tiers[0].path=/mnt/fast\ntiers[0].max=8G\n"
			      "tiers[1].path=/mnt/slow \xc3\xa9 # and more\n"
			      "tiers[2].max=0\n",
			      err, sizeof(err)),
	       0, "what the file should say");
	em_config_init(&cfg);
	is_int(parse(&cfg, text, err), 0, "a file with every key");
	is_str(err, "", "without complaint");
	is_config(&cfg, &want, "says just that");
	is_int(cfg.tier_count, 3, "three tiers");
	is_str(cfg.tiers[2].path, "/var/tmp", "an empty tier is all defaults");
}

static void test_override(void)
{
	struct em_config cfg, want;
	char err[512];

	em_config_init(&cfg);
	em_config_load(&cfg,
		       "limits.memory=1G\neviction.algorithm=fifo\n"
		       "tiers[0].path=/a\ntiers[0].max=1G\ntiers[1].path=/b\n",
		       err, sizeof(err));
	want = cfg;
	is_int(parse(&cfg, "manage: {heap: false}\n", err), 0, "one key");
	want.heap = false;
	is_config(&cfg, &want, "leaves the others alone");
	is_int(parse(&cfg, "tiers: [{path: /c}]\n", err), 0, "a list of tiers");
	is_int(cfg.tier_count, 1, "replaces all tiers");
	is_str(cfg.tiers[0].path, "/c", "with its own");
	is_int(cfg.tiers[0].max_bytes, 0, "and takes nothing from the old one");
	is_str(cfg.algorithm, "fifo", "and leaves the rest alone");

	want = cfg;
	is_int(parse(&cfg, "limits: {memory: 64M}\ntiers: [{path: /d}, x]\n",
		     err),
	       -EINVAL, "a bad file");
	is_config(&cfg, &want, "changes nothing at all");
}

/* Each bad file, and the whole message. */
static void test_refusals(void)
{
	static const struct {
		const char *text, *message;
	} table[] = {
		/* Keys. */
		{ "limits: {memroy: 5}\n",
		  "f.yaml:1:10: unknown key 'memroy', did you mean 'memory'?" },
		{ "version: 1\nlimit:\n  memory: 8M\n",
		  "f.yaml:2:1: unknown key 'limit', did you mean 'limits'?" },
		{ "memory: 512M\n",
		  "f.yaml:1:1: unknown key 'memory', did you mean 'memory' under 'limits'?" },
		{ "limits.memory: 512M\n",
		  "f.yaml:1:1: unknown key 'limits.memory', did you mean 'memory' under 'limits'?" },
		{ "tiers[0].path: /x\n",
		  "f.yaml:1:1: unknown key 'tiers[0].path', did you mean 'path' under 'tiers'?" },
		{ "manage: {algorithm: lru}\n",
		  "f.yaml:1:10: unknown key 'algorithm', did you mean 'algorithm' under 'eviction'?" },
		{ "tiers:\n  - pth: /x\n",
		  "f.yaml:2:5: unknown key 'pth', did you mean 'path'?" },
		{ "limits: {frobnicate: 1}\n",
		  "f.yaml:1:10: unknown key 'frobnicate': expected memory or on_full" },
		{ "frobnicate: 1\n",
		  "f.yaml:1:1: unknown key 'frobnicate': expected version, limits, watermarks, manage, eviction, prefetch, faults, quotas, autotune, tiers or regions" },
		{ "tiers: [{frobnicate: 1}]\n",
		  "f.yaml:1:10: unknown key 'frobnicate': expected type, path or max" },
		{ "tiers[]: {path: /x}\n",
		  "f.yaml:1:1: unknown key 'tiers[]', did you mean 'tiers'?" },
		{ "limits: {? [a] : 1}\n",
		  "f.yaml:1:12: found a list where a key belongs: expected 'key: value'" },
		{ "? {a: b}\n: 1\n",
		  "f.yaml:1:3: found a mapping where a key belongs: expected 'key: value'" },
		{ "\"limits\\0x\": {memory: 8M}\n",
		  "f.yaml:1:1: a NUL character in a word: remove it" },
		{ "<<: {memory: 8M}\n",
		  "f.yaml:1:1: unknown key '<<': expected version, limits, watermarks, manage, eviction, prefetch, faults, quotas, autotune, tiers or regions" },
		/* Duplicates. */
		{ "limits:\n  memory: 8M\n  memory: 9M\n",
		  "f.yaml:3:3: key 'memory' is here a second time, first in line 2: keep one of them" },
		{ "limits: {memory: 8M}\nmanage:\nlimits: {on_full: grow}\n",
		  "f.yaml:3:1: key 'limits' is here a second time, first in line 1: keep one of them" },
		{ "version: 1\nversion: 1\n",
		  "f.yaml:2:1: key 'version' is here a second time, first in line 1: keep one of them" },
		{ "tiers:\n- path: /a\n- path: /b\n  path: /c\n",
		  "f.yaml:4:3: key 'path' is here a second time, first in line 3: keep one of them" },
		/* Types. */
		{ "just words\n",
		  "f.yaml:1:1: found a single value: expected sections with keys under them, such as 'limits: {memory: 512M}'" },
		{ "- limits\n",
		  "f.yaml:1:1: found a list: expected sections with keys under them, such as 'limits: {memory: 512M}'" },
		{ "limits: 512M\n",
		  "f.yaml:1:9: 'limits' is a single value: expected keys under it, such as 'memory: auto'" },
		{ "limits:\n  - memory: 8M\n",
		  "f.yaml:2:3: 'limits' is a list: expected keys under it, such as 'memory: auto'" },
		{ "limits: {memory: [8M]}\n",
		  "f.yaml:1:18: 'limits.memory' is a list: expected a single value" },
		{ "limits:\n  memory:\n    size: 8M\n",
		  "f.yaml:3:5: 'limits.memory' is a mapping: expected a single value" },
		{ "tiers: {type: file}\n",
		  "f.yaml:1:8: 'tiers' is a mapping: expected a list, with '- ' before the first key of each tier" },
		{ "tiers: /var/tmp\n",
		  "f.yaml:1:8: 'tiers' is a single value: expected a list, with '- ' before the first key of each tier" },
		{ "tiers: [/var/tmp]\n",
		  "f.yaml:1:9: a tier is a single value: expected keys in it, such as 'type: file'" },
		{ "tiers:\n  - - path: /x\n",
		  "f.yaml:2:5: a tier is a list: expected keys in it, such as 'type: file'" },
		{ "tiers:\n  -\n",
		  "f.yaml:2:4: a tier is a single value: expected keys in it, such as 'type: file'" },
		{ "tiers: []\n",
		  "f.yaml:1:8: 'tiers' is empty: expected at least one tier" },
		{ "tiers: [{}, {}, {}, {},\n {path: /x}]\n",
		  "f.yaml:2:2: too many 'tiers': expected at most 4" },
		{ "version: [1]\n",
		  "f.yaml:1:10: 'version' is a list: expected 1" },
		/* Values. */
		{ "version: 2\n",
		  "f.yaml:1:10: 'version' is '2': expected 1, the only one that this extmem knows" },
		{ "version:\n",
		  "f.yaml:1:9: 'version' is '': expected 1, the only one that this extmem knows" },
		{ "limits:\n  memory: 12Q\n",
		  "f.yaml:2:11: 'limits.memory' is '12Q': expected a size such as 512M or 1.5G, a percentage such as 25%, or auto" },
		{ "limits: {memory: }\n",
		  "f.yaml:1:18: 'limits.memory' has no value: give it one, or remove the line" },
		{ "tiers: [{path: ~}]\n",
		  "f.yaml:1:16: 'tiers[0].path' has no value: give it one, or remove the line" },
		{ "tiers: [{path: ''}]\n",
		  "f.yaml:1:16: 'tiers[].path' is empty: expected a folder or a file" },
		{ "tiers: [{path: \"/a\\nb\"}]\n",
		  "f.yaml:1:16: 'tiers[].path' is '/a?b': expected a path without a newline" },
		{ "tiers: [{path: \"/a\\0b\"}]\n",
		  "f.yaml:1:16: a NUL character in a word: remove it" },
		{ "version: \"1\\0\"\n", "f.yaml:1:10: a NUL character in a word: remove it" },
		{ "manage: {heap: yes}\n",
		  "f.yaml:1:16: 'manage.heap' is 'yes': expected true or false" },
		/* Columns count characters, not bytes. */
		{ "tiers: [{path: /\xc3\xa9\xe2\x82\xac, max: x}]\n",
		  "f.yaml:1:26: 'tiers[].max' is 'x': expected a size such as 64K, 512M or 1.5G" },
		/* Rules across keys: the first place that has a part in it. */
		{ "manage: {heap: true}\nwatermarks:\n  low: 10%\n",
		  "f.yaml:3:3: 'watermarks.low' is '10%' and 'watermarks.high' is '6%': expected the low one below the high one" },
		{ "watermarks: {high: 1%}\n",
		  "f.yaml:1:14: 'watermarks.low' is '2%' and 'watermarks.high' is '1%': expected the low one below the high one" },
		{ "watermarks: {high: 1%, low: 3%}\n",
		  "f.yaml:1:14: 'watermarks.low' is '3%' and 'watermarks.high' is '1%': expected the low one below the high one" },
		{ "limits: {memory: 16M}\neviction:\n  standby: 14M\n",
		  "f.yaml:1:10: 'watermarks.high' is '6%' and 'eviction.standby' is '14M': expected at most 75% of 'limits.memory' together" },
		/* What YAML has and policies do without. */
		{ "limits: &x {memory: 8M}\n",
		  "f.yaml:1:9: anchors (&) and aliases (*) are not used in policy files: write the value out, or put quotes around it" },
		{ "limits: {memory: *x}\n",
		  "f.yaml:1:18: anchors (&) and aliases (*) are not used in policy files: write the value out, or put quotes around it" },
		{ "&a limits: {memory: 8M}\n",
		  "f.yaml:1:1: anchors (&) and aliases (*) are not used in policy files: write the value out, or put quotes around it" },
		{ "limits: {memory: !!str 8M}\n",
		  "f.yaml:1:18: tags (!) are not used in policy files: remove it, or put quotes around the value" },
		{ "limits: !x {memory: 8M}\n",
		  "f.yaml:1:9: tags (!) are not used in policy files: remove it, or put quotes around the value" },
		{ "version: 1\n---\nversion: 1\n",
		  "f.yaml:2:1: a second document begins here: keep one in a file" },
		{ "---\n---\n",
		  "f.yaml:2:1: a second document begins here: keep one in a file" },
		/* No YAML at all. */
		{ "limits:\n\tmemory: 8M\n",
		  "f.yaml:2:1: found character that cannot start any token while scanning for the next token: indent with spaces, not tabs" },
		{ "limits: {memory: %25}\n",
		  "f.yaml:1:18: found character that cannot start any token while scanning for the next token: put quotes around the value" },
		{ "tiers:\n  - path: /a: b\n",
		  "f.yaml:2:13: mapping values are not allowed in this context: check the indentation, or put quotes around a value that has a colon in it" },
		{ "limits:\n  memory: 8M\n on_full: grow\n",
		  "f.yaml:3:2: did not find expected key while parsing a block mapping: check the indentation, brackets and quotes up to here" },
		{ "limits: {memory: 8M\n",
		  "f.yaml:2:1: did not find expected ',' or '}' while parsing a flow mapping: check the indentation, brackets and quotes up to here" },
		{ "limits: {memory: \"8M}\n",
		  "f.yaml:2:1: found unexpected end of stream while scanning a quoted scalar: close the quote or bracket that is open here" },
		{ "version: 1\nlimits\nmanage: {}\n",
		  "f.yaml:3:1: could not find expected ':' while scanning a simple key: write 'key: value' with a space after the colon" },
		{ "version: 1\n# caf\xe9\n",
		  "f.yaml:2:6: incomplete UTF-8 octet sequence: expected a text file in UTF-8" },
		{ "limits:\n  memory: 8M\xff\n",
		  "f.yaml:2:13: invalid leading UTF-8 octet (0xff): expected a text file in UTF-8" },
		{ "\xef\xbb\xbfversion: \xe9\x41\x41\n",
		  "f.yaml:1:11: invalid trailing UTF-8 octet (0x41): expected a text file in UTF-8" },
		{ "\xef\xbb\xbfversion: 3\n",
		  "f.yaml:1:10: 'version' is '3': expected 1, the only one that this extmem knows" },
		{ "\xff\xfev",
		  "f.yaml:1:1: invalid leading UTF-8 octet (0xff): expected a text file in UTF-8" },
		{ "limits:\n\001\n",
		  "f.yaml:2:1: control characters are not allowed (0x01): expected a text file in UTF-8" },
	};
	struct em_config cfg, before;
	char err[512], small[20];

	em_config_init(&cfg);
	before = cfg;
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		is_int(parse(&cfg, table[i].text, err), -EINVAL, "refusal %zu",
		       i);
		is_str(err, table[i].message, "and its message");
		memset(small, 'z', sizeof(small));
		em_yaml_parse(&cfg, table[i].text, strlen(table[i].text),
			      "f.yaml", small, 10);
		ok(!strncmp(small, table[i].message, 9) && !small[9] &&
			   small[10] == 'z',
		   "which is cut to the room there is");
	}
	ok(!memcmp(&cfg, &before, sizeof(cfg)), "nothing changed by all that");
	is_int(em_yaml_parse(&cfg, "\0", 1, "f.yaml", err, sizeof(err)), -EINVAL,
	       "a NUL byte");
	has_str(err, "f.yaml:1:1: control characters", "is no text");
}

/* Whatever a file holds, time and memory stay small. */
static void test_bounds(void)
{
	size_t bytes = (1 << 20) + 1;
	char *text = malloc(bytes), err[512];
	struct em_config cfg;

	em_config_init(&cfg);
	memset(text, '[', bytes);
	is_int(em_yaml_parse(&cfg, text, bytes, "f.yaml", err, sizeof(err)),
	       -EFBIG, "more than 1 MiB");
	is_str(err, "'f.yaml' is larger than 1M: expected a policy file",
	       "is refused");
	is_int(em_yaml_parse(&cfg, text, bytes - 1, "f.yaml", err, sizeof(err)),
	       -EINVAL, "a million open lists");
	has_str(err, "f.yaml:1:1: found a list", "end at the first");
	memset(text, '{', bytes - 1);
	is_int(em_yaml_parse(&cfg, text, bytes - 1, "f.yaml", err, sizeof(err)),
	       -EINVAL, "a million open mappings");
	has_str(err, "f.yaml:1:2: found a mapping where a key belongs",
		"end at the second");
	for (size_t i = 0; i + 1 < bytes; i += 2)
		memcpy(text + i, "- ", 2);
	is_int(em_yaml_parse(&cfg, text, bytes - 1, "f.yaml", err, sizeof(err)),
	       -EINVAL, "half a million nested block lists");
	has_str(err, "f.yaml:1:1: found a list", "end at the first");
	memset(text, 'k', bytes - 1);
	is_int(em_yaml_parse(&cfg, text, bytes - 1, "f.yaml", err, sizeof(err)),
	       -EINVAL, "a word of a megabyte");
	memcpy(text, "limits: {memory: ", 17);
	text[bytes - 2] = '}';
	is_int(em_yaml_parse(&cfg, text, bytes - 1, "f.yaml", err, sizeof(err)),
	       -EINVAL, "a value of a megabyte");
	has_str(err, "kkk...': expected a size", "is cut in the message");
	memset(text, 'k', 1000);
	memcpy(text + 1000, ": 1", 3);
	is_int(em_yaml_parse(&cfg, text, 1003, "f.yaml", err, sizeof(err)),
	       -EINVAL, "a key of a thousand letters");
	has_str(err, "unknown key 'kkk", "is unknown");
	ok(strlen(err) < 200, "and cut in the message");
	memset(text, '#', bytes - 1);
	is_int(em_yaml_parse(&cfg, text, bytes - 1, "f.yaml", err, sizeof(err)),
	       0, "a comment of a megabyte is good");
	free(text);
}

/* Writes text to a new file; its name in path. */
static void make_file(char path[64], const char *text, size_t bytes)
{
	int fd;

	strcpy(path, "/tmp/extmem-test-yaml-XXXXXX");
	fd = mkstemp(path);
	if (fd < 0 || write(fd, text, bytes) != (ssize_t)bytes)
		diag("cannot write '%s'", path);
	if (fd >= 0)
		close(fd);
}

static void test_files(void)
{
	struct em_config cfg;
	char path[64], err[512], want[128];

	em_config_init(&cfg);
	make_file(path, "limits: {memory: 32M}\n", 22);
	is_int(em_yaml_read(&cfg, path, err, sizeof(err)), 0, "a file");
	is_int(cfg.limit.value, 32 << 20, "is read");
	unlink(path);
	is_int(em_yaml_read(&cfg, path, err, sizeof(err)), -ENOENT, "no file");
	snprintf(want, sizeof(want),
		 "cannot open '%s': No such file or directory", path);
	is_str(err, want, "is said so");
	is_int(em_yaml_read(&cfg, "/tmp", err, sizeof(err)), -EISDIR, "a folder");
	is_str(err, "cannot read '/tmp': Is a directory", "is no file");
	is_int(em_yaml_read(&cfg, "/dev/zero", err, sizeof(err)), -EFBIG,
	       "a file without end");
	is_int(em_yaml_read(&cfg, "/dev/null", err, sizeof(err)), 0,
	       "a file without beginning");
	make_file(path, "limits: {memroy: 1}\n", 20);
	is_int(em_yaml_read(&cfg, path, err, sizeof(err)), -EINVAL, "a bad file");
	snprintf(want, sizeof(want), "%s:1:10: unknown key 'memroy'", path);
	has_str(err, want, "is named");
	if (freopen(path, "r", stdin)) {
		is_int(em_yaml_read(&cfg, "-", err, sizeof(err)), -EINVAL,
		       "the standard input");
		has_str(err, "<stdin>:1:10: unknown key", "is named, too");
	}
	unlink(path);
}

/* Writes cfg and reads it back over defaults; the text in *text, to free. */
static int round_trip(const struct em_config *cfg, struct em_config *back,
		      char **text)
{
	size_t bytes;
	FILE *f = open_memstream(text, &bytes);
	int rc = em_yaml_write(cfg, f);
	char err[512];

	fclose(f);
	em_config_init(back);
	if (rc)
		return rc;
	rc = em_yaml_parse(back, *text, bytes, "f.yaml", err, sizeof(err));
	if (rc)
		diag("%s", err);
	return rc;
}

static void test_write(void)
{
	static const char want[] = "version: 1\n"
				   "limits:\n"
				   "  memory: auto\n"
				   "  on_full: grow\n"
				   "watermarks:\n"
				   "  low: 2%\n"
				   "  high: 6%\n"
				   "manage:\n"
				   "  min_size: 64K\n"
				   "  heap: true\n"
				   "eviction:\n"
				   "  algorithm: lru\n"
				   "  params: {}\n"
				   "  way_out: auto\n"
				   "  granule: 128K\n"
				   "  standby: 6%\n"
				   "  spare: 7\n"
				   "prefetch:\n"
				   "  algorithm: stride\n"
				   "  params: {}\n"
				   "  readahead: 256K\n"
				   "  recording: \"\"\n"
				   "faults:\n"
				   "  delivery: auto\n"
				   "  syscall_net: auto\n"
				   "quotas:\n"
				   "  io_bandwidth: none\n"
				   "  faults: none\n"
				   "autotune:\n"
				   "  refault_rate: none\n"
				   "  min: 10%\n"
				   "tiers:\n"
				   "  - type: file\n"
				   "    path: /var/tmp\n"
				   "    max: 0\n";
	struct em_config cfg, back;
	char *text;
	FILE *full = fopen("/dev/full", "we");

	em_config_init(&cfg);
	is_int(round_trip(&cfg, &back, &text), 0, "the defaults are written");
	is_str(text, want, "as a person would");
	is_config(&back, &cfg, "and read back");
	free(text);
	is_int(em_config_load(&cfg,
			      "limits.memory=1536M\nlimits.on_full=abort\n"
			      "watermarks.low=2.5%\nwatermarks.high=64M\n"
			      "manage.heap=false\nmanage.min_size=12K\n"
			      "eviction.algorithm=fifo\neviction.way_out=move\n"
			      "eviction.standby=123456789\nprefetch.readahead=0\n"
			      "faults.syscall_net=off\nfaults.delivery=signal\n"
			      "tiers[0].path=/a\ntiers[0].max=8G\n"
			      "tiers[1].path=/b\ntiers[2].path=/c\n",
			      NULL, 0),
	       0, "other values");
	is_int(round_trip(&cfg, &back, &text), 0, "are written");
	is_config(&back, &cfg, "and read back");
	has_str(text, "memory: 1536M\n", "in the words of a user");
	has_str(text, "low: 2.5%\n", "and so are shares");
	free(text);
	is_int(full ? em_yaml_write(&cfg, full) : -EIO, -EIO, "a full disk is seen");
	if (full)
		fclose(full);
}

static void test_write_paths(void)
{
	static const struct {
		const char *path;
		bool plain;
	} paths[] = {
		{ "/var/tmp", true }, { "/a-b_c.d+e/1", true }, { "rel/x", true },
		{ "./x", true }, { "../x", true }, { "1", true },
		{ "null", false }, { "Null", false }, { "~", false },
		{ "~/x", false }, { "-", false }, { "- x", false },
		{ "...", false }, { "---", false }, { " /x ", false },
		{ "/a: b", false }, { "/a #b", false }, { "/a\"b\\c", false },
		{ "'", false }, { "[x]", false }, { "{x}", false },
		{ "/a,b", false }, { "*x", false }, { "&x", false },
		{ "!x", false }, { "|", false }, { ">", false }, { "@x", false },
		{ "`x", false }, { "%x", false }, { "?", false }, { ":", false },
		{ "/tab\there", false }, { "/\033[2J\177", false },
		{ "/\r", false }, { "/j\xc3\xbcrgen", false },
		{ "/\xe2\x82\xac", false }, { "/\xf0\x9f\x98\x80", false },
		{ "/\xc2\x80\xc2\x85\xc2\x9f", false },
		{ "/\xe2\x80\xa8\xe2\x80\xa9", false },
		{ "/\xef\xbb\xbf", false }, { "/\xef\xbf\xbe\xef\xbf\xbf", false },
		{ "/\xf4\x8f\xbf\xbd", false },
	};
	static const char *const bad[] = {
		"/\xff", "/\xc3", "/\x80", "/\xc0\xaf", "/\xed\xa0\x80",
		"/\xf4\x90\x80\x80", "/\xe2\x82", "/\xf8\x88\x80\x80\x80",
		"/\xe0\x80\xaf",
	};
	struct em_config cfg, back;
	char *text, line[128];

	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
		em_config_init(&cfg);
		em_config_set(&cfg, "tiers[0].path", paths[i].path, NULL, 0);
		is_int(round_trip(&cfg, &back, &text), 0, "path %zu", i);
		is_str(back.tiers[0].path, paths[i].path, "comes back");
		snprintf(line, sizeof(line), "path: %s\n", paths[i].path);
		is_int(strstr(text, line) != NULL, paths[i].plain,
		       "with quotes only where they are needed");
		free(text);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		em_config_init(&cfg);
		em_config_set(&cfg, "tiers[0].path", bad[i], NULL, 0);
		is_int(round_trip(&cfg, &back, &text), -EILSEQ,
		       "bad UTF-8 %zu has no place in YAML", i);
		free(text);
	}
}

/* ---- the policies that are shipped ----------------------------------- */

static void policy_path(char path[4096], const char *name)
{
	snprintf(path, 4096, "%s/share/policies/%s.yaml", source_dir(), name);
}

/* default.yaml names every key, and with it turns anything into the default. */
static void test_default_policy(void)
{
	struct em_config cfg, defaults;
	char path[4096], err[512];

	em_config_init(&defaults);
	em_config_init(&cfg);
	is_int(em_config_load(&cfg,
			      "limits.memory=16M\nlimits.on_full=abort\n"
			      "watermarks.low=1%\nwatermarks.high=3%\n"
			      "manage.min_size=4K\nmanage.heap=false\n"
			      "eviction.algorithm=fifo\neviction.way_out=copy\n"
			      "eviction.granule=4K\neviction.standby=1%\n"
			      "prefetch.algorithm=leap\nprefetch.readahead=0\n"
			      "faults.delivery=signal\n"
			      "quotas.io_bandwidth=5M/s\nquotas.faults=10/s\n"
			      "autotune.refault_rate=10/s\nautotune.min=20%\n"
			      "faults.syscall_net=on\ntiers[0].path=/x\n"
			      "tiers[0].max=1G\ntiers[1].path=/y\n",
			      err, sizeof(err)),
	       0, "a policy that has no default in it");
	policy_path(path, "default");
	if (!is_int(em_yaml_read(&cfg, path, err, sizeof(err)), 0,
		    "default.yaml is good"))
		diag("%s", err);
	is_config(&cfg, &defaults, "and is the built-in policy in every key");
}

static void test_default_policy_text(void)
{
	char path[4096], text[8192] = "", line[96];
	FILE *f;

	policy_path(path, "default");
	f = fopen(path, "re");
	if (!ok(f, "'%s' opens", path))
		return;
	ok(fread(text, 1, sizeof(text) - 1, f) > 0, "and is not empty");
	fclose(f);
	is_int(text[0], '#', "it begins with its description");
	for (const struct em_option *o = em_options; o->key; o++) {
		snprintf(line, sizeof(line), " %s: %s\n", strrchr(o->key, '.') + 1,
			 o->type == EM_OPT_PARAMS ? "{}" :
			 o->type == EM_OPT_PLUGIN ? "./libmine.so" : *o->def ? o->def : "\"\"");
		has_str(text, line, "it shows %s with its default", o->key);
	}
}

static void test_algorithm_policies(void)
{
	struct em_config cfg, want;
	char path[4096], err[512];

	for (size_t i = 0; extmem_evictions[i]; i++) {
		const char *name = extmem_evictions[i]->name;

		em_config_init(&cfg);
		em_config_init(&want);
		strcpy(want.algorithm, name);
		if (!strcmp(name, "mru")) {
			em_config_set(&want, "watermarks.low", "0.5%", err, sizeof(err));
			em_config_set(&want, "watermarks.high", "1.5%", err, sizeof(err));
			em_config_set(&want, "eviction.granule", "256K", err, sizeof(err));
			em_config_set(&want, "eviction.standby", "1.5%", err, sizeof(err));
		}
		policy_path(path, name);
		if (!is_int(em_yaml_read(&cfg, path, err, sizeof(err)), 0,
			    "%s.yaml is good", name))
			diag("%s", err);
		is_config(&cfg, &want, "and chooses its algorithm only, mru small margins and large granules as well");
	}
}

int main(void)
{
	test_empty();
	test_all_keys();
	test_override();
	test_refusals();
	test_bounds();
	test_files();
	test_write();
	test_write_paths();
	test_default_policy();
	test_default_policy_text();
	test_algorithm_policies();
	return done_testing();
}
