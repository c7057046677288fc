/*
 * ssh-prompt.h: asks the user for a passphrase or a password at the terminal. For ssh-auth.c.
 */
#ifndef VMFERRY_SSH_PROMPT_H
#define VMFERRY_SSH_PROMPT_H

#include "err.h"

#include <stdbool.h>
#include <stddef.h>

#define PROMPT_MAX 1024

/* Is there a terminal that can be asked? */
bool prompt_possible(void);
/* Asks on /dev/tty; echo: what is typed is shown. The answer, without its newline, is to be wiped with prompt_wipe.
 * -ECANCELED: Ctrl-C or end of file; -ENOTTY: there is no terminal. */
int prompt_ask(const char *question, bool echo, char answer[PROMPT_MAX], struct err *e);
void prompt_wipe(void *p, size_t n);

#endif
