/* nearest.h: the known word that the user probably meant. */
#ifndef VMFERRY_NEAREST_H
#define VMFERRY_NEAREST_H

#include <stddef.h>

/* The word (of count; NULLs are passed over) that differs least from what was typed, and by so little that it may be meant: one letter
 * more, less, changed or swapped in a word of up to 5 letters, two in a longer one; case does not count. NULL: none. */
const char *nearest_word(const char *typed, const char *const *words, size_t count);

/* "did you mean vmferry list?" to standard error, if one of them may be meant; before: "vmferry ". */
void nearest_propose(const char *before, const char *typed, const char *const *words, size_t count);

#endif
