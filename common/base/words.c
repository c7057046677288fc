/* words.c: see words.h. */
#include "words.h"
#include "util.h"

#include <string.h>

int word_index(const char *const *words, const char *word)
{
	for (int i = 0; words[i]; i++)
		if (!strcmp(word, words[i]))
			return i;
	return -1;
}

const void *row_by(int (*compare)(const char *, const char *), const void *rows, size_t count, size_t bytes, size_t at, const char *word)
{
	const char *row;

	for (row = rows; word && count--; row += bytes) {
		const char *is = *(const char *const *)(row + at);

		if (is && !compare(is, word))
			return row;
	}
	return NULL;
}

const char *pair_of(const char *const (*pairs)[2], size_t count, const char *word)
{
	for (; word && count--; pairs++)
		if (!strcmp((*pairs)[0], word))
			return (*pairs)[1];
	return NULL;
}

char *words_or(const char *const *words)
{
	char *all = xstrdup(words[0]);

	for (int i = 1; words[i]; i++) {
		char *longer = xasprintf("%s%s%s", all, words[i + 1] ? ", " : " or ", words[i]);

		free(all);
		all = longer;
	}
	return all;
}

bool text_ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), k = strlen(end);

	return n > k && !strcmp(s + n - k, end);
}

const char *path_base(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

void words_add(char ***words, size_t *count, char *word)
{
	*words = xrealloc(*words, (*count + 2) * sizeof(**words));
	(*words)[(*count)++] = word;
	(*words)[*count] = NULL;
}

bool words_have(char *const *words, size_t count, const char *word)
{
	while (count--)
		if (!strcmp(words[count], word))
			return true;
	return false;
}
