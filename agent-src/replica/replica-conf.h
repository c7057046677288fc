/* replica-conf.h: this host's settings for a guest's replica. At its primary: the command that makes a point, in
 * STATE_DIR/replica/NAME.conf, one option per line (read by defaults.h), and the results of the last attempts, in NAME.json beside it.
 * At the replica's host: where its points are (STATE_DIR/replicas). */
#ifndef VMFERRY_REPLICA_CONF_H
#define VMFERRY_REPLICA_CONF_H

#include "command-options.h"
#include "defaults.h"
#include "options.h"
#include "primary-note.h"
#include "replica-sync.h"

#include <jansson.h>

struct replica_conf {
	struct move_options o; /* must be first: the move's option tables set it */
	struct replica_sync sync;
	const char *to, *pair, *keep, *spool, *initial;
	struct option_list left_out; /* o.disks.map of a move, not of a point */
	const char *start_alone;     /* "yes" or "no": start the primary if the replica's host cannot be asked */
	/* options for one command, not for the settings */
	struct {
		const char *point; /* point to run from; NULL: the newest */
		bool fenced, further_fenced, plans, ends, cancels, completes, lives_there;
		unsigned for_s; /* duration of a trial; 0: no limit */
	} once;
	unsigned every_s, term;
	bool shuts_down; /* a planned failover shuts the guest down, and boots it there */
	bool paused, freezes;
	bool goes_on;				   /* the replica passes on points that this host has; the guest is elsewhere */
	char *store;				   /* directory of those points; malloc'ed */
	char *settings_dir;			   /* STATE_DIR, or if goes_on STATE_DIR/onward; malloc'ed; NULL: not known yet */
	struct defaults words;			   /* words of the file, which own the other members' strings */
	struct replica_said {			   /* command line, whose options are taken again after those of the settings */
		const struct command_usage *usage; /* NULL: none */
		int argc;
		char **argv;
	} said;
	char *state_dir, *runtime_dir;
};

/* Prints the error. Returns EXIT_REFUSED. */
int replica_say(const struct err *e);
/* Parent directory of an absolute path; malloc'ed. */
char *replica_parent_dir(const char *path);
/* Option rows of a replica, then a move's that apply to a point; of_settings: also those that only settings have. */
const struct option_table *replica_tables(bool of_settings);
/* word: NAME[=VALUE]. True if that option is for one command, and not kept in the settings. */
bool replica_option_is_once(const char *word);
void replica_conf_init(struct replica_conf *c);
void replica_conf_fini(struct replica_conf *c);
/* Sets STATE_DIR and the runtime directory, after options were read. */
int replica_conf_dirs(struct replica_conf *c, struct err *e);
/* Passes the state directory to child commands, by their environment. */
void replica_conf_pass_on(const struct replica_conf *c);
/* Reads a guest's settings into c, whose state_dir is known; options of c->said have the last word about each. If this host is not its
 * primary: the settings by which its points go on from here. -ENOENT: no replica elsewhere. */
int replica_conf_load(struct replica_conf *c, const char *guest, struct err *e);
/* Writes the settings durably. */
int replica_conf_save(const struct replica_conf *c, const char *guest, struct err *e);
/* Drops sources of the first point's contents (--initial) from the settings: they serve no other point. */
void replica_conf_forget_initial(const struct replica_conf *c, const char *guest);
/* Sets up c->o and c->sync, from loaded settings, for an attempt of that kind. */
void replica_conf_set_up(struct replica_conf *c, const char *guest, enum how how);
/* Makes c the settings of a replica that passes on this host's points; they lie in a place of their own, as the guest's own may be here,
 * too. */
void replica_conf_goes_on(struct replica_conf *c);
/* Chooses the guest's settings: its primary's if they exist, else those by which its points go on from here. */
void replica_conf_choose_settings(struct replica_conf *c, const char *guest);
/* Finds the points of a replica that goes on, and takes term and pair from them, unless the pair is known. -ENOENT: no points; -ESTALE:
 * another replica's. */
int replica_conf_take_store(struct replica_conf *c, const char *guest, struct err *e);
/* Loads the replica's state; NULL: none yet. */
json_t *replica_state_load(const char *dir, const char *guest);
/* True if a takeover at the replica's host is noted, by a point or by `may-start`: that holds until that host says otherwise, as where the
 * run was thrown away. */
bool replica_is_replaced(const char *dir, const char *guest);
int replica_state_save(const char *dir, const char *guest, const json_t *state, struct err *e);
/* Names of guests with a replica elsewhere, by their files; a new array. */
json_t *replica_names(const char *dir);
/* Directory of that guest's points on this host; malloc'ed; NULL: none. */
char *replica_store(const char *state_dir, const char *guest);
/* Directories of all guests' points on this host: {"guest": "dir"}; a new reference. */
json_t *replica_stores(const char *state_dir);
void replica_forget_store(const char *state_dir, const char *guest);

#endif
