/* words.h: a value that is one of a few words, as an enum has them: lists end with NULL. And the ends of words. Pure. */
#ifndef VMFERRY_WORDS_H
#define VMFERRY_WORDS_H

#include <stdbool.h>
#include <stddef.h>

/* The index of word in the list, or -1. */
int word_index(const char *const *words, const char *word);
/* "a, b or c", for an error; malloc'ed. */
char *words_or(const char *const *words);
/* True if the text ends so, and has something before that. */
bool text_ends_with(const char *s, const char *end);
/* The part of a path behind its last '/', if there is one. */
const char *path_base(const char *path);
/* Appends the word, which is the list's then, to count words. */
void words_add(char ***words, size_t *count, char *word);

#endif
