/* words.c: see words.h. */
#include "words.h"
#include "util.h"

#include <string.h>

int word_index(const char *const *words, const char *word)
{
	int i;

	for (i = 0; words[i]; i++)
		if (!strcmp(word, words[i]))
			return i;
	return -1;
}

char *words_or(const char *const *words)
{
	char *all = xstrdup(words[0]);
	int i;

	for (i = 1; words[i]; i++) {
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
