/*
 * domain.h: a libvirt guest that arrives running: this host's libvirt starts its QEMU, which waits, takes the guest over when it is loaded,
 * and lets it run in the end. In between we feed that QEMU as one of ours. Nobody may use its monitor before libvirt has taken the guest
 * over; then QEMU is held at once, so that a user's `virsh resume` does not start it before it may run.
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
	char *xml, *cookie; /* definition and libvirt's cookie, from PREPARE */
	char *dir, *socket; /* directory and socket where QEMU waits */
	uint32_t flags;
	struct lv *job;	   /* ends with us, and QEMU with it, until libvirt has taken the guest over */
	struct lv *events; /* connection for events and questions; NULL: not connected yet, or lost */
	bool has_missed;   /* events of QEMU were missed: those from while libvirt was away, or from before we began */
	struct lv_domain known;
	struct op ended; /* QEMU's process */
	bool watching;
	struct rescuer guard;	/* ends a QEMU that libvirt has taken over and that is not yet held, should we die */
	struct vcpu_time stood; /* CPU time before libvirt took the guest over, when nobody could resume it */
	uint64_t taking_over_ns;
};

void domain_init(struct domain *d, struct target *target);
/* Restores the part in a later life, which has no PREPARE. */
void domain_restore(struct domain *d);
/* Takes what PREPARE says of it. */
int domain_take(struct domain *d, const json_t *prepare, struct err *e);
/* Call before domain_start() for a disk that both hosts see: libvirt here gives it to QEMU's user, and to root when QEMU has ended. Its
 * owner is restored if the guest stays at the source. */
int domain_own_disk(struct domain *d, const char *path, struct err *e);
/* Has libvirt start a QEMU, which waits at d->socket. */
int domain_start(struct domain *d, struct err *e);
/* Begun before libvirt is to take it over, as what is over by then does not keep the guest waiting: from now on its QEMU ends with us. */
int domain_watch(struct domain *d, struct err *e);
/* Makes the loaded guest one of libvirt's, paused, and holds it, without its disks if both hosts see some. -ECANCELED: another client
 * resumed it meanwhile; it has ended. */
int domain_finish(struct domain *d, bool has_shared_disks, struct err *e);
/* Lets the guest run, in this life or a later one. 0: *out says whether it does; -EAGAIN: that cannot be told. */
int domain_resume(struct domain *d, enum handoff_event *out, struct err *e);
/* Holds QEMU, and takes in all its events, however late libvirt is: libvirt's answers about the guest are then true, until domain_go_on().
 * The same for a QEMU that has ended. */
int domain_hear_out(struct domain *d, struct err *e);
/* Lets go of a QEMU that domain_hear_out() holds; does nothing otherwise. */
void domain_go_on(struct domain *d);
/* True if every event of its QEMU since its start was heard. */
bool domain_has_heard(const struct domain *d);
/* Ends QEMU, and has libvirt forget the guest. */
void domain_end(struct domain *d);

#endif
