/*
 * dest-connect.h: makes control and data connections to DEST, as the user wrote it.
 */
#ifndef VMFERRY_DEST_CONNECT_H
#define VMFERRY_DEST_CONNECT_H

#include "channel.h"
#include "hello.h"
#include "token.h"

#include <stdbool.h>
#include <sys/types.h>

struct ssh;
struct ssh_proc;

enum dest_kind {
	DEST_LOCAL,    /* "local": our own agent on this host */
	DEST_STANDING, /* HOST:PORT: a vmferry-dst that listens there */
	DEST_SSH,      /* [USER@]HOST, USER@HOST:PORT, ssh://…: our own agent, brought there by SSH */
};

enum dest_kind dest_kind(const char *where);
/* Host part of DEST, without user and port, malloc'ed; DEST itself if malformed. */
char *dest_host_name(const char *where);

struct dest {
	enum dest_kind kind;
	char *host, *port; /* address of the agent */
	char *address;	   /* address of a standing agent, or of the SSH server: for reconnecting, when names may not resolve; NULL */
	bool plaintext, tls;
	struct tls_key key;	     /* if tls */
	char token[TOKEN_CHARS + 1]; /* token for a connection in clear; "": not known */
	char *token_origin;
	struct hello hello; /* session, for the data channels too */
	bool met;	    /* a connection was established */
	bool reconnecting;  /* the user may not be there any more to answer questions */
	char *note;	    /* note for the user, or NULL */
	pid_t agent;	    /* local mode: our child; else 0 */
	/* SSH: dest-ssh.c */
	struct ssh *ssh;
	struct ssh_proc *agent_proc;
	int agent_fd;
	bool through_ssh;
	unsigned silence_ms; /* silence that the SSH connection bears; atomic, see ssh_config */
	char *ssh_host, *forward_host;
};

struct dest_config {
	const char *where;
	const char *state_dir, *runtime_dir; /* directories of a local agent */
	bool verbose;			     /* both agents are verbose */
	bool background;		     /* our stderr must reach its end before the local agent's does */
	/* a standing agent */
	bool plaintext;
	const char *token_file; /* NULL: this host's */
	const char *psk_file;	/* NULL: in clear */
	/* SSH; NULL and false: defaults */
	const char *identity, *ssh_port;
	bool openssh, ssh_accept_new, keep_agent;
	bool ssh_chosen;			       /* the user has chosen a value for openssh */
	const char *listen_address, *via, *data_ports; /* settings of the data connections, at that host */
};

/* Starts or reaches the destination agent and says HELLO. *d is all zero, or has been through dest_disconnect(). */
int dest_connect(struct dest *d, const struct dest_config *cfg, struct link *control, struct err *e);
/* Runs vmferry-dst there once with args (ends with NULL), and returns its output, malloc'ed. Only over SSH; -ENOTSUP otherwise. */
int dest_ask(const struct dest_config *cfg, const char *const *args, char **text, struct err *e);
/* Opens the connection for a data channel. number: the channel's. */
int dest_connect_data(struct dest *d, unsigned data_port, unsigned number, struct link *link, struct err *e);
/* Arguments for reconnecting a channel that has lost its connection, with RESUME. */
struct dest_again {
	const struct dest_config *cfg;
	unsigned timeout_ms; /* limit of each step */
	uint32_t generation;
	uint64_t received;
	uint64_t peer_received; /* reported by the peer */
};
/* number: 0 for control, which also uses the data channels' port. Over SSH: logs in again if that connection has ended. Blocks. */
int dest_connect_again(struct dest *d, unsigned data_port, unsigned number, struct dest_again *again, struct link *link, struct err *e);
/* Transport of the data, for the report: "in clear", "TLS 1.3, …", "… through SSH". */
const char *dest_transport(const struct dest *d);
/* Disconnects from an agent that is gone or has nothing more to do (waits for a local one, which ends after its control connection).
 * Keeps what a new dest_connect() can use again. */
void dest_disconnect(struct dest *d);
void dest_fini(struct dest *d);

#endif
