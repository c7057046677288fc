/* start-script.h: the text of NAME.sh, which starts a guest that was moved to this host, or imported. Pure. */
#ifndef VMFERRY_START_SCRIPT_H
#define VMFERRY_START_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>

struct start_script {
	const char *guest, *came, *date; /* words for its head; came: "moved here from HOST" */
	const char *exe;
	char *const *argv; /* options that only a move needs are left out */
	size_t argc;
	char *const *env;	 /* "K=V" and a NULL; may be NULL; only what goes along with a guest is exported */
	const char *private_qmp; /* the agent's monitor in argv; may be NULL */
	char *const *tpm;	 /* the command that starts its TPM and returns when that is reachable, and a NULL; may be NULL */
	char *const *dirs;	 /* directories to create if missing, and a NULL; may be NULL */
};

/* The start script's mode: the command line may hold secrets. */
#define START_SCRIPT_MODE 0700

/* True if a variable of QEMU's environment goes along with its guest, and into its script. The source's description names these
 * variables. */
bool start_script_takes(const char *variable);
/* The caller frees it. It is sealed. */
char *start_script_text(const struct start_script *s);

/* The origin of a script. Every script has a line, its seal, with a hash of all its other text, which shows later whether the script was
 * edited. Scripts of versions before 0.2 have none. */
enum script_origin {
	SCRIPT_FOREIGN,	 /* script that is not vmferry's, or was edited since */
	SCRIPT_UNSEALED, /* vmferry's, by its head, but without a seal: it may have been edited */
	SCRIPT_OURS,
};
enum script_origin start_script_origin(const char *text);
/* Updates the seal in the text, after vmferry itself has changed a script of its own. */
void start_script_seal(char *text);

#endif
