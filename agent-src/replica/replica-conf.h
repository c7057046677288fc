/*
 * replica-conf.h: what this host knows of a guest's replica: as its primary, the command by which a point is made, in STATE_DIR/replica/NAME.conf, an option a line
 * (as defaults.h reads them), and what became of the last ones, in NAME.json beside it; as the replica's host, where its points are (STATE_DIR/replicas).
 */
#ifndef VMFERRY_REPLICA_CONF_H
#define VMFERRY_REPLICA_CONF_H

#include "command-options.h"
#include "defaults.h"
#include "options.h"
#include "replica-sync.h"

#include <jansson.h>

struct replica_conf {
	struct move_options o; /* first: the move's tables are about it */
	struct replica_sync sync;
	const char *to, *pair, *keep, *spool, *initial;
	struct option_list left_out; /* o.disks.map of a move that is no point */
	const char *start_alone;     /* "yes" or "no": may its primary be started where the replica's host cannot be asked? */
	const char *point;	     /* from which it is to run; NULL: the newest */
	bool fenced, further_fenced, plans, ends, cancels, completes, lives_there;
	unsigned every_s, for_s, term; /* for_s: a trial ends by itself; 0: it does not */
	bool paused, freezes;
	bool goes_on;	       /* it is made of the points of a replica that this host has, and the guest is elsewhere */
	char *store;	       /* then, where those are; malloc'ed */
	char *settings_dir;    /* STATE_DIR, or then STATE_DIR/onward; malloc'ed; NULL: not known yet */
	struct defaults words; /* of the file: strings of the others are in there */
	char *state_dir, *runtime_dir;
};

/* Tells what was wrong. Returns EXIT_REFUSED. */
int replica_say(const struct err *e);
/* Malloc'ed: the directory in which a path, which is absolute, lies. */
char *replica_parent_dir(const char *path);
/* Rows of a replica, then those of a move that a point has; of_settings: and what only settings have. */
const struct option_table *replica_tables(bool of_settings);
void replica_conf_init(struct replica_conf *c);
void replica_conf_fini(struct replica_conf *c);
/* STATE_DIR and the runtime directory, after options were read. */
int replica_conf_dirs(struct replica_conf *c, struct err *e);
/* Malloc'ed: DIR/replica/NAME.SUFFIX; dir: the state directory, or settings_dir of one that goes on. */
char *replica_path(const char *dir, const char *guest, const char *suffix);
/* Commands that are run by this one have its state: each child's environment says where. */
void replica_conf_pass_on(const struct replica_conf *c);
/* Reads a guest's, into c, which is as init leaves it but for what is to be different: state_dir is known. Where this host is no primary of it, those by which its points go
 * on from here. -ENOENT: it has no replica elsewhere. */
int replica_conf_load(struct replica_conf *c, const char *guest, struct err *e);
/* Writes it durably. */
int replica_conf_save(const struct replica_conf *c, const char *guest, struct err *e);
/* Settings that were loaded: c->o and c->sync become those of an attempt of that kind. */
void replica_conf_set_up(struct replica_conf *c, const char *guest, enum how how);
/* The replica is made of the points that this host has: its settings have a place of their own, as the guest's may be here, too. */
void replica_conf_goes_on(struct replica_conf *c);
/* Settings of that guest are looked for: its primary's if there are any, else those by which its points go on from here. */
void replica_conf_choose_settings(struct replica_conf *c, const char *guest);
/* Finds the points of a replica that goes on, and takes pair and term from there, but for a pair that is known. -ENOENT: there are none; -ESTALE: they are another replica's. */
int replica_conf_take_store(struct replica_conf *c, const char *guest, struct err *e);
/* NULL: nothing of it is known yet. */
json_t *replica_state_load(const char *dir, const char *guest);
int replica_state_save(const char *dir, const char *guest, const json_t *state, struct err *e);
/* Names of guests with a replica elsewhere, by their files; a new array. */
json_t *replica_names(const char *dir);
/* Malloc'ed: where this host keeps the points of that guest; NULL: nowhere. */
char *replica_store(const char *state_dir, const char *guest);
/* Likewise all of them: {"guest": "dir"}; a new reference. */
json_t *replica_stores(const char *state_dir);
void replica_forget_store(const char *state_dir, const char *guest);

#endif
