/*
 * guest-at-rest.h: a guest that is shut down, known by what starts it. There is no process and no monitor, and what its disks are is read from
 * their files.
 */
#ifndef VMFERRY_GUEST_AT_REST_H
#define VMFERRY_GUEST_AT_REST_H

#include "qemu-discover.h"

/*
 * vm: the script that starts it (script-read.h), or a systemd unit that runs one; or argv, which is not NULL then: its command line. Changes
 * nothing. guest_fini() in any case. *script: the script's path, malloc'ed, or NULL.
 *
 * -ENOENT, -EINVAL, -ENOTSUP with what stands in the way. An option that cannot be carried is passed over: who carries it says so.
 */
int guest_at_rest(struct guest *g, const char *vm, char *const *argv, size_t argc, char **script, struct err *e);
/*
 * A guest that runs, as it will be when it is shut down: by its command line, directory, environment and unit, which nobody tells any more then. Its
 * disks are those of the line. running->tpm is copied. Changes nothing. guest_fini() in any case; errors as above.
 */
int guest_at_rest_of(struct guest *g, const struct guest *running, struct err *e);
/*
 * 0: the QEMU has open exactly the images of its command line: each disk of `down`, which guest_at_rest_of() has read, and no other image
 * for writing, so a boot by that line sees what the guest has written. -ENOTSUP: the images differ (a snapshot, a plugged disk, a replaced
 * file), or QEMU does not tell.
 */
int guest_writes_to_its_line(const struct guest *running, const struct guest *down, struct err *e);

/* Some of what it writes goes to a temporary file that ends with its QEMU (-snapshot, snapshot=on), by its line. */
bool guest_writes_to_temporary(const struct guest *g);
/* -ENOTSUP: what starts it has it go on from a saved state or a snapshot, so that its disks are not all of it. */
int guest_boots_from_disks(const struct guest *g, struct err *e);
/* True if vm is a systemd unit, by its name. */
bool guest_is_unit(const char *vm);
/* The script that this unit runs, as a unit of vmferry's does (ExecStart=/bin/sh SCRIPT), malloc'ed; -ENOTSUP: it runs something else. */
int unit_script(const char *unit, bool user, char **script, struct err *e);
/* Number that stands for a pid in its control socket's name: no process can have it, and it is the same as long as this file is its
 * first disk. NULL: none. */
pid_t guest_at_rest_known_as(const char *first_disk);

#endif
