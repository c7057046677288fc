/*
 * qemu-rp.h: QEMU's return path, destination QEMU to source QEMU on the main connection. Pure.
 *
 * be16 type, be16 length, data (qemu: migration/migration.c).
 */
#ifndef VMFERRY_QEMU_RP_H
#define VMFERRY_QEMU_RP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"

#define RP_DATA_MAX 4096

enum rp_type { RP_SHUT = 1, RP_PONG = 2, RP_SWITCHOVER_ACK = 7 };

struct rp_message {
	uint16_t type; /* enum rp_type or another */
	uint16_t data_bytes;
	uint32_t value;	     /* value of RP_SHUT (0: loaded) and RP_PONG; otherwise 0 */
	const uint8_t *data; /* data in the decoder; valid until its next push */
};

struct rp_decoder { /* begins zeroed */
	size_t have;
	bool told; /* the message in buf was handed out */
	uint8_t buf[4 + RP_DATA_MAX];
};

/* Takes bytes up to the end of one message. Returns 1 with *out set, 0 if it wants more (all was
 * used), -EPROTO. */
int rp_push(struct rp_decoder *d, const uint8_t *p, size_t n, size_t *used, struct rp_message *out, struct err *e);

/* These write a message of the return path, and return the number of bytes written. */
size_t rp_encode_pong(uint8_t out[8], uint32_t value);
size_t rp_encode_shut(uint8_t out[8]);
size_t rp_encode_switchover_ack(uint8_t out[4]);

#endif
