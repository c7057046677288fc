/* plain-libvirt-private.h: shared by the parts of plain-libvirt.h only. */
#ifndef VMFERRY_PLAIN_LIBVIRT_PRIVATE_H
#define VMFERRY_PLAIN_LIBVIRT_PRIVATE_H

#include "plain-libvirt.h"
#include "qemu-props.h"

#include <libxml/tree.h>
#include <stdint.h>

#define PLAIN_CONTROLLERS_MAX 16
#define SATA_UNITS	      6

/* An option of the line, and which of its keys were taken. */
struct word {
	const char *option, *value;
	struct props p;
	bool *used;
	bool seen; /* the option was handled; keys that are left are noted */
};

struct plain_controller {
	const char *id, *model;
	unsigned index;
	unsigned next; /* next free unit, or SCSI id */
};

/* A device that the firmware is to try. */
struct plain_boot {
	xmlNode *node;
	long index;
};

struct plain_work {
	const struct plain_guest *g;
	struct plain_libvirt *out;
	char *refused; /* things that are not possible: "a; b" */
	struct word *words;
	size_t count;
	bool is_q35, has_defaults;
	struct {
		xmlNode *domain, *os, *features, *cpu, *clock, *devices;
	} xml;
	struct plain_controller scsi[PLAIN_CONTROLLERS_MAX], sata[PLAIN_CONTROLLERS_MAX];
	size_t scsi_count, sata_count;
	bool ide[4]; /* places taken on a PC's two channels */
	bool sata_used[PLAIN_CONTROLLERS_MAX][SATA_UNITS];
	unsigned virtio_disks, other_disks, floppies, serials, cards, usb_controllers;
	struct plain_boot *boots;
	size_t boot_count;
	bool *nets_used;
};

/* ---- words ---- */

/* Next word with that option after `after` (NULL: the first); NULL: none. */
struct word *word_next(const struct plain_work *p, const char *option, const struct word *after);
struct word *word_last(const struct plain_work *p, const char *option);
/* Word of that option whose key has that value. */
struct word *word_called(const struct plain_work *p, const char *option, const char *key, const char *value);
/* Takes a key; returns its value; NULL: none. */
const char *word_take(struct word *w, const char *key);
/* Takes a flag: "key", "nokey", "key=on"; -1: not given. */
int word_flag(struct word *w, const char *key);
/* Takes keys that need no note. */
void word_pass(struct word *w, const char *const *keys, size_t count);
bool word_is_yes(const char *value);
/* Marks the option as handled, but not its keys. */
const char *word_see(struct word *w);
/* Marks the option as handled, with all its keys. */
void word_done(struct word *w);

/* ---- what is told ---- */

void plain_note(struct plain_work *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void plain_refuse(struct plain_work *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Absolute path, relative to QEMU's start directory; malloc'ed. */
char *plain_path(const struct plain_work *p, const char *path);

/* ---- XML ---- */

xmlNode *plain_add(xmlNode *parent, const char *name);
void plain_set(xmlNode *node, const char *attr, const char *value);
void plain_set_number(xmlNode *node, const char *attr, unsigned long value);
xmlNode *plain_add_text(xmlNode *parent, const char *name, const char *text);
/* <name attr='value'/> */
xmlNode *plain_add_with(xmlNode *parent, const char *name, const char *attr, const char *value);
/* Adds a device for the firmware to boot from; its <boot> is written once all are known. */
void plain_boots(struct plain_work *p, struct word *w, xmlNode *node);

/* Takes the keys of the device's place, which libvirt chooses. */
void plain_no_place(struct word *w);
/* Takes the device's I/O thread. */
void plain_take_thread(struct plain_work *p, struct word *w, xmlNode *driver);

/* ---- the parts: each takes words, and adds elements ---- */

typedef void plain_part(struct plain_work *p);
plain_part plain_cpu;								     /* plain-libvirt-cpu.c */
plain_part plain_identity, plain_machine, plain_firmware, plain_clock, plain_smbios; /* plain-libvirt-machine.c */
plain_part plain_controllers;							     /* plain-libvirt-controllers.c */
plain_part plain_disks;								     /* plain-libvirt-disks.c */
plain_part plain_cards, plain_boot_order;					     /* plain-libvirt-cards.c */
plain_part plain_ports, plain_screen, plain_devices;				     /* plain-libvirt-devices.c */

#endif
