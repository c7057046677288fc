/*
 * qemu-discover.h: finds a running guest from what the user calls it, and describes it.
 *
 * guest_find() looks only in /proc, guest_list() too; guest_query() asks QEMU for the rest. Nothing is changed by
 * either.
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
	char *name;	 /* as that image refers to it: absolute, or relative to its directory */
	char *real_path; /* NULL when it cannot be resolved */
	char *format;
	uint64_t allocated;
};

#define GUEST_LIMITS 6

/* One entry of query-block. Strings may be NULL where QEMU does not say. */
struct guest_disk {
	char *node; /* name of its image's node: what the device is attached to, or what is below filter */
	char *filter; /* name of the node of a filter that the device has, and that is above node (qemu-filters.h); NULL: it has node itself */
	char *file;	 /* file name as QEMU was given it; NULL when it is not a file (nbd, rbd, …) */
	char *network;	 /* as QEMU names what is behind a network, without a key in it; NULL: it is not */
	char *real_path; /* realpath of file; NULL when it cannot be resolved */
	char *format;	 /* driver of the root node: "raw", "qcow2", … */
	char *qdev;	 /* QOM path of the device, for block_set_io_throttle and the like */
	char *drive_id;	 /* -drive id=…; NULL with -blockdev */
	uint64_t virtual_size;
	uint64_t inner_size; /* of a guest that is shut down: as it sees the disk, whose file is what virtual_size is of; 0: it runs */
	uint64_t allocated;  /* bytes of the file that occupy disk space */
	unsigned cluster_size;
	json_t *qcow2; /* qcow2_options_of(); NULL: another format, or it runs nowhere */
	bool read_only;
	bool removable_empty; /* a drive without medium: node, file and format are NULL */
	bool removable;
	bool no_flush;		      /* cache=unsafe: what the guest has flushed may be in this host's memory only */
	bool named_by_json;	      /* QEMU says that file and format alone do not make it what it is */
	bool begins_later;	      /* a raw disk that is not at the beginning of its file */
	bool ends_by_size;	      /* a raw disk that may end before its file does: size= */
	bool ends_below;	      /* its image ends by size= of a raw driver below its format */
	int64_t limits[GUEST_LIMITS]; /* of its I/O, by whomever: bps, bps_rd, bps_wr, iops, iops_rd, iops_wr; 0: none */
	bool block_device;	      /* real_path is a block device, not a regular file */
	struct guest_backing *chain;  /* its backing files, nearest first */
	size_t chain_count;
	/* what a plain copy of the contents would lose */
	unsigned snapshot_count; /* internal snapshots */
	unsigned bitmap_count;	 /* persistent dirty bitmaps */
	bool encrypted;
	char *data_file; /* qcow2 external data file */
};

/* How it was started. */
struct guest_line {
	char **argv; /* argc strings and a NULL */
	size_t argc;
	struct args_config *configs; /* files of -readconfig that are still as QEMU read them */
	size_t config_count;
	size_t written_in; /* so many words at the end of either are of what was plugged in since (qemu-plugged.c) */
	char **expanded;   /* argv with those files and -set worked in, as far as they are known */
	size_t expanded_count;
};

struct guest_monitors {
	char *path; /* absolute; the first of all, or the one that the user gave; NULL: none */
	char **all;
	size_t count;
};

struct guest {
	bool foreign; /* another user's, who may call anything QEMU and say anything, or a container's, whose paths mean other files
		       * (process_is_ours()): only name, pid, start_time, exe, and what the kernel says of its cgroup are filled */
	char *name;   /* -name; "qemu-PID" without one */
	pid_t pid;
	uint64_t start_time; /* field 22 of /proc/PID/stat */
	pid_t ran_as;	     /* of one that is described as it will be when it is shut down, and still runs: its QEMU; otherwise 0 */
	char *exe;	     /* /proc/PID/exe, without " (deleted)" */
	char *cwd;	     /* where QEMU was started: relative paths in argv are against it */
	struct guest_line line;
	struct guest_monitors qmp;
	/* LD_LIBRARY_PATH and QEMU_MODULE_DIR of QEMU's environment */
	struct {
		char *ld_library_path, *module_dir;
	} env;
	struct guest_unit unit;
	char *owner_hint; /* "libvirt", "proxmox" or NULL */
	char *resource; /* of Pacemaker's, which moves it by vmferry, with no books of its own about it (cluster-resource.h); NULL: it is none */
	struct {
		char **text;
		size_t count;
	} notes;	  /* what its line does not say, and was written into it or cannot be: sentences for whoever moves it */
	char *makes;	  /* of one that is shut down: calls by which its script makes files that are not there; NULL: none is known */
	struct swtpm tpm; /* of one that is shut down: what its script starts before it; socket NULL: nothing */

	unsigned deadline_ms; /* of each of guest_query()'s questions; 0: QMP_DEADLINE_MS */

	/* from guest_query() */
	char *machine; /* versioned type: "pc-q35-10.0" */
	struct {
		int major, minor, micro;
	} version;
	struct guest_disk *disks;
	size_t disk_count;
	char *status;	    /* query-status: "running", "paused", … */
	uint64_t ram_bytes; /* base and plugged memory */
	char *accel;	    /* "kvm" or "tcg" */
	unsigned vcpus;
	char *cpu_model; /* "host", "qemu64", …; NULL if QEMU does not tell */
};

/*
 * vm: a guest's name, a pid, or the path of a QMP socket. 0; -ENOENT (no such guest: the message
 * lists those that run), -E2BIG (none that was looked at, and others' are too many), -EEXIST (the name is not unique; one of ours comes before others'), -EPERM (another user's, as
 * guest_check_user()), -ENXIO (no QMP monitor on a unix socket:
 * the message says which option to add), -EACCES. On failure *g is empty, but for -ENXIO, where all
 * but the monitor is filled: guest_fini() always.
 */
int guest_find(struct guest *g, const char *vm, struct err *e);
/* The monitor that `vmferry attach` has given this QEMU of ours, which is not on its line: the path of its socket, malloc'ed; NULL: there is none. */
#define ATTACHED_PREFIX "vmferry-"
#define ATTACHED_SUFFIX ".qmp"
char *guest_attached_path(pid_t pid);
bool guest_is_attached_path(const struct guest *g, const char *path);
/* Removes the file of that socket, once its QEMU has ended. */
void guest_remove_attached(const struct guest *g);
/*
 * Every QEMU of ours on this host, with a monitor or without, and at most GUESTS_FOREIGN_MAX others'; *cut_off: there may be more of those, which
 * whoever asks about others must not take for none. *out is malloc'ed: guest_fini() each, free(*out).
 */
#define GUESTS_FOREIGN_MAX 1024
int guest_list(struct guest **out, size_t *count, bool *cut_off, struct err *e);
/* Those, whoever's, that wanted says yes to, before anything else is read of them. -E2BIG: too many are others'. */
int guest_list_of(struct guest **out, size_t *count, bool (*wanted)(pid_t pid, const void *ctx), const void *ctx, struct err *e);
/* qmp_open() on the guest's monitors one after the other until one answers; checks that the peer is
 * the guest's pid. */
int guest_open_qmp(struct guest *g, struct qmp **out, struct loop *l, unsigned timeout_ms, const struct qmp_handlers *h, void *ctx,
		   struct err *e);
/* Fills the rest. */
int guest_query(struct guest *g, struct qmp *q, struct err *e);
/* Forgets what it filled. */
void guest_forget_query(struct guest *g);
/* What the user accepts to lose, or has chosen a way for. */
enum {
	DISK_ACCEPT_SNAPSHOTS = 1,
	DISK_ACCEPT_BITMAPS = 2,
	DISK_ACCEPT_DATA_FILE = 4, /* contents come into the image itself */
	DISK_ACCEPT_PART = 8,	   /* it may begin in the middle of its file: what is copied has a file of its own */
};
/* libvirt started its QEMU, and has its monitors. */
bool guest_is_libvirts(const struct guest *g);
/* 0, or -EPERM: its QEMU is another user's, or a container's, which could not use our sockets, and whose word on what it is we must not
 * take with our rights. */
int guest_check_user(const struct guest *g, struct err *e);
/* An agent of this host has started its QEMU: as long as no monitor answers it has not come yet. */
bool guest_is_arriving(const struct guest *g);
/* Its I/O limits, in the order of QEMU's names; are there any? inserted: of query-block. */
bool guest_disk_read_limits(const json_t *inserted, int64_t limits[GUEST_LIMITS]);
/* 0, or -ENOTSUP: what of this disk a move could not carry. */
int guest_disk_movable(const struct guest_disk *d, unsigned accept, struct err *e);
/* Reads the files that its line names by -readconfig, and fills line.configs and line.expanded. */
void guest_expand_line(struct guest *g);
/* What its line refers to, and can be carried: nothing of it goes elsewhere. no_state: it is to start anew. As qemu_args_rewrite(). */
int guest_read_line(const struct guest *g, bool no_state, struct args_result *out, struct err *e);
/* The same as guest_read_line(), but options that cannot be carried are left out, and are no error. */
int guest_look_at_line(const struct guest *g, bool no_state, struct args_result *out, struct err *e);
/* 0, or -ENOTSUP: its QEMU has another file open than what has that name now, which we would read. */
int guest_reads_what_is_there(const struct guest *g, const char *path, struct err *e);
/* A file that QEMU has read when it started: in what way it is not what was read, in words behind its name; NULL: it is that. */
const char *guest_read_another(const struct guest *g, const char *path);
/* A block job puts a node of this driver above a disk, and takes it away when it ends. */
bool guest_filter_is_of_job(const char *driver);
/* Does the user mean this disk by these n bytes: its node, drive, device or file? */
bool guest_disk_is_called(const struct guest_disk *d, const char *name, size_t n);
/* "a.qcow2 (drive0), b.raw": a name or two of each disk, by which guest_disk_is_called(); malloc'ed, "" where there is none. */
char *guest_disks_called(const struct guest *g);
/* After guest_query(): 0, or -ENOTSUP: the guest is no longer what its command line says (devices plugged out, media
 * inserted). A medium that was taken out is no such case: guest_is_inserted() tells. Nor are images that disks have instead, and what was plugged
 * in, where enough of it can be told: they are on the line then. With o each such fact goes there, and 0 says that all was looked at; without, the first
 * ends it. (qemu-drift.c) */
int guest_check_drift(struct guest *g, struct qmp *q, struct obstacles *o, struct err *e);
/* QEMU takes firmware, or a ROM, without a directory in its name from where it was started before it takes one of its own. Gives such a file its whole
 * path on the line. -ENOTSUP: it was changed since QEMU read it; with o all such go there, as above. */
int guest_write_in_own_files(struct guest *g, struct obstacles *o, struct err *e);
/* Plugged devices are written into the line. todo: id to type of devices that are not on it, which loses those that are written there, or told of. -ENOTSUP: one cannot be written
 * down; with o all such go there, and the others are written. (qemu-plugged.c) */
int guest_write_in_plugged(struct guest *g, struct qmp *q, json_t *todo, struct obstacles *o, struct err *e);
/* Images that the disks have by now are written into the line. -ENOTSUP, or with o told there: the line names one where it cannot be changed. (qemu-disks-now.c) */
int guest_write_in_disks(struct guest *g, struct qmp *q, struct obstacles *o, struct err *e);
/* Taps that QEMU has by now are written into the line; where that cannot be told it stays as it is. (qemu-taps-now.c) */
void guest_write_in_taps(struct guest *g);
/* Is the -blockdev of that node, on the line, this disk's image? */
bool guest_node_is_of(const struct guest *g, const char *node, const struct guest_disk *d);
/* A property of what is at that path of QEMU's. 0, and *value is NULL where it has none such, does not show it, or is not there (a device that waits for
 * its partner: failover). */
int guest_get(const struct guest *g, struct qmp *q, const char *path, const char *property, json_t **value, struct err *e);
void guest_note(struct guest *g, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Has that device the disk, or a part of it? */
bool guest_disk_is_in(const struct guest_disk *d, const char *id);
/* The one that the device has, or the -drive is; NULL: none. */
const struct guest_disk *guest_disk_of_device(const struct guest *g, const char *id);
const struct guest_disk *guest_disk_of_drive(const struct guest *g, const char *id);
/* The devices' part of that, from an answer to qom-list of /machine/peripheral. */
int guest_check_devices(const struct guest *g, json_t *present, struct err *e);
/* Whether this file of the command line (absolute) is in one of the guest's drives now. */
bool guest_is_inserted(const struct guest *g, const char *path);
/* A path of the guest's command line, against its directory; malloc'ed. */
char *guest_path(const struct guest *g, const char *path);
void guest_fini(struct guest *g);

#endif
