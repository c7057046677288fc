/*
 * unit-read.h: a systemd unit that starts QEMU by its own ExecStart=, read from its files as systemd would; where systemd runs, what was read is
 * compared with what that has read. Nothing is run or changed.
 */
#ifndef VMFERRY_GUEST_UNIT_READ_H
#define VMFERRY_GUEST_UNIT_READ_H

#include "qemu-discover.h"
#include "unit-words.h"

/* Fills line, cwd, env, and adds a note that shows the line; with a unit that systemd knows, unit, too. -ENOTSUP with what is not known of such a unit;
 * -ENOENT; -EPERM: others could have written it. */
int unit_read_named(const char *unit, struct guest *g, struct err *e);
int unit_read_file(const char *path, struct guest *g, struct err *e);
/* True if vm is a unit's file, by its name. */
bool unit_is_file(const char *vm);
/* Does the same as unit_read_file() with settings (unit_parse()); systemd_line: "argv[]=…" of what systemctl shows, NULL where nothing
 * is to be compared. */
int unit_take(const struct kv_list *l, const struct unit_names *names, const char *systemd_line, struct guest *g, struct err *e);

#endif
