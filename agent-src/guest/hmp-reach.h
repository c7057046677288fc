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
	char escape; /* escape character of a mux */
	char *name;  /* name for messages */
};

/* Locates this monitor of the line. -ENOTSUP: we cannot reach it, *e says why; *out is empty then. */
int hmp_locate(struct hmp_place *out, const struct guest *g, const struct args_hmp *on_line, struct err *e);
void hmp_place_fini(struct hmp_place *p);
/* 0: connected, and the monitor shows its prompt: hmp_end(). -EBUSY: another client uses it; -ESRCH: it is another process's. */
int hmp_reach(struct hmp *h, const struct hmp_place *p, pid_t pid, struct err *e);
/* Locates and reaches one monitor of the line, calls ask with ctx, and disconnects. Returns ask's result, or fails as hmp_locate() and
 * hmp_reach(). */
int hmp_visit(const struct guest *g, const struct args_hmp *on_line,
	      int (*ask)(struct hmp *h, const struct hmp_place *p, void *ctx, struct err *e), void *ctx, struct err *e);
/* JSON form for the journal. hmp_place_load(): false if it is malformed. */
json_t *hmp_place_json(const struct hmp_place *p);
bool hmp_place_load(struct hmp_place *p, const json_t *from);

#endif
