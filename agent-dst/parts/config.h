/* config.h: what a session knows before anything is described to it. */
#ifndef VMFERRY_CONFIG_H
#define VMFERRY_CONFIG_H

#include "net.h"

#include <stdbool.h>
#include <stdint.h>

struct access;

struct move_config {
	const char *state_dir, *runtime_dir;
	const struct access *access;
	bool plaintext;
	/* socket for data channels that listens already; -1: listen at listen_host */
	int listen_fd;
	const char *listen_host;
	struct net_ports data_ports;
	uint8_t session[16]; /* session id, as in the HELLO of its control channel */
};

#endif
