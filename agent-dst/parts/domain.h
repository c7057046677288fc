/*
 * domain.h: a guest of libvirt's that comes as it runs: this host's libvirt starts its QEMU, which waits, takes the guest over when all of it is loaded, and has
 * it run in the end. In between that QEMU is fed as one of ours is. Nobody may ask it anything before libvirt has taken the guest over, and then it is
 * held at once, so that nobody's `virsh resume` wakes it before it may run.
 */
#ifndef VMFERRY_DST_DOMAIN_H
#define VMFERRY_DST_DOMAIN_H

#include "handoff.h"
#include "libvirt-job.h"
#include "rescuer.h"
#include "target.h"
#include "vcpu-time.h"

struct domain {
	struct part part;
	struct target *target;
	char *xml, *cookie; /* of PREPARE */
	char *dir, *socket; /* where QEMU waits */
	uint32_t flags;
	struct lv *job;	   /* ends with us, and QEMU with it, until libvirt has taken the guest over */
	struct lv *events; /* and questions; NULL: not yet, or lost */
	bool has_missed;   /* what QEMU said while libvirt was away, or before we began */
	struct lv_domain known;
	struct op ended; /* QEMU's process */
	bool watching;
	struct rescuer guard;	/* ends a QEMU that libvirt has taken over and that is not yet held, should we die */
	struct vcpu_time stood; /* before libvirt took it over, when nobody could resume it */
};

void domain_init(struct domain *d, struct target *target);
/* The same in a later life, which has no PREPARE. */
void domain_restore(struct domain *d);
/* Takes what PREPARE says of it. */
int domain_take(struct domain *d, const json_t *prepare, struct err *e);
/* Before that: a disk that both hosts see, which libvirt here gives to its QEMU's user, and to root when that has ended. Its owner is given back if the guest stays at
 * the source. */
int domain_own_disk(struct domain *d, const char *path, struct err *e);
/* libvirt starts a QEMU, which waits at d->socket. */
int domain_start(struct domain *d, struct err *e);
/* Begun before libvirt is to take it over, as what is over by then does not keep the guest waiting: from now on its QEMU ends with us. */
int domain_watch(struct domain *d, struct err *e);
/* All of it is loaded: it becomes one of libvirt's, paused, and is held, without its disks if both hosts see some. -ECANCELED: somebody has resumed it meanwhile;
 * it has ended. */
int domain_finish(struct domain *d, bool has_shared_disks, struct err *e);
/* Lets the guest run, in this life or a later one. 0: *out says whether it does; -EAGAIN: that cannot be told. */
int domain_resume(struct domain *d, enum handoff_event *out, struct err *e);
/* Its QEMU is held, and all that it had said of its guest was heard, however late libvirt is: what it says of it is true then, until domain_go_on(). Of one that has
 * ended the same. */
int domain_hear_out(struct domain *d, struct err *e);
/* The QEMU is not held any more; nothing happens if it was not held so. */
void domain_go_on(struct domain *d);
/* All that its QEMU has said since it was started was heard. */
bool domain_has_heard(const struct domain *d);
/* QEMU ends, and libvirt forgets the guest. */
void domain_end(struct domain *d);

#endif
