/* json-message.c: see json-message.h. */
#include "json-message.h"
#include "handoff.h"
#include "util.h"

#include <errno.h>
#include <string.h>

int json_message_send(struct channel *c, uint16_t type, const uint8_t attempt[16], json_t *body, struct err *e)
{
	AUTO_FREE char *text = json_dumps(body, JSON_COMPACT);
	size_t n = (text ? strlen(text) : 0) + 16;
	AUTO_FREE uint8_t *buf = xmalloc(n);
	struct writer w = writer_of(buf, n);
	struct msg_describe m; /* each of these messages has this shape */

	json_decref(body);
	if (!text || n > FRAME_PAYLOAD_MAX)
		return err_set(e, EMSGSIZE, "%s is too large to send", msg_name(type));
	memcpy(m.attempt, attempt, 16);
	m.json = slice_of(text);
	msg_describe_encode(&w, &m);
	channel_post(c, type, buf, writer_len(&w));
	return 0;
}

int json_message_take(uint16_t type, const uint8_t *p, size_t n, const uint8_t *expect, uint8_t attempt[16], json_t **body, struct err *e)
{
	struct msg_describe m;
	json_error_t je;

	if (msg_describe_decode(&m, p, n))
		return err_set(e, EPROTO, "the other side's %s is malformed", msg_name(type));
	if (expect && memcmp(expect, m.attempt, 16))
		return err_set(e, EPROTO, "the other side's %s is of another attempt", msg_name(type));
	*body = json_loadb((const char *)m.json.p, m.json.n, 0, &je);
	if (!*body)
		return err_set(e, EPROTO, "the other side's %s is no JSON: %s", msg_name(type), je.text);
	if (!expect)
		memcpy(attempt, m.attempt, 16);
	return 0;
}

int handoff_message_send(struct channel *c, const uint8_t attempt[16], unsigned state, json_t *detail)
{
	AUTO_FREE char *text = json_dumps(detail, JSON_COMPACT);
	const char *body = text && strlen(text) <= FRAME_PAYLOAD_MAX - 17 ? text : "{}";
	size_t n = strlen(body) + 17;
	AUTO_FREE uint8_t *buf = xmalloc(n);
	struct writer w = writer_of(buf, n);
	struct msg_handoff m = {.state = (uint8_t)state};

	json_decref(detail);
	memcpy(m.attempt, attempt, 16);
	m.json = slice_of(body);
	msg_handoff_encode(&w, &m);
	channel_post(c, MSG_HANDOFF, buf, writer_len(&w));
	return 0;
}

int handoff_message_take(const uint8_t *p, size_t n, uint8_t attempt[16], unsigned *state, json_t **detail, struct err *e)
{
	struct msg_handoff m;

	if (msg_handoff_decode(&m, p, n) || m.state >= HO_STATE_COUNT)
		return err_set(e, EPROTO, "the other side's HANDOFF is malformed");
	memcpy(attempt, m.attempt, 16);
	*state = m.state;
	*detail = json_loadb((const char *)m.json.p, m.json.n, 0, NULL);
	return 0;
}
