/*
 * libvirt-job.h: the steps of a libvirt migration that are not public in its library: Begin, Prepare, Finish, Confirm. libvirt's Perform
 * is not used, as we drive QEMU over its monitor (libvirt-monitor.h). The decision which side runs the guest is made elsewhere. Errors
 * and deadlines are those of libvirt-rpc.h; a Prepare starts a QEMU, a Confirm may wait 10 s for one that is held.
 */
#ifndef VMFERRY_LIBVIRT_JOB_H
#define VMFERRY_LIBVIRT_JOB_H

#include "libvirt-rpc.h"

/* virDomainMigrateFlags */
enum lv_migrate_flags {
	LV_MIGRATE_LIVE = 1 << 0,
	LV_MIGRATE_PERSIST_DEST = 1 << 3,
	LV_MIGRATE_UNDEFINE_SOURCE = 1 << 4,
	LV_MIGRATE_PAUSED = 1 << 5,	     /* Finish does not let the guest run */
	LV_MIGRATE_NON_SHARED_DISK = 1 << 6, /* Prepare starts QEMU's NBD server, at disks_uri */
	LV_MIGRATE_CHANGE_PROTECTION = 1 << 8,
	LV_MIGRATE_UNSAFE = 1 << 9,
	LV_MIGRATE_PARALLEL = 1 << 17,
};

/* The parameters of a migration; NULL, or 0: not given. */
struct lv_params {
	const char *migrate_uri, *disks_uri; /* unix:///PATH */
	const char *destination_name, *destination_xml, *persistent_xml;
	const char *const *migrate_disks; /* targets (vda), the last one NULL; NULL: all that are not shared */
	int32_t parallel_connections;
};

/* Bytes that only libvirt reads, mostly XML with its zero. */
struct lv_cookie {
	uint8_t *data;
	size_t n;
};

void lv_cookie_fini(struct lv_cookie *c);

/*
 * Begins libvirt's migration job at the source; with CHANGE_PROTECTION nobody can change the guest until Confirm, or until this
 * connection is closed. *xml and *cookie: input for Prepare, which the caller frees.
 */
int lv_begin(struct lv *v, const struct lv_domain *d, const struct lv_params *p, uint32_t flags, struct lv_cookie *cookie, char **xml,
	     struct err *e);
/* Has libvirt at the destination start the guest's QEMU, which waits at migrate_uri; libvirt ends it if this connection is closed. */
int lv_prepare(struct lv *v, const struct lv_params *p, const struct lv_cookie *cookie, uint32_t flags, struct err *e);
/*
 * Finishes at the destination, when QEMU has the whole guest: it becomes a guest of libvirt's. cookie: text, or NULL. cancelled: QEMU is
 * ended, and *out, which may then be NULL, is not set.
 */
int lv_finish(struct lv *v, const struct lv_params *p, const char *cookie, uint32_t flags, bool cancelled, struct lv_domain *out,
	      struct err *e);
/* Ends the job at the source, and the guest's QEMU (-EALREADY: it had ended). cancelled: the guest stays as it was, resumed if it ran. */
int lv_confirm(struct lv *v, const struct lv_domain *d, uint32_t flags, bool cancelled, struct err *e);

int lv_resume(struct lv *v, const struct lv_domain *d, struct err *e);

#endif
