/* unit-words.c: see unit-words.h. */
#include "unit-words.h"
#include "util.h"
#include "words.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#define BLANK	  " \t\n\r"
#define WORDS_MAX 16384

static bool is_blank(char c)
{
	return c && strchr(BLANK, c);
}

/* ---- text that grows ---- */

struct text {
	char *s;
	size_t n, cap;
};

static void put(struct text *t, const char *s, size_t n)
{
	if (t->n + n + 1 > t->cap)
		t->s = xrealloc(t->s, t->cap = 2 * (t->n + n) + 64);
	memcpy(t->s + t->n, s, n);
	t->s[t->n += n] = '\0';
}

void unit_words_fini(struct unit_word_list *w)
{
	while (w->n)
		free(w->v[--w->n]);
	free(w->v);
	*w = (struct unit_word_list){.n = 0};
}

/* ---- lines ---- */

/* A line with those that it goes on in: a backslash at the end is a blank, and a comment between them is none of it. NULL: the end. Malloc'ed. */
static char *next_line(const char **p)
{
	struct text line = {.s = NULL};
	bool goes_on = true;

	while (goes_on && **p) {
		const char *s = *p + strspn(*p, " \t\r"), *end = strchr(s, '\n') ?: s + strlen(s), *c;
		bool comment = *s == '#' || *s == ';', escaped = false;

		*p = *end ? end + 1 : end;
		if (comment && line.s)
			continue;
		for (c = s; c < end && !comment; c++)
			escaped = *c == '\\' && !escaped;
		put(&line, s, comment ? 0 : (size_t)(end - s));
		if (escaped)
			line.s[line.n - 1] = ' ';
		goes_on = escaped;
	}
	return line.s;
}

static char *trimmed(const char *s, size_t n)
{
	while (n && is_blank(*s))
		s++, n--;
	while (n && is_blank(s[n - 1]))
		n--;
	return xasprintf("%.*s", (int)n, s);
}

int unit_parse(struct kv_list *l, const char *text, struct err *e)
{
	bool in_service = false;
	char *line;
	int r = 0;

	while (!r && (line = next_line(&text))) {
		AUTO_FREE char *whole = line, *s = trimmed(line, strlen(line));
		const char *equals = strchr(s, '=');
		AUTO_FREE char *key = equals ? trimmed(s, (size_t)(equals - s)) : NULL;
		AUTO_FREE char *value = equals ? trimmed(equals + 1, strlen(equals + 1)) : NULL;

		(void)whole;
		if (!*s)
			continue;
		if (*s == '[')
			in_service = !strcmp(s, "[Service]");
		else if (!equals)
			r = err_set(e, EINVAL, "it has a line without '=': %.40s", s);
		else if (in_service)
			kv_append(l, key, value);
	}
	return r;
}

/* ---- words ---- */

static int digit_of(char c, int base)
{
	int d = c >= '0' && c <= '9' ? c - '0' : isxdigit((unsigned char)c) ? tolower((unsigned char)c) - 'a' + 10 : 99;

	return d < base ? d : -1;
}

/* Reads a fixed number of digits; -1: there are fewer. */
static int take_number(const char **p, int base, int digits)
{
	int n = 0, d, i;

	for (i = 0; i < digits; i++, (*p)++) {
		d = digit_of(**p, base);
		if (d < 0)
			return -1;
		n = n * base + d;
	}
	return n;
}

/* Reads an escape behind a backslash, as in C; \s is a blank. */
static int take_escape(const char **p, struct text *w, struct err *e)
{
	static const char from[] = "abfnrtvs\\\"'", to[] = "\a\b\f\n\r\t\v \\\"'";
	const char *at = **p ? strchr(from, **p) : NULL;
	int number;
	char c;

	if (at) {
		put(w, &to[at - from], 1);
		(*p)++;
		return 0;
	}
	if (**p == 'x') {
		(*p)++;
		number = take_number(p, 16, 2);
	} else {
		number = take_number(p, 8, 3);
	}
	if (number <= 0 || number > 127) /* beyond that it may be a part of a character, or one of several bytes */
		return err_set(e, EINVAL, "it has an escape that is not known (\\%.4s)", *p);
	c = (char)number;
	put(w, &c, 1);
	return 0;
}

static int take_word(const char **p, struct text *w, struct err *e)
{
	char quote = 0;
	int r = 0;

	put(w, "", 0);
	while (!r && **p && (quote || !is_blank(**p))) {
		char c = *(*p)++;

		if (c == '\\')
			r = take_escape(p, w, e);
		else if (quote ? c == quote : c == '"' || c == '\'')
			quote = quote ? 0 : c;
		else
			put(w, &c, 1);
	}
	return r ? r : quote ? err_set(e, EINVAL, "it has a quote that does not end") : 0;
}

static bool is_alone(const char *p, const char *what)
{
	size_t n = strlen(what);

	return !strncmp(p, what, n) && (!p[n] || is_blank(p[n]));
}

int unit_split(struct unit_word_list *out, const char *value, struct err *e)
{
	const char *p = value + strspn(value, BLANK);
	int r = 0;

	*out = (struct unit_word_list){.n = 0};
	for (; *p && !r; p += strspn(p, BLANK)) {
		struct text w = {.s = NULL};

		if (out->n == WORDS_MAX)
			return err_set(e, E2BIG, "it has too many words");
		if (is_alone(p, ";"))
			return err_set(e, EINVAL, "it runs several commands, one after the other (;)");
		if (is_alone(p, "\\;"))
			put(&w, ";", 1), p += 2;
		else
			r = take_word(&p, &w, e);
		if (w.s)
			words_add(&out->v, &out->n, w.s);
	}
	return r;
}

/* ---- specifiers ---- */

/* "qemu" and "web1" of qemu@web1.service; the latter is "" where there is no @. */
static char *prefix_of(const char *unit)
{
	return xasprintf("%.*s", (int)strcspn(unit, unit[strcspn(unit, "@")] ? "@" : "."), unit);
}

static char *instance_of(const char *unit)
{
	const char *at = strchr(unit, '@'), *dot = strrchr(unit, '.');

	return at && dot > at ? xasprintf("%.*s", (int)(dot - at - 1), at + 1) : xstrdup("");
}

/* "-" stands for "/", and \xHH for a byte: systemd-escape(1). NULL: an escape that is none. */
static char *unescaped(char *escaped)
{
	AUTO_FREE char *from = escaped;
	struct text out = {.s = NULL};
	const char *p = from;

	put(&out, "", 0);
	while (*p) {
		int number = 0;
		char c = *p == '-' ? '/' : *p;

		if (*p++ == '\\') {
			number = *p++ == 'x' ? take_number(&p, 16, 2) : -1;
			c = (char)number;
		}
		if (number < 0 || !c) {
			free(out.s);
			return NULL;
		}
		put(&out, &c, 1);
	}
	return out.s;
}

static char *last_part(char *prefix)
{
	AUTO_FREE char *whole = prefix;
	const char *dash = strrchr(whole, '-');

	return xstrdup(dash ? dash + 1 : whole);
}

/* The directory of the host that a specifier stands for in a unit of the system's. */
static char *directory_of(char c)
{
	static const struct {
		char c;
		const char *dir;
	} dirs[] = {{'S', "/var/lib"}, {'C', "/var/cache"}, {'L', "/var/log"}, {'E', "/etc"}};
	size_t i;

	for (i = 0; i < ARRAY_LEN(dirs) && dirs[i].c != c; i++)
		;
	return i < ARRAY_LEN(dirs) ? xstrdup(dirs[i].dir) : NULL;
}

/* Malloc'ed; NULL: not known. */
static char *specifier(char c, const struct unit_names *names)
{
	switch (c) {
	case '%':
		return xstrdup("%");
	case 'n':
		return xstrdup(names->unit);
	case 'N':
		return xasprintf("%.*s", (int)(strlen(names->unit) - strlen(".service")), names->unit);
	case 'p':
		return prefix_of(names->unit);
	case 'P':
		return unescaped(prefix_of(names->unit));
	case 'i':
		return instance_of(names->unit);
	case 'I':
		return unescaped(instance_of(names->unit));
	case 'j':
		return last_part(prefix_of(names->unit));
	case 'h':
		return xstrdup(names->home);
	case 't':
		return xstrdup(names->runtime_dir);
	case 'u':
		return xstrdup(names->user);
	case 'U':
		return xasprintf("%u", names->uid);
	case 'H':
		return xstrdup(names->host);
	default:
		return names->is_user ? NULL : directory_of(c);
	}
}

char *unit_specifiers(const char *text, const struct unit_names *names, struct err *e)
{
	struct text out = {.s = NULL};
	const char *p;

	put(&out, "", 0);
	for (p = text; *p; p++) {
		AUTO_FREE char *value = *p == '%' ? specifier(p[1], names) : NULL;

		if (*p != '%') {
			put(&out, p, 1);
			continue;
		}
		if (!value) {
			err_set(e, EINVAL, "it has a specifier that is not known here (%.2s)", p);
			free(out.s);
			return NULL;
		}
		put(&out, value, strlen(value));
		p++;
	}
	return out.s;
}

/* ---- its environment ---- */

static size_t name_length(const char *s)
{
	return isdigit((unsigned char)*s) ? 0 : strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_");
}

static int set_variable(struct kv_list *env, const char *word, struct err *e)
{
	size_t n = name_length(word);
	AUTO_FREE char *name = xasprintf("%.*s", (int)n, word);

	if (!n || word[n] != '=')
		return err_set(e, EINVAL, "its environment has '%.40s', which is no variable", word);
	kv_remove(env, name);
	kv_append(env, name, word + n + 1);
	return 0;
}

int unit_environment(struct kv_list *env, const char *value, const struct unit_names *names, struct err *e)
{
	struct unit_word_list words;
	int r = unit_split(&words, value, e);

	for (size_t i = 0; i < words.n && !r; i++) {
		AUTO_FREE char *word = unit_specifiers(words.v[i], names, e);

		r = word ? set_variable(env, word, e) : -e->code;
	}
	unit_words_fini(&words);
	return r;
}

/* A value without quotes, or in quotes as a whole; what escapes would mean is not looked into. */
static int take_value(const char *value, char **out, struct err *e)
{
	size_t n = strlen(value);
	char quote = *value == '"' || *value == '\'' ? *value : 0;

	if (quote && (n < 2 || value[n - 1] != quote))
		return err_set(e, EINVAL, "it has a value that is more than what is in its quotes: %.40s", value);
	*out = xasprintf("%.*s", (int)(quote ? n - 2 : n), value + (quote != 0));
	if (!strpbrk(*out, quote == '\'' ? "'" : "\\\"'") || (quote == '"' && !strpbrk(*out, "\\\"")))
		return 0;
	free(*out);
	*out = NULL;
	return err_set(e, EINVAL, "it has quotes or escapes within a value, which are not read: %.40s", value);
}

int unit_environment_text(struct kv_list *env, const char *text, struct err *e)
{
	int r = 0;

	while (*text && !r) {
		size_t n = strcspn(text, "\n");
		AUTO_FREE char *line = trimmed(text, n), *value = NULL, *both = NULL;
		char *equals = strchr(line, '=');

		text += n + (text[n] != '\0');
		if (!*line || *line == '#' || *line == ';')
			continue;
		if (!equals)
			return err_set(e, EINVAL, "it has a line without '=': %.40s", line);
		r = take_value(equals + 1 + strspn(equals + 1, " \t"), &value, e);
		if (r)
			return r;
		both = xasprintf("%.*s=%s", (int)(equals - line), line, value);
		r = set_variable(env, both, e);
	}
	return r;
}

/* ---- variables ---- */

static const char *value_of(const struct kv_list *env, const char *name, size_t n, struct err *e)
{
	AUTO_FREE char *key = xasprintf("%.*s", (int)n, name);
	const char *value = kv_get(env, key, NULL);

	if (!value)
		err_set(e, EINVAL, "it has the variable $%s, which neither Environment= nor EnvironmentFile= sets", key);
	return value;
}

/* The word is a variable's name: as many words as the value has. */
static int expand_whole(struct unit_word_list *out, const char *name, const struct kv_list *env, struct err *e)
{
	const char *value = value_of(env, name, strlen(name), e);
	struct unit_word_list words;
	int r;

	if (!value)
		return -e->code;
	if (strchr(value, '\\')) /* systemd may or may not take a backslash for an escape */
		return err_set(e, EINVAL, "the value of its variable $%s has a backslash", name);
	r = unit_split(&words, value, e);
	for (size_t i = 0; i < words.n && !r; i++)
		words_add(&out->v, &out->n, xstrdup(words.v[i]));
	unit_words_fini(&words);
	return r;
}

static int expand_within(struct unit_word_list *out, const char *word, const struct kv_list *env, struct err *e)
{
	struct text w = {.s = NULL};
	const char *p, *value;
	int r = 0;

	put(&w, "", 0);
	for (p = word; *p && !r; p++) {
		size_t n = p[0] == '$' && p[1] == '{' ? name_length(p + 2) : 0;

		if (*p != '$') {
			put(&w, p, 1);
		} else if (p[1] == '$') {
			put(&w, p++, 1);
		} else if (!n || p[2 + n] != '}') {
			r = err_set(e, EINVAL, "it has a '$' that systemd does not replace, or in a way that is not known here: %.40s", p);
		} else {
			value = value_of(env, p + 2, n, e);
			r = value ? 0 : -e->code;
			put(&w, value ?: "", strlen(value ?: ""));
			p += 2 + n;
		}
	}
	words_add(&out->v, &out->n, w.s);
	return r;
}

int unit_expand(struct unit_word_list *out, const struct unit_word_list *in, const struct kv_list *env, struct err *e)
{
	int r = 0;

	*out = (struct unit_word_list){.n = 0};
	for (size_t i = 0; i < in->n && !r; i++) {
		const char *word = in->v[i];
		size_t n = word[0] == '$' ? name_length(word + 1) : 0;

		if (!i && strchr(word, '$'))
			r = err_set(e, EINVAL, "its program is a variable: %s", word);
		else if (n && !word[n + 1])
			r = expand_whole(out, word + 1, env, e);
		else
			r = expand_within(out, word, env, e);
	}
	return r;
}
