/* cmd-tap.c: see cmd-tap.h. */
#include "cmd-tap.h"
#include "process.h"
#include "tap.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORDS_MAX 6

int cmd_tap_run(char *const *words, unsigned timeout_ms, struct err *e)
{
	char *argv[WORDS_MAX + 2] = {"/proc/self/exe"};
	struct process_output out;
	int r;

	for (size_t i = 0; words[i] && i < WORDS_MAX; i++)
		argv[i + 1] = words[i];
	r = process_run(argv, timeout_ms, &out, e);
	out.text[strcspn(out.text, "\n")] = '\0';
	return r || !out.status ? r : err_set(e, EIO, "%s", *out.text ? out.text : "vmferry-dst, which was to do that, says nothing");
}

bool cmd_tap_is_meant(int argc, char **argv)
{
	return (argc == 4 && (!strcmp(argv[1], TAP_PERSIST) || !strcmp(argv[1], TAP_TRY))) || (argc == 7 && !strcmp(argv[1], TAP_TAKE));
}

int cmd_tap(int argc, char **argv)
{
	const char *tap = argv[2];
	struct err e;
	int r;

	if (!strcmp(argv[1], TAP_TRY))
		r = tap_try(tap, atoi(argv[3]), &e);
	else if (argc == 4)
		r = tap_persist(tap, !strcmp(argv[3], "on"), &e);
	else
		r = tap_take(tap, argv[3], atoi(argv[4]), atoi(argv[5]), strtoull(argv[6], NULL, 10), TAP_TAKE_MS, &e);
	if (r)
		fprintf(stderr, "%s\n", e.msg);
	return r ? 1 : 0;
}
