/*
 * guest-description.h: a guest as another hypervisor's files describe it: what every reader fills and nothing else is made from.
 *
 * A reader (readers.h) turns one kind of text into it; qemu-line.h turns it into a QEMU command line. Texts in it are the file's own,
 * NULL where it says nothing: what a table does not know is not passed on, and notes say so. Numbers are within the limits below.
 */
#ifndef VMFERRY_GUEST_DESCRIPTION_H
#define VMFERRY_GUEST_DESCRIPTION_H

#include "disk-content.h"
#include "err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GUEST_DISKS_MAX	   64
#define GUEST_NICS_MAX	   32
#define GUEST_NOTES_MAX	   200
#define GUEST_PORTS_MAX	   32
#define GUEST_SERIALS_MAX  4  /* serial ports of a PC */
#define GUEST_FORWARDS_MAX 32 /* forwarded ports of one network card */
#define SMBIOS_COUNT	   6
#define BUS_CHOICES_MAX	   3
#define GUEST_CPUS_MAX	   4096
#define GUEST_MEMORY_MIN   (1ULL << 20)
#define GUEST_MEMORY_MAX   (64ULL << 40)
#define DISK_BYTES_MAX	   (64ULL << 40) /* size that no hypervisor's disk exceeds */
#define GUEST_TEXT_MAX	   4096		 /* length of one text of the file */

enum guest_machine { MACHINE_UNSAID, MACHINE_PC, MACHINE_Q35 };
enum guest_firmware { FIRMWARE_UNSAID, FIRMWARE_BIOS, FIRMWARE_UEFI };

/* Buses, in the order of the table in qemu-line.c. */
enum disk_bus {
	BUS_UNSAID,
	BUS_IDE,
	BUS_SATA,
	BUS_VIRTIO,
	BUS_NVME,
	BUS_LSILOGIC,
	BUS_LSISAS,
	BUS_PVSCSI,
	BUS_VIRTIO_SCSI,
	BUS_MEGASAS,
	BUS_USB,
	BUS_COUNT
};

struct described_disk {
	bool cdrom;	 /* a drive; its medium is never taken along */
	unsigned number; /* "#1" of the user's; 0: as it comes, drives not counted */
	enum disk_bus bus;
	enum disk_bus others[BUS_CHOICES_MAX]; /* further ones that the description allows, in its order; BUS_UNSAID: no more */
	/* number of the controller among those of its kind, and of the unit on it, as the guest sees them */
	unsigned controller, unit;
	char *label;	 /* name there: "vda", "scsi0:0"; NULL: not said */
	char *volume;	 /* STORAGE:NAME of Proxmox VE; NULL: it is no such one */
	char *file;	 /* name in the description; NULL, with a capacity: the disk is blank */
	char *elsewhere; /* place of the disk, if that is not a file, for people; the file is a copy, in whatever format */
	char **bases;	 /* files that the description says it is on, nearest first; of each the last part of the path counts */
	size_t base_count;
	bool says_bases;	     /* the description says what it is on; no base: it is on none */
	const char *format;	     /* format of a file without a header of its own: "raw"; NULL: the file says itself */
	bool absolute;		     /* file may be an absolute path of this host */
	uint64_t capacity;	     /* bytes; 0: not said */
	unsigned boot_order;	     /* 1: first; 0: not said */
	char *device_id;	     /* device_id of a SCSI disk, by which a Linux guest may know it; NULL: QEMU's own */
	char *serial;		     /* letters, digits, ".", "_" and "-"; NULL: not said */
	unsigned sector, physical;   /* bytes, of virtio and SCSI; 0: not said */
	struct disk_content content; /* contents at the beginning of its image, which are not from the description */
};

struct described_pci {
	unsigned domain, bus, slot, function;
};

/* A port of the host that leads to one of the guest. */
struct described_forward {
	bool udp;
	char from[16], to[16]; /* addresses (IPv4): of the host, "": all of its; of the guest, "": the one that it is given */
	uint16_t port, guest_port;
};

struct described_nic {
	char *model; /* QEMU's device, or several, with blanks between, of which the first is to be taken that is there; NULL: not known */
	uint8_t mac[6];
	bool has_mac;
	unsigned boot_order;
	/* network that it was attached to: the name there ("Outside", "br0"), and what that is ("bridge"); NULL: not said */
	char *network, *kind;
	char *name_there; /* name that a Linux guest there has for it: "ens160"; NULL: not known */
	unsigned slot;	  /* the number of its slot, by which Linux calls it ens160; 0: not known */
	bool keeps_slot;
	bool unplugged; /* the cable was not plugged in */
	struct described_forward forwards[GUEST_FORWARDS_MAX];
	size_t forward_count;
	bool has_pci, keeps_pci;
	struct described_pci pci; /* if has_pci: where the guest has it */
};

/* A port of q35's that has a PCI bus of its own. */
struct described_port {
	unsigned bus;		/* behind it */
	unsigned chassis, port; /* number of the port, and of its slot */
	bool multifunction;
	struct described_pci pci;
};

/* Facts about the guest's operating system. */
struct described_system {
	bool windows;
	bool old_windows;     /* this Windows has no driver for SATA: it is older than Vista */
	bool of_qemu;	      /* guest ran in a QEMU: its devices were the same */
	bool local_time, utc; /* time zone of the clock, where it is said */
};

/* Devices of a guest beside its disks and networks. */
struct described_parts {
	char *video; /* QEMU's device; "none" */
	char *tpm;   /* QEMU's TPM device of a guest that goes on; NULL: none */
	bool xhci, rng, balloon;
	bool agent;	  /* guest has a port for QEMU's guest agent */
	unsigned serials; /* ports; at most GUEST_SERIALS_MAX */
};

/* Wishes of the user's, said before the description is read. */
struct described_wish {
	const char *wish; /* said before: which of several guests it is to be, by name; NULL: the only one */
	bool verbose;	  /* said before: settings that say nothing of the hardware are noted, too */
	bool goes_on;	  /* said before: it is the guest itself, with its media, TPM and buses, and no copy of its machine */
};

/* Places of the guest's cards on PCI. */
struct described_slots {
	bool bridges_of_proxmox; /* cards are on bus 6 or 7, behind what Proxmox VE adds to q35 */
	unsigned odd_bus;	 /* the lowest bus behind something that is no such port; 0: there is none */
	bool no_slots;		 /* PCI slots have no number there: Linux calls a card enp0s3, and not ens3 */
};

/* Variables of a guest's UEFI. */
struct described_uefi {
	bool secure_boot;
	char *nvram;		   /* a file of this host: the variables of its UEFI */
	struct described_disk efi; /* variables of its UEFI in a disk image; file NULL: there is none */
};

struct guest_description {
	char *origin; /* kind of file, for people */
	char *name;
	char *uuid; /* 8-4-4-4-12 hexadecimal digits */
	uint64_t memory_bytes;
	struct {
		unsigned count, sockets, cores, threads; /* 0: not said */
	} cpu;
	char *cpu_model; /* QEMU's word for it; NULL: as this host's */
	enum guest_machine machine;
	char *machine_type; /* QEMU's, of a version or a distribution: "pc-q35-8.2"; NULL: the newest of this QEMU */
	enum guest_firmware firmware;
	struct described_uefi uefi;
	char *smbios[SMBIOS_COUNT]; /* words for described_smbios[] about its maker; NULL: QEMU's own */
	struct described_system system;
	struct described_parts has;
	char *genid; /* generation id, in the form of uuid: another one tells the guest that it is a copy; "": a new one; NULL: none */
	struct {
		char *kernel, *initrd, *append; /* files of this host */
	} direct;
	struct described_disk disks[GUEST_DISKS_MAX];
	size_t disk_count;
	struct described_nic nics[GUEST_NICS_MAX];
	size_t nic_count;
	struct described_port ports[GUEST_PORTS_MAX];
	size_t port_count;
	struct described_slots pci;
	struct described_wish told;
	char *notes[GUEST_NOTES_MAX + 1]; /* sentences about what was not understood, or is not mapped */
	size_t note_count;
};

void description_fini(struct guest_description *d);
void described_disk_fini(struct described_disk *k);
/* Adds a sentence for the user; foreign text in it is made printable. After GUEST_NOTES_MAX a last one says that there are more. */
void description_note(struct guest_description *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Adds an element, all zero; NULL: there are too many (a note says so). */
struct described_disk *description_add_disk(struct guest_description *d);
struct described_nic *description_add_nic(struct guest_description *d);
void description_drop_disk(struct guest_description *d, size_t i);

/* ---- values as these files write them. 0 or -EINVAL, with a sentence that names `what` ---- */

/* Reads a decimal number in min…max. */
int described_number(uint64_t *out, const char *text, uint64_t min, uint64_t max, const char *what, struct err *e);
/* Converts a guest's memory from `count` units to bytes. */
int described_memory(uint64_t *out, const char *text, uint64_t unit, struct err *e);
/* "00:11:22:33:44:55", also with - or nothing between. False: not an address, or a group address. */
bool described_mac(struct described_nic *n, const char *text);
/* Forwards a port of the host to the guest; addresses and ports as in the source (NULL: not given). False: not possible here. */
bool described_forward(struct described_nic *n, bool udp, const char *from, const char *port, const char *to, const char *guest_port);
/* Normalises a UUID: braces, capitals, blanks and dashes may be anywhere, only the 32 digits count. Malloc'ed; NULL: not a UUID. */
char *described_uuid(const char *text);
/* True for a name that QEMU's devices and processors can have: letters, digits, ".", "_" and "-". */
bool described_is_word(const char *text);
/* Sets the machine type of a QEMU guest; types without a version ("pc", "q35") are ignored. */
void described_machine_type(struct guest_description *d, const char *type);
/* True if QEMU's disks take the text as a serial number, by characters and length. */
bool described_is_serial(const char *text);
/* Compares without regard to case. */
bool described_ends_with(const char *text, const char *ending);
/* Decodes base64; malloc'ed. NULL: malformed, or not a single line of text. */
char *described_base64(const char *coded);
/* QEMU's names for the SMBIOS fields of the system (type 1). */
extern const char *const described_smbios[SMBIOS_COUNT];
/* Takes the source's name of the guest's system: sets windows and old_windows. -EINVAL: for another processor. text may be NULL. */
int described_system(struct guest_description *d, const char *text, struct err *e);
/* Sets model to QEMU's name for the source's `text`, or notes that it is unknown. In a list the first words are preferred. */
void described_nic_model(struct guest_description *d, struct described_nic *n, const char *text);
/* The last part of a path of any operating system; points into path. */
const char *described_base(const char *path);
/* Next word of a list that blanks, commas or semicolons separate, and its length; advances *p. NULL: the end. */
const char *described_word(const char **p, size_t *n);
/* Bytes of a unit: "byte * 2^20", "MegaBytes", "KiB", …; 0: unknown. */
uint64_t described_unit(const char *text);

/*
 * Text converted to UTF-8 from the named encoding (NULL: Windows' for western Europe); malloc'ed. NULL: it is UTF-8 already, or the
 * encoding is not known, which a note says.
 */
char *described_utf8(const char *text, size_t n, const char *encoding, struct guest_description *d);
/* UTF-16 with its mark, in UTF-8; malloc'ed. */
char *described_utf16(const char *text, size_t n);

#endif
