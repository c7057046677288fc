/* text-wrap.c: see text-wrap.h. */
#include "text-wrap.h"
#include "text-code.h"
#include "util.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define HANG	    2  /* columns that rows after the first are further to the right */
#define COLUMNS_MIN 20 /* fewer have no room for words */

size_t text_wrap_columns(int fd)
{
	const char *term = getenv("TERM");
	struct winsize w;

	return isatty(fd) && term && strcmp(term, "dumb") && !ioctl(fd, TIOCGWINSZ, &w) ? w.ws_col : 0;
}

/* ---- a line ---- */

/* Bytes of the escape sequence that s begins with, which takes no column; 0: there is none. */
static size_t take_escape(const char *s)
{
	size_t n;

	if (s[0] != '\033' || s[1] != '[')
		return 0;
	for (n = 2; s[n] && s[n] < '@'; n++)
		;
	return n + (s[n] != '\0');
}

/* The columns of the first n bytes. */
static size_t columns_of(const char *s, size_t n)
{
	AUTO_FREE char *plain = xmalloc(n + 1);
	size_t i = 0, k = 0;

	while (i < n) {
		size_t escape = take_escape(s + i);

		if (escape)
			i += escape;
		else
			plain[k++] = s[i++];
	}
	plain[k] = '\0';
	return text_columns(plain);
}

/* The column at which rows after the first begin; of a line without cells `more` columns to the right of its own beginning. A cell is the
 * text behind two spaces. */
static size_t hang_of(const char *line, size_t n, size_t columns, size_t more)
{
	size_t begin = strspn(line, " "), i, at, hang = begin + more;

	for (i = begin + 1; i + 2 < n; i++) {
		if (line[i - 1] == ' ' || line[i] != ' ' || line[i + 1] != ' ')
			continue;
		i += strspn(line + i, " ");
		at = columns_of(line, i);
		if (at <= columns * 3 / 4)
			hang = at;
	}
	return MIN(hang, columns * 3 / 4);
}

static void wrap_line(FILE *to, const char *line, size_t n, size_t columns, bool filled)
{
	size_t hang = hang_of(line, n, columns, filled ? HANG : 0), at = 0, i = 0;

	while (i < n) {
		size_t spaces = strspn(line + i, " "), word = strcspn(line + i + spaces, " \n"), width;

		word = MIN(word, n - MIN(n, i + spaces));
		spaces = MIN(spaces, n - i);
		width = columns_of(line + i + spaces, word);
		if (at && at + spaces + width > columns && width <= columns - hang) {
			fprintf(to, "%s%*s", filled ? "" : "\n", (int)((filled ? columns - at : 0) + hang), "");
			at = hang;
		} else {
			fprintf(to, "%*s", (int)spaces, "");
			at += spaces;
		}
		fwrite(line + i + spaces, 1, word, to);
		at += width;
		at = at > columns ? at % columns : at;
		i += spaces + word;
	}
}

static bool is_json(const char *line)
{
	const char *at = line + strspn(line, " ");

	return strchr("{}]\"", *at) || (*at == '[' && strchr("{[\"\n", at[1]));
}

static char *break_lines(const char *text, size_t columns, bool filled)
{
	char *out;
	size_t size;
	FILE *to = columns < COLUMNS_MIN ? NULL : open_memstream(&out, &size);

	if (!to)
		return xstrdup(text);
	while (*text) {
		size_t n = strcspn(text, "\n");

		if (is_json(text) || columns_of(text, n) <= columns)
			fwrite(text, 1, n, to);
		else
			wrap_line(to, text, n, columns, filled);
		text += n;
		if (*text)
			fputc(*text++, to);
	}
	fclose(to);
	return out;
}

char *text_wrap(const char *text, size_t columns)
{
	return break_lines(text, columns, true);
}

char *text_fold(const char *text, size_t columns)
{
	return break_lines(text, columns, false);
}

/* ---- standard output and standard error ---- */

static int out = 1, err = 2; /* descriptors that the streams write to */

static bool write_whole(int fd, const char *text, size_t n)
{
	while (n) {
		ssize_t r = write(fd, text, n);
		struct pollfd p = {.fd = fd, .events = POLLOUT};

		if (r < 0 && errno == EAGAIN)
			poll(&p, 1, -1);
		else if (r < 0 && errno != EINTR)
			return false;
		text += MAX(r, 0);
		n -= (size_t)MAX(r, 0);
	}
	return true;
}

static ssize_t put(void *cookie, const char *bytes, size_t n)
{
	int fd = *(int *)cookie;
	AUTO_FREE char *text = xasprintf("%.*s", (int)n, bytes);
	AUTO_FREE char *wrapped = text_wrap(text, text_wrap_columns(fd));

	return strlen(text) != n			   ? (write_whole(fd, bytes, n) ? (ssize_t)n : 0)
	       : write_whole(fd, wrapped, strlen(wrapped)) ? (ssize_t)n
							   : 0;
}

static FILE *stream_of(int *fd, FILE *before)
{
	FILE *f = text_wrap_columns(*fd) ? fopencookie(fd, "w", (cookie_io_functions_t){.write = put}) : NULL;

	if (!f)
		return before;
	fflush(before);
	setvbuf(f, NULL, _IOLBF, BUFSIZ);
	return f;
}

void text_wrap_streams(void)
{
	stdout = stream_of(&out, stdout);
	stderr = stream_of(&err, stderr);
}
