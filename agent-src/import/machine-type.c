/* machine-type.c: see machine-type.h. */
#include "machine-type.h"
#include "util.h"
#include "words.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const kinds[] = {"pc-q35-", "pc-i440fx-", "virt-"};

/* A word behind the kind, and the version of QEMU from which that distribution has made the type: major * 100 + minor. */
static const struct {
	const char *word;
	unsigned version;
} words[] = {
	/* RHEL */
	{"rhel7.0.0", 105},
	{"rhel7.1.0", 201},
	{"rhel7.2.0", 203},
	{"rhel7.3.0", 206},
	{"rhel7.4.0", 209},
	{"rhel7.5.0", 211},
	{"rhel7.6.0", 212},
	{"rhel8.0.0", 301},
	{"rhel8.1.0", 401},
	{"rhel8.2.0", 402},
	{"rhel8.3.0", 501},
	{"rhel8.4.0", 502},
	{"rhel8.5.0", 600},
	{"rhel8.6.0", 602},
	{"rhel9.0.0", 602},
	{"rhel9.2.0", 702},
	{"rhel9.4.0", 802},
	{"rhel9.6.0", 901},
	{"rhel10.0.0", 901},
	/* Ubuntu */
	{"trusty", 200},
	{"xenial", 205},
	{"bionic", 211},
	{"cosmic", 212},
	{"disco", 301},
	{"eoan", 400},
	{"focal", 402},
	{"groovy", 500},
	{"hirsute", 502},
	{"impish", 600},
	{"jammy", 602},
	{"kinetic", 700},
	{"lunar", 702},
	{"mantic", 800},
	{"noble", 802},
	{"oracular", 900},
	{"plucky", 902},
	{"questing", 1001},
};

/* Length of the kind with which the type begins; 0: unknown. */
static size_t kind_length(const char *type)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (!strncmp(type, kinds[i], strlen(kinds[i])))
			return strlen(kinds[i]);
	return 0;
}

/* 0: unknown. */
static unsigned version_of(const char *rest, size_t n)
{
	AUTO_FREE char *word = xasprintf("%.*s", (int)n, rest);
	__typeof__(&words[0]) known;
	unsigned major, minor;

	if (sscanf(word, "%3u.%2u", &major, &minor) == 2)
		return major * 100 + minor;
	word[strcspn(word, "-+")] = '\0'; /* noble-v2, noble-hpb */
	known = ROW_OF(words, word, word);
	return known ? known->version : 0;
}

/* The length of the name that begins a line of help; *next: the line behind it. */
static size_t name_in(const char *line, const char **next)
{
	size_t n = strcspn(line, "\n");

	*next = line + n + (line[n] == '\n');
	return MIN(n, strcspn(line, " \t\r"));
}

bool machine_type_is_in(const char *help, const char *type)
{
	const char *line, *next;

	for (line = help; line && *line; line = next) {
		size_t n = name_in(line, &next);

		if (n == strlen(type) && !strncmp(line, type, n))
			return true;
	}
	return false;
}

/* True if version a is nearer to the wanted one than b (0: there is none yet): the next newer one, else the newest of the older ones. */
static bool is_nearer(unsigned a, unsigned b, unsigned wanted)
{
	if (!b || (a >= wanted) != (b >= wanted))
		return !b || a >= wanted;
	return a >= wanted ? a < b : a > b;
}

char *machine_type_nearest(const char *help, const char *type)
{
	const size_t kind = kind_length(type);
	const unsigned known = kind ? version_of(type + kind, strlen(type + kind)) : 0, wanted = known ?: UINT_MAX;
	const char *line, *next, *best = NULL;
	size_t best_n = 0;
	unsigned have = 0;

	if (kind && machine_type_is_in(help, type))
		return xstrdup(type);
	for (line = help; kind && line && *line; line = next) {
		size_t n = name_in(line, &next);
		unsigned version = n > kind && !strncmp(line, type, kind) ? version_of(line + kind, n - kind) : 0;

		if (!version || !is_nearer(version, have, wanted))
			continue;
		have = version;
		best = line;
		best_n = n;
	}
	return best ? xasprintf("%.*s", (int)best_n, best) : NULL;
}
