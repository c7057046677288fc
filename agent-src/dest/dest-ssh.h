/*
 * dest-ssh.h: a destination agent that SSH brings to another host and starts there, and how data reaches it. A part of
 * dest-connect; nobody else calls it.
 *
 * The session's key goes over SSH's stdin. Connections then are TCP with TLS; when the agent's port cannot be reached they
 * are streams through SSH, with the same TLS in them. The agent is not SSH's: it goes on when the SSH connection is lost.
 */
#ifndef VMFERRY_DEST_SSH_H
#define VMFERRY_DEST_SSH_H

#include "dest-connect.h"

/* Starts an agent there; fills host, port, tls and key of *d. An SSH connection that *d has already is used if it still
 * works. agent: path of vmferry-dst here. */
int dest_ssh_start(struct dest *d, const struct dest_config *cfg, const char *agent, struct err *e);
/* Runs the program of this path here, brought there, with args (ends with NULL), and gives all that it prints, malloc'ed. */
int dest_ssh_run(struct dest *d, const struct dest_config *cfg, const char *program, const char *const *args, char **text, struct err *e);
/* A connection to the agent's port: by TCP, or once that has failed through SSH; d->note then says so. again: NULL, or it logs in anew
 * where SSH has to carry it and no longer does. */
int dest_ssh_connect(struct dest *d, const struct dest_again *again, const char *port, int *fd, struct err *e);
/* The agent has ended, or is no business of ours any more; the SSH connection stays. */
void dest_ssh_forget_agent(struct dest *d);
void dest_ssh_fini(struct dest *d);

#endif
