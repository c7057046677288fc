/* options.h: what the user asked of a move, and the rows by which it is asked. */
#ifndef VMFERRY_OPTIONS_H
#define VMFERRY_OPTIONS_H

#include "codec.h"
#include "command-options.h"
#include "dest-connect.h"

#include <stdbool.h>
#include <stdint.h>
#include <time.h>
#include <string.h>

enum on_stall { ON_STALL_WAIT, ON_STALL_THROTTLE, ON_STALL_STOP, ON_STALL_CANCEL };
enum chain { CHAIN_COPY, CHAIN_TOP, CHAIN_FLATTEN };		  /* backing files */
enum media { MEDIA_AUTO, MEDIA_COPY, MEDIA_PATH, MEDIA_EJECT };	  /* files that the guest only reads */
enum recheck_wish { RECHECK_AUTO, RECHECK_ON, RECHECK_OFF };	  /* read the stopped guest's memory once more and compare */
enum alike_wish { ALIKE_AUTO, ALIKE_ON, ALIKE_OFF };		  /* use blocks of other images at the destination */
enum ram_wish { RAM_WISH_AUTO, RAM_WISH_PAGES, RAM_WISH_OPAQUE }; /* how memory travels */

/* Value of a pair NAME=VALUE. The first "=/" splits it, as a file name may contain '=' itself. */
static inline const char *option_pair_value(const char *pair)
{
	const char *path = strstr(pair, "=/"), *any = strchr(pair, '=');

	return path ? path + 1 : any ? any + 1 : NULL;
}

/* The ways to move a guest. */
enum how {
	HOW_LIVE,
	HOW_QUICK,
	HOW_WARM,
	HOW_COLD,
	HOW_DISKS /* the guest stays: only its disks are copied, and kept there */,
	HOW_REPLICA /* the guest stays: its disks are copied into a point of a replica */
};

/* Partial disks at the destination after a move that failed. */
struct keep_options {
	unsigned partial_s;	   /* keep them for so many seconds; 0: do not */
	bool none;		   /* do not use partial disks of an earlier move either */
	bool resumes;		   /* recover: keep them, as the move is begun again */
	const struct json_t *move; /* the command that began the move, to repeat it; NULL: cannot be repeated */
};

struct disk_options {
	struct option_list map;	  /* DISK=PATH */
	struct option_list reuse; /* DISK=FILE: older copies there */
	struct option_list left;  /* DISK=FILE: older copies that may be there still; found by vmferry, behind what the user says */
	const char *reuse_all;	  /* older copy for all other disks: FILE, or "auto"; NULL: none */
	enum chain chain;
	unsigned accept; /* DISK_ACCEPT_* */
	struct keep_options keep;
};

struct head_start;
struct replica_sync;

/* Kind of guest at the destination: as here, plain, or libvirt's. */
enum as_guest { AS_SAME, AS_PLAIN, AS_LIBVIRT };

/* Owner of the guest, as the user says: normally the user. */
enum guest_owner { OWNER_USER, OWNER_PACEMAKER };

/* Options for a guest that is shut down. */
struct cold_options {
	char *const *line; /* command line, in place of move_options.vm; NULL: none */
	size_t words;
	bool start;    /* start the guest there */
	bool only_off; /* move_options.vm is libvirt's name; refused if that guest runs */
	enum as_guest as;
	struct head_start *head; /* the guest runs, or did when the command began (head-start.h); NULL: it was shut down before */
};

/* Options for a guest that is shut down for its move. */
struct warm_options {
	unsigned shutdown_timeout_s; /* time that the shutdown may take */
	bool force;		     /* stop the guest as it is once that time is over */
};

/* Options for how contents travel. */
struct carry_options {
	unsigned channels; /* data connections */
	enum codec_mode codec;
	bool no_dedup; /* send contents twice that are in memory and on disk */
	enum alike_wish alike;
	enum ram_wish ram_mode;
	enum recheck_wish recheck;
	uint64_t bwlimit; /* bytes per second; 0: none */
	int multifd;	  /* QEMU's channels towards us; -1: as many as data channels */
};

struct move_options {
	enum how how;
	struct cold_options cold;
	struct warm_options warm;
	const char *vm, *disk_dir;
	const char *qemu;	 /* QEMU for the destination; NULL: the one of the same name */
	const char *machine;	 /* machine type to boot with there; NULL: as here */
	struct dest_config dest; /* destination, and how to reach it */
	struct carry_options carry;
	/* moment and length of the guest's stop */
	struct {
		unsigned max_downtime_ms;
		enum on_stall on_stall;
		time_t at; /* earliest stop of the guest; 0: whenever that is best */
		bool hold;
	} stop;
	unsigned reconnect_ms;	  /* time to retry lost connections; 0: do not */
	unsigned revert_within_s; /* time in which the guest can be taken back; 0: none */
	/* plan of a move, which is printed instead of it */
	struct {
		bool only;		  /* nothing is changed */
		bool estimate, as_script; /* measure; print a script instead of the plan */
	} plan;
	/* events on standard output */
	struct {
		bool json, json_fine;
	} events;
	bool now; /* do not wait for other moves of either host */
	/* starters of the guest */
	struct {
		bool install_unit; /* install a unit at the destination */
		bool keep_unit;	   /* here: do not disable the unit that starts the guest */
		bool is_stopped;   /* here: the guest's other starter is stopped, says the user */
	} starter;
	enum guest_owner owner; /* caller of this command */
	bool attach;		/* a QEMU without a monitor is given one first (attach.h) */
	bool in_place;		/* another QEMU on this host takes over the guest, its disks, sockets and names */
	struct disk_options disks;
	enum media media;
	struct option_list map_net; /* NIC=WHAT */
	/* places of journals and of sockets */
	struct {
		const char *state, *runtime;
	} dirs;
	struct replica_sync *replica; /* HOW_REPLICA: what point (replica-sync.h) */
	void (*prepared)(void);	      /* called when all checks have passed; may be NULL */
};

/* Rows that set struct move_options and how the destination is reached. */
extern const struct option_table move_tables[];
/* Sets what depends on this host, or has a default of its own, unless it was said. After options were read. */
void move_options_fill_in(struct move_options *o);
/* Words for some of the enums, on the command line and elsewhere; each list ends with NULL. */
extern const char *const drop_words[], *const how_words[], *const media_words[], *const ram_mode_words[];

#endif
