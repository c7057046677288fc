/*
 * qemu-args-trial.h: the command line for a trial start of the destination's QEMU, before anything of the guest is there. Pure: no I/O.
 *
 * The trial has the guest's machine, devices, networks, ports and displays. It writes to no file, makes no named socket and takes nothing
 * from other processes: disks are made up (null-co), unix sockets, logs and connections to other processes become the null device, named
 * taps are left out, scripts are not run, no memory is preallocated. It waits with -incoming defer, so no monitor can let it run.
 */
#ifndef VMFERRY_QEMU_ARGS_TRIAL_H
#define VMFERRY_QEMU_ARGS_TRIAL_H

#include <stdbool.h>
#include <stddef.h>

struct args_trial {
	char **words; /* options, without the program; count strings and a NULL */
	size_t count;
};

/* argv: a rewritten line. is_directory: whether memory's file is one (of huge pages), in which QEMU leaves nothing. */
void args_trial_of(struct args_trial *t, char *const *argv, size_t argc, bool (*is_directory)(const char *path));
/*
 * said: QEMU's reason for not starting. If it names an option ("-netdev bridge,id=n: …"), the trial goes on without that one, so that it
 * finds later faults, too. False: it names none, or one that cannot be left out.
 */
bool args_trial_without(struct args_trial *t, const char *said);
void args_trial_fini(struct args_trial *t);

#endif
