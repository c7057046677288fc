/* recover-choice.c: see recover-choice.h. */
#include "recover-choice.h"

#include <stdio.h>
#include <string.h>

bool recover_means(const char *word, const char *guest, int pid, const char *attempt)
{
	char number[16];
	size_t n = strlen(word);

	snprintf(number, sizeof(number), "%d", pid);
	return (guest && !strcmp(word, guest)) || (pid > 0 && !strcmp(word, number)) ||
	       (n >= ATTEMPT_WORD_MIN && !strncmp(word, attempt, n));
}
