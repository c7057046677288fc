/*
 * qemu-args.h: reads a QEMU command line, and rewrites the source's into the destination's. Pure:
 * no I/O.
 */
#ifndef VMFERRY_QEMU_ARGS_H
#define VMFERRY_QEMU_ARGS_H

#include "err.h"

#include <stdbool.h>
#include <stddef.h>

struct args_map {
	const char
	    *from;	/* a string naming the source file as it stands in argv, or its realpath */
	const char *to; /* the destination's file */
	const char *format; /* "raw", "qcow2": made explicit where the line leaves it to guessing;
			       NULL: leave */
	bool to_device;	    /* to is a block device: -blockdev needs host_device instead of file */
};

struct args_options {
	const char
	    *socket_dir; /* listening unix sockets, logs and pidfile become SOCKET_DIR/BASENAME */
	const struct args_map *disks;
	size_t disk_count;
	const char *machine; /* versioned machine type to pin; NULL: leave */
	const char
	    *private_qmp; /* path for the agent's own monitor; a -qmp of the same basename, from an
			   * earlier move, is left out: take a name that nobody else would */
	const char *cwd;  /* of the source QEMU: relative paths are made absolute against it */
};

struct args_result {
	char **argv; /* argc strings and a NULL */
	size_t argc;
	char **notes; /* every rewrite in words, for the plan */
	size_t note_count;
};

/*
 * 0; -EINVAL when the line has something that cannot be carried (-snapshot, -readconfig, inherited
 * descriptors), with the reason. Nothing is left in *out on failure. qemu-args.c has the rules.
 */
int qemu_args_rewrite(struct args_result *out, char *const *argv, size_t argc,
		      const struct args_options *o, struct err *e);
void args_result_fini(struct args_result *r);

/* What -name says, malloc'ed, or NULL. */
char *qemu_args_name(char *const *argv, size_t argc);
/* Paths (as they stand in argv) of the unix sockets on which QMP is served, in argv's order.
 * Returns how many; *out and each string are malloc'ed (args_free_strings). */
size_t qemu_args_qmp_paths(char *const *argv, size_t argc, char ***out);
/* Whether the option (without dashes) is given. */
bool qemu_args_has(char *const *argv, size_t argc, const char *option);
void args_free_strings(char **strings, size_t count);

#endif
