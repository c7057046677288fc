/* serve.h: listens for sources; every session is a process of its own. */
#ifndef VMFERRY_SERVE_H
#define VMFERRY_SERVE_H

#include "err.h"

#include <stdbool.h>

struct serve_config {
	const char *listen; /* ADDR:PORT */
	const char *state_dir, *runtime_dir;
	const char *token;  /* what a source must show; "" for none */
	bool plaintext;	    /* any address, in clear */
	bool once;	    /* one session, in this process, then the end */
};

/* The agent's exit code, or -errno. Prints "listening on ADDR:PORT". */
int serve(const struct serve_config *cfg, struct err *e);

#endif
