/*
 * both.h: shared state of test-both-conductors: two simulated QEMUs, the agents' processes, and the driver, which lets one of them run at a
 * time. All of it lies in memory that the processes share.
 */
#ifndef VMFERRY_BOTH_H
#define VMFERRY_BOTH_H

#include "attempt-id.h"
#include "handoff.h"

#include <jansson.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { SOURCE, DESTINATION };

/* The fate of an agent's next `cont`. */
enum both_cont {
	CONT_ANSWERED,
	CONT_LOST,
	CONT_RAN_UNANSWERED,
	CONT_RAN_DEAF /* the monitor is silent from then on */,
	CONT_REFUSED /* this one and the next */
};

/* The guest. */
enum both_pause {
	RAN_BEFORE,
	PAUSED_BEFORE,
	PAUSED_LATE /* in the moment before its QEMU stopped it */,
	BROKEN_LATE /* paused in that moment, too, by an error */
};

/* The guest's disk, and the way its memory travels. With a disk the whole copy is played, without one only the stages after it. */
enum both_carried { NO_DISK, DISK, DISK_AND_OPAQUE };

enum both_how {
	LIVE,
	WARM, /* a warm move: the guest was shut down, and boots at the destination; it has no disk */
	COLD, /* a cold move: there is no QEMU, and `runs` says that the script has its name, so that anybody may start it */
};

/* Two MiB and some more, so that it lies in two places; QEMU's bitmaps have a bit for each grain. */
#define BOTH_DISK_BYTES	 (2 * 1024 * 1024 + 128 * 1024 + 3 * 512)
#define BOTH_DISK_GRAIN	 65536
#define BOTH_DISK_GRAINS ((BOTH_DISK_BYTES + BOTH_DISK_GRAIN - 1) / BOTH_DISK_GRAIN)

/* The guest's disk: as the source QEMU has it, and as it is at the destination. */
struct both_disk {
	char image[100];
	bool unsynced; /* the disk was written to, and the write is not on stable storage */
	bool cut, bad; /* NBD: the connections end; the next read fails */
	unsigned ours; /* bitmaps, exports and servers in the source QEMU */
	unsigned rounds;
	bool allocated[BOTH_DISK_GRAINS];
};

struct both_qemu {
	pid_t pid;
	uint64_t start_time;
	char path[100]; /* path of the monitor */
	sem_t go, back; /* a step of it, and its end */
	/* set from outside, beside its monitor */
	bool asked;   /* source: it may switch over */
	bool shut;    /* source: SHUT has been let through */
	bool unread;  /* source: nobody reads its migration any more */
	bool arrived; /* destination: all of its stream */
	bool held, dead;
	bool launched; /* destination, of a warm move */
	bool let_go;   /* source: by somebody's SIGCONT, after COMMITTED */
	enum both_cont cont;
	bool cont_failed; /* a `cont` was not obeyed, or not answered */
	/* state that QEMU reports */
	bool busy;    /* something was done in its last step */
	bool gone_on; /* source: its disks are inactive, and what is left of its state is sent */
	bool loaded;  /* destination */
	bool runs;    /* the guest: its processors turn, if this process does */
	bool ran;     /* the guest has run since the copy; at the destination: because we started it */
	bool woken;   /* the guest has run because another client started it too early, or too late */
};

struct both {
	struct both_qemu qemu[2];
	uint8_t attempt[ATTEMPT_ID_LEN];
	char state[2][80], runtime[2][80]; /* directories of either side */
	enum handoff_state journal[2];	   /* state of the journal that is durable */
	enum both_pause pause;
	enum both_carried carried;
	bool wavers; /* contents that fitted into the blackout fit no longer while the disk is waited for */
	enum both_how how;
	char script[2][100];
	struct both_disk disk;
	bool guard_dismissed;
	bool fenced;	/* a person's word counts against a host that is dead */
	unsigned begun; /* sides whose part begins now */
	bool end_sent, streams_ended;
	uint64_t now_ns; /* time goes on when nobody has anything to do */
	unsigned long activity;
	char violation[512]; /* the first one */
};
extern struct both *both;
extern uint8_t *both_disk; /* contents of the disk at the source */

void both_violation(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* qemu.c: plays a QEMU for ever */
void both_qemu(unsigned side) __attribute__((noreturn));
/* disk.c: the source QEMU's part of it. Before every run: */
void both_disk_begin(void);
/* NULL: it is no command of the disks'. */
json_t *both_disk_command(const char *command, const json_t *args, bool guest_runs, const char **error);
/* Serves the clients of its NBD server; true: there was a request. */
bool both_disk_serve(bool active);
/* A guest that runs writes at certain moments; the last one is right before it is stopped. */
void both_disk_write(bool last);
/* Checks that the image at the destination has everything that the guest has written, and on stable storage if `durable`. */
void both_disk_check(const char *when, bool durable);

/* A connection to the destination agent, or from the source agent; -1: there is none. */
int both_reach(void);
int both_accept(void);
/* The same for the data channels, which come in their order. */
int both_reach_data(void);
int both_accept_data(void);
/* While it is true, a thread that is begun takes turns as its agent does. */
extern bool both_threads;
/* Called before every step of this process's loop. */
extern void (*both_tick)(void);

/* src/side.c: from the end of the copy on; the exit code */
int src_life(void);
int src_guard(void);
int src_recover(bool fenced);
/* dst/side.c, where these names have no prefix: a session (first: all has been copied in it), an agent's start, and `recover` */
int dst_session(bool first);
int dst_start(void);
int dst_settle(bool fenced);

#endif
