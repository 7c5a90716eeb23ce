/* SPDX-License-Identifier: MIT
 *
 * A policy file has a known shape, three levels deep at most, so libyaml's
 * events are read as they come, by one function a level: no tree is built, and
 * what does not belong is refused where it begins, however deep it goes on.
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
/* Sections, the keys in them and four tiers' keys, with room to spare. */
#define SEEN_MAX 96
/* The section of the options that every tier has. */
#define TIERS "tiers[]"
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

/* Whether the option's key is "<section>.<leaf>"; NULL takes any leaf. */
static bool option_is(const struct em_option *o, const char *section,
		      const char *leaf)
{
	size_t len = strlen(section);

	return !strncmp(o->key, section, len) && o->key[len] == '.' &&
	       (!leaf || !strcmp(o->key + len + 1, leaf));
}

/* The option named by section and leaf, or the first one of a section. */
static const struct em_option *find_option(const char *section,
					   const char *leaf)
{
	const struct em_option *o = em_options;

	while (o->key && !option_is(o, section, leaf))
		o++;
	return o->key ? o : NULL;
}

/*
 * The words that may stand in a section, or with NULL at the top of a file;
 * returns how many.
 */
static unsigned int known_words(const char *section,
				char words[WORDS_MAX][KEY_MAX])
{
	unsigned int n = 0;

	if (!section)
		snprintf(words[n++], KEY_MAX, "version");
	for (const struct em_option *o = em_options; o->key; o++) {
		const char *word = o->key + (section ? strlen(section) + 1 : 0);

		if (n == WORDS_MAX || (section && !option_is(o, section, NULL)))
			continue;
		snprintf(words[n], KEY_MAX, "%.*s", (int)strcspn(word, ".["),
			 word);
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
static int refuse_unknown(struct reader *r, const char *section)
{
	char words[WORDS_MAX][KEY_MAX], full[2 * KEY_MAX], word[EM_SHOWN_MAX];
	unsigned int n = known_words(section, words), best = 0, d;
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
	snprintf(full, sizeof(full), "%s%s%.*s", section ? section : "",
		 section ? "." : "", KEY_MAX, key);
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

/* The value of the option `full`, a single value. */
static int read_value(struct reader *r, const char *full)
{
	yaml_mark_t at;
	char why[512];
	int rc = next(r);

	if (rc)
		return rc;
	at = r->event.start_mark;
	if (r->event.type != YAML_SCALAR_EVENT)
		return refuse_at(r, at, "'%s' is %s: expected a single value",
				 full, kind_name(&r->event));
	if (is_null(r))
		return refuse_at(r, at,
				 "'%s' has no value: give it one, or remove the line",
				 full);
	rc = check_scalar(r);
	if (rc)
		return rc;
	if (em_config_set(&r->cfg, full, scalar(r), why, sizeof(why)))
		return refuse_at(r, at, "%s", why);
	return 0;
}

/*
 * The keys of a mapping that has begun: those of `section`, set as
 * "<prefix>.<key>". Both are the same but for tiers.
 */
static int read_keys(struct reader *r, const char *section, const char *prefix)
{
	char full[2 * KEY_MAX];
	bool more;
	int rc;

	while (!(rc = next_key(r, &more)) && more) {
		if (!find_option(section, scalar(r)))
			return refuse_unknown(r, section);
		snprintf(full, sizeof(full), "%s.%s", prefix, scalar(r));
		rc = note_key(r, full);
		if (!rc)
			rc = read_value(r, full);
		if (rc)
			break;
	}
	return rc;
}

/* An example of what belongs into a section: its first key and default. */
static const char *example(const char *section, char out[KEY_MAX * 2])
{
	const struct em_option *o = find_option(section, NULL);

	snprintf(out, KEY_MAX * 2, "'%s: %s'", strrchr(o->key, '.') + 1,
		 o->def);
	return out;
}

static int read_section(struct reader *r, const char *section)
{
	char sample[2 * KEY_MAX];
	int rc = next(r);

	/* All of its keys may be commented out. */
	if (rc || is_null(r))
		return rc;
	if (!is_mapping(r))
		return refuse_at(r, r->event.start_mark,
				 "'%s' is %s: expected keys under it, such as %s",
				 section, kind_name(&r->event),
				 example(section, sample));
	return read_keys(r, section, section);
}

static int read_tier(struct reader *r, unsigned int index)
{
	const struct em_option *first = find_option(TIERS, NULL);
	yaml_mark_t at = r->event.start_mark;
	char prefix[KEY_MAX], key[2 * KEY_MAX], why[512], sample[2 * KEY_MAX];

	if (!is_mapping(r))
		return refuse_at(r, at,
				 "a tier is %s: expected keys in it, such as %s",
				 kind_name(&r->event), example(TIERS, sample));
	/* Setting any key adds the tier; an empty one is all defaults. */
	snprintf(prefix, sizeof(prefix), "tiers[%u]", index);
	snprintf(key, sizeof(key), "%s.%s", prefix,
		 strrchr(first->key, '.') + 1);
	if (em_config_set(&r->cfg, key, first->def, why, sizeof(why)))
		return refuse_at(r, at, "%s", why);
	return read_keys(r, TIERS, prefix);
}

static int read_tiers(struct reader *r)
{
	yaml_mark_t at;
	int rc = next(r);

	if (rc || is_null(r))
		return rc;
	at = r->event.start_mark;
	if (r->event.type != YAML_SEQUENCE_START_EVENT)
		return refuse_at(r, at,
				 "'tiers' is %s: expected a list, with '- ' before the first key of each tier",
				 kind_name(&r->event));
	r->cfg.tier_count = 0;
	for (unsigned int i = 0; !(rc = next(r)); i++) {
		if (r->event.type == YAML_SEQUENCE_END_EVENT)
			break;
		rc = read_tier(r, i);
		if (rc)
			return rc;
	}
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

static int read_top_key(struct reader *r)
{
	char key[KEY_MAX];
	int rc;

	if ((size_t)snprintf(key, sizeof(key), "%s", scalar(r)) >= sizeof(key))
		return refuse_unknown(r, NULL);
	if (strcmp(key, "version") && strcmp(key, "tiers") &&
	    (!find_option(key, NULL) || strpbrk(key, ".[")))
		return refuse_unknown(r, NULL);
	rc = note_key(r, key);
	if (rc)
		return rc;
	if (!strcmp(key, "version"))
		return read_version(r);
	if (!strcmp(key, "tiers"))
		return read_tiers(r);
	return read_section(r, key);
}

static int read_document(struct reader *r)
{
	bool more;
	int rc = next(r);

	if (rc || is_null(r))
		return rc;
	if (!is_mapping(r))
		return refuse_at(r, r->event.start_mark,
				 "found %s: expected sections with keys under them, such as 'limits: {memory: 512M}'",
				 kind_name(&r->event));
	while (!(rc = next_key(r, &more)) && more) {
		rc = read_top_key(r);
		if (rc)
			break;
	}
	return rc;
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

/* "  key: value" for one option; prefix as in read_keys(). */
static int write_value(const struct em_config *cfg, const char *prefix,
		       const char *leaf, FILE *out)
{
	char full[2 * KEY_MAX], value[EM_CONFIG_PATH_MAX];
	int rc;

	snprintf(full, sizeof(full), "%s.%s", prefix, leaf);
	rc = em_config_get(cfg, full, value, sizeof(value));
	if (rc < 0)
		return rc;
	fprintf(out, "%s: ", leaf);
	rc = 0;
	if (is_plain(value))
		fputs(value, out);
	else
		rc = write_quoted(value, out);
	putc('\n', out);
	return rc;
}

static int write_sections(const struct em_config *cfg, FILE *out)
{
	char section[KEY_MAX] = "";
	int rc = 0;

	for (const struct em_option *o = em_options; o->key && !rc; o++) {
		if (option_is(o, TIERS, NULL))
			continue;
		if (!option_is(o, section, NULL)) {
			snprintf(section, sizeof(section), "%.*s",
				 (int)strcspn(o->key, "."), o->key);
			fprintf(out, "%s:\n", section);
		}
		fputs("  ", out);
		rc = write_value(cfg, section, strrchr(o->key, '.') + 1, out);
	}
	return rc;
}

static int write_tier(const struct em_config *cfg, unsigned int index, FILE *out)
{
	const char *lead = "  - ";
	char prefix[KEY_MAX];
	int rc = 0;

	snprintf(prefix, sizeof(prefix), "tiers[%u]", index);
	for (const struct em_option *o = em_options; o->key && !rc; o++) {
		if (!option_is(o, TIERS, NULL))
			continue;
		fputs(lead, out);
		lead = "    ";
		rc = write_value(cfg, prefix, strrchr(o->key, '.') + 1, out);
	}
	return rc;
}

int em_yaml_write(const struct em_config *cfg, FILE *out)
{
	int rc;

	fputs("version: 1\n", out);
	rc = write_sections(cfg, out);
	if (!rc)
		fputs("tiers:\n", out);
	for (unsigned int i = 0; i < cfg->tier_count && !rc; i++)
		rc = write_tier(cfg, i, out);
	if (!rc && (fflush(out) || ferror(out)))
		rc = -EIO;
	return rc;
}
