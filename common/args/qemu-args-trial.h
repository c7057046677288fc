/*
 * qemu-args-trial.h: the command line by which a destination's QEMU is tried before anything of the guest is there. Pure: no I/O.
 *
 * The trial has the guest's machine, devices, networks, ports and displays, and nothing that it would write to, listen at by name or take from
 * anybody: disks are made up (null-co), unix sockets, logs and connections to other processes are the null device, taps with a name are left to
 * whoever has them, scripts are not run, no memory is allocated ahead. It waits with -incoming defer, so no monitor can let it run.
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
 * QEMU said why it does not start. If that names one option ("-netdev bridge,id=n: …") the trial goes on without it, and so finds what comes after.
 * False: it names none, or one that cannot be left out.
 */
bool args_trial_without(struct args_trial *t, const char *said);
void args_trial_fini(struct args_trial *t);

#endif
