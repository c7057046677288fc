/*
 * qemu-multifd.h: what a source QEMU sends on its multifd channels: fixed-size headers, each decoded by one call; the caller
 * reads the payload itself. Pure.
 */
#ifndef VMFERRY_QEMU_MULTIFD_H
#define VMFERRY_QEMU_MULTIFD_H

#include "qemu-stream.h"

#define MULTIFD_MAGIC	     0x11223344
#define MULTIFD_INIT_BYTES   64
#define MULTIFD_PACKET_BYTES 1344 /* 320 + 128 offsets of 8, always, whatever pages_alloc says */
#define MULTIFD_PAGES_MAX    128

struct multifd_init {
	uint8_t uuid[16];
	uint8_t id; /* QEMU's channel number, not the order of connecting */
};

struct multifd_packet {
	bool sync; /* a sync point *after* this packet's pages */
	uint64_t packet_num;
	char block[256]; /* "" if the packet has no pages */
	unsigned normal_count;
	unsigned zero_count;
	uint64_t offsets[MULTIFD_PAGES_MAX]; /* page-aligned: normal_count of pages with data, then
						zero_count */
	size_t payload_bytes;		     /* follows on the wire: normal_count pages, in the order of offsets */
};

/* A channel is one init packet, then packets, each followed by its payload, until end of input.
 * Both return 0, -EPROTO or -ENOTSUP (compression and other flags). The caller looks `block` up
 * with ram_block_find() and checks each offset with ram_block_check(): the block list is on the
 * main channel and may come later than the first packets. */
int multifd_init_decode(const uint8_t in[MULTIFD_INIT_BYTES], struct multifd_init *out, struct err *e);
int multifd_packet_decode(const uint8_t in[MULTIFD_PACKET_BYTES], struct multifd_packet *out, struct err *e);

#endif
