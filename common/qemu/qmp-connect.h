/* qmp-connect.h: connects to a QMP monitor and sends nothing yet: by a unix socket's path, or by a name with QMP_TCP_PREFIX or
 * QMP_PTY_PREFIX. */
#ifndef VMFERRY_QMP_CONNECT_H
#define VMFERRY_QMP_CONNECT_H

#include "err.h"
#include "loop.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct qmp_connection {
	struct loop *loop; /* pumped while it waits */
	const char *path;
	int fd;		  /* -1: none */
	bool is_terminal; /* not a socket */
	pid_t peer_pid;	  /* the QEMU, as far as it can be told */
};

/* pid: whose monitor it must be; 0: any process's of ours. As qmp_open_of(); fd is the caller's also after an error. */
int qmp_connect(struct qmp_connection *c, pid_t pid, uint64_t until_ns, struct err *e);
/* -EBUSY, in words. */
int qmp_is_busy(const char *path, struct err *e);

#endif
