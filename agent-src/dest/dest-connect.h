/*
 * dest-connect.h: from DEST, as the user wrote it, to a control connection and data connections.
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
	DEST_LOCAL,    /* "local": an agent of our own beside us */
	DEST_STANDING, /* HOST:PORT: a vmferry-dst that listens there */
	DEST_SSH,      /* [USER@]HOST, USER@HOST:PORT, ssh://…: an agent of our own that SSH brings there */
};

enum dest_kind dest_kind(const char *where);
/* The host in it, without user and port, malloc'ed; what cannot be read stays as it is. */
char *dest_host_name(const char *where);

struct dest {
	enum dest_kind kind;
	char *host, *port; /* where the agent is to be reached */
	char *address;	   /* of a standing one that was reached, or of the SSH server: for later, as names may not be told then; or NULL */
	bool plaintext, tls;
	struct tls_key key;	     /* with tls */
	char token[TOKEN_CHARS + 1]; /* in clear; "": not known */
	char *token_origin;
	struct hello hello; /* session, for the data channels too */
	bool met;	    /* a connection stood */
	bool reconnecting;  /* somebody may not be there any more to answer questions */
	char *note;	    /* something the user should know, or NULL */
	pid_t agent;	    /* local mode: our child; 0 otherwise */
	/* SSH: dest-ssh.c */
	struct ssh *ssh;
	struct ssh_proc *agent_proc;
	int agent_fd;
	bool through_ssh;
	unsigned silence_ms; /* of SSH's connection; atomic, see ssh_config */
	char *ssh_host, *forward_host;
};

struct dest_config {
	const char *where;
	const char *state_dir, *runtime_dir; /* for a local agent */
	bool verbose;			     /* this agent and that one */
	bool background;		     /* whoever reads our standard error is to see its end before the local agent's */
	/* a standing agent */
	bool plaintext;
	const char *token_file; /* NULL: that of this host */
	const char *psk_file;	/* NULL: in clear */
	/* SSH; NULL and false: as usual */
	const char *identity, *ssh_port;
	bool openssh, ssh_accept_new, keep_agent;
	bool ssh_chosen;			       /* openssh was said, or denied */
	const char *listen_address, *via, *data_ports; /* for data, there */
};

/* Starts or reaches the destination agent and says HELLO. *d is all zero, or has been through dest_disconnect(). */
int dest_connect(struct dest *d, const struct dest_config *cfg, struct link *control, struct err *e);
/* Has vmferry-dst run there once, with args (ends with NULL), and gives what it prints, malloc'ed. By SSH alone: -ENOTSUP of another destination. */
int dest_ask(const struct dest_config *cfg, const char *const *args, char **text, struct err *e);
/* One more connection, for data channel number. */
int dest_connect_data(struct dest *d, unsigned data_port, unsigned number, struct link *link, struct err *e);
/* Another connection for a channel that has lost its own, for RESUME. */
struct dest_again {
	const struct dest_config *cfg;
	unsigned timeout_ms; /* of each step */
	uint32_t generation;
	uint64_t received;
	uint64_t peer_received; /* told by the peer */
};
/* number: 0 for control, which goes to the data channels' port, too. Over SSH: with another login, if that connection has ended. Blocks. */
int dest_connect_again(struct dest *d, unsigned data_port, unsigned number, struct dest_again *again, struct link *link, struct err *e);
/* How the data travels, for the report: "in clear", "TLS 1.3, …", "… through SSH". */
const char *dest_transport(const struct dest *d);
/* The agent is gone or has nothing more to do (a local one is waited for: it ends when its control connection has). What a new
 * dest_connect() can use again stays. */
void dest_disconnect(struct dest *d);
void dest_fini(struct dest *d);

#endif
