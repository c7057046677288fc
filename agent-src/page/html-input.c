/* html-input.c: see html-input.h. */
#include "html-input.h"
#include "html-value.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define CHUNK (1u << 20)

/* ---- bytes ---- */

static int read_all(int fd, char **text, size_t *n, struct err *e)
{
	size_t cap = CHUNK;
	char *p = xmalloc(cap);
	ssize_t r;

	for (*n = 0; (r = read(fd, p + *n, cap - *n)) != 0;) {
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0) {
			free(p);
			return err_sys(e, errno, "cannot read it");
		}
		*n += (size_t)r;
		if (*n > INPUT_MAX) {
			free(p);
			return err_set(e, EFBIG, "it is larger than %u MiB, the most that a report is made of", INPUT_MAX >> 20);
		}
		if (*n == cap)
			p = xrealloc(p, cap *= 2);
	}
	*text = p;
	return 0;
}

/* What a parser would make of it is many times larger: counted before it is asked. */
static int check_size(const char *text, size_t n, struct err *e)
{
	size_t values = 0, containers = 0, i;

	if (n > INPUT_MAX)
		return err_set(e, EFBIG, "it is larger than %u MiB, the most that a report is made of", INPUT_MAX >> 20);
	for (i = 0; i < n; i++) {
		values += text[i] == ',';
		containers += text[i] == '{' || text[i] == '[';
	}
	if (values > INPUT_VALUES_MAX || containers > INPUT_CONTAINERS_MAX)
		return err_set(e, E2BIG,
			       "it has more than %u million values, or %u million arrays and objects, the most that a report is made of",
			       INPUT_VALUES_MAX >> 20, INPUT_CONTAINERS_MAX >> 20);
	return 0;
}

/* ---- what it is ---- */

static int bad_json(struct err *e, const json_error_t *je, long long line)
{
	char text[JSON_ERROR_TEXT_LENGTH];

	snprintf(text, sizeof(text), "%s", je->text); /* it quotes the file */
	text_make_utf8(text);
	text_make_printable(text, false);
	return err_set(e, EINVAL, "line %lld, column %d: %s. It is not JSON, or was cut off: take the file as vmferry wrote it", line,
		       je->column, text);
}

static size_t line_length(const char *text, size_t n)
{
	const char *end = memchr(text, '\n', n);

	return end ? (size_t)(end - text) : n;
}

static bool is_blank(const char *text, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (!strchr(" \t\r", text[i]) || !text[i])
			return false;
	return true;
}

/* Its first line is an event, or the line of status that `status --follow` begins with. */
static bool begins_with_event(const char *text, size_t n)
{
	json_t *first = json_loadb(text, line_length(text, n), 0, NULL);
	bool is = value_text(first, "event") || (value_text(first, "stage") && value_text(first, "guest"));

	json_decref(first);
	return is;
}

static int parse_lines(struct input *in, const char *text, size_t n, struct err *e)
{
	size_t at, length;
	long long line = 1;
	json_error_t je;
	json_t *event;

	in->root = json_array();
	for (at = 0; at < n; at += length + 1, line++) {
		length = line_length(text + at, n - at);
		if (is_blank(text + at, length))
			continue;
		event = json_loadb(text + at, length, 0, &je);
		if (!event && at + length == n && json_array_size(in->root)) {
			in->is_cut = true;
			return 0;
		}
		if (!event)
			return bad_json(e, &je, line);
		json_array_append_new(in->root, event);
	}
	return 0;
}

int input_parse(struct input *in, const char *text, size_t n, struct err *e)
{
	json_error_t je;
	int r;

	*in = (struct input){.root = NULL};
	if (is_blank(text, n))
		return err_set(e, EINVAL, "it is empty");
	r = check_size(text, n, e);
	if (r)
		return r;
	in->is_move = begins_with_event(text, n);
	if (in->is_move) {
		r = parse_lines(in, text, n, e);
	} else {
		in->root = json_loadb(text, n, JSON_DECODE_ANY, &je);
		r = in->root ? 0 : bad_json(e, &je, je.line);
	}
	if (r)
		input_fini(in);
	return r;
}

int input_read(struct input *in, const char *path, struct err *e)
{
	bool is_stdin = !strcmp(path, "-");
	AUTO_CLOSE int fd = is_stdin ? dup(0) : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	AUTO_FREE char *text = NULL;
	size_t n;
	int r;

	*in = (struct input){.root = NULL};
	if (fd < 0)
		return err_sys(e, errno, "cannot open %s", path);
	r = read_all(fd, &text, &n, e);
	if (!r)
		r = input_parse(in, text, n, e);
	return r ? err_prefix(e, "%s", is_stdin ? "standard input" : path) : 0;
}

void input_fini(struct input *in)
{
	json_decref(in->root);
	in->root = NULL;
}
