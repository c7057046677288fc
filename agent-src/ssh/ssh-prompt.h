/*
 * ssh-prompt.h: asks the user for a passphrase or a password at the terminal. For ssh-auth.c.
 */
#ifndef VMFERRY_SSH_PROMPT_H
#define VMFERRY_SSH_PROMPT_H

#include "err.h"

#include <stdbool.h>
#include <stddef.h>

#define PROMPT_MAX 1024

/* True if there is a terminal to ask at. */
bool prompt_possible(void);
/* Asks on /dev/tty; echo: show what is typed. The answer has no newline; wipe it with prompt_wipe(). -ECANCELED: Ctrl-C or end of file;
 * -ENOTTY: no terminal. */
int prompt_ask(const char *question, bool echo, char answer[PROMPT_MAX], struct err *e);
void prompt_wipe(void *p, size_t n);

/*
 * Answers that led to a login are kept while the process lives: a move logs in again after an outage, or for its last step while the guest
 * is down, when the user may not be at the terminal. Any thread.
 */
/* Recalls the answer to that question from a successful login. False: none. The caller wipes it. */
bool prompt_recall(const char *question, char answer[PROMPT_MAX]);
/* True if any such answer is kept. */
bool prompt_knows(void);
/* Holds an answer until prompt_accepted() keeps it or prompt_refused() forgets it; forgets an older answer to the same question. */
void prompt_hold(const char *question, const char *answer);
void prompt_accepted(void);
void prompt_refused(void);

#endif
