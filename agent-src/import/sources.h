/*
 * sources.h: the files of the user's that a guest is imported from: which of them describes it, with which reader, and which image each
 * of its disks is. A description names files only beside itself, or those that the user has named, as
 * anything else may be the disk of another guest of this host.
 */
#ifndef VMFERRY_IMPORT_SOURCES_H
#define VMFERRY_IMPORT_SOURCES_H

#include "foreign-image.h"
#include "guest-description.h"
#include "ova.h"
#include "spool.h"
#include "unpack.h"

struct archive_kind;

struct sources {
	char *description; /* the file, absolute; NULL: only images */
	char *text;	   /* text for the reader */
	size_t text_bytes;
	char *folder;	 /* folder of the description, with a slash; NULL: it is an archive, or there is none */
	char *text_name; /* name of the OVF within an OVA */
	bool is_ova;
	struct ova ova;
	char *tar;			    /* the archive that this is in: the description's file, or what was unpacked of it */
	const struct archive_kind *archive; /* the kind by which disks are unpacked (packed-sources.h); NULL: they are files */
	struct packed_content packed;
	unsigned numbers[GUEST_DISKS_MAX], efi_number; /* numbers of the disks in the VMA */
	struct image_source efi;		       /* the image of described efi; path NULL: it is not found */
	uint8_t *vars;				       /* contents of that image, malloc'ed; NULL: none */
	size_t vars_bytes;
	struct spool spool; /* spool of what is unpacked, or path NULL */
	struct manifest manifest;
	char *manifest_name; /* NULL: there is none */
	char **images;	     /* the other files of the user's, absolute */
	bool *image_used;
	size_t image_count;
	struct base_wish bases; /* the user's */
	/* source of each disk of the description; path NULL for a drive, or one that is to be made blank */
	struct image_source disks[GUEST_DISKS_MAX];
};

/* --disk NAME=FILE */
struct disk_wish {
	const char *name; /* a disk of the description: its label, number ("#1") or file */
	size_t name_bytes;
	const char *file;
};

/* Files on the command line. */
struct sources_named {
	char *const *files;
	size_t file_count;
	char **raw; /* files among these, or of the description's disks, that are raw, whatever they look like */
	size_t raw_count;
	struct base_wish bases; /* bases of images */
	struct disk_wish *disks;
	size_t disk_count;
	const char *guest;	 /* guest-description.h: wish */
	bool verbose;		 /* guest-description.h */
	const char *dir;	 /* directory where something may be unpacked */
	const char *storage_cfg; /* path of Proxmox VE's storage.cfg; NULL: that of this host, for a configuration that is its own */
};

/*
 * Reads the description, fills d, and finds the files of its disks. 0; -EINVAL: they cannot be imported; -errno: one cannot be read.
 * sources_fini() and description_fini() whatever is returned.
 */
int sources_open(struct sources *s, struct guest_description *d, const struct sources_named *n, struct err *e);
/* Compares all that is named in the manifest. 0; -EBADMSG; -ECANCELED. total: its bytes, for progress. */
int sources_verify(const struct sources *s, digest_progress_fn progress, void *ctx, struct err *e);
uint64_t sources_verify_bytes(const struct sources *s);
/* Disks in an archive that has to be unpacked get files below dir until sources_clean(). 0; -EINVAL: it is damaged; -ENOSPC, -ECANCELED, -errno. */
int sources_unpack(struct sources *s, struct guest_description *d, const char *dir, struct err *e);
void sources_clean(struct sources *s);
/* Looks at the images (foreign-image.h, image-whole.h), and sets what each disk of d begins with. 0, or -EINVAL and others. */
int sources_examine(struct sources *s, struct guest_description *d, const char *qemu_img, struct err *e);
void sources_fini(struct sources *s);

#endif
