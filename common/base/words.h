/* words.h: a value that is one of a few words, as an enum has them: lists end with NULL. And the ends of words. Pure. */
#ifndef VMFERRY_WORDS_H
#define VMFERRY_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

/* The index of word in the list, or -1. */
int word_index(const char *const *words, const char *word);
/* The row of a table whose member is that word, or NULL; a word that is NULL has none. */
#define ROW_OF(rows, member, word)	    ROW_BY(strcmp, rows, member, word)
#define ROW_OF_ANY_CASE(rows, member, word) ROW_BY(strcasecmp, rows, member, word)
#define ROW_BY(compare, rows, member, word)                                                                                                \
	((__typeof__(&(rows)[0]))row_by(compare, rows, sizeof(rows) / sizeof((rows)[0]), sizeof((rows)[0]),                                \
					offsetof(__typeof__((rows)[0]), member), word))
const void *row_by(int (*compare)(const char *, const char *), const void *rows, size_t count, size_t bytes, size_t at, const char *word);
/* The second of the pair whose first is that word, or NULL; a word that is NULL has none. */
#define PAIR_OF(pairs, word) pair_of(pairs, sizeof(pairs) / sizeof((pairs)[0]), word)
const char *pair_of(const char *const (*pairs)[2], size_t count, const char *word);
/* "a, b or c", for an error; malloc'ed. */
char *words_or(const char *const *words);
/* True if the text ends so, and has something before that. */
bool text_ends_with(const char *s, const char *end);
/* The part of a path behind its last '/', if there is one. */
const char *path_base(const char *path);
/* Appends the word, which is the list's then, to count words. */
void words_add(char ***words, size_t *count, char *word);
bool words_have(char *const *words, size_t count, const char *word);

#endif
