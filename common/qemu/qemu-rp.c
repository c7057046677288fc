/* qemu-rp.c: see qemu-rp.h. */
#include "qemu-rp.h"
#include "be.h"

#include <errno.h>
#include <string.h>

/* Bytes of the message that starts at `head`, or -EPROTO. */
static int reply_bytes(const uint8_t head[4], struct err *e)
{
	uint16_t type = be16(head), n = be16(head + 2);
	bool fixed = type == RP_SHUT || type == RP_PONG || type == RP_SWITCHOVER_ACK;

	if (n > RP_DATA_MAX || (fixed && n != (type == RP_SWITCHOVER_ACK ? 0 : 4)))
		return err_set(e, EPROTO, "return path message %u of %u bytes", type, n);
	return 4 + n;
}

int rp_push(struct rp_decoder *d, const uint8_t *p, size_t n, size_t *used, struct rp_message *out, struct err *e)
{
	int whole;

	for (size_t i = 0; i < n; i++) {
		if (d->told)
			d->have = 0;
		d->told = false;
		d->buf[d->have++] = p[i];
		if (d->have < 4)
			continue;
		whole = reply_bytes(d->buf, e);
		if (whole < 0) {
			d->have = 0;
			return whole;
		}
		if (d->have < (size_t)whole)
			continue;
		d->told = true;
		*used = i + 1;
		out->type = be16(d->buf);
		out->data_bytes = be16(d->buf + 2);
		out->data = d->buf + 4;
		out->value = out->type == RP_SHUT || out->type == RP_PONG ? be32(out->data) : 0;
		return 1;
	}
	*used = n;
	return 0;
}

static size_t encode_reply(uint8_t *out, enum rp_type type, uint16_t n)
{
	put16(out, (uint16_t)type);
	put16(out + 2, n);
	return 4u + n;
}

size_t rp_encode_pong(uint8_t out[8], uint32_t value)
{
	put32(out + 4, value);
	return encode_reply(out, RP_PONG, 4);
}

size_t rp_encode_shut(uint8_t out[8])
{
	put32(out + 4, 0);
	return encode_reply(out, RP_SHUT, 4);
}

size_t rp_encode_switchover_ack(uint8_t out[4])
{
	return encode_reply(out, RP_SWITCHOVER_ACK, 0);
}
