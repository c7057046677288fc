/* start-script.h: the text of NAME.sh, which starts a guest that was moved to this host, or imported. Pure. */
#ifndef VMFERRY_START_SCRIPT_H
#define VMFERRY_START_SCRIPT_H

#include <stddef.h>

struct start_script {
	const char *guest, *came, *date; /* for its head; came: "moved here from HOST" */
	const char *exe;
	char *const *argv; /* what only concerns a move is left out */
	size_t argc;
	char *const *env;	 /* "K=V" and a NULL; may be NULL */
	const char *private_qmp; /* the agent's monitor in argv; may be NULL */
	char *const *tpm;	 /* the words that start its TPM, which returns when that can be reached, and a NULL; may be NULL */
};

/* The caller frees it. */
char *start_script_text(const struct start_script *s);

#endif
