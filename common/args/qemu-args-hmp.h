/*
 * qemu-args-hmp.h: which human monitors (HMP) a QEMU command line makes, and where they are reached. Pure: no I/O.
 *
 * Monitors come from -monitor, and from -mon and -object monitor-hmp with a -chardev. Some share a connection with the guest's console (a
 * mux): -serial mon:…, or a -chardev with mux=on that both name.
 */
#ifndef VMFERRY_QEMU_ARGS_HMP_H
#define VMFERRY_QEMU_ARGS_HMP_H

#include <stdbool.h>
#include <stddef.h>

enum args_hmp_kind {
	HMP_NOWHERE, /* nothing on this host can connect to it: why has the reason */
	HMP_UNIX,
	HMP_TCP,
	HMP_PTY,
};

struct args_hmp {
	enum args_hmp_kind kind;
	char *at;	 /* the monitor's path, port, or the pseudo-terminal's path=; NULL: not given */
	bool telnet;	 /* spoken there */
	bool mux;	 /* shared with others */
	char escape;	 /* escape character of a mux shared with one device; 0: not a mux, or more share it */
	const char *why; /* HMP_NOWHERE */
	char *option;	 /* the option that defines it, for people: "-monitor stdio" */
};

/* Returns how many there are; *out has them in the line's order: args_hmp_free(). */
size_t qemu_args_hmp(char *const *argv, size_t argc, struct args_hmp **out);
void args_hmp_free(struct args_hmp *list, size_t count);
/* Lists the QMP monitors of the line that are on pseudo-terminals; args_hmp_free(). */
size_t qemu_args_qmp_ptys(char *const *argv, size_t argc, struct args_hmp **out);
/* Number of the line's character devices that are pseudo-terminals. */
size_t qemu_args_ptys(char *const *argv, size_t argc);

#endif
