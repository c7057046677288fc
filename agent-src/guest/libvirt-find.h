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
	char *xml;		       /* inactive, with secrets */
	char *live_xml;		       /* of one that is to go as it runs: as it is now; NULL: it is not */
	struct libvirt_definition def; /* of live_xml, where there is one */
	bool is_transient;	       /* libvirt forgets it with its QEMU: nothing of it is defined */
	bool autostart;
	char **snapshots; /* XML of each, parents first */
	size_t snapshot_count;
	char *current;		    /* the name of the current one; NULL: none is */
	bool is_plain_here;	    /* xml is made of a plain guest's command line: libvirt is to have it there, and has none here */
	char *tpm_socket;	    /* of such a one, its swtpm's */
	struct libvirt_plain plain; /* it goes as a plain guest, by this line; argv NULL: it stays libvirt's */
};

/* In which state it is to be found. */
enum libvirt_wanted {
	LIBVIRT_SHUT_DOWN,
	LIBVIRT_RUNNING,
	LIBVIRT_GOES_DOWN, /* its QEMU has ended: libvirt is waited for until it has seen that */
	LIBVIRT_LIVE,	   /* running, to be moved so */
};

/* The guest that libvirt calls so. 1: there is one; 0: there is none, or no libvirt; -EBUSY: it is in another state, or has a saved one; -ENOTSUP: what it
 * has cannot be carried; -errno: libvirt cannot be asked. libvirt_guest_fini() always. */
int libvirt_find(struct libvirt_guest *l, const char *name, enum libvirt_wanted wanted, struct err *e);
/* The guest that libvirt calls so, or whose QEMU has that pid, if libvirt runs it: described in *g as guest_find() does, but with a line as of
 * libvirt_describe(). 1: there is one; 0: there is none, or no libvirt; -errno: as libvirt_find(), and then at least g->name is filled if there is one. */
int libvirt_find_running(struct libvirt_guest *l, struct guest *g, const char *vm, struct err *e);
/* A guest that was found so goes by l->plain, which is its line in *g from here on, with notes of its own. */
void libvirt_describe_plain(const struct libvirt_guest *l, struct guest *g);
/* Its disks, after guest_query(), are called as libvirt calls them: --disk vda=PATH. */
void libvirt_name_disks(const struct libvirt_guest *l, struct guest *g);
/* Its disks, and what else it reads, into *g, which is as guest_at_rest() makes it. */
int libvirt_describe(const struct libvirt_guest *l, struct guest *g, struct err *e);
/* 0: what libvirt keeps of it (definition, autostart, snapshots) is what it was when it was found; -ESTALE: not any more. */
int libvirt_is_as_defined(const struct libvirt_guest *l, struct lv *v, struct err *e);
/* And it is still shut down; -ESTALE or -EBUSY: not any more. */
int libvirt_is_unchanged(const struct libvirt_guest *l, struct lv *v, struct err *e);
/* -ENOTSUP: other guests may write to it, too, so that no copy of it could be the disk. */
int libvirt_check_shareable(const struct libvirt_disk *d, struct err *e);
void libvirt_guest_fini(struct libvirt_guest *l);

/* Every guest of libvirt's that is shut down, as guest_list() has those that run: *out is malloc'ed, each guest's pid is 0 and its owner_hint "libvirt". One that
 * cannot be moved is there with its name alone; whys[i] says why not, malloc'ed (NULL: it can). 0, also without a libvirt; -errno. */
int libvirt_list(struct guest **out, char ***whys, size_t *count, struct err *e);

#endif
