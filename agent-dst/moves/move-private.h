/*
 * move-private.h: one move as the destination sees it; the state that its stages share. Private to move*.c of this folder.
 *
 *   connect · preflight · prepare · copy · switchover · commit · release     (the same names as at the source)
 *
 * Theory of operation. The source describes the guest (connect), we answer with a plan or a refusal, having created
 * nothing (preflight). Told to, we journal, create the disks and start QEMU with `-incoming defer -S` (prepare). Data
 * channels then fill its RAM and disks (copy); when all of it is here and every digest equal, the device state is
 * loaded (switchover). From PREPARED on only the hand-off machine decides (commit), and at the end we remove what is
 * ours (release). Whatever goes wrong ends in move_fail().
 */
#ifndef VMFERRY_DST_MOVE_PRIVATE_H
#define VMFERRY_DST_MOVE_PRIVATE_H

#include "move.h"
#include "attempt.h"
#include "data-receive.h"
#include "net.h"
#include "peer-accept.h"
#include "qemu-args.h"
#include "qemu-launch.h"
#include "ram-feed.h"

#define LEFTOVERS_MAX 20 /* that are told */

enum move_stage { ST_CONNECT, ST_PREFLIGHT, ST_PREPARE, ST_COPY, ST_SWITCHOVER, ST_COMMIT, ST_RELEASE };

struct move_disk {
	uint32_t object;
	char *from;   /* as it stands in the source's argv */
	char *path;   /* here */
	char *format;
	char *node;   /* in the destination QEMU; of formats that go through it */
	char *backing, *backing_format; /* as the image is to refer to it; NULL: stands alone */
	uint64_t virtual_size, allocated;
	unsigned cluster_size;
	unsigned mode;
	long uid, gid;
	char *acl; /* as the source sent it, or NULL */
};

/* A file that the guest only reads: move-files.c. */
struct carried {
	unsigned file; /* index in DESCRIBE's files */
	const json_t *description;
	enum { CARRY_PRESENT, CARRY_COPY, CARRY_EJECT } transfer;
	char *to;
	bool other; /* present, but not the same */
	uint64_t size;
	/* while it is received; fd is -1 before and after */
	int fd;
	char *temp;
	struct XXH3_state_s *hash;
};

/* A listening socket of QEMU's, as query-chardev names it. */
struct chardev_socket {
	bool is_unix, is_websocket, connected;
	char address[256]; /* path, or HOST:PORT */
	char peer[128];
};

#define OCCUPIED_MAX 8

struct move {
	struct attempt a;
	const struct move_config *cfg;

	/* the plan */
	json_t *description, *decisions; /* DESCRIBE and PREPARE */
	struct args_result args;
	json_t *afterwards, *settled; /* what starts the guest again: the plan, and what came of it */
	char *exe, *name, *dir; /* dir: where disks and sockets go */
	struct move_disk *disks;
	size_t disk_count;
	struct carried *carried;
	size_t carried_count;
	unsigned files_awaited; /* of these, that the source is still sending */
	bool wants_names; /* of the CPU's features: its numbers do not fit */
	bool asked;	  /* the source, for them */
	json_t *findings; /* of preflight, in words */
	char *qemu_version;
	bool opaque;
	const char *opaque_why;
	unsigned channels, multifd;

	/* what exists */
	char *run_dir, *qmp_path, *incoming, *nbd_socket;
	struct qemu_proc qemu;
	struct qmp *qmp;
	json_t *settings; /* of the destination QEMU, to be put back */
	int occupied[OCCUPIED_MAX]; /* connections to monitors on TCP ports, so that nobody else has one */
	unsigned occupied_count;
	struct ram_place *ram;
	bool nbd_running;
	int data_fd;
	struct door *door; /* for data channels */
	struct op door_op;
	bool door_watched;
	struct receive_shared shared;
	struct receiver *receivers[CHANNELS_MAX];
	unsigned connected;
	struct queue work;

	/* progress of the copy */
	struct round_count {
		unsigned applied, durable;
	} rounds[OBJECT_DISK_MAX + 1];
	unsigned complete; /* channels whose content is whole */
	unsigned streams_open, streams_ended;
	uint8_t *thin;	   /* the thin stream until QEMU takes it */
	size_t thin_bytes, thin_fed, thin_cap;
	uint64_t thin_mark;
	bool thin_marked, mark_fed;
	struct feed *feed;
	bool loaded, cont_sent;
	uint64_t complete_ns, loaded_ns, cont_ns, started_ns;

	const char *given_up_because; /* while a step is carried out that the source hears of */
	bool keep_guest; /* it runs here: what is undone is our scaffolding only */
};

/* move-plan.c */
/* From m->description; creates nothing. -EAGAIN: cannot be said without the names of the CPU's features. */
int move_plan(struct move *m, struct err *e);
int move_plan_again(struct move *m, const json_t *description, struct err *e); /* with these names, the rest as it was */
json_t *move_plan_json(const struct move *m);
bool move_path_taken(const struct move *m, const char *path);
/* "KEY=VALUE" strings and a NULL, of the source QEMU's environment. */
char **move_environment(const struct move *m);
void move_free_environment(char **env);

/* move-prepare.c */
/* Journal, directory, disks and files: those that are to be received are empty. */
int move_prepare(struct move *m, const json_t *prepare, struct err *e);
/* Once all files are here: QEMU. */
int move_start_guest(struct move *m, struct err *e);
/* Journals a file under a name that only this attempt has. */
int move_own_file(struct move *m, const char *path, struct err *e);
/* Gives it the name that it is to have, unless somebody else's file has that. */
int move_publish(struct move *m, const char *temp, const char *path, struct err *e);
int move_close_exports(struct move *m, struct err *e);
/* The files that QEMU has made are its own by now: found when it starts, or (found) before it is ended. */
void move_know_what_qemu_made(struct move *m, bool found);
/* Removes what the journal owns; what stays is in leftovers. */
void move_undo(struct move *m, bool keep_guest);
/* In NOVM, when a person vouches that the source is gone: what there still is of the guest, its disks, is this host's. */
void move_keep_disks(struct move *m);
int move_undo_one(struct attempt *a, const char *kind, const json_t *detail, struct err *e);
void move_note_leftover(struct attempt *a, const char *kind, const json_t *detail, int r, const struct err *why);

/* move-monitors.c */
/* From now on only this agent gives orders to its QEMU. -EBUSY: somebody was quicker. -ENOTSUP: it has a monitor that cannot be kept from
 * others. */
int monitors_hide(struct move *m, struct err *e);
/* The sockets that were hidden in this directory get their names back. It may have been done already. */
int monitors_show(const char *dir, struct err *e);
/* They are of no use any more: QEMU has ended. */
int monitors_remove(const char *dir, struct err *e);
/* TCP ports are free for others. */
void monitors_let_go(struct move *m);
/* Pure. False: this is no listening socket. */
bool monitors_parse(const char *filename, struct chardev_socket *out);
/* Pure. Whether what has that label in QEMU's answer to query-chardev is a monitor, or has one behind it. */
bool monitors_has(const struct args_result *line, const json_t *chardevs, const char *label);

/* move-files.c */
int move_plan_files(struct move *m, struct err *e);
/* Files, directories and bridges that the new command line needs and nobody brings. */
int move_check_surroundings(const struct move *m, struct err *e);
/* What the command line's files become: up to two entries for each. */
size_t move_map_files(const struct move *m, struct args_map *map);
json_t *move_files_json(const struct move *m);
int move_create_files(struct move *m, struct err *e);
int move_take_file(struct move *m, const struct event *ev, struct err *e);
void move_close_files(struct move *m);
void move_free_files(struct move *m);

/* move-switchover.c */
int move_load(struct move *m, struct err *e);
int move_feed(struct move *m, struct err *e);
int move_activate(struct move *m, struct err *e);
/* 0: the guest is loaded and has not run; what may be promised. */
int move_stands(struct move *m, struct err *e);

/* move-commit.c */
/* Gives up if that is still ours to decide (-EPROTO if not); the source is told why. */
int move_abort(struct move *m, const char *why, struct err *e);
int move_qemu_dead(struct move *m, const char *why, struct err *e);
extern const struct attempt_ops move_attempt_ops;
int move_on_handoff(struct move *m, const struct event *ev, struct err *e);
/* Takes up a journal of an earlier life: EV_RECOVER is stepped. */
int move_restore(struct move *m, const char *journal_path, struct err *e);

#endif
