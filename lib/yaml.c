/* SPDX-License-Identifier: MIT
 *
 * A policy file has a known shape, that of the options' dotted keys: so
 * libyaml's events are read as they come, one mapping within the other. No tree
 * is built, and what does not belong is refused where it begins, however deep
 * it goes on.
 *
 * A place in the file has two names: the `generic` one, which the table of
 * options knows ("regions[].match"), and the `full` one ("regions[2].match").
 */
#include "yaml.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>
#include <yaml.h>

#define FILE_BYTES_MAX (1u << 20)
#define KEY_MAX 64
/* Sections, the keys in them and those of all items of lists. */
#define SEEN_MAX 512
#define WORDS_MAX 16

/* Where a key was found, by its full name: "limits", "tiers[0].path". */
struct seen {
	char key[KEY_MAX];
	yaml_mark_t mark;
};

struct reader {
	yaml_parser_t parser;
	yaml_event_t event; /* the one being looked at */
	const char *text;
	size_t text_bytes;
	const char *name;
	struct em_config cfg; /* handed over only when all is well */
	struct seen seen[SEEN_MAX];
	unsigned int seen_count;
	char *err;
	size_t err_bytes;
};

/* ---- messages -------------------------------------------------------- */

__attribute__((format(printf, 3, 4))) static int
refuse_at(struct reader *r, yaml_mark_t at, const char *format, ...)
{
	int n = snprintf(r->err, r->err_bytes, "%s:%zu:%zu: ", r->name,
			 at.line + 1, at.column + 1);
	va_list ap;

	if ((size_t)n < r->err_bytes) {
		va_start(ap, format);
		vsnprintf(r->err + n, r->err_bytes - (size_t)n, format, ap);
		va_end(ap);
	}
	return -EINVAL;
}

/* Line and column, in characters, of a byte of the text. */
static yaml_mark_t mark_of(const struct reader *r, size_t offset)
{
	yaml_mark_t mark = { .index = offset };

	for (size_t i = 0; i < offset && i < r->text_bytes; i++) {
		if (r->text[i] == '\n') {
			mark.line++;
			mark.column = 0;
		} else if (((unsigned char)r->text[i] & 0xc0) != 0x80) {
			mark.column++;
		}
	}
	return mark;
}

/* The byte of the text at a mark, which counts characters; 0 at the end. */
static char char_at(const struct reader *r, yaml_mark_t mark)
{
	const char *p = r->text, *end = r->text + r->text_bytes;

	for (size_t line = 0; p && p < end && line < mark.line; line++) {
		p = memchr(p, '\n', (size_t)(end - p));
		if (p)
			p++;
	}
	for (size_t i = 0; p && p < end && i < mark.column; p++)
		i += (p + 1 < end && ((unsigned char)p[1] & 0xc0) != 0x80);
	return p && p < end ? *p : '\0';
}

/* What would do, for a complaint of libyaml's about the text itself. */
static const char *syntax_hint(const struct reader *r)
{
	const char *problem = r->parser.problem;

	if (char_at(r, r->parser.problem_mark) == '\t')
		return "indent with spaces, not tabs";
	if (strstr(problem, "mapping values are not allowed"))
		return "check the indentation, or put quotes around a value that has a colon in it";
	if (strstr(problem, "cannot start any token"))
		return "put quotes around the value";
	if (strstr(problem, "could not find expected ':'"))
		return "write 'key: value' with a space after the colon";
	if (strstr(problem, "quoted scalar") || strstr(problem, "end of stream"))
		return "close the quote or bracket that is open here";
	return "check the indentation, brackets and quotes up to here";
}

/* libyaml could not even read the bytes; some complaints name the culprit. */
static int refuse_bytes(struct reader *r)
{
	const yaml_parser_t *p = &r->parser;
	char value[24] = "";

	if (p->problem_value >= 0)
		snprintf(value, sizeof(value), " (0x%02x)",
			 (unsigned int)p->problem_value);
	return refuse_at(r, mark_of(r, p->problem_offset),
			 "%s%s: expected a text file in UTF-8", p->problem,
			 value);
}

static int refuse_syntax(struct reader *r)
{
	const yaml_parser_t *p = &r->parser;

	switch (p->error) {
	case YAML_MEMORY_ERROR:
		snprintf(r->err, r->err_bytes, "cannot read '%s': %s", r->name,
			 strerror(ENOMEM));
		return -ENOMEM;
	case YAML_READER_ERROR:
		return refuse_bytes(r);
	default:
		return refuse_at(r, p->problem_mark, "%s%s%s: %s", p->problem,
				 p->context ? " " : "",
				 p->context ? p->context : "", syntax_hint(r));
	}
}

/* ---- events ---------------------------------------------------------- */

static const char *kind_name(const yaml_event_t *e)
{
	switch (e->type) {
	case YAML_SEQUENCE_START_EVENT:
		return "a list";
	case YAML_MAPPING_START_EVENT:
		return "a mapping";
	default:
		return "a single value";
	}
}

static int refuse_alias(struct reader *r)
{
	return refuse_at(r, r->event.start_mark,
			 "anchors (&) and aliases (*) are not used in policy files: write the value out, or put quotes around it");
}

/* What YAML has and a policy file does without: anchors, aliases and tags. */
static int refuse_extras(struct reader *r)
{
	const yaml_event_t *e = &r->event;
	const yaml_char_t *anchor = NULL, *tag = NULL;

	switch (e->type) {
	case YAML_ALIAS_EVENT:
		return refuse_alias(r);
	case YAML_SCALAR_EVENT:
		anchor = e->data.scalar.anchor;
		tag = e->data.scalar.tag;
		break;
	case YAML_SEQUENCE_START_EVENT:
		anchor = e->data.sequence_start.anchor;
		tag = e->data.sequence_start.tag;
		break;
	case YAML_MAPPING_START_EVENT:
		anchor = e->data.mapping_start.anchor;
		tag = e->data.mapping_start.tag;
		break;
	default:
		break;
	}
	if (anchor)
		return refuse_alias(r);
	if (tag)
		return refuse_at(r, e->start_mark,
				 "tags (!) are not used in policy files: remove it, or put quotes around the value");
	return 0;
}

/* The next event into r->event. */
static int next(struct reader *r)
{
	yaml_event_delete(&r->event);
	if (!yaml_parser_parse(&r->parser, &r->event))
		return refuse_syntax(r);
	return refuse_extras(r);
}

static const char *scalar(const struct reader *r)
{
	return (const char *)r->event.data.scalar.value;
}

static bool is_mapping(const struct reader *r)
{
	return r->event.type == YAML_MAPPING_START_EVENT;
}

/* Nothing, or a word that YAML reads as nothing. */
static bool is_null(const struct reader *r)
{
	static const char *const words[] = { "", "~", "null", "Null", "NULL" };

	if (r->event.type != YAML_SCALAR_EVENT ||
	    r->event.data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
		return false;
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (!strcmp(scalar(r), words[i]))
			return true;
	return false;
}

/* ---- known keys ------------------------------------------------------ */

/* What follows the generic name of a place in an option's key; NULL: not there. */
static const char *below(const struct em_option *o, const char *generic)
{
	size_t len = strlen(generic);

	if (!len)
		return o->key;
	return !strncmp(o->key, generic, len) && o->key[len] == '.' ? o->key + len + 1 : NULL;
}

/* The option of exactly that generic name, or NULL. */
static const struct em_option *find_option(const char *generic)
{
	const struct em_option *o = em_options;

	while (o->key && strcmp(o->key, generic))
		o++;
	return o->key ? o : NULL;
}

/* The first option below a place: there is one if it is a mapping. */
static const struct em_option *find_below(const char *generic)
{
	const struct em_option *o = em_options;

	while (o->key && !below(o, generic))
		o++;
	return o->key ? o : NULL;
}

/* The list of that name, without its brackets; or NULL. */
static const struct em_config_list *find_list(const char *generic)
{
	const struct em_config_list *l = em_config_lists;
	size_t len = strlen(generic);

	while (l->prefix && (strncmp(l->prefix, generic, len) || l->prefix[len] != '['))
		l++;
	return l->prefix ? l : NULL;
}

/* "tiers[]", which is how generic names of its items begin. */
static void list_generic(const struct em_config_list *list, char out[KEY_MAX])
{
	snprintf(out, KEY_MAX, "%.*s", (int)strlen(list->prefix) - 1, list->prefix);
}

/* The words that may stand in a place; returns how many. */
static unsigned int known_words(const char *generic, char words[WORDS_MAX][KEY_MAX])
{
	unsigned int n = 0;

	if (!*generic)
		snprintf(words[n++], KEY_MAX, "version");
	for (const struct em_option *o = em_options; o->key; o++) {
		const char *word = below(o, generic);

		if (n == WORDS_MAX || !word)
			continue;
		snprintf(words[n], KEY_MAX, "%.*s", (int)strcspn(word, ".["), word);
		if (!n || strcmp(words[n], words[n - 1]))
			n++;
	}
	return n;
}

/* "memory or on_full": what may stand in a section. */
static void list_words(char words[WORDS_MAX][KEY_MAX], unsigned int n, char *out,
		       size_t out_bytes)
{
	size_t at = 0;

	for (unsigned int i = 0; i < n && at < out_bytes; i++)
		at += (size_t)snprintf(out + at, out_bytes - at, "%s%s",
				       !i	  ? "" :
				       i + 1 == n ? " or " :
						    ", ",
				       words[i]);
}

/* Refuses the key in r->event, and names the one that was perhaps meant. */
static int refuse_unknown(struct reader *r, const char *generic)
{
	char words[WORDS_MAX][KEY_MAX], full[2 * KEY_MAX], word[EM_SHOWN_MAX];
	unsigned int n = known_words(generic, words), best = 0, d;
	const char *key = scalar(r), *near;
	char list[512];

	em_shown(key, word);
	for (unsigned int i = 1; i < n; i++)
		if (em_edit_distance(key, words[i]) <
		    em_edit_distance(key, words[best]))
			best = i;
	if (em_edit_distance(key, words[best]) <= 2)
		return refuse_at(r, r->event.start_mark,
				 "unknown key '%s', did you mean '%s'?", word,
				 words[best]);
	snprintf(full, sizeof(full), "%s%s%.*s", generic, *generic ? "." : "",
		 KEY_MAX, key);
	near = em_config_nearest(full, &d);
	if (d <= 2)
		return refuse_at(r, r->event.start_mark,
				 "unknown key '%s', did you mean '%s' under '%.*s'?",
				 word, strrchr(near, '.') + 1,
				 (int)strcspn(near, ".["), near);
	list_words(words, n, list, sizeof(list));
	return refuse_at(r, r->event.start_mark,
			 "unknown key '%s': expected %s", word, list);
}

/* The scalar in r->event must be text that a C string can hold. */
static int check_scalar(struct reader *r)
{
	if (strlen(scalar(r)) != r->event.data.scalar.length)
		return refuse_at(r, r->event.start_mark,
				 "a NUL character in a word: remove it");
	return 0;
}

/* Notes where a key is; a second one of the same name is refused. */
static int note_key(struct reader *r, const char *full)
{
	char word[EM_SHOWN_MAX];

	for (unsigned int i = 0; i < r->seen_count; i++)
		if (!strcmp(r->seen[i].key, full))
			return refuse_at(r, r->event.start_mark,
					 "key '%s' is here a second time, first in line %zu: keep one of them",
					 em_shown(scalar(r), word),
					 r->seen[i].mark.line + 1);
	if (r->seen_count < SEEN_MAX) {
		struct seen *seen = &r->seen[r->seen_count++];

		snprintf(seen->key, sizeof(seen->key), "%s", full);
		seen->mark = r->event.start_mark;
	}
	return 0;
}

/* ---- the levels of a file -------------------------------------------- */

/* The next key of a mapping in r->event; 0 with *more false at its end. */
static int next_key(struct reader *r, bool *more)
{
	int rc = next(r);

	if (rc)
		return rc;
	*more = r->event.type != YAML_MAPPING_END_EVENT;
	if (!*more)
		return 0;
	if (r->event.type != YAML_SCALAR_EVENT)
		return refuse_at(r, r->event.start_mark,
				 "found %s where a key belongs: expected 'key: value'",
				 kind_name(&r->event));
	return check_scalar(r);
}

/*
 * The value in r->event. A plug-in is within the folder that the file is in;
 * what comes by the standard input is in none.
 */
static const char *value_of(const struct reader *r, const struct em_option *o,
			    char joined[2 * EM_CONFIG_PATH_MAX])
{
	const char *value = scalar(r), *slash = strrchr(r->name, '/');

	if (!o || o->type != EM_OPT_PLUGIN || !*value || *value == '/' || !slash)
		return value;
	while (!strncmp(value, "./", 2))
		value += 2;
	snprintf(joined, 2 * EM_CONFIG_PATH_MAX, "%.*s%s", (int)(slash - r->name) + 1,
		 r->name, value);
	return joined;
}

/* The scalar in r->event is the value of the option `full`; o: NULL for a parameter. */
static int set_value(struct reader *r, const struct em_option *o, const char *full)
{
	char why[1024], joined[2 * EM_CONFIG_PATH_MAX];
	yaml_mark_t at = r->event.start_mark;
	int rc;

	if (is_null(r))
		return refuse_at(r, at,
				 "'%s' has no value: give it one, or remove the line",
				 full);
	rc = check_scalar(r);
	if (rc)
		return rc;
	if (em_config_set(&r->cfg, full, value_of(r, o, joined), why, sizeof(why)))
		return refuse_at(r, at, "%s", why);
	return 0;
}

/* One of two keys that share a field may be given. */
static int refuse_twin(struct reader *r, const struct em_option *o, const char *full)
{
	const struct em_option *twin = em_config_twin(o);
	char other[2 * KEY_MAX];

	if (!twin)
		return 0;
	snprintf(other, sizeof(other), "%.*s.%s", (int)(strrchr(full, '.') - full), full,
		 strrchr(twin->key, '.') + 1);
	for (unsigned int i = 0; i < r->seen_count; i++)
		if (!strcmp(r->seen[i].key, other))
			return refuse_at(r, r->event.start_mark,
					 "'%s' and '%s' are both here, the other in line %zu: keep one of them",
					 full, other, r->seen[i].mark.line + 1);
	return 0;
}

/* The value of the option `full`, a single value. */
static int read_value(struct reader *r, const struct em_option *o, const char *full)
{
	int rc = next(r);

	if (rc)
		return rc;
	if (r->event.type != YAML_SCALAR_EVENT)
		return refuse_at(r, r->event.start_mark,
				 "'%s' is %s: expected a single value", full,
				 kind_name(&r->event));
	return set_value(r, o, full);
}

/* "<place>.<key>"; place may be the top of the file, "". */
static void join(char out[2 * KEY_MAX], const char *place, const char *key)
{
	snprintf(out, 2 * KEY_MAX, "%.*s%s%.*s", KEY_MAX, place, *place ? "." : "",
		 KEY_MAX - 2, key);
}

/* Parameters of an algorithm: any names, one value each. They replace all. */
static int read_params(struct reader *r, const char *full)
{
	char name[2 * KEY_MAX];
	bool more;
	int rc = next(r);

	if (rc)
		return rc;
	if (!is_null(r) && !is_mapping(r))
		return refuse_at(r, r->event.start_mark,
				 "'%s' is %s: expected 'name: number' under it", full,
				 kind_name(&r->event));
	em_config_set(&r->cfg, full, "", NULL, 0);
	if (is_null(r))
		return 0;
	while (!(rc = next_key(r, &more)) && more) {
		if (strpbrk(scalar(r), ".[") || strlen(scalar(r)) >= KEY_MAX / 2)
			return refuse_at(r, r->event.start_mark,
					 "'%s' is no name of a parameter", scalar(r));
		join(name, full, scalar(r));
		rc = note_key(r, name);
		if (!rc)
			rc = read_value(r, NULL, name);
		if (rc)
			break;
	}
	return rc;
}

/* An example of what belongs into a place: its first key and default. */
static const char *example(const char *generic, char out[KEY_MAX * 2])
{
	const struct em_option *o = find_below(generic);

	snprintf(out, KEY_MAX * 2, "'%s: %s'", strrchr(o->key, '.') + 1,
		 o->def);
	return out;
}

static int read_keys(struct reader *r, const char *generic, const char *full);

static int read_section(struct reader *r, const char *generic, const char *full)
{
	char sample[2 * KEY_MAX];
	int rc = next(r);

	/* All of its keys may be commented out. */
	if (rc || is_null(r))
		return rc;
	if (!is_mapping(r))
		return refuse_at(r, r->event.start_mark,
				 "'%s' is %s: expected keys under it, such as %s",
				 full, kind_name(&r->event),
				 example(generic, sample));
	return read_keys(r, generic, full);
}

static int read_item(struct reader *r, const struct em_config_list *list)
{
	yaml_mark_t at = r->event.start_mark;
	char generic[KEY_MAX], full[KEY_MAX], why[512], sample[2 * KEY_MAX];

	list_generic(list, generic);
	if (!is_mapping(r))
		return refuse_at(r, at,
				 "a %s is %s: expected keys in it, such as %s",
				 list->one, kind_name(&r->event), example(generic, sample));
	snprintf(full, sizeof(full), "%.*s%u]", (int)strlen(generic) - 1, generic,
		 em_config_count(&r->cfg, list));
	if (em_config_add(&r->cfg, list, why, sizeof(why)))
		return refuse_at(r, at, "%s", why);
	return read_keys(r, generic, full);
}

/* What is named replaces what there was; of tiers there must be one. */
static int read_list(struct reader *r, const struct em_config_list *list, const char *full)
{
	yaml_mark_t at;
	int rc = next(r);

	if (rc || is_null(r))
		return rc;
	at = r->event.start_mark;
	if (r->event.type != YAML_SEQUENCE_START_EVENT)
		return refuse_at(r, at,
				 "'%s' is %s: expected a list, with '- ' before the first key of each %s",
				 full, kind_name(&r->event), list->one);
	em_config_clear(&r->cfg, list);
	while (!(rc = next(r)) && r->event.type != YAML_SEQUENCE_END_EVENT)
		if ((rc = read_item(r, list)))
			return rc;
	if (!rc && !r->cfg.tier_count)
		return refuse_at(r, at,
				 "'tiers' is empty: expected at least one tier");
	return rc;
}

static int read_version(struct reader *r)
{
	char word[EM_SHOWN_MAX];
	int rc = next(r);

	if (rc)
		return rc;
	if (r->event.type != YAML_SCALAR_EVENT)
		return refuse_at(r, r->event.start_mark,
				 "'version' is %s: expected 1",
				 kind_name(&r->event));
	rc = check_scalar(r);
	if (rc)
		return rc;
	if (strcmp(scalar(r), "1"))
		return refuse_at(r, r->event.start_mark,
				 "'version' is '%s': expected 1, the only one that this extmem knows",
				 em_shown(scalar(r), word));
	return 0;
}

/* What follows a key, which is known to stand in r->event. */
static int read_key(struct reader *r, const char *above, const char *generic,
		    const char *full)
{
	const struct em_option *o = find_option(generic);
	const struct em_config_list *list = find_list(generic);
	int rc;

	if (!o && !list && !find_below(generic) && strcmp(generic, "version"))
		return refuse_unknown(r, above);
	rc = note_key(r, full);
	if (!rc && o)
		rc = refuse_twin(r, o, full);
	if (rc)
		return rc;
	if (!strcmp(generic, "version"))
		return read_version(r);
	if (list)
		return read_list(r, list, full);
	if (!o)
		return read_section(r, generic, full);
	return o->type == EM_OPT_PARAMS ? read_params(r, full) : read_value(r, o, full);
}

/* The keys of a mapping that has begun. */
static int read_keys(struct reader *r, const char *generic, const char *full)
{
	char inner[2 * KEY_MAX], inner_full[2 * KEY_MAX];
	bool more;
	int rc;

	while (!(rc = next_key(r, &more)) && more) {
		if (strpbrk(scalar(r), ".[") || strlen(scalar(r)) >= KEY_MAX / 2)
			return refuse_unknown(r, generic);
		join(inner, generic, scalar(r));
		join(inner_full, full, scalar(r));
		rc = read_key(r, generic, inner, inner_full);
		if (rc)
			break;
	}
	return rc;
}

static int read_document(struct reader *r)
{
	int rc = next(r);

	if (rc || is_null(r))
		return rc;
	if (!is_mapping(r))
		return refuse_at(r, r->event.start_mark,
				 "found %s: expected sections with keys under them, such as 'limits: {memory: 512M}'",
				 kind_name(&r->event));
	return read_keys(r, "", "");
}

static int read_stream(struct reader *r)
{
	int rc = next(r); /* the start of the stream, always */

	if (!rc)
		rc = next(r);
	if (rc || r->event.type == YAML_STREAM_END_EVENT)
		return rc;
	rc = read_document(r);
	if (!rc)
		rc = next(r); /* the end of the document, always */
	if (!rc)
		rc = next(r);
	if (!rc && r->event.type != YAML_STREAM_END_EVENT)
		return refuse_at(r, r->event.start_mark,
				 "a second document begins here: keep one in a file");
	return rc;
}

/* A rule across keys is broken: blame the first one that the file names. */
static int check_whole(struct reader *r)
{
	yaml_mark_t at = { 0 };
	char why[512], quoted[KEY_MAX + 2];

	if (!em_config_check(&r->cfg, why, sizeof(why)))
		return 0;
	for (unsigned int i = r->seen_count; i-- > 0;) {
		snprintf(quoted, sizeof(quoted), "'%s'", r->seen[i].key);
		if (strstr(why, quoted))
			at = r->seen[i].mark;
	}
	return refuse_at(r, at, "%s", why);
}

int em_yaml_parse(struct em_config *cfg, const char *text, size_t bytes,
		  const char *name, char *err, size_t err_bytes)
{
	/* libyaml takes a byte order mark only if it may guess the encoding. */
	size_t mark = bytes >= 3 && !memcmp(text, "\xef\xbb\xbf", 3) ? 3 : 0;
	struct reader r = {
		.text = text + mark,
		.text_bytes = bytes - mark,
		.name = name,
		.cfg = *cfg,
		.err = err,
		.err_bytes = err_bytes,
	};
	int rc;

	if (bytes > FILE_BYTES_MAX) {
		snprintf(err, err_bytes,
			 "'%s' is larger than 1M: expected a policy file",
			 name);
		return -EFBIG;
	}
	if (!yaml_parser_initialize(&r.parser)) {
		snprintf(err, err_bytes, "cannot read '%s': %s", name,
			 strerror(ENOMEM));
		return -ENOMEM;
	}
	yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&r.parser, (const unsigned char *)r.text,
				     r.text_bytes);
	rc = read_stream(&r);
	if (!rc)
		rc = check_whole(&r);
	yaml_event_delete(&r.event);
	yaml_parser_delete(&r.parser);
	if (!rc)
		*cfg = r.cfg;
	return rc;
}

/* ---- files ----------------------------------------------------------- */

/* All of fd, one byte more than allowed at most. Length or -errno. */
static ssize_t read_all(int fd, char *text)
{
	size_t at = 0;
	ssize_t n;

	while (at <= FILE_BYTES_MAX) {
		n = read(fd, text + at, FILE_BYTES_MAX + 1 - at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			break;
		at += (size_t)n;
	}
	return (ssize_t)at;
}

int em_yaml_read(struct em_config *cfg, const char *path, char *err,
		 size_t err_bytes)
{
	bool standard = !strcmp(path, "-");
	const char *name = standard ? "<stdin>" : path;
	int fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = -errno;
	char *text = NULL;

	if (fd >= 0) {
		text = malloc(FILE_BYTES_MAX + 1);
		n = text ? read_all(fd, text) : -ENOMEM;
		if (!standard)
			close(fd);
	}
	if (n >= 0)
		n = em_yaml_parse(cfg, text, (size_t)n, name, err, err_bytes);
	else
		snprintf(err, err_bytes, "cannot %s '%s': %s",
			 fd < 0 ? "open" : "read", name, strerror((int)-n));
	free(text);
	return (int)n;
}

/* ---- writing --------------------------------------------------------- */

/* One character of UTF-8 at p: its length, 0 when it is none. */
static size_t decode(const unsigned char *p, uint32_t *c)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t len = *p < 0x80 ? 1 : *p < 0xc2 ? 0 : *p < 0xe0 ? 2 :
		     *p < 0xf0 ? 3 : *p < 0xf5 ? 4 : 0;

	*c = len == 1 ? *p : *p & (0x7fu >> len);
	for (size_t i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		*c = *c << 6 | (p[i] & 0x3f);
	}
	if (len > 1 && (*c < least[len] || *c > 0x10ffff ||
			(*c >= 0xd800 && *c <= 0xdfff)))
		return 0;
	return len;
}

/* Whether a value reads back as itself without quotes. */
static bool is_plain(const char *value)
{
	static const char inside[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._+-%";

	return (*value == '/' || *value == '.' || (*value >= '0' && *value <= '9') ||
		((*value | 0x20) >= 'a' && (*value | 0x20) <= 'z')) &&
	       !value[strspn(value, inside)] && strcasecmp(value, "null") &&
	       strcmp(value, "...");
}

static int write_quoted(const char *value, FILE *out)
{
	const unsigned char *p = (const unsigned char *)value;
	uint32_t c;
	size_t len;

	putc('"', out);
	for (; *p; p += len) {
		len = decode(p, &c);
		if (!len)
			return -EILSEQ;
		if (c == '"' || c == '\\')
			fprintf(out, "\\%c", (int)c);
		else if (c < 0x20 || (c >= 0x7f && c < 0xa0))
			fprintf(out, "\\x%02x", c);
		else if (c == 0x2028 || c == 0x2029 || (c & ~1u) == 0xfffe ||
			 c == 0xfeff)
			fprintf(out, "\\u%04x", c);
		else
			fwrite(p, 1, len, out);
	}
	putc('"', out);
	return 0;
}

/* "{active: 50, kin: 25}" of "active=50 kin=25". */
static void write_params(const char *value, FILE *out)
{
	putc('{', out);
	for (; *value; value++)
		fputs((char[3]){ *value == '=' ? ':' : *value == ' ' ? ',' : *value,
				 *value == '=' || *value == ' ' ? ' ' : '\0' }, out);
	putc('}', out);
}

static int write_value(const struct em_option *o, const char *value, FILE *out)
{
	int rc = 0;

	fprintf(out, "%s: ", strrchr(o->key, '.') + 1);
	if (o->type == EM_OPT_PARAMS)
		write_params(value, out);
	else if (is_plain(value))
		fputs(value, out);
	else
		rc = write_quoted(value, out);
	putc('\n', out);
	return rc;
}

/* Where the writer is: the sections that it has begun, and the next line's lead. */
struct writer {
	FILE *out;
	char section[2 * KEY_MAX]; /* of the line before, within the item */
	int indent;
	bool first;                /* of an item of a list: "- " stands before it */
};

static void begin_line(struct writer *w, int depth)
{
	fprintf(w->out, "%*s%s", w->indent + 2 * depth - (w->first ? 2 : 0), "",
		w->first ? "- " : "");
	w->first = false;
}

/* The headings of the sections that the key lies in and the last one did not. */
static int begin_sections(struct writer *w, const char *key)
{
	int depth = 0;
	const char *dot;

	for (const char *word = key; (dot = strchr(word, '.')); word = dot + 1, depth++) {
		size_t len = (size_t)(dot - key) + 1;

		if (!strncmp(w->section, key, len))
			continue;
		begin_line(w, depth);
		fprintf(w->out, "%.*s:\n", (int)(dot - word), word);
		snprintf(w->section, sizeof(w->section), "%.*s", (int)len, key);
	}
	return depth;
}

/*
 * All options of an item of a list, or with NULL those that are in none. Of a
 * rule only what it says.
 */
static int write_options(const struct em_config *cfg, const struct em_config_list *list,
			 unsigned int index, FILE *out)
{
	struct writer w = { .out = out, .indent = list ? 4 : 0, .first = list };
	size_t prefix = list ? strlen(list->prefix) : 0;
	char full[2 * KEY_MAX], value[EM_CONFIG_PATH_MAX];
	int rc = 0;

	for (const struct em_option *o = em_options; o->key && rc >= 0; o++) {
		if (em_config_list_of(o) != list)
			continue;
		snprintf(full, sizeof(full), "%s", o->key);
		if (list)
			snprintf(full, sizeof(full), "%.*s[%u].%s",
				 (int)strcspn(list->prefix, "["), list->prefix, index,
				 o->key + prefix);
		rc = em_config_get(cfg, full, value, sizeof(value));
		if (rc < 0)
			break;
		if (!em_config_is_said(o, value) ||
		    (list == &em_config_lists[1] && o->type != EM_OPT_INT &&
		     !strcmp(value, o->def)))
			continue;
		begin_line(&w, begin_sections(&w, o->key + prefix));
		rc = write_value(o, value, out);
	}
	return rc < 0 ? rc : 0;
}

int em_yaml_write(const struct em_config *cfg, FILE *out)
{
	int rc;

	fputs("version: 1\n", out);
	rc = write_options(cfg, NULL, 0, out);
	for (const struct em_config_list *l = em_config_lists; l->prefix && !rc; l++) {
		if (em_config_count(cfg, l))
			fprintf(out, "%.*s:\n", (int)strcspn(l->prefix, "["), l->prefix);
		for (unsigned int i = 0; i < em_config_count(cfg, l) && !rc; i++)
			rc = write_options(cfg, l, i, out);
	}
	if (!rc && (fflush(out) || ferror(out)))
		rc = -EIO;
	return rc;
}
