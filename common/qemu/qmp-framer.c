/* qmp-framer.c: see qmp-framer.h. */
#include "qmp-framer.h"
#include "util.h"

#include <errno.h>
#include <string.h>

void buffer_append(struct buffer *b, const void *data, size_t len)
{
	if (b->size - b->len < len) {
		b->size = MAX(b->len + len, b->size * 2);
		b->data = xrealloc(b->data, b->size);
	}
	memcpy(b->data + b->len, data, len);
	b->len += len;
}

static void buffer_consume(struct buffer *b, size_t len)
{
	memmove(b->data, b->data + len, b->len - len);
	b->len -= len;
}

ssize_t framer_scan(struct framer *f)
{
	for (; f->at < f->in.len; f->at++) {
		char c = f->in.data[f->at];

		if (f->in_string) {
			if (f->escaped)
				f->escaped = false;
			else if (c == '\\')
				f->escaped = true;
			else if (c == '"')
				f->in_string = false;
		} else if (c == '"' && f->depth) {
			f->in_string = true;
		} else if (c == '{' || (c == '[' && f->depth)) {
			f->depth++;
		} else if ((c == '}' || c == ']') && f->depth) {
			if (--f->depth == 0)
				return (ssize_t)++f->at;
		} else if (!f->depth && !strchr(" \t\r\n", c)) {
			return -EPROTO;
		}
	}
	return 0;
}

json_t *framer_take(struct framer *f, size_t len, json_error_t *why)
{
	json_t *msg = json_loadb(f->in.data, len, JSON_ALLOW_NUL, why);

	buffer_consume(&f->in, len);
	f->at = 0;
	return msg;
}
