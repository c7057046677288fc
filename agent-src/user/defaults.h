/*
 * defaults.h: options that a person, or a host, has written down once: ~/.config/vmferry/config (or $XDG_CONFIG_HOME/vmferry/config), and before it
 * /etc/vmferry/config. $VMFERRY_CONFIG names one file in place of both; empty: none is read.
 *
 *     # for every destination
 *     ssh openssh
 *     [root@host-b]
 *     disk-dir /srv/vm/%n
 *     map-net net0=bridge:br1
 *
 * A line is an option without its dashes, and its value as it is. A section is for the destination of that name alone.
 */
#ifndef VMFERRY_DEFAULTS_H
#define VMFERRY_DEFAULTS_H

#include "command-options.h"

struct defaults {
	char **words; /* "--disk-dir=/srv/vm/%n"; count strings and a NULL */
	int count;
};

/* Reads the options of both files for dest ("": only those for all); both files are optional. Errors name file and line: an unknown
 * option, a missing or superfluous value, a file that another user could have written (EPERM). */
int defaults_read(struct defaults *d, const char *dest, const struct option_table *tables, struct err *e);
/* Does the same as defaults_read() with a text; name: for errors. For tests. */
int defaults_parse(struct defaults *d, char *text, const char *name, const char *dest, const struct option_table *tables, struct err *e);
void defaults_fini(struct defaults *d);

#endif
