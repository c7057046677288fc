/*
 * args-corpus.h: command lines of tests/data/args, read: sections of a file, and words as a shell has them (test-qemu-args-corpus.c says what is in them).
 * To be included by one file of a test.
 */
#ifndef VMFERRY_ARGS_CORPUS_H
#define VMFERRY_ARGS_CORPUS_H

#include "util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define DIRECTORY "tests/data/args"
#define CASES_MAX 256
#define FILE_MAX  65536
#define WORDS_MAX 512

struct section {
	char *name, *text;
};
struct file {
	struct section v[16];
	size_t n;
};

/* ---- reading a file ---- */

static void add_text(char **to, const char *line)
{
	char *longer = xasprintf("%s%s\n", *to ? *to : "", line);

	free(*to);
	*to = longer;
}

static void read_case(struct file *f, const char *path)
{
	FILE *in = fopen(path, "re");
	char line[4096];

	*f = (struct file){.n = 1, .v = {{.name = xstrdup(""), .text = NULL}}};
	if (!in)
		fail_msg("cannot open %s", path);
	while (fgets(line, sizeof(line), in)) {
		line[strcspn(line, "\n")] = '\0';
		if (!strncmp(line, "== ", 3) && f->n < ARRAY_LEN(f->v))
			f->v[f->n++] = (struct section){.name = xstrdup(line + 3)};
		else
			add_text(&f->v[f->n - 1].text, line);
	}
	fclose(in);
}

static char *get(const struct file *f, const char *name)
{
	size_t i;

	for (i = 0; i < f->n; i++)
		if (!strcmp(f->v[i].name, name))
			return f->v[i].text ? f->v[i].text : "";
	return NULL;
}

static void free_case(struct file *f)
{
	size_t i;

	for (i = 0; i < f->n; i++) {
		free(f->v[i].name);
		free(f->v[i].text);
	}
}

/* ---- words, as a shell splits them: ' " \ and the end of a line after \ ---- */

static const char *take_word(const char *p, char *out)
{
	char quote = 0;

	for (; *p && (quote || !strchr(" \t\n", *p)); p++) {
		if (quote ? *p == quote : *p == '\'' || *p == '"')
			quote = quote ? 0 : *p;
		else if (*p == '\\' && quote != '\'' && p[1])
			*out++ = *++p;
		else
			*out++ = *p;
	}
	*out = '\0';
	return p;
}

static size_t split(const char *text, char **argv, size_t max)
{
	char word[FILE_MAX];
	size_t n = 0;

	assert_true(strlen(text) < sizeof(word));
	for (;;) {
		while (*text && (strchr(" \t\n", *text) || !strncmp(text, "\\\n", 2)))
			text += *text == '\\' ? 2 : 1;
		if (!*text)
			break;
		text = take_word(text, word);
		assert_true(n + 1 < max);
		argv[n++] = xstrdup(word);
	}
	argv[n] = NULL;
	return n;
}

#endif
