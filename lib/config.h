/* SPDX-License-Identifier: MIT
 *
 * config: what a policy file, the command line and the environment may say,
 * as one struct, driven by one table.
 *
 * The table in config.c names every key once: its dotted name, type, range,
 * default and one line of help. The YAML reader (yaml.h), `extmem policy
 * show`, the checks against the manual and the library's own start all walk
 * that table, so there is one place to add an option.
 *
 * `extmem run` reads the YAML and hands the result to the library as text in
 * EXTMEM_CONFIG: one `key=value` a line. The preloaded library therefore never
 * parses YAML.
 */
#ifndef EM_CONFIG_H
#define EM_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EM_CONFIG_ENV "EXTMEM_CONFIG"
/* Bytes: what a limit that is a share or auto came to when `extmem run` looked. */
#define EM_LIMIT_ENV "EXTMEM_LIMIT"
/* The least limits.memory: below it a program does nothing but fault. */
#define EM_LIMIT_MIN_BYTES (UINT64_C(8) << 20)
#define EM_CONFIG_PATH_MAX 1024
#define EM_CONFIG_NAME_MAX 32
#define EM_CONFIG_TEXT_MAX 64
#define EM_CONFIG_TIERS_MAX 4
#define EM_CONFIG_REGIONS_MAX 15
#define EM_CONFIG_PARAMS_MAX 8
/* Most that a whole configuration takes as text. */
#define EM_CONFIG_DUMP_MAX 16384

/* A size as it was given: bytes, a share of something, or "auto". */
enum em_size_kind { EM_SIZE_BYTES, EM_SIZE_PERMILLE, EM_SIZE_AUTO };

struct em_size {
	enum em_size_kind kind;
	uint64_t value; /* bytes, or thousandths (2.5% is 25) */
};

enum em_tristate { EM_AUTO, EM_ON, EM_OFF };
enum em_delivery { EM_DELIVERY_AUTO, EM_DELIVERY_SIGNAL, EM_DELIVERY_THREAD };
enum em_way_out { EM_OUT_AUTO, EM_OUT_COPY, EM_OUT_MOVE };
enum em_on_full { EM_FULL_GROW, EM_FULL_ABORT };

struct em_tier_config {
	char type[EM_CONFIG_NAME_MAX]; /* "file" */
	char path[EM_CONFIG_PATH_MAX]; /* a directory, or a file to create in */
	uint64_t max_bytes;            /* 0: as much as the file system has */
};

/* Bytes, both ends included; max is UINT64_MAX where there is no bound. */
struct em_range_config {
	uint64_t min, max;
};

/* Settings of an algorithm by name, as far as they are given. */
struct em_params {
	unsigned int count;
	struct {
		char name[24];
		int64_t value;
	} list[EM_CONFIG_PARAMS_MAX];
};

enum em_manage { EM_MANAGE_ALWAYS, EM_MANAGE_NEVER };

/* A rule: which mappings it is for, and what holds for them. */
struct em_region_config {
	struct em_range_config size;        /* match.size */
	char source[EM_CONFIG_NAME_MAX];    /* match.source */
	char name[EM_CONFIG_TEXT_MAX];      /* match.name, a pattern of fnmatch(3) */
	char caller[EM_CONFIG_TEXT_MAX];    /* match.caller, likewise */
	char prot[EM_CONFIG_NAME_MAX];      /* match.prot */
	char hint[EM_CONFIG_NAME_MAX];      /* match.hint */
	enum em_manage manage;
	int priority;
	bool pin;
	struct em_size min, max;
	char algorithm[EM_CONFIG_PATH_MAX]; /* eviction.algorithm, "inherit", or eviction.plugin */
	struct em_params params;            /* eviction.params */
	char prefetcher[EM_CONFIG_NAME_MAX]; /* prefetch.algorithm, or "inherit" */
};

struct em_config {
	struct em_size limit;              /* limits.memory */
	enum em_on_full on_full;           /* limits.on_full */
	struct em_size low;                /* watermarks.low */
	struct em_size high;               /* watermarks.high */
	uint64_t min_size_bytes;           /* manage.min_size */
	bool heap;                         /* manage.heap */
	char algorithm[EM_CONFIG_PATH_MAX]; /* eviction.algorithm, or eviction.plugin */
	struct em_params params;           /* eviction.params */
	enum em_way_out way_out;           /* eviction.way_out */
	uint64_t granule_bytes;            /* eviction.granule */
	struct em_size standby;            /* eviction.standby */
	int spare;                         /* eviction.spare */
	char prefetcher[EM_CONFIG_PATH_MAX]; /* prefetch.algorithm, or prefetch.plugin */
	struct em_params prefetch_params;  /* prefetch.params */
	uint64_t readahead_bytes;          /* prefetch.readahead */
	char recording[EM_CONFIG_PATH_MAX]; /* prefetch.recording; may be empty */
	enum em_delivery delivery;         /* faults.delivery */
	enum em_tristate syscall_net;      /* faults.syscall_net */
	uint64_t io_bandwidth;             /* quotas.io_bandwidth, bytes a second; 0: none */
	uint64_t fault_rate;               /* quotas.faults, a second; 0: none */
	uint64_t refault_rate;             /* autotune.refault_rate, a second; 0: off */
	struct em_size tune_min;           /* autotune.min */
	struct em_tier_config tiers[EM_CONFIG_TIERS_MAX];
	unsigned int tier_count;
	struct em_region_config regions[EM_CONFIG_REGIONS_MAX];
	unsigned int region_count;
};

/* The types that a key may have. */
enum em_option_type {
	EM_OPT_SIZE,    /* struct em_size: 512M, 25%, auto as its flags allow */
	EM_OPT_BYTES,   /* uint64_t: 64K */
	EM_OPT_BOOL,    /* bool: true, false */
	EM_OPT_NAME,    /* char[EM_CONFIG_NAME_MAX]: one of its choices */
	EM_OPT_ENUM,    /* int-sized enum: position in its choices */
	EM_OPT_PATH,    /* char[EM_CONFIG_PATH_MAX] */
	EM_OPT_TEXT,    /* char[EM_CONFIG_TEXT_MAX] */
	EM_OPT_INT,     /* int: between low and high */
	EM_OPT_RANGE,   /* struct em_range_config: >=64M, <=1G, 64M..1G, any */
	EM_OPT_RATE,    /* uint64_t a second: 200M/s, 50k/s; none, which is 0 */
	EM_OPT_PARAMS,  /* struct em_params: active=50 ghosts=100; in YAML a mapping */
	/*
	 * char[EM_CONFIG_PATH_MAX], which two keys share: one of its choices, or
	 * the absolute path of a plug-in. The key that does not hold is empty.
	 */
	EM_OPT_ALGORITHM,
	EM_OPT_PLUGIN,
};

enum {
	EM_OPT_PERCENT = 1, /* a percentage will do, too */
	EM_OPT_AUTO_OK = 2, /* and so will auto */
	EM_OPT_PAGES = 4,   /* a multiple of 4K */
	EM_OPT_POW2 = 8,    /* a power of two */
	EM_OPT_ZERO_OK = 16, /* 0 has a meaning of its own, outside the range */
	EM_OPT_COUNT = 64,  /* a rate of things, in thousands, and not of bytes */
	EM_OPT_LIVE = 32,   /* `extmem policy apply` may change it */
	EM_OPT_PREFETCHES = 128, /* the plug-in is a prefetcher */
	EM_OPT_EMPTY_OK = 256, /* a path that need not be */
};

struct em_option {
	const char *key;       /* "limits.memory"; "tiers[].path" in a list */
	enum em_option_type type;
	unsigned int flags;
	size_t offset;         /* in em_config, or in an item of the list */
	const char *def;       /* the default, in the words a user would write */
	const char *choices;   /* "fifo|clock|lru", or NULL */
	uint64_t min, max;     /* range in bytes; a max of 0 is no bound */
	unsigned int min_permille, max_permille; /* range of a percentage */
	int low, high;         /* range of an EM_OPT_INT */
	const char *help;      /* one line, no full stop */
};

/* All options; ends with a NULL key. */
extern const struct em_option em_options[];

/* What there can be several of: their options' keys begin with the prefix. */
struct em_config_list {
	const char *prefix;    /* "tiers[]." */
	size_t offset;         /* of the first item in em_config */
	size_t item_bytes;
	size_t count_offset;   /* of an unsigned int in em_config */
	unsigned int max;
	const char *one;       /* "tier": an item, in messages */
};

/* All lists; ends with a NULL prefix. */
extern const struct em_config_list em_config_lists[];

/* The list that an option's key belongs to, or NULL. */
const struct em_config_list *em_config_list_of(const struct em_option *o);
/* How many items of a list cfg has. */
unsigned int em_config_count(const struct em_config *cfg,
			     const struct em_config_list *list);
/* The key that shares the option's field, algorithm and plugin; or NULL. */
const struct em_option *em_config_twin(const struct em_option *o);
/* Whether a value as it was got says something: not that of the twin in force. */
bool em_config_is_said(const struct em_option *o, const char *value);
/* The algorithm that a rule comes to, its own or the one for all. */
const char *em_config_algorithm(const struct em_config *cfg,
				const struct em_region_config *r);
/* Empties a list. */
void em_config_clear(struct em_config *cfg, const struct em_config_list *list);
/*
 * Adds an item that has defaults. -EINVAL, with a message, when there are as
 * many as there may be.
 */
int em_config_add(struct em_config *cfg, const struct em_config_list *list,
		  char *err, size_t err_bytes);
/*
 * Whether a change from one configuration to the other can be made while the
 * program runs: 0, or -EINVAL with the key that cannot in the message.
 */
int em_config_check_live(const struct em_config *from, const struct em_config *to,
			 char *err, size_t err_bytes);

/*
 * Who is asked of each plug-in that is set (em_config_set() and all that sets):
 * 0, perhaps with another path for the same file, or -errno and why not. At
 * first nobody: every absolute path will do. Before there are threads.
 */
typedef int em_plugin_judge(bool prefetches, char path[EM_CONFIG_PATH_MAX], char *err,
			    size_t err_bytes);
void em_config_judge_plugins(em_plugin_judge *judge);

/* The value of each parameter of a table (or NULL), as given or else by default. */
struct extmem_param;
void em_params_fill(const struct em_params *given, const struct extmem_param *table,
		    int64_t *values);

/* Fills in every default. Never allocates; as all functions here. */
void em_config_init(struct em_config *cfg);

/*
 * Sets one key ("limits.memory", "tiers[0].path", "eviction.params.active")
 * from text. The key of an item after the last one adds it, with defaults for
 * its other keys.
 * Returns 0, or -EINVAL with a message that says what was found and what
 * would do (no position; the caller knows it), or -ENOENT for an unknown key,
 * with the nearest known key in the message. cfg is changed on success only.
 */
int em_config_set(struct em_config *cfg, const char *key, const char *value,
		  char *err, size_t err_bytes);

/*
 * Rules across keys (low < high, at least one tier ...). As em_config_set;
 * the message quotes every key it is about by its full name. What cannot be
 * compared yet (bytes with a share of an unknown limit) passes: whoever
 * resolves or overrides a value checks again.
 */
int em_config_check(const struct em_config *cfg, char *err, size_t err_bytes);

/*
 * One key's value as canonical text ("512M", "2.5%", "lru"). Returns the
 * length, as snprintf does, or -ENOENT for an unknown key or an item that is
 * not there.
 */
int em_config_get(const struct em_config *cfg, const char *key, char *out,
		  size_t out_bytes);

/*
 * All keys as `key=value` lines, as em_config_load takes them; those of regions
 * only where they are not the default. Returns the length, -ENOSPC, or -EINVAL
 * for a path with a newline in it, which a line cannot hold.
 */
int em_config_dump(const struct em_config *cfg, char *out, size_t out_bytes);
/*
 * Reads such lines over what cfg holds; a list replaces that of cfg. Returns as
 * em_config_set; cfg is then half changed. Does not em_config_check(). The
 * library calls it before there is a heap.
 */
int em_config_load(struct em_config *cfg, const char *text, char *err,
		   size_t err_bytes);

/*
 * "64K", "1.5G", "4096" to bytes, a fraction of a byte dropped; -EINVAL.
 * Suffixes K M G T, KiB, KB (1024), in either case.
 */
int em_parse_bytes(const char *text, uint64_t *bytes);
/* Exact and short: 1536 is "1536", 65536 is "64K". */
int em_format_bytes(uint64_t bytes, char *out, size_t out_bytes);

#define EM_SHOWN_MAX 64
/* A word as messages repeat it: at most 63 bytes, without control characters. */
const char *em_shown(const char *word, char out[EM_SHOWN_MAX]);
/*
 * How many letters must be added, removed or changed to make one word of the
 * other; of each, the first 63 letters count. For "did you mean".
 */
unsigned int em_edit_distance(const char *a, const char *b);
/*
 * The known key nearest to a dotted one ("tiers[].path" for tiers), and how
 * far it is. A key known in another section counts as near.
 */
const char *em_config_nearest(const char *key, unsigned int *distance);

#endif
