/*
 * start-tables.h: tables and scripts of this host by which something else starts a guest when the host boots, or again and again: cron's, rc.local, init scripts,
 * those of monit, runit and supervisor. They are read, and nothing is changed: a guest's images get another name instead.
 */
#ifndef VMFERRY_START_TABLES_H
#define VMFERRY_START_TABLES_H

#include "start-marks.h"

#include <stdbool.h>

struct start_table {
	char *words;  /* "cron (/etc/cron.d/vms)"; NULL: none starts the guest */
	bool at_boot; /* not at other times */
	bool once;    /* at some moment, and never again */
};

/* Finds the table that starts the guest, of several one that does so not only at boot. root: put before its path, "" for this host. free(words). */
void start_table_find(struct start_table *t, struct start_marks *m, const char *root);

#endif
