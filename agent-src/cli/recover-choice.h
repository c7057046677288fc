/*
 * recover-choice.h: which of the moves that were cut off a user means. Pure.
 *
 * A word means those whose guest has exactly that name or pid, and that whose attempt it is the beginning of. Nothing else of a
 * journal, and no part of a name, is looked at: whatever is recovered by mistake may run twice.
 */
#ifndef VMFERRY_RECOVER_CHOICE_H
#define VMFERRY_RECOVER_CHOICE_H

#include <stdbool.h>

#define ATTEMPT_WORD_MIN 8 /* hex digits of an attempt that are enough to name it */

/* guest, pid: as recorded in the journal; guest may be NULL. attempt: its 32 hex digits. */
bool recover_means(const char *word, const char *guest, int pid, const char *attempt);

#endif
