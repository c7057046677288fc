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

/*
 * Answers that have let us in are known as long as the process lives: a move logs in again when the network was away, or for its last step while the guest is
 * down, and nobody may be at the terminal then. Any thread.
 */
/* The answer to that question in a login that succeeded. False: there is none. It is to be wiped. */
bool prompt_recall(const char *question, char answer[PROMPT_MAX]);
/* Is there any such answer? */
bool prompt_knows(void);
/* What is answered now is known once prompt_accepted() says that it was right, and forgotten if prompt_refused() says so; what was known of that question is
 * forgotten. */
void prompt_hold(const char *question, const char *answer);
void prompt_accepted(void);
void prompt_refused(void);

#endif
