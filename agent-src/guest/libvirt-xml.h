/*
 * libvirt-xml.h: the definition of a libvirt guest (https://libvirt.org/formatdomain.html), inactive or of one that runs: read and
 * rewritten. Pure; nothing that the text names is opened. The text comes from this host's libvirtd, its content may be a stranger's.
 */
#ifndef VMFERRY_LIBVIRT_XML_H
#define VMFERRY_LIBVIRT_XML_H

#include "err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LIBVIRT_XML_MAX	    (1u << 20)
#define LIBVIRT_DISKS_MAX   256
#define LIBVIRT_NICS_MAX    64
#define LIBVIRT_BACKING_MAX 200 /* images below one disk, as libvirt has it */
#define LIBVIRT_WORDS_MAX   256 /* length of one list of texts */
#define LIBVIRT_CPUS_MAX    65536
#define LIBVIRT_SWTPM_DIR   "/var/lib/libvirt/swtpm"
#define LIBVIRT_NAME_MAX    250 /* bytes: NAME.xml is a file of libvirt's */

enum libvirt_source { LIBVIRT_FILE, LIBVIRT_BLOCK, LIBVIRT_VOLUME, LIBVIRT_NETWORK, LIBVIRT_NONE /* an empty drive */, LIBVIRT_OTHER };

struct libvirt_disk {
	char *target; /* "vda" */
	char *device; /* "disk", "cdrom", "floppy", "lun" */
	enum libvirt_source source;
	char *path;		/* path of a file or a block device */
	char *pool, *volume;	/* LIBVIRT_VOLUME */
	char *remote;		/* LIBVIRT_NETWORK: its name there, "rbd/web" */
	char *elsewhere;	/* words for people about any source but LIBVIRT_FILE, LIBVIRT_BLOCK and LIBVIRT_NONE */
	char *format;		/* driver type=, "raw" where it does not say */
	char **backing;		/* sources that <backingStore> and <dataStore> name, top first: paths, or "POOL/VOLUME" */
	char **backing_formats; /* format of each; NULL where it is not named */
	size_t backing_count;
	bool read_only, shareable, transient, encrypted;
	bool says_backing; /* <backingStore> names what the image is on; empty, that it is on none */
};

struct libvirt_nic {
	char *mac, *target;
	char *kind;   /* "network", "bridge", "direct", "user", …: "network" also of one that runs on what its network is made of */
	char *source; /* name of network, bridge or device; NULL: it has none */
};

/* Firmware of a domain, and its variables. */
struct libvirt_firmware {
	bool is_uefi; /* the firmware is UEFI, even if libvirt chooses loader and nvram itself, and has not yet */
	char *loader, *loader_format, *nvram, *nvram_template, *nvram_format;
	bool loader_is_flash, loader_is_secure;
	bool nvram_is_elsewhere; /* network or block */
};

/* TPM of a domain. */
struct libvirt_tpm {
	bool is_there, is_emulator, is_encrypted;
	char *version, *path; /* path NULL: libvirt's own place */
};

/* Secrets that a domain needs. */
struct libvirt_secrets {
	char **names; /* UUIDs or usage names that anything of it needs */
	char **types; /* type of each: "ceph", "iscsi", "passphrase" of LUKS, "vtpm"; "" where it does not say */
	size_t count;
};

/* Files that a domain boots from without a disk. */
struct libvirt_boot {
	char *kernel, *initrd, *dtb, *acpi_table;
};

struct libvirt_definition {
	char *name, *uuid, *emulator, *arch, *machine, *virttype;
	char *cpu; /* the element <cpu>, as XML; NULL: there is none */
	uint64_t ram_bytes;
	unsigned vcpus;
	struct libvirt_disk *disks;
	size_t disk_count;
	struct libvirt_nic *nics;
	size_t nic_count;
	struct libvirt_firmware firmware;
	struct libvirt_boot boot;
	struct libvirt_tpm tpm;
	struct libvirt_secrets secrets;
	char **listens; /* addresses of graphics, whatever they are */
	size_t listen_count;
	char **files; /* other host paths that it names: "<serial> /var/log/a", and devices of the host, in words */
	size_t file_count;
	char **blocks_live; /* words about what prevents a live move */
	size_t block_count;
	bool has_qemu_words; /* <qemu:commandline> and its like; `files` has those of its words that name a path */
};

/* 0, or -EINVAL with a sentence that begins with a lower case letter, for a prefix; then *out is empty. */
int libvirt_definition_read(struct libvirt_definition *out, const char *xml, size_t n, struct err *e);
void libvirt_definition_fini(struct libvirt_definition *d);
/* The directory in which libvirt has a swtpm keep the guest's TPM, and the socket that its QEMU finds it by: malloc'ed. */
char *libvirt_tpm_state(const struct libvirt_definition *d);
char *libvirt_tpm_socket(const struct libvirt_definition *d);

/* The guest without libvirt: QEMU's command line, and in sentences what is not as it was. */
struct libvirt_plain {
	char **argv; /* argc words, and a NULL; NULL: there is none */
	size_t argc;
	char **notes;
	size_t note_count;
};

void libvirt_plain_fini(struct libvirt_plain *p);

/* A change to the definition. from: the whole path of a disk, a backing file, the nvram, the loader or a kernel, or "POOL/VOLUME"; for a
 * NIC its MAC, target, network, bridge or device. */
struct libvirt_change {
	const char *from, *to;
	const char *type;   /* type of a path: "file" or "block"; NULL: as it is, and a volume becomes a file */
	const char *format; /* format of the image at a path; NULL: as it is */
	const char *kind;   /* kind of name that `from` is, for a NIC: "network" or "bridge"; NULL: any of these */
	bool is_alone;	    /* image at the disk's path has no backing file, so that <backingStore> goes */
	bool may_miss;	    /* the change is no error if it finds no place */
};

struct libvirt_changes {
	const struct libvirt_change *paths; /* to: an absolute path, or for a disk "POOL/VOLUME" */
	size_t path_count;
	const struct libvirt_change *nets; /* to: "network:N" or "bridge:BR"; a MAC goes before a target, that before a network */
	size_t net_count;
	const char *name, *emulator; /* NULL: as it is */
	/* address for graphics in place of each that not every host has (127.0.0.1, ::1, 0.0.0.0, ::, localhost); NULL: as it is */
	const char *listen;
	bool drop_tpm;
	bool may_miss; /* applies to all of paths and nets */
};

/*
 * The same XML but for that, malloc'ed. A path is changed wherever a disk's, a backing file's or the nvram's source is it, and nowhere else;
 * unknown elements, namespaces, comments and blanks stay. -ENOENT names a change that found no place, -ENOTSUP one that would need
 * more than another source, -EINVAL what is no definition or no name or path.
 */
int libvirt_xml_rewrite(const char *xml, size_t n, const struct libvirt_changes *c, char **out, struct err *e);
/*
 * A snapshot's XML (domainsnapshot): the same in its <domain> and <inactiveDomain>, and the paths in <disks> and <memory>. It shows the
 * guest as it was, perhaps without a disk or NIC of today's: a change that finds no place is none.
 */
int libvirt_snapshot_rewrite(const char *xml, size_t n, const struct libvirt_changes *c, char **out, struct err *e);

#endif
