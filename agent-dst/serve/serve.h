/* serve.h: listens for sources; every session is a process of its own. */
#ifndef VMFERRY_SERVE_H
#define VMFERRY_SERVE_H

#include "net.h"
#include "peer-accept.h"

struct serve_config {
	const char *host; /* address to listen on, as in net_listen() */
	struct net_ports ports;
	const char *state_dir, *runtime_dir;
	struct access access;
	struct net_ports data_ports; /* ports where a standing agent takes data; one that serves once takes it where it listens */
	bool plaintext;		     /* any address is served, in clear */
	bool once;		     /* the agent serves a single session, in this process, and then ends */
};

/* The agent's exit code, or -errno. Prints "listening on ADDR:PORT". */
int serve(const struct serve_config *cfg, struct err *e);

#endif
