/*
 * dest-connect.h: from DEST, as the user wrote it, to a control connection. The place where other ways of starting a
 * destination agent (SSH) go.
 */
#ifndef VMFERRY_DEST_CONNECT_H
#define VMFERRY_DEST_CONNECT_H

#include "channel.h"

#include <stdbool.h>
#include <sys/types.h>

struct dest {
	bool local;
	char *host, *port;
	bool plaintext;
	bool tls;
	struct tls_key key; /* with tls */
	pid_t agent; /* local mode: our child; 0 otherwise */
	struct hello hello; /* session and token, for the data channels too */
};

struct dest_config {
	const char *where; /* "local" or HOST:PORT */
	bool plaintext;
	const char *state_dir, *runtime_dir; /* for a local agent */
	const char *token_file;		     /* of a standing agent; NULL: that of this host */
	const char *psk_file;		     /* of a standing agent that speaks TLS; NULL: in clear */
	bool verbose;
};

/* Starts or reaches the destination agent and says HELLO. */
int dest_connect(struct dest *d, const struct dest_config *cfg, struct link *control, struct err *e);
/* One more connection, for data channel number. */
int dest_connect_data(const struct dest *d, unsigned data_port, unsigned number, struct link *link, struct err *e);
/* Waits for a local agent to end (it does once its control connection has). */
void dest_fini(struct dest *d);

#endif
