/* start-script.c: see start-script.h. */
#include "start-script.h"
#include "qemu-args.h"
#include "shell-quote.h"
#include "util.h"
#include "version.h"

#include <stdio.h>
#include <string.h>

static void put(FILE *f, const char *before, const char *word, const char *after)
{
	AUTO_FREE char *quoted = shell_quote(word);

	fprintf(f, "%s%s%s", before, quoted, after);
}

char *start_script_text(const struct start_script *s)
{
	AUTO_FREE char *guest = shell_comment(s->guest);
	AUTO_FREE char *came = shell_comment(s->came);
	AUTO_FREE char *line = NULL;
	char *text;
	size_t size, i;
	FILE *f = open_memstream(&text, &size);

	fprintf(f,
		"#!/bin/sh\n"
		"# Starts the guest %s again, as it was %s on %s by vmferry %s.\n"
		"# QEMU stays in the foreground. Do not run this while the guest runs, here or anywhere else.\n"
		"# It is yours: vmferry does not touch it again, unless you name it to move the guest while it is shut\n"
		"# down, or move its disks here (vmferry storage).\n"
		"cd / || exit\n",
		guest, came, s->date, VMFERRY_VERSION);
	for (i = 0; s->env && s->env[i]; i++) {
		AUTO_FREE char *key = xstrdup(s->env[i]);
		char *value = strchr(key, '=');

		if (!value)
			continue;
		*value++ = '\0';
		fprintf(f, "export %s", key);
		put(f, "=", value, "\n");
	}
	for (i = 0; s->tpm && s->tpm[i]; i++)
		put(f, i ? " " : "", s->tpm[i], s->tpm[i + 1] ? "" : "\n");
	line = qemu_args_start_line(s->argv, s->argc, s->exe, s->private_qmp);
	fprintf(f, "exec %s\n", line);
	if (fclose(f))
		abort();
	return text;
}
