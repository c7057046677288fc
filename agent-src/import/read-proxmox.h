/* read-proxmox.h: what read-proxmox.c and read-proxmox-devices.c share: the lines of a configuration of Proxmox VE's, and values in them. */
#ifndef VMFERRY_IMPORT_READ_PROXMOX_H
#define VMFERRY_IMPORT_READ_PROXMOX_H

#include "guest-description.h"

#define CONF_LINES_MAX 4096

struct conf_line {
	char *key, *value;
	bool known;
};

struct conf {
	struct guest_description *d;
	struct conf_line *lines;
	size_t n;
	unsigned net_numbers[GUEST_NICS_MAX]; /* "net3" of each network card */
	char *snapshots, *idle;		      /* names */
	size_t idle_count;
	bool pending;
};

/* Value of a key, which is formatted by printf; NULL: none, or empty. */
const char *conf_get(struct conf *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The value of name in "…,NAME=VALUE,…"; of NULL the first that has no name. malloc'ed; NULL: it is not there. */
char *conf_property(const char *list, const char *name);
/* Does the same as conf_property() for a property that may stand without its name. */
char *conf_main_property(const char *list, const char *name);
bool conf_is_true(const char *value);
/* Counts a setting that concerns only the host. */
void conf_idle(struct conf *c, const char *name);

/* ---- read-proxmox-devices.c ---- */

int conf_disks(struct conf *c, struct err *e);
void conf_nics(struct conf *c);
/* Sets the boot order; after disks and network cards. */
void conf_boot(struct conf *c);

#endif
