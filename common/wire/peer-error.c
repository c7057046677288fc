/* peer-error.c: see peer-error.h. */
#include "peer-error.h"
#include "messages.h"
#include "util.h"

#include <errno.h>

const char *peer_words(char *out, size_t cap, struct slice s)
{
	size_t n = MIN(s.n, cap - 1), i;

	for (i = 0; i < n; i++)
		out[i] = s.p[i] ? (char)s.p[i] : '?';
	out[n] = '\0';
	text_make_printable(out, false);
	return out;
}

int peer_error(const uint8_t *p, size_t n, struct err *e)
{
	char doing[ERR_MAX / 4], text[ERR_MAX];
	struct msg_error m;
	int code;

	if (msg_error_decode(&m, p, n))
		return err_set(e, EPROTO, "the peer reported an error that cannot be read");
	code = m.code && m.code < 4096 ? (int)m.code : EREMOTEIO;
	if (!m.text.n)
		m.text = slice_of("the peer gave up without saying why");
	peer_words(doing, sizeof(doing), m.doing);
	peer_words(text, sizeof(text), m.text);
	return err_set(e, code, "%s%s%s", doing, *doing ? ": " : "", text);
}
