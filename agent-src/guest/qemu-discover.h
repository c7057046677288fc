/*
 * qemu-discover.h: finds a running guest by the user's name for it, and describes it.
 *
 * guest_find() and guest_list() look only in /proc; guest_query() asks QEMU for the rest. None of them changes anything.
 */
#ifndef VMFERRY_QEMU_DISCOVER_H
#define VMFERRY_QEMU_DISCOVER_H

#include "err.h"
#include "guest-unit.h"
#include "qemu-args.h"
#include "qmp.h"
#include "swtpm-args.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct obstacles;

/* A file that another image is based on. */
struct guest_backing {
	char *name;	 /* name as that image refers to it: absolute, or relative to its directory */
	char *real_path; /* NULL when it cannot be resolved */
	char *format;
	uint64_t allocated;
};

#define GUEST_LIMITS 6

/* An entry of query-block. Strings may be NULL where QEMU does not say. */
/* Things of a disk that a plain copy of its contents would lose. */
struct disk_lacks {
	unsigned snapshots; /* internal snapshots */
	unsigned bitmaps;   /* persistent dirty bitmaps */
	bool encrypted;
	char *data_file; /* qcow2 external data file */
};

/* Bounds of a raw disk within its file. */
struct disk_bounds {
	bool begins_later; /* a raw disk that is not at the beginning of its file */
	bool ends_by_size; /* a raw disk that may end before its file does: size= */
	bool ends_below;   /* the image ends by size= of a raw driver below its format */
};

struct guest_disk {
	char *node;	 /* node of its image: the device's node, or the one below filter */
	char *filter;	 /* filter node between device and image (qemu-filters.h); NULL: none */
	char *file;	 /* file name as QEMU was given it; NULL when it is not a file (nbd, rbd, …) */
	char *network;	 /* QEMU's name for a network disk, without keys; NULL: not a network disk */
	char *real_path; /* realpath of file; NULL when it cannot be resolved */
	char *format;	 /* driver of the root node: "raw", "qcow2", … */
	char *qdev;	 /* QOM path of the device, for block_set_io_throttle and the like */
	char *drive_id;	 /* -drive id=…; NULL with -blockdev */
	uint64_t virtual_size;
	uint64_t inner_size; /* size that the guest sees, if it is shut down (virtual_size is then the file's); 0: it runs */
	uint64_t allocated;  /* bytes of the file that occupy disk space */
	unsigned cluster_size;
	json_t *qcow2; /* qcow2_options_of(); NULL: another format, or the guest is shut down */
	bool read_only;
	bool removable_empty; /* a drive without medium: node, file and format are NULL */
	bool removable;
	bool no_flush;	    /* cache=unsafe: what the guest has flushed may be in this host's memory only */
	bool named_by_json; /* the file is named by a json: name, so file and format alone do not describe it */
	struct disk_bounds bounds;
	int64_t limits[GUEST_LIMITS]; /* I/O limits, whoever set them: bps, bps_rd, bps_wr, iops, iops_rd, iops_wr; 0: none */
	pid_t seen_by;		      /* the QEMU that alone sees the file, in a mount namespace of its own; 0: none */
	bool block_device;	      /* real_path is a block device, not a regular file */
	struct guest_backing *chain;  /* backing files, nearest first */
	size_t chain_count;
	/* things that a plain copy of the contents would lose: */
	struct disk_lacks lacks;
};

/* Command line that started QEMU. */
struct guest_line {
	char **argv; /* argc strings and a NULL */
	size_t argc;
	struct args_config *configs; /* files of -readconfig that are still as QEMU read them */
	size_t config_count;
	size_t written_in; /* number of words at the end of argv and expanded for devices plugged in since (qemu-plugged.c) */
	char **expanded;   /* argv with those files and -set applied, as far as known */
	size_t expanded_count;
};

struct guest_monitors {
	char *path; /* absolute; the first one, or the user's choice; NULL: none */
	char **all;
	size_t count;
};

/* Processors of a guest. */
struct guest_cpu {
	char *accel; /* "kvm" or "tcg" */
	unsigned count;
	char *model; /* "host", "qemu64", …; NULL if QEMU does not tell */
};

struct guest {
	bool foreign; /* another user's, who may call anything QEMU and report anything, or a container's, whose paths mean other files
		       * (process_is_ours()): only name, pid, start_time, exe and the kernel's word on its cgroup are filled */
	char *name;   /* -name; "qemu-PID" without one */
	pid_t pid;
	uint64_t start_time; /* field 22 of /proc/PID/stat */
	pid_t ran_as;	     /* QEMU of a guest that runs but is described as shut down; otherwise 0 */
	char *exe;	     /* /proc/PID/exe, without " (deleted)" */
	char *cwd;	     /* QEMU's start directory: relative paths in argv refer to it */
	struct guest_line line;
	struct guest_monitors qmp;
	/* LD_LIBRARY_PATH and QEMU_MODULE_DIR of QEMU's environment */
	struct {
		char *ld_library_path, *module_dir;
	} env;
	struct guest_unit unit;
	char *owner_hint; /* "libvirt", "proxmox" or NULL */
	char *resource;	  /* Pacemaker resource that moves the guest by vmferry, keeping no records (cluster-resource.h); NULL: none */
	struct {
		char **text;
		size_t count;
	} notes;	  /* sentences for the user: facts not on the command line, written into it or lost */
	char *makes;	  /* calls by which the script of a guest that is shut down makes missing files; NULL: none known */
	struct swtpm tpm; /* swtpm that the script of a guest that is shut down starts; socket NULL: none */

	unsigned deadline_ms; /* deadline of each of guest_query()'s questions; 0: QMP_DEADLINE_MS */

	/* guest_query() fills the members below */
	char *machine; /* versioned type: "pc-q35-10.0" */
	struct {
		int major, minor, micro;
	} version;
	struct guest_disk *disks;
	size_t disk_count;
	char *status;	    /* query-status: "running", "paused", … */
	uint64_t ram_bytes; /* base and plugged memory */
	struct guest_cpu cpu;
};

/*
 * vm: a guest's name, a pid, or the path of a QMP socket. -ENOENT (no such guest: the message lists those that run), -E2BIG (not among the
 * guests looked at, and other users have too many), -EEXIST (the name is not unique; ours come before others'), -EPERM (another user's, as
 * guest_check_user()), -ENXIO (no QMP monitor on a unix socket: the message says which option to add), -EACCES. On failure *g is empty,
 * except for -ENXIO, where all but the monitor is filled: guest_fini() always.
 */
int guest_find(struct guest *g, const char *vm, struct err *e);
/* Path of the monitor socket that `vmferry attach` gave this QEMU of ours (not on its line), malloc'ed; NULL: none. */
#define ATTACHED_PREFIX "vmferry-"
#define ATTACHED_SUFFIX ".qmp"
char *guest_attached_path(pid_t pid);
bool guest_is_attached_path(const struct guest *g, const char *path);
/* Removes that socket's file, once QEMU has ended. */
void guest_remove_attached(const struct guest *g);
/*
 * Lists every QEMU of ours on this host, with or without a monitor, and at most GUESTS_FOREIGN_MAX of others; *cut_off: there may be more,
 * so the list is not complete. *out is malloc'ed: guest_fini() each, free(*out).
 */
#define GUESTS_FOREIGN_MAX 1024
int guest_list(struct guest **out, size_t *count, bool *cut_off, struct err *e);
/* Lists guests of any owner for which wanted() is true; wanted() is called before anything else is read. -E2BIG: too many are others'. */
int guest_list_of(struct guest **out, size_t *count, bool (*wanted)(pid_t pid, const void *ctx), const void *ctx, struct err *e);
/* Tries qmp_open() on each of the guest's monitors until one answers; checks that the peer is the guest's pid. */
int guest_open_qmp(struct guest *g, struct qmp **out, struct loop *l, unsigned timeout_ms, const struct qmp_handlers *h, void *ctx,
		   struct err *e);
/* Fills in what QEMU reports. */
int guest_query(struct guest *g, struct qmp *q, struct err *e);
/* Clears what guest_query() filled in. */
void guest_forget_query(struct guest *g);
/* Losses that the user accepts, or for which a way was chosen. */
enum {
	DISK_ACCEPT_SNAPSHOTS = 1,
	DISK_ACCEPT_BITMAPS = 2,
	DISK_ACCEPT_DATA_FILE = 4, /* contents come into the image itself */
	DISK_ACCEPT_PART = 8,	   /* the disk may begin in the middle of its file: the copy gets a file of its own */
};
/* True if libvirt started QEMU and owns its monitors. */
bool guest_is_libvirts(const struct guest *g);
/* -EPERM: QEMU is another user's, or in a container: it could not use our sockets, and we must not act on its word with our rights. */
int guest_check_user(const struct guest *g, struct err *e);
/* True if an agent of this host has started QEMU and is still there, which has its monitors until the guest has arrived. */
bool guest_is_arriving(const struct guest *g);
/* Fills the disk's I/O limits, in the order of QEMU's names; true if there are any. inserted: from query-block. */
bool guest_disk_read_limits(const json_t *inserted, int64_t limits[GUEST_LIMITS]);
/* Format of an image that QEMU reads by that driver: newer libvirts (11.3, not 9.0) have it read a raw image by the driver of its file alone, without a node of
 * the format above it. */
const char *guest_disk_format(const struct guest *g, const char *driver);
/* Bytes that the disk's image has on its file system, with those of the images below it, but no more than the guest can see. */
uint64_t guest_disk_allocated(const struct guest_disk *d, bool with_chain);
/* -ENOTSUP: the disk has something that a move could not carry. */
int guest_disk_movable(const struct guest_disk *d, unsigned accept, struct err *e);
/* Reads the -readconfig files of the line; fills line.configs and line.expanded. */
void guest_expand_line(struct guest *g);
/* Checks that all that the line refers to can be carried, without moving it elsewhere. no_state: the guest starts anew. As
 * qemu_args_rewrite(). */
int guest_read_line(const struct guest *g, bool no_state, struct args_result *out, struct err *e);
/* Like guest_read_line(), but leaves out options that cannot be carried instead of failing. */
int guest_look_at_line(const struct guest *g, bool no_state, struct args_result *out, struct err *e);
/* -ENOTSUP: QEMU has another file open than the one that has this name now. */
int guest_reads_what_is_there(const struct guest *g, const char *path, struct err *e);
/* Words about how a file has changed since QEMU read it at its start, to follow its name; NULL: unchanged. */
const char *guest_read_another(const struct guest *g, const char *path);
/* True for drivers of filter nodes that a block job puts above a disk, and removes when it ends. */
bool guest_filter_is_of_job(const char *driver);
/* True if these n bytes name this disk: its node, drive, device or file. */
bool guest_disk_is_called(const struct guest_disk *d, const char *name, size_t n);
/* Names that guest_disk_is_called() knows, for a message: "a.qcow2 (drive0), b.raw"; malloc'ed, "" without disks. */
char *guest_disks_called(const struct guest *g);
/* Compares the guest with its command line, after guest_query(). -ENOTSUP: they differ (devices unplugged, media inserted). Accepted: an
 * ejected medium (guest_is_inserted()), and other images and plugged devices of which enough is known: those were written into the line.
 * o: gets each difference, and 0 is returned; NULL: stops at the first. (qemu-drift.c) */
int guest_check_drift(struct guest *g, struct qmp *q, struct obstacles *o, struct err *e);
/* Replaces names of firmware and ROM files without a directory, which QEMU looks for first where it was started, by full paths.
 * -ENOTSUP: such a file has changed since QEMU read it; with o: added there, as above. */
int guest_write_in_own_files(struct guest *g, struct obstacles *o, struct err *e);
/* Writes plugged devices into the line. todo: id to type of devices that are not on it; those that are written or reported are removed.
 * -ENOTSUP: a device cannot be described; with o: added there, and the others are written. (qemu-plugged.c) */
int guest_write_in_plugged(struct guest *g, struct qmp *q, json_t *todo, struct obstacles *o, struct err *e);
/* Writes the disks' present images into the line. -ENOTSUP, or added to o: an image is named where the line cannot be changed.
 * (qemu-disks-now.c) */
int guest_write_in_disks(struct guest *g, struct qmp *q, struct obstacles *o, struct err *e);
/* Writes QEMU's present taps into the line; leaves it as it is if they are unknown. (qemu-taps-now.c) */
void guest_write_in_taps(struct guest *g);
/* True if that -blockdev node of the line is this disk's image. */
bool guest_node_is_of(const struct guest *g, const char *node, const struct guest_disk *d);
/* Reads a property of the object at that QOM path. *value is NULL if there is no such property, QEMU does not show it, or the object is
 * missing (a device that waits for its failover partner). */
int guest_get(const struct guest *g, struct qmp *q, const char *path, const char *property, json_t **value, struct err *e);
/* QOM path of the disk's device, malloc'ed; "" without one. */
char *guest_disk_device(const struct guest_disk *d);
/* Sets *has if the device, which is at that path of QEMU's, does its I/O in threads of its own, and not in QEMU's main one (qemu-iothread.c). */
int guest_has_thread(const struct guest *g, struct qmp *q, const char *device, bool *has, struct err *e);
/* -ENOTSUP: the guest's QEMU would end once the disk had been read over NBD, as the disk has an iothread (qemu-iothread.c). */
int guest_check_iothread(const struct guest *g, struct qmp *q, const struct guest_disk *d, struct err *e);
void guest_note(struct guest *g, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* True if that device has the disk, or a partition of it. */
bool guest_disk_is_in(const struct guest_disk *d, const char *id);
/* Disk of the device; disk of the -drive; NULL: none. */
const struct guest_disk *guest_disk_of_device(const struct guest *g, const char *id);
const struct guest_disk *guest_disk_of_drive(const struct guest *g, const char *id);
/* Part of guest_check_drift() for devices. present: answer to qom-list of /machine/peripheral. */
int guest_check_devices(const struct guest *g, json_t *present, struct err *e);
/* True if this file of the command line (absolute) is in one of the guest's drives now. */
bool guest_is_inserted(const struct guest *g, const char *path);
/* Absolute form of a path on the guest's command line; malloc'ed. */
char *guest_path(const struct guest *g, const char *path);
void guest_fini(struct guest *g);

#endif
