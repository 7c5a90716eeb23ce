/* SPDX-License-Identifier: MIT
 *
 * Everything that walks the table of options.
 *
 * The preloaded library runs this before the program has a heap, perhaps in
 * the first call to malloc itself. So nothing here allocates, and of libc only
 * string functions and snprintf with integers and strings are used.
 */
#include "config.h"
#include "plugin.h"
#include "policies/policies.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define KIB (UINT64_C(1) << 10)
#define PAGE_BYTES (4 * KIB)

#define KEY_MAX 64

/* One option as it stands in one configuration. */
struct slot {
	const struct em_option *opt;
	const struct em_config_list *list; /* NULL outside of lists */
	unsigned int index;                /* in it */
	const char *param;                 /* the rest of eviction.params.NAME, or NULL */
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

/* "50k", "1.5M": thousands and not 1024; -EINVAL. */
static int parse_count(const char *text, uint64_t *n)
{
	struct decimal d;
	const char *suffix = parse_decimal(text, &d);
	uint64_t unit = !suffix ? 0 : !*suffix ? 1 : *suffix == 'k' ? 1000 :
			*suffix == 'M' ? 1000000 : 0;

	if (!unit || (*suffix && suffix[1]) || (unit == 1 && d.scale > 1) ||
	    d.whole > UINT64_MAX / unit / 2)
		return -EINVAL;
	*n = d.whole * unit + d.part * unit / d.scale;
	return 0;
}

static int format_count(uint64_t n, char *out, size_t out_bytes)
{
	const char *unit = n % 1000000 == 0 ? "M" : n % 1000 == 0 ? "k" : "";

	return snprintf(out, out_bytes, "%llu%s",
			(unsigned long long)n / (*unit == 'M' ? 1000000 : *unit ? 1000 : 1),
			unit);
}

/* "200M/s"; a rate of bytes, or of things. */
static bool parse_rate(const struct em_option *o, const char *value, uint64_t *n)
{
	const char *slash = strchr(value, '/');
	char word[32];

	if (!slash || strcmp(slash, "/s") || slash - value >= (int)sizeof(word))
		return false;
	snprintf(word, sizeof(word), "%.*s", (int)(slash - value), value);
	return !(o->flags & EM_OPT_COUNT ? parse_count(word, n) : em_parse_bytes(word, n));
}

static int get_rate(const struct em_option *o, uint64_t n, char *out, size_t out_bytes)
{
	char word[32];

	if (!n)
		return snprintf(out, out_bytes, "none");
	if (o->flags & EM_OPT_COUNT)
		format_count(n, word, sizeof(word));
	else
		em_format_bytes(n, word, sizeof(word));
	return snprintf(out, out_bytes, "%s/s", word);
}

static int set_rate(const struct em_option *o, uint64_t *field, const char *value,
		    char *err, size_t err_bytes)
{
	bool none = !strcmp(value, "none");
	char text[EM_SHOWN_MAX], least[32];
	uint64_t n = 0;

	if (!none && (!parse_rate(o, value, &n) || n < o->min)) {
		get_rate(o, o->min, least, sizeof(least));
		return refuse(-EINVAL, err, err_bytes,
			      "'%s' is '%s': expected a rate such as %s, %s or more, or none",
			      o->key, em_shown(value, text),
			      o->flags & EM_OPT_COUNT ? "50k/s" : "200M/s", least);
	}
	*field = n;
	return 0;
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

	if (!len && !(o->flags & EM_OPT_EMPTY_OK))
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

static em_plugin_judge *judge_plugin;

void em_config_judge_plugins(em_plugin_judge *judge)
{
	judge_plugin = judge;
}

static int set_plugin(const struct em_option *o, char *field, const char *value,
		      char *err, size_t err_bytes)
{
	char path[EM_CONFIG_PATH_MAX] = "", why[512], text[EM_SHOWN_MAX];
	int rc = 0;

	if (!*value)
		return refuse(-EINVAL, err, err_bytes,
			      "'%s' is empty: expected the path of a shared object", o->key);
	rc = set_path(o, path, value, err, err_bytes);
	if (rc)
		return rc;
	if (judge_plugin)
		rc = judge_plugin(o->flags & EM_OPT_PREFETCHES, path, why, sizeof(why));
	else if (*path != '/')
		rc = refuse(-EINVAL, why, sizeof(why), "expected an absolute path");
	if (rc)
		return refuse(rc, err, err_bytes, "'%s' is '%s': %s", o->key,
			      em_shown(value, text), why);
	memcpy(field, path, sizeof(path));
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
		memset(field, 0, o->type == EM_OPT_NAME ? EM_CONFIG_NAME_MAX : EM_CONFIG_PATH_MAX);
		memcpy(field, value, strlen(value));
	}
	return 0;
}

static int set_text(const struct em_option *o, char *text, const char *value,
		    char *err, size_t err_bytes)
{
	char word[EM_SHOWN_MAX];

	if (!*value || strlen(value) >= EM_CONFIG_TEXT_MAX || strchr(value, '\n'))
		return refuse(-EINVAL, err, err_bytes,
			      "'%s' is '%s': expected a pattern such as 'graph*', shorter than %d bytes",
			      o->key, em_shown(value, word), EM_CONFIG_TEXT_MAX);
	memset(text, 0, EM_CONFIG_TEXT_MAX);
	memcpy(text, value, strlen(value));
	return 0;
}

/* A whole number, to its end; false when it is none. */
static bool parse_int(const char *text, int64_t *n)
{
	bool minus = *text == '-';
	uint64_t value = 0;

	text += minus || *text == '+';
	if (!*text)
		return false;
	for (; *text >= '0' && *text <= '9'; text++)
		if (value > (uint64_t)INT64_MAX / 10 - 1)
			return false;
		else
			value = value * 10 + (uint64_t)(*text - '0');
	*n = minus ? -(int64_t)value : (int64_t)value;
	return !*text;
}

static int set_int(const struct em_option *o, int *field, const char *value,
		   char *err, size_t err_bytes)
{
	char text[EM_SHOWN_MAX];
	int64_t n;

	if (!parse_int(value, &n) || n < o->low || n > o->high)
		return refuse(-EINVAL, err, err_bytes,
			      "'%s' is '%s': expected a whole number from %d to %d",
			      o->key, em_shown(value, text), o->low, o->high);
	*field = (int)n;
	return 0;
}

/* One end of "64M..1G", of which `len` bytes are there. */
static bool parse_end(const char *text, size_t len, uint64_t *bytes)
{
	char word[32];

	snprintf(word, sizeof(word), "%.*s", (int)len, text);
	return len < sizeof(word) && !em_parse_bytes(word, bytes);
}

static bool parse_range(const char *value, struct em_range_config *r)
{
	const char *dots = strstr(value, "..");

	*r = (struct em_range_config){ 0, UINT64_MAX };
	if (!strcmp(value, "any"))
		return true;
	if (!strncmp(value, ">=", 2))
		return !em_parse_bytes(value + 2, &r->min);
	if (!strncmp(value, "<=", 2))
		return !em_parse_bytes(value + 2, &r->max);
	return dots && parse_end(value, (size_t)(dots - value), &r->min) &&
	       !em_parse_bytes(dots + 2, &r->max) && r->min <= r->max;
}

static int set_range(const struct em_option *o, struct em_range_config *field,
		     const char *value, char *err, size_t err_bytes)
{
	struct em_range_config r;
	char text[EM_SHOWN_MAX];

	if (!parse_range(value, &r))
		return refuse(-EINVAL, err, err_bytes,
			      "'%s' is '%s': expected a range such as >=64M, <=1G or 64M..1G, or any",
			      o->key, em_shown(value, text));
	*field = r;
	return 0;
}

/* One setting of an algorithm. Whether the algorithm has it is seen later. */
static int set_param(const struct em_option *o, struct em_params *params,
		     const char *name, const char *value, char *err, size_t err_bytes)
{
	char text[EM_SHOWN_MAX];
	unsigned int i = 0;
	int64_t n;

	if (!*name || strlen(name) >= sizeof(params->list[0].name) ||
	    strpbrk(name, "= ,\n"))
		return refuse(-EINVAL, err, err_bytes,
			      "'%s' has '%s': expected the name of a parameter", o->key,
			      em_shown(name, text));
	if (!parse_int(value, &n))
		return refuse(-EINVAL, err, err_bytes,
			      "'%s.%s' is '%s': expected a whole number", o->key, name,
			      em_shown(value, text));
	while (i < params->count && strcmp(params->list[i].name, name))
		i++;
	if (i == EM_CONFIG_PARAMS_MAX)
		return refuse(-EINVAL, err, err_bytes,
			      "too many '%s': expected at most %d", o->key,
			      EM_CONFIG_PARAMS_MAX);
	snprintf(params->list[i].name, sizeof(params->list[i].name), "%s", name);
	params->list[i].value = n;
	params->count = params->count > i ? params->count : i + 1;
	return 0;
}

/* "active=50 ghosts=100": all of them. */
static int set_params(const struct em_option *o, struct em_params *field,
		      const char *value, char *err, size_t err_bytes)
{
	struct em_params params = { 0 };
	char word[64], *equals;
	int rc = 0;

	while (*(value += strspn(value, " ")) && !rc) {
		size_t len = strcspn(value, " ");

		snprintf(word, sizeof(word), "%.*s", (int)len, value);
		value += len;
		equals = strchr(word, '=');
		if (!equals || len >= sizeof(word))
			return refuse(-EINVAL, err, err_bytes,
				      "'%s' has '%s': expected NAME=NUMBER", o->key,
				      word);
		*equals = '\0';
		rc = set_param(o, &params, word, equals + 1, err, err_bytes);
	}
	if (!rc)
		*field = params;
	return rc;
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
	case EM_OPT_ALGORITHM:
	case EM_OPT_ENUM:
		return set_choice(o, field, value, err, err_bytes);
	case EM_OPT_PATH:
		return set_path(o, field, value, err, err_bytes);
	case EM_OPT_PLUGIN:
		return set_plugin(o, field, value, err, err_bytes);
	case EM_OPT_TEXT:
		return set_text(o, field, value, err, err_bytes);
	case EM_OPT_INT:
		return set_int(o, field, value, err, err_bytes);
	case EM_OPT_RANGE:
		return set_range(o, field, value, err, err_bytes);
	case EM_OPT_RATE:
		return set_rate(o, field, value, err, err_bytes);
	case EM_OPT_PARAMS:
		return set_params(o, field, value, err, err_bytes);
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

static int get_range(const struct em_range_config *r, char *out, size_t out_bytes)
{
	char min[24], max[24];

	em_format_bytes(r->min, min, sizeof(min));
	em_format_bytes(r->max, max, sizeof(max));
	if (r->max == UINT64_MAX)
		return snprintf(out, out_bytes, r->min ? ">=%s" : "any", min);
	return r->min ? snprintf(out, out_bytes, "%s..%s", min, max)
		      : snprintf(out, out_bytes, "<=%s", max);
}

static int get_params(const struct em_params *p, char *out, size_t out_bytes)
{
	size_t at = 0;

	if (out_bytes)
		*out = '\0';
	for (unsigned int i = 0; i < p->count; i++)
		at += (size_t)snprintf(at < out_bytes ? out + at : NULL,
				       at < out_bytes ? out_bytes - at : 0, "%s%s=%lld",
				       i ? " " : "", p->list[i].name,
				       (long long)p->list[i].value);
	return (int)at;
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
	case EM_OPT_TEXT:
		return snprintf(out, out_bytes, "%s", (const char *)field);
	case EM_OPT_ALGORITHM:
	case EM_OPT_PLUGIN:
		if ((*(const char *)field == '/') != (o->type == EM_OPT_PLUGIN))
			field = "";
		return snprintf(out, out_bytes, "%s", (const char *)field);
	case EM_OPT_INT:
		return snprintf(out, out_bytes, "%d", *(const int *)field);
	case EM_OPT_RANGE:
		return get_range(field, out, out_bytes);
	case EM_OPT_RATE:
		return get_rate(o, *(const uint64_t *)field, out, out_bytes);
	case EM_OPT_PARAMS:
		return get_params(field, out, out_bytes);
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

const struct em_config_list *em_config_list_of(const struct em_option *o)
{
	const struct em_config_list *list = em_config_lists;

	while (list->prefix && strncmp(o->key, list->prefix, strlen(list->prefix)))
		list++;
	return list->prefix ? list : NULL;
}

const struct em_option *em_config_twin(const struct em_option *o)
{
	const struct em_option *twin = em_options;

	while (twin->key && (twin == o || twin->offset != o->offset ||
			     em_config_list_of(twin) != em_config_list_of(o)))
		twin++;
	return twin->key ? twin : NULL;
}

bool em_config_is_said(const struct em_option *o, const char *value)
{
	return *value || (o->type != EM_OPT_ALGORITHM && o->type != EM_OPT_PLUGIN);
}

static unsigned int *count_of(struct em_config *cfg, const struct em_config_list *list)
{
	return (unsigned int *)((char *)cfg + list->count_offset);
}

unsigned int em_config_count(const struct em_config *cfg,
			     const struct em_config_list *list)
{
	return *count_of((struct em_config *)cfg, list);
}

void em_config_clear(struct em_config *cfg, const struct em_config_list *list)
{
	*count_of(cfg, list) = 0;
}

/* "tiers[3].path" is item 3 of its list and "tiers[].path"; false: of none. */
static bool split_key(const char *key, struct slot *slot, char generic[KEY_MAX])
{
	const struct em_config_list *list = em_config_lists;
	size_t open = strcspn(key, "[");
	unsigned int index = 0;

	while (list->prefix && (strncmp(key, list->prefix, open + 1) ||
				list->prefix[open] != '['))
		list++;
	if (!key[open] || !list->prefix || key[open + 1] == ']')
		return false;
	for (key += open + 1; *key >= '0' && *key <= '9'; key++)
		if (index <= list->max)
			index = index * 10 + (unsigned int)(*key - '0');
	if (key[0] != ']' || key[1] != '.')
		return false;
	slot->list = list;
	slot->index = index;
	return (size_t)snprintf(generic, KEY_MAX, "%s%s", list->prefix, key + 2) < KEY_MAX;
}

/* The option that is named, or the one whose parameter is: -ENOENT. */
static int find_named(struct slot *slot, const char *key, const char *generic)
{
	char parent[KEY_MAX];
	const char *dot = strrchr(generic, '.');

	slot->opt = find_option(generic);
	if (slot->opt || !dot)
		return slot->opt ? 0 : -ENOENT;
	snprintf(parent, sizeof(parent), "%.*s", (int)(dot - generic), generic);
	slot->opt = find_option(parent);
	slot->param = strrchr(key, '.') + 1;
	return slot->opt && slot->opt->type == EM_OPT_PARAMS ? 0 : -ENOENT;
}

static int find_slot(struct slot *slot, const char *key)
{
	char generic[KEY_MAX];
	int rc;

	*slot = (struct slot){ .opt = NULL };
	if (split_key(key, slot, generic))
		return find_named(slot, key, generic);
	if (slot->list || (size_t)snprintf(generic, sizeof(generic), "%s", key) >= sizeof(generic))
		return -ENOENT;
	rc = find_named(slot, key, generic);
	return !rc && em_config_list_of(slot->opt) ? -ENOENT : rc;
}

static void *slot_field(const struct slot *slot, struct em_config *cfg)
{
	char *base = (char *)cfg;

	if (slot->list)
		base += slot->list->offset + slot->index * slot->list->item_bytes;
	return base + slot->opt->offset;
}

/* Defaults to an item of a list, or with NULL to all that is in none. */
static void set_defaults(struct em_config *cfg, const struct em_config_list *list,
			 unsigned int index)
{
	struct slot slot = { .opt = em_options, .list = list, .index = index };

	for (; slot.opt->key; slot.opt++)
		if (em_config_list_of(slot.opt) == list)
			set_field(slot.opt, slot_field(&slot, cfg),
				  slot.opt->def, NULL, 0);
}

int em_config_add(struct em_config *cfg, const struct em_config_list *list,
		  char *err, size_t err_bytes)
{
	unsigned int *count = count_of(cfg, list);

	if (*count >= list->max)
		return refuse(-EINVAL, err, err_bytes,
			      "too many '%.*s': expected at most %u",
			      (int)strcspn(list->prefix, "["), list->prefix, list->max);
	set_defaults(cfg, list, (*count)++);
	return 0;
}

void em_config_init(struct em_config *cfg)
{
	memset(cfg, 0, sizeof(*cfg));
	set_defaults(cfg, NULL, 0);
	em_config_add(cfg, &em_config_lists[0], NULL, 0); /* a tier there must be */
}

static int refuse_unknown(const char *key, char *err, size_t err_bytes)
{
	char text[EM_SHOWN_MAX];
	unsigned int distance;

	return refuse(-ENOENT, err, err_bytes,
		      "unknown key '%s', did you mean '%s'?", em_shown(key, text),
		      em_config_nearest(key, &distance));
}

static int set_slot(struct em_config *cfg, const struct slot *slot, const char *value,
		    char *err, size_t err_bytes)
{
	void *field = slot_field(slot, cfg);

	return slot->param ? set_param(slot->opt, field, slot->param, value, err, err_bytes)
			   : set_field(slot->opt, field, value, err, err_bytes);
}

/* Sets a key of the item after the last one, and so adds that item. */
static int set_in_new(struct em_config *cfg, const struct slot *slot,
		      const char *value, char *err, size_t err_bytes)
{
	unsigned int count = em_config_count(cfg, slot->list);
	int name_len = (int)strcspn(slot->list->prefix, "[");
	int rc;

	if (slot->index > count && slot->index < slot->list->max)
		return refuse(-EINVAL, err, err_bytes,
			      "'%.*s[%u]' leaves a gap: expected %.*s[%u] next",
			      name_len, slot->list->prefix, slot->index, name_len,
			      slot->list->prefix, count);
	if (slot->index >= slot->list->max)
		*count_of(cfg, slot->list) = slot->list->max; /* for what it says */
	rc = em_config_add(cfg, slot->list, err, err_bytes);
	if (!rc)
		rc = set_slot(cfg, slot, value, err, err_bytes);
	if (rc) {
		*count_of(cfg, slot->list) = count;
		if (slot->index == count && count < slot->list->max)
			memset((char *)cfg + slot->list->offset + count * slot->list->item_bytes,
			       0, slot->list->item_bytes);
	}
	return rc;
}

int em_config_set(struct em_config *cfg, const char *key, const char *value,
		  char *err, size_t err_bytes)
{
	struct slot slot;

	if (find_slot(&slot, key))
		return refuse_unknown(key, err, err_bytes);
	if (slot.list && slot.index >= em_config_count(cfg, slot.list))
		return set_in_new(cfg, &slot, value, err, err_bytes);
	return set_slot(cfg, &slot, value, err, err_bytes);
}

int em_config_get(const struct em_config *cfg, const char *key, char *out,
		  size_t out_bytes)
{
	struct slot slot;

	if (find_slot(&slot, key) || slot.param ||
	    (slot.list && slot.index >= em_config_count(cfg, slot.list)))
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

/* "active, or kin or out": the parameters of an algorithm. */
static void list_params(const struct extmem_param *p, char *out, size_t out_bytes)
{
	size_t at = 0;

	snprintf(out, out_bytes, "none");
	for (size_t i = 0; p && p[i].name && at < out_bytes; i++)
		at += (size_t)snprintf(out + at, out_bytes - at, "%s%s",
				       !i ? "" : p[i + 1].name ? ", " : " or ", p[i].name);
}

static const struct extmem_param *find_param(const struct extmem_param *p, const char *name)
{
	while (p && p->name && strcmp(p->name, name))
		p++;
	return p && p->name ? p : NULL;
}

void em_params_fill(const struct em_params *given, const struct extmem_param *table,
		    int64_t *values)
{
	for (size_t i = 0; table && table[i].name; i++) {
		values[i] = table[i].def;
		for (unsigned int k = 0; k < given->count; k++)
			if (!strcmp(given->list[k].name, table[i].name))
				values[i] = given->list[k].value;
	}
}

/* key is that of the parameters, "regions[2].eviction.params" perhaps. */
static int check_params(const char *key, const char *algorithm,
			const struct extmem_param *table, const struct em_params *params,
			char *err, size_t err_bytes)
{
	char list[256], text[EM_SHOWN_MAX];

	for (unsigned int i = 0; i < params->count; i++) {
		const char *name = params->list[i].name;
		const struct extmem_param *p = find_param(table, name);
		long long value = params->list[i].value;

		list_params(table, list, sizeof(list));
		if (!p)
			return refuse(-EINVAL, err, err_bytes,
				      "'%s' has '%s': '%s' has no such parameter, expected %s",
				      key, name, em_shown(algorithm, text), list);
		if (value < p->min || value > p->max)
			return refuse(-EINVAL, err, err_bytes,
				      "'%s' has '%s' as '%lld': expected a whole number from %lld to %lld",
				      key, name, value, (long long)p->min, (long long)p->max);
	}
	return 0;
}

/* Of a plug-in that nobody has looked at nothing is known: that is no error. */
static int check_eviction(const char *key, const char *algorithm,
			  const struct em_params *params, char *err, size_t err_bytes)
{
	const struct extmem_eviction *e = extmem_eviction_find(algorithm);

	return e ? check_params(key, algorithm, e->params, params, err, err_bytes) : 0;
}

/* Those that are built in have none. */
static int check_prefetch(const struct em_config *cfg, char *err, size_t err_bytes)
{
	const struct extmem_prefetcher *p = em_plugin_prefetcher(cfg->prefetcher);

	if (!p && cfg->prefetcher[0] == '/')
		return 0;
	return check_params("prefetch.params", cfg->prefetcher, p ? p->params : NULL,
			    &cfg->prefetch_params, err, err_bytes);
}

const char *em_config_algorithm(const struct em_config *cfg,
				const struct em_region_config *r)
{
	return strcmp(r->algorithm, "inherit") ? r->algorithm : cfg->algorithm;
}

/* Whether a whole rule makes sense, and leaves something for the others. */
static int check_region(const struct em_config *cfg, unsigned int i, uint64_t *promised,
			char *err, size_t err_bytes)
{
	const struct em_region_config *r = &cfg->regions[i];
	uint64_t min, max, most = share_of(limit_of(cfg), 750);
	char key[KEY_MAX], text[32];

	snprintf(key, sizeof(key), "regions[%u].eviction.params", i);
	if (check_eviction(key, em_config_algorithm(cfg, r), &r->params, err, err_bytes))
		return -EINVAL;
	if (!in_limit(cfg, &r->min, &min) || !in_limit(cfg, &r->max, &max))
		return 0;
	get_size(&r->min, text, sizeof(text));
	if (min > max)
		return refuse(-EINVAL, err, err_bytes,
			      "'regions[%u].min' is '%s': expected no more than 'regions[%u].max'",
			      i, text, i);
	*promised += min;
	if (*promised > most)
		return refuse(-EINVAL, err, err_bytes,
			      "'regions[%u].min' is '%s': expected at most 75%% of 'limits.memory' for all regions together",
			      i, text);
	return 0;
}

int em_config_check(const struct em_config *cfg, char *err, size_t err_bytes)
{
	uint64_t promised = 0;
	int rc;

	if (!cfg->tier_count)
		return refuse(-EINVAL, err, err_bytes,
			      "'tiers' is empty: expected at least one tier");
	if (!strcmp(cfg->prefetcher, "replay") && !*cfg->recording)
		return refuse(-EINVAL, err, err_bytes,
			      "'prefetch.algorithm' is replay, and 'prefetch.recording' is empty: expected the file that 'extmem run --record' left");
	if ((rc = check_watermarks(cfg, err, err_bytes)) ||
	    (rc = check_room(cfg, err, err_bytes)) ||
	    (rc = check_eviction("eviction.params", cfg->algorithm, &cfg->params, err,
				 err_bytes)) ||
	    (rc = check_prefetch(cfg, err, err_bytes)))
		return rc;
	for (unsigned int i = 0; i < cfg->region_count && !rc; i++)
		rc = check_region(cfg, i, &promised, err, err_bytes);
	return rc;
}

/* ---- as text --------------------------------------------------------- */

/* The dotted key of an option, with an item's number put in. */
static void full_key(const struct slot *slot, char key[KEY_MAX])
{
	const struct em_config_list *list = slot->list;

	if (!list)
		snprintf(key, KEY_MAX, "%s", slot->opt->key);
	else
		snprintf(key, KEY_MAX, "%.*s[%u].%s", (int)strcspn(list->prefix, "["),
			 list->prefix, slot->index, slot->opt->key + strlen(list->prefix));
}

/*
 * Of regions, which have many keys, those that say something; and one that is
 * always there, so that each region is.
 */
static bool is_worth_a_line(const struct slot *slot, const char *value)
{
	return !slot->list || slot->list != &em_config_lists[1] ||
	       slot->opt->type == EM_OPT_INT || strcmp(value, slot->opt->def);
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
	if (!is_worth_a_line(slot, value) || !em_config_is_said(slot->opt, value))
		return 0;
	n = snprintf(out + *at, out_bytes - *at, "%s=%s\n", key, value);
	if ((size_t)n >= out_bytes - *at)
		return -ENOSPC;
	*at += (size_t)n;
	return 0;
}

/* The lines of one item, or with NULL of all that is in no list. */
static int dump_part(const struct em_config *cfg, const struct em_config_list *list,
		     unsigned int index, char *out, size_t out_bytes, size_t *at)
{
	struct slot slot = { .opt = em_options, .list = list, .index = index };
	int rc = 0;

	for (; slot.opt->key && !rc; slot.opt++)
		if (em_config_list_of(slot.opt) == list)
			rc = dump_slot(cfg, &slot, out, out_bytes, at);
	return rc;
}

int em_config_dump(const struct em_config *cfg, char *out, size_t out_bytes)
{
	size_t at = 0;
	int rc = dump_part(cfg, NULL, 0, out, out_bytes, &at);

	for (const struct em_config_list *l = em_config_lists; l->prefix; l++)
		for (unsigned int i = 0; i < em_config_count(cfg, l) && !rc; i++)
			rc = dump_part(cfg, l, i, out, out_bytes, &at);
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

/* A line of a list that has not been seen before empties it. */
static void begin_list(struct em_config *cfg, const char *line, unsigned int *seen)
{
	for (unsigned int i = 0; em_config_lists[i].prefix; i++) {
		size_t len = strcspn(em_config_lists[i].prefix, "[") + 1;

		if (*seen & 1u << i || strncmp(line, em_config_lists[i].prefix, len))
			continue;
		em_config_clear(cfg, &em_config_lists[i]);
		*seen |= 1u << i;
	}
}

int em_config_load(struct em_config *cfg, const char *text, char *err,
		   size_t err_bytes)
{
	unsigned int seen = 0;
	size_t len;
	int rc;

	for (; *text; text += len + (text[len] == '\n')) {
		len = strcspn(text, "\n");
		if (!len)
			continue;
		begin_list(cfg, text, &seen);
		rc = load_line(cfg, text, len, err, err_bytes);
		if (rc)
			return rc;
	}
	if (err_bytes)
		*err = '\0';
	return 0;
}

/* ---- while it runs --------------------------------------------------- */

/* One option, the same in both or one that may change; else its key in err. */
static int check_slot_live(const struct em_config *from, const struct em_config *to,
			   const struct slot *slot, char *err, size_t err_bytes)
{
	char key[KEY_MAX], a[EM_CONFIG_PATH_MAX], b[EM_CONFIG_PATH_MAX], text[EM_SHOWN_MAX];

	full_key(slot, key);
	if (slot->opt->flags & EM_OPT_LIVE || em_config_get(from, key, a, sizeof(a)) < 0 ||
	    em_config_get(to, key, b, sizeof(b)) < 0 || !strcmp(a, b))
		return 0;
	return refuse(-EINVAL, err, err_bytes,
		      "'%s' is '%s' and cannot change while the program runs: leave it out, or start the program anew",
		      key, em_shown(a, text));
}

int em_config_check_live(const struct em_config *from, const struct em_config *to,
			 char *err, size_t err_bytes)
{
	struct slot slot = { .opt = em_options };
	int rc = 0;

	for (; slot.opt->key && !rc; slot.opt++) {
		slot.list = em_config_list_of(slot.opt);
		if (!slot.list)
			rc = check_slot_live(from, to, &slot, err, err_bytes);
		for (slot.index = 0; slot.list && !rc &&
		     slot.index < em_config_count(to, slot.list); slot.index++)
			rc = check_slot_live(from, to, &slot, err, err_bytes);
	}
	if (!rc && from->tier_count != to->tier_count)
		rc = refuse(-EINVAL, err, err_bytes,
			    "'tiers' cannot change while the program runs: leave it out, or start the program anew");
	return rc;
}
