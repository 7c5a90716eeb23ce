/* SPDX-License-Identifier: MIT
 *
 * The table of options, and everything that walks it.
 *
 * The preloaded library runs this before the program has a heap, perhaps in
 * the first call to malloc itself. So nothing here allocates, and of libc only
 * string functions and snprintf with integers and strings are used.
 */
#include "config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define KIB (UINT64_C(1) << 10)
#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)
#define PAGE_BYTES (4 * KIB)

#define TIERS "tiers[]."
#define KEY_MAX 64

#define IN_CONFIG(field) offsetof(struct em_config, field)
#define IN_TIER(field) offsetof(struct em_tier_config, field)

const struct em_option em_options[] = {
	{
		.key = "limits.memory",
		.type = EM_OPT_SIZE,
		.flags = EM_OPT_PERCENT | EM_OPT_AUTO_OK,
		.offset = IN_CONFIG(limit),
		.def = "auto",
		.min = 8 * MIB,
		.min_permille = 1,
		.max_permille = 1000,
		.help = "memory that the program's managed pages may fill",
	},
	{
		.key = "limits.on_full",
		.type = EM_OPT_ENUM,
		.offset = IN_CONFIG(on_full),
		.def = "grow",
		.choices = "grow|abort",
		.help = "what to do when every tier is full",
	},
	{
		.key = "watermarks.low",
		.type = EM_OPT_SIZE,
		.flags = EM_OPT_PERCENT,
		.offset = IN_CONFIG(low),
		.def = "2%",
		.min = PAGE_BYTES,
		.min_permille = 1,
		.max_permille = 500,
		.help = "free memory below the limit at which reclaim starts",
	},
	{
		.key = "watermarks.high",
		.type = EM_OPT_SIZE,
		.flags = EM_OPT_PERCENT,
		.offset = IN_CONFIG(high),
		.def = "6%",
		.min = PAGE_BYTES,
		.min_permille = 1,
		.max_permille = 500,
		.help = "free memory below the limit at which reclaim stops",
	},
	{
		.key = "manage.min_size",
		.type = EM_OPT_BYTES,
		.flags = EM_OPT_PAGES,
		.offset = IN_CONFIG(min_size_bytes),
		.def = "64K",
		.min = PAGE_BYTES,
		.max = GIB,
		.help = "smaller mappings are left to the kernel",
	},
	{
		.key = "manage.heap",
		.type = EM_OPT_BOOL,
		.offset = IN_CONFIG(heap),
		.def = "true",
		.help = "whether memory from malloc is managed",
	},
	{
		.key = "eviction.algorithm",
		.type = EM_OPT_NAME,
		.offset = IN_CONFIG(algorithm),
		.def = "lru",
		.choices = "fifo|clock|lru|2q|car|s3fifo|sieve|clock2q+|lirs|mru|random|"
			   "hyperbolic",
		.help = "how pages to evict are chosen",
	},
	{
		.key = "eviction.way_out",
		.type = EM_OPT_ENUM,
		.offset = IN_CONFIG(way_out),
		.def = "auto",
		.choices = "auto|copy|move",
		.help = "how pages leave: copied and dropped, or moved",
	},
	{
		.key = "eviction.granule",
		.type = EM_OPT_BYTES,
		.flags = EM_OPT_POW2,
		.offset = IN_CONFIG(granule_bytes),
		.def = "128K",
		.min = PAGE_BYTES,
		.max = 256 * KIB,
		.help = "run of neighbouring pages that is evicted as one",
	},
	{
		.key = "eviction.standby",
		.type = EM_OPT_SIZE,
		.flags = EM_OPT_PERCENT,
		.offset = IN_CONFIG(standby),
		.def = "6%",
		.min = PAGE_BYTES,
		.min_permille = 10,
		.max_permille = 500,
		.help = "part of the limit for pages that left but can come back",
	},
	{
		.key = "prefetch.algorithm",
		.type = EM_OPT_NAME,
		.offset = IN_CONFIG(prefetcher),
		.def = "stride",
		.choices = "none|readahead|stride|leap|markov",
		.help = "what is read before it is touched",
	},
	{
		.key = "prefetch.readahead",
		.type = EM_OPT_BYTES,
		.flags = EM_OPT_POW2 | EM_OPT_ZERO_OK,
		.offset = IN_CONFIG(readahead_bytes),
		.def = "256K",
		.min = PAGE_BYTES,
		.max = 256 * KIB,
		.help = "most that one sequential major fault reads; 0 is off",
	},
	{
		.key = "faults.delivery",
		.type = EM_OPT_ENUM,
		.offset = IN_CONFIG(delivery),
		.def = "auto",
		.choices = "auto|signal|thread",
		.help = "how faults reach the library",
	},
	{
		.key = "faults.syscall_net",
		.type = EM_OPT_ENUM,
		.offset = IN_CONFIG(syscall_net),
		.def = "auto",
		.choices = "auto|on|off",
		.help = "whether system calls inside libc are watched",
	},
	{
		.key = TIERS "type",
		.type = EM_OPT_NAME,
		.offset = IN_TIER(type),
		.def = "file",
		.choices = "file",
		.help = "kind of store",
	},
	{
		.key = TIERS "path",
		.type = EM_OPT_PATH,
		.offset = IN_TIER(path),
		.def = "/var/tmp",
		.help = "folder to keep evicted pages in, or a file in it",
	},
	{
		.key = TIERS "max",
		.type = EM_OPT_BYTES,
		.flags = EM_OPT_ZERO_OK,
		.offset = IN_TIER(max_bytes),
		.def = "0",
		.min = MIB,
		.help = "most that the tier holds; 0 is all that is free there",
	},
	{ .key = NULL },
};

/* One option as it stands in one configuration. */
struct slot {
	const struct em_option *opt;
	int tier; /* -1 outside the list of tiers */
};

/* ---- messages -------------------------------------------------------- */

/* Puts a message in err; returns code, so that a refusal is one line. */
__attribute__((format(printf, 4, 5))) static int
refuse(int code, char *err, size_t err_bytes, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(err, err_bytes, format, ap);
	va_end(ap);
	return code;
}

const char *em_shown(const char *word, char out[EM_SHOWN_MAX])
{
	size_t n = strnlen(word, EM_SHOWN_MAX);
	bool cut = n == EM_SHOWN_MAX;

	/* Cut before a character of UTF-8, not inside one. */
	if (cut)
		for (n -= 4; n && ((unsigned char)word[n] & 0xc0) == 0x80;)
			n--;
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)word[i];

		out[i] = c < 0x20 || c == 0x7f ? '?' : (char)c;
	}
	memcpy(out + n, cut ? "..." : "", cut ? 4 : 1);
	return out;
}

unsigned int em_edit_distance(const char *a, const char *b)
{
	size_t a_len = strnlen(a, KEY_MAX - 1), b_len = strnlen(b, KEY_MAX - 1);
	unsigned int row[KEY_MAX];

	for (size_t j = 0; j <= b_len; j++)
		row[j] = (unsigned int)j;
	for (size_t i = 1; i <= a_len; i++) {
		unsigned int diagonal = row[0];

		row[0] = (unsigned int)i;
		for (size_t j = 1; j <= b_len; j++) {
			unsigned int best = diagonal + (a[i - 1] != b[j - 1]);

			diagonal = row[j];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
		}
	}
	return row[b_len];
}

static const char *leaf_of(const char *key)
{
	const char *dot = strrchr(key, '.');

	return dot ? dot + 1 : key;
}

const char *em_config_nearest(const char *key, unsigned int *distance)
{
	const char *nearest = NULL;

	for (const struct em_option *o = em_options; o->key; o++) {
		unsigned int whole = em_edit_distance(key, o->key);
		unsigned int leaf =
			em_edit_distance(leaf_of(key), leaf_of(o->key)) + 1;
		unsigned int d = whole < leaf ? whole : leaf;

		if (!nearest || d < *distance) {
			nearest = o->key;
			*distance = d;
		}
	}
	return nearest;
}

/* ---- sizes ----------------------------------------------------------- */

struct decimal {
	uint64_t whole;
	uint64_t part, scale; /* the fraction is part / scale */
};

/* Digits, and perhaps a point and one to nine more. What follows, or NULL. */
static const char *parse_decimal(const char *p, struct decimal *d)
{
	*d = (struct decimal){ .scale = 1 };
	if (*p < '0' || *p > '9')
		return NULL;
	for (; *p >= '0' && *p <= '9'; p++)
		if (__builtin_mul_overflow(d->whole, 10, &d->whole) ||
		    __builtin_add_overflow(d->whole, *p - '0', &d->whole))
			return NULL;
	if (*p != '.')
		return p;
	for (p++; *p >= '0' && *p <= '9'; p++) {
		if (d->scale == 1000000000)
			return NULL;
		d->part = d->part * 10 + (uint64_t)(*p - '0');
		d->scale *= 10;
	}
	return d->scale > 1 ? p : NULL;
}

/* "K", "kib", "KB" ... to the power of two it stands for; -EINVAL. */
static int suffix_shift(const char *suffix)
{
	static const char letters[] = "KMGT";
	char letter = *suffix & ~0x20;
	const char *at = letter ? strchr(letters, letter) : NULL;

	if (!*suffix)
		return 0;
	if (!at)
		return -EINVAL;
	if (suffix[1] == 'i' && (suffix[2] & ~0x20) == 'B')
		suffix++;
	if (suffix[1] && ((suffix[1] & ~0x20) != 'B' || suffix[2]))
		return -EINVAL;
	return 10 * (int)(at - letters + 1);
}

int em_parse_bytes(const char *text, uint64_t *bytes)
{
	struct decimal d;
	const char *suffix = parse_decimal(text, &d);
	int shift = suffix ? suffix_shift(suffix) : -EINVAL;

	if (shift < 0 || (!shift && d.scale > 1))
		return -EINVAL;
	if (d.whole > UINT64_MAX >> shift)
		return -EINVAL;
	/* A part is below 2^30 and a shift up to 40: wider than 64 bits. */
	*bytes = (d.whole << shift) +
		 (uint64_t)(((unsigned __int128)d.part << shift) / d.scale);
	return 0;
}

int em_format_bytes(uint64_t bytes, char *out, size_t out_bytes)
{
	static const char letters[] = "KMGT";
	int i = -1;

	for (; bytes && bytes % KIB == 0 && i < 3; i++)
		bytes /= KIB;
	return snprintf(out, out_bytes, "%llu%.1s", (unsigned long long)bytes,
			i < 0 ? "" : letters + i);
}

static int format_permille(uint64_t permille, char *out, size_t out_bytes)
{
	unsigned long long whole = permille / 10, tenth = permille % 10;

	if (!tenth)
		return snprintf(out, out_bytes, "%llu%%", whole);
	return snprintf(out, out_bytes, "%llu.%llu%%", whole, tenth);
}

/* "25%", "2.5%" to thousandths. No finer: a shorter way to say it exists. */
static int parse_permille(const char *text, uint64_t *permille)
{
	struct decimal d;
	const char *rest = parse_decimal(text, &d);

	if (!rest || strcmp(rest, "%") || d.scale > 10)
		return -EINVAL;
	if (d.whole > UINT64_MAX / 10 - 1)
		return -EINVAL;
	*permille = d.whole * 10 + (d.scale == 10 ? d.part : 0);
	return 0;
}

/* ---- one value ------------------------------------------------------- */

/* What would do, for a value that is no value of this type at all. */
static void describe_type(const struct em_option *o, char *out, size_t n)
{
	bool percent = o->flags & EM_OPT_PERCENT;
	bool automatic = o->flags & EM_OPT_AUTO_OK;

	if (o->type == EM_OPT_BYTES)
		snprintf(out, n, "a size such as 64K, 512M or 1.5G");
	else
		snprintf(out, n, "a size such as 512M or 1.5G%s%s%s",
			 percent && !automatic ? " or" : percent ? "," : "",
			 percent ? " a percentage such as 25%" : "",
			 automatic ? ", or auto" : "");
}

/* What would do, for a size that is out of range or no such multiple. */
static void describe_range(const struct em_option *o, char *out, size_t n)
{
	char min[24], max[24];

	em_format_bytes(o->min, min, sizeof(min));
	em_format_bytes(o->max, max, sizeof(max));
	snprintf(out, n, "%s%s%s%s%s", o->flags & EM_OPT_ZERO_OK ? "0 or " : "",
		 o->flags & EM_OPT_POW2	   ? "a power of two from " :
		 o->flags & EM_OPT_PAGES   ? "a multiple of 4K from " :
		 o->max			   ? "a size from " :
					     "",
		 min, o->max ? " to " : " or more", o->max ? max : "");
}

static int check_bytes(const struct em_option *o, uint64_t bytes,
		       const char *value, char *err, size_t err_bytes)
{
	char range[96], text[EM_SHOWN_MAX];

	if (!bytes && (o->flags & EM_OPT_ZERO_OK))
		return 0;
	if (bytes >= o->min && (!o->max || bytes <= o->max) &&
	    (!(o->flags & EM_OPT_POW2) || !(bytes & (bytes - 1))) &&
	    (!(o->flags & EM_OPT_PAGES) || !(bytes % PAGE_BYTES)))
		return 0;
	describe_range(o, range, sizeof(range));
	return refuse(-EINVAL, err, err_bytes, "'%s' is '%s': expected %s",
		      o->key, em_shown(value, text), range);
}

static int check_permille(const struct em_option *o, uint64_t permille,
			  const char *value, char *err, size_t err_bytes)
{
	char min[24], max[24], text[EM_SHOWN_MAX];

	if (permille >= o->min_permille && permille <= o->max_permille)
		return 0;
	format_permille(o->min_permille, min, sizeof(min));
	format_permille(o->max_permille, max, sizeof(max));
	return refuse(-EINVAL, err, err_bytes,
		      "'%s' is '%s': expected a percentage from %s to %s",
		      o->key, em_shown(value, text), min, max);
}

static int refuse_type(const struct em_option *o, const char *value, char *err,
		       size_t err_bytes)
{
	char wanted[96], text[EM_SHOWN_MAX];

	describe_type(o, wanted, sizeof(wanted));
	return refuse(-EINVAL, err, err_bytes, "'%s' is '%s': expected %s",
		      o->key, em_shown(value, text), wanted);
}

static int set_size(const struct em_option *o, struct em_size *size,
		    const char *value, char *err, size_t err_bytes)
{
	uint64_t n;
	int rc;

	if ((o->flags & EM_OPT_AUTO_OK) && !strcmp(value, "auto")) {
		size->kind = EM_SIZE_AUTO;
		size->value = 0;
		return 0;
	}
	if ((o->flags & EM_OPT_PERCENT) && !parse_permille(value, &n)) {
		rc = check_permille(o, n, value, err, err_bytes);
		if (!rc) {
			size->kind = EM_SIZE_PERMILLE;
			size->value = n;
		}
		return rc;
	}
	if (em_parse_bytes(value, &n))
		return refuse_type(o, value, err, err_bytes);
	rc = check_bytes(o, n, value, err, err_bytes);
	if (!rc) {
		size->kind = EM_SIZE_BYTES;
		size->value = n;
	}
	return rc;
}

static int set_bytes(const struct em_option *o, uint64_t *bytes,
		     const char *value, char *err, size_t err_bytes)
{
	uint64_t n;
	int rc;

	if (em_parse_bytes(value, &n))
		return refuse_type(o, value, err, err_bytes);
	rc = check_bytes(o, n, value, err, err_bytes);
	if (!rc)
		*bytes = n;
	return rc;
}

static int set_bool(const struct em_option *o, bool *flag, const char *value,
		    char *err, size_t err_bytes)
{
	char text[EM_SHOWN_MAX];

	if (strcmp(value, "true") && strcmp(value, "false"))
		return refuse(-EINVAL, err, err_bytes,
			      "'%s' is '%s': expected true or false", o->key,
			      em_shown(value, text));
	*flag = *value == 't';
	return 0;
}

/* The choice at a position, its length in *len; NULL past the last one. */
static const char *choice_at(const char *choices, int position, size_t *len)
{
	for (; choices && position > 0; position--) {
		choices = strchr(choices, '|');
		if (choices)
			choices++;
	}
	if (choices)
		*len = strcspn(choices, "|");
	return choices;
}

/* The position of a value in its option's choices, or -EINVAL. */
static int find_choice(const struct em_option *o, const char *value, char *err,
		       size_t err_bytes)
{
	char list[128] = "", text[EM_SHOWN_MAX];
	size_t at = 0, len;
	const char *choice;

	for (int i = 0; (choice = choice_at(o->choices, i, &len)); i++)
		if (strlen(value) == len && !memcmp(value, choice, len))
			return i;
	for (int i = 0; (choice = choice_at(o->choices, i, &len)); i++)
		at += (size_t)snprintf(list + at, sizeof(list) - at, "%s%.*s",
				       !i	   ? "" :
				       choice[len] ? ", " :
						     " or ",
				       (int)len, choice);
	return refuse(-EINVAL, err, err_bytes, "'%s' is '%s': expected %s",
		      o->key, em_shown(value, text), list);
}

static int set_path(const struct em_option *o, char *path, const char *value,
		    char *err, size_t err_bytes)
{
	size_t len = strlen(value);
	char text[EM_SHOWN_MAX];

	if (!len)
		return refuse(-EINVAL, err, err_bytes,
			      "'%s' is empty: expected a folder or a file",
			      o->key);
	if (len >= EM_CONFIG_PATH_MAX)
		return refuse(-EINVAL, err, err_bytes,
			      "'%s' is '%s': expected a path shorter than %d bytes",
			      o->key, em_shown(value, text), EM_CONFIG_PATH_MAX);
	if (strchr(value, '\n'))
		return refuse(-EINVAL, err, err_bytes,
			      "'%s' is '%s': expected a path without a newline",
			      o->key, em_shown(value, text));
	memset(path, 0, EM_CONFIG_PATH_MAX);
	memcpy(path, value, len);
	return 0;
}

static int set_choice(const struct em_option *o, void *field, const char *value,
		      char *err, size_t err_bytes)
{
	int position = find_choice(o, value, err, err_bytes);

	if (position < 0)
		return position;
	if (o->type == EM_OPT_ENUM) {
		*(int *)field = position;
	} else {
		memset(field, 0, EM_CONFIG_NAME_MAX);
		memcpy(field, value, strlen(value));
	}
	return 0;
}

static int set_field(const struct em_option *o, void *field, const char *value,
		     char *err, size_t err_bytes)
{
	switch (o->type) {
	case EM_OPT_SIZE:
		return set_size(o, field, value, err, err_bytes);
	case EM_OPT_BYTES:
		return set_bytes(o, field, value, err, err_bytes);
	case EM_OPT_BOOL:
		return set_bool(o, field, value, err, err_bytes);
	case EM_OPT_NAME:
	case EM_OPT_ENUM:
		return set_choice(o, field, value, err, err_bytes);
	case EM_OPT_PATH:
		return set_path(o, field, value, err, err_bytes);
	}
	return -EINVAL;
}

static int get_size(const struct em_size *size, char *out, size_t out_bytes)
{
	if (size->kind == EM_SIZE_AUTO)
		return snprintf(out, out_bytes, "auto");
	if (size->kind == EM_SIZE_PERMILLE)
		return format_permille(size->value, out, out_bytes);
	return em_format_bytes(size->value, out, out_bytes);
}

static int get_field(const struct em_option *o, const void *field, char *out,
		     size_t out_bytes)
{
	const char *choice;
	size_t len;

	switch (o->type) {
	case EM_OPT_SIZE:
		return get_size(field, out, out_bytes);
	case EM_OPT_BYTES:
		return em_format_bytes(*(const uint64_t *)field, out, out_bytes);
	case EM_OPT_BOOL:
		return snprintf(out, out_bytes, "%s",
				*(const bool *)field ? "true" : "false");
	case EM_OPT_ENUM:
		choice = choice_at(o->choices, *(const int *)field, &len);
		if (!choice)
			return -EINVAL;
		return snprintf(out, out_bytes, "%.*s", (int)len, choice);
	case EM_OPT_NAME:
	case EM_OPT_PATH:
		return snprintf(out, out_bytes, "%s", (const char *)field);
	}
	return -EINVAL;
}

/* ---- one key --------------------------------------------------------- */

static const struct em_option *find_option(const char *key)
{
	const struct em_option *o = em_options;

	while (o->key && strcmp(o->key, key))
		o++;
	return o->key ? o : NULL;
}

static bool is_tier_option(const struct em_option *o)
{
	return !strncmp(o->key, TIERS, strlen(TIERS));
}

/* The number in "tiers[N].", and in *rest what follows the point; or -1. */
static int tier_index(const char *key, const char **rest)
{
	int index = 0;

	if (strncmp(key, "tiers[", 6) || key[6] == ']')
		return -1;
	for (key += 6; *key >= '0' && *key <= '9'; key++)
		if (index < EM_CONFIG_TIERS_MAX)
			index = index * 10 + (*key - '0');
	if (key[0] != ']' || key[1] != '.')
		return -1;
	*rest = key + 2;
	return index;
}

static int find_slot(struct slot *slot, const char *key)
{
	char generic[KEY_MAX];
	const char *rest;

	slot->tier = tier_index(key, &rest);
	if (slot->tier < 0) {
		slot->opt = find_option(key);
		return slot->opt && !is_tier_option(slot->opt) ? 0 : -ENOENT;
	}
	if ((size_t)snprintf(generic, sizeof(generic), TIERS "%s", rest) >=
	    sizeof(generic))
		return -ENOENT;
	slot->opt = find_option(generic);
	return slot->opt ? 0 : -ENOENT;
}

static void *slot_field(const struct slot *slot, struct em_config *cfg)
{
	char *base = slot->tier < 0 ? (char *)cfg :
				      (char *)&cfg->tiers[slot->tier];

	return base + slot->opt->offset;
}

/* Defaults to the tier, or with -1 to all but the tiers. */
static void set_defaults(struct em_config *cfg, int tier)
{
	struct slot slot = { .opt = em_options, .tier = tier };

	for (; slot.opt->key; slot.opt++)
		if (is_tier_option(slot.opt) == (tier >= 0))
			set_field(slot.opt, slot_field(&slot, cfg),
				  slot.opt->def, NULL, 0);
}

void em_config_init(struct em_config *cfg)
{
	memset(cfg, 0, sizeof(*cfg));
	set_defaults(cfg, -1);
	set_defaults(cfg, 0);
	cfg->tier_count = 1;
}

static int refuse_unknown(const char *key, char *err, size_t err_bytes)
{
	char text[EM_SHOWN_MAX];
	unsigned int distance;

	return refuse(-ENOENT, err, err_bytes,
		      "unknown key '%s', did you mean '%s'?", em_shown(key, text),
		      em_config_nearest(key, &distance));
}

/* Sets a key of the tier after the last one, and so adds that tier. */
static int add_tier(struct em_config *cfg, const struct slot *slot,
		    const char *value, char *err, size_t err_bytes)
{
	int rc;

	if (slot->tier >= EM_CONFIG_TIERS_MAX)
		return refuse(-EINVAL, err, err_bytes,
			      "too many 'tiers': expected at most %d",
			      EM_CONFIG_TIERS_MAX);
	if (slot->tier > (int)cfg->tier_count)
		return refuse(-EINVAL, err, err_bytes,
			      "'tiers[%d]' leaves a gap: expected tiers[%u] next",
			      slot->tier, cfg->tier_count);
	set_defaults(cfg, slot->tier);
	rc = set_field(slot->opt, slot_field(slot, cfg), value, err, err_bytes);
	if (!rc)
		cfg->tier_count++;
	return rc;
}

int em_config_set(struct em_config *cfg, const char *key, const char *value,
		  char *err, size_t err_bytes)
{
	struct slot slot;

	if (find_slot(&slot, key))
		return refuse_unknown(key, err, err_bytes);
	if (slot.tier >= (int)cfg->tier_count)
		return add_tier(cfg, &slot, value, err, err_bytes);
	return set_field(slot.opt, slot_field(&slot, cfg), value, err,
			 err_bytes);
}

int em_config_get(const struct em_config *cfg, const char *key, char *out,
		  size_t out_bytes)
{
	struct slot slot;

	if (find_slot(&slot, key) || slot.tier >= (int)cfg->tier_count)
		return -ENOENT;
	return get_field(slot.opt, slot_field(&slot, (struct em_config *)cfg),
			 out, out_bytes);
}

/* ---- across keys ----------------------------------------------------- */

/*
 * The limit as a number: bytes, or 1000 while nobody knows how many, so that
 * at least shares of it can be compared with each other.
 */
static uint64_t limit_of(const struct em_config *cfg)
{
	return cfg->limit.kind == EM_SIZE_BYTES ? cfg->limit.value : 1000;
}

static uint64_t share_of(uint64_t limit, uint64_t permille)
{
	return (uint64_t)((unsigned __int128)limit * permille / 1000);
}

/* A size in the units of limit_of(); false for bytes of an unknown limit. */
static bool in_limit(const struct em_config *cfg, const struct em_size *size,
		     uint64_t *units)
{
	bool share = size->kind == EM_SIZE_PERMILLE;

	*units = share ? share_of(limit_of(cfg), size->value) : size->value;
	return share || cfg->limit.kind == EM_SIZE_BYTES;
}

static int check_watermarks(const struct em_config *cfg, char *err,
			    size_t err_bytes)
{
	uint64_t low, high;
	char low_text[32], high_text[32];
	bool low_known = in_limit(cfg, &cfg->low, &low);
	bool high_known = in_limit(cfg, &cfg->high, &high);
	bool same_units = cfg->low.kind == cfg->high.kind;

	if (low < high || !(same_units || (low_known && high_known)))
		return 0;
	get_size(&cfg->low, low_text, sizeof(low_text));
	get_size(&cfg->high, high_text, sizeof(high_text));
	return refuse(-EINVAL, err, err_bytes,
		      "'watermarks.low' is '%s' and 'watermarks.high' is '%s': expected the low one below the high one",
		      low_text, high_text);
}

/* What is kept free and what is in standby must leave the program room. */
static int check_room(const struct em_config *cfg, char *err, size_t err_bytes)
{
	uint64_t high, standby, most = share_of(limit_of(cfg), 750);
	char high_text[32], standby_text[32];

	if (!in_limit(cfg, &cfg->high, &high) ||
	    !in_limit(cfg, &cfg->standby, &standby))
		return 0;
	if (high <= most && standby <= most - high)
		return 0;
	get_size(&cfg->high, high_text, sizeof(high_text));
	get_size(&cfg->standby, standby_text, sizeof(standby_text));
	return refuse(-EINVAL, err, err_bytes,
		      "'watermarks.high' is '%s' and 'eviction.standby' is '%s': expected at most 75%% of 'limits.memory' together",
		      high_text, standby_text);
}

int em_config_check(const struct em_config *cfg, char *err, size_t err_bytes)
{
	int rc;

	if (!cfg->tier_count)
		return refuse(-EINVAL, err, err_bytes,
			      "'tiers' is empty: expected at least one tier");
	rc = check_watermarks(cfg, err, err_bytes);
	return rc ? rc : check_room(cfg, err, err_bytes);
}

/* ---- as text --------------------------------------------------------- */

/* The dotted key of an option, with a tier's number put in. */
static void full_key(const struct slot *slot, char key[KEY_MAX])
{
	if (slot->tier < 0)
		snprintf(key, KEY_MAX, "%s", slot->opt->key);
	else
		snprintf(key, KEY_MAX, "tiers[%d].%s", slot->tier,
			 slot->opt->key + strlen(TIERS));
}

/* Appends one line at *at. */
static int dump_slot(const struct em_config *cfg, const struct slot *slot,
		     char *out, size_t out_bytes, size_t *at)
{
	char key[KEY_MAX], value[EM_CONFIG_PATH_MAX];
	int n;

	full_key(slot, key);
	n = em_config_get(cfg, key, value, sizeof(value));
	if (n < 0)
		return n;
	if (strchr(value, '\n'))
		return -EINVAL;
	n = snprintf(out + *at, out_bytes - *at, "%s=%s\n", key, value);
	if ((size_t)n >= out_bytes - *at)
		return -ENOSPC;
	*at += (size_t)n;
	return 0;
}

/* The lines of one tier, or with -1 of all but the tiers. */
static int dump_part(const struct em_config *cfg, int tier, char *out,
		     size_t out_bytes, size_t *at)
{
	struct slot slot = { .opt = em_options, .tier = tier };
	int rc = 0;

	for (; slot.opt->key && !rc; slot.opt++)
		if (is_tier_option(slot.opt) == (tier >= 0))
			rc = dump_slot(cfg, &slot, out, out_bytes, at);
	return rc;
}

int em_config_dump(const struct em_config *cfg, char *out, size_t out_bytes)
{
	size_t at = 0;
	int rc = dump_part(cfg, -1, out, out_bytes, &at);

	for (int i = 0; i < (int)cfg->tier_count && !rc; i++)
		rc = dump_part(cfg, i, out, out_bytes, &at);
	return rc ? rc : (int)at;
}

/* One line, without its newline. */
static int load_line(struct em_config *cfg, const char *line, size_t len,
		     char *err, size_t err_bytes)
{
	const char *equals = memchr(line, '=', len);
	size_t key_len = equals ? (size_t)(equals - line) : len;
	size_t value_len = equals ? len - key_len - 1 : 0;
	char key[KEY_MAX], value[EM_CONFIG_PATH_MAX];

	if (!equals)
		return refuse(-EINVAL, err, err_bytes, "expected key=value");
	if (key_len >= sizeof(key) || value_len >= sizeof(value))
		return refuse(-EINVAL, err, err_bytes,
			      "too long: expected fewer than %zu bytes of key and %zu of value",
			      sizeof(key), sizeof(value));
	memcpy(key, line, key_len);
	key[key_len] = '\0';
	memcpy(value, equals + 1, value_len);
	value[value_len] = '\0';
	return em_config_set(cfg, key, value, err, err_bytes);
}

int em_config_load(struct em_config *cfg, const char *text, char *err,
		   size_t err_bytes)
{
	bool tiers_seen = false;
	unsigned int number = 1;
	size_t len, n;
	int rc;

	for (; *text; text += len + (text[len] == '\n'), number++) {
		len = strcspn(text, "\n");
		if (!len)
			continue;
		if (!tiers_seen && !strncmp(text, "tiers[", 6)) {
			cfg->tier_count = 0;
			tiers_seen = true;
		}
		n = (size_t)snprintf(err, err_bytes, "line %u: ", number);
		n = n < err_bytes ? n : err_bytes;
		rc = load_line(cfg, text, len, err ? err + n : NULL,
			       err_bytes - n);
		if (rc)
			return rc;
	}
	if (err_bytes)
		*err = '\0';
	return 0;
}
