/*
 * qemu-helper.h: a QEMU that runs for a moment, for what only QEMU can do or tell: without a guest's disks or devices, and
 * never beyond this agent.
 */
#ifndef VMFERRY_QEMU_HELPER_H
#define VMFERRY_QEMU_HELPER_H

#include "qemu-launch.h"

struct qemu_helper {
	struct qemu_proc proc;
	struct qmp *qmp;
	char *socket;
};

/* exe, env: the binary that is to run the guest; work_dir: for a socket; options: what follows -nodefaults and
 * the like, up to a NULL. On failure (*e has QEMU's words) nothing is left. */
int qemu_helper_start(struct qemu_helper *h, struct loop *l, const char *exe, char *const *env, const char *work_dir, char *const *options,
		      struct err *e);
/* Does the same as qemu_helper_start() with everything that line says (qemu-args-trial.h), and nothing else but a monitor of ours.
 * -ECHILD: it does not start. */
int qemu_helper_try(struct qemu_helper *h, struct loop *l, const char *exe, char *const *env, const char *work_dir, char *const *line,
		    struct err *e);
void qemu_helper_end(struct qemu_helper *h);

#endif
