/* unit-text.c: see unit-text.h. */
#include "unit-text.h"
#include "util.h"
#include "words.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#define NAME_MAX_BYTES 100

char *unit_plain_name(const char *guest)
{
	static const char good[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
	char *out = xstrdup(*guest ? guest : "guest"), *p;

	if (strlen(out) > NAME_MAX_BYTES)
		out[NAME_MAX_BYTES] = '\0';
	for (p = out; *p; p++)
		if (!strchr(good, *p) || (p == out && (*p == '.' || *p == '-')))
			*p = '_';
	return out;
}

char *unit_quote(const char *argument)
{
	char *out = xmalloc(4 * strlen(argument) + 3), *p = out;

	*p++ = '"';
	for (; *argument; argument++) {
		unsigned char c = (unsigned char)*argument;

		if (c < ' ' || c == 0x7f) {
			p += sprintf(p, "\\x%02x", c);
			continue;
		}
		if (c == '"' || c == '\\')
			*p++ = '\\';
		else if (c == '%' || c == '$')
			*p++ = (char)c;
		*p++ = (char)c;
	}
	*p++ = '"';
	*p = '\0';
	return out;
}

char *unit_path(const char *path)
{
	char *out = xmalloc(2 * strlen(path) + 3), *p = out;

	*p++ = '"';
	for (; *path; path++) {
		unsigned char c = (unsigned char)*path;

		if (c < ' ' || c == 0x7f || c == '"' || c == '\\') {
			free(out);
			return NULL;
		}
		if (c == '%')
			*p++ = (char)c;
		*p++ = (char)c;
	}
	strcpy(p, "\"");
	return out;
}

char *unit_property(const char *shown, const char *key)
{
	size_t n = strlen(key);
	const char *line;
	char *value;

	for (line = shown; line; line = strchr(line, '\n'), line = line ? line + 1 : NULL) {
		if (strncmp(line, key, n) || line[n] != '=')
			continue;
		value = xstrdup(line + n + 1);
		value[strcspn(value, "\n")] = '\0';
		return value;
	}
	return xstrdup("");
}

bool unit_restarts(const char *restart)
{
	return strcmp(restart, "no") != 0;
}

bool unit_is_changing(const char *active_state)
{
	return !strcmp(active_state, "activating") || !strcmp(active_state, "deactivating");
}

bool unit_is_wanted(const char *state)
{
	static const char *const by_nobody[] = {"disabled", "transient", "linked", "linked-runtime", "masked", "masked-runtime", NULL};

	return word_index(by_nobody, state) < 0;
}

static bool fits_one(const char *unit, const char *const *patterns, size_t n)
{
	size_t i;

	for (i = 0; i < n && fnmatch(patterns[i], unit, 0); i++)
		;
	return i < n;
}

bool unit_starts_others(const char *unit)
{
	static const char *const patterns[] = {"cron.service",	     "crond.service", "rc-local.service", "docker.service",
					       "containerd.service", "lxc*.service",  "podman*.service"};

	return fits_one(unit, patterns, ARRAY_LEN(patterns));
}

bool unit_is_generic(const char *unit)
{
	static const char *const patterns[] = {"ssh.service",
					       "ssh@*.service",
					       "sshd.service",
					       "sshd@*.service",
					       "atd.service",
					       "getty@*.service",
					       "serial-getty@*.service",
					       "console-getty.service",
					       "container-getty@*.service",
					       "user@*.service",
					       "vmferry-dst*.service"};

	return unit_starts_others(unit) || fits_one(unit, patterns, ARRAY_LEN(patterns));
}
