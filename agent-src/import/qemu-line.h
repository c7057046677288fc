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

/* The user's wishes, which override the description. */
struct line_wishes {
	uint64_t memory_bytes;	      /* 0: as described, or LINE_MEMORY */
	unsigned cpus;		      /* 0: as described, or LINE_CPUS */
	enum guest_firmware firmware; /* FIRMWARE_UNSAID: as described, or BIOS */
	enum disk_bus bus;	      /* bus of every disk; BUS_UNSAID: as described, or SATA */
};
#define LINE_MEMORY (2ULL << 30)
#define LINE_CPUS   2

typedef bool (*line_has_fn)(const void *ctx, const char *device);

/* Resources of this host for the guest. */
struct line_host {
	const char *machine; /* machine type, with its version */
	bool kvm;
	const struct firmware *uefi; /* firmware for FIRMWARE_UEFI */
	const char *vars;	     /* file with the guest's copy of the UEFI variables */
	const char *vars_format;     /* NULL: raw */
	const char *tpm;	     /* socket of the guest's swtpm, if the description has a TPM */
	const char *format;	     /* format of all disks */
	const char *const *formats;  /* format of each disk; NULL: format */
	char *const *disks;	     /* the file of each disk of the description; NULL for an empty drive */
	const char *const *nets;     /* net of each network card: "user", "none" or "bridge=BR" */
	const char *qmp, *vnc;	     /* sockets */
	const char *agent;	     /* socket for the guest agent, if the guest has one */
	char *const *serials;	     /* socket for each serial port */
	bool sandbox;		     /* run QEMU with -sandbox, if its network permits that */
	char *const *more;	     /* the user's further options, unchanged */
	size_t more_count;
};

struct line {
	char **argv; /* argc strings and a NULL; argv[0] is "qemu-system-x86_64", argv[1] "-S" */
	size_t argc;
};

/* Drops CPU features that QEMU's `-cpu help` does not list, with a note. help NULL: keeps all. */
void line_check_cpu(struct guest_description *d, const char *help);
/* -EINVAL: a disk has sectors of more than 512 bytes on IDE or SATA, where QEMU has none: the guest would not find its partitions. */
int line_check_sectors(const struct guest_description *d, struct err *e);
void line_decide(struct guest_description *d, const struct line_wishes *w, line_has_fn has, const void *ctx);
/* -EINVAL: the machine has no room for the disks. line_fini() in any case. */
int line_make(struct line *out, struct guest_description *d, const struct line_host *h, struct err *e);
void line_fini(struct line *l);

/* Words of --bus. */
extern const char *const disk_bus_words[];
/* "pvscsi", "IDE" …, for messages. */
const char *disk_bus_name(enum disk_bus bus);
/* True if net is a form of --net. */
bool line_net_known(const char *net);

#endif
