/*
 * qemu-args.h: reads a QEMU command line, and rewrites the source's into the destination's. Pure: no I/O.
 *
 * A single walk over the line does both: qemu_args_rewrite() returns the new line, and lists the host files and network back ends that the
 * old one refers to and what becomes of each. Callers that only want that list (the source agent, `list`) pass no options but cwd and
 * discard the line.
 */
#ifndef VMFERRY_QEMU_ARGS_H
#define VMFERRY_QEMU_ARGS_H

#include "err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARGS_IFUP "/etc/qemu-ifup" /* script that a distribution's QEMU runs for a tap whose line does not say */

/* The role of a host file for the guest. The table in qemu-args-files.c has the same order. */
enum args_role {
	ARGS_DISK,
	ARGS_PFLASH_CODE,
	ARGS_PFLASH_VARS,
	ARGS_MEDIA, /* medium in a drive for removable media */
	ARGS_KERNEL,
	ARGS_INITRD,
	ARGS_DTB,
	ARGS_SHIM,
	ARGS_BIOS,
	ARGS_ROM,
	ARGS_FW_CFG,
	ARGS_SMBIOS,
	ARGS_ACPITABLE,
	ARGS_DATA,	  /* anything else that QEMU reads when it starts: -device loader,file= … */
	ARGS_SECRET,	  /* keys, certificates, passwords: a file or a directory */
	ARGS_SCRIPT,	  /* a program that QEMU runs: ifup, helper */
	ARGS_DIRECTORY,	  /* must be there: shared by 9p, firmware search path */
	ARGS_MEMORY,	  /* file or hugetlbfs directory behind guest memory; read_only: each QEMU has its own copy of it */
	ARGS_PMEM,	  /* file that alone keeps a part of the guest's memory (nvdimm): treated like a disk */
	ARGS_HOST_DEVICE, /* /dev/ttyS0 … */
	ARGS_CONNECT,	  /* unix socket of another process */
	ARGS_RECONNECT,	  /* unix socket of another process, where QEMU tries until somebody listens */
	ARGS_TPM,	  /* unix socket of the swtpm that is the guest's TPM */
	ARGS_FIFO,	  /* PATH.in and PATH.out, or PATH */
	ARGS_LISTEN,	  /* unix socket that QEMU makes */
	ARGS_LOG,	  /* written by QEMU */
	ARGS_PIDFILE,
	ARGS_ROLES
};

struct args_map {
	const char *from;   /* a string naming the source file as it stands in argv, or its realpath */
	const char *to;	    /* the destination's file; NULL: a medium that is not taken along (its drive stays, empty) */
	const char *format; /* "raw", "qcow2": made explicit where the line leaves it to guessing; NULL: leave */
	bool to_device;	    /* destination file is a block device: -blockdev needs host_device instead of file */
	/* destination file begins with what the guest sees, not with the old file's first byte: offset= and size= of the raw driver go */
	bool anew;
	uint64_t shows; /* size= of the raw driver, in bytes, if to is larger than the disk; 0: the guest sees all of it */
	bool *shown;	/* set where a raw driver was found above the file, and got these options; may be NULL */
};

struct args_net_map {
	const char *nic; /* id of the -netdev, id of the device, or MAC address */
	const char *to;	 /* "bridge:BRIDGE", "tap:NAME[,script=…]", "user", "none" or "as-is" */
};

/* A file that the source's line names by -readconfig. */
struct args_config {
	const char *path; /* name in argv */
	const char *text;
};
#define ARGS_CONFIG_MAX	  32768 /* bytes of one: all of them fit into a message */
#define ARGS_CONFIG_COUNT 8

struct args_options {
	const char
		*socket_dir; /* listening unix sockets, logs and pidfile become SOCKET_DIR/BASENAME, but for those that keep their names */
	const char *socket_prefix;    /* prefix of each of these basenames; NULL: nothing */
	const struct args_map *disks; /* files of every role */
	size_t disk_count;
	const struct args_net_map *nets;
	size_t net_count;
	const struct args_net_map
		*bridges; /* the name of a bridge, and of the one that takes its place; for NICs that have no map of their own */
	size_t bridge_count;
	const struct args_config *configs;
	size_t config_count;
	const char *machine;	    /* versioned machine type to pin; NULL: leave */
	const char *private_qmp;    /* path for the agent's own monitor; one of an earlier move's is left out (args_qmp_is_ours) */
	const char *const *network; /* ids and nodes of the guest's disks that are behind a network, and stay there; count 0: none may be */
	size_t network_count;
	const char *cwd;     /* directory of the source QEMU: relative paths are made absolute against it */
	const char *vmgenid; /* present value of "guid=auto"; NULL: leave */
	bool tpm;	     /* the swtpm's state goes along; the destination's swtpm is at the socket in the map */
	bool in_place;	     /* on its own host, before the QEMU that has it ends: there is one of each port, tap and TPM, and a file that
				* it writes goes on */
	unsigned (*tap_index)(const char *tap); /* in_place: as if_nametoindex(3); NULL: there are no taps */
	bool no_state; /* guest starts anew, so its network cards go with any back end, and QEMU need not be able to migrate its devices */
	/* guest that no QEMU runs at either host: temporary files are gone, and monitors are nobody's way to start it too early */
	bool at_rest;
	/* Hears of each option that cannot be carried, and the walk goes on: the result has the others, and is good for looking at only.
	 * NULL: the first one ends the walk. */
	void (*refused)(void *ctx, const struct err *why);
	/* True if a file that QEMU makes there may keep its name from here, an absolute one; NULL: none may. */
	bool (*keeps_name)(void *ctx, enum args_role role, const char *path);
	void *ctx;
};

struct args_file {
	enum args_role role;
	bool read_only; /* QEMU does not write to it */
	char *option;	/* option that names the file, without dash */
	char *path;	/* absolute if cwd is known */
	char *format;	/* format of a disk, as QEMU reads it: "raw", "qcow2" …; NULL: QEMU detects it, or it is not a disk */
	char *to;	/* path at the destination; NULL: not taken along */
	uint64_t bytes; /* bytes of memory: the sum of all objects there; 0: not given, as by -mem-path */
};

/* A network back end and the guest's device on it. Strings may be NULL where the line does not say. */
struct args_nic {
	char *netdev;  /* id of -netdev, -nic or -net */
	char *device;  /* id of the device */
	char *model;   /* "virtio-net-pci", "e1000", … */
	char *mac;     /* NULL also when QEMU gives it one by itself */
	char *type;    /* "user", "tap", "bridge", "socket", … */
	char *attach;  /* bridge, tap interface or socket */
	char *to_type; /* type at the destination */
	char *to_attach;
	bool unscripted; /* there: a tap that QEMU attaches to nothing */
	bool helped;	 /* there: a tap that has no name, and that QEMU's bridge helper attaches to to_attach */
	char *stand_in;	 /* the tap that it has instead of that one until the other QEMU has ended (tap.h); NULL: none */
};

struct args_result {
	char **argv; /* argc strings and a NULL */
	size_t argc;
	char **notes; /* every rewrite in words, for the plan */
	size_t note_count;
	struct args_file *files;
	size_t file_count;
	struct args_nic *nics;
	size_t nic_count;
};

/*
 * 0; -EINVAL when the line has something that cannot be carried (-snapshot, inherited descriptors, devices of the host,
 * …), with the reason, unless o->refused hears of that. Nothing is left in *out on failure. qemu-args.c has the table of options.
 */
int qemu_args_rewrite(struct args_result *out, char *const *argv, size_t argc, const struct args_options *o, struct err *e);
void args_result_fini(struct args_result *r);

/*
 * The line that starts the guest again later, for a shell: one option per line, malloc'ed, no newline at the end. argv is a
 * rewritten line; what only a move needs (-incoming, -S, the monitor private_qmp) is left out. exe replaces argv[0];
 * NULL: leave. QEMU stays in the foreground, as a rewritten line does.
 */
char *qemu_args_start_line(char *const *argv, size_t argc, const char *exe, const char *private_qmp);

/* "disk", "pflash-code", …: stable words for JSON. */
const char *args_role_name(enum args_role role);
/* "disk", "firmware", …: for people. */
const char *args_role_noun(enum args_role role);
/* The role of that name, or ARGS_ROLES. */
enum args_role args_role_of(const char *name);
/* True if the contents must be the same at the destination: a move copies them, or the user brings them there. */
bool args_role_is_content(enum args_role role);
/* A disk that QEMU writes to, or its firmware's variables, in a file of known name. */
bool args_file_is_disk(const struct args_file *f);
/* True if the file is behind the guest's memory. */
bool args_role_is_memory(enum args_role role);
/* True if QEMU makes such a file, where there is none, when it starts. */
bool args_role_is_made(enum args_role role);
/* True if QEMU makes such a file anew at each start: a socket, a log, the pidfile. */
bool args_role_is_written(enum args_role role);

/* True if a character device of that kind ("pty", "stdio" …) leads to nobody but QEMU's user and root in a QEMU that vmferry-dst has
 * started, so that a monitor on it may stay. */
bool args_chardev_is_private(const char *kind);

struct kv_list;
/* Queues of the tap that a network back end's properties describe, which QEMU opens itself (queues=) or was passed (fds=). */
unsigned args_tap_queues(const struct kv_list *l);

/* The path against the directory cwd (NULL: it is not known), without "./" and "//"; malloc'ed. */
char *qemu_args_absolute(const char *cwd, const char *path);
/* True for a stream, which each process has open for itself, or a terminal: /dev/stdout, /proc/self/fd/3, /dev/tty. */
bool qemu_args_is_stream(const char *path);
/* The guest's name from -name, malloc'ed, or NULL. */
char *qemu_args_name(char *const *argv, size_t argc);
/* Parts of notes: what somebody has to do at the destination before the guest starts there. */
#define ARGS_HAVE_DEVICE   " is a device of the host: the destination must have one"
#define ARGS_START_PROCESS " needs another process: start that at the destination"
/* Socket names of an agent's own monitors: in its directory RUNTIME/ATTEMPT, and for a run from a point of a replica, where the name's end
 * shows it. */
#define ARGS_RUN_QMP	   "vmferry.qmp"
#define ARGS_POINT_QMP_END ".vmferry-qmp"
/* A client's socket: reconnect= or reconnect-ms=. */
bool args_connects_again(const struct kv_list *l);
/* True if the monitor at that path is an agent's own: it does not go along with the guest. */
bool args_qmp_is_ours(const char *path);
/* Paths (as they stand in argv) of the unix sockets on which QMP is served, in argv's order.
 * Returns how many; *out and each string are malloc'ed (args_free_strings). */
size_t qemu_args_qmp_paths(char *const *argv, size_t argc, char ***out);
/* Lists the TCP ports on which QMP is served, in the same way: "tcp:4444" each, as qmp_open_of() takes it. */
#define TCP_MONITOR_PREFIX "tcp:"
size_t qemu_args_qmp_ports(char *const *argv, size_t argc, char ***out);
/* A monitor on a character device that another option defines: of -mon, or of -object monitor-qmp or monitor-hmp (QEMU 11.1). */
struct args_monitor {
	char *chardev; /* the chardev's id; malloc'ed */
	bool control;  /* QMP */
	bool ends;     /* QEMU removes it when its client leaves (close-action=delete) */
};
/* False: the option makes none, and *out is empty. */
bool args_monitor_of(struct args_monitor *out, const char *name, const char *value);
/* True if the option (without dashes) is given. */
bool qemu_args_has(char *const *argv, size_t argc, const char *option);
/* Basic facts about the guest from its line, for callers that cannot ask its QEMU; QEMU's own defaults where the line is silent. */
struct args_basics {
	uint64_t ram_bytes;
	unsigned vcpus;
	bool kvm;	  /* accelerator is KVM, not TCG, Xen … */
	bool kvm_by_name; /* KVM is said by the name of QEMU's program alone, not by an option */
};
void qemu_args_basics(struct args_basics *out, char *const *argv, size_t argc);
/* The paths of -readconfig as they stand in argv; as qemu_args_qmp_paths(). */
size_t qemu_args_config_paths(char *const *argv, size_t argc, char ***out);
/* argv with -readconfig and -set worked into it: *out has *count strings and a NULL, malloc'ed (args_free_strings).
 * 0 or -EINVAL. */
int qemu_args_expand(char ***out, size_t *count, char *const *argv, size_t argc, const struct args_config *configs, size_t config_count,
		     struct err *e);
void args_free_strings(char **strings, size_t count);

#endif
