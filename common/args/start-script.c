/* start-script.c: see start-script.h. */
#include "start-script.h"
#include "qemu-args.h"
#include "shell-quote.h"
#include "util.h"
#include "version.h"

#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#define SEAL	    "# Not edited since vmferry wrote it: "
#define SEAL_DIGITS 16

static const char head[] = "#!/bin/sh\n# Starts the guest ";
static const char stays[] = "# QEMU stays in the foreground. Do not run this while the guest runs, here or anywhere else.\n";

static void put(FILE *f, const char *before, const char *word, const char *after)
{
	AUTO_FREE char *quoted = shell_quote(word);

	fprintf(f, "%s%s%s", before, quoted, after);
}

bool start_script_takes(const char *variable)
{
	return !strcmp(variable, "LD_LIBRARY_PATH") || !strcmp(variable, "QEMU_MODULE_DIR");
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
		"%s%s again, as it was %s on %s by vmferry %s.\n"
		"%s"
		"# As long as you do not edit it, vmferry renames it when it moves the guest away from here, and\n"
		"# replaces it when the guest comes back. An edited one is yours: it is renamed only if you name it to move\n"
		"# the guest while it is shut down, and changed only as the guest's disks move here (vmferry storage).\n" SEAL "%0*d\n"
		"cd / || exit\n",
		head, guest, came, s->date, VMFERRY_VERSION, stays, SEAL_DIGITS, 0);
	for (i = 0; s->env && s->env[i]; i++) {
		AUTO_FREE char *key = xstrdup(s->env[i]);
		char *value = strchr(key, '=');

		if (!value)
			continue;
		*value++ = '\0';
		if (!start_script_takes(key)) /* a variable's name is not quoted for the shell */
			continue;
		fprintf(f, "export %s", key);
		put(f, "=", value, "\n");
	}
	for (i = 0; s->dirs && s->dirs[i]; i++)
		put(f, "mkdir -p -- ", s->dirs[i], "\n");
	for (i = 0; s->tpm && s->tpm[i]; i++)
		put(f, i ? " " : "", s->tpm[i], s->tpm[i + 1] ? "" : "\n");
	line = qemu_args_start_line(s->argv, s->argc, s->exe, s->private_qmp);
	fprintf(f, "exec %s\n", line);
	if (fclose(f))
		abort();
	start_script_seal(text);
	return text;
}

/* ---- its seal ---- */

static const char *seal_in(const char *text)
{
	const char *line = strstr(text, "\n" SEAL);
	const char *digits = line ? line + strlen("\n" SEAL) : NULL;

	return digits && strspn(digits, "0123456789abcdef") == SEAL_DIGITS && digits[SEAL_DIGITS] == '\n' ? digits : NULL;
}

/* The seal is a hash of the text without the seal's own digits. */
static void seal_of(const char *text, const char *digits, char out[SEAL_DIGITS + 1])
{
	const char *rest = digits + SEAL_DIGITS;

	snprintf(out, SEAL_DIGITS + 1, "%0*llx", SEAL_DIGITS,
		 (unsigned long long)XXH64(rest, strlen(rest), XXH64(text, (size_t)(digits - text), 0)));
}

void start_script_seal(char *text)
{
	const char *digits = seal_in(text);
	char seal[SEAL_DIGITS + 1];

	if (!digits)
		return;
	seal_of(text, digits, seal);
	memcpy(text + (digits - text), seal, SEAL_DIGITS);
}

enum script_origin start_script_origin(const char *text)
{
	const char *digits = seal_in(text);
	char seal[SEAL_DIGITS + 1];

	if (!text_starts_with(text, head) || !strstr(text, stays))
		return SCRIPT_FOREIGN;
	if (!digits)
		return strstr(text, "\n" SEAL) ? SCRIPT_FOREIGN : SCRIPT_UNSEALED;
	seal_of(text, digits, seal);
	return memcmp(digits, seal, SEAL_DIGITS) ? SCRIPT_FOREIGN : SCRIPT_OURS;
}
