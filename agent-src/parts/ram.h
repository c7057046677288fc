/*
 * ram.h: the guest's memory and device state, as QEMU's own migration gives them: its settings, its begin and its end, how much is left, and
 * when QEMU may switch over.
 */
#ifndef VMFERRY_RAM_H
#define VMFERRY_RAM_H

#include "data-plane.h"
#include "keep.h"
#include "ram-capture.h"
#include "ram-hold.h"
#include "source.h"

/* QEMU's passes over memory, as far as it tells. */
struct ram_passes {
	uint64_t number;	    /* the pass of ram.left; at the end of the one before, nearly nothing is left */
	uint64_t begun;		    /* newest that QEMU told of */
	uint64_t queried;	    /* time when the query under way was sent */
	uint64_t begun_ns, took_ns; /* time when QEMU began this pass; duration of the one before */
	uint64_t cut_ns;	    /* time when our round was last cut */
};

/* Figures of QEMU's migration, as last asked. */
struct ram_load {
	bool is_asked;
	uint64_t left, total;
	double dirty_per_s; /* bytes that the guest writes */
};

struct ram {
	struct part part;
	struct source *src;
	struct data_plane *data;
	enum ram_mode mode;
	char *mode_why;	  /* why it is opaque; NULL: it was asked for, or is not */
	unsigned multifd; /* QEMU's channels towards us */
	bool seeds_taken; /* the destination takes seeds */
	char *socket;
	json_t *settings; /* QEMU's settings, to be put back */
	bool has_bandwidth;
	struct ram_hold hold;
	int keeper;		 /* has copies of QEMU's connections (keep.h) */
	struct capture *capture; /* NULL: not yet, or no more */
	struct keep *kept;	 /* we are the keeper, and the agent has died */
	struct ram_passes pass;
	struct ram_load load;
	const char
		*early_state; /* device with state before or among memory in QEMU's stream, which then cannot be taken apart; NULL: none */
	bool loses_writes;    /* QEMU does, of what the guest writes to its memory while that is carried; the recheck alone finds it */
	bool unchecked;	      /* QEMU's word for what a guest without KVM has written is all that there is */
	double recheck_ns;    /* time to read and hash a byte of the guest's; 0: not known */
	uint64_t done_ns;     /* time when every page was queued */
	unsigned rounds;      /* once the capture has ended */
	bool throttled;
	double armed_per_s;
	unsigned armed_ms;
};

void ram_init(struct ram *r, struct source *src, struct data_plane *data);

/* Adds to the journal's beginning; restores from it in a later life. */
void ram_describe_for_journal(struct ram *r, json_t *begin);
void ram_restore(struct ram *r);

/* Finds the guest's memory in QEMU's address space. 0: it can be read from outside (count is 0 if QEMU does not tell); -errno: it
 * cannot. */
int ram_readable_blocks(const struct ram *r, struct seed_block out[SEED_BLOCKS_MAX], unsigned *count, struct err *e);
/* Looks, before any disk is read, for contents of disks that are in memory as well, so that they travel once. If that is not possible
 * *notice says why, malloc'ed. */
int ram_seed(struct ram *r, char **notice, struct err *e);
/* Prepares, before ram_start(), to compare memory again where QEMU's dirty log is not reliable (recheck.h). *notice as above. */
int ram_recheck(struct ram *r, char **notice, struct err *e);
/* True if what arrived is known to be what the guest had, if all that was sent has arrived. */
bool ram_is_known_whole(const struct ram *r);
/* CPU time that each of its threads reads then, about; 0: nothing is read once more. */
double ram_recheck_ms(const struct ram *r);
unsigned ram_recheck_threads(const struct ram *r);
/* Measures that once more: what disturbed once need not do so again. Takes some milliseconds. */
void ram_measure_recheck(struct ram *r);
/* Bytes to show to people: all of it until QEMU has said for the first time how much is left, none when it has sent its last page. */
uint64_t ram_left_to_come(const struct ram *r);
/* QEMU begins to migrate, towards us. What was found of seeds has arrived. */
int ram_start(struct ram *r, struct err *e);
/* Asks QEMU how much is left; the answer comes while the loop runs. */
void ram_query(struct ram *r);
/* MIGRATION_PASS */
void ram_on_pass(struct ram *r, const struct event *ev);
/* QEMU slows the guest's processors down (auto-converge). */
void ram_throttle(struct ram *r);

/*
 * QEMU looks every 100 ms from how little on it may switch. One that waits for our acknowledgement is told so in time, of what we shall
 * decide by: then it stops as soon as we acknowledge, and until then does not go round and round over nothing, which the guest would
 * feel. Any other QEMU would switch.
 */
void ram_arm(struct ram *r, double rate_per_s);
/* Now, whatever is left: at the latest when QEMU next looks. */
int ram_ask_for_switchover(struct ram *r, struct err *e);
int ram_let_qemu_go_on(struct ram *r, struct err *e);
/* QEMU's final SHUT, which its peer has said and we kept. */
int ram_release_shut(struct ram *r);
/* Stop or go on reading from QEMU. */
void ram_stall(struct ram *r, bool stall);
/* Bytes that wait at QEMU meanwhile, in its sockets. */
uint64_t ram_unread(const struct ram *r);

/*
 * Ends our migration, before until_ns. QEMU's sockets stay open, and are read, until it is over: closed under a thread of multifd's they
 * may leave QEMU waiting for that thread for ever. One that does not end so is left to give up by itself, without them. Begins with
 * ram_read_away_when_set_up(), which needs no monitor, and ends with ram_close_connections().
 */
void ram_read_away_when_set_up(struct ram *r);
int ram_cancel(struct ram *r, uint64_t until_ns, struct err *e);
/* A migration of ours in which QEMU has let go of its images is told that all has been loaded: the guest stands then, and nothing is opened. If it was cancelled QEMU
 * would open them again, and let the guest run. */
void ram_let_complete(struct ram *r, uint64_t until_ns);
void ram_close_connections(struct ram *r);
/* Ends the capture's thread; ram_free_capture once the senders have stopped, too. */
void ram_stop(struct ram *r);
void ram_free_capture(struct ram *r);

#endif
