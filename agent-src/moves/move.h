/* move.h: a move, as the command line begins it, and what is done about one whose agent died. */
#ifndef VMFERRY_SRC_MOVE_H
#define VMFERRY_SRC_MOVE_H

#include "codec.h"
#include "dest-connect.h"

#include <stdbool.h>
#include <stdint.h>

enum on_stall { ON_STALL_WAIT, ON_STALL_THROTTLE, ON_STALL_STOP, ON_STALL_CANCEL };

#define MAP_NET_MAX 64

#define DISK_MAP_MAX 64

struct move_options {
	const char *vm, *disk_dir;
	struct dest_config dest; /* where to, and how to get there */
	unsigned max_downtime_ms, channels;
	enum codec_mode codec;
	const char *ram_mode; /* auto, pages, opaque */
	enum on_stall on_stall;
	uint64_t bwlimit; /* bytes per second; 0: none */
	bool hold, dry_run, json, json_fine, verbose;
	bool estimate, script; /* with dry_run: measure; print the move as a script instead of the plan */
	bool install_unit; /* at the destination */
	bool keep_unit;	   /* here: it is not to be disabled */
	int multifd; /* QEMU's channels towards us; -1: as many as data channels */
	unsigned accept;   /* DISK_ACCEPT_* */
	const char *chain; /* flatten, copy (NULL), top: what becomes of backing files */
	const char *disk_map[DISK_MAP_MAX]; /* "DISK=PATH", with a '=' */
	unsigned disk_map_count;
	const char *media; /* auto (NULL), copy, path, eject: files that the guest only reads */
	const char *map_net[MAP_NET_MAX]; /* "NIC=WHAT", with a '=' */
	unsigned map_net_count;
	const char *state_dir, *runtime_dir;
	void (*prepared)(void); /* told when nothing stands in the way any more; may be NULL */
};

/* Runs a move to its end. Returns the exit code. */
int move_run(const struct move_options *opt);
struct keep;
/* The agent of this attempt has died: before COMMITTED the guest is set going again here. kept (stolen): QEMU's connections to that agent,
 * let go of when its migration is over. Returns 0, or 1: it said why not. */
int move_guard(const struct move_options *opt, const char *journal_path, struct keep *kept);
/* Settles an attempt of an earlier life. fenced: a person vouches that the peer will never act again. */
int move_recover(const struct move_options *opt, const char *journal_path, bool fenced);

#endif
