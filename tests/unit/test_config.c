/* SPDX-License-Identifier: MIT
 *
 * The option table and all that is made from it, the manual included.
 */
#include "config.h"
#include "policies/policies.h"
#include "tap.h"

#include <errno.h>

/* The folder of the sources; make check says where it is. */
static const char *source_dir(void)
{
	const char *dir = getenv("EM_SRCDIR");

	return dir ? dir : ".";
}

static void test_parse_bytes(void)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} good[] = {
		{ "0", 0 }, { "1", 1 }, { "4096", 4096 }, { "64K", 65536 },
		{ "64k", 65536 }, { "64KB", 65536 }, { "64KiB", 65536 },
		{ "64kib", 65536 }, { "512M", 512ull << 20 },
		{ "1.5G", 1536ull << 20 }, { "0.5K", 512 }, { "2T", 2ull << 40 },
		{ "007", 7 }, { "0.1K", 102 },
		{ "0.999999999T", 1099511626676ull },
		{ "18446744073709551615", UINT64_MAX },
		{ "16777215T", 16777215ull << 40 },
	};
	static const char *const bad[] = {
		"", " ", "K", ".5G", "1.", "1.G", "-1", "+1", "1 K", " 1K",
		"1K ", "1.5", "12Q", "1KiK", "1Ki", "1KBB", "0x10", "1e3",
		"1,5G", "1..5G", "18446744073709551616", "16777216T", "25%",
		"auto", "1B", "1.0000000001K", "\xff",
	};
	uint64_t n;

	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		n = 99;
		ok(!em_parse_bytes(good[i].text, &n) && n == good[i].bytes,
		   "'%s' is %" PRIu64 " bytes", good[i].text, good[i].bytes);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		is_int(em_parse_bytes(bad[i], &n), -EINVAL, "'%s' is no size",
		       bad[i]);
}

static void test_format_bytes(void)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} table[] = {
		{ 0, "0" }, { 1, "1" }, { 1023, "1023" }, { 1024, "1K" },
		{ 1536, "1536" }, { 65536, "64K" }, { 512ull << 20, "512M" },
		{ 1536ull << 20, "1536M" }, { 1ull << 30, "1G" },
		{ 3ull << 40, "3T" }, { 1ull << 50, "1024T" },
		{ UINT64_MAX, "18446744073709551615" },
	};
	char out[32];
	uint64_t back;

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		is_int(em_format_bytes(table[i].bytes, out, sizeof(out)),
		       strlen(table[i].text), "length of '%s'", table[i].text);
		is_str(out, table[i].text, "%" PRIu64 " bytes", table[i].bytes);
		ok(!em_parse_bytes(out, &back) && back == table[i].bytes,
		   "'%s' reads back", out);
	}
	is_int(em_format_bytes(65536, out, 2), 3, "a length as snprintf's");
	is_str(out, "6", "and no more than fits");
}

static void test_defaults(void)
{
	struct em_config cfg;
	char key[96], out[64];

	memset(&cfg, 0xff, sizeof(cfg));
	em_config_init(&cfg);
	is_int(cfg.tier_count, 1, "one tier without being asked");
	is_int(cfg.region_count, 0, "and no rule");
	em_config_add(&cfg, &em_config_lists[1], NULL, 0);
	for (const struct em_option *o = em_options; o->key; o++) {
		const char *bracket = strchr(o->key, ']');

		snprintf(key, sizeof(key), "%s", o->key);
		if (bracket)
			snprintf(key, sizeof(key), "%.*s0%s", (int)(bracket - o->key), o->key,
				 bracket);
		em_config_get(&cfg, key, out, sizeof(out));
		is_str(out, o->def, "default of %s", o->key);
	}
	is_int(cfg.limit.kind, EM_SIZE_AUTO, "limit kind");
	is_int(cfg.low.kind, EM_SIZE_PERMILLE, "low is a share");
	is_int(cfg.low.value, 20, "of 20 thousandths");
	is_int(cfg.high.value, 60, "high");
	is_int(cfg.min_size_bytes, 65536, "min_size");
	ok(cfg.heap, "heap");
	is_str(cfg.algorithm, "lru", "algorithm");
	is_int(cfg.way_out, EM_OUT_AUTO, "way_out");
	is_int(cfg.granule_bytes, 131072, "granule");
	is_int(cfg.readahead_bytes, 262144, "readahead");
	is_str(cfg.tiers[0].path, "/var/tmp", "path");
	is_int(cfg.tiers[0].max_bytes, 0, "max");
	is_int(em_config_check(&cfg, out, sizeof(out)), 0, "and all is well");
}

/* Values that each key takes, and the text that comes back. */
static void test_good_values(void)
{
	static const struct {
		const char *key, *value, *back;
	} table[] = {
		{ "limits.memory", "8M", "8M" },
		{ "limits.memory", "512M", "512M" },
		{ "limits.memory", "1.5GiB", "1536M" },
		{ "limits.memory", "0.1%", "0.1%" },
		{ "limits.memory", "25%", "25%" },
		{ "limits.memory", "25.0%", "25%" },
		{ "limits.memory", "100%", "100%" },
		{ "limits.memory", "auto", "auto" },
		{ "limits.on_full", "grow", "grow" },
		{ "limits.on_full", "abort", "abort" },
		{ "watermarks.low", "2.5%", "2.5%" },
		{ "watermarks.low", "4K", "4K" },
		{ "watermarks.high", "50%", "50%" },
		{ "watermarks.high", "16M", "16M" },
		{ "manage.min_size", "4K", "4K" },
		{ "manage.min_size", "1G", "1G" },
		{ "manage.min_size", "12288", "12K" },
		{ "manage.heap", "false", "false" },
		{ "manage.heap", "true", "true" },
		{ "eviction.algorithm", "fifo", "fifo" },
		{ "eviction.algorithm", "clock", "clock" },
		{ "eviction.algorithm", "lru", "lru" },
		{ "eviction.way_out", "copy", "copy" },
		{ "eviction.way_out", "move", "move" },
		{ "eviction.way_out", "auto", "auto" },
		{ "eviction.granule", "4K", "4K" },
		{ "eviction.granule", "256K", "256K" },
		{ "eviction.standby", "1%", "1%" },
		{ "eviction.standby", "50%", "50%" },
		{ "eviction.standby", "24M", "24M" },
		{ "eviction.spare", "0", "0" },
		{ "eviction.spare", "7", "7" },
		{ "prefetch.readahead", "0", "0" },
		{ "prefetch.readahead", "4K", "4K" },
		{ "prefetch.readahead", "256K", "256K" },
		{ "prefetch.recording", "", "" },
		{ "prefetch.recording", "/a path = with #", "/a path = with #" },
		{ "faults.delivery", "signal", "signal" },
		{ "faults.delivery", "thread", "thread" },
		{ "faults.delivery", "auto", "auto" },
		{ "faults.syscall_net", "on", "on" },
		{ "faults.syscall_net", "off", "off" },
		{ "faults.syscall_net", "auto", "auto" },
		{ "quotas.io_bandwidth", "none", "none" },
		{ "quotas.io_bandwidth", "1M/s", "1M/s" },
		{ "quotas.io_bandwidth", "1.5GiB/s", "1536M/s" },
		{ "quotas.io_bandwidth", "1048577/s", "1048577/s" },
		{ "quotas.faults", "10/s", "10/s" },
		{ "quotas.faults", "1500/s", "1500/s" },
		{ "quotas.faults", "1.5k/s", "1500/s" },
		{ "quotas.faults", "50k/s", "50k/s" },
		{ "quotas.faults", "2M/s", "2M/s" },
		{ "autotune.refault_rate", "none", "none" },
		{ "autotune.refault_rate", "1k/s", "1k/s" },
		{ "autotune.min", "25%", "25%" },
		{ "autotune.min", "8M", "8M" },
		{ "eviction.plugin", "/a/libmine.so", "/a/libmine.so" },
		{ "prefetch.plugin", "/a/libmine.so", "/a/libmine.so" },
		{ "prefetch.params", "far=3", "far=3" },
		{ "regions[0].eviction.plugin", "/b c/x.so", "/b c/x.so" },
		{ "eviction.algorithm", "lru", "lru" },
		{ "eviction.params", "active=70", "active=70" },
		{ "eviction.params", " a=1  b=-2 a=3", "a=3 b=-2" },
		{ "eviction.params", "", "" },
		{ "regions[0].match.size", ">=64M", ">=64M" },
		{ "regions[0].match.size", "<=1G", "<=1G" },
		{ "regions[0].match.size", "64M..1G", "64M..1G" },
		{ "regions[0].match.size", ">=0", "any" },
		{ "regions[0].match.source", "heap", "heap" },
		{ "regions[0].match.name", "graph*", "graph*" },
		{ "regions[0].match.caller", "lib?.so", "lib?.so" },
		{ "regions[0].manage", "never", "never" },
		{ "regions[0].priority", "-10", "-10" },
		{ "regions[0].pin", "true", "true" },
		{ "regions[0].min", "0", "0" },
		{ "regions[0].min", "25%", "25%" },
		{ "regions[0].max", "1M", "1M" },
		{ "regions[0].eviction.algorithm", "mru", "mru" },
		{ "tiers[0].type", "file", "file" },
		{ "tiers[0].path", "/a path = with #, \"all\" sorts",
		  "/a path = with #, \"all\" sorts" },
		{ "tiers[0].max", "0", "0" },
		{ "tiers[0].max", "1M", "1M" },
		{ "tiers[0].max", "8G", "8G" },
	};
	struct em_config cfg;
	char out[128], err[256];

	em_config_init(&cfg);
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		int rc = em_config_set(&cfg, table[i].key, table[i].value, err,
				       sizeof(err));

		if (!is_int(rc, 0, "%s takes %s", table[i].key, table[i].value))
			diag("%s", err);
		em_config_get(&cfg, table[i].key, out, sizeof(out));
		is_str(out, table[i].back, "and gives it back");
	}
	is_int(cfg.syscall_net, EM_AUTO, "auto is EM_AUTO");
	em_config_set(&cfg, "faults.syscall_net", "on", NULL, 0);
	is_int(cfg.syscall_net, EM_ON, "on is EM_ON");
	em_config_set(&cfg, "faults.syscall_net", "off", NULL, 0);
	is_int(cfg.syscall_net, EM_OFF, "off is EM_OFF");
	em_config_set(&cfg, "eviction.way_out", "move", NULL, 0);
	is_int(cfg.way_out, EM_OUT_MOVE, "move is EM_OUT_MOVE");
	em_config_set(&cfg, "limits.on_full", "abort", NULL, 0);
	is_int(cfg.on_full, EM_FULL_ABORT, "abort is EM_FULL_ABORT");
	em_config_set(&cfg, "faults.delivery", "signal", NULL, 0);
	is_int(cfg.delivery, EM_DELIVERY_SIGNAL, "signal is EM_DELIVERY_SIGNAL");
	em_config_set(&cfg, "faults.delivery", "thread", NULL, 0);
	is_int(cfg.delivery, EM_DELIVERY_THREAD, "thread is EM_DELIVERY_THREAD");
}

static void test_bad_values(void)
{
	static const struct {
		const char *key, *value, *message;
	} table[] = {
		{ "limits.memory", "12Q",
		  "'limits.memory' is '12Q': expected a size such as 512M or 1.5G, a percentage such as 25%, or auto" },
		{ "limits.memory", "",
		  "'limits.memory' is '': expected a size such as 512M or 1.5G, a percentage such as 25%, or auto" },
		{ "limits.memory", "2.55%",
		  "'limits.memory' is '2.55%': expected a size such as 512M or 1.5G, a percentage such as 25%, or auto" },
		{ "limits.memory", "8388607",
		  "'limits.memory' is '8388607': expected 8M or more" },
		{ "limits.memory", "0%",
		  "'limits.memory' is '0%': expected a percentage from 0.1% to 100%" },
		{ "limits.memory", "100.1%",
		  "'limits.memory' is '100.1%': expected a percentage from 0.1% to 100%" },
		{ "limits.on_full", "kill",
		  "'limits.on_full' is 'kill': expected grow or abort" },
		{ "watermarks.low", "auto",
		  "'watermarks.low' is 'auto': expected a size such as 512M or 1.5G or a percentage such as 25%" },
		{ "watermarks.low", "1",
		  "'watermarks.low' is '1': expected 4K or more" },
		{ "watermarks.high", "50.1%",
		  "'watermarks.high' is '50.1%': expected a percentage from 0.1% to 50%" },
		{ "manage.min_size", "5000",
		  "'manage.min_size' is '5000': expected a multiple of 4K from 4K to 1G" },
		{ "manage.min_size", "0",
		  "'manage.min_size' is '0': expected a multiple of 4K from 4K to 1G" },
		{ "manage.min_size", "2G",
		  "'manage.min_size' is '2G': expected a multiple of 4K from 4K to 1G" },
		{ "manage.min_size", "5%",
		  "'manage.min_size' is '5%': expected a size such as 64K, 512M or 1.5G" },
		{ "manage.heap", "yes",
		  "'manage.heap' is 'yes': expected true or false" },
		{ "eviction.algorithm", "mrux",
		  "'eviction.algorithm' is 'mrux': expected fifo, clock, lru, 2q, car, s3fifo, sieve, clock2q+, lirs, mru, random or hyperbolic" },
		{ "eviction.algorithm", "lr",
		  "'eviction.algorithm' is 'lr': expected fifo, clock, lru, 2q, car, s3fifo, sieve, clock2q+, lirs, mru, random or hyperbolic" },
		{ "eviction.algorithm", "fifo|clock",
		  "'eviction.algorithm' is 'fifo|clock': expected fifo, clock, lru, 2q, car, s3fifo, sieve, clock2q+, lirs, mru, random or hyperbolic" },
		{ "eviction.way_out", "LRU",
		  "'eviction.way_out' is 'LRU': expected auto, copy or move" },
		{ "eviction.granule", "96K",
		  "'eviction.granule' is '96K': expected a power of two from 4K to 256K" },
		{ "eviction.granule", "512K",
		  "'eviction.granule' is '512K': expected a power of two from 4K to 256K" },
		{ "eviction.granule", "0",
		  "'eviction.granule' is '0': expected a power of two from 4K to 256K" },
		{ "eviction.spare", "8", "'eviction.spare' is '8': expected a whole number from 0 to 7" },
		{ "eviction.spare", "-1", "'eviction.spare' is '-1': expected a whole number from 0 to 7" },
		{ "eviction.standby", "0.9%",
		  "'eviction.standby' is '0.9%': expected a percentage from 1% to 50%" },
		{ "eviction.standby", "60%",
		  "'eviction.standby' is '60%': expected a percentage from 1% to 50%" },
		{ "prefetch.readahead", "3K",
		  "'prefetch.readahead' is '3K': expected 0 or a power of two from 4K to 256K" },
		{ "prefetch.recording", "/a\nb",
		  "'prefetch.recording' is '/a?b': expected a path without a newline" },
		{ "faults.delivery", "poll",
		  "'faults.delivery' is 'poll': expected auto, signal or thread" },
		{ "quotas.io_bandwidth", "200M",
		  "'quotas.io_bandwidth' is '200M': expected a rate such as 200M/s, 1M/s or more, or none" },
		{ "quotas.io_bandwidth", "1023K/s",
		  "'quotas.io_bandwidth' is '1023K/s': expected a rate such as 200M/s, 1M/s or more, or none" },
		{ "quotas.io_bandwidth", "-1M/s",
		  "'quotas.io_bandwidth' is '-1M/s': expected a rate such as 200M/s, 1M/s or more, or none" },
		{ "quotas.faults", "50K/s",
		  "'quotas.faults' is '50K/s': expected a rate such as 50k/s, 10/s or more, or none" },
		{ "quotas.faults", "9/s",
		  "'quotas.faults' is '9/s': expected a rate such as 50k/s, 10/s or more, or none" },
		{ "quotas.faults", "50k/m",
		  "'quotas.faults' is '50k/m': expected a rate such as 50k/s, 10/s or more, or none" },
		{ "quotas.faults", "99999999999999999999M/s",
		  "'quotas.faults' is '99999999999999999999M/s': expected a rate such as 50k/s, 10/s or more, or none" },
		{ "autotune.refault_rate", "0/s",
		  "'autotune.refault_rate' is '0/s': expected a rate such as 50k/s, 1/s or more, or none" },
		{ "faults.syscall_net", "true",
		  "'faults.syscall_net' is 'true': expected auto, on or off" },
		{ "tiers[0].type", "nbd",
		  "'tiers[].type' is 'nbd': expected file" },
		{ "tiers[0].path", "",
		  "'tiers[].path' is empty: expected a folder or a file" },
		{ "tiers[0].path", "/a\nb",
		  "'tiers[].path' is '/a?b': expected a path without a newline" },
		{ "tiers[0].max", "4K",
		  "'tiers[].max' is '4K': expected 0 or 1M or more" },
		{ "tiers[2].path", "/x",
		  "'tiers[2]' leaves a gap: expected tiers[1] next" },
		{ "tiers[4].path", "/x", "too many 'tiers': expected at most 4" },
		{ "regions[15].priority", "0", "too many 'regions': expected at most 15" },
		{ "regions[0].priority", "11",
		  "'regions[].priority' is '11': expected a whole number from -10 to 10" },
		{ "regions[0].priority", "1x",
		  "'regions[].priority' is '1x': expected a whole number from -10 to 10" },
		{ "regions[0].match.size", ">64M",
		  "'regions[].match.size' is '>64M': expected a range such as >=64M, <=1G or 64M..1G, or any" },
		{ "regions[0].match.size", "2G..1G",
		  "'regions[].match.size' is '2G..1G': expected a range such as >=64M, <=1G or 64M..1G, or any" },
		{ "regions[0].match.name", "",
		  "'regions[].match.name' is '': expected a pattern such as 'graph*', shorter than 64 bytes" },
		{ "eviction.plugin", "",
		  "'eviction.plugin' is empty: expected the path of a shared object" },
		{ "eviction.plugin", "libmine.so",
		  "'eviction.plugin' is 'libmine.so': expected an absolute path" },
		{ "prefetch.plugin", "/a\nb",
		  "'prefetch.plugin' is '/a?b': expected a path without a newline" },
		{ "eviction.params.active", "many",
		  "'eviction.params.active' is 'many': expected a whole number" },
		{ "eviction.params", "active",
		  "'eviction.params' has 'active': expected NAME=NUMBER" },
		{ "tiers[99999999999999999999].path", "/x",
		  "too many 'tiers': expected at most 4" },
	};
	struct em_config cfg, before;
	char err[256];

	em_config_init(&cfg);
	before = cfg;
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		is_int(em_config_set(&cfg, table[i].key, table[i].value, err,
				     sizeof(err)),
		       -EINVAL, "%s refuses '%s'", table[i].key,
		       table[i].value);
		is_str(err, table[i].message, "and says why");
	}
	ok(!memcmp(&cfg, &before, sizeof(cfg)), "nothing changed by all that");
}

static void test_long_values(void)
{
	struct em_config cfg;
	char path[EM_CONFIG_PATH_MAX + 1], err[256], out[EM_CONFIG_PATH_MAX];

	em_config_init(&cfg);
	memset(path, 'p', sizeof(path));
	path[EM_CONFIG_PATH_MAX] = '\0';
	is_int(em_config_set(&cfg, "tiers[0].path", path, err, sizeof(err)),
	       -EINVAL, "a path of %d bytes is too long", EM_CONFIG_PATH_MAX);
	has_str(err, "expected a path shorter than 1024 bytes", "and says so");
	has_str(err, "ppp...'", "with the path cut");
	ok(strlen(err) < 150, "so that the message stays short");
	path[EM_CONFIG_PATH_MAX - 1] = '\0';
	is_int(em_config_set(&cfg, "tiers[0].path", path, err, sizeof(err)), 0,
	       "one byte less is good");
	em_config_get(&cfg, "tiers[0].path", out, sizeof(out));
	is_str(out, path, "and comes back whole");
	is_int(em_config_set(&cfg, "limits.memory", path, err, sizeof(err)),
	       -EINVAL, "nor is it a size");
	is_int(em_config_set(&cfg, path, "1", err, sizeof(err)), -ENOENT,
	       "nor a key");
	is_int(em_config_set(&cfg, "limits.memory", "1\033[2Jx\177", err,
			     sizeof(err)),
	       -EINVAL, "control characters are no size");
	has_str(err, "'1?[2Jx?'", "and are not repeated");
	is_int(em_config_set(&cfg, "limits.memory", "x", NULL, 0), -EINVAL,
	       "no room for a message is no harm");
	memset(err, 'z', sizeof(err));
	em_config_set(&cfg, "limits.memory", "x", err, 8);
	is_str(err, "'limits", "a small room is kept to");
	is_int(err[8], 'z', "to the byte");
}

static void test_shown(void)
{
	char out[EM_SHOWN_MAX], word[80];

	is_str(em_shown("", out), "", "nothing stays nothing");
	is_str(em_shown("a\tb\n\033", out), "a?b??", "controls are hidden");
	memset(word, 'w', sizeof(word));
	word[63] = '\0';
	is_str(em_shown(word, out), word, "63 bytes are shown whole");
	word[63] = 'w';
	word[64] = '\0';
	is_int(strlen(em_shown(word, out)), 63, "64 are cut");
	is_str(out + 60, "...", "and it shows");
	memcpy(word + 58, "\xe2\x82\xac\xe2\x82", 5);
	is_str(em_shown(word, out) + 58, "...", "never inside a character");
}

static void test_unknown_keys(void)
{
	static const struct {
		const char *key, *nearest;
	} table[] = {
		{ "limits.memroy", "limits.memory" },
		{ "limit.memory", "limits.memory" },
		{ "memory", "limits.memory" },
		{ "limits.memory ", "limits.memory" },
		{ "Limits.Memory", "limits.memory" },
		{ "eviction.low", "watermarks.low" },
		{ "eviction.algorith", "eviction.algorithm" },
		{ "evict.granule", "eviction.granule" },
		{ "prefetch.read_ahead", "prefetch.readahead" },
		{ "tiers.path", "tiers[].path" },
		{ "tiers[].path", "tiers[].path" },
		{ "tiers[0].pth", "tiers[].path" },
		{ "tiers[x].path", "tiers[].path" },
		{ "tiers[0]path", "tiers[].path" },
		{ "tiers[-1].max", "tiers[].max" },
	};
	struct em_config cfg;
	char err[256], want[256], out[32];

	em_config_init(&cfg);
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		is_int(em_config_set(&cfg, table[i].key, "1", err, sizeof(err)),
		       -ENOENT, "there is no '%s'", table[i].key);
		snprintf(want, sizeof(want),
			 "unknown key '%s', did you mean '%s'?", table[i].key,
			 table[i].nearest);
		is_str(err, want, "but there is '%s'", table[i].nearest);
		is_int(em_config_get(&cfg, table[i].key, out, sizeof(out)),
		       -ENOENT, "nor can it be read");
	}
	is_int(em_config_get(&cfg, "tiers[1].path", out, sizeof(out)), -ENOENT,
	       "a tier that is not there cannot be read");
	is_int(em_config_set(&cfg, "", "1", err, sizeof(err)), -ENOENT,
	       "the empty key is none");
}

static void test_edit_distance(void)
{
	static const struct {
		const char *a, *b;
		unsigned int distance;
	} table[] = {
		{ "", "", 0 }, { "a", "", 1 }, { "", "abc", 3 },
		{ "low", "low", 0 }, { "kitten", "sitting", 3 },
		{ "memroy", "memory", 2 }, { "abc", "bc", 1 },
		{ "flaw", "lawn", 2 },
	};
	char long_word[200];

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		is_int(em_edit_distance(table[i].a, table[i].b),
		       table[i].distance, "from '%s' to '%s'", table[i].a,
		       table[i].b);
		is_int(em_edit_distance(table[i].b, table[i].a),
		       table[i].distance, "and back");
	}
	memset(long_word, 'x', sizeof(long_word) - 1);
	long_word[sizeof(long_word) - 1] = '\0';
	is_int(em_edit_distance(long_word, ""), 63, "63 letters count");
}

static void test_check(void)
{
	static const struct {
		const char *limit, *low, *high, *standby;
		const char *blamed; /* in the message; NULL when all is well */
	} table[] = {
		{ "auto", "2%", "6%", "6%", NULL },
		{ "auto", "6%", "6%", "6%", "'watermarks.low' is '6%'" },
		{ "auto", "7%", "6%", "6%", "'watermarks.high' is '6%'" },
		{ "auto", "64M", "6%", "6%", NULL },
		{ "auto", "64M", "32M", "6%", "'watermarks.low' is '64M'" },
		{ "auto", "32M", "64M", "6%", NULL },
		{ "1G", "64M", "6%", "6%", "expected the low one below" },
		{ "1G", "61M", "6%", "6%", NULL },
		{ "1G", "2%", "16M", "6%", "'watermarks.low' is '2%'" },
		{ "1G", "2%", "32M", "6%", NULL },
		{ "50%", "2%", "16M", "6%", NULL },
		{ "auto", "2%", "25%", "50%", NULL },
		{ "auto", "2%", "25.1%", "50%", "'eviction.standby' is '50%'" },
		{ "100M", "2%", "6%", "60M", NULL },
		{ "100M", "2%", "6%", "80M", "at most 75% of 'limits.memory'" },
		{ "100M", "2%", "50M", "26M", "'watermarks.high' is '50M'" },
		{ "100M", "2%", "50M", "25%", NULL },
		{ "100M", "2%", "50%", "26M", "'eviction.standby' is '26M'" },
		{ "8388609", "2%", "50%", "25%", NULL },
		{ "100M", "2%", "17592186044415M", "17592186044415M",
		  "at most 75%" },
	};
	struct em_config cfg;
	char err[256];

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		int bad;

		em_config_init(&cfg);
		bad = em_config_set(&cfg, "limits.memory", table[i].limit, err,
				    sizeof(err)) |
		      em_config_set(&cfg, "watermarks.low", table[i].low, err,
				    sizeof(err)) |
		      em_config_set(&cfg, "watermarks.high", table[i].high, err,
				    sizeof(err)) |
		      em_config_set(&cfg, "eviction.standby", table[i].standby,
				    err, sizeof(err));
		is_int(bad, 0, "row %zu is set", i);
		is_int(em_config_check(&cfg, err, sizeof(err)),
		       table[i].blamed ? -EINVAL : 0,
		       "limit %s, low %s, high %s, standby %s", table[i].limit,
		       table[i].low, table[i].high, table[i].standby);
		if (table[i].blamed)
			has_str(err, table[i].blamed, "and says so");
	}
	em_config_init(&cfg);
	cfg.tier_count = 0;
	is_int(em_config_check(&cfg, err, sizeof(err)), -EINVAL, "no tiers");
	is_str(err, "'tiers' is empty: expected at least one tier", "is said");
}

/* A configuration in which no key has its default. */
static void fill(struct em_config *cfg)
{
	static const char *const settings[][2] = {
		{ "limits.memory", "12.5%" },
		{ "limits.on_full", "abort" },
		{ "watermarks.low", "1234567" },
		{ "watermarks.high", "7.5%" },
		{ "manage.min_size", "1M" },
		{ "manage.heap", "false" },
		{ "eviction.algorithm", "clock" },
		{ "eviction.way_out", "move" },
		{ "eviction.granule", "64K" },
		{ "eviction.standby", "33M" },
		{ "prefetch.readahead", "0" },
		{ "faults.delivery", "signal" },
		{ "faults.syscall_net", "off" },
		{ "tiers[0].path", " /with = and blanks " },
		{ "tiers[0].max", "8G" },
		{ "tiers[1].path", "/second" },
		{ "tiers[2].max", "3M" },
	};

	em_config_init(cfg);
	for (size_t i = 0; i < sizeof(settings) / sizeof(*settings); i++)
		is_int(em_config_set(cfg, settings[i][0], settings[i][1], NULL,
				     0),
		       0, "%s=%s", settings[i][0], settings[i][1]);
}

static void test_dump_and_load(void)
{
	struct em_config cfg, back;
	char text[6144], again[6144], err[256];
	int n;

	em_config_init(&cfg);
	n = em_config_dump(&cfg, text, sizeof(text));
	is_int(n, strlen(text), "a dump says its length");
	has_str(text, "limits.memory=auto\nlimits.on_full=grow\n",
		"one key a line");
	has_str(text, "tiers[0].path=/var/tmp\n", "and the tiers");

	fill(&cfg);
	is_int(cfg.tier_count, 3, "three tiers");
	is_str(cfg.tiers[2].path, "/var/tmp", "a new tier begins with defaults");
	n = em_config_dump(&cfg, text, sizeof(text));
	for (int i = 0; i < 2; i++) {
		/* Over defaults, and over a configuration with more tiers. */
		em_config_init(&back);
		for (int tier = 0; i && tier < EM_CONFIG_TIERS_MAX; tier++) {
			char key[32];

			snprintf(key, sizeof(key), "tiers[%d].max", tier);
			em_config_set(&back, key, "1T", NULL, 0);
		}
		is_int(em_config_load(&back, text, err, sizeof(err)), 0,
		       "it loads");
		is_str(err, "", "without a word");
		is_int(em_config_dump(&back, again, sizeof(again)), n,
		       "and dumps");
		is_str(again, text, "the same again");
	}
	is_int(memcmp(&cfg.limit, &back.limit, sizeof(cfg.limit)), 0, "limit");
	is_int(back.tier_count, cfg.tier_count, "tiers");
	is_str(back.tiers[0].path, " /with = and blanks ", "path, blanks and all");

	is_int(em_config_dump(&cfg, again, (size_t)n + 1), n, "just enough room");
	is_int(em_config_dump(&cfg, again, (size_t)n), -ENOSPC, "one too few");
	is_int(em_config_dump(&cfg, again, 0), -ENOSPC, "none at all");
	strcpy(cfg.tiers[0].path, "/a\nlimits.memory=1T");
	is_int(em_config_dump(&cfg, again, sizeof(again)), -EINVAL,
	       "a newline in a path would forge a line");
}

/* The largest configuration fits where the library keeps it (segment.h). */
static void test_dump_largest(void)
{
	struct em_config cfg;
	char path[EM_CONFIG_PATH_MAX], key[32], text[6144];

	fill(&cfg);
	memset(path, 'p', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	for (int i = 0; i < EM_CONFIG_TIERS_MAX; i++) {
		snprintf(key, sizeof(key), "tiers[%d].path", i);
		em_config_set(&cfg, key, path, NULL, 0);
	}
	ok(em_config_dump(&cfg, text, sizeof(text)) > 4 * 1023,
	   "four tiers with the longest paths fit in 6144 bytes");
}

static void test_load_errors(void)
{
	static const struct {
		const char *text;
		int rc;
		const char *message;
	} table[] = {
		{ "", 0, "" },
		{ "\n\n", 0, "" },
		{ "limits.memory=8M", 0, "" },
		{ "limits.memory=8M\nlimits.memory=9M\n", 0, "" },
		{ "limits.memory", -EINVAL, "expected key=value" },
		{ "\nlimits.memory=x\n", -EINVAL,
		  "'limits.memory' is 'x': expected a size such as 512M or 1.5G, a percentage such as 25%, or auto" },
		{ "manage.heap=true\nmanage.heep=1\n", -ENOENT,
		  "unknown key 'manage.heep', did you mean 'manage.heap'?" },
		{ "manage.heap=true\r\n", -EINVAL,
		  "'manage.heap' is 'true?': expected true or false" },
		{ "tiers[1].path=/x\n", -EINVAL,
		  "'tiers[1]' leaves a gap: expected tiers[0] next" },
		{ "=1\n", -ENOENT, NULL },
		{ "0123456789012345678901234567890123456789012345678901234567890123=1",
		  -EINVAL,
		  "too long: expected fewer than 64 bytes of key and 1024 of value" },
	};
	struct em_config cfg;
	char err[256], huge[EM_CONFIG_PATH_MAX + 32] = "tiers[0].path=";

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		em_config_init(&cfg);
		is_int(em_config_load(&cfg, table[i].text, err, sizeof(err)),
		       table[i].rc, "load row %zu", i);
		if (table[i].message)
			is_str(err, table[i].message, "and what it says");
		is_int(em_config_load(&cfg, table[i].text, NULL, 0),
		       table[i].rc, "the same without room for a message");
	}
	memset(huge + 14, 'h', EM_CONFIG_PATH_MAX);
	is_int(em_config_load(&cfg, huge, err, sizeof(err)), -EINVAL,
	       "a line too long is refused");
	em_config_load(&cfg, "manage.heap", err, 4);
	is_str(err, "exp", "a small room is kept to");
}

/* ---- the table and the manual ---------------------------------------- */

static void test_table(void)
{
	size_t n = 0;

	for (const struct em_option *o = em_options; o->key; o++, n++) {
		const struct em_config_list *list = em_config_list_of(o);
		size_t room = list ? list->item_bytes : sizeof(struct em_config);

		ok(o->offset < room, "%s lies in its struct", o->key);
		ok(strlen(o->key) < 48 && strchr(o->key, '.'),
		   "%s is a dotted key", o->key);
		ok(o->help && *o->help && o->help[strlen(o->help) - 1] != '.' &&
			   strlen(o->help) < 72,
		   "%s has one line of help without full stop", o->key);
		is_int(!!o->choices,
		       o->type == EM_OPT_ENUM || o->type == EM_OPT_NAME ||
			       o->type == EM_OPT_ALGORITHM,
		       "%s has choices if it should", o->key);
		is_int(!!(o->flags & EM_OPT_PERCENT), !!o->max_permille,
		       "%s has a range if it takes percentages", o->key);
		for (const struct em_option *p = o + 1; p->key; p++)
			ok(strcmp(o->key, p->key), "%s is not %s", o->key,
			   p->key);
	}
	is_int(n, 42, "42 options");
}

static char *read_manual(void)
{
	char path[4096];
	FILE *f;
	char *text;

	snprintf(path, sizeof(path), "%s/man/extmem-policy.5", source_dir());
	f = fopen(path, "re");
	if (!ok(f, "'%s' is there", path))
		return NULL;
	text = calloc(1, 1 << 18);
	ok(fread(text, 1, (1 << 18) - 1, f) > 0, "and can be read");
	fclose(f);
	return text;
}

/* The entry of one key: from its heading to the next one. */
static char *manual_entry(const char *manual, const char *key)
{
	char heading[96];
	const char *at, *end, *section;

	snprintf(heading, sizeof(heading), "\n.TP\n.B %s\n", key);
	at = strstr(manual, heading);
	if (!at)
		return NULL;
	at += strlen(heading);
	end = strstr(at, "\n.TP\n");
	section = strstr(at, "\n.S");
	if (!end || (section && section < end))
		end = section;
	return end ? strndup(at, (size_t)(end - at + 1)) : strdup(at);
}

/* "word" in bold, alone or with punctuation after it. */
static bool has_bold(const char *entry, const char *word)
{
	char alone[80], followed[80];

	snprintf(alone, sizeof(alone), ".B %s\n", word);
	snprintf(followed, sizeof(followed), ".BR %s ", word);
	return strstr(entry, alone) || strstr(entry, followed);
}

static void check_entry(const struct em_option *o, const char *entry)
{
	char text[64], *choices = strdup(o->choices ? o->choices : "");

	if (o->type == EM_OPT_PARAMS || o->type == EM_OPT_PLUGIN || !*o->def)
		strcpy(text, "Default: none.\n");
	else
		snprintf(text, sizeof(text), "Default:\n.BR %s .\n", o->def);
	has_str(entry, text, "the manual knows the default of %s", o->key);
	for (char *c = strtok(choices, "|"); c; c = strtok(NULL, "|"))
		ok(has_bold(entry, c), "and its choice %s", c);
	free(choices);
	em_format_bytes(o->min, text, sizeof(text));
	if (o->type == EM_OPT_RATE)
		strcat(text, "/s");
	if (o->min)
		ok(has_bold(entry, text), "and its least value %s", text);
	em_format_bytes(o->max, text, sizeof(text));
	if (o->max)
		ok(has_bold(entry, text), "and its greatest value %s", text);
	snprintf(text, sizeof(text), "%g%%", o->max_permille / 10.0);
	if (o->max_permille)
		ok(has_bold(entry, text), "and its greatest share %s", text);
	snprintf(text, sizeof(text), "%d", o->high);
	if (o->type == EM_OPT_INT)
		ok(has_bold(entry, text), "and its greatest number %s", text);
	if (o->flags & EM_OPT_AUTO_OK)
		ok(has_bold(entry, "auto"), "and that it may be auto");
	if (o->flags & EM_OPT_POW2)
		has_str(entry, "power of two", "and that it is a power of two");
}

static void test_manual(void)
{
	char *manual = read_manual(), *entry;
	unsigned int entries = 0, options = 0;
	const char *keys, *end;

	if (!manual)
		return;
	for (const struct em_option *o = em_options; o->key; o++, options++) {
		entry = manual_entry(manual, o->key);
		if (ok(entry, "the manual has %s", o->key))
			check_entry(o, entry);
		free(entry);
	}
	keys = strstr(manual, "\n.SH KEYS\n");
	if (!ok(keys, "the manual has a section KEYS"))
		return;
	end = strstr(keys + 1, "\n.SH ");
	for (const char *p = keys; (p = strstr(p, "\n.TP\n.B ")) && p < end;
	     entries++) {
		char key[64] = "";
		bool known = false;

		p += strlen("\n.TP\n.B ");
		snprintf(key, sizeof(key), "%.*s", (int)strcspn(p, "\n"), p);
		for (const struct em_option *o = em_options; o->key; o++)
			known |= !strcmp(o->key, key);
		ok(known || !strcmp(key, "version"),
		   "the manual's '%s' is a key", key);
	}
	is_int(entries, options + 1, "every key once, and version");
	free(manual);
}

/* ---- the algorithms' tables and the manual --------------------------- */

static void check_parameter(const struct extmem_eviction *e, const char *entry,
			    const struct extmem_param *p)
{
	char text[256];

	snprintf(text, sizeof(text),
		 "\nParameter\n.BR %s :\n%s, from\n.B %lld%s\nto\n.BR %lld%s .\n"
		 "Default:\n.BR %lld%s .\n", p->name, p->help, (long long)p->min,
		 p->unit, (long long)p->max, p->unit, (long long)p->def, p->unit);
	has_str(entry, text, "the manual has %s of %s", p->name, e->name);
}

static void test_manual_algorithms(void)
{
	char *manual = read_manual(), *entry, choices[256] = "";
	const struct em_option *o = em_options;

	for (size_t i = 0; manual && extmem_evictions[i]; i++) {
		const struct extmem_eviction *e = extmem_evictions[i];
		int parameters = 0;

		strcat(strcat(choices, i ? "|" : ""), e->name);
		entry = manual_entry(manual, e->name);
		if (!ok(entry, "the manual has %s", e->name))
			continue;
		for (const struct extmem_param *p = e->params; p && p->name; p++, parameters++)
			check_parameter(e, entry, p);
		for (const char *p = entry; (p = strstr(p, "\nParameter\n")); p++)
			parameters--;
		is_int(parameters, 0, "and no other parameter");
		has_str(entry, strrchr(e->paper, ' ') + 1, "and the year or page of its paper");
		free(entry);
	}
	while (strcmp(o->key, "eviction.algorithm"))
		o++;
	is_str(o->choices, choices, "the choices are the registered algorithms");
	free(manual);
}

int main(void)
{
	test_parse_bytes();
	test_format_bytes();
	test_defaults();
	test_good_values();
	test_bad_values();
	test_long_values();
	test_shown();
	test_unknown_keys();
	test_edit_distance();
	test_check();
	test_dump_and_load();
	test_dump_largest();
	test_load_errors();
	test_table();
	test_manual();
	test_manual_algorithms();
	return done_testing();
}
