/* psk.c: see psk.h. */
#include "psk.h"
#include "hex.h"
#include "paths.h"
#include "util.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#define LINE_MAX_CHARS 256

int psk_parse(const char *line, struct tls_key *key, struct err *e)
{
	const char *colon = strchr(line, ':');
	size_t n = colon ? (size_t)(colon - line) : 0;

	if (!n || n > TLS_NAME_MAX)
		return err_set(e, EINVAL, "it does not begin with NAME: (1 to %d characters)", TLS_NAME_MAX);
	if (strlen(colon + 1) != 2 * TLS_SECRET_BYTES)
		return err_set(e, EINVAL, "the key of %.*s does not have %d hex digits", (int)n, line, 2 * TLS_SECRET_BYTES);
	if (!hex_parse(colon + 1, key->secret, TLS_SECRET_BYTES))
		return err_set(e, EINVAL, "the key of %.*s is not all hex digits", (int)n, line);
	memcpy(key->name, line, n);
	key->name[n] = '\0';
	return 0;
}

/* The next line without its end: 1; 0: there are no more. A comment may be of any length. */
static int next_line(FILE *f, char line[LINE_MAX_CHARS], const char *path, unsigned number, struct err *e)
{
	bool too_long = false, has_zero = false;
	size_t n = 0;
	int c;

	while ((c = getc(f)) != EOF && c != '\n') {
		has_zero |= !c;
		too_long |= n == LINE_MAX_CHARS - 1;
		if (!too_long)
			line[n++] = (char)c;
	}
	line[n] = '\0';
	if (ferror(f))
		return err_sys(e, errno, "cannot read the keys in %s", path);
	if (*line != '#' && (too_long || has_zero))
		return err_set(e, EINVAL, "%s, line %u: it %s", path, number, has_zero ? "has a byte of zero" : "is too long for a key");
	line[strcspn(line, "\r")] = '\0';
	return n || c == '\n';
}

static int read_lines(FILE *f, const char *path, struct tls_key *keys, size_t *count, struct err *e)
{
	char line[LINE_MAX_CHARS];
	unsigned number = 0;
	size_t n = 0;
	int r;

	while ((r = next_line(f, line, path, ++number, e)) > 0) {
		if (!*line || *line == '#')
			continue;
		if (n == PSK_KEYS_MAX)
			r = err_set(e, E2BIG, "%s has more than %d keys", path, PSK_KEYS_MAX);
		else if ((r = psk_parse(line, &keys[n++], e)))
			err_prefix(e, "%s, line %u", path, number);
		if (r)
			break;
	}
	explicit_bzero(line, sizeof(line));
	*count = n;
	return r;
}

int psk_read(const char *path, struct tls_key **out, size_t *count, struct err *e)
{
	const size_t bytes = PSK_KEYS_MAX * sizeof(struct tls_key);
	FILE *f = fopen(path, "re");
	struct tls_key *keys;
	size_t n = 0;
	int r;

	if (!f)
		return err_sys(e, errno, "cannot read the keys in %s", path);
	setvbuf(f, NULL, _IONBF, 0); /* no copy that nobody wipes */
	keys = xcalloc(1, bytes);
	r = secret_file_check(fileno(f), path, e) ?: read_lines(f, path, keys, &n, e);
	fclose(f);
	if (!r && !n)
		r = err_set(e, EINVAL, "there is no key in %s; make one: (umask 077; echo \"NAME:$(openssl rand -hex 32)\" >>%s)", path,
			    path);
	if (r) {
		explicit_bzero(keys, bytes);
		free(keys);
		return r;
	}
	*out = keys;
	*count = n;
	return 0;
}

void psk_new(const char *name, struct tls_key *key)
{
	snprintf(key->name, sizeof(key->name), "%s", name);
	if (getrandom(key->secret, sizeof(key->secret), 0) != (ssize_t)sizeof(key->secret))
		abort();
}

void psk_print(const struct tls_key *key, char out[PSK_TEXT_MAX])
{
	hex_format(key->secret, TLS_SECRET_BYTES, out + sprintf(out, "%s:", key->name));
}
