/*
 * libvirt-find.h: a guest that libvirt has defined and that is shut down: found by its name, and described as one whose command line is known.
 *
 * vmferry plans by command lines. A libvirt guest gets one that names its files alone (disks, firmware, media); nobody runs the guest by it. At the
 * destination libvirt starts the guest by its definition, with the paths that the plan has given to these files. One that is to be plain there has a line
 * that starts it (import's libvirt-plain.h).
 */
#ifndef VMFERRY_LIBVIRT_FIND_H
#define VMFERRY_LIBVIRT_FIND_H

#include "libvirt-rpc.h"
#include "libvirt-xml.h"
#include "qemu-discover.h"

struct libvirt_guest {
	struct lv_domain domain;
	enum lv_state state;
	unsigned long version;	       /* libvirt's here, as lv_version() */
	char *xml;		       /* inactive, with secrets */
	char *xml_for_older;	       /* the same for a libvirt of an older version; NULL: not libvirt's here */
	char *live_xml;		       /* present definition, if the guest is to move while it runs; else NULL */
	struct libvirt_definition def; /* parsed live_xml, if set */
	bool is_transient;	       /* the guest is not defined: libvirt forgets it when its QEMU ends */
	bool autostart, autostart_once;
	char **snapshots; /* XML of each, parents first */
	size_t snapshot_count;
	char *current;		    /* name of the current snapshot; NULL: none */
	bool is_plain_here;	    /* xml is made from a plain guest's command line, for libvirt there; unknown to libvirt here */
	char *tpm_socket;	    /* socket of such a guest's swtpm */
	struct libvirt_plain plain; /* command line to move as a plain guest; argv NULL: stays libvirt's */
};

/* State in which the guest is to be found. */
enum libvirt_wanted {
	LIBVIRT_SHUT_DOWN,
	LIBVIRT_RUNNING,
	LIBVIRT_GOES_DOWN, /* QEMU has ended: wait until libvirt has noticed that */
	LIBVIRT_LIVE,	   /* running, to be moved live */
};

/* Finds the guest by libvirt's name. 1: found; 0: no such guest, or no libvirt; -EBUSY: it is in another state, or has a saved one;
 * -ENOTSUP: something of it cannot be carried; -errno: libvirt cannot be asked. libvirt_guest_fini() always. */
int libvirt_find(struct libvirt_guest *l, const char *name, enum libvirt_wanted wanted, struct err *e);
/* Finds a guest that libvirt runs, by libvirt's name or QEMU's pid; describes it in *g like guest_find(), but with a line as from
 * libvirt_describe(). 1: found; 0: no such guest, or no libvirt; -errno: as libvirt_find(), with at least g->name filled if there is
 * one. */
int libvirt_find_running(struct libvirt_guest *l, struct guest *g, const char *vm, struct err *e);
/* Makes l->plain the line of such a guest in *g, with its notes. */
void libvirt_describe_plain(const struct libvirt_guest *l, struct guest *g);
/* Gives the disks libvirt's names, after guest_query(): --disk vda=PATH. */
void libvirt_name_disks(const struct libvirt_guest *l, struct guest *g);
/* Describes the guest in *g, with its disks and other files, like guest_at_rest(). */
int libvirt_describe(const struct libvirt_guest *l, struct guest *g, struct err *e);
/* -ESTALE: libvirt's definition, autostart or snapshots have changed since the guest was found. */
int libvirt_is_as_defined(const struct libvirt_guest *l, struct lv *v, struct err *e);
/* Checks the same, and that the guest is still shut down: -ESTALE, -EBUSY. */
int libvirt_is_unchanged(const struct libvirt_guest *l, struct lv *v, struct err *e);
/* -ENOTSUP: other guests may write to the disk, too, so a copy could not replace it. */
int libvirt_check_shareable(const struct libvirt_disk *d, struct err *e);
void libvirt_guest_fini(struct libvirt_guest *l);

/* Lists libvirt's guests that are shut down, like guest_list(): *out is malloc'ed, each guest's pid is 0 and its owner_hint "libvirt". A
 * guest that cannot be moved has only its name; whys[i] says why, malloc'ed (NULL: it can). 0 also without a libvirt. */
int libvirt_list(struct guest **out, char ***whys, size_t *count, struct err *e);

#endif
