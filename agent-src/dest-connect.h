/*
 * dest-connect.h: from DEST, as the user wrote it, to a control connection and data connections.
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

enum dest_kind {
	DEST_LOCAL,    /* "local": an agent of our own beside us */
	DEST_STANDING, /* HOST:PORT: a vmferry-dst that listens there */
	DEST_SSH,      /* [USER@]HOST, USER@HOST:PORT, ssh://…: an agent of our own that SSH brings there */
};

enum dest_kind dest_kind(const char *where);

struct dest_config {
	const char *where;
	const char *state_dir, *runtime_dir; /* for a local agent */
	bool verbose;
	/* a standing agent */
	bool plaintext;
	const char *token_file; /* NULL: that of this host */
	const char *psk_file;	/* NULL: in clear */
	/* SSH; NULL and false: as usual */
	const char *identity, *ssh_port;
	bool openssh, ssh_accept_new, keep_agent;
	const char *listen_address, *via, *data_ports; /* for data, there */
};

/* Starts or reaches the destination agent and says HELLO. */
int dest_connect(struct dest *d, const struct dest_config *cfg, struct link *control, struct err *e);
/* One more connection, for data channel number. */
int dest_connect_data(const struct dest *d, unsigned data_port, unsigned number, struct link *link, struct err *e);
/* How the data travels, for the report: "in clear", "TLS 1.3, …", "… through SSH". */
const char *dest_transport(const struct dest *d);
/* Waits for a local agent to end (it does once its control connection has). */
void dest_fini(struct dest *d);

#endif
