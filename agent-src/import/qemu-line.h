/*
 * qemu-line.h: the command line of a QEMU that is like the machine of a description. Pure.
 *
 * Two steps, as what the machine is decides what else is needed of the host: line_decide() chooses machine, firmware and a bus for each
 * disk, into the description; line_make() writes the line. Both say in notes what is not as it was.
 */
#ifndef VMFERRY_QEMU_LINE_H
#define VMFERRY_QEMU_LINE_H

#include "firmware.h"
#include "guest-description.h"

#include <stdbool.h>
#include <stddef.h>

/* What the user says, over what the description says. */
struct line_wishes {
	uint64_t memory_bytes;	      /* 0: as described, or LINE_MEMORY */
	unsigned cpus;		      /* 0: as described, or LINE_CPUS */
	enum guest_firmware firmware; /* FIRMWARE_UNSAID: as described, or BIOS */
	enum disk_bus bus;	      /* of every disk; BUS_UNSAID: as described, or SATA */
};
#define LINE_MEMORY (2ULL << 30)
#define LINE_CPUS   2

typedef bool (*line_has_fn)(const void *ctx, const char *device);

/* What the host gives. */
struct line_host {
	const char *machine; /* with its version */
	bool kvm;
	const struct firmware *uefi; /* for FIRMWARE_UEFI */
	const char *vars;	     /* the guest's copy of its variables */
	const char *vars_format;     /* NULL: raw */
	const char *tpm;	     /* the socket of its swtpm, for a description with a TPM */
	const char *format;	     /* of all disks */
	const char *const *formats;  /* of each disk; NULL: format */
	char *const *disks;	     /* the file of each disk of the description; NULL for an empty drive */
	const char *const *nets;     /* of each network card: "user", "none" or "bridge=BR" */
	const char *qmp, *vnc;	     /* sockets */
	const char *agent;	     /* likewise, of a guest that has one */
	char *const *serials;	     /* likewise, one a port */
	bool sandbox;		     /* QEMU is to be kept from what no guest needs, if its network lets it */
	char *const *more;	     /* further options, as they are */
	size_t more_count;
	line_has_fn has;
	const void *has_ctx;
};

struct line {
	char **argv; /* argc strings and a NULL; argv[0] is "qemu-system-x86_64", argv[1] "-S" */
	size_t argc;
};

/* Drops what of its processor QEMU's `-cpu help` does not have, and notes it. help NULL: all of it is believed. */
void line_check_cpu(struct guest_description *d, const char *help);
/* With sectors of another size than its bus has the guest does not find its partitions. 0; -EINVAL. */
int line_check_sectors(const struct guest_description *d, struct err *e);
void line_decide(struct guest_description *d, const struct line_wishes *w, line_has_fn has, const void *ctx);
/* 0; -EINVAL: the disks do not fit on the machine. line_fini() whatever is returned. */
int line_make(struct line *out, struct guest_description *d, const struct line_host *h, struct err *e);
void line_fini(struct line *l);

/* Words of --bus. */
extern const char *const disk_bus_words[];
/* "pvscsi", "IDE" … for people. */
const char *disk_bus_name(enum disk_bus bus);
/* Whether net is a form of --net. */
bool line_net_known(const char *net);

#endif
