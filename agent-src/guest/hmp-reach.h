/*
 * hmp-reach.h: connects to a human monitor (HMP) of a guest's QEMU, once it is proven to be that very QEMU's, and that nobody else uses it.
 *
 * Each monitor takes one client at a time. Whether one is there is told by the kernel before anything is connected to, so that nobody waits behind a person,
 * and nothing is typed that QEMU would read when that person has left.
 */
#ifndef VMFERRY_HMP_REACH_H
#define VMFERRY_HMP_REACH_H

#include "err.h"
#include "hmp.h"
#include "qemu-args-hmp.h"
#include "qemu-discover.h"

#include <jansson.h>

struct hmp_place {
	enum args_hmp_kind kind;
	char *at; /* absolute path, port, or the pseudo-terminal */
	bool telnet;
	char escape; /* of a mux */
	char *name;  /* for people */
};

/* Where this monitor of the line is. -ENOTSUP: out of our reach, and why. *out is empty then. */
int hmp_locate(struct hmp_place *out, const struct guest *g, const struct args_hmp *on_line, struct err *e);
void hmp_place_fini(struct hmp_place *p);
/* 0: a connection on which it has asked for a command: hmp_end(). -EBUSY: another has it; -ESRCH: it is not that process's. */
int hmp_reach(struct hmp *h, const struct hmp_place *p, pid_t pid, struct err *e);
/* Finds, reaches and asks one monitor of the line, and leaves it. ask: with ctx; its result is returned. Otherwise as hmp_locate() and hmp_reach(). */
int hmp_visit(const struct guest *g, const struct args_hmp *on_line,
	      int (*ask)(struct hmp *h, const struct hmp_place *p, void *ctx, struct err *e), void *ctx, struct err *e);
/* As a journal has it; hmp_place_load(): false, it is none. */
json_t *hmp_place_json(const struct hmp_place *p);
bool hmp_place_load(struct hmp_place *p, const json_t *from);

#endif
